//! The page: headers, precompressed files, the fallback to `index.html`, the plain page when nothing was built; `/rpc` to a real listener.

use crate::client::{request, serve, serve_with};
use crate::exchange::{Exchange, START_MS};
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use std::fs;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn files_with_their_headers() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    };
    put("index.html", "<title>page</title>");
    put("assets/app-1a2b.js", "plain");
    put("assets/app-1a2b.js.br", "brotli");
    put("assets/app-1a2b.js.gz", "gzip");
    put(".secret", "no");
    fs::write(folder.path().parent().unwrap().join("outside-of-the-page.txt"), "no").unwrap();
    let exchange = Exchange::new(1, START_MS);
    let server = serve_with(&exchange, |config| config.web_dir = folder.path().to_owned()).await;

    for path in ["/", "/ETH-USDC", "/some/view?x=1"] {
        let page = server.get(path).await;
        assert_eq!((page.status, page.body.as_str()), (200, "<title>page</title>"), "{path}");
        assert_eq!(page.headers["cache-control"], "no-cache");
        assert!(page.headers["content-security-policy"].starts_with("default-src 'self'; img-src 'self' data:; object-src 'none'"));
        assert_eq!(page.headers["x-content-type-options"], "nosniff");
        assert_eq!(page.headers["referrer-policy"], "no-referrer");
        assert_eq!(page.headers["cross-origin-opener-policy"], "same-origin-allow-popups");
    }
    let asset = "GET /assets/app-1a2b.js HTTP/1.1";
    let plain = request(server.addr, asset, "").await;
    assert_eq!((plain.body.as_str(), plain.headers["content-type"].as_str()), ("plain", "text/javascript; charset=utf-8"));
    assert_eq!(plain.headers["cache-control"], "public, max-age=31536000, immutable");
    for (accepted, encoding, body) in [("gzip, br", "br", "brotli"), ("gzip", "gzip", "gzip")] {
        let packed = request(server.addr, &format!("{asset}\r\naccept-encoding: {accepted}"), "").await;
        assert_eq!((packed.headers["content-encoding"].as_str(), packed.body.as_str()), (encoding, body));
    }
    assert_eq!(server.get("/assets/gone.js").await.status, 404);
    for path in ["/.secret", "/../outside-of-the-page.txt", "/..%2foutside-of-the-page.txt", "/assets/../../outside-of-the-page.txt"] {
        assert_ne!(server.get(path).await.body, "no", "{path}");
    }
    assert_eq!(server.get("/v1/nothing").await.json()["reason"], "no_route");
    let head = request(server.addr, "HEAD / HTTP/1.1", "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    server.handle.stop().await;
}

#[tokio::test]
async fn without_a_built_page_a_plain_one_says_so() {
    let exchange = Exchange::new(1, START_MS);
    let server = serve(&exchange).await;
    let page = server.get("/").await;
    assert!(page.status == 503 && page.body.contains("The page is not built") && page.body.contains("cargo xtask up"));
    assert_eq!(server.get("/config.json").await.status, 200);
    server.handle.stop().await;
}

#[tokio::test]
async fn calls_reach_the_node_as_they_are() {
    // A node that answers every post with what it was sent, and echoes websocket texts.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let node = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut peeked = [0; 3];
                stream.peek(&mut peeked).await.unwrap();
                if &peeked == b"GET" {
                    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
                    while let Some(Ok(message)) = socket.next().await {
                        if message.is_text() {
                            socket.send(message).await.unwrap();
                        }
                    }
                    return;
                }
                let mut bytes = Vec::new();
                loop {
                    stream.read_buf(&mut bytes).await.unwrap();
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                    let length: usize =
                        head.to_lowercase().split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap().parse().unwrap();
                    if body.len() == length {
                        let answer = format!(
                            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                        );
                        stream.write_all(answer.as_bytes()).await.unwrap();
                        return;
                    }
                }
            });
        }
    });
    let exchange = Exchange::new(1, START_MS);
    let server = serve_with(&exchange, |config| config.rpc_url = url).await;
    let call = r#"{"jsonrpc":"2.0","id":1,  "method":"eth_chainId"}"#;
    assert_eq!(request(server.addr, "POST /rpc HTTP/1.1", call).await.body, call);
    let batch = format!("[{call},{{\"id\":2,\"method\":\"debug_traceBlock\"}}]");
    let answer = request(server.addr, "POST /rpc HTTP/1.1", &batch).await.json();
    assert_eq!(answer[0], serde_json::from_str::<serde_json::Value>(call).unwrap());
    assert_eq!((&answer[1]["id"], &answer[1]["error"]["code"]), (&json!(2), &json!(-32601)));
    let mut ws = server.ws("/rpc").await;
    ws.socket.send(Message::text(call)).await.unwrap();
    assert_eq!(ws.next().await, serde_json::from_str::<serde_json::Value>(call).unwrap());
    assert_eq!(ws.ask(r#"{"id":7,"method":"admin_peers"}"#).await["error"]["code"], -32601);
    server.handle.stop().await;
    node.abort();
}
