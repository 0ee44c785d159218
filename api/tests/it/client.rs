//! A server under test and plain clients of it: HTTP by hand, websockets by tungstenite.

use crate::exchange::{EXCHANGE, Exchange};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// No wait of a test lasts longer.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Server {
    pub addr: SocketAddr,
    pub handle: api::Handle,
}

/// An api over the exchange's feed, on a free port, with an empty page folder.
pub async fn serve(exchange: &Exchange) -> Server {
    serve_with(exchange, |_| {}).await
}

pub async fn serve_with(exchange: &Exchange, change: impl FnOnce(&mut api::Config)) -> Server {
    serve_feed(exchange.feed.clone(), None, change).await
}

/// An api over any feed, with history or without.
pub async fn serve_feed(feed: indexer::Feed, reader: Option<indexer::Reader>, change: impl FnOnce(&mut api::Config)) -> Server {
    let mut config = api::Config::new(([127, 0, 0, 1], 0).into(), "http://127.0.0.1:1", 4434, EXCHANGE);
    config.web_dir = "/nonexistent".into();
    change(&mut config);
    let handle = api::start(config, feed, reader).await.expect("loopback is free");
    Server { addr: handle.addr, handle }
}

pub struct Answer {
    pub status: u16,
    pub headers: HashMap<String, String>,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// One request on a connection of its own.
pub async fn request(addr: SocketAddr, head: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let text = format!("{head}\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("an answer in time");
    parse(&bytes)
}

pub fn parse(bytes: &[u8]) -> Answer {
    let split = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or_else(|| panic!("no head: {bytes:?}"));
    let head = String::from_utf8_lossy(&bytes[..split]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok()).expect("a status line");
    let headers: HashMap<String, String> =
        lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    let raw = &bytes[split + 4..];
    let body = if headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") { dechunked(raw) } else { raw.to_vec() };
    Answer { status, headers, body: String::from_utf8_lossy(&body).into_owned() }
}

fn dechunked(mut raw: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = raw.windows(2).position(|window| window == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&raw[..end]).unwrap(), 16).unwrap();
        if length == 0 {
            break;
        }
        body.extend_from_slice(&raw[end + 2..end + 2 + length]);
        raw = &raw[end + 4 + length..];
    }
    body
}

impl Server {
    pub async fn get(&self, path: &str) -> Answer {
        request(self.addr, &format!("GET {path} HTTP/1.1"), "").await
    }

    /// The JSON of a 200.
    pub async fn read(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    /// Waits until the api has published the exchange's newest block.
    pub async fn caught_up(&self, exchange: &Exchange) {
        let answer = self.get(&format!("/api/v3/ping?min_block={}", exchange.head.block)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    pub async fn ws(&self, path: &str) -> Ws {
        let (socket, response) = tokio_tungstenite::connect_async(format!("ws://{}{path}", self.addr)).await.expect("an upgrade");
        assert!(!response.headers().contains_key("sec-websocket-extensions"));
        Ws { socket, seen: Vec::new() }
    }
}

pub struct Ws {
    pub socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Every event that went through [`Ws::next`], for the checks that hold for all.
    pub seen: Vec<String>,
}

/// What a socket says next.
#[derive(Debug)]
pub enum Said {
    Text(String),
    Closed(u16, String),
    Gone,
}

impl Ws {
    pub async fn send(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    pub async fn said(&mut self) -> Said {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("the socket says something in time");
            match message {
                Some(Ok(Message::Text(text))) => {
                    self.seen.push(text.to_string());
                    return Said::Text(text.to_string());
                }
                Some(Ok(Message::Close(Some(frame)))) => return Said::Closed(frame.code.into(), frame.reason.to_string()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(other)) => panic!("unexpected {other:?}"),
                Some(Err(_)) | None => return Said::Gone,
            }
        }
    }

    pub async fn next(&mut self) -> Value {
        match self.said().await {
            Said::Text(text) => serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")),
            other => panic!("expected a message, found {other:?}"),
        }
    }

    /// Sends a request and returns the very next message.
    pub async fn ask(&mut self, text: &str) -> Value {
        self.send(text).await;
        self.next().await
    }

    /// Messages until one satisfies, that one included.
    pub async fn until(&mut self, done: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut messages = Vec::new();
        loop {
            let message = self.next().await;
            let is_last = done(&message);
            messages.push(message);
            if is_last {
                return messages;
            }
        }
    }

    /// True if nothing arrives that a ping would not overtake: the pong of an own ping is the next thing heard.
    pub async fn is_silent(&mut self) -> bool {
        self.socket.send(Message::Ping(Default::default())).await.unwrap();
        loop {
            match tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("a pong in time") {
                Some(Ok(Message::Pong(_))) => return true,
                Some(Ok(Message::Ping(_))) => {}
                _ => return false,
            }
        }
    }
}
