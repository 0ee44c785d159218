//! Every M1 example of the compat surface: shape, units, and numbers that can be checked by hand.

use crate::client::{Ws, serve};
use crate::exchange::{Exchange, START_MS, exchange_owner, list, owner, place, seed};
use crate::shape::{no_forbidden_keys, same};
use orderbook::{AccountId, Command, MarketId, Side, TimeInForce};
use serde_json::{Value, json};

/// The book of the documentation: one bid of 0.1 at 3000, asks of 1.25 (two orders, after half an ether was taken) and 0.05.
pub fn documented() -> Exchange {
    let mut exchange = Exchange::new(1, START_MS);
    let eth = MarketId(1);
    let order = |trader: usize, side, ticks, lots| (owner(trader), place(eth, side, TimeInForce::Gtc, ticks, lots));
    exchange.block(
        vec![
            order(0, Side::Bid, 300_000, 1_000),
            order(1, Side::Ask, 300_100, 10_000),
            order(2, Side::Ask, 300_100, 7_500),
            order(1, Side::Ask, 300_200, 500),
        ],
        100,
    );
    exchange.block(vec![(owner(3), place(eth, Side::Bid, TimeInForce::Ioc, 300_100, 5_000))], 100);
    exchange
}

#[tokio::test]
async fn rest_answers_have_the_documented_shapes() {
    let exchange = documented();
    let server = serve(&exchange).await;
    assert_eq!(server.read("/api/v3/ping").await, json!({}));
    same(&json!({"serverTime": 1}), &server.read("/api/v3/time").await);

    let info = server.read("/api/v3/exchangeInfo?symbol=ethusdc").await;
    same(&json!({"timezone": "", "serverTime": 1, "exchangeFilters": [], "rateLimits": null, "symbols": null}), &info);
    let market = &info["symbols"][0];
    assert_eq!(market["symbol"], "ETHUSDC");
    assert_eq!(market["status"], "TRADING");
    assert_eq!(
        market["filters"],
        json!([
            {"filterType": "PRICE_FILTER", "minPrice": "0.01000000", "maxPrice": "167772.15000000", "tickSize": "0.01000000"},
            {"filterType": "LOT_SIZE", "minQty": "0.00010000", "maxQty": "9000000000.00000000", "stepSize": "0.00010000"},
            {"filterType": "NOTIONAL", "minNotional": "0.00000100", "applyMinToMarket": true, "maxNotional": "9000000000.00000000",
             "applyMaxToMarket": false, "avgPriceMins": 0}
        ])
    );
    let all = server.read("/api/v3/exchangeInfo").await;
    let names: Vec<&str> = all["symbols"].as_array().unwrap().iter().map(|row| row["symbol"].as_str().unwrap()).collect();
    assert_eq!(names, ["ETHUSDC", "BTCUSDC", "MONUSDC", "SOLUSDC"]);

    let depth = server.get("/api/v3/depth?symbol=ETHUSDC&limit=5").await;
    let u = 3_u64 << 20;
    assert_eq!(
        depth.body,
        format!(
            "{{\"lastUpdateId\":{u},\"bids\":[[\"3000.00000000\",\"0.10000000\"]],\
             \"asks\":[[\"3001.00000000\",\"1.25000000\"],[\"3002.00000000\",\"0.05000000\"]]}}"
        )
    );
    assert_eq!(depth.headers["x-hifi-block"], "3");
    assert_eq!(depth.headers["x-hifi-commit"], "executed");
    assert!(depth.headers.contains_key("x-mbx-used-weight-1m") && depth.headers.contains_key("x-hifi-indexed"));

    let time = exchange.time_ms;
    assert_eq!(
        server.read("/api/v3/trades?symbol=ETHUSDC").await,
        json!([{"id": 1, "price": "3001.00000000", "qty": "0.50000000", "quoteQty": "1500.50000000", "time": time, "isBuyerMaker": false, "isBestMatch": true}])
    );
    assert_eq!(
        server.read("/api/v3/aggTrades?symbol=ETHUSDC").await,
        json!([{"a": 1, "p": "3001.00000000", "q": "0.50000000", "f": 1, "l": 1, "T": time, "m": false, "M": true}])
    );
    assert_eq!(
        server.read("/api/v3/klines?symbol=ETHUSDC&interval=1m").await,
        json!([[
            START_MS,
            "3001.00000000",
            "3001.00000000",
            "3001.00000000",
            "3001.00000000",
            "0.50000000",
            START_MS + 59_999,
            "1500.50000000",
            1,
            "0.50000000",
            "1500.50000000",
            "0"
        ]])
    );
    let ticker = server.read("/api/v3/ticker/24hr?symbol=ETHUSDC").await;
    let full = json!({"symbol": "", "priceChange": "P", "priceChangePercent": "", "weightedAvgPrice": "P", "prevClosePrice": "P", "lastPrice": "P",
        "lastQty": "P", "bidPrice": "P", "bidQty": "P", "askPrice": "P", "askQty": "P", "openPrice": "P", "highPrice": "P", "lowPrice": "P",
        "volume": "P", "quoteVolume": "P", "openTime": 1, "closeTime": 1, "firstId": 1, "lastId": 1, "count": 1});
    same(&full, &ticker);
    assert_eq!((ticker["lastPrice"].as_str(), ticker["weightedAvgPrice"].as_str()), (Some("3001.00000000"), Some("3001.00000000")));
    same(&json!([full]), &server.read("/api/v3/ticker/24hr").await);
    let mini = server.read("/api/v3/ticker/24hr?symbols=%5B%22ETHUSDC%22%5D&type=MINI").await;
    assert_eq!(mini[0].as_object().unwrap().len(), 12);
    same(
        &json!([{"symbol": "", "bidPrice": "P", "bidQty": "P", "askPrice": "P", "askQty": "P"}]),
        &server.read("/api/v3/ticker/bookTicker").await,
    );
    // A market without a trade: zeros and -1.
    let none = server.read("/api/v3/ticker/24hr?symbol=SOLUSDC").await;
    assert_eq!((none["lastPrice"].as_str(), none["firstId"].as_i64(), none["count"].as_i64()), (Some("0.00000000"), Some(-1), Some(0)));
    assert_eq!(server.read("/api/v3/klines?symbol=SOLUSDC&interval=1h").await, json!([]));
    server.handle.stop().await;
}

