//! What can stop the indexer or its store, split by who can mend it; [`Error::exit_code`] is what `hifi` ends with.
//! Readers of history get [`ReadError`] instead: their query was wrong or Postgres is away, the indexer lives on.

use crate::source::{Cursor, SourceError};
use alloy_primitives::B256;
use orderbook::abi::AbiError;

/// Why the indexer stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A log of the exchange that is no event we know: schema and contract have parted.
    #[error("block {block}, log {log}: {source}")]
    Abi { block: u64, log: u32, source: AbiError },
    /// Events that contradict each other or the book that follows them.
    #[error("block {block}, log {log}: expected {expected}, found {found}")]
    Mirror { block: u64, log: u32, expected: String, found: String },
    /// A block that does not follow its predecessor: twice, with a gap, or with another parent.
    #[error("expected the child of block {} ({}), found block {found} with parent {parent}", after.block, after.hash)]
    OutOfOrder { after: Cursor, found: u64, parent: B256 },
    /// Replayed rows differ from those stored.
    #[error("block {block}: the stored digest is {stored}, the chain's rows give {computed}; run `hifi index verify`")]
    Digest { block: u64, stored: String, computed: String },
    /// The database belongs to another chain, exchange or version of hifi.
    #[error("the database has {what} {found}, this chain has {expected}: use another database or data directory")]
    OtherChain { what: &'static str, expected: String, found: String },
    /// What Postgres holds cannot be what we wrote.
    #[error("{table}: {what}")]
    Stored { table: &'static str, what: String },
    /// The cursor is not where this writer left it: a second writer, or a restored database.
    #[error("cursor {name} is not at block {expected}: another writer is at work")]
    Cursor { name: &'static str, expected: u64 },
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("postgres: {0}")]
    Postgres(#[from] sqlx::Error),
    #[error("migrating the database: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    #[error("the follower's thread could not start: {0}")]
    Thread(std::io::Error),
    #[error("stopped")]
    Stopped,
}

impl Error {
    /// 70: a bug or a broken log, do not restart blindly; 78: configuration; 69: something we need is away.
    pub fn exit_code(&self) -> i32 {
        match self {
            Error::Abi { .. } | Error::Mirror { .. } | Error::OutOfOrder { .. } | Error::Digest { .. } | Error::Stored { .. } => 70,
            Error::Source(SourceError::Malformed { .. }) => 70,
            Error::OtherChain { .. } | Error::Migrate(_) | Error::Cursor { .. } => 78,
            Error::Source(SourceError::Pruned { .. } | SourceError::Unknown { .. }) => 78,
            Error::Postgres(_) if !self.is_postgres() => 70,
            Error::Source(SourceError::Disconnected(_)) | Error::Postgres(_) | Error::Thread(_) => 69,
            Error::Stopped => 0,
        }
    }

    /// Postgres is away or refused work it may accept later: reconnect and go on. A refusal of what we sent (a duplicate key, a value
    /// out of range, a table that is not there) will not mend itself: halt.
    pub(crate) fn is_postgres(&self) -> bool {
        match self {
            Error::Postgres(sqlx::Error::Database(refusal)) => !is_final(refusal.code().as_deref()),
            Error::Postgres(_) => true,
            _ => false,
        }
    }
}

/// SQLSTATE classes: data exception, integrity constraint, syntax or access rule.
fn is_final(code: Option<&str>) -> bool {
    code.is_some_and(|code| ["22", "23", "42"].iter().any(|class| code.starts_with(class)))
}

/// Why a page of history could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("a page holds at most {max} rows, {asked} were asked for")]
    TooMany { asked: u32, max: u32 },
    #[error("history is not available: {0}")]
    Postgres(#[from] sqlx::Error),
    #[error("{table}: {what}")]
    Stored { table: &'static str, what: String },
}
