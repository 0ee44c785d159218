//! Events of a block become rows and absolute new values: pure, in memory, no I/O, no clock.
//! [`Update`] is all that the feed hands on and all that the store writes.

mod balances;
mod candles;
mod markets;
mod orders;
mod state;
mod ticker;
mod trades;

pub use candles::{Bars, bucket_ms};
pub use markets::MarketState;
pub(crate) use orders::OrderFacts;
pub use state::State;
pub(crate) use state::StateParts;
pub use ticker::{Day, Ticker};

use alloy_primitives::{Address, B256, U256};
use orderbook::{AccountId, Event, LevelKey, Lots, Market, MarketId, MarketStatus, OrderId, Side, Ticks, TokenId};

/// One block for every reader: header fields, transactions, events with their fills, and the absolute values after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    pub block: u64,
    pub hash: B256,
    pub parent: B256,
    /// Unix milliseconds, strictly rising.
    pub time_ms: u64,
    /// Wei per gas.
    pub base_fee: u64,
    pub gas_used: u64,
    pub txs: Vec<TxSummary>,
    /// Exchange logs in execution order.
    pub records: Vec<Record>,
    pub changes: Changes,
}

/// A transaction of the block, as executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxSummary {
    pub hash: B256,
    pub sender: Address,
    pub to_exchange: bool,
    pub nonce: u64,
    pub ok: bool,
    pub gas_used: u64,
}

/// A decoded log with its place. `seq = block * 2^20 + log`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Block-wide log index.
    pub log: u32,
    /// Index of the transaction in the block.
    pub tx: u32,
    pub event: Event,
    /// Whose ledger it concerns: the order's account, the taker, the depositor; 0 where the event names nobody.
    pub account: AccountId,
    /// `seq` of the order's `Placed`; for `Taken` that of the remainder that rested, else its own; 0 for all others.
    pub order_seq: u64,
}

/// `seq` of a log: block * 2^20 + log; below 2^53 for any block below 2^33.
pub fn seq(block: u64, log: u32) -> u64 {
    (block << 20) | log as u64
}

/// A trade, from both sides, with its numbers. Ordered by execution inside the block (`n`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FillRow {
    pub market: MarketId,
    /// Counts the market's fills from 1, without holes.
    pub trade: u64,
    /// Counts the market's (taker operation, price) groups from 1.
    pub agg: u64,
    /// Place in the block, from 0.
    pub n: u32,
    pub tx: u32,
    /// Log index of the `LevelFill`.
    pub log: u32,
    pub ticks: Ticks,
    pub lots: Lots,
    pub maker_order: OrderId,
    pub maker: AccountId,
    /// `seq` of the maker's `Placed`.
    pub maker_seq: u64,
    /// Lots of the maker still open after this fill.
    pub maker_left: Lots,
    pub taker: AccountId,
    /// `seq` of the taker's remainder that rested, else of its `Taken`.
    pub taker_seq: u64,
    pub taker_side: Side,
    /// The taker's fee on this fill, quote atoms; the fills of an operation sum to its fee.
    pub fee_atoms: u128,
}

/// Rows in execution order, and the absolute new value of everything touched, collapsed inside the block.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    pub fills: Vec<FillRow>,
    /// Orders touched; `None`: gone (filled and claimed, or cancelled).
    pub orders: Vec<(OrderId, Option<OpenOrder>)>,
    /// Level words touched, as stored by the contract.
    pub levels: Vec<(LevelKey, U256)>,
    /// Price levels whose open lots or number of live orders differ from before the block: the L2 difference, absolute; lots 0 = gone.
    pub depth: Vec<DepthChange>,
    pub balances: Vec<(AccountId, TokenId, Balance)>,
    /// Bars touched, every resolution kept, absolute.
    pub candles: Vec<Candle>,
    /// Heads of the markets touched, after the block.
    pub heads: Vec<MarketHead>,
    pub accounts: Vec<(AccountId, Address)>,
    pub tokens: Vec<Token>,
    pub markets: Vec<Market>,
}

/// An order that still has open lots, or filled lots not yet claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenOrder {
    pub account: AccountId,
    /// Lots still open.
    pub lots: Lots,
    /// Lots filled and not yet claimed.
    pub unclaimed: Lots,
    pub placed_lots: Lots,
    pub placed_seq: u64,
    pub client: u64,
    pub expiry_s: u32,
    /// A taker passed it after its expiry: `lots` are refundable by a claim, no longer open.
    pub expired: bool,
}

/// A level after the block, where its open lots or live orders differ from before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthChange {
    pub level: LevelKey,
    pub lots: Lots,
    pub orders: u32,
}

/// A trader's balance of one token, in atoms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    pub free: u128,
    /// Escrow of open orders.
    pub locked: u128,
    /// Proceeds of fills not yet claimed.
    pub claimable: u128,
    pub fee_due: u128,
}

/// A bar: prices in ticks, amounts in lots and quote atoms; bucket `open_ms ..< open_ms + res_s * 1000` in UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candle {
    pub market: MarketId,
    pub res_s: u32,
    pub open_ms: u64,
    pub open: Ticks,
    pub high: Ticks,
    pub low: Ticks,
    pub close: Ticks,
    pub lots: u64,
    pub quote_atoms: u128,
    pub trades: u32,
    pub first_trade: u64,
    /// Of which taken by bids.
    pub taker_bid_lots: u64,
    pub taker_bid_quote_atoms: u128,
}

/// Seconds of the bars kept: 1s 5s 15s 1m 5m 15m 30m 1h 4h 12h 1d. Others are folded from these by the api.
pub const RESOLUTIONS_S: [u32; 11] = [1, 5, 15, 60, 300, 900, 1800, 3600, 14400, 43200, 86400];

/// The numbered head of a market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarketHead {
    pub market: MarketId,
    pub status: MarketStatus,
    /// `seq` of the last log that changed the book, in the last block that changed its depth (`Changes::depth`); of
    /// `MarketCreated` at first. A block without net change of depth leaves it alone.
    pub last_u: u64,
    pub last_trade: u64,
    pub last_agg: u64,
    /// Price of the last trade; 0 before the first.
    pub last_ticks: Ticks,
    /// keccak chain over the book's records (`api.md` 8.3).
    pub book_hash: B256,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub id: TokenId,
    pub at: Address,
    pub decimals: u8,
}

impl Token {
    /// Token 1, the native coin: known without an event, at the zero address.
    pub const NATIVE: Token = Token { id: TokenId(1), at: Address::ZERO, decimals: 18 };
}

impl Update {
    /// About how many rows of history it becomes.
    pub(crate) fn rows(&self) -> usize {
        self.records.len() + self.changes.fills.len() + 1
    }

    /// About how many bytes this update holds in memory.
    pub(crate) fn bytes_held(&self) -> usize {
        let changes = &self.changes;
        size_of::<Update>()
            + self.txs.len() * size_of::<TxSummary>()
            + self.records.len() * size_of::<Record>()
            + changes.fills.len() * size_of::<FillRow>()
            + changes.orders.len() * size_of::<(OrderId, Option<OpenOrder>)>()
            + changes.levels.len() * size_of::<(LevelKey, U256)>()
            + changes.depth.len() * size_of::<DepthChange>()
            + changes.balances.len() * size_of::<(AccountId, TokenId, Balance)>()
            + changes.candles.len() * size_of::<Candle>()
            + changes.heads.len() * size_of::<MarketHead>()
            + changes.accounts.len() * size_of::<(AccountId, Address)>()
            + changes.tokens.len() * size_of::<Token>()
            + changes.markets.len() * size_of::<Market>()
    }
}
