//! Transactions that wait for a block: first come, first served.
//! Filled by the recovery collector, emptied by `build`. Never executes, never waits, never holds its lock longer than one batch.

use std::sync::Arc;

use crate::tx::Tx;

/// A transaction admitted to the pool: nonce, funds and fee were admissible when it came.
#[derive(Clone, Debug)]
pub struct Pooled {
    /// The transaction itself.
    pub tx: Arc<Tx>,
    /// Its place in the queue: the arrival counter at the moment it became executable.
    pub ready_seq: u64,
}
