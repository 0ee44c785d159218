//! What trading in one market did to a trader: inventory, cash, fees, and what is realised, in lots and atoms, without a division.
//!
//! Realised is first in, first out: a sale closes the oldest open purchases (or a purchase the oldest sales), lot by lot at their own prices,
//! so it is exact. Fees stand beside it, never inside.

use crate::{Lots, Market, Side, Ticks, ledger};
use std::collections::VecDeque;

/// Sums since the tracking began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    pub bought: Lots,
    pub sold: Lots,
    /// Quote atoms received less paid, before fees.
    pub cash_atoms: i128,
    /// Fees paid less rebates earned, quote atoms.
    pub fees_atoms: i128,
    /// Of closed lots: proceeds less cost, quote atoms, before fees.
    pub realised_atoms: i128,
    /// Open lots, oldest first, all of one side; equal neighbours are joined. As long as the prices at which the inventory was built.
    open: VecDeque<(Ticks, Lots)>,
}

impl Position {
    /// Lots bought less lots sold.
    pub fn inventory_lots(&self) -> i64 {
        self.bought.0 as i64 - self.sold.0 as i64
    }

    /// Its own order of `side` was filled.
    pub fn made(&mut self, market: &Market, side: Side, ticks: Ticks, lots: Lots) {
        self.fees_atoms += ledger::maker_fee_per_lot(market, ticks) * lots.0 as i128;
        self.traded(market, side, ticks, lots);
    }

    /// It took from one price, as part of an operation of `side`; the fee comes with [`Position::paid`].
    pub fn took(&mut self, market: &Market, side: Side, ticks: Ticks, lots: Lots) {
        self.traded(market, side, ticks, lots);
    }

    /// A taker's fee of one operation.
    pub fn paid(&mut self, fee_atoms: u128) {
        self.fees_atoms += i128::try_from(fee_atoms).unwrap_or(i128::MAX);
    }

    /// What the open lots would bring at `ticks` less what they cost, quote atoms, before fees.
    pub fn unrealised_atoms(&self, market: &Market, ticks: Ticks) -> i128 {
        let sign = if self.inventory_lots() < 0 { -1 } else { 1 };
        let gain = |(at, lots): &(Ticks, Lots)| (ticks.0 as i128 - at.0 as i128) * lots.0 as i128;
        sign * self.open.iter().map(gain).sum::<i128>() * market.quote_atoms_per_lot_tick as i128
    }

    fn traded(&mut self, market: &Market, side: Side, ticks: Ticks, lots: Lots) {
        let quote_atoms = ledger::quote_per_lot(market, ticks) as i128 * lots.0 as i128;
        let closes = match side {
            Side::Bid => self.inventory_lots() < 0,
            Side::Ask => self.inventory_lots() > 0,
        };
        let rest = if closes { self.close(market, side, ticks, lots) } else { lots };
        if rest.0 > 0 {
            match self.open.back_mut() {
                Some((at, open)) if *at == ticks => *open = *open + rest,
                _ => self.open.push_back((ticks, rest)),
            }
        }
        match side {
            Side::Bid => {
                self.bought = self.bought + lots;
                self.cash_atoms -= quote_atoms;
            }
            Side::Ask => {
                self.sold = self.sold + lots;
                self.cash_atoms += quote_atoms;
            }
        }
    }

    /// Closes the oldest open lots; returns the lots for which there was nothing to close.
    fn close(&mut self, market: &Market, side: Side, ticks: Ticks, mut lots: Lots) -> Lots {
        while let Some((at, open)) = self.open.front_mut().filter(|_| lots.0 > 0) {
            let closed = lots.min(*open);
            let gain = match side {
                Side::Ask => ticks.0 as i128 - at.0 as i128,
                Side::Bid => at.0 as i128 - ticks.0 as i128,
            };
            self.realised_atoms += gain * closed.0 as i128 * market.quote_atoms_per_lot_tick as i128;
            lots = lots - closed;
            *open = *open - closed;
            if open.0 == 0 {
                self.open.pop_front();
            }
        }
        lots
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MarketId, MarketStatus, TokenId};

    fn market() -> Market {
        Market {
            id: MarketId(1),
            base: TokenId(2),
            quote: TokenId(3),
            quote_atoms_per_lot_tick: 10,
            base_atoms_per_lot: 1_000,
            lots_min: 1,
            taker_fee_ppm: 500,
            maker_fee_ppm: 100,
            min_ttl_s: 0,
            status: MarketStatus::Live,
        }
    }

    /// | trade | inventory | realised, atoms | cash |
    #[test]
    fn the_oldest_lots_are_closed_first() {
        let market = market();
        let mut position = Position::default();
        let rows = [
            (Side::Bid, 100, 5, 5, 0, -5_000),
            (Side::Bid, 110, 5, 10, 0, -10_500),
            (Side::Ask, 120, 7, 3, (5 * 20 + 2 * 10) * 10, -2_100),
            (Side::Ask, 90, 5, -2, 1_200 - 3 * 20 * 10, 2_400),
            (Side::Bid, 80, 2, 0, 600 + 2 * 10 * 10, 800),
        ];
        for (side, ticks, lots, inventory, realised, cash) in rows {
            position.made(&market, side, Ticks(ticks), Lots(lots));
            let found = (position.inventory_lots(), position.realised_atoms, position.cash_atoms);
            assert_eq!(found, (inventory, realised, cash), "after {side:?} {lots} at {ticks}");
        }
        assert_eq!(position.realised_atoms, position.cash_atoms, "nothing is open: all cash is realised");
        assert_eq!(position.fees_atoms, 24, "24 lots at 0.1 atoms a lot, each rounded up to 1");
    }

    #[test]
    fn open_lots_are_worth_what_the_price_says() {
        let market = market();
        let mut position = Position::default();
        position.made(&market, Side::Ask, Ticks(100), Lots(4));
        assert_eq!(position.unrealised_atoms(&market, Ticks(90)), 400);
        position.took(&market, Side::Bid, Ticks(95), Lots(6));
        position.paid(3);
        assert_eq!((position.realised_atoms, position.inventory_lots()), (200, 2));
        assert_eq!(position.unrealised_atoms(&market, Ticks(90)), -100);
        assert_eq!(position.fees_atoms, 4 + 3);
    }
}
