//! The same random commands on the contract and the engine: after every one, the result, the error, the events and every word that
//! either side changed are equal; a refused command changes no slot. Every so often all words there are, the books that `Book::replay`
//! makes of the contract's logs, and every token's sum.
//!
//! `HIFI_OPS` commands (100,000), `HIFI_SEED`, `HIFI_COMPARE_EVERY` (1,000; 1: all words after each command), `HIFI_THREADS` (1).

use crate::draw::{DOMAIN, Draw, TOKENS, from_env};
use crate::evm::{Chain, EXCHANGE, Outcome};
use alloy_primitives::{Address, B256, U256, map::HashMap};
use orderbook::{
    AccountId, Book, Command, Engine, Event, LevelKey, LevelWord, Lots, Market, MarketId, OrderId, Reject, Side, TakenReason, Ticks,
    TokenId, abi, keys,
    keys::Base,
    operation::{self, Operation},
    scenario,
};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

/// Worlds of the run in CI; a longer run starts a new one every so many commands.
const WORLDS: u64 = 8;
const COMMANDS_PER_WORLD_MAX: u64 = 25_000;
/// As above, when all words are compared after each.
const COMMANDS_PER_SMALL_WORLD: u64 = 2_500;
/// What is slow to compare is compared no more often than this.
const SLOW_EVERY: u64 = 100;
/// Commands shown when one differs.
const SHOWN: usize = 6;

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
        let mut words = Words { tokens: 1, accounts: vec![AccountId(1)], ..Words::default() };
        for base in [Base::Owner, Base::Guardian, Base::FeeManager, Base::Counts] {
            words.know(base, U256::ZERO);
        }
        words.know(Base::Account, U256::from(1));
        words.know(Base::Balance, keys::balance(AccountId(1), TokenId(1)));
        words
    }

    fn know(&mut self, base: Base, key: U256) {
        self.known.insert(base.slot(key), (base, key));
    }

    fn know_account(&mut self, account: AccountId) {
        self.accounts.push(account);
        for token in 1..=self.tokens {
            self.know(Base::Balance, keys::balance(account, TokenId(token)));
        }
    }

    fn know_level(&mut self, level: LevelKey) {
        if self.levels.insert(level.packed()) {
            self.know(Base::Level, keys::level(level));
            for key in keys::bits_of(level.market, level.side, level.ticks) {
                self.know(Base::Bits, key);
            }
        }
    }

    /// Learns the words an event brings into being.
    fn learn(&mut self, event: &Event) {
        match event {
            Event::Placed { order, account, client, mode, .. } => {
                self.know(Base::Order, keys::order(*order));
                self.know_level(order.level);
                if mode.tracked() {
                    self.know(Base::Clients, keys::client(*account, *client));
                }
            }
            Event::AccountCreated { account, owner } => {
                self.know(Base::Account, U256::from(account.0));
                self.know(Base::AccountOf, U256::from_be_slice(owner.as_slice()));
                self.know_account(*account);
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
                self.know_account(AccountId(1 << 31 | market.0));
            }
            Event::Agent { account, agent, .. } => self.know(Base::Agents, keys::agent(*account, *agent)),
            Event::Signed { account, nonce, .. } => self.know(Base::Nonces, keys::nonces(*account, *nonce)),
            Event::CloidPreCancelled { account, client, .. } => self.know(Base::Clients, keys::client(*account, *client)),
            // A tier may be given to a number nobody has taken yet.
            Event::Tier { account, .. } => self.know(Base::Account, U256::from(account.0)),
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
        Event::Placed { order, account, client, .. } => {
            let client = (Base::Clients, keys::client(*account, *client));
            [of_order(*order), money(order.level.market, *account), vec![client]].concat()
        }
        Event::Claimed { order, account, .. } => [of_order(*order), money(order.level.market, *account)].concat(),
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
        Event::Agent { account, agent, .. } => vec![(Base::Agents, keys::agent(*account, *agent))],
        Event::Signed { account, nonce, .. } => vec![(Base::Nonces, keys::nonces(*account, *nonce))],
        Event::Scheduled { account, .. } | Event::Tier { account, .. } => vec![(Base::Account, U256::from(account.0))],
        Event::CloidPreCancelled { account, client, .. } => vec![(Base::Clients, keys::client(*account, *client))],
        Event::FeesSwept { account, token, .. } => {
            [*account, AccountId(1)].map(|account| (Base::Balance, keys::balance(account, *token))).to_vec()
        }
        Event::Role { .. } => [Base::Owner, Base::Guardian, Base::FeeManager].map(|base| (base, U256::ZERO)).to_vec(),
        Event::Rejected { .. } | Event::Swapped { .. } => Vec::new(),
    }
}

