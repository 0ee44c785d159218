//! The demo traders of `hifi up`: makers that keep a ladder in each market and takers that trade against it, so that a newcomer sees a live market.
//! They are ordinary bots: they read the feed and send signed transactions over JSON-RPC. All randomness is seeded.

mod maker;
mod taker;

use crate::client::Rpc;
use crate::desk::gas_of;
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
/// Pause between two rounds, after how many of them a requote is held to be lost, and gas of a taker's order.
const ROUND: Duration = Duration::from_millis(150);
const ROUNDS_LOST: u32 = 40;
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
                    for maker in &mut makers {
                        maker.learn(&update)?;
                    }
                }
                Next::Lagged { .. } => anyhow::bail!("the feed went on without us"),
                Next::Closed => anyhow::bail!("the feed was closed"),
            }
        }
        for fair in &mut fairs {
            fair.walk(&mut random);
        }
        for maker in &mut makers {
            maker.requote(rpc, &fairs[maker.fair], &mut random).await?;
        }
        for taker in &mut takers {
            let fair = &fairs[taker.fair];
            let wishes = taker.orders.wishes(fair, &mut random);
            let sign = |wish: &Command| taker.bot.trader.sign(genesis::EXCHANGE, U256::ZERO, GAS_LIMIT, abi::calldata(wish)).0;
            let raws: Vec<Bytes> = wishes.iter().map(sign).collect();
            send(rpc, &mut taker.bot, &raws).await?;
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
            makers.push(MakerBot { orders: Maker::new(bot.account, &market.book), bot, fair, waits: 0 });
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
    /// Rounds for which its requote may still be under way; 0: none is.
    waits: u32,
}

impl MakerBot {
    /// Follows a block; with it comes the requote that was sent last.
    fn learn(&mut self, update: &Update) -> Result<()> {
        if update.txs.iter().any(|tx| tx.sender == self.bot.trader.address) {
            self.waits = 0;
        }
        Ok(self.orders.learn(update)?)
    }

    /// Sends the next requote once the last one is in a block, or was lost.
    async fn requote(&mut self, rpc: &Rpc, fair: &Fair, random: &mut StdRng) -> Result<()> {
        if self.waits > 0 {
            self.waits -= 1;
            if self.waits > 0 {
                return Ok(());
            }
            self.bot.trader.nonce = rpc.nonce(self.bot.trader.address).await?;
        }
        let batch = self.orders.wish(fair, random);
        if !batch.is_empty() {
            self.waits = ROUNDS_LOST;
            let raw = self.bot.trader.sign(genesis::EXCHANGE, U256::ZERO, gas_of(&batch), batch.calldata()).0;
            if !send(rpc, &mut self.bot, &[raw]).await? {
                self.waits = 0;
            }
        }
        Ok(())
    }
}

struct TakerBot {
    bot: Bot,
    fair: usize,
    orders: Taker,
}

/// Sends; a refused transaction means our nonce is off, so it is read again. True if all were taken.
async fn send(rpc: &Rpc, bot: &mut Bot, raws: &[Bytes]) -> Result<bool> {
    let refused = rpc.send_raw(raws).await?.iter().any(Result::is_err);
    if refused {
        bot.trader.nonce = rpc.nonce(bot.trader.address).await?;
    }
    Ok(!refused)
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
