//! Restarts: stopped in order, cut off from Postgres, or dropped in the middle; always the same rows as an uninterrupted run.

use crate::{
    chain::{Chain, Workload, seed},
    database::{Database, stored},
};
use indexer::{Error, Indexer};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::sync::atomic::Ordering;

const BLOCKS: usize = 240;

/// Goal: no gap, no duplicate, no other byte. Method: the same chain once straight through and once in pieces; compare all tables.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_in_pieces_equals_a_run_without_interruption() {
    let seed = seed(31);
    let blocks = Workload::new(seed).blocks(BLOCKS);
    let straight = Database::create().await;
    let handle = Indexer::start(straight.config(), Chain::new(blocks.clone())).await.unwrap();
    stored(&handle.feed, BLOCKS as u64).await;
    handle.shutdown().await.unwrap();

    let pieces = Database::create().await;
    let chain = Chain::new([]);
    let mut rng = StdRng::seed_from_u64(seed);
    let mut left = blocks.into_iter();
    while chain.len() < BLOCKS as u64 {
        let handle = Indexer::start(pieces.config(), chain.clone()).await.unwrap();
        let before = *handle.feed.stored().borrow();
        for block in left.by_ref().take(rng.random_range(1..25)) {
            chain.push(block);
            if rng.random_ratio(1, 12) {
                pieces.cut().await;
            }
        }
        match rng.random_range(0..3) {
            0 => handle.shutdown().await.unwrap(),
            1 => {
                // Somewhere in the middle of the writer's work, perhaps in a commit.
                stored(&handle.feed, (before + 1).min(chain.len())).await;
                drop(handle);
            }
            _ => {
                stored(&handle.feed, chain.len()).await;
                drop(handle);
            }
        }
    }
    let handle = Indexer::start(pieces.config(), chain.clone()).await.unwrap();
    stored(&handle.feed, BLOCKS as u64).await;
    handle.shutdown().await.unwrap();
    assert_eq!(chain.released.load(Ordering::Relaxed), BLOCKS as u64, "the source may forget what is flushed");

    for (one, other) in straight.everything().await.into_iter().zip(pieces.everything().await) {
        assert_eq!(one.1.len(), other.1.len(), "rows of {}", one.0);
        for (left, right) in one.1.iter().zip(&other.1) {
            assert_eq!(left, right, "in {}", one.0);
        }
    }
    straight.remove().await;
    pieces.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_proves_its_tail_and_refuses_another_chain() {
    let chain = Chain::new(Workload::new(seed(32)).blocks(30));
    let database = Database::create().await;
    let config = indexer::Config { flush_blocks: 1_000, flush_ms: 3_600_000, ..database.config() };
    let handle = Indexer::start(config.clone(), chain.clone()).await.unwrap();
    stored(&handle.feed, 30).await;
    // No flush has happened: all 30 blocks are the tail.
    drop(handle);
    database.execute("update blocks set digest = '\\x00' where block = 17").await;
    match Indexer::start(config.clone(), chain.clone()).await.map(|_| ()) {
        Err(error @ Error::Digest { block: 17, .. }) => assert_eq!(error.exit_code(), 70),
        other => panic!("a changed digest passed: {other:?}"),
    }

    let foreign = Chain::new(Workload::new(99).blocks(30));
    let elsewhere = indexer::Config { chain_id: 1, ..config.clone() };
    let error = Indexer::start(elsewhere, foreign).await.map(|_| ()).unwrap_err();
    assert_eq!(error.exit_code(), 78, "{error}");

    // A chain that is shorter than the database.
    let short = Chain::new(Workload::new(seed(32)).blocks(20));
    let error = Indexer::start(config, short).await.map(|_| ()).unwrap_err();
    assert_eq!(error.exit_code(), 78, "{error}");
    database.remove().await;
}

/// A second indexer on the same database waits until the first has gone, then goes on where it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_indexer_waits_for_the_first() {
    let chain = Chain::new(Workload::new(seed(33)).blocks(40));
    let database = Database::create().await;
    let first = Indexer::start(database.config(), chain.clone()).await.unwrap();
    stored(&first.feed, 40).await;
    let second = tokio::spawn(Indexer::start(database.config(), chain.clone()));
    let waiting = "select 1 from pg_locks where locktype = 'advisory' and not granted and database = (select oid from pg_database where datname = current_database())";
    while database.rows(waiting).await.is_empty() {
        assert!(!second.is_finished(), "the second must not start beside the first");
        tokio::task::yield_now().await;
    }
    first.shutdown().await.unwrap();
    let second = second.await.unwrap().unwrap();
    assert_eq!(*second.feed.stored().borrow(), 40);
    second.shutdown().await.unwrap();
    database.remove().await;
}

/// Goal: what a reader sees of the live state does not depend on a restart. Method: snapshots before and after one.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_the_same_before_and_after_a_restart() {
    let chain = Chain::new(Workload::new(seed(35)).blocks(120));
    let database = Database::create().await;
    let handle = Indexer::start(database.config(), chain.clone()).await.unwrap();
    stored(&handle.feed, 120).await;
    let before = handle.feed.snapshot();
    handle.shutdown().await.unwrap();
    let handle = Indexer::start(database.config(), chain).await.unwrap();
    let after = handle.feed.snapshot();
    assert_eq!((before.cursor, before.time_ms), (after.cursor, after.time_ms));
    assert_eq!((&before.tokens, &before.accounts), (&after.tokens, &after.accounts));
    for (one, other) in before.markets.iter().zip(&after.markets) {
        assert_eq!((&one.market, one.head, &one.bars), (&other.market, other.head, &other.bars));
        let records = |market: &indexer::MarketSnapshot| market.book.records().collect::<std::collections::BTreeMap<_, _>>();
        let levels = |market: &indexer::MarketSnapshot| market.book.levels().collect::<std::collections::BTreeMap<_, _>>();
        assert_eq!((records(one), levels(one)), (records(other), levels(other)));
        let (one, other) = (one.ticker.day().unwrap(), other.ticker.day().unwrap());
        // The size of the last trade is in no bar.
        assert_eq!(one, indexer::project::Day { last_lots: one.last_lots, ..other });
    }
    handle.shutdown().await.unwrap();
    database.remove().await;
}

/// A duplicate is an error, never ignored: rows that are there before their block stop the writer.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_exists_already_halts_the_writer() {
    let mut workload = Workload::new(seed(34));
    let chain = Chain::new(workload.blocks(10));
    let database = Database::create().await;
    let handle = Indexer::start(database.config(), chain.clone()).await.unwrap();
    stored(&handle.feed, 10).await;
    database.execute("insert into blocks select 11, time_ms, gas_used, base_fee, txs, events, fills, hash, parent, digest, tx_hashes, failed from blocks where block = 10").await;
    chain.push(workload.random());
    let halted = tokio::time::timeout(std::time::Duration::from_secs(30), handle.halted()).await.expect("the writer halts");
    assert_eq!(halted.exit_code(), 70, "{halted}");
    assert!(handle.shutdown().await.is_err());
    database.remove().await;
}
