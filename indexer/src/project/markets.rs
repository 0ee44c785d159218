//! One market as the projection keeps it, and its book hash: a keccak chain that two servers, or a server and a replay, compare.

use super::{Bars, MarketHead, Ticker};
use alloy_primitives::{B256, keccak256};
use orderbook::{Book, LevelKey, Lots, Market, OrderId, ReduceReason, Ticks};

/// A market after a block.
#[derive(Clone, Debug)]
pub struct MarketState {
    pub market: Market,
    pub head: MarketHead,
    pub book: Book,
    pub bars: Bars,
    pub ticker: Ticker,
}

impl MarketState {
    /// As its `MarketCreated` log with this `seq` leaves it.
    pub(super) fn created(market: Market, seq: u64) -> MarketState {
        let head = MarketHead {
            market: market.id,
            status: market.status,
            last_u: seq,
            last_trade: 0,
            last_agg: 0,
            last_ticks: Ticks(0),
            book_hash: B256::ZERO,
        };
        MarketState { head, book: Book::new(market.clone()), market, bars: Bars::default(), ticker: Ticker::default() }
    }
}

/// The placed, reduced and fill records of one market and block, 48 bytes each, little-endian as in the binary records of the api:
/// `kind u8, side u8, flags u16, market u32, index u64, ticks i64, lots u64, left u64, log u32, tx_index u32`.
#[derive(Debug, Default)]
pub(super) struct BookRecords(Vec<u8>);

/// Where a record stands.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub log: u32,
    pub tx: u32,
}

impl BookRecords {
    pub fn placed(&mut self, place: Place, order: OrderId, lots: Lots) {
        self.push(1, 0, place, order.level, order.index, lots, Lots(0));
    }

    pub fn reduced(&mut self, place: Place, order: OrderId, removed: Lots, left: Lots, reason: ReduceReason) {
        self.push(2, reason as u16, place, order.level, order.index, removed, left);
    }

    pub fn fill(&mut self, place: Place, order: OrderId, lots: Lots, left: Lots) {
        self.push(3, 0, place, order.level, order.index, lots, left);
    }

    fn push(&mut self, kind: u8, flags: u16, place: Place, level: LevelKey, index: u64, lots: Lots, left: Lots) {
        let bytes = &mut self.0;
        bytes.extend_from_slice(&[kind, level.side as u8]);
        bytes.extend_from_slice(&flags.to_le_bytes());
        bytes.extend_from_slice(&level.market.0.to_le_bytes());
        bytes.extend_from_slice(&index.to_le_bytes());
        bytes.extend_from_slice(&(level.ticks.0 as i64).to_le_bytes());
        bytes.extend_from_slice(&lots.0.to_le_bytes());
        bytes.extend_from_slice(&left.0.to_le_bytes());
        bytes.extend_from_slice(&place.log.to_le_bytes());
        bytes.extend_from_slice(&place.tx.to_le_bytes());
    }

    /// keccak256(previous || block u64 LE || records).
    pub fn chain(&self, previous: B256, block: u64) -> B256 {
        let mut bytes = Vec::with_capacity(40 + self.0.len());
        bytes.extend_from_slice(previous.as_slice());
        bytes.extend_from_slice(&block.to_le_bytes());
        bytes.extend_from_slice(&self.0);
        keccak256(bytes)
    }
}
