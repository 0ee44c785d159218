//! The order book as a value: vocabulary, units, commands, events, the reference [`Engine`] and the follower [`Book`].
//!
//! Everybody who talks about orders imports this crate: the indexer, the api, market makers, benches. It does no I/O,
//! reads no clock, knows no database, no float and no decimal: a price is [`Ticks`], a size is [`Lots`], money is atoms.
//!
//! ```text
//! Command --Engine::apply--> Vec<Event> --Book::replay--> Vec<Fill>      both end in the same book
//!    |  abi::calldata           ^ abi::decode_log
//!    v                          |
//!  transaction --the exchange contract--> logs
//! ```

pub mod abi;
mod book;
mod command;
mod engine;
mod event;
pub mod keys;
pub mod ledger;
pub mod maker;
mod market;
pub mod operation;
mod order;
mod reject;
pub mod scenario;
pub mod signed;
mod units;

pub use abi::AbiError;
pub use book::{Book, DepthLevel, LevelWord, Order, Record, ReplayError};
pub use command::Command;
pub use engine::Engine;
pub use event::{Event, Fill, ReduceReason, TakenReason};
pub use market::{Market, MarketStatus};
pub use operation::Operation;
pub use order::{AccountId, LevelKey, MarketId, Mode, OrderId, SelfTrade, Side, TimeInForce, TokenId};
pub use reject::Reject;
pub use units::{Atoms, BaseAtoms, Lots, QuoteAtoms, Ticks};
