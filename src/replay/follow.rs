//! Reads what the chain made of the tape, from its logs alone: fills in the tape's names, and the final book.
//! Never looks at the plan's engine: which operation an event is of, its client id says.

use super::tape::Op;
use crate::client::{ChainLog, Rpc};
use alloy_primitives::{Address, B256};
use anyhow::{Context, Result, bail};
use orderbook::{Book, Event, Fill, LevelKey, Market, OrderId, Side, abi};
use std::collections::HashMap;
use std::fmt::Write;

/// A fill in the tape's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TapeFill {
    pub taker_seq: u64,
    pub maker: String,
    pub ticks: u32,
    pub lots: u64,
}

/// Follows one market block by block.
pub struct Follower<'a> {
    exchange: Address,
    ops: &'a [Op],
    book: Book,
    /// Tape names of the orders that the chain has placed.
    names: HashMap<OrderId, String>,
    pub fills: Vec<TapeFill>,
    /// Blocks that held a transaction of the tape.
    pub blocks: u64,
    /// Transactions of the tape seen in a block.
    pub included: usize,
}

/// A transaction of ours under way.
pub struct Carried {
    pub trader: usize,
    /// Line of the tape where its operations begin.
    pub line: usize,
}

impl<'a> Follower<'a> {
    pub fn new(exchange: Address, market: Market, ops: &'a [Op]) -> Follower<'a> {
        Follower { exchange, ops, book: Book::new(market), names: HashMap::new(), fills: Vec::new(), blocks: 0, included: 0 }
    }

    /// The operation of the tape that bears this client id.
    fn op(&self, client: u64) -> Result<&'a Op> {
        let op = (client as usize).checked_sub(1).and_then(|index| self.ops.get(index));
        op.with_context(|| format!("client id {client} is of no operation of the tape"))
    }

    /// Takes block `number` in; `sent` maps our transactions, and loses those the block holds. Returns how many each trader got included.
    pub async fn block(&mut self, rpc: &Rpc, number: u64, sent: &mut HashMap<B256, Carried>) -> Result<Vec<usize>> {
        let mut ours = HashMap::new();
        for (hash, ok) in rpc.statuses(number).await? {
            if let Some(carried) = sent.remove(&hash) {
                if !ok {
                    bail!("line {}: the chain refused transaction {hash} in block {number}", carried.line);
                }
                ours.insert(hash, carried);
            }
        }
        if !ours.is_empty() {
            self.blocks += 1;
            self.included += ours.len();
        }
        let mut open_fills: Vec<Fill> = Vec::new();
        for log in rpc.logs(number, self.exchange).await? {
            self.log(&log, &ours, &mut open_fills).with_context(|| format!("block {number}, transaction {}", log.transaction_hash))?;
        }
        Ok(ours.into_values().map(|c| c.trader).collect())
    }

    fn log(&mut self, log: &ChainLog, ours: &HashMap<B256, Carried>, open_fills: &mut Vec<Fill>) -> Result<()> {
        let event = abi::decode_log(&log.topics, &log.data)?;
        let of_market = match &event {
            Event::Placed { order, .. } | Event::Reduced { order, .. } | Event::Claimed { order, .. } => order.level.market,
            Event::LevelFill { level, .. } => level.market,
            Event::Taken { market, .. } => *market,
            _ => return Ok(()),
        };
        if of_market != self.book.market().id {
            return Ok(());
        }
        if !ours.contains_key(&log.transaction_hash) {
            bail!("somebody else trades in the tape's market");
        }
        open_fills.extend(self.book.replay(&event)?);
        match event {
            Event::Placed { order, client, .. } => {
                let op = self.op(client)?;
                self.names.insert(order, op.order.clone());
            }
            Event::Taken { client, .. } => {
                let taker_seq = self.op(client)?.seq;
                for fill in open_fills.drain(..) {
                    let maker = self.names.get(&fill.maker_order).context("a fill of an order that was never placed")?.clone();
                    self.fills.push(TapeFill { taker_seq, maker, ticks: fill.ticks.0, lots: fill.lots.0 });
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// `taker_seq,maker_order_id,ticks,lots`, in order of execution.
    pub fn fills_csv(&self) -> String {
        let mut csv = String::from("taker_seq,maker_order_id,ticks,lots\n");
        for fill in &self.fills {
            writeln!(csv, "{},{},{},{}", fill.taker_seq, fill.maker, fill.ticks, fill.lots).expect("a string takes all");
        }
        csv
    }

    /// `B,<ticks>,<order>:<lots>,...;` for every bid level by rising ticks, then `A,...;` for the asks, orders in queue order; and the number of orders.
    pub fn book_text(&self) -> Result<(String, usize)> {
        let mut text = String::new();
        let mut orders = 0;
        for (side, letter) in [(Side::Bid, 'B'), (Side::Ask, 'A')] {
            let mut levels = self.book.depth(side, usize::MAX);
            levels.sort_by_key(|level| level.ticks);
            for level in levels {
                write!(text, "{letter},{}", level.ticks)?;
                for order in self.book.orders_at(LevelKey { market: self.book.market().id, side, ticks: level.ticks }) {
                    let name = self.names.get(&order.id).context("a resting order that was never placed")?;
                    write!(text, ",{name}:{}", order.left)?;
                    orders += 1;
                }
                text.push(';');
            }
        }
        Ok((text, orders))
    }
}
