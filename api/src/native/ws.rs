//! The requests of `/v1/ws`: `sub`, `unsub`, `list`, `ping`. A subscription is a cursor: it begins at a snapshot cut between two blocks,
//! or at `from`; then the socket's own task sends the missed blocks from the ring and joins the live stream between two blocks.

use super::wire::{self, Stream};
use crate::bars::Interval;
use crate::error::Error;
use crate::frames::{self, Dress};
use crate::outbox::{Close, Outbox};
use crate::sequencer::Core;
use crate::socket::{Session, too_deep};
use crate::state::Shared;
use axum::extract::ws::Utf8Bytes;
use orderbook::MarketId;
use serde_json::{Value, json};
use std::sync::Arc;

const DEPTH_MAX: usize = 32;
/// Blocks sent again in one step of the socket's task.
const CATCH_UP_BLOCKS: usize = 32;
/// Numbers in requests stay exact in every client.
const SAFE_MAX: u64 = 1 << 53;

#[derive(Debug)]
struct Sub {
    number: u32,
    stream: Stream,
    /// Catching up: the first seq wanted, and the next block to look at.
    behind: Option<Behind>,
}

#[derive(Clone, Copy, Debug)]
struct Behind {
    from: u64,
    block: u64,
}

/// One socket's subscriptions.
#[derive(Debug, Default)]
pub struct NativeSession {
    subs: Vec<Sub>,
    last: u32,
}

impl NativeSession {
    fn answer(&mut self, request: &Value, shared: &Shared, outbox: &Arc<Outbox>) -> Result<(), Error> {
        let id = request_id(request)?;
        match request.get("op").and_then(Value::as_str) {
            Some("sub") => self.subscribe(request, &id, shared, outbox),
            Some("unsub") => {
                let number = number(request, "sub")?.ok_or_else(|| Error::missing("sub"))?;
                let at = self
                    .subs
                    .iter()
                    .position(|sub| sub.number as u64 == number)
                    .ok_or_else(|| Error::bad("sub", "no such subscription"))?;
                let sub = self.subs.swap_remove(at);
                let mut core = shared.core.write();
                core.fanout.leave(frames::Stream::Native(sub.stream), outbox, &Dress::Sub(sub.number));
                outbox.answer(ok(&id, "sub", json!(number)));
                Ok(())
            }
            Some("list") => {
                outbox.answer(ok(&id, "subs", Value::Array(self.subs.iter().map(listed).collect())));
                Ok(())
            }
            Some("ping") => {
                let t = request.get("t").filter(|t| t.is_number() || t.is_null()).cloned().unwrap_or_default();
                let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                let block = shared.core.read().head.number;
                outbox.answer(format!("{{\"op\":\"pong\",\"id\":{id},\"t\":{t},\"now_us\":{},\"block\":{block}}}", now.as_micros()));
                Ok(())
            }
            Some(_) => Err(Error::bad("op", "sub, unsub, list, ping")),
            None => Err(Error::missing("op")),
        }
    }

    fn subscribe(&mut self, request: &Value, id: &Value, shared: &Shared, outbox: &Arc<Outbox>) -> Result<(), Error> {
        if self.subs.len() >= shared.config.limits.streams_per_socket {
            return Err(Error::bad("sub", "too many subscriptions"));
        }
        let from = number(request, "from")?;
        match request.get("commit") {
            None => {}
            Some(Value::String(stage)) if stage == "executed" => {}
            Some(_) => return Err(Error::bad("commit", "executed")),
        }
        let mut core = shared.core.write();
        if !core.live {
            return Err(Error::busy("The books are being loaded."));
        }
        let stream = stream_of(request, &core)?;
        let behind = match from.filter(|_| stream.resumable()) {
            Some(from) => {
                let block = from >> 20;
                if core.held_from(block, 0).is_none() {
                    return Err(Error::not_held(core.ring_from() << 20));
                }
                Some(Behind { from, block })
            }
            None => None,
        };
        self.last += 1;
        let number = self.last;
        outbox.answer(ok(id, "sub", json!(number)));
        match behind {
            Some(behind) => outbox.answer(Dress::Sub(number).put_on(&wire::resumed(stream, behind.from)).as_str().to_owned()),
            None => {
                snapshot(stream, number, &core, outbox);
                core.join(stream, number, outbox);
            }
        }
        self.subs.push(Sub { number, stream, behind });
        Ok(())
    }
}

