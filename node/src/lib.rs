//! A chain node: JSON-RPC in, durable Ethereum blocks out.
//!
//! ```text
//! rpc ──Tx──▶ mempool ──Pooled──▶ build ──Candidate──▶ execute ──Executed──▶ commit ──Committed──▶ publish ──Arc<Block>──▶ readers
//! ```
//! Each stage takes the left type by value and returns the right one. The node knows no order book: the exchange is genesis bytes.
//!
//! [`Node::start`] wires the stages and returns a [`Handle`]; readers follow [`Handle::log`] with their own cursor.
//! Threads: `collector` and `recover-*` (decode, signatures), `driver` (build, execute), `root` (trie, header), `commit` (log, fsync,
//! publish), `housekeeping` (snapshots, disk space); JSON-RPC runs on the caller's tokio runtime.

pub mod build;
pub mod commit;
pub mod config;
mod driver;
pub mod error;
pub mod execute;
pub mod genesis;
pub mod mempool;
pub mod metrics;
pub mod publish;
pub mod rpc;
pub mod state;
pub mod store;
pub mod sync;
pub mod trie;
pub mod tx;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use alloy_primitives::{B256, Bytes};
use crossbeam_channel::{Sender, bounded};
use serde::Serialize;
use thiserror::Error;

use crate::build::{Clock, HeaderRules};
use crate::commit::Pipeline;
use crate::driver::{Driver, DriverCounters, Recent};
use crate::error::StoreError;
use crate::execute::{ChainSpec, Executor};
use crate::mempool::ingress::{Collector, Ingress, SubmitError};
use crate::mempool::{Admission, Fifo, Mempool};
use crate::publish::BlockLog;
use crate::state::State;
use crate::store::{SnapshotPolicy, StoreConfig};
use crate::tx::Rules;

pub use crate::config::Config;
pub use crate::genesis::Genesis;

/// Why a node does not start.
#[derive(Debug, Error)]
pub enum NodeError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the genesis asks for rules older than Prague")]
    Fork,
    #[error("cannot listen for JSON-RPC on {addr}: {source}")]
    Listen { addr: SocketAddr, source: std::io::Error },
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

impl NodeError {
    /// The exit code of a program that stops because of this: 70 internal, 74 disk, 78 configuration.
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Store(error) => error.exit_code(),
            Self::Fork | Self::Listen { .. } => 78,
            Self::Thread(_) => 70,
        }
    }
}

/// Starts nodes.
#[derive(Debug)]
pub struct Node;

/// A running node. Dropping it stops the node without waiting; [`Handle::shutdown`] stops it in order.
pub struct Handle {
    /// Published blocks; cheap to clone.
    pub log: BlockLog,
    /// Where JSON-RPC listens, the real port included.
    pub rpc_addr: SocketAddr,
    /// The chain it makes.
    pub chain_id: u64,
    /// Hash of block 0.
    pub genesis_hash: B256,
    parts: Arc<Parts>,
    stop: Sender<()>,
    threads: Vec<JoinHandle<()>>,
    server: rpc::Server,
}

/// What statistics, submission and JSON-RPC share.
pub(crate) struct Parts {
    pub ingress: Ingress,
    pub pool: Arc<Mempool>,
    pub state: Arc<State>,
    pub log: BlockLog,
    pub recent: Arc<Recent>,
    pub driver: Arc<DriverCounters>,
    pub read_only: Arc<AtomicBool>,
}

/// What the node did since its start, and what waits in it now. Times in microseconds of wall clock on the named thread.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Newest published block.
    pub head: u64,
    /// Blocks executed since start, and the transactions and gas in them.
    pub blocks: u64,
    pub txs: u64,
    pub gas: u64,
    /// Transactions that left a block for good, went back to the pool, or waited too long in it.
    pub dropped_txs: u64,
    pub returned_txs: u64,
    pub expired_txs: u64,
    /// Transactions decoded and recovered, valid or not; refused of those; refused unread because the entrance was full.
    pub recovered_txs: u64,
    pub refused_txs: u64,
    pub busy_txs: u64,
    pub recover_us: u64,
    pub build_us: u64,
    pub execute_us: u64,
    pub submit_us: u64,
    pub settle_us: u64,
    /// Waiting for recovery, executable, behind a nonce gap.
    pub ingress_txs: u64,
    pub pool_txs: u64,
    pub gapped_txs: u64,
    pub pool_bytes: u64,
    /// No blocks are made because the disk is full.
    pub read_only: bool,
}

