//! Random batches, agents, expiries and switches: after every command the follower has the engine's book, no atom is lost, and what was
//! refused left no trace. The contract is compared elsewhere (`tests/contract`).

use super::*;
use crate::operation::{self, Operation, Outcome};
use crate::{AccountId, Event, OrderId, keys};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use std::collections::BTreeMap;

const TRADERS: u8 = 4;
const MIDDLE: u32 = 65_536;

fn trader(n: u8) -> Address {
    Address::repeat_byte(0x10 + n)
}

struct Draw {
    rng: StdRng,
    orders: Vec<(OrderId, AccountId)>,
    now_s: u64,
}

impl Draw {
    fn order(&mut self, account: AccountId) -> OrderId {
        let own: Vec<OrderId> = self.orders.iter().filter(|(_, of)| *of == account).map(|(id, _)| *id).collect();
        if self.rng.random_bool(0.9)
            && let Some(own) = own.choose(&mut self.rng)
        {
            return *own;
        }
        let level = LevelKey { market: MarketId(self.rng.random_range(0..4)), side: self.side(), ticks: self.ticks(Side::Bid) };
        self.orders.choose(&mut self.rng).map_or(OrderId { level, index: 0 }, |(id, _)| *id)
    }

    fn side(&mut self) -> Side {
        if self.rng.random_bool(0.5) { Side::Bid } else { Side::Ask }
    }

    fn ticks(&mut self, side: Side) -> Ticks {
        let away = self.rng.random_range(-2..4);
        let away = if side == Side::Bid { -away } else { away };
        Ticks(if self.rng.random_bool(0.01) { self.rng.random_range(0..1 << 24) } else { (MIDDLE as i32 + away) as u32 })
    }

    fn mode(&mut self) -> Mode {
        let side = self.side();
        let bits = match self.rng.random_range(0..10) {
            0..4 => 0,
            4..6 => 1,
            6 => 2,
            7..9 => 3,
            _ => 4,
        };
        let stp = if self.rng.random_bool(0.5) { self.rng.random_range(0..5) } else { 0 };
        let track = if self.rng.random_bool(0.15) { 1 << 7 } else { 0 };
        let odd = if self.rng.random_bool(0.01) { 5 << 4 } else { 0 };
        Mode(side as u8 | bits << 1 | stp << 4 | track | odd)
    }

    fn lots(&mut self) -> Lots {
        Lots(if self.rng.random_bool(0.02) { self.rng.random_range(0..400) } else { self.rng.random_range(1..16) })
    }

    fn expiry_s(&mut self) -> u32 {
        if self.rng.random_bool(0.5) { 0 } else { (self.now_s + self.rng.random_range(0..12)) as u32 }
    }

    fn client(&mut self) -> u64 {
        if self.rng.random_bool(0.2) { 0 } else { self.rng.random_range(1..12) }
    }

    fn steps_max(&mut self) -> u16 {
        if self.rng.random_bool(0.3) { self.rng.random_range(1..5) } else { 0 }
    }

