//! What every request and every socket shares.

use crate::books::{BlockHead, MarketState};
use crate::config::Config;
use crate::error::Error;
use crate::limit::Limiter;
use crate::metrics::Metrics;
use crate::outbox::Totals;
use crate::sequencer::Core;
use crate::submit::Node;
use indexer::feed::Feed;
use indexer::store::Reader;
use orderbook::MarketId;
use parking_lot::{RwLock, RwLockReadGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long a GET waits for `min_block`.
const MIN_BLOCK_WAIT: Duration = Duration::from_secs(2);

pub struct Shared {
    pub config: Config,
    pub feed: Feed,
    pub reader: Option<Reader>,
    pub node: Node,
    pub core: RwLock<Core>,
    /// The newest block published here.
    pub newest: watch::Sender<u64>,
    pub limiter: Limiter,
    pub totals: Arc<Totals>,
    pub metrics: Metrics,
    pub sockets: AtomicUsize,
    pub socket_ids: AtomicU64,
    pub shutdown: CancellationToken,
}

/// What an answer tells in its headers.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub block: u64,
    pub seq: u64,
}

impl Shared {
    /// The core, if its books are there.
    ///
    /// # Errors
    /// -1008 while they are loaded.
    pub fn live(&self) -> Result<RwLockReadGuard<'_, Core>, Error> {
        let core = self.core.read();
        if core.live { Ok(core) } else { Err(Error::busy("The books are being loaded.")) }
    }

    /// Waits until a block is published here.
    ///
    /// # Errors
    /// -4102 after two seconds.
    pub async fn reach(&self, block: u64) -> Result<(), Error> {
        let mut newest = self.newest.subscribe();
        let reached = tokio::time::timeout(MIN_BLOCK_WAIT, newest.wait_for(|newest| *newest >= block)).await;
        match reached {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Error::block_not_there()),
        }
    }

    /// The last block whose history Postgres has.
    pub fn stored(&self) -> u64 {
        *self.feed.stored().borrow()
    }
}

impl Core {
    pub fn place(&self) -> Place {
        Place { block: self.head.number, seq: self.seq }
    }

    pub fn head(&self) -> BlockHead {
        self.head
    }

    /// A known market by number.
    ///
    /// # Errors
    /// -1121, naming the highest.
    pub fn known(&self, market: u32) -> Result<&MarketState, Error> {
        self.books.market(MarketId(market)).ok_or_else(|| Error::unknown_market_below(self.books.highest()))
    }
}
