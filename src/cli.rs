//! The command line: one struct a command, and the function that carries it out.

use crate::client::Rpc;
use crate::config::{Config, Flags};
use crate::source::LogSource;
use crate::up::{self, Options, Stack};
use crate::{bench, genesis, replay, shutdown};
use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use indexer::postgres;
use indexer::source::StreamSource;
use std::path::PathBuf;
use std::process::ExitCode;

/// An on-chain central limit order book, the chain built for it, and everything around: node, indexer, API, trading page.
#[derive(Debug, Parser)]
#[command(name = "hifi", version, max_term_width = 120)]
pub struct Cli {
    /// What to log, e.g. info or node=debug,warn
    #[arg(long, global = true, env = "HIFI_LOG", default_value = "warn", value_name = "FILTER")]
    pub log: String,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run everything in one process: node, Postgres, indexer, API, page and demo traders.
    Up(Up),
    /// Run a node alone, or check its data.
    Node(Node),
    /// Run an indexer alone beside a node, compare Postgres with the chain, or run its Postgres.
    Index(Index),
    /// Run an API (with its own indexer) beside a node elsewhere.
    Api(Api),
    /// Play a recorded tape of orders through the chain and report what the chain made of it.
    Replay(Replay),
    /// Measure.
    Bench(Bench),
}

#[derive(Debug, Args)]
pub struct Up {
    #[command(flatten)]
    pub flags: Flags,
    /// No demo traders; the markets exist all the same
    #[arg(long)]
    pub no_demo: bool,
    /// Write {"api","rpc","pid","postgres"} as JSON to this file once everything is ready
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Node {
    #[command(flatten)]
    pub flags: Flags,
    #[command(subcommand)]
    pub command: Option<NodeCommand>,
}

#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Execute the data directory's blocks again from genesis and compare every root; the node must not be running.
    Verify(Flags),
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Index {
    #[command(flatten)]
    pub follow: Follow,
    #[command(subcommand)]
    pub command: Option<IndexCommand>,
}

/// A part that follows a node elsewhere.
#[derive(Debug, Args)]
pub struct Follow {
    #[command(flatten)]
    pub flags: Flags,
    /// The node's block stream
    #[arg(long, value_name = "URL", default_value = "ws://127.0.0.1:8547")]
    pub node: String,
}

#[derive(Debug, Subcommand)]
pub enum IndexCommand {
    /// Compare Postgres with the chain and name the first difference. Exit code: 0 equal, 1 different, 2 could not run.
    Verify(Verify),
    /// Run a Postgres for tests until standard input ends; prints its URL.
    Postgres(Postgres),
}

#[derive(Debug, Args)]
pub struct Verify {
    #[command(flatten)]
    pub flags: Flags,
    /// Block stream of the running node to compare with, e.g. ws://127.0.0.1:8547; without it the data directory's blocks are read
    #[arg(long, value_name = "URL")]
    pub node: Option<String>,
    /// The result as one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Postgres {
    #[command(flatten)]
    pub flags: Flags,
    /// Without fsync, deleted at the end
    #[arg(long)]
    pub ephemeral: bool,
}

#[derive(Debug, Args)]
pub struct Api {
    #[command(flatten)]
    pub follow: Follow,
    /// The node's JSON-RPC, for /rpc
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8545")]
    pub rpc: String,
}

#[derive(Debug, Args)]
pub struct Replay {
    /// CSV with the header seq,ts_ms,op,side,ticks,lots,order_id
    pub tape: PathBuf,
    /// A running hifi dev chain; without it a temporary stack is started
    #[arg(long, value_name = "URL")]
    pub rpc: Option<String>,
    /// Accounts that share the orders
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub accounts: usize,
    /// Operations in one transaction, at most 64; from 2 on one account does them all
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub batch: usize,
    /// The result as one JSON object, last line of standard output
    #[arg(long)]
    pub json: bool,
    /// Write the fills here, as CSV in the tape's ids
    #[arg(long, value_name = "OUT.csv")]
    pub fills: Option<PathBuf>,
    /// Write the final book here
    #[arg(long, value_name = "OUT.txt")]
    pub book: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Bench {
    #[command(subcommand)]
    pub command: BenchCommand,
}

#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Orders through the whole stack in open loop: throughput, latency, CPU per transaction.
    E2e(bench::Options),
}

/// `hifi up`.
pub fn up(args: Up) -> Result<ExitCode> {
    let Some(config) = read(&args.flags)? else { return Ok(ExitCode::SUCCESS) };
    let options = Options { demo: !args.no_demo, ..Options::new(config) };
    server()?.block_on(up::run(options, args.ready_file))?;
    Ok(ExitCode::SUCCESS)
}

/// `hifi replay`.
pub fn replay(args: Replay) -> Result<ExitCode> {
    let options = replay::Options { tape: args.tape, accounts: args.accounts, batch: args.batch, fills: args.fills, book: args.book };
    let server = server()?;
    let report = match &args.rpc {
        Some(url) => server.block_on(replay::run(&Rpc::new(url)?, &options))?,
        None => {
            let dir = tempfile::Builder::new().prefix("hifi-replay-").tempdir().context("no temporary folder")?;
            server.block_on(async {
                let stack = Stack::start(Options::temporary(dir.path())).await?;
                let report = tokio::select! {
                    report = replay_on(&stack, &options) => report,
                    stop = crate::shutdown::requested() => stop.map_err(Into::into).and(Err(anyhow::anyhow!("stopped"))),
                };
                stack.stop().await;
                report
            })?
        }
    };
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!("{} operations as {} transactions in {} blocks, {} s", report.ops, report.txs, report.blocks, report.seconds);
        println!("fills   {}  sha256 {}", report.fills, report.fills_sha256);
        println!("orders  {}  sha256 {}", report.final_orders, report.book_sha256);
    }
    Ok(ExitCode::SUCCESS)
}

