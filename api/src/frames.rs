//! What a block says on one stream: frames written once, then dressed for each reader (raw, named, or with its subscription number).
//! Called by `fanout.rs`; the texts themselves are made in `compat::wire` and `native::wire`.

use crate::bars::{self, Interval};
use crate::books::{DepthMove, MarketState};
use crate::{compat, native};
use axum::extract::ws::Utf8Bytes;
use indexer::project::Candle;
use std::sync::Arc;

/// Everything that can be subscribed to. Streams are independent: order between them is that of this type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    Compat(compat::Stream),
    Native(native::Stream),
}

/// What may happen to a frame that waits too long.
#[derive(Clone, Debug)]
pub enum Class {
    /// Delivered, or the socket is closed.
    Lossless,
    /// Only the newest waits.
    Newest,
    /// May be merged with the next differences of the same stream.
    Merge(Arc<DepthMove>),
}

/// The common part of a frame. Native texts begin after the subscription number.
#[derive(Clone, Debug)]
pub struct Body {
    pub channel: &'static str,
    pub text: String,
}

#[derive(Clone, Debug)]
pub struct Frame {
    pub class: Class,
    pub body: Body,
    /// Last seq inside; told when the socket is closed as slow.
    pub seq: u64,
}

/// How a reader wants its frames.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Dress {
    /// The text as it is.
    Raw,
    /// `{"stream":"<name>","data":<text>}`, the name as subscribed.
    Named(Arc<str>),
    /// `{"channel":"<channel>","sub":<number>` and the text.
    Sub(u32),
}

impl Dress {
    pub fn put_on(&self, body: &Body) -> Utf8Bytes {
        match self {
            Dress::Raw => Utf8Bytes::from(body.text.as_str()),
            Dress::Named(name) => Utf8Bytes::from(format!("{{\"stream\":\"{name}\",\"data\":{}}}", body.text)),
            Dress::Sub(sub) => Utf8Bytes::from(format!("{{\"channel\":\"{}\",\"sub\":{sub}{}", body.channel, body.text)),
        }
    }
}

/// What a stream remembers between blocks while somebody listens.
#[derive(Clone, Debug, Default)]
pub struct StreamState {
    /// Of the bar last shown as open.
    pub open_ms: u64,
    /// Time of the block at which a timed stream spoke last.
    pub last_ms: u64,
    /// Seq of the last frame of a value stream.
    pub seq: u64,
    /// Difference not spoken yet, of a timed depth stream.
    pub pending: Option<DepthMove>,
}

/// What a block does to one bar stream: the bar that ended, and the open one if it changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BarMove {
    pub closed: Option<Candle>,
    pub open: Option<Candle>,
}

/// Follows a bar stream to a block. Nothing is said before the market's first trade.
pub fn bar_move(interval: Interval, market: &MarketState, state: &mut StreamState, time_ms: u64, traded: bool) -> BarMove {
    let open_ms = interval.open_ms(time_ms);
    let crossed = state.open_ms != 0 && state.open_ms < open_ms;
    let closed = crossed.then(|| bar_at(interval, market, state.open_ms)).flatten();
    state.open_ms = open_ms;
    let open = (crossed || traded).then(|| bar_at(interval, market, open_ms)).flatten();
    BarMove { closed, open }
}

/// The bar that opens at `open_ms`, flat if nothing was traded in it; `None` before the first trade.
pub fn bar_at(interval: Interval, market: &MarketState, open_ms: u64) -> Option<Candle> {
    let flat = || {
        let close = market.bars.close_before(open_ms)?;
        Some(bars::flat(market.info.market.id, interval, open_ms, close, market.head.last_trade + 1))
    };
    market.bars.at(interval, open_ms).or_else(flat)
}
