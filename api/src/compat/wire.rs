//! Every compat text: answers of `/api/v3` and events of `/ws`, `/stream`. Amounts are strings with exactly eight decimals.
//! No event has a key at its top that clients give another meaning to (`status error event data stream id pu ps result`).

use super::symbol::{Kind, Stream};
use crate::books::{Best, Books, CompatInfo, DepthCopy, DepthMove, MarketInfo, MarketState};
use crate::decimal::{self, push_quoted_e8};
use crate::frames::{Body, Class, Frame, StreamState, bar_at, bar_move};
use crate::sequencer::Applied;
use indexer::project::{Candle, Day, FillRow};
use orderbook::{AccountId, DepthLevel, Lots, MarketStatus, Side, Ticks};
use std::sync::Arc;

/// Weight of a minute, told in `exchangeInfo`.
pub const NO_TRADE: i64 = -1;
/// Clients' number range caps an order at 9e9 units.
const MAX_UNITS_E8: u128 = 9_000_000_000 * decimal::E8;

/// A text under construction. Keys are written with their comma.
pub struct Text(Vec<u8>);

impl Text {
    pub fn new() -> Text {
        Text(Vec::with_capacity(256))
    }
    pub fn raw(&mut self, text: &str) -> &mut Text {
        self.0.extend_from_slice(text.as_bytes());
        self
    }
    pub fn number(&mut self, number: impl itoa::Integer) -> &mut Text {
        self.0.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        self
    }
    pub fn e8(&mut self, value: u128) -> &mut Text {
        push_quoted_e8(&mut self.0, value);
        self
    }
    pub fn hex(&mut self, bytes: &[u8]) -> &mut Text {
        self.raw("\"0x");
        for byte in bytes {
            self.0.push(HEX[(byte >> 4) as usize]);
            self.0.push(HEX[(byte & 15) as usize]);
        }
        self.raw("\"")
    }
    pub fn finish(self) -> String {
        String::from_utf8(self.0).unwrap_or_default()
    }
}

const HEX: [u8; 16] = *b"0123456789abcdef";

/// What one block says on a stream.
pub fn frames(stream: Stream, state: &mut StreamState, block: &Applied, books: &Books) -> Vec<Frame> {
    let Some(market) = books.market(stream.market) else { return Vec::new() };
    let Some(compat) = &market.info.compat else { return Vec::new() };
    let moved = block.moves.iter().find(|depth| depth.info.market.id == stream.market);
    let fills = || block.update.changes.fills.iter().filter(|fill| fill.market == stream.market);
    let traded = || fills().next().is_some();
    let lossless = |text: String, seq: u64| Frame { class: Class::Lossless, body: body(text), seq };
    let newest = |text: String| Frame { class: Class::Newest, body: body(text), seq: block.seq.seq };
    match stream.kind {
        Kind::Trade => fills().map(|fill| lossless(trade(compat, block, fill, books), seq_of(block, fill))).collect(),
        Kind::AggTrade => {
            let rows: Vec<&FillRow> = fills().collect();
            let groups = rows.chunk_by(|a, b| a.agg == b.agg);
            groups.map(|group| lossless(agg_trade(compat, block, group), seq_of(block, group[group.len() - 1]))).collect()
        }
        Kind::Depth => moved.map(depth_frame).into_iter().collect(),
        Kind::DepthSecond => {
            if let Some(depth) = moved {
                match &mut state.pending {
                    Some(pending) => pending.merge(depth),
                    None => state.pending = Some(DepthMove::clone(depth)),
                }
            }
            let due = state.pending.is_some() && block.head.time_ms >= state.last_ms + 1_000;
            let Some(mut depth) = state.pending.take_if(|_| due) else { return Vec::new() };
            state.last_ms = block.head.time_ms;
            depth.head = block.head;
            vec![depth_frame(&Arc::new(depth))]
        }
        Kind::BookTicker => {
            let depth = moved.filter(|depth| depth.best_moved);
            depth.map(|depth| newest(book_ticker(compat, depth.u, depth.best))).into_iter().collect()
        }
        Kind::Partial(levels) => moved.map(|_| newest(depth(&market.depth(levels as usize), compat))).into_iter().collect(),
        Kind::Kline(interval) => {
            let moves = bar_move(interval, market, state, block.head.time_ms, traded());
            let event = |bar: Candle, closed: bool| kline_event(compat, &market.info, interval, block.head.time_ms, &bar, closed);
            let closed = moves.closed.map(|bar| lossless(event(bar, true), block.seq.seq));
            closed.into_iter().chain(moves.open.map(|bar| newest(event(bar, false)))).collect()
        }
        Kind::Ticker | Kind::MiniTicker => {
            if traded() {
                state.open_ms = 1;
            }
            if state.open_ms == 0 || block.head.time_ms < state.last_ms + 1_000 {
                return Vec::new();
            }
            (state.open_ms, state.last_ms) = (0, block.head.time_ms);
            current(stream, block.head.time_ms, books).map(newest).into_iter().collect()
        }
    }
}

