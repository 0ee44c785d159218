//! Gives the indexer a Postgres to write to: a child process of ours, or the server that `DATABASE_URL` names.
//!
//! ```text
//! locate (which binaries) -> identity (which user) -> place (which directories, lock) -> init (new cluster) -> child (thread: spawn, ready, supervise, stop)
//!                                                                                         pidfile (orphans)      guard (dies with its parent)
//! ```
//! Called by `hifi up`, `hifi index`, and by the test command for its throw-away cluster. Works as root and as a user. A killed parent takes its Postgres
//! along; what is left behind by worse accidents is found and ended by the next start. Never adopts a running server, never listens on a TCP port, never
//! touches a directory outside its own.

mod child;
mod error;
mod guard;
mod identity;
mod init;
mod locate;
mod pidfile;
mod place;
mod settings;

pub use child::State;
pub use error::PostgresError;
pub use guard::guard_main;
pub use identity::Identity;
pub use locate::{Binaries, locate};
pub use settings::{MAJORS, reader};

use std::{
    path::{Path, PathBuf},
    str::FromStr as _,
    sync::Arc,
    time::Duration,
};

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};
use tokio::sync::watch;

/// The role that owns everything in the managed cluster.
pub const USER: &str = "hifi";

/// How to come by a Postgres.
#[derive(Debug, Clone)]
pub struct Config {
    /// hifi's data directory; the cluster lives in `<data_dir>/postgres`.
    pub data_dir: PathBuf,
    /// Directory with `postgres` and `initdb` (`--pg-bin`, `HIFI_PG_BIN`); `None` searches the usual places.
    pub pg_bin: Option<PathBuf>,
    /// `DATABASE_URL`: use that server and start nothing.
    pub external: Option<String>,
    /// Database made (if it is missing) and connected to; lower-case letters, digits and `_`.
    pub database: String,
    /// Trades durability for speed (no fsync) and deletes the cluster at the end: for tests.
    pub ephemeral: bool,
    /// The program that answers to `postgres-guard`; `None` is this program itself.
    pub guard: Option<PathBuf>,
}

impl Config {
    /// The managed cluster in `data_dir`, with nothing else said.
    pub fn managed(data_dir: impl Into<PathBuf>) -> Self {
        Self { data_dir: data_dir.into(), pg_bin: None, external: None, database: "hifi".into(), ephemeral: false, guard: None }
    }

    /// As [`Config::managed`], with `HIFI_PG_BIN` and `DATABASE_URL` taken from the environment.
    pub fn from_env(data_dir: impl Into<PathBuf>) -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            pg_bin: set("HIFI_PG_BIN").map(PathBuf::from),
            external: set("DATABASE_URL").map(|url| url.to_string_lossy().into_owned()),
            ..Self::managed(data_dir)
        }
    }
}

/// A Postgres in use. Dropping it stops a managed server without waiting; [`Managed::stop`] waits.
#[derive(Debug)]
pub struct Managed {
    url: String,
    options: PgConnectOptions,
    server: Option<Server>,
    version: u32,
}

#[derive(Debug)]
struct Server {
    child: Arc<child::Supervised>,
    state: watch::Receiver<State>,
    place: place::Place,
}

impl Managed {
    /// `postgres://...`, understood by sqlx and by psql.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How to connect to the database of [`Config::database`].
    pub fn options(&self) -> PgConnectOptions {
        self.options.clone()
    }

    /// Process id of the managed postmaster; `None` for an external server, or while it is being restarted.
    pub fn pid(&self) -> Option<u32> {
        match &*self.server.as_ref()?.state.borrow() {
            State::Ready { pid } => Some(*pid),
            _ => None,
        }
    }

    /// Follows the managed server through its restarts; `None` for an external one.
    pub fn state(&self) -> Option<watch::Receiver<State>> {
        self.server.as_ref().map(|server| server.state.clone())
    }

    /// Major version of the server, 15 to 18.
    pub fn major(&self) -> u32 {
        self.version
    }

    /// Where the cluster is, for the start line; the host of the URL for an external server.
    pub fn whereabouts(&self) -> String {
        match &self.server {
            Some(server) => server.place.root.display().to_string(),
            None => format!("external server {}", self.options.get_host()),
        }
    }

