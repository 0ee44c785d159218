//! `eth_call` and `eth_estimateGas`: run a message on a pinned view, change nothing.
//! Bounded by gas, by the number at work per core and by how long a caller may wait for a turn; run on blocking threads, so neither
//! the driver nor the sockets notice.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use alloy_eips::BlockId;
use alloy_primitives::{Address, Bytes, KECCAK256_EMPTY, TxKind, U256};
use alloy_rpc_types_eth::TransactionRequest;
use alloy_rpc_types_eth::state::{AccountOverride, StateOverride};
use jsonrpsee::RpcModule;
use jsonrpsee::types::Params;
use revm::bytecode::Bytecode;
use revm::context::result::{EVMError, ExecutionResult, HaltReason, InvalidTransaction};
use revm::context::{BlockEnv, CfgEnv, Journal, TxEnv};
use revm::context_interface::block::BlobExcessGasAndPrice;
use revm::context_interface::either::Either;
use revm::database::CacheDB;
use revm::database_interface::DatabaseRef;
use revm::{ExecuteEvm, MainBuilder};

use super::read::{next, optional, view_at};
use super::{Context, RpcError, async_methods};
use crate::publish::Block;
use crate::state::{StateError, StateView};
use crate::tx::{self, TX_GAS_LIMIT_MAX};

/// Gas of the cheapest transaction: a transfer of value to an account without code.
const TRANSFER_GAS: u64 = 21_000;
/// Gas that a call with value hands to its callee for free.
const STIPEND_GAS: u64 = 2_300;

pub(super) fn register(module: &mut RpcModule<Context>) {
    async_methods!(module, "eth_call" => call, "eth_estimateGas" => estimate);
}

/// Runs bounded work on a blocking thread: waits for a turn, but not long and not with many others.
pub(super) async fn work<T: Send + 'static>(
    context: Arc<Context>,
    run: impl FnOnce(&Context) -> Result<T, RpcError> + Send + 'static,
) -> Result<T, RpcError> {
    let limits = context.limits;
    let busy =
        |limit: usize| RpcError::Limit { what: "too many calls at once, try again".into(), limit: limit as u64, value: limit as u64 + 1 };
    let waiting = context.call_waiters.fetch_add(1, Ordering::Relaxed);
    let turn = async {
        if waiting >= limits.call_waiters && context.calls.available_permits() == 0 {
            return Err(busy(limits.call_waiters));
        }
        match tokio::time::timeout(limits.call_wait, context.calls.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(busy(limits.call_waiters)),
        }
    };
    let permit = turn.await;
    context.call_waiters.fetch_sub(1, Ordering::Relaxed);
    let permit = permit?;
    let inside = Arc::clone(&context);
    let result = tokio::task::spawn_blocking(move || run(&inside)).await;
    drop(permit);
    result.unwrap_or_else(|_| Err(RpcError::Internal("the call failed unexpectedly".into())))
}

async fn call(params: Params<'static>, context: Arc<Context>) -> Result<Bytes, RpcError> {
    let (request, id, overrides) = message(&params)?;
    work(context, move |context| {
        let (view, block) = view_at(context, id)?;
        let gas = request.gas.unwrap_or(context.limits.call_gas).min(context.limits.call_gas);
        let mut simulation = Simulation::new(context, view, &block, request, overrides)?;
        match simulation.run(gas)? {
            ExecutionResult::Success { output, .. } => Ok(output.into_data()),
            ExecutionResult::Revert { output, .. } => Err(RpcError::Reverted(output)),
            ExecutionResult::Halt { reason, .. } => Err(halted(&reason, gas)),
        }
    })
    .await
}

async fn estimate(params: Params<'static>, context: Arc<Context>) -> Result<alloy_primitives::U64, RpcError> {
    let (request, id, overrides) = message(&params)?;
    work(context, move |context| {
        let (view, block) = view_at(context, id)?;
        let mut simulation = Simulation::new(context, view, &block, request, overrides)?;
        simulation.estimate(&block).map(alloy_primitives::U64::from)
    })
    .await
}

