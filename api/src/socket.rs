//! One task per websocket: reads requests, writes what waits in the outbox, pings, and ends the socket with the right code.
//! What a request means is the session's business (`compat::ws`, `native::ws`). A reader that stalls holds up only itself.

use crate::error::Error;
use crate::limit::{Bucket, Peer};
use crate::outbox::{Close, Outbox, POLICY, RATE, SHUTDOWN, SLOW, TOO_BIG};
use crate::state::Shared;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use futures_util::SinkExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Bytes handed to the connection before each flush.
const CHUNK: usize = 256 << 10;
/// How long a write may last.
const WRITE_TIME: Duration = Duration::from_secs(2);
/// How long a close may take to get through to a slow reader.
const LINGER: Duration = Duration::from_secs(3);

/// What a socket's requests mean.
pub trait Session: Send + 'static {
    /// Answers a text frame through the outbox.
    ///
    /// # Errors
    /// Why the socket must end.
    fn request(&mut self, text: &str, shared: &Shared, outbox: &Arc<Outbox>) -> Result<(), Close>;
    /// The next messages of subscriptions that catch up, with their seqs; `None`: nothing is left to catch up with.
    fn catch_up(&mut self, shared: &Shared, outbox: &Arc<Outbox>) -> Option<Vec<(Utf8Bytes, u64)>>;
    /// Gives up all subscriptions.
    fn end(&mut self, shared: &Shared, outbox: &Arc<Outbox>);
}

/// Turns a request into a websocket with our bounds.
pub fn upgrade<S: Session>(
    shared: Arc<Shared>,
    open: Open,
    ws: WebSocketUpgrade,
    session: impl FnOnce(&Shared, &Arc<Outbox>) -> S + Send + 'static,
) -> Response {
    let bytes = shared.config.limits.frame_bytes;
    let ws = ws.max_frame_size(bytes).max_message_size(bytes).write_buffer_size(64 << 10);
    ws.on_upgrade(move |socket| async move {
        let outbox = Outbox::new(shared.socket_ids.fetch_add(1, Ordering::Relaxed), &shared.config.limits, shared.totals.clone());
        let session = session(&shared, &outbox);
        run(socket, &shared, outbox, session).await;
        drop(open);
    })
}

/// Counts a socket while it lives; also gives it back if the upgrade fails.
pub struct Open {
    shared: Arc<Shared>,
    peer: Peer,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.sockets.fetch_sub(1, Ordering::Relaxed);
        self.shared.limiter.closed(self.peer);
    }
}

/// Charges a new socket to its peer and to the whole.
///
/// # Errors
/// -1003 over the peer's limits, -1008 over that of all.
pub fn admit(shared: &Arc<Shared>, peer: Peer) -> Result<Open, Error> {
    if shared.sockets.fetch_add(1, Ordering::Relaxed) >= shared.config.limits.sockets {
        shared.sockets.fetch_sub(1, Ordering::Relaxed);
        return Err(Error::busy("Too many websockets."));
    }
    match shared.limiter.opened(peer, Instant::now()) {
        Ok(()) => Ok(Open { shared: shared.clone(), peer }),
        Err(error) => {
            shared.sockets.fetch_sub(1, Ordering::Relaxed);
            Err(error)
        }
    }
}

async fn run<S: Session>(mut socket: WebSocket, shared: &Shared, outbox: Arc<Outbox>, mut session: S) {
    let close = serve(&mut socket, shared, &outbox, &mut session).await;
    session.end(shared, &outbox);
    if let Some(close) = close {
        let close = if close.code == SLOW { outbox.slow_now() } else { close };
        tracing::debug!(socket = outbox.id, code = close.code, reason = close.reason, "websocket ends");
        let frame = Message::Close(Some(CloseFrame { code: close.code, reason: close.reason.into() }));
        let farewell = async {
            let _ = socket.send(frame).await;
            // Read on until the other side has closed too, so that the code is not lost with unread bytes.
            while let Some(Ok(_)) = socket.recv().await {}
        };
        let _ = tokio::time::timeout(LINGER, farewell).await;
    }
}

