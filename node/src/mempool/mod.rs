//! Transactions that wait for a block: first come, first served.
//! Filled by the recovery collector ([`ingress`]), emptied by `build`, told by the driver what became of a block.
//! Never executes, never waits, never holds its lock longer than one chunk of a batch.
//!
//! ```text
//! rpc ─raw bytes─▶ ingress (bounded) ─▶ decode, recover, check (rayon) ─▶ Pool::add ─▶ ready queue ─▶ build
//!                                                                       nonce gap ─▶ parked until it closes
//! ```
//! The order is `ready_seq`: the arrival counter at the moment a transaction became executable. Parking behind a nonce gap
//! reserves no place, and a replacement gets a new one, so no position can be bought or held.

pub mod ingress;
mod policy;
mod queue;
mod validate;

use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256, U256};
use parking_lot::{Condvar, Mutex, MutexGuard};
use thiserror::Error;

use crate::tx::Tx;

pub use policy::{Fifo, OrderingPolicy, Tip};
pub use queue::{Head, Pool};
pub use validate::Admission;

/// A transaction admitted to the pool: nonce, funds and fee were admissible when it came.
#[derive(Clone, Debug)]
pub struct Pooled {
    /// The transaction itself.
    pub tx: Arc<Tx>,
    /// Its place in the queue: the arrival counter at the moment it became executable.
    pub ready_seq: u64,
}

/// What the pool must know of an account: as of the newest executed block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountNow {
    /// The next nonce the chain accepts.
    pub nonce: u64,
    /// Wei it holds.
    pub balance: U256,
}

/// Reads accounts as of the newest executed block: the node's state, or a table in tests.
pub trait Accounts: Send + Sync {
    /// The account, all zero if absent.
    fn account(&self, address: &Address) -> AccountNow;
}

/// Bounds of the pool; all of them refuse or evict, none of them waits.
#[derive(Clone, Copy, Debug)]
pub struct PoolLimits {
    /// Transactions in the whole pool.
    pub txs_max: usize,
    /// Bytes of encoded transactions in the whole pool.
    pub bytes_max: usize,
    /// Transactions of one sender that could run now.
    pub executable_per_sender: usize,
    /// Transactions of one sender behind a nonce gap.
    pub gapped_per_sender: usize,
    /// Largest distance of a nonce from the next executable one.
    pub gap_max: u64,
    /// How long a transaction may wait behind a gap.
    pub gapped_life: Duration,
    /// How long a transaction that could run may wait.
    pub executable_life: Duration,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            txs_max: 65_536,
            bytes_max: 128 << 20,
            executable_per_sender: 256,
            gapped_per_sender: 64,
            gap_max: 1_024,
            gapped_life: Duration::from_secs(60),
            executable_life: Duration::from_secs(600),
        }
    }
}

/// Why the pool refused a valid transaction. The texts are those Ethereum clients match on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PoolError {
    #[error("nonce too low: next nonce {expected}, tx nonce {found}")]
    NonceTooLow { expected: u64, found: u64 },
    #[error("nonce too high: next nonce {expected}, tx nonce {found}")]
    NonceTooHigh { expected: u64, found: u64 },
    #[error("insufficient funds for gas * price + value: address {address} have {have} want {want}")]
    InsufficientFunds { address: Address, have: U256, want: U256 },
    #[error("replacement transaction underpriced")]
    ReplacementUnderpriced,
    #[error("txpool is full")]
    Full,
    #[error("txpool is full: account limit of {limit} transactions reached")]
    SenderFull { limit: usize },
    #[error("intrinsic gas too low: gas {gas_limit}, minimum needed {needed}")]
    IntrinsicGas { gas_limit: u64, needed: u64 },
    #[error("insufficient gas for floor data gas cost: gas {gas_limit}, minimum needed {needed}")]
    FloorGas { gas_limit: u64, needed: u64 },
    #[error("exceeds block gas limit")]
    BlockGasLimit,
    #[error("max fee per gas less than block base fee: maxFeePerGas: {fee_cap}, baseFee: {floor}")]
    BelowFloor { fee_cap: u128, floor: u64 },
}

/// What [`Pool::add`] did with an admissible transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It can run; it has a place in the queue.
    Ready,
    /// It waits for an earlier nonce.
    Gapped,
    /// It was here already.
    Known,
}

/// Counts for `txpool_status` and metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStats {
    /// Executable transactions, those in the block being made included.
    pub executable: usize,
    /// Transactions behind a nonce gap.
    pub gapped: usize,
    /// Encoded bytes of all.
    pub bytes: usize,
    /// Senders with at least one transaction.
    pub senders: usize,
}

/// The one pool of the node behind its lock, and the signal that something is ready.
#[derive(Debug)]
pub struct Mempool {
    pool: Mutex<Pool>,
    ready: Condvar,
}

impl Mempool {
    /// An empty pool.
    pub fn new(limits: PoolLimits, policy: Box<dyn OrderingPolicy>) -> Self {
        Self { pool: Mutex::new(Pool::new(limits, policy)), ready: Condvar::new() }
    }

    /// Locks the pool. Hold it for one chunk of work, never across a wait.
    pub fn lock(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock()
    }

    /// Wakes the driver if it waits for work.
    pub fn notify(&self) {
        self.ready.notify_all();
    }

    /// Waits until a transaction can run or the deadline has passed; true if one can run.
    pub fn wait_ready(&self, deadline: Instant) -> bool {
        let mut pool = self.pool.lock();
        while !pool.has_ready() {
            if self.ready.wait_until(&mut pool, deadline).timed_out() {
                return pool.has_ready();
            }
        }
        true
    }

    /// The pooled transaction with that hash.
    pub fn get(&self, hash: &B256) -> Option<Arc<Tx>> {
        self.pool.lock().get(hash)
    }

    /// The nonce after the sender's last executable transaction, at least `nonce`.
    pub fn pending_nonce(&self, address: &Address, nonce: u64) -> u64 {
        self.pool.lock().pending_nonce(address).max(nonce)
    }

    /// Counts of the pool now.
    pub fn stats(&self) -> PoolStats {
        self.pool.lock().stats()
    }
}
