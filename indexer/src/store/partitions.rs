//! Leaves of `blocks`, `order_events` and `fills`: one per `partition_blocks` blocks, named by its first block. Two leaves ahead always
//! exist, so that no block waits for one. COPY goes straight into a leaf: through the parent it costs half as much again.

use crate::Error;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// Tables cut into leaves.
pub(super) const PARTITIONED: [&str; 3] = ["blocks", "order_events", "fills"];
/// Leaves that exist beyond the one being written.
const AHEAD: u64 = 2;

/// The leaf of a table that begins with block `lo`.
pub(super) fn leaf(table: &str, lo: u64) -> String {
    format!("{table}_{lo:012}")
}

/// First block of the leaf that holds `block`.
pub(super) fn first_block(block: u64, partition_blocks: u64) -> u64 {
    block - block % partition_blocks
}

/// Makes the leaf of `block` and those ahead of it, where they do not exist. Returns the first block without a leaf.
pub(super) async fn ensure(connection: &mut PgConnection, block: u64, partition_blocks: u64) -> Result<u64, Error> {
    let mut lo = first_block(block, partition_blocks);
    for _ in 0..=AHEAD {
        create(connection, lo, lo + partition_blocks).await?;
        lo += partition_blocks;
    }
    Ok(lo)
}

async fn create(connection: &mut PgConnection, lo: u64, hi: u64) -> Result<(), Error> {
    let mut tx = connection.begin().await?;
    let made = sqlx::query("insert into partitions (lo, hi, sealed) values ($1, $2, false) on conflict do nothing")
        .bind(lo as i64)
        .bind(hi as i64)
        .execute(&mut *tx)
        .await?;
    if made.rows_affected() == 1 {
        for table in PARTITIONED {
            let leaf = leaf(table, lo);
            // The check lets `attach` skip its scan and its exclusive lock on the parent.
            let sql = format!(
                "create table {leaf} (like {table} including all);
                 alter table {leaf} add constraint {leaf}_range check (block >= {lo} and block < {hi});
                 alter table {table} attach partition {leaf} for values from ({lo}) to ({hi});
                 alter table {leaf} drop constraint {leaf}_range"
            );
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *tx).await?;
        }
    }
    tx.commit().await?;
    Ok(())
}
