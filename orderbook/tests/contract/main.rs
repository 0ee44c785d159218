//! The contract does what the engine does: results, errors, events and every word of storage, on the committed artifact in an EVM.
//!
//! `HIFI_OPS=10000000 HIFI_THREADS=2 cargo test --release -p orderbook --test contract random -- --nocapture` is the long run; `HIFI_SEED`
//! repeats one.

mod corpus;
mod draw;
mod evm;
mod random;
