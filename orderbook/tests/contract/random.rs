//! The same random commands on the contract and the engine: after every one, the result, the error, the events and every word that
//! either side changed are equal; a refused command changes no slot. At times, all words there are.

use crate::evm::{Chain, EXCHANGE, Outcome};
use crate::stream::{Stream, TOKENS, ops, seed};
use alloy_primitives::{Address, B256, U256, map::HashMap};
use orderbook::{
    AccountId, Command, Engine, Event, LevelKey, LevelWord, Lots, MarketId, OrderId, Reject, TakenReason, TokenId, abi, keys, keys::Base,
    scenario,
};
use std::collections::{BTreeMap, HashSet};

/// Worlds of the run in CI; a longer run starts a new one every so many commands.
const RUNS: usize = 8;
const OPS_PER_RUN_MAX: usize = 25_000;

/// Every word that may be in use, by slot.
#[derive(Default)]
struct Words {
    known: HashMap<B256, (Base, U256)>,
    accounts: Vec<AccountId>,
    tokens: u32,
    levels: HashSet<u64>,
}

impl Words {
    fn new() -> Words {
        let mut words = Words { tokens: 1, ..Words::default() };
        for base in [Base::Owner, Base::Guardian, Base::FeeManager, Base::Counts] {
            words.know(base, U256::ZERO);
        }
        words
    }

    fn know(&mut self, base: Base, key: U256) -> B256 {
        let slot = base.slot(key);
        self.known.insert(slot, (base, key));
        slot
    }

    /// Learns the words an event brings into being.
    fn learn(&mut self, event: &Event) {
        match event {
            Event::Placed { order, .. } => {
                self.know(Base::Order, keys::order(*order));
                if self.levels.insert(order.level.packed()) {
                    self.know(Base::Level, keys::level(order.level));
                    for key in keys::bits_of(order.level.market, order.level.side, order.level.ticks) {
                        self.know(Base::Bits, key);
                    }
                }
            }
            Event::AccountCreated { account, owner } => {
                self.accounts.push(*account);
                self.know(Base::Account, U256::from(account.0));
                self.know(Base::AccountOf, U256::from_be_slice(owner.as_slice()));
                for token in 1..=self.tokens {
                    self.know(Base::Balance, keys::balance(*account, TokenId(token)));
                }
            }
            Event::TokenAdded { token, at, .. } => {
                self.tokens = token.0;
                self.know(Base::Tokens, U256::from(token.0));
                self.know(Base::TokenOf, U256::from_be_slice(at.as_slice()));
                for account in self.accounts.clone() {
                    self.know(Base::Balance, keys::balance(account, *token));
                }
            }
            Event::MarketCreated { market, .. } => {
                self.know(Base::Config, U256::from(market.0));
            }
            _ => {}
        }
    }
}

/// The slots an event of the engine speaks of; its changes must be in the contract too.
fn touched(engine: &Engine, event: &Event) -> Vec<(Base, U256)> {
    let of_level = |level: LevelKey| {
        let bits = keys::bits_of(level.market, level.side, level.ticks).map(|key| (Base::Bits, key));
        [vec![(Base::Level, keys::level(level))], bits.to_vec()].concat()
    };
    let of_order = |order: OrderId| [of_level(order.level), vec![(Base::Order, keys::order(order))]].concat();
    let money = |market: MarketId, account: AccountId| {
        let market = engine.book(market).expect("an event's market exists").market();
        [market.base, market.quote].map(|token| (Base::Balance, keys::balance(account, token))).to_vec()
    };
    match event {
        Event::Placed { order, account, .. } | Event::Claimed { order, account, .. } => {
            [of_order(*order), money(order.level.market, *account)].concat()
        }
        Event::Reduced { order, .. } => of_order(*order),
        Event::LevelFill { level, .. } => of_level(*level),
        Event::Taken { market, account, .. } => money(*market, *account),
        Event::Deposit { account, token, .. } | Event::Withdraw { account, token, .. } => {
            vec![(Base::Balance, keys::balance(*account, *token))]
        }
        Event::AccountCreated { account, owner } => {
            vec![(Base::Account, U256::from(account.0)), (Base::AccountOf, U256::from_be_slice(owner.as_slice()))]
        }
        Event::TokenAdded { token, at, .. } => {
            vec![(Base::Tokens, U256::from(token.0)), (Base::TokenOf, U256::from_be_slice(at.as_slice())), (Base::Counts, U256::ZERO)]
        }
        Event::MarketCreated { market, .. } => vec![(Base::Config, U256::from(market.0)), (Base::Counts, U256::ZERO)],
        Event::Status { market, .. } => vec![(Base::Config, U256::from(market.0))],
        _ => Vec::new(),
    }
}

