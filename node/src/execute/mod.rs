//! `Candidate -> Executed`: runs the transactions of a block on the flat state.
//! Called by the driver, by recovery and by `verify`. Touches no disk, socket or wall clock; it does not apply its own
//! diff: [`crate::commit::Pipeline::submit`] does. Who ordered the block is unknown here.

mod receipt;
mod sequential;
mod system;
mod trace;

pub use sequential::{Executor, tx_env};
pub use trace::{ExecutionTrace, Mode, TxTrace};

use crate::mempool::Pooled;
use crate::state::{Diff, StateError};
use crate::tx::Tx;
use alloy_consensus::Receipt;
use alloy_primitives::{Address, B256, Bytes};
use revm::primitives::hardfork::SpecId;
use std::sync::Arc;

/// The rules of the chain as far as execution needs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainSpec {
    pub chain_id: u64,
    /// Prague or later: earlier rules (storage cleared by SELFDESTRUCT, empty requests) are not implemented.
    pub spec: SpecId,
}

impl ChainSpec {
    /// The rules a genesis file asks for.
    ///
    /// # Errors
    /// If they are older than Prague, or change at a later time.
    pub fn from_genesis(genesis: &alloy_genesis::Genesis) -> Result<Self, StateError> {
        let at = |time: Option<u64>| time.is_some_and(|time| time <= genesis.timestamp);
        let config = &genesis.config;
        let spec = match (at(config.prague_time), at(config.osaka_time)) {
            (_, true) => SpecId::OSAKA,
            (true, false) if config.osaka_time.is_none() => SpecId::PRAGUE,
            (true, false) => return Err(StateError::Genesis("forks after genesis are not supported: set osakaTime to 0".into())),
            (false, false) => return Err(StateError::Genesis("rules before Prague are not supported: set osakaTime to 0".into())),
        };
        Ok(Self { chain_id: config.chain_id, spec })
    }
}

/// The executor's only view of time: microseconds of any monotonic clock, and when to hand back the rest of the block.
#[derive(Clone, Copy)]
pub struct Timing<'a> {
    pub now_us: &'a dyn Fn() -> u64,
    /// Own blocks only: transactions not begun by then are returned. `None` for imported and replayed blocks.
    pub deadline_us: Option<u64>,
}

impl Timing<'static> {
    /// No clock and no deadline: the trace has zeros.
    pub const NONE: Self = Self { now_us: &|| 0, deadline_us: None };
}

/// Why a transaction left the block for good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DropReason {
    #[error("nonce too low: next nonce {expected}, tx nonce {found}")]
    NonceTooLow { expected: u64, found: u64 },
    #[error("nonce too high: next nonce {expected}, tx nonce {found}")]
    NonceTooHigh { expected: u64, found: u64 },
    #[error("insufficient funds for gas * price + value: balance {balance}, tx cost {cost}")]
    InsufficientFunds { balance: alloy_primitives::U256, cost: alloy_primitives::U256 },
    #[error("max fee per gas less than block base fee: baseFee {base_fee}")]
    FeeTooLow { base_fee: u64 },
    #[error("{0}")]
    Invalid(String),
}

/// An executed block: everything but root and hash is known.
#[derive(Debug)]
pub struct Executed {
    pub number: u64,
    pub time_ms: u64,
    pub gas_limit: u64,
    pub base_fee: u64,
    pub beneficiary: Address,
    pub mix_hash: B256,
    pub extra_data: Bytes,
    /// Included transactions, in order.
    pub txs: Vec<Arc<Tx>>,
    /// One per included transaction. Blooms are added by the root thread.
    pub receipts: Vec<Receipt>,
    pub gas_used: u64,
    /// EIP-7685 requests, each `type ++ data`, empty ones left out.
    pub requests: Vec<Bytes>,
    pub diff: Arc<Diff>,
    pub dropped: Vec<(Arc<Tx>, DropReason)>,
    /// Did not fit (gas, time): go back to the pool with their place.
    pub returned: Vec<Pooled>,
    pub trace: Arc<ExecutionTrace>,
}

/// Why a block could not be executed at all.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    #[error("block {block}: transaction {index} ({hash}) is invalid: {reason}")]
    Invalid { block: u64, index: usize, hash: B256, reason: DropReason },
    #[error("block {block}: transaction {index} needs {needed} gas, {left} are left")]
    GasLimit { block: u64, index: usize, needed: u64, left: u64 },
    #[error("block {block}: {source}")]
    State { block: u64, source: StateError },
    #[error("block {block}: the system call to {address} failed: {what}")]
    System { block: u64, address: Address, what: String },
}
