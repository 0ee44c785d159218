//! The way through the other side of the book: level by level from the best outward. A level that fits wholly, where nobody may have
//! expired and where the taker cannot meet itself, is swept in one step, whatever the number of its orders; else it is walked order by
//! order: a hole is a step too, an expired order is passed, an own one is met as the self-trade mode says.
//! Writes levels and records through the journal, and the money of the taker's own orders; what it took is `matching.rs`'s to settle.

use super::ledger::{product, spent_per_lot};
use super::matching::Wish;
use super::{Call, Engine};
use crate::book::{Level, crosses};
use crate::{
    AccountId, Event, LevelKey, LevelWord, Lots, MarketId, Mode, OrderId, Record, ReduceReason, Reject, SelfTrade, Side, TakenReason,
    Ticks, ledger as rules,
};

/// Steps when the caller names none.
const STEPS: u16 = 256;

pub(super) fn steps(named: u16) -> u64 {
    if named == 0 { STEPS as u64 } else { named as u64 }
}

/// A taker on its way through the book.
pub(super) struct Taker {
    pub account: AccountId,
    pub market: MarketId,
    pub side: Side,
    pub limit: Ticks,
    pub lots: Lots,
    pub stp: SelfTrade,
    pub steps: u64,
    pub client: u64,
    pub mode: Mode,
    /// Atoms it may exchange: quote of a buyer, base of a seller; `None`: without bound.
    pub spend: Option<u128>,
}

/// What a taker got. Sums are `None` beyond 2^128.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sum {
    pub filled: Lots,
    pub quote_atoms: Option<u128>,
    /// Part of the fee that is set aside for the makers.
    pub rebate_atoms: Option<u128>,
    /// Lots neither filled nor decremented.
    pub left: Lots,
    pub reason: TakenReason,
}

/// A walk through one level: its word in hand, and what the taker may still do.
struct Walk {
    word: LevelWord,
    rem: u64,
    can: u64,
    steps: u64,
    filled: u64,
}

/// Where a run of plain fills ended.
enum Met {
    /// Nothing left to fill, or nothing to fill it with.
    End,
    Steps,
    /// An order at the head that is not simply filled.
    Special(Record),
}

impl Engine {
    /// Consumes the levels of the other side up to the taker's limit, lots, budget or steps, whichever ends first.
    pub(super) fn take(&mut self, taker: &Taker, call: &mut Call) -> Result<Sum, Reject> {
        let at = taker.market.0 as usize - 1;
        let market = self.books[at].market().clone();
        let other = taker.side.opposite();
        // Who never rested on that side cannot meet itself.
        let watch = taker.stp != SelfTrade::None && self.balances.get(taker.account, rules::escrow_token(&market, other)).rested;
        let (mut left, mut steps, mut spend) = (taker.lots, taker.steps, taker.spend);
        let mut sum = Sum { filled: Lots(0), quote_atoms: Some(0), rebate_atoms: Some(0), left, reason: TakenReason::Filled };
        let mut best = self.books[at].best(other);
        while left.0 > 0 {
            let Some(ticks) = best.filter(|best| crosses(taker.side, taker.limit, *best)) else {
                sum.reason = TakenReason::Limit;
                break;
            };
            if steps == 0 {
                sum.reason = TakenReason::Steps;
                break;
            }
            let per_lot = spent_per_lot(&market, taker.side, ticks);
            let can = spend.map_or(u64::MAX, |atoms| u64::try_from(atoms / per_lot).unwrap_or(u64::MAX));
            if can == 0 {
                sum.reason = TakenReason::Budget;
                break;
            }
            let key = LevelKey { market: taker.market, side: other, ticks };
            let word = self.books[at].level_word(key);
            let mut ended = None;
            let filled = if !watch && !word.stale(call.now_s) && word.open.0 <= left.0.min(can) {
                steps -= 1;
                left = left - word.open;
                self.store(key, LevelWord { open: Lots(0), ..word }, call);
                word.open
            } else {
                let mut walk = Walk { word, rem: left.0, can, steps, filled: 0 };
                ended = self.walk(taker, watch, key, &mut walk, call)?;
                (left, steps) = (Lots(walk.rem), walk.steps);
                self.store(key, walk.word, call);
                Lots(walk.filled)
            };
            sum.filled = sum.filled + filled;
            let add = |sum: Option<u128>, per_lot: u128| sum.zip(product(filled, per_lot)).and_then(|(sum, more)| sum.checked_add(more));
            sum.quote_atoms = add(sum.quote_atoms, rules::quote_per_lot(&market, ticks));
            sum.rebate_atoms = add(sum.rebate_atoms, rules::rebate_per_lot(&market, ticks));
            spend = spend.map(|atoms| atoms - product(filled, per_lot).unwrap_or(atoms));
            if let Some(reason) = ended {
                sum.reason = reason;
                break;
            }
            if self.books[at].level_word(key).open.0 == 0 {
                best = self.books[at].best_beyond(other, ticks);
            }
        }
        sum.left = left;
        Ok(sum)
    }

