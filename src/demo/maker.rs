//! A demo maker: keeps a ladder of post-only orders on both sides of the fair price, each round moves a few of its quotes, and sends one requote.
//! Pure: learns from the feed's records, wishes batches. The bookkeeping is `orderbook::maker`'s, as it is for any market maker.

use super::Fair;
use indexer::Update;
use orderbook::maker::{Batch, Follower, Quote, Terms, plan};
use orderbook::{AccountId, Book, Lots, ReplayError, Side, Ticks};
use rand::Rng;
use rand::rngs::StdRng;

/// Quotes a side, and how many are moved or added a round.
const QUOTES_PER_SIDE: usize = 18;
const MOVES_PER_ROUND: usize = 3;
/// Nearest and farthest order from the fair price, in parts of it.
const NEAR: f64 = 0.00003;
const FAR: f64 = 0.0030;

/// What it wants to stand at, and what stands, as the feed says.
pub struct Maker {
    own: Follower,
    quotes: [Vec<Quote>; 2],
}

impl Maker {
    /// Takes over what an earlier run left in the book.
    pub fn new(account: AccountId, book: &Book) -> Maker {
        let own = Follower::new(book.clone(), account);
        let quotes = [Side::Bid, Side::Ask].map(|side| {
            let standing = own.live(side).map(|order| Quote { side, ticks: order.id.level.ticks, lots: order.left });
            standing.take(QUOTES_PER_SIDE).collect()
        });
        Maker { own, quotes }
    }

    /// Follows a block.
    pub fn learn(&mut self, update: &Update) -> Result<(), ReplayError> {
        for record in &update.records {
            self.own.event(&record.event)?;
        }
        Ok(())
    }

    /// The next requote; empty if all stands as it should.
    pub fn wish(&mut self, fair: &Fair, random: &mut StdRng) -> Batch {
        for side in [Side::Bid, Side::Ask] {
            let quotes = &mut self.quotes[side as usize];
            let away = |quote: &Quote| outside(distance(side, quote.ticks, fair.ticks));
            // What the price has reached or left far behind goes first; now and then any other, so that the ladder lives.
            quotes.sort_by(|a, b| away(b).total_cmp(&away(a)));
            let stale = quotes.iter().take_while(|quote| away(quote) > 0.0).count();
            let moved = stale.min(MOVES_PER_ROUND) + usize::from(random.random_bool(0.2));
            quotes.drain(..moved.min(quotes.len()));
            for _ in 0..MOVES_PER_ROUND.min(QUOTES_PER_SIDE - quotes.len()) {
                quotes.push(quote(side, fair, random));
            }
        }
        plan(&self.own, &self.quotes.concat(), &Terms::PLAIN)
    }
}

/// Nearer levels more often, larger orders farther out.
fn quote(side: Side, fair: &Fair, random: &mut StdRng) -> Quote {
    let depth: f64 = random.random_range(0.0f64..1.0).powi(3);
    let away = (NEAR + (FAR - NEAR) * depth) * fair.ticks;
    let ticks = match side {
        Side::Bid => (fair.ticks - away).floor(),
        Side::Ask => (fair.ticks + away).ceil(),
    };
    let lots = fair.listing.typical_lots as f64 * random.random_range(0.2..1.2) * (1.0 + 3.0 * depth);
    Quote { side, ticks: Ticks((ticks as u32).clamp(1, Ticks::MAX.0)), lots: Lots((lots as u64).max(1)) }
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
