//! Where the exchange keeps each word: base numbers, keys and slots (slot = keccak256(key, base), 32 bytes each).
//! Called by readers that compare a book with the chain (`hifi index verify`, the contract tests). Never reads a chain.

use crate::{AccountId, LevelKey, MarketId, OrderId, Side, Ticks, TokenId};
use alloy_primitives::{Address, B256, U256, keccak256};

/// A mapping or single word of the exchange, by its slot number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Base {
    /// Single words: their slot is the number itself.
    Owner = 0,
    Guardian = 1,
    FeeManager = 2,
    /// Markets 0-31, tokens 32-55: how many were ever numbered.
    Counts = 3,
    /// address -> token.
    TokenOf = 4,
    /// token -> address 0-159, decimals 160-167.
    Tokens = 5,
    /// address -> its first account.
    AccountOf = 6,
    /// account -> owner 0-159, tier 160-163, deadman 176-215 (s).
    Account = 7,
    /// account << 24 | token -> free 0-127, feeDue 128-239, rested 240.
    Balance = 8,
    /// market -> its parameters (`Market::cfg`).
    Config = 9,
    /// market << 40 | side << 36 | depth << 32 | word -> 256 bits of the bitmap tree.
    Bits = 10,
    /// level -> level word.
    Level = 11,
    /// level << 40 | index >> 1 -> two records of 128 bits, even index low.
    Order = 12,
    /// account << 160 | address -> an agent's rights: expiry 0-39 (s), perms 40-55, cap 56-151 (quote atoms), three markets 152-247.
    Agents = 13,
    /// account << 56 | nonce >> 8 -> 256 bits, set: used.
    Nonces = 14,
    /// account << 64 | client id -> bit 255: order id 0-103; bit 254: cancelled ahead until 0-39 (s).
    Clients = 15,
}

impl Base {
    pub const ALL: [Base; 16] = [
        Base::Owner,
        Base::Guardian,
        Base::FeeManager,
        Base::Counts,
        Base::TokenOf,
        Base::Tokens,
        Base::AccountOf,
        Base::Account,
        Base::Balance,
        Base::Config,
        Base::Bits,
        Base::Level,
        Base::Order,
        Base::Agents,
        Base::Nonces,
        Base::Clients,
    ];

    /// Storage slot of `key`; single words ignore the key.
    pub fn slot(self, key: U256) -> B256 {
        if (self as u8) < Base::TokenOf as u8 {
            return B256::from(U256::from(self as u8));
        }
        let mut preimage = [0u8; 64];
        preimage[..32].copy_from_slice(&key.to_be_bytes::<32>());
        preimage[63] = self as u8;
        keccak256(preimage)
    }
}

/// Key of a balance word.
pub fn balance(account: AccountId, token: TokenId) -> U256 {
    U256::from((account.0 as u64) << 24 | token.0 as u64)
}

/// Key of a level word.
pub fn level(level: LevelKey) -> U256 {
    U256::from(level.packed())
}

/// Key of the word that holds the order's record (shared with its neighbour).
pub fn order(order: OrderId) -> U256 {
    U256::from((order.level.packed() as u128) << 40 | (order.index >> 1) as u128)
}

/// Key of an agent's word of rights.
pub fn agent(account: AccountId, agent: Address) -> U256 {
    U256::from(account.0) << 160 | U256::from_be_slice(agent.as_slice())
}

/// Key of the word with a nonce's bit, `nonce & 255`.
pub fn nonces(account: AccountId, nonce: u64) -> U256 {
    U256::from((account.0 as u128) << 56 | (nonce >> 8) as u128)
}

/// Key of a client id's word.
pub fn client(account: AccountId, client: u64) -> U256 {
    U256::from((account.0 as u128) << 64 | client as u128)
}

/// Key of a word of the bitmap tree; depth 2 is the leaf.
pub fn bits(market: MarketId, side: Side, depth: u8, word: u32) -> U256 {
    U256::from((market.0 as u128) << 40 | (side as u128) << 36 | (depth as u128) << 32 | word as u128)
}

/// The three words of the bitmap tree above a price: leaf, branch, root.
pub fn bits_of(market: MarketId, side: Side, ticks: Ticks) -> [U256; 3] {
    [bits(market, side, 2, ticks.0 >> 8), bits(market, side, 1, ticks.0 >> 16), bits(market, side, 0, 0)]
}
