//! THE wiring: Postgres, node, indexer, api and demo traders as one stack in one process. `hifi up`, `replay` and `bench` all start this.
//! Order of start: Postgres, node, indexer, api, demo; of stop: the reverse, so that nobody writes to somebody gone.

use crate::client::Rpc;
use crate::config::Config;
use crate::source::LogSource;
use crate::{demo, genesis, markets, shutdown};
use alloy_primitives::B256;
use anyhow::{Context, Result};
use indexer::postgres::{self, Managed};
use node::publish::stream::{self, StreamConfig};
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How long the parts may take to stop.
const STOP: Duration = Duration::from_secs(5);

/// What a stack is made of.
#[derive(Clone, Debug)]
pub struct Options {
    pub config: Config,
    /// Demo traders trade.
    pub demo: bool,
    /// The four demo markets exist.
    pub listings: bool,
    /// Further funded keys of a new chain: (first index of the mnemonic, count).
    pub funded_keys: Option<(usize, usize)>,
    /// Postgres without fsync, for stacks that are thrown away.
    pub ephemeral: bool,
    /// Say one line per part at start.
    pub speak: bool,
}

impl Options {
    pub fn new(config: Config) -> Options {
        Options { config, demo: true, listings: true, funded_keys: None, ephemeral: false, speak: true }
    }

    /// A stack in a folder of its own on free ports, to be thrown away; without demo traders.
    pub fn temporary(dir: &std::path::Path) -> Options {
        Options { demo: false, listings: false, ephemeral: true, speak: false, ..Options::new(Config::temporary(dir)) }
    }
}

/// A running stack.
pub struct Stack {
    node: node::Handle,
    indexer: indexer::Handle,
    api: api::Handle,
    postgres: Managed,
    stream_addr: SocketAddr,
    demo: Option<tokio::task::JoinHandle<()>>,
    stop_demo: CancellationToken,
}

impl Stack {
    /// Starts every part in order; on failure stops what was started.
    pub async fn start(options: Options) -> Result<Stack> {
        let config = &options.config;
        let say = |part: &str, what: String| {
            if options.speak {
                println!("{part:<9} {what}");
            }
        };
        absolute(&config.data_dir)?;
        warn_if_public("rpc", config.rpc_addr);
        warn_if_public("api", config.api_addr);

        let started = Instant::now();
        let postgres = start_postgres(config, options.ephemeral).await?;
        say("postgres", format!("{} (version {}, {} ms)", postgres.whereabouts(), postgres.major(), started.elapsed().as_millis()));

        let genesis = genesis::dev(config.chain_id, config.dev_accounts, options.funded_keys)?;
        let (node, stream_addr) = match start_node(config, genesis).await {
            Ok(node) => node,
            Err(error) => {
                postgres.stop().await;
                return Err(error);
            }
        };
        say(
            "node",
            format!(
                "http://{0} and ws://{0} (chain {1}, block {2}); blocks at ws://{3}",
                node.rpc_addr,
                config.chain_id,
                node.log.head().block,
                stream_addr
            ),
        );

        let indexer_config = indexer_config(config.chain_id, node.genesis_hash, &postgres);
        let indexer = match indexer::Indexer::start(indexer_config, LogSource::new(node.log.clone(), "indexer")).await {
            Ok(indexer) => indexer,
            Err(error) => {
                node.shutdown().await;
                postgres.stop().await;
                return Err(error).context("indexer");
            }
        };
        say("indexer", format!("block {} in Postgres, following", *indexer.feed.stored().borrow()));

        let api = match start_api(config, format!("http://{}", node.rpc_addr), &indexer).await {
            Ok(api) => api,
            Err(error) => {
                let _ = indexer.shutdown().await;
                node.shutdown().await;
                postgres.stop().await;
                return Err(error);
            }
        };
        say("api", format!("http://{0}/api/v3, ws://{0}/ws, ws://{0}/v1/ws", api.addr));

        let mut stack = Stack { node, indexer, api, postgres, stream_addr, demo: None, stop_demo: CancellationToken::new() };
        if let Err(error) = stack.populate(&options, config.chain_id).await {
            stack.stop().await;
            return Err(error);
        }
        if stack.demo.is_some() {
            say("demo", format!("makers and takers in {} markets", markets::LISTINGS.len()));
        }
        say("page", format!("http://{}/", stack.api_addr()));
        Ok(stack)
    }

    /// Creates the demo markets and starts the demo traders, as asked for.
    async fn populate(&mut self, options: &Options, chain_id: u64) -> Result<()> {
        if !options.listings {
            return Ok(());
        }
        let rpc = Rpc::new(&self.rpc_url())?;
        let feed = self.indexer.feed.clone();
        let known = tokio::task::spawn_blocking(move || feed.snapshot().markets.len()).await?;
        let ids = markets::ensure(&rpc, chain_id, known).await?;
        if options.demo {
            self.demo = Some(tokio::spawn(demo::run(rpc, self.indexer.feed.clone(), ids, chain_id, self.stop_demo.clone())));
        }
        Ok(())
    }

    pub fn rpc_url(&self) -> String {
        format!("http://{}", self.node.rpc_addr)
    }

    pub fn api_addr(&self) -> SocketAddr {
        self.api.addr
    }

    /// Blocks published and not yet committed to Postgres.
    pub fn indexer_lag_blocks(&self) -> u64 {
        self.node.log.head().block.saturating_sub(*self.indexer.feed.stored().borrow())
    }

