//! A published block as every reader sees it.

use crate::execute::ExecutionTrace;
use crate::tx::Tx;
use alloy_consensus::{Header, ReceiptEnvelope};
use alloy_primitives::B256;
use std::sync::Arc;

/// A durable, executed block. Immutable; shared by reference between all readers.
#[derive(Clone, Debug)]
pub struct Block {
    pub header: Header,
    pub hash: B256,
    /// Unix milliseconds; `header.timestamp` is this divided by 1,000.
    pub time_ms: u64,
    /// Transactions with their senders, in block order.
    pub txs: Vec<Arc<Tx>>,
    /// One per transaction.
    pub receipts: Vec<ReceiptEnvelope>,
    /// How it was executed; `None` when read back from disk.
    pub trace: Option<Arc<ExecutionTrace>>,
    /// Bytes of its record in the log: the unit in which readers and the ring are bounded.
    pub encoded_bytes: usize,
}

impl Block {
    /// Its place in the log.
    pub fn cursor(&self) -> Cursor {
        Cursor { block: self.header.number, hash: self.hash }
    }

    /// Gas used by transaction `index` alone.
    ///
    /// # Panics
    /// If `index` is not below the number of transactions.
    pub fn gas_used(&self, index: usize) -> u64 {
        let before = if index == 0 { 0 } else { self.receipts[index - 1].cumulative_gas_used() };
        self.receipts[index].cumulative_gas_used() - before
    }

    /// Block-wide index of the first log of transaction `index`.
    pub fn first_log(&self, index: usize) -> u64 {
        self.receipts[..index].iter().map(|receipt| receipt.logs().len() as u64).sum()
    }
}

/// The last block a reader has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    pub block: u64,
    pub hash: B256,
}

/// Where a transaction was included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxLocation {
    pub block: u64,
    pub index: u32,
}
