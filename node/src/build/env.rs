//! The header rules: what the next block's fields are, given its parent and the time. Pure.

use alloy_consensus::Header;
use alloy_eips::eip1559::{BaseFeeParams, calc_next_block_base_fee};
use alloy_primitives::{Address, B256, Bytes, keccak256};

use crate::execute::Executed;
use crate::publish::Block;

/// Gas limits move by less than this part of the parent's (Ethereum's rule).
const GAS_LIMIT_BOUND_DIVISOR: u64 = 1_024;

/// What a block needs of its parent; known before the parent has a root or a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Height.
    pub number: u64,
    /// Unix milliseconds.
    pub time_ms: u64,
    /// Gas limit.
    pub gas_limit: u64,
    /// Gas used by its transactions.
    pub gas_used: u64,
    /// Wei per gas.
    pub base_fee: u64,
}

impl From<&Block> for Parent {
    fn from(block: &Block) -> Self {
        let Header { number, gas_limit, gas_used, base_fee_per_gas, .. } = block.header;
        Self { number, time_ms: block.time_ms, gas_limit, gas_used, base_fee: base_fee_per_gas.unwrap_or_default() }
    }
}

impl From<&Executed> for Parent {
    fn from(executed: &Executed) -> Self {
        let Executed { number, time_ms, gas_limit, gas_used, base_fee, .. } = *executed;
        Self { number, time_ms, gas_limit, gas_used, base_fee }
    }
}

/// The constants of a chain and of this node that headers depend on.
#[derive(Clone, Copy, Debug)]
pub struct HeaderRules {
    pub chain_id: u64,
    /// Where the gas limit moves to.
    pub gas_limit_target: u64,
    /// Wei per gas.
    pub base_fee_floor: u64,
    /// Whether blocks may share a second.
    pub sub_second: bool,
    /// Receiver of the tips.
    pub beneficiary: Address,
}

/// Every field of a candidate but its transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Env {
    pub number: u64,
    pub time_ms: u64,
    pub gas_limit: u64,
    pub base_fee: u64,
    pub beneficiary: Address,
    pub mix_hash: B256,
    pub extra_data: Bytes,
}

impl HeaderRules {
    /// The next block's fields at `now_ms`. Time never goes back, whatever the clock does.
    pub fn next(&self, parent: &Parent, now_ms: u64) -> Env {
        let number = parent.number + 1;
        let earliest = if self.sub_second { parent.time_ms + 1 } else { (parent.time_ms / 1_000 + 1) * 1_000 };
        let time_ms = now_ms.max(earliest);
        Env {
            number,
            time_ms,
            gas_limit: self.gas_limit(parent.gas_limit),
            base_fee: self.base_fee(parent),
            beneficiary: self.beneficiary,
            mix_hash: mix_hash(self.chain_id, number),
            extra_data: extra_data(time_ms),
        }
    }

    /// EIP-1559 (8, 2), never below the floor.
    pub fn base_fee(&self, parent: &Parent) -> u64 {
        let params = BaseFeeParams::ethereum();
        calc_next_block_base_fee(parent.gas_used, parent.gas_limit, parent.base_fee, params).max(self.base_fee_floor)
    }

    fn gas_limit(&self, parent: u64) -> u64 {
        let step = (parent / GAS_LIMIT_BOUND_DIVISOR).saturating_sub(1);
        self.gas_limit_target.clamp(parent.saturating_sub(step), parent.saturating_add(step))
    }
}

/// `"hifi"`, version 1, 0, and the millisecond within the second, big-endian: the block hash covers the time that feeds carry.
fn extra_data(time_ms: u64) -> Bytes {
    let [high, low] = ((time_ms % 1_000) as u16).to_be_bytes();
    Bytes::copy_from_slice(&[b'h', b'i', b'f', b'i', 1, 0, high, low])
}

/// keccak256("hifi" ++ chain id ++ number): needs no parent hash; predictable, and documented as such.
fn mix_hash(chain_id: u64, number: u64) -> B256 {
    let mut bytes = [0u8; 20];
    bytes[..4].copy_from_slice(b"hifi");
    bytes[4..12].copy_from_slice(&chain_id.to_be_bytes());
    bytes[12..].copy_from_slice(&number.to_be_bytes());
    keccak256(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: HeaderRules = HeaderRules {
        chain_id: 4434,
        gas_limit_target: 300_000_000,
        base_fee_floor: 1_000_000,
        sub_second: true,
        beneficiary: Address::ZERO,
    };
    const PARENT: Parent = Parent { number: 7, time_ms: 10_500, gas_limit: 300_000_000, gas_used: 0, base_fee: 1_000_000 };

    #[test]
    fn time_never_goes_back() {
        assert_eq!(RULES.next(&PARENT, 10_600).time_ms, 10_600);
        assert_eq!(RULES.next(&PARENT, 3).time_ms, 10_501);
        let whole = HeaderRules { sub_second: false, ..RULES };
        assert_eq!(whole.next(&PARENT, 10_600).time_ms, 11_000);
    }

    #[test]
    fn the_millisecond_is_in_the_hash() {
        assert_eq!(RULES.next(&PARENT, 10_999).extra_data.as_ref(), b"hifi\x01\x00\x03\xe7");
    }

    #[test]
    fn base_fee_rests_on_its_floor_and_rises_above_half() {
        assert_eq!(RULES.base_fee(&PARENT), 1_000_000);
        assert_eq!(RULES.base_fee(&Parent { gas_used: 300_000_000, ..PARENT }), 1_125_000);
        assert_eq!(RULES.base_fee(&Parent { base_fee: 1_125_000, ..PARENT }), 1_000_000);
    }

    #[test]
    fn the_gas_limit_moves_by_less_than_a_1024th() {
        let next = RULES.next(&Parent { gas_limit: 30_000_000, ..PARENT }, 0).gas_limit;
        assert!(next > 30_000_000 && next - 30_000_000 < 30_000_000 / 1_024);
        assert_eq!(RULES.next(&PARENT, 0).gas_limit, 300_000_000);
    }
}
