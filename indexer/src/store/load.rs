//! State at cursor 'state', read back in one repeatable-read snapshot: what a restart begins from.

use super::{
    Marks,
    copy::{Fields, Reader},
    marks, rows,
};
use crate::{
    Error,
    project::{Balance, Candle, MarketHead, OpenOrder, RESOLUTIONS_S, State, StateParts, Token},
};
use alloy_primitives::{Address, B256};
use futures_util::TryStreamExt;
use orderbook::{AccountId, LevelKey, LevelWord, Lots, Market, MarketId, MarketStatus, OrderId, Side, Ticks, TokenId};
use sqlx::PgConnection;

/// Milliseconds of a day, the ticker's window.
const DAY_MS: u64 = 86_400_000;

/// The state at cursor 'state' and both cursors, as of one moment.
pub(crate) async fn load(connection: &mut PgConnection, exchange: Address) -> Result<(State, Marks), Error> {
    sqlx::raw_sql("begin isolation level repeatable read read only").execute(&mut *connection).await?;
    let marks = marks(connection).await?;
    let parts = parts(connection, &marks).await?;
    sqlx::raw_sql("commit").execute(&mut *connection).await?;
    Ok((State::restore(exchange, parts)?, marks))
}

async fn parts(connection: &mut PgConnection, marks: &Marks) -> Result<StateParts, Error> {
    let (block, time_ms) = (marks.state.cursor.block, marks.state.time_ms);
    let known = |table: &rows::Table| format!("select {} from {} where first_block <= {block}", table.column_list(), table.name);
    let all = |table: &rows::Table| format!("select {} from {}", table.column_list(), table.name);
    let candles = rows::CANDLES.column_list();
    let resolutions = RESOLUTIONS_S.map(|res_s| res_s.to_string()).join(",");
    let bars = format!(
        "select c.* from markets m cross join unnest(array[{resolutions}]) r cross join lateral
           (select {candles} from candles where market = m.market and res_s = r order by open_ms desc limit 1) c where m.first_block <= {block}"
    );
    let from_ms = time_ms.saturating_sub(DAY_MS + 60_000);
    // The last bar before the window names the price before it.
    let minutes = format!(
        "select * from (select {candles} from candles where res_s = 60 and open_ms >= {from_ms} union all
           select c.* from markets m cross join lateral (select {candles} from candles
             where market = m.market and res_s = 60 and open_ms < {from_ms} order by open_ms desc limit 1) c) t order by open_ms"
    );
    Ok(StateParts {
        cursor: marks.state.cursor,
        time_ms,
        markets: read(connection, "markets", &known(&rows::MARKETS), market).await?,
        levels: read(connection, "levels", &all(&rows::LEVELS), level).await?,
        orders: read(connection, "open_orders", &all(&rows::OPEN_ORDERS), order).await?,
        balances: read(connection, "balances", &all(&rows::BALANCES), balance).await?,
        bars: read(connection, "candles", &bars, candle).await?,
        minutes: read(connection, "candles", &minutes, candle).await?,
        accounts: read(connection, "accounts", &known(&rows::ACCOUNTS), account).await?,
        tokens: read(connection, "tokens", &known(&rows::TOKENS), token).await?,
    })
}