fn message(params: &Params<'_>) -> Result<(TransactionRequest, Option<BlockId>, Option<StateOverride>), RpcError> {
    let mut sequence = params.sequence();
    let request = next(&mut sequence)?;
    let id = optional(&mut sequence)?;
    let overrides = optional(&mut sequence)?;
    let block: Option<serde_json::Map<String, serde_json::Value>> = optional(&mut sequence)?;
    if block.is_some_and(|block| !block.is_empty()) {
        return Err(RpcError::Params("block overrides are not supported".into()));
    }
    Ok((request, id, overrides))
}

type Db = CacheDB<StateView>;
type CallContext = revm::context::Context<BlockEnv, TxEnv, CfgEnv, Db, Journal<Db>, ()>;

/// One message on one view.
struct Simulation {
    db: Db,
    env: BlockEnv,
    cfg: CfgEnv,
    tx: TxEnv,
    gas_asked: Option<u64>,
}

impl Simulation {
    fn new(
        context: &Context,
        view: StateView,
        block: &Block,
        request: TransactionRequest,
        overrides: Option<StateOverride>,
    ) -> Result<Self, RpcError> {
        let mut db = CacheDB::new(view);
        for (address, change) in overrides.unwrap_or_default() {
            apply(&mut db, address, change)?;
        }
        let header = &block.header;
        let mut env = BlockEnv {
            number: U256::from(header.number),
            beneficiary: header.beneficiary,
            timestamp: U256::from(header.timestamp),
            gas_limit: u64::MAX,
            basefee: header.base_fee_per_gas.unwrap_or_default(),
            difficulty: U256::ZERO,
            prevrandao: Some(header.mix_hash),
            blob_excess_gas_and_price: Some(BlobExcessGasAndPrice { excess_blob_gas: 0, blob_gasprice: 1 }),
            slot_num: 0,
        };
        let gas_asked = request.gas;
        let tx = tx_env(context, request)?;
        if tx.gas_price == 0 {
            // As in geth: a message that names no price pays none, whatever the base fee.
            env.basefee = 0;
        }
        let mut cfg = CfgEnv::new_with_spec(context.chain.spec);
        cfg.chain_id = context.chain.chain_id;
        cfg.disable_nonce_check = true;
        cfg.tx_gas_limit_cap = Some(u64::MAX);
        without_code(&mut db, tx.caller)?;
        Ok(Self { db, env, cfg, tx, gas_asked })
    }

    /// Runs the message with this gas. What it changes stays in the EVM's journal and is forgotten.
    fn run(&mut self, gas: u64) -> Result<ExecutionResult, RpcError> {
        // The cache goes in and comes out again: a binary search reads every slot once.
        let view = self.db.db.clone();
        let db = std::mem::replace(&mut self.db, CacheDB::new(view));
        let mut context = CallContext::new(db, self.cfg.spec).modify_cfg_chained(|cfg| *cfg = self.cfg.clone());
        context.block = self.env.clone();
        let mut evm = context.build_mainnet();
        let outcome = evm.transact_one(TxEnv { gas_limit: gas, ..self.tx.clone() });
        evm.finalize();
        self.db = evm.ctx.journaled_state.database;
        outcome.map_err(|error| not_begun(error, self.tx.caller))
    }

