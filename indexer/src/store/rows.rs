//! The tables, column by column, and the one way a value of ours becomes a tuple of each. What is listed here must match
//! `migrations/` in order and type; `store::open` compares it with the catalogue.

use super::copy::Tuples;
use crate::{
    Update,
    project::{Balance, Candle, FillRow, MarketHead, OpenOrder, Record, Token, seq},
};
use alloy_primitives::{Address, B256, U256};
use orderbook::{AccountId, Event, LevelKey, LevelWord, Market, OrderId, TokenId, abi};

/// A table that is written by COPY.
#[derive(Debug)]
pub(crate) struct Table {
    pub name: &'static str,
    /// Names and Postgres types, in order.
    pub columns: &'static [(&'static str, Kind)],
    /// Its key, in order of comparison.
    pub key: &'static [&'static str],
}

/// The types in use, by what they look like to a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Int2,
    Int4,
    /// A u32 in an int4.
    Account,
    Int8,
    Numeric,
    Bytes,
    Text,
}

use Kind::{Account, Bytes, Int2, Int4, Int8, Numeric, Text};

impl Kind {
    /// As `format_type` names it.
    pub fn sql(self) -> &'static str {
        match self {
            Int2 => "smallint",
            Int4 | Account => "integer",
            Int8 => "bigint",
            Numeric => "numeric(39,0)",
            Bytes => "bytea",
            Text => "text",
        }
    }
}

pub(crate) const ORDER_EVENTS: Table = Table {
    name: "order_events",
    columns: &[
        ("block", Int8),
        ("lots", Int8),
        ("left_lots", Int8),
        ("order_index", Int8),
        ("order_seq", Int8),
        ("client", Int8),
        ("expiry_s", Int8),
        ("log", Int4),
        ("tx", Int4),
        ("account", Account),
        ("market", Int4),
        ("ticks", Int4),
        ("kind", Int2),
        ("mode", Int2),
        ("side", Int2),
        ("reason", Int2),
        ("quote_atoms", Numeric),
        ("fee_atoms", Numeric),
    ],
    key: &["block", "log"],
};

pub(crate) const FILLS: Table = Table {
    name: "fills",
    columns: &[
        ("block", Int8),
        ("trade", Int8),
        ("agg", Int8),
        ("maker_index", Int8),
        ("maker_seq", Int8),
        ("taker_seq", Int8),
        ("lots", Int8),
        ("maker_left", Int8),
        ("n", Int4),
        ("market", Int4),
        ("ticks", Int4),
        ("maker", Account),
        ("taker", Account),
        ("tx", Int4),
        ("log", Int4),
        ("maker_side", Int2),
        ("fee_atoms", Numeric),
    ],
    key: &["block", "n"],
};

pub(crate) const TRANSFERS: Table = Table {
    name: "transfers",
    columns: &[("block", Int8), ("log", Int4), ("tx", Int4), ("account", Account), ("token", Int4), ("kind", Int2), ("atoms", Numeric)],
    key: &["block", "log", "kind"],
};

pub(crate) const ACCOUNTS: Table =
    Table { name: "accounts", columns: &[("account", Account), ("first_block", Int8), ("owner", Bytes)], key: &["account"] };

pub(crate) const TOKENS: Table = Table {
    name: "tokens",
    columns: &[("token", Int4), ("first_block", Int8), ("decimals", Int2), ("address", Bytes), ("name", Text)],
    key: &["token"],
};

pub(crate) const MARKETS: Table = Table {
    name: "markets",
    columns: &[
        ("market", Int4),
        ("base", Int4),
        ("quote", Int4),
        ("taker_fee_ppm", Int4),
        ("maker_fee_ppm", Int4),
        ("lots_min", Int4),
        ("min_ttl_s", Int4),
        ("first_block", Int8),
        ("base_atoms_per_lot", Numeric),
        ("quote_atoms_per_lot_tick", Numeric),
        ("last_u", Int8),
        ("last_trade", Int8),
        ("last_agg", Int8),
        ("last_ticks", Int4),
        ("status", Int2),
        ("book_hash", Bytes),
    ],
    key: &["market"],
};

pub(crate) const BLOCKS: Table = Table {
    name: "blocks",
    columns: &[
        ("block", Int8),
        ("time_ms", Int8),
        ("gas_used", Int8),
        ("base_fee", Int8),
        ("txs", Int4),
        ("events", Int4),
        ("fills", Int4),
        ("hash", Bytes),
        ("parent", Bytes),
        ("digest", Bytes),
        ("tx_hashes", Bytes),
        ("failed", Bytes),
    ],
    key: &["block"],
};

