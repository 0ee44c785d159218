//! One market's order book: every order, every level word, the best prices. Two drivers move it: `Engine::apply` decides,
//! [`Book::replay`] follows events; after the same commands both books, and the contract's storage, are equal word by word.
//!
//! Costs: best price three word scans; placing, cancelling, filling an order one hash and one ordered-map step; depth O(levels asked).
//! Nothing here walks a queue or a side. Never reads a clock, never does I/O, never knows who the taker is.
//!
//! Invariants, after every operation: the law of a level (`level.rs`), a price is in the bitmap exactly if its level holds open lots,
//! and the best bid is below the best ask.

mod bitmap;
mod change;
mod depth;
mod level;
mod replay;

pub(crate) use change::Before;
pub use depth::DepthLevel;
pub(crate) use level::Level;
pub use level::{LevelWord, Record};
pub use replay::ReplayError;

use crate::{AccountId, LevelKey, Lots, Market, OrderId, Side, Ticks};
use alloy_primitives::{U256, map::HashMap};
use bitmap::Bitmap;

/// An order as its owner sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    pub id: OrderId,
    pub account: AccountId,
    /// Lots that can still be taken or cancelled.
    pub left: Lots,
    /// Filled lots that a claim would pay.
    pub unclaimed: Lots,
    /// Seconds; 0 never expires.
    pub expiry_s: u32,
}

/// One market's orders.
#[derive(Clone, Debug)]
pub struct Book {
    market: Market,
    sides: [BookSide; 2],
    /// An order just dropped with filled lots: its `Claimed` is the next event.
    dropped: Option<(OrderId, AccountId, Lots)>,
}

#[derive(Clone, Debug)]
struct BookSide {
    /// Prices with open lots.
    prices: Bitmap,
    /// Every level ever used: its tail is kept for ever.
    levels: HashMap<u32, Level>,
}

impl Book {
    /// An empty book.
    pub fn new(market: Market) -> Book {
        let side = BookSide { prices: Bitmap::new(), levels: HashMap::default() };
        Book { market, sides: [side.clone(), side], dropped: None }
    }

    /// Rebuilds a book from what a reader stored: the word of every level ever used and the records not yet gone, in any order
    /// (as [`Book::levels`] and [`Book::records`] give them).
    ///
    /// # Errors
    /// Words and records that do not belong together, or a crossed book.
    pub fn restore(
        market: Market,
        levels: impl IntoIterator<Item = (LevelKey, U256)>,
        records: impl IntoIterator<Item = (OrderId, Record)>,
    ) -> Result<Book, ReplayError> {
        let mut book = Book::new(market);
        for (key, word) in levels {
            book.own(key)?;
            let word = LevelWord::from_word(word).ok_or(ReplayError::BadLevelWord { level: key, word, why: "the low bits are zero" })?;
            let side = &mut book.sides[key.side as usize];
            side.levels.insert(key.ticks.0, Level { word, ..Level::default() });
            if word.open.0 > 0 {
                side.prices.insert(key.ticks);
            }
        }
        for (order, record) in records {
            book.own(order.level)?;
            let level = book.level_mut(order.level).ok_or(ReplayError::UnknownOrder { order })?;
            let queue = if order.index < level.word.head { &mut level.past } else { &mut level.live };
            queue.insert(order.index, record);
        }
        book.check()?;
        Ok(book)
    }

    pub fn market(&self) -> &Market {
        &self.market
    }

    pub(crate) fn market_mut(&mut self) -> &mut Market {
        &mut self.market
    }

    /// The best price of a side.
    pub fn best(&self, side: Side) -> Option<Ticks> {
        let prices = &self.sides[side as usize].prices;
        match side {
            Side::Bid => prices.at_or_below(Ticks::MAX),
            Side::Ask => prices.at_or_above(Ticks(0)),
        }
    }

    /// The best price of a side that is worse than `ticks`.
    pub fn best_beyond(&self, side: Side, ticks: Ticks) -> Option<Ticks> {
        let prices = &self.sides[side as usize].prices;
        match side {
            Side::Bid => prices.at_or_below(Ticks(ticks.0.checked_sub(1)?)),
            Side::Ask => prices.at_or_above(Ticks(ticks.0 + 1)),
        }
    }

    /// The best price that an order of `side` at `limit` would take from, if it crosses.
    pub fn crossing(&self, side: Side, limit: Ticks) -> Option<Ticks> {
        self.best(side.opposite()).filter(|best| crosses(side, limit, *best))
    }

    /// True if bids and asks overlap, which no sequence of events may bring about.
    pub fn crossed(&self) -> bool {
        self.best(Side::Bid).zip(self.best(Side::Ask)).is_some_and(|(bid, ask)| bid >= ask)
    }

    /// An order that rests or waits for its claim; `None`: never placed, cancelled, or claimed.
    pub fn order(&self, id: OrderId) -> Option<Order> {
        let level = self.level(id.level)?;
        match level.live.get(&id.index) {
            Some(record) => Some(live_order(id, level, record)),
            None => level.past.get(&id.index).map(|record| past_order(id, record)),
        }
    }