/// What the call must have returned, told from the engine's events.
fn same_result(command: &Command, engine: &Engine, caller: Address, events: &[Event], output: &[u8]) {
    let removed = events.iter().find_map(|event| match event {
        Event::Reduced { removed, .. } => Some(*removed),
        _ => None,
    });
    let claimed = events.iter().find_map(|event| match event {
        Event::Claimed { lots, .. } => Some(*lots),
        _ => None,
    });
    match command {
        Command::Place { .. } => {
            let placed = events.iter().find_map(|event| match event {
                Event::Placed { order, .. } => Some(*order),
                _ => None,
            });
            let filled = events.iter().find_map(|event| match event {
                Event::Taken { filled, .. } => Some(*filled),
                _ => None,
            });
            assert_eq!(abi::place_result(output).expect("a place's result"), (placed, filled.unwrap_or(Lots(0))));
        }
        Command::Cancel { .. } => {
            let expected = (removed.unwrap_or(Lots(0)), claimed.unwrap_or(Lots(0)));
            assert_eq!(abi::cancel_result(output).expect("a cancel's result"), expected);
        }
        Command::Reduce { .. } => {
            assert_eq!(abi::reduce_result(output).expect("a reduce's result"), removed.unwrap_or(Lots(0)));
        }
        Command::Claim { .. } | Command::SetStatus { .. } => assert!(output.is_empty()),
        Command::Register { salt } => {
            assert_eq!(abi::account_result(output).expect("an account"), AccountId::numbered(caller, *salt));
        }
        Command::Deposit { account, .. } => {
            let expected = if account.0 == 0 { engine.account_of(caller).expect("it has one now") } else { *account };
            assert_eq!(abi::account_result(output).expect("an account"), expected);
        }
        Command::Withdraw { .. } => {
            let Some(Event::Withdraw { atoms, .. }) = events.last() else { panic!("a withdrawal says so last") };
            assert_eq!(abi::withdraw_result(output).expect("atoms"), *atoms);
        }
        Command::AddToken { token } => {
            assert_eq!(Some(abi::token_result(output).expect("a token")), engine.token(*token));
        }
        Command::CreateMarket { .. } => {
            assert_eq!(abi::market_result(output).expect("a market").0 as usize, engine.books().len());
        }
        other => panic!("the stream does not draw {other:?}"),
    }
}

/// How often the situations that matter occurred, by name.
fn note(seen: &mut BTreeMap<&'static str, usize>, command: &Command, events: &[Event]) {
    let mut note = |name: &'static str, occurred: bool| *seen.entry(name).or_default() += occurred as usize;
    let count = |is: fn(&Event) -> bool| events.iter().filter(|event| is(event)).count();
    let levels = count(|event| matches!(event, Event::LevelFill { .. }));
    let taken = events.iter().find_map(|event| match event {
        Event::Taken { reason, filled, .. } => Some((*reason, *filled)),
        _ => None,
    });
    let reduced = count(|event| matches!(event, Event::Reduced { .. }));
    let claimed = count(|event| matches!(event, Event::Claimed { .. }));
    let word = |event: &Event| match event {
        Event::LevelFill { word, .. } => LevelWord::from_word(*word),
        _ => None,
    };
    note("take", taken.is_some_and(|(_, filled)| filled.0 > 0));
    note("take through several levels", levels > 1);
    note("level emptied by a take", events.iter().filter_map(word).any(|word| word.open.0 == 0));
    note("head filled in part", events.iter().filter_map(word).any(|word| word.head_filled.0 > 0));
    note("steps used up", matches!(taken, Some((TakenReason::Steps, _))));
    note("only holes passed", levels > 0 && matches!(taken, Some((_, Lots(0)))));
    note("take, then rest", taken.is_some() && count(|event| matches!(event, Event::Placed { .. })) > 0);
    note("cancel of a partly filled order", matches!(command, Command::Cancel { .. }) && reduced == 1 && claimed == 1);
    note("cancel of a filled order", matches!(command, Command::Cancel { .. }) && reduced == 0);
    note("reduce", matches!(command, Command::Reduce { .. }) && reduced == 1);
    note("reduce without effect", matches!(command, Command::Reduce { .. }) && events.is_empty());
    note("claim", matches!(command, Command::Claim { .. }) && claimed > 0);
    note("deposit that settles", matches!(command, Command::Deposit { .. }) && claimed > 0);
    note("withdrawal that settles", matches!(command, Command::Withdraw { .. }) && claimed > 0);
}

/// A contract and an engine side by side.
struct Pair {
    chain: Chain,
    engine: Engine,
    words: Words,
}

impl Pair {
    fn new() -> Pair {
        let (mut chain, mut engine) = (Chain::new(), Engine::new(scenario::trader("owner")));
        for token in TOKENS {
            chain.deploy_token(scenario::token(token));
            engine.deploy_token(scenario::token(token), 18);
        }
        Pair { chain, engine, words: Words::new() }
    }

