//! The edge of the disk: free space, file sizes, directory syncs, crash points, and the end of the process when a write fails.
//! The only file of the node that knows faults.

use crate::error::{StoreError, io};
use std::fs::File;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Below this many free bytes the node makes no blocks.
pub const READ_ONLY_BELOW: u64 = 256 << 20;
/// From this many free bytes on it makes blocks again.
pub const WRITABLE_FROM: u64 = 512 << 20;

/// Bytes a process without privileges may still write where `path` lies.
pub fn free_bytes(path: &Path) -> Result<u64, StoreError> {
    let stat = rustix::fs::statvfs(path).map_err(|error| io("free space of", path)(error.into()))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Reserves `bytes` for a file, zeroed.
pub(crate) fn reserve(file: &File, bytes: u64) -> std::io::Result<()> {
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP) => file.set_len(bytes),
        Err(error) => Err(error.into()),
    }
}

/// Makes names in a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io("sync", dir))
}

/// Ends the process: the disk refused what must not be refused. A sync is never retried, so nothing else is safe.
pub(crate) fn abort(error: &StoreError) -> ! {
    tracing::error!(%error, "the block log cannot be written; the process ends");
    eprintln!("hifi: {error}; the process ends, restart it from the last durable block");
    std::process::abort();
}

/// Whether crash points exist: with the feature `crash-points`, and in builds with assertions; never in a release.
const CRASH_POINTS: bool = cfg!(any(feature = "crash-points", debug_assertions));

/// The crash point named by `HIFI_CRASH=name[:n]`, with the passages left before it strikes.
static ARMED: LazyLock<Option<(String, AtomicU64)>> = LazyLock::new(|| {
    let value = std::env::var("HIFI_CRASH").ok()?;
    let (name, passages) = match value.split_once(':') {
        Some((name, count)) => (name.to_owned(), count.parse().expect("HIFI_CRASH=name[:n] with a number n")),
        None => (value, 1),
    };
    Some((name, AtomicU64::new(passages)))
});

/// Ends the process here if `HIFI_CRASH` names this point, at its n-th passage: as kill -9 would, no destructors, no flush.
pub fn crash_point(name: &str) {
    if armed(name) && ARMED.as_ref().is_some_and(|(_, left)| left.fetch_sub(1, Ordering::SeqCst) == 1) {
        std::process::abort();
    }
}

/// Whether `HIFI_CRASH` names this point.
pub(crate) fn armed(name: &str) -> bool {
    CRASH_POINTS && ARMED.as_ref().is_some_and(|(wanted, _)| wanted == name)
}