impl Node {
    /// Opens (or creates) the data directory, recovers its newest block, starts all threads and JSON-RPC. Returns when the node
    /// serves; must be called inside a tokio runtime.
    pub async fn start(config: Config) -> Result<Handle, NodeError> {
        let listener = rpc::listen(config.rpc_addr).await?;
        let spec = config.genesis.spec_id().ok_or(NodeError::Fork)?;
        let chain_id = config.genesis.chain_id();
        let store = StoreConfig { data_dir: config.data_dir.clone(), genesis: config.genesis.inner.clone(), fsync: config.fsync };
        let recovered = tokio::task::spawn_blocking(move || store::open(store)).await.map_err(std::io::Error::other);
        let recovered = recovered.map_err(NodeError::Thread)??;
        let pipeline = Pipeline::start(recovered, SnapshotPolicy::default());
        let (log, state) = (pipeline.log().clone(), Arc::clone(pipeline.state()));
        let chain = ChainSpec { chain_id, spec };
        let rules = HeaderRules {
            chain_id,
            gas_limit_target: config.gas_limit,
            base_fee_floor: config.genesis.extension.base_fee_floor,
            sub_second: config.genesis.extension.sub_second,
            beneficiary: config.beneficiary,
        };
        let pool = Arc::new(Mempool::new(config.pool, Box::new(Fifo)));
        let recent = Arc::new(Recent::new(log.clone()));
        let read_only = Arc::new(AtomicBool::new(pipeline.space().read_only()));
        let admission = Admission::new(spec, config.gas_limit.min(log.head_block().header.gas_limit), rules.base_fee_floor);
        let (ingress, collector) = Ingress::start(Collector {
            pool: Arc::clone(&pool),
            accounts: Arc::clone(&state) as Arc<dyn mempool::Accounts>,
            included: Arc::clone(&recent) as Arc<dyn mempool::ingress::Included>,
            rules: Rules { chain_id, allow_unprotected: config.allow_unprotected_txs },
            admission,
            read_only: Arc::clone(&read_only),
        })
        .map_err(NodeError::Thread)?;
        let driver = Arc::<DriverCounters>::default();
        let parts = Arc::new(Parts {
            ingress,
            pool: Arc::clone(&pool),
            state: Arc::clone(&state),
            log: log.clone(),
            recent: Arc::clone(&recent),
            driver: Arc::clone(&driver),
            read_only: Arc::clone(&read_only),
        });
        let (stop, stopped) = bounded(1);
        let interval = if rules.sub_second { config.block_interval } else { config.block_interval.max(std::time::Duration::from_secs(1)) };
        let run = move || {
            let executor = Executor::new(state, chain);
            Driver { executor, pipeline, pool, recent, rules, interval, read_only, counters: driver }.run(Clock::new(interval, stopped));
        };
        let driver = std::thread::Builder::new().name("driver".into()).spawn(run).map_err(NodeError::Thread)?;
        let rpc_addr = listener.local_addr().map_err(|source| NodeError::Listen { addr: config.rpc_addr, source })?;
        let server = rpc::serve(listener, rpc::Context::new(&config, chain, rules, Arc::clone(&parts)));
        let genesis_hash = log.genesis().hash;
        tracing::info!(%rpc_addr, chain_id, head = log.head().block, "node started");
        Ok(Handle { log, rpc_addr, chain_id, genesis_hash, parts, stop, threads: vec![driver, collector], server })
    }
}

impl Handle {
    /// Submits one signed transaction, EIP-2718 encoded. `Ok` means: in the pool (or included already).
    pub async fn submit(&self, raw: Bytes) -> Result<B256, SubmitError> {
        let mut results = self.parts.ingress.submit(vec![raw]).await;
        results.pop().unwrap_or(Err(SubmitError::Stopped))
    }

    /// The entrance, for those who submit from many tasks.
    pub fn ingress(&self) -> Ingress {
        self.parts.ingress.clone()
    }

    /// The flat state; pin a view with [`State::view`] at a published block.
    pub fn state(&self) -> &Arc<State> {
        &self.parts.state
    }

    /// Counters and queues now.
    pub fn stats(&self) -> Stats {
        self.parts.stats()
    }

    /// Stops in order: admission, the block under way, sync, publish, sockets.
    pub async fn shutdown(self) {
        let Self { parts, stop, threads, server, .. } = self;
        parts.ingress.close();
        // Full means: told already.
        let _ = stop.try_send(());
        parts.pool.notify();
        drop(stop);
        let mut threads = threads.into_iter();
        let driver = threads.next().expect("the driver is the first thread");
        let joined = tokio::task::spawn_blocking(move || driver.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!("the driver ended with a panic");
        }
        server.stop().await;
        // The collector ends when the last sender of jobs is dropped; nothing waits for it.
        drop(parts);
    }
}

impl Parts {
    pub fn stats(&self) -> Stats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (driver, ingress, pool) = (&self.driver, self.ingress.counters(), self.pool.stats());
        Stats {
            head: self.log.head().block,
            blocks: get(&driver.blocks),
            txs: get(&driver.txs),
            gas: get(&driver.gas),
            dropped_txs: get(&driver.dropped_txs),
            returned_txs: get(&driver.returned_txs),
            expired_txs: get(&driver.expired_txs),
            recovered_txs: get(&ingress.recovered_txs),
            refused_txs: get(&ingress.refused_txs),
            busy_txs: get(&ingress.busy_txs),
            recover_us: get(&ingress.recover_us),
            build_us: get(&driver.build_us),
            execute_us: get(&driver.execute_us),
            submit_us: get(&driver.submit_us),
            settle_us: get(&driver.settle_us),
            ingress_txs: self.ingress.queued() as u64,
            pool_txs: pool.executable as u64,
            gapped_txs: pool.gapped as u64,
            pool_bytes: pool.bytes as u64,
            read_only: self.read_only.load(Ordering::Relaxed),
        }
    }
}
