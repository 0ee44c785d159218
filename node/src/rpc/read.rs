//! Methods that read what is published or pooled. Each answers from one block or one pinned view; none works long.

use std::sync::Arc;

use alloy_consensus::Transaction as _;
use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, Bytes, U64, U256, keccak256};
use alloy_rpc_types_eth::{Block as RpcBlock, BlockNumberOrTag, FeeHistory, Index};
use jsonrpsee::RpcModule;
use jsonrpsee::types::Params;
use jsonrpsee::types::params::ParamsSequence;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::convert::{self, Receipt, Transaction};
use super::{Context, RpcError, methods};
use crate::build::Parent;
use crate::publish::Block;
use crate::state::StateView;

/// Tip we advise, wei per gas: order is by arrival, so one wei is as good as any.
const TIP_ADVISED: u64 = 1;

pub(super) fn register(module: &mut RpcModule<Context>) {
    methods!(module,
        "eth_chainId" => chain_id,
        "eth_blockNumber" => block_number,
        "eth_gasPrice" => gas_price,
        "eth_maxPriorityFeePerGas" => max_priority_fee,
        "eth_feeHistory" => fee_history,
        "eth_syncing" => syncing,
        "eth_accounts" => accounts,
        "eth_getBalance" => balance,
        "eth_getCode" => code,
        "eth_getStorageAt" => storage_at,
        "eth_getTransactionCount" => transaction_count,
        "eth_getBlockByNumber" => block_by,
        "eth_getBlockByHash" => block_by,
        "eth_getBlockTransactionCountByNumber" => block_transaction_count,
        "eth_getBlockTransactionCountByHash" => block_transaction_count,
        "eth_getUncleCountByBlockNumber" => uncle_count,
        "eth_getUncleCountByBlockHash" => uncle_count,
        "eth_getTransactionByHash" => transaction_by_hash,
        "eth_getTransactionByBlockNumberAndIndex" => transaction_by_index,
        "eth_getTransactionByBlockHashAndIndex" => transaction_by_index,
        "eth_getTransactionReceipt" => transaction_receipt,
        "eth_getBlockReceipts" => block_receipts,
        "net_version" => net_version,
        "net_listening" => net_listening,
        "net_peerCount" => net_peer_count,
        "web3_clientVersion" => client_version,
        "web3_sha3" => sha3,
        "txpool_status" => txpool_status,
    );
}

/// The next parameter, which must be there.
pub(super) fn next<T: DeserializeOwned>(sequence: &mut ParamsSequence<'_>) -> Result<T, RpcError> {
    sequence.next().map_err(|error| RpcError::Params(said(&error)))
}

/// The next parameter, if it is there and not null.
pub(super) fn optional<T: DeserializeOwned>(sequence: &mut ParamsSequence<'_>) -> Result<Option<T>, RpcError> {
    sequence.optional_next().map_err(|error| RpcError::Params(said(&error)))
}

fn said(error: &jsonrpsee::types::ErrorObject<'_>) -> String {
    match error.data() {
        Some(data) => format!("{}: {}", error.message(), data.get().trim_matches('"')),
        None => error.message().to_owned(),
    }
}

/// Number a tag stands for. `safe`, `finalized` and `pending` are `latest` while one sequencer makes blocks.
pub(super) fn head_or(context: &Context, tag: BlockNumberOrTag) -> u64 {
    match tag {
        BlockNumberOrTag::Number(number) => number,
        BlockNumberOrTag::Earliest => 0,
        _ => context.parts.log.head().block,
    }
}

/// The block of an id, `None` if there is none.
pub(super) fn block_at(context: &Context, id: BlockId) -> Result<Option<Arc<Block>>, RpcError> {
    let log = &context.parts.log;
    match id {
        BlockId::Hash(hash) => Ok(log.block_by_hash(&hash.block_hash)?),
        BlockId::Number(BlockNumberOrTag::Number(number)) => Ok(log.block_by_number(number)?),
        BlockId::Number(BlockNumberOrTag::Earliest) => Ok(Some(log.genesis().clone())),
        BlockId::Number(_) => Ok(Some(log.head_block())),
    }
}

/// The state after the block of an id (default `latest`), and that block.
pub(super) fn view_at(context: &Context, id: Option<BlockId>) -> Result<(StateView, Arc<Block>), RpcError> {
    let block = block_at(context, id.unwrap_or_default())?.ok_or_else(|| RpcError::Refused("header not found".into()))?;
    let view = context.parts.state.view(block.header.number)?;
    Ok((view, block))
}