async fn replay_on(stack: &Stack, options: &replay::Options) -> Result<replay::Report> {
    replay::run(&Rpc::new(&stack.rpc_url())?, options).await
}

/// `hifi bench`.
pub fn bench(args: Bench) -> Result<ExitCode> {
    let BenchCommand::E2e(options) = args.command;
    let dir = tempfile::Builder::new().prefix("hifi-bench-").tempdir().context("no temporary folder")?;
    // The bench measures the stack as it is run: its Postgres syncs.
    let stack = Options { ephemeral: false, ..Options::temporary(dir.path()) };
    let report = bench::run(&options, stack, &server()?)?;
    println!("{}", report.table());
    if options.json {
        println!("{}", serde_json::to_string(&report)?);
    }
    Ok(ExitCode::SUCCESS)
}

/// `hifi node`, alone or `verify`.
pub fn node(args: Node) -> Result<ExitCode> {
    if let Some(NodeCommand::Verify(flags)) = args.command {
        let Some(config) = read(&flags)? else { return Ok(ExitCode::SUCCESS) };
        return node_verify(&config);
    }
    let Some(config) = read(&args.flags)? else { return Ok(ExitCode::SUCCESS) };
    server()?.block_on(async {
        let genesis = genesis::dev(config.chain_id, config.dev_accounts, None)?;
        let (node, stream) = up::start_node(&config, genesis).await?;
        println!(
            "node      http://{0} and ws://{0} (chain {1}, block {2}); blocks at ws://{stream}",
            node.rpc_addr,
            config.chain_id,
            node.log.head().block
        );
        println!("ready     Ctrl-C stops it");
        shutdown::requested().await?;
        node.shutdown().await;
        Ok(ExitCode::SUCCESS)
    })
}

fn node_verify(config: &Config) -> Result<ExitCode> {
    let dir = config.data_dir.join("node");
    let mut progress = Progress::default();
    match node::store::verify(&dir, &mut |block, head| progress.show("verify", block, head)) {
        Ok(report) => {
            println!("equal: {} blocks executed again from genesis, head {}", report.block, report.hash);
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            eprintln!("hifi: {error}");
            Ok(ExitCode::from(error.exit_code() as u8))
        }
    }
}

