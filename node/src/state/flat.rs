//! The flat maps, sharded so that readers and the one writer rarely meet.
//! The executor reads through [`Live`], which adds block hashes; the writer is [`State::apply`].

use super::undo::{Reverse, Undo};
use super::{AccountState, Diff, HISTORY_ADDRESS, Hashes, StateError, StateView};
use crate::sync::RwLock;
use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};
use foldhash::fast::RandomState;
use revm::bytecode::Bytecode;
use revm::state::{AccountId, AccountInfo};
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

const ACCOUNT_SHARDS: usize = 64;
const SLOT_SHARDS: usize = 256;

/// Storage id of accounts without storage.
const NO_STORAGE: u32 = 0;

/// An account in RAM.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    pub state: AccountState,
    /// keccak256 of the address.
    pub path: B256,
    /// Key of its slots in the slot maps; stays when the account is destroyed, so that old views find the slots.
    pub storage: u32,
    /// Whether the account exists; a destroyed one keeps its storage id.
    pub exists: bool,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    value: U256,
    /// keccak256 of the key.
    path: B256,
}

type Map<K, V> = HashMap<K, V, RandomState>;

/// All accounts, slots and code. Shared; one writer.
#[derive(Debug)]
pub struct State {
    accounts: Vec<RwLock<Map<Address, Account>>>,
    slots: Vec<RwLock<Map<(u32, U256), Slot>>>,
    code: RwLock<Map<B256, Bytecode>>,
    /// Chooses shards; seeded at random, as the maps are: keys are chosen by strangers.
    shard: RandomState,
    next_storage: AtomicU32,
    /// Newest applied block.
    head: AtomicU64,
    undo: RwLock<Undo>,
    hashes: Arc<Hashes>,
}

impl State {
    /// An empty state whose newest block is `head`.
    pub fn new(head: u64, hashes: Arc<Hashes>) -> Self {
        let shard = RandomState::default();
        Self {
            accounts: (0..ACCOUNT_SHARDS).map(|_| RwLock::new(Map::default())).collect(),
            slots: (0..SLOT_SHARDS).map(|_| RwLock::new(Map::default())).collect(),
            code: RwLock::new(Map::default()),
            shard,
            next_storage: AtomicU32::new(NO_STORAGE + 1),
            head: AtomicU64::new(head),
            undo: RwLock::new(Undo::new(head)),
            hashes,
        }
    }

    /// Newest applied block; may be a few ahead of the newest published one.
    pub fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    /// The block hashes beside this state.
    pub fn hashes(&self) -> &Arc<Hashes> {
        &self.hashes
    }

    /// First block whose state can still be viewed.
    pub fn first(&self) -> u64 {
        self.undo.read().first()
    }

    /// A consistent view of the state after `block`, however far the executor goes on, until the block leaves the window.
    pub fn view(self: &Arc<Self>, block: u64) -> Result<StateView, StateError> {
        let head = self.head();
        if block > head {
            return Err(StateError::Future { block, head });
        }
        let first = self.first();
        if block < first {
            return Err(StateError::Pruned { block, first });
        }
        Ok(StateView::new(Arc::clone(self), block))
    }

    /// Applies the changes of block `number`. The reverse diff is published before the maps change, so a reader that sees a
    /// new value always finds the old one.
    ///
    /// # Panics
    /// If `number` is not the next block.
    pub fn apply(&self, number: u64, diff: &Diff) {
        assert_eq!(number, self.head() + 1, "diffs are applied in block order");
        let reverse = self.reverse(diff);
        self.undo.write().push(number, reverse);
        self.write(diff);
        self.head.store(number, Ordering::Release);
    }

    /// Applies changes without keeping the old values: genesis, snapshots, and recovery beyond the window.
    pub(crate) fn load(&self, diff: &Diff) {
        self.write(diff);
    }

    fn reverse(&self, diff: &Diff) -> Reverse {
        let mut reverse = Reverse::default();
        for account in &diff.accounts {
            reverse.accounts.insert(account.address, account.before);
            for slot in &account.slots {
                reverse.slots.insert((account.address, slot.key), slot.before);
            }
        }
        reverse
    }

    fn write(&self, diff: &Diff) {
        if !diff.code.is_empty() {
            let mut code = self.code.write();
            for (hash, bytecode) in &diff.code {
                code.entry(*hash).or_insert_with(|| bytecode.clone());
            }
        }
        for account in &diff.accounts {
            let storage = self.write_account(account);
            for slot in &account.slots {
                let key = (storage, slot.key);
                let mut shard = self.slot_shard(key).write();
                if slot.after.is_zero() {
                    shard.remove(&key);
                } else {
                    shard.insert(key, Slot { value: slot.after, path: slot.path });
                }
            }
        }
    }

    fn write_account(&self, diff: &super::AccountDiff) -> u32 {
        let mut shard = self.account_shard(&diff.address).write();
        let entry = shard.entry(diff.address).or_insert_with(|| Account {
            state: AccountState { nonce: 0, balance: U256::ZERO, code_hash: KECCAK256_EMPTY },
            path: diff.path,
            storage: NO_STORAGE,
            exists: false,
        });
        if let Some(state) = diff.after {
            entry.state = state;
        }
        entry.exists = diff.after.is_some();
        if entry.storage == NO_STORAGE && !diff.slots.is_empty() {
            entry.storage = self.next_storage.fetch_add(1, Ordering::Relaxed);
        }
        let storage = entry.storage;
        if !entry.exists && storage == NO_STORAGE {
            shard.remove(&diff.address);
        }
        storage
    }

