//! What can go wrong between us and Postgres, told so that the reader knows what to do.

use std::{io, path::PathBuf};

/// Why there is no Postgres to use.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// No binaries anywhere: the person installs some, or names them.
    #[error("no Postgres found: install it (apt-get install postgresql, brew install postgresql@17), or set HIFI_PG_BIN or DATABASE_URL")]
    NotFound { searched: Vec<PathBuf> },
    /// `HIFI_PG_BIN` names a place without usable binaries.
    #[error("no usable Postgres in {dir}: {what}")]
    BadBinaries { dir: PathBuf, what: String },
    /// initdb refuses a user that the system does not know.
    #[error("user id {uid} has no entry in /etc/passwd, which Postgres needs: run as another user, or set DATABASE_URL")]
    NoIdentity { uid: u32 },
    /// Another living hifi owns the directory.
    #[error("{path} is already in use by pid {pid}")]
    InUse { path: PathBuf, pid: String },
    /// The cluster was made by another major version.
    #[error(
        "{path} was made by Postgres {made_by}, found {found}: set HIFI_PG_BIN to version {made_by}, or delete it and let hifi index again"
    )]
    OtherMajor { path: PathBuf, made_by: String, found: u32 },
    /// The server is older or newer than what is tested.
    #[error("Postgres {major} is not supported: hifi works with 15 to 18")]
    Unsupported { major: u32 },
    /// initdb failed.
    #[error("initdb failed ({status}): {log}")]
    Init { status: String, log: String },
    /// The server ended before it was ready.
    #[error("postgres did not start ({status}): {log}")]
    Start { status: String, log: String },
    /// Neither ready nor dead after a minute.
    #[error("postgres was not ready after 60 s: {log}")]
    Slow { log: String },
    /// A server of an earlier life does not end.
    #[error("pid {pid} still runs Postgres in {path} and does not end on SIGINT and SIGQUIT: end it, then start again")]
    Orphan { pid: u32, path: PathBuf },
    /// `DATABASE_URL` is not understood.
    #[error("DATABASE_URL is not a Postgres URL: {source}")]
    Url { source: sqlx::Error },
    /// A database name that would need quoting.
    #[error("database name `{0}`: expected 1 to 48 lower-case letters, digits or `_`")]
    Name(String),
    /// The server answers, but not as wished.
    #[error("Postgres: {0}")]
    Database(#[from] sqlx::Error),
    /// A file or process operation failed.
    #[error("cannot {what} {path}: {source}")]
    Io { what: &'static str, path: PathBuf, source: io::Error },
}

impl PostgresError {
    /// What a program that can do nothing without Postgres ends with: 3 none found, 78 a configuration to mend, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NotFound { .. } => 3,
            Self::BadBinaries { .. }
            | Self::NoIdentity { .. }
            | Self::OtherMajor { .. }
            | Self::Unsupported { .. }
            | Self::Url { .. }
            | Self::Name(_) => 78,
            _ => 1,
        }
    }

    pub(super) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}
