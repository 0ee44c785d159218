//! The sequential path: one long-lived EVM, one journal for the whole block, nothing recorded but the result.
//! Owned by the driver (or by a replay); never used by two threads at once.

use super::{ChainSpec, DropReason, ExecuteError, Executed, ExecutionTrace, Mode, Timing, TxTrace, receipt, system};
use crate::build::{Candidate, OnInvalid};
use crate::mempool::Pooled;
use crate::state::{AccountDiff, AccountState, Diff, HISTORY_ADDRESS, Live, SlotDiff, State};
use crate::tx::Tx;
use alloy_consensus::{Transaction, Typed2718};
use alloy_primitives::{Address, KECCAK256_EMPTY, U256, keccak256};
use revm::context::result::{EVMError, InvalidTransaction};
use revm::context::{BlockEnv, CfgEnv, Context, Journal, TxEnv};
use revm::context_interface::block::BlobExcessGasAndPrice;
use revm::context_interface::either::Either;
use revm::primitives::hardfork::SpecId;
use revm::state::{Account, EvmState};
use revm::{ExecuteEvm, MainBuilder};
use std::collections::HashSet;
use std::sync::Arc;

pub(super) type SequentialContext = Context<BlockEnv, TxEnv, CfgEnv, Live, Journal<Live>, ()>;
pub(super) type SequentialEvm = revm::MainnetEvm<SequentialContext>;

/// Executes blocks one after another on a state.
pub struct Executor {
    evm: SequentialEvm,
    chain: ChainSpec,
}

impl std::fmt::Debug for Executor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executor").field("chain", &self.chain).finish_non_exhaustive()
    }
}

/// What the transactions of a block gave, before system calls and diff.
#[derive(Default)]
struct Run {
    txs: Vec<Arc<Tx>>,
    receipts: Vec<alloy_consensus::Receipt>,
    gas_used: u64,
    dropped: Vec<(Arc<Tx>, DropReason)>,
    returned: Vec<Pooled>,
    traces: Vec<TxTrace>,
}

impl Executor {
    /// An executor over `state`. Every block must be applied to it before the next is executed.
    ///
    /// # Panics
    /// If the rules are older than Prague.
    pub fn new(state: Arc<State>, chain: ChainSpec) -> Self {
        assert!(chain.spec.is_enabled_in(SpecId::PRAGUE), "rules before Prague are not implemented");
        let evm = context(Live::new(state), chain).build_mainnet();
        Self { evm, chain }
    }

    /// Executes one block. The state is not changed: apply the diff to go on.
    pub fn execute(&mut self, candidate: Candidate, timing: Timing<'_>) -> Result<Executed, ExecuteError> {
        let began_us = (timing.now_us)();
        let block = candidate.number;
        self.evm.ctx.journaled_state.database.current = block;
        self.evm.ctx.block = block_env(&candidate, self.chain.spec);
        let outcome = self.run_block(&candidate, timing, began_us);
        // Whatever happened, the journal must be empty for the next block.
        let state = self.evm.finalize();
        let (run, requests) = outcome?;
        let diff = Arc::new(diff(state, self.evm.ctx.journaled_state.database.state()));
        let exec_us = (timing.now_us)().saturating_sub(began_us);
        let trace = ExecutionTrace {
            mode: Mode::SequentialFast,
            workers: 1,
            exec_us,
            critical_gas: run.gas_used,
            total_gas: run.gas_used,
            txs: run.traces,
            ..ExecutionTrace::default()
        };
        Ok(Executed {
            number: block,
            time_ms: candidate.time_ms,
            gas_limit: candidate.gas_limit,
            base_fee: candidate.base_fee,
            beneficiary: candidate.beneficiary,
            mix_hash: candidate.mix_hash,
            extra_data: candidate.extra_data,
            txs: run.txs,
            receipts: run.receipts,
            gas_used: run.gas_used,
            requests,
            diff,
            dropped: run.dropped,
            returned: run.returned,
            trace: Arc::new(trace),
        })
    }

    fn run_block(
        &mut self,
        candidate: &Candidate,
        timing: Timing<'_>,
        began_us: u64,
    ) -> Result<(Run, Vec<alloy_primitives::Bytes>), ExecuteError> {
        system::before(&mut self.evm, candidate.number)?;
        let run = self.run_txs(candidate, timing, began_us)?;
        let requests = system::after(&mut self.evm, candidate.number)?;
        Ok((run, requests))
    }

    fn run_txs(&mut self, candidate: &Candidate, timing: Timing<'_>, began_us: u64) -> Result<Run, ExecuteError> {
        let block = candidate.number;
        let mut run = Run::default();
        run.txs.reserve(candidate.txs.len());
        run.receipts.reserve(candidate.txs.len());
        run.traces.reserve(candidate.txs.len());
        // Senders one of whose transactions went back to the pool: their later ones follow it.
        let mut held: HashSet<Address> = HashSet::new();
        let mut start_us = began_us;
        for (index, pooled) in candidate.txs.iter().enumerate() {
            let tx = &pooled.tx;
            let (needed, left) = (tx.envelope.gas_limit(), candidate.gas_limit - run.gas_used);
            if candidate.on_invalid == OnInvalid::Reject && needed > left {
                return Err(ExecuteError::GasLimit { block, index, needed, left });
            }
            let late = timing.deadline_us.is_some_and(|deadline| start_us >= deadline);
            if late || needed > left || held.contains(&tx.sender) {
                held.insert(tx.sender);
                run.returned.push(pooled.clone());
                continue;
            }
            match self.evm.transact_one(tx_env(tx)) {
                Ok(result) => {
                    let gas_used = result.tx_gas_used();
                    run.gas_used += gas_used;
                    run.receipts.push(receipt::receipt(result, run.gas_used));
                    let end_us = (timing.now_us)();
                    run.traces.push(TxTrace {
                        index: run.txs.len() as u32,
                        hash: tx.hash,
                        lane: 0,
                        worker: 0,
                        start_us: start_us.saturating_sub(began_us) as u32,
                        end_us: end_us.saturating_sub(began_us) as u32,
                        attempts: 1,
                        gas_used,
                    });
                    run.txs.push(Arc::clone(tx));
                    start_us = end_us;
                }
                Err(EVMError::Transaction(invalid)) => {
                    let reason = drop_reason(invalid, candidate.base_fee);
                    if candidate.on_invalid == OnInvalid::Reject {
                        return Err(ExecuteError::Invalid { block, index, hash: tx.hash, reason });
                    }
                    run.dropped.push((Arc::clone(tx), reason));
                }
                Err(EVMError::Database(source)) => return Err(ExecuteError::State { block, source }),
                Err(other) => {
                    return Err(ExecuteError::System { block, address: tx.sender, what: other.to_string() });
                }
            }
        }
        Ok(run)
    }
}

