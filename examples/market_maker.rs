//! Quotes a ladder in one market of a running `hifi up`, one requote per block at most, and prints its fills, inventory and fees.
//! Node or API may go and come back: it connects again, reads its book and orders anew, and goes on. Ctrl-C cancels its orders.
//!
//! `cargo run --release --example market_maker -- --help`

use alloy_primitives::B256;
use anyhow::{Context, Result, bail};
use clap::Parser;
use futures_util::{SinkExt, StreamExt};
use hifi::client::Rpc;
use hifi::desk::Desk;
use hifi::{genesis, trader::Trader};
use orderbook::maker::{News, Position, Quote, Terms, plan, withdrawal};
use orderbook::{Lots, MarketId, Side, Ticks, abi};
use std::time::{Duration, Instant};
use tokio_tungstenite::{connect_async, tungstenite::Message};
use tokio_util::sync::CancellationToken;

/// Between two tries to connect, at first; and what is held to be a session that went well.
const PAUSE: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(10);

/// Quotes a ladder of post-only orders on both sides of a reference price, through one requote per block.
#[derive(Clone, Debug, Parser)]
#[command(name = "market_maker")]
pub struct Options {
    /// The node's JSON-RPC; the same port serves the websocket
    #[arg(long, default_value = "http://127.0.0.1:8545", value_name = "URL")]
    pub rpc: String,
    /// Market to quote
    #[arg(long, default_value_t = 1)]
    pub market: u32,
    /// Private key, 32 bytes in hex; without it a key of the dev mnemonic signs
    #[arg(long, env = "HIFI_KEY", value_name = "HEX", hide_env_values = true)]
    pub key: Option<B256>,
    /// Which key of the dev mnemonic
    #[arg(long, default_value_t = 6, value_name = "N")]
    pub dev_key: usize,
    /// Reference price in ticks; without it the middle of what others quote, else the last trade
    #[arg(long, value_name = "TICKS")]
    pub price: Option<u32>,
    /// Orders a side
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=16))]
    pub rungs: u32,
    /// Lots of each order
    #[arg(long, default_value_t = 1_000)]
    pub lots: u64,
    /// From the reference price to the best order, ticks
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    pub away: u32,
    /// From one order to the next, ticks
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=32_767))]
    pub step: u32,
    /// Ticks by which the ladder moves against each `lots` of inventory
    #[arg(long, default_value_t = 1)]
    pub skew: u32,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let stop = CancellationToken::new();
    tokio::spawn({
        let stop = stop.clone();
        async move {
            let _ = hifi::shutdown::requested().await;
            stop.cancel();
        }
    });
    let position = quote(&options, stop).await?;
    println!(
        "ended: inventory {} lots, realised {} atoms, fees {} atoms",
        position.inventory_lots(),
        position.realised_atoms,
        position.fees_atoms
    );
    Ok(())
}

/// Quotes until `stop`, through any number of lost connections; returns what came of it, once its orders are cancelled.
pub async fn quote(options: &Options, stop: CancellationToken) -> Result<Position> {
    let mut desk: Option<Desk> = None;
    let mut position = Position::default();
    let (mut pause, mut stopped) = (PAUSE, None);
    loop {
        let started = Instant::now();
        let ended = session(options, &mut desk, &position, &stop).await;
        position = desk.as_ref().map_or(position, |desk| desk.own().position().clone());
        match ended {
            Ok(()) => return Ok(position),
            Err(error) if stop.is_cancelled() && stopped.get_or_insert_with(Instant::now).elapsed() > PATIENCE => {
                return Err(error.context("stopped, but orders may rest"));
            }
            Err(error) => eprintln!("{error:#}; connecting again"),
        }
        desk = desk.filter(|desk| !desk.is_broken());
        pause = if started.elapsed() > PATIENCE { PAUSE } else { (pause * 2).min(Duration::from_secs(3)) };
        tokio::time::sleep(pause).await;
    }
}

/// One connection: joins or goes on, quotes at every block, and when stopped takes the orders home.
async fn session(options: &Options, desk: &mut Option<Desk>, position: &Position, stop: &CancellationToken) -> Result<()> {
    let rpc = Rpc::new(&options.rpc)?;
    let mut heads = Heads::open(&options.rpc).await?;
    let desk = match desk {
        Some(desk) => {
            desk.resume().await?;
            println!("block {}: connected again, {} orders of ours", desk.block(), desk.own().orders().count());
            desk
        }
        None => desk.insert(join(rpc, options, position).await?),
    };
    let mut last = None;
    loop {
        for (block, news) in desk.follow().await? {
            tell(block, &news, desk, &mut last);
        }
        if desk.is_free() {
            let batch =
                if stop.is_cancelled() { withdrawal(desk.own()) } else { plan(desk.own(), &ladder(options, desk, last), &Terms::PLAIN) };
            if !batch.is_empty() {
                desk.send(&batch).await?;
            } else if stop.is_cancelled() {
                return Ok(());
            }
        }
        tokio::select! {
            head = heads.next() => head?,
            // Asked to stop: the orders go home with the next block at the latest.
            () = stop.cancelled(), if desk.is_free() => {}
        }
    }
}

