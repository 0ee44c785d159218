//! The block stream: published blocks over a binary websocket, for an indexer or api in another process or on another machine.
//!
//! `GET /blocks?after=N&hash=0x..&name=indexer`: first a JSON text `{version, chainId, genesis, head}`, then a frame a block (`frame.rs`), a head
//! frame a second while there is none. The reader acknowledges with a binary u64 (little-endian) block number, which moves its hold; at most
//! [`UNACKED_FRAMES_MAX`] frames or [`UNACKED_BYTES_MAX`] bytes are under way. Close codes: 4004 pruned, 4009 cursor of another chain, 1013 stalled,
//! 1001 shutdown. A reader only reads the log: it never holds up the node.

use super::{BlockLog, Cursor, LogError, frame};
use alloy_primitives::B256;
use axum::Router;
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use axum::extract::{Query, State, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Frames and bytes sent and not acknowledged.
pub const UNACKED_FRAMES_MAX: usize = 8;
pub const UNACKED_BYTES_MAX: usize = 16 << 20;
/// Readers at a time.
pub const READERS_MAX: usize = 16;
/// A reader that acknowledges nothing for so long is closed.
const STALLED: Duration = Duration::from_secs(30);
const HEAD_EVERY: Duration = Duration::from_secs(1);
/// Bytes read from the log at a time, longest name of a reader, largest message of one.
const READ_BYTES: usize = 4 << 20;
const NAME_BYTES_MAX: usize = 64;
const MESSAGE_BYTES_MAX: usize = 1024;

const CLOSED_SHUTDOWN: u16 = 1001;
const CLOSED_POLICY: u16 = 1008;
const CLOSED_STALLED: u16 = 1013;
const CLOSED_PRUNED: u16 = 4004;
const CLOSED_UNKNOWN: u16 = 4009;

/// What a stream serves and to whom.
#[derive(Clone, Debug)]
pub struct StreamConfig {
    pub addr: SocketAddr,
    pub chain_id: u64,
    /// Readers must name it as `token`; required unless `addr` is loopback.
    pub token: Option<String>,
}

/// Why the stream cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    #[error("the block stream cannot listen on {addr}: {source}")]
    Listen { addr: SocketAddr, source: io::Error },
    #[error("the block stream on {0} can be reached by others: it needs a token")]
    TokenNeeded(SocketAddr),
}

struct Shared {
    log: BlockLog,
    config: StreamConfig,
    readers: AtomicUsize,
    stop: CancellationToken,
}

#[derive(Debug, Deserialize)]
struct Wish {
    after: u64,
    hash: B256,
    name: String,
    #[serde(default)]
    token: Option<String>,
}

/// Serves the log until `stop`; returns the bound address. The server runs on the current tokio runtime.
pub async fn serve(log: BlockLog, config: StreamConfig, stop: CancellationToken) -> Result<SocketAddr, StreamError> {
    let addr = config.addr;
    if !addr.ip().is_loopback() && config.token.is_none() {
        return Err(StreamError::TokenNeeded(addr));
    }
    let listener = tokio::net::TcpListener::bind(addr).await.map_err(|source| StreamError::Listen { addr, source })?;
    let bound = listener.local_addr().map_err(|source| StreamError::Listen { addr, source })?;
    let shared = Arc::new(Shared { log, config, readers: AtomicUsize::new(0), stop: stop.clone() });
    let router = Router::new().route("/blocks", get(upgrade)).with_state(shared);
    tokio::spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!(%error, "stream.ended");
        }
    });
    Ok(bound)
}

async fn upgrade(
    State(shared): State<Arc<Shared>>,
    wish: Result<Query<Wish>, axum::extract::rejection::QueryRejection>,
    socket: WebSocketUpgrade,
) -> Response {
    let wish = match wish {
        Ok(Query(wish)) => wish,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("expected /blocks?after=N&hash=0x..&name=NAME: {error}")).into_response(),
    };
    if wish.name.is_empty() || wish.name.len() > NAME_BYTES_MAX {
        return (StatusCode::BAD_REQUEST, format!("name: expected 1 ..= {NAME_BYTES_MAX} bytes")).into_response();
    }
    if shared.config.token.is_some() && shared.config.token != wish.token {
        return (StatusCode::UNAUTHORIZED, "token: not the one of this stream").into_response();
    }
    if shared.readers.fetch_add(1, Ordering::AcqRel) >= READERS_MAX {
        shared.readers.fetch_sub(1, Ordering::AcqRel);
        return (StatusCode::SERVICE_UNAVAILABLE, format!("{READERS_MAX} readers are connected already")).into_response();
    }
    socket.max_message_size(MESSAGE_BYTES_MAX).on_upgrade(async move |socket| {
        serve_reader(&shared, wish, socket).await;
        shared.readers.fetch_sub(1, Ordering::AcqRel);
    })
}

