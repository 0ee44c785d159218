//! `hifi bench e2e`: a temporary stack of its own, pre-signed orders in open loop over JSON-RPC, indexer and API on.
//! Prints machine, workload and method with the figures. A benchmark, not a test: nothing fails because the machine is slow.

mod cpu;
mod latency;
mod workload;

use crate::client::Rpc;
use crate::genesis;
use crate::sender::send_and_wait;
use crate::trader::Trader;
use crate::up::{Options as StackOptions, Stack};
use alloy_primitives::{B256, Bytes};
use anyhow::{Context, Result, bail};
use futures_util::{SinkExt, StreamExt};
use latency::Watch;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::Message;
use workload::{Signed, Workload};

/// Most transactions in one JSON-RPC batch, and the open loop's tick.
const BATCH_MAX: usize = 500;
const TICK: Duration = Duration::from_millis(10);
/// How long stragglers may take after the last transaction was due.
const DRAIN: Duration = Duration::from_secs(30);

/// `hifi bench e2e` flags.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Seconds of load.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,
    /// Transactions offered a second.
    #[arg(long, default_value_t = 4000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub rate: u64,
    /// Markets the orders are spread over.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub markets: u64,
    /// Accounts the orders come from.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u64).range(8..=4000))]
    pub accounts: u64,
    /// Decides the whole workload.
    #[arg(long, env = "HIFI_SEED", default_value_t = 1)]
    pub seed: u64,
    /// One JSON object as the last line.
    #[arg(long)]
    pub json: bool,
}

/// The last line of `--json`.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Transactions included a second, over the time from the first send to the last inclusion.
    pub tx_per_s: f64,
    pub receipt_p50_ms: f64,
    pub receipt_p99_ms: f64,
    pub ws_p50_ms: f64,
    pub ws_p99_ms: f64,
    /// Of the whole process and its Postgres, generator and observers left out.
    pub cpu_us_per_tx: f64,
    pub indexer_lag_blocks: u64,
    /// CPU microseconds per transaction by thread group; `postgres` is the child, `bench` the generator and observers.
    pub stages: BTreeMap<String, f64>,
    pub offered_per_s: u64,
    pub seconds: f64,
    pub sent: usize,
    pub included: u64,
    pub refused: usize,
    pub reverted: u64,
    pub blocks: u64,
    pub seed: u64,
    pub machine: String,
}

/// Runs the bench; progress goes to standard error.
pub fn run(options: &Options, stack: StackOptions, server: &tokio::runtime::Runtime) -> Result<Report> {
    let load = tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("bench").enable_all().build()?;
    let first = (genesis::BENCH_FIRST_KEY, options.accounts as usize);
    let stack = StackOptions { funded_keys: Some(first), demo: false, listings: false, ..stack };
    let stack = server.block_on(Stack::start(stack))?;
    let result = load.block_on(bench(options, &stack));
    server.block_on(stack.stop());
    result
}

