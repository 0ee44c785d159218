//! A market's last 24 hours as 1,440 one-minute bars with running sums: open, high, low, last and sums in constant time.
//! The follower owns one per market for snapshots; the api owns clones and feeds them the same trades.

use super::{Candle, FillRow, candles::bucket_ms};
use orderbook::Ticks;
use std::collections::VecDeque;

const MINUTE_MS: u64 = 60_000;
const WINDOW_MINUTES: u64 = 1_440;

/// Trades of the window, by minute. Call [`Ticker::advance`] with each block's time, [`Ticker::trade`] for each fill.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ticker {
    minutes: VecDeque<Minute>,
    /// Minutes whose high (low) no later minute reaches: the first is the window's.
    highs: VecDeque<(u64, Ticks)>,
    lows: VecDeque<(u64, Ticks)>,
    lots: u128,
    quote_atoms: u128,
    trades: u64,
    last: Option<Last>,
    /// Last price before the window.
    before: Option<Ticks>,
    now_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Minute {
    /// Unix minutes.
    at: u64,
    open: Ticks,
    high: Ticks,
    low: Ticks,
    close: Ticks,
    lots: u64,
    quote_atoms: u128,
    trades: u32,
    first_trade: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Last {
    ticks: Ticks,
    lots: u64,
    trade: u64,
}

/// What the window says; prices in ticks, amounts in lots and quote atoms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// Start of the window's first minute and time of the newest block, Unix milliseconds.
    pub open_ms: u64,
    pub close_ms: u64,
    /// Price of the last trade ever (0 before the first); the window's other prices equal it when the window is empty.
    pub last: Ticks,
    /// Lots of the last trade ever; 0 if it happened before the indexer's start and in no bar.
    pub last_lots: u64,
    pub open: Ticks,
    pub high: Ticks,
    pub low: Ticks,
    /// Last price before the window; the window's first price if there is none.
    pub before: Ticks,
    pub lots: u128,
    pub quote_atoms: u128,
    pub trades: u64,
    /// First and last trade of the window; 0 when it is empty.
    pub first_trade: u64,
    pub last_trade: u64,
}