/// Until the socket ends. `None`: the other side is gone already.
async fn serve<S: Session>(socket: &mut WebSocket, shared: &Shared, outbox: &Arc<Outbox>, session: &mut S) -> Option<Close> {
    let limits = &shared.config.limits;
    let mut bucket = Bucket::new(limits, Instant::now());
    let mut ping = tokio::time::interval_at(tokio::time::Instant::now() + limits.ping_every, limits.ping_every);
    ping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    let mut behind = false;
    loop {
        tokio::select! {
            message = socket.recv() => {
                heard = Instant::now();
                match message? {
                    Ok(Message::Text(text)) => {
                        if !bucket.take(heard) {
                            return Some(Close::new(RATE, "too many requests"));
                        }
                        if let Err(close) = session.request(text.as_str(), shared, outbox) {
                            return Some(close);
                        }
                        behind = true;
                    }
                    Ok(Message::Binary(_)) => return Some(Close::new(POLICY, "text frames only")),
                    Ok(Message::Ping(_)) => {
                        // The pong is queued by the library and leaves with this flush.
                        if let Err(end) = written(socket.flush()).await {
                            return end.close(outbox);
                        }
                    }
                    Ok(Message::Pong(_)) => {}
                    Ok(Message::Close(_)) => return None,
                    Err(error) => return broken(error),
                }
            }
            () = outbox.woken() => {}
            () = std::future::ready(()), if behind => {}
            _ = ping.tick() => {
                if heard.elapsed() > limits.ping_every * 3 {
                    return Some(Close::new(POLICY, "silent"));
                }
                if let Err(end) = written(socket.send(Message::Ping(Default::default()))).await {
                    return end.close(outbox);
                }
            }
            () = shared.shutdown.cancelled() => return Some(Close::new(SHUTDOWN, "shutdown")),
        }
        // One chunk of what waits and one of what is caught up with, then look at the requests again.
        let more = match outbox.take(CHUNK) {
            Ok((items, more)) => {
                for item in items {
                    let seq = item.seq();
                    if let Err(end) = write(socket, outbox, item.texts().into_iter().map(|text| (text, seq))).await {
                        return end.close(outbox);
                    }
                }
                more
            }
            Err(close) => return Some(close),
        };
        let missed = if behind { session.catch_up(shared, outbox) } else { None };
        behind = missed.is_some() || more;
        if let Err(end) = write(socket, outbox, missed.into_iter().flatten()).await {
            return end.close(outbox);
        }
        if let Err(end) = written(socket.flush()).await {
            return end.close(outbox);
        }
    }
}

/// Why a write did not succeed.
enum End {
    /// It lasted too long.
    Slow,
    /// The connection is no more.
    Gone,
}

impl End {
    fn close(self, outbox: &Outbox) -> Option<Close> {
        match self {
            End::Slow => Some(outbox.slow()),
            End::Gone => None,
        }
    }
}

/// Hands messages to the connection.
async fn write(socket: &mut WebSocket, outbox: &Outbox, messages: impl Iterator<Item = (Utf8Bytes, u64)>) -> Result<(), End> {
    for (text, seq) in messages {
        written(socket.feed(Message::Text(text))).await?;
        outbox.wrote(seq);
    }
    Ok(())
}

async fn written<E>(write: impl Future<Output = Result<(), E>>) -> Result<(), End> {
    match tokio::time::timeout(WRITE_TIME, write).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Gone),
        Err(_) => Err(End::Slow),
    }
}

/// What a broken frame means.
fn broken(error: axum::Error) -> Option<Close> {
    let text = error.to_string();
    // The library says "Space limit exceeded: Message too long: .."; its error type is not public through axum.
    if text.contains("too long") || text.contains("too big") || text.contains("limit exceeded") {
        Some(Close::new(TOO_BIG, "a frame is too big"))
    } else if text.contains("utf-8") || text.contains("UTF-8") || text.contains("protocol") {
        Some(Close::new(POLICY, "malformed frame"))
    } else {
        None
    }
}

/// True if JSON is nested deeper than `most`; brackets inside strings do not count. Linear, allocates nothing.
pub fn too_deep(text: &str, most: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > most {
                    return true;
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}
