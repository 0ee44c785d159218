//! Published blocks in the shapes of Ethereum's JSON-RPC. Pure; serialisation itself is alloy's, so field sets and null rules are too.

use alloy_consensus::transaction::Recovered;
use alloy_consensus::{ReceiptEnvelope, ReceiptWithBloom, Transaction as _, TxReceipt};
use alloy_eips::Typed2718;
use alloy_primitives::{Address, B256, Sealed, TxKind, U256};
use alloy_rlp::Encodable;
use alloy_rpc_types_eth::{
    Block as RpcBlock, BlockTransactions, Header as RpcHeader, Log as RpcLog, Transaction as RpcTransaction, TransactionReceipt,
};
use serde::{Deserialize, Deserializer};

use crate::publish::Block;
use crate::tx::{Envelope, Tx};

pub(super) type Receipt = TransactionReceipt<ReceiptEnvelope<RpcLog>>;
pub(super) type Transaction = RpcTransaction<Envelope>;

/// Milliseconds, as a number or as a quantity.
#[derive(Clone, Copy, Debug)]
pub(super) struct Millis(pub u64);

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(u64),
            Text(U256),
        }
        Ok(Self(match Either::deserialize(deserializer)? {
            Either::Number(number) => number,
            Either::Text(value) => value.saturating_to(),
        }))
    }
}

/// The block, with whole transactions or their hashes.
pub(super) fn block(block: &Block, full: bool) -> RpcBlock<Transaction> {
    let transactions = if full {
        BlockTransactions::Full((0..block.txs.len()).map(|index| transaction(block, index)).collect())
    } else {
        BlockTransactions::Hashes(block.txs.iter().map(|tx| tx.hash).collect())
    };
    RpcBlock { header: header(block), uncles: Vec::new(), transactions, withdrawals: Some(Default::default()) }
}

/// The header with hash and encoded length of its block.
pub(super) fn header(block: &Block) -> RpcHeader {
    let sealed = Sealed::new_unchecked(block.header.clone(), block.hash);
    RpcHeader::from_consensus(sealed, None, Some(U256::from(rlp_bytes(block))))
}

/// Bytes of the block as RLP: a list of header, transactions, no ommers, no withdrawals.
fn rlp_bytes(block: &Block) -> usize {
    let txs: usize = block.txs.iter().map(|tx| tx.envelope.length()).sum();
    let list = |payload: usize| alloy_rlp::Header { list: true, payload_length: payload }.length() + payload;
    list(block.header.length() + list(txs) + 2)
}

/// Transaction `index` of a block.
pub(super) fn transaction(block: &Block, index: usize) -> Transaction {
    let tx = &block.txs[index];
    Transaction {
        inner: Recovered::new_unchecked(tx.envelope.clone(), tx.sender),
        block_hash: Some(block.hash),
        block_number: Some(block.header.number),
        transaction_index: Some(index as u64),
        effective_gas_price: Some(tx.envelope.effective_gas_price(block.header.base_fee_per_gas)),
        block_timestamp: Some(block.header.timestamp),
    }
}

/// A transaction that waits in the pool.
pub(super) fn pending(tx: &Tx) -> Transaction {
    Transaction {
        inner: Recovered::new_unchecked(tx.envelope.clone(), tx.sender),
        block_hash: None,
        block_number: None,
        transaction_index: None,
        effective_gas_price: None,
        block_timestamp: None,
    }
}

/// Receipt of transaction `index` of a block.
pub(super) fn receipt(block: &Block, index: usize) -> Receipt {
    receipt_from(block, index, block.first_log(index))
}

/// Receipts of all transactions of a block.
pub(super) fn receipts(block: &Block) -> Vec<Receipt> {
    let mut first_log = 0;
    (0..block.txs.len())
        .map(|index| {
            let receipt = receipt_from(block, index, first_log);
            first_log += block.receipts[index].logs().len() as u64;
            receipt
        })
        .collect()
}

fn receipt_from(block: &Block, index: usize, first_log: u64) -> Receipt {
    let (tx, own) = (&block.txs[index], &block.receipts[index]);
    let logs = own.logs().iter().enumerate().map(|(offset, inner)| log(block, index, first_log + offset as u64, inner)).collect();
    let inner = ReceiptWithBloom {
        receipt: alloy_consensus::Receipt { status: own.status().into(), cumulative_gas_used: own.cumulative_gas_used(), logs },
        logs_bloom: own.bloom(),
    };
    let inner = match tx.envelope.ty() {
        0 => ReceiptEnvelope::Legacy(inner),
        1 => ReceiptEnvelope::Eip2930(inner),
        2 => ReceiptEnvelope::Eip1559(inner),
        _ => ReceiptEnvelope::Eip7702(inner),
    };
    TransactionReceipt {
        inner,
        transaction_hash: tx.hash,
        transaction_index: Some(index as u64),
        block_hash: Some(block.hash),
        block_number: Some(block.header.number),
        gas_used: block.gas_used(index),
        effective_gas_price: tx.envelope.effective_gas_price(block.header.base_fee_per_gas),
        blob_gas_used: None,
        blob_gas_price: None,
        from: tx.sender,
        to: tx.envelope.to(),
        contract_address: created(tx),
    }
}

fn created(tx: &Tx) -> Option<Address> {
    matches!(tx.envelope.kind(), TxKind::Create).then(|| tx.sender.create(tx.nonce()))
}

/// One log with its place in the chain.
pub(super) fn log(block: &Block, index: usize, log_index: u64, inner: &alloy_primitives::Log) -> RpcLog {
    RpcLog {
        inner: inner.clone(),
        block_hash: Some(block.hash),
        block_number: Some(block.header.number),
        block_timestamp: Some(block.header.timestamp),
        transaction_hash: Some(block.txs[index].hash),
        transaction_index: Some(index as u64),
        log_index: Some(log_index),
        removed: false,
    }
}

/// A quantity as Ethereum writes it.
pub(super) fn quantity(value: u64) -> String {
    format!("{value:#x}")
}

/// A 32-byte word from a storage key as clients send it: padded data or a short quantity.
pub(super) fn storage_key(text: &str) -> Option<U256> {
    let digits = text.strip_prefix("0x")?;
    if digits.is_empty() || digits.len() > 64 {
        return None;
    }
    U256::from_str_radix(digits, 16).ok()
}

/// A word as 32 bytes of data.
pub(super) fn word(value: U256) -> B256 {
    B256::from(value)
}
