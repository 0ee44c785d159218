//! Follows a node's block log, turns exchange logs into events, keeps history in Postgres and hands every block on at once.
//!
//! ```text
//! Source --Block--> decode --Vec<Event>--> project::State --Update--> feed (ring in memory) --> api, live
//!        `------- follower, a thread of its own -------'                \--> store (Postgres: rows and cursor in one transaction)
//! ```
//! Called by the root package (`hifi up`, `hifi index`); [`Indexer::start`] is the door, [`Feed`] and [`Reader`] are what the api gets.
//! Never writes to the chain; live data never waits for Postgres; every stored byte is a function of the chain.

mod config;
mod decode;
mod error;
pub mod feed;
mod follower;
mod metrics;
pub mod postgres;
pub mod project;
mod run;
pub mod source;
pub mod store;
pub mod verify;

pub use config::Config;
pub use error::{Error, ReadError};
pub use feed::{Feed, MarketSnapshot, Next, Snapshot};
pub use project::{Candle, Changes, MarketHead, Record, Update};
pub use source::{Block, Cursor, Source, SourceError};
pub use store::Reader;
pub use verify::{Outcome, verify};

use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// Longest a stop waits for Postgres to take what is left; the next start replays the rest.
const STOP: Duration = Duration::from_secs(4);

/// The indexer as a whole.
#[derive(Debug)]
pub struct Indexer;

/// A running indexer. Drop it only after [`Handle::shutdown`]: a dropped one stops without a last flush.
pub struct Handle {
    /// Live blocks and snapshots.
    pub feed: Feed,
    /// Pages of history.
    pub reader: Reader,
    cancel: CancellationToken,
    follower: Option<std::thread::JoinHandle<()>>,
    writer: Option<JoinHandle<()>>,
    halted: watch::Receiver<Option<Arc<Error>>>,
}

impl Indexer {
    /// Opens the database (waits for another indexer to leave it), proves its tail against the chain, and follows from there.
    /// Needs Postgres to begin; afterwards Postgres may go and come. `source` is cloned for the writer: each clone has its own place,
    /// and `release` on any of them speaks for all.
    ///
    /// # Errors
    /// Postgres away, another chain's database, blocks that the source has forgotten, or a stored tail that is not the chain's.
    pub async fn start<S: Source + Clone + Sync + 'static>(config: Config, source: S) -> Result<Handle, Error> {
        let begun = run::begin(&config, source.clone()).await?;
        let stored = begun.session.stored().block;
        let feed = Feed::new(begun.state, stored, config.ring_updates_max, config.ring_bytes_max, config.token_names.clone());
        let reader = Reader::new(config.postgres_read.clone(), config.read_connections_max);
        let cancel = CancellationToken::new();
        let (halt, halted) = watch::channel(None);
        let halt = Arc::new(halt);
        tracing::info!(block = stored, "index.started");

        let runtime = tokio::runtime::Handle::current();
        let follower = {
            let (source, feed, cancel, halt) = (source.clone(), feed.clone(), cancel.clone(), halt.clone());
            let follow = move || {
                if let Err(error) = runtime.block_on(follower::run(source, feed.clone(), cancel)) {
                    halted_by(&halt, error);
                }
                feed.close();
            };
            std::thread::Builder::new().name("hifi-follower".into()).spawn(follow).map_err(Error::Thread)?
        };
        let writer = {
            let feed = feed.clone();
            tokio::spawn(async move {
                if let Err(error) = run::run(config, source, feed, begun.session).await {
                    halted_by(&halt, error);
                }
            })
        };
        Ok(Handle { feed, reader, cancel, follower: Some(follower), writer: Some(writer), halted })
    }
}

impl Handle {
    /// Resolves when the indexer has stopped by itself: a broken log, a second writer, another chain. Log it and end with its
    /// [`Error::exit_code`].
    pub async fn halted(&self) -> Arc<Error> {
        let mut halted = self.halted.clone();
        loop {
            if let Some(error) = halted.borrow_and_update().clone() {
                return error;
            }
            if halted.changed().await.is_err() {
                return Arc::new(Error::Stopped);
            }
        }
    }

    /// Stops following, writes what is held, flushes state, ends the connections; at most four seconds.
    ///
    /// # Errors
    /// Why the indexer had stopped before, if it had. What Postgres could not take in time is indexed by the next start.
    pub async fn shutdown(mut self) -> Result<(), Arc<Error>> {
        self.cancel.cancel();
        if let Some(follower) = self.follower.take() {
            // The thread ends after the block it is at.
            let _ = tokio::task::spawn_blocking(move || follower.join()).await;
        }
        if let Some(mut writer) = self.writer.take()
            && tokio::time::timeout(STOP, &mut writer).await.is_err()
        {
            tracing::warn!("postgres did not take the last blocks in time: the next start indexes them");
            writer.abort();
        }
        self.reader.close().await;
        match self.halted.borrow().clone() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // The writer first: a closed feed would let it begin its last flush.
        if let Some(writer) = &self.writer {
            writer.abort();
        }
        self.cancel.cancel();
    }
}

/// Keeps the first reason.
fn halted_by(halt: &watch::Sender<Option<Arc<Error>>>, error: Error) {
    tracing::error!(%error, "index.halted");
    halt.send_if_modified(|held| {
        let first = held.is_none();
        if first {
            *held = Some(Arc::new(error));
        }
        first
    });
}