/// Runs a query as COPY and reads each tuple.
async fn read<T>(
    connection: &mut PgConnection,
    table: &'static str,
    sql: &str,
    parse: fn(&mut Fields<'_>) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let mut found = Vec::new();
    copy_out(connection, table, sql, |tuple| {
        found.push(parse(&mut Fields::new(table, tuple))?);
        Ok(())
    })
    .await?;
    Ok(found)
}

/// Digests of the blocks after `from`, up to `to`, in order.
pub(crate) async fn digests(connection: &mut PgConnection, from: u64, to: u64) -> Result<Vec<Vec<u8>>, Error> {
    let sql = format!("select digest from blocks where block > {from} and block <= {to} order by block");
    let mut digests = Vec::new();
    copy_out(connection, "blocks", &sql, |tuple| {
        digests.push(Fields::new("blocks", tuple).raw().unwrap_or_default().to_vec());
        Ok(())
    })
    .await?;
    Ok(digests)
}

/// Tuples of a table's `columns` in `range` (a `where`, or nothing), ordered, for comparison byte for byte.
pub(crate) async fn tuples(
    connection: &mut PgConnection,
    table: &'static str,
    columns: &str,
    range: &str,
    order: &str,
    each: impl FnMut(&[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    copy_out(connection, table, &format!("select {columns} from {table} {range} order by {order}"), each).await
}

/// Whose database this is: chain id, genesis hash, address of the exchange.
pub(crate) async fn chain(connection: &mut PgConnection) -> Result<(i64, Vec<u8>, Vec<u8>), Error> {
    Ok(sqlx::query_as("select chain_id, genesis, exchange from chain").fetch_one(connection).await?)
}

/// Runs a query as COPY; hands over each tuple's bytes in order.
pub(crate) async fn copy_out(
    connection: &mut PgConnection,
    table: &'static str,
    sql: &str,
    mut each: impl FnMut(&[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut stream = connection.copy_out_raw(&format!("copy ({sql}) to stdout (format binary)")).await?;
    let mut reader = Reader::default();
    while let Some(chunk) = stream.try_next().await? {
        reader.push(&chunk);
        while let Some(tuple) = reader.tuple(table)? {
            each(tuple)?;
        }
    }
    Ok(())
}

fn bad(table: &'static str, what: impl Into<String>) -> Error {
    Error::Stored { table, what: what.into() }
}

fn side(table: &'static str, code: i16) -> Result<Side, Error> {
    match code {
        0 => Ok(Side::Bid),
        1 => Ok(Side::Ask),
        _ => Err(bad(table, format!("side {code}"))),
    }
}

fn market(fields: &mut Fields<'_>) -> Result<(Market, MarketHead), Error> {
    let id = MarketId(fields.bits4()?);
    let (base, quote) = (TokenId(fields.bits4()?), TokenId(fields.bits4()?));
    let (taker_fee_ppm, maker_fee_ppm) = (fields.int4()? as u16, fields.int4()? as i16);
    let (lots_min, min_ttl_s) = (fields.bits4()?, fields.int4()? as u8);
    fields.bits8()?;
    let units = |atoms: u128| u64::try_from(atoms).map_err(|_| bad("markets", "a unit above 2^64"));
    let (base_atoms_per_lot, quote_atoms_per_lot_tick) = (units(fields.numeric()?)?, units(fields.numeric()?)?);
    let (last_u, last_trade, last_agg) = (fields.bits8()?, fields.bits8()?, fields.bits8()?);
    let last_ticks = Ticks(fields.bits4()?);
    let code = fields.int2()?;
    let status = u8::try_from(code).ok().and_then(MarketStatus::from_code).ok_or_else(|| bad("markets", format!("status {code}")))?;
    let book_hash = B256::from(fields.bytes::<32>()?);
    let market =
        Market { id, base, quote, quote_atoms_per_lot_tick, base_atoms_per_lot, lots_min, taker_fee_ppm, maker_fee_ppm, min_ttl_s, status };
    Ok((market, MarketHead { market: id, status, last_u, last_trade, last_agg, last_ticks, book_hash }))
}

fn level(fields: &mut Fields<'_>) -> Result<(LevelKey, alloy_primitives::U256), Error> {
    let (tail, head, head_filled) = (fields.bits8()?, fields.bits8()?, Lots(fields.bits8()?));
    let open = u64::try_from(fields.numeric()?).map_err(|_| bad("levels", "open lots above 2^64"))?;
    let word = LevelWord { tail, head, head_filled, open: Lots(open), expiry_min_s: fields.bits8()? as u32 };
    let (market, ticks) = (MarketId(fields.bits4()?), Ticks(fields.bits4()?));
    Ok((LevelKey { market, side: side("levels", fields.int2()?)?, ticks }, word.to_word()))
}

fn order(fields: &mut Fields<'_>) -> Result<(OrderId, OpenOrder), Error> {
    let index = fields.bits8()?;
    let (lots, unclaimed, placed_lots) = (Lots(fields.bits8()?), Lots(fields.bits8()?), Lots(fields.bits8()?));
    let (placed_seq, client, expiry_s) = (fields.bits8()?, fields.bits8()?, fields.bits8()? as u32);
    let (market, ticks, account) = (MarketId(fields.bits4()?), Ticks(fields.bits4()?), AccountId(fields.bits4()?));
    let level = LevelKey { market, side: side("open_orders", fields.int2()?)?, ticks };
    let expired = fields.int2()? & 1 == 1;
    Ok((OrderId { level, index }, OpenOrder { account, lots, unclaimed, placed_lots, placed_seq, client, expiry_s, expired }))
}

fn balance(fields: &mut Fields<'_>) -> Result<(AccountId, TokenId, Balance), Error> {
    let (account, token) = (AccountId(fields.bits4()?), TokenId(fields.bits4()?));
    fields.bits8()?;
    let (free, locked) = (fields.numeric()?, fields.numeric()?);
    Ok((account, token, Balance { free, locked, claimable: fields.numeric()?, fee_due: fields.numeric()? }))
}

fn candle(fields: &mut Fields<'_>) -> Result<Candle, Error> {
    let (open_ms, lots, taker_bid_lots, first_trade) = (fields.bits8()?, fields.bits8()?, fields.bits8()?, fields.bits8()?);
    let (trades, market, res_s) = (fields.bits4()?, MarketId(fields.bits4()?), fields.bits4()?);
    let (open, high, low, close) = (Ticks(fields.bits4()?), Ticks(fields.bits4()?), Ticks(fields.bits4()?), Ticks(fields.bits4()?));
    let (quote_atoms, taker_bid_quote_atoms) = (fields.numeric()?, fields.numeric()?);
    Ok(Candle {
        market,
        res_s,
        open_ms,
        open,
        high,
        low,
        close,
        lots,
        quote_atoms,
        trades,
        first_trade,
        taker_bid_lots,
        taker_bid_quote_atoms,
    })
}

fn account(fields: &mut Fields<'_>) -> Result<(AccountId, Address), Error> {
    let account = AccountId(fields.bits4()?);
    fields.bits8()?;
    Ok((account, Address::from(fields.bytes::<20>()?)))
}

fn token(fields: &mut Fields<'_>) -> Result<Token, Error> {
    let id = TokenId(fields.bits4()?);
    fields.bits8()?;
    Ok(Token { id, decimals: fields.int2()? as u8, at: Address::from(fields.bytes::<20>()?) })
}
