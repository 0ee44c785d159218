//! Every native text. Prices are ticks, sizes lots, atoms and order ids decimal strings; a level is `[ticks, lots, orders]`.
//! Frames of `blocks`, `depth`, `book` and `trades` are functions of one block alone, so a resumed client reads the same bytes.

use crate::bars::Interval;
use crate::books::{BlockHead, Books, DepthCopy, DepthMove, Directory, MarketState};
use crate::frames::{Body, Class, Frame, StreamState, bar_at, bar_move};
use crate::sequencer::{Applied, Link, market_of, moves_book};
use alloy_primitives::{Address, B256};
use indexer::Record;
use indexer::project::{Candle, Day, FillRow};
use orderbook::{AccountId, DepthLevel, Event, MarketId, MarketStatus, Order, OrderId, ReduceReason, Side, TokenId, abi};

/// Orders in one part of a `book` snapshot.
const ORDERS_A_PART: usize = 1_000;

/// One of the channels of `/v1/ws`, with its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Every block; with the records of all markets or of one, or without.
    Blocks {
        market: Option<MarketId>,
        records: bool,
    },
    Trades {
        market: Option<MarketId>,
    },
    Depth {
        market: MarketId,
    },
    Book {
        market: MarketId,
    },
    Candles {
        market: MarketId,
        interval: Interval,
    },
    Ticker {
        market: MarketId,
    },
}

impl Stream {
    pub fn channel(self) -> &'static str {
        match self {
            Stream::Blocks { .. } => "blocks",
            Stream::Trades { .. } => "trades",
            Stream::Depth { .. } => "depth",
            Stream::Book { .. } => "book",
            Stream::Candles { .. } => "candles",
            Stream::Ticker { .. } => "ticker",
        }
    }
    pub fn market(self) -> Option<MarketId> {
        match self {
            Stream::Blocks { market, .. } | Stream::Trades { market } => market,
            Stream::Depth { market } | Stream::Book { market } | Stream::Candles { market, .. } | Stream::Ticker { market } => Some(market),
        }
    }
    pub fn interval(self) -> Option<Interval> {
        match self {
            Stream::Candles { interval, .. } => Some(interval),
            _ => None,
        }
    }
    /// Messages can be sent again from the ring.
    pub fn resumable(self) -> bool {
        !matches!(self, Stream::Candles { .. } | Stream::Ticker { .. })
    }
}

/// JSON under construction; keys come with their comma.
struct Text(String);

impl Text {
    fn raw(&mut self, text: &str) -> &mut Text {
        self.0.push_str(text);
        self
    }
    fn number(&mut self, number: impl itoa::Integer) -> &mut Text {
        self.0.push_str(itoa::Buffer::new().format(number));
        self
    }
    fn quoted(&mut self, number: u128) -> &mut Text {
        self.raw("\"").number(number).raw("\"")
    }
    fn hash(&mut self, hash: &B256) -> &mut Text {
        self.hex(hash.as_slice())
    }
    fn address(&mut self, address: &Address) -> &mut Text {
        self.hex(address.as_slice())
    }
    fn hex(&mut self, bytes: &[u8]) -> &mut Text {
        const DIGITS: [u8; 16] = *b"0123456789abcdef";
        self.raw("\"0x");
        for byte in bytes {
            self.0.push(DIGITS[(byte >> 4) as usize] as char);
            self.0.push(DIGITS[(byte & 15) as usize] as char);
        }
        self.raw("\"")
    }
    fn side(&mut self, side: Side) -> &mut Text {
        self.raw(if side == Side::Bid { "\"bid\"" } else { "\"ask\"" })
    }
}

/// The head of every numbered message, up to its data. Begins after the subscription number.
fn envelope(kind: &str, market: Option<MarketId>, link: Link, head: BlockHead) -> Text {
    let mut text = Text(String::with_capacity(384));
    text.raw(",\"type\":\"").raw(kind).raw("\"");
    if let Some(market) = market {
        text.raw(",\"market\":").number(market.0);
    }
    text.raw(",\"seq\":").number(link.seq).raw(",\"prev\":").number(link.prev).raw(",\"block\":").number(head.number);
    text.raw(",\"hash\":").hash(&head.hash).raw(",\"time_ms\":").number(head.time_ms).raw(",\"commit\":\"executed\",\"data\":");
    text
}

