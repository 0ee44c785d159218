//! Candles in memory: the newest bars of a market in every stored resolution, and the intervals folded from them.
//! Owned by `books.rs`; filled from blocks and, at the start, from history. Never asks a clock: "now" is a block's time.

use indexer::project::{Candle, RESOLUTIONS_S};
use orderbook::{MarketId, Ticks};
use std::collections::VecDeque;

const DAY_MS: u64 = 86_400_000;

/// A candle interval as named on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval(u8);

/// Name, seconds (a month counts as 0), seconds of the stored bars it is made of, known to compat.
const INTERVALS: [(&str, u32, u32, bool); 18] = [
    ("1s", 1, 1, true),
    ("5s", 5, 5, false),
    ("15s", 15, 15, false),
    ("1m", 60, 60, true),
    ("3m", 180, 60, true),
    ("5m", 300, 300, true),
    ("15m", 900, 900, true),
    ("30m", 1_800, 1_800, true),
    ("1h", 3_600, 3_600, true),
    ("2h", 7_200, 3_600, true),
    ("4h", 14_400, 14_400, true),
    ("6h", 21_600, 3_600, true),
    ("8h", 28_800, 3_600, true),
    ("12h", 43_200, 43_200, true),
    ("1d", 86_400, 86_400, true),
    ("3d", 259_200, 86_400, true),
    ("1w", 604_800, 86_400, true),
    ("1M", 0, 86_400, true),
];

impl Interval {
    /// Case counts: `1m` is a minute, `1M` a month.
    pub fn named(name: &str) -> Option<Interval> {
        INTERVALS.iter().position(|row| row.0 == name).map(|at| Interval(at as u8))
    }
    /// Of the intervals above, those that Binance knows.
    pub fn named_in_compat(name: &str) -> Option<Interval> {
        Interval::named(name).filter(|interval| INTERVALS[interval.0 as usize].3)
    }
    pub fn name(self) -> &'static str {
        INTERVALS[self.0 as usize].0
    }
    /// Seconds of the stored bars this interval is folded from.
    pub fn base_s(self) -> u32 {
        INTERVALS[self.0 as usize].2
    }
    /// Start of the interval that holds `ms`, in UTC; weeks start on Monday.
    pub fn open_ms(self, ms: u64) -> u64 {
        match INTERVALS[self.0 as usize].1 {
            0 => month_start_day(ms / DAY_MS, 0) * DAY_MS,
            604_800 => {
                // 1970-01-01 was a Thursday: Mondays are the days with day + 3 divisible by 7.
                let day = ms / DAY_MS;
                day.saturating_sub((day + 3) % 7) * DAY_MS
            }
            seconds => ms - ms % (seconds as u64 * 1_000),
        }
    }
    /// Start of the interval after the one that opens at `open_ms`.
    pub fn end_ms(self, open_ms: u64) -> u64 {
        match INTERVALS[self.0 as usize].1 {
            0 => month_start_day(open_ms / DAY_MS, 1) * DAY_MS,
            seconds => open_ms + seconds as u64 * 1_000,
        }
    }
    /// A length for bounds, in milliseconds: exact but for months (31 days).
    pub fn length_ms(self) -> u64 {
        match INTERVALS[self.0 as usize].1 {
            0 => 31 * DAY_MS,
            seconds => seconds as u64 * 1_000,
        }
    }
}

