//! Trades and candles of any age: what Postgres has, then what memory has, without a hole and without a duplicate.
//! Live questions never wait for Postgres; if it is away, what memory holds is served and older pages answer -1008.

use crate::bars::{self, Interval};
use crate::books::{MarketState, Trade};
use crate::compat::wire::Aggregate;
use crate::error::Error;
use crate::state::Shared;
use indexer::project::Candle;
use indexer::store::Reader;
use indexer::store::{Span, Window};
use orderbook::{Lots, MarketId, Ticks};
use std::collections::BTreeMap;

/// Most rows asked of Postgres for one answer.
const ROWS_MAX: u32 = 10_000;

/// Which rows are wanted. Without a start the newest, with one the oldest from there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    pub from_id: Option<u64>,
    pub start_ms: Option<u64>,
    pub end_ms: Option<u64>,
    pub limit: usize,
}

fn away(error: impl std::fmt::Display) -> Error {
    tracing::warn!(%error, "history cannot be read");
    Error::busy("History is not available at the moment.")
}

/// The newest trades of a market, ascending.
pub async fn newest_trades(shared: &Shared, market: MarketId, limit: usize) -> Result<Vec<Trade>, Error> {
    let (mut rows, next) = {
        let core = shared.live()?;
        let known = core.known(market.0)?;
        let skip = known.trades.len().saturating_sub(limit);
        (known.trades.iter().skip(skip).cloned().collect::<Vec<_>>(), known.head.last_trade + 1)
    };
    let first = rows.first().map_or(next, |row| row.fill.trade);
    let missing = (limit - rows.len()).min(first as usize - 1);
    if let (Some(reader), true) = (&shared.reader, missing > 0) {
        let from = Window::Trade(first - missing as u64);
        match reader.fills(market, from, u64::MAX, missing as u32).await {
            Ok(older) => {
                let older =
                    older.into_iter().filter(|row| row.fill.trade < first).map(|row| Trade { fill: row.fill, time_ms: row.time_ms });
                let mut joined: Vec<Trade> = older.collect();
                // Postgres may be some blocks behind: rows with a hole before ours are left out.
                if joined.last().is_some_and(|last| last.fill.trade + 1 == first) {
                    joined.append(&mut rows);
                    rows = joined;
                }
            }
            Err(error) if rows.is_empty() => return Err(away(error)),
            Err(error) => drop(away(error)),
        }
    }
    Ok(rows)
}

/// Aggregates of a market, ascending.
pub async fn aggregates(shared: &Shared, market: MarketId, wanted: Wanted) -> Result<Vec<Aggregate>, Error> {
    let (held, next) = {
        let core = shared.live()?;
        let known = core.known(market.0)?;
        (held_aggregates(known), known.head.last_agg + 1)
    };
    let first_held = held.first().map_or(next, |row| row.agg);
    let end_ms = wanted.end_ms.unwrap_or(u64::MAX);
    let limit = wanted.limit;
    let (window, mut rows): (Window, Vec<Aggregate>) = match (wanted.from_id, wanted.start_ms) {
        (Some(id), _) => {
            let rows = held.iter().filter(|row| row.agg >= id).cloned().collect();
            if id >= first_held || id >= next {
                return Ok(cut(rows, limit));
            }
            (Window::Agg(id), rows)
        }
        (None, Some(start_ms)) => {
            let rows: Vec<_> = held.iter().filter(|row| (start_ms..=end_ms).contains(&row.time_ms)).cloned().collect();
            if held.first().is_some_and(|row| row.time_ms < start_ms) || first_held <= 1 {
                return Ok(cut(rows, limit));
            }
            (Window::Time { from_ms: start_ms, to_ms: end_ms }, rows)
        }
        (None, None) => {
            let mut rows: Vec<_> = held.iter().filter(|row| row.time_ms <= end_ms).cloned().collect();
            rows.drain(..rows.len().saturating_sub(limit));
            let first = rows.first().map_or(first_held, |row| row.agg);
            let missing = (limit - rows.len()).min(first as usize - 1);
            if missing == 0 || wanted.end_ms.is_some() {
                return Ok(rows);
            }
            let window = Window::Agg(first - missing as u64);
            return match older_aggregates(shared, market, window, first, missing).await {
                Ok(mut older) => {
                    if older.last().is_none_or(|last| last.agg + 1 != first) {
                        older.clear();
                    }
                    older.append(&mut rows);
                    Ok(older)
                }
                Err(_) if !rows.is_empty() => Ok(rows),
                Err(error) => Err(error),
            };
        }
    };
    if shared.reader.is_none() {
        return Ok(cut(rows, limit));
    }
    let mut older = older_aggregates(shared, market, window, first_held, limit).await?;
    if older.len() < limit && older.last().is_none_or(|last| last.agg + 1 == first_held) {
        older.append(&mut rows);
    }
    Ok(cut(older, limit))
}

