//! Source > decode > project, one block after the other. The live follower runs on its own thread and publishes to the feed; the writer
//! and `verify` make private ones with the same [`State`]. A follower waits for its source alone: not for Postgres, not for readers.

use crate::{Cursor, Error, Feed, Source, SourceError, Update, metrics, project::State};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// Bytes of blocks asked for at once.
pub(crate) const BATCH_BYTES_MAX: usize = 4 << 20;
/// Pause after a lost node, doubling up to the second.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// Follows until `cancel`; runs on a thread of its own.
pub(crate) async fn run<S: Source>(mut source: S, feed: Feed, cancel: CancellationToken) -> Result<(), Error> {
    let mut cursor = feed.cursor();
    let mut pause = RETRY.0;
    loop {
        let blocks = tokio::select! {
            biased;
            () = cancel.cancelled() => return Ok(()),
            blocks = source.next(cursor, BATCH_BYTES_MAX) => blocks,
        };
        let blocks = match blocks {
            Ok(blocks) => blocks,
            Err(SourceError::Disconnected(error)) => {
                tracing::warn!(%error, "source.disconnected");
                tokio::select! {
                    () = cancel.cancelled() => return Ok(()),
                    () = tokio::time::sleep(pause) => {}
                }
                pause = (pause * 2).min(RETRY.1);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        pause = RETRY.0;
        for block in blocks {
            if cancel.is_cancelled() {
                return Ok(());
            }
            let begun = Instant::now();
            let update = feed.publish(|state| state.apply(&block))?;
            metrics::projected(begun.elapsed(), update.records.len(), update.changes.fills.len());
            cursor = Cursor { block: update.block, hash: update.hash };
        }
    }
}

/// A follower of one's own: a state and a source, pulled block by block.
pub(crate) struct Private<S> {
    source: S,
    pub state: State,
}

impl<S: Source> Private<S> {
    pub fn new(source: S, state: State) -> Private<S> {
        Private { source, state }
    }

    /// The next blocks as updates, at least one; waits at the head.
    pub async fn next(&mut self) -> Result<Vec<Arc<Update>>, Error> {
        let blocks = self.source.next(self.state.cursor(), BATCH_BYTES_MAX).await?;
        blocks.iter().map(|block| Ok(Arc::new(self.state.apply(block)?))).collect()
    }

    /// Follows to `end`, no further; hands over each update.
    ///
    /// # Errors
    /// [`SourceError::Unknown`] if the chain does not reach `end` or has another block there.
    pub async fn follow_to(&mut self, end: Cursor, mut each: impl FnMut(&Update) -> Result<(), Error>) -> Result<(), Error> {
        let head = self.source.head().await?;
        if head.block < end.block {
            return Err(SourceError::Unknown { at: end }.into());
        }
        while self.state.cursor().block < end.block {
            let blocks = self.source.next(self.state.cursor(), BATCH_BYTES_MAX).await?;
            for block in blocks.iter().take_while(|block| block.number <= end.block) {
                each(&self.state.apply(block)?)?;
            }
        }
        if self.state.cursor() != end {
            return Err(SourceError::Unknown { at: end }.into());
        }
        Ok(())
    }
}