/// What the call must have returned, told from the engine's events and a batch's words.
fn same_result(command: &Command, engine: &Engine, caller: Address, events: &[Event], words: &[U256], output: &[u8]) {
    let removed = events.iter().find_map(|event| match event {
        Event::Reduced { removed, .. } => Some(*removed),
        Event::Claimed { back, .. } if back.0 > 0 => Some(*back),
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
        Command::Execute { .. } | Command::ExecuteSigned { .. } => {
            assert_eq!(abi::batch_result(output).expect("words"), words, "result words");
        }
        Command::SwapExactIn { .. } => {
            let Some(Event::Swapped { atoms_out, .. }) = events.last() else { panic!("a swap says so last") };
            assert_eq!(abi::swap_result(output).expect("atoms"), *atoms_out);
        }
        Command::Register { salt } => {
            assert_eq!(abi::account_result(output).expect("an account"), AccountId::numbered(caller, *salt));
        }
        Command::Deposit { account, .. } | Command::DepositPermit { account, .. } => {
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
        _ => assert!(output.is_empty(), "it returns nothing"),
    }
}

/// What a run did, by name: done and refused.
#[derive(Default)]
struct Tally {
    commands: BTreeMap<&'static str, [u64; 2]>,
    operations: BTreeMap<&'static str, [u64; 2]>,
    rejects: BTreeMap<&'static str, u64>,
    situations: BTreeMap<&'static str, u64>,
}

impl Tally {
    fn add(&mut self, caller: Address, command: &Command, engine: &Engine, done: &Result<(Vec<Event>, Vec<U256>), Reject>) {
        self.commands.entry(name_of(command)).or_default()[done.is_err() as usize] += 1;
        let (events, words) = match done {
            Ok(done) => done,
            Err(reject) => {
                *self.rejects.entry(reject.name()).or_default() += 1;
                return;
            }
        };
        if let Command::Execute { ops, .. } | Command::ExecuteSigned { ops, .. } = command {
            let (_, operations) = operation::decode(ops).expect("it was accepted");
            let read = operation::outcomes(&operations, words).expect("the words are those of the operations");
            for (operation, outcomes) in operations.iter().zip(&read) {
                for outcome in outcomes {
                    let failed = matches!(outcome, operation::Outcome::Failed { .. });
                    self.operations.entry(kind_of(operation)).or_default()[failed as usize] += 1;
                }
            }
        }
        for event in events {
            if let Event::Rejected { reason, .. } = event {
                let reject = abi::reject_from_selector(*reason).expect("an error of the exchange");
                *self.rejects.entry(reject.name()).or_default() += 1;
            }
        }
        note(&mut self.situations, caller, command, engine, events);
    }

    fn merge(&mut self, other: Tally) {
        for (own, counts) in [(&mut self.commands, other.commands), (&mut self.operations, other.operations)] {
            for (name, [done, refused]) in counts {
                let sum = own.entry(name).or_default();
                *sum = [sum[0] + done, sum[1] + refused];
            }
        }
        for (own, counts) in [(&mut self.rejects, other.rejects), (&mut self.situations, other.situations)] {
            counts.into_iter().for_each(|(name, times)| *own.entry(name).or_default() += times);
        }
    }

    fn print(&self) {
        let share = |[done, refused]: &[u64; 2]| format!("{done} done, {refused} refused ({}%)", done * 100 / (done + refused).max(1));
        for (what, counts) in [("command", &self.commands), ("operation", &self.operations)] {
            let all = counts.values().fold([0, 0], |sum, counts| [sum[0] + counts[0], sum[1] + counts[1]]);
            println!("{what}s: {}", share(&all));
            counts.iter().for_each(|(name, counts)| println!("  {name:<20} {}", share(counts)));
        }
        println!("rejects {:?}", self.rejects);
        println!("situations {:?}", self.situations);
    }

    /// A long enough run meets everything there is.
    fn check(&self) {
        for (name, [done, _]) in self.commands.iter().chain(&self.operations) {
            assert!(*done > 0, "no {name} was ever accepted");
        }
        assert_eq!((self.commands.len(), self.operations.len()), (22, 10), "every kind was drawn");
        // A token refuses, or calls back, in contracts/test: the tokens here do neither.
        let elsewhere = ["TransferFailed", "Reentered"];
        for reject in Reject::ALL.iter().filter(|reject| !elsewhere.contains(reject)) {
            assert!(self.rejects.contains_key(reject), "the stream never met {reject}");
        }
        for (situation, times) in &self.situations {
            assert!(*times > 0, "the stream never met: {situation}");
        }
    }
}

fn name_of(command: &Command) -> &'static str {
    match command {
        Command::Register { .. } => "register",
        Command::AddToken { .. } => "addToken",
        Command::CreateMarket { .. } => "createMarket",
        Command::SetStatus { .. } => "setStatus",
        Command::Deposit { .. } => "deposit",
        Command::Withdraw { .. } => "withdraw",
        Command::Place { .. } => "place",
        Command::Cancel { .. } => "cancel",
        Command::Reduce { .. } => "reduce",
        Command::Claim { .. } => "claim",
        Command::Execute { .. } => "execute",
        Command::ExecuteSigned { .. } => "executeSigned",
        Command::SwapExactIn { .. } => "swapExactIn",
        Command::DepositPermit { .. } => "depositPermit",
        Command::ApproveAgent { .. } => "approveAgent",
        Command::ApproveAgentSigned { .. } => "approveAgentSigned",
        Command::CancelNonces { .. } => "cancelNonces",
        Command::Poke { .. } => "poke",
        Command::Prune { .. } => "prune",
        Command::SweepFees { .. } => "sweepFees",
        Command::SetTier { .. } => "setTier",
        Command::SetRole { .. } => "setRole",
    }
}

fn kind_of(operation: &Operation) -> &'static str {
    match operation {
        Operation::Place { .. } => "PLACE",
        Operation::Take { .. } => "TAKE",
        Operation::Cancel { .. } => "CANCEL",
        Operation::Reduce { .. } => "REDUCE",
        Operation::Claim { .. } => "CLAIM",
        Operation::Replace { .. } => "REPLACE",
        Operation::Ladder { .. } => "LADDER",
        Operation::CancelUpTo { .. } => "CANCEL_UP_TO",
        Operation::CancelClient { .. } => "CANCEL_CLOID",
        Operation::Schedule { .. } => "SCHEDULE",
    }
}

