//! From raw bytes to the pool: a bounded entrance, one collector thread, parallel decoding and recovery.
//! Called by `rpc` and by `Handle::submit`. Never touches the driver thread; never queues beyond its bounds: a full entrance
//! refuses at once.
//!
//! The collector drains what has come (no waiting), decodes and recovers it in one parallel job and locks the pool once per chunk:
//! an idle node has batches of one and no delay, a busy one amortises everything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use alloy_primitives::{B256, Bytes};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use rayon::prelude::*;
use thiserror::Error;
use tokio::sync::{broadcast, oneshot};

use super::{Accounts, Added, Admission, Mempool, PoolError};
use crate::tx::{Rules, SenderCache, Tx, TxError, next_arrivals};

/// Most transactions between their reading and the pool.
pub const INGRESS_TXS_MAX: usize = 16_384;
/// Most bytes of them.
pub const INGRESS_BYTES_MAX: usize = 16 << 20;
/// Transactions the collector gathers into one parallel job, unless one submission alone brings more.
const JOB_TXS: usize = 64;
/// Transactions added to the pool under one lock.
const LOCK_TXS: usize = 128;

/// Why a submission was refused. An error is sent only when nothing was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SubmitError {
    #[error(transparent)]
    Tx(#[from] TxError),
    #[error(transparent)]
    Pool(#[from] PoolError),
    #[error("the node is busy: {limit} transactions or {INGRESS_BYTES_MAX} bytes wait for recovery, try again")]
    Busy { limit: usize },
    #[error("the node is read-only: no transactions are accepted now")]
    ReadOnly,
    #[error("the node is shutting down")]
    Stopped,
}

/// Whether a transaction is in one of the newest blocks: a resent one is answered with its hash, not with "nonce too low".
pub trait Included: Send + Sync {
    /// True if a block of ours holds it.
    fn included(&self, hash: &B256) -> bool;
}

struct Job {
    raws: Vec<Bytes>,
    /// Arrival number of the first; the others follow it.
    arrival: u64,
    arrived_at: Instant,
    bytes: usize,
    /// Refuse what would wait behind a nonce gap.
    ready_only: bool,
    reply: oneshot::Sender<Vec<Result<B256, SubmitError>>>,
}

/// Counters of the entrance, since start.
#[derive(Debug, Default)]
pub struct IngressCounters {
    /// Transactions decoded and recovered, valid or not.
    pub recovered_txs: AtomicU64,
    /// CPU-bound wall time of those jobs, microseconds.
    pub recover_us: AtomicU64,
    /// Refused by decode, recovery or the pool.
    pub refused_txs: AtomicU64,
    /// Refused because the entrance was full.
    pub busy_txs: AtomicU64,
}

/// What the collector needs of the rest of the node.
pub struct Collector {
    /// Where admitted transactions go.
    pub pool: Arc<Mempool>,
    /// Accounts as of the newest executed block.
    pub accounts: Arc<dyn Accounts>,
    /// The index of the newest blocks.
    pub included: Arc<dyn Included>,
    /// Static rules.
    pub rules: Rules,
    /// Rules of gas and fees.
    pub admission: Admission,
    /// True while the disk is too full to make blocks.
    pub read_only: Arc<AtomicBool>,
}

/// The entrance. Cheap to clone; the collector thread ends when the last clone is gone.
#[derive(Clone)]
pub struct Ingress {
    jobs: Sender<Job>,
    queued_txs: Arc<AtomicUsize>,
    queued_bytes: Arc<AtomicUsize>,
    read_only: Arc<AtomicBool>,
    closed: Arc<AtomicBool>,
    pending: broadcast::Sender<Arc<Vec<Arc<Tx>>>>,
    counters: Arc<IngressCounters>,
}

impl Ingress {
    /// Starts the collector thread and its recovery threads (all cores but one, at least one).
    pub fn start(collector: Collector) -> std::io::Result<(Self, JoinHandle<()>)> {
        let cores = std::thread::available_parallelism().map_or(2, |cores| cores.get());
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads((cores - 1).max(1))
            .thread_name(|index| format!("recover-{index}"))
            .build()
            .map_err(std::io::Error::other)?;
        let (jobs, inbox) = bounded(INGRESS_TXS_MAX);
        let ingress = Self {
            jobs,
            queued_txs: Arc::default(),
            queued_bytes: Arc::default(),
            read_only: collector.read_only.clone(),
            closed: Arc::default(),
            pending: broadcast::channel(1_024).0,
            counters: Arc::default(),
        };
        let (queued_txs, queued_bytes) = (ingress.queued_txs.clone(), ingress.queued_bytes.clone());
        let (pending, counters) = (ingress.pending.clone(), ingress.counters.clone());
        let thread = std::thread::Builder::new().name("collector".into()).spawn(move || {
            collect(&collector, &threads, &inbox, &queued_txs, &queued_bytes, &pending, &counters);
        })?;
        Ok((ingress, thread))
    }

    /// Submits transactions in this order; one result each. Arrival numbers are taken here, before anything else is done.
    pub async fn submit(&self, raws: Vec<Bytes>) -> Vec<Result<B256, SubmitError>> {
        let count = raws.len();
        let all = |error: SubmitError| vec![Err(error); count];
        match self.enqueue(raws, false) {
            Err(error) => all(error),
            Ok(reply) => reply.await.unwrap_or_else(|_| all(SubmitError::Stopped)),
        }
    }

    /// Submits one transaction that must be able to run at once: a nonce gap is an error and nothing is accepted.
    pub async fn submit_ready(&self, raw: Bytes) -> Result<B256, SubmitError> {
        let reply = self.enqueue(vec![raw], true)?;
        let mut results = reply.await.map_err(|_| SubmitError::Stopped)?;
        results.pop().unwrap_or(Err(SubmitError::Stopped))
    }

    fn enqueue(&self, raws: Vec<Bytes>, ready_only: bool) -> Result<oneshot::Receiver<Vec<Result<B256, SubmitError>>>, SubmitError> {
        let count = raws.len();
        let (arrival, arrived_at) = (next_arrivals(count as u64), Instant::now());
        if self.closed.load(Ordering::Relaxed) {
            return Err(SubmitError::Stopped);
        }
        if self.read_only.load(Ordering::Relaxed) {
            return Err(SubmitError::ReadOnly);
        }
        let bytes = raws.iter().map(|raw| raw.len()).sum();
        let txs_before = self.queued_txs.fetch_add(count, Ordering::Relaxed);
        let bytes_before = self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        let (reply, receiver) = oneshot::channel();
        let fits = txs_before + count <= INGRESS_TXS_MAX && bytes_before + bytes <= INGRESS_BYTES_MAX;
        let sent = if fits { self.jobs.try_send(Job { raws, arrival, arrived_at, bytes, ready_only, reply }) } else { Ok(()) };
        match sent {
            Ok(()) if fits => Ok(receiver),
            refused => {
                self.queued_txs.fetch_sub(count, Ordering::Relaxed);
                self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
                self.counters.busy_txs.fetch_add(count as u64, Ordering::Relaxed);
                match refused {
                    Err(TrySendError::Disconnected(_)) => Err(SubmitError::Stopped),
                    _ => Err(SubmitError::Busy { limit: INGRESS_TXS_MAX }),
                }
            }
        }
    }

    /// Stops admission; what is queued is still answered.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Newly admitted transactions, in batches; a slow reader misses the oldest.
    pub fn pending(&self) -> broadcast::Receiver<Arc<Vec<Arc<Tx>>>> {
        self.pending.subscribe()
    }

    /// Counters since start.
    pub fn counters(&self) -> &IngressCounters {
        &self.counters
    }

    /// Transactions that wait for recovery now.
    pub fn queued(&self) -> usize {
        self.queued_txs.load(Ordering::Relaxed)
    }
}

fn collect(
    collector: &Collector,
    threads: &rayon::ThreadPool,
    inbox: &Receiver<Job>,
    queued_txs: &AtomicUsize,
    queued_bytes: &AtomicUsize,
    pending: &broadcast::Sender<Arc<Vec<Arc<Tx>>>>,
    counters: &IngressCounters,
) {
    let senders = SenderCache::default();
    while let Ok(first) = inbox.recv() {
        let mut txs = first.raws.len();
        let mut jobs = vec![first];
        while txs < JOB_TXS
            && let Ok(job) = inbox.try_recv()
        {
            txs += job.raws.len();
            jobs.push(job);
        }
        let began = Instant::now();
        let counts: Vec<usize> = jobs.iter().map(|job| job.raws.len()).collect();
        let flat: Vec<(Bytes, u64, Instant)> = jobs
            .iter_mut()
            .flat_map(|job| {
                let (arrival, at) = (job.arrival, job.arrived_at);
                std::mem::take(&mut job.raws).into_iter().enumerate().map(move |(index, raw)| (raw, arrival + index as u64, at))
            })
            .collect();
        let decode = |(raw, arrival, at)| -> Result<Arc<Tx>, SubmitError> {
            let tx = Tx::decode(raw, arrival, at, collector.rules, &senders)?;
            collector.admission.check(&tx)?;
            Ok(Arc::new(tx))
        };
        let decoded: Vec<_> = threads.install(|| flat.into_par_iter().with_min_len(4).map(decode).collect());
        counters.recovered_txs.fetch_add(txs as u64, Ordering::Relaxed);
        counters.recover_us.fetch_add(began.elapsed().as_micros() as u64, Ordering::Relaxed);
        let ready_only: Vec<bool> = jobs.iter().zip(&counts).flat_map(|(job, count)| std::iter::repeat_n(job.ready_only, *count)).collect();
        let mut results = admit(collector, decoded, &ready_only, pending).into_iter();
        for (job, count) in jobs.into_iter().zip(counts) {
            queued_txs.fetch_sub(count, Ordering::Relaxed);
            queued_bytes.fetch_sub(job.bytes, Ordering::Relaxed);
            let answers: Vec<_> = results.by_ref().take(count).collect();
            counters.refused_txs.fetch_add(answers.iter().filter(|answer| answer.is_err()).count() as u64, Ordering::Relaxed);
            // The caller may have gone; its transactions are in the pool all the same.
            let _ = job.reply.send(answers);
        }
    }
}

/// Adds to the pool in order, one lock per chunk. Accounts are read under the lock: one read before it could be of the block before the one that the
/// driver has told the pool of meanwhile, and the sender's next transaction would wait behind a nonce gap that is none, and lose its place.
fn admit(
    collector: &Collector,
    decoded: Vec<Result<Arc<Tx>, SubmitError>>,
    ready_only: &[bool],
    pending: &broadcast::Sender<Arc<Vec<Arc<Tx>>>>,
) -> Vec<Result<B256, SubmitError>> {
    let watched = pending.receiver_count() > 0;
    let mut results = Vec::with_capacity(decoded.len());
    let mut admitted = Vec::new();
    for (chunk, ready_only) in decoded.chunks(LOCK_TXS).zip(ready_only.chunks(LOCK_TXS)) {
        let mut ready = false;
        let mut pool = collector.pool.lock();
        let now = Instant::now();
        for (tx, ready_only) in chunk.iter().zip(ready_only) {
            let tx = match tx {
                Ok(tx) => tx,
                Err(error) => {
                    results.push(Err(error.clone()));
                    continue;
                }
            };
            let account = collector.accounts.account(&tx.sender);
            let next = pool.pending_nonce(&tx.sender).max(account.nonce);
            if *ready_only && tx.nonce() > next {
                results.push(Err(PoolError::NonceTooHigh { expected: next, found: tx.nonce() }.into()));
                continue;
            }
            match pool.add(tx.clone(), account, now) {
                Ok(added) => {
                    ready |= added == Added::Ready;
                    if watched && added != Added::Known {
                        admitted.push(tx.clone());
                    }
                    results.push(Ok(tx.hash));
                }
                Err(error) => results.push(Err(error.into())),
            }
        }
        drop(pool);
        if ready {
            collector.pool.notify();
        }
    }
    for (result, tx) in results.iter_mut().zip(&decoded) {
        if let (Err(SubmitError::Pool(PoolError::NonceTooLow { .. })), Ok(tx)) = (&*result, tx)
            && collector.included.included(&tx.hash)
        {
            *result = Ok(tx.hash);
        }
    }
    if !admitted.is_empty() {
        // No reader is no failure.
        let _ = pending.send(Arc::new(admitted));
    }
    results
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genesis::dev_accounts;
    use crate::mempool::{AccountNow, Fifo, PoolLimits};
    use alloy_consensus::TxEip1559;
    use alloy_eips::eip2718::Encodable2718;
    use alloy_primitives::{Address, TxKind, U256};

    const RULES: Rules = Rules { chain_id: 4434, allow_unprotected: false };

    fn tx(key: &B256, nonce: u64) -> Arc<Tx> {
        let tx = TxEip1559 { chain_id: 4434, nonce, gas_limit: 21_000, to: TxKind::Call(Address::ZERO), ..Default::default() };
        let raw = crate::tx::sign(tx.into(), key).expect("a development key signs").encoded_2718().into();
        Arc::new(Tx::decode(raw, next_arrivals(1), Instant::now(), RULES, &SenderCache::default()).expect("we signed it"))
    }

    /// A state in which a block that holds `included` ends as soon as the pool lets the driver tell it so.
    struct Ending {
        pool: Arc<Mempool>,
        included: Arc<Tx>,
    }

    impl Accounts for Ending {
        fn account(&self, address: &Address) -> AccountNow {
            let before = AccountNow { nonce: 0, balance: U256::MAX };
            if let Some(mut pool) = self.pool.pool.try_lock() {
                let after = AccountNow { nonce: 1, ..before };
                pool.settle_block([&self.included].into_iter(), [].iter(), &[(*address, after)], Instant::now());
            }
            before
        }
    }

    impl Included for () {
        fn included(&self, _: &B256) -> bool {
            false
        }
    }

    #[test]
    fn a_block_that_ends_during_admission_makes_no_nonce_gap() {
        let (_, key) = dev_accounts(1)[0];
        let pool = Arc::new(Mempool::new(PoolLimits::default(), Box::new(Fifo)));
        let (first, second) = (tx(&key, 0), tx(&key, 1));
        let account = AccountNow { nonce: 0, balance: U256::MAX };
        pool.lock().add(first.clone(), account, Instant::now()).expect("admissible");
        pool.lock().take(first.sender);
        let collector = Collector {
            pool: pool.clone(),
            accounts: Arc::new(Ending { pool: pool.clone(), included: first }),
            included: Arc::new(()),
            rules: RULES,
            admission: Admission::new(revm::primitives::hardfork::SpecId::OSAKA, 300_000_000, 0),
            read_only: Arc::default(),
        };
        let results = admit(&collector, vec![Ok(second.clone())], &[false], &broadcast::channel(1).0);
        assert_eq!(results, [Ok(second.hash)]);
        let pool = pool.lock();
        assert_eq!(pool.stats().gapped, 0, "the second follows the first, wherever that is");
        assert_eq!(pool.head().map(|head| head.pooled.ready_seq), Some(second.arrival), "and keeps its place");
    }
}
