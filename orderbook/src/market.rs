//! A market: two tokens with a fixed tick, lot and fees, and the legal products of its units.

use crate::{BaseAtoms, Lots, MarketId, QuoteAtoms, Ticks, TokenId};

/// All of it but the status is fixed at creation (`MarketCreated`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Market {
    pub id: MarketId,
    pub base: TokenId,
    pub quote: TokenId,
    /// Quote atoms that one lot costs per tick of price; at least 1.
    pub quote_atoms_per_lot_tick: u64,
    /// Base atoms in one lot; at least 1.
    pub base_atoms_per_lot: u64,
    /// Smallest order that may be placed, in lots; 24 bits, at least 1.
    pub lots_min: u32,
    /// Taker fee in millionths of the quote atoms; 0 ..= 10,000.
    pub taker_fee_ppm: u16,
    /// Maker fee in millionths; negative is a rebate; -taker_fee_ppm ..= 10,000.
    pub maker_fee_ppm: i16,
    /// Least time to live of an order with an expiry, in seconds.
    pub min_ttl_s: u8,
    pub status: MarketStatus,
}

/// What the exchange accepts in a market.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum MarketStatus {
    Live = 1,
    PostOnly = 2,
    CancelOnly = 3,
    Halted = 4,
}

impl Market {
    /// What `lots` cost at `ticks`: lots x ticks x quote_atoms_per_lot_tick. At most 2^47 x 2^24 x 2^64 > 2^128 in theory;
    /// panics on overflow, which a market whose vault is bounded by 2^112 atoms cannot reach.
    pub fn quote_atoms(&self, ticks: Ticks, lots: Lots) -> QuoteAtoms {
        let per_lot = ticks.0 as u128 * self.quote_atoms_per_lot_tick as u128;
        QuoteAtoms(per_lot.checked_mul(lots.0 as u128).expect("a vault holds less than 2^112 atoms"))
    }
    /// lots x base_atoms_per_lot; at most 2^111.
    pub fn base_atoms(&self, lots: Lots) -> BaseAtoms {
        BaseAtoms(lots.0 as u128 * self.base_atoms_per_lot as u128)
    }
}