fn body(stream: Stream, mut text: Text) -> Body {
    text.raw("}");
    Body { channel: stream.channel(), text: text.0 }
}

/// What one block says on a stream.
pub fn frames(stream: Stream, state: &mut StreamState, block: &Applied, books: &Books) -> Vec<Frame> {
    let traded = |market: MarketId| block.update.changes.fills.iter().any(|fill| fill.market == market);
    match stream {
        Stream::Candles { market, interval } => {
            let Some(known) = books.market(market) else { return Vec::new() };
            let moves = bar_move(interval, known, state, block.head.time_ms, traded(market));
            let frame = |bar: &Candle, closed: bool, prev: u64, class: Class| {
                let mut text = envelope("update", Some(market), Link { prev, seq: block.seq.seq }, block.head);
                candle(&mut text, interval, bar, closed);
                Frame { class, body: body(stream, text), seq: block.seq.seq }
            };
            let mut frames = Vec::new();
            for (bar, closed, class) in [(moves.closed, true, Class::Lossless), (moves.open, false, Class::Newest)] {
                if let Some(bar) = bar {
                    frames.push(frame(&bar, closed, state.seq, class));
                    state.seq = block.seq.seq;
                }
            }
            frames
        }
        Stream::Ticker { market } => {
            let day = books.market(market).filter(|_| traded(market)).and_then(|known| known.ticker.day());
            let Some(day) = day else { return Vec::new() };
            let link = Link { prev: std::mem::replace(&mut state.seq, block.seq.seq), seq: block.seq.seq };
            let mut text = envelope("update", Some(market), link, block.head);
            ticker(&mut text, &day);
            vec![Frame { class: Class::Newest, body: body(stream, text), seq: block.seq.seq }]
        }
        _ => again(stream, block, &books.owners.read()).into_iter().collect(),
    }
}

/// The frame of a resumable stream: the same whenever it is asked for.
pub fn again(stream: Stream, block: &Applied, names: &Directory) -> Option<Frame> {
    let links = |market: MarketId| block.markets.iter().find(|links| links.market == market);
    let lossless = |text: Text, seq: u64| Some(Frame { class: Class::Lossless, body: body(stream, text), seq });
    match stream {
        Stream::Blocks { market, records } => {
            let mut text = envelope("update", None, block.seq, block.head);
            block_data(&mut text, block, market, records, names);
            lossless(text, block.seq.seq)
        }
        Stream::Depth { market } => {
            let depth = block.moves.iter().find(|depth| depth.info.market.id == market)?;
            Some(Frame { class: Class::Merge(depth.clone()), body: depth_update(depth), seq: depth.u })
        }
        Stream::Trades { market } => {
            let link = match market {
                Some(market) => links(market)?.trades?,
                None => block.trades?,
            };
            let mut text = envelope("update", market, link, block.head);
            let fills = block.update.changes.fills.iter().filter(|fill| market.is_none_or(|market| fill.market == market));
            list(&mut text, fills, |text, row| fill(text, block, row, names));
            lossless(text, link.seq)
        }
        Stream::Book { market } => {
            let link = links(market)?.book?;
            let mut text = envelope("update", Some(market), link, block.head);
            let rows = block.update.records.iter().filter(|row| moves_book(&row.event) && market_of(&row.event) == Some(market));
            records(&mut text, block, rows, names, false);
            lossless(text, link.seq)
        }
        Stream::Candles { .. } | Stream::Ticker { .. } => None,
    }
}

/// A difference of depth, of one block or merged.
pub fn depth_update(depth: &DepthMove) -> Body {
    let market = depth.info.market.id;
    let mut text = envelope("update", Some(market), Link { prev: depth.prev_u, seq: depth.u }, depth.head);
    depth_data(&mut text, &depth.bids, &depth.asks, depth.crc, &depth.book_hash);
    body(Stream::Depth { market }, text)
}

