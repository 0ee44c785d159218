//! `verify` finds every planted change and names it; on an honest database it says how much it compared.

use crate::{
    chain::{Chain, Workload, seed},
    database::{Database, stored},
};
use indexer::{Indexer, Outcome, verify::Difference};

async fn indexed(default: u64, blocks: usize) -> (Chain, Database) {
    let chain = Chain::new(Workload::new(seed(default)).blocks(blocks));
    let database = Database::create().await;
    let handle = Indexer::start(database.config(), chain.clone()).await.unwrap();
    stored(&handle.feed, blocks as u64).await;
    handle.shutdown().await.unwrap();
    (chain, database)
}

async fn difference(chain: &Chain, database: &Database) -> Option<Difference> {
    match indexer::verify(&database.config(), chain.clone(), |_, _| ()).await.unwrap() {
        Outcome::Equal(_) => None,
        Outcome::Differs(found) => Some(*found),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planted_change_of_one_fill_is_found_and_named() {
    let (chain, database) = indexed(41, 200).await;
    match indexer::verify(&database.config(), chain.clone(), |_, _| ()).await.unwrap() {
        Outcome::Equal(compared) => {
            assert_eq!((compared.blocks, compared.state_block), (200, 200));
            assert!(compared.fills > 300 && compared.state_rows > 100, "{compared:?}");
        }
        Outcome::Differs(found) => panic!("an honest database differs: {found}"),
    }
    let fill = database.rows("select block, n, lots from fills where block > 120 order by block, n limit 1").await;
    let numbers: Vec<u64> = fill[0].trim_matches(['(', ')']).split(',').map(|number| number.parse().unwrap()).collect();
    let (block, n, lots) = (numbers[0], numbers[1], numbers[2]);
    // A later one too: the first counts.
    database.execute("update fills set ticks = ticks + 1 where block > 150").await;
    database.execute(&format!("update fills set lots = lots + 1 where block = {block} and n = {n}")).await;
    let found = difference(&chain, &database).await.expect("the change is found");
    let expected = Difference {
        block,
        table: "fills",
        key: format!("block {block}, n {n}"),
        chain: format!("lots {lots}"),
        postgres: format!("lots {}", lots + 1),
    };
    assert_eq!(found, expected);
    database.remove().await;
}

/// Each statement breaks one row; `table` must be named, and undoing it must heal.
#[tokio::test(flavor = "multi_thread")]
async fn every_table_is_compared() {
    let (chain, database) = indexed(42, 60).await;
    let plants = [
        (
            "order_events",
            "update order_events set left_lots = 1 where (block, log) = (select block, log from order_events where kind = 1 limit 1)",
        ),
        ("order_events", "delete from order_events where (block, log) = (select block, log from order_events where block >= 30 limit 1)"),
        (
            "fills",
            "insert into fills select block, trade, agg, maker_index, maker_seq, taker_seq, lots, maker_left, n + 1000, market, ticks, maker, taker, tx, log, maker_side, fee_atoms from fills limit 1",
        ),
        ("transfers", "update transfers set atoms = atoms + 1 where block = 1 and log = (select min(log) from transfers where block = 1)"),
        ("blocks", "update blocks set digest = '\\x00' where block = 9"),
        ("blocks", "update blocks set gas_used = gas_used + 1 where block = 60"),
        (
            "accounts",
            "update accounts set owner = '\\x0000000000000000000000000000000000000001' where account = (select min(account) from accounts)",
        ),
        ("markets", "update markets set taker_fee_ppm = 1 where market = 2"),
        ("markets", "update markets set last_trade = last_trade + 1 where market = 1"),
        ("tokens", "update tokens set decimals = 3 where token = 2"),
        (
            "open_orders",
            "update open_orders set lots = lots + 1 where (market, side, ticks, order_index) = (select market, side, ticks, order_index from open_orders limit 1)",
        ),
        ("levels", "delete from levels where (market, side, ticks) = (select market, side, ticks from levels limit 1)"),
        ("balances", "update balances set free = free + 1 where (account, token) = (select account, token from balances limit 1)"),
        (
            "candles",
            "update candles set close = close + 1 where (market, res_s, open_ms) = (select market, res_s, open_ms from candles limit 1)",
        ),
    ];
    for (table, plant) in plants {
        database.execute(&format!("create table saved as select * from {table}")).await;
        assert_eq!(database.execute(plant).await, 1, "{plant}");
        let found = difference(&chain, &database).await.unwrap_or_else(|| panic!("not found: {plant}"));
        assert_eq!(found.table, table, "{plant}: {found}");
        database.execute(&format!("delete from {table}; insert into {table} select * from saved; drop table saved")).await;
    }
    assert_eq!(difference(&chain, &database).await, None, "all was put back");
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_past_the_cursor_and_a_foreign_chain_are_found() {
    let (chain, database) = indexed(43, 30).await;
    let other = Chain::new(Workload::new(4_300).blocks(30));
    let found = difference(&other, &database).await;
    // Same genesis and length, other transactions.
    assert!(found.is_some());
    database.execute("insert into transfers values (31, 0, 0, 1, 2, 1, 5)").await;
    let found = difference(&chain, &database).await.unwrap();
    assert_eq!((found.block, found.table), (31, "transfers"), "{found}");
    database.remove().await;
}
