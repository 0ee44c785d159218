//! Pages of history for the api: all SQL it needs, each query bounded in rows and in time (2 s), none of them writing.
//! What is asked here is as old as the last commit (rows) or the last flush (candles, orders, balances: at most 10 s); live values
//! come from the feed. Rows ascend.

use crate::{
    ReadError,
    project::{Balance, Candle, FillRow, MarketHead, OpenOrder},
};
use alloy_primitives::{Address, B256};
use orderbook::{AccountId, LevelKey, Lots, Market, MarketId, MarketStatus, OrderId, Side, Ticks, TokenId};
use sqlx::{
    PgPool, Row,
    postgres::{PgConnectOptions, PgPoolOptions, PgRow},
};
use std::time::Duration;

/// Most rows of one page.
pub const PAGE_MAX: u32 = 10_000;
/// Longest a query may run.
const STATEMENT_MS: &str = "2000";
/// Longest a reader waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(2);

/// The read pool; cheap to clone. Connects when first asked.
#[derive(Clone, Debug)]
pub struct Reader {
    pool: PgPool,
}

/// Which fills of a market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// The last ones.
    Newest,
    /// From this trade number on.
    Trade(u64),
    /// From this aggregate number on.
    Agg(u64),
    /// Of blocks whose time is in `from_ms ..= to_ms`.
    Time { from_ms: u64, to_ms: u64 },
}

/// Bars by their `open_ms`: the oldest `limit` from `from_ms` on, or the newest `limit`, none after `to_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from_ms: Option<u64>,
    pub to_ms: u64,
}

/// A fill with its block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryFill {
    pub block: u64,
    pub time_ms: u64,
    pub fill: FillRow,
}

/// Fills of one taker operation at one price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AggTrade {
    pub agg: u64,
    pub first_trade: u64,
    pub last_trade: u64,
    pub block: u64,
    pub time_ms: u64,
    pub ticks: Ticks,
    pub lots: Lots,
    pub taker_side: Side,
}

/// A block as history keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockRow {
    pub block: u64,
    pub time_ms: u64,
    pub gas_used: u64,
    pub base_fee: u64,
    pub txs: u32,
    pub events: u32,
    pub fills: u32,
    pub hash: B256,
    pub parent: B256,
    pub digest: B256,
    /// Transactions with exchange logs, by index.
    pub tx_hashes: Vec<(u32, B256)>,
}

/// A token with the name the operator gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    pub id: TokenId,
    pub at: Address,
    pub decimals: u8,
    pub name: String,
}

const FILL_COLUMNS: &str =
    "f.block, f.trade, f.agg, f.maker_index, f.maker_seq, f.taker_seq, f.lots, f.maker_left, f.n, f.market, f.ticks, f.maker,
  f.taker, f.tx, f.log, f.maker_side, f.fee_atoms::text, b.time_ms";

impl Reader {
    /// A pool over `options`; nothing is connected yet.
    pub fn new(options: PgConnectOptions, connections_max: u32) -> Reader {
        let options = options.application_name("hifi reader").options([
            ("statement_timeout", STATEMENT_MS),
            ("default_transaction_read_only", "on"),
            ("jit", "off"),
        ]);
        let pool = PgPoolOptions::new().max_connections(connections_max.max(1)).acquire_timeout(ACQUIRE).connect_lazy_with(options);
        Reader { pool }
    }

    /// The last block whose rows are committed.
    pub async fn stored(&self) -> Result<u64, ReadError> {
        let row = sqlx::query("select block from cursor where name = 'rows'").fetch_one(&self.pool).await?;
        Ok(row.try_get::<i64, _>(0)? as u64)
    }

