//! What a transaction leaves behind: its receipt without bloom (the root thread adds blooms).

use alloy_consensus::{Eip658Value, Receipt};
use revm::context::result::ExecutionResult;

/// The receipt of one result, given the gas used by the block up to and including it.
pub(super) fn receipt(result: ExecutionResult, cumulative_gas_used: u64) -> Receipt {
    Receipt { status: Eip658Value::Eip658(result.is_success()), cumulative_gas_used, logs: result.into_logs() }
}
