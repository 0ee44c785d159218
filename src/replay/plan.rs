//! Turns a tape into exchange commands, by running the reference engine beside the chain: so each order's chain id is known ahead.
//! Pure: no key, no socket. What the chain really did is read from its logs by `follow.rs`, never from here.

use super::tape::{Kind, Op};
use alloy_primitives::Address;
use anyhow::{Context, Result, bail};
use orderbook::maker::Batch;
use orderbook::{AccountId, Book, Command, Engine, Event, LevelKey, Lots, MarketId, Mode, Operation, OrderId, Side, Ticks, TimeInForce};
use std::collections::HashMap;

/// Most levels and records one taker of the tape may go through.
const STEPS_MAX: u16 = 4096;
/// Gas of a place that takes nothing, with room; each level and each maker met adds to it.
const GAS_BASE: u64 = 300_000;
const GAS_PER_LEVEL: u64 = 30_000;
/// EIP-7825.
const GAS_MAX: u64 = 16_777_216;

/// One transaction to be signed: who sends what. Its places bear, as client id, the index of their operation in the tape plus 1.
#[derive(Clone, Debug)]
pub struct Planned {
    pub trader: usize,
    pub command: Command,
    /// Index into the tape of its first operation.
    pub op: usize,
    gas: u64,
}

/// The tape as commands, in tape order.
pub struct Plan {
    pub txs: Vec<Planned>,
    /// Operations on orders that no longer rest: nothing to send.
    pub skipped: usize,
    /// One limit for all, so that no transaction can pass another when a block is nearly full.
    pub gas_limit: u64,
}

/// Plans `ops` for `traders`, whose accounts hold enough of both tokens in `engine`. The engine's market is `planned_in`,
/// the chain's is `market`. Up to `batch` operations that follow each other and are of one account make one transaction; 1: each is its own.
/// Fails on an operation no single transaction can carry, or one the exchange would refuse.
pub fn plan(ops: &[Op], traders: &[Address], engine: &mut Engine, planned_in: MarketId, market: MarketId, batch: usize) -> Result<Plan> {
    let in_engine = engine.book(planned_in).context("the rehearsal has the market")?.market();
    let mut planner = Planner {
        book: Book::new(in_engine.clone()),
        traders,
        engine,
        market: planned_in,
        resting: HashMap::new(),
        names: HashMap::new(),
        plan: Plan { txs: Vec::new(), skipped: 0, gas_limit: GAS_BASE },
    };
    for (index, op) in ops.iter().enumerate() {
        if let Err(why) = planner.operation(index, op) {
            bail!("line {}: {why}", op.line);
        }
    }
    let mut plan = planner.plan;
    for tx in &mut plan.txs {
        tx.command = on_chain(std::mem::replace(&mut tx.command, Command::Claim { orders: Vec::new() }), market);
    }
    if batch > 1 {
        plan.txs = batches(&plan.txs, batch);
    }
    plan.gas_limit = plan.txs.iter().map(|tx| tx.gas).max().unwrap_or(GAS_BASE);
    Ok(plan)
}

/// Joins operations that follow each other: at most `size`, of one account, and no more than one transaction's gas. The first failure reverts
/// a batch whole, as it must: a tape has none.
fn batches(txs: &[Planned], size: usize) -> Vec<Planned> {
    let mut batches = Vec::with_capacity(txs.len() / size + 1);
    let mut rest = txs;
    while let Some(first) = rest.first() {
        let (mut count, mut gas) = (0, 0);
        for tx in rest.iter().take(size).take_while(|tx| tx.trader == first.trader) {
            if count > 0 && gas + tx.gas > GAS_MAX {
                break;
            }
            (count, gas) = (count + 1, gas + tx.gas);
        }
        let operations = rest[..count].iter().map(|tx| operation(&tx.command)).collect();
        let batch = Batch { account: AccountId(0), skip_failed: false, operations };
        batches.push(Planned { trader: first.trader, command: batch.command(), op: first.op, gas });
        rest = &rest[count..];
    }
    batches
}

/// A planned command as an operation of a batch.
fn operation(command: &Command) -> Operation {
    match *command {
        Command::Place { market, mode, ticks, lots, expiry_s, client, steps_max, .. } => {
            Operation::Place { market, mode, ticks, lots, expiry_s, client, steps_max }
        }
        Command::Cancel { order, .. } => Operation::Cancel { order },
        Command::Reduce { order, left, .. } => Operation::Reduce { order, left },
        _ => unreachable!("a plan places, cancels and reduces"),
    }
}

/// What the tape knows of a resting order.
struct Resting {
    id: OrderId,
    trader: usize,
    left: Lots,
}

struct Planner<'a> {
    traders: &'a [Address],
    engine: &'a mut Engine,
    /// Follows the engine's events, to know who is filled.
    book: Book,
    market: MarketId,
    resting: HashMap<String, Resting>,
    names: HashMap<OrderId, String>,
    plan: Plan,
}

