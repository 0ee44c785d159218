//! From "these are the quotes I want" to the smallest batch that makes it so.
//!
//! Per side and price, oldest order first: what fits into the target is kept, with its queue place; an order larger than the target is reduced;
//! what is at no target is cancelled; what is missing comes as one ladder per side. Order inside the batch: claims (they free money), cancels and
//! reductions (so that nothing new crosses something old), then bids, then asks. What is right already costs nothing: no batch.

use super::{Batch, Follower, OwnOrder};
use crate::{Lots, MarketId, Mode, Operation, Side, Ticks, TimeInForce};
use std::collections::BTreeMap;

/// One price we want to stand at, with all the lots there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    pub side: Side,
    pub ticks: Ticks,
    pub lots: Lots,
}

/// How the orders of a plan are placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// `PostOnly` (refused if it crosses) or `Slide` (moved behind the touch).
    pub tif: TimeInForce,
    /// Expiry of new orders, 0 never. Orders that expire before `renew_s` are replaced by new ones; 0: none is.
    pub expiry_s: u32,
    pub renew_s: u32,
    /// Own id of the first new order, the next has the next number; 0: no ids.
    pub client: u64,
    /// Claims ride in a batch that is sent anyway; from this many on, a batch is sent for them alone. 0: never.
    pub claims_alone: usize,
}

impl Terms {
    /// Post-only orders without expiry and ids; claims are sent alone from eight on.
    pub const PLAIN: Terms = Terms { tif: TimeInForce::PostOnly, expiry_s: 0, renew_s: 0, client: 0, claims_alone: 8 };
}

/// The smallest batch that turns our orders into `targets`; empty if they are that already. Targets at one price and side are added up; those below
/// the market's least size are left out. Takes at most 64 result words: what does not fit comes with the next plan, cancels first.
pub fn plan(own: &Follower, targets: &[Quote], terms: &Terms) -> Batch {
    let mut batch = Batch::new(own.account());
    let (mut cancels, mut places) = (Vec::new(), Vec::new());
    for side in [Side::Bid, Side::Ask] {
        let missing = compare(own, side, targets, terms, &mut cancels);
        places.push((side, missing));
    }
    let needed = !cancels.is_empty() || places.iter().any(|(_, missing)| !missing.is_empty());
    let claims = own.claimable().map(|order| Operation::Claim { order: order.id });
    let owed = own.claimable().count();
    cancels.truncate(batch.room());
    let mut after = Batch { operations: cancels, ..batch.clone() };
    let mut client = terms.client;
    for (side, missing) in places {
        place(&mut after, own.market(), side, &missing, terms, &mut client);
    }
    if needed || (terms.claims_alone > 0 && owed >= terms.claims_alone) {
        batch.operations.extend(claims.take(after.room()));
    }
    batch.operations.append(&mut after.operations);
    batch
}

/// The batch that takes everything home: claims and cancels all, as far as 64 result words go; empty if nothing is left.
pub fn withdrawal(own: &Follower) -> Batch {
    let mut batch = Batch::new(own.account());
    let room = batch.room();
    batch.operations.extend(own.orders().take(room).map(|order| match order.left.0 {
        0 => Operation::Claim { order: order.id },
        _ => Operation::Cancel { order: order.id },
    }));
    batch
}

/// Compares what rests on a side with what is wanted: pushes cancels and reductions, returns the lots missing by price.
fn compare(own: &Follower, side: Side, targets: &[Quote], terms: &Terms, cancels: &mut Vec<Operation>) -> BTreeMap<Ticks, Lots> {
    let least = own.book().market().lots_min as u64;
    let mut wanted: BTreeMap<Ticks, u64> = BTreeMap::new();
    for quote in targets.iter().filter(|quote| quote.side == side) {
        *wanted.entry(quote.ticks).or_default() += quote.lots.0;
    }
    wanted.retain(|_, lots| *lots >= least);
    for order in own.live(side) {
        let need = wanted.get(&order.id.level.ticks).copied().unwrap_or(0);
        let kept = keeps(order, need, least, terms);
        match kept {
            0 => cancels.push(Operation::Cancel { order: order.id }),
            kept if kept < order.left.0 => cancels.push(Operation::Reduce { order: order.id, left: Lots(kept) }),
            _ => {}
        }
        if let Some(need) = wanted.get_mut(&order.id.level.ticks) {
            *need -= kept;
        }
    }
    // A rest below the least size cannot be placed: what stands there stands for it.
    wanted.into_iter().filter(|(_, lots)| *lots >= least).map(|(ticks, lots)| (ticks, Lots(lots))).collect()
}

