//! What may lag behind the chain: free space, snapshots, old segments. Its own thread; never blocks a block.

use crate::publish::BlockLog;
use crate::state::State;
use crate::store::{ChainMark, SnapshotPolicy, disk, write_snapshot};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Room on the disk, as far as the driver must know.
#[derive(Debug, Default)]
pub struct Space {
    low: AtomicBool,
    unreserved: AtomicBool,
}

impl Space {
    /// No room: make no blocks, refuse transactions. Reads go on.
    pub fn read_only(&self) -> bool {
        self.low.load(Ordering::Relaxed) || self.unreserved.load(Ordering::Relaxed)
    }

    /// Whether the next segment could be reserved.
    pub(super) fn reserved(&self, room: bool) {
        if self.unreserved.swap(!room, Ordering::Relaxed) == room {
            tracing::warn!(room, "room for the next segment of the block log");
        }
    }

    fn free(&self, bytes: u64) {
        let low = self.low.load(Ordering::Relaxed);
        let now = if low { bytes < disk::WRITABLE_FROM } else { bytes < disk::READ_ONLY_BELOW };
        if now != low {
            self.low.store(now, Ordering::Relaxed);
            tracing::warn!(read_only = now, free_bytes = bytes, "free disk space");
        }
    }
}

pub(super) struct Housekeeping {
    state: Arc<State>,
    log: BlockLog,
    space: Arc<Space>,
    chain: ChainMark,
    data_dir: PathBuf,
    policy: SnapshotPolicy,
    /// Bytes of the log and of the snapshot when the newest snapshot was made.
    log_bytes: u64,
    snapshot_bytes: u64,
}

impl Housekeeping {
    pub fn new(state: Arc<State>, log: BlockLog, space: Arc<Space>, chain: ChainMark, data_dir: PathBuf, policy: SnapshotPolicy) -> Self {
        let log_bytes = log.bytes();
        Self { state, log, space, chain, data_dir, policy, log_bytes, snapshot_bytes: 0 }
    }

    pub fn run(mut self, inbox: &Receiver<u64>) {
        let mut looked: Option<Instant> = None;
        loop {
            if let Err(RecvTimeoutError::Disconnected) = inbox.recv_timeout(LOOK_EVERY) {
                return;
            }
            if looked.is_some_and(|looked| looked.elapsed() < LOOK_EVERY) {
                continue;
            }
            looked = Some(Instant::now());
            match disk::free_bytes(&self.data_dir) {
                Ok(bytes) => self.space.free(bytes),
                Err(error) => tracing::warn!(%error, "free disk space is unknown"),
            }
            self.snapshot();
        }
    }

    fn snapshot(&mut self) {
        let bytes = self.log.bytes();
        let due = self.policy.after_bytes.max(2 * self.snapshot_bytes);
        if bytes.saturating_sub(self.log_bytes) < due {
            return;
        }
        self.log_bytes = bytes;
        let head = self.log.head_block();
        match write_snapshot(&self.data_dir, self.chain, &self.state, &head) {
            Ok(bytes) => {
                self.snapshot_bytes = bytes;
                tracing::info!(block = head.header.number, bytes, "snapshot written");
            }
            // A wrong root means the state in RAM is not what the chain says: stop before it spreads.
            Err(error @ crate::error::StoreError::Root { .. }) => {
                tracing::error!(%error, "the state does not match its root");
                eprintln!("hifi: {error}");
                std::process::exit(error.exit_code());
            }
            Err(error) => tracing::warn!(%error, "no snapshot"),
        }
        self.prune();
    }

    fn prune(&self) {
        let Some(max_bytes) = self.policy.history_max_bytes else {
            return;
        };
        let Some(oldest) = crate::store::oldest_snapshot(&self.data_dir) else {
            return;
        };
        let below = self.log.held().map_or(oldest, |held| held.min(oldest));
        match self.log.files().prune(below, max_bytes) {
            Ok(0) => {}
            Ok(segments) => tracing::info!(segments, first = self.log.first(), "old blocks deleted"),
            Err(error) => tracing::warn!(%error, "old blocks stay"),
        }
    }
}
