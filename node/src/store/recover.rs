//! Opens a data directory: lock, chain, newest good snapshot, log, root. What it returns is the state of the last durable
//! block, or an error with the block it is about; it repairs nothing but a torn end.

use super::disk::{crash_point, sync_dir};
use super::record::{self, Record};
use super::segment::{ChainMark, Fsync, LogFiles, Scan, Wal};
use super::snapshot::{self, Snapshot};
use crate::error::{StoreError, io};
use crate::publish::{Block, BlockLog, Index};
use crate::state::{AccountDiff, Diff, HISTORY_SLOTS, Hashes, SlotDiff, State, genesis_header};
use crate::trie::StateTrie;
use alloy_genesis::Genesis;
use alloy_primitives::{Address, B256, U256, keccak256};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Version of the directory's format.
const FORMAT: u32 = 1;

/// What to open.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    pub data_dir: PathBuf,
    /// The chain: a new directory is made for it, an existing one must belong to it.
    pub genesis: Genesis,
    pub fsync: Fsync,
}

/// An opened data directory: everything [`crate::commit::Pipeline::start`] needs.
#[derive(Debug)]
pub struct Recovered {
    pub state: Arc<State>,
    pub trie: StateTrie,
    /// Newest durable block; genesis in a new directory.
    pub head: Arc<Block>,
    pub log: BlockLog,
    pub wal: Wal,
    pub chain: ChainMark,
    pub data_dir: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    format: u32,
    chain_id: u64,
    genesis_hash: B256,
}

/// The chain of a genesis file: its allocation, its trie, its block 0.
pub(super) struct Origin {
    pub diff: Diff,
    pub trie: StateTrie,
    pub block: Arc<Block>,
    pub chain: ChainMark,
}

impl Origin {
    pub fn new(genesis: &Genesis) -> Result<Self, StoreError> {
        let diff = Diff::genesis(genesis)?;
        let mut trie = StateTrie::default();
        trie.apply(&diff);
        let header = genesis_header(genesis, trie.root());
        let hash = header.hash_slow();
        let time_ms = header.timestamp.saturating_mul(1_000);
        let block = Block { header, hash, time_ms, txs: Vec::new(), receipts: Vec::new(), trace: None, encoded_bytes: 0 };
        let chain = ChainMark { chain_id: genesis.config.chain_id, genesis: hash };
        Ok(Self { diff, trie, block: Arc::new(block), chain })
    }

    /// The state after block 0.
    pub fn state(&self) -> Arc<State> {
        let state = State::new(0, Arc::new(Hashes::new(0, [self.block.hash])));
        state.load(&self.diff);
        Arc::new(state)
    }
}

/// Opens or makes the data directory and recovers its newest durable block.
pub fn open(config: StoreConfig) -> Result<Recovered, StoreError> {
    let StoreConfig { data_dir, genesis, fsync } = config;
    for dir in [data_dir.clone(), data_dir.join("wal"), data_dir.join("snap")] {
        std::fs::create_dir_all(&dir).map_err(io("create", &dir))?;
    }
    let lock = lock(&data_dir)?;
    let origin = Origin::new(&genesis)?;
    meta(&data_dir, &genesis, origin.chain)?;
    let files = Arc::new(LogFiles::new());
    let mut recovery = Recovery::begin(&data_dir, origin)?;
    let wal_dir = data_dir.join("wal");
    let (chain, genesis_block) = (recovery.origin.chain, Arc::clone(&recovery.origin.block));
    let end = {
        let visit = |record: &Record<'_>| recovery.take(record);
        Scan { mark: chain, files: &files, visit, repair: true }.run(&wal_dir, genesis_block.hash)?
    };
    let (state, trie, index) = recovery.finish(&files)?;
    let head = match files.last() {
        last if last >= files.first() => Arc::new(files.block(last)?.expect("the last block is in the log")),
        _ => Arc::clone(&genesis_block),
    };
    let wal = Wal::new(wal_dir, chain, fsync, Arc::clone(&files), end, lock)?;
    let log = BlockLog::new(genesis_block, files, index, Arc::clone(&head));
    tracing::info!(block = head.header.number, hash = %head.hash, "recovered");
    Ok(Recovered { state, trie, head, log, wal, chain, data_dir })
}