/// Lots of an order that stay, of `need` wanted at its price.
fn keeps(order: &OwnOrder, need: u64, least: u64, terms: &Terms) -> u64 {
    let expires = order.expiry_s != 0 && order.expiry_s < terms.renew_s;
    if need == 0 || expires {
        0
    } else if order.left.0 <= need {
        order.left.0
    } else if need >= least {
        need
    } else {
        0
    }
}

/// Appends what is missing on a side: one ladder if its prices lie on one, best price first; else places.
fn place(batch: &mut Batch, market: MarketId, side: Side, missing: &BTreeMap<Ticks, Lots>, terms: &Terms, client: &mut u64) {
    let mut rungs: Vec<(Ticks, Lots)> = missing.iter().map(|(ticks, lots)| (*ticks, *lots)).collect();
    if side == Side::Bid {
        rungs.reverse();
    }
    let mode = Mode::new(side, terms.tif);
    let mut next_client = |orders: usize| {
        let first = *client;
        if first != 0 {
            *client += orders as u64;
        }
        first
    };
    if let [(ticks, _), (_, _), ..] = rungs[..]
        && let Some((step, lots)) = ladder(&rungs)
        && lots.len() <= batch.room()
    {
        let client = next_client(lots.len());
        batch.operations.push(Operation::Ladder { market, mode, ticks, step, expiry_s: terms.expiry_s, client, lots });
        return;
    }
    rungs.truncate(batch.room());
    for (ticks, lots) in rungs {
        let client = next_client(1);
        batch.operations.push(Operation::Place { market, mode, ticks, lots, expiry_s: terms.expiry_s, client, steps_max: 0 });
    }
}

