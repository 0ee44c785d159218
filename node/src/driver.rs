//! The thread that makes blocks: tick, build, execute, hand on, tell the pool. Started by `Node::start`, ended by `Handle::shutdown`.
//! It never recovers a signature, hashes a trie or touches a disk, and it waits for one thing only: a full gate of the commit
//! pipeline. Block N+1 executes while the root of N is computed and N-1 is on its way to disk.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use alloy_primitives::{Address, B256};
use parking_lot::RwLock;

use crate::build::{Clock, Estimates, HeaderRules, Parent, Wake, build};
use crate::commit::Pipeline;
use crate::execute::{DropReason, Executed, Executor, Timing};
use crate::mempool::ingress::Included;
use crate::mempool::{AccountNow, Accounts, Mempool};
use crate::publish::BlockLog;
use crate::state::State;
use crate::tx::Tx;

/// Executed blocks remembered until they are published; the pipeline holds at most four.
const UNPUBLISHED_MAX: usize = 8;
/// A block running longer than this many intervals hands its tail back to the pool.
const INTERVALS_MAX: u32 = 2;
/// Expired transactions removed from the pool per tick.
const EXPIRE_TXS: usize = 256;

impl Accounts for State {
    fn account(&self, address: &Address) -> AccountNow {
        State::account(self, address).map_or(AccountNow::default(), |account| AccountNow { nonce: account.nonce, balance: account.balance })
    }
}

/// Transactions of the newest executed blocks, published or not: no question about a transaction falls between pool and log.
#[derive(Debug)]
pub(crate) struct Recent {
    log: BlockLog,
    blocks: RwLock<VecDeque<HashMap<B256, Arc<Tx>, foldhash::fast::RandomState>>>,
}

impl Recent {
    pub fn new(log: BlockLog) -> Self {
        Self { log, blocks: RwLock::default() }
    }

    fn add(&self, txs: &[Arc<Tx>]) {
        let block = txs.iter().map(|tx| (tx.hash, Arc::clone(tx))).collect();
        let mut blocks = self.blocks.write();
        blocks.push_back(block);
        if blocks.len() > UNPUBLISHED_MAX {
            blocks.pop_front();
        }
    }

    /// The transaction, if one of the newest executed blocks holds it.
    pub fn get(&self, hash: &B256) -> Option<Arc<Tx>> {
        self.blocks.read().iter().find_map(|block| block.get(hash).cloned())
    }
}

impl Included for Recent {
    fn included(&self, hash: &B256) -> bool {
        self.get(hash).is_some() || self.log.contains_tx(hash)
    }
}

/// What the driver did since start. Times in microseconds.
#[derive(Debug, Default)]
pub(crate) struct DriverCounters {
    pub blocks: AtomicU64,
    pub txs: AtomicU64,
    pub gas: AtomicU64,
    pub dropped_txs: AtomicU64,
    pub returned_txs: AtomicU64,
    pub expired_txs: AtomicU64,
    pub build_us: AtomicU64,
    pub execute_us: AtomicU64,
    /// Applying the diff and waiting for the gate of the pipeline.
    pub submit_us: AtomicU64,
    pub settle_us: AtomicU64,
}

pub(crate) struct Driver {
    pub executor: Executor,
    pub pipeline: Pipeline,
    pub pool: Arc<Mempool>,
    pub recent: Arc<Recent>,
    pub rules: HeaderRules,
    pub interval: Duration,
    pub read_only: Arc<AtomicBool>,
    pub counters: Arc<DriverCounters>,
}

impl Driver {
    /// Makes blocks until the clock says stop; then finishes those under way and ends the pipeline.
    pub fn run(mut self, mut clock: Clock) {
        let mut parent = Parent::from(&*self.pipeline.log().head_block());
        let mut estimates = Estimates::default();
        while clock.wait(&self.pool) == Wake::Block {
            let full = self.pipeline.space().read_only();
            if self.read_only.swap(full, Ordering::Relaxed) != full {
                tracing::warn!(read_only = full, "the disk decides whether blocks are made");
            }
            if full {
                continue;
            }
            match self.block(&parent, &mut estimates) {
                Some(next) => parent = next,
                None => break,
            }
        }
        self.pipeline.stop();
    }

