//! One book, many views: under random trading the folded compat stream, the folded native stream, the folded order-by-order stream, REST
//! of both surfaces and the engine's own book are equal at equal update ids; two servers say the same bytes.

use crate::client::{Server, Ws, serve, serve_with};
use crate::exchange::{Exchange, START_MS, seed};
use orderbook::{MarketId, Side};
use serde_json::Value;
use std::collections::BTreeMap;

/// Levels by ticks: lots and orders (0 where the view does not count them).
type Levels = BTreeMap<u64, (u64, u64)>;

#[derive(Clone, Debug, Default, PartialEq)]
struct Sides {
    bids: Levels,
    asks: Levels,
}

impl Sides {
    fn without_orders(&self) -> Sides {
        let plain = |levels: &Levels| levels.iter().map(|(ticks, (lots, _))| (*ticks, (*lots, 0))).collect();
        Sides { bids: plain(&self.bids), asks: plain(&self.asks) }
    }
}

/// SOL-USDC: tick 0.01, lot 0.001.
const MARKET: u32 = 4;
const SYMBOL: &str = "SOLUSDC";
const TICK_E8: u64 = 1_000_000;
const LOT_E8: u64 = 100_000;

fn units(text: &Value, unit_e8: u64) -> u64 {
    let e8: u64 = text.as_str().unwrap().replace('.', "").parse().unwrap();
    assert_eq!(e8 % unit_e8, 0);
    e8 / unit_e8
}

fn fold(levels: &mut Levels, rows: &Value, read: impl Fn(&Value) -> (u64, u64, u64)) {
    for row in rows.as_array().unwrap() {
        let (ticks, lots, orders) = read(row);
        if lots == 0 {
            levels.remove(&ticks);
        } else {
            levels.insert(ticks, (lots, orders));
        }
    }
}

fn compat_row(row: &Value) -> (u64, u64, u64) {
    (units(&row[0], TICK_E8), units(&row[1], LOT_E8), 0)
}

fn native_row(row: &Value) -> (u64, u64, u64) {
    (row[0].as_u64().unwrap(), row[1].as_u64().unwrap(), row[2].as_u64().unwrap())
}

fn compat_book(depth: &Value) -> Sides {
    let mut sides = Sides::default();
    fold(&mut sides.bids, &depth["bids"], compat_row);
    fold(&mut sides.asks, &depth["asks"], compat_row);
    sides
}

fn native_fold(sides: &mut Sides, data: &Value) {
    fold(&mut sides.bids, &data["bids"], native_row);
    fold(&mut sides.asks, &data["asks"], native_row);
}

/// The checksum as a client computes it.
fn crc(sides: &Sides) -> u32 {
    let asks = sides.asks.iter().take(10);
    let bids = sides.bids.iter().rev().take(10);
    let digits: String = asks.chain(bids).map(|(ticks, (lots, _))| format!("{ticks}{lots}")).collect();
    crc32fast::hash(digits.as_bytes())
}

/// Orders by id: side, ticks, lots left.
#[derive(Default)]
struct Orders(BTreeMap<String, (String, u64, u64)>);

impl Orders {
    fn fold(&mut self, records: &Value) {
        for row in records.as_array().unwrap() {
            let order = row["order"].as_str().unwrap().to_owned();
            let left = row["left"].as_u64();
            match row["kind"].as_str().unwrap() {
                "placed" => {
                    self.0.insert(
                        order,
                        (row["side"].as_str().unwrap().to_owned(), row["ticks"].as_u64().unwrap(), row["lots"].as_u64().unwrap()),
                    );
                }
                "reduced" | "fill" if left == Some(0) => {
                    self.0.remove(&order).expect("a known order");
                }
                "reduced" | "fill" => self.0.get_mut(&order).expect("a known order").2 = left.unwrap(),
                other => panic!("{other} in the book channel"),
            }
        }
    }

    fn sides(&self) -> Sides {
        let mut sides = Sides::default();
        for (side, ticks, left) in self.0.values() {
            let level = if side == "bid" { &mut sides.bids } else { &mut sides.asks }.entry(*ticks).or_default();
            *level = (level.0 + left, level.1 + 1);
        }
        sides
    }
}

fn engine_book(exchange: &Exchange) -> Sides {
    let book = exchange.engine.book(MarketId(MARKET)).unwrap();
    let side =
        |side| book.depth(side, usize::MAX).iter().map(|level| (level.ticks.0 as u64, (level.lots.0, level.orders as u64))).collect();
    Sides { bids: side(Side::Bid), asks: side(Side::Ask) }
}

async fn native(server: &Server, channel: &str) -> (Ws, Value) {
    let mut ws = server.ws("/v1/ws").await;
    ws.ask(&format!("{{\"op\":\"sub\",\"id\":1,\"channel\":\"{channel}\",\"market\":{MARKET}}}")).await;
    let snapshot = ws.next().await;
    (ws, snapshot)
}

