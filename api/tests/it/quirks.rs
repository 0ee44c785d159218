//! The ten client quirks of the documentation, one test each.

use crate::client::{serve, serve_with};
use crate::compat::documented;
use crate::exchange::{Exchange, START_MS, owner, place, seed};
use crate::shape::{is_e8, no_forbidden_keys};
use orderbook::{MarketId, Side, TimeInForce};
use serde_json::{Value, json};
use std::collections::HashSet;

#[tokio::test]
async fn q01_numbered_sockets_are_plain_and_compression_is_declined() {
    let exchange = documented();
    let server = serve(&exchange).await;
    for path in ["/ws/0", "/ws/1", "/stream/0", "/ws", "/stream", "/ws/"] {
        let mut ws = server.ws(path).await;
        // Many requests at once, answered in order.
        for id in 1..=20 {
            ws.send(&json!({"method": "SUBSCRIBE", "params": ["ethusdc@trade"], "id": id}).to_string()).await;
        }
        for id in 1..=20 {
            assert_eq!(ws.next().await, json!({"result": null, "id": id}), "{path}");
        }
    }
    let head = "GET /ws/0 HTTP/1.1\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n\
        sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-extensions: permessage-deflate; client_max_window_bits";
    let mut stream = tokio::net::TcpStream::connect(server.addr).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, format!("{head}\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut bytes = [0; 1024];
    let read = tokio::io::AsyncReadExt::read(&mut stream, &mut bytes).await.unwrap();
    let answer = String::from_utf8_lossy(&bytes[..read]).to_lowercase();
    assert!(answer.starts_with("http/1.1 101") && !answer.contains("sec-websocket-extensions"), "{answer}");
    server.handle.stop().await;
}

#[tokio::test]
async fn q02_no_times_in_books() {
    let exchange = documented();
    let server = serve(&exchange).await;
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<HashSet<_>>();
    let mut found = vec![
        names(&server.read("/api/v3/depth?symbol=ETHUSDC").await),
        names(&server.read("/api/v3/ticker/bookTicker?symbol=ETHUSDC").await),
    ];
    let mut ws = server.ws("/ws/ethusdc@bookTicker/ethusdc@depth20").await;
    found.extend([names(&ws.next().await), names(&ws.next().await)]);
    for names in found {
        assert!(["T", "E", "e"].iter().all(|name| !names.contains(*name)), "{names:?}");
    }
    server.handle.stop().await;
}

#[tokio::test]
async fn q03_no_key_that_means_something_else() {
    let mut exchange = Exchange::new(seed(33), START_MS);
    let server = serve(&exchange).await;
    let kinds = ["trade", "aggTrade", "depth@100ms", "depth", "bookTicker", "kline_1m", "depth10", "ticker", "miniTicker"];
    let streams: Vec<String> =
        ["eth", "btc", "mon", "sol"].iter().flat_map(|base| kinds.map(|kind| format!("{base}usdc@{kind}"))).collect();
    let mut raw = server.ws(&format!("/ws/{}", streams.join("/"))).await;
    let mut combined = server.ws(&format!("/stream?streams={}", streams.join("/"))).await;
    exchange.trade(60, 20);
    server.caught_up(&exchange).await;
    for ws in [&mut raw, &mut combined] {
        ws.send(r#"{"method":"GET_PROPERTY","params":["combined"],"id":1}"#).await;
        ws.until(|message| message.get("result").is_some()).await;
        assert!(ws.seen.len() > 100);
        no_forbidden_keys(&ws.seen);
    }
    server.handle.stop().await;
}

#[tokio::test]
async fn q04_nothing_unasked() {
    let mut exchange = documented();
    let server = serve(&exchange).await;
    let (mut a, mut b) = (server.ws("/ws/0").await, server.ws("/stream").await);
    exchange.trade(30, 10);
    server.caught_up(&exchange).await;
    assert!(a.is_silent().await && b.is_silent().await);
    server.handle.stop().await;
    // Also at the end: a close frame, no message before it.
    assert!(matches!(a.said().await, crate::client::Said::Closed(1001, _)));
}

#[tokio::test]
async fn q05_eight_decimals_everywhere_and_zero_deletes() {
    let mut exchange = documented();
    let server = serve(&exchange).await;
    let before = server.read("/api/v3/depth?symbol=ETHUSDC").await;
    let mut ws = server.ws("/ws/ethusdc@depth@100ms").await;
    exchange.block(vec![(owner(4), place(MarketId(1), Side::Bid, TimeInForce::Ioc, 300_100, 12_500))], 100);
    let event = ws.next().await;
    // The string that was listed is the string that is deleted.
    assert_eq!(event["a"], json!([[before["asks"][0][0], "0.00000000"]]));
    assert_eq!(event["b"], json!([]));
    for row in before["asks"].as_array().unwrap().iter().chain(before["bids"].as_array().unwrap()) {
        assert!(row.as_array().unwrap().iter().all(|text| is_e8(text.as_str().unwrap())));
    }
    server.handle.stop().await;
}

#[tokio::test]
async fn q06_exchange_info_is_what_strict_clients_read() {
    let exchange = documented();
    let server = serve(&exchange).await;
    for market in server.read("/api/v3/exchangeInfo").await["symbols"].as_array().unwrap() {
        assert_eq!(market["filters"][0]["filterType"], "PRICE_FILTER");
        assert_eq!((&market["permissions"], &market["permissionSets"]), (&json!(["SPOT"]), &json!([["SPOT"]])));
        for name in [
            "baseAssetPrecision",
            "quotePrecision",
            "quoteAssetPrecision",
            "orderTypes",
            "icebergAllowed",
            "ocoAllowed",
            "quoteOrderQtyMarketAllowed",
            "allowTrailingStop",
            "isSpotTradingAllowed",
            "isMarginTradingAllowed",
        ] {
            assert!(market.get(name).is_some(), "{name}");
        }
        let known = ["LIMIT", "LIMIT_MAKER", "MARKET"];
        assert!(market["orderTypes"].as_array().unwrap().iter().all(|kind| known.contains(&kind.as_str().unwrap())));
    }
    server.handle.stop().await;
}

#[tokio::test]
async fn q07_the_answer_comes_before_the_first_event() {
    let mut exchange = Exchange::new(seed(7), START_MS);
    let server = serve(&exchange).await;
    let addr = server.addr;
    let stop = tokio_util::sync::CancellationToken::new();
    let trading = {
        let stop = stop.clone();
        tokio::task::spawn_blocking(move || {
            while !stop.is_cancelled() {
                exchange.trade(1, 20);
            }
        })
    };
    for round in 0..20 {
        let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{addr}/ws/{round}")).await.unwrap();
        let request = json!({"method": "SUBSCRIBE", "params": ["ethusdc@depth@100ms", "ethusdc@trade", "btcusdc@bookTicker"], "id": round});
        futures_util::SinkExt::send(&mut socket, tokio_tungstenite::tungstenite::Message::text(request.to_string())).await.unwrap();
        let first = futures_util::StreamExt::next(&mut socket).await.unwrap().unwrap();
        assert_eq!(serde_json::from_str::<Value>(first.to_text().unwrap()).unwrap(), json!({"result": null, "id": round}));
    }
    stop.cancel();
    trading.await.unwrap();
    server.handle.stop().await;
}

#[tokio::test]
async fn q08_update_ids_have_no_hole_and_snapshots_fit_them() {
    let mut exchange = Exchange::new(seed(8), START_MS);
    exchange.trade(50, 20);
    let server = serve(&exchange).await;
    let mut emitted: HashSet<u64> = HashSet::from([server.read("/api/v3/depth?symbol=ETHUSDC").await["lastUpdateId"].as_u64().unwrap()]);
    let mut last = *emitted.iter().next().unwrap();
    let mut ws = server.ws("/ws/ethusdc@depth@100ms").await;
    for _ in 0..40 {
        exchange.trade(3, 10);
        server.caught_up(&exchange).await;
        let depth = server.read("/api/v3/depth?symbol=ETHUSDC&limit=5000").await;
        let u = depth["lastUpdateId"].as_u64().unwrap();
        while last < u {
            let event = ws.next().await;
            assert_eq!(event["U"].as_u64(), Some(last + 1));
            last = event["u"].as_u64().unwrap();
            assert!(last >= event["U"].as_u64().unwrap());
            emitted.insert(last);
        }
        assert!(emitted.contains(&u), "{u} was never emitted");
        let side = |name: &str| {
            depth[name]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| row[0].as_str().unwrap().replace('.', "").parse::<u64>().unwrap())
                .collect::<Vec<_>>()
        };
        let (bids, asks) = (side("bids"), side("asks"));
        assert!(bids.windows(2).all(|pair| pair[0] > pair[1]) && asks.windows(2).all(|pair| pair[0] < pair[1]) && bids[0] < asks[0]);
        assert!(bids.iter().chain(&asks).all(|price| price % 1_000_000 == 0), "on the tick grid");
    }
    server.handle.stop().await;
}

#[tokio::test]
async fn q09_trades_are_contiguous_and_candles_equal_them() {
    let mut exchange = Exchange::new(seed(9), START_MS);
    let server = serve(&exchange).await;
    let mut ws = server.ws("/ws/solusdc@trade/solusdc@aggTrade").await;
    exchange.trade(400, 30);
    server.caught_up(&exchange).await;
    let rest = server.read("/api/v3/trades?symbol=SOLUSDC&limit=1000").await;
    let rest = rest.as_array().unwrap();
    let count = rest.len() as u64;
    assert!((20..1_000).contains(&count), "{count} trades");
    assert_eq!(rest.iter().map(|row| row["id"].as_u64().unwrap()).collect::<Vec<_>>(), (1..=count).collect::<Vec<_>>());
    let (mut trades, mut aggregates) = (Vec::new(), Vec::new());
    while trades.len() < count as usize || aggregates.last().is_none_or(|row: &Value| row["l"] != count) {
        let event = ws.next().await;
        if event["e"] == "trade" { trades.push(event) } else { aggregates.push(event) }
    }
    for (event, row) in trades.iter().zip(rest) {
        assert_eq!(
            (&event["t"], &event["p"], &event["q"], &event["T"], &event["m"]),
            (&row["id"], &row["price"], &row["qty"], &row["time"], &row["isBuyerMaker"])
        );
    }
    let mut next = 1;
    for (at, row) in aggregates.iter().enumerate() {
        assert_eq!((row["a"].as_u64(), row["f"].as_u64()), (Some(at as u64 + 1), Some(next)));
        next = row["l"].as_u64().unwrap() + 1;
    }
    let e8 = |text: &Value| text.as_str().unwrap().replace('.', "").parse::<u128>().unwrap();
    for candle in server.read("/api/v3/klines?symbol=SOLUSDC&interval=1m&limit=1000").await.as_array().unwrap() {
        let (open, close) = (candle[0].as_u64().unwrap(), candle[6].as_u64().unwrap());
        let inside: Vec<&Value> = rest.iter().filter(|row| (open..=close).contains(&row["time"].as_u64().unwrap())).collect();
        assert_eq!(candle[8].as_u64(), Some(inside.len() as u64));
        assert_eq!(e8(&candle[5]), inside.iter().map(|row| e8(&row["qty"])).sum());
        assert_eq!(e8(&candle[7]), inside.iter().map(|row| e8(&row["quoteQty"])).sum());
        let buys = inside.iter().filter(|row| row["isBuyerMaker"] == false);
        assert_eq!(e8(&candle[9]), buys.map(|row| e8(&row["qty"])).sum());
        if let (Some(first), Some(last)) = (inside.first(), inside.last()) {
            assert_eq!((&candle[1], &candle[4]), (&first["price"], &last["price"]));
            assert_eq!(e8(&candle[2]), inside.iter().map(|row| e8(&row["price"])).max().unwrap());
            assert_eq!(e8(&candle[3]), inside.iter().map(|row| e8(&row["price"])).min().unwrap());
        }
    }
    server.handle.stop().await;
}

#[tokio::test]
async fn q10_errors_are_those_of_the_format() {
    let exchange = documented();
    let server = serve_with(&exchange, |_| {}).await;
    let cases = [
        ("/api/v3/depth?symbol=NOSUCH", 400, -1121, "Invalid symbol."),
        ("/api/v3/depth", 400, -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."),
        ("/api/v3/depth?symbol=ETHUSDC&limit=0", 400, -1130, ""),
        ("/api/v3/depth?symbol=ETHUSDC&limit=5001", 400, -1130, ""),
        ("/api/v3/depth?symbol=ETHUSDC&limit=x", 400, -1100, ""),
        ("/api/v3/depth?symbol=ETH%2FUSDC", 400, -1100, ""),
        ("/api/v3/klines?symbol=ETHUSDC&interval=2m", 400, -1120, "Invalid interval."),
        ("/api/v3/klines?symbol=ETHUSDC", 400, -1102, ""),
        ("/api/v3/trades?symbol=ETHUSDC&limit=1001", 400, -1130, ""),
        ("/api/v3/aggTrades?symbol=ETHUSDC&startTime=2&endTime=1", 400, -1130, ""),
        ("/api/v3/exchangeInfo?symbols=%5B", 400, -1100, ""),
        ("/api/v3/nothing", 404, -1100, ""),
        ("/ws/ethusdc@trade", 400, -1100, ""),
    ];
    for (path, status, code, msg) in cases {
        let answer = server.get(path).await;
        let body = answer.json();
        assert_eq!((answer.status, body["code"].as_i64()), (status, Some(code)), "{path}: {body}");
        assert!(body["msg"].is_string() && (msg.is_empty() || body["msg"] == msg), "{path}: {body}");
    }
    let post = crate::client::request(server.addr, "POST /api/v3/depth HTTP/1.1", "").await;
    assert_eq!((post.status, post.json()["code"].as_i64()), (405, Some(-1100)));
    server.handle.stop().await;
}
