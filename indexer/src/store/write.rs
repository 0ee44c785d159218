//! Blocks into rows: one synchronous transaction with the cursor in it, for one block live and for many when catching up.
//! A crash leaves either all rows of a block and the cursor on it, or neither.

use super::{
    Mark,
    copy::Tuples,
    copy_in,
    digest::{self, BlockRows},
    partitions, rows,
};
use crate::{Cursor, Error, Update};
use alloy_primitives::{Address, map::HashMap};
use sqlx::PgConnection;

/// Tuples of some consecutive blocks, table by table. Buffers are reused.
#[derive(Debug, Default)]
pub(crate) struct Encoded {
    pub order_events: Tuples,
    pub fills: Tuples,
    pub transfers: Tuples,
    pub accounts: Tuples,
    pub tokens: Tuples,
    pub markets: Tuples,
    pub blocks: Tuples,
    /// Tokens and markets as digests see them.
    fixed: Tuples,
    tx_hashes: Vec<u8>,
    failed: Vec<u8>,
}

impl Encoded {
    pub fn clear(&mut self) {
        for tuples in [
            &mut self.order_events,
            &mut self.fills,
            &mut self.transfers,
            &mut self.accounts,
            &mut self.tokens,
            &mut self.markets,
            &mut self.blocks,
        ] {
            tuples.clear();
        }
    }

    /// Rows held, blocks included.
    pub fn rows(&self) -> u64 {
        self.order_events.rows()
            + self.fills.rows()
            + self.transfers.rows()
            + self.accounts.rows()
            + self.tokens.rows()
            + self.markets.rows()
            + self.blocks.rows()
    }

    /// Adds a block's rows; returns its digest.
    pub fn push(&mut self, update: &Update, names: &HashMap<Address, String>) -> [u8; 32] {
        let block = update.block;
        let marks = [self.order_events.mark(), self.fills.mark(), self.transfers.mark(), self.accounts.mark()];
        for record in &update.records {
            rows::event(block, record, &mut self.order_events, &mut self.transfers);
        }
        for fill in &update.changes.fills {
            rows::fill(block, fill, &mut self.fills);
        }
        let mut accounts: Vec<_> = update.changes.accounts.iter().collect();
        // Key order is that of int4.
        accounts.sort_by_key(|(account, _)| account.0 as i32);
        for (account, owner) in accounts {
            rows::account(block, *account, owner, &mut self.accounts);
        }
        self.fixed.clear();
        let tokens_from = self.fixed.mark();
        for token in &update.changes.tokens {
            rows::token(block, token, Some(&crate::feed::token_name(names, token.id, &token.at)), &mut self.tokens);
            rows::token(block, token, None, &mut self.fixed);
        }
        let markets_from = self.fixed.mark();
        for market in &update.changes.markets {
            rows::market(block, market, Some(&rows::head_at_creation(update, market)), &mut self.markets);
            rows::market(block, market, None, &mut self.fixed);
        }
        self.transactions(update);
        let fixed = self.fixed.since(tokens_from);
        let (tokens, markets) = fixed.split_at(markets_from.saturating_sub(tokens_from).min(fixed.len()));
        let digest = digest::digest(
            block,
            &BlockRows {
                order_events: self.order_events.since(marks[0]),
                fills: self.fills.since(marks[1]),
                transfers: self.transfers.since(marks[2]),
                accounts: self.accounts.since(marks[3]),
                tokens,
                markets,
                tx_hashes: &self.tx_hashes,
                failed: &self.failed,
            },
        );
        rows::block(update, &digest, &self.tx_hashes, &self.failed, &mut self.blocks);
        digest
    }

