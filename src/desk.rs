//! A market maker's line to the chain: one key in one market, over JSON-RPC alone. Joins at the head by reading the contract's words, then follows
//! block by block, and sends one batch at a time. What to quote is the caller's; all bookkeeping is `orderbook::maker`'s.
//!
//! ```text
//! join:    nothing of ours in the pool -> nonce, head N -> words at N -> book and own orders
//! follow:  block N + 1, its logs -> Follower -> News;  nonce at N + 1 -> is our batch in?
//! resume:  after a lost connection: nothing of ours in the pool -> nonce; then it follows from where it was
//! ```
//! A batch whose fate is unknown is never repeated: after any error the desk waits until the pool holds nothing of ours, and then sees in the blocks what
//! became of it. So no ladder is ever doubled.

use crate::client::Rpc;
use crate::genesis::EXCHANGE;
use crate::sender::{funding, send_and_wait};
use crate::trader::{Trader, account_of};
use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::{SolCall, SolEvent};
use anyhow::{Context, Result, bail};
use orderbook::abi::{self, IExchange};
use orderbook::keys::{self, Base};
use orderbook::maker::{Batch, Follower, News, Nonces, Position, Resync};
use orderbook::{AccountId, MarketId, OrderId, TokenId};
use std::time::{Duration, Instant};

/// Slots of one `load`.
const SLOTS: usize = 2_000;
/// Blocks in which own orders are looked for that were filled and not claimed; older ones stay claimable, by anybody, for ever.
const PAST_BLOCKS: u64 = 5_000;
/// Blocks after which a batch that is in none of them is held to be lost, and how long a pool may take to get rid of what an earlier run sent.
const LOST_BLOCKS: u64 = 50;
const POOL: Duration = Duration::from_secs(10);
/// Gas of a batch: of its transaction, and of one result word (a place on a new level, a claim), with room.
const GAS_BATCH: u64 = 250_000;
const GAS_WORD: u64 = 200_000;

/// Joined to the chain after block `block()`.
pub struct Desk {
    rpc: Rpc,
    trader: Trader,
    own: Follower,
    block: u64,
    nonces: Nonces,
    /// Block at which the batch under way was sent.
    sent: u64,
    /// The chain is not the one that was followed, or a log is missing: join again.
    broken: bool,
}

impl Desk {
    /// Reads the market and what is ours in it. `position` goes on from an earlier desk.
    pub async fn join(rpc: Rpc, trader: Trader, market: MarketId, position: Position) -> Result<Desk> {
        let settled = settle(&rpc, trader.address).await?;
        let block = rpc.block_number().await?;
        let account = account_of(trader.address, 0);
        let mut resync = Resync::new(market).and_orders(past_orders(&rpc, block, account).await?);
        loop {
            let slots = resync.slots();
            if slots.is_empty() {
                break;
            }
            resync.learn(&load(&rpc, block, &slots).await?)?;
        }
        let own = Follower::joining(resync.book()?, account).with_position(position);
        Ok(Desk { rpc, trader, own, block, nonces: Nonces::new(settled), sent: 0, broken: false })
    }

    /// After an error, unless it is broken: waits until nothing of ours is in the pool and takes over the nonce.
    pub async fn resume(&mut self) -> Result<()> {
        let settled = settle(&self.rpc, self.trader.address).await?;
        self.nonces.resync(settled);
        Ok(())
    }

