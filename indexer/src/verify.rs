//! `hifi index verify`: follows the chain once more from genesis, beside Postgres, and compares everything that was stored, byte for byte.
//!
//! Rows of history block by block (order events, fills, transfers, dictionaries, blocks with their digests), then the state tables at the
//! state cursor: open orders, levels, balances, candles, heads. Reads one repeatable-read snapshot, so the indexer may go on writing.
//! Names the first difference; never mends one.

use crate::{
    Config, Cursor, Error, Source, SourceError, Update,
    follower::BATCH_BYTES_MAX,
    project::State,
    store::{
        self, Encoded, Pending,
        copy::{Fields, Reader, Tuples, numeric_of},
        load,
        rows::{self, Kind, Table},
    },
};
use alloy_primitives::hex;
use sqlx::PgConnection;
use std::cmp::Ordering;

/// Bounds of what is compared at once.
const CHUNK_BLOCKS_MAX: u64 = 512;
const CHUNK_ROWS_MAX: u64 = 100_000;

/// What a comparison came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Equal(Compared),
    Differs(Box<Difference>),
}

/// How much was compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Blocks 1 ..= this: the rows cursor.
    pub blocks: u64,
    /// Rows of history.
    pub rows: u64,
    pub fills: u64,
    /// The state cursor, and the rows of the state tables there.
    pub state_block: u64,
    pub state_rows: u64,
}

/// The first thing that Postgres and the chain say differently.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("block {block}, table {table}, {key}: the chain says {chain}, postgres says {postgres}")]
pub struct Difference {
    /// Block of the row; for state tables the state cursor.
    pub block: u64,
    pub table: &'static str,
    /// Key columns with their values.
    pub key: String,
    /// The differing column with its value, or that there is no such row.
    pub chain: String,
    pub postgres: String,
}

impl Outcome {
    /// 0 equal, 1 different. An `Err` of [`verify`] is 2: could not run.
    pub fn exit_code(&self) -> i32 {
        match self {
            Outcome::Equal(_) => 0,
            Outcome::Differs(_) => 1,
        }
    }
}

/// Compares Postgres with the chain; `progress` hears the last block compared and the one to reach.
///
/// # Errors
/// Postgres away, another chain's database, or a source that no longer has the blocks: exit code 2.
pub async fn verify<S: Source>(config: &Config, mut source: S, mut progress: impl FnMut(u64, u64)) -> Result<Outcome, Error> {
    let mut connection = store::connect(&config.postgres).await?;
    sqlx::raw_sql("begin isolation level repeatable read read only").execute(&mut connection).await?;
    check_chain(&mut connection, config).await?;
    let marks = store::marks(&mut connection).await?;
    let (rows_at, state_at) = (marks.rows.cursor, marks.state.cursor);
    if source.head().await?.block < rows_at.block {
        return Err(SourceError::Unknown { at: rows_at }.into());
    }
    let mut compared = Compared { blocks: rows_at.block, state_block: state_at.block, ..Compared::default() };
    let mut chunk = Chunk::new(config);
    let mut state = State::new(config.exchange, config.genesis);
    let mut values = Pending::default();
    loop {
        let at = state.cursor().block;
        if at == state_at.block {
            if let Some(found) = compare_state(&mut connection, &values, state_at, state.cursor(), &mut compared).await? {
                return Ok(Outcome::Differs(found));
            }
            // Values after the state cursor are not stored yet.
            values = Pending::default();
        }
        if at == rows_at.block {
            break;
        }
        let end = if at < state_at.block { state_at.block } else { rows_at.block };
        for block in source.next(state.cursor(), BATCH_BYTES_MAX).await?.iter().take_while(|block| block.number <= end) {
            let update = state.apply(block)?;
            if update.block <= state_at.block {
                values.merge(&update);
                values.orders.retain(|_, order| order.is_some());
            }
            chunk.push(&update, config);
            if chunk.is_full()
                && let Some(found) = chunk.compare(&mut connection, &mut compared).await?
            {
                return Ok(Outcome::Differs(found));
            }
        }
        progress(state.cursor().block, rows_at.block);
    }
    if let Some(found) = chunk.compare(&mut connection, &mut compared).await? {
        return Ok(Outcome::Differs(found));
    }
    if state.cursor() != rows_at {
        return Ok(Outcome::Differs(cursor_differs("rows", state.cursor(), rows_at)));
    }
    if let Some(found) = beyond(&mut connection, rows_at.block).await? {
        return Ok(Outcome::Differs(found));
    }
    Ok(Outcome::Equal(compared))
}

