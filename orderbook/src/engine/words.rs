//! The engine's state as the contract's words of storage: what the differential tests and verification compare.

use super::{Engine, NATIVE};
use crate::{AccountId, LevelKey, OrderId, Side, TokenId, keys::Base};
use alloy_primitives::{Address, U256};

impl Engine {
    /// The word at `key` of a base, as the contract stores it; 0 where nothing is.
    pub fn word(&self, base: Base, key: U256) -> U256 {
        let low = key.as_limbs()[0];
        match base {
            Base::Owner => U256::from_be_slice(self.owner.as_slice()),
            Base::Guardian => U256::from_be_slice(self.guardian.as_slice()),
            Base::FeeManager => U256::from_be_slice(self.fee_manager.as_slice()),
            Base::Counts => {
                let newest = if self.tokens.is_empty() { 0 } else { NATIVE.0 as u64 + self.tokens.len() as u64 };
                U256::from(self.books.len() as u64 | newest << 32)
            }
            Base::TokenOf => U256::from(self.token_of.get(&address(key)).map_or(0, |token| token.0)),
            Base::Tokens => {
                let listed = low.checked_sub(NATIVE.0 as u64 + 1).and_then(|at| self.tokens.get(at as usize));
                listed.map_or(U256::ZERO, |(at, decimals)| U256::from_be_slice(at.as_slice()) | U256::from(*decimals) << 160)
            }
            Base::AccountOf => U256::from(self.account_of.get(&address(key)).map_or(0, |account| account.0)),
            Base::Account => self.accounts.get(&AccountId(low as u32)).map_or(U256::ZERO, |account| account.word()),
            Base::Balance => self.balances.get(AccountId((low >> 24) as u32), TokenId((low & 0xff_ffff) as u32)).word(),
            Base::Config => self.book(crate::MarketId(low as u32)).map_or(U256::ZERO, |book| book.market().cfg()),
            Base::Bits => self.bits_word(key),
            Base::Level => {
                let Some(level) = LevelKey::unpacked(low) else { return U256::ZERO };
                self.book(level.market).map_or(U256::ZERO, |book| book.level_word(level).to_word())
            }
            Base::Order => {
                let Some(half) = u128::try_from(key).ok().and_then(OrderId::unpacked) else { return U256::ZERO };
                self.book(half.level.market).map_or(U256::ZERO, |book| book.order_word(half.level, half.index))
            }
            Base::Agents => {
                let shifted: U256 = key >> 160;
                let Ok(account) = u32::try_from(shifted) else { return U256::ZERO };
                self.agents.get(&(AccountId(account), address(key))).copied().unwrap_or_default()
            }
            Base::Nonces => {
                let Ok(key) = u128::try_from(key) else { return U256::ZERO };
                self.nonces_word(AccountId((key >> 56) as u32), key as u64 & ((1 << 56) - 1))
            }
            Base::Clients => {
                let Ok(key) = u128::try_from(key) else { return U256::ZERO };
                self.client_word(AccountId((key >> 64) as u32), key as u64)
            }
        }
    }

    fn bits_word(&self, key: U256) -> U256 {
        let Ok(key) = u128::try_from(key) else { return U256::ZERO };
        let side = if key >> 36 & 1 == 0 { Side::Bid } else { Side::Ask };
        let Some(book) = self.book(crate::MarketId((key >> 40) as u32)) else { return U256::ZERO };
        book.bits_word(side, (key >> 32 & 15) as u8, key as u32)
    }
}

fn address(key: U256) -> Address {
    Address::from_slice(&key.to_be_bytes::<32>()[12..])
}
