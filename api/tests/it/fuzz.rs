//! 100,000 malformed inputs: REST paths and queries, compat and native frames, JSON-RPC bodies. Nothing panics, every answer is typed, and
//! the server answers as before afterwards.

use crate::client::{parse, serve_with};
use crate::compat::documented;
use crate::exchange::seed;
use futures_util::{SinkExt, StreamExt};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;

const REST: usize = 40_000;
const FRAMES: usize = 50_000;
const RPC: usize = 10_000;

const PATHS: [&str; 16] = [
    "/api/v3/depth",
    "/api/v3/trades",
    "/api/v3/aggTrades",
    "/api/v3/klines",
    "/api/v3/ticker/24hr",
    "/api/v3/ticker/bookTicker",
    "/api/v3/exchangeInfo",
    "/v1/candles",
    "/v1/markets/1/depth",
    "/v1/markets",
    "/v1/status",
    "/v1/markets/-1/depth",
    "/api/v3/%zz",
    "/api//v3",
    "/v1/markets/99999999999/depth",
    "/api/v3",
];
const NAMES: [&str; 18] = [
    "symbol",
    "symbols",
    "limit",
    "interval",
    "startTime",
    "endTime",
    "fromId",
    "timeZone",
    "type",
    "market",
    "from_ms",
    "to_ms",
    "fill",
    "levels",
    "x",
    "%00",
    "%ff",
    "",
];
const VALUES: [&str; 30] = [
    "ETHUSDC",
    "ethusdc",
    "NOSUCH",
    "%5B%22ETHUSDC%22%5D",
    "%5B",
    "[]",
    "0",
    "1",
    "-1",
    "5000",
    "5001",
    "1000",
    "18446744073709551615",
    "9007199254740991",
    "1e9",
    "1m",
    "1M",
    "7m",
    "1s",
    "FULL",
    "MINI",
    "prev",
    "%",
    "%f",
    "%E2%82%AC",
    "%00",
    "a+b",
    "",
    "999999999999999999999999999",
    "1795361880000",
];
const PIECES: [&str; 44] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\",
    "null",
    "true",
    "1",
    "-1",
    "1e308",
    "9223372036854775808",
    "\"id\"",
    "\"method\"",
    "\"params\"",
    "\"SUBSCRIBE\"",
    "\"UNSUBSCRIBE\"",
    "\"LIST_SUBSCRIPTIONS\"",
    "\"SET_PROPERTY\"",
    "\"combined\"",
    "\"ethusdc@depth\"",
    "\"@\"",
    "\"!\"",
    "\"op\"",
    "\"sub\"",
    "\"unsub\"",
    "\"list\"",
    "\"ping\"",
    "\"t\"",
    "\"channel\"",
    "\"depth\"",
    "\"book\"",
    "\"blocks\"",
    "\"candles\"",
    "\"interval\"",
    "\"1m\"",
    "\"market\"",
    "\"from\"",
    "\"eth_chainId\"",
    "\u{0}",
    "\u{1f4a5}",
    " ",
];

/// Mostly well-formed requests with wrong values; else a soup of pieces.
fn frame(rng: &mut StdRng) -> String {
    if rng.random_bool(0.5) {
        return (0..rng.random_range(0..20)).map(|_| *PIECES.choose(rng).unwrap()).collect();
    }
    let value = |rng: &mut StdRng| match rng.random_range(0..10) {
        0 => "null".to_owned(),
        1 => rng.random_range(-5..10_i64).to_string(),
        2 => rng.random::<u64>().to_string(),
        3 => "[\"ethusdc@trade\"]".to_owned(),
        4 => "[\"combined\",true]".to_owned(),
        5 => "{}".to_owned(),
        6 => format!("\"{}\"", "z".repeat(rng.random_range(0..80))),
        _ => PIECES[13 + rng.random_range(0..27)].to_owned(),
    };
    let keys = ["op", "id", "channel", "market", "from", "interval", "sub", "method", "params", "records", "commit", "t"];
    let fields: Vec<String> = (0..rng.random_range(0..7)).map(|_| format!("\"{}\":{}", keys.choose(rng).unwrap(), value(rng))).collect();
    format!("{{{}}}", fields.join(","))
}

fn query(rng: &mut StdRng) -> String {
    let pairs: Vec<String> =
        (0..rng.random_range(0..6)).map(|_| format!("{}={}", NAMES.choose(rng).unwrap(), VALUES.choose(rng).unwrap())).collect();
    format!("{}?{}", PATHS.choose(rng).unwrap(), pairs.join("&"))
}