#[tokio::test]
async fn events_have_the_documented_shapes() {
    let mut exchange = documented();
    let server = serve(&exchange).await;
    let mut ws = server.ws("/ws").await;
    let names = ["trade", "aggTrade", "depth@100ms", "bookTicker", "kline_1m", "depth5", "ticker", "miniTicker"]
        .map(|kind| format!("ethusdc@{kind}"));
    let ack = ws.ask(&json!({"method": "SUBSCRIBE", "params": names, "id": 1}).to_string()).await;
    assert_eq!(ack, json!({"result": null, "id": 1}));
    // Values follow the acknowledgement at once: book ticker, candle, five levels, two tickers.
    for _ in 0..5 {
        ws.next().await;
    }
    exchange.block(vec![(owner(4), place(MarketId(1), Side::Ask, TimeInForce::Ioc, 300_000, 400))], 2_000);
    let mut kinds = Vec::new();
    for _ in 0..8 {
        let event = ws.next().await;
        let kind = event
            .get("e")
            .and_then(Value::as_str)
            .map_or_else(|| if event.get("u").is_some() { "bookTicker" } else { "depth5" }.to_owned(), str::to_owned);
        let example = match kind.as_str() {
            "depthUpdate" => {
                json!({"e": "", "E": 1, "s": "", "U": 1, "u": 1, "b": [["P", "P"]], "a": [["P", "P"]], "bn": 1, "bh": "H", "cs": "", "cp": ""})
            }
            "trade" => {
                json!({"e": "", "E": 1, "s": "", "t": 1, "p": "P", "q": "P", "T": 1, "m": true, "M": true, "bn": 1, "li": 1, "tx": "H", "mk": "H", "tk": "H"})
            }
            "aggTrade" => json!({"e": "", "E": 1, "s": "", "a": 1, "p": "P", "q": "P", "f": 1, "l": 1, "T": 1, "m": true, "M": true}),
            "bookTicker" => json!({"u": 1, "s": "", "b": "P", "B": "P", "a": "P", "A": "P"}),
            "kline" => {
                json!({"e": "", "E": 1, "s": "", "k": {"t": 1, "T": 1, "s": "", "i": "", "f": 1, "L": 1, "o": "P", "c": "P", "h": "P", "l": "P", "v": "P",
                "n": 1, "x": true, "q": "P", "V": "P", "Q": "P", "B": ""}})
            }
            "depth5" => json!({"lastUpdateId": 1, "bids": [["P", "P"]], "asks": [["P", "P"]]}),
            "24hrTicker" => {
                json!({"e": "", "E": 1, "s": "", "p": "P", "P": "", "w": "P", "x": "P", "c": "P", "Q": "P", "b": "P", "B": "P", "a": "P", "A": "P",
                "o": "P", "h": "P", "l": "P", "v": "P", "q": "P", "O": 1, "C": 1, "F": 1, "L": 1, "n": 1})
            }
            _ => json!({"e": "", "E": 1, "s": "", "c": "P", "o": "P", "h": "P", "l": "P", "v": "P", "q": "P"}),
        };
        same(&example, &event);
        kinds.push(kind);
    }
    kinds.sort();
    assert_eq!(kinds, ["24hrMiniTicker", "24hrTicker", "aggTrade", "bookTicker", "depth5", "depthUpdate", "kline", "trade"]);
    no_forbidden_keys(&ws.seen);
    server.handle.stop().await;
}