/// What a value stream shows to a new listener right after the acknowledgement.
pub fn current(stream: Stream, time_ms: u64, books: &Books) -> Option<String> {
    let market = books.market(stream.market)?;
    let compat = market.info.compat.as_ref()?;
    match stream.kind {
        Kind::Trade | Kind::AggTrade | Kind::Depth | Kind::DepthSecond => None,
        Kind::BookTicker => Some(book_ticker(compat, market.head.last_u, market.best())),
        Kind::Partial(levels) => Some(depth(&market.depth(levels as usize), compat)),
        Kind::Kline(interval) => {
            let bar = bar_at(interval, market, interval.open_ms(time_ms))?;
            Some(kline_event(compat, &market.info, interval, time_ms, &bar, false))
        }
        Kind::Ticker => Some(ticker_event(compat, market, time_ms)),
        Kind::MiniTicker => Some(mini_ticker_event(compat, market, time_ms)),
    }
}

fn body(text: String) -> Body {
    Body { channel: "", text }
}

fn seq_of(block: &Applied, fill: &FillRow) -> u64 {
    indexer::project::seq(block.head.number, fill.log)
}

fn depth_frame(depth: &Arc<DepthMove>) -> Frame {
    Frame { class: Class::Merge(depth.clone()), body: depth_update(depth), seq: depth.u }
}

/// `depthUpdate`, of one block or merged.
pub fn depth_update(depth: &DepthMove) -> Body {
    let Some(compat) = &depth.info.compat else { return body(String::new()) };
    let mut text = Text::new();
    text.raw("{\"e\":\"depthUpdate\",\"E\":").number(depth.head.time_ms).raw(",\"s\":\"").raw(&compat.symbol);
    text.raw("\",\"U\":").number(depth.prev_u + 1).raw(",\"u\":").number(depth.u);
    text.raw(",\"b\":");
    levels(&mut text, compat, &depth.bids);
    text.raw(",\"a\":");
    levels(&mut text, compat, &depth.asks);
    text.raw(",\"bn\":").number(depth.head.number).raw(",\"bh\":").hex(depth.head.hash.as_slice());
    text.raw(",\"cs\":\"executed\",\"cp\":\"").number(depth.crc).raw("\"}");
    body(text.finish())
}

fn levels(text: &mut Text, compat: &CompatInfo, levels: &[DepthLevel]) {
    text.raw("[");
    for (at, level) in levels.iter().enumerate() {
        text.raw(if at == 0 { "[" } else { ",[" });
        text.e8(compat.scale.price_e8(level.ticks)).raw(",").e8(compat.scale.size_e8(level.lots)).raw("]");
    }
    text.raw("]");
}

/// `depth` of REST and the partial depth streams.
pub fn depth(copy: &DepthCopy, compat: &CompatInfo) -> String {
    let mut text = Text::new();
    text.raw("{\"lastUpdateId\":").number(copy.u).raw(",\"bids\":");
    levels(&mut text, compat, &copy.bids);
    text.raw(",\"asks\":");
    levels(&mut text, compat, &copy.asks);
    text.raw("}");
    text.finish()
}

