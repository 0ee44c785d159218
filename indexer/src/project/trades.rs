//! Fills wait here from their `LevelFill` until the `Taken` of the same transaction names the taker; then both sides must agree.
//! Also splits a taker's fee over its fills so that the parts sum to it exactly.

use alloy_primitives::U256;
use orderbook::{Fill, LevelKey, Market, MarketId};

/// The fills of one `LevelFill` whose taker is not known yet.
#[derive(Debug)]
pub(super) struct Waiting {
    pub level: LevelKey,
    pub log: u32,
    pub fills: Vec<Fill>,
}

/// Everything of one market that waits for a taker, in execution order; bounded by the block's logs.
#[derive(Debug, Default)]
pub(super) struct Untaken(Vec<Waiting>);

impl Untaken {
    pub fn push(&mut self, waiting: Waiting) {
        if !waiting.fills.is_empty() {
            self.0.push(waiting);
        }
    }

    /// All that waits in this market.
    pub fn take(&mut self, market: MarketId) -> Vec<Waiting> {
        let (taken, kept) = std::mem::take(&mut self.0).into_iter().partition(|waiting| waiting.level.market == market);
        self.0 = kept;
        taken
    }

    /// Log of a `LevelFill` that no `Taken` followed in its transaction.
    pub fn orphan(&self) -> Option<u32> {
        self.0.first().map(|waiting| waiting.log)
    }
}

/// Lots and quote atoms of fills.
pub(super) fn sums(market: &Market, waiting: &[Waiting]) -> (u64, u128) {
    let fills = waiting.iter().flat_map(|waiting| &waiting.fills);
    fills.fold((0, 0), |(lots, quote), fill| (lots + fill.lots.0, quote + market.quote_atoms(fill.ticks, fill.lots).0))
}

/// Splits `fee` over running sums of quote atoms: a fill pays the rise of floor(fee x running / total). The parts sum to `fee`.
#[derive(Debug)]
pub(super) struct FeeSplit {
    fee: u128,
    total: u128,
    running: u128,
    paid: u128,
}

impl FeeSplit {
    pub fn new(fee: u128, total: u128) -> FeeSplit {
        FeeSplit { fee, total, running: 0, paid: 0 }
    }

    /// The part of a fill worth `quote_atoms`; rounds down, what is lost comes with a later fill.
    pub fn part(&mut self, quote_atoms: u128) -> u128 {
        self.running += quote_atoms;
        let due = match self.fee.checked_mul(self.running) {
            Some(product) => product / self.total.max(1),
            None => {
                let wide = U256::from(self.fee) * U256::from(self.running) / U256::from(self.total.max(1));
                u128::try_from(wide).expect("running is at most total, so the part is at most the fee")
            }
        };
        let part = due - self.paid;
        self.paid = due;
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_fee_sum_to_it() {
        for (fee, quotes) in [(7_u128, vec![1_u128, 1, 1]), (1, vec![3, 3, 4]), (0, vec![5, 6]), (u128::MAX / 3, vec![u128::MAX / 5; 4])] {
            let mut split = FeeSplit::new(fee, quotes.iter().sum());
            let parts: Vec<u128> = quotes.iter().map(|quote| split.part(*quote)).collect();
            assert_eq!(parts.iter().sum::<u128>(), fee, "{parts:?}");
        }
    }
}