fn context(live: Live, chain: ChainSpec) -> SequentialContext {
    Context::<BlockEnv, TxEnv, CfgEnv, Live, Journal<Live>, ()>::new(live, chain.spec).modify_cfg_chained(|cfg| {
        cfg.chain_id = chain.chain_id;
    })
}

/// The block environment of a candidate.
pub(crate) fn block_env(candidate: &Candidate, spec: SpecId) -> BlockEnv {
    let _ = spec;
    BlockEnv {
        number: U256::from(candidate.number),
        beneficiary: candidate.beneficiary,
        timestamp: U256::from(candidate.timestamp()),
        gas_limit: candidate.gas_limit,
        basefee: candidate.base_fee,
        difficulty: U256::ZERO,
        prevrandao: Some(candidate.mix_hash),
        blob_excess_gas_and_price: Some(BlobExcessGasAndPrice { excess_blob_gas: 0, blob_gasprice: 1 }),
        slot_num: 0,
    }
}

/// The transaction as the EVM reads it.
pub fn tx_env(tx: &Tx) -> TxEnv {
    let envelope = &tx.envelope;
    TxEnv {
        tx_type: envelope.ty(),
        caller: tx.sender,
        gas_limit: envelope.gas_limit(),
        gas_price: envelope.max_fee_per_gas(),
        kind: envelope.kind(),
        value: envelope.value(),
        data: envelope.input().clone(),
        nonce: envelope.nonce(),
        chain_id: envelope.chain_id(),
        access_list: envelope.access_list().cloned().unwrap_or_default(),
        gas_priority_fee: envelope.max_priority_fee_per_gas(),
        blob_hashes: Vec::new(),
        max_fee_per_blob_gas: 0,
        authorization_list: tx.authorities.iter().cloned().map(Either::Right).collect(),
    }
}

fn drop_reason(invalid: InvalidTransaction, base_fee: u64) -> DropReason {
    match invalid {
        InvalidTransaction::NonceTooLow { tx, state } => DropReason::NonceTooLow { expected: state, found: tx },
        InvalidTransaction::NonceTooHigh { tx, state } => DropReason::NonceTooHigh { expected: state, found: tx },
        InvalidTransaction::LackOfFundForMaxFee { fee, balance } => DropReason::InsufficientFunds { balance: *balance, cost: *fee },
        InvalidTransaction::GasPriceLessThanBasefee => DropReason::FeeTooLow { base_fee },
        other => DropReason::Invalid(other.to_string()),
    }
}

/// What the block's journal changed against the flat state, sorted.
fn diff(state: EvmState, flat: &State) -> Diff {
    let mut diff = Diff::default();
    for (address, account) in state {
        if account.is_touched()
            && let Some(change) = account_diff(address, account, flat, &mut diff)
        {
            diff.accounts.push(change);
        }
    }
    diff.accounts.sort_unstable_by_key(|account| account.address);
    diff.code.sort_unstable_by_key(|(hash, _)| *hash);
    diff.code.dedup_by_key(|(hash, _)| *hash);
    diff
}

fn account_diff(address: Address, account: Account, flat: &State, diff: &mut Diff) -> Option<AccountDiff> {
    let (before, path, storage) = flat.before(&address);
    // An account that destroyed itself keeps stale info in the journal until it is loaded again.
    let gone = account.is_selfdestructed_locally() || account.info.is_empty();
    let after = (!gone).then_some(AccountState {
        nonce: account.info.nonce,
        balance: account.info.balance,
        code_hash: if account.info.code_hash.is_zero() { KECCAK256_EMPTY } else { account.info.code_hash },
    });
    let mut slots = Vec::new();
    if !gone && address != HISTORY_ADDRESS {
        slots.reserve(account.storage.len());
        for (key, slot) in &account.storage {
            let (before, path) = flat.slot_before(storage, *key);
            if before != slot.present_value {
                let path = path.unwrap_or_else(|| keccak256(key.to_be_bytes::<32>()));
                slots.push(SlotDiff { key: *key, path, before, after: slot.present_value });
            }
        }
        slots.sort_unstable_by_key(|slot| slot.key);
    }
    if before == after && slots.is_empty() {
        return None;
    }
    let code_changed =
        after.is_some_and(|after| after.code_hash != KECCAK256_EMPTY && before.is_none_or(|before| before.code_hash != after.code_hash));
    if code_changed {
        let after = after.expect("code changed, so the account exists");
        let code = account.info.code.expect("the journal holds the code it created");
        diff.code.push((after.code_hash, code));
    }
    let path = path.unwrap_or_else(|| keccak256(address));
    Some(AccountDiff { address, path, before, after, slots })
}
