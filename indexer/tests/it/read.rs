//! Pages of history equal what the feed said: fills from every kind of beginning, aggregates, bars, blocks, orders, balances, bounds.

use crate::{
    chain::{Chain, Workload, seed},
    database::{Database, stored},
};
use indexer::{
    Indexer, Next, ReadError,
    store::{PAGE_MAX, Span, Window},
};
use orderbook::{Lots, MarketId};

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_history_equal_the_live_feed() {
    let blocks = 220_u64;
    let chain = Chain::new(Workload::new(seed(61)).blocks(blocks as usize));
    let database = Database::create().await;
    // Leaves of 64 blocks: every page crosses some.
    let config = indexer::Config { partition_blocks: 64, ..database.config() };
    let handle = Indexer::start(config, chain).await.unwrap();
    stored(&handle.feed, blocks).await;
    let market = MarketId(1);
    let (mut live, mut times) = (Vec::new(), Vec::new());
    for after in 0..blocks {
        let Next::Update(update) = handle.feed.next(after).await else { panic!("block {} is held", after + 1) };
        times.push((update.block, update.time_ms, update.hash));
        live.extend(
            update.changes.fills.iter().filter(|fill| fill.market == market).map(|fill| (update.block, update.time_ms, fill.clone())),
        );
    }
    let reader = &handle.reader;
    let page = |window, limit| async move {
        let rows = reader.fills(market, window, blocks, limit).await.unwrap();
        rows.into_iter().map(|row| (row.block, row.time_ms, row.fill)).collect::<Vec<_>>()
    };
    assert_eq!(page(Window::Newest, PAGE_MAX).await, live);
    assert_eq!(page(Window::Newest, 10).await, live[live.len() - 10..]);
    for trade in [1, 2, 57, live.len() as u64 - 3, live.len() as u64] {
        assert_eq!(
            page(Window::Trade(trade), 20).await,
            live[trade as usize - 1..].iter().take(20).cloned().collect::<Vec<_>>(),
            "{trade}"
        );
    }
    assert!(page(Window::Trade(live.len() as u64 + 1), 20).await.is_empty());
    let last_agg = live.last().unwrap().2.agg;
    for agg in [1, 2, last_agg / 2, last_agg] {
        let expected: Vec<_> = live.iter().filter(|(_, _, fill)| fill.agg >= agg).take(30).cloned().collect();
        assert_eq!(page(Window::Agg(agg), 30).await, expected, "{agg}");
    }
    let (from_ms, to_ms) = (times[50].1, times[150].1);
    let expected: Vec<_> = live.iter().filter(|(_, time_ms, _)| (from_ms..=to_ms).contains(time_ms)).take(500).cloned().collect();
    assert_eq!(page(Window::Time { from_ms, to_ms }, 500).await, expected);

    let aggregates = reader.agg_trades(market, Window::Newest, blocks, 25).await.unwrap();
    assert_eq!(aggregates.len(), 25);
    for aggregate in &aggregates {
        let parts: Vec<_> = live.iter().filter(|(_, _, fill)| fill.agg == aggregate.agg).collect();
        assert_eq!(aggregate.lots.0, parts.iter().map(|(_, _, fill)| fill.lots.0).sum::<u64>());
        assert_eq!((aggregate.first_trade, aggregate.last_trade), (parts[0].2.trade, parts[parts.len() - 1].2.trade));
        assert_eq!((aggregate.ticks, aggregate.taker_side, aggregate.time_ms), (parts[0].2.ticks, parts[0].2.taker_side, parts[0].1));
    }
    assert!(aggregates.windows(2).all(|two| two[0].agg + 1 == two[1].agg && two[0].last_trade + 1 == two[1].first_trade), "ranges tile");

    let rows = reader.blocks(100, 110, PAGE_MAX).await.unwrap();
    assert_eq!(rows.iter().map(|row| (row.block, row.time_ms, row.hash)).collect::<Vec<_>>(), times[99..110]);
    assert_eq!(reader.block_at(times[80].1).await.unwrap(), Some(81));
    assert_eq!(reader.block_at(times[80].1 - 1).await.unwrap(), Some(81));
    assert_eq!(reader.block_at(u64::MAX).await.unwrap(), None);
    assert_eq!(reader.stored().await.unwrap(), blocks);
    assert!(matches!(reader.fills(market, Window::Newest, blocks, PAGE_MAX + 1).await, Err(ReadError::TooMany { .. })));

    let snapshot = handle.feed.snapshot();
    handle.shutdown().await.unwrap();
    let reader = indexer::Reader::new(database.config().postgres_read, 2);
    for market in &snapshot.markets {
        for bar in &market.bars {
            let span = Span { from_ms: Some(bar.open_ms), to_ms: u64::MAX };
            assert_eq!(reader.candles(bar.market, bar.res_s, span, 5).await.unwrap(), std::slice::from_ref(bar), "the newest bar");
        }
    }
    let heads: Vec<_> = snapshot.markets.iter().map(|market| (market.market.clone(), market.head)).collect();
    assert_eq!(reader.markets().await.unwrap(), heads);
    assert_eq!(reader.tokens().await.unwrap().len(), snapshot.tokens.len());
    let mut orders = 0;
    for (account, owner) in &snapshot.accounts {
        assert_eq!(reader.accounts(owner).await.unwrap(), [*account]);
        for (id, order) in reader.open_orders(*account, PAGE_MAX).await.unwrap() {
            let live = snapshot.markets[id.level.market.0 as usize - 1].book.order(id).expect("a stored order is in the book");
            let open = if order.expired { Lots(0) } else { order.lots };
            assert_eq!((live.account, live.left, live.unclaimed), (order.account, open, order.unclaimed));
            orders += 1;
        }
        assert_eq!(reader.balances(*account).await.unwrap().len(), 3);
    }
    let booked: usize = snapshot.markets.iter().map(|market| market.book.records().count()).sum();
    assert_eq!(orders, booked, "every order of the books is stored");
    reader.close().await;
    database.remove().await;
}
