//! In which class a transaction queues. Within a class the order is always `ready_seq`; within a sender it is the nonce.
//! Asked by the pool once, when a transaction becomes executable. The binary may inject its own; it sees the transaction only.

use crate::tx::Tx;

/// Sorts transactions into classes; lower classes run first.
pub trait OrderingPolicy: Send + Sync + std::fmt::Debug {
    /// The class of this transaction.
    fn class(&self, tx: &Tx) -> u8;
}

/// One class for all: first come, first served. The default: sold priority would break the time rule of an order book.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fifo;

impl OrderingPolicy for Fifo {
    fn class(&self, _: &Tx) -> u8 {
        0
    }
}

/// Higher tips first, by powers of two; for comparisons with chains that sell priority.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tip;

impl OrderingPolicy for Tip {
    fn class(&self, tx: &Tx) -> u8 {
        // 128 leading zeros for a tip of 0, so it sorts last.
        tx.tip_cap().leading_zeros() as u8
    }
}
