//! Names of things: markets, accounts, tokens, sides, levels, orders, and the mode byte of a place.
//! The packing is that of the contract (`Keys.sol`): level = market << 32 | side << 24 | tick, order = level << 40 | index.

use crate::Ticks;
use alloy_primitives::{Address, U256, keccak256};
use serde::{Deserialize, Serialize};

/// A market, numbered from 1 in order of creation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MarketId(pub u32);

/// A trader's ledger on the exchange; 0 is none, 1 the fee collector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountId(pub u32);

impl AccountId {
    /// The number that `register(salt)` takes for an owner: 256 + keccak256(owner, salt) mod (2^31 - 256). No counter is behind it.
    pub fn numbered(owner: Address, salt: u32) -> AccountId {
        let mut preimage = [0u8; 64];
        preimage[12..32].copy_from_slice(owner.as_slice());
        preimage[60..].copy_from_slice(&salt.to_be_bytes());
        let number: U256 = U256::from_be_bytes(keccak256(preimage).0) % U256::from((1_u32 << 31) - 256);
        AccountId(256 + number.to::<u32>())
    }
}

/// A token, 0 none, 1 the native coin, then dense; 24 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenId(pub u32);

/// Which side of the book an order stands on (its own side, also for a taker).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Side {
    Bid = 0,
    Ask = 1,
}

impl Side {
    pub fn opposite(self) -> Side {
        match self {
            Side::Bid => Side::Ask,
            Side::Ask => Side::Bid,
        }
    }
}

/// What may become of the part of an order that does not fill at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum TimeInForce {
    /// Take what crosses, rest the remainder.
    Gtc = 0,
    /// Rest, or be refused with `WouldCross`.
    PostOnly = 1,
    /// Move to one tick from the best instead of crossing.
    Slide = 2,
    /// Take what crosses, drop the remainder.
    Ioc = 3,
    /// Fill completely or be refused with `NotFilled`.
    Fok = 4,
}

/// What happens when a taker would meet an order of its own account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum SelfTrade {
    /// They trade.
    #[default]
    None = 0,
    /// Taking ends.
    CancelTaker = 1,
    /// The resting order goes home, taking goes on.
    CancelMaker = 2,
    /// The resting order goes home, taking ends.
    CancelBoth = 3,
    /// Both shrink by the smaller one; that is no fill.
    Decrement = 4,
}

/// The mode byte of a place: bit 0 side, bits 1-3 time in force, bits 4-6 self-trade mode, bit 7 track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mode(pub u8);

impl Mode {
    /// Self-trade mode NONE, not tracked.
    pub fn new(side: Side, tif: TimeInForce) -> Mode {
        Mode(side as u8 | (tif as u8) << 1)
    }
    /// With another self-trade mode.
    pub fn with_self_trade(self, rule: SelfTrade) -> Mode {
        Mode(self.0 & !(7 << 4) | (rule as u8) << 4)
    }
    /// Found again by its client id.
    pub fn with_track(self) -> Mode {
        Mode(self.0 | 1 << 7)
    }
    /// `None` for the three values above 4, which the exchange refuses with `BadMode`.
    pub fn self_trade(self) -> Option<SelfTrade> {
        match self.0 >> 4 & 7 {
            0 => Some(SelfTrade::None),
            1 => Some(SelfTrade::CancelTaker),
            2 => Some(SelfTrade::CancelMaker),
            3 => Some(SelfTrade::CancelBoth),
            4 => Some(SelfTrade::Decrement),
            _ => None,
        }
    }
    /// Whether the exchange remembers the order by its client id.
    pub fn tracked(self) -> bool {
        self.0 >> 7 == 1
    }
    pub fn side(self) -> Side {
        if self.0 & 1 == 0 { Side::Bid } else { Side::Ask }
    }
    /// `None` for the three values above 4, which the exchange refuses with `BadMode`.
    pub fn tif(self) -> Option<TimeInForce> {
        match self.0 >> 1 & 7 {
            0 => Some(TimeInForce::Gtc),
            1 => Some(TimeInForce::PostOnly),
            2 => Some(TimeInForce::Slide),
            3 => Some(TimeInForce::Ioc),
            4 => Some(TimeInForce::Fok),
            _ => None,
        }
    }
}

/// All orders of one market and side at one price, in queue order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LevelKey {
    pub market: MarketId,
    pub side: Side,
    pub ticks: Ticks,
}

impl LevelKey {
    /// market << 32 | side << 24 | tick.
    pub fn packed(self) -> u64 {
        (self.market.0 as u64) << 32 | (self.side as u64) << 24 | self.ticks.0 as u64
    }
    /// `None` if bits 25-31 or bits above 63 of the packed form are not those of a level.
    pub fn unpacked(packed: u64) -> Option<LevelKey> {
        let side = match packed >> 24 & 0xff {
            0 => Side::Bid,
            1 => Side::Ask,
            _ => return None,
        };
        Some(LevelKey { market: MarketId((packed >> 32) as u32), side, ticks: Ticks((packed & 0xff_ffff) as u32) })
    }
}

/// An order: its level and its index in the level's queue (40 bits, never reused).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId {
    pub level: LevelKey,
    pub index: u64,
}

impl OrderId {
    /// level << 40 | index; 104 bits.
    pub fn packed(self) -> u128 {
        (self.level.packed() as u128) << 40 | self.index as u128
    }
    /// `None` if the number is no order id.
    pub fn unpacked(packed: u128) -> Option<OrderId> {
        if packed >> 104 != 0 {
            return None;
        }
        Some(OrderId { level: LevelKey::unpacked((packed >> 40) as u64)?, index: (packed & ((1 << 40) - 1)) as u64 })
    }
}

/// Decimal, as in JSON.
impl std::fmt::Display for OrderId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.packed().fmt(f)
    }
}
