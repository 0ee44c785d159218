//! The control methods of `/ws` and `/stream`: SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, SET_PROPERTY, GET_PROPERTY.
//! An acknowledgement is written before the first event it announces; nothing else is sent unasked.

use super::symbol::{Stream, Symbols};
use super::wire;
use crate::error::Error;
use crate::frames::{self, Dress};
use crate::outbox::{Close, Outbox};
use crate::socket::{Session, too_deep};
use crate::state::Shared;
use axum::extract::ws::Utf8Bytes;
use serde_json::{Value, json};
use std::sync::Arc;

const DEPTH_MAX: usize = 32;
const ID_LENGTH_MAX: usize = 36;

/// One socket's subscriptions.
#[derive(Debug)]
pub struct CompatSession {
    streams: Vec<(Arc<str>, Stream)>,
    combined: bool,
}

/// Streams named in a path or query, checked.
#[derive(Debug, Default)]
pub struct Wanted {
    streams: Vec<(Arc<str>, Stream)>,
}

impl Wanted {
    /// Reads `a/b/c`. Any tail that names no stream (no `@`) means none.
    ///
    /// # Errors
    /// -1121 at an unknown stream, -1130 at too many.
    pub fn read(tail: &str, symbols: &Symbols, most: usize) -> Result<Wanted, Error> {
        if !tail.contains('@') && !tail.starts_with('!') {
            return Ok(Wanted::default());
        }
        let mut wanted = Wanted::default();
        for name in tail.split('/').filter(|name| !name.is_empty()) {
            let stream = symbols.stream(name).ok_or_else(Error::unknown_market)?;
            if !wanted.streams.iter().any(|(_, known)| *known == stream) {
                wanted.streams.push((name.into(), stream));
            }
            if wanted.streams.len() > most {
                return Err(Error::bad("streams", "too many"));
            }
        }
        Ok(wanted)
    }
}

/// A refused request; the code is that of the control protocol.
struct Refusal {
    code: i32,
    msg: String,
}

impl Refusal {
    fn invalid(what: impl std::fmt::Display) -> Refusal {
        Refusal { code: 2, msg: format!("Invalid request: {what}") }
    }
}

impl CompatSession {
    pub fn open(wanted: Wanted, combined: bool, shared: &Shared, outbox: &Arc<Outbox>) -> CompatSession {
        let mut session = CompatSession { streams: Vec::new(), combined };
        session.join(wanted.streams, None, shared, outbox);
        session
    }

    fn dress(&self, name: &Arc<str>) -> Dress {
        if self.combined { Dress::Named(name.clone()) } else { Dress::Raw }
    }

    /// Subscribes between two blocks: first the acknowledgement, then the current values.
    fn join(&mut self, streams: Vec<(Arc<str>, Stream)>, ack: Option<String>, shared: &Shared, outbox: &Arc<Outbox>) {
        let mut core = shared.core.write();
        if let Some(ack) = ack {
            outbox.answer(ack);
        }
        let time_ms = core.head.time_ms;
        for (name, stream) in streams {
            if self.streams.iter().any(|(_, known)| *known == stream) {
                continue;
            }
            let dress = self.dress(&name);
            if let Some(text) = wire::current(stream, time_ms, &core.books) {
                let body = frames::Body { channel: "", text };
                outbox.answer(dress.put_on(&body).as_str().to_owned());
            }
            core.fanout.join(frames::Stream::Compat(stream), outbox.clone(), dress, time_ms);
            self.streams.push((name, stream));
        }
    }

    fn subscribe(&mut self, params: &Value, id: &Value, shared: &Shared, outbox: &Arc<Outbox>) -> Result<(), Refusal> {
        let names = names(params)?;
        let most = shared.config.limits.streams_per_socket;
        let mut wanted: Vec<(Arc<str>, Stream)> = Vec::with_capacity(names.len().min(most));
        {
            let core = shared.live().map_err(|error| Refusal { code: error.code, msg: error.message.into_owned() })?;
            for name in names {
                let stream =
                    core.books.symbols.stream(name).ok_or_else(|| Refusal::invalid(format_args!("unknown stream {}", shown(name))))?;
                if !wanted.iter().any(|(_, known)| *known == stream) {
                    wanted.push((name.into(), stream));
                }
            }
        }
        let new = wanted.iter().filter(|(_, stream)| !self.streams.iter().any(|(_, known)| known == stream)).count();
        if self.streams.len() + new > most {
            return Err(Refusal::invalid(format_args!("more than {most} streams")));
        }
        self.join(wanted, Some(done(Value::Null, id)), shared, outbox);
        Ok(())
    }

    fn unsubscribe(&mut self, params: &Value, id: &Value, shared: &Shared, outbox: &Arc<Outbox>) -> Result<(), Refusal> {
        let names = names(params)?;
        let mut core = shared.core.write();
        for name in names {
            let Some(stream) = core.books.symbols.stream(name) else { continue };
            if let Some(at) = self.streams.iter().position(|(_, known)| *known == stream) {
                let (name, stream) = self.streams.swap_remove(at);
                let dress = self.dress(&name);
                core.fanout.leave(frames::Stream::Compat(stream), outbox, &dress);
            }
        }
        outbox.answer(done(Value::Null, id));
        Ok(())
    }