async fn check_chain(connection: &mut PgConnection, config: &Config) -> Result<(), Error> {
    let (chain_id, genesis, exchange) = load::chain(connection).await?;
    let found = [
        ("chain id", config.chain_id.to_string(), chain_id.to_string()),
        ("genesis", config.genesis.hash.to_string(), hex::encode_prefixed(genesis)),
        ("exchange", hex::encode_prefixed(config.exchange), hex::encode_prefixed(exchange)),
    ];
    match found.into_iter().find(|(_, expected, found)| expected != found) {
        Some((what, expected, found)) => Err(Error::OtherChain { what, expected, found }),
        None => Ok(()),
    }
}

fn cursor_differs(name: &'static str, chain: Cursor, postgres: Cursor) -> Box<Difference> {
    let show = |cursor: Cursor| format!("block {} with hash {}", cursor.block, cursor.hash);
    Box::new(Difference {
        block: postgres.block,
        table: "cursor",
        key: format!("name {name}"),
        chain: show(chain),
        postgres: show(postgres),
    })
}

/// Some consecutive blocks' rows as the chain gives them.
struct Chunk {
    encoded: Encoded,
    /// Tokens and markets without name and state, which are not the block's.
    tokens: Tuples,
    markets: Tuples,
    first: u64,
    last: u64,
}

impl Chunk {
    fn new(config: &Config) -> Chunk {
        let first = config.genesis.block + 1;
        Chunk { encoded: Encoded::default(), tokens: Tuples::default(), markets: Tuples::default(), first, last: first - 1 }
    }

    fn push(&mut self, update: &Update, config: &Config) {
        self.encoded.push(update, &config.token_names);
        for token in &update.changes.tokens {
            rows::token(update.block, token, None, &mut self.tokens);
        }
        for market in &update.changes.markets {
            rows::market(update.block, market, None, &mut self.markets);
        }
        self.last = update.block;
    }

    fn is_full(&self) -> bool {
        self.last - self.first + 1 >= CHUNK_BLOCKS_MAX || self.encoded.rows() >= CHUNK_ROWS_MAX
    }