/// Step and rungs of the ladder through these prices (at least two, monotonous), with rungs of 0 lots where none is wanted.
/// `None`: holes would make it longer than twice its rungs, or the step is beyond 16 bits.
fn ladder(rungs: &[(Ticks, Lots)]) -> Option<(i16, Vec<Lots>)> {
    let away = |ticks: Ticks| (ticks.0 as i64 - rungs[0].0.0 as i64).unsigned_abs();
    let step = rungs[1..].iter().fold(0, |step, (ticks, _)| gcd(step, away(*ticks)));
    let places = away(rungs.last()?.0) / step + 1;
    if places > 2 * rungs.len() as u64 {
        return None;
    }
    let mut lots = vec![Lots(0); places as usize];
    for (ticks, wanted) in rungs {
        lots[(away(*ticks) / step) as usize] = *wanted;
    }
    let falls = rungs[1].0 < rungs[0].0;
    let step = i16::try_from(step).ok()?;
    Some((if falls { -step } else { step }, lots))
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AccountId, Book, Event, LevelKey, Market, MarketStatus, OrderId, TokenId};

    const MARKET: MarketId = MarketId(1);
    const ME: AccountId = AccountId(300);

    fn own(orders: &[(Side, u32, u64)]) -> Follower {
        let market = Market {
            id: MARKET,
            base: TokenId(2),
            quote: TokenId(3),
            quote_atoms_per_lot_tick: 10,
            base_atoms_per_lot: 1_000,
            lots_min: 3,
            taker_fee_ppm: 0,
            maker_fee_ppm: 0,
            min_ttl_s: 0,
            status: MarketStatus::Live,
        };
        let mut own = Follower::new(Book::new(market), ME);
        for (side, ticks, lots) in orders {
            let level = LevelKey { market: MARKET, side: *side, ticks: Ticks(*ticks) };
            let order = OrderId { level, index: own.book().level_word(level).tail };
            let mode = Mode::new(*side, TimeInForce::PostOnly);
            let placed = Event::Placed { order, account: ME, lots: Lots(*lots), expiry_s: 0, client: 0, mode };
            own.event(&placed).expect("it follows");
        }
        own
    }

    fn id(side: Side, ticks: u32, index: u64) -> OrderId {
        OrderId { level: LevelKey { market: MARKET, side, ticks: Ticks(ticks) }, index }
    }

    fn quotes(side: Side, rungs: &[(u32, u64)]) -> Vec<Quote> {
        rungs.iter().map(|(ticks, lots)| Quote { side, ticks: Ticks(*ticks), lots: Lots(*lots) }).collect()
    }

    fn ladder_of(side: Side, ticks: u32, step: i16, lots: &[u64]) -> Operation {
        let (mode, lots) = (Mode::new(side, TimeInForce::PostOnly), lots.iter().copied().map(Lots).collect());
        Operation::Ladder { market: MARKET, mode, ticks: Ticks(ticks), step, expiry_s: 0, client: 0, lots }
    }

    fn check(orders: &[(Side, u32, u64)], targets: &[Quote], expected: &[Operation]) {
        assert_eq!(plan(&own(orders), targets, &Terms::PLAIN).operations, expected, "{orders:?} to {targets:?}");
    }

    #[test]
    fn a_first_quote_is_one_ladder_a_side_best_price_first() {
        let mut targets = quotes(Side::Bid, &[(98, 5), (100, 6), (99, 7)]);
        targets.extend(quotes(Side::Ask, &[(101, 8), (103, 9)]));
        check(&[], &targets, &[ladder_of(Side::Bid, 100, -1, &[6, 7, 5]), ladder_of(Side::Ask, 101, 2, &[8, 9])]);
    }

    #[test]
    fn what_is_right_costs_nothing() {
        check(&[(Side::Bid, 100, 5), (Side::Bid, 99, 4)], &quotes(Side::Bid, &[(99, 4), (100, 5)]), &[]);
    }

    #[test]
    fn a_moved_rung_is_cancelled_a_smaller_one_reduced_a_larger_one_added_to() {
        let orders = [(Side::Bid, 100, 9), (Side::Bid, 99, 9), (Side::Bid, 98, 9)];
        let targets = quotes(Side::Bid, &[(100, 4), (99, 20), (97, 9)]);
        let expected = [
            Operation::Cancel { order: id(Side::Bid, 98, 0) },
            Operation::Reduce { order: id(Side::Bid, 100, 0), left: Lots(4) },
            ladder_of(Side::Bid, 99, -2, &[11, 9]),
        ];
        check(&orders, &targets, &expected);
    }

    #[test]
    fn of_several_orders_at_a_price_the_oldest_stay() {
        let orders = [(Side::Ask, 100, 5), (Side::Ask, 100, 5), (Side::Ask, 100, 5)];
        let expected =
            [Operation::Reduce { order: id(Side::Ask, 100, 1), left: Lots(3) }, Operation::Cancel { order: id(Side::Ask, 100, 2) }];
        check(&orders, &quotes(Side::Ask, &[(100, 8)]), &expected);
    }

    #[test]
    fn a_rest_below_the_least_size_is_neither_placed_nor_left_by_a_reduction() {
        check(&[(Side::Ask, 100, 5)], &quotes(Side::Ask, &[(100, 7)]), &[]);
        let expected = [Operation::Cancel { order: id(Side::Ask, 100, 1) }];
        check(&[(Side::Ask, 100, 5), (Side::Ask, 100, 5)], &quotes(Side::Ask, &[(100, 7)]), &expected);
        check(&[], &quotes(Side::Ask, &[(100, 2)]), &[]);
    }

    #[test]
    fn prices_on_no_ladder_are_placed_one_by_one() {
        let place = |ticks: u32, lots: u64| Operation::Place {
            market: MARKET,
            mode: Mode::new(Side::Ask, TimeInForce::PostOnly),
            ticks: Ticks(ticks),
            lots: Lots(lots),
            expiry_s: 0,
            client: 0,
            steps_max: 0,
        };
        check(&[], &quotes(Side::Ask, &[(100, 5), (101, 5), (150, 5)]), &[place(100, 5), place(101, 5), place(150, 5)]);
        check(&[], &quotes(Side::Ask, &[(100, 5)]), &[place(100, 5)]);
    }

    #[test]
    fn a_batch_never_has_more_than_64_words_and_cancels_come_first() {
        let orders: Vec<_> = (0..60).map(|n| (Side::Bid, 100 + n, 5)).collect();
        let rungs: Vec<_> = (0..60).map(|n| (200 + n, 5)).collect();
        let batch = plan(&own(&orders), &quotes(Side::Bid, &rungs), &Terms::PLAIN);
        assert_eq!(batch.words(), 64);
        assert_eq!(batch.operations.iter().filter(|operation| matches!(operation, Operation::Cancel { .. })).count(), 60);
    }
}