/// A whole book by levels.
pub fn depth_snapshot(copy: &DepthCopy, head: BlockHead) -> Body {
    let market = copy.info.market.id;
    let mut text = envelope("snapshot", Some(market), Link { prev: 0, seq: copy.u }, head);
    depth_data(&mut text, &copy.bids, &copy.asks, copy.crc, &copy.book_hash);
    body(Stream::Depth { market }, text)
}

/// The data of a depth snapshot, for REST.
pub fn depth_data_text(copy: &DepthCopy) -> String {
    let mut text = Text(String::with_capacity(4096));
    depth_data(&mut text, &copy.bids, &copy.asks, copy.crc, &copy.book_hash);
    text.0
}

/// An order of a book snapshot, with what its `Placed` said.
#[derive(Clone, Copy, Debug)]
pub struct ShownOrder {
    pub order: Order,
    pub lots: u64,
    pub seq: u64,
}

/// Copies what rests in a market, bids then asks, best first, in queue order.
pub fn shown_orders(market: &MarketState) -> Vec<ShownOrder> {
    let all = market.book.orders(Side::Bid).chain(market.book.orders(Side::Ask));
    let shown = all.map(|order| {
        let facts = market.placed.get(&order.id);
        ShownOrder { order, lots: facts.map_or(order.left.0, |facts| facts.lots.0), seq: facts.map_or(0, |facts| facts.seq) }
    });
    shown.collect()
}

/// A whole book by orders, in parts.
pub fn book_snapshot(market: MarketId, seq: u64, head: BlockHead, orders: &[ShownOrder], names: &Directory) -> Vec<Body> {
    let parts: Vec<&[ShownOrder]> = if orders.is_empty() { vec![&[]] } else { orders.chunks(ORDERS_A_PART).collect() };
    let print = |(at, part): (usize, &&[ShownOrder])| {
        let mut text = envelope("snapshot", Some(market), Link { prev: 0, seq }, head);
        text.raw("{\"part\":").number(at + 1).raw(",\"parts\":").number(parts.len()).raw(",\"orders\":");
        list(&mut text, part.iter(), |text, shown| {
            let ShownOrder { order, lots, seq } = shown;
            text.raw("{\"order\":").quoted(order.id.packed()).raw(",\"account\":").number(order.account.0).raw(",\"owner\":");
            text.address(&owner(names, order.account)).raw(",\"side\":").side(order.id.level.side);
            text.raw(",\"ticks\":").number(order.id.level.ticks.0).raw(",\"lots\":").number(*lots).raw(",\"left\":").number(order.left.0);
            text.raw(",\"expiry\":").number(order.expiry_s).raw(",\"seq\":").number(*seq).raw("}");
        });
        text.raw("}");
        body(Stream::Book { market }, text)
    };
    parts.iter().enumerate().map(print).collect()
}

/// The open bar, for a new listener.
pub fn candle_snapshot(market: &MarketState, interval: Interval, head: BlockHead, seq: u64) -> Option<Body> {
    let id = market.info.market.id;
    let bar = bar_at(interval, market, interval.open_ms(head.time_ms))?;
    let mut text = envelope("snapshot", Some(id), Link { prev: 0, seq }, head);
    candle(&mut text, interval, &bar, false);
    Some(body(Stream::Candles { market: id, interval }, text))
}

/// The 24 hours now, for a new listener; `None` before the first trade.
pub fn ticker_snapshot(market: &MarketState, head: BlockHead, seq: u64) -> Option<Body> {
    let id = market.info.market.id;
    let mut text = envelope("snapshot", Some(id), Link { prev: 0, seq }, head);
    ticker(&mut text, &market.ticker.day()?);
    Some(body(Stream::Ticker { market: id }, text))
}

/// `resumed`, before the messages sent again.
pub fn resumed(stream: Stream, from: u64) -> Body {
    let mut text = Text(String::new());
    text.raw(",\"type\":\"resumed\"");
    if let Some(market) = stream.market() {
        text.raw(",\"market\":").number(market.0);
    }
    text.raw(",\"from\":").number(from);
    body(stream, text)
}