    /// The least gas with which the message succeeds, to 1.5 %.
    fn estimate(&mut self, block: &Block) -> Result<u64, RpcError> {
        let mut high = self.gas_asked.unwrap_or(TX_GAS_LIMIT_MAX).min(TX_GAS_LIMIT_MAX).min(block.header.gas_limit);
        high = high.min(self.affordable()?);
        let plain = self.tx.data.is_empty() && self.tx.authorization_list.is_empty() && self.tx.access_list.is_empty();
        if plain
            && let TxKind::Call(to) = self.tx.kind
            && self.codeless(to)?
            && high >= TRANSFER_GAS
            && self.run(TRANSFER_GAS)?.is_success()
        {
            return Ok(TRANSFER_GAS);
        }
        let used = match self.run(high)? {
            ExecutionResult::Success { gas, .. } => gas.tx_gas_used().max(gas.total_gas_spent()),
            ExecutionResult::Revert { output, .. } => return Err(RpcError::Reverted(output)),
            ExecutionResult::Halt { reason: HaltReason::OutOfGas(_), .. } => {
                return Err(RpcError::Refused(format!("gas required exceeds allowance ({high})")));
            }
            ExecutionResult::Halt { reason, .. } => return Err(halted(&reason, high)),
        };
        let mut low = used.saturating_sub(1);
        let guess = (used + STIPEND_GAS).saturating_mul(64) / 63;
        if guess < high {
            if self.passes(guess)? { high = guess } else { low = guess }
        }
        while low + 1 < high && (high - low) * 1_000 > high * 15 {
            let middle = (low + (high - low) / 2).min(low.saturating_mul(2).max(1));
            if self.passes(middle)? { high = middle } else { low = middle }
        }
        Ok(high)
    }

