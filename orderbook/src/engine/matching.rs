//! An order against the book: what it is allowed, what becomes of it, who pays. The way through the other side is `taking.rs`'s.
//! Called by entry points, batches and swaps. Checks come in the contract's order; money is judged where it moves.

use super::agents::{Actor, perm_of};
use super::ledger::product;
use super::taking::{Sum, Taker, steps};
use super::{Call, Engine};
use crate::{
    AccountId, Event, LevelKey, Lots, MarketId, MarketStatus, Mode, OrderId, Record, Reject, SelfTrade, Side, TakenReason, Ticks,
    TimeInForce, ledger as rules,
};

/// A place as its caller spells it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    pub market: MarketId,
    pub mode: Mode,
    pub ticks: Ticks,
    pub lots: Lots,
    pub expiry_s: u32,
    pub client: u64,
    pub steps_max: u16,
}

/// A market order as its caller spells it.
#[derive(Clone, Copy, Debug)]
pub(super) struct MarketWish {
    pub market: MarketId,
    pub mode: Mode,
    pub limit: Ticks,
    pub lots_max: Lots,
    /// Atoms paid at most, the fee included; 2^128 - 1: all that is free.
    pub in_max_atoms: u128,
    /// Atoms received at least, net of the fee.
    pub out_min_atoms: u128,
    pub deadline_s: u32,
    pub client: u64,
    pub steps_max: u16,
}

/// What an order came as: its checks differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Place,
    Take,
    /// A place of a ladder, which only rests.
    Rung,
}

/// What a place came to: the order that rests, lots filled, why taking ended (LIMIT if it only rests).
pub(super) type PlaceOutcome = (Option<OrderId>, Lots, TakenReason);

impl Engine {
    pub(super) fn place(&mut self, actor: &Actor, wish: &Wish, kind: Kind, call: &mut Call) -> Result<PlaceOutcome, Reject> {
        let (tif, stp) = self.allowed(actor, wish, kind, call.now_s)?;
        let side = wish.mode.side();
        if matches!(tif, TimeInForce::PostOnly | TimeInForce::Slide) {
            let mut ticks = wish.ticks;
            if let Some(best) = self.front(wish, call)? {
                if tif == TimeInForce::PostOnly {
                    return Err(Reject::WouldCross { best });
                }
                ticks = beside(side, best).ok_or(Reject::BadTick)?;
            }
            let order = self.rest(actor.account, wish, ticks, wish.lots, call)?;
            return Ok((Some(order), Lots(0), TakenReason::Limit));
        }
        if tif == TimeInForce::Gtc && self.books[wish.market.0 as usize - 1].crossing(side, wish.ticks).is_none() {
            let order = self.rest(actor.account, wish, wish.ticks, wish.lots, call)?;
            return Ok((Some(order), Lots(0), TakenReason::Limit));
        }
        let steps = steps(wish.steps_max);
        let taker = Taker {
            account: actor.account,
            market: wish.market,
            side,
            limit: wish.ticks,
            lots: wish.lots,
            stp,
            steps,
            client: wish.client,
            mode: wish.mode,
            spend: None,
        };
        let sum = self.take(&taker, call)?;
        self.settle_taker(actor, &taker, &sum, tif, call)?;
        let rests = tif == TimeInForce::Gtc && sum.reason == TakenReason::Limit;
        let order = if rests { Some(self.rest(actor.account, wish, wish.ticks, sum.left, call)?) } else { None };
        Ok((order, sum.filled, sum.reason))
    }

    /// A market order. Returns atoms received net of the fee, lots filled, why taking ended.
    pub(super) fn take_market(&mut self, actor: &Actor, wish: &MarketWish, call: &mut Call) -> Result<(u128, Lots, TakenReason), Reject> {
        let as_place = Wish {
            market: wish.market,
            mode: wish.mode,
            ticks: wish.limit,
            lots: wish.lots_max,
            expiry_s: wish.deadline_s,
            client: wish.client,
            steps_max: wish.steps_max,
        };
        let (tif, stp) = self.allowed(actor, &as_place, Kind::Take, call.now_s)?;
        let side = wish.mode.side();
        let spend = self.spend(actor.account, actor.word.tier, wish.market, side, wish.in_max_atoms);
        let taker = Taker {
            account: actor.account,
            market: wish.market,
            side,
            limit: wish.limit,
            lots: wish.lots_max,
            stp,
            steps: steps(wish.steps_max),
            client: wish.client,
            mode: wish.mode,
            spend: Some(spend),
        };
        let sum = self.take(&taker, call)?;
        actor.cap(sum.quote_atoms)?;
        let fee_atoms = self.settle_taker(actor, &taker, &sum, tif, call)?;
        let per_lot = self.books[wish.market.0 as usize - 1].market().base_atoms_per_lot as u128;
        let out = match side {
            Side::Bid => product(sum.filled, per_lot),
            Side::Ask => sum.quote_atoms.map(|quote| quote - fee_atoms),
        };
        let out = out.ok_or(Reject::BadAmount)?;
        if out < wish.out_min_atoms {
            return Err(Reject::Slippage { out });
        }
        Ok((out, sum.filled, sum.reason))
    }