    /// Makes one block; `None` if the pipeline is gone.
    fn block(&mut self, parent: &Parent, estimates: &mut Estimates) -> Option<Parent> {
        let began = Instant::now();
        let env = self.rules.next(parent, unix_ms());
        let candidate = build(env, &self.pool, estimates, self.interval);
        let built = Instant::now();
        let now_us = || began.elapsed().as_micros() as u64;
        let deadline_us = (!self.interval.is_zero()).then(|| (self.interval * INTERVALS_MAX).as_micros() as u64);
        let executed = match self.executor.execute(candidate, Timing { now_us: &now_us, deadline_us }) {
            Ok(executed) => executed,
            Err(error) => {
                // Our own candidate can only fail on a broken state: nothing after it could be trusted.
                tracing::error!(%error, "a block of our own cannot be executed; the process ends");
                eprintln!("hifi: {error}; the process ends");
                std::process::abort();
            }
        };
        let ran = Instant::now();
        executed.txs.iter().zip(&executed.trace.txs).for_each(|(tx, trace)| estimates.learn(tx, trace));
        let next = Parent::from(&executed);
        let outcome = Outcome::of(&executed);
        self.recent.add(&outcome.included);
        self.pipeline.submit(executed).ok()?;
        let submitted = Instant::now();
        self.settle(&outcome);
        self.count(&outcome, &next, [began, built, ran, submitted]);
        Some(next)
    }

    fn settle(&self, outcome: &Outcome) {
        let state = self.pipeline.state();
        let accounts: Vec<_> = outcome.senders.iter().map(|sender| (*sender, Accounts::account(&**state, sender))).collect();
        let now = Instant::now();
        let mut pool = self.pool.lock();
        pool.settle_block(outcome.included.iter(), outcome.dropped.iter(), &accounts, now);
        let expired = pool.expire(now, EXPIRE_TXS);
        drop(pool);
        self.counters.expired_txs.fetch_add(expired as u64, Ordering::Relaxed);
    }

    fn count(&self, outcome: &Outcome, block: &Parent, [began, built, ran, submitted]: [Instant; 4]) {
        let us = |from: Instant, to: Instant| (to - from).as_micros() as u64;
        let add = |counter: &AtomicU64, by: u64| counter.fetch_add(by, Ordering::Relaxed);
        add(&self.counters.blocks, 1);
        add(&self.counters.txs, outcome.included.len() as u64);
        add(&self.counters.gas, block.gas_used);
        add(&self.counters.dropped_txs, outcome.dropped.len() as u64);
        add(&self.counters.returned_txs, outcome.returned as u64);
        add(&self.counters.build_us, us(began, built));
        add(&self.counters.execute_us, us(built, ran));
        add(&self.counters.submit_us, us(ran, submitted));
        add(&self.counters.settle_us, submitted.elapsed().as_micros() as u64);
        if !outcome.included.is_empty() || !outcome.dropped.is_empty() {
            tracing::debug!(
                block = block.number,
                txs = outcome.included.len(),
                dropped = outcome.dropped.len(),
                returned = outcome.returned,
                gas = block.gas_used,
                build_us = us(began, built),
                execute_us = us(built, ran),
                submit_us = us(ran, submitted),
                "executed"
            );
        }
    }
}

/// What the pool must know of an executed block.
struct Outcome {
    included: Vec<Arc<Tx>>,
    dropped: Vec<Arc<Tx>>,
    returned: usize,
    senders: Vec<Address>,
}

impl Outcome {
    fn of(executed: &Executed) -> Self {
        let mut senders: Vec<Address> = executed
            .txs
            .iter()
            .chain(executed.dropped.iter().map(|(tx, _)| tx))
            .chain(executed.returned.iter().map(|pooled| &pooled.tx))
            .map(|tx| tx.sender)
            .collect();
        senders.sort_unstable();
        senders.dedup();
        // A nonce too high means a predecessor fell out: the transaction waits for it again.
        let gone = |reason: &DropReason| !matches!(reason, DropReason::NonceTooHigh { .. });
        let dropped = executed.dropped.iter().filter(|(_, reason)| gone(reason)).map(|(tx, _)| Arc::clone(tx)).collect();
        Self { included: executed.txs.clone(), dropped, returned: executed.returned.len(), senders }
    }
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
