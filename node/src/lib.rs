//! A chain node: JSON-RPC in, durable Ethereum blocks out.
//!
//! ```text
//! rpc ──Tx──▶ mempool ──Pooled──▶ build ──Candidate──▶ execute ──Executed──▶ commit ──Committed──▶ publish ──Arc<Block>──▶ readers
//! ```
//! Each stage takes the left type by value and returns the right one. The node knows no order book: the exchange is genesis bytes.

pub mod build;
pub mod commit;
pub mod error;
pub mod execute;
pub mod genesis;
pub mod mempool;
pub mod publish;
pub mod state;
pub mod store;
pub mod sync;
pub mod trie;
pub mod tx;