async fn bench(options: &Options, stack: &Stack) -> Result<Report> {
    let rpc = Rpc::new(&stack.rpc_url())?;
    let chain_id = rpc.chain_id().await?;
    let mut traders: Vec<Trader> = genesis::dev_keys(genesis::BENCH_FIRST_KEY, options.accounts as usize)
        .into_iter()
        .map(|(_, key)| Trader::new(key, chain_id))
        .collect();
    let mut creator = genesis::dev_trader(genesis::DEMO_FIRST_KEY, chain_id);
    send_and_wait(&rpc, &workload::market_creation(&mut creator, options.markets as usize)).await?;
    send_and_wait(&rpc, &workload::funding(&mut traders)).await?;

    let count = (options.rate * options.seconds) as usize;
    eprintln!(
        "bench   rehearsing and signing {count} transactions of {} accounts over {} markets, seed {}",
        traders.len(),
        options.markets,
        options.seed
    );
    let signed = {
        let (seed, markets) = (options.seed, options.markets as usize);
        tokio::task::spawn_blocking(move || anyhow::Ok(Workload::rehearse(seed, count, markets, &traders)?.sign(&traders))).await??
    };

    let receipts = Watch::new();
    let messages = Watch::new();
    let follow = tokio::spawn(follow_heads(rpc.clone(), stack.rpc_url().replacen("http", "ws", 1), receipts.clone()));
    let listen = tokio::spawn(follow_records(format!("ws://{}/v1/ws", stack.api_addr()), messages.clone()));
    let blocks_before = rpc.block_number().await?;
    let (threads_before, children_before) = (cpu::threads(), cpu::children());
    let started = Instant::now();
    let refused = offer(&rpc, options, &signed, &receipts, &messages).await?;
    let deadline = Instant::now() + DRAIN;
    while receipts.missing() > refused && Instant::now() < deadline && !follow.is_finished() {
        tokio::time::sleep(TICK).await;
    }
    let seconds = started.elapsed().as_secs_f64();
    let (threads, children) = (cpu::threads(), cpu::children());
    if follow.is_finished() {
        follow.await??;
        bail!("the node's head subscription ended");
    }
    follow.abort();
    listen.abort();

    let blocks_after = rpc.block_number().await?;
    let mut reverted = 0;
    for block in blocks_before + 1..=blocks_after {
        reverted += rpc.statuses(block).await?.iter().filter(|(_, ok)| !ok).count() as u64;
    }
    let included = receipts.count();
    let per_tx = |us: u64| (us as f64 / included.max(1) as f64 * 100.0).round() / 100.0;
    let mut stages: BTreeMap<String, f64> = threads
        .iter()
        .map(|(name, us)| (name.clone(), per_tx(us - threads_before.get(name).unwrap_or(&0))))
        .filter(|(_, us)| *us > 0.0)
        .collect();
    stages.insert("postgres".into(), per_tx(children.saturating_sub(children_before)));
    let cpu_us_per_tx: f64 = stages.iter().filter(|(name, _)| *name != "bench").map(|(_, us)| us).sum();
    Ok(Report {
        tx_per_s: (included as f64 / seconds).round(),
        receipt_p50_ms: receipts.ms(0.5),
        receipt_p99_ms: receipts.ms(0.99),
        ws_p50_ms: messages.ms(0.5),
        ws_p99_ms: messages.ms(0.99),
        cpu_us_per_tx: (cpu_us_per_tx * 10.0).round() / 10.0,
        indexer_lag_blocks: stack.indexer_lag_blocks(),
        stages,
        offered_per_s: options.rate,
        seconds: (seconds * 100.0).round() / 100.0,
        sent: signed.len(),
        included,
        refused,
        reverted,
        blocks: blocks_after - blocks_before,
        seed: options.seed,
        machine: machine(),
    })
}

/// Sends every transaction when it is due, in order, over one connection; never slows down because the node does. Returns how many were refused.
async fn offer(rpc: &Rpc, options: &Options, signed: &[Signed], receipts: &Arc<Watch>, messages: &Arc<Watch>) -> Result<usize> {
    let started = Instant::now();
    let mut next = 0;
    let mut refused = 0;
    let mut why = None;
    let mut shown = started;
    while next < signed.len() {
        let due = ((started.elapsed().as_secs_f64() * options.rate as f64) as usize).min(signed.len()).min(next + BATCH_MAX);
        if due == next {
            tokio::time::sleep(TICK).await;
            continue;
        }
        let moment = |index: usize| started + Duration::from_secs_f64(index as f64 / options.rate as f64);
        let batch = &signed[next..due];
        let dues = || batch.iter().enumerate().map(|(i, tx)| (tx.hash, moment(next + i)));
        receipts.due(dues());
        messages.due(dues());
        let raws: Vec<Bytes> = batch.iter().map(|tx| tx.raw.clone()).collect();
        for answer in rpc.send_raw(&raws).await? {
            if let Err(error) = answer {
                refused += 1;
                why.get_or_insert(error);
            }
        }
        next = due;
        if shown.elapsed() > Duration::from_secs(2) {
            shown = Instant::now();
            let behind = started.elapsed().as_secs_f64() * options.rate as f64 - next as f64;
            eprintln!(
                "bench   {next}/{} sent, {} included, {behind:.0} behind schedule, receipt p50 {} ms",
                signed.len(),
                receipts.count(),
                receipts.ms(0.5)
            );
        }
    }
    if let Some(error) = why {
        eprintln!("bench   {refused} transactions refused, the first: {error}");
    }
    Ok(refused)
}

