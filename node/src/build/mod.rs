//! Chooses what the next block holds: `Pooled` transactions in, an ordered [`Candidate`] out.
//! Called by the driver at each tick. Never executes anything and never looks at results: a candidate is complete without them,
//! which is the seam where a consensus engine plugs in later.

use alloy_primitives::{Address, B256, Bytes};

use crate::mempool::Pooled;

/// What happens to a transaction that turns out not to be executable in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnInvalid {
    /// Our own blocks: leave it out and tell the pool.
    Drop,
    /// Imported blocks: the block is invalid.
    Reject,
}

/// An ordered block before execution: everything the executor needs to know, nothing it will find out.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Height, parent + 1.
    pub number: u64,
    /// Unix time in milliseconds; the header's `timestamp` is this / 1000.
    pub time_ms: u64,
    /// Gas limit of the block.
    pub gas_limit: u64,
    /// Base fee, wei per gas.
    pub base_fee: u64,
    /// Receiver of the tips.
    pub beneficiary: Address,
    /// Value of the header's `mixHash` (what `PREVRANDAO` reads).
    pub mix_hash: B256,
    /// The header's `extraData`; at most 32 bytes.
    pub extra_data: Bytes,
    /// In execution order.
    pub txs: Vec<Pooled>,
    /// What to do with an invalid transaction.
    pub on_invalid: OnInvalid,
}

impl Candidate {
    /// Unix seconds, as the header carries them.
    pub fn timestamp(&self) -> u64 {
        self.time_ms / 1_000
    }
}