    fn operation(&mut self, account: AccountId) -> Operation {
        let market = MarketId(if self.rng.random_bool(0.01) { 9 } else { self.rng.random_range(1..4) });
        let mode = self.mode();
        let (ticks, lots, expiry_s, client, steps_max) =
            (self.ticks(mode.side()), self.lots(), self.expiry_s(), self.client(), self.steps_max());
        match self.rng.random_range(0..100) {
            0..40 => Operation::Place { market, mode, ticks, lots, expiry_s, client, steps_max },
            40..50 => {
                let mode = Mode(mode.0 & !(7 << 1) & 0x7f | self.rng.random_range(3..5) << 1);
                let limit = if self.rng.random_bool(0.3) { Ticks(if mode.side() == Side::Bid { Ticks::MAX.0 } else { 0 }) } else { ticks };
                let in_max_atoms = match self.rng.random_range(0..3) {
                    0 => u128::MAX,
                    1 => self.rng.random_range(0..40_000_000),
                    _ => self.rng.random_range(0..40_000),
                };
                let out_min_atoms = if self.rng.random_bool(0.2) { self.rng.random_range(0..20_000) } else { 0 };
                Operation::Take {
                    market,
                    mode,
                    limit,
                    lots_max: lots,
                    in_max_atoms,
                    out_min_atoms,
                    deadline_s: expiry_s,
                    client,
                    steps_max,
                }
            }
            50..62 => Operation::Cancel { order: self.order(account) },
            62..70 => Operation::Reduce { order: self.order(account), left: Lots(self.rng.random_range(0..9)) },
            70..78 => Operation::Claim { order: self.order(account) },
            78..86 => Operation::Replace { order: self.order(account), mode, ticks, lots, expiry_s, client, steps_max },
            86..91 => {
                let mode = if self.rng.random_bool(0.9) { Mode(mode.0 & !(7 << 1) | self.rng.random_range(1..3) << 1) } else { mode };
                let lots = (0..self.rng.random_range(0..5)).map(|_| self.lots()).collect();
                Operation::Ladder { market, mode, ticks, step: self.rng.random_range(-2..3), expiry_s, client, lots }
            }
            91..94 => Operation::CancelUpTo { market, side: mode.side(), ticks, steps_max },
            94..98 => Operation::CancelClient { client, until_s: self.now_s + self.rng.random_range(0..6) },
            _ => {
                let at_s = if self.rng.random_bool(0.8) { 0 } else { self.now_s + self.rng.random_range(0..20) };
                Operation::Schedule { at_s }
            }
        }
    }

    fn command(&mut self) -> (Address, Command) {
        let who = self.rng.random_range(0..TRADERS);
        let own = AccountId::numbered(trader(who), 0);
        let other = AccountId::numbered(trader((who + 1) % TRADERS), 0);
        let account = if self.rng.random_bool(0.85) { own } else { other };
        let orders: Vec<OrderId> = (0..self.rng.random_range(0..4)).map(|_| self.order(other)).collect();
        let command = match self.rng.random_range(0..100) {
            0..70 => {
                let operations: Vec<Operation> = (0..self.rng.random_range(1..6)).map(|_| self.operation(account)).collect();
                let mut ops = operation::encode(self.rng.random_bool(0.5), &operations);
                if self.rng.random_bool(0.01) {
                    ops.pop();
                }
                Command::Execute { account, ops: ops.into() }
            }
            70..76 => {
                let Operation::Place { market, mode, ticks, lots, expiry_s, client, steps_max } = self.operation(account) else {
                    return self.command();
                };
                Command::Place { account, market, mode, ticks, lots, expiry_s, client, steps_max }
            }
            76..79 => Command::Claim { orders },
            79..82 => Command::Poke { account: other, orders },
            82..85 => {
                let side = self.side();
                let level = LevelKey { market: MarketId(self.rng.random_range(0..4)), side, ticks: self.ticks(side) };
                Command::Prune { level, steps_max: self.steps_max() }
            }
            85..88 => {
                let settle = orders;
                Command::Deposit { account, token: token(self.rng.random_range(0..3)), atoms: U256::from(2_000_000), settle }
            }
            88..91 => {
                let to = trader((self.rng.random_range(0..2) + who) % TRADERS);
                let atoms = U256::from(self.rng.random_range(0..9_000_000));
                Command::Withdraw { account, token: token(self.rng.random_range(0..3)), atoms, to, settle: orders }
            }
            91..94 => Command::ApproveAgent {
                account: own,
                agent: trader((who + TRADERS - 1) % TRADERS),
                expiry_s: self.now_s + self.rng.random_range(0..60),
                perms: self.rng.random_range(0..16),
                cap_atoms: if self.rng.random_bool(0.5) { 0 } else { 5_000_000 },
                markets: [MarketId(self.rng.random_range(0..3)), MarketId(0), MarketId(self.rng.random_range(0..3))],
            },
            94..96 => Command::SetTier { account: own, tier: self.rng.random_range(0..17) },
            96 => Command::SweepFees { token: TokenId(self.rng.random_range(2..5)), accounts: vec![own, other, AccountId(1)] },
            97 => Command::CancelNonces { account: own, word: self.rng.random_range(0..3), mask: U256::from(5) },
            _ => {
                // Market 3 may be stopped and, late, halted; the others stay open.
                let last = if self.now_s > 1_200 { 5 } else { 4 };
                let status = if self.rng.random_bool(0.6) { 1 } else { self.rng.random_range(1..last) };
                return (trader(0), Command::SetStatus { market: MarketId(3), status });
            }
        };
        (trader(who), command)
    }
}

