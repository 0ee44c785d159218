//! The exchange's ABI: commands to calldata, logs to events, reverts to rejects. Bound to `IExchange.sol` by `sol!`.
//!
//! Called by everything that talks to a chain (indexer, root package, market makers). Never computes, never trusts: bytes that are
//! not exactly what the interface says become an [`AbiError`].

use crate::{
    AccountId, Command, Event, LevelKey, Lots, MarketId, MarketStatus, Mode, OrderId, ReduceReason, Reject, TakenReason, Ticks, TokenId,
};
use alloy_primitives::{
    B256, U256,
    aliases::{U24, U40, U48, U96},
};
use alloy_sol_types::{SolCall, SolEvent, SolInterface};

/// The interface as Rust types, for those who want the raw calls (`IExchange::loadCall`).
mod bindings {
    #![allow(missing_docs, clippy::all)]
    alloy_sol_types::sol!("../contracts/src/interfaces/IExchange.sol");
}
pub use bindings::IExchange;

/// Bytes that are no log, call, result or revert of the exchange.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AbiError {
    #[error("topic {0} is no event of the exchange")]
    UnknownTopic(B256),
    #[error("a log without topics")]
    NoTopic,
    #[error("selector {0:02x?} is no command of the exchange")]
    UnknownSelector([u8; 4]),
    #[error("malformed {what}: {why}")]
    Malformed { what: &'static str, why: String },
    #[error("{what} {value} is out of range")]
    OutOfRange { what: &'static str, value: U256 },
}

fn malformed(what: &'static str) -> impl Fn(alloy_sol_types::Error) -> AbiError {
    move |error| AbiError::Malformed { what, why: error.to_string() }
}

/// Bits `low .. low + width` of a word, width at most 64.
pub(crate) fn field(word: U256, low: usize, width: usize) -> u64 {
    let shifted: U256 = word >> low;
    let limb = shifted.as_limbs()[0];
    if width == 64 { limb } else { limb & ((1 << width) - 1) }
}

fn order_id(packed: U256) -> Result<OrderId, AbiError> {
    u128::try_from(packed).ok().and_then(OrderId::unpacked).ok_or(AbiError::OutOfRange { what: "order id", value: packed })
}

fn level_key(packed: U256) -> Result<LevelKey, AbiError> {
    u64::try_from(packed).ok().and_then(LevelKey::unpacked).ok_or(AbiError::OutOfRange { what: "level", value: packed })
}

fn atoms(value: U256) -> Result<u128, AbiError> {
    u128::try_from(value).map_err(|_| AbiError::OutOfRange { what: "atoms", value })
}

fn status(value: u8) -> Result<MarketStatus, AbiError> {
    MarketStatus::from_code(value).ok_or(AbiError::OutOfRange { what: "status", value: U256::from(value) })
}

/// Reads one log of the exchange contract.
///
/// # Errors
/// Unknown topic, wrong length, or a field outside its bounds.
pub fn decode_log(topics: &[B256], data: &[u8]) -> Result<Event, AbiError> {
    use IExchange as X;
    let topic = *topics.first().ok_or(AbiError::NoTopic)?;
    macro_rules! read {
        ($event:ident) => {
            X::$event::decode_raw_log_validate(topics, data).map_err(malformed(stringify!($event)))?
        };
    }
    let event = match topic {
        X::Placed::SIGNATURE_HASH => {
            let log = read!(Placed);
            Event::Placed {
                order: order_id(log.orderId)?,
                account: AccountId(log.account),
                lots: Lots(field(log.data, 0, 48)),
                expiry_s: field(log.data, 48, 32) as u32,
                client: field(log.data, 80, 64),
                mode: Mode(field(log.data, 144, 8) as u8),
            }
        }
        X::Reduced::SIGNATURE_HASH => {
            let log = read!(Reduced);
            Event::Reduced {
                order: order_id(log.orderId)?,
                left: Lots(log.left.to()),
                removed: Lots(log.removed.to()),
                reason: ReduceReason::from_code(log.reason)
                    .ok_or(AbiError::OutOfRange { what: "reduce reason", value: U256::from(log.reason) })?,
            }
        }
        X::LevelFill::SIGNATURE_HASH => {
            let log = read!(LevelFill);
            Event::LevelFill { level: level_key(log.level)?, word: log.levelWord }
        }
        X::Taken::SIGNATURE_HASH => {
            let log = read!(Taken);
            let reason = field(log.data, 168, 8) as u8;
            Event::Taken {
                market: MarketId(log.market),
                account: AccountId(log.account),
                wanted: Lots(field(log.data, 0, 48)),
                filled: Lots(field(log.data, 48, 48)),
                client: field(log.data, 96, 64),
                mode: Mode(field(log.data, 160, 8) as u8),
                reason: TakenReason::from_code(reason).ok_or(AbiError::OutOfRange { what: "taken reason", value: U256::from(reason) })?,
                quote_atoms: atoms(log.quote)?,
                fee_atoms: atoms(log.fee)?,
            }
        }
        X::Claimed::SIGNATURE_HASH => {
            let log = read!(Claimed);
            Event::Claimed {
                order: order_id(log.orderId)?,
                account: AccountId(log.account),
                lots: Lots(log.lots.to()),
                back: Lots(log.back.to()),
            }
        }
        X::Deposit::SIGNATURE_HASH => {
            let log = read!(Deposit);
            Event::Deposit { account: AccountId(log.account), token: TokenId(log.token.to()), atoms: atoms(log.atoms)? }
        }
        X::Withdraw::SIGNATURE_HASH => {
            let log = read!(Withdraw);
            Event::Withdraw { account: AccountId(log.account), token: TokenId(log.token.to()), atoms: atoms(log.atoms)?, to: log.to }
        }
        X::AccountCreated::SIGNATURE_HASH => {
            let log = read!(AccountCreated);
            Event::AccountCreated { account: AccountId(log.account), owner: log.owner }
        }
        X::TokenAdded::SIGNATURE_HASH => {
            let log = read!(TokenAdded);
            Event::TokenAdded { token: TokenId(log.token.to()), at: log.tokenAddress, decimals: log.decimals }
        }
        X::MarketCreated::SIGNATURE_HASH => {
            let log = read!(MarketCreated);
            Event::MarketCreated { market: MarketId(log.market), cfg: log.cfg }
        }
        X::Status::SIGNATURE_HASH => {
            let log = read!(Status);
            Event::Status { market: MarketId(log.market), status: status(log.status)? }
        }
        X::Rejected::SIGNATURE_HASH => {
            let log = read!(Rejected);
            Event::Rejected { account: AccountId(log.account), index: log.index, kind: log.kind, reason: log.reason.0, client: log.cloid }
        }
        X::Agent::SIGNATURE_HASH => {
            let log = read!(Agent);
            Event::Agent { account: AccountId(log.account), agent: log.agent, word: log.word }
        }
        X::Signed::SIGNATURE_HASH => {
            let log = read!(Signed);
            Event::Signed { account: AccountId(log.account), signer: log.signer, nonce: log.nonce }
        }
        X::Scheduled::SIGNATURE_HASH => {
            let log = read!(Scheduled);
            Event::Scheduled { account: AccountId(log.account), at_s: log.at.to() }
        }
        X::CloidPreCancelled::SIGNATURE_HASH => {
            let log = read!(CloidPreCancelled);
            Event::CloidPreCancelled { account: AccountId(log.account), client: log.cloid, until_s: log.until.to() }
        }
        X::FeesSwept::SIGNATURE_HASH => {
            let log = read!(FeesSwept);
            Event::FeesSwept { account: AccountId(log.account), token: TokenId(log.token.to()), atoms: atoms(log.atoms)? }
        }
        X::Tier::SIGNATURE_HASH => {
            let log = read!(Tier);
            Event::Tier { account: AccountId(log.account), tier: log.tier }
        }
        X::Role::SIGNATURE_HASH => {
            let log = read!(Role);
            Event::Role { role: log.role, who: log.who }
        }
        X::Swapped::SIGNATURE_HASH => {
            let log = read!(Swapped);
            Event::Swapped {
                from: log.from,
                to: log.to,
                token_in: TokenId(log.tokenIn.to()),
                token_out: TokenId(log.tokenOut.to()),
                atoms_in: atoms(log.atomsIn)?,
                atoms_out: atoms(log.atomsOut)?,
            }
        }
        unknown => return Err(AbiError::UnknownTopic(unknown)),
    };
    Ok(event)
}

/// Calldata of a command. Native coins travel as the transaction's value, [`value_atoms`].
/// Fields wider in Rust than on the wire (ticks, lots) are cut to the wire's width; bounds are the exchange's to judge.
pub fn calldata(command: &Command) -> Vec<u8> {
    use IExchange as X;
    let ids = |orders: &[OrderId]| orders.iter().map(|order| U256::from(order.packed())).collect::<Vec<_>>();
    match command {
        Command::Register { salt } => X::registerCall { salt: *salt }.abi_encode(),
        Command::AddToken { token } => X::addTokenCall { token: *token }.abi_encode(),
        Command::CreateMarket {
            base,
            quote,
            quote_atoms_per_lot_tick,
            base_atoms_per_lot,
            lots_min,
            taker_fee_ppm,
            maker_fee_ppm,
            min_ttl_s,
            status,
        } => X::createMarketCall {
            base: *base,
            quote: *quote,
            quotePerLotTick: *quote_atoms_per_lot_tick,
            basePerLot: *base_atoms_per_lot,
            minLots: U24::wrapping_from(*lots_min),
            takerFee: *taker_fee_ppm,
            makerFee: *maker_fee_ppm,
            minTtl: *min_ttl_s,
            status: *status,
        }
        .abi_encode(),
        Command::SetStatus { market, status } => X::setStatusCall { market: market.0, status: *status }.abi_encode(),
        Command::Deposit { account, token, atoms, settle } => {
            X::depositCall { account: account.0, token: *token, atoms: *atoms, settle: ids(settle) }.abi_encode()
        }
        Command::Withdraw { account, token, atoms, to, settle } => {
            X::withdrawCall { account: account.0, token: *token, atoms: *atoms, to: *to, settle: ids(settle) }.abi_encode()
        }
        Command::Place { account, market, mode, ticks, lots, expiry_s, client, steps_max } => X::placeCall {
            account: account.0,
            market: market.0,
            mode: mode.0,
            tick: U24::wrapping_from(ticks.0),
            lots: U48::wrapping_from(lots.0),
            expiry: *expiry_s,
            cloid: *client,
            maxSteps: *steps_max,
        }
        .abi_encode(),
        Command::Cancel { account, order } => X::cancelCall { account: account.0, orderId: U256::from(order.packed()) }.abi_encode(),
        Command::Reduce { account, order, left } => {
            X::reduceCall { account: account.0, orderId: U256::from(order.packed()), left: U48::wrapping_from(left.0) }.abi_encode()
        }
        Command::Claim { orders } => X::claimCall { orderIds: ids(orders) }.abi_encode(),
        Command::Execute { account, ops } => X::executeCall { account: account.0, ops: ops.clone() }.abi_encode(),
        Command::ExecuteSigned { account, nonce, deadline_s, relayer, ops, signer, signature } => X::executeSignedCall {
            b: X::Batch {
                account: account.0,
                nonce: *nonce,
                deadline: U40::wrapping_from(*deadline_s),
                relayer: *relayer,
                ops: ops.clone(),
            },
            signer: *signer,
            sig: signature.clone(),
        }
        .abi_encode(),
        Command::SwapExactIn { token_in, atoms, markets, out_min, to, deadline_s, steps_max } => X::swapExactInCall {
            tokenIn: *token_in,
            atoms: *atoms,
            markets: markets.iter().map(|market| market.0).collect(),
            minOut: *out_min,
            to: *to,
            deadline: U40::wrapping_from(*deadline_s),
            maxSteps: *steps_max,
        }
        .abi_encode(),
        Command::DepositPermit { account, token, atoms, deadline, v, r, s } => {
            X::depositPermitCall { account: account.0, token: *token, atoms: *atoms, deadline: *deadline, v: *v, r: *r, s: *s }.abi_encode()
        }
        Command::ApproveAgent { account, agent, expiry_s, perms, cap_atoms, markets } => X::approveAgentCall {
            account: account.0,
            agent: *agent,
            expiry: U40::wrapping_from(*expiry_s),
            perms: *perms,
            cap: U96::wrapping_from(*cap_atoms),
            markets: markets.map(|market| market.0),
        }
        .abi_encode(),
        Command::ApproveAgentSigned { account, agent, expiry_s, perms, cap_atoms, markets, nonce, deadline_s, signature } => {
            X::approveAgentSignedCall {
                g: X::AgentGrant {
                    account: account.0,
                    agent: *agent,
                    expiry: U40::wrapping_from(*expiry_s),
                    perms: *perms,
                    cap: U96::wrapping_from(*cap_atoms),
                    market0: markets[0].0,
                    market1: markets[1].0,
                    market2: markets[2].0,
                    nonce: *nonce,
                    deadline: U40::wrapping_from(*deadline_s),
                },
                sig: signature.clone(),
            }
            .abi_encode()
        }
        Command::CancelNonces { account, word, mask } => X::cancelNoncesCall { account: account.0, word: *word, mask: *mask }.abi_encode(),
        Command::Poke { account, orders } => X::pokeCall { account: account.0, orderIds: ids(orders) }.abi_encode(),
        Command::Prune { level, steps_max } => X::pruneCall { level: level.packed(), maxSteps: *steps_max }.abi_encode(),
        Command::SweepFees { token, accounts } => {
            X::sweepFeesCall { token: U24::wrapping_from(token.0), accounts: accounts.iter().map(|account| account.0).collect() }
                .abi_encode()
        }
        Command::SetTier { account, tier } => X::setTierCall { account: account.0, tier: *tier }.abi_encode(),
        Command::SetRole { role, who } => X::setRoleCall { role: *role, who: *who }.abi_encode(),
    }
}

/// Atoms of the native coin that a command's transaction must carry as its value.
pub fn value_atoms(command: &Command) -> U256 {
    match command {
        Command::Deposit { token, atoms, .. } | Command::SwapExactIn { token_in: token, atoms, .. } if token.is_zero() => *atoms,
        _ => U256::ZERO,
    }
}

/// Reads calldata back into the command it was made of (`load` and unknown selectors are errors).
///
/// # Errors
/// Unknown selector, truncated bytes, or an id that names no order.
pub fn command_from_calldata(data: &[u8]) -> Result<Command, AbiError> {
    use IExchange as X;
    let selector: [u8; 4] = data
        .get(..4)
        .and_then(|head| head.try_into().ok())
        .ok_or(AbiError::Malformed { what: "calldata", why: format!("{} bytes hold no selector", data.len()) })?;
    let ids = |ids: Vec<U256>| ids.into_iter().map(order_id).collect::<Result<Vec<_>, _>>();
    let call = X::IExchangeCalls::abi_decode_raw_validate(selector, &data[4..]).map_err(|error| match error {
        alloy_sol_types::Error::UnknownSelector { .. } => AbiError::UnknownSelector(selector),
        other => malformed("calldata")(other),
    })?;
    Ok(match call {
        X::IExchangeCalls::register(call) => Command::Register { salt: call.salt },
        X::IExchangeCalls::addToken(call) => Command::AddToken { token: call.token },
        X::IExchangeCalls::createMarket(call) => Command::CreateMarket {
            base: call.base,
            quote: call.quote,
            quote_atoms_per_lot_tick: call.quotePerLotTick,
            base_atoms_per_lot: call.basePerLot,
            lots_min: call.minLots.to(),
            taker_fee_ppm: call.takerFee,
            maker_fee_ppm: call.makerFee,
            min_ttl_s: call.minTtl,
            status: call.status,
        },
        X::IExchangeCalls::setStatus(call) => Command::SetStatus { market: MarketId(call.market), status: call.status },
        X::IExchangeCalls::deposit(call) => {
            Command::Deposit { account: AccountId(call.account), token: call.token, atoms: call.atoms, settle: ids(call.settle)? }
        }
        X::IExchangeCalls::withdraw(call) => Command::Withdraw {
            account: AccountId(call.account),
            token: call.token,
            atoms: call.atoms,
            to: call.to,
            settle: ids(call.settle)?,
        },
        X::IExchangeCalls::place(call) => Command::Place {
            account: AccountId(call.account),
            market: MarketId(call.market),
            mode: Mode(call.mode),
            ticks: Ticks(call.tick.to()),
            lots: Lots(call.lots.to()),
            expiry_s: call.expiry,
            client: call.cloid,
            steps_max: call.maxSteps,
        },
        X::IExchangeCalls::cancel(call) => Command::Cancel { account: AccountId(call.account), order: order_id(call.orderId)? },
        X::IExchangeCalls::reduce(call) => {
            Command::Reduce { account: AccountId(call.account), order: order_id(call.orderId)?, left: Lots(call.left.to()) }
        }
        X::IExchangeCalls::claim(call) => Command::Claim { orders: ids(call.orderIds)? },
        X::IExchangeCalls::execute(call) => Command::Execute { account: AccountId(call.account), ops: call.ops },
        X::IExchangeCalls::executeSigned(call) => Command::ExecuteSigned {
            account: AccountId(call.b.account),
            nonce: call.b.nonce,
            deadline_s: call.b.deadline.to(),
            relayer: call.b.relayer,
            ops: call.b.ops,
            signer: call.signer,
            signature: call.sig,
        },
        X::IExchangeCalls::swapExactIn(call) => Command::SwapExactIn {
            token_in: call.tokenIn,
            atoms: call.atoms,
            markets: call.markets.into_iter().map(MarketId).collect(),
            out_min: call.minOut,
            to: call.to,
            deadline_s: call.deadline.to(),
            steps_max: call.maxSteps,
        },
        X::IExchangeCalls::depositPermit(call) => Command::DepositPermit {
            account: AccountId(call.account),
            token: call.token,
            atoms: call.atoms,
            deadline: call.deadline,
            v: call.v,
            r: call.r,
            s: call.s,
        },
        X::IExchangeCalls::approveAgent(call) => Command::ApproveAgent {
            account: AccountId(call.account),
            agent: call.agent,
            expiry_s: call.expiry.to(),
            perms: call.perms,
            cap_atoms: call.cap.to(),
            markets: call.markets.map(MarketId),
        },
        X::IExchangeCalls::approveAgentSigned(call) => Command::ApproveAgentSigned {
            account: AccountId(call.g.account),
            agent: call.g.agent,
            expiry_s: call.g.expiry.to(),
            perms: call.g.perms,
            cap_atoms: call.g.cap.to(),
            markets: [call.g.market0, call.g.market1, call.g.market2].map(MarketId),
            nonce: call.g.nonce,
            deadline_s: call.g.deadline.to(),
            signature: call.sig,
        },
        X::IExchangeCalls::cancelNonces(call) => {
            Command::CancelNonces { account: AccountId(call.account), word: call.word, mask: call.mask }
        }
        X::IExchangeCalls::poke(call) => Command::Poke { account: AccountId(call.account), orders: ids(call.orderIds)? },
        X::IExchangeCalls::prune(call) => Command::Prune { level: level_key(U256::from(call.level))?, steps_max: call.maxSteps },
        X::IExchangeCalls::sweepFees(call) => {
            Command::SweepFees { token: TokenId(call.token.to()), accounts: call.accounts.into_iter().map(AccountId).collect() }
        }
        X::IExchangeCalls::setTier(call) => Command::SetTier { account: AccountId(call.account), tier: call.tier },
        X::IExchangeCalls::setRole(call) => Command::SetRole { role: call.role, who: call.who },
        X::IExchangeCalls::load(_) => return Err(AbiError::UnknownSelector(selector)),
    })
}

/// The reject a reverted call carries; `None` for bytes that are no custom error of the exchange (out of gas, a panic, a token's own error).
pub fn reject_from_revert(data: &[u8]) -> Option<Reject> {
    use IExchange::IExchangeErrors as E;
    Some(match E::abi_decode_validate(data).ok()? {
        E::NoMarket(_) => Reject::NoMarket,
        E::NotAuthorized(_) => Reject::NotAuthorized,
        E::OverCap(_) => Reject::OverCap,
        E::BadMode(_) => Reject::BadMode,
        E::NotLive(error) => Reject::NotLive { status: error.status },
        E::BadTick(_) => Reject::BadTick,
        E::BadLots(_) => Reject::BadLots,
        E::Expired(_) => Reject::Expired,
        E::CloidInUse(_) => Reject::CloidInUse,
        E::PreCancelled(_) => Reject::PreCancelled,
        E::WouldCross(error) => Reject::WouldCross { best: Ticks(error.best.to()) },
        E::Insufficient(_) => Reject::Insufficient,
        E::LevelFull(_) => Reject::LevelFull,
        E::NotFilled(error) => Reject::NotFilled { filled: Lots(error.filled.to()) },
        E::Slippage(error) => Reject::Slippage { out: u128::try_from(error.out).ok()? },
        E::StepLimit(_) => Reject::StepLimit,
        E::UnknownOrder(_) => Reject::UnknownOrder,
        E::BadOps(_) => Reject::BadOps,
        E::NonceUsed(_) => Reject::NonceUsed,
        E::BadSignature(_) => Reject::BadSignature,
        E::UnknownToken(_) => Reject::UnknownToken,
        E::UnknownAccount(_) => Reject::UnknownAccount,
        E::AccountTaken(_) => Reject::AccountTaken,
        E::BadAmount(_) => Reject::BadAmount,
        E::BadMarket(_) => Reject::BadMarket,
        E::BadStatus(_) => Reject::BadStatus,
        E::TransferFailed(_) => Reject::TransferFailed,
        E::Reentered(_) => Reject::Reentered,
    })
}

/// The selector of a reject's custom error, as in `Rejected` and in a failed operation's result word.
pub fn selector(reject: &Reject) -> [u8; 4] {
    use IExchange as X;
    use alloy_sol_types::SolError;
    match reject {
        Reject::NoMarket => X::NoMarket::SELECTOR,
        Reject::NotAuthorized => X::NotAuthorized::SELECTOR,
        Reject::OverCap => X::OverCap::SELECTOR,
        Reject::BadMode => X::BadMode::SELECTOR,
        Reject::NotLive { .. } => X::NotLive::SELECTOR,
        Reject::BadTick => X::BadTick::SELECTOR,
        Reject::BadLots => X::BadLots::SELECTOR,
        Reject::Expired => X::Expired::SELECTOR,
        Reject::CloidInUse => X::CloidInUse::SELECTOR,
        Reject::PreCancelled => X::PreCancelled::SELECTOR,
        Reject::WouldCross { .. } => X::WouldCross::SELECTOR,
        Reject::Insufficient => X::Insufficient::SELECTOR,
        Reject::LevelFull => X::LevelFull::SELECTOR,
        Reject::NotFilled { .. } => X::NotFilled::SELECTOR,
        Reject::Slippage { .. } => X::Slippage::SELECTOR,
        Reject::StepLimit => X::StepLimit::SELECTOR,
        Reject::UnknownOrder => X::UnknownOrder::SELECTOR,
        Reject::BadOps => X::BadOps::SELECTOR,
        Reject::NonceUsed => X::NonceUsed::SELECTOR,
        Reject::BadSignature => X::BadSignature::SELECTOR,
        Reject::UnknownToken => X::UnknownToken::SELECTOR,
        Reject::UnknownAccount => X::UnknownAccount::SELECTOR,
        Reject::AccountTaken => X::AccountTaken::SELECTOR,
        Reject::BadAmount => X::BadAmount::SELECTOR,
        Reject::BadMarket => X::BadMarket::SELECTOR,
        Reject::BadStatus => X::BadStatus::SELECTOR,
        Reject::TransferFailed => X::TransferFailed::SELECTOR,
        Reject::Reentered => X::Reentered::SELECTOR,
    }
}

/// The reject of a selector, its arguments 0: a failed operation of a batch tells no more. `None`: no error of the exchange.
pub fn reject_from_selector(selector: [u8; 4]) -> Option<Reject> {
    let mut data = [0u8; 36];
    data[..4].copy_from_slice(&selector);
    reject_from_revert(&data[..4]).or_else(|| reject_from_revert(&data))
}

/// What a `place` returned: the order that rests (`None`: nothing does) and the lots taken.
///
/// # Errors
/// Bytes that are no such result.
pub fn place_result(data: &[u8]) -> Result<(Option<OrderId>, Lots), AbiError> {
    let result = IExchange::placeCall::abi_decode_returns_validate(data).map_err(malformed("place result"))?;
    let order = if result.id.is_zero() { None } else { Some(order_id(result.id)?) };
    Ok((order, Lots(result.filled.to())))
}

/// What a `cancel` returned: lots taken back, filled lots paid.
///
/// # Errors
/// Bytes that are no such result.
pub fn cancel_result(data: &[u8]) -> Result<(Lots, Lots), AbiError> {
    let result = IExchange::cancelCall::abi_decode_returns_validate(data).map_err(malformed("cancel result"))?;
    Ok((Lots(result.back.to()), Lots(result.filled.to())))
}

/// What a `reduce` returned: lots taken back.
///
/// # Errors
/// Bytes that are no such result.
pub fn reduce_result(data: &[u8]) -> Result<Lots, AbiError> {
    Ok(Lots(IExchange::reduceCall::abi_decode_returns_validate(data).map_err(malformed("reduce result"))?.to()))
}

/// What a `register` or `deposit` returned: the account.
///
/// # Errors
/// Bytes that are no such result.
pub fn account_result(data: &[u8]) -> Result<AccountId, AbiError> {
    Ok(AccountId(IExchange::registerCall::abi_decode_returns_validate(data).map_err(malformed("account result"))?))
}

/// What a `createMarket` returned: the market.
///
/// # Errors
/// Bytes that are no such result.
pub fn market_result(data: &[u8]) -> Result<MarketId, AbiError> {
    Ok(MarketId(IExchange::createMarketCall::abi_decode_returns_validate(data).map_err(malformed("market result"))?))
}

/// What an `addToken` returned: the token's number.
///
/// # Errors
/// Bytes that are no such result.
pub fn token_result(data: &[u8]) -> Result<TokenId, AbiError> {
    Ok(TokenId(IExchange::addTokenCall::abi_decode_returns_validate(data).map_err(malformed("token result"))?.to()))
}

/// What a `withdraw` returned: the atoms sent.
///
/// # Errors
/// Bytes that are no such result.
pub fn withdraw_result(data: &[u8]) -> Result<u128, AbiError> {
    atoms(IExchange::withdrawCall::abi_decode_returns_validate(data).map_err(malformed("withdraw result"))?)
}

/// What an `execute` or `executeSigned` returned: a word each operation, see [`crate::operation::Outcome`].
///
/// # Errors
/// Bytes that are no such result, or no whole words.
pub fn batch_result(data: &[u8]) -> Result<Vec<U256>, AbiError> {
    let words = IExchange::executeCall::abi_decode_returns_validate(data).map_err(malformed("batch result"))?;
    if words.len() % 32 != 0 {
        return Err(AbiError::Malformed { what: "batch result", why: format!("{} bytes are no whole words", words.len()) });
    }
    Ok(words.chunks_exact(32).map(U256::from_be_slice).collect())
}

/// What a `swapExactIn` returned: atoms of the last token.
///
/// # Errors
/// Bytes that are no such result.
pub fn swap_result(data: &[u8]) -> Result<u128, AbiError> {
    atoms(IExchange::swapExactInCall::abi_decode_returns_validate(data).map_err(malformed("swap result"))?)
}

/// Topics and data of an event, as the contract logs it: the inverse of [`decode_log`], for tests and tapes.
pub fn encode_log(event: &Event) -> (Vec<B256>, Vec<u8>) {
    use IExchange as X;
    macro_rules! write {
        ($event:ident { $($field:ident : $value:expr),* $(,)? }) => {{
            let log = X::$event { $($field: $value),* }.encode_log_data();
            (log.topics().to_vec(), log.data.to_vec())
        }};
    }
    let id = |order: &OrderId| U256::from(order.packed());
    match event {
        Event::Placed { order, account, lots, expiry_s, client, mode } => write!(Placed {
            orderId: id(order),
            account: account.0,
            data: U256::from(lots.0) | U256::from(*expiry_s) << 48 | U256::from(*client) << 80 | U256::from(mode.0) << 144,
        }),
        Event::Reduced { order, left, removed, reason } => {
            write!(Reduced { orderId: id(order), left: U48::from(left.0), removed: U48::from(removed.0), reason: *reason as u8 })
        }
        Event::LevelFill { level, word } => write!(LevelFill { level: U256::from(level.packed()), levelWord: *word }),
        Event::Taken { market, account, wanted, filled, client, mode, reason, quote_atoms, fee_atoms } => write!(Taken {
            market: market.0,
            account: account.0,
            data: U256::from(wanted.0)
                | U256::from(filled.0) << 48
                | U256::from(*client) << 96
                | U256::from(mode.0) << 160
                | U256::from(*reason as u8) << 168,
            quote: U256::from(*quote_atoms),
            fee: U256::from(*fee_atoms),
        }),
        Event::Claimed { order, account, lots, back } => {
            write!(Claimed { orderId: id(order), account: account.0, lots: U48::from(lots.0), back: U48::from(back.0) })
        }
        Event::Deposit { account, token, atoms } => {
            write!(Deposit { account: account.0, token: U24::from(token.0), atoms: U256::from(*atoms) })
        }
        Event::Withdraw { account, token, atoms, to } => {
            write!(Withdraw { account: account.0, token: U24::from(token.0), atoms: U256::from(*atoms), to: *to })
        }
        Event::AccountCreated { account, owner } => write!(AccountCreated { account: account.0, owner: *owner }),
        Event::TokenAdded { token, at, decimals } => {
            write!(TokenAdded { token: U24::from(token.0), tokenAddress: *at, decimals: *decimals })
        }
        Event::MarketCreated { market, cfg } => write!(MarketCreated { market: market.0, cfg: *cfg }),
        Event::Status { market, status } => write!(Status { market: market.0, status: *status as u8 }),
        Event::Rejected { account, index, kind, reason, client } => {
            write!(Rejected { account: account.0, index: *index, kind: *kind, reason: (*reason).into(), cloid: *client })
        }
        Event::Agent { account, agent, word } => write!(Agent { account: account.0, agent: *agent, word: *word }),
        Event::Signed { account, signer, nonce } => write!(Signed { account: account.0, signer: *signer, nonce: *nonce }),
        Event::Scheduled { account, at_s } => write!(Scheduled { account: account.0, at: U40::wrapping_from(*at_s) }),
        Event::CloidPreCancelled { account, client, until_s } => {
            write!(CloidPreCancelled { account: account.0, cloid: *client, until: U40::wrapping_from(*until_s) })
        }
        Event::FeesSwept { account, token, atoms } => {
            write!(FeesSwept { account: account.0, token: U24::from(token.0), atoms: U256::from(*atoms) })
        }
        Event::Tier { account, tier } => write!(Tier { account: account.0, tier: *tier }),
        Event::Role { role, who } => write!(Role { role: *role, who: *who }),
        Event::Swapped { from, to, token_in, token_out, atoms_in, atoms_out } => write!(Swapped {
            from: *from,
            to: *to,
            tokenIn: U24::from(token_in.0),
            tokenOut: U24::from(token_out.0),
            atomsIn: U256::from(*atoms_in),
            atomsOut: U256::from(*atoms_out),
        }),
    }
}
