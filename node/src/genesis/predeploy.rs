//! Contracts every chain of ours has from its first block: those the fork rules call, and two that tools expect to find.
//! Used by the development genesis and by the root package; holds bytes only.

use std::collections::BTreeMap;

use alloy_eips::{eip2935, eip4788, eip7002, eip7251};
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, Bytes, address, hex};

use super::contract;

/// The deterministic deployment proxy (CREATE2 factory) that `forge`, `viem` and others assume.
pub const DEPLOYMENT_PROXY: Address = address!("0x4e59b44847b379578588920cA78FbF26c0B4956C");
/// Multicall3: many calls in one `eth_call`.
pub const MULTICALL3: Address = address!("0xcA11bde05977b3631167028862bE2a173976CA11");

/// EIP-2935 (block hashes), 4788 (beacon roots), 7002 and 7251 (requests), the deployment proxy and Multicall3.
pub fn predeploys() -> Vec<(Address, GenesisAccount)> {
    let plain = |code: Bytes| contract(code, BTreeMap::new());
    let proxy = "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3";
    let multicall3 = include_str!("multicall3.hex").trim();
    let bytes = |text: &str| Bytes::from(hex::decode(text).expect("the committed code is hexadecimal"));
    vec![
        (eip2935::HISTORY_STORAGE_ADDRESS, plain(eip2935::HISTORY_STORAGE_CODE.clone())),
        (eip4788::BEACON_ROOTS_ADDRESS, plain(eip4788::BEACON_ROOTS_CODE.clone())),
        (eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, plain(eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_CODE.clone())),
        (eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, plain(eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_CODE.clone())),
        (DEPLOYMENT_PROXY, plain(bytes(proxy))),
        (MULTICALL3, plain(bytes(multicall3))),
    ]
}
