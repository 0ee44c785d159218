//! Published blocks: durable, visible to every reader. Filled by the commit thread alone.
//! A reader owns its cursor; there is no queue per reader, so nothing is lost and nobody upstream waits.

mod block;
mod frame;
mod index;
mod ring;
pub mod stream;

pub use block::{Block, Cursor, TxLocation};
pub(crate) use index::Index;

use crate::error::StoreError;
use crate::store::LogFiles;
use crate::store::disk::crash_point;
use crate::sync::{Mutex, RwLock};
use alloy_primitives::{B256, Bloom};
use ring::Ring;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Most holds at a time.
pub const HOLDS_MAX: usize = 16;
/// A hold expires this long after its last sign of life.
pub const HOLD_LIFE: Duration = Duration::from_secs(24 * 3_600);

/// Why the log cannot answer a reader.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("block {block} with hash {hash} is not of this chain")]
    Unknown { block: u64, hash: B256 },
    #[error("the log begins at block {first}")]
    Pruned { first: u64 },
    #[error("{HOLDS_MAX} readers hold the log already")]
    TooManyHolds,
    #[error("the node is shutting down")]
    Closed,
    #[error(transparent)]
    Store(#[from] Arc<StoreError>),
}

impl From<StoreError> for LogError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

/// What comes after a cursor.
#[derive(Clone, Debug)]
pub enum Next {
    Block(Arc<Block>),
    /// The reader is this many blocks behind the ring's first block or more: go on with [`BlockLog::read`].
    Lagged(u64),
}

/// The log of published blocks, from the ring in RAM or from disk. Cheap to clone.
#[derive(Clone, Debug)]
pub struct BlockLog {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    genesis: Arc<Block>,
    files: Arc<LogFiles>,
    ring: RwLock<Ring>,
    index: RwLock<Index>,
    head: watch::Sender<Cursor>,
    holds: Mutex<Holds>,
}

#[derive(Debug, Default)]
struct Holds {
    next_id: u64,
    /// Name, block, last sign of life.
    held: HashMap<u64, (String, u64, Instant)>,
}

impl BlockLog {
    /// A log whose newest block is `head`, which is genesis or the last block of `files`.
    pub(crate) fn new(genesis: Arc<Block>, files: Arc<LogFiles>, index: Index, head: Arc<Block>) -> Self {
        let (sender, _) = watch::channel(head.cursor());
        let mut ring = Ring::default();
        ring.push(head);
        let shared = Shared { genesis, files, ring: RwLock::new(ring), index: RwLock::new(index), head: sender, holds: Mutex::default() };
        Self { shared: Arc::new(shared) }
    }

    /// Makes a durable block visible: index first, then ring, then head, so that whoever sees the head finds the rest.
    pub(crate) fn publish(&self, block: Arc<Block>) {
        assert_eq!(block.header.number, self.head().block + 1, "blocks are published in order");
        self.shared.index.write().add(&block);
        let cursor = block.cursor();
        self.shared.ring.write().push(block);
        self.shared.head.send_replace(cursor);
        crash_point("published");
    }

    /// The newest published block.
    pub fn head(&self) -> Cursor {
        *self.shared.head.borrow()
    }

    /// The newest published block itself.
    pub fn head_block(&self) -> Arc<Block> {
        self.shared.ring.read().last()
    }

    /// Block 0.
    pub fn genesis(&self) -> &Arc<Block> {
        &self.shared.genesis
    }

    /// First block after genesis that can be read.
    pub fn first(&self) -> u64 {
        self.shared.files.first()
    }

    /// Follows the head: changes with every published block.
    pub fn watch(&self) -> watch::Receiver<Cursor> {
        self.shared.head.subscribe()
    }

    /// Blocks after a cursor, at most about `max_bytes` of records but at least one block; empty at the head.
    pub fn read(&self, after: Cursor, max_bytes: usize) -> Result<Vec<Arc<Block>>, LogError> {
        self.check(after)?;
        let head = self.head().block;
        let (mut blocks, mut bytes) = (Vec::new(), 0);
        for number in after.block + 1..=head {
            let block = self.block_by_number(number)?.ok_or_else(|| LogError::Pruned { first: self.first() })?;
            bytes += block.encoded_bytes;
            if !blocks.is_empty() && bytes > max_bytes {
                break;
            }
            blocks.push(block);
        }
        Ok(blocks)
    }

    /// The block after a cursor; waits at the head.
    pub async fn next(&self, after: Cursor) -> Result<Next, LogError> {
        self.check(after)?;
        let mut head = self.watch();
        head.wait_for(|head| head.block > after.block).await.map_err(|_| LogError::Closed)?;
        let ring = self.shared.ring.read();
        Ok(match ring.get(after.block + 1) {
            Some(block) => Next::Block(block),
            None => Next::Lagged(ring.first() - after.block - 1),
        })
    }

