//! Where blocks come from: a [`Source`] yields published (durable, final) blocks after a cursor, in order.
//! The root package implements it over the node's block log in process; a remote stream is another implementation.
//! A source never skips a block and never waits for its reader.

mod frame;
mod stream;

pub use stream::StreamSource;

use alloy_primitives::{Address, B256, Bytes};
use std::sync::Arc;

/// The last block a consumer has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    pub block: u64,
    pub hash: B256,
}

/// An executed, durable block as far as readers of the exchange need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub number: u64,
    pub hash: B256,
    pub parent: B256,
    /// Unix milliseconds from the header alone (seconds plus the ms bytes of `extraData`); strictly rising.
    pub time_ms: u64,
    /// Wei per gas.
    pub base_fee: u64,
    pub gas_used: u64,
    pub txs: Vec<Tx>,
}

/// A transaction as executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tx {
    pub hash: B256,
    pub sender: Address,
    /// `None` for a creation.
    pub to: Option<Address>,
    pub nonce: u64,
    /// Receipt status 1.
    pub ok: bool,
    pub gas_used: u64,
    pub logs: Vec<Log>,
}

/// A log with its block-wide index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    pub index: u32,
    pub address: Address,
    pub topics: Vec<B256>,
    pub data: Bytes,
}

/// Blocks after a cursor. Implementations answer from their own durable log; they keep blocks from `release`'s cursor on.
pub trait Source: Send {
    /// The newest published block.
    fn head(&mut self) -> impl Future<Output = Result<Cursor, SourceError>> + Send;
    /// At least one block, in order, at most about `max_bytes`; waits at the head.
    fn next(&mut self, after: Cursor, max_bytes: usize) -> impl Future<Output = Result<Vec<Arc<Block>>, SourceError>> + Send;
    /// The source may forget blocks up to here.
    fn release(&mut self, upto: Cursor);
}

/// Why a source could not answer.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("the block log starts at {first}: use a node that has the blocks before it")]
    Pruned { first: u64 },
    #[error("block {} with hash {} is not of this chain", at.block, at.hash)]
    Unknown { at: Cursor },
    #[error("the node is not reachable: {0}")]
    Disconnected(#[from] std::io::Error),
    #[error("block {block} is malformed: {what}")]
    Malformed { block: u64, what: &'static str },
}
