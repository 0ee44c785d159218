//! A node elsewhere: its block stream over a binary websocket, with resume by cursor. Reconnects without end, 0.2 s doubling to 5 s,
//! while the node is away; acknowledges what the reader has consumed, so that the node keeps what it has not.

use super::frame::{self, Frame};
use super::{Block, Cursor, Source, SourceError};
use alloy_primitives::B256;
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_LAST: Duration = Duration::from_secs(5);
/// The node speaks at least once a second; silent for longer, the connection is taken for dead.
const SILENT: Duration = Duration::from_secs(10);
const FRAME_BYTES_MAX: usize = 64 << 20;

/// Blocks of a remote node. A clone has a connection and a place of its own.
pub struct StreamSource {
    url: String,
    name: String,
    token: Option<String>,
    open: Option<Open>,
}

struct Open {
    socket: Socket,
    /// The last block received.
    at: Cursor,
    head: Cursor,
    /// Received and not handed out yet.
    ready: Vec<Arc<Block>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hello {
    version: u8,
    chain_id: u64,
    genesis: B256,
    head: HelloHead,
}

#[derive(Deserialize)]
struct HelloHead {
    block: u64,
    hash: B256,
}

impl Clone for StreamSource {
    fn clone(&self) -> StreamSource {
        StreamSource { url: self.url.clone(), name: self.name.clone(), token: self.token.clone(), open: None }
    }
}

impl StreamSource {
    /// `url` like `ws://127.0.0.1:8547`; `name` is the hold that keeps history for this reader.
    pub fn new(url: impl Into<String>, name: impl Into<String>, token: Option<String>) -> StreamSource {
        StreamSource { url: url.into(), name: name.into(), token, open: None }
    }

    /// Chain id and genesis hash of the node.
    ///
    /// # Errors
    /// `Disconnected` if it does not answer: this asks once.
    pub async fn chain(&self, genesis: Option<B256>) -> Result<(u64, B256), SourceError> {
        let (_, hello) = self.connect(Cursor { block: 0, hash: genesis.unwrap_or_default() }).await?;
        Ok((hello.chain_id, hello.genesis))
    }

    async fn connect(&self, after: Cursor) -> Result<(Socket, Hello), SourceError> {
        let mut url = format!("{}/blocks?after={}&hash={}&name={}", self.url.trim_end_matches('/'), after.block, after.hash, self.name);
        if let Some(token) = &self.token {
            url += &format!("&token={token}");
        }
        let config = WebSocketConfig::default().max_message_size(Some(FRAME_BYTES_MAX)).max_frame_size(Some(FRAME_BYTES_MAX));
        let (mut socket, _) = connect_async_with_config(&url, Some(config), true).await.map_err(away)?;
        let text = match receive(&mut socket, after).await? {
            Message::Text(text) => text,
            _ => return Err(SourceError::Malformed { block: after.block, what: "a first message that is text" }),
        };
        let hello: Hello = serde_json::from_str(&text)
            .map_err(|_| SourceError::Malformed { block: after.block, what: "a first message with version, chain and head" })?;
        if hello.version != 1 {
            return Err(SourceError::Malformed { block: after.block, what: "a stream of version 1" });
        }
        Ok((socket, hello))
    }

    /// The connection standing at `after`; a new one if there is none or it stands elsewhere.
    async fn open_at(&mut self, after: Cursor) -> Result<&mut Open, SourceError> {
        let fits = self.open.as_ref().is_some_and(|open| open.at == after && open.ready.is_empty());
        if !fits {
            self.open = None;
            let mut pause = RETRY_FIRST;
            let (socket, hello) = loop {
                match self.connect(after).await {
                    Ok(opened) => break opened,
                    Err(SourceError::Disconnected(error)) => {
                        tracing::warn!(%error, url = self.url, "source.reconnecting");
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(RETRY_LAST);
                    }
                    Err(error) => return Err(error),
                }
            };
            let head = Cursor { block: hello.head.block, hash: hello.head.hash };
            self.open = Some(Open { socket, at: after, head, ready: Vec::new() });
        }
        Ok(self.open.as_mut().expect("just opened"))
    }
}

impl Source for StreamSource {
    async fn head(&mut self) -> Result<Cursor, SourceError> {
        if let Some(open) = &self.open {
            return Ok(open.head);
        }
        // The head is told before the cursor is judged, so any cursor does.
        let (_, hello) = self.connect(Cursor::default()).await.map_err(|error| match error {
            SourceError::Unknown { .. } => SourceError::Malformed { block: 0, what: "a head" },
            other => other,
        })?;
        Ok(Cursor { block: hello.head.block, hash: hello.head.hash })
    }

    async fn next(&mut self, after: Cursor, _max_bytes: usize) -> Result<Vec<Arc<Block>>, SourceError> {
        loop {
            let open = self.open_at(after).await?;
            // What came before is consumed: the node may go on.
            let received = async {
                open.socket.send(Message::Binary(after.block.to_le_bytes().to_vec().into())).await.map_err(away)?;
                receive(&mut open.socket, after).await
            };
            let message = match received.await {
                Ok(message) => message,
                Err(SourceError::Disconnected(_)) => {
                    self.open = None;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let Message::Binary(bytes) = message else { continue };
            match frame::read(&bytes).map_err(|what| SourceError::Malformed { block: after.block + 1, what })? {
                Frame::Head(head) => open.head = head,
                Frame::Block(block) => {
                    if block.number != after.block + 1 || block.parent != after.hash {
                        return Err(SourceError::Malformed { block: block.number, what: "the child of the last block" });
                    }
                    open.at = Cursor { block: block.number, hash: block.hash };
                    if open.head.block < block.number {
                        open.head = open.at;
                    }
                    return Ok(vec![Arc::new(block)]);
                }
            }
        }
    }

    /// The node is told by acknowledgements instead.
    fn release(&mut self, _upto: Cursor) {}
}

/// The next message that is not a ping; a close becomes the error it stands for.
async fn receive(socket: &mut Socket, at: Cursor) -> Result<Message, SourceError> {
    loop {
        let message = tokio::time::timeout(SILENT, socket.next()).await.map_err(|_| silent())?;
        match message {
            Some(Ok(Message::Close(Some(close)))) => {
                return Err(match u16::from(close.code) {
                    4004 => {
                        SourceError::Pruned { first: close.reason.split(' ').filter_map(|word| word.parse().ok()).next_back().unwrap_or(0) }
                    }
                    4009 => SourceError::Unknown { at },
                    _ => SourceError::Disconnected(io::Error::other(close.reason.to_string())),
                });
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(message)) => return Ok(message),
            Some(Err(error)) => return Err(away(error)),
            None => return Err(silent()),
        }
    }
}

fn silent() -> SourceError {
    SourceError::Disconnected(io::Error::new(io::ErrorKind::TimedOut, "the node is silent"))
}

fn away(error: tungstenite::Error) -> SourceError {
    SourceError::Disconnected(io::Error::other(error))
}