fn chain_id(_: Params<'_>, context: &Context) -> String {
    convert::quantity(context.chain.chain_id)
}

fn block_number(_: Params<'_>, context: &Context) -> String {
    convert::quantity(context.parts.log.head().block)
}

fn next_base_fee(context: &Context, block: &Block) -> u64 {
    context.rules.base_fee(&Parent::from(block))
}

fn gas_price(_: Params<'_>, context: &Context) -> String {
    convert::quantity(next_base_fee(context, &context.parts.log.head_block()) + TIP_ADVISED)
}

fn max_priority_fee(_: Params<'_>, _: &Context) -> String {
    convert::quantity(TIP_ADVISED)
}

fn fee_history(params: Params<'_>, context: &Context) -> Result<FeeHistory, RpcError> {
    let mut sequence = params.sequence();
    let count: convert::Millis = next(&mut sequence)?;
    let newest = head_or(context, optional(&mut sequence)?.unwrap_or_default());
    let percentiles: Vec<f64> = optional(&mut sequence)?.unwrap_or_default();
    let sorted = percentiles.windows(2).all(|two| two[0] <= two[1]);
    if percentiles.len() > 100 || !sorted || percentiles.iter().any(|one| !(0.0..=100.0).contains(one)) {
        return Err(RpcError::Params("invalid reward percentile: at most 100, rising, 0 to 100".into()));
    }
    let log = &context.parts.log;
    if newest > log.head().block {
        return Err(RpcError::Refused(format!("request beyond head block: requested {newest}, head {}", log.head().block)));
    }
    let count = count.0.min(context.limits.fee_history_blocks).min(newest + 1);
    let mut history = FeeHistory { oldest_block: newest + 1 - count, ..Default::default() };
    let mut rewards = Vec::new();
    for number in history.oldest_block..history.oldest_block + count {
        let block = log.block_by_number(number)?.ok_or_else(|| RpcError::Refused("history not available".into()))?;
        history.base_fee_per_gas.push(block.header.base_fee_per_gas.unwrap_or_default().into());
        history.gas_used_ratio.push(block.header.gas_used as f64 / block.header.gas_limit as f64);
        history.base_fee_per_blob_gas.push(1);
        history.blob_gas_used_ratio.push(0.0);
        if !percentiles.is_empty() {
            rewards.push(tips(&block, &percentiles));
        }
        if number == newest {
            history.base_fee_per_gas.push(next_base_fee(context, &block).into());
            history.base_fee_per_blob_gas.push(1);
        }
    }
    history.reward = (!percentiles.is_empty()).then_some(rewards);
    Ok(history)
}

/// Tips of a block at these percentiles of its gas.
fn tips(block: &Block, percentiles: &[f64]) -> Vec<u128> {
    let base_fee = block.header.base_fee_per_gas.unwrap_or_default();
    let mut tips: Vec<(u128, u64)> = (0..block.txs.len())
        .map(|index| (block.txs[index].envelope.effective_tip_per_gas(base_fee).unwrap_or_default(), block.gas_used(index)))
        .collect();
    tips.sort_unstable();
    percentiles
        .iter()
        .map(|percentile| {
            let threshold = (block.header.gas_used as f64 * percentile / 100.0) as u64;
            let mut sum = 0;
            let found = tips.iter().find(|(_, gas)| {
                sum += gas;
                sum >= threshold
            });
            found.or(tips.last()).map_or(0, |(tip, _)| *tip)
        })
        .collect()
}

fn syncing(_: Params<'_>, _: &Context) -> bool {
    false
}

fn accounts(_: Params<'_>, _: &Context) -> Vec<Address> {
    Vec::new()
}

fn balance(params: Params<'_>, context: &Context) -> Result<U256, RpcError> {
    let mut sequence = params.sequence();
    let address: Address = next(&mut sequence)?;
    let (view, _) = view_at(context, optional(&mut sequence)?)?;
    Ok(view.account(&address)?.map_or(U256::ZERO, |account| account.balance))
}

fn code(params: Params<'_>, context: &Context) -> Result<Bytes, RpcError> {
    let mut sequence = params.sequence();
    let address: Address = next(&mut sequence)?;
    let (view, _) = view_at(context, optional(&mut sequence)?)?;
    Ok(view.code(&address)?.original_bytes())
}

