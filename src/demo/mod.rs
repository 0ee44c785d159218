//! The demo traders of `hifi up`: makers that keep a ladder in each market and takers that trade against it, so that a newcomer sees a live market.
//! They are ordinary bots: they read the feed and send signed transactions over JSON-RPC. All randomness is seeded.

mod maker;
mod taker;

use crate::client::Rpc;
use crate::genesis::{self, DEMO_FIRST_KEY};
use crate::markets::{LISTINGS, Listing};
use crate::sender::{funding, send_and_wait};
use crate::trader::{Trader, account_of};
use alloy_primitives::{Bytes, U256};
use anyhow::{Context, Result};
use indexer::Update;
use indexer::feed::{Feed, Next, Snapshot};
use maker::Maker;
use orderbook::{AccountId, Command, MarketId, abi};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::collections::BTreeSet;
use std::time::Duration;
use taker::Taker;
use tokio_util::sync::CancellationToken;

/// Two makers and a taker for each market; the key before them creates markets.
const MAKERS_PER_MARKET: usize = 2;
/// Pause between two rounds, and gas of one order.
const ROUND: Duration = Duration::from_millis(150);
const GAS_LIMIT: u64 = 2_000_000;
/// Whole tokens every trader deposits.
const DEPOSIT_TOKENS: u128 = 1_000_000_000;
const SEED: u64 = 4434;

/// A market with the price the demo believes in.
pub(crate) struct Fair {
    pub market: MarketId,
    pub listing: Listing,
    /// Ticks, as a real number only to walk at random.
    pub ticks: f64,
    /// Where the walk is drawn back to.
    pub anchor: f64,
}

/// One bot's signer and account.
pub(crate) struct Bot {
    pub trader: Trader,
    pub account: AccountId,
}

/// Trades until `stop`. A failure of one round is logged and the next one starts from the feed again.
pub async fn run(rpc: Rpc, feed: Feed, markets: Vec<MarketId>, chain_id: u64, stop: CancellationToken) {
    let mut pause = Duration::from_secs(1);
    loop {
        tokio::select! {
            result = trade(&rpc, &feed, &markets, chain_id) => {
                if let Err(error) = result {
                    tracing::warn!(error = format!("{error:#}"), "the demo traders start again");
                }
            }
            _ = stop.cancelled() => return,
        }
        tokio::select! { _ = tokio::time::sleep(pause) => {}, _ = stop.cancelled() => return }
        pause = (pause * 2).min(Duration::from_secs(30));
    }
}

async fn trade(rpc: &Rpc, feed: &Feed, markets: &[MarketId], chain_id: u64) -> Result<()> {
    let reader = feed.clone();
    let snapshot = tokio::task::spawn_blocking(move || reader.snapshot()).await?;
    let mut random = StdRng::seed_from_u64(SEED);
    let mut fairs: Vec<Fair> = markets.iter().zip(LISTINGS).map(|(&market, listing)| fair(market, listing, &snapshot)).collect();
    let (mut makers, mut takers) = bots(rpc, chain_id, &fairs, &snapshot).await?;
    let mut block = snapshot.cursor.block;
    drop(snapshot);
    loop {
        while block < feed.head() {
            match feed.next(block).await {
                Next::Update(update) => {
                    block = update.block;
                    learn(&update, &mut makers);
                }
                Next::Lagged { .. } => anyhow::bail!("the feed went on without us"),
                Next::Closed => anyhow::bail!("the feed was closed"),
            }
        }
        for fair in &mut fairs {
            fair.walk(&mut random);
        }
        for maker in &mut makers {
            let fair = &fairs[maker.fair];
            send(rpc, &mut maker.bot, maker.orders.wishes(fair, &mut random)).await?;
        }
        for taker in &mut takers {
            let fair = &fairs[taker.fair];
            send(rpc, &mut taker.bot, taker.orders.wishes(fair, &mut random)).await?;
        }
        tokio::time::sleep(ROUND).await;
    }
}

/// Derives the bots and, on a fresh chain, gives each its tokens.
async fn bots(rpc: &Rpc, chain_id: u64, fairs: &[Fair], snapshot: &Snapshot) -> Result<(Vec<MakerBot>, Vec<TakerBot>)> {
    let keys = genesis::dev_keys(DEMO_FIRST_KEY + 1, fairs.len() * (MAKERS_PER_MARKET + 1));
    let known: BTreeSet<AccountId> = snapshot.accounts.iter().map(|(account, _)| *account).collect();
    let (mut makers, mut takers) = (Vec::new(), Vec::new());
    let mut raws: Vec<Bytes> = Vec::new();
    for (place, (address, key)) in keys.into_iter().enumerate() {
        let fair = place % fairs.len();
        let mut bot = Bot { trader: Trader::new(key, chain_id), account: account_of(address, 0) };
        bot.trader.nonce = rpc.nonce(address).await?;
        if !known.contains(&bot.account) {
            let listing = &fairs[fair].listing;
            for (token, name) in [(listing.base_token(), listing.base), (listing.quote_token(), listing.quote)] {
                let decimals = genesis::TOKENS.iter().find(|t| t.name == name).expect("a token of the genesis").decimals;
                raws.extend(funding(&mut bot.trader, token, DEPOSIT_TOKENS * 10u128.pow(decimals as u32)));
            }
        }
        if place < fairs.len() * MAKERS_PER_MARKET {
            let market = snapshot.markets.iter().find(|m| m.market.id == fairs[fair].market).context("a market that exists")?;
            makers.push(MakerBot { orders: Maker::new(bot.account, &market.book), bot, fair });
        } else {
            takers.push(TakerBot { orders: Taker::default(), bot, fair });
        }
    }
    send_and_wait(rpc, &raws).await?;
    Ok((makers, takers))
}

struct MakerBot {
    bot: Bot,
    fair: usize,
    orders: Maker,
}

struct TakerBot {
    bot: Bot,
    fair: usize,
    orders: Taker,
}

fn learn(update: &Update, makers: &mut [MakerBot]) {
    for maker in makers {
        maker.orders.learn(&update.changes);
    }
}

/// Signs and sends; a refused transaction means our nonce is off, so it is read again.
async fn send(rpc: &Rpc, bot: &mut Bot, wishes: Vec<Command>) -> Result<()> {
    let raws: Vec<Bytes> =
        wishes.iter().map(|wish| bot.trader.sign(genesis::EXCHANGE, U256::ZERO, GAS_LIMIT, abi::calldata(wish)).0).collect();
    if rpc.send_raw(&raws).await?.iter().any(Result::is_err) {
        bot.trader.nonce = rpc.nonce(bot.trader.address).await?;
    }
    Ok(())
}

/// Starts at the last trade's price, else at the listing's.
fn fair(market: MarketId, listing: Listing, snapshot: &Snapshot) -> Fair {
    let last = snapshot.markets.iter().find(|m| m.market.id == market).map_or(0, |m| m.head.last_ticks.0);
    let ticks = if last == 0 { listing.start_ticks } else { last } as f64;
    Fair { market, listing, ticks, anchor: listing.start_ticks as f64 }
}

impl Fair {
    /// One step of a walk drawn back to its anchor: about 2 basis points, at most 15 % away.
    fn walk(&mut self, random: &mut StdRng) {
        use rand::Rng;
        let noise: f64 = (0..4).map(|_| random.random_range(-1.0..1.0)).sum::<f64>() / 2.0;
        self.ticks += self.ticks * 1.2e-4 * noise + (self.anchor - self.ticks) * 2e-4;
        self.ticks = self.ticks.clamp(self.anchor * 0.85, self.anchor * 1.15);
    }
}