    fn set_property(&mut self, params: &Value, id: &Value, shared: &Shared, outbox: &Arc<Outbox>) -> Result<(), Refusal> {
        let row = params.as_array().ok_or_else(|| Refusal::invalid("params must be an array"))?;
        let (Some("combined"), Some(value)) = (row.first().and_then(Value::as_str), row.get(1)) else {
            return Err(Refusal { code: 0, msg: "Unknown property".to_owned() });
        };
        let Some(combined) = value.as_bool() else {
            return Err(Refusal { code: 1, msg: "Invalid value type: expected Boolean".to_owned() });
        };
        let mut core = shared.core.write();
        let old: Vec<Dress> = self.streams.iter().map(|(name, _)| self.dress(name)).collect();
        self.combined = combined;
        for ((name, stream), old) in self.streams.iter().zip(&old) {
            core.fanout.redress(frames::Stream::Compat(*stream), outbox, old, &self.dress(name));
        }
        outbox.answer(done(Value::Null, id));
        Ok(())
    }

    fn get_property(&self, params: &Value, id: &Value, outbox: &Arc<Outbox>) -> Result<(), Refusal> {
        match params.get(0).and_then(Value::as_str) {
            Some("combined") => {
                outbox.answer(done(Value::Bool(self.combined), id));
                Ok(())
            }
            _ => Err(Refusal { code: 0, msg: "Unknown property".to_owned() }),
        }
    }

    fn answer(&mut self, request: &Value, id: &Value, shared: &Shared, outbox: &Arc<Outbox>) -> Result<(), Refusal> {
        let nothing = Value::Null;
        let params = request.get("params").unwrap_or(&nothing);
        match request.get("method").and_then(Value::as_str) {
            Some("SUBSCRIBE") => self.subscribe(params, id, shared, outbox),
            Some("UNSUBSCRIBE") => self.unsubscribe(params, id, shared, outbox),
            Some("LIST_SUBSCRIPTIONS") => {
                let names: Vec<&str> = self.streams.iter().map(|(name, _)| &**name).collect();
                outbox.answer(done(json!(names), id));
                Ok(())
            }
            Some("SET_PROPERTY") => self.set_property(params, id, shared, outbox),
            Some("GET_PROPERTY") => self.get_property(params, id, outbox),
            Some(other) => Err(Refusal::invalid(format_args!("unknown method {}", shown(other)))),
            None => Err(Refusal::invalid("missing field `method`")),
        }
    }
}

impl Session for CompatSession {
    fn request(&mut self, text: &str, shared: &Shared, outbox: &Arc<Outbox>) -> Result<(), Close> {
        let parsed = if too_deep(text, DEPTH_MAX) {
            Err("nested too deeply".to_owned())
        } else {
            serde_json::from_str(text).map_err(|error| error.to_string())
        };
        let request: Value = match parsed {
            Ok(request) => request,
            Err(error) => {
                outbox.answer(refused(&Refusal { code: 3, msg: format!("Invalid JSON: {error}") }, &Value::Null));
                return Ok(());
            }
        };
        let answered = match id(&request) {
            Ok(id) => self.answer(&request, &id, shared, outbox).map_err(|refusal| refused(&refusal, &id)),
            Err(refusal) => Err(refused(&refusal, &Value::Null)),
        };
        if let Err(text) = answered {
            outbox.answer(text);
        }
        Ok(())
    }

    fn catch_up(&mut self, _: &Shared, _: &Arc<Outbox>) -> Option<Vec<(Utf8Bytes, u64)>> {
        None
    }

    fn end(&mut self, shared: &Shared, outbox: &Arc<Outbox>) {
        if self.streams.is_empty() {
            return;
        }
        let mut core = shared.core.write();
        for (name, stream) in &self.streams {
            core.fanout.leave(frames::Stream::Compat(*stream), outbox, &self.dress(name));
        }
    }
}

/// An int64, a short string, or null.
fn id(request: &Value) -> Result<Value, Refusal> {
    match request {
        Value::Object(fields) => match fields.get("id") {
            None | Some(Value::Null) => Ok(Value::Null),
            Some(Value::String(text)) if text.len() <= ID_LENGTH_MAX => Ok(Value::String(text.clone())),
            Some(number) if number.is_i64() => Ok(number.clone()),
            Some(_) => Err(Refusal::invalid("request ID must be an integer, a string of at most 36 characters or null")),
        },
        _ => Err(Refusal::invalid("expected an object")),
    }
}

fn names(params: &Value) -> Result<Vec<&str>, Refusal> {
    let rows = params.as_array().ok_or_else(|| Refusal::invalid("params must be an array"))?;
    rows.iter().map(|row| row.as_str().ok_or_else(|| Refusal::invalid("a stream is a string"))).collect()
}

fn done(result: Value, id: &Value) -> String {
    format!("{{\"result\":{result},\"id\":{id}}}")
}

fn refused(refusal: &Refusal, id: &Value) -> String {
    format!("{{\"code\":{},\"msg\":{},\"id\":{id}}}", refusal.code, Value::from(refusal.msg.as_str()))
}

/// What a stranger sent, cut to a length fit for an answer.
fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}