#[tokio::test]
async fn a_market_created_later_gets_its_name_and_streams() {
    let mut exchange = Exchange::empty(1, START_MS, 100);
    let server = serve(&exchange).await;
    assert_eq!(server.read("/api/v3/exchangeInfo").await["symbols"], json!([]));
    let created = exchange.block(vec![(exchange_owner(), list(0))], 100);
    exchange.block(vec![(exchange_owner(), list(0))], 100);
    server.caught_up(&exchange).await;
    let names = server.read("/api/v3/exchangeInfo").await;
    assert_eq!((names["symbols"][0]["symbol"].as_str(), names["symbols"][1]["symbol"].as_str()), (Some("ETHUSDC"), Some("ETHUSDC2")));
    let log = created.records.iter().find(|row| matches!(row.event, orderbook::Event::MarketCreated { .. })).unwrap().log;
    assert_eq!(server.read("/api/v3/depth?symbol=ETHUSDC").await["lastUpdateId"], (1_u64 << 20) + log as u64);
    server.handle.stop().await;
}

async fn acked(ws: &mut Ws, request: Value) -> Value {
    ws.ask(&request.to_string()).await
}

#[tokio::test]
async fn control_methods() {
    let mut exchange = documented();
    let server = serve(&exchange).await;
    let mut ws = server.ws("/stream?streams=ethusdc@trade/ethusdc@depth@100ms").await;
    assert_eq!(
        acked(&mut ws, json!({"method": "LIST_SUBSCRIPTIONS", "id": 3})).await,
        json!({"result": ["ethusdc@trade", "ethusdc@depth@100ms"], "id": 3})
    );
    assert_eq!(
        acked(&mut ws, json!({"method": "GET_PROPERTY", "params": ["combined"], "id": "x"})).await,
        json!({"result": true, "id": "x"})
    );
    assert_eq!(
        acked(&mut ws, json!({"method": "UNSUBSCRIBE", "params": ["ethusdc@depth@100ms"], "id": null})).await,
        json!({"result": null, "id": null})
    );
    exchange.block(vec![(owner(4), place(MarketId(1), Side::Ask, TimeInForce::Ioc, 300_000, 100))], 100);
    let event = ws.next().await;
    assert_eq!((event["stream"].as_str(), event["data"]["t"].as_u64()), (Some("ethusdc@trade"), Some(2)));
    assert_eq!(
        acked(&mut ws, json!({"method": "SET_PROPERTY", "params": ["combined", false], "id": 5})).await,
        json!({"result": null, "id": 5})
    );
    exchange.block(vec![(owner(4), place(MarketId(1), Side::Ask, TimeInForce::Ioc, 300_000, 100))], 100);
    assert_eq!(ws.next().await["t"], 3);
    let refusals = [
        (json!({"method": "SUBSCRIBE", "params": ["x@depth"], "id": 6}), 2, "Invalid request: unknown stream x@depth"),
        (
            json!({"method": "SUBSCRIBE", "params": ["ethusdc@trade", "ethusdc@nothing"], "id": 7}),
            2,
            "Invalid request: unknown stream ethusdc@nothing",
        ),
        (json!({"method": "JUMP", "id": 8}), 2, "Invalid request: unknown method JUMP"),
        (json!({"method": "SET_PROPERTY", "params": ["colour", true], "id": 9}), 0, "Unknown property"),
        (json!({"method": "SET_PROPERTY", "params": ["combined", 1], "id": 10}), 1, "Invalid value type: expected Boolean"),
    ];
    for (request, code, msg) in refusals {
        let id = request["id"].clone();
        assert_eq!(acked(&mut ws, request).await, json!({"code": code, "msg": msg, "id": id}));
    }
    assert_eq!(ws.ask("{").await["code"], 3);
    // A request with an unknown stream subscribed to nothing.
    assert_eq!(acked(&mut ws, json!({"method": "LIST_SUBSCRIPTIONS", "id": 11})).await["result"], json!(["ethusdc@trade"]));
    let refused = tokio_tungstenite::connect_async(format!("ws://{}/ws/ethusdc@nothing", server.addr)).await;
    match refused.unwrap_err() {
        tokio_tungstenite::tungstenite::Error::Http(response) => {
            assert_eq!(response.status(), 400);
            let body = String::from_utf8(response.body().clone().unwrap_or_default()).unwrap();
            assert!(body.is_empty() || body.contains("-1121"), "{body}");
        }
        other => panic!("{other}"),
    }
    server.handle.stop().await;
}