    /// 36 bytes for each transaction with exchange logs, 62 for each reverted one to the exchange.
    fn transactions(&mut self, update: &Update) {
        self.tx_hashes.clear();
        self.failed.clear();
        let mut last = None;
        for record in &update.records {
            if last.replace(record.tx) != Some(record.tx) {
                self.tx_hashes.extend_from_slice(&record.tx.to_be_bytes());
                self.tx_hashes.extend_from_slice(update.txs[record.tx as usize].hash.as_slice());
            }
        }
        for (index, tx) in update.txs.iter().enumerate().filter(|(_, tx)| tx.to_exchange && !tx.ok) {
            self.failed.extend_from_slice(&(index as u32).to_be_bytes());
            self.failed.extend_from_slice(tx.hash.as_slice());
            self.failed.extend_from_slice(tx.sender.as_slice());
            // The reason is not in a receipt: unknown.
            self.failed.extend_from_slice(&0_u16.to_be_bytes());
            self.failed.extend_from_slice(&u32::try_from(tx.gas_used).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
}

/// The only writer of history. Any error leaves a connection that must be dropped.
#[derive(Debug)]
pub(crate) struct BlockWriter {
    connection: PgConnection,
    rows: Mark,
    partition_blocks: u64,
    /// First block without a leaf.
    leaves_end: u64,
    names: HashMap<Address, String>,
    encoded: Encoded,
}

impl BlockWriter {
    pub(super) async fn new(
        mut connection: PgConnection,
        rows: Mark,
        partition_blocks: u64,
        names: HashMap<Address, String>,
    ) -> Result<BlockWriter, Error> {
        let leaves_end = partitions::ensure(&mut connection, rows.cursor.block + 1, partition_blocks).await?;
        Ok(BlockWriter { connection, rows, partition_blocks, leaves_end, names, encoded: Encoded::default() })
    }

    /// The last block whose rows are committed.
    pub fn cursor(&self) -> Cursor {
        self.rows.cursor
    }

    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// True if `next` may join blocks from `first` on in one transaction: they must share a leaf.
    pub fn joins(&self, first: u64, next: u64) -> bool {
        partitions::first_block(first, self.partition_blocks) == partitions::first_block(next, self.partition_blocks)
    }

    /// Writes consecutive blocks of one leaf, and the cursor, in one transaction. Returns the number of rows.
    pub async fn write(&mut self, updates: &[std::sync::Arc<Update>]) -> Result<u64, Error> {
        let (first, last) = (updates.first().expect("a batch of blocks"), updates.last().expect("a batch of blocks"));
        let mut follows = self.rows.cursor;
        for update in updates {
            if update.block != follows.block + 1 || update.parent != follows.hash {
                return Err(Error::OutOfOrder { after: follows, found: update.block, parent: update.parent });
            }
            follows = Cursor { block: update.block, hash: update.hash };
        }
        if last.block + self.partition_blocks >= self.leaves_end {
            self.leaves_end = partitions::ensure(&mut self.connection, last.block, self.partition_blocks).await?;
        }
        self.encoded.clear();
        for update in updates {
            self.encoded.push(update, &self.names);
        }
        let lo = partitions::first_block(first.block, self.partition_blocks);
        sqlx::raw_sql("begin").execute(&mut self.connection).await?;
        let encoded = &mut self.encoded;
        let tables = [
            (partitions::leaf("order_events", lo), &mut encoded.order_events),
            (partitions::leaf("fills", lo), &mut encoded.fills),
            (partitions::leaf("blocks", lo), &mut encoded.blocks),
            ("transfers".into(), &mut encoded.transfers),
            ("accounts".into(), &mut encoded.accounts),
            ("tokens".into(), &mut encoded.tokens),
            ("markets".into(), &mut encoded.markets),
        ];
        for (target, tuples) in tables {
            if !tuples.is_empty() {
                copy_in(&mut self.connection, &target, tuples).await?;
            }
        }
        let next = Mark { cursor: follows, time_ms: last.time_ms };
        advance(&mut self.connection, "rows", self.rows.cursor, next).await?;
        sqlx::query("select pg_notify('hifi_block', $1)").bind(follows.block.to_string()).execute(&mut self.connection).await?;
        sqlx::raw_sql("commit").execute(&mut self.connection).await?;
        self.rows = next;
        Ok(self.encoded.rows())
    }
}

/// Moves a cursor from exactly where it must be; part of the caller's transaction.
pub(super) async fn advance(connection: &mut PgConnection, name: &'static str, from: Cursor, to: Mark) -> Result<(), Error> {
    let moved = sqlx::query(
        "update cursor set block = $1, time_ms = $2, hash = $3 where name = $4 and block = $5 and hash = $6
            and $1 <= (select greatest(block, case when $4 = 'rows' then $1 else block end) from cursor where name = 'rows')",
    )
    .bind(to.cursor.block as i64)
    .bind(to.time_ms as i64)
    .bind(to.cursor.hash.as_slice())
    .bind(name)
    .bind(from.block as i64)
    .bind(from.hash.as_slice())
    .execute(connection)
    .await?;
    if moved.rows_affected() == 1 { Ok(()) } else { Err(Error::Cursor { name, expected: from.block }) }
}
