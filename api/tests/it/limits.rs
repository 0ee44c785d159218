//! Both sides of each bound of the M1 surfaces, each with its typed answer.

use crate::client::{Answer, Said, Server, request, serve_with};
use crate::exchange::{Exchange, START_MS};
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn from(server: &Server, address: &str, path: &str) -> Answer {
    request(server.addr, &format!("GET {path} HTTP/1.1\r\nx-forwarded-for: {address}"), "").await
}

/// A server that believes the test when it claims to be somebody else.
async fn proxied(exchange: &Exchange, change: impl FnOnce(&mut api::Limits)) -> Server {
    serve_with(exchange, |config| {
        config.trusted_proxy = Some([127, 0, 0, 1].into());
        change(&mut config.limits);
    })
    .await
}

#[tokio::test]
async fn weight_of_a_minute() {
    let exchange = Exchange::new(1, START_MS);
    let server = proxied(&exchange, |limits| limits.weight_per_min = 30).await;
    let used = from(&server, "10.0.0.1", "/api/v3/depth?symbol=ETHUSDC").await;
    assert_eq!((used.status, used.headers["x-mbx-used-weight-1m"].as_str()), (200, "5"));
    assert_eq!(from(&server, "10.0.0.1", "/api/v3/trades?symbol=ETHUSDC").await.headers["x-mbx-used-weight-1m"], "30");
    let refused = from(&server, "10.0.0.1", "/api/v3/ping").await;
    assert_eq!((refused.status, refused.json()["code"].as_i64()), (429, Some(-1003)));
    let mut last = 429;
    for _ in 0..105 {
        last = from(&server, "10.0.0.1", "/v1/status").await.status;
    }
    assert_eq!(last, 418);
    assert_eq!(from(&server, "10.0.0.2", "/api/v3/ping").await.status, 200);
    // Loopback itself is exempt.
    for _ in 0..40 {
        assert_eq!(server.get("/api/v3/ping").await.status, 200);
    }
    server.handle.stop().await;
}

async fn upgrade(server: &Server, address: &str, path: &str) -> (tokio::net::TcpStream, Answer) {
    let mut stream = tokio::net::TcpStream::connect(server.addr).await.unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: x\r\nx-forwarded-for: {address}\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut bytes = vec![0; 4096];
    let read = stream.read(&mut bytes).await.unwrap();
    (stream, crate::client::parse(&bytes[..read]))
}

