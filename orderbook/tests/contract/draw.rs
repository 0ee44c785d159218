//! Random but plausible commands of every kind, drawn beside the engine: a few traders, their agents and a wallet contract, seven markets with
//! different fees, units and least lives, a clock that moves, prices that cross often, every field at its edges, every way to be refused.
//! Called by contract = engine alone; what was drawn depends on the seed and on what the engine did with it.

use crate::evm::{CHAIN_ID, EXCHANGE};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use orderbook::{
    AccountId, Command, Engine, Event, LevelKey, Lots, MarketId, MarketStatus, Mode, Operation, OrderId, Side, Ticks, TokenId, operation,
    scenario, signed,
};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use secp256k1::{Message, SECP256K1, SecretKey};

/// Price in the middle of the action: a border of leaf, branch and root words of the bitmap.
const MIDDLE: u32 = 65_536;
/// Traders with an account from the start.
const TRADERS: usize = 6;
/// Keys that traders make their agents.
const SESSIONS: usize = 4;
/// Orders remembered as targets.
const TARGETS: usize = 200;
/// Where signatures are valid.
pub const DOMAIN: signed::Domain = signed::Domain { chain_id: CHAIN_ID, exchange: EXCHANGE };
/// Token contracts there are; the last is listed by nobody at first.
pub const TOKENS: [&str; 6] = ["ETH", "USDC", "BTC", "GEM", "ORE", "MON"];
/// Markets that are never halted: 1 to 6; after them one that is, again and again.
const LASTING: u32 = 6;
/// Prices of market 4 are the least there are, those of market 5 the highest.
const LOW: u32 = 4;
const HIGH: u32 = 5;
/// The units of market 6 are the largest there are: its sums leave 128 bits.
const DEAR: u32 = 6;

/// A number from the environment, or `default`.
pub fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.replace('_', "").parse().ok()).unwrap_or(default)
}

/// Somebody who signs.
#[derive(Clone, Copy)]
pub struct Signer {
    key: SecretKey,
    /// Whose signature it is: the key's address, or a wallet contract that obeys the key.
    pub at: Address,
}

impl Signer {
    fn new(name: &str) -> Signer {
        let key = SecretKey::from_byte_array(keccak256(name).0).expect("a hash is a key");
        Signer { key, at: address_of(&key) }
    }

    fn sign(&self, hash: B256) -> Vec<u8> {
        let (id, compact) = SECP256K1.sign_ecdsa_recoverable(Message::from_digest(hash.0), &self.key).serialize_compact();
        [&compact[..], &[27 + i32::from(id) as u8]].concat()
    }
}

fn address_of(key: &SecretKey) -> Address {
    Address::from_slice(&keccak256(&key.public_key(SECP256K1).serialize_uncompressed()[1..])[12..])
}

pub struct Draw {
    rng: StdRng,
    pub now_s: u64,
    pub traders: Vec<Signer>,
    sessions: Vec<Signer>,
    /// A contract and the key it obeys.
    pub wallet: Signer,
    targets: Vec<(OrderId, AccountId)>,
    grants: Vec<(AccountId, Address)>,
    /// Owner, guardian, fee manager.
    roles: [Address; 3],
    /// Dead-man switches set, with their second.
    armed: Vec<(AccountId, u64)>,
    /// Signed commands sent before: sent again they must fail.
    sent: Vec<Command>,
    markets: u32,
    /// The market that will be halted.
    mortal: MarketId,
    /// When the opening had ended.
    pub aged_at: Option<u64>,
}

impl Draw {
    pub fn new(seed: u64) -> Draw {
        let owner = scenario::trader("owner");
        let wallet = Signer { at: Address::repeat_byte(0xaa), ..Signer::new("wallet") };
        Draw {
            rng: StdRng::seed_from_u64(seed),
            now_s: 1_000_000,
            traders: (0..TRADERS).map(|n| Signer::new(&format!("trader {n}"))).collect(),
            sessions: (0..SESSIONS).map(|n| Signer::new(&format!("session {n}"))).collect(),
            wallet,
            targets: Vec::new(),
            grants: Vec::new(),
            roles: [owner, Address::ZERO, Address::ZERO],
            armed: Vec::new(),
            sent: Vec::new(),
            markets: 0,
            mortal: MarketId(LASTING + 1),
            aged_at: None,
        }
    }

    /// The address the wallet contract obeys.
    pub fn wallet_key(&self) -> Address {
        address_of(&self.wallet.key)
    }

    /// Keys that may become agents.
    pub fn agents(&self) -> Vec<Address> {
        self.sessions.iter().map(|session| session.at).collect()
    }

