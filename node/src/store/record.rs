//! The bytes of a block in the log: a fixed head, the block, its changes of state, a checksum.
//! Pure: used by the commit thread to write, by recovery and readers to read. Decoding is total.
//!
//! ```text
//! 0 "HBLK"  4 u32 body length  8 u64 number  16 [32] hash  48 [32] parent hash  80 u64 unix ms  88 u32 block length
//! 92 u32 diff length  96 u32 crc32 of 0..96
//! 100 block part: RLP [header, txs, senders, receipts, ms] | diff part | u32 crc32 of both parts
//! ```
//! Integers are little-endian outside RLP.

use crate::publish::Block;
use crate::state::{AccountDiff, AccountState, Diff, SlotDiff, State};
use crate::tx::Tx;
use alloy_consensus::{Eip658Value, Header, Receipt, ReceiptEnvelope};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, Log, U256, keccak256};
use alloy_rlp::{Decodable, Encodable, Header as RlpHeader};
use revm::bytecode::Bytecode;
use std::sync::Arc;

/// Bytes before the block part.
pub const HEAD_BYTES: usize = 100;
const MAGIC: &[u8; 4] = b"HBLK";
/// A body longer than this is damage: blocks are at most 8 MiB of transactions.
const BODY_BYTES_MAX: usize = 1 << 30;

/// The fixed head of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub number: u64,
    pub hash: B256,
    pub parent: B256,
    pub time_ms: u64,
    pub block_len: u32,
    pub diff_len: u32,
}

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    #[error("the record ends early")]
    Short,
    #[error("the record does not begin with its mark")]
    Magic,
    #[error("the checksum of the head does not match")]
    HeadChecksum,
    #[error("the checksum of the body does not match")]
    BodyChecksum,
    #[error("the lengths do not match")]
    Length,
    #[error("the {0} is malformed")]
    Part(&'static str),
}

impl Head {
    /// Bytes of the whole record.
    pub fn record_bytes(&self) -> usize {
        HEAD_BYTES + self.block_len as usize + self.diff_len as usize + 4
    }

    /// Reads and checks a head.
    pub fn parse(bytes: &[u8]) -> Result<Self, Damage> {
        let bytes = bytes.get(..HEAD_BYTES).ok_or(Damage::Short)?;
        if &bytes[..4] != MAGIC {
            return Err(Damage::Magic);
        }
        if crc32fast::hash(&bytes[..96]) != u32_at(bytes, 96) {
            return Err(Damage::HeadChecksum);
        }
        let head = Self {
            number: u64_at(bytes, 8),
            hash: B256::from_slice(&bytes[16..48]),
            parent: B256::from_slice(&bytes[48..80]),
            time_ms: u64_at(bytes, 80),
            block_len: u32_at(bytes, 88),
            diff_len: u32_at(bytes, 92),
        };
        let body = head.block_len as usize + head.diff_len as usize;
        if u32_at(bytes, 4) as usize != body || body > BODY_BYTES_MAX {
            return Err(Damage::Length);
        }
        Ok(head)
    }
}

