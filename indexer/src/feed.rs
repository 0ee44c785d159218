//! Updates in memory for whoever shows them live: a bounded ring, pulled by cursor, and a snapshot cut between two blocks.
//!
//! The follower pushes (`publish`) right after `project`, before Postgres has the block; the api pulls. A pull never loses:
//! who is too late gets [`Next::Lagged`] and starts again from [`Feed::snapshot`]. Nobody here waits for a reader or for Postgres.

use crate::{
    MarketHead, Update,
    project::{Candle, OpenOrder, State, Ticker, Token},
    source::{Block, Cursor},
};
use alloy_primitives::Address;
use orderbook::{AccountId, Book, Market, OrderId, TokenId};
use parking_lot::{Mutex, RwLock};
use std::{
    collections::VecDeque,
    sync::{Arc, OnceLock},
};
use tokio::sync::watch;

/// A handle on the live blocks; cheap to clone.
#[derive(Clone)]
pub struct Feed {
    shared: Arc<Shared>,
}

/// What comes after a block.
#[derive(Clone, Debug)]
pub enum Next {
    Update(Arc<Update>),
    /// The block asked for is no longer held; `first` is the oldest that is. Take a snapshot.
    Lagged {
        first: u64,
    },
    /// The indexer has stopped and will publish no more.
    Closed,
}

/// Everything the exchange is after `cursor`, as one value.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub cursor: Cursor,
    /// Unix milliseconds of that block; 0 before the first.
    pub time_ms: u64,
    /// By market number.
    pub markets: Vec<MarketSnapshot>,
    /// By token number.
    pub tokens: Vec<Token>,
    /// Tokens' names for people, in the order of `tokens`.
    pub token_names: Vec<String>,
    /// By account number.
    pub accounts: Vec<(AccountId, Address)>,
}

/// One market after a block.
#[derive(Clone, Debug)]
pub struct MarketSnapshot {
    pub market: Market,
    pub head: MarketHead,
    pub book: Book,
    /// Bars whose bucket holds the market's last trade, one of each resolution; empty before the first trade.
    pub bars: Vec<Candle>,
    /// Trades of the last 24 hours, minute by minute.
    pub ticker: Ticker,
    /// Orders that are open or unclaimed, with what their `Placed` said; in no particular order.
    pub orders: Vec<(OrderId, OpenOrder)>,
}

struct Shared {
    state: Mutex<State>,
    ring: RwLock<Ring>,
    head: watch::Sender<u64>,
    stored: watch::Sender<u64>,
    closed: OnceLock<()>,
    names: alloy_primitives::map::HashMap<Address, String>,
}

struct Ring {
    updates: VecDeque<(Arc<Update>, usize)>,
    bytes: usize,
    updates_max: usize,
    bytes_max: usize,
}

impl Feed {
    /// A feed whose first update will be the child of `state`'s cursor.
    pub fn new(
        state: State,
        stored: u64,
        updates_max: usize,
        bytes_max: usize,
        names: alloy_primitives::map::HashMap<Address, String>,
    ) -> Feed {
        let head = watch::Sender::new(state.cursor().block);
        let ring = Ring { updates: VecDeque::new(), bytes: 0, updates_max, bytes_max };
        let shared = Shared {
            state: Mutex::new(state),
            ring: RwLock::new(ring),
            head,
            stored: watch::Sender::new(stored),
            closed: OnceLock::new(),
            names,
        };
        Feed { shared: Arc::new(shared) }
    }

    /// The update of block `after + 1`; waits while that block does not exist yet. Safe to drop while waiting.
    pub async fn next(&self, after: u64) -> Next {
        let mut head = self.shared.head.subscribe();
        loop {
            let newest = *head.borrow_and_update();
            if newest > after {
                let ring = self.shared.ring.read();
                return match ring.get(after + 1) {
                    Some(update) => Next::Update(update),
                    None => Next::Lagged { first: ring.first().unwrap_or(newest + 1) },
                };
            }
            if self.shared.closed.get().is_some() {
                return Next::Closed;
            }
            if head.changed().await.is_err() {
                return Next::Closed;
            }
        }
    }