    fn account_shard(&self, address: &Address) -> &RwLock<Map<Address, Account>> {
        &self.accounts[self.shard.hash_one(address) as usize % ACCOUNT_SHARDS]
    }

    fn slot_shard(&self, key: (u32, U256)) -> &RwLock<Map<(u32, U256), Slot>> {
        &self.slots[self.shard.hash_one(key) as usize % SLOT_SHARDS]
    }

    /// The account as it is now.
    pub fn account(&self, address: &Address) -> Option<AccountState> {
        self.entry(address).filter(|account| account.exists).map(|account| account.state)
    }

    /// The slot as it is now; zero if absent.
    pub fn slot(&self, address: &Address, key: U256) -> U256 {
        self.entry(address).map_or(U256::ZERO, |account| self.slot_of(account.storage, key).0)
    }

    /// Code by hash.
    pub fn code(&self, hash: &B256) -> Option<Bytecode> {
        if *hash == KECCAK256_EMPTY || hash.is_zero() {
            return Some(Bytecode::default());
        }
        self.code.read().get(hash).cloned()
    }

    /// An account before a change: its state, cached path and storage id.
    pub(crate) fn before(&self, address: &Address) -> (Option<AccountState>, Option<B256>, u32) {
        match self.entry(address) {
            Some(account) => (account.exists.then_some(account.state), Some(account.path), account.storage),
            None => (None, None, NO_STORAGE),
        }
    }

    /// A slot before a change: its value and cached path.
    pub(crate) fn slot_before(&self, storage: u32, key: U256) -> (U256, Option<B256>) {
        self.slot_of(storage, key)
    }

    pub(super) fn entry(&self, address: &Address) -> Option<Account> {
        self.account_shard(address).read().get(address).copied()
    }

    /// Value and cached path of a slot.
    pub(super) fn slot_of(&self, storage: u32, key: U256) -> (U256, Option<B256>) {
        if storage == NO_STORAGE {
            return (U256::ZERO, None);
        }
        let key = (storage, key);
        self.slot_shard(key).read().get(&key).map_or((U256::ZERO, None), |slot| (slot.value, Some(slot.path)))
    }

    pub(super) fn undo(&self) -> &RwLock<Undo> {
        &self.undo
    }

    /// Every existing account with its storage id, in no order. For snapshots: holds one shard lock at a time.
    pub(crate) fn addresses(&self) -> Vec<(Address, u32)> {
        let mut all = Vec::new();
        for shard in &self.accounts {
            all.extend(shard.read().iter().map(|(address, account)| (*address, account.storage)));
        }
        all
    }

    /// Every slot key in use now with its storage id, in no order.
    pub(crate) fn slot_keys(&self) -> Vec<(u32, U256)> {
        let mut all = Vec::new();
        for shard in &self.slots {
            all.extend(shard.read().keys().copied());
        }
        all
    }

    /// All code by hash, sorted.
    pub(crate) fn all_code(&self) -> Vec<(B256, Bytecode)> {
        let mut all: Vec<_> = self.code.read().iter().map(|(hash, code)| (*hash, code.clone())).collect();
        all.sort_unstable_by_key(|(hash, _)| *hash);
        all
    }
}

/// The newest state as the executor of block `current` reads it. Clones no map and takes one shard lock a read.
#[derive(Clone, Debug)]
pub struct Live {
    state: Arc<State>,
    /// The block being executed.
    pub current: u64,
}

impl Live {
    pub(crate) fn new(state: Arc<State>) -> Self {
        let current = state.head() + 1;
        Self { state, current }
    }

    /// The state below.
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    fn history(&self, key: U256) -> Option<U256> {
        let slot = u64::try_from(key).ok()?;
        self.state.hashes.history(self.current, slot).map(|hash| U256::from_be_bytes(hash.0))
    }
}

impl revm::Database for Live {
    type Error = StateError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        Ok(self.state.entry(&address).filter(|account| account.exists).map(|account| AccountInfo {
            balance: account.state.balance,
            nonce: account.state.nonce,
            code_hash: account.state.code_hash,
            account_id: AccountId::new(account.storage as usize),
            code: None,
        }))
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, StateError> {
        self.state.code(&hash).ok_or(StateError::MissingCode(hash))
    }

    fn storage(&mut self, address: Address, key: U256) -> Result<U256, StateError> {
        if address == HISTORY_ADDRESS
            && let Some(value) = self.history(key)
        {
            return Ok(value);
        }
        Ok(self.state.slot(&address, key))
    }

    fn storage_by_account_id(&mut self, address: Address, id: AccountId, key: U256) -> Result<U256, StateError> {
        if address == HISTORY_ADDRESS {
            return self.storage(address, key);
        }
        let storage = u32::try_from(id.get()).unwrap_or(NO_STORAGE);
        Ok(self.state.slot_of(storage, key).0)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, StateError> {
        Ok(self.state.hashes.block_hash(self.current, number))
    }
}
