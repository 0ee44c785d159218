//! Every M1 example of the native surface: shapes of REST bodies, messages and records, and the rules of seq and prev.

use crate::client::serve;
use crate::compat::documented;
use crate::exchange::{Exchange, START_MS, exchange_owner, owner, place};
use crate::shape::same;
use orderbook::maker::Batch;
use orderbook::{AccountId, Command, LevelKey, Lots, MarketId, Mode, Operation, OrderId, Side, Ticks, TimeInForce};
use serde_json::{Value, json};

const ETH: MarketId = MarketId(1);

#[tokio::test]
async fn rest_bodies() {
    let exchange = documented();
    let server = serve(&exchange).await;
    let status = server.read("/v1/status").await;
    same(
        &json!({"block": 1, "hash": "H", "seq": 1, "commit": "", "time_ms": 1, "data":
            {"chain_id": 1, "exchange": "H", "heads": {"executed": 1, "voted": null, "finalized": null}, "indexed": 1, "lag_ms": 1, "ring_from": 1}}),
        &status,
    );
    assert_eq!((status["block"].as_u64(), status["data"]["chain_id"].as_u64()), (Some(3), Some(4434)));
    let markets = server.read("/v1/markets").await;
    let eth = &markets["data"][0];
    assert_eq!((eth["market"].as_u64(), eth["name"].as_str(), eth["symbol"].as_str()), (Some(1), Some("ETH-USDC"), Some("ETHUSDC")));
    assert_eq!((eth["tick"].as_str(), eth["lot"].as_str(), eth["status"].as_str()), (Some("0.01"), Some("0.0001"), Some("live")));
    assert_eq!((eth["base_atoms_per_lot"].as_str(), eth["quote_atoms_per_lot_tick"].as_str()), (Some("100000000000000"), Some("1")));
    assert_eq!(eth["base"], json!({"token": format!("{:#x}", crate::exchange::LISTED[0].0), "name": "ETH", "decimals": 18}));
    let depth = server.read("/v1/markets/1/depth").await;
    assert_eq!(depth["data"]["bids"], json!([[300_000, 1_000, 1]]));
    assert_eq!(depth["data"]["asks"], json!([[300_100, 12_500, 2], [300_200, 500, 1]]));
    assert_eq!(depth["data"]["crc"], 278_947_946);
    let candles = server.read(&format!("/v1/candles?market=1&interval=1m&from_ms={START_MS}&to_ms={}&fill=prev", START_MS + 60_000)).await;
    assert_eq!(
        candles["data"],
        json!([{"interval": "1m", "open_ms": START_MS, "open": 300_100, "high": 300_100, "low": 300_100, "close": 300_100, "lots": 5_000,
            "quote_atoms": "1500500000", "trades": 1, "taker_bid_lots": 5_000, "closed": false}])
    );
    assert_eq!(candles["next"], Value::Null);
    let config = server.read("/config.json").await;
    same(&json!({"chain_id": 1, "exchange": "H", "rpc": "", "ws": "", "faucet": true, "version": ""}), &config);
    assert_eq!((config["rpc"].as_str(), config["ws"].as_str()), (Some("/rpc"), Some("/v1/ws")));
    assert_eq!(server.get("/health").await.status, 200);
    assert_eq!(server.get("/ready").await.status, 200);
    let metrics = server.get("/metrics").await.body;
    for name in [
        "hifi_sequencer_block_us",
        "hifi_sequencer_lag_blocks",
        "hifi_fanout_messages_total",
        "hifi_fanout_queue_bytes",
        "hifi_fanout_merged_total",
        "hifi_fanout_conflated_total",
        "hifi_fanout_closed_total",
        "hifi_rest_us",
        "hifi_submit_us",
        "hifi_sockets",
    ] {
        assert!(metrics.contains(&format!("# TYPE {name} ")), "{name}");
    }
    server.handle.stop().await;
}

fn head(channel: &str, data: Value) -> Value {
    json!({"channel": channel, "sub": 1, "type": "", "market": 1, "seq": 1, "prev": 1, "block": 1, "hash": "H", "time_ms": 1, "commit": "", "data": data})
}