pub(crate) const OPEN_ORDERS: Table = Table {
    name: "open_orders",
    columns: &[
        ("order_index", Int8),
        ("lots", Int8),
        ("unclaimed", Int8),
        ("placed_lots", Int8),
        ("placed_seq", Int8),
        ("client", Int8),
        ("expiry_s", Int8),
        ("market", Int4),
        ("ticks", Int4),
        ("account", Account),
        ("side", Int2),
        ("flags", Int2),
    ],
    key: &["market", "side", "ticks", "order_index"],
};

pub(crate) const LEVELS: Table = Table {
    name: "levels",
    columns: &[
        ("tail", Int8),
        ("head", Int8),
        ("head_filled", Int8),
        ("open", Numeric),
        ("min_expiry_s", Int8),
        ("market", Int4),
        ("ticks", Int4),
        ("side", Int2),
    ],
    key: &["market", "side", "ticks"],
};

pub(crate) const BALANCES: Table = Table {
    name: "balances",
    columns: &[
        ("account", Account),
        ("token", Int4),
        ("block", Int8),
        ("free", Numeric),
        ("locked", Numeric),
        ("claimable", Numeric),
        ("fee_due", Numeric),
    ],
    key: &["account", "token"],
};

pub(crate) const CANDLES: Table = Table {
    name: "candles",
    columns: &[
        ("open_ms", Int8),
        ("lots", Int8),
        ("taker_bid_lots", Int8),
        ("first_trade", Int8),
        ("trades", Int4),
        ("market", Int4),
        ("res_s", Int4),
        ("open", Int4),
        ("high", Int4),
        ("low", Int4),
        ("close", Int4),
        ("quote_atoms", Numeric),
        ("taker_bid_quote_atoms", Numeric),
    ],
    key: &["market", "res_s", "open_ms"],
};

/// All of them, for the catalogue check.
pub(crate) const TABLES: [&Table; 11] =
    [&ORDER_EVENTS, &FILLS, &TRANSFERS, &ACCOUNTS, &TOKENS, &MARKETS, &BLOCKS, &OPEN_ORDERS, &LEVELS, &BALANCES, &CANDLES];

impl Table {
    fn fields(&self) -> i16 {
        self.columns.len() as i16
    }

    pub fn column_list(&self) -> String {
        self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }
}

/// Kinds of `transfers`.
const DEPOSITED: i16 = 1;
const WITHDRAWN: i16 = 2;
const SWEPT: i16 = 3;
const SWAPPED_IN: i16 = 4;
const SWAPPED_OUT: i16 = 5;

