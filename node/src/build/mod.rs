//! Chooses what the next block holds: `Pooled` transactions in, an ordered [`Candidate`] out.
//! Called by the driver at each tick. Never executes anything and never looks at results: a candidate is complete without them,
//! which is the seam where a consensus engine plugs in later.

mod clock;
mod env;
mod estimate;

use std::collections::HashMap;
use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes};

use crate::mempool::{Mempool, Pool, Pooled};

pub use clock::{Clock, Wake};
pub use env::{Env, HeaderRules, Parent};
pub use estimate::{Cost, Estimates};

/// Most transactions in a block.
pub const BLOCK_TXS_MAX: usize = 16_384;
/// Most bytes of encoded transactions in a block (EIP-7934 bounds the whole RLP to 8 MiB; header and list heads take little).
pub const BLOCK_BYTES_MAX: usize = (8 << 20) - (16 << 10);
/// Transactions packed under one lock of the pool.
const LOCK_TXS: usize = 256;
/// One sender gets at most this part of a block while others wait.
const SENDER_PART: u64 = 8;

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

/// Packs the next block: in the order of the queue, until the first bound of the block is reached. Gas and time are estimates;
/// the executor checks exactly and returns what does not fit.
pub fn build(env: Env, pool: &Mempool, estimates: &Estimates, interval: Duration) -> Candidate {
    pool.lock().set_base_fee(env.base_fee);
    let mut packing = Packing::new(env.gas_limit, interval);
    while packing.chunk(&mut pool.lock(), estimates) {}
    let Env { number, time_ms, gas_limit, base_fee, beneficiary, mix_hash, extra_data } = env;
    let on_invalid = OnInvalid::Drop;
    Candidate { number, time_ms, gas_limit, base_fee, beneficiary, mix_hash, extra_data, txs: packing.txs, on_invalid }
}

/// A block while it is being packed.
struct Packing {
    gas_max: u64,
    ns_max: u64,
    txs: Vec<Pooled>,
    gas: u64,
    ns: u64,
    bytes: usize,
    /// Estimated gas and transactions per sender, for the bound on one sender.
    by_sender: HashMap<Address, (u64, usize), foldhash::fast::RandomState>,
    /// Senders over their part, in the order they got there; they come back when nobody else waits.
    aside: Vec<Address>,
    sharing: bool,
}

impl Packing {
    fn new(gas_limit: u64, interval: Duration) -> Self {
        let interval = if interval.is_zero() { Duration::from_millis(100) } else { interval };
        Self {
            gas_max: gas_limit / 100 * 95,
            ns_max: (interval.as_nanos() as u64) / 10 * 8,
            txs: Vec::new(),
            gas: 0,
            ns: 0,
            bytes: 0,
            by_sender: HashMap::default(),
            aside: Vec::new(),
            sharing: true,
        }
    }

    /// Packs up to [`LOCK_TXS`] transactions; false once the block is full or nothing is left. Leaves nobody set aside then.
    fn chunk(&mut self, pool: &mut Pool, estimates: &Estimates) -> bool {
        for _ in 0..LOCK_TXS {
            let Some(head) = pool.head() else {
                if self.aside.is_empty() {
                    return false;
                }
                // Nobody else waits: the part no longer binds.
                self.sharing = false;
                self.aside.drain(..).for_each(|sender| pool.resume(sender));
                continue;
            };
            let cost = estimates.of(&head.pooled.tx);
            let full = self.gas + cost.gas > self.gas_max
                || self.ns + cost.ns > self.ns_max
                || self.bytes + head.pooled.tx.raw.len() > BLOCK_BYTES_MAX;
            if self.txs.len() >= BLOCK_TXS_MAX || (full && !self.txs.is_empty()) {
                self.aside.drain(..).for_each(|sender| pool.resume(sender));
                return false;
            }
            let part = self.by_sender.entry(head.sender).or_default();
            let over = part.0 + cost.gas > self.gas_max / SENDER_PART || part.1 >= BLOCK_TXS_MAX / SENDER_PART as usize;
            if self.sharing && over && part.1 > 0 {
                pool.set_aside(head.sender);
                self.aside.push(head.sender);
                continue;
            }
            *part = (part.0 + cost.gas, part.1 + 1);
            self.gas += cost.gas;
            self.ns += cost.ns;
            self.bytes += head.pooled.tx.raw.len();
            pool.take(head.sender);
            self.txs.push(head.pooled);
        }
        true
    }
}