/// The merged stream says nothing within a second of its last word, then everything since.
#[tokio::test]
async fn the_slow_depth_stream_merges_a_second() {
    let mut exchange = documented();
    let server = serve(&exchange).await;
    let first = server.read("/api/v3/depth?symbol=ETHUSDC").await["lastUpdateId"].as_u64().unwrap();
    let mut ws = server.ws("/ws/ethusdc@depth").await;
    assert!(ws.is_silent().await);
    for lots in [10, 20, 30] {
        exchange.block(vec![(owner(5), place(MarketId(1), Side::Bid, TimeInForce::Gtc, 299_000, lots))], 300);
    }
    server.caught_up(&exchange).await;
    assert!(ws.is_silent().await);
    exchange.block(vec![(owner(5), place(MarketId(1), Side::Bid, TimeInForce::Gtc, 298_000, 7))], 300);
    let event = ws.next().await;
    assert_eq!(event["U"].as_u64(), Some(first + 1));
    assert_eq!(event["b"], json!([["2990.00000000", "0.00600000"], ["2980.00000000", "0.00070000"]]));
    assert_eq!(event["u"], server.read("/api/v3/depth?symbol=ETHUSDC").await["lastUpdateId"]);
    server.handle.stop().await;
}

/// Candles of a second close with the first block at or past their end, also when nothing was traded in them.
#[tokio::test]
async fn candles_close_without_trades() {
    let mut exchange = documented();
    let server = serve(&exchange).await;
    let mut ws = server.ws("/ws/ethusdc@kline_1s").await;
    let open = ws.next().await;
    assert_eq!((open["k"]["x"].as_bool(), open["k"]["n"].as_u64(), open["k"]["t"].as_u64()), (Some(false), Some(1), Some(START_MS)));
    exchange.block(Vec::new(), 1_000);
    let (closed, next) = (ws.next().await, ws.next().await);
    assert_eq!((closed["k"]["x"].as_bool(), closed["k"]["t"].as_u64(), closed["k"]["n"].as_u64()), (Some(true), Some(START_MS), Some(1)));
    assert_eq!(
        (next["k"]["x"].as_bool(), next["k"]["t"].as_u64(), next["k"]["n"].as_u64()),
        (Some(false), Some(START_MS + 1_000), Some(0))
    );
    assert_eq!((next["k"]["o"].as_str(), next["k"]["f"].as_i64()), (Some("3001.00000000"), Some(-1)));
    exchange.block(Vec::new(), 1_000);
    let flat = ws.next().await;
    assert_eq!(
        (flat["k"]["x"].as_bool(), flat["k"]["t"].as_u64(), flat["k"]["v"].as_str()),
        (Some(true), Some(START_MS + 1_000), Some("0.00000000"))
    );
    server.handle.stop().await;
}