/// Reads the market, what is ours in it, and sees to it that there is money for a hundred ladders.
async fn join(rpc: Rpc, options: &Options, position: &Position) -> Result<Desk> {
    let chain_id = rpc.chain_id().await?;
    let trader = match options.key {
        Some(key) => Trader::new(key, chain_id),
        None => genesis::dev_trader(options.dev_key, chain_id),
    };
    let mut desk = Desk::join(rpc, trader, MarketId(options.market), position.clone()).await?;
    println!("block {}: joined market {} with {} orders of ours", desk.block(), options.market, desk.own().orders().count());
    let market = desk.own().book().market().clone();
    let lots = Lots(options.lots * options.rungs as u64 * 100);
    let price = options.price.or(desk.own().book().best(Side::Bid).map(|best| best.0)).unwrap_or(1_000_000);
    let dearest = Ticks(price.saturating_mul(2).min(Ticks::MAX.0));
    desk.fund(market.base_atoms(lots).0, market.quote_atoms(dearest, lots).0).await?;
    Ok(desk)
}

/// The quotes of this moment: `rungs` a side about the reference price, moved against the inventory, never through others' orders.
fn ladder(options: &Options, desk: &Desk, last: Option<Ticks>) -> Vec<Quote> {
    let own = desk.own();
    let (bid, ask) = (own.best_of_others(Side::Bid), own.best_of_others(Side::Ask));
    let middle = bid.zip(ask).map(|(bid, ask)| (bid.0 + ask.0) / 2);
    let Some(reference) = options.price.or(middle).or(last.map(|last| last.0)) else { return Vec::new() };
    let skew = own.position().inventory_lots() / options.lots.max(1) as i64 * options.skew as i64;
    let middle = reference as i64 - skew;
    let mut quotes = Vec::new();
    for rung in 0..options.rungs as i64 {
        let away = options.away as i64 + rung * options.step as i64;
        for (side, ticks) in [(Side::Bid, middle - away), (Side::Ask, middle + away)] {
            let crosses = match side {
                Side::Bid => ask.is_some_and(|ask| ticks >= ask.0 as i64),
                Side::Ask => bid.is_some_and(|bid| ticks <= bid.0 as i64),
            };
            if !crosses && (1..=Ticks::MAX.0 as i64).contains(&ticks) {
                quotes.push(Quote { side, ticks: Ticks(ticks as u32), lots: Lots(options.lots) });
            }
        }
    }
    quotes
}

fn tell(block: u64, news: &News, desk: &Desk, last: &mut Option<Ticks>) {
    let position = desk.own().position();
    match news {
        News::Filled { order, lots } => {
            let level = order.id.level;
            *last = Some(level.ticks);
            let did = if level.side == Side::Bid { "bought" } else { "sold" };
            println!(
                "block {block}: {did} {lots} lots at {} ({} left); inventory {} lots, realised {} atoms, fees {} atoms",
                level.ticks,
                order.left,
                position.inventory_lots(),
                position.realised_atoms,
                position.fees_atoms
            );
        }
        News::Took { lots, quote_atoms, fee_atoms, .. } => {
            println!("block {block}: took {lots} lots for {quote_atoms} atoms, fee {fee_atoms}")
        }
        News::Rejected { index, reason, .. } => {
            let name = abi::reject_from_selector(*reason).map_or("an error of a token", |reject| reject.name());
            println!("block {block}: operation {index} of our batch failed: {name}");
        }
    }
}

/// New blocks, as the node's websocket tells them.
struct Heads(tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>);

impl Heads {
    async fn open(rpc: &str) -> Result<Heads> {
        let url = rpc.replacen("http", "ws", 1);
        let (mut socket, _) = connect_async(&url).await.with_context(|| format!("no websocket at {url}: is the node running?"))?;
        let wish = r#"{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}"#;
        socket.send(Message::text(wish)).await?;
        Ok(Heads(socket))
    }

    /// Waits for the node to say something: a new block, or that we are subscribed.
    async fn next(&mut self) -> Result<()> {
        while let Some(message) = self.0.next().await {
            if matches!(message?, Message::Text(_)) {
                return Ok(());
            }
        }
        bail!("the node closed the connection")
    }
}