/// `hifi index`, alone, `verify` or `postgres`.
pub fn index(args: Index) -> Result<ExitCode> {
    match args.command {
        Some(IndexCommand::Verify(verify)) => Ok(index_verify(verify).unwrap_or_else(|error| {
            eprintln!("hifi: {error:#}");
            ExitCode::from(2)
        })),
        Some(IndexCommand::Postgres(postgres)) => index_postgres(postgres),
        None => follow(args.follow, None),
    }
}

/// `hifi api`: an indexer of its own feeds it.
pub fn api(args: Api) -> Result<ExitCode> {
    follow(args.follow, Some(args.rpc))
}

/// Follows a node's block stream into Postgres; with `rpc` serves the api as well.
fn follow(follow: Follow, rpc: Option<String>) -> Result<ExitCode> {
    let Some(mut config) = read(&follow.flags)? else { return Ok(ExitCode::SUCCESS) };
    server()?.block_on(async {
        let source = StreamSource::new(&follow.node, "indexer", config.stream_token.clone());
        let (chain_id, genesis) =
            source.chain(None).await.with_context(|| format!("no block stream at {}: is the node running?", follow.node))?;
        config.chain_id = chain_id;
        let postgres = up::start_postgres(&config, false).await?;
        println!("postgres  {} (version {})", postgres.whereabouts(), postgres.major());
        let indexer = match indexer::Indexer::start(up::indexer_config(chain_id, genesis, &postgres), source).await {
            Ok(indexer) => indexer,
            Err(error) => {
                postgres.stop().await;
                return Err(error).context("indexer");
            }
        };
        println!("indexer   block {} in Postgres, following {}", *indexer.feed.stored().borrow(), follow.node);
        let mut served = Ok(None);
        if let Some(rpc) = rpc {
            served = up::start_api(&config, rpc, &indexer).await.map(Some);
        }
        if let Ok(api) = &served {
            if let Some(api) = api {
                println!("api       http://{}/", api.addr);
            }
            println!("ready     Ctrl-C stops it");
            tokio::select! {
                requested = shutdown::requested() => requested?,
                error = indexer.halted() => eprintln!("hifi: the indexer halted: {error}"),
            }
        }
        let mut failed = None;
        match served {
            Ok(Some(api)) => api.stop().await,
            Ok(None) => {}
            Err(error) => failed = Some(error),
        }
        let stopped = indexer.shutdown().await;
        postgres.stop().await;
        match failed {
            Some(error) => Err(error),
            None => stopped.map(|()| ExitCode::SUCCESS).map_err(|error| anyhow::anyhow!("indexer: {error}")),
        }
    })
}

fn index_verify(args: Verify) -> Result<ExitCode> {
    let Some(config) = read(&args.flags)? else { return Ok(ExitCode::SUCCESS) };
    server()?.block_on(async {
        let postgres = running_or_started(&config, args.node.is_some()).await?;
        let result = compare(&config, &args, &postgres).await;
        postgres.stop().await;
        let outcome = result?;
        report(&outcome, args.json)?;
        Ok(ExitCode::from(outcome.exit_code() as u8))
    })
}

/// The Postgres of a running stack, used where it is; else one started for the time of the comparison.
async fn running_or_started(config: &Config, stack_runs: bool) -> Result<postgres::Managed> {
    if config.database_url.is_none() && stack_runs {
        let url = postgres::url_of(&config.data_dir.canonicalize()?, "hifi")?;
        let attached = postgres::Config { external: Some(url), ..postgres::Config::managed(&config.data_dir) };
        if let Ok(postgres) = postgres::start(attached).await {
            return Ok(postgres);
        }
    }
    up::start_postgres(config, false).await
}