/// A whole record, checksums verified.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub head: Head,
    pub block: &'a [u8],
    pub diff: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads and checks the record at the start of `bytes`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Damage> {
        let head = Head::parse(bytes)?;
        let record = bytes.get(..head.record_bytes()).ok_or(Damage::Short)?;
        let body = &record[HEAD_BYTES..record.len() - 4];
        if crc32fast::hash(body) != u32_at(record, record.len() - 4) {
            return Err(Damage::BodyChecksum);
        }
        let (block, diff) = body.split_at(head.block_len as usize);
        Ok(Self { head, block, diff })
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// Writes the record of a block into `out`, which is cleared; `scratch` is working space.
pub fn encode(block: &Block, diff: &Diff, out: &mut Vec<u8>, scratch: &mut Vec<u8>) {
    out.clear();
    out.resize(HEAD_BYTES, 0);
    encode_block(block, out, scratch);
    let block_len = out.len() - HEAD_BYTES;
    encode_diff(diff, out);
    let body_len = out.len() - HEAD_BYTES;
    let crc = crc32fast::hash(&out[HEAD_BYTES..]);
    out.extend_from_slice(&crc.to_le_bytes());

    out[..4].copy_from_slice(MAGIC);
    out[4..8].copy_from_slice(&len32(body_len).to_le_bytes());
    out[8..16].copy_from_slice(&block.header.number.to_le_bytes());
    out[16..48].copy_from_slice(&block.hash.0);
    out[48..80].copy_from_slice(&block.header.parent_hash.0);
    out[80..88].copy_from_slice(&block.time_ms.to_le_bytes());
    out[88..92].copy_from_slice(&len32(block_len).to_le_bytes());
    out[92..96].copy_from_slice(&len32(body_len - block_len).to_le_bytes());
    let crc = crc32fast::hash(&out[..96]);
    out[96..100].copy_from_slice(&crc.to_le_bytes());
}

fn len32(len: usize) -> u32 {
    u32::try_from(len).expect("a record is far below 4 GiB")
}

/// Writes the block part alone: what the block stream sends, too.
pub fn encode_block(block: &Block, out: &mut Vec<u8>, scratch: &mut Vec<u8>) {
    scratch.clear();
    block.header.encode(scratch);
    let txs_len = block.txs.iter().map(|tx| tx.raw.as_ref().length()).sum();
    RlpHeader { list: true, payload_length: txs_len }.encode(scratch);
    block.txs.iter().for_each(|tx| tx.raw.as_ref().encode(scratch));
    RlpHeader { list: true, payload_length: 21 * block.txs.len() }.encode(scratch);
    block.txs.iter().for_each(|tx| tx.sender.encode(scratch));
    let receipts_len = block.receipts.iter().map(|receipt| receipt_len(receipt).1).sum();
    RlpHeader { list: true, payload_length: receipts_len }.encode(scratch);
    block.receipts.iter().for_each(|receipt| encode_receipt(receipt, scratch));
    block.time_ms.encode(scratch);
    RlpHeader { list: true, payload_length: scratch.len() }.encode(out);
    out.extend_from_slice(scratch);
}

/// Payload of the logs list, length of the whole receipt.
fn receipt_len(receipt: &ReceiptEnvelope) -> (usize, usize) {
    let logs: usize = receipt.logs().iter().map(Encodable::length).sum();
    let payload = 1 + receipt.cumulative_gas_used().length() + logs + RlpHeader { list: true, payload_length: logs }.length();
    (logs, payload + RlpHeader { list: true, payload_length: payload }.length())
}

/// A receipt without its bloom, which follows from the logs: `[status, cumulative gas, logs]`.
fn encode_receipt(receipt: &ReceiptEnvelope, out: &mut Vec<u8>) {
    let (logs, _) = receipt_len(receipt);
    let payload = 1 + receipt.cumulative_gas_used().length() + logs + RlpHeader { list: true, payload_length: logs }.length();
    RlpHeader { list: true, payload_length: payload }.encode(out);
    receipt.status().encode(out);
    receipt.cumulative_gas_used().encode(out);
    RlpHeader { list: true, payload_length: logs }.encode(out);
    receipt.logs().iter().for_each(|log| log.encode(out));
}

/// The raw transactions of a block part, for indexing.
pub fn raw_txs(block: &[u8]) -> Result<Vec<&[u8]>, Damage> {
    let mut body = RlpHeader::decode_bytes(&mut &*block, true).map_err(|_| Damage::Part("block"))?;
    skip(&mut body).ok_or(Damage::Part("header"))?;
    let mut txs = RlpHeader::decode_bytes(&mut body, true).map_err(|_| Damage::Part("transaction list"))?;
    let mut all = Vec::new();
    while !txs.is_empty() {
        all.push(RlpHeader::decode_bytes(&mut txs, false).map_err(|_| Damage::Part("transaction"))?);
    }
    Ok(all)
}

fn skip(bytes: &mut &[u8]) -> Option<()> {
    let header = RlpHeader::decode(bytes).ok()?;
    *bytes = bytes.get(header.payload_length..)?;
    Some(())
}

/// Decodes the header of a block part alone.
pub fn decode_header(block: &[u8]) -> Result<Header, Damage> {
    let mut body = RlpHeader::decode_bytes(&mut &*block, true).map_err(|_| Damage::Part("block"))?;
    Header::decode(&mut body).map_err(|_| Damage::Part("header"))
}

/// Decodes a block part. Transactions share the bytes they are read from.
pub fn decode_block(head: &Head, part: &Bytes) -> Result<Block, Damage> {
    let mut body = RlpHeader::decode_bytes(&mut part.as_ref(), true).map_err(|_| Damage::Part("block"))?;
    let header = Header::decode(&mut body).map_err(|_| Damage::Part("header"))?;
    if header.hash_slow() != head.hash || header.number != head.number {
        return Err(Damage::Part("header hash"));
    }
    let mut raws = RlpHeader::decode_bytes(&mut body, true).map_err(|_| Damage::Part("transaction list"))?;
    let mut senders = RlpHeader::decode_bytes(&mut body, true).map_err(|_| Damage::Part("sender list"))?;
    let mut txs = Vec::with_capacity(senders.len() / 21);
    while !raws.is_empty() {
        let raw = RlpHeader::decode_bytes(&mut raws, false).map_err(|_| Damage::Part("transaction"))?;
        let sender = Address::decode(&mut senders).map_err(|_| Damage::Part("sender"))?;
        let tx = Tx::restored(Bytes(part.0.slice_ref(raw)), sender).map_err(|_| Damage::Part("transaction"))?;
        txs.push(Arc::new(tx));
    }
    let mut list = RlpHeader::decode_bytes(&mut body, true).map_err(|_| Damage::Part("receipt list"))?;
    let mut receipts = Vec::with_capacity(txs.len());
    for tx in &txs {
        let receipt = decode_receipt(&mut list).map_err(|_| Damage::Part("receipt"))?;
        receipts.push(ReceiptEnvelope::from_typed(tx.envelope.tx_type(), receipt.with_bloom()));
    }
    if !list.is_empty() || !senders.is_empty() {
        return Err(Damage::Part("count of receipts or senders"));
    }
    let time_ms = u64::decode(&mut body).map_err(|_| Damage::Part("time"))?;
    Ok(Block { header, hash: head.hash, time_ms, txs, receipts, trace: None, encoded_bytes: head.record_bytes() })
}

fn decode_receipt(list: &mut &[u8]) -> alloy_rlp::Result<Receipt> {
    let mut body = RlpHeader::decode_bytes(list, true)?;
    let status = Eip658Value::Eip658(bool::decode(&mut body)?);
    let cumulative_gas_used = u64::decode(&mut body)?;
    let logs = Vec::<Log>::decode(&mut body)?;
    Ok(Receipt { status, cumulative_gas_used, logs })
}

const EXISTS: u8 = 1;
const HAS_CODE: u8 = 2;

/// Appends the diff part: accounts with their state after the block, their slots, new code. Values before are not stored.
pub fn encode_diff(diff: &Diff, out: &mut Vec<u8>) {
    out.extend_from_slice(&len32(diff.accounts.len()).to_le_bytes());
    for account in &diff.accounts {
        out.extend_from_slice(account.address.as_slice());
        encode_account(account.after.as_ref(), out);
        out.extend_from_slice(&len32(account.slots.len()).to_le_bytes());
        for slot in &account.slots {
            out.extend_from_slice(&slot.key.to_be_bytes::<32>());
            put_number(slot.after, out);
        }
    }
    out.extend_from_slice(&len32(diff.code.len()).to_le_bytes());
    for (hash, code) in &diff.code {
        let bytes = code.original_byte_slice();
        out.extend_from_slice(&hash.0);
        out.extend_from_slice(&len32(bytes.len()).to_le_bytes());
        out.extend_from_slice(bytes);
    }
}

fn encode_account(after: Option<&AccountState>, out: &mut Vec<u8>) {
    let Some(state) = after else {
        out.push(0);
        return;
    };
    let has_code = state.code_hash != KECCAK256_EMPTY;
    out.push(EXISTS | if has_code { HAS_CODE } else { 0 });
    out.extend_from_slice(&state.nonce.to_le_bytes());
    put_number(state.balance, out);
    if has_code {
        out.extend_from_slice(&state.code_hash.0);
    }
}

/// A length byte and that many big-endian bytes.
fn put_number(number: U256, out: &mut Vec<u8>) {
    let bytes = number.to_be_bytes::<32>();
    let zeros = number.leading_zeros() / 8;
    out.push(32 - zeros as u8);
    out.extend_from_slice(&bytes[zeros..]);
}

/// Reads what [`encode_diff`] wrote; values before the block are taken from `state`, which must be that of its parent.
pub fn decode_diff(bytes: &[u8], state: &State) -> Result<Diff, Damage> {
    let mut reader = Reader { bytes };
    let mut diff = Diff::default();
    for _ in 0..reader.count()? {
        let address = Address::from_slice(reader.take(20)?);
        let after = reader.account()?;
        let (before, path, storage) = state.before(&address);
        let mut account = AccountDiff { address, path: path.unwrap_or_else(|| keccak256(address)), before, after, slots: Vec::new() };
        for _ in 0..reader.count()? {
            let key = U256::from_be_slice(reader.take(32)?);
            let after = reader.number()?;
            let (before, path) = state.slot_before(storage, key);
            let path = path.unwrap_or_else(|| keccak256(key.to_be_bytes::<32>()));
            account.slots.push(SlotDiff { key, path, before, after });
        }
        diff.accounts.push(account);
    }
    for _ in 0..reader.count()? {
        let hash = B256::from_slice(reader.take(32)?);
        let len = reader.count()?;
        let code = Bytes::copy_from_slice(reader.take(len)?);
        diff.code.push((hash, Bytecode::new_raw_checked(code).map_err(|_| Damage::Part("code"))?));
    }
    if reader.bytes.is_empty() { Ok(diff) } else { Err(Damage::Part("diff")) }
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Damage> {
        let (taken, rest) = self.bytes.split_at_checked(len).ok_or(Damage::Part("diff"))?;
        self.bytes = rest;
        Ok(taken)
    }

    fn count(&mut self) -> Result<usize, Damage> {
        Ok(u32_at(self.take(4)?, 0) as usize)
    }

    fn number(&mut self) -> Result<U256, Damage> {
        let len = usize::from(self.take(1)?[0]);
        if len > 32 {
            return Err(Damage::Part("number"));
        }
        Ok(U256::from_be_slice(self.take(len)?))
    }

    fn account(&mut self) -> Result<Option<AccountState>, Damage> {
        let flags = self.take(1)?[0];
        if flags & EXISTS == 0 {
            return Ok(None);
        }
        let nonce = u64_at(self.take(8)?, 0);
        let balance = self.number()?;
        let code_hash = if flags & HAS_CODE == 0 { KECCAK256_EMPTY } else { B256::from_slice(self.take(32)?) };
        Ok(Some(AccountState { nonce, balance, code_hash }))
    }
}