    /// What rests on a side, best price first, each price in queue order.
    pub fn orders(&self, side: Side) -> impl Iterator<Item = Order> + '_ {
        let mut next = self.best(side);
        std::iter::from_fn(move || {
            let ticks = next?;
            next = self.best_beyond(side, ticks);
            Some(ticks)
        })
        .flat_map(move |ticks| self.orders_at(LevelKey { market: self.market.id, side, ticks }))
    }

    /// What rests at one price, in queue order.
    pub fn orders_at(&self, key: LevelKey) -> impl Iterator<Item = Order> + '_ {
        self.level(key).into_iter().flat_map(move |level| {
            level.live.iter().map(move |(index, record)| live_order(OrderId { level: key, index: *index }, level, record))
        })
    }

    /// Orders filled and not yet claimed, in no particular order.
    pub fn unclaimed(&self) -> impl Iterator<Item = Order> + '_ {
        self.all_levels().flat_map(|(key, level)| {
            let past = level.past.iter().map(move |(index, record)| past_order(OrderId { level: key, index: *index }, record));
            let head = level.live.get(&level.word.head).filter(|_| level.word.head_filled.0 > 0);
            past.chain(head.map(|record| live_order(OrderId { level: key, index: level.word.head }, level, record)))
        })
    }

    /// Every record kept, in no particular order; with [`Book::levels`] all that [`Book::restore`] needs.
    pub fn records(&self) -> impl Iterator<Item = (OrderId, Record)> + '_ {
        self.all_levels().flat_map(|(key, level)| {
            let records = level.past.iter().chain(level.live.iter());
            records.map(move |(index, record)| (OrderId { level: key, index: *index }, *record))
        })
    }

    /// The word of every level ever used, in no particular order.
    pub fn levels(&self) -> impl Iterator<Item = (LevelKey, U256)> + '_ {
        self.all_levels().map(|(key, level)| (key, level.word.to_word()))
    }

    /// The word of a level; all zero if it was never used.
    pub fn level_word(&self, key: LevelKey) -> LevelWord {
        self.level(key).map_or(LevelWord::default(), |level| level.word)
    }

    /// The word that holds the records of indexes 2 x `half` and 2 x `half` + 1, as the contract stores it.
    pub fn order_word(&self, key: LevelKey, half: u64) -> U256 {
        let Some(level) = self.level(key) else { return U256::ZERO };
        let bits = |index: u64| level.live.get(&index).or_else(|| level.past.get(&index)).map_or(0, Record::bits);
        U256::from(bits(half * 2)) | U256::from(bits(half * 2 + 1)) << 128
    }

    /// A word of the bitmap tree of prices, as the contract stores it; depth 0 root, 1 branch, 2 leaf.
    pub fn bits_word(&self, side: Side, depth: u8, word: u32) -> U256 {
        self.sides[side as usize].prices.word(depth, word)
    }

    /// Checks every invariant, O(orders); for tests, restores and verification.
    ///
    /// # Errors
    /// The first law that is broken.
    pub fn check(&self) -> Result<(), ReplayError> {
        for (key, level) in self.all_levels() {
            level.check().map_err(|why| ReplayError::BadLevelWord { level: key, word: level.word.to_word(), why })?;
            let listed = self.sides[key.side as usize].prices.at_or_above(key.ticks) == Some(key.ticks);
            if listed != (level.word.open.0 > 0) {
                let why = "a price is listed exactly if it holds open lots";
                return Err(ReplayError::BadLevelWord { level: key, word: level.word.to_word(), why });
            }
        }
        self.uncrossed()
    }

    fn uncrossed(&self) -> Result<(), ReplayError> {
        match (self.best(Side::Bid), self.best(Side::Ask)) {
            (Some(bid), Some(ask)) if bid >= ask => Err(ReplayError::Crossed { bid, ask }),
            _ => Ok(()),
        }
    }

    fn own(&self, key: LevelKey) -> Result<(), ReplayError> {
        if key.market != self.market.id {
            return Err(ReplayError::ForeignMarket { expected: self.market.id, found: key.market });
        }
        if key.ticks.0 == 0 || key.ticks > Ticks::MAX { Err(ReplayError::BadTicks { ticks: key.ticks }) } else { Ok(()) }
    }

    pub(crate) fn level(&self, key: LevelKey) -> Option<&Level> {
        self.sides[key.side as usize].levels.get(&key.ticks.0)
    }

    /// Tells a book that began in the middle where the queue of an empty level stands; a level it knows stays as it is.
    pub(crate) fn adopt(&mut self, key: LevelKey, tail: u64) {
        let word = LevelWord { tail, head: tail, ..LevelWord::default() };
        self.sides[key.side as usize].levels.entry(key.ticks.0).or_insert_with(|| Level { word, ..Level::default() });
    }

    fn level_mut(&mut self, key: LevelKey) -> Option<&mut Level> {
        self.sides[key.side as usize].levels.get_mut(&key.ticks.0)
    }

    fn all_levels(&self) -> impl Iterator<Item = (LevelKey, &Level)> + '_ {
        [Side::Bid, Side::Ask].into_iter().flat_map(move |side| {
            let levels = self.sides[side as usize].levels.iter();
            levels.map(move |(ticks, level)| (LevelKey { market: self.market.id, side, ticks: Ticks(*ticks) }, level))
        })
    }
}

/// True if an order of `side` at `limit` trades with the other side's price `best`.
pub(crate) fn crosses(side: Side, limit: Ticks, best: Ticks) -> bool {
    match side {
        Side::Bid => best <= limit,
        Side::Ask => best >= limit,
    }
}

pub(crate) fn live_order(id: OrderId, level: &Level, record: &Record) -> Order {
    Order {
        id,
        account: record.account,
        left: level.left(id.index, record),
        unclaimed: level.filled(id.index),
        expiry_s: record.aux as u32,
    }
}

fn past_order(id: OrderId, record: &Record) -> Order {
    let unclaimed = if record.skipped { Lots(record.aux) } else { record.lots };
    let expiry_s = if record.skipped { 0 } else { record.aux as u32 };
    Order { id, account: record.account, left: Lots(0), unclaimed, expiry_s }
}
