//! An order against the book: plan what a taker would eat, judge the money, then write. The plan reads levels from the best outward: a
//! level that fits wholly is one step, the last one is walked order by order, a hole is a step too.

use super::Engine;
use super::ledger::product;
use crate::book::crosses;
use crate::{
    AccountId, Book, Event, LevelKey, LevelWord, Lots, MarketId, MarketStatus, Mode, Order, OrderId, Record, ReduceReason, Reject,
    TakenReason, Ticks, TimeInForce, ledger as rules,
};

/// Steps when the caller names none.
const STEPS: u16 = 256;
/// The index no order may have.
const INDEX_MAX: u64 = (1 << 40) - 1;

/// A place whose market and account are known.
pub(super) struct Wish {
    pub account: AccountId,
    pub market: MarketId,
    pub mode: Mode,
    pub ticks: Ticks,
    pub lots: Lots,
    pub expiry_s: u32,
    pub client: u64,
    pub steps_max: u16,
}

/// What a taker would do to the other side. Sums are `None` beyond 2^128.
struct Plan {
    levels: Vec<(LevelKey, LevelWord)>,
    filled: Lots,
    quote_atoms: Option<u128>,
    /// Part of the fee that is set aside for the makers.
    rebate_atoms: Option<u128>,
    reason: TakenReason,
}

impl Engine {
    pub(super) fn place(&mut self, wish: &Wish, events: &mut Vec<Event>) -> Result<(), Reject> {
        let book = self.book(wish.market).expect("the caller has found it");
        let tif = allowed(book, wish)?;
        let side = wish.mode.side();
        let crossing = book.crossing(side, wish.ticks);
        match (tif, crossing) {
            (TimeInForce::PostOnly, Some(best)) => return Err(Reject::WouldCross { best }),
            (TimeInForce::Gtc | TimeInForce::PostOnly | TimeInForce::Slide, None) => return self.rest(wish, wish.lots, events),
            _ => {}
        }
        let plan = plan(book, wish);
        let (payment, fee_atoms) = if plan.filled.0 == 0 {
            (None, 0)
        } else {
            let market = book.market();
            let (payment, fee) = self.taker_payment(wish.account, market, side, plan.filled, plan.quote_atoms, plan.rebate_atoms)?;
            (Some(payment), fee)
        };
        if tif == TimeInForce::Fok && plan.filled < wish.lots {
            return Err(Reject::NotFilled { filled: plan.filled });
        }
        let taken = Event::Taken {
            market: wish.market,
            account: wish.account,
            wanted: wish.lots,
            filled: plan.filled,
            client: wish.client,
            mode: wish.mode,
            reason: plan.reason,
            quote_atoms: plan.quote_atoms.unwrap_or(0),
            fee_atoms,
        };
        let remainder = wish.lots - plan.filled;
        let rests = tif == TimeInForce::Gtc && plan.reason == TakenReason::Limit && remainder.0 > 0;
        if rests {
            // Judged before the first write; the own side's level is not one the plan touches.
            self.room(wish, remainder)?;
            self.escrow(wish.account, book.market(), side, wish.ticks, remainder, payment.as_ref())?;
        }
        let book = self.book_mut(wish.market).expect("the caller has found it");
        for (level, word) in plan.levels {
            let word = word.to_word();
            book.level_fill(level, word).expect("a plan follows from the book it was made of");
            events.push(Event::LevelFill { level, word });
        }
        if let Some(payment) = payment {
            self.pay(payment);
        }
        events.push(taken);
        if rests { self.rest(wish, remainder, events) } else { Ok(()) }
    }

    /// Is there room at the order's level?
    fn room(&self, wish: &Wish, lots: Lots) -> Result<(), Reject> {
        let key = LevelKey { market: wish.market, side: wish.mode.side(), ticks: wish.ticks };
        let word = self.book(wish.market).expect("the caller has found it").level_word(key);
        if word.tail == INDEX_MAX || word.open.0.checked_add(lots.0).is_none() { Err(Reject::LevelFull) } else { Ok(()) }
    }

    /// Puts `lots` at the tail of the order's level and moves their escrow out of the free balance.
    fn rest(&mut self, wish: &Wish, lots: Lots, events: &mut Vec<Event>) -> Result<(), Reject> {
        self.room(wish, lots)?;
        let book = self.book(wish.market).expect("the caller has found it");
        let (side, market) = (wish.mode.side(), book.market());
        let (token, balance) = self.escrow(wish.account, market, side, wish.ticks, lots, None)?;
        self.balances.set(wish.account, token, balance);
        let key = LevelKey { market: wish.market, side, ticks: wish.ticks };
        let record = Record { account: wish.account, lots, aux: 0, skipped: false };
        let order = self.book_mut(wish.market).expect("read above").push(key, record);
        events.push(Event::Placed { order, account: wish.account, lots, expiry_s: 0, client: wish.client, mode: wish.mode });
        Ok(())
    }

    pub(super) fn cancel(&mut self, account: AccountId, id: OrderId, events: &mut Vec<Event>) -> Result<(), Reject> {
        let order = self.own(account, id)?;
        if order.left.0 == 0 {
            // Filled meanwhile: a cancel that lost the race pays out.
            return self.claim_all(&[id], events).map(|_| ());
        }
        self.drop_order(order, events)
    }