fn trade(compat: &CompatInfo, block: &Applied, fill: &FillRow, books: &Books) -> String {
    let owners = books.owners.read();
    let owner = |account: AccountId| owners.accounts.get(&account).copied().unwrap_or_default();
    let mut text = Text::new();
    text.raw("{\"e\":\"trade\",\"E\":").number(block.head.time_ms).raw(",\"s\":\"").raw(&compat.symbol);
    text.raw("\",\"t\":").number(fill.trade);
    text.raw(",\"p\":").e8(compat.scale.price_e8(fill.ticks)).raw(",\"q\":").e8(compat.scale.size_e8(fill.lots));
    text.raw(",\"T\":").number(block.head.time_ms).raw(",\"m\":").raw(buyer_is_maker(fill.taker_side)).raw(",\"M\":true");
    text.raw(",\"bn\":").number(block.head.number).raw(",\"li\":").number(fill.log);
    let hash = block.update.txs.get(fill.tx as usize).map(|tx| tx.hash).unwrap_or_default();
    text.raw(",\"tx\":").hex(hash.as_slice());
    text.raw(",\"mk\":").hex(owner(fill.maker).as_slice()).raw(",\"tk\":").hex(owner(fill.taker).as_slice()).raw("}");
    text.finish()
}

fn agg_trade(compat: &CompatInfo, block: &Applied, group: &[&FillRow]) -> String {
    let (first, last) = (group[0], group[group.len() - 1]);
    let lots = Lots(group.iter().map(|fill| fill.lots.0).sum());
    let mut text = Text::new();
    text.raw("{\"e\":\"aggTrade\",\"E\":").number(block.head.time_ms).raw(",\"s\":\"").raw(&compat.symbol);
    text.raw("\",\"a\":").number(first.agg);
    text.raw(",\"p\":").e8(compat.scale.price_e8(first.ticks)).raw(",\"q\":").e8(compat.scale.size_e8(lots));
    text.raw(",\"f\":").number(first.trade).raw(",\"l\":").number(last.trade);
    text.raw(",\"T\":").number(block.head.time_ms).raw(",\"m\":").raw(buyer_is_maker(first.taker_side)).raw(",\"M\":true}");
    text.finish()
}

fn buyer_is_maker(taker: Side) -> &'static str {
    if taker == Side::Ask { "true" } else { "false" }
}

fn best_e8(compat: &CompatInfo, best: Option<(Ticks, Lots)>) -> (u128, u128) {
    best.map_or((0, 0), |(ticks, lots)| (compat.scale.price_e8(ticks), compat.scale.size_e8(lots)))
}

fn book_ticker(compat: &CompatInfo, u: u64, best: Best) -> String {
    let ((bid, bid_size), (ask, ask_size)) = (best_e8(compat, best.bid), best_e8(compat, best.ask));
    let mut text = Text::new();
    text.raw("{\"u\":").number(u).raw(",\"s\":\"").raw(&compat.symbol).raw("\",\"b\":").e8(bid).raw(",\"B\":").e8(bid_size);
    text.raw(",\"a\":").e8(ask).raw(",\"A\":").e8(ask_size).raw("}");
    text.finish()
}

/// A bar's numbers in compat units.
struct Bar {
    open: u128,
    high: u128,
    low: u128,
    close: u128,
    base: u128,
    quote: u128,
    taker_base: u128,
    taker_quote: u128,
}

fn bar_e8(compat: &CompatInfo, info: &MarketInfo, bar: &Candle) -> Bar {
    let price = |ticks| compat.scale.price_e8(ticks);
    Bar {
        open: price(bar.open),
        high: price(bar.high),
        low: price(bar.low),
        close: price(bar.close),
        base: compat.scale.size_e8(Lots(bar.lots)),
        quote: decimal::atoms_e8(bar.quote_atoms, info.quote.decimals),
        taker_base: compat.scale.size_e8(Lots(bar.taker_bid_lots)),
        taker_quote: decimal::atoms_e8(bar.taker_bid_quote_atoms, info.quote.decimals),
    }
}