#[tokio::test]
async fn sockets_of_an_address_and_of_all() {
    let exchange = Exchange::new(1, START_MS);
    let server = proxied(&exchange, |limits| {
        limits.sockets_per_peer = 2;
        limits.sockets = 3;
    })
    .await;
    let one = upgrade(&server, "10.0.0.1", "/ws").await;
    let two = upgrade(&server, "10.0.0.1", "/v1/ws").await;
    assert_eq!((one.1.status, two.1.status), (101, 101));
    let third = upgrade(&server, "10.0.0.1", "/ws").await;
    assert_eq!((third.1.status, third.1.json()["code"].as_i64()), (429, Some(-1003)));
    let other = upgrade(&server, "10.0.0.2", "/ws").await;
    assert_eq!(other.1.status, 101);
    let full = upgrade(&server, "10.0.0.3", "/v1/ws").await;
    assert_eq!((full.1.status, full.1.json()["code"].as_i64(), full.1.json()["reason"].as_str()), (503, Some(-1008), Some("busy")));
    drop(one);
    // Its place is free once the server has seen it go.
    let mut status = 0;
    for _ in 0..200 {
        status = upgrade(&server, "10.0.0.1", "/ws").await.1.status;
        if status == 101 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(status, 101);
    server.handle.stop().await;
}

#[tokio::test]
async fn control_messages_of_a_socket() {
    let exchange = Exchange::new(1, START_MS);
    let server = serve_with(&exchange, |config| {
        config.limits.control_burst = 5.0;
        config.limits.control_per_s = 0.001;
    })
    .await;
    let mut ws = server.ws("/v1/ws").await;
    for id in 0..5 {
        assert_eq!(ws.ask(&format!("{{\"op\":\"list\",\"id\":{id}}}")).await["id"], id);
    }
    ws.send(r#"{"op":"list","id":5}"#).await;
    assert!(matches!(ws.said().await, Said::Closed(4029, _)));
    server.handle.stop().await;
}

#[tokio::test]
async fn streams_of_a_socket() {
    let exchange = Exchange::new(1, START_MS);
    let server = serve_with(&exchange, |config| config.limits.streams_per_socket = 2).await;
    let mut compat = server.ws("/ws").await;
    let ask = |names: &[&str]| json!({"method": "SUBSCRIBE", "params": names, "id": 1}).to_string();
    assert_eq!(compat.ask(&ask(&["ethusdc@trade", "btcusdc@trade"])).await["result"], json!(null));
    assert_eq!(compat.ask(&ask(&["ethusdc@trade"])).await["result"], json!(null), "known ones cost nothing");
    assert_eq!(compat.ask(&ask(&["solusdc@trade"])).await["code"], 2);
    let mut native = server.ws("/v1/ws").await;
    for _ in 0..2 {
        assert_eq!(native.ask(r#"{"op":"sub","channel":"blocks"}"#).await["op"], "ok");
    }
    assert_eq!(native.ask(r#"{"op":"sub","channel":"blocks"}"#).await["code"], -1130);
    assert!(tokio_tungstenite::connect_async(format!("ws://{}/ws/ethusdc@trade/btcusdc@trade/solusdc@trade", server.addr)).await.is_err());
    server.handle.stop().await;
}

#[tokio::test]
async fn frames_bodies_paths_and_depth() {
    let exchange = Exchange::new(1, START_MS);
    let server = serve_with(&exchange, |config| {
        config.limits.frame_bytes = 1_000;
        config.limits.body_bytes = 1_000;
    })
    .await;
    let mut ws = server.ws("/ws").await;
    let fits = format!("{{\"method\":\"{}\",\"id\":1}}", "x".repeat(900));
    assert_eq!(ws.ask(&fits).await["code"], 2);
    ws.send(&"x".repeat(1_001)).await;
    assert!(matches!(ws.said().await, Said::Closed(1009, _)));

    let mut ws = server.ws("/v1/ws").await;
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(ws.ask(&nested(32)).await["message"], "A request is an object.");
    assert_eq!(ws.ask(&nested(33)).await["message"], "The frame is no JSON, or nested too deeply.");
    futures_util::SinkExt::send(&mut ws.socket, tokio_tungstenite::tungstenite::Message::binary(vec![1])).await.unwrap();
    assert!(matches!(ws.said().await, Said::Closed(1008, _)));

    let long = |length: usize| format!("/api/v3/ping?x={}", "y".repeat(length - 15));
    assert_eq!(server.get(&long(8 << 10)).await.status, 200);
    let refused = server.get(&long((8 << 10) + 1)).await;
    assert_eq!((refused.status, refused.json()["code"].as_i64()), (414, Some(-1100)));

    let body = format!("{{\"method\":\"{}\",\"id\":1}}", "x".repeat(900));
    let head = "POST /rpc HTTP/1.1\r\ncontent-type: application/json";
    assert_eq!(request(server.addr, head, &body).await.json()["error"]["code"], -32601);
    let refused = request(server.addr, head, &"x".repeat(1_001)).await;
    assert_eq!((refused.status, refused.json()["reason"].as_str()), (413, Some("too_large")));
    // No node behind this server.
    let away = request(server.addr, head, r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#).await;
    assert_eq!((away.status, away.json()["reason"].as_str()), (502, Some("no_node")));
    server.handle.stop().await;
}

#[tokio::test]
async fn a_head_that_never_ends_is_dropped() {
    let exchange = Exchange::new(1, START_MS);
    let server = serve_with(&exchange, |config| config.limits.head_time = Duration::from_millis(200)).await;
    let mut stream = tokio::net::TcpStream::connect(server.addr).await.unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nx-slow: ").await.unwrap();
    let mut bytes = Vec::new();
    tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut bytes)).await.expect("dropped in time").unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("200 OK"));
    server.handle.stop().await;
}

#[tokio::test]
async fn an_address_in_use_is_told() {
    let exchange = Exchange::new(1, START_MS);
    let server = serve_with(&exchange, |_| {}).await;
    let config = api::Config::new(server.addr, "http://127.0.0.1:1", 1, crate::exchange::EXCHANGE);
    let error = api::start(config, exchange.feed.clone(), None).await.expect_err("the port is taken");
    assert!(error.to_string().starts_with(&format!("cannot listen on {}", server.addr)), "{error}");
    let config = api::Config::new(([127, 0, 0, 1], 0).into(), "ftp://x", 1, crate::exchange::EXCHANGE);
    assert!(api::start(config, exchange.feed.clone(), None).await.expect_err("no http").to_string().contains("--rpc-url"));
    server.handle.stop().await;
}
