//! The writer's loop: pulls updates from the feed, writes them, flushes state beside, and begins anew whenever Postgres was away.
//!
//! ```text
//! begin: lock, migrate, load state at S, replay S+1 ..= C comparing digests (every restart proves its own tail)
//! loop:  feed.next(C) --Update--> rows of one or more blocks + cursor, committed --> pending values --each 100 blocks or 10 s--> flush
//!                     --Lagged--> flush, private follower from C until the ring holds the next block again
//! any Postgres error: drop the connections, begin anew at the cursors found; the live feed goes on meanwhile
//! ```
//! A connection lost during COMMIT is no special case: the cursor says what happened.

use crate::{
    Config, Cursor, Error, Feed, Source, Update,
    feed::Next,
    follower::Private,
    metrics,
    project::State,
    store::{self, BlockWriter, Encoded, Mark, Pending, StateWriter},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;

/// Rows and blocks of one transaction when catching up.
const BATCH_ROWS_MAX: usize = 65_536;
const BATCH_BLOCKS_MAX: usize = 1_024;
/// Pause before Postgres is tried again, doubling up to the second.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Both writers at their cursors, with what is not flushed yet.
pub(crate) struct Session {
    writer: BlockWriter,
    /// `None` while a flush has it.
    state_writer: Option<StateWriter>,
    flushing: Option<JoinHandle<Result<(StateWriter, Mark), Error>>>,
    pending: Pending,
    /// Blocks merged since the last flush began.
    unflushed: u64,
    flushed_at: Instant,
}

/// What a start or a reconnect ends in: the session, and the state at the rows cursor.
pub(crate) struct Begun {
    pub session: Session,
    pub state: State,
}

/// Opens the database and replays from the state cursor to the rows cursor, comparing digests.
pub(crate) async fn begin<S: Source>(config: &Config, source: S) -> Result<Begun, Error> {
    let mut writer = store::open(config).await?;
    let mut state_writer = StateWriter::open(&config.postgres).await?;
    let (state, marks) = store::load::load(writer.connection(), config.exchange).await?;
    state_writer.begin_at(marks.state.cursor);
    let mut pending = Pending::default();
    let mut follower = Private::new(source, state);
    if marks.rows.cursor != marks.state.cursor {
        let stored = store::load::digests(writer.connection(), marks.state.cursor.block, marks.rows.cursor.block).await?;
        let mut stored = stored.into_iter();
        let mut encoded = Encoded::default();
        follower
            .follow_to(marks.rows.cursor, |update| {
                encoded.clear();
                compare(update.block, stored.next(), encoded.push(update, &config.token_names))?;
                pending.merge(update);
                Ok(())
            })
            .await?;
    }
    let unflushed = marks.rows.cursor.block - marks.state.cursor.block;
    let session = Session { writer, state_writer: Some(state_writer), flushing: None, pending, unflushed, flushed_at: Instant::now() };
    Ok(Begun { session, state: follower.state })
}

fn compare(block: u64, stored: Option<Vec<u8>>, computed: [u8; 32]) -> Result<(), Error> {
    let stored = stored.unwrap_or_default();
    if stored == computed {
        return Ok(());
    }
    let hex = alloy_primitives::hex::encode_prefixed::<&[u8]>;
    Err(Error::Digest { block, stored: hex(&stored[..]), computed: hex(&computed[..]) })
}

/// Writes until the feed is closed and drained; then flushes. Returns early only with an error that is not Postgres'.
pub(crate) async fn run<S: Source + Clone>(config: Config, mut source: S, feed: Feed, session: Session) -> Result<(), Error> {
    let mut session = session;
    let mut pause = RETRY.0;
    loop {
        let from = session.writer.cursor();
        let error = match write(&config, &mut source, &feed, &mut session).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if !error.is_postgres() {
            return Err(error);
        }
        if session.writer.cursor() != from {
            pause = RETRY.0;
        }
        tracing::warn!(%error, block = session.writer.cursor().block, "postgres is away: the live feed goes on");
        // The old lock must be free before the new session asks for it.
        drop(session);
        session = loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY.1);
            match begin(&config, source.clone()).await {
                Ok(begun) => break begun.session,
                Err(error) if error.is_postgres() || matches!(error, Error::Migrate(_)) => {
                    tracing::warn!(%error, "postgres is still away");
                }
                Err(error) => return Err(error),
            }
        };
        metrics::reconnected();
        let stored = session.writer.cursor().block;
        feed.set_stored(stored);
        tracing::info!(block = stored, "postgres is back");
    }
}

async fn write<S: Source + Clone>(config: &Config, source: &mut S, feed: &Feed, session: &mut Session) -> Result<(), Error> {
    loop {
        let wait = session.flush_due_in(config);
        match tokio::time::timeout(wait, feed.next(session.writer.cursor().block)).await {
            Ok(Next::Update(first)) => {
                let batch = gather(feed, &session.writer, first);
                session.write(feed, &batch).await?;
            }
            Ok(Next::Lagged { first }) => {
                tracing::warn!(block = session.writer.cursor().block, first, "the writer is behind the feed: a follower of its own");
                catch_up(config, source, feed, session).await?;
            }
            Ok(Next::Closed) => {
                session.flush_all(source).await?;
                return Ok(());
            }
            Err(_) => {}
        }
        session.flush_if_due(config, source).await?;
    }
}