impl Planner<'_> {
    fn operation(&mut self, index: usize, op: &Op) -> Result<()> {
        match op.kind {
            Kind::Add { side, ticks, lots } => {
                if self.resting.contains_key(&op.order) {
                    self.plan.skipped += 1;
                    return Ok(());
                }
                self.place(index, op, side, ticks, lots, TimeInForce::Gtc)
            }
            Kind::Take { side, ticks, lots } => self.place(index, op, side, ticks, lots, TimeInForce::Ioc),
            Kind::Cancel => self.on_resting(index, op, |_| Lots(0)),
            Kind::Reduce { lots } => self.on_resting(index, op, |left| Lots(left.0.saturating_sub(lots.0))),
            Kind::Modify { side, ticks, lots } => {
                let keeps_place = self.resting.get(&op.order).map(|r| r.id.level.ticks == ticks && lots <= r.left);
                match keeps_place {
                    None | Some(true) => self.on_resting(index, op, |_| lots),
                    Some(false) => {
                        self.on_resting(index, op, |_| Lots(0))?;
                        self.place(index, op, side, ticks, lots, TimeInForce::Gtc)
                    }
                }
            }
        }
    }

    fn place(&mut self, index: usize, op: &Op, side: Side, ticks: Ticks, lots: Lots, tif: TimeInForce) -> Result<()> {
        let trader = trader_of(if op.order.is_empty() { op.seq } else { spread(&op.order) }, self.traders.len());
        let command = Command::Place {
            account: AccountId(0),
            market: self.market,
            mode: Mode::new(side, tif),
            ticks,
            lots,
            expiry_s: 0,
            client: client_of(index),
            steps_max: STEPS_MAX,
        };
        let events = self.send(index, trader, command)?;
        let levels = events.iter().filter(|e| matches!(e, Event::LevelFill { .. })).count() as u64;
        let mut fills = Vec::new();
        for event in &events {
            fills.extend(self.book.replay(event)?);
        }
        for fill in &fills {
            let name = self.names.get(&fill.maker_order).expect("every resting order was placed by the plan");
            if fill.maker_left == Lots(0) {
                self.resting.remove(name);
                self.names.remove(&fill.maker_order);
            } else if let Some(order) = self.resting.get_mut(name) {
                order.left = fill.maker_left;
            }
        }
        let gas = GAS_BASE + (levels + fills.len() as u64) * GAS_PER_LEVEL;
        if gas > GAS_MAX {
            bail!("the order takes {levels} levels and {} orders: more than one transaction can carry", fills.len());
        }
        self.plan.txs.last_mut().expect("sent above").gas = gas;
        for event in events {
            if let Event::Placed { order, lots, .. } = event {
                self.resting.insert(op.order.clone(), Resting { id: order, trader, left: lots });
                self.names.insert(order, op.order.clone());
            }
        }
        Ok(())
    }

    /// Brings what is left of a resting order to `to(left)`; 0 cancels. An order that no longer rests is counted and skipped.
    fn on_resting(&mut self, index: usize, op: &Op, to: impl Fn(Lots) -> Lots) -> Result<()> {
        let Some(order) = self.resting.get_mut(&op.order) else {
            self.plan.skipped += 1;
            return Ok(());
        };
        let (id, trader, left) = (order.id, order.trader, to(order.left));
        order.left = left;
        if left == Lots(0) {
            self.resting.remove(&op.order);
            self.names.remove(&id);
            self.send_and_follow(index, trader, Command::Cancel { account: AccountId(0), order: id })?;
        } else {
            self.send_and_follow(index, trader, Command::Reduce { account: AccountId(0), order: id, left })?;
        }
        Ok(())
    }

    fn send_and_follow(&mut self, op: usize, trader: usize, command: Command) -> Result<()> {
        for event in self.send(op, trader, command)? {
            self.book.replay(&event)?;
        }
        Ok(())
    }

    fn send(&mut self, op: usize, trader: usize, command: Command) -> Result<Vec<Event>> {
        let events = self.engine.apply(self.traders[trader], &command, 0)?;
        self.plan.txs.push(Planned { trader, command, op, gas: GAS_BASE });
        Ok(events)
    }
}

/// The client id of an operation of the tape: logged with what it takes and rests, it names the operation in the chain's logs.
pub fn client_of(op: usize) -> u64 {
    op as u64 + 1
}

/// FNV-1a: spreads order names evenly over the traders, the same on every machine.
fn spread(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ byte as u64).wrapping_mul(0x100_0000_01b3))
}

fn trader_of(number: u64, traders: usize) -> usize {
    (number % traders as u64) as usize
}

/// The same command in the chain's own market.
fn on_chain(command: Command, market: MarketId) -> Command {
    let moved = |order: OrderId| OrderId { level: LevelKey { market, ..order.level }, ..order };
    match command {
        Command::Place { account, mode, ticks, lots, expiry_s, client, steps_max, .. } => {
            Command::Place { account, market, mode, ticks, lots, expiry_s, client, steps_max }
        }
        Command::Cancel { account, order } => Command::Cancel { account, order: moved(order) },
        Command::Reduce { account, order, left } => Command::Reduce { account, order: moved(order), left },
        other => other,
    }
}