async fn compare(config: &Config, args: &Verify, postgres: &postgres::Managed) -> Result<indexer::Outcome> {
    let mut progress = Progress::default();
    let show = |block, head| progress.show("verify", block, head);
    if let Some(url) = &args.node {
        let source = StreamSource::new(url, "verify", config.stream_token.clone());
        let (chain_id, genesis) = source.chain(None).await.with_context(|| format!("no block stream at {url}: is the node running?"))?;
        return Ok(indexer::verify(&up::indexer_config(chain_id, genesis, postgres), source, show).await?);
    }
    let genesis = genesis::dev(config.chain_id, config.dev_accounts, None)?;
    let store =
        node::store::StoreConfig { data_dir: config.data_dir.join("node"), genesis: genesis.inner, fsync: node::store::Fsync::Block };
    let opened = tokio::task::spawn_blocking(move || node::store::open(store)).await?;
    let opened = opened.context("the node's data (if the node is running, name its block stream with --node)")?;
    let source = LogSource::new(opened.log.clone(), "verify");
    Ok(indexer::verify(&up::indexer_config(config.chain_id, opened.log.genesis().hash, postgres), source, show).await?)
}

fn report(outcome: &indexer::Outcome, json: bool) -> Result<()> {
    match outcome {
        indexer::Outcome::Equal(compared) if json => {
            println!(
                "{}",
                serde_json::json!({"equal": true, "blocks": compared.blocks, "rows": compared.rows, "fills": compared.fills,
                "state_block": compared.state_block, "state_rows": compared.state_rows})
            );
        }
        indexer::Outcome::Equal(compared) => println!(
            "equal: {} blocks, {} rows of which {} fills; {} rows of state at block {}",
            compared.blocks, compared.rows, compared.fills, compared.state_rows, compared.state_block
        ),
        indexer::Outcome::Differs(found) if json => {
            println!(
                "{}",
                serde_json::json!({"equal": false, "block": found.block, "table": found.table, "key": found.key,
                "chain": found.chain, "postgres": found.postgres})
            );
        }
        indexer::Outcome::Differs(found) => println!("different: {found}"),
    }
    Ok(())
}

fn index_postgres(args: Postgres) -> Result<ExitCode> {
    let Some(config) = read(&args.flags)? else { return Ok(ExitCode::SUCCESS) };
    server()?.block_on(async {
        let options = postgres::Config {
            pg_bin: config.pg_bin.clone(),
            external: config.database_url.clone(),
            ephemeral: args.ephemeral,
            ..postgres::Config::managed(up::absolute(&config.data_dir)?)
        };
        postgres::foreground(options).await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// A line on standard error every two seconds of long work.
#[derive(Default)]
struct Progress {
    last: Option<std::time::Instant>,
}

impl Progress {
    fn show(&mut self, what: &str, done: u64, total: u64) {
        if self.last.is_some_and(|last| last.elapsed().as_secs() < 2) {
            return;
        }
        if self.last.replace(std::time::Instant::now()).is_some() {
            eprintln!("{what}  block {done} of {total}");
        }
    }
}

/// Becomes the guard of a Postgres child if this process was started as one (`postgres-guard ...`).
pub fn postgres_guard() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    if args.next()? != "postgres-guard" {
        return None;
    }
    Some(indexer::postgres::guard_main(args))
}

/// The exit code for an error, as `docs/operations.md` lists them: 3 no Postgres, 69 out of reach, 70 our own mistake, 74 damaged data,
/// 78 configuration or other chain, else 1.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    let known = |cause: &(dyn std::error::Error + 'static)| {
        let node = || cause.downcast_ref::<node::NodeError>().map(|error| error.exit_code() as u8);
        let indexer = || cause.downcast_ref::<indexer::Error>().map(|error| error.exit_code() as u8);
        let postgres = || cause.downcast_ref::<indexer::postgres::PostgresError>().map(|error| error.exit_code());
        node().or_else(indexer).or_else(postgres)
    };
    error.chain().find_map(known).unwrap_or(1)
}

/// The options in force, or `None` after printing them.
fn read(flags: &Flags) -> Result<Option<Config>> {
    let config = Config::read(flags)?;
    if flags.print_config {
        println!("{}", config.print());
        return Ok(None);
    }
    Ok(Some(config))
}

fn server() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().thread_name("tokio").enable_all().build().context("no threads")
}