    /// Compares all tables; the difference of the lowest block wins, in the order of tables below. Leaves the chunk empty.
    async fn compare(&mut self, connection: &mut PgConnection, compared: &mut Compared) -> Result<Option<Box<Difference>>, Error> {
        let (first, last) = (self.first, self.last);
        if last < first {
            return Ok(None);
        }
        compared.rows += self.encoded.rows();
        compared.fills += self.encoded.fills.rows();
        let encoded = &mut self.encoded;
        let tables: [(&'static Table, usize, &mut Tuples); 7] = [
            (&rows::ORDER_EVENTS, 0, &mut encoded.order_events),
            (&rows::FILLS, 0, &mut encoded.fills),
            (&rows::TRANSFERS, 0, &mut encoded.transfers),
            (&rows::ACCOUNTS, 0, &mut encoded.accounts),
            (&rows::TOKENS, rows::TOKENS.columns.len() - 1, &mut self.tokens),
            (&rows::MARKETS, rows::MARKETS_FIXED as usize, &mut self.markets),
            (&rows::BLOCKS, 0, &mut encoded.blocks),
        ];
        let mut lowest: Option<Box<Difference>> = None;
        for (table, columns, tuples) in tables {
            let columns = if columns == 0 { table.columns } else { &table.columns[..columns] };
            let block = if table.columns.iter().any(|(name, _)| *name == "block") { "block" } else { "first_block" };
            let range = format!("where {block} between {first} and {last}");
            let mut order = vec![block];
            order.extend(table.key.iter().filter(|key| **key != block));
            let found = differs(connection, &View { table, columns, order: &order, range, block: None }, tuples).await?;
            if let Some(found) = found
                && lowest.as_ref().is_none_or(|lowest| found.block < lowest.block)
            {
                lowest = Some(found);
            }
        }
        self.encoded.clear();
        self.tokens.clear();
        self.markets.clear();
        self.first = last + 1;
        Ok(lowest)
    }
}

/// The state tables at the state cursor against all values ever touched up to it.
async fn compare_state(
    connection: &mut PgConnection,
    values: &Pending,
    stored: Cursor,
    chain: Cursor,
    compared: &mut Compared,
) -> Result<Option<Box<Difference>>, Error> {
    if chain != stored {
        return Ok(Some(cursor_differs("state", chain, stored)));
    }
    let block = stored.block;
    let heads = [rows::MARKETS.columns[0]].into_iter().chain(rows::MARKETS.columns[rows::MARKETS_FIXED as usize..].iter().copied());
    let heads: Vec<_> = heads.collect();
    let tables: [(&'static Table, &[(&'static str, Kind)], String, Tuples); 5] = [
        (&rows::OPEN_ORDERS, rows::OPEN_ORDERS.columns, String::new(), {
            let mut orders: Vec<_> = values.orders.iter().filter_map(|(id, order)| Some((id, order.as_ref()?))).collect();
            orders.sort_by_key(|(id, _)| (id.level.market, id.level.side, id.level.ticks, id.index));
            tuples(orders, |(id, order), tuples| rows::open_order(*id, order, tuples))
        }),
        (&rows::LEVELS, rows::LEVELS.columns, String::new(), {
            let mut levels: Vec<_> = values.levels.iter().collect();
            levels.sort_by_key(|(key, _)| (key.market, key.side, key.ticks));
            tuples(levels, |(key, word), tuples| rows::level(*key, *word, tuples))
        }),
        (&rows::BALANCES, rows::BALANCES.columns, String::new(), {
            let mut balances: Vec<_> = values.balances.iter().collect();
            balances.sort_by_key(|((account, token), _)| (account.0 as i32, token.0));
            tuples(balances, |((account, token), (balance, block)), tuples| rows::balance(*account, *token, *block, balance, tuples))
        }),
        (&rows::CANDLES, rows::CANDLES.columns, String::new(), {
            let mut candles: Vec<_> = values.candles.values().collect();
            candles.sort_by_key(|candle| (candle.market, candle.res_s, candle.open_ms));
            tuples(candles, rows::candle)
        }),
        (&rows::MARKETS, &heads, format!("where first_block <= {block}"), {
            let mut heads: Vec<_> = values.heads.values().collect();
            heads.sort_by_key(|head| head.market);
            tuples(heads, rows::head)
        }),
    ];
    for (table, columns, range, mut tuples) in tables {
        compared.state_rows += tuples.rows();
        let view = View { table, columns, order: table.key, range, block: Some(block) };
        let found = differs(connection, &view, &mut tuples).await?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn tuples<T>(values: Vec<T>, mut row: impl FnMut(T, &mut Tuples)) -> Tuples {
    let mut tuples = Tuples::default();
    for value in values {
        row(value, &mut tuples);
    }
    tuples
}

/// History must end with the rows cursor.
async fn beyond(connection: &mut PgConnection, last: u64) -> Result<Option<Box<Difference>>, Error> {
    for table in [&rows::ORDER_EVENTS, &rows::FILLS, &rows::TRANSFERS, &rows::BLOCKS] {
        let range = format!("where block > {last}");
        let view = View { table, columns: table.columns, order: table.key, range, block: None };
        let found = differs(connection, &view, &mut Tuples::default()).await?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The part of a table that is compared.
struct View<'a> {
    table: &'static Table,
    columns: &'a [(&'static str, Kind)],
    /// Integer columns in which both sides rise.
    order: &'a [&'static str],
    range: String,
    /// Block to name in a difference, where the row has none of its own.
    block: Option<u64>,
}

/// The first row in which the chain's tuples and the table differ.
async fn differs(connection: &mut PgConnection, view: &View<'_>, chain: &mut Tuples) -> Result<Option<Box<Difference>>, Error> {
    let table = view.table.name;
    let mut expected = Reader::default();
    expected.push(chain.finish());
    let columns = view.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let mut difference = None;
    load::tuples(connection, table, &columns, &view.range, &view.order.join(", "), |found| {
        if difference.is_none() {
            let chain = expected.tuple(table)?;
            if chain != Some(found) {
                difference = Some(view.difference(chain, Some(found)));
            }
        }
        Ok(())
    })
    .await?;
    if difference.is_none() {
        difference = expected.tuple(table)?.map(|missing| view.difference(Some(missing), None));
    }
    Ok(difference)
}