    /// Fills of a market, rising; at most `limit` ..= [`PAGE_MAX`], none of a block after `upto_block`.
    ///
    /// # Errors
    /// A page that is too large, or Postgres away or too slow.
    pub async fn fills(&self, market: MarketId, window: Window, upto_block: u64, limit: u32) -> Result<Vec<HistoryFill>, ReadError> {
        let limit = page(limit)?;
        let id = market.0 as i32;
        let upto = clip(upto_block);
        let (sql, floor) = match window {
            Window::Newest => {
                let sql = format!(
                    "select * from (select {FILL_COLUMNS} from fills f join blocks b using (block)
                       where f.market = $1 and f.block <= $2 and $3 >= 0 and $4 >= 0 order by f.block desc, f.n desc limit $5) t order by block, n"
                );
                let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).bind(upto).bind(0_i64).bind(0_i64).bind(limit);
                return rows.fetch_all(&self.pool).await?.iter().map(fill).collect();
            }
            Window::Trade(trade) => ("f.trade >= $4", (self.seek(id, "trade", trade).await?, clip(trade))),
            Window::Agg(agg) => ("f.agg >= $4", (self.seek(id, "agg", agg).await?, clip(agg))),
            Window::Time { from_ms, to_ms } => ("b.time_ms <= $4", (self.block_from(from_ms).await?, clip(to_ms))),
        };
        let Some(from) = floor.0 else { return Ok(Vec::new()) };
        let sql = format!(
            "select {FILL_COLUMNS} from fills f join blocks b using (block)
               where f.market = $1 and f.block <= $2 and f.block >= $3 and {sql} order by f.block, f.n limit $5"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).bind(upto).bind(from).bind(floor.1).bind(limit);
        rows.fetch_all(&self.pool).await?.iter().map(fill).collect()
    }

    /// Aggregates of a market, rising; at most `limit` ..= [`PAGE_MAX`], whole, none of a block after `upto_block`.
    pub async fn agg_trades(&self, market: MarketId, window: Window, upto_block: u64, limit: u32) -> Result<Vec<AggTrade>, ReadError> {
        let limit = page(limit)?;
        let first = match window {
            Window::Agg(agg) => Some(agg),
            Window::Newest => {
                let last = self.fills(market, Window::Newest, upto_block, 1).await?;
                last.first().map(|last| (last.fill.agg + 1).saturating_sub(limit as u64))
            }
            other => self.fills(market, other, upto_block, 1).await?.first().map(|first| first.fill.agg),
        };
        let Some(first) = first else { return Ok(Vec::new()) };
        let Some(from) = self.seek(market.0 as i32, "agg", first).await? else { return Ok(Vec::new()) };
        let to_ms = if let Window::Time { to_ms, .. } = window { clip(to_ms) } else { i64::MAX };
        let rows = sqlx::query(
            "select f.agg, min(f.trade), max(f.trade), f.block, b.time_ms, f.ticks, sum(f.lots)::bigint, f.maker_side
               from fills f join blocks b using (block)
              where f.market = $1 and f.block between $2 and $3 and f.agg between $4 and $5 and b.time_ms <= $6
              group by f.agg, f.block, b.time_ms, f.ticks, f.maker_side order by f.agg",
        )
        .bind(market.0 as i32)
        .bind(from)
        .bind(clip(upto_block))
        .bind(clip(first))
        .bind(clip(first.saturating_add(limit as u64 - 1)))
        .bind(to_ms);
        rows.fetch_all(&self.pool).await?.iter().map(agg_trade).collect()
    }

    /// Bars of a market and resolution (one of `RESOLUTIONS_S`), rising; at most `limit` ..= [`PAGE_MAX`].
    pub async fn candles(&self, market: MarketId, res_s: u32, span: Span, limit: u32) -> Result<Vec<Candle>, ReadError> {
        let limit = page(limit)?;
        let columns = "market, res_s, open_ms, open, high, low, close, lots, quote_atoms::text, trades, first_trade, taker_bid_lots,
          taker_bid_quote_atoms::text";
        let order = if span.from_ms.is_some() { "asc" } else { "desc" };
        let sql = format!(
            "select * from (select {columns} from candles where market = $1 and res_s = $2 and open_ms >= $3 and open_ms <= $4
               order by open_ms {order} limit $5) t order by open_ms"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(market.0 as i32)
            .bind(res_s as i32)
            .bind(clip(span.from_ms.unwrap_or(0)))
            .bind(clip(span.to_ms))
            .bind(limit);
        rows.fetch_all(&self.pool).await?.iter().map(candle).collect()
    }

    /// Blocks `from ..= to`, rising; at most `limit` ..= [`PAGE_MAX`].
    pub async fn blocks(&self, from: u64, to: u64, limit: u32) -> Result<Vec<BlockRow>, ReadError> {
        let rows = sqlx::query(
            "select block, time_ms, gas_used, base_fee, txs, events, fills, hash, parent, digest, tx_hashes from blocks
              where block between $1 and $2 order by block limit $3",
        )
        .bind(clip(from))
        .bind(clip(to))
        .bind(page(limit)?);
        rows.fetch_all(&self.pool).await?.iter().map(block).collect()
    }

    /// The first block at or after a time; `None`: there is none yet.
    pub async fn block_at(&self, from_ms: u64) -> Result<Option<u64>, ReadError> {
        Ok(self.block_from(from_ms).await?.map(|block| block as u64))
    }

    /// All markets with their heads as of the last flush, by number.
    pub async fn markets(&self) -> Result<Vec<(Market, MarketHead)>, ReadError> {
        let rows = sqlx::query(
            "select market, base, quote, taker_fee_ppm, maker_fee_ppm, lots_min, min_ttl_s, base_atoms_per_lot::text,
                    quote_atoms_per_lot_tick::text, last_u, last_trade, last_agg, last_ticks, status, book_hash
               from markets order by market limit $1",
        )
        .bind(PAGE_MAX as i64);
        rows.fetch_all(&self.pool).await?.iter().map(market).collect()
    }

    /// All tokens, by number.
    pub async fn tokens(&self) -> Result<Vec<TokenRow>, ReadError> {
        let rows = sqlx::query("select token, address, decimals, name from tokens order by token limit $1").bind(PAGE_MAX as i64);
        rows.fetch_all(&self.pool).await?.iter().map(token).collect()
    }

    /// The accounts of an owner, by number.
    pub async fn accounts(&self, owner: &Address) -> Result<Vec<AccountId>, ReadError> {
        let rows = sqlx::query("select account from accounts where owner = $1 order by account limit $2")
            .bind(owner.as_slice())
            .bind(PAGE_MAX as i64);
        rows.fetch_all(&self.pool).await?.iter().map(|row| Ok(AccountId(bits(row, 0)?))).collect()
    }

    /// Orders of an account that are open or unclaimed, as of the last flush; at most `limit` ..= [`PAGE_MAX`].
    pub async fn open_orders(&self, account: AccountId, limit: u32) -> Result<Vec<(OrderId, OpenOrder)>, ReadError> {
        let rows = sqlx::query(
            "select order_index, lots, unclaimed, placed_lots, placed_seq, client, expiry_s, market, ticks, account, side, flags
               from open_orders where account = $1 order by market, side, ticks, order_index limit $2",
        )
        .bind(account.0 as i32)
        .bind(page(limit)?);
        rows.fetch_all(&self.pool).await?.iter().map(order).collect()
    }

    /// Balances of an account, as of the last flush, by token.
    pub async fn balances(&self, account: AccountId) -> Result<Vec<(TokenId, Balance)>, ReadError> {
        let rows = sqlx::query(
            "select token, free::text, locked::text, claimable::text, fee_due::text from balances where account = $1 order by token limit $2",
        )
        .bind(account.0 as i32)
        .bind(PAGE_MAX as i64);
        let balance = |row: &PgRow| {
            let table = "balances";
            let balance = Balance {
                free: atoms(row, 1, table)?,
                locked: atoms(row, 2, table)?,
                claimable: atoms(row, 3, table)?,
                fee_due: atoms(row, 4, table)?,
            };
            Ok((TokenId(bits(row, 0)?), balance))
        };
        rows.fetch_all(&self.pool).await?.iter().map(balance).collect()
    }

    /// Ends all connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn block_from(&self, from_ms: u64) -> Result<Option<i64>, ReadError> {
        let row = sqlx::query("select block from blocks where time_ms >= $1 order by time_ms limit 1")
            .bind(clip(from_ms))
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// The first block of a market with a fill whose `column` (trade or agg, both rise with blocks) is `value` or more: about 30 probes
    /// of the index on (market, block) instead of an index of its own, which every live row would pay for.
    async fn seek(&self, market: i32, column: &'static str, value: u64) -> Result<Option<i64>, ReadError> {
        let last = format!("select {column}, block from fills where market = $1 and block <= $2 order by block desc, n desc limit 1");
        let probe = |upto: i64| sqlx::query(sqlx::AssertSqlSafe(last.clone())).bind(market).bind(upto).fetch_optional(&self.pool);
        let Some(newest) = probe(i64::MAX).await? else { return Ok(None) };
        let value = clip(value);
        if newest.try_get::<i64, _>(0)? < value {
            return Ok(None);
        }
        // Invariant: the last fill up to `low` is below `value` (or there is none), that up to `high` is not.
        let (mut low, mut high) = (0_i64, newest.try_get::<i64, _>(1)?);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            match probe(middle).await? {
                Some(row) if row.try_get::<i64, _>(0)? >= value => high = row.try_get::<i64, _>(1)?.max(low + 1),
                _ => low = middle,
            }
        }
        Ok(Some(high))
    }
}

