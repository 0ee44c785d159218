//! Readers that stall: the lossless ones are closed with 4008 and their last seq, the others get merged differences that give the same
//! book, or the newest value; nobody else notices.

use crate::client::{Said, Ws, serve_with};
use crate::exchange::{Exchange, START_MS, owner, place, seed};
use futures_util::SinkExt;
use orderbook::{MarketId, Side, TimeInForce};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use tokio::net::TcpSocket;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// A socket with a tiny receive buffer, so that not reading is felt soon.
async fn tight(addr: SocketAddr, path: &str) -> Ws {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    let stream = socket.connect(addr).await.unwrap();
    let stream = tokio_tungstenite::MaybeTlsStream::Plain(stream);
    let (socket, _) = tokio_tungstenite::client_async_with_config(
        format!("ws://{addr}{path}"),
        stream,
        Some(WebSocketConfig::default().read_buffer_size(4 << 10)),
    )
    .await
    .unwrap();
    Ws { socket, seen: Vec::new() }
}

async fn counter(server: &crate::client::Server, name: &str) -> u64 {
    let text = server.get("/metrics").await.body;
    let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).expect("a counter");
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lossless_reader_that_stalls_is_closed_with_its_seq_and_resumes() {
    let mut exchange = Exchange::new(seed(51), START_MS);
    let server = serve_with(&exchange, |config| config.limits.outbox_bytes = 256 << 10).await;
    let mut stalled = tight(server.addr, "/v1/ws").await;
    stalled.ask(r#"{"op":"sub","id":1,"channel":"blocks"}"#).await;
    let mut healthy = server.ws("/v1/ws").await;
    healthy.ask(r#"{"op":"sub","id":1,"channel":"blocks"}"#).await;
    let start = exchange.head.block;
    let mut heard = 0;
    while counter(&server, "hifi_fanout_closed_total").await == 0 {
        exchange.trade(20, 60);
        server.caught_up(&exchange).await;
        // The other reader gets every block at once.
        while heard < exchange.head.block {
            let message = healthy.next().await;
            heard = message["block"].as_u64().unwrap();
        }
        assert!(exchange.head.block - start < 20_000, "never closed");
    }
    let mut last = (start << 20, 0);
    let reason = loop {
        match stalled.said().await {
            Said::Text(text) => {
                let message: Value = serde_json::from_str(&text).unwrap();
                last = (message["seq"].as_u64().unwrap(), message["block"].as_u64().unwrap());
            }
            Said::Closed(code, reason) => {
                assert_eq!(code, 4008);
                break reason;
            }
            Said::Gone => panic!("gone without a code"),
        }
    };
    assert_eq!(reason, format!("slow seq={}", last.0));
    let mut again = server.ws("/v1/ws").await;
    again.send(&format!("{{\"op\":\"sub\",\"id\":1,\"channel\":\"blocks\",\"from\":{}}}", last.0 + 1)).await;
    let messages = again.until(|message| message["block"].as_u64() == Some(exchange.head.block)).await;
    let blocks: Vec<u64> =
        messages.iter().filter(|message| message.get("seq").is_some()).map(|message| message["block"].as_u64().unwrap()).collect();
    assert_eq!(blocks, (last.1 + 1..=exchange.head.block).collect::<Vec<_>>());
    server.handle.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merged_differences_give_the_same_book() {
    let mut exchange = Exchange::new(seed(52), START_MS);
    exchange.trade(50, 20);
    let server = serve_with(&exchange, |config| {
        config.limits.merge_bytes = 8 << 10;
    })
    .await;
    let mut compat = tight(server.addr, "/ws/ethusdc@depth@100ms").await;
    let mut native = tight(server.addr, "/v1/ws").await;
    native.ask(r#"{"op":"sub","id":1,"channel":"depth","market":1}"#).await;
    let snapshot = native.next().await;
    let first = server.read("/api/v3/depth?symbol=ETHUSDC&limit=5000").await;
    // Neither reads; blocks flood until differences were merged for both.
    while counter(&server, "hifi_fanout_merged_total").await < 400 {
        exchange.trade(50, 30);
        server.caught_up(&exchange).await;
    }
    let truth = server.read("/api/v3/depth?symbol=ETHUSDC&limit=5000").await;
    let target = truth["lastUpdateId"].as_u64().unwrap();
    let mut u = first["lastUpdateId"].as_u64().unwrap();
    let mut sides: [BTreeMap<String, Value>; 2] = Default::default();
    let fold = |sides: &mut [BTreeMap<String, Value>; 2], bids: &Value, asks: &Value| {
        for (side, rows) in sides.iter_mut().zip([bids, asks]) {
            for row in rows.as_array().unwrap() {
                let price = row[0].as_str().unwrap().to_owned();
                if row[1] == "0.00000000" {
                    side.remove(&price)
                } else {
                    side.insert(price, row[1].clone())
                };
            }
        }
    };
    fold(&mut sides, &first["bids"], &first["asks"]);
    let mut merged = 0;
    while u < target {
        let event = compat.next().await;
        assert_eq!(event["U"].as_u64(), Some(u + 1));
        u = event["u"].as_u64().unwrap();
        merged += usize::from((u >> 20) > (event["U"].as_u64().unwrap() >> 20) + 3);
        fold(&mut sides, &event["b"], &event["a"]);
    }
    let mut expected: [BTreeMap<String, Value>; 2] = Default::default();
    fold(&mut expected, &truth["bids"], &truth["asks"]);
    assert_eq!((u, &sides), (target, &expected));
    assert!(merged > 0, "no event covered several blocks");
    let (mut seq, mut crc) = (snapshot["seq"].as_u64().unwrap(), 0);
    while seq < target {
        let message = native.next().await;
        assert_eq!(message["prev"].as_u64(), Some(seq));
        (seq, crc) = (message["seq"].as_u64().unwrap(), message["data"]["crc"].as_u64().unwrap());
    }
    assert_eq!(crc, server.read("/v1/markets/1/depth").await["data"]["crc"].as_u64().unwrap());
    assert_eq!(counter(&server, "hifi_fanout_closed_total").await, 0);
    server.handle.stop().await;
}

/// A value stream never grows: after a stall the reader sees old values that were on their way, then the newest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_are_conflated() {
    let mut exchange = Exchange::new(seed(53), START_MS);
    let server = serve_with(&exchange, |_| {}).await;
    let mut ws = tight(server.addr, "/ws/ethusdc@bookTicker").await;
    let mut lots = 1;
    while counter(&server, "hifi_fanout_conflated_total").await < 100 {
        for _ in 0..500 {
            lots += 1;
            exchange.block(vec![(owner(1), place(MarketId(1), Side::Bid, TimeInForce::Gtc, 200_000, 1))], 100);
        }
        server.caught_up(&exchange).await;
        assert!(lots < 400_000, "never conflated");
    }
    let target = server.read("/api/v3/depth?symbol=ETHUSDC&limit=5").await;
    let messages = ws.until(|message| message["u"] == target["lastUpdateId"]).await;
    let last = messages.last().unwrap();
    assert_eq!((&last["b"], &last["B"]), (&target["bids"][0][0], &target["bids"][0][1]));
    assert!((messages.len() as u64) < lots, "{} messages of {lots} values", messages.len());
    server.handle.stop().await;
}

/// A socket that says nothing for three pings is closed; one that answers stays.
#[tokio::test]
async fn silence_ends_a_socket() {
    let exchange = Exchange::new(1, START_MS);
    let server = serve_with(&exchange, |config| config.limits.ping_every = std::time::Duration::from_millis(50)).await;
    let mut answering = server.ws("/ws").await;
    // A raw connection answers no ping.
    let mut mute = tokio::net::TcpStream::connect(server.addr).await.unwrap();
    let head = "GET /ws HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut mute, head.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let reading = tokio::io::AsyncReadExt::read_to_end(&mut mute, &mut bytes);
    // Reading answers the pings of the other socket meanwhile.
    tokio::select! {
        read = reading => drop(read),
        said = answering.said() => panic!("the answering socket ended: {said:?}"),
    }
    assert!(bytes.windows(6).any(|window| window == b"silent"), "{}", String::from_utf8_lossy(&bytes));
    answering.socket.send(Message::text(r#"{"method":"LIST_SUBSCRIPTIONS","id":1}"#)).await.unwrap();
    assert_eq!(answering.next().await["id"], 1);
    server.handle.stop().await;
}