/// How often the situations that matter occurred, by name.
fn note(seen: &mut BTreeMap<&'static str, u64>, caller: Address, command: &Command, engine: &Engine, events: &[Event]) {
    let mut note = |name: &'static str, occurred: bool| *seen.entry(name).or_default() += occurred as u64;
    let count = |is: &dyn Fn(&Event) -> bool| events.iter().filter(|event| is(event)).count();
    let levels = count(&|event| matches!(event, Event::LevelFill { .. }));
    let taken = events.iter().find_map(|event| match event {
        Event::Taken { reason, filled, mode, account, .. } => Some((*reason, *filled, *mode, *account)),
        _ => None,
    });
    let reduced = |why: orderbook::ReduceReason| count(&|event| matches!(event, Event::Reduced { reason, .. } if *reason == why));
    let any_reduced = count(&|event| matches!(event, Event::Reduced { .. }));
    let claimed = count(&|event| matches!(event, Event::Claimed { .. }));
    let word = |event: &Event| match event {
        Event::LevelFill { word, .. } => LevelWord::from_word(*word),
        _ => None,
    };
    let ended = |why: TakenReason| taken.is_some_and(|(reason, ..)| reason == why);
    note("take", taken.is_some_and(|(_, filled, ..)| filled.0 > 0));
    note("take through several levels", levels > 1);
    note("level emptied by a take", events.iter().filter_map(word).any(|word| word.open.0 == 0));
    note("head filled in part", events.iter().filter_map(word).any(|word| word.head_filled.0 > 0));
    note("taking ended: steps", ended(TakenReason::Steps));
    note("taking ended: own order", ended(TakenReason::Stp));
    note("taking ended: budget", ended(TakenReason::Budget));
    note("only holes passed", levels > 0 && matches!(taken, Some((_, Lots(0), ..))));
    note("take, then rest", taken.is_some() && count(&|event| matches!(event, Event::Placed { .. })) > 0);
    use orderbook::{ReduceReason as Why, SelfTrade};
    let expired = reduced(Why::Expired) > 0;
    note("expired order passed by a taker", expired && taken.is_some());
    note("expired level cleared by a place", expired && taken.is_none() && matches!(command, Command::Place { .. }));
    note("expired order pruned", expired && matches!(command, Command::Prune { .. }));
    note("holes pruned", !expired && !events.is_empty() && matches!(command, Command::Prune { .. }));
    for (rule, name) in [
        (SelfTrade::CancelMaker, "own order cancelled: CANCEL_MAKER"),
        (SelfTrade::CancelBoth, "own order cancelled: CANCEL_BOTH"),
        (SelfTrade::Decrement, "own order decremented"),
    ] {
        note(name, reduced(Why::Stp) > 0 && taken.is_some_and(|(_, _, mode, _)| mode.self_trade() == Some(rule)));
    }
    let slid = events.iter().any(|event| match (event, command) {
        (Event::Placed { order, mode, .. }, Command::Place { ticks, .. }) => mode.0 >> 1 & 7 == 2 && order.level.ticks != *ticks,
        _ => false,
    });
    note("slid to the best price", slid);
    let cancels = matches!(command, Command::Cancel { .. });
    note("cancel of a partly filled order", cancels && any_reduced == 1 && claimed == 1);
    note("cancel of a filled order", cancels && any_reduced == 0);
    note("cancel of an expired order", cancels && events.iter().any(|event| matches!(event, Event::Claimed { back, .. } if back.0 > 0)));
    note("reduce", matches!(command, Command::Reduce { .. }) && any_reduced == 1);
    note("reduce without effect", matches!(command, Command::Reduce { .. }) && events.is_empty());
    note("claim", matches!(command, Command::Claim { .. }) && claimed > 0);
    note("deposit that settles", matches!(command, Command::Deposit { .. }) && claimed > 0);
    note("withdrawal that settles", matches!(command, Command::Withdraw { .. }) && claimed > 0);
    note("poke of a fired switch", reduced(Why::Deadman) > 0);
    note("poke in a halted market", reduced(Why::Halted) > 0);
    note("replaced", reduced(Why::Replaced) > 0);
    note("cancelled ahead", count(&|event| matches!(event, Event::CloidPreCancelled { .. })) > 0);
    let rejected = count(&|event| matches!(event, Event::Rejected { .. }));
    note("batch that skipped a failure", rejected > 0 && events.len() > rejected);
    let swapped = matches!(events.last(), Some(Event::Swapped { .. }));
    let hops = count(&|event| matches!(event, Event::Taken { filled, .. } if filled.0 > 0));
    note("swap of one hop", swapped && hops == 1);
    note("swap of three or four hops", swapped && hops > 2);
    let account = match command {
        Command::Place { account, .. } | Command::Execute { account, .. } | Command::Withdraw { account, .. } => Some(*account),
        _ => None,
    };
    let by_agent = account.is_some_and(|account| account.0 > 1 && engine.owner_of(account).is_some_and(|owner| owner != caller));
    note("agent trades", by_agent && !matches!(command, Command::Withdraw { .. }));
    note("agent withdraws", by_agent && matches!(command, Command::Withdraw { .. }));
    let signer_owns = |account: &AccountId, signer: &Address| engine.owner_of(*account) == Some(*signer);
    let signed = events.iter().find_map(|event| match event {
        Event::Signed { account, signer, .. } => Some((signer_owns(account, signer), signer.as_slice()[0] == signer.as_slice()[19])),
        _ => None,
    });
    note("signed by an owner", matches!(signed, Some((true, _))));
    note("signed by an agent", matches!(signed, Some((false, false))));
    note("signed by a wallet contract", matches!(signed, Some((false, true))));
}