    pub(super) fn reduce(&mut self, account: AccountId, id: OrderId, left: Lots, events: &mut Vec<Event>) -> Result<(), Reject> {
        let order = self.own(account, id)?;
        if order.left.0 == 0 {
            return Err(Reject::UnknownOrder);
        }
        if left.0 == 0 {
            return self.drop_order(order, events);
        }
        if left >= order.left {
            return Ok(());
        }
        let book = self.book(id.level.market).expect("an order has a market");
        if left.0 < book.market().lots_min as u64 {
            return Err(Reject::BadLots);
        }
        let removed = order.left - left;
        let payment = self.payment(id, order.account, Lots(0), removed)?;
        self.book_mut(id.level.market).expect("read above").shrink(id, removed);
        self.pay(payment);
        events.push(Event::Reduced { order: id, left, removed, reason: ReduceReason::Reduce });
        Ok(())
    }

    /// The order an operation of its owner names.
    fn own(&self, account: AccountId, id: OrderId) -> Result<Order, Reject> {
        let order = self.book(id.level.market).and_then(|book| book.order(id)).ok_or(Reject::UnknownOrder)?;
        if order.account == account { Ok(order) } else { Err(Reject::NotAuthorized) }
    }

    /// Removes a live order: what is left goes home, what was filled is paid.
    fn drop_order(&mut self, order: Order, events: &mut Vec<Event>) -> Result<(), Reject> {
        let payment = self.payment(order.id, order.account, order.unclaimed, order.left)?;
        self.book_mut(order.id.level.market).expect("an order has a market").remove(order.id);
        self.pay(payment);
        events.push(Event::Reduced { order: order.id, left: Lots(0), removed: order.left, reason: ReduceReason::Cancel });
        if order.unclaimed.0 > 0 {
            events.push(Event::Claimed { order: order.id, account: order.account, lots: order.unclaimed, back: Lots(0) });
        }
        Ok(())
    }
}

/// Checks of a place that need no book, in the contract's order.
fn allowed(book: &Book, wish: &Wish) -> Result<TimeInForce, Reject> {
    let market = book.market();
    let plain = wish.mode.0 >> 4 == 0 && wish.expiry_s == 0;
    let tif = wish.mode.tif().filter(|tif| plain && *tif != TimeInForce::Slide).ok_or(Reject::BadMode)?;
    let needed = if tif == TimeInForce::PostOnly { MarketStatus::PostOnly } else { MarketStatus::Live };
    if market.status > needed {
        return Err(Reject::NotLive { status: market.status as u8 });
    }
    if wish.ticks.0 == 0 || wish.ticks > Ticks::MAX {
        return Err(Reject::BadTick);
    }
    if wish.lots.0 < market.lots_min as u64 || wish.lots > Lots::MAX {
        return Err(Reject::BadLots);
    }
    Ok(tif)
}

fn plan(book: &Book, wish: &Wish) -> Plan {
    let market = book.market();
    let side = wish.mode.side();
    let mut steps = if wish.steps_max == 0 { STEPS } else { wish.steps_max } as u64;
    let mut left = wish.lots;
    let mut plan = Plan { levels: Vec::new(), filled: Lots(0), quote_atoms: Some(0), rebate_atoms: Some(0), reason: TakenReason::Filled };
    let mut best = book.best(side.opposite());
    while left.0 > 0 {
        let Some(ticks) = best.filter(|best| crosses(side, wish.ticks, *best)) else {
            plan.reason = TakenReason::Limit;
            break;
        };
        if steps == 0 {
            plan.reason = TakenReason::Steps;
            break;
        }
        let key = LevelKey { market: wish.market, side: side.opposite(), ticks };
        let level = book.level(key).expect("a listed price has a level");
        let open = level.word.open;
        let (lots, word) = if open <= left {
            steps -= 1;
            best = book.best_beyond(side.opposite(), ticks);
            (open, LevelWord { tail: level.word.tail, head: level.word.tail, ..LevelWord::default() })
        } else {
            walk(level, left, &mut steps)
        };
        left = left - lots;
        plan.filled = plan.filled + lots;
        let add = |sum: Option<u128>, per_lot: u128| sum.zip(product(lots, per_lot)).and_then(|(sum, more)| sum.checked_add(more));
        plan.quote_atoms = add(plan.quote_atoms, rules::quote_per_lot(market, ticks));
        plan.rebate_atoms = add(plan.rebate_atoms, rules::rebate_per_lot(market, ticks));
        plan.levels.push((key, word));
    }
    plan
}

/// Fills `wanted` lots, fewer than are open, from the head of a level; each index passed or filled is a step. Returns the lots filled
/// and the level's word after.
fn walk(level: &crate::book::Level, wanted: Lots, steps: &mut u64) -> (Lots, LevelWord) {
    let mut word = level.word;
    let mut rem = wanted;
    for (index, record) in level.live.range(word.head..) {
        let holes = (index - word.head).min(*steps);
        word.head += holes;
        *steps -= holes;
        if *steps == 0 {
            break;
        }
        *steps -= 1;
        let left = record.lots - word.head_filled;
        if left > rem {
            word.head_filled = word.head_filled + rem;
            rem = Lots(0);
            break;
        }
        rem = rem - left;
        word.head += 1;
        word.head_filled = Lots(0);
        if rem.0 == 0 {
            break;
        }
    }
    let filled = wanted - rem;
    word.open = word.open - filled;
    (filled, word)
}
