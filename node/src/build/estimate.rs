//! What a transaction will probably cost, learned from those before it that called the same function of the same contract.
//! Used to pack blocks; a wrong estimate costs speed, never a result: the executor checks gas exactly and hands back what does not fit.

use std::collections::HashMap;

use alloy_consensus::Transaction;
use alloy_primitives::Address;

use crate::execute::TxTrace;
use crate::tx::Tx;

/// Functions remembered; when full, all are forgotten and learned again.
const ENTRIES_MAX: usize = 65_536;

/// The first four bytes of the call data, zero if there are fewer.
type Selector = [u8; 4];

/// Expected cost of one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    pub gas: u64,
    pub ns: u64,
}

/// Moving averages per callee and selector. Owned by the driver.
#[derive(Debug, Default)]
pub struct Estimates {
    seen: HashMap<(Option<Address>, Selector), Cost, foldhash::fast::RandomState>,
}

impl Estimates {
    /// Half the gas limit at 1 ns per gas until the function was seen; never more than the gas limit.
    pub fn of(&self, tx: &Tx) -> Cost {
        let limit = tx.gas_limit();
        match self.seen.get(&key(tx)) {
            Some(cost) => Cost { gas: cost.gas.min(limit), ns: cost.ns },
            None => Cost { gas: limit / 2, ns: limit / 2 },
        }
    }

    /// Learns from an executed transaction: an eighth of the way to what it cost.
    pub fn learn(&mut self, tx: &Tx, trace: &TxTrace) {
        if self.seen.len() >= ENTRIES_MAX {
            self.seen.clear();
        }
        let now = Cost { gas: trace.gas_used, ns: u64::from(trace.end_us.saturating_sub(trace.start_us)) * 1_000 };
        let cost = self.seen.entry(key(tx)).or_insert(now);
        cost.gas = (cost.gas * 7 + now.gas).div_ceil(8);
        cost.ns = (cost.ns * 7 + now.ns) / 8;
    }
}

fn key(tx: &Tx) -> (Option<Address>, Selector) {
    let mut selector = [0; 4];
    if let Some(bytes) = tx.envelope.input().get(..4) {
        selector.copy_from_slice(bytes);
    }
    (tx.envelope.to(), selector)
}