/// One candle, as on the websocket and in `/v1/candles`.
pub fn candle_text(interval: Interval, bar: &Candle, closed: bool) -> String {
    let mut text = Text(String::with_capacity(256));
    candle(&mut text, interval, bar, closed);
    text.0
}

fn candle(text: &mut Text, interval: Interval, bar: &Candle, closed: bool) {
    text.raw("{\"interval\":\"").raw(interval.name()).raw("\",\"open_ms\":").number(bar.open_ms);
    text.raw(",\"open\":").number(bar.open.0).raw(",\"high\":").number(bar.high.0).raw(",\"low\":").number(bar.low.0);
    text.raw(",\"close\":").number(bar.close.0).raw(",\"lots\":").number(bar.lots).raw(",\"quote_atoms\":").quoted(bar.quote_atoms);
    text.raw(",\"trades\":").number(bar.trades).raw(",\"taker_bid_lots\":").number(bar.taker_bid_lots);
    text.raw(",\"closed\":").raw(if closed { "true}" } else { "false}" });
}

fn ticker(text: &mut Text, day: &Day) {
    text.raw("{\"open\":").number(day.open.0).raw(",\"high\":").number(day.high.0).raw(",\"low\":").number(day.low.0);
    text.raw(",\"last\":").number(day.last.0).raw(",\"lots\":").number(day.lots).raw(",\"quote_atoms\":").quoted(day.quote_atoms);
    text.raw(",\"trades\":").number(day.trades).raw("}");
}

fn depth_data(text: &mut Text, bids: &[DepthLevel], asks: &[DepthLevel], crc: u32, book_hash: &B256) {
    let level = |text: &mut Text, level: &DepthLevel| {
        text.raw("[").number(level.ticks.0).raw(",").number(level.lots.0).raw(",").number(level.orders).raw("]");
    };
    text.raw("{\"bids\":");
    list(text, bids.iter(), level);
    text.raw(",\"asks\":");
    list(text, asks.iter(), level);
    text.raw(",\"crc\":").number(crc).raw(",\"book_hash\":").hash(book_hash).raw("}");
}

fn block_data(text: &mut Text, block: &Applied, market: Option<MarketId>, with_records: bool, names: &Directory) {
    let update = &block.update;
    text.raw("{\"parent\":").hash(&update.parent).raw(",\"base_fee\":").quoted(update.base_fee as u128);
    text.raw(",\"gas_used\":").number(update.gas_used).raw(",\"txs\":").number(update.txs.len()).raw(",\"heads\":{");
    for (at, depth) in block.moves.iter().enumerate() {
        text.raw(if at == 0 { "\"" } else { ",\"" }).number(depth.info.market.id.0).raw("\":{\"crc\":").number(depth.crc);
        text.raw(",\"book_hash\":").hash(&depth.book_hash).raw("}");
    }
    text.raw("}");
    if with_records {
        text.raw(",\"records\":");
        let wanted = |record: &&Record| market.is_none() || market_of(&record.event) == market;
        records(text, block, update.records.iter().filter(wanted), names, market.is_none());
    }
    text.raw("}");
}

/// Records in execution order; a `LevelFill` becomes its fills. Reverted calls of the exchange, if wanted, end the list.
fn records<'a>(text: &mut Text, block: &Applied, rows: impl Iterator<Item = &'a Record>, names: &Directory, with_failed: bool) {
    text.raw("[");
    let mut first = true;
    let mut comma = |text: &mut Text| {
        if !std::mem::take(&mut first) {
            text.raw(",");
        }
    };
    for row in rows {
        if let Event::LevelFill { level, .. } = &row.event {
            let fills = &block.update.changes.fills;
            let from = fills.partition_point(|fill| fill.log < row.log);
            for made in fills[from..].iter().take_while(|fill| fill.log == row.log).filter(|fill| fill.market == level.market) {
                comma(text);
                fill(text, block, made, names);
            }
        } else if shown(&row.event) {
            comma(text);
            record(text, block, row, names);
        }
    }
    let failed = block.update.txs.iter().enumerate().filter(|(_, tx)| with_failed && tx.to_exchange && !tx.ok);
    for (at, tx) in failed {
        comma(text);
        text.raw("{\"kind\":\"failed\",\"log\":null,\"tx_index\":").number(at).raw(",\"tx\":").hash(&tx.hash);
        text.raw(",\"from\":").address(&tx.sender).raw(",\"reason\":null,\"gas_used\":").number(tx.gas_used).raw("}");
    }
    text.raw("]");
}