fn kline_event(
    compat: &CompatInfo,
    info: &MarketInfo,
    interval: crate::bars::Interval,
    time_ms: u64,
    bar: &Candle,
    closed: bool,
) -> String {
    let e8 = bar_e8(compat, info, bar);
    let (first, last) = match bar.trades {
        0 => (NO_TRADE, NO_TRADE),
        trades => (bar.first_trade as i64, (bar.first_trade + trades as u64 - 1) as i64),
    };
    let mut text = Text::new();
    text.raw("{\"e\":\"kline\",\"E\":").number(time_ms).raw(",\"s\":\"").raw(&compat.symbol).raw("\",\"k\":{\"t\":").number(bar.open_ms);
    text.raw(",\"T\":").number(interval.end_ms(bar.open_ms) - 1).raw(",\"s\":\"").raw(&compat.symbol);
    text.raw("\",\"i\":\"").raw(interval.name()).raw("\",\"f\":").number(first).raw(",\"L\":").number(last);
    text.raw(",\"o\":").e8(e8.open).raw(",\"c\":").e8(e8.close).raw(",\"h\":").e8(e8.high).raw(",\"l\":").e8(e8.low);
    text.raw(",\"v\":").e8(e8.base).raw(",\"n\":").number(bar.trades).raw(",\"x\":").raw(if closed { "true" } else { "false" });
    text.raw(",\"q\":").e8(e8.quote).raw(",\"V\":").e8(e8.taker_base).raw(",\"Q\":").e8(e8.taker_quote).raw(",\"B\":\"0\"}}");
    text.finish()
}

/// A row of `klines`.
pub fn kline_row(text: &mut Text, info: &MarketInfo, compat: &CompatInfo, interval: crate::bars::Interval, bar: &Candle) {
    let e8 = bar_e8(compat, info, bar);
    text.raw("[").number(bar.open_ms).raw(",").e8(e8.open).raw(",").e8(e8.high).raw(",").e8(e8.low).raw(",").e8(e8.close);
    text.raw(",").e8(e8.base).raw(",").number(interval.end_ms(bar.open_ms) - 1).raw(",").e8(e8.quote).raw(",").number(bar.trades);
    text.raw(",").e8(e8.taker_base).raw(",").e8(e8.taker_quote).raw(",\"0\"]");
}

/// A row of `trades`.
pub fn trade_row(text: &mut Text, info: &MarketInfo, compat: &CompatInfo, fill: &FillRow, time_ms: u64) {
    let quote = decimal::atoms_e8(info.market.quote_atoms(fill.ticks, fill.lots).0, info.quote.decimals);
    text.raw("{\"id\":").number(fill.trade).raw(",\"price\":").e8(compat.scale.price_e8(fill.ticks));
    text.raw(",\"qty\":").e8(compat.scale.size_e8(fill.lots)).raw(",\"quoteQty\":").e8(quote);
    text.raw(",\"time\":").number(time_ms).raw(",\"isBuyerMaker\":").raw(buyer_is_maker(fill.taker_side)).raw(",\"isBestMatch\":true}");
}

/// One taker operation at one price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregate {
    pub agg: u64,
    pub ticks: Ticks,
    pub lots: Lots,
    pub first: u64,
    pub last: u64,
    pub time_ms: u64,
    pub taker_side: Side,
}

/// A row of `aggTrades`.
pub fn agg_row(text: &mut Text, compat: &CompatInfo, row: &Aggregate) {
    text.raw("{\"a\":")
        .number(row.agg)
        .raw(",\"p\":")
        .e8(compat.scale.price_e8(row.ticks))
        .raw(",\"q\":")
        .e8(compat.scale.size_e8(row.lots));
    text.raw(",\"f\":").number(row.first).raw(",\"l\":").number(row.last).raw(",\"T\":").number(row.time_ms);
    text.raw(",\"m\":").raw(buyer_is_maker(row.taker_side)).raw(",\"M\":true}");
}

/// The 24 hours of a market in compat units.
struct DayE8 {
    day: Day,
    open: u128,
    high: u128,
    low: u128,
    last: u128,
    before: u128,
    base: u128,
    quote: u128,
    last_size: u128,
    first_trade: i64,
    last_trade: i64,
}