/// The right to use a data directory; held by the writer of the log.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Said aloud, because a child process that is just being started may share the file for a moment.
        let _ = rustix::fs::flock(&self.0, rustix::fs::FlockOperation::Unlock);
    }
}

/// Takes the directory, or tells that another process has it.
pub(super) fn lock(data_dir: &Path) -> Result<Lock, StoreError> {
    let path = data_dir.join("LOCK");
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(io("open", &path))?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreError::Locked { path: data_dir.to_owned() }),
        Err(error) => Err(io("lock", &path)(error.into())),
    }
}

/// Checks that the directory belongs to this chain; a new one is marked for it.
fn meta(data_dir: &Path, genesis: &Genesis, chain: ChainMark) -> Result<(), StoreError> {
    let path = data_dir.join("meta.json");
    if !path.exists() {
        let meta = Meta { format: FORMAT, chain_id: chain.chain_id, genesis_hash: chain.genesis };
        put_json(&data_dir.join("genesis.json"), genesis)?;
        put_json(&path, &meta)?;
        return sync_dir(data_dir);
    }
    let meta: Meta = get_json(&path)?;
    let other = |what, expected: String, found: String| StoreError::OtherChain { path: data_dir.to_owned(), what, expected, found };
    if meta.format != FORMAT {
        return Err(other("format", FORMAT.to_string(), meta.format.to_string()));
    }
    if meta.chain_id != chain.chain_id {
        return Err(other("chain id", chain.chain_id.to_string(), meta.chain_id.to_string()));
    }
    if meta.genesis_hash != chain.genesis {
        return Err(other("genesis", chain.genesis.to_string(), meta.genesis_hash.to_string()));
    }
    Ok(())
}

fn put_json<T: Serialize>(path: &Path, value: &T) -> Result<(), StoreError> {
    let tmp = path.with_extension("tmp");
    let text = serde_json::to_vec_pretty(value).expect("our own types have a JSON form");
    let write = || -> std::io::Result<()> {
        std::fs::write(&tmp, text)?;
        File::open(&tmp)?.sync_all()?;
        std::fs::rename(&tmp, path)
    };
    write().map_err(io("write", path))
}

fn get_json<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T, StoreError> {
    let text = std::fs::read(path).map_err(io("read", path))?;
    serde_json::from_slice(&text).map_err(|error| StoreError::Meta { path: path.to_owned(), why: error.to_string() })
}

/// The genesis file kept in a data directory, as `verify` needs it.
pub(super) fn stored_genesis(data_dir: &Path) -> Result<Genesis, StoreError> {
    let genesis: Genesis = get_json(&data_dir.join("genesis.json"))?;
    Ok(genesis)
}

/// The state while the log is read.
struct Recovery {
    origin: Origin,
    state: Arc<State>,
    trie: StateTrie,
    index: Index,
    /// Block of the snapshot the state began with; 0 for genesis.
    base: u64,
    base_hash: B256,
    /// What changed since, for one update of the trie at the end.
    changed: BTreeMap<Address, BTreeSet<U256>>,
    /// Root which the newest header names.
    expected_root: B256,
}

impl Recovery {
    fn begin(data_dir: &Path, mut origin: Origin) -> Result<Self, StoreError> {
        let dir = data_dir.join("snap");
        for path in snapshot::snapshot_paths(&dir)?.into_iter().rev() {
            match snapshot::read_snapshot(&path, origin.chain) {
                Ok(snapshot) => return Self::from_snapshot(origin, snapshot),
                Err(why) => tracing::warn!(path = %path.display(), why, "a damaged snapshot is passed over"),
            }
        }
        let state = origin.state();
        let trie = std::mem::take(&mut origin.trie);
        Ok(Self {
            state,
            trie,
            index: Index::default(),
            base: 0,
            base_hash: origin.block.hash,
            changed: BTreeMap::new(),
            expected_root: origin.block.header.state_root,
            origin,
        })
    }

