//! The first block: a genesis file in geth's format, with our extension `config.hifi { baseFeeFloor, subSecond }`.
//! Read at start by `Node::start`; the root package adds its contracts with [`Genesis::add`] before that.
//! Never touches a data directory, never decides about blocks after the first.

mod dev;
mod predeploy;

use std::collections::BTreeMap;

use alloy_genesis::{ChainConfig, GenesisAccount};
use alloy_primitives::{Address, B256, Bytes, U256};
use revm::primitives::hardfork::SpecId;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use dev::{DEV_ACCOUNTS_MAX, DEV_MNEMONIC, dev_accounts};
pub use predeploy::{DEPLOYMENT_PROXY, MULTICALL3, predeploys};

/// Base fee floor of the development chain, wei per gas.
pub const DEV_BASE_FEE_FLOOR: u64 = 1_000_000;
/// Balance of each development account: 10,000 ether in wei.
pub const DEV_BALANCE: U256 = U256::from_limbs([1_864_712_049_423_024_128, 542, 0, 0]);
/// Block gas limit unless configured otherwise.
pub const GAS_LIMIT_DEFAULT: u64 = 300_000_000;

/// What our extension of the genesis file says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Extension {
    /// The base fee never falls below this, wei per gas.
    pub base_fee_floor: u64,
    /// Several blocks may share a `timestamp`: it need only be `>=` the parent's.
    pub sub_second: bool,
}

/// The state and the rules a chain begins with.
#[derive(Clone, Debug)]
pub struct Genesis {
    /// The file as geth knows it.
    pub inner: alloy_genesis::Genesis,
    /// `config.hifi`.
    pub extension: Extension,
}

/// Why a genesis file cannot start a chain.
#[derive(Debug, Error)]
pub enum GenesisError {
    #[error("the genesis file is not valid: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("genesis: config.chainId is 0 or missing")]
    ChainId,
    #[error("genesis: the chain must begin with Prague or Osaka rules (pragueTime 0), found neither")]
    Fork,
    #[error("genesis: gasLimit {0} is below 5000")]
    GasLimit(u64),
    #[error("genesis: number must be 0, found {0}")]
    Number(u64),
}

impl Genesis {
    /// Parses a genesis file. Unknown keys of `config` are ignored with one warning each.
    pub fn from_json(json: &str) -> Result<Self, GenesisError> {
        let inner: alloy_genesis::Genesis = serde_json::from_str(json)?;
        Self::from_inner(inner)
    }

    fn from_inner(inner: alloy_genesis::Genesis) -> Result<Self, GenesisError> {
        let mut extension = Extension::default();
        for (key, value) in inner.config.extra_fields.iter() {
            match key.as_str() {
                "hifi" => extension = serde_json::from_value(value.clone())?,
                other => tracing::warn!(key = other, "unknown key in the genesis config is ignored"),
            }
        }
        if inner.config.chain_id == 0 {
            return Err(GenesisError::ChainId);
        }
        if inner.gas_limit < 5_000 {
            return Err(GenesisError::GasLimit(inner.gas_limit));
        }
        if let Some(number) = inner.number.filter(|number| *number != 0) {
            return Err(GenesisError::Number(number));
        }
        let mut genesis = Self { inner, extension };
        let fee = genesis.inner.base_fee_per_gas.unwrap_or(1_000_000_000);
        genesis.inner.base_fee_per_gas = Some(fee.max(u128::from(extension.base_fee_floor)));
        genesis.spec_id().ok_or(GenesisError::Fork)?;
        Ok(genesis)
    }

    /// The built-in development genesis: Osaka rules, `accounts` funded accounts of the well-known mnemonic, the standard
    /// predeploys, a base fee floor of [`DEV_BASE_FEE_FLOOR`]. `accounts` is capped at [`DEV_ACCOUNTS_MAX`].
    pub fn dev(chain_id: u64, accounts: usize) -> Self {
        let extension = Extension { base_fee_floor: DEV_BASE_FEE_FLOOR, sub_second: true };
        let mut config = ChainConfig {
            chain_id,
            homestead_block: Some(0),
            eip150_block: Some(0),
            eip155_block: Some(0),
            eip158_block: Some(0),
            byzantium_block: Some(0),
            constantinople_block: Some(0),
            petersburg_block: Some(0),
            istanbul_block: Some(0),
            berlin_block: Some(0),
            london_block: Some(0),
            merge_netsplit_block: Some(0),
            terminal_total_difficulty: Some(U256::ZERO),
            terminal_total_difficulty_passed: true,
            shanghai_time: Some(0),
            cancun_time: Some(0),
            prague_time: Some(0),
            osaka_time: Some(0),
            ..Default::default()
        };
        let value = serde_json::to_value(extension).expect("two plain fields always serialise");
        config.extra_fields.insert("hifi".into(), value);
        let mut alloc: BTreeMap<Address, GenesisAccount> = predeploys().into_iter().collect();
        for (address, _) in dev_accounts(accounts) {
            alloc.insert(address, GenesisAccount::default().with_balance(DEV_BALANCE));
        }
        let inner = alloy_genesis::Genesis {
            config,
            gas_limit: GAS_LIMIT_DEFAULT,
            base_fee_per_gas: Some(u128::from(DEV_BASE_FEE_FLOOR)),
            alloc,
            ..Default::default()
        };
        Self { inner, extension }
    }

    /// Adds an account, or replaces the one at that address.
    pub fn add(&mut self, address: Address, account: GenesisAccount) {
        self.inner.alloc.insert(address, account);
    }

    /// The chain id transactions must carry.
    pub fn chain_id(&self) -> u64 {
        self.inner.config.chain_id
    }

    /// The EVM rules of the chain, fixed from its first block; `None` if the file asks for rules older than Prague.
    pub fn spec_id(&self) -> Option<SpecId> {
        if self.inner.config.osaka_time == Some(0) {
            Some(SpecId::OSAKA)
        } else if self.inner.config.prague_time == Some(0) {
            Some(SpecId::PRAGUE)
        } else {
            None
        }
    }
}

/// A contract with code and storage, nonce 1, as an entry of the genesis `alloc`.
pub fn contract(code: Bytes, storage: BTreeMap<B256, B256>) -> GenesisAccount {
    GenesisAccount::default().with_nonce(Some(1)).with_code(Some(code)).with_storage((!storage.is_empty()).then_some(storage))
}