/// A contract, an engine and a follower side by side.
struct World {
    chain: Chain,
    engine: Engine,
    /// What `Book::replay` makes of the contract's logs; market n is at n - 1.
    books: Vec<Book>,
    words: Words,
}

impl World {
    fn new(draw: &Draw) -> World {
        let (mut chain, mut engine) = (Chain::new(), Engine::new(scenario::trader("owner")));
        engine.set_domain(DOMAIN.chain_id, DOMAIN.exchange);
        let tokens = TOKENS.map(scenario::token);
        for token in tokens {
            chain.deploy_token(token);
            engine.deploy_token(token, 18);
        }
        chain.deploy_signer(draw.wallet.at, draw.wallet_key());
        engine.deploy_signer(draw.wallet.at, draw.wallet_key());
        for trader in &draw.traders {
            chain.fund(trader.at, &tokens);
        }
        for other in [scenario::trader("owner"), scenario::trader("stranger")].into_iter().chain(draw.agents()) {
            chain.fund(other, &tokens);
        }
        World { chain, engine, books: Vec::new(), words: Words::new() }
    }

    /// Brings levels near the end of their indexes, so that they soon are full.
    fn age_levels(&mut self) {
        let market = self.engine.book(MarketId(2)).expect("the opening made it").market().clone();
        let tail = (1_u64 << 40) - 1 - 12;
        let word = LevelWord { tail, head: tail, ..LevelWord::default() }.to_word();
        let levels = [(Side::Bid, 65_535), (Side::Ask, 65_537)];
        let levels = levels.map(|(side, ticks)| LevelKey { market: market.id, side, ticks: Ticks(ticks) });
        let aged = Book::restore(market, levels.map(|level| (level, word)), []).expect("empty levels are a book");
        for level in levels {
            self.words.know_level(level);
            self.chain.set_storage(Base::Level.slot(keys::level(level)), word);
        }
        self.books[1] = aged.clone();
        self.engine.restore_book(aged);
    }