fn token(n: u8) -> Address {
    Address::repeat_byte(0xa0 + n)
}

/// Three markets, four traders with an account and money; trader 0 has all roles.
fn world() -> Engine {
    let mut engine = Engine::new(trader(0));
    (0..3).for_each(|n| engine.deploy_token(token(n), 18));
    let market = |base, quote, per_tick, per_lot, lots_min, taker_fee_ppm, maker_fee_ppm, min_ttl_s| Command::CreateMarket {
        base: token(base),
        quote: token(quote),
        quote_atoms_per_lot_tick: per_tick,
        base_atoms_per_lot: per_lot,
        lots_min,
        taker_fee_ppm,
        maker_fee_ppm,
        min_ttl_s,
        status: 1,
    };
    let markets = [market(0, 1, 10, 1_000, 1, 500, 100, 0), market(2, 1, 7, 3, 1, 300, -300, 3), market(2, 0, 1, 1, 3, 0, 0, 0)];
    for command in markets.into_iter().chain([Command::SetRole { role: 2, who: trader(0) }]) {
        engine.apply(trader(0), &command, 0).expect("the opening succeeds");
    }
    for (who, of) in (0..TRADERS).flat_map(|who| (0..3).map(move |of| (who, of))) {
        let deposit = Command::Deposit { account: AccountId(0), token: token(of), atoms: U256::from(30_000_000), settle: Vec::new() };
        engine.apply(trader(who), &deposit, 0).expect("the opening succeeds");
    }
    engine
}

type Everything = (Vec<(LevelKey, U256)>, BTreeMap<u128, u128>, Vec<U256>);

/// Every word that the draws can reach.
fn everything(engine: &Engine) -> Everything {
    let mut levels: Vec<_> = engine.books().iter().flat_map(Book::levels).collect();
    levels.sort();
    let records = engine.books().iter().flat_map(Book::records).map(|(id, record)| (id.packed(), record.bits())).collect();
    let mut words = Vec::new();
    let accounts = (0..TRADERS).map(|who| AccountId::numbered(trader(who), 0)).chain([AccountId(1)]);
    for account in accounts {
        words.push(engine.word(keys::Base::Account, U256::from(account.0)));
        words.extend((2..5).map(|token| engine.word(keys::Base::Balance, keys::balance(account, TokenId(token)))));
        words.extend((0..16).map(|client| engine.word(keys::Base::Clients, keys::client(account, client))));
        words.extend((0..3).map(|word| engine.word(keys::Base::Nonces, keys::nonces(account, word << 8))));
        words.extend((0..TRADERS).map(|who| engine.word(keys::Base::Agents, keys::agent(account, trader(who)))));
    }
    for book in engine.books() {
        words.push(engine.word(keys::Base::Config, U256::from(book.market().id.0)));
        for side in [Side::Bid, Side::Ask] {
            for ticks in [1, 255, MIDDLE - 256, MIDDLE - 1, MIDDLE, 1 << 23] {
                words.extend(keys::bits_of(book.market().id, side, Ticks(ticks)).map(|key| engine.word(keys::Base::Bits, key)));
            }
        }
    }
    (levels, records, words)
}