impl View<'_> {
    fn difference(&self, chain: Option<&[u8]>, postgres: Option<&[u8]>) -> Box<Difference> {
        let (chain, postgres) = (chain.map(|tuple| self.values(tuple)), postgres.map(|tuple| self.values(tuple)));
        // The lower key is the row that the other side lacks; equal keys: a column differs.
        let order = match (&chain, &postgres) {
            (Some(chain), Some(postgres)) => self.key(chain).cmp(&self.key(postgres)),
            (Some(_), None) => Ordering::Less,
            _ => Ordering::Greater,
        };
        let none = || "no such row".to_string();
        let row = |values: &Option<Vec<Value>>| self.describe(values.as_deref().unwrap_or_default());
        let (named, chain, postgres) = match order {
            Ordering::Less => (chain.clone(), row(&chain), none()),
            Ordering::Greater => (postgres.clone(), none(), row(&postgres)),
            Ordering::Equal => {
                let (left, right) = (chain.clone().unwrap_or_default(), postgres.unwrap_or_default());
                let place = left.iter().zip(&right).position(|(left, right)| left != right).unwrap_or(0);
                let name = self.columns[place].0;
                (chain, format!("{name} {}", left[place].show()), format!("{name} {}", right[place].show()))
            }
        };
        let named = named.unwrap_or_default();
        let key: Vec<String> = self.order.iter().map(|name| format!("{name} {}", self.value(&named, name).show())).collect();
        let own = ["block", "first_block"].iter().find(|name| self.order.contains(name)).map(|name| self.value(&named, name));
        let block = match own {
            Some(Value::Number(block)) => block as u64,
            _ => self.block.unwrap_or_default(),
        };
        Box::new(Difference { block, table: self.table.name, key: key.join(", "), chain, postgres })
    }

    fn values(&self, tuple: &[u8]) -> Vec<Value> {
        let mut fields = Fields::new(self.table.name, tuple);
        self.columns.iter().map(|(_, kind)| Value::of(*kind, fields.raw())).collect()
    }

    fn value(&self, values: &[Value], name: &str) -> Value {
        let place = self.columns.iter().position(|(column, _)| *column == name);
        place.and_then(|place| values.get(place)).cloned().unwrap_or(Value::Null)
    }

    fn key(&self, values: &[Value]) -> Vec<i64> {
        let number = |name: &&str| match self.value(values, name) {
            Value::Number(number) => number,
            // Stored as int4 bits, ordered as int4.
            Value::Account(account) => account as i32 as i64,
            _ => 0,
        };
        self.order.iter().map(number).collect()
    }

    fn describe(&self, values: &[Value]) -> String {
        let columns = self.columns.iter().zip(values).map(|((name, _), value)| format!("{name} {}", value.show()));
        columns.collect::<Vec<_>>().join(", ")
    }
}

/// A column's value, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Null,
    Number(i64),
    Account(u32),
    Numeric(u128, bool),
    Bytes(Vec<u8>),
}

impl Value {
    fn of(kind: Kind, field: Option<&[u8]>) -> Value {
        let Some(field) = field else { return Value::Null };
        let raw = || Value::Bytes(field.to_vec());
        match kind {
            Kind::Int2 => field.try_into().map_or_else(|_| raw(), |bytes| Value::Number(i16::from_be_bytes(bytes) as i64)),
            Kind::Int4 => field.try_into().map_or_else(|_| raw(), |bytes| Value::Number(i32::from_be_bytes(bytes) as i64)),
            Kind::Account => field.try_into().map_or_else(|_| raw(), |bytes| Value::Account(u32::from_be_bytes(bytes))),
            Kind::Int8 => field.try_into().map_or_else(|_| raw(), |bytes| Value::Number(i64::from_be_bytes(bytes))),
            Kind::Numeric => numeric_of(field).map_or_else(raw, |(magnitude, negative)| Value::Numeric(magnitude, negative)),
            Kind::Bytes | Kind::Text => raw(),
        }
    }

    fn show(&self) -> String {
        match self {
            Value::Null => "null".into(),
            Value::Number(number) => number.to_string(),
            Value::Account(account) => account.to_string(),
            Value::Numeric(magnitude, negative) => format!("{}{magnitude}", if *negative { "-" } else { "" }),
            Value::Bytes(bytes) => hex::encode_prefixed(bytes),
        }
    }
}
