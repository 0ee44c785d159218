//! The Binance Spot wire format, because unmodified trading clients speak it. Names in here are that format's, not ours.
//! Knows only what the sequencer's core holds; knows nothing of `native`.

pub mod rest;
pub mod symbol;
pub mod wire;
pub mod ws;

pub use symbol::Stream;
