//! Resting orders: taken back, reduced, paid; and the house-keeping that anybody may do (claim, poke, prune).

use super::agents::{Actor, perms};
use super::matching::{Kind, PlaceOutcome, Wish};
use super::taking::{Head, steps};
use super::{Call, Engine};
use crate::book::crosses;
use crate::{AccountId, Event, LevelKey, Lots, MarketId, MarketStatus, Order, OrderId, ReduceReason, Reject, Side, Ticks};

impl Engine {
    /// Takes an order back; filled meanwhile, it is paid out instead. Returns lots taken back, filled lots paid.
    pub(super) fn cancel(&mut self, actor: &Actor, id: OrderId, call: &mut Call) -> Result<(Lots, Lots), Reject> {
        actor.demand(perms::CANCEL, id.level.market)?;
        let order = self.own(actor.account, id)?;
        self.cancel_order(&order, call)
    }

    /// As [`Engine::cancel`], of an order known to be the caller's.
    pub(super) fn cancel_order(&mut self, order: &Order, call: &mut Call) -> Result<(Lots, Lots), Reject> {
        if order.left.0 == 0 { self.claim(order.id, call) } else { self.drop_order(order, ReduceReason::Cancel, call) }
    }

    /// Lowers what is left of a live order. Returns lots taken back.
    pub(super) fn reduce(&mut self, actor: &Actor, id: OrderId, left: Lots, call: &mut Call) -> Result<Lots, Reject> {
        actor.demand(perms::CANCEL, id.level.market)?;
        let order = self.own(actor.account, id)?;
        if order.left.0 == 0 {
            return Err(Reject::UnknownOrder);
        }
        if left.0 == 0 {
            return self.drop_order(&order, ReduceReason::Cancel, call).map(|(back, _)| back);
        }
        if left >= order.left {
            return Ok(Lots(0));
        }
        let at = id.level.market.0 as usize - 1;
        if left.0 < self.books[at].market().lots_min as u64 {
            return Err(Reject::BadLots);
        }
        let removed = order.left - left;
        let before = self.books[at].shrink(id, removed);
        self.note(id.level.market, before);
        self.pay(id, order.account, Lots(0), removed)?;
        call.events.push(Event::Reduced { order: id, left, removed, reason: ReduceReason::Reduce });
        Ok(removed)
    }

    /// A live order of the same market and side makes room for a new one.
    pub(super) fn replace(&mut self, actor: &Actor, id: OrderId, wish: &Wish, call: &mut Call) -> Result<PlaceOutcome, Reject> {
        actor.demand(perms::CANCEL | super::agents::perm_of(wish.mode.tif()), id.level.market)?;
        let order = self.own(actor.account, id)?;
        if order.left.0 == 0 {
            return Err(Reject::UnknownOrder);
        }
        if wish.mode.side() != id.level.side {
            return Err(Reject::BadMode);
        }
        self.drop_order(&order, ReduceReason::Replaced, call)?;
        self.place(actor, wish, Kind::Place, call)
    }

    /// The order an operation of its owner names.
    fn own(&self, account: AccountId, id: OrderId) -> Result<Order, Reject> {
        let order = self.book(id.level.market).and_then(|book| book.order(id)).ok_or(Reject::UnknownOrder)?;
        if order.account == account { Ok(order) } else { Err(Reject::NotAuthorized) }
    }

    /// Removes a live order: what is left goes home, what was filled is paid. Returns both.
    fn drop_order(&mut self, order: &Order, reason: ReduceReason, call: &mut Call) -> Result<(Lots, Lots), Reject> {
        let market = order.id.level.market;
        let (_, before) = self.books[market.0 as usize - 1].remove(order.id).expect("a live order can be removed");
        self.note(market, before);
        self.dropped(order.id, order.account, order.unclaimed, order.left, reason, call)?;
        Ok((order.left, order.unclaimed))
    }

    /// Logs and pays an order that was removed.
    pub(super) fn dropped(
        &mut self,
        order: OrderId,
        account: AccountId,
        filled: Lots,
        removed: Lots,
        reason: ReduceReason,
        call: &mut Call,
    ) -> Result<(), Reject> {
        call.events.push(Event::Reduced { order, left: Lots(0), removed, reason });
        if filled.0 > 0 {
            call.events.push(Event::Claimed { order, account, lots: filled, back: Lots(0) });
        }
        self.pay(order, account, filled, removed)
    }

