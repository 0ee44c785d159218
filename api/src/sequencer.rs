//! One thread turns blocks into numbered records for both surfaces.
//!
//! ```text
//! Feed --Arc<Update>--> Books::apply --Applied--> ring (resume) and Fanout::publish --> outboxes
//! ```
//! Everything happens under one lock, block by block: whoever subscribes or copies a book does so between two blocks. The thread awaits
//! nothing but the next block, and never asks Postgres.

use crate::books::{BlockHead, Books, DepthMove};
use crate::fanout::Fanout;
use crate::outbox::{Close, REBUILT};
use crate::state::Shared;
use indexer::Update;
use indexer::feed::{Feed, Next};
use indexer::project::seq;
use orderbook::{Event, MarketId};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

/// A block as both surfaces number it; kept in the ring for `from`.
#[derive(Debug)]
pub struct Applied {
    pub update: Arc<Update>,
    pub head: BlockHead,
    /// Of the `blocks` stream: last log of the block, or its first possible one if it has none.
    pub seq: Link,
    pub moves: Vec<Arc<DepthMove>>,
    /// Of the `trades` stream of all markets.
    pub trades: Option<Link>,
    /// Of the `trades` and `book` streams of each market they moved.
    pub markets: Vec<MarketLinks>,
}

/// A message's number and that of the one before it on its stream (0: before the start of this process).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    pub prev: u64,
    pub seq: u64,
}

#[derive(Clone, Copy, Debug)]
pub struct MarketLinks {
    pub market: MarketId,
    pub trades: Option<Link>,
    pub book: Option<Link>,
}

/// Everything behind the one lock.
#[derive(Debug)]
pub struct Core {
    /// False while the books are being loaded or rebuilt: reads answer -1008.
    pub live: bool,
    pub head: BlockHead,
    /// Seq of the last `blocks` message.
    pub seq: u64,
    pub books: Books,
    /// Newest last.
    pub ring: VecDeque<Arc<Applied>>,
    pub fanout: Fanout,
    trades_seq: u64,
}

/// The market whose book an event moves, or that it is about.
pub fn market_of(event: &Event) -> Option<MarketId> {
    event.market()
}

/// True for the events that are records of the order-by-order book.
pub fn moves_book(event: &Event) -> bool {
    matches!(event, Event::Placed { .. } | Event::Reduced { .. } | Event::LevelFill { .. })
}

impl Core {
    /// At a snapshot of the feed.
    pub fn load(feed: &Feed) -> Core {
        let snapshot = feed.snapshot();
        let head = BlockHead { number: snapshot.cursor.block, hash: snapshot.cursor.hash, time_ms: snapshot.time_ms };
        let mut books = Books::from_snapshot(snapshot);
        let (seq, trades_seq) = remember(&mut books, feed, head.number);
        Core { live: true, head, seq, books, ring: VecDeque::new(), fanout: Fanout::default(), trades_seq }
    }

    /// Follows one block: books first, then numbers.
    pub fn apply(&mut self, update: &Arc<Update>, feed: &Feed, ring_max: usize) -> Arc<Applied> {
        let moves = self.books.apply(update, |token| feed.token_name(token.id, &token.at));
        let block = update.block;
        let last = update.records.last().map_or(0, |record| record.log);
        let link = Link { prev: self.seq, seq: seq(block, last) };
        self.seq = link.seq;
        self.head = BlockHead { number: block, hash: update.hash, time_ms: update.time_ms };
        let trades = update.changes.fills.last().map(|fill| {
            let link = Link { prev: self.trades_seq, seq: seq(block, fill.log) };
            self.trades_seq = link.seq;
            link
        });
        let markets = self.market_links(update);
        let applied = Arc::new(Applied { update: update.clone(), head: self.head, seq: link, moves, trades, markets });
        self.ring.push_back(applied.clone());
        if self.ring.len() > ring_max {
            self.ring.pop_front();
        }
        applied
    }

    fn market_links(&mut self, update: &Update) -> Vec<MarketLinks> {
        let block = update.block;
        let mut links = Vec::with_capacity(update.changes.heads.len());
        for head in &update.changes.heads {
            let Some(state) = self.books.markets.get_mut(&head.market) else { continue };
            let last_fill = update.changes.fills.iter().rev().find(|fill| fill.market == head.market);
            let last_record =
                update.records.iter().rev().find(|record| moves_book(&record.event) && market_of(&record.event) == Some(head.market));
            let link = |last: &mut u64, log: u32| {
                let prev = std::mem::replace(last, seq(block, log));
                Link { prev, seq: *last }
            };
            let trades = last_fill.map(|fill| link(&mut state.trades_seq, fill.log));
            let book = last_record.map(|record| link(&mut state.book_seq, record.log));
            links.push(MarketLinks { market: head.market, trades, book });
        }
        links
    }

