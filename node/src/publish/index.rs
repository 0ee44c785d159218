//! Where transactions and block hashes are found. Derived from the log: rebuilt at start, never written.
//! Keyed by the first eight bytes of a hash; whoever looks up checks the answer against the block.

use super::{Block, TxLocation};
use alloy_primitives::{B256, Bloom};
use foldhash::fast::RandomState;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

/// Newest blocks whose bloom filters stay in RAM (32 MiB); older ones are candidates of every query.
const BLOOMS_MAX: usize = 131_072;

#[derive(Debug, Default)]
pub(crate) struct Index {
    /// Hash prefix to `block << 20 | index`.
    txs: HashMap<u64, u64, RandomState>,
    /// Transactions whose prefix was taken.
    clashes: HashMap<B256, TxLocation, RandomState>,
    blocks: HashMap<u64, u64, RandomState>,
    blooms: VecDeque<Bloom>,
    /// Number of the block after the newest bloom.
    next: u64,
}

const INDEX_BITS: u32 = 20;

impl Index {
    pub fn add(&mut self, block: &Block) {
        let hashes = block.txs.iter().map(|tx| tx.hash);
        self.add_parts(block.header.number, block.hash, block.header.logs_bloom, hashes);
    }

    /// Adds a block by its parts, as recovery reads them.
    pub fn add_parts(&mut self, number: u64, hash: B256, bloom: Bloom, txs: impl Iterator<Item = B256>) {
        for (index, tx) in txs.enumerate() {
            let location = TxLocation { block: number, index: index as u32 };
            match self.txs.entry(prefix(&tx)) {
                Entry::Vacant(vacant) => {
                    vacant.insert(number << INDEX_BITS | index as u64);
                }
                Entry::Occupied(_) => {
                    self.clashes.insert(tx, location);
                }
            }
        }
        self.blocks.insert(prefix(&hash), number);
        self.blooms.push_back(bloom);
        self.next = number + 1;
        if self.blooms.len() > BLOOMS_MAX {
            self.blooms.pop_front();
        }
    }

    /// The only place a transaction can be in, if it is in any.
    pub fn tx(&self, hash: &B256) -> Option<TxLocation> {
        if let Some(location) = self.clashes.get(hash) {
            return Some(*location);
        }
        let packed = *self.txs.get(&prefix(hash))?;
        Some(TxLocation { block: packed >> INDEX_BITS, index: (packed & ((1 << INDEX_BITS) - 1)) as u32 })
    }

    pub fn block(&self, hash: &B256) -> Option<u64> {
        self.blocks.get(&prefix(hash)).copied()
    }

    /// The bloom filter of a block, if it is among the newest.
    pub fn bloom(&self, number: u64) -> Option<&Bloom> {
        let back = self.next.checked_sub(number)?;
        let index = self.blooms.len().checked_sub(usize::try_from(back).ok()?)?;
        self.blooms.get(index)
    }
}

fn prefix(hash: &B256) -> u64 {
    u64::from_be_bytes(hash[..8].try_into().expect("eight bytes"))
}
