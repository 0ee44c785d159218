//! The engine obeys the scenarios, and every law that ties engine, follower and a naive matcher together.
//!
//! Random streams print their seed; `HIFI_SEED` sets it, `HIFI_OPS` the number of commands.

#[path = "law/abi.rs"]
mod abi;
#[path = "law/corpus.rs"]
mod corpus;
#[path = "law/expiry.rs"]
mod expiry;
#[path = "law/maker.rs"]
mod maker;
#[path = "law/random.rs"]
mod random;
#[path = "law/stream.rs"]
mod stream;