    /// Blocks held from `block` on; `None` if one before the oldest held is wanted.
    pub fn held_from(&self, block: u64, most: usize) -> Option<Vec<Arc<Applied>>> {
        let first = self.ring_from();
        let skip = usize::try_from(block.checked_sub(first)?).ok()?;
        Some(self.ring.iter().skip(skip).take(most).cloned().collect())
    }

    /// First block whose messages can be sent again.
    pub fn ring_from(&self) -> u64 {
        self.ring.front().map_or(self.head.number + 1, |block| block.head.number)
    }

    /// First market whose book disagrees with the exchange.
    fn broken(&self) -> Option<String> {
        self.books.markets.values().find_map(|market| market.broken.clone())
    }
}

/// Takes over what the feed still holds of the blocks up to the snapshot: trades, bars and the streams' last numbers, so that a fresh start
/// shows them before history can. Returns the last seq of `blocks` and of all trades.
fn remember(books: &mut Books, feed: &Feed, head: u64) -> (u64, u64) {
    let (mut last, mut last_trade) = (seq(head, 0), 0);
    let Some((first, newest)) = feed.held() else { return (last, last_trade) };
    let mut links: HashMap<(MarketId, bool), u64> = HashMap::new();
    for update in (first..=newest.min(head)).rev().filter_map(|block| feed.get(block)) {
        let block = update.block;
        if block == head {
            last = update.records.last().map_or(last, |record| seq(block, record.log));
        }
        for fill in update.changes.fills.iter().rev() {
            last_trade = last_trade.max(seq(block, fill.log));
            links.entry((fill.market, true)).or_insert(seq(block, fill.log));
            if let Some(market) = books.markets.get_mut(&fill.market) {
                market.remember(fill, update.time_ms);
            }
        }
        for record in update.records.iter().rev().filter(|record| moves_book(&record.event)) {
            if let Some(market) = market_of(&record.event) {
                links.entry((market, false)).or_insert(seq(block, record.log));
            }
        }
        for bar in &update.changes.candles {
            if let Some(market) = books.markets.get_mut(&bar.market) {
                market.bars.put(bar.clone());
            }
        }
        if block == first {
            let from_ms = if first <= 1 { 0 } else { update.time_ms };
            books.markets.values_mut().for_each(|market| market.bars.known_since(from_ms));
        }
    }
    for ((market, is_trade), number) in links {
        if let Some(market) = books.markets.get_mut(&market) {
            *(if is_trade { &mut market.trades_seq } else { &mut market.book_seq }) = number;
        }
    }
    (last, last_trade)
}

/// The thread's loop: until the feed is closed or the api is shut down.
pub fn run(shared: &Shared, runtime: &tokio::runtime::Handle) {
    let mut after = shared.core.read().head.number;
    loop {
        let next = runtime.block_on(async {
            tokio::select! {
                next = shared.feed.next(after) => Some(next),
                () = shared.shutdown.cancelled() => None,
            }
        });
        match next {
            None | Some(Next::Closed) => return,
            Some(Next::Lagged { first }) => {
                tracing::warn!(after, first, "the api fell behind the feed and loads its books again");
                after = rebuild(shared);
            }
            Some(Next::Update(update)) => after = step(shared, &update).unwrap_or_else(|| rebuild(shared)),
        }
        let _ = shared.newest.send_replace(after);
    }
}

/// One block. `None`: a book disagreed, and nothing was published.
fn step(shared: &Shared, update: &Arc<Update>) -> Option<u64> {
    let started = Instant::now();
    let mut core = shared.core.write();
    let limits = &shared.config.limits;
    let block = core.apply(update, &shared.feed, limits.ring_blocks);
    if let Some(why) = core.broken() {
        tracing::error!(block = update.block, why, "a book disagrees with the exchange and is loaded again");
        return None;
    }
    let Core { fanout, books, .. } = &mut *core;
    fanout.publish(&block, books, &shared.totals, limits.outbox_bytes_all);
    drop(core);
    shared.metrics.block(started.elapsed());
    Some(update.block)
}

/// Ends every subscription and begins again at a snapshot of the feed. Returns its block.
fn rebuild(shared: &Shared) -> u64 {
    shared.core.write().live = false;
    let fresh = Core::load(&shared.feed);
    let mut core = shared.core.write();
    core.fanout.close_all(&Close::new(REBUILT, "book rebuilt"));
    *core = fresh;
    core.head.number
}
