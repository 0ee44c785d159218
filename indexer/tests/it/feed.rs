//! The feed: live before commit, a snapshot that the next update continues, a bounded ring, and a stop on broken logs.

use crate::{
    chain::{Chain, EXCHANGE, Workload, seed},
    database::{Database, stored},
};
use alloy_primitives::B256;
use indexer::{Indexer, Next};
use orderbook::Side;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn updates_continue_the_snapshot_and_survive_without_postgres() {
    let mut workload = Workload::new(seed(21));
    let chain = Chain::new(workload.blocks(20));
    let database = Database::create().await;
    let handle = Indexer::start(database.config(), chain.clone()).await.unwrap();
    stored(&handle.feed, 20).await;
    let mut snapshot = handle.feed.snapshot();
    assert_eq!(snapshot.cursor.block, 20);

    // Postgres goes; the feed does not.
    database.allow_connections(false).await;
    database.cut().await;
    for _ in 0..30 {
        chain.push(workload.random());
    }
    let mut books: Vec<_> = snapshot.markets.iter_mut().map(|market| &mut market.book).collect();
    for after in 20..50 {
        let Next::Update(update) = handle.feed.next(after).await else { panic!("block {} is not in the feed", after + 1) };
        assert_eq!(update.block, after + 1);
        for record in &update.records {
            if let Some(market) = record.event.market() {
                books[market.0 as usize - 1].replay(&record.event).unwrap();
            }
        }
        for change in &update.changes.depth {
            let level = books[change.level.market.0 as usize - 1].depth_at(change.level);
            assert_eq!((level.lots, level.orders), (change.lots, change.orders), "block {}", update.block);
        }
    }
    for (book, market) in books.iter().zip(handle.feed.snapshot().markets) {
        assert_eq!(book.depth(Side::Bid, 100), market.book.depth(Side::Bid, 100));
        assert_eq!(book.depth(Side::Ask, 100), market.book.depth(Side::Ask, 100));
    }
    assert!(*handle.feed.stored().borrow() < 50, "postgres is away");

    database.allow_connections(true).await;
    stored(&handle.feed, 50).await;
    handle.shutdown().await.unwrap();
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ring_is_bounded_and_the_writer_catches_up_past_it() {
    let mut workload = Workload::new(seed(22));
    let chain = Chain::new(workload.blocks(10));
    let database = Database::create().await;
    let config = indexer::Config { ring_updates_max: 4, ..database.config() };
    let handle = Indexer::start(config.clone(), chain.clone()).await.unwrap();
    stored(&handle.feed, 10).await;
    database.allow_connections(false).await;
    database.cut().await;
    for _ in 0..60 {
        chain.push(workload.random());
    }
    assert!(matches!(handle.feed.next(69).await, Next::Update(_)), "the newest block is there");
    let (first, last) = handle.feed.held().unwrap();
    assert_eq!((first, last), (67, 70), "four updates are held");
    match handle.feed.next(20).await {
        Next::Lagged { first } => assert_eq!(first, 67),
        other => panic!("block 21 should be forgotten, found {other:?}"),
    }
    database.allow_connections(true).await;
    stored(&handle.feed, 70).await;
    handle.shutdown().await.unwrap();
    let outcome = indexer::verify(&config, chain, |_, _| ()).await.unwrap();
    assert_eq!(outcome.exit_code(), 0, "{outcome:?}");
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_nobody_knows_halts_the_indexer_with_70() {
    let mut workload = Workload::new(seed(23));
    let chain = Chain::new(workload.blocks(5));
    let database = Database::create().await;
    let handle = Indexer::start(database.config(), chain.clone()).await.unwrap();
    let mut block = (*workload.random()).clone();
    while !block.txs.iter().any(|tx| tx.logs.iter().any(|log| log.address == EXCHANGE)) {
        chain.push(block.into());
        block = (*workload.random()).clone();
    }
    let log = block.txs.iter_mut().flat_map(|tx| &mut tx.logs).find(|log| log.address == EXCHANGE).unwrap();
    log.topics = vec![B256::repeat_byte(0xab)];
    let number = block.number;
    chain.push(block.into());
    let halted = tokio::time::timeout(Duration::from_secs(30), handle.halted()).await.expect("the indexer halts");
    assert_eq!(halted.exit_code(), 70, "{halted}");
    assert!(matches!(handle.feed.next(number - 1).await, Next::Closed));
    // What came before it is kept.
    stored(&handle.feed, number - 1).await;
    assert!(handle.shutdown().await.is_err());
    database.remove().await;
}
