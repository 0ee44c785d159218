//! The four markets of `hifi up`, created by transactions on the first start.

use crate::client::Rpc;
use crate::genesis::{self, TOKENS};
use crate::sender::send_and_wait;
use alloy_primitives::{Address, Bytes, U256};
use anyhow::{Context, Result};
use orderbook::{Command, MarketId, abi};

/// A market to be: base and quote by token name, units, and the price its demo traders start from.
#[derive(Clone, Copy, Debug)]
pub struct Listing {
    pub base: &'static str,
    pub quote: &'static str,
    pub base_atoms_per_lot: u64,
    pub quote_atoms_per_lot_tick: u64,
    /// Where the demo's price starts, ticks.
    pub start_ticks: u32,
    /// Typical order of the demo, lots.
    pub typical_lots: u64,
}

/// One quote atom (1e-6 USDC) per lot and tick in each: a tick is 0.01, 0.1, 0.00001, 0.01 USDC.
pub const LISTINGS: [Listing; 4] = [
    Listing {
        base: "ETH",
        quote: "USDC",
        base_atoms_per_lot: 100_000_000_000_000,
        quote_atoms_per_lot_tick: 1,
        start_ticks: 300_000,
        typical_lots: 12_000,
    },
    Listing {
        base: "BTC",
        quote: "USDC",
        base_atoms_per_lot: 1_000,
        quote_atoms_per_lot_tick: 1,
        start_ticks: 950_000,
        typical_lots: 9_000,
    },
    Listing {
        base: "MON",
        quote: "USDC",
        base_atoms_per_lot: 100_000_000_000_000_000,
        quote_atoms_per_lot_tick: 1,
        start_ticks: 35_000,
        typical_lots: 60_000,
    },
    Listing {
        base: "SOL",
        quote: "USDC",
        base_atoms_per_lot: 100_000,
        quote_atoms_per_lot_tick: 1,
        start_ticks: 18_000,
        typical_lots: 150_000,
    },
];

/// Taker fee of the demo markets, ppm.
const TAKER_FEE_PPM: u16 = 300;

impl Listing {
    pub fn base_token(&self) -> Address {
        address_of(self.base)
    }

    pub fn quote_token(&self) -> Address {
        address_of(self.quote)
    }

    pub fn command(&self) -> Command {
        Command::CreateMarket {
            base: self.base_token(),
            quote: self.quote_token(),
            quote_atoms_per_lot_tick: self.quote_atoms_per_lot_tick,
            base_atoms_per_lot: self.base_atoms_per_lot,
            lots_min: 1,
            taker_fee_ppm: TAKER_FEE_PPM,
            maker_fee_ppm: 0,
            min_ttl_s: 0,
            status: 1,
        }
    }
}

/// The demo token called `name`. Panics on a name the genesis does not have.
pub fn address_of(name: &str) -> Address {
    TOKENS.iter().find(|token| token.name == name).expect("listings name tokens of the genesis").at
}

/// Creates the listings beyond the `known` markets that exist and returns the id of each. On a fresh chain they are 1 ..= 4.
pub async fn ensure(rpc: &Rpc, chain_id: u64, known: usize) -> Result<Vec<MarketId>> {
    if known >= LISTINGS.len() {
        return Ok((1..=LISTINGS.len() as u32).map(MarketId).collect());
    }
    let mut creator = genesis::dev_trader(genesis::DEMO_FIRST_KEY, chain_id);
    creator.nonce = rpc.nonce(creator.address).await?;
    let raws: Vec<Bytes> = LISTINGS[known..]
        .iter()
        .map(|listing| creator.sign(genesis::EXCHANGE, U256::ZERO, 1_000_000, abi::calldata(&listing.command())).0)
        .collect();
    send_and_wait(rpc, &raws).await.context("creating the markets")?;
    Ok((1..=LISTINGS.len() as u32).map(MarketId).collect())
}
