//! When a transaction was due, and when each observer saw it: the bench's clock. Latency counts from the moment the open loop wanted to send.

use alloy_primitives::B256;
use hdrhistogram::Histogram;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

/// One observer's view: transactions due, removed as they are seen.
pub struct Watch {
    due: Mutex<HashMap<B256, Instant>>,
    seen: Mutex<Histogram<u64>>,
}

impl Watch {
    pub fn new() -> Arc<Watch> {
        let seen = Histogram::new_with_bounds(1, 600_000_000, 3).expect("legal bounds");
        Arc::new(Watch { due: Mutex::default(), seen: Mutex::new(seen) })
    }

    pub fn due(&self, transactions: impl Iterator<Item = (B256, Instant)>) {
        self.due.lock().extend(transactions);
    }

    /// `hash` became visible at `now`; the first sight counts.
    pub fn saw(&self, hashes: impl Iterator<Item = B256>, now: Instant) {
        let mut due = self.due.lock();
        let mut seen = self.seen.lock();
        for hash in hashes {
            if let Some(start) = due.remove(&hash) {
                seen.saturating_record(now.duration_since(start).as_micros() as u64);
            }
        }
    }

    /// Transactions due and not yet seen.
    pub fn missing(&self) -> usize {
        self.due.lock().len()
    }

    pub fn count(&self) -> u64 {
        self.seen.lock().len()
    }

    /// Milliseconds at a quantile, two decimals.
    pub fn ms(&self, quantile: f64) -> f64 {
        (self.seen.lock().value_at_quantile(quantile) as f64 / 10.0).round() / 100.0
    }
}