fn shown(event: &Event) -> bool {
    matches!(
        event,
        Event::Placed { .. }
            | Event::Reduced { .. }
            | Event::Taken { .. }
            | Event::Claimed { .. }
            | Event::Deposit { .. }
            | Event::Withdraw { .. }
            | Event::Rejected { .. }
            | Event::FeesSwept { .. }
            | Event::Swapped { .. }
            | Event::Scheduled { .. }
            | Event::Tier { .. }
            | Event::Status { .. }
    )
}

fn record_head(text: &mut Text, kind: &str, block: &Applied, log: u32, tx: u32) {
    text.raw("{\"kind\":\"").raw(kind).raw("\",\"log\":").number(log).raw(",\"tx_index\":").number(tx);
    text.raw(",\"tx\":").hash(&block.update.txs.get(tx as usize).map(|tx| tx.hash).unwrap_or_default());
}

fn record(text: &mut Text, block: &Applied, row: &Record, names: &Directory) {
    let mut head = |kind: &str| record_head(text, kind, block, row.log, row.tx);
    match &row.event {
        Event::Placed { order, account, lots, expiry_s, client, .. } => {
            head("placed");
            order_place(text, order);
            holder(text, *account, names);
            text.raw(",\"side\":").side(order.level.side).raw(",\"ticks\":").number(order.level.ticks.0).raw(",\"lots\":").number(lots.0);
            text.raw(",\"expiry\":").number(*expiry_s).raw(",\"client\":").number(*client);
        }
        Event::Reduced { order, left, removed, reason } => {
            head("reduced");
            order_place(text, order);
            text.raw(",\"left\":")
                .number(left.0)
                .raw(",\"removed\":")
                .number(removed.0)
                .raw(",\"reason\":\"")
                .raw(reduce_reason(*reason))
                .raw("\"");
        }
        Event::Taken { market, account, filled, client, mode, quote_atoms, fee_atoms, .. } => {
            head("taken");
            text.raw(",\"market\":").number(market.0);
            holder(text, *account, names);
            text.raw(",\"side\":").side(mode.side()).raw(",\"lots\":").number(filled.0).raw(",\"quote_atoms\":").quoted(*quote_atoms);
            text.raw(",\"fee_atoms\":").quoted(*fee_atoms).raw(",\"client\":").number(*client);
        }
        Event::Claimed { order, account, lots, back } => {
            head("claimed");
            order_place(text, order);
            text.raw(",\"account\":").number(account.0).raw(",\"lots\":").number(lots.0).raw(",\"back\":").number(back.0);
        }
        Event::Deposit { account, token, atoms } => {
            head("deposited");
            transfer(text, *account, *token, *atoms, names);
        }
        Event::Withdraw { account, token, atoms, .. } => {
            head("withdrawn");
            transfer(text, *account, *token, *atoms, names);
        }
        Event::Rejected { account, index, kind, reason, client } => {
            head("rejected");
            holder(text, *account, names);
            text.raw(",\"index\":").number(*index).raw(",\"op\":\"").raw(operation_name(*kind)).raw("\",\"reason\":");
            match abi::reject_from_selector(*reason) {
                Some(reject) => text.raw("\"").raw(reject.code()).raw("\""),
                None => text.hex(reason),
            };
            text.raw(",\"client\":").number(*client);
        }
        Event::FeesSwept { account, token, atoms } => {
            head("swept");
            transfer(text, *account, *token, *atoms, names);
        }
        Event::Swapped { from, to, token_in, token_out, atoms_in, atoms_out } => {
            let token = |id: &TokenId| names.tokens.get(id).copied().unwrap_or_default();
            head("swapped");
            text.raw(",\"from\":").address(from).raw(",\"to\":").address(to).raw(",\"token_in\":").address(&token(token_in));
            text.raw(",\"atoms_in\":").quoted(*atoms_in).raw(",\"token_out\":").address(&token(token_out));
            text.raw(",\"atoms_out\":").quoted(*atoms_out);
        }
        Event::Scheduled { account, at_s } => {
            head("scheduled");
            holder(text, *account, names);
            text.raw(",\"at\":").number(*at_s);
        }
        Event::Tier { account, tier } => {
            head("tier");
            holder(text, *account, names);
            text.raw(",\"tier\":").number(*tier);
        }
        Event::Status { market, status } => {
            head("status");
            text.raw(",\"market\":").number(market.0).raw(",\"status\":\"").raw(status_name(*status)).raw("\"");
        }
        _ => return,
    }
    text.raw("}");
}

