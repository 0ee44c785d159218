//! Errors that end the node, with the exit code a supervisor sees.
//! Raised by `store` and by the threads of `commit`; shown once by the program's `main`.

use alloy_primitives::B256;
use std::path::PathBuf;

/// Why a data directory cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{what} {path}: {source}", path = path.display())]
    Io { what: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{path} is in use by another node", path = path.display())]
    Locked { path: PathBuf },
    #[error("{path} belongs to another chain: {what} is {found}, expected {expected}; name another data directory", path = path.display())]
    OtherChain { path: PathBuf, what: &'static str, expected: String, found: String },
    #[error("{path} is no data directory of this program: {why}", path = path.display())]
    Meta { path: PathBuf, why: String },
    #[error("block {block} in {path} at byte {offset} is damaged ({why}), and valid blocks follow it", path = path.display())]
    Corrupt { block: u64, path: PathBuf, offset: u64, why: String },
    #[error("block {block} is damaged on disk: {why}")]
    Unreadable { block: u64, why: String },
    #[error("the state root of block {block} is {found}, its header says {expected}")]
    Root { block: u64, expected: B256, found: B256 },
    #[error("{0}")]
    State(#[from] crate::state::StateError),
}

impl StoreError {
    /// The exit code of a node that stops because of this: 70 internal, 74 disk, 78 configuration.
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Root { .. } => 70,
            Self::Io { .. } | Self::Corrupt { .. } | Self::Unreadable { .. } => 74,
            Self::Locked { .. } | Self::OtherChain { .. } | Self::Meta { .. } | Self::State(_) => 78,
        }
    }
}

/// Names what was being done to which file.
pub(crate) fn io(what: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { what, path, source }
}