#[tokio::test]
async fn every_view_of_the_book_is_the_same() {
    let mut exchange = Exchange::new(seed(71), START_MS);
    exchange.trade(100, 30);
    let server = serve_with(&exchange, |config| config.limits.control_burst = 1e9).await;
    let mut compat = server.ws(&format!("/ws/{}@depth@100ms", SYMBOL.to_lowercase())).await;
    let (mut depth, snapshot) = native(&server, "depth").await;
    let (mut book, orders) = native(&server, "book").await;

    let first = server.read(&format!("/api/v3/depth?symbol={SYMBOL}&limit=5000")).await;
    let mut by_compat = compat_book(&first);
    let mut u = first["lastUpdateId"].as_u64().unwrap();
    let mut by_depth = Sides::default();
    native_fold(&mut by_depth, &snapshot["data"]);
    let mut depth_seq = snapshot["seq"].as_u64().unwrap();
    let mut by_orders = Orders::default();
    let mut book_seq = orders["seq"].as_u64().unwrap();
    for row in orders["data"]["orders"].as_array().unwrap() {
        let row =
            (row["order"].as_str().unwrap(), row["side"].as_str().unwrap(), row["ticks"].as_u64().unwrap(), row["left"].as_u64().unwrap());
        by_orders.0.insert(row.0.to_owned(), (row.1.to_owned(), row.2, row.3));
    }

    for round in 0..120 {
        exchange.trade(2, 25);
        server.caught_up(&exchange).await;
        let rest = server.read(&format!("/api/v3/depth?symbol={SYMBOL}&limit=5000")).await;
        let now = rest["lastUpdateId"].as_u64().unwrap();
        while u < now {
            let event = compat.next().await;
            assert_eq!(event["U"].as_u64(), Some(u + 1));
            u = event["u"].as_u64().unwrap();
            fold(&mut by_compat.bids, &event["b"], compat_row);
            fold(&mut by_compat.asks, &event["a"], compat_row);
            assert_eq!(event["cp"].as_str(), Some(crc(&by_compat).to_string().as_str()));
        }
        while depth_seq < now {
            let message = depth.next().await;
            assert_eq!(message["prev"].as_u64(), Some(depth_seq));
            depth_seq = message["seq"].as_u64().unwrap();
            native_fold(&mut by_depth, &message["data"]);
            assert_eq!(message["data"]["crc"].as_u64(), Some(crc(&by_depth) as u64));
        }
        // The order-by-order stream may speak of blocks that changed no level in the end.
        depth.send(r#"{"op":"ping","id":7}"#).await;
        depth.until(|message| message["op"] == "pong").await;
        book.send(r#"{"op":"ping","id":7}"#).await;
        for message in book.until(|message| message["op"] == "pong").await.iter().filter(|message| message["channel"] == "book") {
            assert_eq!(message["prev"].as_u64(), Some(book_seq));
            book_seq = message["seq"].as_u64().unwrap();
            by_orders.fold(&message["data"]);
        }
        let truth = engine_book(&exchange);
        assert_eq!(by_depth, truth, "native depth, round {round}");
        assert_eq!(by_orders.sides(), truth, "orders, round {round}");
        assert_eq!(by_compat, truth.without_orders(), "compat stream, round {round}");
        assert_eq!(compat_book(&rest), truth.without_orders(), "compat REST, round {round}");
        if round % 20 == 0 {
            let rest = server.read(&format!("/v1/markets/{MARKET}/depth?levels=5000")).await;
            let mut sides = Sides::default();
            native_fold(&mut sides, &rest["data"]);
            assert_eq!((sides, rest["seq"].as_u64()), (truth, Some(now)));
        }
    }
    server.handle.stop().await;
}

#[tokio::test]
async fn two_servers_say_the_same_bytes() {
    let mut exchange = Exchange::new(seed(72), START_MS);
    exchange.trade(50, 20);
    let one = serve(&exchange).await;
    exchange.trade(50, 20);
    // The second one starts later, from a snapshot; both are compared from then on.
    let two = serve(&exchange).await;
    one.caught_up(&exchange).await;
    let mut sockets = Vec::new();
    for server in [&one, &two] {
        let mut native = server.ws("/v1/ws").await;
        for channel in ["blocks", "trades", "depth", "book"] {
            native.send(&format!("{{\"op\":\"sub\",\"channel\":\"{channel}\",\"market\":1}}")).await;
        }
        native.send(r#"{"op":"list"}"#).await;
        native.until(|message| message.get("subs").is_some()).await;
        native.seen.clear();
        let compat =
            server.ws("/stream?streams=ethusdc@trade/ethusdc@depth@100ms/btcusdc@aggTrade/ethusdc@kline_1m/ethusdc@bookTicker").await;
        sockets.push((native, compat));
    }
    exchange.trade(80, 20);
    let mut said = Vec::new();
    for (server, (native, compat)) in [&one, &two].into_iter().zip(&mut sockets) {
        server.caught_up(&exchange).await;
        native.send(r#"{"op":"list"}"#).await;
        native.until(|message| message.get("subs").is_some()).await;
        compat.send(r#"{"method":"LIST_SUBSCRIPTIONS","id":1}"#).await;
        compat.until(|message| message.get("result").is_some()).await;
        // What is conflatable may have been replaced before it was read: of those the last word counts.
        let (mut lossless, mut values) = (Vec::new(), BTreeMap::new());
        for text in &compat.seen {
            let message: Value = serde_json::from_str(text).unwrap();
            let is_value = message["stream"] == "ethusdc@bookTicker" || message["data"]["k"]["x"] == false;
            match message["stream"].as_str().filter(|_| is_value) {
                Some(name) => drop(values.insert(name.to_owned(), text.clone())),
                None => lossless.push(text.clone()),
            }
        }
        assert!(native.seen.len() > 200 && lossless.len() > 50);
        said.push((native.seen.clone(), lossless, values));
    }
    assert_eq!(said[0].0, said[1].0);
    assert_eq!((&said[0].1, &said[0].2), (&said[1].1, &said[1].2));
    one.handle.stop().await;
    two.handle.stop().await;
}