    /// Stops the parts in order: demo, api, indexer (with its last flush), node, Postgres.
    pub async fn stop(self) {
        self.stop_demo.cancel();
        if let Some(demo) = self.demo {
            let _ = demo.await;
        }
        self.api.stop().await;
        if let Err(error) = self.indexer.shutdown().await {
            tracing::error!(%error, "the indexer had halted");
        }
        self.node.shutdown().await;
        self.postgres.stop().await;
    }
}

/// Runs a stack until Ctrl-C, with a status line a second on a terminal and a plain line each ten seconds elsewhere.
pub async fn run(options: Options, ready_file: Option<PathBuf>) -> Result<()> {
    let stack = Stack::start(options).await?;
    if let Some(path) = ready_file {
        let ready = serde_json::json!({
            "api": format!("http://{}", stack.api_addr()), "rpc": stack.rpc_url(), "stream": format!("ws://{}", stack.stream_addr), "pid": std::process::id(), "postgres": stack.postgres.url(),
        });
        let partial = path.with_extension("partial");
        std::fs::write(&partial, ready.to_string())
            .and_then(|()| std::fs::rename(&partial, &path))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    println!("ready     Ctrl-C stops everything in order");
    let status = tokio::spawn(status(stack.node.log.clone(), stack.indexer.feed.clone()));
    shutdown::requested().await?;
    status.abort();
    eprintln!("\nstopping");
    let started = Instant::now();
    if tokio::time::timeout(STOP, stack.stop()).await.is_err() {
        eprintln!("hifi: a part did not stop in {} s; ending anyway, nothing durable is lost", STOP.as_secs());
    } else {
        eprintln!("stopped in {} ms", started.elapsed().as_millis());
    }
    Ok(())
}

/// Postgres for this stack: the one named, or a managed child in the data directory.
pub async fn start_postgres(config: &Config, ephemeral: bool) -> Result<Managed> {
    let config = postgres::Config {
        pg_bin: config.pg_bin.clone(),
        external: config.database_url.clone(),
        ephemeral,
        ..postgres::Config::managed(absolute(&config.data_dir)?)
    };
    postgres::start(config).await.context("postgres")
}

/// A node and its block stream.
pub async fn start_node(config: &Config, genesis: node::Genesis) -> Result<(node::Handle, SocketAddr)> {
    let mut node_config = node::Config::new(genesis, absolute(&config.data_dir)?.join("node"));
    node_config.rpc_addr = config.rpc_addr;
    node_config.block_interval = config.block_interval;
    node_config.dev = true;
    node_config.allow_unprotected_txs = true;
    let node = node::Node::start(node_config).await.context("node")?;
    let stream = StreamConfig { addr: config.stream_addr, chain_id: node.chain_id, token: config.stream_token.clone() };
    match stream::serve(node.log.clone(), stream, CancellationToken::new()).await {
        Ok(addr) => Ok((node, addr)),
        Err(error) => {
            node.shutdown().await;
            Err(error.into())
        }
    }
}

/// The indexer's options for a chain of ours.
pub fn indexer_config(chain_id: u64, genesis: B256, postgres: &Managed) -> indexer::Config {
    let mut config = indexer::Config::new(chain_id, indexer::Cursor { block: 0, hash: genesis }, genesis::EXCHANGE, postgres.options());
    config.token_names = genesis::token_names().into_iter().collect();
    config
}

/// The api over an indexer's feed.
pub async fn start_api(config: &Config, rpc_url: String, indexer: &indexer::Handle) -> Result<api::Handle> {
    let mut api_config = api::Config::new(config.api_addr, rpc_url, config.chain_id, genesis::EXCHANGE);
    api_config.web_dir = config.web_dir.clone();
    api_config.faucet = true;
    api::start(api_config, indexer.feed.clone(), Some(indexer.reader.clone())).await.context("api")
}

/// The data directory, made if it is missing, as an absolute path.
pub fn absolute(data_dir: &std::path::Path) -> Result<PathBuf> {
    std::fs::create_dir_all(data_dir).with_context(|| format!("cannot make the data directory {}", data_dir.display()))?;
    data_dir.canonicalize().with_context(|| format!("the data directory {}", data_dir.display()))
}

async fn status(log: node::publish::BlockLog, feed: indexer::Feed) {
    let terminal = std::io::stdout().is_terminal();
    let every = Duration::from_secs(if terminal { 1 } else { 10 });
    let mut cursor = log.head();
    let mut ticks = tokio::time::interval(every);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let (mut txs, mut gas) = (0usize, 0u64);
        while let Ok(blocks) = log.read(cursor, 8 << 20) {
            let Some(last) = blocks.last() else { break };
            cursor = node::publish::Cursor { block: last.header.number, hash: last.hash };
            txs += blocks.iter().map(|b| b.txs.len()).sum::<usize>();
            gas += blocks.iter().map(|b| b.header.gas_used).sum::<u64>();
        }
        let seconds = every.as_secs_f64();
        let lag = cursor.block.saturating_sub(*feed.stored().borrow());
        let line = format!(
            "block {}  {:.0} tx/s  {:.1} Mgas/s  indexer {lag} behind",
            cursor.block,
            txs as f64 / seconds,
            gas as f64 / seconds / 1e6
        );
        if terminal {
            print!("\r{line}\x1b[K");
            let _ = std::io::stdout().flush();
        } else {
            println!("{line}");
        }
    }
}

fn warn_if_public(part: &str, addr: SocketAddr) {
    if !addr.ip().is_loopback() {
        eprintln!("warning: {part} listens on {addr}, which others can reach; there is no password and the keys of a dev chain are public");
    }
}