fn page(limit: u32) -> Result<i64, ReadError> {
    if limit > PAGE_MAX { Err(ReadError::TooMany { asked: limit, max: PAGE_MAX }) } else { Ok(limit.max(1) as i64) }
}

fn clip(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn bits(row: &PgRow, column: usize) -> Result<u32, sqlx::Error> {
    Ok(row.try_get::<i32, _>(column)? as u32)
}

fn wide(row: &PgRow, column: usize) -> Result<u64, sqlx::Error> {
    Ok(row.try_get::<i64, _>(column)? as u64)
}

fn atoms(row: &PgRow, column: usize, table: &'static str) -> Result<u128, ReadError> {
    let text: &str = row.try_get(column)?;
    text.parse().map_err(|_| ReadError::Stored { table, what: format!("{text} is no number of atoms") })
}

fn hash(row: &PgRow, column: usize, table: &'static str) -> Result<B256, ReadError> {
    let bytes: &[u8] = row.try_get(column)?;
    B256::try_from(bytes).map_err(|_| ReadError::Stored { table, what: format!("a hash of {} bytes", bytes.len()) })
}

fn side(row: &PgRow, column: usize, table: &'static str) -> Result<Side, ReadError> {
    match row.try_get::<i16, _>(column)? {
        0 => Ok(Side::Bid),
        1 => Ok(Side::Ask),
        code => Err(ReadError::Stored { table, what: format!("side {code}") }),
    }
}

fn fill(row: &PgRow) -> Result<HistoryFill, ReadError> {
    let maker_side = side(row, 15, "fills")?;
    let (market, ticks) = (MarketId(bits(row, 9)?), Ticks(bits(row, 10)?));
    let fill = FillRow {
        market,
        trade: wide(row, 1)?,
        agg: wide(row, 2)?,
        n: bits(row, 8)?,
        tx: bits(row, 13)?,
        log: bits(row, 14)?,
        ticks,
        lots: Lots(wide(row, 6)?),
        maker_order: OrderId { level: LevelKey { market, side: maker_side, ticks }, index: wide(row, 3)? },
        maker: AccountId(bits(row, 11)?),
        maker_seq: wide(row, 4)?,
        maker_left: Lots(wide(row, 7)?),
        taker: AccountId(bits(row, 12)?),
        taker_seq: wide(row, 5)?,
        taker_side: maker_side.opposite(),
        fee_atoms: atoms(row, 16, "fills")?,
    };
    Ok(HistoryFill { block: wide(row, 0)?, time_ms: wide(row, 17)?, fill })
}

fn agg_trade(row: &PgRow) -> Result<AggTrade, ReadError> {
    Ok(AggTrade {
        agg: wide(row, 0)?,
        first_trade: wide(row, 1)?,
        last_trade: wide(row, 2)?,
        block: wide(row, 3)?,
        time_ms: wide(row, 4)?,
        ticks: Ticks(bits(row, 5)?),
        lots: Lots(wide(row, 6)?),
        taker_side: side(row, 7, "fills")?.opposite(),
    })
}

fn candle(row: &PgRow) -> Result<Candle, ReadError> {
    Ok(Candle {
        market: MarketId(bits(row, 0)?),
        res_s: bits(row, 1)?,
        open_ms: wide(row, 2)?,
        open: Ticks(bits(row, 3)?),
        high: Ticks(bits(row, 4)?),
        low: Ticks(bits(row, 5)?),
        close: Ticks(bits(row, 6)?),
        lots: wide(row, 7)?,
        quote_atoms: atoms(row, 8, "candles")?,
        trades: bits(row, 9)?,
        first_trade: wide(row, 10)?,
        taker_bid_lots: wide(row, 11)?,
        taker_bid_quote_atoms: atoms(row, 12, "candles")?,
    })
}

fn block(row: &PgRow) -> Result<BlockRow, ReadError> {
    let table = "blocks";
    let packed: &[u8] = row.try_get(10)?;
    let tx_hashes = packed.chunks_exact(36).map(|entry| {
        let (index, hash) = entry.split_at(4);
        (u32::from_be_bytes(index.try_into().expect("four bytes")), B256::from_slice(hash))
    });
    Ok(BlockRow {
        block: wide(row, 0)?,
        time_ms: wide(row, 1)?,
        gas_used: wide(row, 2)?,
        base_fee: wide(row, 3)?,
        txs: bits(row, 4)?,
        events: bits(row, 5)?,
        fills: bits(row, 6)?,
        hash: hash(row, 7, table)?,
        parent: hash(row, 8, table)?,
        digest: hash(row, 9, table)?,
        tx_hashes: tx_hashes.collect(),
    })
}

fn market(row: &PgRow) -> Result<(Market, MarketHead), ReadError> {
    let table = "markets";
    let id = MarketId(bits(row, 0)?);
    let unit = |column| -> Result<u64, ReadError> {
        u64::try_from(atoms(row, column, table)?).map_err(|_| ReadError::Stored { table, what: "a unit above 2^64".into() })
    };
    let code = row.try_get::<i16, _>(13)?;
    let status = u8::try_from(code).ok().and_then(MarketStatus::from_code);
    let status = status.ok_or_else(|| ReadError::Stored { table, what: format!("status {code}") })?;
    let market = Market {
        id,
        base: TokenId(bits(row, 1)?),
        quote: TokenId(bits(row, 2)?),
        quote_atoms_per_lot_tick: unit(8)?,
        base_atoms_per_lot: unit(7)?,
        lots_min: bits(row, 5)?,
        taker_fee_ppm: bits(row, 3)? as u16,
        maker_fee_ppm: row.try_get::<i32, _>(4)? as i16,
        min_ttl_s: bits(row, 6)? as u8,
        status,
    };
    let head = MarketHead {
        market: id,
        status,
        last_u: wide(row, 9)?,
        last_trade: wide(row, 10)?,
        last_agg: wide(row, 11)?,
        last_ticks: Ticks(bits(row, 12)?),
        book_hash: hash(row, 14, table)?,
    };
    Ok((market, head))
}

fn token(row: &PgRow) -> Result<TokenRow, ReadError> {
    let address: &[u8] = row.try_get(1)?;
    let at = Address::try_from(address)
        .map_err(|_| ReadError::Stored { table: "tokens", what: format!("an address of {} bytes", address.len()) })?;
    Ok(TokenRow { id: TokenId(bits(row, 0)?), at, decimals: row.try_get::<i16, _>(2)? as u8, name: row.try_get(3)? })
}

fn order(row: &PgRow) -> Result<(OrderId, OpenOrder), ReadError> {
    let level = LevelKey { market: MarketId(bits(row, 7)?), side: side(row, 10, "open_orders")?, ticks: Ticks(bits(row, 8)?) };
    let order = OpenOrder {
        account: AccountId(bits(row, 9)?),
        lots: Lots(wide(row, 1)?),
        unclaimed: Lots(wide(row, 2)?),
        placed_lots: Lots(wide(row, 3)?),
        placed_seq: wide(row, 4)?,
        client: wide(row, 5)?,
        expiry_s: wide(row, 6)? as u32,
        expired: row.try_get::<i16, _>(11)? & 1 == 1,
    };
    Ok((OrderId { level, index: wide(row, 0)? }, order))
}
