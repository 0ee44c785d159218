//! The newest blocks in RAM. The oldest leave when there are too many blocks or bytes; the newest always stays.

use super::Block;
use std::collections::VecDeque;
use std::sync::Arc;

/// Most blocks in the ring.
pub(super) const RING_BLOCKS: usize = 1_024;
/// Most bytes of records in the ring.
pub(super) const RING_BYTES: usize = 256 << 20;

#[derive(Debug, Default)]
pub(super) struct Ring {
    blocks: VecDeque<Arc<Block>>,
    bytes: usize,
}

impl Ring {
    pub fn push(&mut self, block: Arc<Block>) {
        self.bytes += block.encoded_bytes;
        self.blocks.push_back(block);
        while self.blocks.len() > RING_BLOCKS || (self.bytes > RING_BYTES && self.blocks.len() > 1) {
            let gone = self.blocks.pop_front().expect("the ring is not empty");
            self.bytes -= gone.encoded_bytes;
        }
    }

    pub fn first(&self) -> u64 {
        self.blocks.front().map_or(0, |block| block.header.number)
    }

    pub fn last(&self) -> Arc<Block> {
        Arc::clone(self.blocks.back().expect("the ring holds the head"))
    }

    pub fn get(&self, number: u64) -> Option<Arc<Block>> {
        let index = number.checked_sub(self.first())?;
        self.blocks.get(usize::try_from(index).ok()?).cloned()
    }
}
