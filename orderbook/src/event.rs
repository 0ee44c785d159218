//! What the exchange did, one variant per log. Events alone are enough to follow the book and all balances.

use crate::{AccountId, LevelKey, Lots, MarketId, MarketStatus, Mode, OrderId, Ticks, TokenId};
use alloy_primitives::{Address, U256};

/// A fact. The order inside an operation: per level met its `Reduced` and `Claimed`, then its `LevelFill`; then `Taken`; then `Placed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// `lots` rest at the tail of the order's level.
    Placed {
        order: OrderId,
        account: AccountId,
        lots: Lots,
        expiry_s: u32,
        client: u64,
        mode: Mode,
    },
    /// `removed` lots were taken back, `left` remain open.
    Reduced {
        order: OrderId,
        left: Lots,
        removed: Lots,
        reason: ReduceReason,
    },
    /// After-image of a level's word once a taker went through it; makers' fills follow from two consecutive words.
    LevelFill {
        level: LevelKey,
        word: U256,
    },
    /// The taker's sum of one operation. `quote_atoms` without the fee.
    Taken {
        market: MarketId,
        account: AccountId,
        wanted: Lots,
        filled: Lots,
        client: u64,
        mode: Mode,
        reason: TakenReason,
        quote_atoms: u128,
        fee_atoms: u128,
    },
    /// `lots` were paid to the maker; `back` lots refunded (expired records).
    Claimed {
        order: OrderId,
        account: AccountId,
        lots: Lots,
        back: Lots,
    },
    Deposit {
        account: AccountId,
        token: TokenId,
        atoms: u128,
    },
    Withdraw {
        account: AccountId,
        token: TokenId,
        atoms: u128,
        to: Address,
    },
    AccountCreated {
        account: AccountId,
        owner: Address,
    },
    TokenAdded {
        token: TokenId,
        at: Address,
        decimals: u8,
    },
    /// `cfg` is the market's word as stored (`contract.md` section 3): `Market::from_cfg` reads it.
    MarketCreated {
        market: MarketId,
        cfg: U256,
    },
    Status {
        market: MarketId,
        status: MarketStatus,
    },
    /// An operation of a batch failed and left no trace but this. `index` of its result word, `reason` the error's selector.
    Rejected {
        account: AccountId,
        index: u16,
        kind: u8,
        reason: [u8; 4],
        client: u64,
    },
    /// Rights over an account changed; `word` as stored (`contract.md` section 3).
    Agent {
        account: AccountId,
        agent: Address,
        word: U256,
    },
    /// A signed batch or grant used up its nonce.
    Signed {
        account: AccountId,
        signer: Address,
        nonce: u64,
    },
    /// The dead-man switch: fires at this second, 0 never.
    Scheduled {
        account: AccountId,
        at_s: u64,
    },
    /// An order under way with this client id is refused until then.
    CloidPreCancelled {
        account: AccountId,
        client: u64,
        until_s: u64,
    },
    FeesSwept {
        account: AccountId,
        token: TokenId,
        atoms: u128,
    },
    /// Sixteenths off the taker's fee.
    Tier {
        account: AccountId,
        tier: u8,
    },
    /// 0 owner, 1 guardian, 2 fee manager.
    Role {
        role: u8,
        who: Address,
    },
    /// A swap from wallet to wallet; its hops are `Taken` of the accounts 2^31 + market.
    Swapped {
        from: Address,
        to: Address,
        token_in: TokenId,
        token_out: TokenId,
        atoms_in: u128,
        atoms_out: u128,
    },
}

/// Why lots left an order otherwise than by a fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ReduceReason {
    Cancel = 1,
    Reduce = 2,
    Replaced = 3,
    Stp = 4,
    Expired = 5,
    Deadman = 6,
    Halted = 7,
}

impl ReduceReason {
    /// `None` for a code the exchange never logs.
    pub fn from_code(code: u8) -> Option<ReduceReason> {
        Some(match code {
            1 => ReduceReason::Cancel,
            2 => ReduceReason::Reduce,
            3 => ReduceReason::Replaced,
            4 => ReduceReason::Stp,
            5 => ReduceReason::Expired,
            6 => ReduceReason::Deadman,
            7 => ReduceReason::Halted,
            _ => return None,
        })
    }
}

/// Why a taker stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum TakenReason {
    Filled = 0,
    Limit = 1,
    Steps = 2,
    Stp = 3,
    Budget = 4,
}

impl TakenReason {
    /// `None` for a code the exchange never logs.
    pub fn from_code(code: u8) -> Option<TakenReason> {
        Some(match code {
            0 => TakenReason::Filled,
            1 => TakenReason::Limit,
            2 => TakenReason::Steps,
            3 => TakenReason::Stp,
            4 => TakenReason::Budget,
            _ => return None,
        })
    }
}

impl Event {
    /// The market it concerns; `None` for accounts, tokens and money.
    pub fn market(&self) -> Option<MarketId> {
        match self {
            Event::Placed { order, .. } | Event::Reduced { order, .. } | Event::Claimed { order, .. } => Some(order.level.market),
            Event::LevelFill { level, .. } => Some(level.market),
            Event::Taken { market, .. } | Event::MarketCreated { market, .. } | Event::Status { market, .. } => Some(*market),
            Event::Deposit { .. }
            | Event::Withdraw { .. }
            | Event::AccountCreated { .. }
            | Event::TokenAdded { .. }
            | Event::Rejected { .. }
            | Event::Agent { .. }
            | Event::Signed { .. }
            | Event::Scheduled { .. }
            | Event::CloidPreCancelled { .. }
            | Event::FeesSwept { .. }
            | Event::Tier { .. }
            | Event::Role { .. }
            | Event::Swapped { .. } => None,
        }
    }
}

/// One match, from the maker's side, derived by `Book::replay` from a `LevelFill`. The taker is named by the next `Taken`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    pub maker_order: OrderId,
    pub maker: AccountId,
    pub ticks: Ticks,
    pub lots: Lots,
    /// Lots of the maker still open after this fill.
    pub maker_left: Lots,
}