    /// Seven markets, the roles, and money for everybody: enough for many orders, not for all.
    pub fn opening(&mut self) -> Vec<(Address, Command)> {
        let owner = self.roles[0];
        let mut opening = vec![
            (owner, market(("ETH", "USDC"), (10, 1_000, 1), (500, 100), 0)),
            (owner, market(("BTC", "USDC"), (7, 3, 1), (300, -300), 0)),
            (owner, market(("BTC", "ETH"), (1, 1, 3), (0, 0), 5)),
            (owner, market(("ETH", "COIN"), (100_000, 10, 1), (1_000, -200), 1)),
            (owner, market(("COIN", "USDC"), (1, 100, 2), (50, 0), 0)),
            (owner, market(("GEM", "ORE"), (u64::MAX, u64::MAX, 1), (10_000, 9_999), 0)),
            (owner, mortal_market()),
            (owner, Command::SetRole { role: 1, who: self.traders[0].at }),
            (owner, Command::SetRole { role: 2, who: self.traders[1].at }),
        ];
        for trader in &self.traders {
            opening.push((trader.at, Command::Register { salt: 0 }));
            for token in ["GEM", "ORE"] {
                let atoms = U256::from(1) << 108;
                opening.push((trader.at, Command::Deposit { account: AccountId(0), token: scenario::token(token), atoms, settle: vec![] }));
            }
            for token in ["ETH", "USDC", "BTC", "COIN"] {
                let atoms = U256::from(20_000_000_000_u64);
                opening.push((trader.at, Command::Deposit { account: AccountId(0), token: scenario::token(token), atoms, settle: vec![] }));
            }
        }
        opening
    }