    /// The blocks do not follow what was seen: only joining anew helps.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    pub fn own(&self) -> &Follower {
        &self.own
    }

    /// The last block followed.
    pub fn block(&self) -> u64 {
        self.block
    }

    /// No batch is under way: the next may be planned.
    pub fn is_free(&self) -> bool {
        self.nonces.under_way() == 0
    }

    /// Follows every block up to the head; returns what happened to us, with the block.
    pub async fn follow(&mut self) -> Result<Vec<(u64, News)>> {
        let mut news = Vec::new();
        let head = self.rpc.block_number().await?;
        if head < self.block {
            self.broken = true;
            bail!("the chain ends at block {head}, but block {} was seen", self.block);
        }
        while self.block < head {
            let block = self.block + 1;
            for log in self.rpc.logs(block, EXCHANGE).await? {
                let event = abi::decode_log(&log.topics, &log.data).with_context(|| format!("a log of block {block}"))?;
                self.broken = true;
                news.extend(self.own.event(&event)?.into_iter().map(|news| (block, news)));
                self.broken = false;
            }
            self.block = block;
        }
        if !self.is_free() {
            let count = self.rpc.nonce_at(self.block, self.trader.address).await?;
            if let Some(last) = count.checked_sub(1) {
                self.nonces.settle(last);
            }
            if !self.is_free() && self.block > self.sent + LOST_BLOCKS {
                bail!("the batch sent at block {} is in no block up to {}", self.sent, self.block);
            }
        }
        Ok(news)
    }

    /// Signs and sends a batch; whether it is in a block, `follow` finds out.
    pub async fn send(&mut self, batch: &Batch) -> Result<B256> {
        let (raw, hash) = self.trader.sign_at(self.nonces.take(), EXCHANGE, U256::ZERO, gas_of(batch), batch.calldata());
        self.sent = self.block;
        for answer in self.rpc.send_raw(&[raw]).await? {
            answer.context("the pool refused the batch")?;
        }
        Ok(hash)
    }

    /// Brings the free balances up to `base_atoms` and `quote_atoms` by minting demo tokens and depositing them.
    pub async fn fund(&mut self, base_atoms: u128, quote_atoms: u128) -> Result<()> {
        let (base, quote) = (self.own.book().market().base, self.own.book().market().quote);
        for (token, wanted) in [(base, base_atoms), (quote, quote_atoms)] {
            let free = free_atoms(&self.rpc, self.block, self.own.account(), token).await?;
            if free < wanted {
                let at = self.token(token).await?;
                self.trader.nonce = self.nonces.next();
                let raws = funding(&mut self.trader, at, wanted - free);
                send_and_wait(&self.rpc, &raws).await.context("minting and depositing demo tokens")?;
                self.nonces = Nonces::new(self.trader.nonce);
            }
        }
        Ok(())
    }

    /// What may be used for orders now: base and quote atoms, after the last block followed.
    pub async fn free_atoms(&self) -> Result<[u128; 2]> {
        let (base, quote) = (self.own.book().market().base, self.own.book().market().quote);
        let of = |token| free_atoms(&self.rpc, self.block, self.own.account(), token);
        Ok([of(base).await?, of(quote).await?])
    }

    async fn token(&self, token: TokenId) -> Result<Address> {
        let words = load(&self.rpc, self.block, &[Base::Tokens.slot(U256::from(token.0))]).await?;
        Ok(Address::from_slice(&words[0][12..]))
    }
}

/// Gas limit of a requote: enough for 64 places on new levels. Takes need more the more they meet.
pub fn gas_of(batch: &Batch) -> u64 {
    GAS_BATCH + batch.words() as u64 * GAS_WORD
}

/// Waits until nothing of ours is in the pool; returns the next nonce.
async fn settle(rpc: &Rpc, who: Address) -> Result<u64> {
    let deadline = Instant::now() + POOL;
    loop {
        let (pending, head) = (rpc.nonce(who).await?, rpc.block_number().await?);
        if rpc.nonce_at(head, who).await? == pending {
            return Ok(pending);
        }
        if Instant::now() > deadline {
            bail!("transactions of {who} wait in the pool and come into no block");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Orders of the account placed in the newest blocks.
async fn past_orders(rpc: &Rpc, block: u64, account: AccountId) -> Result<Vec<OrderId>> {
    let of = B256::from(U256::from(account.0));
    let topics = [Some(IExchange::Placed::SIGNATURE_HASH), None, Some(of)];
    let logs = rpc.logs_of((block + 1).saturating_sub(PAST_BLOCKS), block, EXCHANGE, &topics).await?;
    let ids = logs.iter().filter_map(|log| u128::try_from(U256::from_be_bytes(log.topics[1].0)).ok().and_then(OrderId::unpacked));
    Ok(ids.collect())
}

/// Words of the exchange after a block.
async fn load(rpc: &Rpc, block: u64, slots: &[B256]) -> Result<Vec<B256>> {
    let mut words = Vec::with_capacity(slots.len());
    for slots in slots.chunks(SLOTS) {
        let answer = rpc.view_at(block, EXCHANGE, &IExchange::loadCall { slots: slots.to_vec() }.abi_encode()).await?;
        words.extend(IExchange::loadCall::abi_decode_returns(&answer).context("the exchange's words")?);
    }
    Ok(words)
}

async fn free_atoms(rpc: &Rpc, block: u64, account: AccountId, token: TokenId) -> Result<u128> {
    let words = load(rpc, block, &[Base::Balance.slot(keys::balance(account, token))]).await?;
    Ok(u128::from_be_bytes(words[0][16..].try_into().expect("16 bytes")))
}
