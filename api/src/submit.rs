//! The way to the node: `/rpc` over http and websocket, forwarded as it is. Only `eth_ net_ web3_ hifi_` methods pass; a forbidden item
//! fails alone in its batch. The api holds no keys and adds nothing.

use crate::error::{Error, StartError};
use crate::outbox::{Close, POLICY, REBUILT, SHUTDOWN};
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, Uri};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::time::Duration;
use tokio_tungstenite::tungstenite;

/// How long the node may take for an answer.
const ANSWER_TIME: Duration = Duration::from_secs(30);
const CONNECT_TIME: Duration = Duration::from_secs(2);
/// How long a websocket write may last.
const WRITE_TIME: Duration = Duration::from_secs(2);
/// Largest answer of the node.
const ANSWER_BYTES_MAX: usize = 64 << 20;
const PREFIXES: [&str; 4] = ["eth_", "net_", "web3_", "hifi_"];

/// The node's JSON-RPC.
#[derive(Debug)]
pub struct Node {
    http: Uri,
    ws: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// One call, as far as it is looked at.
#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
}

/// What becomes of a body.
enum Verdict {
    /// Goes to the node; these answers are added to its own.
    Forward { body: Bytes, is_batch: bool, refused: Vec<String> },
    /// Is answered here.
    Answer(String),
}

impl Node {
    /// # Errors
    /// A url that is not `http://host[:port][/path]`.
    pub fn new(url: &str) -> Result<Node, StartError> {
        let bad = |what: String| StartError::RpcUrl { url: url.to_owned(), what };
        let http: Uri = url.parse().map_err(|error| bad(format!("{error}")))?;
        if http.scheme_str() != Some("http") || http.host().is_none() {
            return Err(bad("expected http://host:port".to_owned()));
        }
        let ws = url.replacen("http://", "ws://", 1);
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIME));
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(32).build(connector);
        Ok(Node { http, ws, client })
    }

    /// Forwards a body and returns the answer's text.
    ///
    /// # Errors
    /// -1008 if the node does not answer.
    pub async fn forward(&self, body: Bytes) -> Result<Bytes, Error> {
        let (body, is_batch, refused) = match judge(&body) {
            Verdict::Answer(text) => return Ok(Bytes::from(text)),
            Verdict::Forward { body, is_batch, refused } => (body, is_batch, refused),
        };
        let answer = self.post(body).await?;
        if refused.is_empty() || !is_batch {
            return Ok(answer);
        }
        // The node's list without its last bracket, then ours.
        let inner = answer.trim_ascii();
        let inner = inner.strip_prefix(b"[").and_then(|inner| inner.strip_suffix(b"]")).unwrap_or_default().trim_ascii();
        let mut joined = b"[".to_vec();
        joined.extend_from_slice(inner);
        for text in refused {
            if joined.len() > 1 {
                joined.push(b',');
            }
            joined.extend_from_slice(text.as_bytes());
        }
        joined.push(b']');
        Ok(Bytes::from(joined))
    }

    async fn post(&self, body: Bytes) -> Result<Bytes, Error> {
        let request = Request::post(self.http.clone()).header("content-type", "application/json").body(Full::new(body));
        let request = request.map_err(|_| Error::internal())?;
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| error.to_string())?;
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await.map_err(|error| error.to_string())?;
            Ok::<_, String>(body.to_bytes())
        };
        match tokio::time::timeout(ANSWER_TIME, exchange).await {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(error)) => {
                tracing::warn!(error, "the node does not answer /rpc");
                Err(Error::no_upstream())
            }
            Err(_) => Err(Error::no_upstream()),
        }
    }

    /// Joins a websocket with one of the node's until either ends.
    pub async fn join(&self, mut client: WebSocket, shutdown: tokio_util::sync::CancellationToken) {
        let close = match tokio::time::timeout(CONNECT_TIME, tokio_tungstenite::connect_async(&self.ws)).await {
            Ok(Ok((node, _))) => pump(&mut client, node, shutdown).await,
            _ => Close::new(REBUILT, "the node does not answer"),
        };
        let frame = Message::Close(Some(CloseFrame { code: close.code, reason: close.reason.into() }));
        let _ = tokio::time::timeout(WRITE_TIME, client.send(frame)).await;
    }
}

