//! `hifi replay`: plays a recorded tape as signed transactions, one per operation or one per batch of operations, in tape order, and reports what the chain made of it.
//! Creates a market whose ticks and lots are the tape's, funds its own accounts from a dev account, and knows each order's chain id ahead (`plan.rs`).

mod follow;
mod plan;
mod tape;

use crate::client::Rpc;
use crate::genesis::{self, TAPE_BASE, TAPE_QUOTE};
use crate::trader::Trader;
use alloy_primitives::{Address, B256, Bytes, U256};
use anyhow::{Context, Result, bail};
use follow::{Carried, Follower};
use orderbook::operation::WORDS_MAX;
use orderbook::{Command, Engine, Event, Market, MarketId, abi};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Transactions in one JSON-RPC batch.
const BATCH: usize = 250;
/// Transactions sent and not yet in a block: in all, and of one account (the pool takes 256).
const IN_FLIGHT_MAX: usize = 6_000;
const IN_FLIGHT_PER_TRADER_MAX: usize = 200;
/// What each account deposits: enough for any tape, little enough for the vault's bound of 2^112 - 1.
const DEPOSIT_BASE_ATOMS: u128 = 1 << 92;
const DEPOSIT_QUOTE_ATOMS: u128 = 1 << 100;
/// Quote atoms of a lot of 1e-8 BTC per cent of price, with 18 decimals: 1e-10 dollars.
const QUOTE_ATOMS_PER_LOT_TICK: u64 = 100_000_000;
const GAS_WEI_PER_TRADER: u128 = 20_000_000_000_000_000_000;

/// What to replay and where the results go.
#[derive(Clone, Debug)]
pub struct Options {
    pub tape: PathBuf,
    /// 8 ..= 1,000 accounts share the orders.
    pub accounts: usize,
    /// Operations in one transaction, 1 ..= 64. From 2 on all operations are one account's: a batch has one, and the tape's order must hold.
    pub batch: usize,
    pub fills: Option<PathBuf>,
    pub book: Option<PathBuf>,
}

/// The `--json` result. The hashes are of the fills and the final book as the chain made them.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub ops: usize,
    pub txs: usize,
    pub skipped: usize,
    pub blocks: u64,
    pub seconds: f64,
    pub market: u32,
    pub fills: usize,
    pub fills_sha256: String,
    pub book_sha256: String,
    pub final_orders: usize,
}

