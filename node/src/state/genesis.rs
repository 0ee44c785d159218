//! The state and the header of block 0, from a genesis file in geth's format.
//! Called once when a data directory is created, and by recovery and `verify`.

use super::{AccountDiff, AccountState, Diff, HISTORY_ADDRESS, SlotDiff, StateError};
use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};
use alloy_eips::eip2935::HISTORY_STORAGE_CODE;
use alloy_genesis::Genesis;
use alloy_primitives::{B64, B256, KECCAK256_EMPTY, U256, keccak256};
use alloy_trie::EMPTY_ROOT_HASH;
use revm::bytecode::Bytecode;

/// Base fee of block 0 where the file names none, wei per gas (as geth).
const INITIAL_BASE_FEE: u64 = 1_000_000_000;

/// sha256 of nothing: the `requestsHash` of a block without requests.
pub(crate) const EMPTY_REQUESTS_HASH: B256 = alloy_eips::eip7685::EMPTY_REQUESTS_HASH;

impl Diff {
    /// The allocation of a genesis file as the changes of block 0.
    ///
    /// # Errors
    /// If the EIP-2935 contract is missing or foreign (its storage is kept by the node itself), or storage has no account.
    pub fn genesis(genesis: &Genesis) -> Result<Self, StateError> {
        let mut diff = Self::default();
        for (address, account) in &genesis.alloc {
            let code = account.code.as_ref().filter(|code| !code.is_empty());
            let code_hash = code.map_or(KECCAK256_EMPTY, keccak256);
            if let Some(code) = code {
                let bytecode = Bytecode::new_raw_checked(code.clone())
                    .map_err(|error| StateError::Genesis(format!("the code of {address} is malformed: {error}")))?;
                diff.code.push((code_hash, bytecode));
            }
            let slots = account.storage.iter().flatten().map(|(key, value)| SlotDiff {
                key: U256::from_be_bytes(key.0),
                path: keccak256(key),
                before: U256::ZERO,
                after: U256::from_be_bytes(value.0),
            });
            let slots: Vec<_> = slots.filter(|slot| !slot.after.is_zero()).collect();
            let state = AccountState { nonce: account.nonce.unwrap_or(0), balance: account.balance, code_hash };
            let empty = state.nonce == 0 && state.balance.is_zero() && code.is_none();
            if empty && slots.is_empty() {
                continue;
            }
            if empty {
                return Err(StateError::Genesis(format!("{address} has storage but no code, nonce or balance")));
            }
            let path = keccak256(address);
            diff.accounts.push(AccountDiff { address: *address, path, before: None, after: Some(state), slots });
        }
        diff.code.sort_unstable_by_key(|(hash, _)| *hash);
        diff.code.dedup_by_key(|(hash, _)| *hash);
        match genesis.alloc.get(&HISTORY_ADDRESS) {
            Some(history) if history.code.as_ref() == Some(&HISTORY_STORAGE_CODE) && history.storage.is_none() => Ok(diff),
            Some(_) => Err(StateError::Genesis(format!("{HISTORY_ADDRESS} must have the code of EIP-2935 and no storage"))),
            None => Err(StateError::Genesis(format!("the EIP-2935 contract {HISTORY_ADDRESS} is missing in alloc"))),
        }
    }
}

/// The header of block 0 under the rules of Prague and later.
pub fn genesis_header(genesis: &Genesis, state_root: B256) -> Header {
    Header {
        parent_hash: genesis.parent_hash.unwrap_or_default(),
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: genesis.coinbase,
        state_root,
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        difficulty: genesis.difficulty,
        number: 0,
        gas_limit: genesis.gas_limit,
        timestamp: genesis.timestamp,
        extra_data: genesis.extra_data.clone(),
        mix_hash: genesis.mix_hash,
        nonce: B64::from(genesis.nonce),
        base_fee_per_gas: Some(genesis.base_fee_per_gas.map_or(INITIAL_BASE_FEE, |fee| fee.min(u128::from(u64::MAX)) as u64)),
        withdrawals_root: Some(EMPTY_ROOT_HASH),
        blob_gas_used: Some(genesis.blob_gas_used.unwrap_or(0)),
        excess_blob_gas: Some(genesis.excess_blob_gas.unwrap_or(0)),
        parent_beacon_block_root: Some(B256::ZERO),
        requests_hash: Some(EMPTY_REQUESTS_HASH),
        ..Header::default()
    }
}