    /// Fills from the head of a level, passes what has expired, and meets the taker's own orders as its self-trade mode says. Leaves the
    /// level's word in `walk`, to be stored. Returns why taking ends here, if it does.
    fn walk(&mut self, taker: &Taker, watch: bool, key: LevelKey, walk: &mut Walk, call: &mut Call) -> Result<Option<TakenReason>, Reject> {
        loop {
            let level = self.books[key.market.0 as usize - 1].level(key).expect("a listed price has a level");
            let own = |record: &Record| watch && record.account == taker.account;
            let record = match walk.run(level, |record| record.expired(call.now_s) || own(record)) {
                Met::End => return Ok(None),
                Met::Steps => return Ok(Some(TakenReason::Steps)),
                Met::Special(record) => record,
            };
            let order = OrderId { level: key, index: walk.word.head };
            if record.expired(call.now_s) {
                self.skip_head(order, record, &mut walk.word, call);
                continue;
            }
            match taker.stp {
                SelfTrade::None | SelfTrade::CancelTaker => return Ok(Some(TakenReason::Stp)),
                SelfTrade::CancelMaker => self.drop_head(order, record, &mut walk.word, call)?,
                SelfTrade::CancelBoth => {
                    self.drop_head(order, record, &mut walk.word, call)?;
                    return Ok(Some(TakenReason::Stp));
                }
                SelfTrade::Decrement => self.decrement(order, record, walk, call)?,
            }
        }
    }

    /// A walk passes an order after its expiry: what was filled and what is to be refunded wait for a claim.
    fn skip_head(&mut self, order: OrderId, record: Record, word: &mut LevelWord, call: &mut Call) {
        let filled = word.head_filled;
        let removed = record.lots - filled;
        self.set_record(order, Some(record.skipped(filled)));
        call.events.push(Event::Reduced { order, left: Lots(0), removed, reason: ReduceReason::Expired });
        *word = word.without(order.index, removed);
    }

    /// The taker's own order at the head goes home.
    fn drop_head(&mut self, order: OrderId, record: Record, word: &mut LevelWord, call: &mut Call) -> Result<(), Reject> {
        let filled = word.head_filled;
        let removed = record.lots - filled;
        self.set_record(order, None);
        self.dropped(order, record.account, filled, removed, ReduceReason::Stp, call)?;
        *word = word.without(order.index, removed);
        Ok(())
    }

    /// Taker and own order shrink by each other, which is no fill.
    fn decrement(&mut self, order: OrderId, record: Record, walk: &mut Walk, call: &mut Call) -> Result<(), Reject> {
        let left = record.lots - walk.word.head_filled;
        let removed = Lots(left.0.min(walk.rem));
        walk.rem -= removed.0;
        if removed == left {
            return self.drop_head(order, record, &mut walk.word, call);
        }
        self.set_record(order, Some(Record { lots: record.lots - removed, ..record }));
        walk.word.open = walk.word.open - removed;
        call.events.push(Event::Reduced { order, left: left - removed, removed, reason: ReduceReason::Stp });
        self.pay(order, record.account, Lots(0), removed)
    }

