//! Logs of the exchange become events. Pure; logs of other contracts are passed over, a log of the exchange that is not exactly
//! what the interface says stops the indexer: to skip it would be to guess.

use crate::{Block, Error};
use alloy_primitives::Address;
use orderbook::{Event, abi};

/// An event with its place in the block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub tx: u32,
    pub log: u32,
    pub event: Event,
}

/// The exchange's events of a block, in execution order.
///
/// # Errors
/// [`Error::Abi`] names the log that could not be read; [`Error::Mirror`] if log numbers do not rise.
pub(crate) fn events(block: &Block, exchange: Address) -> Result<Vec<Decoded>, Error> {
    let mut events: Vec<Decoded> = Vec::with_capacity(block.txs.iter().map(|tx| tx.logs.len()).sum());
    for (tx, body) in block.txs.iter().enumerate() {
        for log in body.logs.iter().filter(|log| log.address == exchange) {
            if events.last().is_some_and(|last| last.log >= log.index) || log.index >= 1 << 20 {
                return Err(Error::Mirror {
                    block: block.number,
                    log: log.index,
                    expected: "log numbers below 2^20 that rise".into(),
                    found: format!("log {} of transaction {tx}", log.index),
                });
            }
            let event =
                abi::decode_log(&log.topics, &log.data).map_err(|source| Error::Abi { block: block.number, log: log.index, source })?;
            events.push(Decoded { tx: tx as u32, log: log.index, event });
        }
    }
    Ok(events)
}