fn fill(text: &mut Text, block: &Applied, row: &FillRow, names: &Directory) {
    record_head(text, "fill", block, row.log, row.tx);
    text.raw(",\"market\":").number(row.market.0).raw(",\"trade\":").number(row.trade).raw(",\"agg\":").number(row.agg);
    text.raw(",\"order\":").quoted(row.maker_order.packed());
    text.raw(",\"maker\":").number(row.maker.0).raw(",\"maker_owner\":").address(&owner(names, row.maker));
    text.raw(",\"taker\":").number(row.taker.0).raw(",\"taker_owner\":").address(&owner(names, row.taker));
    text.raw(",\"taker_side\":").side(row.taker_side).raw(",\"ticks\":").number(row.ticks.0).raw(",\"lots\":").number(row.lots.0);
    text.raw(",\"left\":").number(row.maker_left.0).raw("}");
}

fn order_place(text: &mut Text, order: &OrderId) {
    text.raw(",\"market\":").number(order.level.market.0).raw(",\"order\":").quoted(order.packed());
}

fn holder(text: &mut Text, account: AccountId, names: &Directory) {
    text.raw(",\"account\":").number(account.0).raw(",\"owner\":").address(&owner(names, account));
}

fn transfer(text: &mut Text, account: AccountId, token: TokenId, atoms: u128, names: &Directory) {
    text.raw(",\"account\":").number(account.0).raw(",\"token\":").address(&names.tokens.get(&token).copied().unwrap_or_default());
    text.raw(",\"atoms\":").quoted(atoms);
}

fn owner(names: &Directory, account: AccountId) -> Address {
    names.accounts.get(&account).copied().unwrap_or_default()
}

/// An operation of a batch by its kind byte, as in `Operation`.
fn operation_name(kind: u8) -> &'static str {
    const NAMES: [&str; 10] =
        ["place", "take", "cancel", "reduce", "claim", "replace", "ladder", "cancel_up_to", "cancel_client", "schedule"];
    NAMES.get((kind as usize).wrapping_sub(1)).copied().unwrap_or("unknown")
}

/// A market's status, as in `/v1/markets`.
pub fn status_name(status: MarketStatus) -> &'static str {
    match status {
        MarketStatus::Live => "live",
        MarketStatus::PostOnly => "post_only",
        MarketStatus::CancelOnly => "cancel_only",
        MarketStatus::Halted => "halted",
    }
}

fn reduce_reason(reason: ReduceReason) -> &'static str {
    match reason {
        ReduceReason::Cancel => "cancel",
        ReduceReason::Reduce => "reduce",
        ReduceReason::Replaced => "replaced",
        ReduceReason::Stp => "stp",
        ReduceReason::Expired => "expired",
        ReduceReason::Deadman => "deadman",
        ReduceReason::Halted => "halted",
    }
}

fn list<T>(text: &mut Text, rows: impl Iterator<Item = T>, mut print: impl FnMut(&mut Text, T)) {
    text.raw("[");
    for (at, row) in rows.enumerate() {
        if at > 0 {
            text.raw(",");
        }
        print(text, row);
    }
    text.raw("]");
}
