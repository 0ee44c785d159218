//! The public reads of `/api/v3`. Each answer is a text made from a copy that was taken between two blocks.

use super::wire::{self, Text};
use crate::bars::Interval;
use crate::books::{CompatInfo, MarketState};
use crate::error::Error;
use crate::history::{self, Wanted};
use crate::params::Params;
use crate::sequencer::Core;
use crate::state::{Place, Shared};
use orderbook::MarketId;

/// A read of `/api/v3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    Ping,
    Time,
    ExchangeInfo,
    Depth,
    Trades,
    AggTrades,
    Klines,
    Ticker24hr,
    TickerPrice,
    BookTicker,
}

const LEVELS_MOST: usize = 5_000;
const ROWS_MOST: usize = 1_000;
const ROWS_DEFAULT: usize = 500;

impl Read {
    /// What the read costs of the minute's weight.
    pub fn weight(self, params: &Params) -> u32 {
        let limit = params.number("limit").ok().flatten().unwrap_or(100);
        let named = |one: u32, all: u32| if params.get("symbol").is_some() { one } else { all };
        match self {
            Read::Ping | Read::Time => 1,
            Read::ExchangeInfo => 20,
            Read::Depth => match limit {
                0..=100 => 5,
                101..=500 => 25,
                501..=1_000 => 50,
                _ => 250,
            },
            Read::Trades => 25,
            Read::AggTrades => 4,
            Read::Klines => 2,
            Read::Ticker24hr => named(2, 80),
            Read::TickerPrice | Read::BookTicker => named(2, 4),
        }
    }

    /// The answer's text and the place it is true at.
    ///
    /// # Errors
    /// Those of the documentation, each with its code.
    pub async fn answer(self, shared: &Shared, params: &Params) -> Result<(String, Place), Error> {
        match self {
            Read::Ping => Ok(("{}".to_owned(), shared.core.read().place())),
            Read::Time => Ok((format!("{{\"serverTime\":{}}}", now_ms()), shared.core.read().place())),
            Read::ExchangeInfo => exchange_info(shared, params),
            Read::Depth => depth(shared, params),
            Read::Trades => trades(shared, params).await,
            Read::AggTrades => agg_trades(shared, params).await,
            Read::Klines => klines(shared, params).await,
            Read::Ticker24hr => ticker_24hr(shared, params),
            Read::TickerPrice => rows(shared, params, |text, compat, market, _| wire::price_row(text, compat, market.head.last_ticks)),
            Read::BookTicker => rows(shared, params, |text, compat, market, _| wire::book_ticker_row(text, compat, market.best())),
        }
    }
}

fn now_ms() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_millis()
}

fn named<'a>(core: &'a Core, name: &str) -> Result<(&'a MarketState, &'a CompatInfo), Error> {
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(Error::illegal("symbol"));
    }
    let market = core.books.symbols.market(name).and_then(|id| core.books.market(id)).ok_or_else(Error::unknown_market)?;
    let compat = market.info.compat.as_ref().ok_or_else(Error::unknown_market)?;
    Ok((market, compat))
}

/// The one market asked for by `symbol`, which is mandatory.
fn id_of(shared: &Shared, params: &Params) -> Result<MarketId, Error> {
    let core = shared.live()?;
    Ok(named(&core, params.need("symbol")?)?.0.info.market.id)
}

/// `symbol`, or `symbols` as a JSON array, or all. The flag says that the answer is a list.
fn chosen<'a>(core: &'a Core, params: &Params) -> Result<(Vec<(&'a MarketState, &'a CompatInfo)>, bool), Error> {
    match (params.get("symbol"), params.get("symbols")) {
        (Some(_), Some(_)) => Err(Error::bad("symbols", "symbol or symbols, not both")),
        (Some(name), None) => Ok((vec![named(core, name)?], false)),
        (None, Some(list)) => {
            let names: Vec<String> = serde_json::from_str(list).map_err(|_| Error::illegal("symbols"))?;
            if names.is_empty() || names.len() > 100 {
                return Err(Error::bad("symbols", "1 to 100 names"));
            }
            Ok((names.iter().map(|name| named(core, name)).collect::<Result<_, _>>()?, true))
        }
        (None, None) => {
            let markets = core.books.markets.values();
            Ok((markets.filter_map(|market| Some((market, market.info.compat.as_ref()?))).collect(), true))
        }
    }
}

fn rows(shared: &Shared, params: &Params, print: impl Fn(&mut Text, &CompatInfo, &MarketState, u64)) -> Result<(String, Place), Error> {
    let core = shared.live()?;
    let (markets, is_list) = chosen(&core, params)?;
    let mut text = Text::new();
    if is_list {
        text.raw("[");
    }
    for (at, (market, compat)) in markets.into_iter().enumerate() {
        if at > 0 {
            text.raw(",");
        }
        print(&mut text, compat, market, core.head.time_ms);
    }
    if is_list {
        text.raw("]");
    }
    Ok((text.finish(), core.place()))
}

