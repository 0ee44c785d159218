//! Random but plausible commands: a few traders, a few markets, prices that cross often, every way to be refused.
//! Shared by the laws and by contract = engine.

use alloy_primitives::{Address, U256};
use orderbook::{AccountId, Command, Event, LevelKey, Lots, MarketId, Mode, OrderId, Side, Ticks, TimeInForce, scenario};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

/// Traders with an account from the start.
const TRADERS: usize = 8;
/// Orders remembered as targets of cancels, reduces and claims.
const TARGETS: usize = 160;
/// Price in the middle of the action: a border of leaf, branch and root words of the bitmap.
pub const MIDDLE: u32 = 65_536;

pub const TOKENS: [&str; 4] = ["ETH", "USDC", "BTC", "MON"];

/// The seed of this run: `HIFI_SEED`, or `default`; printed, so that a failure can be repeated.
pub fn seed(default: u64) -> u64 {
    let seed = std::env::var("HIFI_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    println!("HIFI_SEED={seed}");
    seed
}

/// How many commands: `HIFI_OPS`, or `default`.
pub fn ops(default: usize) -> usize {
    std::env::var("HIFI_OPS").ok().and_then(|text| text.replace('_', "").parse().ok()).unwrap_or(default)
}

pub struct Stream {
    rng: StdRng,
    traders: Vec<Address>,
    targets: Vec<(OrderId, AccountId)>,
    markets: u32,
}

impl Stream {
    pub fn new(seed: u64) -> Stream {
        let traders = (0..TRADERS).map(|n| scenario::trader(&format!("trader {n}"))).collect();
        Stream { rng: StdRng::seed_from_u64(seed), traders, targets: Vec::new(), markets: 0 }
    }

    /// Three markets (a maker fee, a rebate, no fee and a least size), and money for everybody: enough for many orders, not for all.
    pub fn opening(&mut self) -> Vec<(Address, Command)> {
        let owner = scenario::trader("owner");
        let market = |base, quote, tick, lot, lots_min, taker_fee_ppm, maker_fee_ppm| Command::CreateMarket {
            base: scenario::token(base),
            quote: scenario::token(quote),
            quote_atoms_per_lot_tick: tick,
            base_atoms_per_lot: lot,
            lots_min,
            taker_fee_ppm,
            maker_fee_ppm,
            min_ttl_s: 0,
            status: 1,
        };
        let mut opening = vec![
            (owner, market("ETH", "USDC", 10, 1_000, 1, 500, 100)),
            (owner, market("BTC", "USDC", 7, 3, 1, 300, -300)),
            (owner, market("BTC", "ETH", 1, 1, 3, 0, 0)),
        ];
        for trader in &self.traders {
            opening.push((*trader, Command::Register { salt: 0 }));
            for token in ["ETH", "USDC", "BTC"] {
                let atoms = U256::from(2_000_000_000_u64);
                opening.push((*trader, Command::Deposit { account: AccountId(0), token: scenario::token(token), atoms, settle: vec![] }));
            }
        }
        opening
    }

    /// Learns of new orders and markets.
    pub fn saw(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::Placed { order, account, .. } if self.targets.len() < TARGETS => self.targets.push((*order, *account)),
                Event::Placed { order, account, .. } => {
                    let at = self.rng.random_range(0..TARGETS);
                    self.targets[at] = (*order, *account);
                }
                Event::MarketCreated { .. } => self.markets += 1,
                _ => {}
            }
        }
    }

    pub fn next(&mut self) -> (Address, Command) {
        let trader = self.trader();
        let account = AccountId(0);
        let command = match self.rng.random_range(0..1_000) {
            0..560 => return self.place(trader),
            560..720 => return self.targeted(trader, |_, account, order| Command::Cancel { account, order }),
            720..790 => {
                return self.targeted(trader, |rng, account, order| {
                    let left = Lots(if rng.random_bool(0.1) { 0 } else { rng.random_range(1..30) });
                    Command::Reduce { account, order, left }
                });
            }
            790..890 => Command::Claim { orders: self.orders(6) },
            890..930 => {
                let atoms =
                    if self.rng.random_bool(0.02) { U256::from(1) << 112 } else { U256::from(self.rng.random_range(0..30_000_000)) };
                let account = if self.rng.random_bool(0.2) { AccountId::numbered(self.trader(), 0) } else { account };
                Command::Deposit { account, token: self.token(), atoms, settle: self.orders(3) }
            }
            930..970 => {
                let atoms = match self.rng.random_range(0..10) {
                    0 => U256::MAX,
                    _ => U256::from(self.rng.random_range(0..40_000_000)),
                };
                let to = if self.rng.random_bool(0.05) { Address::ZERO } else { trader };
                Command::Withdraw { account, token: self.token(), atoms, to, settle: self.orders(3) }
            }
            970..975 => Command::Register { salt: self.rng.random_range(0..3) },
            975..978 => Command::AddToken { token: self.token() },
            978..981 => self.create(),
            _ => return self.status(trader),
        };
        (trader, command)
    }

    fn trader(&mut self) -> Address {
        if self.rng.random_bool(0.01) {
            return scenario::trader("stranger");
        }
        *self.traders.choose(&mut self.rng).expect("there are traders")
    }

    fn token(&mut self) -> Address {
        match self.rng.random_range(0..40) {
            0 => scenario::token(scenario::NOWHERE),
            1 => scenario::token("COIN"),
            _ => scenario::token(TOKENS.choose(&mut self.rng).expect("there are tokens")),
        }
    }

    /// Mostly one of the first three; the first is the busiest.
    fn market(&mut self) -> MarketId {
        MarketId(match self.rng.random_range(0..100) {
            0..55 => 1,
            55..80 => 2,
            80..97 => 3,
            97 => 0,
            _ => self.rng.random_range(1..=self.markets + 1),
        })
    }

    fn orders(&mut self, most: usize) -> Vec<OrderId> {
        let n = self.rng.random_range(0..=most);
        (0..n).map(|_| self.order().0).collect()
    }

    fn order(&mut self) -> (OrderId, AccountId) {
        let known = self.targets.choose(&mut self.rng).copied().filter(|_| self.rng.random_bool(0.97));
        known.unwrap_or_else(|| {
            let side = if self.rng.random_bool(0.5) { Side::Bid } else { Side::Ask };
            let ticks = Ticks(MIDDLE + self.rng.random_range(0..4));
            let level = LevelKey { market: self.market(), side, ticks };
            (OrderId { level, index: self.rng.random_range(0..40) }, AccountId(0))
        })
    }

    /// A command on an order: mostly of its owner, who may name the account or leave it to be found.
    fn targeted(&mut self, trader: Address, make: impl Fn(&mut StdRng, AccountId, OrderId) -> Command) -> (Address, Command) {
        let (order, owner) = self.order();
        let owning = self.traders.iter().find(|trader| AccountId::numbered(**trader, 0) == owner).copied();
        let caller = owning.filter(|_| self.rng.random_bool(0.9)).unwrap_or(trader);
        let account = if self.rng.random_bool(0.3) { owner } else { AccountId(0) };
        (caller, make(&mut self.rng, account, order))
    }

    fn place(&mut self, trader: Address) -> (Address, Command) {
        let side = if self.rng.random_bool(0.5) { Side::Bid } else { Side::Ask };
        let tif = match self.rng.random_range(0..100) {
            0..45 => TimeInForce::Gtc,
            45..68 => TimeInForce::PostOnly,
            68..90 => TimeInForce::Ioc,
            _ => TimeInForce::Fok,
        };
        // Modes of no meaning: a time in force, or a self-trade mode, of 7.
        let mode = match self.rng.random_range(0..200) {
            0 => Mode(self.rng.random::<u8>() | 7 << 1),
            1 => Mode(self.rng.random::<u8>() | 7 << 4),
            _ => Mode::new(side, tif),
        };
        // Most orders stand on their own side of the middle, few prices apart, so that levels are long and crosses frequent.
        let away = self.rng.random_range(0..6) as i64 - 2;
        let away = if side == Side::Bid { -away } else { away };
        let ticks = match self.rng.random_range(0..300) {
            0 => 0,
            1 => Ticks::MAX.0,
            2 => self.rng.random_range(1..Ticks::MAX.0),
            3..8 => self.rng.random_range(1..3 * MIDDLE),
            _ => (MIDDLE as i64 + away) as u32,
        };
        let lots = match self.rng.random_range(0..200) {
            0 => 0,
            1 => Lots::MAX.0 + 1,
            2 => Lots::MAX.0,
            3..20 => self.rng.random_range(20..300),
            _ => self.rng.random_range(1..20),
        };
        let steps_max = if self.rng.random_bool(0.2) { self.rng.random_range(1..3) } else { 0 };
        let command = Command::Place {
            account: if self.rng.random_bool(0.02) { AccountId::numbered(self.trader(), 0) } else { AccountId(0) },
            market: self.market(),
            mode,
            ticks: Ticks(ticks),
            lots: Lots(lots),
            expiry_s: 0,
            client: if self.rng.random_bool(0.3) { self.rng.random() } else { 0 },
            steps_max,
        };
        (trader, command)
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

    /// Statuses come and go: the three first markets are soon opened again and never halted, later ones may be.
    fn status(&mut self, trader: Address) -> (Address, Command) {
        let market = self.market();
        let status = match self.rng.random_range(0..20) {
            0 => 2,
            1 => 3,
            2 if market.0 > 3 => 4,
            3 => self.rng.random_range(0..8),
            _ => 1,
        };
        let halts = status == 4 && market.0 <= 3;
        let caller = if self.rng.random_bool(0.1) { trader } else { scenario::trader("owner") };
        (caller, Command::SetStatus { market, status: if halts { 1 } else { status } })
    }
}