#[tokio::test]
async fn messages_and_records() {
    let mut exchange = documented();
    let server = serve(&exchange).await;
    let mut ws = server.ws("/v1/ws").await;
    let levels = json!({"bids": [[1, 1, 1]], "asks": [[1, 1, 1]], "crc": 1, "book_hash": "H"});

    assert_eq!(ws.ask(r#"{"op":"sub","id":1,"channel":"depth","market":1}"#).await, json!({"op": "ok", "id": 1, "sub": 1}));
    let snapshot = ws.next().await;
    same(&head("depth", json!({"bids": null, "asks": null, "crc": 1, "book_hash": "H"})), &snapshot);
    assert_eq!(
        (snapshot["type"].as_str(), snapshot["prev"].as_u64(), snapshot["data"]["crc"].as_u64()),
        (Some("snapshot"), Some(0), Some(278_947_946))
    );

    ws.ask(r#"{"op":"sub","id":2,"channel":"book","market":1,"commit":"executed"}"#).await;
    let book = ws.next().await;
    let order = json!({"order": "", "account": 1, "owner": "H", "side": "", "ticks": 1, "lots": 1, "left": 1, "expiry": 1, "seq": 1});
    same(&head("book", json!({"part": 1, "parts": 1, "orders": [order]})), &book);
    let orders = book["data"]["orders"].as_array().unwrap();
    let shown: Vec<_> = orders
        .iter()
        .map(|row| {
            (row["side"].as_str().unwrap(), row["ticks"].as_u64().unwrap(), row["lots"].as_u64().unwrap(), row["left"].as_u64().unwrap())
        })
        .collect();
    assert_eq!(
        shown,
        [("bid", 300_000, 1_000, 1_000), ("ask", 300_100, 10_000, 5_000), ("ask", 300_100, 7_500, 7_500), ("ask", 300_200, 500, 500)]
    );
    assert_eq!(orders[1]["seq"].as_u64(), Some((2 << 20) + 1));
    assert_eq!(orders[1]["owner"], format!("{:#x}", owner(1)));

    for (id, request) in [
        (3, r#""channel":"trades""#),
        (4, r#""channel":"trades","market":1"#),
        (5, r#""channel":"blocks""#),
        (6, r#""channel":"blocks","records":false"#),
    ] {
        assert_eq!(ws.ask(&format!("{{\"op\":\"sub\",\"id\":{id},{request}}}")).await, json!({"op": "ok", "id": id, "sub": id}));
    }
    ws.ask(r#"{"op":"sub","id":7,"channel":"candles","market":1,"interval":"1m"}"#).await;
    let candle = json!({"interval": "", "open_ms": 1, "open": 1, "high": 1, "low": 1, "close": 1, "lots": 1, "quote_atoms": "", "trades": 1, "taker_bid_lots": 1, "closed": true});
    same(&head("candles", candle.clone()), &ws.next().await);
    ws.ask(r#"{"op":"sub","id":8,"channel":"ticker","market":1}"#).await;
    let ticker = json!({"open": 1, "high": 1, "low": 1, "last": 1, "lots": 1, "quote_atoms": "", "trades": 1});
    same(&head("ticker", ticker.clone()), &ws.next().await);
    let list = ws.ask(r#"{"op":"list","id":9}"#).await;
    assert_eq!(list["subs"][0], json!({"sub": 1, "channel": "depth", "market": 1}));
    assert_eq!(list["subs"].as_array().unwrap().len(), 8);
    let pong = ws.ask(r#"{"op":"ping","id":10,"t":123}"#).await;
    same(&json!({"op": "", "id": 1, "t": 1, "now_us": 1, "block": 1}), &pong);

    let cancelled = OrderId { level: LevelKey { market: ETH, side: Side::Ask, ticks: Ticks(300_200) }, index: 0 };
    let update = exchange.block(
        vec![
            (owner(4), place(ETH, Side::Bid, TimeInForce::Gtc, 300_100, 6_000)),
            (owner(1), Command::Cancel { account: AccountId(0), order: cancelled }),
            (
                owner(1),
                Command::Claim {
                    orders: vec![OrderId { level: LevelKey { market: ETH, side: Side::Ask, ticks: Ticks(300_100) }, index: 0 }],
                },
            ),
            (owner(6), place(ETH, Side::Bid, TimeInForce::PostOnly, 300_100, 1)),
            (
                owner(7),
                Command::Deposit {
                    account: AccountId(0),
                    token: crate::exchange::LISTED[0].0,
                    atoms: alloy_primitives::U256::from(9_u8),
                    settle: Vec::new(),
                },
            ),
        ],
        100,
    );
    let mut messages: Vec<Value> = Vec::new();
    for _ in 0..8 {
        messages.push(ws.next().await);
    }
    let of = |sub: u64| messages.iter().find(|message| message["sub"] == sub).unwrap_or_else(|| panic!("no message of {sub}"));
    same(&head("depth", levels), of(1));
    assert_eq!((of(1)["prev"].as_u64(), of(1)["seq"].as_u64()), (snapshot["seq"].as_u64(), Some((4 << 20) + 2)));
    assert_eq!(of(1)["data"]["asks"], json!([[300_100, 6_500, 1], [300_200, 0, 0]]));
    assert_eq!(of(1)["data"]["bids"], json!([]));
    let place_in = json!({"kind": "", "log": 1, "tx_index": 1, "tx": "H", "market": 1});
    let with = |more: Value| {
        let mut row = place_in.clone();
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    };
    let fill = with(
        json!({"trade": 1, "agg": 1, "order": "", "maker": 1, "maker_owner": "H", "taker": 1, "taker_owner": "H", "taker_side": "", "ticks": 1, "lots": 1, "left": 1}),
    );
    for sub in [3, 4] {
        assert_eq!(of(sub)["channel"], "trades");
        assert_eq!(of(sub).get("market").is_some(), sub == 4);
        same(&json!([fill]), &of(sub)["data"]);
        assert_eq!(of(sub)["data"].as_array().unwrap().len(), 2);
    }
    assert_eq!(of(3)["data"][0]["taker_side"], "bid");
    let kinds: Vec<&str> = of(2)["data"].as_array().unwrap().iter().map(|row| row["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["fill", "fill", "reduced"]);
    assert_eq!(of(2)["prev"], book["seq"]);
    let records = of(5)["data"]["records"].as_array().unwrap();
    let kinds: Vec<&str> = records.iter().map(|row| row["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["fill", "fill", "taken", "reduced", "claimed", "deposited", "failed"]);
    same(&with(json!({"account": 1, "owner": "H", "side": "", "lots": 1, "quote_atoms": "", "fee_atoms": "", "client": 1})), &records[2]);
    same(&with(json!({"order": "", "left": 1, "removed": 1, "reason": ""})), &records[3]);
    assert_eq!(records[3]["reason"], "cancel");
    same(&with(json!({"order": "", "account": 1, "lots": 1, "back": 1})), &records[4]);
    same(&json!({"kind": "", "log": 1, "tx_index": 1, "tx": "H", "account": 1, "token": "H", "atoms": ""}), &records[5]);
    same(&json!({"kind": "", "log": null, "tx_index": 1, "tx": "H", "from": "H", "reason": null, "gas_used": 1}), &records[6]);
    assert_eq!(of(6)["data"].as_object().unwrap().keys().filter(|name| *name == "records").count(), 0);
    assert_eq!(of(6)["data"]["txs"], 5);
    assert_eq!(of(6)["data"]["heads"]["1"]["crc"], of(1)["data"]["crc"]);
    assert_eq!(of(5)["seq"].as_u64(), Some((4 << 20) + update.records.last().unwrap().log as u64));
    same(&head("candles", candle), of(7));
    same(&head("ticker", ticker), of(8));
    assert_eq!(of(8)["data"]["trades"], 3);
    assert_eq!(of(7)["data"]["lots"], 11_000);

    // An empty block speaks on `blocks` alone, with the first number it could have.
    exchange.block(Vec::new(), 100);
    let empty = [ws.next().await, ws.next().await];
    assert!(empty.iter().all(|message| message["channel"] == "blocks" && message["seq"] == 5 << 20 && message["prev"] == of(5)["seq"]));
    assert_eq!(ws.ask(r#"{"op":"unsub","id":11,"sub":5}"#).await, json!({"op": "ok", "id": 11, "sub": 5}));
    server.handle.stop().await;
}

/// Goal: every event of milestone 2 that concerns a reader is a record. Method: one block with each, compared field by field.
#[tokio::test]
async fn records_of_batches_swaps_sweeps_and_statuses() {
    let mut exchange = documented();
    let server = serve(&exchange).await;
    let mut ws = server.ws("/v1/ws").await;
    ws.ask(r#"{"op":"sub","id":1,"channel":"blocks"}"#).await;
    let post_only = |ticks: u32, client: u64| Operation::Place {
        market: ETH,
        mode: Mode::new(Side::Ask, TimeInForce::PostOnly),
        ticks: Ticks(ticks),
        lots: Lots(5),
        expiry_s: 0,
        client,
        steps_max: 0,
    };
    let nowhere = OrderId { level: LevelKey { market: ETH, side: Side::Bid, ticks: Ticks(7) }, index: 9 };
    let at_s = exchange.time_ms / 1_000 + 60;
    let batch = Batch {
        operations: vec![post_only(300_000, 9), Operation::Cancel { order: nowhere }, Operation::Schedule { at_s }, post_only(300_300, 10)],
        ..Batch::new(AccountId(0))
    };
    let account = AccountId::numbered(owner(4), 0);
    let usdc = exchange.engine.book(ETH).unwrap().market().quote;
    let swap = Command::SwapExactIn {
        token_in: crate::exchange::LISTED[0].0,
        atoms: alloy_primitives::U256::from(100_000_000_000_000_u64),
        markets: vec![ETH],
        out_min: alloy_primitives::U256::ZERO,
        to: owner(5),
        deadline_s: u64::from(u32::MAX),
        steps_max: 0,
    };
    exchange.block(
        vec![
            (owner(4), place(ETH, Side::Bid, TimeInForce::Ioc, 300_100, 40)),
            (owner(4), batch.command()),
            (owner(6), Command::SweepFees { token: usdc, accounts: vec![account] }),
            (owner(5), swap),
            (exchange_owner(), Command::SetRole { role: 2, who: exchange_owner() }),
            (exchange_owner(), Command::SetTier { account, tier: 3 }),
            (exchange_owner(), Command::SetStatus { market: MarketId(2), status: 2 }),
        ],
        100,
    );
    let message = ws.next().await;
    let records = message["data"]["records"].as_array().unwrap();
    let kinds: Vec<&str> = records.iter().map(|row| row["kind"].as_str().unwrap()).collect();
    let expected = ["fill", "taken", "rejected", "rejected", "scheduled", "placed", "swept", "fill", "taken", "swapped", "tier", "status"];
    assert_eq!(kinds, expected);
    let place_in = |at: usize| json!({"log": records[at]["log"], "tx": records[at]["tx"], "tx_index": records[at]["tx_index"]});
    let check = |at: usize, more: Value| {
        let mut row = place_in(at);
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(records[at], row);
    };
    let who = format!("{:#x}", owner(4));
    check(
        2,
        json!({"kind": "rejected", "account": account.0, "owner": who, "index": 0, "op": "place", "reason": "would_cross", "client": 9}),
    );
    check(
        3,
        json!({"kind": "rejected", "account": account.0, "owner": who, "index": 1, "op": "cancel", "reason": "unknown_order", "client": 0}),
    );
    check(4, json!({"kind": "scheduled", "account": account.0, "owner": who, "at": at_s}));
    assert_eq!((records[5]["client"].as_u64(), records[5]["ticks"].as_u64()), (Some(10), Some(300_300)));
    // 40 lots at 300,100 ticks of 1 atom, 500 ppm, rounded up.
    check(6, json!({"kind": "swept", "account": account.0, "token": records[6]["token"], "atoms": "6002"}));
    let (eth, to) = (format!("{:#x}", crate::exchange::LISTED[0].0), format!("{:#x}", owner(5)));
    let swapped = json!({"kind": "swapped", "from": to, "to": to, "token_in": eth, "atoms_in": "100000000000000", "token_out": records[6]["token"], "atoms_out": "299850"});
    check(9, swapped);
    check(10, json!({"kind": "tier", "account": account.0, "owner": who, "tier": 3}));
    check(11, json!({"kind": "status", "market": 2, "status": "post_only"}));
    server.handle.stop().await;
}

#[tokio::test]
async fn refusals() {
    let exchange = documented();
    let server = serve(&exchange).await;
    let mut ws = server.ws("/v1/ws").await;
    let cases = [
        (r#"{"op":"sub","id":5,"channel":"book","market":99}"#, -1121, "unknown_market"),
        (r#"{"op":"sub","id":5,"channel":"book"}"#, -1102, "missing_parameter"),
        (r#"{"op":"sub","id":5,"channel":"nothing"}"#, -1130, "bad_parameter"),
        (r#"{"op":"sub","id":5}"#, -1102, "missing_parameter"),
        (r#"{"op":"sub","id":5,"channel":"candles","market":1,"interval":"2m"}"#, -1120, "unknown_interval"),
        (r#"{"op":"sub","id":5,"channel":"depth","market":-1}"#, -1130, "bad_parameter"),
        (r#"{"op":"sub","id":5,"channel":"depth","market":1,"commit":"voted"}"#, -1130, "bad_parameter"),
        (r#"{"op":"sub","id":5,"channel":"depth","market":1,"from":1048576}"#, -4100, "not_held"),
        (r#"{"op":"unsub","id":5,"sub":7}"#, -1130, "bad_parameter"),
        (r#"{"op":"jump","id":5}"#, -1130, "bad_parameter"),
        (r#"{"id":5}"#, -1102, "missing_parameter"),
    ];
    for (request, code, reason) in cases {
        let answer = ws.ask(request).await;
        assert_eq!(
            (answer["op"].as_str(), answer["id"].as_u64(), answer["code"].as_i64(), answer["reason"].as_str()),
            (Some("error"), Some(5), Some(code), Some(reason)),
            "{request}"
        );
    }
    assert_eq!(ws.ask(r#"{"op":"sub","id":5,"channel":"book","market":99}"#).await["message"], "highest is 4");
    assert_eq!(ws.ask("[").await["code"], -1100);
    assert_eq!(ws.ask("[1]").await["code"], -1100);
    assert_eq!(ws.ask(r#"{"op":"list","id":1}"#).await["subs"], json!([]));
    server.handle.stop().await;
}

#[tokio::test]
async fn reads_wait_for_a_block() {
    let mut exchange = Exchange::new(3, START_MS);
    let server = serve(&exchange).await;
    let next = exchange.head.block + 1;
    let path = format!("/v1/status?min_block={next}");
    let (waited, ()) = tokio::join!(server.get(&path), async {
        exchange.block(Vec::new(), 100);
    });
    assert_eq!((waited.status, waited.json()["block"].as_u64()), (200, Some(next)));
    let late = server.get(&format!("/api/v3/ping?min_block={}", next + 1)).await;
    assert_eq!((late.status, late.json()["code"].as_i64()), (503, Some(-4102)));
    server.handle.stop().await;
}

#[tokio::test]
async fn sizes_of_lots_left_agree_with_the_engine() {
    let mut exchange = Exchange::new(crate::exchange::seed(5), START_MS);
    exchange.trade(150, 40);
    let server = serve(&exchange).await;
    let mut ws = server.ws("/v1/ws").await;
    for market in 1..=4_u32 {
        ws.send(&format!("{{\"op\":\"sub\",\"channel\":\"book\",\"market\":{market}}}")).await;
        let parts = ws.until(|message| message["data"]["part"].is_u64() && message["data"]["part"] == message["data"]["parts"]).await;
        let shown: Vec<(String, u64)> = parts
            .iter()
            .filter(|message| message["channel"] == "book")
            .flat_map(|message| message["data"]["orders"].as_array().unwrap().clone())
            .map(|row| (row["order"].as_str().unwrap().to_owned(), row["left"].as_u64().unwrap()))
            .collect();
        let book = exchange.engine.book(MarketId(market)).unwrap();
        let all = book.orders(Side::Bid).chain(book.orders(Side::Ask)).map(|order| (order.id.to_string(), order.left));
        assert_eq!(shown, all.map(|(id, Lots(left))| (id, left)).collect::<Vec<_>>());
        assert!(!shown.is_empty());
    }
    server.handle.stop().await;
}