/// Replays onto the node at `rpc`, whose chain must be a hifi dev chain (the funding key is a dev account).
pub async fn run(rpc: &Rpc, options: &Options) -> Result<Report> {
    if !(8..=1000).contains(&options.accounts) {
        bail!("--accounts {}: expected 8 ..= 1000", options.accounts);
    }
    if !(1..=WORDS_MAX).contains(&options.batch) {
        bail!("--batch {}: expected 1 ..= {WORDS_MAX}", options.batch);
    }
    let accounts = if options.batch == 1 { options.accounts } else { 1 };
    let file = std::fs::File::open(&options.tape).with_context(|| format!("cannot read the tape {}", options.tape.display()))?;
    let ops = tape::read(file).with_context(|| options.tape.display().to_string())?;
    let chain_id = rpc.chain_id().await?;
    eprintln!("tape    {} operations from {}", ops.len(), options.tape.display());

    // The market first: it lists the tokens, without which nobody can deposit them.
    let market = create_market(rpc, chain_id).await?;
    let mut traders = fund(rpc, chain_id, accounts).await?;
    eprintln!("market  {} for {} accounts", market.id.0, traders.len());

    let addresses: Vec<Address> = traders.iter().map(|t| t.address).collect();
    let (mut engine, planned_in) = rehearsal(&addresses)?;
    let plan = plan::plan(&ops, &addresses, &mut engine, planned_in, market.id, options.batch)?;
    let market_id = market.id;
    let mut follower = Follower::new(genesis::EXCHANGE, market, &ops);
    let started = Instant::now();
    send_all(rpc, &ops, &plan, &mut traders, &mut follower).await?;
    let seconds = started.elapsed().as_secs_f64();

    let fills = follower.fills_csv();
    let (book, final_orders) = follower.book_text()?;
    if let Some(path) = &options.fills {
        std::fs::write(path, &fills).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if let Some(path) = &options.book {
        std::fs::write(path, &book).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let sha256 = |text: &str| alloy_primitives::hex::encode(Sha256::digest(text.as_bytes()));
    Ok(Report {
        ops: ops.len(),
        txs: plan.txs.len(),
        skipped: plan.skipped,
        blocks: follower.blocks,
        seconds: (seconds * 1000.0).round() / 1000.0,
        market: market_id.0,
        fills: follower.fills.len(),
        fills_sha256: sha256(&fills),
        book_sha256: sha256(&book),
        final_orders,
    })
}

/// Signs and sends the plan in order, follows the chain meanwhile, returns when every transaction is in a block.
async fn send_all(rpc: &Rpc, ops: &[tape::Op], plan: &plan::Plan, traders: &mut [Trader], follower: &mut Follower<'_>) -> Result<()> {
    let mut pending = vec![0usize; traders.len()];
    let mut sent: HashMap<B256, Carried> = HashMap::new();
    let mut next = 0;
    let mut block = rpc.block_number().await?;
    let mut progress = Progress::new(plan.txs.len());
    while next < plan.txs.len() || !sent.is_empty() {
        let mut batch: Vec<Bytes> = Vec::with_capacity(BATCH);
        while let Some(tx) = plan.txs.get(next) {
            if batch.len() == BATCH || sent.len() >= IN_FLIGHT_MAX || pending[tx.trader] >= IN_FLIGHT_PER_TRADER_MAX {
                break;
            }
            let (raw, hash) = traders[tx.trader].sign(genesis::EXCHANGE, U256::ZERO, plan.gas_limit, abi::calldata(&tx.command));
            sent.insert(hash, Carried { trader: tx.trader, line: ops[tx.op].line });
            pending[tx.trader] += 1;
            batch.push(raw);
            next += 1;
        }
        let idle = batch.is_empty();
        for answer in rpc.send_raw(&batch).await? {
            answer.context("the pool refused a transaction of the tape; the order of the tape cannot be kept")?;
        }
        let head = rpc.block_number().await?;
        if idle && head == block {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        while block < head {
            block += 1;
            for trader in follower.block(rpc, block, &mut sent).await? {
                pending[trader] -= 1;
            }
        }
        progress.show(follower.included, block);
    }
    progress.finish(follower.included, block);
    Ok(())
}

/// Derives the replay's accounts from the dev mnemonic, gives them gas and tokens, and deposits.
async fn fund(rpc: &Rpc, chain_id: u64, accounts: usize) -> Result<Vec<Trader>> {
    let mut traders = Vec::with_capacity(accounts);
    for (_, key) in genesis::dev_keys(genesis::REPLAY_FIRST_KEY, accounts) {
        let mut trader = Trader::new(key, chain_id);
        trader.nonce = rpc.nonce(trader.address).await?;
        traders.push(trader);
    }
    let mut bank = genesis::dev_trader(genesis::REPLAY_BANK_KEY, chain_id);
    bank.nonce = rpc.nonce(bank.address).await?;
    let raws: Vec<Bytes> = traders.iter().map(|t| bank.sign(t.address, U256::from(GAS_WEI_PER_TRADER), 21_000, Bytes::new()).0).collect();
    crate::sender::send_and_wait(rpc, &raws).await.context("funding the accounts; is this a hifi dev chain?")?;
    let mut raws = Vec::with_capacity(accounts * 6);
    for trader in &mut traders {
        raws.extend(crate::sender::funding(trader, TAPE_BASE, DEPOSIT_BASE_ATOMS));
        raws.extend(crate::sender::funding(trader, TAPE_QUOTE, DEPOSIT_QUOTE_ATOMS));
    }
    crate::sender::send_and_wait(rpc, &raws).await.context("depositing the accounts' tokens")?;
    Ok(traders)
}

/// Creates the tape's market on the chain: a tick is a cent, a lot 1e-8 of the base token, no fees.
async fn create_market(rpc: &Rpc, chain_id: u64) -> Result<Market> {
    let mut bank = genesis::dev_trader(genesis::REPLAY_BANK_KEY, chain_id);
    bank.nonce = rpc.nonce(bank.address).await?;
    let (raw, hash) = bank.sign(genesis::EXCHANGE, U256::ZERO, 1_000_000, abi::calldata(&market_command()));
    let block = crate::sender::send_and_wait(rpc, &[raw]).await?;
    for log in rpc.logs(block, genesis::EXCHANGE).await? {
        if log.transaction_hash == hash
            && let Event::MarketCreated { market, cfg } = abi::decode_log(&log.topics, &log.data)?
        {
            return Market::from_cfg(market, cfg).context("the market's word");
        }
    }
    bail!("the exchange did not say that it created the market")
}

fn market_command() -> Command {
    Command::CreateMarket {
        base: TAPE_BASE,
        quote: TAPE_QUOTE,
        quote_atoms_per_lot_tick: QUOTE_ATOMS_PER_LOT_TICK,
        base_atoms_per_lot: 1,
        lots_min: 1,
        taker_fee_ppm: 0,
        maker_fee_ppm: 0,
        min_ttl_s: 0,
        status: 1,
    }
}

/// An engine in which the same accounts hold the same deposits, in a market like the chain's.
fn rehearsal(traders: &[Address]) -> Result<(Engine, MarketId)> {
    let mut engine = genesis::engine();
    let created = engine.apply(genesis::owner(), &market_command(), 0)?;
    let market = created.iter().find_map(|e| if let Event::MarketCreated { market, .. } = e { Some(*market) } else { None });
    for &trader in traders {
        for (token, atoms) in [(TAPE_BASE, DEPOSIT_BASE_ATOMS), (TAPE_QUOTE, DEPOSIT_QUOTE_ATOMS)] {
            let command = Command::Deposit { account: orderbook::AccountId(0), token, atoms: U256::from(atoms), settle: Vec::new() };
            engine.apply(trader, &command, 0)?;
        }
    }
    Ok((engine, market.context("the engine creates a market")?))
}

/// A line on standard error, rewritten on a terminal, once in two seconds elsewhere.
struct Progress {
    total: usize,
    started: Instant,
    last: Instant,
    terminal: bool,
}

impl Progress {
    fn new(total: usize) -> Progress {
        let now = Instant::now();
        Progress { total, started: now, last: now, terminal: std::io::IsTerminal::is_terminal(&std::io::stderr()) }
    }

    fn show(&mut self, done: usize, block: u64) {
        if self.last.elapsed() < Duration::from_millis(if self.terminal { 200 } else { 2000 }) {
            return;
        }
        self.last = Instant::now();
        let rate = done as f64 / self.started.elapsed().as_secs_f64();
        let line = format!("replay  {done}/{} transactions, {rate:.0} tx/s, block {block}", self.total);
        if self.terminal { eprint!("\r{line}\x1b[K") } else { eprintln!("{line}") }
    }

    fn finish(&mut self, done: usize, block: u64) {
        self.last -= Duration::from_secs(10);
        self.show(done, block);
        if self.terminal {
            eprintln!();
        }
    }
}