    fn check(&self, after: Cursor) -> Result<(), LogError> {
        let unknown = LogError::Unknown { block: after.block, hash: after.hash };
        if after.block > self.head().block {
            return Err(unknown);
        }
        if after.block + 1 < self.first() {
            return Err(LogError::Pruned { first: self.first() });
        }
        match self.hash(after.block) {
            Some(hash) if hash != after.hash => Err(unknown),
            // The parent of the first block kept: its hash is no longer known, its number is right.
            _ => Ok(()),
        }
    }

    /// Hash of a published block.
    pub fn hash(&self, number: u64) -> Option<B256> {
        if number == 0 {
            return Some(self.shared.genesis.hash);
        }
        if number > self.head().block {
            return None;
        }
        self.shared.files.hash(number)
    }

    /// A published block, from the ring or from disk.
    pub fn block_by_number(&self, number: u64) -> Result<Option<Arc<Block>>, LogError> {
        if number == 0 {
            return Ok(Some(Arc::clone(&self.shared.genesis)));
        }
        if number > self.head().block {
            return Ok(None);
        }
        if let Some(block) = self.shared.ring.read().get(number) {
            return Ok(Some(block));
        }
        Ok(self.shared.files.block(number)?.map(Arc::new))
    }

    /// Number of the block with this hash.
    pub fn number_of(&self, hash: &B256) -> Option<u64> {
        if *hash == self.shared.genesis.hash {
            return Some(0);
        }
        let number = self.shared.index.read().block(hash)?;
        (self.hash(number) == Some(*hash)).then_some(number)
    }

    /// A published block by its hash.
    pub fn block_by_hash(&self, hash: &B256) -> Result<Option<Arc<Block>>, LogError> {
        match self.number_of(hash) {
            Some(number) => self.block_by_number(number),
            None => Ok(None),
        }
    }

    /// Where a transaction was included, if it was: its block and its index there.
    pub fn tx(&self, hash: &B256) -> Result<Option<(Arc<Block>, usize)>, LogError> {
        let Some(place) = self.shared.index.read().tx(hash) else {
            return Ok(None);
        };
        let Some(block) = self.block_by_number(place.block)? else {
            return Ok(None);
        };
        let index = place.index as usize;
        let found = block.txs.get(index).is_some_and(|tx| tx.hash == *hash);
        Ok(found.then_some((block, index)))
    }

    /// Whether a transaction is among published blocks; by a prefix of its hash, without reading the block if it is old.
    pub fn contains_tx(&self, hash: &B256) -> bool {
        self.shared.index.read().tx(hash).is_some()
    }

    /// Numbers of the blocks in `from..=to` whose bloom filter passes `test`: the candidates of a log query.
    pub fn candidates(&self, from: u64, to: u64, test: impl Fn(&Bloom) -> bool) -> Vec<u64> {
        let to = to.min(self.head().block);
        let index = self.shared.index.read();
        (from.max(1)..=to).filter(|number| index.bloom(*number).is_none_or(&test)).collect()
    }

    /// Keeps history from `at` on for a named reader.
    pub fn hold(&self, name: &str, at: Cursor) -> Result<Hold, LogError> {
        self.check(at)?;
        let mut holds = self.shared.holds.lock();
        holds.expire();
        if holds.held.len() >= HOLDS_MAX {
            return Err(LogError::TooManyHolds);
        }
        let id = holds.next_id;
        holds.next_id += 1;
        holds.held.insert(id, (name.to_owned(), at.block, Instant::now()));
        Ok(Hold { id, shared: Arc::clone(&self.shared) })
    }

    /// The lowest block a live hold still needs, if any.
    pub fn held(&self) -> Option<u64> {
        let mut holds = self.shared.holds.lock();
        holds.expire();
        holds.held.values().map(|(_, block, _)| *block).min()
    }

    /// Bytes of the log on disk.
    pub fn bytes(&self) -> u64 {
        self.shared.files.bytes()
    }

    pub(crate) fn files(&self) -> &Arc<LogFiles> {
        &self.shared.files
    }
}

impl Holds {
    fn expire(&mut self) {
        self.held.retain(|_, (name, block, seen)| {
            let live = seen.elapsed() < HOLD_LIFE;
            if !live {
                tracing::warn!(name, block, "a reader of the log was silent for a day: its hold ends");
            }
            live
        });
    }
}

/// Keeps history for one reader until it is dropped or silent for [`HOLD_LIFE`].
#[derive(Debug)]
pub struct Hold {
    id: u64,
    shared: Arc<Shared>,
}

impl Hold {
    /// The reader is done with everything up to `at`: also a sign of life. Does nothing once the hold expired.
    pub fn advance(&self, at: Cursor) {
        if let Some(held) = self.shared.holds.lock().held.get_mut(&self.id) {
            held.1 = at.block;
            held.2 = Instant::now();
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.shared.holds.lock().held.remove(&self.id);
    }
}