/// Notes each transaction when its block is visible at the node (newHeads, then the block's hashes).
async fn follow_heads(rpc: Rpc, url: String, watch: Arc<Watch>) -> Result<()> {
    let (mut socket, _) = tokio_tungstenite::connect_async(&url).await.with_context(|| format!("no websocket at {url}"))?;
    socket.send(Message::text(json!({"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}).to_string())).await?;
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message? else { continue };
        let value: Value = serde_json::from_str(&text)?;
        let Some(hash) = value.pointer("/params/result/hash") else { continue };
        let block = rpc.call("eth_getBlockByHash", json!([hash, false])).await?;
        let hashes: Vec<B256> = serde_json::from_value(block["transactions"].clone())?;
        watch.saw(hashes.into_iter(), Instant::now());
    }
    bail!("the node closed the subscription")
}

/// Notes each transaction when a record of it arrives on the API's native websocket.
async fn follow_records(url: String, watch: Arc<Watch>) -> Result<()> {
    let (mut socket, _) = tokio_tungstenite::connect_async(&url).await.with_context(|| format!("no websocket at {url}"))?;
    socket.send(Message::text(json!({"op": "sub", "id": 1, "channel": "blocks"}).to_string())).await?;
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message? else { continue };
        let now = Instant::now();
        let value: Value = serde_json::from_str(&text)?;
        let records = value.pointer("/data/records").and_then(Value::as_array).into_iter().flatten();
        watch.saw(records.filter_map(|record| record["tx"].as_str()?.parse().ok()), now);
    }
    bail!("the api closed the websocket")
}

/// "2 x Intel(R) Xeon(R) ..., 23 GiB".
fn machine() -> String {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1)).unwrap_or("unknown cpu");
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib: u64 = memory.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
    format!("{cpus} x {model}, {} GiB", kib >> 20)
}

impl Report {
    /// The table for people.
    pub fn table(&self) -> String {
        let mut lines = vec![
            format!("machine            {}", self.machine),
            format!(
                "workload           {}% place, {}% cancel, {}% take; open loop at {} tx/s; seed {}",
                workload::PLACE_PERCENT,
                workload::CANCEL_PERCENT,
                100 - workload::PLACE_PERCENT - workload::CANCEL_PERCENT,
                self.offered_per_s,
                self.seed
            ),
            format!(
                "sustained          {} tx/s for {} s ({} sent, {} included, {} refused, {} reverted, {} blocks)",
                self.tx_per_s, self.seconds, self.sent, self.included, self.refused, self.reverted, self.blocks
            ),
            format!("due -> receipt     p50 {} ms, p99 {} ms", self.receipt_p50_ms, self.receipt_p99_ms),
            format!("due -> websocket   p50 {} ms, p99 {} ms", self.ws_p50_ms, self.ws_p99_ms),
            format!("indexer lag        {} blocks", self.indexer_lag_blocks),
            format!("CPU                {} us per transaction, by threads:", self.cpu_us_per_tx),
        ];
        lines.extend(self.stages.iter().map(|(name, us)| format!("  {name:<16} {us:>8.2}")));
        lines.join("\n")
    }
}