    /// Does the command on both and compares; returns the engine's answer.
    fn step(&mut self, caller: Address, command: &Command) -> Result<Vec<Event>, Reject> {
        let Outcome { result, changed } = self.chain.send(caller, command);
        let expected = self.engine.apply(caller, command, 0);
        match (&expected, &result) {
            (Ok(events), Ok((logs, output))) => {
                assert_eq!(events, logs, "events of {command:?}");
                same_result(command, &self.engine, caller, events, output);
            }
            (Err(expected), Err(found)) => {
                assert_eq!(expected, found, "reject of {command:?}");
                assert!(changed.is_empty(), "{command:?} failed and changed {changed:?}");
            }
            _ => panic!("{command:?}: the engine says {expected:?}, the contract {:?}", result.as_ref().map(|(events, _)| events)),
        }
        for event in expected.iter().flatten() {
            self.words.learn(event);
            for (base, key) in touched(&self.engine, event) {
                self.same_word(base, key, command);
            }
        }
        for (slot, value) in changed {
            let (base, key) = *self.words.known.get(&slot).unwrap_or_else(|| panic!("{command:?} changed the unknown slot {slot}"));
            assert_eq!(self.engine.word(base, key), value, "{base:?} {key:#x} after {command:?}");
        }
        expected
    }

    fn same_word(&self, base: Base, key: U256, command: &Command) {
        let (found, expected) = (self.chain.storage(base.slot(key)), self.engine.word(base, key));
        assert_eq!(found, expected, "{base:?} {key:#x} after {command:?}");
    }

    /// Compares every word that was ever in use, and the vault with the tokens it holds.
    fn same_everything(&mut self) {
        for (slot, (base, key)) in &self.words.known {
            assert_eq!(self.chain.storage(*slot), self.engine.word(*base, *key), "{base:?} {key:#x}");
        }
        for name in TOKENS.iter().chain(&["COIN"]) {
            let at = scenario::token(name);
            let Some(token) = self.engine.token(at) else { continue };
            let held = self.chain.held(at, EXCHANGE);
            assert_eq!(held, U256::from(self.engine.vault_atoms(token)), "the vault of {name}");
            assert_eq!(self.engine.claims_atoms(token), Some(self.engine.vault_atoms(token)), "{name} is conserved");
        }
    }
}

#[test]
fn random_commands_do_the_same_on_contract_and_engine() {
    let ops = ops(50_000);
    let first = seed(4_434);
    let runs = RUNS.max(ops.div_ceil(OPS_PER_RUN_MAX));
    let mut done = 0;
    let (mut refused, mut seen) = (BTreeMap::<&str, usize>::new(), BTreeMap::new());
    let started = std::time::Instant::now();
    for run in 0..runs {
        let mut stream = Stream::new(first.wrapping_add(run as u64));
        let mut pair = Pair::new();
        let mut commands = stream.opening().into_iter();
        for op in 0..ops / runs {
            let (caller, command) = commands.next().unwrap_or_else(|| stream.next());
            let step = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pair.step(caller, &command)));
            match step.unwrap_or_else(|_| panic!("HIFI_SEED={first}: world {run}, operation {op} differs")) {
                Ok(events) => {
                    done += 1;
                    stream.saw(&events);
                    note(&mut seen, &command, &events);
                }
                Err(reject) => *refused.entry(reject.name()).or_default() += 1,
            }
        }
        pair.same_everything();
    }
    println!("{} operations in {runs} worlds, {:.1?}: {done} done", ops / runs * runs, started.elapsed());
    println!("seen {seen:?}");
    println!("refused {refused:?}");
    // A short run by hand may miss a rare situation; the run in CI may not.
    if ops >= 50_000 {
        for (situation, times) in &seen {
            assert!(*times > 0, "the stream never met: {situation}");
        }
        for needed in
            ["WouldCross", "NotFilled", "Insufficient", "UnknownOrder", "NotAuthorized", "NotLive", "BadMode", "BadTick", "BadLots"]
        {
            assert!(refused.contains_key(needed), "the stream never met {needed}");
        }
    }
    assert!(done * 2 > ops, "a stream that is mostly refused tests little");
}

#[test]
fn a_full_level_is_refused() {
    let mut pair = Pair::new();
    for (caller, command) in Stream::new(0).opening() {
        pair.step(caller, &command).expect("the opening succeeds");
    }
    let level = LevelKey { market: MarketId(1), side: orderbook::Side::Ask, ticks: orderbook::Ticks(100) };
    let slot = Base::Level.slot(keys::level(level));
    assert_eq!(pair.chain.storage(slot), U256::ZERO);
    let end = (1_u64 << 40) - 1;
    let word = U256::from(end) << 216 | U256::from(end) << 176;
    pair.chain.set_storage(slot, word);
    let place = Command::Place {
        account: AccountId(0),
        market: MarketId(1),
        mode: orderbook::Mode::new(orderbook::Side::Ask, orderbook::TimeInForce::Gtc),
        ticks: orderbook::Ticks(100),
        lots: Lots(1),
        expiry_s: 0,
        client: 0,
        steps_max: 0,
    };
    let outcome = pair.chain.send(scenario::trader("trader 0"), &place);
    assert_eq!(outcome.result.err(), Some(Reject::LevelFull));
    assert!(outcome.changed.is_empty());
}
