//! Ids ahead of time: the next order at a level gets the level's tail as its index, so the ids of a batch follow from the followed book.
//! With them a maker can cancel in its next batch what the batch under way is about to place.
//!
//! A prediction holds if nobody else rests at those levels, or moves the touch across them, between the book's block and the batch's.

use crate::{Book, LevelKey, Lots, Operation, OrderId, Side, Ticks, TimeInForce};
use std::collections::{BTreeMap, BTreeSet};

/// Per result word of a batch, the id of the order that will rest; `None`: none will (it takes, cancels, is left out, would be refused for
/// crossing), or how much of it rests depends on what it takes. `now_s` is the time of its block: what has expired by then stands in nobody's way.
pub fn order_ids(book: &Book, operations: &[Operation], now_s: u64) -> Vec<Option<OrderId>> {
    let mut ahead = Ahead { book, now_s, removed: BTreeSet::new(), added: BTreeMap::new() };
    let mut ids = Vec::with_capacity(operations.len());
    for operation in operations {
        match operation {
            Operation::Place { market, mode, ticks, .. } => {
                let level = LevelKey { market: *market, side: mode.side(), ticks: *ticks };
                ids.push(ahead.place(level, mode.tif()));
            }
            Operation::Replace { order, mode, ticks, .. } => {
                ahead.removed.insert(*order);
                ids.push(ahead.place(LevelKey { ticks: *ticks, ..order.level }, mode.tif()));
            }
            Operation::Ladder { market, mode, ticks, step, lots, .. } => {
                for (rung, lots) in lots.iter().enumerate() {
                    let at = ticks.0 as i64 + rung as i64 * *step as i64;
                    let rests = lots.0 > 0 && (1..=Ticks::MAX.0 as i64).contains(&at);
                    let level = LevelKey { market: *market, side: mode.side(), ticks: Ticks(at as u32) };
                    ids.push(if rests { ahead.place(level, mode.tif()) } else { None });
                }
            }
            Operation::Cancel { order } | Operation::Reduce { order, left: Lots(0) } => {
                ahead.removed.insert(*order);
                ids.push(None);
            }
            Operation::Reduce { .. }
            | Operation::Take { .. }
            | Operation::Claim { .. }
            | Operation::CancelUpTo { .. }
            | Operation::CancelClient { .. }
            | Operation::Schedule { .. } => ids.push(None),
        }
    }
    ids
}

/// The book with what the batch has done to it so far.
struct Ahead<'a> {
    book: &'a Book,
    now_s: u64,
    /// Orders the batch takes back.
    removed: BTreeSet<OrderId>,
    /// Orders it adds, by level.
    added: BTreeMap<LevelKey, u64>,
}

impl Ahead<'_> {
    fn place(&mut self, level: LevelKey, tif: Option<TimeInForce>) -> Option<OrderId> {
        if level.market != self.book.market().id {
            return None;
        }
        let best = self.crossing(level);
        let ticks = match (tif?, best) {
            (TimeInForce::Gtc | TimeInForce::PostOnly | TimeInForce::Slide, None) => level.ticks,
            (TimeInForce::Slide, Some(best)) if level.side == Side::Bid => Ticks(best.0 - 1),
            (TimeInForce::Slide, Some(best)) => Ticks(best.0 + 1),
            _ => return None,
        };
        if ticks == Ticks(0) || ticks > Ticks::MAX {
            return None;
        }
        let level = LevelKey { ticks, ..level };
        let added = self.added.entry(level).or_default();
        *added += 1;
        Some(OrderId { level, index: self.book.level_word(level).tail + *added - 1 })
    }

    /// The best opposite price that an order at this level would meet.
    fn crossing(&self, level: LevelKey) -> Option<Ticks> {
        let side = level.side.opposite();
        let mut best = self.book.best(side);
        while let Some(ticks) = best
            && !self.stands(LevelKey { side, ticks, ..level })
        {
            best = self.book.best_beyond(side, ticks);
        }
        let own = self.added.keys().filter(|key| key.side == side).map(|key| key.ticks);
        match side {
            Side::Ask => own.chain(best).min().filter(|best| *best <= level.ticks),
            Side::Bid => own.chain(best).max().filter(|best| *best >= level.ticks),
        }
    }

    /// Something in the book lives there that the batch leaves alone.
    fn stands(&self, level: LevelKey) -> bool {
        let lives = |expiry_s: u32| expiry_s == 0 || self.now_s < expiry_s as u64;
        self.book.orders_at(level).any(|order| lives(order.expiry_s) && !self.removed.contains(&order.id))
    }
}