    /// Does the command on both and compares; returns the engine's answer.
    fn step(&mut self, caller: Address, command: &Command, now_s: u64) -> Result<(Vec<Event>, Vec<U256>), Reject> {
        self.chain.set_now(now_s);
        let Outcome { result, changed } = self.chain.send(caller, command);
        let expected = self.engine.execute(caller, command, now_s);
        match (&expected, &result) {
            (Ok((events, words)), Ok((logs, output))) => {
                assert_eq!(events, logs, "events");
                same_result(command, &self.engine, caller, events, words, output);
            }
            (Err(expected), Err(found)) => {
                assert_eq!(expected, found, "reject");
                assert!(changed.is_empty(), "it failed and changed {changed:?}");
            }
            _ => panic!("the engine says {expected:?}, the contract {:?}", result.as_ref().map(|(events, _)| events)),
        }
        if let (Command::CancelNonces { account, word, .. }, Ok(_)) = (command, &expected) {
            let account = if account.0 == 0 { self.engine.account_of(caller).expect("it was accepted") } else { *account };
            self.words.know(Base::Nonces, keys::nonces(account, word << 8));
        }
        for event in expected.iter().flat_map(|(events, _)| events) {
            self.words.learn(event);
            self.follow(event);
            for (base, key) in touched(&self.engine, event) {
                let (found, expected) = (self.chain.storage(base.slot(key)), self.engine.word(base, key));
                assert_eq!(found, expected, "{base:?} {key:#x}");
            }
        }
        for (slot, value) in changed {
            let (base, key) = *self.words.known.get(&slot).unwrap_or_else(|| panic!("the contract changed the unknown slot {slot}"));
            assert_eq!(value, self.engine.word(base, key), "{base:?} {key:#x}");
        }
        expected
    }

    fn follow(&mut self, event: &Event) {
        if let Event::MarketCreated { market, cfg } = event {
            self.books.push(Book::new(Market::from_cfg(*market, *cfg).expect("a market has a status")));
        }
        for book in self.books.iter_mut().filter(|book| event.market().is_none_or(|market| market == book.market().id)) {
            book.replay(event).unwrap_or_else(|error| panic!("the follower: {error}"));
        }
    }