fn day_e8(compat: &CompatInfo, market: &MarketState, time_ms: u64) -> DayE8 {
    let empty = Day {
        open_ms: time_ms.saturating_sub(86_400_000),
        close_ms: time_ms,
        last: Ticks(0),
        last_lots: 0,
        open: Ticks(0),
        high: Ticks(0),
        low: Ticks(0),
        before: Ticks(0),
        lots: 0,
        quote_atoms: 0,
        trades: 0,
        first_trade: 0,
        last_trade: 0,
    };
    let day = market.ticker.day().unwrap_or(empty);
    let price = |ticks| compat.scale.price_e8(ticks);
    let ids = if day.trades == 0 { (NO_TRADE, NO_TRADE) } else { (day.first_trade as i64, day.last_trade as i64) };
    DayE8 {
        day,
        open: price(day.open),
        high: price(day.high),
        low: price(day.low),
        last: price(day.last),
        before: price(day.before),
        base: day.lots.saturating_mul(compat.scale.lot_e8 as u128),
        quote: decimal::atoms_e8(day.quote_atoms, market.info.quote.decimals),
        last_size: compat.scale.size_e8(Lots(day.last_lots)),
        first_trade: ids.0,
        last_trade: ids.1,
    }
}

/// An object of `ticker/24hr`; MINI leaves the comparisons out.
pub fn ticker_row(text: &mut Text, compat: &CompatInfo, market: &MarketState, time_ms: u64, mini: bool) {
    let row = day_e8(compat, market, time_ms);
    let best = market.best();
    let ((bid, bid_size), (ask, ask_size)) = (best_e8(compat, best.bid), best_e8(compat, best.ask));
    text.raw("{\"symbol\":\"").raw(&compat.symbol).raw("\"");
    if !mini {
        text.raw(",\"priceChange\":\"").raw(&decimal::text_change_e8(row.open, row.last));
        text.raw("\",\"priceChangePercent\":\"").raw(&decimal::text_change_percent(row.open, row.last));
        text.raw("\",\"weightedAvgPrice\":").e8(decimal::quotient_e8(row.quote, row.base));
        text.raw(",\"prevClosePrice\":").e8(row.before);
    }
    text.raw(",\"lastPrice\":").e8(row.last);
    if !mini {
        text.raw(",\"lastQty\":").e8(row.last_size).raw(",\"bidPrice\":").e8(bid).raw(",\"bidQty\":").e8(bid_size);
        text.raw(",\"askPrice\":").e8(ask).raw(",\"askQty\":").e8(ask_size);
    }
    text.raw(",\"openPrice\":").e8(row.open).raw(",\"highPrice\":").e8(row.high).raw(",\"lowPrice\":").e8(row.low);
    text.raw(",\"volume\":").e8(row.base).raw(",\"quoteVolume\":").e8(row.quote);
    text.raw(",\"openTime\":").number(row.day.open_ms).raw(",\"closeTime\":").number(row.day.close_ms);
    text.raw(",\"firstId\":").number(row.first_trade).raw(",\"lastId\":").number(row.last_trade).raw(",\"count\":").number(row.day.trades);
    text.raw("}");
}

fn ticker_event(compat: &CompatInfo, market: &MarketState, time_ms: u64) -> String {
    let row = day_e8(compat, market, time_ms);
    let best = market.best();
    let ((bid, bid_size), (ask, ask_size)) = (best_e8(compat, best.bid), best_e8(compat, best.ask));
    let mut text = Text::new();
    text.raw("{\"e\":\"24hrTicker\",\"E\":").number(time_ms).raw(",\"s\":\"").raw(&compat.symbol);
    text.raw("\",\"p\":\"").raw(&decimal::text_change_e8(row.open, row.last));
    text.raw("\",\"P\":\"").raw(&decimal::text_change_percent(row.open, row.last));
    text.raw("\",\"w\":").e8(decimal::quotient_e8(row.quote, row.base)).raw(",\"x\":").e8(row.before).raw(",\"c\":").e8(row.last);
    text.raw(",\"Q\":")
        .e8(row.last_size)
        .raw(",\"b\":")
        .e8(bid)
        .raw(",\"B\":")
        .e8(bid_size)
        .raw(",\"a\":")
        .e8(ask)
        .raw(",\"A\":")
        .e8(ask_size);
    text.raw(",\"o\":").e8(row.open).raw(",\"h\":").e8(row.high).raw(",\"l\":").e8(row.low).raw(",\"v\":").e8(row.base);
    text.raw(",\"q\":").e8(row.quote).raw(",\"O\":").number(row.day.open_ms).raw(",\"C\":").number(row.day.close_ms);
    text.raw(",\"F\":").number(row.first_trade).raw(",\"L\":").number(row.last_trade).raw(",\"n\":").number(row.day.trades).raw("}");
    text.finish()
}

