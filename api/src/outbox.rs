//! What waits for one socket: a bounded queue with a slot per value stream and merged depth differences.
//!
//! ```text
//! fanout --push--> [ text | slot | difference | snapshot to print ] --take--> the socket's task
//! ```
//! The sequencer pushes and never waits; a reader that is too slow is closed with 4008 and the last seq written to it.

use crate::books::DepthMove;
use crate::config::Limits;
use crate::frames::{Body, Class, Dress, Frame, Stream};
use axum::extract::ws::Utf8Bytes;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Close codes of all websockets.
pub const SHUTDOWN: u16 = 1001;
pub const POLICY: u16 = 1008;
pub const TOO_BIG: u16 = 1009;
pub const REBUILT: u16 = 1011;
pub const SLOW: u16 = 4008;
pub const RATE: u16 = 4029;

/// Why the server ends a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    pub code: u16,
    /// At most 123 bytes, as the protocol demands.
    pub reason: String,
}

impl Close {
    pub fn new(code: u16, reason: impl Into<String>) -> Close {
        Close { code, reason: reason.into() }
    }
}

/// Prints a (merged) difference.
pub type Print = fn(&DepthMove) -> Body;
/// A snapshot printed by the socket's own task, after the lock is gone.
pub type Lazy = Box<dyn FnOnce() -> Vec<Utf8Bytes> + Send>;

/// One waiting message, or several not printed yet.
pub enum Item {
    Text { text: Utf8Bytes, seq: u64, lossless: bool },
    Merged { depth: Box<DepthMove>, print: Print, dress: Dress },
    Lazy(Lazy),
}

impl Item {
    fn bytes(&self) -> usize {
        match self {
            Item::Text { text, .. } => text.len(),
            Item::Merged { depth, .. } => 256 + 48 * (depth.bids.len() + depth.asks.len()),
            Item::Lazy(_) => 0,
        }
    }
    /// Last seq inside; 0 if unknown.
    pub fn seq(&self) -> u64 {
        match self {
            Item::Text { seq, .. } => *seq,
            Item::Merged { depth, .. } => depth.u,
            Item::Lazy(_) => 0,
        }
    }
    /// The messages, in order.
    pub fn texts(self) -> Vec<Utf8Bytes> {
        match self {
            Item::Text { text, .. } => vec![text],
            Item::Merged { depth, print, dress } => vec![dress.put_on(&print(&depth))],
            Item::Lazy(print) => print(),
        }
    }
}

struct Waiting {
    item: Item,
    since: Instant,
    /// The difference a text was printed from, for merging.
    depth: Option<(Arc<DepthMove>, Print, Dress)>,
}

#[derive(Default)]
struct Inner {
    queue: VecDeque<Waiting>,
    /// Position of the queue's front, counted from the start.
    base: u64,
    bytes: usize,
    /// Position of the newest waiting frame of a stream that is conflated or merged.
    places: HashMap<(Stream, Dress), u64>,
    close: Option<Close>,
    /// Since when the queue has held something lossless without a pause.
    dirty: bool,
}

/// Counters of all outboxes of an api.
#[derive(Debug, Default)]
pub struct Totals {
    pub bytes: AtomicUsize,
    pub messages: AtomicU64,
    pub merged: AtomicU64,
    pub conflated: AtomicU64,
    pub closed: AtomicU64,
}

/// The queue of one socket.
pub struct Outbox {
    pub id: u64,
    inner: Mutex<Inner>,
    wake: Notify,
    /// Seq of the last message handed to the connection.
    written: AtomicU64,
    bytes_max: usize,
    merge_bytes: usize,
    age_max: Duration,
    totals: Arc<Totals>,
}

impl Outbox {
    pub fn new(id: u64, limits: &Limits, totals: Arc<Totals>) -> Arc<Outbox> {
        Arc::new(Outbox {
            id,
            inner: Mutex::new(Inner::default()),
            wake: Notify::new(),
            written: AtomicU64::new(0),
            bytes_max: limits.outbox_bytes,
            merge_bytes: limits.merge_bytes,
            age_max: limits.outbox_age,
            totals,
        })
    }

    /// Adds a frame of a stream. Returns true if the socket's task should be woken for it. `now` is read once a block.
    pub fn push(&self, stream: Stream, dress: &Dress, text: &Utf8Bytes, frame: &Frame, print: Print, now: Instant) -> bool {
        let mut inner = self.inner.lock();
        if inner.close.is_some() {
            return false;
        }
        match &frame.class {
            Class::Lossless => {
                self.append(&mut inner, Item::Text { text: text.clone(), seq: frame.seq, lossless: true }, now, None);
                self.check(&mut inner, now);
            }
            Class::Newest => self.conflate(&mut inner, (stream, dress.clone()), text, frame.seq, now),
            Class::Merge(depth) => {
                self.merge(&mut inner, (stream, dress.clone()), text, depth, print, now);
                self.check(&mut inner, now);
            }
        }
        !std::mem::replace(&mut inner.dirty, true)
    }

    /// Adds an answer: lossless, woken at once.
    pub fn answer(&self, text: String) {
        let mut inner = self.inner.lock();
        if inner.close.is_none() {
            let now = Instant::now();
            let seq = 0;
            self.append(&mut inner, Item::Text { text: Utf8Bytes::from(text), seq, lossless: true }, now, None);
            self.check(&mut inner, now);
        }
        drop(inner);
        self.wake();
    }

    /// Adds a snapshot; it counts for no limit, as the reader asked for it.
    pub fn snapshot(&self, print: Lazy) {
        let mut inner = self.inner.lock();
        if inner.close.is_none() {
            self.append(&mut inner, Item::Lazy(print), Instant::now(), None);
        }
        drop(inner);
        self.wake();
    }

