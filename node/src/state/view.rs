//! The state after one block, pinned: what `eth_call` and its like read while the executor goes on.
//! Reads the flat maps first, then asks the reverse diffs above its block: whatever the writer does between the two, the
//! earliest reverse diff above the block holds the right value.

use super::flat::State;
use super::{AccountState, HISTORY_ADDRESS, StateError};
use alloy_primitives::{Address, B256, U256};
use revm::bytecode::Bytecode;
use revm::database_interface::DatabaseRef;
use revm::state::AccountInfo;
use std::sync::Arc;

/// A consistent view of the state after one block. Cheap to clone; does not keep the block in the window: a view that
/// became too old answers [`StateError::Pruned`].
#[derive(Clone, Debug)]
pub struct StateView {
    state: Arc<State>,
    block: u64,
}

impl StateView {
    pub(super) fn new(state: Arc<State>, block: u64) -> Self {
        Self { state, block }
    }

    /// The block whose state this is.
    pub fn block(&self) -> u64 {
        self.block
    }

    /// The account, `None` if it does not exist.
    pub fn account(&self, address: &Address) -> Result<Option<AccountState>, StateError> {
        let now = self.state.account(address);
        let undo = self.state.undo().read();
        undo.account(self.block, address).map(|old| old.unwrap_or(now)).map_err(|first| self.pruned(first))
    }

    /// The storage slot, zero if absent.
    pub fn storage(&self, address: &Address, key: U256) -> Result<U256, StateError> {
        if *address == HISTORY_ADDRESS
            && let Ok(slot) = u64::try_from(key)
            && let Some(hash) = self.state.hashes().history(self.block, slot)
        {
            return Ok(U256::from_be_bytes(hash.0));
        }
        let now = self.state.slot(address, key);
        let undo = self.state.undo().read();
        undo.slot(self.block, address, key).map(|old| old.unwrap_or(now)).map_err(|first| self.pruned(first))
    }

    /// The account's code, empty without.
    pub fn code(&self, address: &Address) -> Result<Bytecode, StateError> {
        match self.account(address)? {
            Some(account) => self.code_by_hash_ref(account.code_hash),
            None => Ok(Bytecode::default()),
        }
    }

    /// Every account and every slot of this view, sorted: `(address, account, slots)`. For snapshots; slots of EIP-2935
    /// that the chain wrote are not among them.
    pub(crate) fn walk(&self) -> Result<Vec<WalkedAccount>, StateError> {
        let owners: std::collections::HashMap<u32, Address> =
            self.state.addresses().into_iter().filter(|(_, id)| *id != 0).map(|(address, id)| (id, address)).collect();
        let mut keys: Vec<(Address, U256)> =
            self.state.slot_keys().into_iter().filter_map(|(id, key)| Some((*owners.get(&id)?, key))).collect();
        let mut addresses: Vec<Address> = self.state.addresses().into_iter().map(|(address, _)| address).collect();
        let (accounts, slots) = self.state.undo().read().changed_after(self.block).map_err(|first| self.pruned(first))?;
        addresses.extend(accounts);
        keys.extend(slots);
        addresses.sort_unstable();
        addresses.dedup();
        keys.sort_unstable();
        keys.dedup();
        let mut keys = keys.into_iter().peekable();
        let mut all = Vec::with_capacity(addresses.len());
        for address in addresses {
            let account = self.account(&address)?;
            let mut slots = Vec::new();
            while let Some((_, key)) = keys.next_if(|(owner, _)| *owner == address) {
                let value = self.flat_slot(&address, key)?;
                if !value.is_zero() {
                    slots.push((key, value));
                }
            }
            if let Some(account) = account {
                all.push(WalkedAccount { address, account, slots });
            }
        }
        Ok(all)
    }

    fn flat_slot(&self, address: &Address, key: U256) -> Result<U256, StateError> {
        let now = self.state.slot(address, key);
        let undo = self.state.undo().read();
        undo.slot(self.block, address, key).map(|old| old.unwrap_or(now)).map_err(|first| self.pruned(first))
    }

    fn pruned(&self, first: u64) -> StateError {
        StateError::Pruned { block: self.block, first }
    }
}

/// An account as a snapshot holds it.
#[derive(Clone, Debug)]
pub(crate) struct WalkedAccount {
    pub address: Address,
    pub account: AccountState,
    pub slots: Vec<(U256, U256)>,
}

impl DatabaseRef for StateView {
    type Error = StateError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        Ok(self.account(&address)?.map(|account| AccountInfo {
            balance: account.balance,
            nonce: account.nonce,
            code_hash: account.code_hash,
            account_id: None,
            code: None,
        }))
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, StateError> {
        self.state.code(&hash).ok_or(StateError::MissingCode(hash))
    }

    fn storage_ref(&self, address: Address, key: U256) -> Result<U256, StateError> {
        self.storage(&address, key)
    }

    /// BLOCKHASH as a call on top of this block sees it.
    fn block_hash_ref(&self, number: u64) -> Result<B256, StateError> {
        Ok(self.state.hashes().block_hash(self.block + 1, number))
    }
}