    /// Pays a list of anybody's orders to their owners; ids with nothing to pay are passed over.
    pub(super) fn claim_all(&mut self, orders: &[OrderId], call: &mut Call) -> Result<(), Reject> {
        orders.iter().try_for_each(|id| self.claim(*id, call).map(|_| ()))
    }

    /// CLAIM of a batch: of the account's own order.
    pub(super) fn claim_own(&mut self, actor: &Actor, id: OrderId, call: &mut Call) -> Result<(Lots, Lots), Reject> {
        actor.demand(perms::CANCEL, id.level.market)?;
        match self.own(actor.account, id) {
            Err(Reject::UnknownOrder) => Ok((Lots(0), Lots(0))),
            Err(reject) => Err(reject),
            Ok(_) => self.claim(id, call),
        }
    }

    /// Pays one order. Returns lots refunded, filled lots paid.
    fn claim(&mut self, id: OrderId, call: &mut Call) -> Result<(Lots, Lots), Reject> {
        let Some(book) = self.book_mut(id.level.market) else { return Ok((Lots(0), Lots(0))) };
        let Some((account, lots, back)) = book.owed(id) else { return Ok((Lots(0), Lots(0))) };
        if lots.0 | back.0 == 0 {
            return Ok((Lots(0), Lots(0)));
        }
        let before = book.claim(id);
        self.note(id.level.market, before);
        self.pay(id, account, lots, back)?;
        call.events.push(Event::Claimed { order: id, account, lots, back });
        Ok((back, lots))
    }

    /// Takes back live orders of an account whose dead-man switch has fired, or that lie in a halted market; others are passed over.
    pub(super) fn poke(&mut self, account: AccountId, orders: &[OrderId], call: &mut Call) -> Result<(), Reject> {
        let fired = self.accounts.get(&account).is_some_and(|word| word.fired(call.now_s));
        for id in orders {
            let Some(book) = self.book(id.level.market) else { continue };
            let reason = match book.market().status {
                _ if fired => ReduceReason::Deadman,
                MarketStatus::Halted => ReduceReason::Halted,
                _ => continue,
            };
            match book.order(*id) {
                Some(order) if order.account == account && order.left.0 > 0 => self.drop_order(&order, reason, call)?,
                _ => continue,
            };
        }
        Ok(())
    }

    /// Passes holes and expired orders at the head of a level.
    pub(super) fn prune(&mut self, level: LevelKey, steps_max: u16, call: &mut Call) -> Result<(), Reject> {
        if self.book(level.market).is_some() {
            let _: Head = self.pass_dead(level, &mut steps(steps_max), call);
        }
        Ok(())
    }

    /// Takes back the account's live orders from the best price of a side to `limit`. An index read is a step: to the tail, or until
    /// nothing is open. Returns orders and lots.
    pub(super) fn cancel_up_to(
        &mut self,
        actor: &Actor,
        (market, side, limit): (MarketId, Side, Ticks),
        steps_max: u16,
        call: &mut Call,
    ) -> Result<(u16, Lots), Reject> {
        let at = (market.0 as usize).wrapping_sub(1);
        let mut next = self.books.get(at).ok_or(Reject::NoMarket)?.best(side);
        actor.demand(perms::CANCEL, market)?;
        let (mut orders, mut lots, mut steps) = (0, 0, steps(steps_max));
        while let Some(ticks) = next.filter(|ticks| steps > 0 && crosses(side.opposite(), limit, *ticks)) {
            let key = LevelKey { market, side, ticks };
            let word = self.books[at].level_word(key);
            let mut end = word.tail.min(word.head.saturating_add(steps));
            let own = self.books[at].orders_at(key).filter(|order| order.account == actor.account && order.id.index < end);
            for order in own.collect::<Vec<Order>>() {
                let (back, _) = self.drop_order(&order, ReduceReason::Cancel, call)?;
                (orders, lots) = (orders + 1, lots + back.0);
                if self.books[at].level_word(key).open.0 == 0 {
                    end = order.id.index + 1;
                }
            }
            steps -= end - word.head;
            next = self.books[at].best_beyond(side, ticks);
        }
        Ok((orders, Lots(lots)))
    }
}