/// Day number of the first day of the month that holds `day`, `ahead` months later (0 or 1). Days count from 1970-01-01.
fn month_start_day(day: u64, ahead: u64) -> u64 {
    // Howard Hinnant's civil calendar, for days from 1970 on.
    let z = day + 719_468;
    let (era, of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (year, month) = if month + ahead > 12 { (year + 1, 1) } else { (year, month + ahead) };
    let y = if month <= 2 { year - 1 } else { year };
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let (era, year_of_era) = (y / 400, y % 400);
    let of_year = (153 * shifted + 2) / 5;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

/// The newest bars of one market, per stored resolution, ascending.
#[derive(Clone, Debug, Default)]
pub struct Bars {
    stored: [VecDeque<Candle>; RESOLUTIONS_S.len()],
    /// Bars that open from here on are all there, if they had trades.
    known_from_ms: [u64; RESOLUTIONS_S.len()],
}

impl Bars {
    /// How many bars of a resolution are kept.
    fn most(res_s: u32) -> usize {
        match res_s {
            1 => 3_600,
            60 => 1_560,
            _ => 1_200,
        }
    }

    /// Bars that will be complete from the buckets that hold `now_ms` on.
    pub fn starting_at(now_ms: u64) -> Bars {
        Bars { known_from_ms: RESOLUTIONS_S.map(|res_s| now_ms - now_ms % (res_s as u64 * 1_000)), ..Bars::default() }
    }

    /// All bars touched since `from_ms` have been put in: those that open later are complete. 0: there were none before.
    pub fn known_since(&mut self, from_ms: u64) {
        for (known, res_s) in self.known_from_ms.iter_mut().zip(RESOLUTIONS_S) {
            let width_ms = res_s as u64 * 1_000;
            let next_ms = if from_ms == 0 { 0 } else { from_ms - from_ms % width_ms + width_ms };
            *known = next_ms.min(*known);
        }
    }

    /// From where on no bar that `interval` is made of is missing.
    pub fn known_from_ms(&self, interval: Interval) -> u64 {
        self.known_from_ms[place_of(interval.base_s())]
    }

    /// Stored bars of the resolution that `interval` is folded from, for bars of `interval` that open in `from_ms ..= to_ms`.
    pub fn base_range(&self, interval: Interval, from_ms: u64, to_ms: u64) -> Vec<Candle> {
        let base = self.of(interval.base_s());
        let first = base.partition_point(|bar| bar.open_ms < from_ms);
        let until = interval.end_ms(interval.open_ms(to_ms));
        base.range(first..).take_while(|bar| bar.open_ms < until).cloned().collect()
    }

    /// Takes a bar of any stored resolution. A bar that is already known is replaced if the new one has at least as many trades:
    /// live bars only grow, and history may be some seconds old.
    pub fn put(&mut self, bar: Candle) {
        let Some(at) = RESOLUTIONS_S.iter().position(|res_s| *res_s == bar.res_s) else { return };
        let bars = &mut self.stored[at];
        let place = bars.partition_point(|known| known.open_ms < bar.open_ms);
        match bars.get_mut(place) {
            Some(known) if known.open_ms == bar.open_ms => {
                if bar.trades >= known.trades {
                    *known = bar;
                }
            }
            _ => bars.insert(place, bar),
        }
        if bars.len() > Bars::most(RESOLUTIONS_S[at]) {
            bars.pop_front();
            self.known_from_ms[at] = bars.front().map_or(0, |first| first.open_ms).max(self.known_from_ms[at]);
        }
    }

    fn of(&self, res_s: u32) -> &VecDeque<Candle> {
        &self.stored[place_of(res_s)]
    }

    /// The bar of `interval` that opens at `open_ms`, if there was a trade in it.
    pub fn at(&self, interval: Interval, open_ms: u64) -> Option<Candle> {
        self.range(interval, open_ms, open_ms).pop()
    }

    /// Bars with trades that open in `from_ms ..= to_ms`, ascending. Before the oldest one kept nothing is known.
    pub fn range(&self, interval: Interval, from_ms: u64, to_ms: u64) -> Vec<Candle> {
        fold(interval, &self.base_range(interval, from_ms, to_ms))
    }

    /// Close of the last bar that opens before `ms`, for flat bars.
    pub fn close_before(&self, ms: u64) -> Option<Ticks> {
        let close = |res_s: u32| {
            let bars = self.of(res_s);
            let place = bars.partition_point(|bar| bar.open_ms + res_s as u64 * 1_000 <= ms);
            place.checked_sub(1).and_then(|at| bars.get(at)).map(|bar| (bar.open_ms, bar.close))
        };
        RESOLUTIONS_S.iter().filter_map(|res_s| close(*res_s)).max_by_key(|(open_ms, _)| *open_ms).map(|(_, close)| close)
    }
}

fn place_of(res_s: u32) -> usize {
    RESOLUTIONS_S.iter().position(|known| *known == res_s).expect("a base resolution is a stored one")
}

/// Joins stored bars, ascending, into bars of `interval`.
pub fn fold<'a>(interval: Interval, bars: impl IntoIterator<Item = &'a Candle>) -> Vec<Candle> {
    let mut folded: Vec<Candle> = Vec::new();
    for bar in bars {
        let open_ms = interval.open_ms(bar.open_ms);
        match folded.last_mut() {
            Some(last) if last.open_ms == open_ms => {
                last.high = last.high.max(bar.high);
                last.low = last.low.min(bar.low);
                last.close = bar.close;
                last.lots += bar.lots;
                last.quote_atoms += bar.quote_atoms;
                last.trades += bar.trades;
                last.taker_bid_lots += bar.taker_bid_lots;
                last.taker_bid_quote_atoms += bar.taker_bid_quote_atoms;
            }
            _ => folded.push(Candle { open_ms, res_s: (interval.length_ms() / 1_000) as u32, ..bar.clone() }),
        }
    }
    folded
}

/// A bar without trades at the last close. `next_trade` is the number the next trade will have.
pub fn flat(market: MarketId, interval: Interval, open_ms: u64, close: Ticks, next_trade: u64) -> Candle {
    Candle {
        market,
        res_s: (interval.length_ms() / 1_000) as u32,
        open_ms,
        open: close,
        high: close,
        low: close,
        close,
        lots: 0,
        quote_atoms: 0,
        trades: 0,
        first_trade: next_trade,
        taker_bid_lots: 0,
        taker_bid_quote_atoms: 0,
    }
}

/// Puts flat bars between and after bars, up to the one that opens at or before `until_ms`; at most `most` bars in all.
/// `before` is the close before the first of them, if any.
pub fn fill_flat(
    interval: Interval,
    market: MarketId,
    bars: Vec<Candle>,
    before: Option<Ticks>,
    from_ms: u64,
    until_ms: u64,
    most: usize,
) -> Vec<Candle> {
    let mut filled: Vec<Candle> = Vec::with_capacity(bars.len().min(most));
    let mut bars = bars.into_iter().peekable();
    let (mut close, mut next_trade) = (before, bars.peek().map_or(0, |bar| bar.first_trade));
    let first_ms = interval.open_ms(from_ms);
    let mut open_ms = if first_ms < from_ms { interval.end_ms(first_ms) } else { first_ms };
    if close.is_none() {
        match bars.peek() {
            Some(bar) => open_ms = bar.open_ms,
            None => return filled,
        }
    }
    while open_ms <= until_ms && filled.len() < most {
        match bars.peek() {
            Some(bar) if bar.open_ms <= open_ms => {
                let bar = bars.next().expect("peeked");
                close = Some(bar.close);
                next_trade = bar.first_trade + bar.trades as u64;
                filled.push(bar);
            }
            _ => filled.push(flat(market, interval, open_ms, close.unwrap_or_default(), next_trade)),
        }
        open_ms = interval.end_ms(open_ms);
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: u64 = 60_000;

    fn bar(res_s: u32, open_ms: u64, price: u32, lots: u64, first_trade: u64) -> Candle {
        let ticks = Ticks(price);
        let quote_atoms = price as u128 * lots as u128;
        Candle {
            market: MarketId(1),
            res_s,
            open_ms,
            open: ticks,
            high: ticks,
            low: ticks,
            close: ticks,
            lots,
            quote_atoms,
            trades: 1,
            first_trade,
            taker_bid_lots: lots,
            taker_bid_quote_atoms: quote_atoms,
        }
    }

    fn interval(name: &str) -> Interval {
        Interval::named(name).unwrap()
    }

    #[test]
    fn borders_of_weeks_and_months() {
        let ms = 1_795_361_896_400; // Sunday, 2026-11-22
        assert_eq!(interval("1w").open_ms(ms), 1_794_787_200_000); // Monday, 2026-11-16
        assert_eq!(interval("1M").open_ms(ms), 1_793_491_200_000); // 2026-11-01
        assert_eq!(interval("1M").end_ms(1_793_491_200_000), 1_796_083_200_000); // 2026-12-01
        assert_eq!(interval("1M").end_ms(1_796_083_200_000), 1_798_761_600_000); // 2027-01-01
        assert_eq!(interval("1M").end_ms(interval("1M").open_ms(1_706_745_600_000)), 1_709_251_200_000); // 2024-02 has 29 days
        assert_eq!(interval("1m").open_ms(ms), 1_795_361_880_000);
        assert_ne!(interval("1m"), interval("1M"));
        assert_eq!(Interval::named_in_compat("5s"), None);
        assert_eq!(Interval::named("2m"), None);
    }

    #[test]
    fn three_minutes_are_folded_from_minutes() {
        let mut bars = Bars::default();
        for (at, price) in [(0, 10), (1, 30), (2, 5), (3, 7)] {
            bars.put(bar(60, at * MINUTE_MS, price, 2, at + 1));
        }
        let folded = bars.range(interval("3m"), 0, 180_000);
        assert_eq!(folded.len(), 2);
        assert_eq!(
            (folded[0].open.0, folded[0].high.0, folded[0].low.0, folded[0].close.0, folded[0].lots, folded[0].trades),
            (10, 30, 5, 5, 6, 3)
        );
        assert_eq!(bars.at(interval("3m"), 180_000).unwrap().close.0, 7);
        assert_eq!(bars.at(interval("3m"), 360_000), None);
    }

    #[test]
    fn history_never_replaces_a_bar_with_more_trades() {
        let mut bars = Bars::default();
        let live = Candle { trades: 5, ..bar(60, 0, 10, 9, 1) };
        bars.put(live.clone());
        bars.put(bar(60, 0, 11, 2, 1));
        assert_eq!(bars.at(interval("1m"), 0), Some(live));
    }

    #[test]
    fn gaps_become_flat_bars_after_the_first_trade() {
        let rows = vec![bar(60, MINUTE_MS, 10, 1, 1), bar(60, 4 * MINUTE_MS, 12, 1, 2)];
        let filled = fill_flat(interval("1m"), MarketId(1), rows, None, 0, 6 * MINUTE_MS, 100);
        let shown: Vec<_> = filled.iter().map(|bar| (bar.open_ms / MINUTE_MS, bar.close.0, bar.trades, bar.first_trade)).collect();
        assert_eq!(shown, [(1, 10, 1, 1), (2, 10, 0, 2), (3, 10, 0, 2), (4, 12, 1, 2), (5, 12, 0, 3), (6, 12, 0, 3)]);
        assert_eq!(fill_flat(interval("1m"), MarketId(1), Vec::new(), Some(Ticks(9)), 30_000, u64::MAX / 2, 3).len(), 3);
    }
}