fn storage_at(params: Params<'_>, context: &Context) -> Result<B256, RpcError> {
    let mut sequence = params.sequence();
    let address: Address = next(&mut sequence)?;
    let key: String = next(&mut sequence)?;
    let key = convert::storage_key(&key).ok_or_else(|| RpcError::Params("invalid storage key: expected up to 32 bytes of hex".into()))?;
    let (view, _) = view_at(context, optional(&mut sequence)?)?;
    Ok(convert::word(view.storage(&address, key)?))
}

fn transaction_count(params: Params<'_>, context: &Context) -> Result<U64, RpcError> {
    let mut sequence = params.sequence();
    let address: Address = next(&mut sequence)?;
    let id: Option<BlockId> = optional(&mut sequence)?;
    let pending = id.is_some_and(|id| id.is_pending());
    let (view, _) = view_at(context, id)?;
    let nonce = view.account(&address)?.map_or(0, |account| account.nonce);
    if !pending {
        return Ok(U64::from(nonce));
    }
    // Executed but not yet published blocks count too: their nonces are gone.
    let executed = context.parts.state.account(&address).map_or(0, |account| account.nonce);
    Ok(U64::from(context.parts.pool.pending_nonce(&address, nonce.max(executed))))
}

fn block_by(params: Params<'_>, context: &Context) -> Result<Option<RpcBlock<Transaction>>, RpcError> {
    let mut sequence = params.sequence();
    let id: BlockId = next(&mut sequence)?;
    let full: bool = optional(&mut sequence)?.unwrap_or(false);
    Ok(block_at(context, id)?.map(|block| convert::block(&block, full)))
}

fn block_transaction_count(params: Params<'_>, context: &Context) -> Result<Option<U64>, RpcError> {
    let id: BlockId = next(&mut params.sequence())?;
    Ok(block_at(context, id)?.map(|block| U64::from(block.txs.len())))
}

fn uncle_count(params: Params<'_>, context: &Context) -> Result<Option<U64>, RpcError> {
    let id: BlockId = next(&mut params.sequence())?;
    Ok(block_at(context, id)?.map(|_| U64::ZERO))
}

fn transaction_by_hash(params: Params<'_>, context: &Context) -> Result<Option<Transaction>, RpcError> {
    let hash: B256 = next(&mut params.sequence())?;
    let parts = &context.parts;
    // Pool before log: a transaction moves from one to the other, never back.
    let waiting = parts.pool.get(&hash).or_else(|| parts.recent.get(&hash));
    if let Some((block, index)) = parts.log.tx(&hash)? {
        return Ok(Some(convert::transaction(&block, index)));
    }
    Ok(waiting.map(|tx| convert::pending(&tx)))
}

fn transaction_by_index(params: Params<'_>, context: &Context) -> Result<Option<Transaction>, RpcError> {
    let mut sequence = params.sequence();
    let id: BlockId = next(&mut sequence)?;
    let index: Index = next(&mut sequence)?;
    let Some(block) = block_at(context, id)? else { return Ok(None) };
    Ok((index.0 < block.txs.len()).then(|| convert::transaction(&block, index.0)))
}

fn transaction_receipt(params: Params<'_>, context: &Context) -> Result<Option<Receipt>, RpcError> {
    let hash: B256 = next(&mut params.sequence())?;
    Ok(context.parts.log.tx(&hash)?.map(|(block, index)| convert::receipt(&block, index)))
}

fn block_receipts(params: Params<'_>, context: &Context) -> Result<Option<Vec<Receipt>>, RpcError> {
    let id: BlockId = next(&mut params.sequence())?;
    Ok(block_at(context, id)?.map(|block| convert::receipts(&block)))
}

fn net_version(_: Params<'_>, context: &Context) -> String {
    context.chain.chain_id.to_string()
}

fn net_listening(_: Params<'_>, _: &Context) -> bool {
    true
}

fn net_peer_count(_: Params<'_>, _: &Context) -> String {
    convert::quantity(0)
}

fn client_version(_: Params<'_>, context: &Context) -> String {
    context.client_version.clone()
}

fn sha3(params: Params<'_>, _: &Context) -> Result<B256, RpcError> {
    let data: Bytes = next(&mut params.sequence())?;
    Ok(keccak256(data))
}

fn txpool_status(_: Params<'_>, context: &Context) -> Value {
    let stats = context.parts.pool.stats();
    json!({ "pending": convert::quantity(stats.executable as u64), "queued": convert::quantity(stats.gapped as u64) })
}
