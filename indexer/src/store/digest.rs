//! `blocks.digest`: what a block's rows are, in 32 bytes. blake3 over
//! `"hifi rows 1" || block u64 BE || per table a tag byte and the COPY tuple bytes of its rows in key order || tx hashes || failed`.
//! Tokens count without their name, markets without their state: those are not the block's.

/// The rows of one block, table by table, as COPY tuple bytes in key order.
#[derive(Debug)]
pub(crate) struct BlockRows<'a> {
    pub order_events: &'a [u8],
    pub fills: &'a [u8],
    pub transfers: &'a [u8],
    pub accounts: &'a [u8],
    pub tokens: &'a [u8],
    pub markets: &'a [u8],
    pub tx_hashes: &'a [u8],
    pub failed: &'a [u8],
}

pub(crate) fn digest(block: u64, rows: &BlockRows<'_>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"hifi rows 1").update(&block.to_be_bytes());
    let tables = [rows.order_events, rows.fills, rows.transfers, rows.accounts, rows.tokens, rows.markets];
    for (tag, tuples) in tables.into_iter().enumerate() {
        hasher.update(&[tag as u8 + 1]).update(tuples);
    }
    hasher.update(&[7]).update(rows.tx_hashes).update(&[8]).update(rows.failed);
    *hasher.finalize().as_bytes()
}