    /// Ends the socket after what is being written now.
    pub fn close(&self, close: Close) {
        let mut inner = self.inner.lock();
        self.end(&mut inner, close);
        drop(inner);
        self.wake();
    }

    pub fn wake(&self) {
        self.wake.notify_one();
    }

    pub async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Takes waiting items up to about `bytes`, and whether more wait; or why to end.
    pub fn take(&self, bytes: usize) -> Result<(Vec<Item>, bool), Close> {
        let mut inner = self.inner.lock();
        if let Some(close) = &inner.close {
            return Err(close.clone());
        }
        let (mut taken, mut sum) = (Vec::new(), 0);
        while sum < bytes {
            let Some(waiting) = inner.queue.pop_front() else { break };
            inner.base += 1;
            sum += waiting.item.bytes();
            taken.push(waiting.item);
        }
        inner.bytes -= sum;
        self.totals.bytes.fetch_sub(sum, Ordering::Relaxed);
        if inner.queue.is_empty() {
            inner.places.clear();
            inner.dirty = false;
        }
        let more = !inner.queue.is_empty();
        Ok((taken, more))
    }

    /// Notes what was handed to the connection.
    pub fn wrote(&self, seq: u64) {
        self.totals.messages.fetch_add(1, Ordering::Relaxed);
        if seq > 0 {
            self.written.store(seq, Ordering::Relaxed);
        }
    }

    /// The close of a reader that does not keep up.
    pub fn slow(&self) -> Close {
        self.totals.closed.fetch_add(1, Ordering::Relaxed);
        self.slow_now()
    }

    /// The same, once more: a chunk that was being written when the reader was judged has gone out since.
    pub fn slow_now(&self) -> Close {
        Close::new(SLOW, format!("slow seq={}", self.written.load(Ordering::Relaxed)))
    }

    pub fn bytes(&self) -> usize {
        self.inner.lock().bytes
    }

    fn append(&self, inner: &mut Inner, item: Item, now: Instant, depth: Option<(Arc<DepthMove>, Print, Dress)>) -> u64 {
        let bytes = item.bytes();
        inner.bytes += bytes;
        self.totals.bytes.fetch_add(bytes, Ordering::Relaxed);
        inner.queue.push_back(Waiting { item, since: now, depth });
        inner.base + inner.queue.len() as u64 - 1
    }

    fn conflate(&self, inner: &mut Inner, key: (Stream, Dress), text: &Utf8Bytes, seq: u64, now: Instant) {
        let item = Item::Text { text: text.clone(), seq, lossless: false };
        match waiting_at(inner, &key) {
            Some(at) => {
                self.replace(inner, at, item);
                self.totals.conflated.fetch_add(1, Ordering::Relaxed);
            }
            None => {
                let place = self.append(inner, item, now, None);
                inner.places.insert(key, place);
            }
        }
    }

    fn merge(&self, inner: &mut Inner, key: (Stream, Dress), text: &Utf8Bytes, depth: &Arc<DepthMove>, print: Print, now: Instant) {
        let at = waiting_at(inner, &key).filter(|_| inner.bytes > self.merge_bytes);
        let Some(at) = at else {
            let origin = (depth.clone(), print, key.1.clone());
            let place = self.append(inner, Item::Text { text: text.clone(), seq: depth.u, lossless: false }, now, Some(origin));
            inner.places.insert(key, place);
            return;
        };
        let waiting = &mut inner.queue[at];
        let before = waiting.item.bytes();
        if let Some((first, print, dress)) = waiting.depth.take() {
            waiting.item = Item::Merged { depth: Box::new(DepthMove::clone(&first)), print, dress };
        }
        if let Item::Merged { depth: merged, .. } = &mut waiting.item {
            merged.merge(depth);
        }
        let after = waiting.item.bytes();
        self.recount(inner, before, after);
        self.totals.merged.fetch_add(1, Ordering::Relaxed);
    }

    fn replace(&self, inner: &mut Inner, at: usize, item: Item) {
        let after = item.bytes();
        let before = std::mem::replace(&mut inner.queue[at].item, item).bytes();
        self.recount(inner, before, after);
    }

    fn recount(&self, inner: &mut Inner, before: usize, after: usize) {
        inner.bytes = inner.bytes + after - before;
        if after >= before {
            self.totals.bytes.fetch_add(after - before, Ordering::Relaxed);
        } else {
            self.totals.bytes.fetch_sub(before - after, Ordering::Relaxed);
        }
    }

    /// The slow rule: too many bytes, or something lossless waits too long. Snapshots in front do not count against their reader.
    fn check(&self, inner: &mut Inner, now: Instant) {
        let oldest = inner.queue.front().filter(|waiting| matches!(waiting.item, Item::Text { lossless: true, .. }));
        let too_old = oldest.is_some_and(|waiting| now.saturating_duration_since(waiting.since) > self.age_max);
        if inner.bytes > self.bytes_max || too_old {
            let close = self.slow();
            self.end(inner, close);
        }
    }

    fn end(&self, inner: &mut Inner, close: Close) {
        if inner.close.is_none() {
            inner.close = Some(close);
            self.totals.bytes.fetch_sub(inner.bytes, Ordering::Relaxed);
            inner.bytes = 0;
            inner.queue.clear();
            inner.places.clear();
            self.wake();
        }
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.totals.bytes.fetch_sub(self.inner.get_mut().bytes, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Outbox({})", self.id)
    }
}

/// Index in the queue of the stream's newest waiting frame.
fn waiting_at(inner: &Inner, key: &(Stream, Dress)) -> Option<usize> {
    let place = inner.places.get(key)?;
    usize::try_from(place.checked_sub(inner.base)?).ok()
}