/// Blocks that the feed holds already, as far as they fit into one transaction with the first.
fn gather(feed: &Feed, writer: &BlockWriter, first: Arc<Update>) -> Vec<Arc<Update>> {
    let start = first.block;
    let mut rows = first.rows();
    let mut batch = vec![first];
    while batch.len() < BATCH_BLOCKS_MAX && rows < BATCH_ROWS_MAX {
        let next = start + batch.len() as u64;
        let Some(update) = feed.get(next).filter(|_| writer.joins(start, next)) else { break };
        rows += update.rows();
        batch.push(update);
    }
    batch
}

/// The ring has forgotten the writer's next block: follow alone from Postgres' own state until the ring holds it again.
async fn catch_up<S: Source + Clone>(config: &Config, source: &mut S, feed: &Feed, session: &mut Session) -> Result<(), Error> {
    session.flush_all(source).await?;
    let (state, marks) = store::load::load(session.writer.connection(), config.exchange).await?;
    assert_eq!(marks.rows, marks.state, "all was flushed, and nobody else writes");
    let mut follower = Private::new(source.clone(), state);
    while feed.get(session.writer.cursor().block + 1).is_none() {
        let mut updates = follower.next().await?;
        while !updates.is_empty() {
            let first = updates[0].block;
            let mut rows = 0;
            let joined = updates.iter().take_while(|update| {
                rows += update.rows();
                session.writer.joins(first, update.block) && (rows <= BATCH_ROWS_MAX || update.block == first)
            });
            let rest = updates.split_off(joined.count());
            session.write(feed, &updates).await?;
            updates = rest;
        }
        session.flush_if_due(config, source).await?;
    }
    Ok(())
}

impl Session {
    /// The last block committed.
    pub fn stored(&self) -> Cursor {
        self.writer.cursor()
    }

    async fn write(&mut self, feed: &Feed, batch: &[Arc<Update>]) -> Result<(), Error> {
        let begun = Instant::now();
        let rows = self.writer.write(batch).await?;
        metrics::stored(begun.elapsed(), batch.len(), rows);
        for update in batch {
            self.pending.merge(update);
        }
        self.unflushed += batch.len() as u64;
        let stored = self.writer.cursor().block;
        feed.set_stored(stored);
        metrics::heights(feed.head(), stored);
        Ok(())
    }

    /// How long to wait for a block before looking at the flush again.
    fn flush_due_in(&self, config: &Config) -> Duration {
        let due = Duration::from_millis(config.flush_ms).saturating_sub(self.flushed_at.elapsed());
        if self.flushing.is_some() || self.unflushed == 0 { Duration::from_secs(1) } else { due.max(Duration::from_millis(1)) }
    }

    /// Begins a flush beside the rows if it is time, and takes the result of the one before.
    async fn flush_if_due<S: Source>(&mut self, config: &Config, source: &mut S) -> Result<(), Error> {
        if self.flushing.as_ref().is_some_and(JoinHandle::is_finished) {
            self.finish_flush(source).await?;
        }
        let due = self.unflushed >= config.flush_blocks || self.flushed_at.elapsed() >= Duration::from_millis(config.flush_ms);
        if due && self.unflushed > 0 && self.flushing.is_none() {
            self.begin_flush();
        }
        Ok(())
    }

    fn begin_flush(&mut self) {
        let (Some(mut writer), Some(upto)) = (self.state_writer.take(), self.pending.upto) else { return };
        let pending = std::mem::take(&mut self.pending);
        self.unflushed = 0;
        self.flushed_at = Instant::now();
        self.flushing = Some(tokio::spawn(async move {
            let begun = Instant::now();
            let values = writer.flush(&pending).await?;
            metrics::flushed(begun.elapsed(), values);
            Ok((writer, upto))
        }));
    }

    async fn finish_flush<S: Source>(&mut self, source: &mut S) -> Result<(), Error> {
        // By reference: should this future be dropped while waiting, `Drop` still finds the flush and ends it.
        if let Some(flushing) = &mut self.flushing {
            let flushed = flushing.await;
            self.flushing = None;
            let (writer, upto) = flushed.map_err(|_| Error::Stopped)??;
            self.state_writer = Some(writer);
            // From here on a restart needs no older block.
            source.release(upto.cursor);
        }
        Ok(())
    }

    /// Flushes until nothing is pending.
    async fn flush_all<S: Source>(&mut self, source: &mut S) -> Result<(), Error> {
        self.finish_flush(source).await?;
        if self.pending.upto.is_some() {
            self.begin_flush();
            self.finish_flush(source).await?;
        }
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(flushing) = self.flushing.take() {
            flushing.abort();
        }
    }
}
