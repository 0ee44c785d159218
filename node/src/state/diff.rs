//! What a block changed: the one form in which changes reach flat state, trie and disk.

use alloy_primitives::{Address, B256, U256};
use revm::bytecode::Bytecode;

/// The part of an account that is not storage. An account that does not exist is `None` of this; empty ones do not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountState {
    pub nonce: u64,
    /// Wei.
    pub balance: U256,
    /// keccak256 of the code; [`alloy_primitives::KECCAK256_EMPTY`] without code.
    pub code_hash: B256,
}

/// Changes of one block, absolute values before and after. Sorted by address, slots by key: equal blocks give equal bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diff {
    pub accounts: Vec<AccountDiff>,
    /// New code by its hash, sorted by hash.
    pub code: Vec<(B256, Bytecode)>,
}

/// Changes of one account.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountDiff {
    pub address: Address,
    /// keccak256 of the address: its path in the trie.
    pub path: B256,
    pub before: Option<AccountState>,
    pub after: Option<AccountState>,
    pub slots: Vec<SlotDiff>,
}

/// Change of one storage slot; zero means absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotDiff {
    pub key: U256,
    /// keccak256 of the key: its path in the trie.
    pub path: B256,
    pub before: U256,
    pub after: U256,
}

impl Diff {
    /// Number of changed slots.
    pub fn slots(&self) -> usize {
        self.accounts.iter().map(|account| account.slots.len()).sum()
    }
}
