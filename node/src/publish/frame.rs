//! The bytes of the block stream: what `stream.rs` sends to readers on other machines. Little-endian outside RLP.
//!
//! ```text
//! 0 u8 version 1 | 1 u8 kind (1 block, 2 head) | 2 u16 flags (bit 0: body is LZ4) | 4 u32 body length | 8 body
//! block body: RLP [header, txs, senders, receipts, ms], as in the log | head body: u64 number, [32] hash
//! ```

use super::{Block, Cursor};
use crate::store::record;

/// Version of the frames and of the first message.
pub const VERSION: u8 = 1;
const KIND_BLOCK: u8 = 1;
const KIND_HEAD: u8 = 2;
const FLAG_LZ4: u16 = 1;
/// Bodies from here on are compressed.
const COMPRESS_BYTES: usize = 1024;

/// A block as a frame.
pub fn block(block: &Block) -> Vec<u8> {
    let (mut body, mut scratch) = (Vec::with_capacity(block.encoded_bytes), Vec::new());
    record::encode_block(block, &mut body, &mut scratch);
    if body.len() < COMPRESS_BYTES {
        return frame(KIND_BLOCK, 0, &body);
    }
    frame(KIND_BLOCK, FLAG_LZ4, &lz4_flex::compress_prepend_size(&body))
}

/// The newest block's place, sent while there is nothing else to say.
pub fn head(head: Cursor) -> Vec<u8> {
    let mut body = head.block.to_le_bytes().to_vec();
    body.extend_from_slice(head.hash.as_slice());
    frame(KIND_HEAD, 0, &body)
}

fn frame(kind: u8, flags: u16, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(8 + body.len());
    frame.extend_from_slice(&[VERSION, kind]);
    frame.extend_from_slice(&flags.to_le_bytes());
    frame.extend_from_slice(&u32::try_from(body.len()).expect("a block is far below 4 GiB").to_le_bytes());
    frame.extend_from_slice(body);
    frame
}
