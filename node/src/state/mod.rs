//! The state of the chain in RAM: accounts, storage slots, code.
//! Written by the driver (one [`Diff`] a block), read by the executor and, through a pinned [`StateView`], by calls.
//! Never reads disk, never blocks the executor for longer than one shard lock, never depends on map order.

mod diff;
mod flat;
mod genesis;
mod undo;
mod view;

pub use diff::{AccountDiff, AccountState, Diff, SlotDiff};
pub(crate) use flat::Live;
pub use flat::State;
pub use genesis::genesis_header;
pub use view::StateView;
pub(crate) use view::WalkedAccount;

use crate::sync::HashCell;
use crate::sync::RwLock;
use alloy_primitives::{Address, B256};
use std::collections::VecDeque;
use std::sync::Arc;

/// Hashes of the newest blocks which the EVM can see: BLOCKHASH looks back 256, EIP-2935 looks back 8,191.
pub const HASHES_MAX: usize = 8_192;

/// The EIP-2935 predeploy. Its storage is never in the maps: it is read from [`Hashes`], because the hash of a parent is
/// known only after its successor began to execute. The root thread writes the same slots into the trie.
pub const HISTORY_ADDRESS: Address = alloy_eips::eip2935::HISTORY_STORAGE_ADDRESS;

/// Slots of the EIP-2935 ring.
pub const HISTORY_SLOTS: u64 = alloy_eips::eip2935::HISTORY_SERVE_WINDOW as u64;

/// Why state cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    #[error("state of block {block} is not available: the window begins at {first}")]
    Pruned { block: u64, first: u64 },
    #[error("state of block {block} is not available: the newest block is {head}")]
    Future { block: u64, head: u64 },
    #[error("code with hash {0} is missing")]
    MissingCode(B256),
    #[error("genesis: {0}")]
    Genesis(String),
}

impl revm::database_interface::DBErrorMarker for StateError {}

/// Hashes of the newest [`HASHES_MAX`] blocks, each perhaps still to come.
#[derive(Debug)]
pub struct Hashes {
    ring: RwLock<Ring>,
}

#[derive(Debug)]
struct Ring {
    first: u64,
    cells: VecDeque<Arc<HashCell>>,
}

impl Hashes {
    /// Hashes that begin with block `first` (0 for a new chain); `known` may be empty.
    pub fn new(first: u64, known: impl IntoIterator<Item = B256>) -> Self {
        let cells = known.into_iter().map(|hash| Arc::new(HashCell::with(hash))).collect();
        Self { ring: RwLock::new(Ring { first, cells }) }
    }

    /// Opens the cell of the next block; the root thread sets it.
    ///
    /// # Panics
    /// If `number` is not the next block.
    pub fn open(&self, number: u64) -> Arc<HashCell> {
        let cell = Arc::new(HashCell::open());
        let mut ring = self.ring.write();
        assert_eq!(ring.first + ring.cells.len() as u64, number, "block hashes have no gap");
        ring.cells.push_back(Arc::clone(&cell));
        if ring.cells.len() > HASHES_MAX {
            ring.cells.pop_front();
            ring.first += 1;
        }
        cell
    }

    /// The cell of block `number`, if it is among the newest.
    pub fn cell(&self, number: u64) -> Option<Arc<HashCell>> {
        let ring = self.ring.read();
        let index = number.checked_sub(ring.first)?;
        ring.cells.get(usize::try_from(index).ok()?).cloned()
    }

    /// First block of the ring and all hashes known without waiting, in order.
    pub fn known(&self) -> (u64, Vec<B256>) {
        let ring = self.ring.read();
        (ring.first, ring.cells.iter().map_while(|cell| cell.get()).collect())
    }

    /// BLOCKHASH as seen in block `current`: zero outside the last 256. Waits if the hash is still being computed.
    pub fn block_hash(&self, current: u64, number: u64) -> B256 {
        if number >= current || current - number > 256 {
            return B256::ZERO;
        }
        self.cell(number).map_or(B256::ZERO, |cell| cell.wait())
    }

    /// Slot `slot` of the EIP-2935 contract as seen in block `current`, whose parent's hash is already stored.
    /// `None`: never written by the chain, so what genesis says holds.
    pub fn history(&self, current: u64, slot: u64) -> Option<B256> {
        let newest = current.checked_sub(1)?;
        if slot >= HISTORY_SLOTS {
            return None;
        }
        let back = (newest % HISTORY_SLOTS + HISTORY_SLOTS - slot) % HISTORY_SLOTS;
        let number = newest.checked_sub(back)?;
        self.cell(number).map(|cell| cell.wait())
    }
}
