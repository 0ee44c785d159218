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
    #[error("the mode is unknown, or not available yet")]
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
