//! The node's block log as the indexer's [`Source`], in one process: the only place where blocks of `node` become blocks of `indexer`;
//! neither crate knows the other. From another process or machine the indexer follows the block stream instead.

use alloy_consensus::Transaction;
use indexer::source::{Block, Cursor, Log, Source, SourceError, Tx};
use node::publish::{BlockLog, Hold, LogError, Next};
use std::io;
use std::sync::Arc;

/// The block log of a node in this process. Clones share one hold.
#[derive(Clone)]
pub struct LogSource {
    log: BlockLog,
    hold: Option<Arc<Hold>>,
}

impl LogSource {
    /// `name` is the hold that keeps history for this reader.
    pub fn new(log: BlockLog, name: &str) -> LogSource {
        let head = log.head();
        let hold = log.hold(name, head).ok().map(Arc::new);
        LogSource { log, hold }
    }

    fn read(&self, after: Cursor, max_bytes: usize) -> Result<Vec<Arc<Block>>, SourceError> {
        let blocks = self.log.read(to_node(after), max_bytes).map_err(|error| refused(error, after))?;
        Ok(blocks.iter().map(|block| Arc::new(convert(block))).collect())
    }
}

impl Source for LogSource {
    async fn head(&mut self) -> Result<Cursor, SourceError> {
        let head = self.log.head();
        Ok(Cursor { block: head.block, hash: head.hash })
    }

    async fn next(&mut self, after: Cursor, max_bytes: usize) -> Result<Vec<Arc<Block>>, SourceError> {
        if self.log.head().block > after.block + 1 {
            return self.read(after, max_bytes);
        }
        match self.log.next(to_node(after)).await {
            Ok(Next::Block(block)) => Ok(vec![Arc::new(convert(&block))]),
            Ok(Next::Lagged(_)) => self.read(after, max_bytes),
            Err(error) => Err(refused(error, after)),
        }
    }

    fn release(&mut self, upto: Cursor) {
        if let Some(hold) = &self.hold {
            hold.advance(to_node(upto));
        }
    }
}

fn to_node(cursor: Cursor) -> node::publish::Cursor {
    node::publish::Cursor { block: cursor.block, hash: cursor.hash }
}

fn refused(error: LogError, at: Cursor) -> SourceError {
    match error {
        LogError::Pruned { first } => SourceError::Pruned { first },
        LogError::Unknown { .. } => SourceError::Unknown { at },
        other => SourceError::Disconnected(io::Error::other(other.to_string())),
    }
}

/// What the indexer needs of a block, copied out of the node's.
pub fn convert(block: &node::publish::Block) -> Block {
    let mut index = 0;
    let mut gas_before = 0;
    let txs = block.txs.iter().zip(&block.receipts).map(|(tx, receipt)| {
        let logs = receipt.logs().iter().map(|log| {
            let place = index;
            index += 1;
            Log { index: place, address: log.address, topics: log.topics().to_vec(), data: log.data.data.clone() }
        });
        let logs = logs.collect();
        let gas_used = receipt.cumulative_gas_used() - gas_before;
        gas_before = receipt.cumulative_gas_used();
        Tx { hash: tx.hash, sender: tx.sender, to: tx.envelope.to(), nonce: tx.envelope.nonce(), ok: receipt.status(), gas_used, logs }
    });
    Block {
        number: block.header.number,
        hash: block.hash,
        parent: block.header.parent_hash,
        time_ms: block.time_ms,
        base_fee: block.header.base_fee_per_gas.unwrap_or_default(),
        gas_used: block.header.gas_used,
        txs: txs.collect(),
    }
}
