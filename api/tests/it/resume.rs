//! Sockets are cut at random moments and resumed with `from`: what was read equals what an uninterrupted reader read, byte for byte but for
//! the subscription's number. What is no longer held is refused with the first number that is.

use crate::client::{Ws, serve, serve_with};
use crate::exchange::{Exchange, START_MS, seed};
use rand::Rng;
use serde_json::{Value, json};

const CHANNELS: [&str; 5] = [
    r#""channel":"blocks""#,
    r#""channel":"trades""#,
    r#""channel":"trades","market":2"#,
    r#""channel":"depth","market":1"#,
    r#""channel":"book","market":3"#,
];

async fn subscribe(ws: &mut Ws, channel: &str, from: Option<u64>) -> Value {
    let from = from.map_or(String::new(), |from| format!(",\"from\":{from}"));
    ws.ask(&format!("{{\"op\":\"sub\",\"id\":1,{channel}{from}}}")).await
}

/// Everything numbered up to a pong.
async fn drain(ws: &mut Ws) -> Vec<Value> {
    ws.send(r#"{"op":"ping","id":9}"#).await;
    let messages = ws.until(|message| message["op"] == "pong").await;
    messages.into_iter().filter(|message| message.get("seq").is_some()).collect()
}

#[tokio::test]
async fn a_cut_reader_loses_and_repeats_nothing() {
    let mut exchange = Exchange::new(seed(41), START_MS);
    exchange.trade(30, 20);
    let server = serve(&exchange).await;
    let start = (exchange.head.block + 1) << 20;
    for channel in CHANNELS {
        let mut whole = server.ws("/v1/ws").await;
        subscribe(&mut whole, channel, Some(start)).await;
        assert_eq!(whole.next().await["type"], "resumed");
        let mut read: Vec<Value> = Vec::new();
        let mut from = (exchange.head.block + 1) << 20;
        let first = from;
        let mut expected: Vec<Value> = Vec::new();
        for _ in 0..12 {
            let cut = exchange.rng.random_range(0..40);
            exchange.trade(cut, 15);
            server.caught_up(&exchange).await;
            expected.extend(drain(&mut whole).await);
            let mut ws = server.ws("/v1/ws").await;
            assert_eq!(subscribe(&mut ws, channel, Some(from)).await["op"], "ok");
            let resumed = ws.next().await;
            assert_eq!((resumed["type"].as_str(), resumed["from"].as_u64()), (Some("resumed"), Some(from)));
            // Live goes on while it catches up.
            exchange.trade(3, 15);
            server.caught_up(&exchange).await;
            let mut missed = drain(&mut ws).await;
            while missed.last().or(read.last()).is_none_or(|last| last["block"].as_u64() < Some(exchange.head.block))
                && channel.contains("blocks")
            {
                missed.extend(drain(&mut ws).await);
            }
            // Cut somewhere inside what arrived.
            let keep = exchange.rng.random_range(0..=missed.len());
            missed.truncate(keep);
            read.extend(missed);
            from = read.last().map_or(from, |last| last["seq"].as_u64().unwrap() + 1);
        }
        let mut ws = server.ws("/v1/ws").await;
        subscribe(&mut ws, channel, Some(from)).await;
        read.extend(drain(&mut ws).await);
        read.extend(drain(&mut ws).await);
        expected.extend(drain(&mut whole).await);
        expected.retain(|message| message["seq"].as_u64() >= Some(first));
        assert!(expected.len() > 20, "{channel}: {} messages", expected.len());
        assert_eq!(read, expected, "{channel}");
        for pair in read.windows(2) {
            assert_eq!(pair[1]["prev"], pair[0]["seq"], "{channel}");
        }
    }
    server.handle.stop().await;
}

#[tokio::test]
async fn what_is_not_held_is_refused_with_the_first_number_that_is() {
    let mut exchange = Exchange::new(seed(42), START_MS);
    let server = serve_with(&exchange, |config| config.limits.ring_blocks = 50).await;
    exchange.trade(120, 5);
    server.caught_up(&exchange).await;
    let ring_from = server.read("/v1/status").await["data"]["ring_from"].as_u64().unwrap();
    assert_eq!(ring_from, exchange.head.block - 49);
    let mut ws = server.ws("/v1/ws").await;
    let refused = subscribe(&mut ws, r#""channel":"blocks""#, Some((ring_from << 20) - 1)).await;
    assert_eq!(
        refused,
        json!({"op": "error", "id": 1, "code": -4100, "reason": "not_held", "message": format!("first seq held is {}", ring_from << 20)})
    );
    assert_eq!(subscribe(&mut ws, r#""channel":"blocks""#, Some(ring_from << 20)).await["op"], "ok");
    assert_eq!(drain_until(&mut ws, exchange.head.block).await, 50);
    // A number of the future waits for it.
    let mut late = server.ws("/v1/ws").await;
    subscribe(&mut late, r#""channel":"blocks","records":false"#, Some((exchange.head.block + 3) << 20)).await;
    exchange.trade(4, 3);
    server.caught_up(&exchange).await;
    let blocks: Vec<_> = drain(&mut late).await.iter().map(|message| message["block"].as_u64().unwrap()).collect();
    assert_eq!(blocks.last().copied(), Some(exchange.head.block));
    server.handle.stop().await;
}

async fn drain_until(ws: &mut Ws, block: u64) -> usize {
    let messages = ws.until(|message| message["block"].as_u64() == Some(block)).await;
    messages.iter().filter(|message| message.get("seq").is_some()).count()
}

#[tokio::test]
async fn many_subscribe_while_blocks_arrive() {
    let mut exchange = Exchange::new(seed(43), START_MS);
    exchange.trade(200, 20);
    let server = serve(&exchange).await;
    let addr = server.addr;
    let readers: Vec<_> = (0..20)
        .map(|reader| {
            tokio::spawn(async move {
                let (socket, _) = tokio_tungstenite::connect_async(format!("ws://{addr}/v1/ws")).await.unwrap();
                let mut ws = Ws { socket, seen: Vec::new() };
                let mut sums = 0;
                for _ in 0..10 {
                    ws.send(&format!("{{\"op\":\"sub\",\"id\":1,\"channel\":\"depth\",\"market\":{}}}", reader % 4 + 1)).await;
                    let ack = ws.until(|message| message["op"] == "ok").await.pop().unwrap();
                    let first = ws.until(|message| message["sub"] == ack["sub"]).await.pop().unwrap();
                    assert_eq!(first["type"], "snapshot");
                    let next = ws.until(|message| message["sub"] == ack["sub"]).await.pop().unwrap();
                    assert_eq!((next["type"].as_str(), &next["prev"]), (Some("update"), &first["seq"]));
                    sums += 1;
                }
                sums
            })
        })
        .collect();
    let mut done = 0;
    let all = futures_util::future::join_all(readers);
    tokio::pin!(all);
    let results = loop {
        tokio::select! {
            results = &mut all => break results,
            () = tokio::task::yield_now() => exchange.trade(1, 20),
        }
    };
    for result in results {
        done += result.unwrap();
    }
    assert_eq!(done, 200);
    server.handle.stop().await;
}
