//! Why the exchange refuses a command: one variant per custom error of `IExchange.sol`, same names, stable codes.

use crate::{Lots, Ticks};

/// Stable: names appear in receipts, JSON (snake case) and the page. `Reject::ALL` lists the names for the tables' freshness check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reject {
    #[error("there is no such market")]
    NoMarket,
    #[error("the caller does not own the account")]
    NotAuthorized,
    #[error("the order exceeds the agent's cap")]
    OverCap,
    #[error("the mode, or a field that goes with it, is unknown")]
    BadMode,
    #[error("the market does not accept this now (status {status})")]
    NotLive { status: u8 },
    #[error("a price is 1 ..= 2^24 - 1 ticks")]
    BadTick,
    #[error("a size is the market's minimum ..= 2^47 - 1 lots")]
    BadLots,
    #[error("the expiry or deadline has passed, or is too near")]
    Expired,
    #[error("the client id is in use")]
    CloidInUse,
    #[error("the client id was cancelled ahead")]
    PreCancelled,
    #[error("a post-only order would cross the best price {best}")]
    WouldCross { best: Ticks },
    #[error("the account's free balance is too small")]
    Insufficient,
    #[error("the level's queue or sum is full")]
    LevelFull,
    #[error("fill-or-kill found only {filled} lots")]
    NotFilled { filled: Lots },
    #[error("the result is below the least wanted")]
    Slippage { out: u128 },
    #[error("the step limit was used up")]
    StepLimit,
    #[error("there is no such live order")]
    UnknownOrder,
    #[error("the batch is malformed")]
    BadOps,
    #[error("the nonce is used")]
    NonceUsed,
    #[error("the signature is not the account's")]
    BadSignature,
    #[error("the token is not listed")]
    UnknownToken,
    #[error("there is no such account")]
    UnknownAccount,
    #[error("the account number is taken")]
    AccountTaken,
    #[error("the amount is zero or out of bounds")]
    BadAmount,
    #[error("the market's parameters are out of bounds")]
    BadMarket,
    #[error("the status change is not allowed")]
    BadStatus,
    #[error("the token refused the transfer")]
    TransferFailed,
    #[error("the exchange was re-entered")]
    Reentered,
}

impl Reject {
    /// Names of all rejects as in `IExchange.sol`, in its order.
    pub const ALL: [&'static str; 28] = [
        "NoMarket",
        "NotAuthorized",
        "OverCap",
        "BadMode",
        "NotLive",
        "BadTick",
        "BadLots",
        "Expired",
        "CloidInUse",
        "PreCancelled",
        "WouldCross",
        "Insufficient",
        "LevelFull",
        "NotFilled",
        "Slippage",
        "StepLimit",
        "UnknownOrder",
        "BadOps",
        "NonceUsed",
        "BadSignature",
        "UnknownToken",
        "UnknownAccount",
        "AccountTaken",
        "BadAmount",
        "BadMarket",
        "BadStatus",
        "TransferFailed",
        "Reentered",
    ];

    /// Its number in stored rows: its place in [`Reject::ALL`], from 1.
    pub fn number(&self) -> u16 {
        let place = Reject::ALL.iter().position(|name| *name == self.name());
        place.expect("every reject is listed") as u16 + 1
    }

    /// The custom error's name.
    pub fn name(&self) -> &'static str {
        match self {
            Reject::NoMarket => "NoMarket",
            Reject::NotAuthorized => "NotAuthorized",
            Reject::OverCap => "OverCap",
            Reject::BadMode => "BadMode",
            Reject::NotLive { .. } => "NotLive",
            Reject::BadTick => "BadTick",
            Reject::BadLots => "BadLots",
            Reject::Expired => "Expired",
            Reject::CloidInUse => "CloidInUse",
            Reject::PreCancelled => "PreCancelled",
            Reject::WouldCross { .. } => "WouldCross",
            Reject::Insufficient => "Insufficient",
            Reject::LevelFull => "LevelFull",
            Reject::NotFilled { .. } => "NotFilled",
            Reject::Slippage { .. } => "Slippage",
            Reject::StepLimit => "StepLimit",
            Reject::UnknownOrder => "UnknownOrder",
            Reject::BadOps => "BadOps",
            Reject::NonceUsed => "NonceUsed",
            Reject::BadSignature => "BadSignature",
            Reject::UnknownToken => "UnknownToken",
            Reject::UnknownAccount => "UnknownAccount",
            Reject::AccountTaken => "AccountTaken",
            Reject::BadAmount => "BadAmount",
            Reject::BadMarket => "BadMarket",
            Reject::BadStatus => "BadStatus",
            Reject::TransferFailed => "TransferFailed",
            Reject::Reentered => "Reentered",
        }
    }

    /// The stable code of JSON answers.
    pub fn code(&self) -> &'static str {
        match self {
            Reject::NoMarket => "no_market",
            Reject::NotAuthorized => "not_authorized",
            Reject::OverCap => "over_cap",
            Reject::BadMode => "bad_mode",
            Reject::NotLive { .. } => "not_live",
            Reject::BadTick => "bad_tick",
            Reject::BadLots => "bad_lots",
            Reject::Expired => "expired",
            Reject::CloidInUse => "cloid_in_use",
            Reject::PreCancelled => "pre_cancelled",
            Reject::WouldCross { .. } => "would_cross",
            Reject::Insufficient => "insufficient",
            Reject::LevelFull => "level_full",
            Reject::NotFilled { .. } => "not_filled",
            Reject::Slippage { .. } => "slippage",
            Reject::StepLimit => "step_limit",
            Reject::UnknownOrder => "unknown_order",
            Reject::BadOps => "bad_ops",
            Reject::NonceUsed => "nonce_used",
            Reject::BadSignature => "bad_signature",
            Reject::UnknownToken => "unknown_token",
            Reject::UnknownAccount => "unknown_account",
            Reject::AccountTaken => "account_taken",
            Reject::BadAmount => "bad_amount",
            Reject::BadMarket => "bad_market",
            Reject::BadStatus => "bad_status",
            Reject::TransferFailed => "transfer_failed",
            Reject::Reentered => "reentered",
        }
    }
}
