//! A database of one's own for each test, on the server that `HIFI_TEST_POSTGRES` names; dropped when the test is green.

use super::chain::{CHAIN_ID, EXCHANGE, genesis};
use indexer::{Config, Feed};
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, Row, postgres::PgConnectOptions};
use std::{
    str::FromStr,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

static NEXT: AtomicU32 = AtomicU32::new(0);

pub struct Database {
    server: PgConnectOptions,
    name: String,
}

impl Database {
    pub async fn create() -> Database {
        let url = std::env::var("HIFI_TEST_POSTGRES").expect(
            "HIFI_TEST_POSTGRES is not set: run these tests by `cargo xtask test`, or start a server with `hifi index postgres --ephemeral` and set it to its url",
        );
        let server = PgConnectOptions::from_str(&url).expect("HIFI_TEST_POSTGRES is a postgres url");
        let name = format!("hifi_it_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let database = Database { server, name };
        database.admin(&format!("create database {}", database.name)).await;
        database
    }

    pub fn config(&self) -> Config {
        Config { flush_blocks: 7, ..Config::new(CHAIN_ID, genesis(), EXCHANGE, self.options()) }
    }

    fn options(&self) -> PgConnectOptions {
        self.server.clone().database(&self.name)
    }

    pub async fn connect(&self) -> PgConnection {
        self.options().connect().await.expect("the test's database takes connections")
    }

    pub async fn execute(&self, sql: &str) -> u64 {
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connect().await).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error}")).rows_affected()
    }

    /// The rows of a query, all columns as text.
    pub async fn rows(&self, sql: &str) -> Vec<String> {
        let wrapped = format!("select t::text from ({sql}) t");
        let rows = sqlx::query(AssertSqlSafe(wrapped)).fetch_all(&mut self.connect().await).await;
        rows.unwrap_or_else(|error| panic!("{sql}: {error}")).iter().map(|row| row.get(0)).collect()
    }

    /// Everything stored, table by table, in key order.
    pub async fn everything(&self) -> Vec<(String, Vec<String>)> {
        let tables = [
            ("blocks", "block"),
            ("order_events", "block, log"),
            ("fills", "block, n"),
            ("transfers", "block, log, kind"),
            ("accounts", "account"),
            ("tokens", "token"),
            ("markets", "market"),
            ("open_orders", "market, side, ticks, order_index"),
            ("levels", "market, side, ticks"),
            ("balances", "account, token"),
            ("candles", "market, res_s, open_ms"),
            ("cursor", "name"),
        ];
        let mut all = Vec::new();
        for (table, key) in tables {
            all.push((table.to_string(), self.rows(&format!("select * from {table} order by {key}")).await));
        }
        all
    }

    /// Ends the indexer's sessions as a crash of Postgres would.
    pub async fn cut(&self) {
        self.admin(&format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{}' and application_name = 'hifi indexer'",
            self.name
        ))
        .await;
    }

    pub async fn allow_connections(&self, allow: bool) {
        self.admin(&format!("alter database {} allow_connections {allow}", self.name)).await;
    }

    pub async fn remove(self) {
        self.admin(&format!("drop database {} with (force)", self.name)).await;
    }

    async fn admin(&self, sql: &str) {
        let mut connection = self.server.connect().await.expect("the server of HIFI_TEST_POSTGRES takes connections");
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

/// Waits until Postgres has committed a block.
pub async fn stored(feed: &Feed, block: u64) {
    let mut stored = feed.stored();
    let wait = stored.wait_for(|stored| *stored >= block);
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect("postgres takes the blocks within a minute").expect("the feed lives");
}
