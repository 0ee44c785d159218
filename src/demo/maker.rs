//! A demo maker: keeps a ladder of post-only orders on both sides of the fair price, moves the farthest ones each round, claims what it earned.
//! Pure: learns from the feed's changes, wishes commands.

use super::Fair;
use indexer::Changes;
use orderbook::{AccountId, Book, Command, Lots, Mode, OrderId, Side, Ticks, TimeInForce};
use rand::Rng;
use rand::rngs::StdRng;
use std::collections::{BTreeMap, BTreeSet};

/// Orders a side, and operations a round.
const ORDERS_PER_SIDE: usize = 18;
const PLACES_PER_ROUND: usize = 3;
const CLAIMS_PER_ROUND: usize = 8;
/// Nearest and farthest order from the fair price, in parts of it.
const NEAR: f64 = 0.00003;
const FAR: f64 = 0.0030;

/// Its live and unclaimed orders, as the feed says.
pub struct Maker {
    account: AccountId,
    live: [BTreeSet<OrderId>; 2],
    unclaimed: BTreeMap<OrderId, Lots>,
    /// Orders asked to be cancelled and not yet seen gone.
    cancelling: BTreeSet<OrderId>,
}

impl Maker {
    /// Takes over what an earlier run left in the book.
    pub fn new(account: AccountId, book: &Book) -> Maker {
        let mut maker = Maker { account, live: Default::default(), unclaimed: BTreeMap::new(), cancelling: BTreeSet::new() };
        for side in [Side::Bid, Side::Ask] {
            maker.live[side as usize].extend(book.orders(side).filter(|order| order.account == account).map(|order| order.id));
        }
        maker
    }

    pub fn learn(&mut self, changes: &Changes) {
        for (id, order) in &changes.orders {
            let live = &mut self.live[id.level.side as usize];
            match order {
                Some(order) if order.account == self.account => {
                    if order.lots > Lots(0) {
                        live.insert(*id)
                    } else {
                        live.remove(id)
                    };
                    if order.unclaimed > Lots(0) && order.lots == Lots(0) {
                        self.unclaimed.insert(*id, order.unclaimed);
                    }
                }
                Some(_) => continue,
                None => {
                    live.remove(id);
                    self.unclaimed.remove(id);
                }
            }
            if !live.contains(id) {
                self.cancelling.remove(id);
            }
        }
    }

    /// At most a few cancels, places and one claim.
    pub fn wishes(&mut self, fair: &Fair, random: &mut StdRng) -> Vec<Command> {
        let mut wishes = Vec::new();
        for side in [Side::Bid, Side::Ask] {
            let stale: Vec<OrderId> = self.live[side as usize].iter().filter(|id| !self.cancelling.contains(id)).copied().collect();
            let away = |id: &OrderId| distance(side, id.level.ticks, fair.ticks);
            if stale.len() > ORDERS_PER_SIDE / 2
                && let Some(worst) = stale.iter().copied().max_by(|a, b| outside(away(a)).total_cmp(&outside(away(b))))
                && (outside(away(&worst)) > 0.0 || random.random_bool(0.2))
            {
                self.cancelling.insert(worst);
                wishes.push(Command::Cancel { account: AccountId(0), order: worst });
            }
            for _ in 0..PLACES_PER_ROUND.min(ORDERS_PER_SIDE.saturating_sub(self.live[side as usize].len())) {
                wishes.push(self.place(side, fair, random));
            }
        }
        if self.unclaimed.len() >= CLAIMS_PER_ROUND {
            let orders: Vec<OrderId> = self.unclaimed.keys().copied().take(CLAIMS_PER_ROUND).collect();
            for id in &orders {
                self.unclaimed.remove(id);
            }
            wishes.push(Command::Claim { orders });
        }
        wishes
    }

    /// Nearer levels more often, larger orders farther out.
    fn place(&self, side: Side, fair: &Fair, random: &mut StdRng) -> Command {
        let depth: f64 = random.random_range(0.0f64..1.0).powi(3);
        let away = (NEAR + (FAR - NEAR) * depth) * fair.ticks;
        let ticks = match side {
            Side::Bid => (fair.ticks - away).floor(),
            Side::Ask => (fair.ticks + away).ceil(),
        };
        let lots = fair.listing.typical_lots as f64 * random.random_range(0.2..1.2) * (1.0 + 3.0 * depth);
        Command::Place {
            account: AccountId(0),
            market: fair.market,
            mode: Mode::new(side, TimeInForce::PostOnly),
            ticks: Ticks((ticks as u32).clamp(1, Ticks::MAX.0)),
            lots: Lots((lots as u64).max(1)),
            expiry_s: 0,
            client: 0,
            steps_max: 0,
        }
    }
}

/// How far an order stands from the fair price on its own side, in parts of it; negative: on the wrong side.
fn distance(side: Side, ticks: Ticks, fair: f64) -> f64 {
    let away = match side {
        Side::Bid => fair - ticks.0 as f64,
        Side::Ask => ticks.0 as f64 - fair,
    };
    away / fair
}

/// How far a distance lies outside of the ladder; 0 within.
fn outside(away: f64) -> f64 {
    if away < NEAR { 10.0 * (NEAR - away) } else { (away - FAR).max(0.0) }
}
