//! A market: two tokens with a fixed tick, lot and fees, and the legal products of its units.

use crate::{BaseAtoms, Lots, MarketId, QuoteAtoms, Ticks, TokenId, abi::field};
use alloy_primitives::U256;

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

impl MarketStatus {
    /// `None` for a code that is no status.
    pub fn from_code(code: u8) -> Option<MarketStatus> {
        Some(match code {
            1 => MarketStatus::Live,
            2 => MarketStatus::PostOnly,
            3 => MarketStatus::CancelOnly,
            4 => MarketStatus::Halted,
            _ => return None,
        })
    }
}

impl Market {
    /// Reads a market's word as the contract stores and logs it: base 0-23, quote 24-47, quotePerLotTick 48-111, basePerLot 112-175,
    /// minLots 176-199, takerFee 200-215, makerFee 216-231 (signed), minTtl 232-239, status 240-247. `None`: the status is none of ours.
    pub fn from_cfg(id: MarketId, cfg: U256) -> Option<Market> {
        Some(Market {
            id,
            base: TokenId(field(cfg, 0, 24) as u32),
            quote: TokenId(field(cfg, 24, 24) as u32),
            quote_atoms_per_lot_tick: field(cfg, 48, 64),
            base_atoms_per_lot: field(cfg, 112, 64),
            lots_min: field(cfg, 176, 24) as u32,
            taker_fee_ppm: field(cfg, 200, 16) as u16,
            maker_fee_ppm: field(cfg, 216, 16) as u16 as i16,
            min_ttl_s: field(cfg, 232, 8) as u8,
            status: MarketStatus::from_code(field(cfg, 240, 8) as u8)?,
        })
    }
    /// The word `from_cfg` reads.
    pub fn cfg(&self) -> U256 {
        U256::from(self.base.0)
            | U256::from(self.quote.0) << 24
            | U256::from(self.quote_atoms_per_lot_tick) << 48
            | U256::from(self.base_atoms_per_lot) << 112
            | U256::from(self.lots_min) << 176
            | U256::from(self.taker_fee_ppm) << 200
            | U256::from(self.maker_fee_ppm as u16) << 216
            | U256::from(self.min_ttl_s) << 232
            | U256::from(self.status as u8) << 240
    }
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