fn same_books(engine: &Engine, followed: &[Book], what: &Command) {
    for (left, right) in engine.books().iter().zip(followed) {
        left.check().unwrap_or_else(|error| panic!("{what:?}: {error}"));
        let sorted = |book: &Book| {
            let (mut levels, mut records): (Vec<_>, Vec<_>) = (book.levels().collect(), book.records().collect());
            levels.sort();
            records.sort_by_key(|(id, _)| *id);
            (levels, records)
        };
        assert_eq!(sorted(left), sorted(right), "{what:?}");
    }
}

#[test]
fn batches_keep_the_books_and_the_money() {
    let seed = std::env::var("HIFI_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261_122);
    println!("HIFI_SEED={seed}");
    let commands = std::env::var("HIFI_OPS").ok().and_then(|text| text.replace('_', "").parse().ok()).unwrap_or(12_000);
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for run in 0..4 {
        let mut engine = world();
        let mut followed = engine.books().to_vec();
        let mut draw = Draw { rng: StdRng::seed_from_u64(seed + run), orders: Vec::new(), now_s: 10 };
        for op in 0..commands / 4 {
            draw.now_s += draw.rng.random_range(0..2);
            let (caller, command) = draw.command();
            let before = everything(&engine);
            match engine.execute(caller, &command, draw.now_s) {
                Err(reject) => {
                    assert_eq!(before, everything(&engine), "{command:?} failed with {reject} and left a trace");
                    *seen.entry(format!("whole {}", reject.name())).or_default() += 1;
                }
                Ok((events, words)) => {
                    for event in &events {
                        if let Some(book) = event.market().and_then(|market| followed.get_mut(market.0 as usize - 1)) {
                            book.replay(event).unwrap_or_else(|error| panic!("{event:?} of {command:?}: {error}"));
                        }
                        learn(&mut draw, &mut seen, event);
                    }
                    if let Command::Execute { ops, .. } = &command {
                        let (_, operations) = operation::decode(ops).expect("it was accepted");
                        let outcomes = operation::outcomes(&operations, &words).expect("words of this batch");
                        for outcome in outcomes.iter().flatten() {
                            let Outcome::Failed { reason } = outcome else { continue };
                            let reject = crate::abi::reject_from_selector(*reason).map_or("unknown", |reject| reject.name());
                            *seen.entry(format!("skipped {reject}")).or_default() += 1;
                        }
                    }
                }
            }
            same_books(&engine, &followed, &command);
            if op % 50 == 0 {
                for token in (2..5).map(TokenId) {
                    assert_eq!(engine.claims_atoms(token), Some(engine.vault_atoms(token)), "after {command:?}");
                }
            }
        }
    }
    println!("{seen:#?}");
    let needed = [
        "Expired",
        "Stp",
        "Replaced",
        "Deadman",
        "Reduce",
        "Cancel",
        "reason Steps",
        "reason Stp",
        "reason Budget",
        "bare fill",
        "refund",
        "skipped Slippage",
        "skipped WouldCross",
        "skipped StepLimit",
        "skipped CloidInUse",
        "skipped PreCancelled",
        "skipped OverCap",
        "skipped NotAuthorized",
        "skipped Expired",
        "skipped NotFilled",
        "skipped Insufficient",
        "skipped NotLive",
        "whole BadOps",
    ];
    if commands >= 12_000 {
        let missing: Vec<_> = needed.iter().filter(|name| !seen.contains_key(**name)).collect();
        assert!(missing.is_empty(), "never met: {missing:?}");
    }
}

fn learn(draw: &mut Draw, seen: &mut BTreeMap<String, usize>, event: &Event) {
    let name = match event {
        Event::Placed { order, account, .. } => {
            if draw.orders.len() < 120 {
                draw.orders.push((*order, *account));
            } else {
                let at = draw.rng.random_range(0..120);
                draw.orders[at] = (*order, *account);
            }
            return;
        }
        Event::Reduced { reason, .. } => format!("{reason:?}"),
        Event::Taken { reason, .. } => format!("reason {reason:?}"),
        Event::Claimed { back, .. } if back.0 > 0 => "refund".to_string(),
        Event::LevelFill { .. } => "bare fill".to_string(),
        _ => return,
    };
    *seen.entry(name).or_default() += 1;
}
