//! A demo taker: now and then an immediate-or-cancel order through the touch, in the direction in which the price has lately moved.

use super::Fair;
use orderbook::{AccountId, Command, Lots, Mode, Side, Ticks, TimeInForce};
use rand::Rng;
use rand::rngs::StdRng;

/// Chance of an order in a round.
const APPETITE: f64 = 0.4;

#[derive(Default)]
pub struct Taker {
    last_ticks: f64,
}

impl Taker {
    pub fn wishes(&mut self, fair: &Fair, random: &mut StdRng) -> Vec<Command> {
        let rising = fair.ticks > self.last_ticks;
        if !random.random_bool(APPETITE) {
            return Vec::new();
        }
        self.last_ticks = fair.ticks;
        let side = if random.random_bool(if rising { 0.6 } else { 0.4 }) { Side::Bid } else { Side::Ask };
        let through = random.random_range(0.0002..0.0009) * fair.ticks;
        let ticks = match side {
            Side::Bid => fair.ticks + through,
            Side::Ask => fair.ticks - through,
        };
        let lots = fair.listing.typical_lots as f64 * random.random_range(0.02f64..1.0).powi(3) * 1.5;
        vec![Command::Place {
            account: AccountId(0),
            market: fair.market,
            mode: Mode::new(side, TimeInForce::Ioc),
            ticks: Ticks((ticks as u32).clamp(1, Ticks::MAX.0)),
            lots: Lots((lots as u64).max(1)),
            expiry_s: 0,
            client: 0,
            steps_max: 0,
        }]
    }
}
