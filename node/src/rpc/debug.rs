//! `debug_getRaw*`: the consensus encodings of what the chain holds. Served only on loopback unless told otherwise.

use alloy_consensus::Header;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, Bytes};
use alloy_rlp::Encodable;
use jsonrpsee::RpcModule;
use jsonrpsee::types::Params;

use super::read::{block_at, next};
use super::{Context, RpcError, methods};
use crate::publish::Block;

pub(super) fn register(module: &mut RpcModule<Context>) {
    methods!(module,
        "debug_getRawHeader" => raw_header,
        "debug_getRawBlock" => raw_block,
        "debug_getRawTransaction" => raw_transaction,
        "debug_getRawReceipts" => raw_receipts,
    );
}

fn raw_header(params: Params<'_>, context: &Context) -> Result<Bytes, RpcError> {
    let block = known(&params, context)?;
    Ok(alloy_rlp::encode(&block.header).into())
}

fn raw_block(params: Params<'_>, context: &Context) -> Result<Bytes, RpcError> {
    let block = known(&params, context)?;
    Ok(encode_block(&block).into())
}

fn raw_receipts(params: Params<'_>, context: &Context) -> Result<Vec<Bytes>, RpcError> {
    let block = known(&params, context)?;
    Ok(block.receipts.iter().map(|receipt| receipt.encoded_2718().into()).collect())
}

fn raw_transaction(params: Params<'_>, context: &Context) -> Result<Bytes, RpcError> {
    let hash: B256 = next(&mut params.sequence())?;
    if let Some((block, index)) = context.parts.log.tx(&hash)? {
        return Ok(block.txs[index].raw.clone());
    }
    Ok(context.parts.pool.get(&hash).or_else(|| context.parts.recent.get(&hash)).map_or(Bytes::new(), |tx| tx.raw.clone()))
}

fn known(params: &Params<'_>, context: &Context) -> Result<std::sync::Arc<Block>, RpcError> {
    let id = next(&mut params.sequence())?;
    block_at(context, id)?.ok_or_else(|| RpcError::Refused("header not found".into()))
}

/// RLP of a block: header, transactions, no ommers, no withdrawals.
fn encode_block(block: &Block) -> Vec<u8> {
    let Block { header, txs, .. } = block;
    let txs_payload: usize = txs.iter().map(|tx| tx.envelope.length()).sum();
    let head = |payload_length| alloy_rlp::Header { list: true, payload_length };
    let txs_head = head(txs_payload);
    let payload = Header::length(header) + txs_head.length() + txs_payload + 2;
    let mut out = Vec::with_capacity(payload + 8);
    head(payload).encode(&mut out);
    header.encode(&mut out);
    txs_head.encode(&mut out);
    txs.iter().for_each(|tx| tx.envelope.encode(&mut out));
    out.extend([alloy_rlp::EMPTY_LIST_CODE; 2]);
    out
}
