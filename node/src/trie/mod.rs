//! The state trie in RAM: Ethereum's Merkle Patricia trie, hashed incrementally.
//! Owned by the root thread, fed with one [`Diff`] a block. Never reads disk or flat state: a diff holds all it needs.
//!
//! [`Trie`] is one trie over 32-byte paths; [`StateTrie`] is the trie of accounts with one trie of slots each.

mod arena;
mod hash;
mod update;

pub use arena::{Leaf, Trie};

use crate::state::{AccountState, Diff, HISTORY_ADDRESS};
use alloy_primitives::{B256, U256, keccak256};
use alloy_trie::EMPTY_ROOT_HASH;
use foldhash::fast::RandomState;
use std::collections::HashMap;

/// An account as the trie holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountLeaf {
    pub state: AccountState,
    pub storage_root: B256,
}

impl Leaf for U256 {
    fn encode(&self, out: &mut Vec<u8>) {
        alloy_rlp::Encodable::encode(self, out);
    }
}

impl Leaf for AccountLeaf {
    fn encode(&self, out: &mut Vec<u8>) {
        alloy_rlp::Encodable::encode(
            &alloy_trie::TrieAccount {
                nonce: self.state.nonce,
                balance: self.state.balance,
                storage_root: self.storage_root,
                code_hash: self.state.code_hash,
            },
            out,
        );
    }
}

/// The trie of accounts and the tries of their slots.
#[derive(Debug)]
pub struct StateTrie {
    accounts: Trie<AccountLeaf>,
    /// By keccak256 of the address; only accounts with storage.
    storages: HashMap<B256, Trie<U256>, RandomState>,
    history: B256,
}

impl Default for StateTrie {
    fn default() -> Self {
        Self { accounts: Trie::default(), storages: HashMap::default(), history: keccak256(HISTORY_ADDRESS) }
    }
}

impl StateTrie {
    /// Takes over the changes of a block without hashing anything but the tries of changed slots.
    pub fn apply(&mut self, diff: &Diff) {
        for account in &diff.accounts {
            let Some(state) = account.after else {
                self.storages.remove(&account.path);
                self.accounts.remove(&account.path);
                continue;
            };
            let storage_root = self.apply_slots(account);
            self.accounts.set(&account.path, AccountLeaf { state, storage_root });
        }
    }

    fn apply_slots(&mut self, account: &crate::state::AccountDiff) -> B256 {
        if account.slots.is_empty() {
            return self.storages.get_mut(&account.path).map_or(EMPTY_ROOT_HASH, Trie::root);
        }
        let trie = self.storages.entry(account.path).or_default();
        for slot in &account.slots {
            if slot.after.is_zero() {
                trie.remove(&slot.path);
            } else {
                trie.set(&slot.path, slot.after);
            }
        }
        let root = trie.root();
        if root == EMPTY_ROOT_HASH {
            self.storages.remove(&account.path);
        }
        root
    }

    /// Writes a block hash into its slot of the EIP-2935 contract. Does nothing if the contract does not exist.
    pub fn set_history(&mut self, slot: u64, hash: B256) {
        self.set_histories([(slot, hash)]);
    }

    /// Writes many block hashes at once.
    pub fn set_histories(&mut self, hashes: impl IntoIterator<Item = (u64, B256)>) {
        let Some(mut leaf) = self.accounts.get(&self.history).copied() else {
            return;
        };
        let trie = self.storages.entry(self.history).or_default();
        for (slot, hash) in hashes {
            trie.set(&keccak256(U256::from(slot).to_be_bytes::<32>()), U256::from_be_bytes(hash.0));
        }
        leaf.storage_root = trie.root();
        self.accounts.set(&self.history, leaf);
    }

    /// The state root: hashes what changed since the last call.
    pub fn root(&mut self) -> B256 {
        self.accounts.root()
    }

    /// Number of accounts and of slots.
    pub fn len(&self) -> (usize, usize) {
        (self.accounts.len(), self.storages.values().map(Trie::len).sum())
    }

    /// Whether there are no accounts.
    pub fn is_empty(&self) -> bool {
        self.accounts.len() == 0
    }
}