/// The row of `order_events` or `transfers` an event has; others have none.
pub(crate) fn event(block: u64, record: &Record, events: &mut Tuples, transfers: &mut Tuples) {
    let own = |order: OrderId| (order.index, order.level);
    match &record.event {
        Event::Placed { order, account, lots, expiry_s, client, mode } => {
            let (index, level) = own(*order);
            events.row(ORDER_EVENTS.fields()).bits8(block).bits8(lots.0).null();
            events.bits8(index).bits8(record.order_seq).bits8(*client).bits8(*expiry_s as u64);
            place(events, record, *account, Some(level), 1);
            events.int2(mode.0 as i16).int2(level.side as i16).null().null().null();
        }
        Event::Reduced { order, left, removed, reason } => {
            let (index, level) = own(*order);
            events.row(ORDER_EVENTS.fields()).bits8(block).bits8(removed.0).bits8(left.0);
            events.bits8(index).bits8(record.order_seq).null().null();
            place(events, record, record.account, Some(level), 2);
            events.null().int2(level.side as i16).int2(*reason as i16).null().null();
        }
        Event::Taken { market, account, wanted, filled, client, mode, reason, quote_atoms, fee_atoms } => {
            events.row(ORDER_EVENTS.fields()).bits8(block).bits8(filled.0).bits8(wanted.0.saturating_sub(filled.0));
            events.null().bits8(record.order_seq).bits8(*client).null();
            events.bits4(record.log).bits4(record.tx).bits4(account.0).bits4(market.0).null().int2(3);
            events.int2(mode.0 as i16).int2(mode.side() as i16).int2(*reason as i16).numeric(*quote_atoms).numeric(*fee_atoms);
        }
        Event::Claimed { order, account, lots, back } => {
            let (index, level) = own(*order);
            events.row(ORDER_EVENTS.fields()).bits8(block).bits8(lots.0).bits8(back.0);
            events.bits8(index).bits8(record.order_seq).null().null();
            place(events, record, *account, Some(level), 4);
            events.null().int2(level.side as i16).null().null().null();
        }
        Event::Deposit { account, token, atoms } => transfer(transfers, block, record, *account, *token, DEPOSITED, signed(*atoms)),
        Event::Withdraw { account, token, atoms, .. } => transfer(transfers, block, record, *account, *token, WITHDRAWN, -signed(*atoms)),
        Event::Rejected { account, index, kind, reason, client } => {
            events.row(ORDER_EVENTS.fields()).bits8(block).bits8(0).null();
            events.bits8(*index as u64).null().bits8(*client).null();
            place(events, record, *account, None, 5);
            events.int2(*kind as i16).null().int2(reject_number(*reason)).null().null();
        }
        Event::FeesSwept { account, token, atoms } => transfer(transfers, block, record, *account, *token, SWEPT, -signed(*atoms)),
        Event::Swapped { token_in, token_out, atoms_in, atoms_out, .. } => {
            transfer(transfers, block, record, AccountId(0), *token_in, SWAPPED_IN, signed(*atoms_in));
            transfer(transfers, block, record, AccountId(0), *token_out, SWAPPED_OUT, -signed(*atoms_out));
        }
        Event::LevelFill { .. }
        | Event::AccountCreated { .. }
        | Event::TokenAdded { .. }
        | Event::MarketCreated { .. }
        | Event::Status { .. }
        | Event::Agent { .. }
        | Event::Signed { .. }
        | Event::Scheduled { .. }
        | Event::CloidPreCancelled { .. }
        | Event::Tier { .. }
        | Event::Role { .. } => {}
    }
}

/// Of an error's selector; 0: no error of the exchange (a token's own, say).
fn reject_number(selector: [u8; 4]) -> i16 {
    abi::reject_from_selector(selector).map_or(0, |reject| reject.number() as i16)
}

/// log, tx, account, market, ticks, kind.
fn place(events: &mut Tuples, record: &Record, account: AccountId, level: Option<LevelKey>, kind: i16) {
    events.bits4(record.log).bits4(record.tx).bits4(account.0);
    match level {
        Some(level) => events.bits4(level.market.0).bits4(level.ticks.0),
        None => events.null().null(),
    };
    events.int2(kind);
}

fn transfer(transfers: &mut Tuples, block: u64, record: &Record, account: AccountId, token: TokenId, kind: i16, atoms: i128) {
    transfers.row(TRANSFERS.fields()).bits8(block).bits4(record.log).bits4(record.tx);
    transfers.bits4(account.0).bits4(token.0).int2(kind).numeric_signed(atoms);
}

fn signed(atoms: u128) -> i128 {
    i128::try_from(atoms).unwrap_or(i128::MAX)
}

pub(crate) fn fill(block: u64, fill: &FillRow, fills: &mut Tuples) {
    fills.row(FILLS.fields()).bits8(block).bits8(fill.trade).bits8(fill.agg).bits8(fill.maker_order.index);
    fills.bits8(fill.maker_seq).bits8(fill.taker_seq).bits8(fill.lots.0).bits8(fill.maker_left.0);
    fills.bits4(fill.n).bits4(fill.market.0).bits4(fill.ticks.0).bits4(fill.maker.0).bits4(fill.taker.0).bits4(fill.tx).bits4(fill.log);
    fills.int2(fill.maker_order.level.side as i16).numeric(fill.fee_atoms);
}

pub(crate) fn account(block: u64, account: AccountId, owner: &Address, accounts: &mut Tuples) {
    accounts.row(ACCOUNTS.fields()).bits4(account.0).bits8(block).raw(owner.as_slice());
}

/// `name` `None` leaves the column out, as digests do.
pub(crate) fn token(block: u64, token: &Token, name: Option<&str>, tokens: &mut Tuples) {
    let fields = TOKENS.fields() - i16::from(name.is_none());
    tokens.row(fields).bits4(token.id.0).bits8(block).int2(token.decimals as i16).raw(token.at.as_slice());
    if let Some(name) = name {
        tokens.raw(name.as_bytes());
    }
}

