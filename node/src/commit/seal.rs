//! The header of an executed block: every root is real. Pure.

use crate::execute::Executed;
use crate::publish::Block;
use crate::state::Diff;
use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header, ReceiptEnvelope, TxReceipt};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B64, B256, Bloom, Bytes, U256};
use alloy_trie::EMPTY_ROOT_HASH;
use alloy_trie::root::{ordered_trie_root_encoded, ordered_trie_root_with_encoder};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Seals a block with the parent's hash and the state root after it. Returns the block and its changes of state.
pub fn seal(executed: Executed, parent_hash: B256, state_root: B256) -> (Block, Arc<Diff>) {
    let receipts: Vec<ReceiptEnvelope> = executed
        .receipts
        .into_iter()
        .zip(&executed.txs)
        .map(|(receipt, tx)| ReceiptEnvelope::from_typed(tx.envelope.tx_type(), receipt.with_bloom()))
        .collect();
    let mut logs_bloom = Bloom::ZERO;
    receipts.iter().filter(|receipt| !receipt.logs().is_empty()).for_each(|receipt| logs_bloom.accrue_bloom(receipt.logs_bloom()));
    let raw: Vec<&[u8]> = executed.txs.iter().map(|tx| tx.raw.as_ref()).collect();
    let header = Header {
        parent_hash,
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: executed.beneficiary,
        state_root,
        transactions_root: ordered_trie_root_encoded(&raw),
        receipts_root: ordered_trie_root_with_encoder(&receipts, |receipt, out| receipt.encode_2718(out)),
        logs_bloom,
        difficulty: U256::ZERO,
        number: executed.number,
        gas_limit: executed.gas_limit,
        gas_used: executed.gas_used,
        timestamp: executed.time_ms / 1_000,
        extra_data: executed.extra_data,
        mix_hash: executed.mix_hash,
        nonce: B64::ZERO,
        base_fee_per_gas: Some(executed.base_fee),
        withdrawals_root: Some(EMPTY_ROOT_HASH),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        requests_hash: Some(requests_hash(&executed.requests)),
        ..Header::default()
    };
    let hash = header.hash_slow();
    let block =
        Block { header, hash, time_ms: executed.time_ms, txs: executed.txs, receipts, trace: Some(executed.trace), encoded_bytes: 0 };
    (block, executed.diff)
}

/// EIP-7685: sha256 over the sha256 of each request.
fn requests_hash(requests: &[Bytes]) -> B256 {
    let mut hash = Sha256::new();
    requests.iter().for_each(|request| hash.update(Sha256::digest(request)));
    B256::from_slice(&hash.finalize())
}