async fn older_aggregates(shared: &Shared, market: MarketId, window: Window, below: u64, limit: usize) -> Result<Vec<Aggregate>, Error> {
    let Some(reader) = &shared.reader else { return Ok(Vec::new()) };
    let rows = reader.agg_trades(market, window, u64::MAX, limit as u32).await.map_err(away)?;
    let rows = rows.into_iter().filter(|row| row.agg < below).map(|row| Aggregate {
        agg: row.agg,
        ticks: row.ticks,
        lots: row.lots,
        first: row.first_trade,
        last: row.last_trade,
        time_ms: row.time_ms,
        taker_side: row.taker_side,
    });
    Ok(rows.collect())
}

fn cut(mut rows: Vec<Aggregate>, limit: usize) -> Vec<Aggregate> {
    rows.truncate(limit);
    rows
}

/// Whole aggregates in memory: the oldest one may have lost fills, and is left out unless it begins with the first trade.
fn held_aggregates(market: &MarketState) -> Vec<Aggregate> {
    let mut rows: Vec<Aggregate> = Vec::new();
    for trade in &market.trades {
        let fill = &trade.fill;
        match rows.last_mut() {
            Some(last) if last.agg == fill.agg => {
                last.last = fill.trade;
                last.lots = last.lots + fill.lots;
            }
            _ => rows.push(Aggregate {
                agg: fill.agg,
                ticks: fill.ticks,
                lots: Lots(fill.lots.0),
                first: fill.trade,
                last: fill.trade,
                time_ms: trade.time_ms,
                taker_side: fill.taker_side,
            }),
        }
    }
    if rows.first().is_some_and(|row| row.first > 1) && market.trades_cut {
        rows.remove(0);
    }
    rows
}

/// Candles of a market, ascending, at most `limit`, and the time of the newest block. With `fill` silent intervals are flat.
pub async fn candles(
    shared: &Shared,
    market: MarketId,
    interval: Interval,
    wanted: Wanted,
    fill: bool,
) -> Result<(Vec<Candle>, u64), Error> {
    let (held, mut before, now_ms, known_from_ms, window) = {
        let core = shared.live()?;
        let known = core.known(market.0)?;
        let now_ms = core.head.time_ms;
        let window = candle_window(interval, wanted, now_ms);
        let held = known.bars.base_range(interval, window.0, window.1);
        (held, known.bars.close_before(window.0), now_ms, known.bars.known_from_ms(interval), window)
    };
    let (from_ms, to_ms) = window;
    let mut bars: BTreeMap<u64, Candle> = BTreeMap::new();
    if let (Some(reader), true) = (&shared.reader, from_ms < known_from_ms) {
        let page = older_bars(reader, market, interval, from_ms, to_ms, fill).await;
        match page {
            Ok((older, close)) => {
                before = before.or(close);
                bars.extend(older.into_iter().map(|bar| (bar.open_ms, bar)));
            }
            Err(error) if held.is_empty() && wanted.start_ms.is_some() => return Err(error),
            Err(_) => {}
        }
    }
    for bar in held {
        let newer = bars.get(&bar.open_ms).is_none_or(|known| bar.trades >= known.trades);
        if newer {
            bars.insert(bar.open_ms, bar);
        }
    }
    let mut rows = bars::fold(interval, bars.values());
    if fill {
        let until_ms = to_ms.min(now_ms);
        rows = bars::fill_flat(interval, market, rows, before, from_ms, until_ms, wanted.limit + 32);
    }
    if wanted.start_ms.is_some() {
        rows.truncate(wanted.limit);
    } else {
        rows.drain(..rows.len().saturating_sub(wanted.limit));
    }
    Ok((rows, now_ms))
}

async fn older_bars(
    reader: &Reader,
    market: MarketId,
    interval: Interval,
    from_ms: u64,
    to_ms: u64,
    fill: bool,
) -> Result<(Vec<Candle>, Option<Ticks>), Error> {
    let base_s = interval.base_s();
    let span = Span { from_ms: Some(from_ms), to_ms };
    let rows = reader.candles(market, base_s, span, ROWS_MAX).await.map_err(away)?;
    let mut close = None;
    if fill && from_ms > 0 {
        let span = Span { from_ms: None, to_ms: from_ms - 1 };
        close = reader.candles(market, base_s, span, 1).await.map_err(away)?.last().map(|bar| bar.close);
    }
    Ok((rows, close))
}

/// First and last moment at which a wanted bar may open.
fn candle_window(interval: Interval, wanted: Wanted, now_ms: u64) -> (u64, u64) {
    let to_ms = wanted.end_ms.unwrap_or(now_ms).min(interval.end_ms(interval.open_ms(now_ms)));
    let span_ms = (wanted.limit as u64).saturating_mul(interval.length_ms());
    match wanted.start_ms {
        Some(start_ms) => {
            let open_ms = interval.open_ms(start_ms);
            let from_ms = if open_ms < start_ms { interval.end_ms(open_ms) } else { open_ms };
            (from_ms, to_ms.min(from_ms.saturating_add(span_ms)))
        }
        None => (interval.open_ms(to_ms.saturating_sub(span_ms.saturating_sub(interval.length_ms()))), to_ms),
    }
}
