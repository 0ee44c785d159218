//! Postgres and memory tell one story: a restarted api that has nothing in memory answers every page of trades and candles with the bytes
//! of one that saw all blocks live; without Postgres the live reads go on and older pages are refused.

use crate::client::{PATIENCE, serve, serve_feed};
use crate::exchange::{EXCHANGE, Exchange, START_MS, seed};
use indexer::{Block, Cursor, Indexer, Source, SourceError};
use rand::Rng;
use serde_json::Value;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions};
use std::str::FromStr;
use std::sync::Arc;

/// Blocks that are all there from the beginning.
#[derive(Clone)]
struct Recorded(Arc<Vec<Arc<Block>>>);

impl Source for Recorded {
    async fn head(&mut self) -> Result<Cursor, SourceError> {
        let last = self.0.last().expect("blocks were recorded");
        Ok(Cursor { block: last.number, hash: last.hash })
    }

    async fn next(&mut self, after: Cursor, _: usize) -> Result<Vec<Arc<Block>>, SourceError> {
        let rest = &self.0[after.block as usize..];
        if rest.is_empty() {
            std::future::pending::<()>().await;
        }
        Ok(rest.iter().take(64).cloned().collect())
    }

    fn release(&mut self, _: Cursor) {}
}

async fn admin(server: &PgConnectOptions, sql: String) {
    let mut connection = server.connect().await.expect("the server of HIFI_TEST_POSTGRES takes connections");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect("the server obeys");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_api_answers_like_one_that_saw_everything() {
    let url = std::env::var("HIFI_TEST_POSTGRES").expect("HIFI_TEST_POSTGRES is not set: run these tests by `cargo xtask test`");
    let server = PgConnectOptions::from_str(&url).expect("HIFI_TEST_POSTGRES is a postgres url");
    let name = format!("hifi_api_{}", std::process::id());
    admin(&server, format!("create database {name}")).await;

    let mut exchange = Exchange::new(seed(81), START_MS);
    exchange.trade(500, 30);
    let live = serve(&exchange).await;

    let genesis = Cursor { block: 0, hash: exchange.blocks[0].parent };
    let names = exchange.feed.snapshot();
    let mut config = indexer::Config::new(4434, genesis, EXCHANGE, server.clone().database(&name));
    config.token_names = names.tokens.iter().map(|token| token.at).zip(names.token_names).collect();
    let source = Recorded(Arc::new(exchange.blocks.clone()));
    let first = Indexer::start(config.clone(), source.clone()).await.expect("postgres is there");
    let mut stored = first.feed.stored();
    let all = stored.wait_for(|stored| *stored == exchange.head.block);
    tokio::time::timeout(PATIENCE * 3, all).await.expect("stored in time").expect("the feed lives");
    first.shutdown().await.expect("an orderly stop flushes all");
    let second = Indexer::start(config, source).await.expect("postgres is there");
    assert_eq!(second.feed.head(), exchange.head.block);
    let restarted = serve_feed(second.feed.clone(), Some(second.reader.clone()), |_| {}).await;

    let last = live.read("/api/v3/aggTrades?symbol=ETHUSDC&limit=1").await[0].clone();
    let (agg, time) = (last["a"].as_u64().unwrap(), last["T"].as_u64().unwrap());
    let mut paths: Vec<String> =
        ["depth?", "trades?", "trades?limit=7&", "trades?limit=1000&", "aggTrades?", "aggTrades?limit=1000&", "ticker/bookTicker?"]
            .map(|read| format!("/api/v3/{read}symbol=ETHUSDC"))
            .to_vec();
    for _ in 0..20 {
        let (id, limit) = (exchange.rng.random_range(1..agg + 3), exchange.rng.random_range(1..60));
        paths.push(format!("/api/v3/aggTrades?symbol=ETHUSDC&fromId={id}&limit={limit}"));
        let (from, to) = (exchange.rng.random_range(START_MS..time), exchange.rng.random_range(time..time + 1_000));
        paths.push(format!("/api/v3/aggTrades?symbol=ETHUSDC&startTime={from}&endTime={to}&limit={limit}"));
        for interval in ["1s", "1m", "3m", "1h", "1d", "1w", "1M"] {
            paths.push(format!("/api/v3/klines?symbol=SOLUSDC&interval={interval}&startTime={from}&limit={limit}"));
        }
    }
    for interval in ["1s", "1m", "3m", "5m", "15m", "2h", "1d", "1M"] {
        paths.push(format!("/api/v3/klines?symbol=BTCUSDC&interval={interval}"));
        paths.push(format!("/v1/candles?market=2&interval={interval}&fill=prev&limit=50"));
        paths.push(format!("/v1/candles?market=2&interval={interval}&limit=500"));
    }
    for path in &paths {
        let (seen, read) = (live.read(path).await, restarted.read(path).await);
        // Around native data stands the seq of the newest block's last log, which a restarted server learns with the next block.
        let data = |body: &Value| if path.starts_with("/v1") { body["data"].clone() } else { body.clone() };
        let (seen, read) = (data(&seen), data(&read));
        assert_eq!(seen.as_array().map(Vec::len), read.as_array().map(Vec::len), "{path}");
        assert_eq!(seen, read, "{path}");
    }

    second.reader.close().await;
    assert_eq!(restarted.read("/api/v3/depth?symbol=ETHUSDC").await, live.read("/api/v3/depth?symbol=ETHUSDC").await);
    let refused = restarted.get("/api/v3/aggTrades?symbol=ETHUSDC&fromId=1").await;
    assert_eq!((refused.status, refused.json()["code"].as_i64()), (503, Some(-1008)));
    restarted.handle.stop().await;
    live.handle.stop().await;
    second.shutdown().await.expect("an orderly stop");
    admin(&server, format!("drop database {name} with (force)")).await;
}