    /// Compares every word that was ever in use.
    fn same_words(&self) {
        for (slot, (base, key)) in &self.words.known {
            assert_eq!(self.chain.storage(*slot), self.engine.word(*base, *key), "{base:?} {key:#x}");
        }
    }

    /// Compares the followed books, the law of their levels, and the vault with the tokens it holds and what it owes.
    fn same_books_and_sums(&mut self) {
        for (book, followed) in self.engine.books().iter().zip(&self.books) {
            assert_eq!(book.market(), followed.market());
            assert_eq!(book.levels().collect::<BTreeMap<_, _>>(), followed.levels().collect(), "followed levels");
            assert_eq!(book.records().collect::<BTreeMap<_, _>>(), followed.records().collect(), "followed orders");
            followed.check().unwrap_or_else(|error| panic!("the law of a level: {error}"));
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

/// Runs one world.
fn run(seed: u64, commands: u64, every: u64, tally: &mut Tally) {
    let mut draw = Draw::new(seed);
    let mut world = World::new(&draw);
    let mut opening = draw.opening().into_iter();
    let mut last: VecDeque<(u64, Address, Command)> = VecDeque::new();
    for at in 0..commands {
        let opened = opening.next();
        if opened.is_none() && draw.aged_at.is_none() {
            world.age_levels();
            draw.aged_at = Some(at);
        }
        let (caller, command) = opened.unwrap_or_else(|| draw.next(&world.engine));
        last.push_back((draw.now_s, caller, command.clone()));
        if last.len() > SHOWN {
            last.pop_front();
        }
        let step = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let done = world.step(caller, &command, draw.now_s);
            if at % every == every - 1 {
                world.same_words();
            }
            if at % every.max(SLOW_EVERY) == 0 || at == commands - 1 {
                world.same_books_and_sums();
            }
            done
        }));
        let Ok(done) = step else {
            last.iter().for_each(|(now_s, caller, command)| println!("at {now_s} {caller}: {}", shown(command)));
            panic!("world {seed}, command {at} differs; HIFI_SEED={seed} HIFI_OPS={} repeats it", at + 1);
        };
        tally.add(caller, &command, &world.engine, &done);
        if let Ok((events, _)) = done {
            draw.saw(&events);
        }
    }
    world.same_words();
}

fn shown(command: &Command) -> String {
    match command {
        Command::Execute { ops, .. } | Command::ExecuteSigned { ops, .. } => format!("{command:?} = {:?}", operation::decode(ops)),
        other => format!("{other:?}"),
    }
}

#[test]
fn random_commands_do_the_same_on_contract_engine_and_follower() {
    let commands = from_env("HIFI_OPS", 100_000);
    let first = from_env("HIFI_SEED", 4_434);
    let every = from_env("HIFI_COMPARE_EVERY", 1_000).max(1);
    println!("HIFI_SEED={first} HIFI_OPS={commands} HIFI_COMPARE_EVERY={every}");
    let most = if every < SLOW_EVERY { COMMANDS_PER_SMALL_WORLD } else { COMMANDS_PER_WORLD_MAX };
    let worlds = if commands <= COMMANDS_PER_WORLD_MAX { 1 } else { WORLDS.max(commands.div_ceil(most)) };
    let started = std::time::Instant::now();
    let next = AtomicU64::new(0);
    let work = || {
        let mut tally = Tally::default();
        loop {
            let world = next.fetch_add(1, Ordering::Relaxed);
            if world >= worlds {
                return tally;
            }
            run(first.wrapping_add(world), commands / worlds, every, &mut tally);
            if world % 20 == 19 {
                println!("{} worlds of {worlds}, {:.0?}", world + 1, started.elapsed());
            }
        }
    };
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..from_env("HIFI_THREADS", 1)).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            tally.merge(thread.join().expect("contract, engine and follower do the same in every world"));
        }
    });
    println!("{} commands in {worlds} worlds, all words compared every {every}: {:.1?}", commands / worlds * worlds, started.elapsed());
    tally.print();
    // A short run by hand may miss a rare situation; the run in CI may not.
    if commands >= 100_000 {
        tally.check();
    }
}
