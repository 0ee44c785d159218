//! The data directory: what survives a kill. Opened once at start; written by the commit thread and the housekeeping thread.
//!
//! `LOCK`, `meta.json` (format, chain, genesis), `genesis.json`, `wal/` (the block log), `snap/` (snapshots of the state).
//! Promises: nothing published is lost; torn or flipped bytes are found; the same blocks give the same state.

pub mod disk;
pub mod record;
mod recover;
mod segment;
mod snapshot;
mod verify;

use recover::Lock;
pub use recover::{Recovered, StoreConfig, open};
pub use segment::{ChainMark, Fsync, LogFiles, SEGMENT_BYTES, Wal};
pub(crate) use snapshot::oldest_snapshot;
pub use snapshot::{SnapshotPolicy, write_snapshot};
pub use verify::{Report, VerifyError, verify};