    fn passes(&mut self, gas: u64) -> Result<bool, RpcError> {
        match self.run(gas) {
            Ok(result) => Ok(result.is_success()),
            // Below the intrinsic gas: not enough, no error.
            Err(RpcError::Refused(text)) if text.contains("intrinsic gas") || text.contains("floor data gas") => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Gas the caller can pay for at the price named.
    fn affordable(&mut self) -> Result<u64, RpcError> {
        if self.tx.gas_price == 0 {
            return Ok(u64::MAX);
        }
        let balance = self.db.basic_ref(self.tx.caller)?.map_or(U256::ZERO, |info| info.balance);
        let left = balance.checked_sub(self.tx.value).ok_or_else(|| RpcError::Refused("insufficient funds for transfer".into()))?;
        Ok((left / U256::from(self.tx.gas_price)).saturating_to())
    }

    fn codeless(&self, address: Address) -> Result<bool, RpcError> {
        Ok(self.db.basic_ref(address)?.is_none_or(|info| info.code_hash == KECCAK256_EMPTY || info.code_hash.is_zero()))
    }
}

/// The message as the EVM reads it.
fn tx_env(context: &Context, request: TransactionRequest) -> Result<TxEnv, RpcError> {
    let refuse = |text: &str| Err(RpcError::Params(text.to_owned()));
    if request.gas_price.is_some() && (request.max_fee_per_gas.is_some() || request.max_priority_fee_per_gas.is_some()) {
        return refuse("both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified");
    }
    if request.blob_versioned_hashes.is_some() || request.max_fee_per_blob_gas.is_some() {
        return Err(RpcError::Rejected("transaction type not supported: 3".into()));
    }
    if request.chain_id.is_some_and(|id| id != context.chain.chain_id) {
        return refuse("chainId does not match the chain of this node");
    }
    let (cap, tip) = (request.max_fee_per_gas.unwrap_or_default(), request.max_priority_fee_per_gas);
    if tip.is_some_and(|tip| tip > cap) {
        return Err(RpcError::Refused(format!(
            "max priority fee per gas higher than max fee per gas: maxPriorityFeePerGas: {}, maxFeePerGas: {cap}",
            tip.unwrap_or_default()
        )));
    }
    let (input, data) = (request.input.input, request.input.data);
    if input.is_some() && data.is_some() && input != data {
        return refuse("both \"data\" and \"input\" are set and not equal");
    }
    let signed = request.authorization_list.unwrap_or_default();
    if signed.len() > tx::AUTHORITIES_MAX {
        return refuse("too many authorizations");
    }
    let authorization_list: Vec<_> = tx::recover_authorities(&signed).into_iter().map(Either::Right).collect();
    let legacy = request.gas_price.is_some();
    Ok(TxEnv {
        tx_type: if !authorization_list.is_empty() {
            4
        } else if legacy {
            1
        } else {
            2
        },
        caller: request.from.unwrap_or_default(),
        gas_limit: 0,
        gas_price: request.gas_price.unwrap_or(cap),
        kind: request.to.unwrap_or(TxKind::Create),
        value: request.value.unwrap_or_default(),
        data: input.or(data).unwrap_or_default(),
        nonce: request.nonce.unwrap_or_default(),
        chain_id: Some(context.chain.chain_id),
        access_list: request.access_list.unwrap_or_default(),
        gas_priority_fee: (!legacy).then(|| tip.unwrap_or_default()),
        blob_hashes: Vec::new(),
        max_fee_per_blob_gas: 0,
        authorization_list,
    })
}

/// Applies the override of one account.
fn apply(db: &mut Db, address: Address, change: AccountOverride) -> Result<(), RpcError> {
    if change.move_precompile_to.is_some() {
        return Err(RpcError::Params("movePrecompileToAddress is not supported".into()));
    }
    if change.state.is_some() && change.state_diff.is_some() {
        return Err(RpcError::Params(format!("account {address} has both 'state' and 'stateDiff'")));
    }
    let mut info = db.basic_ref(address)?.unwrap_or_default();
    info.balance = change.balance.unwrap_or(info.balance);
    info.nonce = change.nonce.unwrap_or(info.nonce);
    if let Some(code) = change.code {
        let code = Bytecode::new_raw_checked(code).map_err(|error| RpcError::Params(format!("code of {address}: {error}")))?;
        info.code_hash = code.hash_slow();
        info.code = Some(code);
    }
    db.insert_account_info(address, info);
    let word = |(key, value): (alloy_primitives::B256, alloy_primitives::B256)| (key.into(), value.into());
    if let Some(state) = change.state {
        db.replace_account_storage(address, state.into_iter().map(word).collect())?;
    }
    for (key, value) in change.state_diff.into_iter().flatten().map(word) {
        db.insert_account_storage(address, key, value)?;
    }
    Ok(())
}

/// A contract may be the `from` of a call (EIP-3607 is about signed transactions): the caller is shown without its code.
fn without_code(db: &mut Db, caller: Address) -> Result<(), RpcError> {
    let Some(mut info) = db.basic_ref(caller)? else { return Ok(()) };
    if info.code_hash == KECCAK256_EMPTY || info.code_hash.is_zero() {
        return Ok(());
    }
    let code = db.code_by_hash_ref(info.code_hash)?;
    if !code.is_eip7702() {
        info.code_hash = KECCAK256_EMPTY;
        info.code = Some(Bytecode::default());
        db.insert_account_info(caller, info);
    }
    Ok(())
}

fn halted(reason: &HaltReason, gas: u64) -> RpcError {
    match reason {
        HaltReason::OutOfGas(_) => RpcError::Refused(format!("out of gas: gas limit {gas}")),
        other => RpcError::Refused(format!("execution failed: {other:?}")),
    }
}

/// Why the EVM would not even begin, in the words of Ethereum's nodes.
fn not_begun(error: EVMError<StateError>, caller: Address) -> RpcError {
    match error {
        EVMError::Database(error) => error.into(),
        EVMError::Transaction(InvalidTransaction::LackOfFundForMaxFee { fee, balance }) => {
            RpcError::Refused(format!("insufficient funds for gas * price + value: address {caller} have {balance} want {fee}"))
        }
        EVMError::Transaction(InvalidTransaction::CallGasCostMoreThanGasLimit { initial_gas, gas_limit }) => {
            RpcError::Refused(format!("intrinsic gas too low: gas {gas_limit}, minimum needed {initial_gas}"))
        }
        EVMError::Transaction(InvalidTransaction::GasFloorMoreThanGasLimit { gas_floor, gas_limit }) => {
            RpcError::Refused(format!("insufficient gas for floor data gas cost: gas {gas_limit}, minimum needed {gas_floor}"))
        }
        EVMError::Transaction(InvalidTransaction::GasPriceLessThanBasefee) => {
            RpcError::Refused("max fee per gas less than block base fee".into())
        }
        EVMError::Transaction(other) => RpcError::Refused(other.to_string()),
        other => RpcError::Internal(other.to_string()),
    }
}
