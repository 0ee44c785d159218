//! System calls around the transactions of a block: EIP-4788 before them, EIP-7002 and EIP-7251 after.
//! EIP-2935 has no call here: its slots are read from [`crate::state::Hashes`], see there.

use super::ExecuteError;
use super::sequential::SequentialEvm;
use alloy_eips::{eip4788::BEACON_ROOTS_ADDRESS, eip7002, eip7251};
use alloy_primitives::{Address, B256, Bytes};
use revm::SystemCallEvm;
use revm::context::result::{EVMError, ExecutionResult};

/// Before the first transaction: stores the beacon root, which is zero on this chain.
pub(super) fn before(evm: &mut SequentialEvm, block: u64) -> Result<(), ExecuteError> {
    call(evm, block, BEACON_ROOTS_ADDRESS, B256::ZERO.0.into()).map(|_| ())
}

/// After the last transaction: collects the requests of the two queues. Empty answers are left out, as in EIP-7685.
pub(super) fn after(evm: &mut SequentialEvm, block: u64) -> Result<Vec<Bytes>, ExecuteError> {
    let queues = [
        (eip7002::WITHDRAWAL_REQUEST_TYPE, eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS),
        (eip7251::CONSOLIDATION_REQUEST_TYPE, eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS),
    ];
    let mut requests = Vec::new();
    for (kind, address) in queues {
        let data = call(evm, block, address, Bytes::new())?;
        if !data.is_empty() {
            requests.push([&[kind], data.as_ref()].concat().into());
        }
    }
    Ok(requests)
}

/// A call by the system address; an absent contract answers with nothing.
fn call(evm: &mut SequentialEvm, block: u64, address: Address, data: Bytes) -> Result<Bytes, ExecuteError> {
    match evm.system_call_one(address, data) {
        Ok(ExecutionResult::Success { output, .. }) => Ok(output.into_data()),
        Ok(other) => Err(ExecuteError::System { block, address, what: format!("{other:?}") }),
        Err(EVMError::Database(source)) => Err(ExecuteError::State { block, source }),
        Err(other) => Err(ExecuteError::System { block, address, what: other.to_string() }),
    }
}