/// `head` `None` leaves the state columns out, as digests do.
pub(crate) fn market(block: u64, market: &Market, head: Option<&MarketHead>, markets: &mut Tuples) {
    let fields = if head.is_some() { MARKETS.fields() } else { MARKETS_FIXED };
    markets.row(fields).bits4(market.id.0).bits4(market.base.0).bits4(market.quote.0);
    markets.int4(market.taker_fee_ppm as i32).int4(market.maker_fee_ppm as i32).bits4(market.lots_min).int4(market.min_ttl_s as i32);
    markets.bits8(block).numeric(market.base_atoms_per_lot as u128).numeric(market.quote_atoms_per_lot_tick as u128);
    if let Some(head) = head {
        head_columns(head, markets);
    }
}

/// Columns of `markets` that never change.
pub(crate) const MARKETS_FIXED: i16 = 10;

/// market and its state columns, for the flush.
pub(crate) fn head(head: &MarketHead, heads: &mut Tuples) {
    heads.row(7).bits4(head.market.0);
    head_columns(head, heads);
}

fn head_columns(head: &MarketHead, tuples: &mut Tuples) {
    tuples.bits8(head.last_u).bits8(head.last_trade).bits8(head.last_agg).bits4(head.last_ticks.0).int2(head.status as i16);
    tuples.raw(head.book_hash.as_slice());
}

/// The head a market has right after its creation: what its row holds until the first flush.
pub(crate) fn head_at_creation(update: &Update, market: &Market) -> MarketHead {
    let created = |record: &&Record| matches!(record.event, Event::MarketCreated { market: id, .. } if id == market.id);
    let log = update.records.iter().find(created).map_or(0, |record| record.log);
    MarketHead {
        market: market.id,
        status: market.status,
        last_u: seq(update.block, log),
        last_trade: 0,
        last_agg: 0,
        last_ticks: orderbook::Ticks(0),
        book_hash: B256::ZERO,
    }
}

pub(crate) fn block(update: &Update, digest: &[u8; 32], tx_hashes: &[u8], failed: &[u8], blocks: &mut Tuples) {
    blocks.row(BLOCKS.fields()).bits8(update.block).bits8(update.time_ms).bits8(update.gas_used).bits8(update.base_fee);
    blocks.bits4(update.txs.len() as u32).bits4(update.records.len() as u32).bits4(update.changes.fills.len() as u32);
    blocks.raw(update.hash.as_slice()).raw(update.parent.as_slice()).raw(digest).raw(tx_hashes).raw(failed);
}

pub(crate) fn open_order(id: OrderId, order: &OpenOrder, orders: &mut Tuples) {
    orders.row(OPEN_ORDERS.fields()).bits8(id.index).bits8(order.lots.0).bits8(order.unclaimed.0).bits8(order.placed_lots.0);
    orders.bits8(order.placed_seq).bits8(order.client).bits8(order.expiry_s as u64);
    orders.bits4(id.level.market.0).bits4(id.level.ticks.0).bits4(order.account.0).int2(id.level.side as i16).int2(order.expired as i16);
}

/// The key of an order that is gone.
pub(crate) fn gone(id: OrderId, gone: &mut Tuples) {
    gone.row(4).bits8(id.index).bits4(id.level.market.0).bits4(id.level.ticks.0).int2(id.level.side as i16);
}

pub(crate) fn level(key: LevelKey, word: U256, levels: &mut Tuples) {
    let word = LevelWord::from_word(word).expect("the book makes words whose low bits are zero");
    levels.row(LEVELS.fields()).bits8(word.tail).bits8(word.head).bits8(word.head_filled.0).numeric(word.open.0 as u128);
    levels.bits8(word.expiry_min_s as u64).bits4(key.market.0).bits4(key.ticks.0).int2(key.side as i16);
}

pub(crate) fn balance(account: AccountId, token: TokenId, block: u64, balance: &Balance, balances: &mut Tuples) {
    balances.row(BALANCES.fields()).bits4(account.0).bits4(token.0).bits8(block);
    balances.numeric(balance.free).numeric(balance.locked).numeric(balance.claimable).numeric(balance.fee_due);
}

pub(crate) fn candle(candle: &Candle, candles: &mut Tuples) {
    candles.row(CANDLES.fields()).bits8(candle.open_ms).bits8(candle.lots).bits8(candle.taker_bid_lots).bits8(candle.first_trade);
    candles.bits4(candle.trades).bits4(candle.market.0).bits4(candle.res_s);
    candles.bits4(candle.open.0).bits4(candle.high.0).bits4(candle.low.0).bits4(candle.close.0);
    candles.numeric(candle.quote_atoms).numeric(candle.taker_bid_quote_atoms);
}
