//! History explains state: candles and balances summed up again from the rows equal those stored.

use crate::{
    chain::{Chain, Workload, seed},
    database::{Database, stored},
};
use indexer::Indexer;
use orderbook::{AccountId, LevelKey, Lots, Market, MarketId, Side, Ticks, TokenId, ledger};
use sqlx::{PgConnection, Row, postgres::PgRow};
use std::collections::BTreeMap;

#[tokio::test(flavor = "multi_thread")]
async fn candles_and_balances_recomputed_from_rows_equal_the_stored_ones() {
    let chain = Chain::new(Workload::new(seed(51)).blocks(250));
    let database = Database::create().await;
    let handle = Indexer::start(database.config(), chain).await.unwrap();
    stored(&handle.feed, 250).await;
    let markets: BTreeMap<_, _> = handle.feed.snapshot().markets.into_iter().map(|market| (market.market.id, market.market)).collect();
    handle.shutdown().await.unwrap();

    for res_s in indexer::project::RESOLUTIONS_S {
        let width_ms = res_s as u64 * 1000;
        let folded = format!(
            "select f.market, b.time_ms / {width_ms} * {width_ms} as open_ms, (array_agg(ticks order by f.block, n))[1] as open,
                    max(ticks) as high, min(ticks) as low, (array_agg(ticks order by f.block desc, n desc))[1] as close, sum(lots) as lots,
                    sum(lots::numeric * ticks * m.quote_atoms_per_lot_tick) as quote_atoms, count(*) as trades, min(trade) as first_trade,
                    sum(lots * maker_side) as taker_bid_lots
               from fills f join blocks b using (block) join markets m using (market) group by 1, 2 order by 1, 2"
        );
        let kept = format!(
            "select market, open_ms, open, high, low, close, lots, quote_atoms, trades, first_trade, taker_bid_lots
               from candles where res_s = {res_s} order by 1, 2"
        );
        let (folded, kept) = (database.rows(&folded).await, database.rows(&kept).await);
        assert!(!kept.is_empty());
        assert_eq!(folded, kept, "{res_s} s bars");
    }

    let mut connection = database.connect().await;
    let recomputed = balances(&mut connection, &markets).await;
    let stored = sqlx::query("select account, token, free::text, locked::text, claimable::text, fee_due::text from balances")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert!(stored.len() >= 24, "{} balances", stored.len());
    for row in stored {
        let key = (AccountId(row.get::<i32, _>(0) as u32), TokenId(row.get::<i32, _>(1) as u32));
        let columns: [i128; 4] = std::array::from_fn(|place| row.get::<&str, _>(place + 2).parse().unwrap());
        assert_eq!(recomputed[&key], columns, "{key:?}: free, locked, claimable, fee due");
    }
    database.remove().await;
}

/// Sums over order_events, fills and transfers, in any order: every change is linear.
async fn balances(connection: &mut PgConnection, markets: &BTreeMap<MarketId, Market>) -> BTreeMap<(AccountId, TokenId), [i128; 4]> {
    let mut sums: BTreeMap<(AccountId, TokenId), [i128; 4]> = BTreeMap::new();
    let mut add = |account: AccountId, change: ledger::Change| {
        let sum = sums.entry((account, change.token)).or_default();
        for (column, by) in sum.iter_mut().zip([change.free, change.locked, change.claimable, change.fee_due]) {
            *column += by;
        }
    };
    let account = |row: &PgRow, column: &str| AccountId(row.get::<i32, _>(column) as u32);
    let atoms = |row: &PgRow, column: &str| row.get::<String, _>(column).parse::<i128>().unwrap();
    for row in sqlx::query("select account, token, kind, atoms::text from transfers").fetch_all(&mut *connection).await.unwrap() {
        let (token, atoms) = (TokenId(row.get::<i32, _>("token") as u32), atoms(&row, "atoms"));
        let none = ledger::Change::none(token);
        match row.get::<i16, _>("kind") {
            1 | 2 => add(account(&row, "account"), ledger::Change { free: atoms, ..none }),
            3 => {
                add(account(&row, "account"), ledger::Change { fee_due: atoms, ..none });
                add(AccountId(1), ledger::Change { free: -atoms, ..none });
            }
            4 | 5 => assert_eq!(account(&row, "account"), AccountId(0), "a swap is between wallets"),
            kind => panic!("transfer of kind {kind}"),
        }
    }
    let mut rebates: BTreeMap<i64, u128> = BTreeMap::new();
    for row in sqlx::query("select * from fills").fetch_all(&mut *connection).await.unwrap() {
        let level = level(&row, "maker_side");
        let lots = Lots(row.get::<i64, _>("lots") as u64);
        let market = &markets[&level.market];
        ledger::filled(market, level, lots).into_iter().for_each(|change| add(account(&row, "maker"), change));
        *rebates.entry(row.get("taker_seq")).or_default() += lots.0 as u128 * ledger::rebate_per_lot(market, level.ticks);
    }
    let events =
        "select account, reason, market, coalesce(ticks, 0) as ticks, kind, side, lots, coalesce(left_lots, 0) as left_lots, order_seq,
                         coalesce(quote_atoms, 0)::text as quote, coalesce(fee_atoms, 0)::text as fee from order_events";
    for row in sqlx::query(events).fetch_all(connection).await.unwrap() {
        if row.get::<i16, _>("kind") == 5 {
            assert!((1..=28).contains(&row.get::<i16, _>("reason")), "a rejected operation says why");
            continue;
        }
        let level = level(&row, "side");
        let market = &markets[&level.market];
        let (lots, left) = (Lots(row.get::<i64, _>("lots") as u64), Lots(row.get::<i64, _>("left_lots") as u64));
        let owner = account(&row, "account");
        match row.get::<i16, _>("kind") {
            1 => add(owner, ledger::placed(market, level, lots)),
            // Expired lots stay locked until they are claimed.
            2 if row.get::<i16, _>("reason") == 5 => {}
            2 => add(owner, ledger::reduced(market, level, lots)),
            3 => {
                let rebate = rebates.get(&row.get::<i64, _>("order_seq")).copied().unwrap_or(0);
                let (quote, fee) = (atoms(&row, "quote") as u128, atoms(&row, "fee") as u128);
                let mut changes = ledger::taken(market, level.side, lots, quote, fee, rebate);
                if owner.0 >= 1 << 31 {
                    changes.iter_mut().for_each(|change| change.free = 0);
                }
                changes.into_iter().for_each(|change| add(owner, change));
            }
            4 => ledger::claimed(market, level, lots, left).into_iter().for_each(|change| add(owner, change)),
            kind => panic!("order event of kind {kind}"),
        }
    }
    sums
}

fn level(row: &PgRow, side: &str) -> LevelKey {
    LevelKey {
        market: MarketId(row.get::<i32, _>("market") as u32),
        side: if row.get::<i16, _>(side) == 0 { Side::Bid } else { Side::Ask },
        ticks: Ticks(row.get::<i32, _>("ticks") as u32),
    }
}
