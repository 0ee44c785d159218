//! `eth_getLogs`, and the test of one log against a filter that subscriptions share.
//! Bounded while it reads: blocks, results and bytes; the error names the range that would fit.

use std::sync::Arc;

use alloy_primitives::Log;
use alloy_rpc_types_eth::{BlockNumberOrTag, Filter, FilterBlockOption, Log as RpcLog};
use jsonrpsee::RpcModule;
use jsonrpsee::types::Params;

use super::read::{head_or, next};
use super::{Context, RpcError, async_methods, call, convert};
use crate::publish::Block;

pub(super) fn register(module: &mut RpcModule<Context>) {
    async_methods!(module, "eth_getLogs" => get_logs);
}

async fn get_logs(params: Params<'static>, context: Arc<Context>) -> Result<Vec<RpcLog>, RpcError> {
    let filter: Filter = next(&mut params.sequence())?;
    check(&context, &filter)?;
    call::work(context, move |context| query(context, &filter)).await
}

/// The bounds on a filter itself.
pub(super) fn check(context: &Context, filter: &Filter) -> Result<(), RpcError> {
    let limits = &context.limits;
    let over = |what: &str, limit: usize, value: usize| {
        (value > limit).then(|| RpcError::Limit {
            what: format!("too many {what} in the filter"),
            limit: limit as u64,
            value: value as u64,
        })
    };
    let topics = filter.topics.iter().map(|topic| topic.len()).max().unwrap_or(0);
    match over("addresses", limits.logs_addresses, filter.address.len()).or(over("topics", limits.logs_topics, topics)) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn query(context: &Context, filter: &Filter) -> Result<Vec<RpcLog>, RpcError> {
    let log = &context.parts.log;
    let mut found = Vec::new();
    let (from, to) = match filter.block_option {
        FilterBlockOption::AtBlockHash(hash) => {
            let block = log.block_by_hash(&hash)?.ok_or_else(|| RpcError::Refused("unknown block".into()))?;
            matching(&block, filter, &mut found);
            return bounded(context, found, block.header.number, block.header.number);
        }
        FilterBlockOption::Range { from_block, to_block } => {
            let head = log.head().block;
            let from = head_or(context, from_block.unwrap_or(BlockNumberOrTag::Latest));
            (from, head_or(context, to_block.unwrap_or(BlockNumberOrTag::Latest)).min(head))
        }
    };
    if from > to {
        return if from > log.head().block { Ok(found) } else { Err(RpcError::Params("invalid block range params".into())) };
    }
    let limits = &context.limits;
    if to - from >= limits.logs_blocks {
        let fits = from + limits.logs_blocks - 1;
        let what = format!("block range too large: ask for at most {} blocks, such as {from:#x} to {fits:#x}", limits.logs_blocks);
        return Err(RpcError::Limit { what, limit: limits.logs_blocks, value: to - from + 1 });
    }
    if from < log.first() && from > 0 {
        return Err(RpcError::Refused(format!("history not available: the log begins at block {}", log.first())));
    }
    let mut scanned = 0;
    for number in log.candidates(from, to, |bloom| filter.matches_bloom(*bloom)) {
        let Some(block) = log.block_by_number(number)? else { break };
        scanned += block.encoded_bytes;
        matching(&block, filter, &mut found);
        if scanned > limits.logs_bytes && number < to {
            let what = format!("query reads too much: {from:#x} to {number:#x} fits");
            return Err(RpcError::Limit { what, limit: limits.logs_bytes as u64, value: scanned as u64 });
        }
        if found.len() > limits.logs_results {
            return bounded(context, found, from, number);
        }
    }
    Ok(found)
}

fn bounded(context: &Context, found: Vec<RpcLog>, from: u64, at: u64) -> Result<Vec<RpcLog>, RpcError> {
    let limit = context.limits.logs_results;
    if found.len() <= limit {
        return Ok(found);
    }
    let what = match at.checked_sub(1).filter(|last| *last >= from) {
        Some(last) => format!("query returned more than {limit} results: {from:#x} to {last:#x} fits"),
        None => format!("query returned more than {limit} results in one block: narrow the filter"),
    };
    Err(RpcError::Limit { what, limit: limit as u64, value: found.len() as u64 })
}

/// Adds the logs of a block that pass the filter's addresses and topics.
pub(super) fn matching(block: &Block, filter: &Filter, found: &mut Vec<RpcLog>) {
    if !filter.matches_bloom(block.header.logs_bloom) {
        return;
    }
    let mut log_index = 0;
    for (index, receipt) in block.receipts.iter().enumerate() {
        for log in receipt.logs() {
            if passes(filter, log) {
                found.push(convert::log(block, index, log_index, log));
            }
            log_index += 1;
        }
    }
}

fn passes(filter: &Filter, log: &Log) -> bool {
    filter.matches_address(log.address) && filter.matches_topics(log.topics())
}
