//! Reads the frames of a node's block stream into [`Block`]s. Total: bytes that are no block are a typed error, never a panic.
//!
//! ```text
//! 0 u8 version 1 | 1 u8 kind (1 block, 2 head) | 2 u16 flags (bit 0: body is LZ4) | 4 u32 body length | 8 body
//! block body: RLP [header, txs, senders, receipts [status, cumulative gas, logs], ms] | head body: u64 number, [32] hash
//! ```

use super::{Block, Cursor, Log, Tx};
use alloy_primitives::{Address, B256, Bytes, Log as EvmLog, keccak256};
use alloy_rlp::{Decodable, Header};

const VERSION: u8 = 1;
/// Largest body after decompression.
const BODY_BYTES_MAX: usize = 64 << 20;

/// What a frame says.
#[derive(Debug, PartialEq)]
pub enum Frame {
    Block(Block),
    /// The newest block, when there is nothing else to say.
    Head(Cursor),
}

/// Reads one frame.
///
/// # Errors
/// What was expected and not found.
pub fn read(bytes: &[u8]) -> Result<Frame, &'static str> {
    let (head, body) = bytes.split_at_checked(8).ok_or("a frame has 8 bytes before its body")?;
    if head[0] != VERSION {
        return Err("a frame of another version");
    }
    if u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize != body.len() {
        return Err("a frame of another length than it says");
    }
    let compressed = u16::from_le_bytes([head[2], head[3]]) & 1 == 1;
    match head[1] {
        1 if compressed => {
            let size = body.first_chunk::<4>().map(|size| u32::from_le_bytes(*size) as usize);
            if size.is_none_or(|size| size > BODY_BYTES_MAX) {
                return Err("a compressed body of more than 64 MiB");
            }
            let body = lz4_flex::decompress_size_prepended(body).map_err(|_| "a body that is no LZ4")?;
            block(&body).map(Frame::Block)
        }
        1 => block(body).map(Frame::Block),
        2 => {
            let (number, hash) = body.split_first_chunk::<8>().ok_or("a head of 40 bytes")?;
            let hash = <[u8; 32]>::try_from(hash).map_err(|_| "a head of 40 bytes")?;
            Ok(Frame::Head(Cursor { block: u64::from_le_bytes(*number), hash: B256::from(hash) }))
        }
        _ => Err("a frame of an unknown kind"),
    }
}

fn list<'a>(bytes: &mut &'a [u8], what: &'static str) -> Result<&'a [u8], &'static str> {
    Header::decode_bytes(bytes, true).map_err(|_| what)
}

fn item<T: Decodable>(bytes: &mut &[u8], what: &'static str) -> Result<T, &'static str> {
    T::decode(bytes).map_err(|_| what)
}

fn skip(bytes: &mut &[u8], items: usize, what: &'static str) -> Result<(), &'static str> {
    for _ in 0..items {
        let header = Header::decode(bytes).map_err(|_| what)?;
        *bytes = bytes.get(header.payload_length..).ok_or(what)?;
    }
    Ok(())
}

fn block(mut bytes: &[u8]) -> Result<Block, &'static str> {
    let mut body = list(&mut bytes, "a block's list")?;
    let header_bytes = body;
    let mut header = list(&mut body, "a header")?;
    let hash = keccak256(&header_bytes[..header_bytes.len() - body.len()]);
    let mut txs = list(&mut body, "a list of transactions")?;
    let mut senders = list(&mut body, "a list of senders")?;
    let mut receipts = list(&mut body, "a list of receipts")?;
    let time_ms = item(&mut body, "a time")?;

    let parent = item(&mut header, "a parent hash")?;
    skip(&mut header, 7, "header fields")?;
    let number = item(&mut header, "a number")?;
    skip(&mut header, 1, "a gas limit")?;
    let gas_used = item(&mut header, "gas used")?;
    skip(&mut header, 4, "header fields")?;
    let base_fee = item(&mut header, "a base fee")?;

    let mut all = Vec::new();
    let (mut log_index, mut gas_before) = (0u32, 0u64);
    while !txs.is_empty() {
        let raw = Header::decode_bytes(&mut txs, false).map_err(|_| "a transaction")?;
        let (nonce, to) = call(raw)?;
        let sender: Address = item(&mut senders, "a sender")?;
        let mut receipt = list(&mut receipts, "a receipt")?;
        let ok = item(&mut receipt, "a status")?;
        let gas_after: u64 = item(&mut receipt, "cumulative gas")?;
        let mut logs = Vec::new();
        for log in item::<Vec<EvmLog>>(&mut receipt, "logs")? {
            let (topics, data): (Vec<B256>, Bytes) = (log.topics().to_vec(), log.data.data);
            logs.push(Log { index: log_index, address: log.address, topics, data });
            log_index += 1;
        }
        let gas_used = gas_after.checked_sub(gas_before).ok_or("rising cumulative gas")?;
        gas_before = gas_after;
        all.push(Tx { hash: keccak256(raw), sender, to, nonce, ok, gas_used, logs });
    }
    if !receipts.is_empty() || !senders.is_empty() {
        return Err("as many senders and receipts as transactions");
    }
    Ok(Block { number, hash, parent, time_ms, base_fee, gas_used, txs: all })
}

/// Nonce and receiver of a raw transaction of type 0, 1, 2 or 4 (EIP-2718).
fn call(raw: &[u8]) -> Result<(u64, Option<Address>), &'static str> {
    const WHAT: &str = "a transaction of type 0, 1, 2 or 4";
    let (before_nonce, between, mut bytes) = match raw.first() {
        Some(1) => (1, 2, &raw[1..]),
        Some(2 | 4) => (1, 3, &raw[1..]),
        Some(0xc0..) => (0, 2, raw),
        _ => return Err(WHAT),
    };
    let mut fields = list(&mut bytes, WHAT)?;
    skip(&mut fields, before_nonce, WHAT)?;
    let nonce = item(&mut fields, WHAT)?;
    skip(&mut fields, between, WHAT)?;
    let to = Header::decode_bytes(&mut fields, false).map_err(|_| WHAT)?;
    match to.len() {
        0 => Ok((nonce, None)),
        20 => Ok((nonce, Some(Address::from_slice(to)))),
        _ => Err(WHAT),
    }
}
