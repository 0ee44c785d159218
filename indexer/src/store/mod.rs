//! Postgres as history: connect, lock, migrate, make sure the database is this chain's. The only place that knows SQL.
//!
//! ```text
//! connection 1  BlockWriter  rows of whole blocks + cursor 'rows', one synchronous transaction      (write.rs, partitions.rs)
//! connection 2  StateWriter  open orders, levels, balances, candles, heads + cursor 'state'         (state.rs)
//! read pool     Reader       pages of history for the api, 2 s each                                 (read.rs)
//! ```
//! One indexer writes: an advisory lock lets a second one wait, guarded cursors and primary keys stop what slips past it.
//! Nothing is ever un-applied and nothing is retried inside a transaction: any error drops the connection, the writer begins anew
//! at the cursors it then finds.

pub(crate) mod copy;
mod digest;
pub(crate) mod load;
mod partitions;
mod read;
pub(crate) mod rows;
mod state;
mod write;

pub use read::{AggTrade, BlockRow, HistoryFill, PAGE_MAX, Reader, Span, TokenRow, Window};
pub(crate) use state::{Pending, StateWriter};
pub(crate) use write::{BlockWriter, Encoded};

use crate::{Config, Cursor, Error, project::Token};
use alloy_primitives::B256;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row,
    migrate::{Migration, MigrationType, Migrator},
    postgres::PgConnectOptions,
};

/// Version of schema, decode and project together; another one in the database means: index again.
const VERSION: i32 = 2;
/// "hifi" as a number; the second keys are those of the two writers' sessions.
const LOCK: i32 = 1_751_737_961;
const ROWS_LOCK: i32 = 1;
const STATE_LOCK: i32 = 2;

/// Where a cursor of the database stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub cursor: Cursor,
    pub time_ms: u64,
}

/// Both cursors: rows is never behind state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    pub rows: Mark,
    pub state: Mark,
}

/// Connects a session of the writer's.
pub(crate) async fn connect(options: &PgConnectOptions) -> Result<PgConnection, Error> {
    let mut connection = options.clone().application_name("hifi indexer").disable_statement_logging().connect().await?;
    // Temporary tables have no statistics: a wrong plan would scan a million orders in each flush.
    sqlx::raw_sql("set enable_hashjoin = off; set enable_mergejoin = off; set lock_timeout = 0").execute(&mut connection).await?;
    Ok(connection)
}

/// Takes the writer's lock (waits for a predecessor to be gone), migrates, checks that the database is this chain's and ours.
pub(crate) async fn open(config: &Config) -> Result<BlockWriter, Error> {
    let mut connection = connect(&config.postgres).await?;
    lock(&mut connection, ROWS_LOCK).await?;
    migrate(&mut connection).await?;
    check_catalogue(&mut connection).await?;
    let partition_blocks = check_chain(&mut connection, config).await?;
    let rows = marks(&mut connection).await?.rows;
    BlockWriter::new(connection, rows, partition_blocks, config.token_names.clone()).await
}

/// Waits for a session lock, held until the session ends.
async fn lock(connection: &mut PgConnection, key: i32) -> Result<(), Error> {
    sqlx::query("select pg_advisory_lock($1, $2)").bind(LOCK).bind(key).execute(connection).await?;
    Ok(())
}

