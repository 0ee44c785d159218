//! What a caller may ask of the exchange: one variant per entry point that changes state. `abi.rs` turns a command into calldata.

use crate::{AccountId, Lots, MarketId, Mode, OrderId, Ticks};
use alloy_primitives::{Address, U256};

/// A wish, with its caller apart (`Engine::apply(caller, command, now)`). Account 0 means the caller's first account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Register {
        salt: u32,
    },
    AddToken {
        token: Address,
    },
    CreateMarket {
        base: Address,
        quote: Address,
        quote_atoms_per_lot_tick: u64,
        base_atoms_per_lot: u64,
        lots_min: u32,
        taker_fee_ppm: u16,
        maker_fee_ppm: i16,
        min_ttl_s: u8,
        status: u8,
    },
    SetStatus {
        market: MarketId,
        status: u8,
    },
    /// `settle` are orders to claim first, of anybody. `token` zero is the native coin, sent as value.
    Deposit {
        account: AccountId,
        token: Address,
        atoms: U256,
        settle: Vec<OrderId>,
    },
    /// `atoms` 2^256 - 1: all that is free.
    Withdraw {
        account: AccountId,
        token: Address,
        atoms: U256,
        to: Address,
        settle: Vec<OrderId>,
    },
    /// `steps_max` 0 means 256. In milestone 1 `expiry_s` must be 0; `client` is an id of the caller's own, 0 none.
    Place {
        account: AccountId,
        market: MarketId,
        mode: Mode,
        ticks: Ticks,
        lots: Lots,
        expiry_s: u32,
        client: u64,
        steps_max: u16,
    },
    Cancel {
        account: AccountId,
        order: OrderId,
    },
    /// Shrinks what is left to at most `left`; 0 cancels.
    Reduce {
        account: AccountId,
        order: OrderId,
        left: Lots,
    },
    /// Pays anybody's orders to their owners; never fails on an id.
    Claim {
        orders: Vec<OrderId>,
    },
}
