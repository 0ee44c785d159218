//! Where the time of a block goes: totals per stage since start, in base units, without rates.
//! Written by the threads of the pipeline, read by `hifi_stats`, the bench and the metrics endpoint. No address or id is a label.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Totals of the stages behind the driver. All microseconds are wall time of the stage's thread.
#[derive(Debug, Default)]
pub struct Stages {
    /// Blocks published.
    pub blocks: AtomicU64,
    /// Transactions in them.
    pub txs: AtomicU64,
    /// Gas used by them.
    pub gas: AtomicU64,
    /// Storage slots they changed.
    pub slots: AtomicU64,
    /// Bytes appended to the block log.
    pub log_bytes: AtomicU64,
    /// Execution, by the clock given to the executor.
    pub execute_us: AtomicU64,
    /// Applying diffs to flat state (on the driver).
    pub apply_us: AtomicU64,
    /// The driver waiting at the gate of the root thread.
    pub gate_us: AtomicU64,
    /// Trie and state root.
    pub root_us: AtomicU64,
    /// Blooms, list roots, header, hash.
    pub seal_us: AtomicU64,
    /// Encoding, appending and syncing the record.
    pub log_us: AtomicU64,
    /// Index, ring, waking readers.
    pub publish_us: AtomicU64,
}

impl Stages {
    /// Adds to a total and records the single value in a histogram of that name (seconds).
    pub(crate) fn time(&self, total: &AtomicU64, name: &'static str, taken: Duration) {
        total.fetch_add(taken.as_micros() as u64, Ordering::Relaxed);
        metrics::histogram!(name).record(taken.as_secs_f64());
    }

    /// Adds to a total.
    pub(crate) fn add(&self, total: &AtomicU64, amount: u64) {
        total.fetch_add(amount, Ordering::Relaxed);
    }

    /// All totals by name, for a JSON object.
    pub fn totals(&self) -> [(&'static str, u64); 12] {
        let of = |total: &AtomicU64| total.load(Ordering::Relaxed);
        [
            ("blocks", of(&self.blocks)),
            ("txs", of(&self.txs)),
            ("gas", of(&self.gas)),
            ("slots", of(&self.slots)),
            ("log_bytes", of(&self.log_bytes)),
            ("execute_us", of(&self.execute_us)),
            ("apply_us", of(&self.apply_us)),
            ("gate_us", of(&self.gate_us)),
            ("root_us", of(&self.root_us)),
            ("seal_us", of(&self.seal_us)),
            ("log_us", of(&self.log_us)),
            ("publish_us", of(&self.publish_us)),
        ]
    }
}