fn mini_ticker_event(compat: &CompatInfo, market: &MarketState, time_ms: u64) -> String {
    let row = day_e8(compat, market, time_ms);
    let mut text = Text::new();
    text.raw("{\"e\":\"24hrMiniTicker\",\"E\":").number(time_ms).raw(",\"s\":\"").raw(&compat.symbol).raw("\",\"c\":").e8(row.last);
    text.raw(",\"o\":").e8(row.open).raw(",\"h\":").e8(row.high).raw(",\"l\":").e8(row.low).raw(",\"v\":").e8(row.base);
    text.raw(",\"q\":").e8(row.quote).raw("}");
    text.finish()
}

/// An object of `ticker/bookTicker`.
pub fn book_ticker_row(text: &mut Text, compat: &CompatInfo, best: Best) {
    let ((bid, bid_size), (ask, ask_size)) = (best_e8(compat, best.bid), best_e8(compat, best.ask));
    text.raw("{\"symbol\":\"").raw(&compat.symbol).raw("\",\"bidPrice\":").e8(bid).raw(",\"bidQty\":").e8(bid_size);
    text.raw(",\"askPrice\":").e8(ask).raw(",\"askQty\":").e8(ask_size).raw("}");
}

/// An object of `ticker/price`.
pub fn price_row(text: &mut Text, compat: &CompatInfo, last: Ticks) {
    text.raw("{\"symbol\":\"").raw(&compat.symbol).raw("\",\"price\":").e8(compat.scale.price_e8(last)).raw("}");
}

/// A market of `exchangeInfo`.
pub fn symbol_row(text: &mut Text, compat: &CompatInfo, info: &MarketInfo, status: MarketStatus) {
    let trading = matches!(status, MarketStatus::Live | MarketStatus::PostOnly);
    let scale = compat.scale;
    text.raw("{\"symbol\":\"").raw(&compat.symbol).raw("\",\"status\":\"").raw(if trading { "TRADING" } else { "HALT" });
    text.raw("\",\"baseAsset\":\"").raw(&compat.base_asset).raw("\",\"baseAssetPrecision\":8,\"quoteAsset\":\"").raw(&compat.quote_asset);
    text.raw("\",\"quotePrecision\":8,\"quoteAssetPrecision\":8,\"baseCommissionPrecision\":8,\"quoteCommissionPrecision\":8,");
    text.raw("\"orderTypes\":[\"LIMIT\",\"LIMIT_MAKER\",\"MARKET\"],\"icebergAllowed\":false,\"ocoAllowed\":false,\"otoAllowed\":false,");
    text.raw("\"quoteOrderQtyMarketAllowed\":false,\"allowTrailingStop\":false,\"cancelReplaceAllowed\":false,\"amendAllowed\":false,");
    text.raw("\"isSpotTradingAllowed\":true,\"isMarginTradingAllowed\":false,\"filters\":[{\"filterType\":\"PRICE_FILTER\",\"minPrice\":");
    text.e8(scale.price_e8(Ticks(1)))
        .raw(",\"maxPrice\":")
        .e8(scale.price_e8(Ticks::MAX))
        .raw(",\"tickSize\":")
        .e8(scale.price_e8(Ticks(1)));
    text.raw("},{\"filterType\":\"LOT_SIZE\",\"minQty\":").e8(scale.size_e8(Lots(info.market.lots_min as u64)));
    text.raw(",\"maxQty\":").e8(scale.size_e8(Lots::MAX).min(MAX_UNITS_E8)).raw(",\"stepSize\":").e8(scale.size_e8(Lots(1)));
    let least = decimal::product_e8(scale.price_e8(Ticks(1)), scale.size_e8(Lots(info.market.lots_min as u64))).max(1);
    text.raw("},{\"filterType\":\"NOTIONAL\",\"minNotional\":")
        .e8(least)
        .raw(",\"applyMinToMarket\":true,\"maxNotional\":")
        .e8(MAX_UNITS_E8);
    text.raw(",\"applyMaxToMarket\":false,\"avgPriceMins\":0}],\"permissions\":[\"SPOT\"],\"permissionSets\":[[\"SPOT\"]],");
    text.raw("\"defaultSelfTradePreventionMode\":\"NONE\",\"allowedSelfTradePreventionModes\":[\"NONE\"]}");
}
