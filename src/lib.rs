//! hifi, "High-Fidelity DeFi": the wiring of node, indexer and api into one program, and what drives it: demo, replay, bench.
//! The only crate that knows all the others. What examples and end-to-end tests need is public here.

pub mod bench;
pub mod cli;
pub mod client;
pub mod config;
pub mod demo;
pub mod desk;
pub mod genesis;
pub mod markets;
pub mod replay;
pub mod sender;
pub mod shutdown;
pub mod source;
pub mod telemetry;
pub mod trader;
pub mod up;