    fn from_snapshot(origin: Origin, snapshot: Snapshot) -> Result<Self, StoreError> {
        let block = snapshot.block;
        let state = State::new(block, Arc::new(Hashes::new(snapshot.hashes_first, snapshot.hashes)));
        let unreadable = |why: String| StoreError::Unreadable { block, why: format!("its snapshot: {why}") };
        let diff = record::decode_diff(&snapshot.state, &state).map_err(|damage| unreadable(damage.to_string()))?;
        state.load(&diff);
        let mut trie = StateTrie::default();
        trie.apply(&diff);
        trie.set_histories(history(&state, block, 0));
        let found = trie.root();
        if found != snapshot.state_root {
            return Err(StoreError::Root { block, expected: snapshot.state_root, found });
        }
        Ok(Self {
            origin,
            state: Arc::new(state),
            trie,
            index: Index::default(),
            base: block,
            base_hash: snapshot.hash,
            changed: BTreeMap::new(),
            expected_root: snapshot.state_root,
        })
    }

    /// One record of the log: indexed, and applied if the state does not have it yet.
    fn take(&mut self, record: &Record<'_>) -> Result<(), StoreError> {
        let number = record.head.number;
        let unreadable = |why: String| StoreError::Unreadable { block: number, why };
        let header = record::decode_header(record.block).map_err(|damage| unreadable(damage.to_string()))?;
        let raws = record::raw_txs(record.block).map_err(|damage| unreadable(damage.to_string()))?;
        self.index.add_parts(number, record.head.hash, header.logs_bloom, raws.into_iter().map(keccak256));
        if number < self.base {
            return Ok(());
        }
        if number == self.base {
            return if record.head.hash == self.base_hash { Ok(()) } else { Err(unreadable("the snapshot is of another block".into())) };
        }
        if number != self.state.head() + 1 {
            return Err(unreadable(format!("the log begins here, the state ends with block {}", self.state.head())));
        }
        let diff = record::decode_diff(record.diff, &self.state).map_err(|damage| unreadable(damage.to_string()))?;
        self.state.hashes().open(number).set(record.head.hash);
        self.state.apply(number, &diff);
        for account in &diff.accounts {
            self.changed.entry(account.address).or_default().extend(account.slots.iter().map(|slot| slot.key));
        }
        self.expected_root = header.state_root;
        crash_point("recovering");
        Ok(())
    }

    /// Brings the trie to the newest block and compares the root.
    fn finish(mut self, files: &LogFiles) -> Result<(Arc<State>, StateTrie, Index), StoreError> {
        let block = self.state.head();
        if block != files.last() && !(block == 0 && files.last() < files.first()) {
            return Err(StoreError::Unreadable { block, why: format!("the log ends with block {}, the snapshot is newer", files.last()) });
        }
        let mut diff = Diff::default();
        for (address, keys) in std::mem::take(&mut self.changed) {
            let slots = keys.into_iter().map(|key| SlotDiff {
                key,
                path: keccak256(key.to_be_bytes::<32>()),
                before: U256::ZERO,
                after: self.state.slot(&address, key),
            });
            let (after, path, _) = self.state.before(&address);
            let path = path.unwrap_or_else(|| keccak256(address));
            diff.accounts.push(AccountDiff { address, path, before: None, after, slots: slots.collect() });
        }
        self.trie.apply(&diff);
        self.trie.set_histories(history(&self.state, block, self.base));
        let found = self.trie.root();
        if found != self.expected_root {
            return Err(StoreError::Root { block, expected: self.expected_root, found });
        }
        Ok((self.state, self.trie, self.index))
    }
}

/// The slots of EIP-2935 after `block` which blocks after `since` wrote: `(slot, hash)`.
fn history(state: &State, block: u64, since: u64) -> impl Iterator<Item = (u64, B256)> {
    let first = since.max(block.saturating_sub(HISTORY_SLOTS));
    (first..block).filter_map(|number| {
        let cell = state.hashes().cell(number)?;
        Some((number % HISTORY_SLOTS, cell.wait()))
    })
}