    /// Ends a managed server: SIGINT (transactions are rolled back, a clean checkpoint is written), after 20 s SIGQUIT.
    /// Returns when it is gone. An external server is left alone.
    pub async fn stop(mut self) {
        let Some(mut server) = self.server.take() else { return };
        server.child.stop();
        let ended = |state: &State| matches!(state, State::Stopped);
        for wait in [Duration::from_secs(20), Duration::from_secs(5)] {
            if tokio::time::timeout(wait, server.state.wait_for(ended)).await.is_ok() {
                break;
            }
            tracing::warn!("postgres does not stop, sending SIGQUIT");
            server.child.quit();
        }
    }
}

impl Drop for Managed {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.child.stop();
        }
    }
}

/// Brings up Postgres and returns when it takes connections and [`Config::database`] exists.
///
/// # Errors
/// See [`PostgresError`]; each says who can mend it, and [`PostgresError::exit_code`] what a program should end with.
pub async fn start(config: Config) -> Result<Managed, PostgresError> {
    if !settings::plain_name(&config.database) {
        return Err(PostgresError::Name(config.database));
    }
    match config.external.clone() {
        Some(url) => external(url).await,
        None => managed(config).await,
    }
}

/// Runs a server in the foreground: prints `url <URL>` and `pid <PID>` when it is ready and ends it when our standard input ends.
/// `hifi index postgres --ephemeral` and the test command.
///
/// # Errors
/// As [`start`].
pub async fn foreground(config: Config) -> Result<(), PostgresError> {
    let server = start(config).await?;
    println!("url {}\npid {}", server.url(), server.pid().unwrap_or_default());
    let (ended, input_ends) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = ended.send(());
    });
    tokio::select! {
        _ = input_ends => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    server.stop().await;
    Ok(())
}

async fn external(url: String) -> Result<Managed, PostgresError> {
    let options = PgConnectOptions::from_str(&url).map_err(|source| PostgresError::Url { source })?;
    let version = server_major(&options).await?;
    Ok(Managed { url, options, server: None, version })
}

async fn managed(config: Config) -> Result<Managed, PostgresError> {
    let database = config.database.clone();
    let started =
        tokio::task::spawn_blocking(move || child::prepare_and_spawn(config)).await.expect("the start of Postgres does not panic");
    let (place, child, state) = started?;
    let options = settings::connect(&place.sock, &database);
    let url = settings::url(&place.sock, &database);
    // From here on an early return drops `made`, which stops the server.
    let mut made = Managed { url, options, server: Some(Server { child, state: state.clone(), place }), version: 0 };
    child::first_ready(state).await?;
    create_database(&made.options, &database).await?;
    made.version = server_major(&made.options).await?;
    Ok(made)
}

async fn create_database(options: &PgConnectOptions, database: &str) -> Result<(), PostgresError> {
    // On a busy disk this takes a second or two, which is no news.
    let quiet = options.clone().database("postgres").disable_statement_logging();
    let mut admin = PgConnection::connect_with(&quiet).await?;
    let there: bool =
        sqlx::query_scalar("select exists (select from pg_database where datname = $1)").bind(database).fetch_one(&mut admin).await?;
    if !there {
        // The name is letters, digits and `_` (checked in `start`).
        sqlx::query(AssertSqlSafe(format!("create database {database}"))).execute(&mut admin).await?;
    }
    admin.close().await?;
    Ok(())
}

async fn server_major(options: &PgConnectOptions) -> Result<u32, PostgresError> {
    let mut connection = PgConnection::connect_with(options).await?;
    let number: i32 = sqlx::query_scalar("select current_setting('server_version_num')::int").fetch_one(&mut connection).await?;
    connection.close().await?;
    let major = number.unsigned_abs() / 10_000;
    if MAJORS.contains(&major) { Ok(major) } else { Err(PostgresError::Unsupported { major }) }
}

/// The URL a managed cluster of `data_dir` has while it runs; for people with psql.
///
/// # Errors
/// When the directory cannot be read.
pub fn url_of(data_dir: &Path, database: &str) -> Result<String, PostgresError> {
    let place = place::Place::find(data_dir, identity::Identity::choose()?.as_ref())?;
    Ok(settings::url(&place.sock, database))
}

/// Ends whatever Postgres runs in the cluster of `data_dir` (one that outlived its parent); `false` when none does.
/// A cluster in use by a living hifi is refused.
///
/// # Errors
/// [`PostgresError::InUse`], or [`PostgresError::Orphan`] when it does not end.
pub fn stop_orphan(data_dir: &Path) -> Result<bool, PostgresError> {
    let place = place::Place::find(data_dir, identity::Identity::choose()?.as_ref())?;
    if !place.data.join("PG_VERSION").exists() {
        return Ok(false);
    }
    let _lock = place.lock()?;
    pidfile::end_orphan(&place.data)
}