    /// The update of a block, if it is held. Never waits.
    pub fn get(&self, block: u64) -> Option<Arc<Update>> {
        self.shared.ring.read().get(block)
    }

    /// First and last block held; `None` before the first block after the start.
    pub fn held(&self) -> Option<(u64, u64)> {
        let ring = self.shared.ring.read();
        Some((ring.first()?, ring.updates.back()?.0.block))
    }

    /// Projects the next block and shows it: all that a follower does, for whoever has blocks but no Postgres (tests, tools).
    ///
    /// # Errors
    /// A block that cannot follow: the state is as before, or no longer to be used if a log contradicted its mirror.
    pub fn apply(&self, block: &Block) -> Result<Arc<Update>, crate::Error> {
        self.publish(|state| state.apply(block))
    }

    /// The newest block projected.
    pub fn head(&self) -> u64 {
        *self.shared.head.borrow()
    }

    /// The newest block whose history Postgres has committed. May fall when a database is restored.
    pub fn stored(&self) -> watch::Receiver<u64> {
        self.shared.stored.subscribe()
    }

    /// The whole state between two blocks: a clone, so the follower waits for as long as copying takes (about a millisecond for each
    /// ten thousand orders). Call it from a blocking thread, at start and after [`Next::Lagged`]; the next update is `cursor.block + 1`.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.state.lock().snapshot(&self.shared.names)
    }

    /// Runs the follower's step on the state, then shows its result to everyone.
    pub(crate) fn publish<E>(&self, step: impl FnOnce(&mut State) -> Result<Update, E>) -> Result<Arc<Update>, E> {
        // Held until the ring has the update, so that a snapshot's successor is always there or still to come.
        let mut state = self.shared.state.lock();
        let update = Arc::new(step(&mut state)?);
        self.shared.ring.write().push(update.clone());
        self.shared.head.send_replace(update.block);
        Ok(update)
    }

    pub(crate) fn cursor(&self) -> Cursor {
        self.shared.state.lock().cursor()
    }

    pub(crate) fn set_stored(&self, block: u64) {
        self.shared.stored.send_replace(block);
    }

    /// Wakes everyone who waits; nothing is published any more.
    pub fn close(&self) {
        let _ = self.shared.closed.set(());
        self.shared.head.send_modify(|_| ());
    }

    /// The operator's name of a token, else `T<number>`.
    pub fn token_name(&self, token: TokenId, at: &Address) -> String {
        token_name(&self.shared.names, token, at)
    }
}

/// The operator's name of a token, else `T<number>`.
pub(crate) fn token_name(names: &alloy_primitives::map::HashMap<Address, String>, token: TokenId, at: &Address) -> String {
    names.get(at).cloned().unwrap_or_else(|| format!("T{}", token.0))
}

impl Ring {
    fn first(&self) -> Option<u64> {
        self.updates.front().map(|(update, _)| update.block)
    }

    fn get(&self, block: u64) -> Option<Arc<Update>> {
        let place = block.checked_sub(self.first()?)?;
        self.updates.get(usize::try_from(place).ok()?).map(|(update, _)| update.clone())
    }

    fn push(&mut self, update: Arc<Update>) {
        if let Some((last, _)) = self.updates.back() {
            assert_eq!(last.block + 1, update.block, "the ring has no holes");
        }
        let bytes = update.bytes_held();
        self.bytes += bytes;
        self.updates.push_back((update, bytes));
        while self.updates.len() > 1 && (self.updates.len() > self.updates_max || self.bytes > self.bytes_max) {
            let (_, gone) = self.updates.pop_front().expect("the ring holds more than one update");
            self.bytes -= gone;
        }
    }
}