    /// Stores the word a level was walked to, if it changed.
    fn store(&mut self, key: LevelKey, word: LevelWord, call: &mut Call) {
        let word = word.tidied();
        if word != self.books[key.market.0 as usize - 1].level_word(key) {
            self.pass(key, word);
            call.events.push(Event::LevelFill { level: key, word: word.to_word() });
        }
    }

    /// Clears expired orders off the way of an order that must not take. Returns the best price it crosses for good.
    pub(super) fn front(&mut self, wish: &Wish, call: &mut Call) -> Result<Option<Ticks>, Reject> {
        let mut steps = steps(wish.steps_max);
        loop {
            let book = &self.books[wish.market.0 as usize - 1];
            let Some(best) = book.crossing(wish.mode.side(), wish.ticks) else { return Ok(None) };
            let key = LevelKey { market: wish.market, side: wish.mode.side().opposite(), ticks: best };
            if !book.level_word(key).stale(call.now_s) {
                return Ok(Some(best));
            }
            match self.pass_dead(key, &mut steps, call) {
                Head::Steps => return Err(Reject::StepLimit),
                Head::Live => return Ok(Some(best)),
                Head::Empty => {}
            }
        }
    }

    /// Passes holes and expired orders from the head of a level, a step each, to a live one; stores the level if it changed.
    pub(super) fn pass_dead(&mut self, key: LevelKey, steps: &mut u64, call: &mut Call) -> Head {
        let mut word = self.books[key.market.0 as usize - 1].level_word(key);
        let end = loop {
            let level = self.books[key.market.0 as usize - 1].level(key);
            let Some((index, record)) = level.filter(|_| word.open.0 > 0).and_then(|level| level.live.range(word.head..).next()) else {
                break Head::Empty;
            };
            let holes = index - word.head;
            let passed = holes.min(*steps);
            word.head += passed;
            *steps -= passed;
            if passed < holes {
                break Head::Steps;
            }
            let record = *record;
            if !record.expired(call.now_s) {
                break Head::Live;
            }
            if *steps == 0 {
                break Head::Steps;
            }
            *steps -= 1;
            self.skip_head(OrderId { level: key, index: word.head }, record, &mut word, call);
        };
        self.store(key, word, call);
        end
    }
}

/// What is at the head of a level once the dead are passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    Live,
    Empty,
    /// Unknown: the steps were used up.
    Steps,
}

impl Walk {
    /// Fills plain orders from the head on; each index read is a step. Ends at a special one, its step taken, or where nothing is left.
    fn run(&mut self, level: &Level, special: impl Fn(&Record) -> bool) -> Met {
        for (index, record) in level.live.range(self.word.head..) {
            if self.word.open.0 == 0 || self.rem == 0 || self.can == 0 {
                return Met::End;
            }
            let holes = (index - self.word.head).min(self.steps);
            self.word.head += holes;
            self.steps -= holes;
            if self.steps == 0 {
                return Met::Steps;
            }
            self.steps -= 1;
            if special(record) {
                return Met::Special(*record);
            }
            let left = record.lots - self.word.head_filled;
            let filled = left.0.min(self.rem).min(self.can);
            self.word.open = self.word.open - Lots(filled);
            (self.rem, self.can, self.filled) = (self.rem - filled, self.can - filled, self.filled + filled);
            if filled < left.0 {
                self.word.head_filled = self.word.head_filled + Lots(filled);
            } else {
                (self.word.head, self.word.head_filled) = (self.word.head + 1, Lots(0));
            }
        }
        Met::End
    }
}
