//! The bench's order flow: a seeded mix over several markets, rehearsed on the reference engine so that every order id is known
//! before the first transaction is sent. Pure but for the signing, which is counted apart.

use crate::genesis::{self, EXCHANGE};
use crate::markets::LISTINGS;
use crate::trader::Trader;
use alloy_primitives::{B256, Bytes, U256};
use anyhow::{Context, Result};
use orderbook::{AccountId, Command, Engine, Event, Lots, MarketId, Mode, OrderId, Side, Ticks, TimeInForce, abi};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;

/// What the mix is made of, in percent; the rest takes.
pub const PLACE_PERCENT: u32 = 50;
pub const CANCEL_PERCENT: u32 = 45;

/// Gas limit of every order.
const GAS_LIMIT: u64 = 500_000;
/// Places stand this many ticks from the middle at most; takers cross this far.
const DISTANCE_TICKS: u32 = 60;
const MIDDLE_TICKS: u32 = 300_000;
const DEPOSIT_ATOMS: u128 = 1 << 95;

/// A signed transaction, ready to be sent.
pub struct Signed {
    pub raw: Bytes,
    pub hash: B256,
}

/// A workload before signing: who sends which calldata, in order.
pub struct Workload {
    calls: Vec<(usize, u64, Vec<u8>)>,
}

/// The accounts' set-up: approvals and deposits of both tokens.
pub fn funding(traders: &mut [Trader]) -> Vec<Bytes> {
    let (base, quote) = (LISTINGS[0].base_token(), LISTINGS[0].quote_token());
    let mut raws = Vec::with_capacity(traders.len() * 6);
    for trader in traders {
        raws.extend(crate::sender::funding(trader, base, DEPOSIT_ATOMS));
        raws.extend(crate::sender::funding(trader, quote, DEPOSIT_ATOMS));
    }
    raws
}

/// The transactions that create the markets, by one trader.
pub fn market_creation(creator: &mut Trader, markets: usize) -> Vec<Bytes> {
    (0..markets).map(|_| creator.sign(EXCHANGE, U256::ZERO, 1_000_000, abi::calldata(&LISTINGS[0].command())).0).collect()
}

impl Workload {
    /// Rehearses `count` operations of `traders` (with the nonces they have now) over `markets` new markets, `seed` deciding all.
    pub fn rehearse(seed: u64, count: usize, markets: usize, traders: &[Trader]) -> Result<Workload> {
        let mut rehearsal = Rehearsal::new(seed, markets, traders)?;
        let mut calls = Vec::with_capacity(count);
        let mut nonces: Vec<u64> = traders.iter().map(|t| t.nonce).collect();
        while calls.len() < count {
            let (trader, command) = rehearsal.operation()?;
            calls.push((trader, nonces[trader], abi::calldata(&command)));
            nonces[trader] += 1;
        }
        Ok(Workload { calls })
    }

    /// Signs all, on all cores.
    pub fn sign(self, traders: &[Trader]) -> Vec<Signed> {
        self.calls
            .into_par_iter()
            .map(|(trader, nonce, input)| {
                let (raw, hash) = traders[trader].sign_at(nonce, EXCHANGE, U256::ZERO, GAS_LIMIT, input);
                Signed { raw, hash }
            })
            .collect()
    }
}

/// The engine with the traders' deposits in it, and every live order with its owner.
struct Rehearsal<'a> {
    random: StdRng,
    engine: Engine,
    markets: Vec<MarketId>,
    traders: &'a [Trader],
    live: Vec<(OrderId, usize)>,
}

impl Rehearsal<'_> {
    fn new(seed: u64, markets: usize, traders: &[Trader]) -> Result<Rehearsal<'_>> {
        let owner = genesis::owner();
        let mut engine = genesis::engine();
        let mut ids = Vec::with_capacity(markets);
        for _ in 0..markets {
            let events = engine.apply(owner, &LISTINGS[0].command(), 0)?;
            let id = events.iter().find_map(|e| if let Event::MarketCreated { market, .. } = e { Some(*market) } else { None });
            ids.push(id.context("a market is created")?);
        }
        for trader in traders {
            for token in [LISTINGS[0].base_token(), LISTINGS[0].quote_token()] {
                let atoms = U256::from(DEPOSIT_ATOMS);
                engine.apply(trader.address, &Command::Deposit { account: AccountId(0), token, atoms, settle: Vec::new() }, 0)?;
            }
        }
        Ok(Rehearsal { random: StdRng::seed_from_u64(seed), engine, markets: ids, traders, live: Vec::new() })
    }

    fn operation(&mut self) -> Result<(usize, Command)> {
        let die = self.random.random_range(0..100);
        if (PLACE_PERCENT..PLACE_PERCENT + CANCEL_PERCENT).contains(&die) && !self.live.is_empty() {
            let at = self.random.random_range(0..self.live.len());
            let (order, trader) = self.live.swap_remove(at);
            let command = Command::Cancel { account: AccountId(0), order };
            self.engine.apply(self.traders[trader].address, &command, 0)?;
            return Ok((trader, command));
        }
        let takes = die >= PLACE_PERCENT + CANCEL_PERCENT;
        let side = if self.random.random_bool(0.5) { Side::Bid } else { Side::Ask };
        let distance = self.random.random_range(1..=DISTANCE_TICKS);
        let ticks = match (side, takes) {
            (Side::Bid, false) | (Side::Ask, true) => MIDDLE_TICKS - distance,
            (Side::Ask, false) | (Side::Bid, true) => MIDDLE_TICKS + distance,
        };
        let command = Command::Place {
            account: AccountId(0),
            market: self.markets[self.random.random_range(0..self.markets.len())],
            mode: Mode::new(side, if takes { TimeInForce::Ioc } else { TimeInForce::PostOnly }),
            ticks: Ticks(ticks),
            lots: Lots(self.random.random_range(10..1_000)),
            expiry_s: 0,
            client: 0,
            steps_max: 0,
        };
        let trader = self.random.random_range(0..self.traders.len());
        for event in self.engine.apply(self.traders[trader].address, &command, 0)? {
            if let Event::Placed { order, .. } = event {
                self.live.push((order, trader));
            }
        }
        Ok((trader, command))
    }
}
