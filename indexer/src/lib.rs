//! Follows a node's block log, turns exchange logs into events, keeps history in Postgres and hands every block on at once.
//!
//! ```text
//! Source --Block--> decode --Vec<Event>--> project::State --Update--> feed (ring in memory) --> api, live
//!                                                                       \--> store (Postgres: rows and cursor in one transaction)
//! ```
//! Never writes to the chain; live data never waits for Postgres; every stored byte is a function of the chain.

pub mod postgres;
pub mod project;
pub mod source;

pub use project::{Candle, Changes, MarketHead, Record, Update};
pub use source::{Block, Cursor, Source, SourceError};