fn exchange_info(shared: &Shared, params: &Params) -> Result<(String, Place), Error> {
    let core = shared.live()?;
    let (markets, _) = chosen(&core, params)?;
    let limits = &shared.config.limits;
    let mut text = Text::new();
    text.raw("{\"timezone\":\"UTC\",\"serverTime\":").number(now_ms());
    text.raw(",\"rateLimits\":[{\"rateLimitType\":\"REQUEST_WEIGHT\",\"interval\":\"MINUTE\",\"intervalNum\":1,\"limit\":");
    text.number(limits.weight_per_min).raw("},{\"rateLimitType\":\"RAW_REQUESTS\",\"interval\":\"MINUTE\",\"intervalNum\":5,\"limit\":");
    text.number(limits.requests_per_5min).raw("}],\"exchangeFilters\":[],\"symbols\":[");
    for (at, (market, compat)) in markets.into_iter().enumerate() {
        if at > 0 {
            text.raw(",");
        }
        wire::symbol_row(&mut text, compat, &market.info, market.head.status);
    }
    text.raw("]}");
    Ok((text.finish(), core.place()))
}

fn depth(shared: &Shared, params: &Params) -> Result<(String, Place), Error> {
    let name = params.need("symbol")?;
    let limit = params.limit(100, LEVELS_MOST)?;
    let (copy, place) = {
        let core = shared.live()?;
        (named(&core, name)?.0.depth(limit), core.place())
    };
    let compat = copy.info.compat.as_ref().ok_or_else(Error::unknown_market)?;
    Ok((wire::depth(&copy, compat), place))
}

async fn trades(shared: &Shared, params: &Params) -> Result<(String, Place), Error> {
    let market = id_of(shared, params)?;
    let limit = params.limit(ROWS_DEFAULT, ROWS_MOST)?;
    let place = shared.core.read().place();
    let trades = history::newest_trades(shared, market, limit).await?;
    let core = shared.live()?;
    let info = core.known(market.0)?.info.clone();
    drop(core);
    let compat = info.compat.as_ref().ok_or_else(Error::unknown_market)?;
    Ok((listed(&trades, |text, row| wire::trade_row(text, &info, compat, &row.fill, row.time_ms)), place))
}

async fn agg_trades(shared: &Shared, params: &Params) -> Result<(String, Place), Error> {
    let market = id_of(shared, params)?;
    let wanted = wanted(params)?;
    let place = shared.core.read().place();
    let rows = history::aggregates(shared, market, wanted).await?;
    let info = shared.live()?.known(market.0)?.info.clone();
    let compat = info.compat.as_ref().ok_or_else(Error::unknown_market)?;
    Ok((listed(&rows, |text, row| wire::agg_row(text, compat, row)), place))
}

async fn klines(shared: &Shared, params: &Params) -> Result<(String, Place), Error> {
    let market = id_of(shared, params)?;
    let interval = Interval::named_in_compat(params.need("interval")?).ok_or_else(Error::unknown_interval)?;
    if !matches!(params.get("timeZone"), None | Some("0" | "+0" | "-0" | " 0" | "0:00" | "00:00" | "+00:00" | " 00:00" | "-00:00")) {
        return Err(Error::bad("timeZone", "0"));
    }
    let wanted = Wanted { from_id: None, ..wanted(params)? };
    let place = shared.core.read().place();
    let (bars, _) = history::candles(shared, market, interval, wanted, true).await?;
    let info = shared.live()?.known(market.0)?.info.clone();
    let compat = info.compat.as_ref().ok_or_else(Error::unknown_market)?;
    Ok((listed(&bars, |text, bar| wire::kline_row(text, &info, compat, interval, bar)), place))
}

fn wanted(params: &Params) -> Result<Wanted, Error> {
    let wanted = Wanted {
        from_id: params.number("fromId")?,
        start_ms: params.number("startTime")?,
        end_ms: params.number("endTime")?,
        limit: params.limit(ROWS_DEFAULT, ROWS_MOST)?,
    };
    match (wanted.start_ms, wanted.end_ms) {
        (Some(start), Some(end)) if start > end => Err(Error::bad("endTime", "not before startTime")),
        _ => Ok(wanted),
    }
}

fn ticker_24hr(shared: &Shared, params: &Params) -> Result<(String, Place), Error> {
    let mini = match params.get("type") {
        None | Some("FULL") => false,
        Some("MINI") => true,
        Some(_) => return Err(Error::bad("type", "FULL or MINI")),
    };
    rows(shared, params, |text, compat, market, time_ms| wire::ticker_row(text, compat, market, time_ms, mini))
}

fn listed<T>(rows: &[T], print: impl Fn(&mut Text, &T)) -> String {
    let mut text = Text::new();
    text.raw("[");
    for (at, row) in rows.iter().enumerate() {
        if at > 0 {
            text.raw(",");
        }
        print(&mut text, row);
    }
    text.raw("]");
    text.finish()
}
