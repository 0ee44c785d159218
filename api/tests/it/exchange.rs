//! A live exchange in memory: `orderbook::Engine` driven by seeded traders, its events encoded to logs in blocks, projected by the real
//! `indexer` state into the real feed. No node, no Postgres.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use indexer::feed::Feed;
use indexer::project::State;
use indexer::source::{Block, Cursor, Log, Tx};
use orderbook::abi::{calldata, encode_log};
use orderbook::{AccountId, Command, Engine, Event, Lots, MarketId, Mode, OrderId, Side, Ticks, TimeInForce};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::sync::Arc;

pub const EXCHANGE: Address = Address::repeat_byte(0x4f);
const OWNER: Address = Address::repeat_byte(0xaa);
const USDC: Address = Address::repeat_byte(0x10);
const TRADERS: usize = 8;
/// A minute's first millisecond.
pub const START_MS: u64 = 1_795_361_880_000;

/// Base token, decimals, name, base atoms per lot, quote atoms per lot and tick, first price in ticks.
type Listed = (Address, u8, &'static str, u64, u64, u32);
pub const LISTED: [Listed; 4] = [
    (Address::repeat_byte(0x11), 18, "ETH", 100_000_000_000_000, 1, 300_000),
    (Address::repeat_byte(0x12), 8, "BTC", 1_000, 1, 950_000),
    (Address::repeat_byte(0x13), 18, "MON", 1_000_000_000_000_000_000, 100, 34_000),
    (Address::repeat_byte(0x14), 9, "SOL", 1_000_000, 10, 14_500),
];

/// The seed of this run: `HIFI_SEED`, or `default`.
pub fn seed(default: u64) -> u64 {
    let seed = std::env::var("HIFI_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(default);
    eprintln!("HIFI_SEED={seed}");
    seed
}

pub struct Exchange {
    pub engine: Engine,
    pub feed: Feed,
    /// All blocks made.
    pub blocks: Vec<Arc<Block>>,
    pub rng: StdRng,
    pub head: Cursor,
    pub time_ms: u64,
    nonce: u64,
    middle: [u32; 4],
    /// Ids that were placed, dead ones among them; newest last.
    orders: Vec<(Address, OrderId)>,
}

impl Exchange {
    /// Four markets and funded traders in block 1.
    pub fn new(seed: u64, time_ms: u64) -> Exchange {
        let mut exchange = Exchange::empty(seed, time_ms, 10_000);
        let mut commands: Vec<_> = (0..LISTED.len()).map(|at| (OWNER, list(at))).collect();
        for trader in 0..TRADERS {
            for token in LISTED.iter().map(|row| row.0).chain([USDC]) {
                let atoms = U256::from(10).pow(U256::from(if token == USDC { 15 } else { 26 }));
                commands.push((owner(trader), Command::Deposit { account: AccountId(0), token, atoms, settle: Vec::new() }));
            }
        }
        exchange.block(commands, 100);
        exchange
    }

    /// No market yet; the feed holds `ring` blocks.
    pub fn empty(seed: u64, time_ms: u64, ring: usize) -> Exchange {
        let mut engine = Engine::new(OWNER);
        engine.deploy_token(USDC, 6);
        for row in LISTED {
            engine.deploy_token(row.0, row.1);
        }
        let head = Cursor { block: 0, hash: B256::repeat_byte(0x77) };
        let names = LISTED.iter().map(|row| (row.0, row.2.to_owned())).chain([(USDC, "USDC".to_owned())]).collect();
        let feed = Feed::new(State::new(EXCHANGE, head), 0, ring, 512 << 20, names);
        let middle = [LISTED[0].5, LISTED[1].5, LISTED[2].5, LISTED[3].5];
        Exchange { engine, feed, blocks: Vec::new(), rng: StdRng::seed_from_u64(seed), head, time_ms, nonce: 0, middle, orders: Vec::new() }
    }

    /// Random blocks, up to `txs` transactions each; some are empty, some come late.
    pub fn trade(&mut self, blocks: usize, txs: usize) {
        for _ in 0..blocks {
            let txs = if self.rng.random_ratio(1, 12) { 0 } else { txs };
            let step_ms = if self.rng.random_ratio(1, 40) { self.rng.random_range(1_000..90_000) } else { 100 };
            self.step(txs, step_ms);
        }
    }

    /// One random block.
    pub fn step(&mut self, txs: usize, step_ms: u64) {
        let count = if txs == 0 { 0 } else { self.rng.random_range(1..=txs) };
        let commands = (0..count).map(|_| self.command()).collect();
        self.block(commands, step_ms);
    }

    fn command(&mut self) -> (Address, Command) {
        let caller = owner(self.rng.random_range(0..TRADERS));
        let account = AccountId(0);
        let some =
            |rng: &mut StdRng, orders: &[(Address, OrderId)]| orders[rng.random_range(orders.len().saturating_sub(200)..orders.len())];
        let command = match self.rng.random_range(0..100) {
            55..80 if !self.orders.is_empty() => {
                let (owner, order) = some(&mut self.rng, &self.orders);
                return (owner, Command::Cancel { account, order });
            }
            80..85 if !self.orders.is_empty() => {
                let (owner, order) = some(&mut self.rng, &self.orders);
                return (owner, Command::Reduce { account, order, left: Lots(self.rng.random_range(0..500)) });
            }
            85..92 if !self.orders.is_empty() => Command::Claim { orders: (0..4).map(|_| some(&mut self.rng, &self.orders).1).collect() },
            _ => self.random_place(),
        };
        (caller, command)
    }

    fn random_place(&mut self) -> Command {
        let at = self.rng.random_range(0..LISTED.len());
        self.middle[at] = (self.middle[at] as i64 + self.rng.random_range(-3..=3)).max(1_000) as u32;
        let side = if self.rng.random() { Side::Bid } else { Side::Ask };
        let tif = [TimeInForce::Gtc, TimeInForce::Gtc, TimeInForce::Gtc, TimeInForce::PostOnly, TimeInForce::Ioc];
        let tif = tif[self.rng.random_range(0..tif.len())];
        // Mostly away from the middle, sometimes across it.
        let away = self.rng.random_range(-6..30_i64);
        let ticks = match side {
            Side::Bid => self.middle[at] as i64 - away,
            Side::Ask => self.middle[at] as i64 + away,
        };
        place(MarketId(at as u32 + 1), side, tif, ticks as u32, self.rng.random_range(1..5_000))
    }

    /// Executes commands as one block's transactions, `step_ms` after the block before, and shows it in the feed.
    pub fn block(&mut self, commands: Vec<(Address, Command)>, step_ms: u64) -> Arc<indexer::Update> {
        let number = self.head.block + 1;
        self.time_ms += step_ms;
        let (mut txs, mut index) = (Vec::new(), 0);
        for (caller, command) in commands {
            let events = self.engine.apply(caller, &command, self.time_ms / 1_000);
            let ok = events.is_ok();
            let mut logs = Vec::new();
            for event in events.unwrap_or_default() {
                if let Event::Placed { order, .. } = event {
                    self.orders.push((caller, order));
                }
                let (topics, data) = encode_log(&event);
                logs.push(Log { index, address: EXCHANGE, topics, data: Bytes::from(data) });
                index += 1;
            }
            self.nonce += 1;
            let hash = keccak256([&self.nonce.to_be_bytes()[..], &calldata(&command)].concat());
            txs.push(Tx { hash, sender: caller, to: Some(EXCHANGE), nonce: self.nonce, ok, gas_used: 50_000, logs });
        }
        let hash = keccak256([&number.to_be_bytes()[..], self.head.hash.as_slice()].concat());
        let gas_used = 50_000 * txs.len() as u64;
        let block = Block { number, hash, parent: self.head.hash, time_ms: self.time_ms, base_fee: 100, gas_used, txs };
        self.head = Cursor { block: number, hash };
        let block = Arc::new(block);
        self.blocks.push(block.clone());
        self.feed.apply(&block).expect("the engine's blocks follow each other")
    }
}

/// The command that creates market `at` + 1.
pub fn list(at: usize) -> Command {
    let (base, _, _, base_atoms_per_lot, quote_atoms_per_lot_tick, _) = LISTED[at];
    Command::CreateMarket {
        base,
        quote: USDC,
        quote_atoms_per_lot_tick,
        base_atoms_per_lot,
        lots_min: 1,
        taker_fee_ppm: 500,
        maker_fee_ppm: 0,
        min_ttl_s: 0,
        status: 1,
    }
}

pub fn place(market: MarketId, side: Side, tif: TimeInForce, ticks: u32, lots: u64) -> Command {
    let mode = Mode::new(side, tif);
    Command::Place { account: AccountId(0), market, mode, ticks: Ticks(ticks), lots: Lots(lots), expiry_s: 0, client: 17, steps_max: 0 }
}

pub fn owner(trader: usize) -> Address {
    Address::repeat_byte(0x20 + trader as u8)
}

/// The role that may create markets.
pub fn exchange_owner() -> Address {
    OWNER
}
