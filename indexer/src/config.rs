//! What the indexer must be told; filled by the root package from flags, environment and file.

use crate::source::Cursor;
use alloy_primitives::{Address, map::HashMap};
use sqlx::postgres::PgConnectOptions;

/// Options of [`crate::Indexer::start`]. Bounds are checked there.
#[derive(Clone, Debug)]
pub struct Config {
    pub chain_id: u64,
    /// Block 0 and its hash: where following begins.
    pub genesis: Cursor,
    /// Address of the exchange contract; logs of others are not looked at.
    pub exchange: Address,
    /// The writer's connection; needs the right to create tables.
    pub postgres: PgConnectOptions,
    /// The readers' connection; often the same.
    pub postgres_read: PgConnectOptions,
    /// Names of tokens by address, for people; a token without one is called `T<number>`.
    pub token_names: HashMap<Address, String>,
    /// Updates kept in memory for the api; 1 ..= 1,000,000.
    pub ring_updates_max: usize,
    /// Bytes of them, estimated; whichever bound is met first.
    pub ring_bytes_max: usize,
    /// Connections of the read pool.
    pub read_connections_max: u32,
    /// Blocks of a leaf of the partitioned tables, a power of two up to 2^20; fixed when the database is made.
    pub partition_blocks: u64,
    /// State tables are flushed after so many blocks.
    pub flush_blocks: u64,
    /// ... or after so many milliseconds.
    pub flush_ms: u64,
}

impl Config {
    /// The documented defaults for a chain.
    pub fn new(chain_id: u64, genesis: Cursor, exchange: Address, postgres: PgConnectOptions) -> Config {
        Config {
            chain_id,
            genesis,
            exchange,
            postgres_read: postgres.clone(),
            postgres,
            token_names: HashMap::default(),
            ring_updates_max: 10_000,
            ring_bytes_max: 512 << 20,
            read_connections_max: 8,
            partition_blocks: 8_192,
            flush_blocks: 100,
            flush_ms: 10_000,
        }
    }
}