    /// Learns of what a command did.
    pub fn saw(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::Placed { order, account, .. } if self.targets.len() < TARGETS => self.targets.push((*order, *account)),
                Event::Placed { order, account, .. } => {
                    let at = self.rng.random_range(0..TARGETS);
                    self.targets[at] = (*order, *account);
                }
                Event::MarketCreated { .. } => self.markets += 1,
                Event::Role { role, who } => self.roles[*role as usize] = *who,
                Event::Agent { account, agent, .. } if !self.grants.contains(&(*account, *agent)) => self.grants.push((*account, *agent)),
                Event::Scheduled { account, at_s } => {
                    self.armed.retain(|(armed, _)| armed != account);
                    if *at_s != 0 {
                        self.armed.push((*account, *at_s));
                    }
                }
                _ => {}
            }
        }
    }

    /// The next command and its sender; the clock may move before it.
    pub fn next(&mut self, engine: &Engine) -> (Address, Command) {
        self.now_s += match self.rng.random_range(0..100) {
            0..30 => 1,
            30..32 => 7,
            _ => 0,
        };
        let (caller, account, acting) = self.actor();
        let command = match self.rng.random_range(0..1_000) {
            0..200 => {
                let (market, mode, ticks, lots, expiry_s, client, steps_max) = self.place(engine);
                Command::Place { account, market, mode, ticks, lots, expiry_s, client, steps_max }
            }
            200..255 => Command::Cancel { account, order: self.order(engine, acting) },
            255..295 => {
                let order = self.order(engine, acting);
                Command::Reduce { account, order, left: self.left(engine, order) }
            }
            295..335 => Command::Claim { orders: self.orders(engine, 6) },
            335..600 => Command::Execute { account, ops: self.batch(engine, acting) },
            600..680 => return self.signed_batch(engine),
            680..710 => self.deposit(engine, account),
            710..735 => self.withdraw(engine, account, acting),
            735..740 => Command::Register { salt: self.rng.random_range(0..6) },
            740..743 => Command::AddToken { token: self.token() },
            743..746 => self.create(),
            746..774 => return self.status(engine),
            774..804 => return self.grant(caller, account, acting),
            804..812 => {
                let word = if self.chance(0.05) { 1 << 56 } else { self.rng.random_range(0..3) };
                Command::CancelNonces { account, word, mask: U256::from(1) << self.rng.random_range(0..256) }
            }
            812..862 => return self.poke(caller, engine),
            862..902 => self.prune(),
            902..918 => self.sweep(),
            918..930 => {
                let caller = if self.chance(0.8) { self.roles[2] } else { caller };
                let account = if self.chance(0.9) { acting } else { AccountId(self.rng.random_range(0..3)) };
                return (caller, Command::SetTier { account, tier: self.rng.random_range(0..17) });
            }
            930..936 => return self.role(caller),
            _ => self.swap(engine),
        };
        (caller, command)
    }

    fn chance(&mut self, of: f64) -> bool {
        self.rng.random_bool(of)
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        *of.choose(&mut self.rng).expect("there is a choice")
    }

    fn trader(&mut self) -> Signer {
        let at = self.rng.random_range(0..self.traders.len());
        self.traders[at]
    }

    /// Who sends, the account it names (0: its own), and the account that is meant.
    fn actor(&mut self) -> (Address, AccountId, AccountId) {
        let trader = self.trader();
        let own = AccountId::numbered(trader.at, 0);
        match self.rng.random_range(0..100) {
            0..80 => (trader.at, if self.chance(0.7) { AccountId(0) } else { own }, own),
            80..96 => {
                let Some((account, agent)) = self.grants.choose(&mut self.rng).copied() else { return (trader.at, own, own) };
                // A wallet contract signs, it sends nothing itself; nobody has address 0.
                let sends = agent != self.wallet.at && !agent.is_zero();
                let sender = if sends { agent } else { self.sessions[0].at };
                (sender, account, account)
            }
            96..98 => {
                let other = AccountId::numbered(self.trader().at, 0);
                (trader.at, other, other)
            }
            98 => {
                let odd = AccountId(self.one_of(&[1, 2, 300, 1 << 31 | 1, u32::MAX]));
                (self.one_of(&[trader.at, self.roles[0]]), odd, odd)
            }
            _ => (scenario::trader("stranger"), AccountId(0), own),
        }
    }

    fn token(&mut self) -> Address {
        match self.rng.random_range(0..60) {
            0 => scenario::token(scenario::NOWHERE),
            1 => scenario::token("MON"),
            2..6 => scenario::token(self.one_of(&["GEM", "ORE"])),
            _ => scenario::token(self.one_of(&["ETH", "USDC", "BTC", "COIN"])),
        }
    }

    /// Mostly one of the first seven; the first is the busiest.
    fn market(&mut self) -> MarketId {
        match self.rng.random_range(0..100) {
            0..40 => MarketId(1),
            40..56 => MarketId(2),
            56..66 => MarketId(3),
            66..75 => MarketId(LOW),
            75..83 => MarketId(HIGH),
            83..89 => MarketId(DEAR),
            89..98 => self.mortal,
            _ => MarketId(self.one_of(&[0, self.markets, self.markets + 1, u32::MAX])),
        }
    }

    fn orders(&mut self, engine: &Engine, most: usize) -> Vec<OrderId> {
        let n = self.rng.random_range(0..=most);
        (0..n).map(|_| self.order(engine, AccountId(0))).collect()
    }

    /// Mostly an order of the account (0: of anybody) that still is one.
    fn order(&mut self, engine: &Engine, of: AccountId) -> OrderId {
        if self.chance(0.03) || self.targets.is_empty() {
            let level = self.level();
            return OrderId { level, index: self.rng.random_range(0..40) };
        }
        let (own, there) = (of.0 != 0 && self.chance(0.95), self.chance(0.9));
        for _ in 0..60 {
            let (order, owner) = self.one_of_targets();
            let is_there = || engine.book(order.level.market).and_then(|book| book.order(order)).is_some();
            if (!own || owner == of) && (!there || is_there()) {
                return order;
            }
        }
        self.one_of_targets().0
    }

    fn one_of_targets(&mut self) -> (OrderId, AccountId) {
        *self.targets.choose(&mut self.rng).expect("there are targets")
    }

    fn level(&mut self) -> LevelKey {
        if !self.targets.is_empty() && self.chance(0.9) {
            return self.one_of_targets().0.level;
        }
        let market = self.market();
        LevelKey { market, side: self.side(), ticks: Ticks(MIDDLE + self.rng.random_range(0..4)) }
    }

    fn side(&mut self) -> Side {
        if self.chance(0.5) { Side::Bid } else { Side::Ask }
    }

    fn mode(&mut self) -> Mode {
        if self.chance(0.012) {
            return Mode(self.rng.random());
        }
        let tif = match self.rng.random_range(0..100) {
            0..38 => 0,
            38..62 => 1,
            62..74 => 2,
            74..90 => 3,
            _ => 4,
        };
        let rule = if self.chance(0.5) { 0 } else { self.rng.random_range(1..5) };
        Mode(self.side() as u8 | tif << 1 | rule << 4 | (self.chance(0.22) as u8) << 7)
    }

    /// Most orders stand on their own side of the middle, few prices apart, so that levels are long and crosses frequent.
    fn ticks(&mut self, engine: &Engine, market: MarketId, side: Side) -> Ticks {
        if self.chance(0.008) {
            return Ticks(self.one_of(&[0, 1, Ticks::MAX.0, Ticks::MAX.0 - 1, 255, 256, 2 * MIDDLE]));
        }
        if self.chance(0.15)
            && let Some(best) = engine.book(market).and_then(|book| book.best(side.opposite()))
        {
            return Ticks((best.0 + self.rng.random_range(0..3)).saturating_sub(1).min(Ticks::MAX.0));
        }
        if market.0 == DEAR && self.chance(0.3) {
            return Ticks(self.rng.random::<u32>() >> self.rng.random_range(8..32));
        }
        let away = self.rng.random_range(0..6) - 2;
        let away = if side == Side::Bid { -away } else { away };
        Ticks(match market.0 {
            LOW | DEAR => (3 + away).max(0) as u32,
            HIGH => (Ticks::MAX.0 as i64 - 2 + away as i64).min(Ticks::MAX.0 as i64) as u32,
            _ => (MIDDLE as i32 + away) as u32,
        })
    }

    fn lots(&mut self, market: MarketId) -> Lots {
        if market.0 == DEAR && self.chance(0.4) {
            return Lots(self.rng.random::<u64>() >> self.rng.random_range(16..64));
        }
        Lots(match self.rng.random_range(0..300) {
            0 => 0,
            1 => Lots::MAX.0 + 1,
            2 => Lots::MAX.0,
            3 => (1 << 48) - 1,
            4..24 => self.rng.random_range(20..400),
            24..80 => self.one_of(&[5, 10]),
            _ => self.rng.random_range(1..24),
        })
    }

    fn left(&mut self, engine: &Engine, order: OrderId) -> Lots {
        let live = engine.book(order.level.market).and_then(|book| book.order(order));
        let left = live.map_or(0, |order| order.left.0);
        Lots(match self.rng.random_range(0..10) {
            0 => 0,
            1 => left,
            2 => left + 1,
            3 => left.saturating_sub(1),
            4 => self.one_of(&[1, 2, 3, (1 << 48) - 1]),
            _ => self.rng.random_range(1..24),
        })
    }

    fn expiry_s(&mut self) -> u32 {
        let ahead = match self.rng.random_range(0..100) {
            0..50 => return 0,
            50..52 => return self.one_of(&[1, self.now_s as u32 - 1, u32::MAX]),
            52..60 => self.rng.random_range(0..7),
            _ => self.rng.random_range(5..60),
        };
        self.now_s as u32 + ahead
    }

    fn client(&mut self) -> u64 {
        match self.rng.random_range(0..100) {
            0..15 => 0,
            15..17 => u64::MAX - self.rng.random_range(0..3),
            _ => self.rng.random_range(1..16),
        }
    }

    fn steps_max(&mut self) -> u16 {
        match self.rng.random_range(0..100) {
            0..75 => 0,
            75..97 => self.rng.random_range(1..6),
            _ => self.rng.random(),
        }
    }

    fn place(&mut self, engine: &Engine) -> (MarketId, Mode, Ticks, Lots, u32, u64, u16) {
        let (market, mode) = (self.market(), self.mode());
        let ticks = self.ticks(engine, market, mode.side());
        let (lots, expiry_s) = (self.lots(market), self.expiry_s());
        let client = if mode.0 >> 7 == 1 || self.chance(0.2) { self.client() } else { 0 };
        // What may only rest has little to pass before it may.
        let steps_max = if matches!(mode.0 >> 1 & 7, 1 | 2) && self.chance(0.4) { self.rng.random_range(1..3) } else { self.steps_max() };
        (market, mode, ticks, lots, expiry_s, client, steps_max)
    }

    // ------------------------------------------------------------------------------------------------------------------------ batches

    /// Bytes of a batch; some of them none.
    fn batch(&mut self, engine: &Engine, acting: AccountId) -> Bytes {
        let fired = self.armed.iter().any(|(account, at_s)| *account == acting && *at_s <= self.now_s);
        let mut operations = Vec::new();
        if fired && self.chance(0.6) {
            operations.push(Operation::Schedule { at_s: 0 });
        }
        let most = if self.chance(0.02) { 30 } else { 6 };
        for _ in 0..self.rng.random_range(0..=most) {
            operations.push(self.operation(engine, acting));
        }
        let skip_failed = self.chance(0.75);
        let mut ops = operation::encode(skip_failed, &operations);
        if self.chance(0.03) {
            match self.rng.random_range(0..7) {
                // Often the side of an id, or a bit of it.
                6 if ops.len() > 6 => ops[6] ^= 1 << self.rng.random_range(0..8),
                0 => ops.truncate(self.rng.random_range(0..ops.len())),
                1 => ops[0] = self.rng.random_range(2..=255),
                2 => ops.push(self.one_of(&[0, 11, 255])),
                3 => {
                    let at = self.rng.random_range(0..ops.len());
                    ops[at] ^= 1 << self.rng.random_range(0..8);
                }
                4 => {
                    ops.extend(operation::encode(true, &vec![Operation::Schedule { at_s: 0 }; 65 - operations.len().min(60)]).split_off(1))
                }
                _ => ops.push(self.rng.random()),
            }
        }
        ops.into()
    }

    fn operation(&mut self, engine: &Engine, acting: AccountId) -> Operation {
        match self.rng.random_range(0..100) {
            0..32 => {
                let (market, mode, ticks, lots, expiry_s, client, steps_max) = self.place(engine);
                Operation::Place { market, mode, ticks, lots, expiry_s, client, steps_max }
            }
            32..45 => self.take(engine),
            45..54 => Operation::Cancel { order: self.order(engine, acting) },
            54..60 => {
                let order = self.order(engine, acting);
                Operation::Reduce { order, left: self.left(engine, order) }
            }
            60..66 => Operation::Claim { order: self.order(engine, acting) },
            66..77 => {
                let order = self.order(engine, acting);
                let (_, mode, _, lots, expiry_s, client, steps_max) = self.place(engine);
                let mode = if self.chance(0.9) { Mode(mode.0 & !1 | order.level.side as u8) } else { mode };
                let ticks = self.ticks(engine, order.level.market, mode.side());
                Operation::Replace { order, mode, ticks, lots, expiry_s, client, steps_max }
            }
            77..84 => {
                let (market, mode, ticks, _, expiry_s, client, _) = self.place(engine);
                let mode = if self.chance(0.9) { Mode(mode.0 & !0xe | self.rng.random_range(1..3) << 1) } else { mode };
                let rungs = self.rng.random_range(0..7);
                let lots = (0..rungs).map(|_| if self.chance(0.15) { Lots(0) } else { self.lots(market) }).collect();
                let step = match self.rng.random_range(0..20) {
                    0 => i16::MIN,
                    1 => i16::MAX,
                    _ => self.rng.random_range(-2..3),
                };
                Operation::Ladder { market, mode, ticks, step, expiry_s, client, lots }
            }
            84..89 => {
                let (market, side) = (self.market(), self.side());
                let ticks = self.ticks(engine, market, side.opposite());
                Operation::CancelUpTo { market, side, ticks, steps_max: self.steps_max() }
            }
            89..96 => {
                let until_s = if self.chance(0.3) { 0 } else { self.now_s + self.rng.random_range(0..20) };
                Operation::CancelClient { client: self.client(), until_s }
            }
            _ => {
                let at_s = match self.rng.random_range(0..10) {
                    0..4 => 0,
                    4 => self.now_s,
                    5 => (1 << 40) - 1,
                    _ => self.now_s + self.rng.random_range(0..40),
                };
                Operation::Schedule { at_s }
            }
        }
    }

    fn take(&mut self, engine: &Engine) -> Operation {
        let (market, mode, ticks, lots, expiry_s, client, steps_max) = self.place(engine);
        let mode = if self.chance(0.95) { Mode(mode.0 & 0x71 | self.rng.random_range(3..5) << 1) } else { mode };
        let end = if mode.side() == Side::Bid { Ticks::MAX } else { Ticks(0) };
        let limit = if self.chance(0.4) { end } else { ticks };
        let in_max_atoms = match self.rng.random_range(0..10) {
            0..4 => u128::MAX,
            4 => u128::MAX - 1,
            5 => self.rng.random_range(0..100),
            6 => self.rng.random_range(0..40_000),
            _ => self.rng.random_range(0..20_000_000),
        };
        let out_min_atoms = match self.rng.random_range(0..10) {
            0..6 => 0,
            6 => self.rng.random(),
            _ => self.rng.random_range(0..5_000_000),
        };
        let deadline_s = if self.chance(0.7) { 0 } else { expiry_s };
        let lots_max = if self.chance(0.2) { Lots::MAX } else { lots };
        Operation::Take { market, mode, limit, lots_max, in_max_atoms, out_min_atoms, deadline_s, client, steps_max }
    }

    /// A batch somebody signed and somebody sends; at times one that was sent before, or with a signature that is none.
    fn signed_batch(&mut self, engine: &Engine) -> (Address, Command) {
        let sender = self.trader().at;
        if self.chance(0.04)
            && let Some(command) = self.sent.choose(&mut self.rng).cloned()
        {
            return (sender, command);
        }
        let (signer, account, acting) = match self.rng.random_range(0..10) {
            0..6 => {
                let trader = self.trader();
                let own = AccountId::numbered(trader.at, 0);
                (trader, if self.chance(0.5) { AccountId(0) } else { own }, own)
            }
            6 => {
                let trader = self.trader();
                let other = AccountId::numbered(self.trader().at, 0);
                (trader, other, other)
            }
            _ => {
                let session = self.session();
                let granted: Vec<AccountId> = self.grants.iter().filter(|(_, agent)| *agent == session.at).map(|(of, _)| *of).collect();
                let account = granted.choose(&mut self.rng).copied().unwrap_or(AccountId(0));
                (session, account, account)
            }
        };
        let (nonce, deadline_s) = (self.nonce(), self.deadline_s());
        let relayer = match self.rng.random_range(0..10) {
            0..6 => Address::ZERO,
            6..9 => sender,
            _ => self.trader().at,
        };
        let ops = self.batch(engine, acting);
        let batch = signed::Batch { account, nonce, deadline_s, relayer, ops: &ops };
        let signature = self.signature(&signer, batch.signing_hash(DOMAIN));
        let command = Command::ExecuteSigned { account, nonce, deadline_s, relayer, ops, signer: signer.at, signature };
        self.remember(&command);
        (sender, command)
    }

    fn session(&mut self) -> Signer {
        let at = self.rng.random_range(0..=self.sessions.len());
        self.sessions.get(at).copied().unwrap_or(self.wallet)
    }

    fn nonce(&mut self) -> u64 {
        match self.rng.random_range(0..20) {
            0 => u64::MAX - self.rng.random_range(0..4),
            1 => self.rng.random_range(0..600),
            _ => self.rng.random(),
        }
    }

    fn deadline_s(&mut self) -> u64 {
        match self.rng.random_range(0..20) {
            0 => self.now_s - 1,
            1..4 => self.now_s,
            4 => (1 << 40) - 1,
            _ => self.now_s + self.rng.random_range(0..100),
        }
    }

    /// Mostly a good one.
    fn signature(&mut self, signer: &Signer, hash: B256) -> Bytes {
        let mut signature = signer.sign(hash);
        if self.chance(0.08) {
            match self.rng.random_range(0..6) {
                0 => signature = self.trader().sign(hash),
                1 => signature.truncate(64),
                2 => signature.push(0),
                3 => signature[64] -= 27,
                4 => {
                    let at = self.rng.random_range(0..65);
                    signature[at] ^= 1 << self.rng.random_range(0..8);
                }
                _ => signature = self.one_of(&[&[0_u8; 65][..], &[]]).to_vec(),
            }
        }
        signature.into()
    }

    fn remember(&mut self, command: &Command) {
        if self.sent.len() < 20 {
            self.sent.push(command.clone());
        } else {
            let at = self.rng.random_range(0..self.sent.len());
            self.sent[at] = command.clone();
        }
    }

    // ------------------------------------------------------------------------------------------------------------------------ rights

    fn grant(&mut self, caller: Address, account: AccountId, acting: AccountId) -> (Address, Command) {
        let agent = match self.rng.random_range(0..10) {
            0 => self.trader().at,
            1 => Address::ZERO,
            _ => self.session().at,
        };
        let expiry_s = match self.rng.random_range(0..20) {
            0 => 0,
            1 => self.now_s,
            2 => self.now_s + 1,
            3 => (1 << 40) - 1,
            _ => self.now_s + self.rng.random_range(20..4_000),
        };
        let perms = if self.chance(0.5) { 15 } else { self.rng.random_range(0..16) };
        let cap_atoms = match self.rng.random_range(0..10) {
            0..6 => 0,
            6 => (1 << 96) - 1,
            // Exactly what some orders of market 1 are worth.
            7 | 8 => 10 * MIDDLE as u128 * self.one_of(&[5, 10]),
            _ => self.rng.random_range(1..20_000_000),
        };
        let markets = if self.chance(0.6) { [MarketId(0); 3] } else { [self.market(), self.market(), MarketId(0)] };
        if self.chance(0.6) {
            return (caller, Command::ApproveAgent { account, agent, expiry_s, perms, cap_atoms, markets });
        }
        if self.chance(0.1)
            && let Some(command) = self.sent.choose(&mut self.rng).cloned()
        {
            return (caller, command);
        }
        let signer = self.traders.iter().find(|trader| AccountId::numbered(trader.at, 0) == acting).copied();
        let signer = signer.unwrap_or_else(|| self.trader());
        let (nonce, deadline_s) = (self.nonce(), self.deadline_s());
        let account = if self.chance(0.03) { AccountId(self.one_of(&[0, 1, 300])) } else { acting };
        let grant = signed::Grant { account, agent, expiry_s, perms, cap_atoms, markets, nonce, deadline_s };
        let signature = self.signature(&signer, grant.signing_hash(DOMAIN));
        let command = Command::ApproveAgentSigned { account, agent, expiry_s, perms, cap_atoms, markets, nonce, deadline_s, signature };
        self.remember(&command);
        (caller, command)
    }

    /// Roles wander between two traders and their first holders.
    fn role(&mut self, caller: Address) -> (Address, Command) {
        let role = if self.chance(0.1) { self.rng.random_range(0..5) } else { self.rng.random_range(1..3) };
        let who = match role {
            0 => self.one_of(&[scenario::trader("owner"), self.traders[2].at]),
            1 => self.one_of(&[self.traders[0].at, self.traders[3].at]),
            _ => self.one_of(&[self.traders[1].at, self.traders[3].at]),
        };
        (if self.chance(0.8) { self.roles[0] } else { caller }, Command::SetRole { role, who })
    }

    // ------------------------------------------------------------------------------------------------------------------------ money

    fn deposit(&mut self, engine: &Engine, account: AccountId) -> Command {
        let atoms = match self.rng.random_range(0..50) {
            0 => U256::from(1) << 112,
            1 => U256::ZERO,
            _ => U256::from(self.rng.random_range(0..300_000_000)),
        };
        let (token, settle) = (self.token(), self.orders(engine, 3));
        if self.chance(0.3) && !token.is_zero() {
            // What the permit says is nothing; the allowance is there.
            let (deadline, v, r, s) = (U256::from(self.now_s), 27, B256::repeat_byte(self.rng.random()), B256::repeat_byte(1));
            return Command::DepositPermit { account, token, atoms, deadline, v, r, s };
        }
        Command::Deposit { account, token, atoms, settle }
    }

    fn withdraw(&mut self, engine: &Engine, account: AccountId, acting: AccountId) -> Command {
        let atoms = match self.rng.random_range(0..12) {
            0 => U256::MAX,
            1 => U256::from(1) << 128,
            _ => U256::from(self.rng.random_range(0..400_000_000)),
        };
        let owner = self.traders.iter().find(|trader| AccountId::numbered(trader.at, 0) == acting).map(|trader| trader.at);
        let to = match self.rng.random_range(0..20) {
            0 => Address::ZERO,
            1..5 => self.trader().at,
            _ => owner.unwrap_or(Address::repeat_byte(0x77)),
        };
        Command::Withdraw { account, token: self.token(), atoms, to, settle: self.orders(engine, 3) }
    }

    fn sweep(&mut self) -> Command {
        let token = TokenId(self.rng.random_range(0..7));
        let n = self.rng.random_range(0..5);
        let accounts = (0..n).map(|_| match self.rng.random_range(0..10) {
            0 => AccountId(1),
            1 => AccountId(self.rng.random_range(0..400)),
            2..5 => AccountId(1 << 31 | self.rng.random_range(0..8)),
            _ => AccountId::numbered(self.traders[self.rng.random_range(0..TRADERS)].at, 0),
        });
        Command::SweepFees { token, accounts: accounts.collect() }
    }

    /// A way through up to four markets, each mostly with the token in hand.
    fn swap(&mut self, engine: &Engine) -> Command {
        let token_in = self.token();
        let mut hand = engine.token(token_in);
        let mut markets = Vec::new();
        let hops = if self.chance(0.03) { self.one_of(&[0, 5]) } else { self.rng.random_range(1..5) };
        for _ in 0..hops {
            let fitting: Vec<&orderbook::Market> = engine.books().iter().map(|book| book.market()).collect();
            let fitting = fitting.into_iter().filter(|market| hand.is_some_and(|token| market.base == token || market.quote == token));
            let fitting: Vec<_> = fitting.filter(|market| market.status == MarketStatus::Live && market.id.0 <= self.mortal.0).collect();
            if self.chance(0.04) || fitting.is_empty() {
                markets.push(self.market());
                continue;
            }
            let market = fitting[self.rng.random_range(0..fitting.len())];
            hand = hand.map(|token| if market.base == token { market.quote } else { market.base });
            markets.push(market.id);
        }
        let atoms = match self.rng.random_range(0..30) {
            0 => U256::ZERO,
            1 => U256::from(1) << 112,
            2..8 => U256::from(self.rng.random_range(1..1_000)),
            8..20 => U256::from(self.rng.random_range(1..100_000)),
            _ => U256::from(self.rng.random_range(1..50_000_000)),
        };
        let out_min = if self.chance(0.85) { U256::ZERO } else { U256::from(self.rng.random_range(0..10_000)) };
        let to = if self.chance(0.03) { Address::ZERO } else { self.trader().at };
        Command::SwapExactIn { token_in, atoms, markets, out_min, to, deadline_s: self.deadline_s(), steps_max: self.steps_max() }
    }

    // ------------------------------------------------------------------------------------------------------------------------ keeping house

    /// Mostly orders of an account whose switch has fired, or of the market that is halted.
    fn poke(&mut self, caller: Address, engine: &Engine) -> (Address, Command) {
        let fired: Vec<AccountId> = self.armed.iter().filter(|(_, at_s)| *at_s <= self.now_s + 1).map(|(account, _)| *account).collect();
        let halted = self.status_of(engine, self.mortal) == Some(MarketStatus::Halted);
        let mut account = fired.choose(&mut self.rng).copied().unwrap_or_else(|| AccountId::numbered(self.trader().at, 0));
        let mut orders: Vec<OrderId> = (0..self.rng.random_range(0..5)).map(|_| self.order(engine, account)).collect();
        if halted && self.chance(0.7) {
            account = AccountId::numbered(self.trader().at, 0);
            let lying = self.targets.iter().filter(|(order, owner)| order.level.market == self.mortal && *owner == account);
            orders = lying.map(|(order, _)| *order).take(8).collect();
        }
        let account = if self.chance(0.03) { AccountId(0) } else { account };
        (caller, Command::Poke { account, orders })
    }

    fn status_of(&self, engine: &Engine, market: MarketId) -> Option<MarketStatus> {
        engine.book(market).map(|book| book.market().status)
    }

    fn prune(&mut self) -> Command {
        Command::Prune { level: self.level(), steps_max: self.steps_max() }
    }

    fn create(&mut self) -> Command {
        Command::CreateMarket {
            base: self.token(),
            quote: self.token(),
            quote_atoms_per_lot_tick: self.rng.random_range(0..1_000),
            base_atoms_per_lot: self.rng.random_range(0..1_000),
            lots_min: self.rng.random_range(0..4),
            taker_fee_ppm: self.rng.random_range(0..10_010),
            maker_fee_ppm: self.rng.random_range(-10_010..10_010),
            min_ttl_s: self.rng.random_range(0..3),
            status: self.rng.random_range(0..4),
        }
    }

    /// Statuses come and go: lasting markets are soon opened again; the mortal one is halted in the end, and another takes its place.
    fn status(&mut self, engine: &Engine) -> (Address, Command) {
        let owner = self.roles[0];
        if self.status_of(engine, self.mortal) == Some(MarketStatus::Halted) && self.chance(0.15) {
            self.mortal = MarketId(engine.books().len() as u32 + 1);
            return (owner, mortal_market());
        }
        let closed = (1..=LASTING).map(MarketId).find(|market| self.status_of(engine, *market) != Some(MarketStatus::Live));
        if let Some(market) = closed.filter(|_| self.chance(0.6)) {
            return (owner, Command::SetStatus { market, status: 1 });
        }
        let market = if self.chance(0.3) { self.mortal } else { self.market() };
        let status = match self.rng.random_range(0..20) {
            0..4 => 2,
            4..6 => 3,
            6..13 if market.0 > LASTING => self.one_of(&[3, 4]),
            13 => self.one_of(&[0, 5, 255]),
            _ => 1,
        };
        let caller = match self.rng.random_range(0..10) {
            0 => self.trader().at,
            1 | 2 => self.roles[1],
            _ => owner,
        };
        (caller, Command::SetStatus { market, status })
    }
}

/// Of `(base, quote)`, `(quote atoms per lot and tick, base atoms per lot, least lots)`, `(taker fee, maker fee)` in ppm and a least life in seconds.
fn market(tokens: (&str, &str), units: (u64, u64, u32), fees: (u16, i16), min_ttl_s: u8) -> Command {
    Command::CreateMarket {
        base: scenario::token(tokens.0),
        quote: scenario::token(tokens.1),
        quote_atoms_per_lot_tick: units.0,
        base_atoms_per_lot: units.1,
        lots_min: units.2,
        taker_fee_ppm: fees.0,
        maker_fee_ppm: fees.1,
        min_ttl_s,
        status: 1,
    }
}

/// The market that will be halted, and the one after it.
fn mortal_market() -> Command {
    market(("BTC", "COIN"), (10, 10, 1), (10_000, 10_000), 0)
}
