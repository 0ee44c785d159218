//! The checks of a transaction that need neither the pool nor an account: gas against its contents, the block and the fee floor.
//! Run by the recovery collector in parallel, before the pool is locked.

use alloy_consensus::Transaction;
use revm::context_interface::cfg::gas_params::GasParams;
use revm::primitives::hardfork::SpecId;

use super::PoolError;
use crate::tx::Tx;

/// The constants of a chain that admission depends on.
#[derive(Clone, Debug)]
pub struct Admission {
    gas: GasParams,
    /// Gas limit of a block.
    pub block_gas_limit: u64,
    /// Wei per gas below which the base fee never falls: a fee cap under it can never be included.
    pub base_fee_floor: u64,
}

impl Admission {
    /// The rules under this fork.
    pub fn new(spec: SpecId, block_gas_limit: u64, base_fee_floor: u64) -> Self {
        Self { gas: GasParams::new_spec(spec), block_gas_limit, base_fee_floor }
    }

    /// Gas that this transaction pays before its first instruction, and the floor its call data sets (EIP-7623).
    pub fn intrinsic(&self, tx: &impl Transaction) -> (u64, u64) {
        let (accounts, slots) = tx
            .access_list()
            .map(|list| (list.len() as u64, list.iter().map(|item| item.storage_keys.len() as u64).sum()))
            .unwrap_or_default();
        let authorities = tx.authorization_list().map_or(0, |list| list.len() as u64);
        let gas = self.gas.initial_tx_gas(tx.input(), tx.is_create(), accounts, slots, authorities, None);
        (gas.initial_regular_gas(), gas.floor_gas())
    }

    /// Everything that can be said without state.
    pub fn check(&self, tx: &Tx) -> Result<(), PoolError> {
        let gas_limit = tx.gas_limit();
        if gas_limit > self.block_gas_limit {
            return Err(PoolError::BlockGasLimit);
        }
        let (needed, floor) = self.intrinsic(&tx.envelope);
        if gas_limit < needed {
            return Err(PoolError::IntrinsicGas { gas_limit, needed });
        }
        if gas_limit < floor {
            return Err(PoolError::FloorGas { gas_limit, needed: floor });
        }
        if tx.fee_cap() < u128::from(self.base_fee_floor) {
            return Err(PoolError::BelowFloor { fee_cap: tx.fee_cap(), floor: self.base_fee_floor });
        }
        Ok(())
    }
}