type NodeSocket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn pump(client: &mut WebSocket, mut node: NodeSocket, shutdown: tokio_util::sync::CancellationToken) -> Close {
    let gone = || Close::new(REBUILT, "the node is gone");
    loop {
        tokio::select! {
            message = client.recv() => match message {
                Some(Ok(Message::Text(text))) => {
                    let (forward, back) = match judge(&Bytes::copy_from_slice(text.as_bytes())) {
                        Verdict::Answer(text) => (None, vec![text]),
                        Verdict::Forward { body, refused, .. } => (Some(body), refused),
                    };
                    for text in back {
                        if timed(client.send(Message::Text(text.into()))).await.is_none() {
                            return Close::new(POLICY, "slow");
                        }
                    }
                    let Some(body) = forward else { continue };
                    let Ok(text) = tungstenite::Utf8Bytes::try_from(body) else { continue };
                    if timed(node.send(tungstenite::Message::Text(text))).await.is_none() {
                        return gone();
                    }
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {
                    let _ = timed(client.flush()).await;
                }
                Some(Ok(Message::Binary(_))) => return Close::new(POLICY, "text frames only"),
                _ => return Close::new(1000, ""),
            },
            message = node.next() => match message {
                Some(Ok(tungstenite::Message::Text(text))) => {
                    if timed(client.send(Message::Text(text.as_str().into()))).await.is_none() {
                        return Close::new(POLICY, "slow");
                    }
                }
                Some(Ok(tungstenite::Message::Ping(_) | tungstenite::Message::Pong(_))) => {
                    let _ = timed(node.flush()).await;
                }
                Some(Ok(tungstenite::Message::Binary(_))) => {}
                _ => return gone(),
            },
            () = shutdown.cancelled() => return Close::new(SHUTDOWN, "shutdown"),
        }
    }
}

async fn timed<E>(write: impl Future<Output = Result<(), E>>) -> Option<()> {
    tokio::time::timeout(WRITE_TIME, write).await.ok()?.ok()
}

/// Decides what goes to the node. Text that is no call at all is answered here, as the node would.
fn judge(body: &Bytes) -> Verdict {
    let Ok(text) = std::str::from_utf8(body) else { return Verdict::Answer(rpc_error("null", -32700, "parse error")) };
    if !text.trim_start().starts_with('[') {
        return match serde_json::from_str::<Call>(text) {
            Ok(call) if allowed(&call.method) => Verdict::Forward { body: body.clone(), is_batch: false, refused: Vec::new() },
            Ok(call) => Verdict::Answer(refused(&call)),
            Err(_) => Verdict::Answer(unreadable(text)),
        };
    }
    let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(text) else { return Verdict::Answer(rpc_error("null", -32700, "parse error")) };
    if items.is_empty() {
        return Verdict::Answer(rpc_error("null", -32600, "empty batch"));
    }
    let (mut passed, mut answers) = (Vec::with_capacity(items.len()), Vec::new());
    for item in &items {
        match serde_json::from_str::<Call>(item.get()) {
            Ok(call) if allowed(&call.method) => passed.push(item.get()),
            Ok(call) => answers.push(refused(&call)),
            Err(_) => answers.push(rpc_error("null", -32600, "invalid request")),
        }
    }
    if passed.is_empty() {
        return Verdict::Answer(format!("[{}]", answers.join(",")));
    }
    let body = if answers.is_empty() { body.clone() } else { Bytes::from(format!("[{}]", passed.join(","))) };
    Verdict::Forward { body, is_batch: true, refused: answers }
}

fn allowed(method: &str) -> bool {
    PREFIXES.iter().any(|prefix| method.starts_with(prefix))
}

fn refused(call: &Call) -> String {
    let shown: String = call.method.chars().filter(|letter| letter.is_ascii_graphic()).take(64).collect();
    rpc_error(call.id.map_or("null", RawValue::get), -32601, &format!("the method {shown} does not exist/is not available"))
}

fn unreadable(text: &str) -> String {
    let is_json = serde_json::from_str::<&RawValue>(text).is_ok();
    if is_json { rpc_error("null", -32600, "invalid request") } else { rpc_error("null", -32700, "parse error") }
}

fn rpc_error(id: &str, code: i32, message: &str) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{{\"code\":{code},\"message\":{}}}}}", serde_json::Value::from(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(body: &str) -> String {
        match judge(&Bytes::copy_from_slice(body.as_bytes())) {
            Verdict::Answer(text) => text,
            Verdict::Forward { .. } => "forwarded".to_owned(),
        }
    }

    #[test]
    fn only_public_methods_pass() {
        assert_eq!(answered(r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#), "forwarded");
        for method in ["debug_traceTransaction", "admin_addPeer", "", "ETH_chainId", "xeth_call"] {
            let text = answered(&format!(r#"{{"jsonrpc":"2.0","id":"a","method":"{method}"}}"#));
            assert!(text.contains("-32601") && text.contains(r#""id":"a""#), "{text}");
        }
        assert!(answered(r#"{"method":"eth_call","method":"debug_x","id":1}"#).contains("-32600"));
        assert!(answered("{").contains("-32700"));
        assert!(answered("[]").contains("-32600"));
    }

    #[test]
    fn a_forbidden_item_fails_alone() {
        let body = Bytes::from_static(br#"[{"id":1,"method":"eth_chainId"},{"id":2,"method":"debug_x"},7]"#);
        match judge(&body) {
            Verdict::Forward { body, is_batch, refused } => {
                assert_eq!(body, Bytes::from_static(br#"[{"id":1,"method":"eth_chainId"}]"#));
                assert!(is_batch);
                assert_eq!(refused.len(), 2);
                assert!(refused[0].contains(r#""id":2"#));
            }
            Verdict::Answer(text) => panic!("answered {text}"),
        }
    }

    #[test]
    fn urls() {
        assert!(Node::new("http://127.0.0.1:8545").is_ok());
        for bad in ["https://x", "ws://127.0.0.1:1", "127.0.0.1:8545", "", "http://"] {
            assert!(Node::new(bad).is_err(), "{bad}");
        }
    }
}
