//! hifi's own surface: block, commit stage, order-by-order book with owners, resume from any seq, checksums.
//! Knows only what the sequencer's core holds; knows nothing of `compat`.

pub mod rest;
pub mod wire;
pub mod ws;

pub use wire::Stream;