impl Ticker {
    /// From one-minute bars in rising order; older ones than a day serve for the price before the window.
    pub fn restore<'a>(bars: impl IntoIterator<Item = &'a Candle>, now_ms: u64) -> Ticker {
        let mut ticker = Ticker::default();
        for bar in bars {
            ticker.push(Minute {
                at: bar.open_ms / MINUTE_MS,
                open: bar.open,
                high: bar.high,
                low: bar.low,
                close: bar.close,
                lots: bar.lots,
                quote_atoms: bar.quote_atoms,
                trades: bar.trades,
                first_trade: bar.first_trade,
            });
            let trade = bar.first_trade + bar.trades as u64 - 1;
            ticker.last = Some(Last { ticks: bar.close, lots: 0, trade });
        }
        ticker.advance(now_ms);
        ticker
    }

    /// Moves the window's end; minutes older than a day leave it.
    pub fn advance(&mut self, time_ms: u64) {
        self.now_ms = self.now_ms.max(time_ms);
        let first = self.first_minute();
        while self.minutes.front().is_some_and(|minute| minute.at < first) {
            let gone = self.minutes.pop_front().expect("just seen");
            self.lots -= gone.lots as u128;
            self.quote_atoms -= gone.quote_atoms;
            self.trades -= gone.trades as u64;
            self.before = Some(gone.close);
        }
        for queue in [&mut self.highs, &mut self.lows] {
            while queue.front().is_some_and(|(at, _)| *at < first) {
                queue.pop_front();
            }
        }
    }

    /// Adds one trade; times never fall.
    pub fn trade(&mut self, time_ms: u64, fill: &FillRow, quote_atoms: u128) {
        self.advance(time_ms);
        self.push(Minute {
            at: bucket_ms(time_ms, 60) / MINUTE_MS,
            open: fill.ticks,
            high: fill.ticks,
            low: fill.ticks,
            close: fill.ticks,
            lots: fill.lots.0,
            quote_atoms,
            trades: 1,
            first_trade: fill.trade,
        });
        self.last = Some(Last { ticks: fill.ticks, lots: fill.lots.0, trade: fill.trade });
    }

    /// The window now; `None` before the first trade ever.
    pub fn day(&self) -> Option<Day> {
        let last = self.last?;
        let first = self.minutes.front();
        let open = first.map_or(last.ticks, |minute| minute.open);
        Some(Day {
            open_ms: self.first_minute() * MINUTE_MS,
            close_ms: self.now_ms,
            last: last.ticks,
            last_lots: last.lots,
            open,
            high: self.highs.front().map_or(last.ticks, |(_, high)| *high),
            low: self.lows.front().map_or(last.ticks, |(_, low)| *low),
            before: self.before.unwrap_or(open),
            lots: self.lots,
            quote_atoms: self.quote_atoms,
            trades: self.trades,
            first_trade: first.map_or(0, |minute| minute.first_trade),
            last_trade: if first.is_some() { last.trade } else { 0 },
        })
    }

    fn first_minute(&self) -> u64 {
        (self.now_ms / MINUTE_MS + 1).saturating_sub(WINDOW_MINUTES)
    }

    fn push(&mut self, part: Minute) {
        self.lots += part.lots as u128;
        self.quote_atoms += part.quote_atoms;
        self.trades += part.trades as u64;
        let (at, high, low) = (part.at, part.high, part.low);
        match self.minutes.back_mut() {
            Some(minute) if minute.at == at => {
                minute.high = minute.high.max(high);
                minute.low = minute.low.min(low);
                minute.close = part.close;
                minute.lots += part.lots;
                minute.quote_atoms += part.quote_atoms;
                minute.trades += part.trades;
            }
            _ => self.minutes.push_back(part),
        }
        while self.highs.back().is_some_and(|(_, held)| *held <= high) {
            self.highs.pop_back();
        }
        self.highs.push_back((at, high));
        while self.lows.back().is_some_and(|(_, held)| *held >= low) {
            self.lows.pop_back();
        }
        self.lows.push_back((at, low));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::Bars;
    use orderbook::{AccountId, LevelKey, Lots, MarketId, OrderId, Side};
    use rand::{Rng, SeedableRng, rngs::StdRng};

    fn fill(trade: u64, ticks: u32, lots: u64) -> FillRow {
        let level = LevelKey { market: MarketId(1), side: Side::Ask, ticks: Ticks(ticks) };
        FillRow {
            market: MarketId(1),
            trade,
            agg: trade,
            n: 0,
            tx: 0,
            log: 0,
            ticks: Ticks(ticks),
            lots: Lots(lots),
            maker_order: OrderId { level, index: 0 },
            maker: AccountId(1),
            maker_seq: 0,
            maker_left: Lots(0),
            taker: AccountId(2),
            taker_seq: 0,
            taker_side: Side::Bid,
            fee_atoms: 0,
        }
    }

    /// Goal: constant-time sums and extremes are those of the trades in the window, also after a restart from minute bars.
    /// Method: three days of random trades, each answer computed again from the list.
    #[test]
    fn a_day_is_what_its_trades_say() {
        let seed = std::env::var("HIFI_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(71);
        eprintln!("HIFI_SEED={seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        let (mut ticker, mut bars, mut minutes) = (Ticker::default(), Bars::default(), std::collections::BTreeMap::new());
        let (mut trades, mut now_ms): (Vec<(u64, u32, u64)>, u64) = (Vec::new(), 1_795_361_880_000);
        assert_eq!(ticker.day(), None);
        for trade in 1..=2_000_u64 {
            now_ms += rng.random_range(1..260_000);
            let (ticks, lots) = (rng.random_range(900..1_100), rng.random_range(1..50));
            trades.push((now_ms, ticks, lots));
            ticker.trade(now_ms, &fill(trade, ticks, lots), lots as u128 * 7);
            bars.trade(now_ms, &fill(trade, ticks, lots), lots as u128 * 7);
            minutes.extend(bars.iter().filter(|bar| bar.res_s == 60).map(|bar| (bar.open_ms, bar.clone())));

            let day = ticker.day().unwrap();
            let first = trades.partition_point(|(time_ms, ..)| *time_ms < day.open_ms);
            let window = &trades[first..];
            assert!(now_ms - day.open_ms > 86_400_000 - 60_000 && now_ms - day.open_ms < 86_400_000, "the window is a day");
            assert_eq!((day.open.0, day.last.0, day.last_lots), (window[0].1, ticks, lots));
            assert_eq!(day.high.0, window.iter().map(|(_, ticks, _)| *ticks).max().unwrap());
            assert_eq!(day.low.0, window.iter().map(|(_, ticks, _)| *ticks).min().unwrap());
            assert_eq!(day.lots, window.iter().map(|(.., lots)| *lots as u128).sum::<u128>());
            assert_eq!((day.trades, day.quote_atoms), (window.len() as u64, day.lots * 7));
            assert_eq!((day.first_trade, day.last_trade), (first as u64 + 1, trade));
            assert_eq!(day.before.0, if first == 0 { window[0].1 } else { trades[first - 1].1 });
            let restored = Ticker::restore(minutes.values(), now_ms).day().unwrap();
            assert_eq!(Day { last_lots: lots, ..restored }, day, "restored from minute bars");
        }
        ticker.advance(now_ms + 2 * 86_400_000);
        let empty = ticker.day().unwrap();
        assert_eq!((empty.trades, empty.lots, empty.quote_atoms, empty.first_trade, empty.last_trade), (0, 0, 0, 0, 0));
        assert_eq!((empty.open, empty.high, empty.low), (empty.last, empty.last, empty.last));
    }
}
