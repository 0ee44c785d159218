//! What a caller may ask of the exchange: one variant per entry point that changes state. `abi.rs` turns a command into calldata.

use crate::{AccountId, LevelKey, Lots, MarketId, Mode, OrderId, Ticks, TokenId};
use alloy_primitives::{Address, B256, Bytes, U256};

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
    /// `steps_max` 0 means 256; `expiry_s` 0: until cancelled; `client` is an id of the caller's own, 0 none.
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
    /// `ops`: the bytes of [`crate::operation::encode`]; raw, so that malformed ones can be told apart.
    Execute {
        account: AccountId,
        ops: Bytes,
    },
    /// `signature` by `signer` over the EIP-712 hash of the batch.
    ExecuteSigned {
        account: AccountId,
        nonce: u64,
        deadline_s: u64,
        relayer: Address,
        ops: Bytes,
        signer: Address,
        signature: Bytes,
    },
    SwapExactIn {
        token_in: Address,
        atoms: U256,
        markets: Vec<MarketId>,
        out_min: U256,
        to: Address,
        deadline_s: u64,
        steps_max: u16,
    },
    /// A deposit of a token with an ERC-2612 permit; what the permit says is the token's affair.
    DepositPermit {
        account: AccountId,
        token: Address,
        atoms: U256,
        deadline: U256,
        v: u8,
        r: B256,
        s: B256,
    },
    /// `expiry_s` 0 revokes; `cap_atoms` 0: no bound; `markets` all 0: everywhere.
    ApproveAgent {
        account: AccountId,
        agent: Address,
        expiry_s: u64,
        perms: u16,
        cap_atoms: u128,
        markets: [MarketId; 3],
    },
    ApproveAgentSigned {
        account: AccountId,
        agent: Address,
        expiry_s: u64,
        perms: u16,
        cap_atoms: u128,
        markets: [MarketId; 3],
        nonce: u64,
        deadline_s: u64,
        signature: Bytes,
    },
    /// `word` is nonce >> 8, `mask` the bits nonce & 255.
    CancelNonces {
        account: AccountId,
        word: u64,
        mask: U256,
    },
    /// Takes back orders of an account whose dead-man switch fired, or in a halted market.
    Poke {
        account: AccountId,
        orders: Vec<OrderId>,
    },
    /// Passes holes and expired orders at the head of a level.
    Prune {
        level: LevelKey,
        steps_max: u16,
    },
    /// Moves fees due to the fee collector.
    SweepFees {
        token: TokenId,
        accounts: Vec<AccountId>,
    },
    SetTier {
        account: AccountId,
        tier: u8,
    },
    /// `role` 0 owner, 1 guardian, 2 fee manager.
    SetRole {
        role: u8,
        who: Address,
    },
}
