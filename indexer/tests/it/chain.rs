//! A chain for tests: an `orderbook::Engine` driven by seeded random commands, its events encoded to logs in blocks, and a source over
//! them that grows on demand. Nothing of the indexer is used to make it.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use indexer::{
    Block, Cursor, Source, SourceError,
    source::{Log, Tx},
};
use orderbook::{
    AccountId, Command, Engine, Event, Lots, MarketId, Mode, Operation, OrderId, Side, Ticks, TimeInForce, TokenId,
    abi::{calldata, encode_log},
    operation,
};
use parking_lot::RwLock;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::watch;

pub const EXCHANGE: Address = Address::repeat_byte(0x4f);
pub const CHAIN_ID: u64 = 4434;
const OWNER: Address = Address::repeat_byte(0xaa);
const TOKENS: [(Address, u8); 3] = [(Address::repeat_byte(0x10), 6), (Address::repeat_byte(0x11), 18), (Address::repeat_byte(0x12), 8)];
const TRADERS: usize = 8;
const START_MS: u64 = 1_795_361_880_000;

pub fn genesis() -> Cursor {
    Cursor { block: 0, hash: B256::repeat_byte(0x77) }
}

/// The seed of this run: `HIFI_SEED`, or `default`.
pub fn seed(default: u64) -> u64 {
    let seed = std::env::var("HIFI_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(default);
    eprintln!("HIFI_SEED={seed}");
    seed
}

/// Makes blocks.
pub struct Workload {
    pub engine: Engine,
    rng: StdRng,
    head: Cursor,
    time_ms: u64,
    nonce: u64,
    /// Ids that were placed, dead ones among them.
    orders: Vec<(Address, OrderId)>,
}

impl Workload {
    pub fn new(seed: u64) -> Workload {
        let mut engine = Engine::new(OWNER);
        for (at, decimals) in TOKENS {
            engine.deploy_token(at, decimals);
        }
        Workload { engine, rng: StdRng::seed_from_u64(seed), head: genesis(), time_ms: START_MS, nonce: 0, orders: Vec::new() }
    }

    /// Block 1: two markets with different fees, funded traders.
    pub fn first(&mut self) -> Arc<Block> {
        let market = |base: Address, taker_fee_ppm, maker_fee_ppm| Command::CreateMarket {
            base,
            quote: TOKENS[0].0,
            quote_atoms_per_lot_tick: 37,
            base_atoms_per_lot: 1_000,
            lots_min: 1,
            taker_fee_ppm,
            maker_fee_ppm,
            min_ttl_s: 0,
            status: 1,
        };
        let mut commands = vec![
            (OWNER, market(TOKENS[1].0, 500, 100)),
            (OWNER, market(TOKENS[2].0, 300, -200)),
            (OWNER, Command::SetRole { role: 2, who: OWNER }),
        ];
        for trader in 0..TRADERS {
            for (token, _) in TOKENS {
                let atoms = U256::from(1_000_000_000_000_u64);
                commands.push((owner(trader), Command::Deposit { account: AccountId(0), token, atoms, settle: Vec::new() }));
            }
        }
        self.block(commands)
    }

    /// A block of random commands; some fail, some blocks are empty.
    pub fn random(&mut self) -> Arc<Block> {
        let txs = if self.rng.random_ratio(1, 10) { 0 } else { self.rng.random_range(1..20) };
        self.sized(txs)
    }

    /// A block of exactly `txs` random commands.
    pub fn sized(&mut self, txs: usize) -> Arc<Block> {
        let commands = (0..txs).map(|_| self.command()).collect();
        self.block(commands)
    }

    /// `count` blocks from the beginning of the chain.
    pub fn blocks(&mut self, count: usize) -> Vec<Arc<Block>> {
        let mut blocks = vec![self.first()];
        blocks.extend((1..count).map(|_| self.random()));
        blocks
    }

    fn command(&mut self) -> (Address, Command) {
        let caller = owner(self.rng.random_range(0..TRADERS));
        let account = AccountId(0);
        let command = match self.rng.random_range(0..130) {
            100..118 => Command::Execute { account, ops: operation::encode(self.rng.random_ratio(9, 10), &self.operations()).into() },
            118..121 => {
                let accounts = self.some_accounts();
                Command::SweepFees { token: TokenId(self.rng.random_range(2..5)), accounts }
            }
            121..125 => self.swap(),
            125 => {
                let account = self.some_accounts()[0];
                return (OWNER, Command::SetTier { account, tier: self.rng.random_range(0..16) });
            }
            126..128 if !self.orders.is_empty() => {
                Command::Prune { level: self.some_order().1.level, steps_max: self.rng.random_range(0..4) }
            }
            128 => Command::ApproveAgent {
                account,
                agent: owner(self.rng.random_range(0..TRADERS)),
                expiry_s: u64::from(u32::MAX),
                perms: 15,
                cap_atoms: 0,
                markets: [MarketId(0); 3],
            },
            129 => Command::CancelNonces { account, word: 0, mask: U256::from(1) },
            0..62 => self.place(),
            62..78 if !self.orders.is_empty() => {
                let (owner, order) = self.some_order();
                return (owner, Command::Cancel { account, order });
            }
            78..84 if !self.orders.is_empty() => {
                let (owner, order) = self.some_order();
                return (owner, Command::Reduce { account, order, left: Lots(self.rng.random_range(0..20)) });
            }
            84..92 if !self.orders.is_empty() => Command::Claim { orders: (0..4).map(|_| self.some_order().1).collect() },
            92..96 if !self.orders.is_empty() => Command::Withdraw {
                account,
                token: TOKENS[self.rng.random_range(0..3)].0,
                atoms: U256::from(self.rng.random_range(1..100_000_u64)),
                to: caller,
                settle: vec![self.some_order().1],
            },
            _ => Command::Deposit {
                account,
                token: TOKENS[self.rng.random_range(0..3)].0,
                atoms: U256::from(self.rng.random_range(1..100_000_000_u64)),
                settle: Vec::new(),
            },
        };
        (caller, command)
    }

    fn place(&mut self) -> Command {
        let (market, mode, ticks, lots, expiry_s) = self.order();
        let (client, steps_max) = (self.rng.random_range(0..5), self.rng.random_range(0..6));
        Command::Place { account: AccountId(0), market, mode, ticks, lots, expiry_s, client, steps_max }
    }

    /// A market, a mode (some with a self-trade mode), a price, a size, now and then an expiry soon.
    fn order(&mut self) -> (MarketId, Mode, Ticks, Lots, u32) {
        use TimeInForce::{Fok, Gtc, Ioc, PostOnly, Slide};
        let tif = [Gtc, Gtc, PostOnly, Slide, Ioc, Fok];
        let side = if self.rng.random() { Side::Bid } else { Side::Ask };
        let mode = Mode::new(side, tif[self.rng.random_range(0..tif.len())]);
        let stp = if self.rng.random_ratio(1, 3) { self.rng.random_range(0..5_u8) << 4 } else { 0 };
        let expiry_s = if self.rng.random_ratio(1, 6) { (self.time_ms / 1000) as u32 + self.rng.random_range(1..30) } else { 0 };
        (
            MarketId(self.rng.random_range(1..3)),
            Mode(mode.0 | stp),
            Ticks(self.rng.random_range(990..1_010)),
            Lots(self.rng.random_range(1..60)),
            expiry_s,
        )
    }

    /// A batch of anything; what is of others, gone or out of bounds is rejected.
    fn operations(&mut self) -> Vec<Operation> {
        (0..self.rng.random_range(1..7)).map(|_| self.operation()).collect()
    }

    fn operation(&mut self) -> Operation {
        let (market, mode, ticks, lots, expiry_s) = self.order();
        let (client, steps_max) = (self.rng.random_range(0..5), 0);
        let order = if self.orders.is_empty() { None } else { Some(self.some_order().1) };
        match (self.rng.random_range(0..10), order) {
            (0, Some(order)) => Operation::Cancel { order },
            (1, Some(order)) => Operation::Reduce { order, left: lots },
            (2, Some(order)) => Operation::Claim { order },
            (3, Some(order)) => Operation::Replace { order, mode, ticks, lots, expiry_s, client, steps_max },
            (4, _) => {
                let lots = (0..self.rng.random_range(0..5)).map(|_| Lots(self.rng.random_range(0..30))).collect();
                let mode = Mode::new(mode.side(), TimeInForce::PostOnly);
                Operation::Ladder { market, mode, ticks, step: self.rng.random_range(-2..3), expiry_s, client, lots }
            }
            (5, _) => Operation::CancelUpTo { market, side: mode.side(), ticks, steps_max: 4 },
            (6, _) => Operation::Schedule { at_s: if self.rng.random_ratio(3, 4) { 0 } else { self.time_ms / 1000 + 20 } },
            (7, _) => Operation::Take {
                market,
                mode: Mode::new(mode.side(), TimeInForce::Ioc),
                limit: ticks,
                lots_max: lots,
                in_max_atoms: u128::MAX,
                out_min_atoms: 0,
                deadline_s: 0,
                client,
                steps_max,
            },
            _ => Operation::Place { market, mode, ticks, lots, expiry_s, client, steps_max },
        }
    }

    /// From the quote token to a base token or back, through one market or two.
    fn swap(&mut self) -> Command {
        let first = self.rng.random_range(1..3_u32);
        let (token_in, markets) = match self.rng.random_range(0..3) {
            0 => (TOKENS[0].0, vec![MarketId(first)]),
            1 => (TOKENS[first as usize].0, vec![MarketId(first)]),
            _ => (TOKENS[first as usize].0, vec![MarketId(first), MarketId(3 - first)]),
        };
        Command::SwapExactIn {
            token_in,
            atoms: U256::from(self.rng.random_range(1..2_000_000_u64)),
            markets,
            out_min: U256::ZERO,
            to: owner(0),
            deadline_s: u64::from(u32::MAX),
            steps_max: 0,
        }
    }

    /// Traders' accounts and those of the markets' swaps.
    fn some_accounts(&mut self) -> Vec<AccountId> {
        let of = |trader: u32| AccountId::numbered(owner(trader as usize), 0);
        (0..4)
            .map(|_| self.rng.random_range(0..TRADERS as u32))
            .map(of)
            .chain([AccountId((1 << 31) + 1), AccountId((1 << 31) + 2)])
            .collect()
    }

    fn some_order(&mut self) -> (Address, OrderId) {
        let recent = self.orders.len().saturating_sub(60);
        self.orders[self.rng.random_range(recent..self.orders.len())]
    }

    /// Executes commands as one block's transactions.
    pub fn block(&mut self, commands: Vec<(Address, Command)>) -> Arc<Block> {
        let number = self.head.block + 1;
        self.time_ms += self.rng.random_range(50..3_000);
        let (mut txs, mut log) = (Vec::new(), 0);
        for (caller, command) in commands {
            let events = self.engine.apply(caller, &command, self.time_ms / 1000);
            let ok = events.is_ok();
            let mut logs = Vec::new();
            for event in events.unwrap_or_default() {
                if let Event::Placed { order, .. } = event {
                    self.orders.push((caller, order));
                }
                logs.push(exchange_log(log, &event));
                log += 1;
            }
            if ok && self.rng.random_ratio(1, 4) {
                // A foreign contract's log, with a topic of nobody's.
                logs.push(Log { index: log, address: Address::repeat_byte(9), topics: vec![B256::repeat_byte(1)], data: Bytes::new() });
                log += 1;
            }
            self.nonce += 1;
            let hash = keccak256([&self.nonce.to_be_bytes()[..], &calldata(&command)].concat());
            txs.push(Tx { hash, sender: caller, to: Some(EXCHANGE), nonce: self.nonce, ok, gas_used: 50_000, logs });
        }
        let hash = keccak256([&number.to_be_bytes()[..], self.head.hash.as_slice()].concat());
        let block =
            Block { number, hash, parent: self.head.hash, time_ms: self.time_ms, base_fee: 7, gas_used: 50_000 * txs.len() as u64, txs };
        self.head = Cursor { block: number, hash };
        Arc::new(block)
    }
}

pub fn exchange_log(index: u32, event: &Event) -> Log {
    let (topics, data) = encode_log(event);
    Log { index, address: EXCHANGE, topics, data: data.into() }
}

fn owner(trader: usize) -> Address {
    Address::repeat_byte(0x20 + trader as u8)
}

/// A growing chain; every clone reads at its own pace.
#[derive(Clone)]
pub struct Chain {
    blocks: Arc<RwLock<Vec<Arc<Block>>>>,
    head: Arc<watch::Sender<u64>>,
    pub released: Arc<AtomicU64>,
}

impl Chain {
    pub fn new(blocks: impl IntoIterator<Item = Arc<Block>>) -> Chain {
        let chain = Chain { blocks: Arc::default(), head: Arc::new(watch::Sender::new(0)), released: Arc::default() };
        blocks.into_iter().for_each(|block| chain.push(block));
        chain
    }

    /// Publishes a block as it is, also one that does not follow.
    pub fn push(&self, block: Arc<Block>) {
        let mut blocks = self.blocks.write();
        blocks.push(block);
        self.head.send_replace(blocks.len() as u64);
    }

    pub fn len(&self) -> u64 {
        *self.head.borrow()
    }
}

impl Source for Chain {
    async fn head(&mut self) -> Result<Cursor, SourceError> {
        let blocks = self.blocks.read();
        Ok(blocks.last().map_or(genesis(), |block| Cursor { block: block.number, hash: block.hash }))
    }

    async fn next(&mut self, after: Cursor, _max_bytes: usize) -> Result<Vec<Arc<Block>>, SourceError> {
        let mut head = self.head.subscribe();
        loop {
            if *head.borrow_and_update() > after.block {
                let blocks = self.blocks.read();
                let known = after.block.checked_sub(1).map_or(genesis().hash, |place| blocks[place as usize].hash);
                if known != after.hash {
                    return Err(SourceError::Unknown { at: after });
                }
                return Ok(blocks[after.block as usize..].iter().take(16).cloned().collect());
            }
            head.changed().await.expect("the chain lives as long as its sources");
        }
    }

    fn release(&mut self, upto: Cursor) {
        self.released.fetch_max(upto.block, Ordering::Relaxed);
    }
}