/// One reader until it leaves; errors end in a close code, never elsewhere.
async fn serve_reader(shared: &Shared, wish: Wish, mut socket: WebSocket) {
    let cursor = Cursor { block: wish.after, hash: wish.hash };
    let close = match follow(shared, &wish.name, cursor, &mut socket).await {
        Ok(()) => return,
        Err(Ended::Left) => return,
        Err(Ended::Closed(code, reason)) => CloseFrame { code, reason: reason.into() },
    };
    let _ = socket.send(Message::Close(Some(close))).await;
}

enum Ended {
    Left,
    Closed(u16, String),
}

impl From<axum::Error> for Ended {
    fn from(_: axum::Error) -> Ended {
        Ended::Left
    }
}

impl From<LogError> for Ended {
    fn from(error: LogError) -> Ended {
        let code = match error {
            LogError::Pruned { .. } => CLOSED_PRUNED,
            LogError::Unknown { .. } => CLOSED_UNKNOWN,
            LogError::Closed => CLOSED_SHUTDOWN,
            LogError::TooManyHolds => CLOSED_POLICY,
            LogError::Store(_) => 1011,
        };
        Ended::Closed(code, error.to_string())
    }
}

async fn follow(shared: &Shared, name: &str, mut cursor: Cursor, socket: &mut WebSocket) -> Result<(), Ended> {
    let log = &shared.log;
    let mut head = log.watch();
    let hello = serde_json::json!({
        "version": frame::VERSION, "chainId": shared.config.chain_id, "genesis": log.genesis().hash,
        "head": {"block": log.head().block, "hash": log.head().hash},
    });
    socket.send(Message::text(hello.to_string())).await?;
    // The cursor is judged after the first message, which tells the reader whose chain this is.
    let hold = log.hold(name, cursor)?;
    // Sent and not acknowledged: block and bytes.
    let mut unacked: VecDeque<(Cursor, usize)> = VecDeque::new();
    let mut unacked_bytes = 0;
    let mut stalled = tokio::time::Instant::now() + STALLED;
    loop {
        let may_send = unacked.len() < UNACKED_FRAMES_MAX && unacked_bytes < UNACKED_BYTES_MAX;
        if may_send && log.head().block > cursor.block {
            for block in log.read(cursor, READ_BYTES)?.into_iter().take(UNACKED_FRAMES_MAX - unacked.len()) {
                let frame = frame::block(&block);
                cursor = block.cursor();
                if unacked.is_empty() {
                    stalled = tokio::time::Instant::now() + STALLED;
                }
                unacked.push_back((cursor, frame.len()));
                unacked_bytes += frame.len();
                socket.send(Message::Binary(frame.into())).await?;
            }
            continue;
        }
        tokio::select! {
            _ = shared.stop.cancelled() => return Err(Ended::Closed(CLOSED_SHUTDOWN, "the node stops".into())),
            changed = head.changed(), if may_send => changed.map_err(|_| Ended::Closed(CLOSED_SHUTDOWN, "the node stops".into()))?,
            _ = tokio::time::sleep_until(stalled), if !unacked.is_empty() => {
                return Err(Ended::Closed(CLOSED_STALLED, format!("no acknowledgement for {} s", STALLED.as_secs())));
            }
            _ = tokio::time::sleep(HEAD_EVERY), if may_send => socket.send(Message::Binary(frame::head(log.head()).into())).await?,
            message = socket.recv() => match message {
                Some(Ok(Message::Binary(ack))) => {
                    let Ok(bytes) = <[u8; 8]>::try_from(ack.as_ref()) else {
                        return Err(Ended::Closed(CLOSED_POLICY, "an acknowledgement is a u64 block number".into()));
                    };
                    let upto = u64::from_le_bytes(bytes);
                    while let Some((sent, bytes)) = unacked.front().copied().filter(|(sent, _)| sent.block <= upto) {
                        unacked.pop_front();
                        unacked_bytes -= bytes;
                        stalled = tokio::time::Instant::now() + STALLED;
                        hold.advance(sent);
                    }
                }
                Some(Ok(Message::Close(_))) | None | Some(Err(_)) => return Ok(()),
                Some(Ok(Message::Text(_))) => return Err(Ended::Closed(CLOSED_POLICY, "an acknowledgement is binary".into())),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            },
        }
    }
}