impl Core {
    fn join(&mut self, stream: Stream, number: u32, outbox: &Arc<Outbox>) {
        let time_ms = self.head.time_ms;
        self.fanout.join(frames::Stream::Native(stream), outbox.clone(), Dress::Sub(number), time_ms);
    }
}

impl Session for NativeSession {
    fn request(&mut self, text: &str, shared: &Shared, outbox: &Arc<Outbox>) -> Result<(), Close> {
        let parsed = if too_deep(text, DEPTH_MAX) { None } else { serde_json::from_str::<Value>(text).ok() };
        let (id, answered) = match parsed {
            Some(request) => (request_id(&request).unwrap_or_default(), self.answer(&request, shared, outbox)),
            None => (Value::Null, Err(Error::malformed("The frame is no JSON, or nested too deeply."))),
        };
        if let Err(error) = answered {
            outbox.answer(refused(&error, &id));
        }
        Ok(())
    }

    fn catch_up(&mut self, shared: &Shared, outbox: &Arc<Outbox>) -> Option<Vec<(Utf8Bytes, u64)>> {
        let at = self.subs.iter().position(|sub| sub.behind.is_some())?;
        let sub = &mut self.subs[at];
        let behind = sub.behind.as_mut()?;
        let (blocks, names) = {
            let core = shared.core.read();
            (core.held_from(behind.block, CATCH_UP_BLOCKS), core.books.owners.clone())
        };
        let Some(mut blocks) = blocks else {
            // The ring moved on faster than this reader reads.
            let first = shared.core.read().ring_from() << 20;
            let error = Error::not_held(first);
            outbox.answer(format!(
                "{{\"op\":\"error\",\"id\":null,\"sub\":{},\"code\":{},\"reason\":\"{}\",\"message\":{}}}",
                sub.number,
                error.code,
                error.reason,
                Value::from(&*error.message)
            ));
            self.subs.swap_remove(at);
            return Some(Vec::new());
        };
        if blocks.len() < CATCH_UP_BLOCKS {
            // Nearly there: the rest and the joining happen between two blocks.
            let mut core = shared.core.write();
            let rest = core.held_from(behind.block, usize::MAX);
            if let Some(rest) = rest.filter(|rest| rest.len() <= CATCH_UP_BLOCKS * 2) {
                blocks = rest;
                core.join(sub.stream, sub.number, outbox);
                let last = *behind;
                sub.behind = None;
                drop(core);
                return Some(again(&blocks, sub, last.from, &names));
            }
            return Some(Vec::new());
        }
        behind.block += blocks.len() as u64;
        let from = behind.from;
        Some(again(&blocks, sub, from, &names))
    }

    fn end(&mut self, shared: &Shared, outbox: &Arc<Outbox>) {
        if self.subs.is_empty() {
            return;
        }
        let mut core = shared.core.write();
        for sub in &self.subs {
            core.fanout.leave(frames::Stream::Native(sub.stream), outbox, &Dress::Sub(sub.number));
        }
    }
}

/// A subscription's messages of some blocks, from a seq on.
fn again(blocks: &[Arc<crate::sequencer::Applied>], sub: &Sub, from: u64, names: &crate::books::Owners) -> Vec<(Utf8Bytes, u64)> {
    let names = names.read();
    let missed = blocks.iter().filter_map(|block| wire::again(sub.stream, block, &names));
    missed.filter(|frame| frame.seq >= from).map(|frame| (Dress::Sub(sub.number).put_on(&frame.body), frame.seq)).collect()
}

