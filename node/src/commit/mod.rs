//! Makes an executed block rooted, durable, then visible.
//! In: `Executed`, from the driver. Out: `Arc<Block>`, in the [`BlockLog`].
//! Never re-executes, never rejects: what arrives is final. Order of effects: state and reverse diff (on the driver), trie
//! and header (root thread), log append, one fdatasync, publish (commit thread). A failed write ends the process.

mod housekeeping;
mod root;
mod seal;

pub use housekeeping::Space;
pub use seal::seal;

use crate::execute::Executed;
use crate::metrics::Stages;
use crate::publish::{Block, BlockLog};
use crate::state::{Diff, State};
use crate::store::disk::{self, crash_point};
use crate::store::{Recovered, SnapshotPolicy, Wal};
use crate::sync::HashCell;
use crossbeam_channel::{Receiver, Sender};
use housekeeping::Housekeeping;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

/// A block with its header, on its way to disk.
#[derive(Debug)]
pub struct Committed {
    block: Block,
    diff: Arc<Diff>,
}

/// An executed block and the cell that waits for its hash.
struct Submitted {
    executed: Executed,
    hash: Arc<HashCell>,
}

/// The threads behind the driver. One block may wait at each of the two gates, so the executor is at most four ahead of
/// the published head.
#[derive(Debug)]
pub struct Pipeline {
    state: Arc<State>,
    log: BlockLog,
    to_root: Sender<Submitted>,
    space: Arc<Space>,
    stages: Arc<Stages>,
    threads: Vec<JoinHandle<()>>,
}

/// The pipeline ended: the node is shutting down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node is shutting down")]
pub struct Stopped;

impl Pipeline {
    /// Starts the root, commit and housekeeping threads on an opened data directory.
    pub fn start(recovered: Recovered, policy: SnapshotPolicy) -> Self {
        let Recovered { state, trie, log, wal, chain, data_dir, .. } = recovered;
        let (to_root, root_inbox) = crossbeam_channel::bounded(1);
        let (to_commit, commit_inbox) = crossbeam_channel::bounded(1);
        let space = Arc::new(Space::default());
        let stages = Arc::new(Stages::default());
        let housekeeping = Housekeeping::new(Arc::clone(&state), log.clone(), Arc::clone(&space), chain, data_dir, policy);
        let (to_housekeeping, housekeeping_inbox) = crossbeam_channel::bounded(1);
        let parent = log.head_block();
        let commit_log = log.clone();
        let commit_space = Arc::clone(&space);
        let (root_stages, commit_stages) = (Arc::clone(&stages), Arc::clone(&stages));
        let threads = vec![
            spawn("root", move || root::run(trie, parent, &root_stages, &root_inbox, &to_commit)),
            spawn("commit", move || commit(wal, &commit_log, &commit_space, &commit_stages, &commit_inbox, &to_housekeeping)),
            spawn("housekeeping", move || housekeeping.run(&housekeeping_inbox)),
        ];
        Self { state, log, to_root, space, stages, threads }
    }

    /// Takes a block executed on the newest state: applies its diff and hands it on. Waits while a block is at the gate:
    /// the only wait in the chain.
    ///
    /// # Panics
    /// If the block is not the next one.
    pub fn submit(&self, executed: Executed) -> Result<(), Stopped> {
        crash_point("executed");
        let stages = &self.stages;
        stages.add(&stages.execute_us, executed.trace.exec_us);
        let hash = self.state.hashes().open(executed.number);
        let began = Instant::now();
        self.state.apply(executed.number, &executed.diff);
        stages.time(&stages.apply_us, "hifi_apply_seconds", began.elapsed());
        let began = Instant::now();
        let sent = self.to_root.send(Submitted { executed, hash }).map_err(|_| Stopped);
        stages.time(&stages.gate_us, "hifi_gate_seconds", began.elapsed());
        sent
    }

    /// The log the pipeline publishes to.
    pub fn log(&self) -> &BlockLog {
        &self.log
    }

    /// The state the pipeline applies to.
    pub fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// Whether the disk has room: without, the driver makes no blocks.
    pub fn space(&self) -> &Arc<Space> {
        &self.space
    }

    /// Where the time goes.
    pub fn stages(&self) -> &Arc<Stages> {
        &self.stages
    }

    /// Finishes every submitted block (durable and published) and ends the threads.
    pub fn stop(self) {
        let Self { to_root, threads, .. } = self;
        drop(to_root);
        for thread in threads {
            // A panic in one of them ended the process already.
            let _ = thread.join();
        }
    }
}

/// A thread whose panic ends the process: behind a lost root or commit thread every waiter would hang.
fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let run = move || {
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err() {
            eprintln!("hifi: a thread of the commit pipeline failed; the process ends");
            std::process::abort();
        }
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(run).expect("a thread can be started at start")
}

fn commit(mut wal: Wal, log: &BlockLog, space: &Space, stages: &Stages, inbox: &Receiver<Committed>, housekeeping: &Sender<u64>) {
    for Committed { mut block, diff } in inbox {
        let began = Instant::now();
        match wal.append(&block, &diff) {
            Ok(bytes) => block.encoded_bytes = bytes,
            Err(error) => disk::abort(&error),
        }
        stages.time(&stages.log_us, "hifi_log_seconds", began.elapsed());
        stages.add(&stages.blocks, 1);
        stages.add(&stages.txs, block.txs.len() as u64);
        stages.add(&stages.gas, block.header.gas_used);
        stages.add(&stages.slots, diff.slots() as u64);
        stages.add(&stages.log_bytes, block.encoded_bytes as u64);
        let (number, txs) = (block.header.number, block.txs.len());
        let began = Instant::now();
        log.publish(Arc::new(block));
        stages.time(&stages.publish_us, "hifi_publish_seconds", began.elapsed());
        tracing::debug!(block = number, txs, "published");
        match wal.prepare() {
            Ok(room) => space.reserved(room),
            Err(error) => disk::abort(&error),
        }
        // Housekeeping may lag: it looks at the newest block when it is free.
        let _ = housekeeping.try_send(number);
    }
}
