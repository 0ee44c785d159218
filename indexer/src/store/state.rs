//! The state tables: what blocks touched since the last flush, last value wins, in one transaction with cursor 'state'.
//! Apart from the rows because absolute values in every block would double the cost of a row, and because a flush must not delay one.

use super::{Mark, copy::Tuples, copy_in, rows, write::advance};
use crate::{
    Cursor, Error, Update,
    project::{Balance, Candle, MarketHead, OpenOrder},
};
use alloy_primitives::{U256, map::HashMap};
use orderbook::{AccountId, LevelKey, MarketId, OrderId, TokenId};
use sqlx::{PgConnection, postgres::PgConnectOptions};

/// Values touched since cursor 'state'; bounded by what exists on the exchange.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pending {
    pub orders: HashMap<OrderId, Option<OpenOrder>>,
    pub levels: HashMap<LevelKey, U256>,
    pub balances: HashMap<(AccountId, TokenId), (Balance, u64)>,
    pub candles: HashMap<(MarketId, u32, u64), Candle>,
    pub heads: HashMap<MarketId, MarketHead>,
    /// The last block merged.
    pub upto: Option<Mark>,
}

impl Pending {
    /// Adds a block whose rows are committed.
    pub fn merge(&mut self, update: &Update) {
        let changes = &update.changes;
        self.orders.extend(changes.orders.iter().cloned());
        self.levels.extend(changes.levels.iter().copied());
        self.balances.extend(changes.balances.iter().map(|(account, token, balance)| ((*account, *token), (*balance, update.block))));
        self.candles.extend(changes.candles.iter().map(|candle| ((candle.market, candle.res_s, candle.open_ms), candle.clone())));
        self.heads.extend(changes.heads.iter().map(|head| (head.market, *head)));
        self.upto = Some(Mark { cursor: Cursor { block: update.block, hash: update.hash }, time_ms: update.time_ms });
    }
}

/// The only writer of the state tables. Any error leaves a connection that must be dropped.
#[derive(Debug)]
pub(crate) struct StateWriter {
    connection: PgConnection,
    state: Cursor,
    tuples: Tuples,
}

const TEMPORARY: &str = "
create temp table flush_gone (order_index bigint, market int, ticks int, side smallint) on commit delete rows;
create temp table flush_orders (like open_orders) on commit delete rows;
create temp table flush_levels (like levels) on commit delete rows;
create temp table flush_balances (like balances) on commit delete rows;
create temp table flush_candles (like candles) on commit delete rows;
create temp table flush_heads (market int, last_u bigint, last_trade bigint, last_agg bigint, last_ticks int, status smallint,
  book_hash bytea) on commit delete rows";

const DELETE_GONE: &str = "delete from open_orders o using flush_gone g
  where o.market = g.market and o.side = g.side and o.ticks = g.ticks and o.order_index = g.order_index";
// Of an order only what is left and unclaimed can change; of a level all but its key.
const UPSERT_ORDERS: &str = "insert into open_orders select * from flush_orders
  on conflict (market, side, ticks, order_index) do update set lots = excluded.lots, unclaimed = excluded.unclaimed, flags = excluded.flags";
const UPSERT_LEVELS: &str = "insert into levels select * from flush_levels on conflict (market, side, ticks) do update
  set tail = excluded.tail, head = excluded.head, head_filled = excluded.head_filled, open = excluded.open,
      min_expiry_s = excluded.min_expiry_s";
const UPSERT_BALANCES: &str = "insert into balances select * from flush_balances on conflict (account, token) do update
  set block = excluded.block, free = excluded.free, locked = excluded.locked, claimable = excluded.claimable, fee_due = excluded.fee_due";
const UPSERT_CANDLES: &str = "insert into candles select * from flush_candles on conflict (market, res_s, open_ms) do update
  set lots = excluded.lots, taker_bid_lots = excluded.taker_bid_lots, trades = excluded.trades, high = excluded.high, low = excluded.low,
      close = excluded.close, quote_atoms = excluded.quote_atoms, taker_bid_quote_atoms = excluded.taker_bid_quote_atoms";
const UPDATE_HEADS: &str = "update markets m set last_u = h.last_u, last_trade = h.last_trade, last_agg = h.last_agg,
  last_ticks = h.last_ticks, status = h.status, book_hash = h.book_hash from flush_heads h where m.market = h.market";

impl StateWriter {
    /// A session of its own, with its temporary tables. Waits until a predecessor's session is gone, whose COMMIT may still be under
    /// way: only then is the cursor, to be read next and told to [`StateWriter::begin_at`], the last word.
    pub async fn open(options: &PgConnectOptions) -> Result<StateWriter, Error> {
        let mut connection = super::connect(options).await?;
        super::lock(&mut connection, super::STATE_LOCK).await?;
        sqlx::raw_sql(TEMPORARY).execute(&mut connection).await?;
        Ok(StateWriter { connection, state: Cursor::default(), tuples: Tuples::default() })
    }

    /// Where cursor 'state' stands.
    pub fn begin_at(&mut self, state: Cursor) {
        self.state = state;
    }

    /// Writes everything pending and moves the cursor to the last block merged. Returns the number of values.
    pub async fn flush(&mut self, pending: &Pending) -> Result<u64, Error> {
        let Some(upto) = pending.upto else { return Ok(0) };
        if upto.cursor == self.state {
            return Ok(0);
        }
        sqlx::raw_sql("begin").execute(&mut self.connection).await?;
        let mut values = 0;
        values += self
            .table("flush_gone", DELETE_GONE, |tuples| {
                pending.orders.iter().filter(|(_, order)| order.is_none()).for_each(|(id, _)| rows::gone(*id, tuples));
            })
            .await?;
        values += self
            .table("flush_orders", UPSERT_ORDERS, |tuples| {
                let open = pending.orders.iter().filter_map(|(id, order)| Some((id, order.as_ref()?)));
                open.for_each(|(id, order)| rows::open_order(*id, order, tuples));
            })
            .await?;
        values += self
            .table("flush_levels", UPSERT_LEVELS, |tuples| {
                pending.levels.iter().for_each(|(key, word)| rows::level(*key, *word, tuples));
            })
            .await?;
        values += self
            .table("flush_balances", UPSERT_BALANCES, |tuples| {
                let balances = pending.balances.iter();
                balances.for_each(|((account, token), (balance, block))| rows::balance(*account, *token, *block, balance, tuples));
            })
            .await?;
        values += self
            .table("flush_candles", UPSERT_CANDLES, |tuples| pending.candles.values().for_each(|candle| rows::candle(candle, tuples)))
            .await?;
        values +=
            self.table("flush_heads", UPDATE_HEADS, |tuples| pending.heads.values().for_each(|head| rows::head(head, tuples))).await?;
        advance(&mut self.connection, "state", self.state, upto).await?;
        sqlx::raw_sql("commit").execute(&mut self.connection).await?;
        self.state = upto.cursor;
        Ok(values)
    }

    /// COPY into a temporary table, then one statement from it.
    async fn table(&mut self, target: &str, statement: &'static str, fill: impl FnOnce(&mut Tuples)) -> Result<u64, Error> {
        self.tuples.clear();
        fill(&mut self.tuples);
        if !self.tuples.is_empty() {
            copy_in(&mut self.connection, target, &mut self.tuples).await?;
            sqlx::raw_sql(statement).execute(&mut self.connection).await?;
        }
        Ok(self.tuples.rows())
    }
}