/// Queues what a new subscription sees first; books are printed by the socket's task.
fn snapshot(stream: Stream, number: u32, core: &Core, outbox: &Arc<Outbox>) {
    let dress = Dress::Sub(number);
    let head = core.head();
    match stream {
        Stream::Blocks { .. } | Stream::Trades { .. } => {}
        Stream::Depth { market } => {
            let Some(copy) = core.books.market(market).map(|market| market.depth(usize::MAX)) else { return };
            outbox.snapshot(Box::new(move || vec![dress.put_on(&wire::depth_snapshot(&copy, head))]));
        }
        Stream::Book { market } => {
            let Some(known) = core.books.market(market) else { return };
            let (orders, seq, names) = (wire::shown_orders(known), known.book_seq, core.books.owners.clone());
            outbox.snapshot(Box::new(move || {
                let parts = wire::book_snapshot(market, seq, head, &orders, &names.read());
                parts.iter().map(|part| dress.put_on(part)).collect()
            }));
        }
        Stream::Candles { market, interval } => {
            let body = core.books.market(market).and_then(|known| wire::candle_snapshot(known, interval, head, core.seq));
            outbox.snapshot(Box::new(move || body.iter().map(|body| dress.put_on(body)).collect()));
        }
        Stream::Ticker { market } => {
            let body = core.books.market(market).and_then(|known| wire::ticker_snapshot(known, head, core.seq));
            outbox.snapshot(Box::new(move || body.iter().map(|body| dress.put_on(body)).collect()));
        }
    }
}

fn stream_of(request: &Value, core: &Core) -> Result<Stream, Error> {
    let market = match number(request, "market")? {
        None => None,
        Some(wanted) => Some(core.known(u32::try_from(wanted).unwrap_or(u32::MAX))?.info.market.id),
    };
    let one = |market: Option<MarketId>| market.ok_or_else(|| Error::missing("market"));
    match request.get("channel").and_then(Value::as_str) {
        Some("blocks") => {
            let records = match request.get("records") {
                None => true,
                Some(Value::Bool(records)) => *records,
                Some(_) => return Err(Error::bad("records", "true or false")),
            };
            Ok(Stream::Blocks { market, records })
        }
        Some("trades") => Ok(Stream::Trades { market }),
        Some("depth") => Ok(Stream::Depth { market: one(market)? }),
        Some("book") => Ok(Stream::Book { market: one(market)? }),
        Some("candles") => {
            let interval = request.get("interval").and_then(Value::as_str).ok_or_else(|| Error::missing("interval"))?;
            Ok(Stream::Candles { market: one(market)?, interval: Interval::named(interval).ok_or_else(Error::unknown_interval)? })
        }
        Some("ticker") => Ok(Stream::Ticker { market: one(market)? }),
        Some(_) => Err(Error::bad("channel", "blocks, depth, book, trades, candles, ticker")),
        None => Err(Error::missing("channel")),
    }
}

fn listed(sub: &Sub) -> Value {
    let mut row = json!({"sub": sub.number, "channel": sub.stream.channel()});
    if let Some(market) = sub.stream.market() {
        row["market"] = json!(market.0);
    }
    if let Some(interval) = sub.stream.interval() {
        row["interval"] = json!(interval.name());
    }
    row
}

/// Null, a number or a short string.
fn request_id(request: &Value) -> Result<Value, Error> {
    match request.as_object().ok_or_else(|| Error::malformed("A request is an object."))?.get("id") {
        None => Ok(Value::Null),
        Some(Value::String(text)) if text.len() <= 64 => Ok(Value::String(text.clone())),
        Some(id) if id.is_null() || id.is_i64() || id.is_u64() => Ok(id.clone()),
        Some(_) => Err(Error::bad("id", "a whole number, a string of at most 64 characters or null")),
    }
}

/// A whole number below 2^53, if the field is there.
fn number(request: &Value, name: &str) -> Result<Option<u64>, Error> {
    match request.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64().filter(|number| *number < SAFE_MAX) {
            Some(number) => Ok(Some(number)),
            None => Err(Error::bad(name, "a whole number below 2^53")),
        },
    }
}

fn ok(id: &Value, name: &str, value: Value) -> String {
    format!("{{\"op\":\"ok\",\"id\":{id},\"{name}\":{value}}}")
}

fn refused(error: &Error, id: &Value) -> String {
    let message = Value::from(&*error.message);
    format!("{{\"op\":\"error\",\"id\":{id},\"code\":{},\"reason\":\"{}\",\"message\":{message}}}", error.code, error.reason)
}