fn typed(status: u16, body: &str, asked: &str) {
    match status {
        200 => assert!(serde_json::from_str::<Value>(body).is_ok(), "{asked}: {body}"),
        400..=599 => {
            let answer: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{asked}: {error}: {body}"));
            assert!(answer["code"].is_i64() && (answer["msg"].is_string() || answer["message"].is_string()), "{asked}: {body}");
            assert!(status != 500, "{asked}: {body}");
        }
        _ => panic!("{asked}: {status}"),
    }
}

/// Sends requests over one connection, a batch at a time, and reads exactly as many answers.
async fn pipelined(addr: std::net::SocketAddr, asked: &[String], write: impl Fn(&str) -> String) {
    let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    let text: String = asked.iter().map(|asked| write(asked)).collect();
    let (mut reading, mut writing) = stream.split();
    let send = async { writing.write_all(text.as_bytes()).await.unwrap() };
    let receive = async {
        let mut buffer: Vec<u8> = Vec::new();
        for asked in asked {
            let (end, total) = loop {
                if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                    let head = String::from_utf8_lossy(&buffer[..end]).to_lowercase();
                    let length = head
                        .split("content-length: ")
                        .nth(1)
                        .and_then(|rest| rest.split("\r\n").next())
                        .and_then(|text| text.parse::<usize>().ok());
                    let total = end + 4 + length.unwrap_or_else(|| panic!("{asked}: {head}"));
                    if buffer.len() >= total {
                        break (end, total);
                    }
                }
                let read = reading.read_buf(&mut buffer).await.unwrap();
                assert!(read > 0, "{asked}: closed after {}", String::from_utf8_lossy(&buffer));
            };
            let answer = parse(&buffer[..total]);
            assert!(end > 0);
            typed(answer.status, &answer.body, asked);
            buffer.drain(..total);
        }
    };
    tokio::join!(send, receive);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_malformed_inputs() {
    let exchange = documented();
    let server = serve_with(&exchange, |config| {
        config.limits.control_burst = 1e9;
        config.limits.streams_per_socket = 64;
    })
    .await;
    let seed = seed(61);
    let addr = server.addr;

    let rest = tokio::spawn(async move {
        let mut rng = StdRng::seed_from_u64(seed);
        for _ in 0..REST / 200 {
            let asked: Vec<String> = (0..200).map(|_| query(&mut rng)).collect();
            pipelined(addr, &asked, |path| format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        }
    });
    let mut sockets = Vec::new();
    for (at, path) in ["/ws", "/v1/ws"].into_iter().enumerate() {
        sockets.push(tokio::spawn(async move {
            let mut rng = StdRng::seed_from_u64(seed + 1 + at as u64);
            for _ in 0..FRAMES / 2 / 500 {
                let (socket, _) = tokio_tungstenite::connect_async(format!("ws://{addr}{path}")).await.unwrap();
                let (mut writing, mut reading) = socket.split();
                let frames: Vec<String> = (0..500).map(|_| frame(&mut rng)).collect();
                let send = async {
                    for text in frames {
                        writing.send(Message::text(text)).await.unwrap();
                    }
                    let last = if path == "/ws" {
                        r#"{"method":"GET_PROPERTY","params":["combined"],"id":"last"}"#
                    } else {
                        r#"{"op":"list","id":"last"}"#
                    };
                    writing.send(Message::text(last)).await.unwrap();
                };
                // Every frame gets an answer, and the socket lives to the last.
                let receive = async {
                    let mut answers = 0;
                    loop {
                        let message = reading.next().await.expect("open").expect("no protocol error");
                        let Message::Text(text) = message else { continue };
                        let answer: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
                        answers +=
                            usize::from(answer.get("result").is_some() || answer.get("code").is_some() || answer.get("op").is_some());
                        if answer["id"] == "last" {
                            return answers;
                        }
                    }
                };
                let ((), answers) = tokio::join!(send, receive);
                assert_eq!(answers, 501);
            }
        }));
    }
    let rpc = tokio::spawn(async move {
        let mut rng = StdRng::seed_from_u64(seed + 9);
        for _ in 0..RPC / 200 {
            let asked: Vec<String> = (0..200).map(|_| frame(&mut rng).replace("eth_", "xth_")).collect();
            let write = |body: &str| format!("POST /rpc HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            pipelined(addr, &asked, write).await;
        }
    });
    rest.await.unwrap();
    for socket in sockets {
        socket.await.unwrap();
    }
    rpc.await.unwrap();
    assert_eq!(server.get("/ready").await.status, 200);
    assert_eq!(server.read("/api/v3/depth?symbol=ETHUSDC").await["bids"][0][0], "3000.00000000");
    let queued = server.get("/metrics").await.body;
    assert!(queued.lines().any(|line| line == "hifi_fanout_queue_bytes 0"), "nothing is left behind");
    server.handle.stop().await;
}
