//! Bars of every resolution kept, folded from trades. All trades of a block share its time, so a block touches one bar of each.

use super::{Candle, FillRow, RESOLUTIONS_S};
use orderbook::{MarketId, Side};

/// The newest bar of each resolution of one market.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bars([Option<Candle>; RESOLUTIONS_S.len()]);

impl Bars {
    /// Bars whose bucket holds the market's last trade; those of other buckets would never be touched again.
    pub fn restore(candles: impl IntoIterator<Item = Candle>) -> Bars {
        let mut bars = Bars::default();
        for candle in candles {
            let Some(place) = RESOLUTIONS_S.iter().position(|res_s| *res_s == candle.res_s) else { continue };
            if bars.0[place].as_ref().is_none_or(|held| held.open_ms < candle.open_ms) {
                bars.0[place] = Some(candle);
            }
        }
        bars
    }

    /// Adds one trade; `quote_atoms` is what it was worth.
    pub fn trade(&mut self, time_ms: u64, fill: &FillRow, quote_atoms: u128) {
        for (bar, res_s) in self.0.iter_mut().zip(RESOLUTIONS_S) {
            let open_ms = bucket_ms(time_ms, res_s);
            match bar {
                Some(bar) if bar.open_ms == open_ms => add(bar, fill, quote_atoms),
                _ => *bar = Some(first(fill.market, res_s, open_ms, fill, quote_atoms)),
            }
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Candle> {
        self.0.iter().flatten()
    }
}

/// Start of the UTC bucket that holds `time_ms`.
pub fn bucket_ms(time_ms: u64, res_s: u32) -> u64 {
    let width_ms = res_s as u64 * 1000;
    time_ms - time_ms % width_ms
}

fn first(market: MarketId, res_s: u32, open_ms: u64, fill: &FillRow, quote_atoms: u128) -> Candle {
    let mut bar = Candle {
        market,
        res_s,
        open_ms,
        open: fill.ticks,
        high: fill.ticks,
        low: fill.ticks,
        close: fill.ticks,
        lots: 0,
        quote_atoms: 0,
        trades: 0,
        first_trade: fill.trade,
        taker_bid_lots: 0,
        taker_bid_quote_atoms: 0,
    };
    add(&mut bar, fill, quote_atoms);
    bar
}

fn add(bar: &mut Candle, fill: &FillRow, quote_atoms: u128) {
    bar.high = bar.high.max(fill.ticks);
    bar.low = bar.low.min(fill.ticks);
    bar.close = fill.ticks;
    bar.lots += fill.lots.0;
    bar.quote_atoms += quote_atoms;
    bar.trades += 1;
    if fill.taker_side == Side::Bid {
        bar.taker_bid_lots += fill.lots.0;
        bar.taker_bid_quote_atoms += quote_atoms;
    }
}
