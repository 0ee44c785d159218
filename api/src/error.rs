//! Who sees what: an [`Error`] is the answer to a caller, with a stable code shared by both surfaces; [`StartError`] is told to the
//! person who starts the program. Causes of our own are logged, never shown.

use std::borrow::Cow;

/// A refusal, as a caller sees it. `compat()` and `native()` print it in the two formats.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code} {message}")]
pub struct Error {
    /// HTTP status where there is one.
    pub status: u16,
    pub code: i32,
    /// Stable snake-case name, native only.
    pub reason: &'static str,
    pub message: Cow<'static, str>,
}

impl Error {
    const fn plain(status: u16, code: i32, reason: &'static str, message: &'static str) -> Error {
        Error { status, code, reason, message: Cow::Borrowed(message) }
    }
    fn said(status: u16, code: i32, reason: &'static str, message: String) -> Error {
        Error { status, code, reason, message: Cow::Owned(message) }
    }
    /// Ours; the cause is in the log.
    pub fn internal() -> Error {
        Error::plain(500, -1000, "internal", "An unknown error occurred while processing the request.")
    }
    /// Starting, rebuilding, or without its history.
    pub fn busy(what: &'static str) -> Error {
        Error::plain(503, -1008, "busy", what)
    }
    pub fn too_many_requests() -> Error {
        Error::plain(429, -1003, "too_many_requests", "Too many requests.")
    }
    /// The address went on after 429.
    pub fn banned() -> Error {
        Error::plain(418, -1003, "too_many_requests", "Too many requests; this address is refused until its minute is over.")
    }
    pub fn unknown_market() -> Error {
        Error::plain(400, -1121, "unknown_market", "Invalid symbol.")
    }
    pub fn unknown_market_below(highest: u32) -> Error {
        Error::said(400, -1121, "unknown_market", format!("highest is {highest}"))
    }
    pub fn unknown_interval() -> Error {
        Error::plain(400, -1120, "unknown_interval", "Invalid interval.")
    }
    pub fn missing(name: &str) -> Error {
        Error::said(400, -1102, "missing_parameter", format!("Mandatory parameter '{name}' was not sent, was empty/null, or malformed."))
    }
    pub fn illegal(name: &str) -> Error {
        Error::said(400, -1100, "illegal_parameter", format!("Illegal characters found in parameter '{name}'."))
    }
    /// In form, but not in range.
    pub fn bad(name: &str, allowed: &str) -> Error {
        Error::said(400, -1130, "bad_parameter", format!("Data sent for parameter '{name}' is not valid: {allowed}."))
    }
    pub fn malformed(what: &'static str) -> Error {
        Error::plain(400, -1100, "malformed", what)
    }
    pub fn no_route() -> Error {
        Error::plain(404, -1100, "no_route", "There is no such path.")
    }
    pub fn bad_method() -> Error {
        Error::plain(405, -1100, "bad_method", "This path does not take that method.")
    }
    pub fn too_long() -> Error {
        Error::plain(414, -1100, "too_long", "The path is too long.")
    }
    pub fn too_large() -> Error {
        Error::plain(413, -1100, "too_large", "The body is too large.")
    }
    pub fn block_not_there() -> Error {
        Error::plain(503, -4102, "block_not_there", "The block asked for by min_block is not there yet.")
    }
    pub fn not_held(first_seq: u64) -> Error {
        Error::said(410, -4100, "not_held", format!("first seq held is {first_seq}"))
    }
    pub fn no_upstream() -> Error {
        Error::plain(502, -1008, "no_node", "The node does not answer.")
    }

    /// `{"code":-1121,"msg":".."}`
    pub fn compat(&self) -> String {
        serde_json::json!({"code": self.code, "msg": self.message}).to_string()
    }
    /// `{"code":-1121,"reason":"unknown_market","message":".."}`
    pub fn native(&self) -> String {
        serde_json::json!({"code": self.code, "reason": self.reason, "message": self.message}).to_string()
    }
}

/// Why the api could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {addr}: {cause}")]
    Listen { addr: std::net::SocketAddr, cause: std::io::Error },
    #[error("bad --rpc-url {url}: {what}")]
    RpcUrl { url: String, what: String },
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}
