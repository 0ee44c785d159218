//! Who gets what: the register of subscriptions, and the one loop that hands a block's frames to every outbox.
//! Lives inside the core's lock, so that a subscription always begins between two blocks. Never waits for a reader.

use crate::books::Books;
use crate::frames::{Dress, Stream, StreamState};
use crate::outbox::{Close, Outbox, Print, Totals};
use crate::sequencer::Applied;
use crate::{compat, native};
use axum::extract::ws::Utf8Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

#[derive(Debug)]
struct Listener {
    outbox: Arc<Outbox>,
    dress: Dress,
}

#[derive(Debug, Default)]
struct Entry {
    state: StreamState,
    listeners: Vec<Listener>,
}

/// All live subscriptions by stream.
#[derive(Debug, Default)]
pub struct Fanout {
    streams: BTreeMap<Stream, Entry>,
}

impl Fanout {
    /// From the next block on, the outbox gets the stream. `time_ms` is that of the newest block.
    pub fn join(&mut self, stream: Stream, outbox: Arc<Outbox>, dress: Dress, time_ms: u64) {
        let entry = self.streams.entry(stream).or_insert_with(|| Entry { state: state_at(stream, time_ms), listeners: Vec::new() });
        entry.listeners.push(Listener { outbox, dress });
    }

    pub fn leave(&mut self, stream: Stream, outbox: &Outbox, dress: &Dress) {
        if let Some(entry) = self.streams.get_mut(&stream) {
            entry.listeners.retain(|listener| listener.outbox.id != outbox.id || listener.dress != *dress);
            if entry.listeners.is_empty() {
                self.streams.remove(&stream);
            }
        }
    }

    /// Changes how a socket's compat streams are dressed.
    pub fn redress(&mut self, stream: Stream, outbox: &Outbox, old: &Dress, new: &Dress) {
        let listeners = self.streams.get_mut(&stream).into_iter().flat_map(|entry| &mut entry.listeners);
        for listener in listeners.filter(|listener| listener.outbox.id == outbox.id && listener.dress == *old) {
            listener.dress = new.clone();
        }
    }

    /// Writes each stream's frames of a block once and hands them over.
    pub fn publish(&mut self, block: &Applied, books: &Books, totals: &Totals, bytes_all: usize) {
        let now = Instant::now();
        let mut wake: Vec<Arc<Outbox>> = Vec::new();
        for (stream, entry) in &mut self.streams {
            let (frames, print): (_, Print) = match stream {
                Stream::Compat(stream) => (compat::wire::frames(*stream, &mut entry.state, block, books), compat::wire::depth_update),
                Stream::Native(stream) => (native::wire::frames(*stream, &mut entry.state, block, books), native::wire::depth_update),
            };
            for frame in &frames {
                let mut texts: Vec<(Dress, Utf8Bytes)> = Vec::with_capacity(1);
                // The first in line rotates, so that nobody is always last.
                let first = (block.head.number % entry.listeners.len().max(1) as u64) as usize;
                let (late, early) = entry.listeners.split_at(first);
                for listener in early.iter().chain(late) {
                    let text = match texts.iter().find(|(dress, _)| *dress == listener.dress) {
                        Some((_, text)) => text.clone(),
                        None => {
                            let text = listener.dress.put_on(&frame.body);
                            texts.push((listener.dress.clone(), text.clone()));
                            text
                        }
                    };
                    if listener.outbox.push(*stream, &listener.dress, &text, frame, print, now) {
                        wake.push(listener.outbox.clone());
                    }
                }
            }
        }
        for outbox in &wake {
            outbox.wake();
        }
        while totals.bytes.load(Ordering::Relaxed) > bytes_all {
            let all = self.streams.values().flat_map(|entry| &entry.listeners);
            match all.max_by_key(|listener| listener.outbox.bytes()) {
                Some(fullest) if fullest.outbox.bytes() > 0 => fullest.outbox.close(fullest.outbox.slow()),
                _ => break,
            }
        }
    }

    /// Ends every socket that listens to something.
    pub fn close_all(&mut self, close: &Close) {
        for listener in self.streams.values().flat_map(|entry| &entry.listeners) {
            listener.outbox.close(close.clone());
        }
        self.streams.clear();
    }
}

fn state_at(stream: Stream, time_ms: u64) -> StreamState {
    let interval = match stream {
        Stream::Compat(stream) => stream.interval(),
        Stream::Native(stream) => stream.interval(),
    };
    StreamState { open_ms: interval.map_or(0, |interval| interval.open_ms(time_ms)), last_ms: time_ms, ..StreamState::default() }
}