async fn migrate(connection: &mut PgConnection) -> Result<(), Error> {
    let files = [
        ("chain", include_str!("../../migrations/0001_chain.sql")),
        ("history", include_str!("../../migrations/0002_history.sql")),
        ("state", include_str!("../../migrations/0003_state.sql")),
        ("store", include_str!("../../migrations/0004_store.sql")),
        ("views", include_str!("../../migrations/0005_views.sql")),
    ];
    let migrations = files.into_iter().enumerate().map(|(place, (name, sql))| {
        Migration::new(place as i64 + 1, name.into(), MigrationType::Simple, AssertSqlSafe(sql).into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    // Ours is held already.
    migrator.set_locking(false);
    migrator.run_direct(None, connection, false).await?;
    Ok(())
}

use sqlx::SqlSafeStr;

/// COPY is blind: columns must be those of `rows.rs`, in order and type.
async fn check_catalogue(connection: &mut PgConnection) -> Result<(), Error> {
    for table in rows::TABLES {
        let columns = sqlx::query(
            "select attname::text, format_type(atttypid, atttypmod) from pg_attribute
              where attrelid = to_regclass($1) and attnum > 0 and not attisdropped order by attnum",
        )
        .bind(table.name)
        .fetch_all(&mut *connection)
        .await?;
        let mut found = Vec::with_capacity(columns.len());
        for row in columns {
            found.push((row.try_get::<String, _>(0)?, row.try_get::<String, _>(1)?));
        }
        let expected: Vec<_> = table.columns.iter().map(|(name, kind)| (name.to_string(), kind.sql().to_string())).collect();
        if found != expected {
            return Err(Error::Stored { table: table.name, what: format!("columns {expected:?} expected, {found:?} found") });
        }
    }
    Ok(())
}

/// Writes the first rows of an empty database, or compares those of an old one. Returns the size of its leaves in blocks.
async fn check_chain(connection: &mut PgConnection, config: &Config) -> Result<u64, Error> {
    let mut tx = connection.begin().await?;
    let chain = sqlx::query("select chain_id, genesis, exchange, partition_blocks, version from chain").fetch_optional(&mut *tx).await?;
    let Some(chain) = chain else {
        sqlx::query("insert into chain values (1, $1, $2, $3, $4, $5)")
            .bind(config.chain_id as i64)
            .bind(config.genesis.hash.as_slice())
            .bind(config.exchange.as_slice())
            .bind(config.partition_blocks as i32)
            .bind(VERSION)
            .execute(&mut *tx)
            .await?;
        for name in ["rows", "state"] {
            sqlx::query("insert into cursor values ($1, $2, 0, $3)")
                .bind(name)
                .bind(config.genesis.block as i64)
                .bind(config.genesis.hash.as_slice())
                .execute(&mut *tx)
                .await?;
        }
        let native = Token::NATIVE;
        sqlx::query("insert into tokens values ($1, $2, $3, $4, $5)")
            .bind(native.id.0 as i32)
            .bind(config.genesis.block as i64)
            .bind(native.decimals as i16)
            .bind(native.at.as_slice())
            .bind(crate::feed::token_name(&config.token_names, native.id, &native.at))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        return Ok(config.partition_blocks);
    };
    let differs = |what, expected: String, found: String| {
        if expected == found { Ok(()) } else { Err(Error::OtherChain { what, expected, found }) }
    };
    differs("chain id", config.chain_id.to_string(), chain.try_get::<i64, _>(0)?.to_string())?;
    differs("genesis", hex(config.genesis.hash.as_slice()), hex(chain.try_get::<&[u8], _>(1)?))?;
    differs("exchange", hex(config.exchange.as_slice()), hex(chain.try_get::<&[u8], _>(2)?))?;
    differs("version", VERSION.to_string(), chain.try_get::<i32, _>(4)?.to_string())?;
    let partition_blocks = chain.try_get::<i32, _>(3)? as u64;
    tx.commit().await?;
    Ok(partition_blocks)
}

fn hex(bytes: &[u8]) -> String {
    alloy_primitives::hex::encode_prefixed(bytes)
}

/// Reads both cursors.
pub(crate) async fn marks(connection: &mut PgConnection) -> Result<Marks, Error> {
    let found = sqlx::query("select name, block, time_ms, hash from cursor order by name").fetch_all(connection).await?;
    let mut marks = Vec::with_capacity(2);
    for row in &found {
        let hash = B256::try_from(row.try_get::<&[u8], _>(3)?)
            .map_err(|_| Error::Stored { table: "cursor", what: "a hash that is not of 32 bytes".into() })?;
        let cursor = Cursor { block: row.try_get::<i64, _>(1)? as u64, hash };
        marks.push(Mark { cursor, time_ms: row.try_get::<i64, _>(2)? as u64 });
    }
    match marks[..] {
        [rows, state] if rows.cursor.block >= state.cursor.block => Ok(Marks { rows, state }),
        _ => Err(Error::Stored { table: "cursor", what: format!("cursors rows >= state expected, {marks:?} found") }),
    }
}

/// Sends a finished COPY stream; the number of rows must be what we think it is.
pub(crate) async fn copy_in(connection: &mut PgConnection, target: &str, tuples: &mut copy::Tuples) -> Result<(), Error> {
    let expected = tuples.rows();
    let mut stream = connection.copy_in_raw(&format!("copy {target} from stdin binary")).await?;
    stream.send(tuples.finish()).await?;
    let found = stream.finish().await?;
    assert_eq!(expected, found, "postgres counts the rows of {target} as we do");
    Ok(())
}