    /// What a taker may exchange when it pays at most `in_max_atoms`.
    pub(super) fn spend(&self, account: AccountId, tier: u8, market: MarketId, side: Side, in_max_atoms: u128) -> u128 {
        let market = self.books[market.0 as usize - 1].market();
        let token = rules::escrow_token(market, side);
        let most = if in_max_atoms == u128::MAX { self.free_atoms(account, token) } else { in_max_atoms };
        if side == Side::Bid { rules::budget(market, most, tier) } else { most }
    }

    /// Checks of an order that need no book, in the contract's order.
    fn allowed(&self, actor: &Actor, wish: &Wish, kind: Kind, now_s: u64) -> Result<(TimeInForce, SelfTrade), Reject> {
        let market = self.book(wish.market).ok_or(Reject::NoMarket)?.market();
        let (tif, is_take) = (wish.mode.tif(), kind == Kind::Take);
        actor.demand(perm_of(tif), wish.market)?;
        if !is_take {
            // What a market order is worth shows when it has taken.
            actor.cap(product(wish.lots, rules::quote_per_lot(market, wish.ticks)))?;
        }
        let (Some(tif), Some(stp)) = (tif, wish.mode.self_trade()) else { return Err(Reject::BadMode) };
        let only_takes = matches!(tif, TimeInForce::Ioc | TimeInForce::Fok);
        let only_rests = matches!(tif, TimeInForce::PostOnly | TimeInForce::Slide);
        let is_possible = match kind {
            Kind::Place => true,
            Kind::Take => only_takes && !wish.mode.tracked(),
            Kind::Rung => only_rests,
        };
        if !is_possible || (wish.mode.tracked() && wish.client == 0) {
            return Err(Reject::BadMode);
        }
        if market.status > if only_rests { MarketStatus::PostOnly } else { MarketStatus::Live } {
            return Err(Reject::NotLive { status: market.status as u8 });
        }
        if wish.ticks > Ticks::MAX || (wish.ticks.0 == 0 && !is_take) {
            return Err(Reject::BadTick);
        }
        let least = if is_take { 1 } else { market.lots_min as u64 };
        if wish.lots.0 < least || wish.lots > Lots::MAX {
            return Err(Reject::BadLots);
        }
        let ttl_s = if only_takes { 1 } else { market.min_ttl_s.max(1) as u64 };
        if (wish.expiry_s != 0 && (wish.expiry_s as u64) < now_s + ttl_s) || actor.word.fired(now_s) {
            return Err(Reject::Expired);
        }
        if wish.mode.tracked() {
            self.untracked(actor.account, wish.client, now_s)?;
        }
        Ok((tif, stp))
    }

    /// Pays for what was taken and logs it. Returns the fee, in quote atoms.
    fn settle_taker(&mut self, actor: &Actor, taker: &Taker, sum: &Sum, tif: TimeInForce, call: &mut Call) -> Result<u128, Reject> {
        let fee_atoms = self.settle(actor.account, actor.word.tier, taker.market, taker.side, sum)?;
        if tif == TimeInForce::Fok && sum.filled < taker.lots {
            return Err(Reject::NotFilled { filled: sum.filled });
        }
        if !(sum.filled.0 == 0 && sum.reason == TakenReason::Limit && tif == TimeInForce::Gtc) {
            call.events.push(Event::Taken {
                market: taker.market,
                account: actor.account,
                wanted: taker.lots,
                filled: sum.filled,
                client: taker.client,
                mode: taker.mode,
                reason: sum.reason,
                quote_atoms: sum.quote_atoms.unwrap_or(0),
                fee_atoms,
            });
        }
        Ok(fee_atoms)
    }

    /// Puts `lots` at the tail of a level and moves their escrow out of the free balance.
    fn rest(&mut self, account: AccountId, wish: &Wish, ticks: Ticks, lots: Lots, call: &mut Call) -> Result<OrderId, Reject> {
        let key = LevelKey { market: wish.market, side: wish.mode.side(), ticks };
        let record = Record { account, lots, aux: wish.expiry_s as u64, skipped: false };
        let (order, before) = self.books[wish.market.0 as usize - 1].push(key, record).ok_or(Reject::LevelFull)?;
        self.note(wish.market, before);
        self.escrow(account, key, lots)?;
        if wish.mode.tracked() {
            self.track(account, wish.client, order);
        }
        call.events.push(Event::Placed { order, account, lots, expiry_s: wish.expiry_s, client: wish.client, mode: wish.mode });
        Ok(order)
    }
}

/// The best price of a side that does not trade with `best` of the other one. `None`: off range.
fn beside(side: Side, best: Ticks) -> Option<Ticks> {
    let ticks = match side {
        Side::Bid => best.0 - 1,
        Side::Ask => best.0 + 1,
    };
    (ticks != 0 && ticks <= Ticks::MAX.0).then_some(Ticks(ticks))
}