/// Pages of trades by id and time, and candles by time.
#[tokio::test]
async fn pages_of_history_in_memory() {
    let mut exchange = Exchange::new(seed(11), START_MS);
    exchange.trade(300, 30);
    let server = serve(&exchange).await;
    let all = server.read("/api/v3/aggTrades?symbol=ETHUSDC&fromId=1&limit=1000").await;
    let all = all.as_array().unwrap();
    assert!(all.len() > 20, "{} aggregates", all.len());
    let tenth = &all[9];
    let page = server.read(&format!("/api/v3/aggTrades?symbol=ETHUSDC&fromId={}&limit=5", tenth["a"])).await;
    assert_eq!(page.as_array().unwrap()[..], all[9..14]);
    let time = tenth["T"].as_u64().unwrap();
    let page = server.read(&format!("/api/v3/aggTrades?symbol=ETHUSDC&startTime={time}&endTime={time}")).await;
    let same_time: Vec<&Value> = all.iter().filter(|row| row["T"] == time).collect();
    assert_eq!(page.as_array().unwrap().iter().collect::<Vec<_>>(), same_time);
    let newest = server.read("/api/v3/aggTrades?symbol=ETHUSDC&limit=3").await;
    assert_eq!(newest.as_array().unwrap()[..], all[all.len() - 3..]);
    let trades = server.read("/api/v3/trades?symbol=ETHUSDC&limit=2").await;
    assert_eq!(trades.as_array().unwrap().len(), 2);
    let minutes = server.read("/api/v3/klines?symbol=ETHUSDC&interval=1m&limit=1000").await;
    let minutes = minutes.as_array().unwrap();
    let second = minutes[1][0].as_u64().unwrap();
    let page = server.read(&format!("/api/v3/klines?symbol=ETHUSDC&interval=1m&startTime={}&limit=1", second - 59_999)).await;
    assert_eq!(page.as_array().unwrap()[..], minutes[1..2]);
    let native = server.read("/v1/candles?market=1&interval=1m&limit=1000&fill=prev").await;
    assert_eq!(native["data"].as_array().unwrap().len(), minutes.len());
    server.handle.stop().await;
}

#[tokio::test]
async fn claims_and_transfers_leave_the_update_id_alone() {
    let mut exchange = documented();
    let server = serve(&exchange).await;
    let before = server.read("/api/v3/depth?symbol=ETHUSDC").await;
    let deposit = Command::Deposit {
        account: AccountId(0),
        token: crate::exchange::LISTED[0].0,
        atoms: alloy_primitives::U256::from(5_u8),
        settle: Vec::new(),
    };
    exchange.block(vec![(owner(1), deposit)], 100);
    server.caught_up(&exchange).await;
    assert_eq!(server.read("/api/v3/depth?symbol=ETHUSDC").await, before);
    server.handle.stop().await;
}
