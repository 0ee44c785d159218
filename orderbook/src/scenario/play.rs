//! Plays a scenario on an exchange, engine or contract, and compares what happened with what is written. Fills and drawn books come
//! from `Book::replay` over the events alone, so every play also tests the follower.

use super::{Action, AgentLine, DOMAIN, Deed, MarketLine, NOWHERE, Name, Scenario, Step, sign, token, trader};
use crate::operation::{self, Operation};
use crate::{
    AccountId, Atoms, Book, Command, Event, Fill, LevelKey, LevelWord, Lots, Market, MarketId, Mode, OrderId, Reject, Side, TakenReason,
    TokenId, signed,
};
use alloy_primitives::{Address, B256, Bytes, U256, map::HashMap};

/// Most orders a bare `claim` names.
const CLAIM_MAX: usize = 64;
/// Seconds at which a scenario begins.
const NOW_S: u64 = 1_000;

/// What a scenario can be played on.
pub trait Exchange {
    /// Makes a token contract of 18 decimals exist.
    fn deploy_token(&mut self, at: Address);
    /// Sends a command; a deposit's atoms are in the sender's hands and approved.
    fn apply(&mut self, caller: Address, command: &Command, now_s: u64) -> Result<Vec<Event>, Reject>;
    /// Where signatures must be valid.
    fn set_domain(&mut self, domain: signed::Domain);
    /// Brings an unused level to this tail, as if all its orders were gone.
    fn age_level(&mut self, level: LevelKey, tail: u64);
    /// Free atoms and fees due of an account.
    fn balance(&self, account: AccountId, token: TokenId) -> (Atoms, Atoms);
}

impl Exchange for crate::Engine {
    fn deploy_token(&mut self, at: Address) {
        crate::Engine::deploy_token(self, at, 18);
    }
    fn apply(&mut self, caller: Address, command: &Command, now_s: u64) -> Result<Vec<Event>, Reject> {
        crate::Engine::apply(self, caller, command, now_s)
    }
    fn set_domain(&mut self, domain: signed::Domain) {
        crate::Engine::set_domain(self, domain.chain_id, domain.exchange);
    }
    fn age_level(&mut self, level: LevelKey, tail: u64) {
        if let Some(aged) = self.book(level.market).and_then(|book| aged(book, level, tail)) {
            self.restore_book(aged);
        }
    }
    fn balance(&self, account: AccountId, token: TokenId) -> (Atoms, Atoms) {
        (Atoms(self.free_atoms(account, token)), Atoms(self.fee_due_atoms(account, token)))
    }
}

/// The book with one more level, unused, at this tail.
fn aged(book: &Book, level: LevelKey, tail: u64) -> Option<Book> {
    let word = LevelWord { tail, head: tail, ..LevelWord::default() }.to_word();
    let levels = book.levels().chain([(level, word)]);
    Book::restore(book.market().clone(), levels, book.records()).ok()
}

/// A line that turned out otherwise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {text}\n  written:  {}\n  happened: {}\n  book: {book}", .expected.join("\n            "), .found.join("\n            "))]
pub struct Failure {
    pub line: usize,
    pub text: String,
    pub expected: Vec<String>,
    pub found: Vec<String>,
    /// The drawn book of market 1 at that moment.
    pub book: String,
}

/// Plays all steps; stops at the first that differs.
///
/// # Errors
/// The line, what is written there, what happened, and the book.
pub fn play(scenario: &Scenario, exchange: &mut impl Exchange) -> Result<(), Failure> {
    let mut stage = Stage::new(scenario);
    stage.set_up(scenario, exchange)?;
    for step in &scenario.steps {
        let found = stage.step(step, exchange)?;
        let expected = match &step.action {
            Action::Do { .. } => step.expected.clone(),
            Action::Now { .. } | Action::Tail { .. } => Vec::new(),
            Action::Book { drawn, .. } => vec![drawn.clone()],
            Action::Balance { .. } => found.iter().map(|line| line.written.clone()).collect(),
        };
        let same = expected.len() == found.len() && expected.iter().zip(&found).all(|(expected, found)| found.matches(expected));
        if !same {
            let found = found.into_iter().map(|line| line.full).collect();
            return Err(stage.failure(step, expected, found));
        }
    }
    Ok(())
}

/// Plays the text and writes it anew with the outcomes that happened: how a scenario file is made. Read what it wrote before you commit it.
///
/// # Errors
/// As [`play`], or a parse error as a failure of its line.
pub fn bless(text: &str, exchange: &mut impl Exchange) -> Result<String, Failure> {
    let unreadable = |error: super::ParseError| Failure {
        line: error.line,
        text: error.text,
        expected: vec![error.why.to_string()],
        found: Vec::new(),
        book: String::new(),
    };
    let scenario = super::parse(text).map_err(unreadable)?;
    let mut stage = Stage::new(&scenario);
    stage.set_up(&scenario, exchange)?;
    let mut written = String::new();
    let mut steps = scenario.steps.iter().peekable();
    for (at, line) in text.lines().enumerate() {
        let line_is_outcome = line.trim_start().starts_with("=>");
        let Some(step) = steps.next_if(|step| step.line == at + 1) else {
            if !line_is_outcome {
                written += line;
                written.push('\n');
            }
            continue;
        };
        let found = stage.step(step, exchange)?;
        match &step.action {
            Action::Do { .. } | Action::Now { .. } | Action::Tail { .. } => {
                written += line;
                written.push('\n');
                for outcome in found {
                    written += &format!("  => {}\n", outcome.written);
                }
            }
            Action::Book { market, .. } => {
                let head = if *market == 1 { "book".to_string() } else { format!("book {market}") };
                written += &format!("{head}: {}\n", found[0].written);
            }
            Action::Balance { account, .. } => {
                let list: Vec<String> = found.into_iter().map(|line| line.full).collect();
                written += &format!("balance {account}: {}\n", list.join(", "));
            }
        }
    }
    Ok(written)
}

/// An outcome: all that can be said, and what a file usually says.
struct Outcome {
    full: String,
    written: String,
}

impl Outcome {
    fn plain(full: String) -> Outcome {
        Outcome { written: full.clone(), full }
    }
    /// A written outcome may stop early: its words must begin the full line.
    fn matches(&self, expected: &str) -> bool {
        let mut full = self.full.split_whitespace();
        expected.split_whitespace().all(|word| full.next() == Some(word)) && (!expected.is_empty() || self.full.is_empty())
    }
}

struct Stage {
    funds: Option<u128>,
    now_s: u64,
    books: Vec<Book>,
    names: HashMap<AccountId, String>,
    /// Whoever was named, by address.
    people: HashMap<Address, String>,
    /// Orders that rested, by trader.
    orders: HashMap<String, Vec<OrderId>>,
    /// Token names by number.
    tokens: HashMap<TokenId, String>,
    known_tokens: Vec<String>,
    /// Fills of the operation under way, until `Taken` names the taker.
    fills: Vec<Fill>,
}

impl Stage {
    fn new(scenario: &Scenario) -> Stage {
        let mut known_tokens: Vec<String> = vec!["COIN".to_string()];
        let mut know = |name: &String| {
            if name != NOWHERE && !known_tokens.contains(name) {
                known_tokens.push(name.clone());
            }
        };
        for market in &scenario.markets {
            know(&market.base);
            know(&market.quote);
        }
        for step in &scenario.steps {
            match &step.action {
                Action::Do { deed: Deed::Create(market), .. } => {
                    know(&market.base);
                    know(&market.quote);
                }
                Action::Do { deed: Deed::List { token } | Deed::Deposit { token, .. }, .. } => know(token),
                _ => {}
            }
        }
        Stage {
            funds: scenario.funds,
            now_s: NOW_S,
            books: Vec::new(),
            people: HashMap::default(),
            names: HashMap::from_iter([(AccountId(1), "fees".to_string())]),
            orders: HashMap::default(),
            tokens: HashMap::from_iter([(TokenId(1), "COIN".to_string())]),
            known_tokens,
            fills: Vec::new(),
        }
    }

    fn set_up(&mut self, scenario: &Scenario, exchange: &mut impl Exchange) -> Result<(), Failure> {
        for name in self.known_tokens.iter().filter(|name| *name != "COIN") {
            exchange.deploy_token(token(name));
        }
        exchange.set_domain(DOMAIN);
        for market in &scenario.markets {
            let events = exchange.apply(trader("owner"), &create(market), NOW_S);
            self.follow(&events.map_err(|reject| self.set_up_failure("market", reject))?)?;
        }
        Ok(())
    }

    fn set_up_failure(&self, text: &str, reject: Reject) -> Failure {
        Failure { line: 0, text: text.to_string(), expected: Vec::new(), found: vec![reject.to_string()], book: String::new() }
    }

    fn failure(&self, step: &Step, expected: Vec<String>, found: Vec<String>) -> Failure {
        let book = self.books.first().map_or(String::new(), draw);
        Failure { line: step.line, text: step.text.clone(), expected, found, book }
    }

    fn step(&mut self, step: &Step, exchange: &mut impl Exchange) -> Result<Vec<Outcome>, Failure> {
        match &step.action {
            Action::Do { by, account, deed } => {
                let meant = match deed {
                    Deed::Relay { account, .. } | Deed::Grant { account, .. } | Deed::Poke { account, .. } => account,
                    _ => account,
                };
                for name in [by, account, meant] {
                    self.mention(name, deed, exchange)?;
                }
                let other = match deed {
                    Deed::Agent(line) | Deed::Grant { agent: line, .. } => &line.agent,
                    Deed::Role { who, .. } => who,
                    Deed::Relay { signer, .. } => signer,
                    Deed::Swap { to, .. } => to,
                    _ => by,
                };
                for name in [by, account, meant, other] {
                    self.people.insert(trader(name), name.clone());
                }
                let command = self.command(by, account, deed);
                match exchange.apply(trader(by), &command, self.now_s) {
                    Ok(events) => self.follow(&events).map_err(|failure| Failure { line: step.line, text: step.text.clone(), ..failure }),
                    Err(reject) => Ok(vec![Outcome::plain(format!("reject {}", rejected(reject)))]),
                }
            }
            Action::Now { now_s } => {
                self.now_s = *now_s;
                Ok(Vec::new())
            }
            Action::Tail { market, side, ticks, tail } => {
                let level = LevelKey { market: MarketId(*market), side: *side, ticks: *ticks };
                exchange.age_level(level, *tail);
                if let Some(book) = self.books.get_mut((*market as usize).wrapping_sub(1))
                    && let Some(aged) = aged(book, level, *tail)
                {
                    *book = aged;
                }
                Ok(Vec::new())
            }
            Action::Book { market, .. } => {
                let book = self.books.get((*market as usize).wrapping_sub(1));
                Ok(vec![Outcome::plain(book.map_or_else(|| "no such market".to_string(), draw))])
            }
            Action::Balance { account, free, due } => {
                let id = account_of(account);
                let balance = |token: &str| {
                    let number = self.tokens.iter().find(|(_, name)| *name == token).map_or(TokenId(0), |(number, _)| *number);
                    exchange.balance(id, number)
                };
                let free = free.iter().map(|(atoms, token)| (format!("{atoms} {token}"), format!("{} {token}", balance(token).0.0)));
                let due = due.iter().map(|(atoms, token)| (format!("due {atoms} {token}"), format!("due {} {token}", balance(token).1.0)));
                Ok(free.chain(due).map(|(written, full)| Outcome { full, written }).collect())
            }
        }
    }

    /// A trader's first mention registers and funds it.
    fn mention(&mut self, name: &str, deed: &Deed, exchange: &mut impl Exchange) -> Result<(), Failure> {
        let account = account_of(name);
        let register_itself = matches!(deed, Deed::Register { .. }) && self.funds.is_none();
        if self.names.insert(account, name.to_string()).is_some() || register_itself || name.contains(':') {
            return Ok(());
        }
        let Some(funds) = self.funds else { return Ok(()) };
        let mut apply = |command: Command| exchange.apply(trader(name), &command, self.now_s).map(|_| ());
        apply(Command::Register { salt: 0 }).map_err(|reject| self.set_up_failure(name, reject))?;
        let listed = self.tokens.iter().filter(|(number, _)| number.0 > 1);
        for (_, token_name) in listed.filter(|_| funds > 0) {
            let deposit = Command::Deposit { account, token: token(token_name), atoms: U256::from(funds), settle: Vec::new() };
            apply(deposit).map_err(|reject| self.set_up_failure(name, reject))?;
        }
        Ok(())
    }

    fn command(&self, by: &str, account: &str, deed: &Deed) -> Command {
        // Account 0 where a trader acts for itself: the usual way to call.
        let account_id = if by == account { AccountId(0) } else { account_of(account) };
        let ids = |names: &[Name]| names.iter().map(|name| self.order(name)).collect::<Vec<_>>();
        match deed {
            Deed::Place { market, lots, ticks, mode, expiry_s, client, steps_max, .. } => Command::Place {
                account: account_id,
                market: MarketId(*market),
                mode: Mode(*mode),
                ticks: *ticks,
                lots: Lots(*lots),
                expiry_s: *expiry_s,
                client: *client,
                steps_max: *steps_max,
            },
            Deed::Cancel { order } => Command::Cancel { account: account_id, order: self.order(order) },
            Deed::Reduce { order, left } => Command::Reduce { account: account_id, order: self.order(order), left: Lots(*left) },
            Deed::Claim { orders } if orders.is_empty() => {
                let orders = self.orders.get(account).map_or(&[][..], Vec::as_slice);
                Command::Claim { orders: orders[..orders.len().min(CLAIM_MAX)].to_vec() }
            }
            Deed::Claim { orders } => Command::Claim { orders: ids(orders) },
            Deed::Deposit { atoms, token: name, settle } => {
                Command::Deposit { account: account_id, token: token(name), atoms: *atoms, settle: ids(settle) }
            }
            Deed::Withdraw { atoms, token: name, to_nobody, settle } => Command::Withdraw {
                account: account_id,
                token: token(name),
                atoms: *atoms,
                to: if *to_nobody { Address::ZERO } else { trader(by) },
                settle: ids(settle),
            },
            Deed::Register { salt } => Command::Register { salt: *salt },
            Deed::List { token: name } => Command::AddToken { token: token(name) },
            Deed::Create(market) => create(market),
            Deed::Status { market, status } => Command::SetStatus { market: MarketId(*market), status: *status },
            Deed::Take { .. }
            | Deed::Replace { .. }
            | Deed::Ladder { .. }
            | Deed::CancelUpTo { .. }
            | Deed::CancelClient { .. }
            | Deed::Schedule { .. }
            | Deed::Batch { .. }
            | Deed::Ops(_) => Command::Execute { account: account_id, ops: self.ops(deed) },
            _ => self.house(by, account_id, deed),
        }
    }

    /// The bytes of a batch; an operation by itself is a batch of one.
    fn ops(&self, deed: &Deed) -> Bytes {
        match deed {
            Deed::Ops(bytes) => bytes.clone().into(),
            Deed::Batch { skip_failed, deeds } => {
                let operations: Vec<Operation> = deeds.iter().map(|deed| self.operation(deed)).collect();
                operation::encode(*skip_failed, &operations).into()
            }
            one => operation::encode(false, &[self.operation(one)]).into(),
        }
    }

    fn operation(&self, deed: &Deed) -> Operation {
        match deed {
            Deed::Place { market, lots, ticks, mode, expiry_s, client, steps_max, .. } => Operation::Place {
                market: MarketId(*market),
                mode: Mode(*mode),
                ticks: *ticks,
                lots: Lots(*lots),
                expiry_s: *expiry_s,
                client: *client,
                steps_max: *steps_max,
            },
            Deed::Take { market, mode, limit, lots, in_max_atoms, out_min_atoms, deadline_s, client, steps_max } => Operation::Take {
                market: MarketId(*market),
                mode: Mode(*mode),
                limit: *limit,
                lots_max: Lots(*lots),
                in_max_atoms: *in_max_atoms,
                out_min_atoms: *out_min_atoms,
                deadline_s: *deadline_s,
                client: *client,
                steps_max: *steps_max,
            },
            Deed::Cancel { order } => Operation::Cancel { order: self.order(order) },
            Deed::Reduce { order, left } => Operation::Reduce { order: self.order(order), left: Lots(*left) },
            Deed::Claim { orders } => {
                let nothing = Name::Of { account: String::new(), nth: 1 };
                Operation::Claim { order: self.order(orders.first().unwrap_or(&nothing)) }
            }
            Deed::Replace { order, mode, lots, ticks, expiry_s, client, steps_max } => Operation::Replace {
                order: self.order(order),
                mode: Mode(*mode),
                ticks: *ticks,
                lots: Lots(*lots),
                expiry_s: *expiry_s,
                client: *client,
                steps_max: *steps_max,
            },
            Deed::Ladder { market, mode, ticks, step, expiry_s, client, lots } => Operation::Ladder {
                market: MarketId(*market),
                mode: Mode(*mode),
                ticks: *ticks,
                step: *step,
                expiry_s: *expiry_s,
                client: *client,
                lots: lots.iter().map(|lots| Lots(*lots)).collect(),
            },
            Deed::CancelUpTo { market, side, ticks, steps_max } => {
                Operation::CancelUpTo { market: MarketId(*market), side: *side, ticks: *ticks, steps_max: *steps_max }
            }
            Deed::CancelClient { client, until_s } => Operation::CancelClient { client: *client, until_s: *until_s },
            Deed::Schedule { at_s } => Operation::Schedule { at_s: *at_s },
            other => panic!("{other:?} is no operation of a batch"),
        }
    }

    /// Rights, signatures and keeping house.
    fn house(&self, by: &str, account_id: AccountId, deed: &Deed) -> Command {
        let markets = |line: &AgentLine| line.markets.map(MarketId);
        match deed {
            Deed::Relay { account, signer, nonce, deadline_s, relayer, forged, batch } => {
                let (account, ops) = (account_of(account), self.ops(batch));
                let relayer = relayer.as_deref().map_or(Address::ZERO, trader);
                let content = signed::Batch { account, nonce: *nonce, deadline_s: *deadline_s, relayer, ops: &ops };
                let signature = signature(signer, content.signing_hash(DOMAIN), *forged);
                let (nonce, deadline_s, signer) = (*nonce, *deadline_s, trader(signer));
                Command::ExecuteSigned { account, nonce, deadline_s, relayer, ops, signer, signature }
            }
            Deed::Agent(line) => Command::ApproveAgent {
                account: account_id,
                agent: trader(&line.agent),
                expiry_s: line.expiry_s,
                perms: line.perms,
                cap_atoms: line.cap_atoms,
                markets: markets(line),
            },
            Deed::Grant { account: owner, nonce, deadline_s, forged, agent: line } => {
                let (account, agent, markets) = (account_of(owner), trader(&line.agent), markets(line));
                let AgentLine { expiry_s, perms, cap_atoms, .. } = *line;
                let (nonce, deadline_s) = (*nonce, *deadline_s);
                let content = signed::Grant { account, agent, expiry_s, perms, cap_atoms, markets, nonce, deadline_s };
                let signature = signature(owner, content.signing_hash(DOMAIN), *forged);
                Command::ApproveAgentSigned { account, agent, expiry_s, perms, cap_atoms, markets, nonce, deadline_s, signature }
            }
            Deed::Nonces { word, mask } => Command::CancelNonces { account: account_id, word: *word, mask: *mask },
            Deed::Poke { account, orders } => {
                Command::Poke { account: account_of(account), orders: orders.iter().map(|name| self.order(name)).collect() }
            }
            Deed::Prune { market, side, ticks, steps_max } => {
                let level = LevelKey { market: MarketId(*market), side: *side, ticks: *ticks };
                Command::Prune { level, steps_max: *steps_max }
            }
            Deed::Sweep { token, accounts } => {
                let number = self.tokens.iter().find(|(_, name)| *name == token).map_or(TokenId(0), |(number, _)| *number);
                Command::SweepFees { token: number, accounts: accounts.iter().map(|name| account_of(name)).collect() }
            }
            Deed::Tier { account, tier } => Command::SetTier { account: account_of(account), tier: *tier },
            Deed::Role { role, who } => Command::SetRole { role: *role, who: trader(who) },
            Deed::Swap { atoms, token: name, markets, out_min, to, deadline_s, steps_max } => Command::SwapExactIn {
                token_in: token(name),
                atoms: *atoms,
                markets: markets.iter().map(|market| MarketId(*market)).collect(),
                out_min: *out_min,
                to: trader(if to.is_empty() { by } else { to }),
                deadline_s: *deadline_s,
                steps_max: *steps_max,
            },
            Deed::Permit { atoms, token: name } => {
                // A permit that fails does no harm: the allowance is there.
                let (deadline, v, r, s) = (U256::ZERO, 27, B256::ZERO, B256::ZERO);
                Command::DepositPermit { account: account_id, token: token(name), atoms: *atoms, deadline, v, r, s }
            }
            other => panic!("{other:?} is a command of its own"),
        }
    }

    /// An order that never rested becomes one that cannot be: the last index of a level nobody uses.
    fn order(&self, name: &Name) -> OrderId {
        match name {
            Name::Raw { market, side, ticks, index } => {
                OrderId { level: LevelKey { market: MarketId(*market), side: *side, ticks: *ticks }, index: *index }
            }
            Name::Of { account, nth } => {
                let order = self.orders.get(account).and_then(|orders| orders.get(nth.checked_sub(1)?));
                let nowhere = LevelKey { market: MarketId(1), side: Side::Bid, ticks: crate::Ticks(1) };
                order.copied().unwrap_or(OrderId { level: nowhere, index: (1 << 40) - 1 })
            }
        }
    }

    /// Replays the events and tells them as outcomes.
    fn follow(&mut self, events: &[Event]) -> Result<Vec<Outcome>, Failure> {
        let mut outcomes = Vec::new();
        for event in events {
            if let Some(market) = event.market()
                && let Some(book) = self.books.get_mut(market.0 as usize - 1)
            {
                let failed = |error: crate::ReplayError, book: &Book| Failure {
                    line: 0,
                    text: String::new(),
                    expected: vec![format!("{event:?} follows")],
                    found: vec![error.to_string()],
                    book: draw(book),
                };
                match book.replay(event) {
                    Ok(fills) => self.fills.extend(fills),
                    Err(error) => return Err(failed(error, book)),
                }
            }
            self.tell(event, &mut outcomes);
        }
        Ok(outcomes)
    }

    fn tell(&mut self, event: &Event, outcomes: &mut Vec<Outcome>) {
        let name = |account: AccountId| self.names.get(&account).cloned().unwrap_or_else(|| account.0.to_string());
        let in_market = |market: MarketId| if market.0 == 1 { String::new() } else { format!(" in {}", market.0) };
        match event {
            Event::Placed { order, account, lots, client, .. } => {
                let owner = name(*account);
                self.orders.entry(owner).or_default().push(*order);
                let LevelKey { market, side, ticks } = order.level;
                let client = if *client == 0 { String::new() } else { format!(" client {client}") };
                outcomes.push(Outcome::plain(format!(
                    "placed {} {} {lots} @ {ticks}{}{client}",
                    self.name_of(*order),
                    word(side),
                    in_market(market)
                )));
            }
            Event::Reduced { order, left, removed, reason } => {
                let reason = format!("{reason:?}").to_lowercase();
                let line = format!("reduced {} {left} -{removed} {reason}", self.name_of(*order));
                outcomes.push(Outcome::plain(line));
            }
            Event::LevelFill { .. } => {}
            Event::Taken { market, account, wanted, filled, client, mode, reason, quote_atoms, fee_atoms } => {
                let taker = name(*account);
                for fill in std::mem::take(&mut self.fills) {
                    let line = format!("fill {taker}/{} {} @ {}", self.name_of(fill.maker_order), fill.lots, fill.ticks);
                    outcomes.push(Outcome::plain(format!("{line}{}", in_market(*market))));
                }
                let client = if *client == 0 { String::new() } else { format!(" client {client}") };
                let short = format!("taken {taker} {} {filled}", word(mode.side()));
                let why = format!("{short} of {wanted} {}", format!("{reason:?}").to_lowercase());
                let full = format!("{why} quote {quote_atoms} fee {fee_atoms}{}{client}", in_market(*market));
                let fees = self.books[market.0 as usize - 1].market().taker_fee_ppm > 0;
                let ended = *reason == TakenReason::Filled;
                let written = if fees || !client.is_empty() {
                    full.clone()
                } else if ended {
                    short
                } else {
                    why
                };
                outcomes.push(Outcome { full, written });
            }
            Event::Claimed { order, lots, back, .. } => {
                let back = if back.0 == 0 { String::new() } else { format!(" back {back}") };
                outcomes.push(Outcome::plain(format!("claimed {} {lots} @ {}{back}", self.name_of(*order), order.level.ticks)));
            }
            Event::Deposit { account, token, atoms } => {
                outcomes.push(Outcome::plain(format!("deposit {} {atoms} {}", name(*account), self.token_name(*token))));
            }
            Event::Withdraw { account, token, atoms, .. } => {
                outcomes.push(Outcome::plain(format!("withdraw {} {atoms} {}", name(*account), self.token_name(*token))));
            }
            Event::AccountCreated { account, owner } => {
                let known = self.names.values().find(|name| account_of(name) == *account).cloned();
                let salted = self
                    .names
                    .values()
                    .filter(|name| trader(name) == *owner)
                    .flat_map(|name| (1..16).map(move |salt| format!("{name}:{salt}")).filter(|name| account_of(name) == *account));
                let label = known.or_else(|| salted.into_iter().next()).unwrap_or_else(|| account.0.to_string());
                self.names.insert(*account, label.clone());
                outcomes.push(Outcome::plain(format!("account {label}")));
            }
            Event::TokenAdded { token: number, at, .. } => {
                let label = self.known_tokens.iter().find(|name| token(name) == *at).cloned().unwrap_or_default();
                outcomes.push(Outcome::plain(format!("token {} {label}", number.0)));
                self.tokens.insert(*number, label);
            }
            Event::MarketCreated { market, cfg } => {
                let created = Market::from_cfg(*market, *cfg).expect("an exchange creates markets with a status");
                self.books.push(Book::new(created));
                outcomes.push(Outcome::plain(format!("market {}", market.0)));
            }
            Event::Status { market, status } => outcomes.push(Outcome::plain(format!("status {} {}", market.0, *status as u8))),
            Event::Rejected { account, index, reason, client, .. } => {
                let why = crate::abi::reject_from_selector(*reason).map_or("unknown", |reject| reject.name());
                let client = if *client == 0 { String::new() } else { format!(" client {client}") };
                outcomes.push(Outcome::plain(format!("rejected {} #{index} {why}{client}", name(*account))));
            }
            Event::Agent { account, agent, word } => {
                let agent = self.address_name(*agent);
                let [expiry, perms] = [(0, 40), (40, 16)].map(|(low, width)| crate::abi::field(*word, low, width));
                outcomes.push(Outcome::plain(format!("agent {agent} of {} perms {perms} until {expiry}", name(*account))));
            }
            Event::Signed { account, signer, nonce } => {
                let signer = self.address_name(*signer);
                outcomes.push(Outcome::plain(format!("signed {} by {signer} nonce {nonce}", name(*account))));
            }
            Event::Scheduled { account, at_s } => outcomes.push(Outcome::plain(format!("scheduled {} {at_s}", name(*account)))),
            Event::CloidPreCancelled { account, client, until_s } => {
                outcomes.push(Outcome::plain(format!("precancelled {} client {client} until {until_s}", name(*account))));
            }
            Event::FeesSwept { account, token, atoms } => {
                outcomes.push(Outcome::plain(format!("swept {} {atoms} {}", name(*account), self.token_name(*token))));
            }
            Event::Tier { account, tier } => outcomes.push(Outcome::plain(format!("tier {} {tier}", name(*account)))),
            Event::Role { role, who } => outcomes.push(Outcome::plain(format!("role {role} {}", self.address_name(*who)))),
            Event::Swapped { from, to, token_in, token_out, atoms_in, atoms_out } => {
                let [from, to] = [from, to].map(|who| self.address_name(*who));
                let [paid, got] = [token_in, token_out].map(|token| self.token_name(*token));
                outcomes.push(Outcome::plain(format!("swapped {from} {atoms_in} {paid} to {to} {atoms_out} {got}")));
            }
        }
    }

    /// The name a trader's address belongs to.
    fn address_name(&self, who: Address) -> String {
        self.people.get(&who).cloned().unwrap_or_else(|| who.to_string())
    }

    fn token_name(&self, token: TokenId) -> &str {
        self.tokens.get(&token).map_or("?", String::as_str)
    }

    /// `alice` for her first order, then `alice.2`, `alice.3`.
    fn name_of(&self, order: OrderId) -> String {
        for (name, orders) in &self.orders {
            match orders.iter().position(|known| *known == order) {
                Some(0) => return name.clone(),
                Some(nth) => return format!("{name}.{}", nth + 1),
                None => {}
            }
        }
        order.to_string()
    }
}

/// `alice` is account salt 0 of alice, `alice:7` salt 7; `fees` the fee collector.
fn account_of(name: &str) -> AccountId {
    match name.split_once(':') {
        _ if name == "fees" => AccountId(1),
        // What a market's swaps owe.
        Some(("swaps", market)) => AccountId(1 << 31 | market.parse().unwrap_or(0)),
        Some((owner, salt)) => AccountId::numbered(trader(owner), salt.parse().unwrap_or(0)),
        None => AccountId::numbered(trader(name), 0),
    }
}

fn create(line: &MarketLine) -> Command {
    Command::CreateMarket {
        base: token(&line.base),
        quote: token(&line.quote),
        quote_atoms_per_lot_tick: line.quote_atoms_per_lot_tick,
        base_atoms_per_lot: line.base_atoms_per_lot,
        lots_min: line.lots_min,
        taker_fee_ppm: line.taker_fee_ppm,
        maker_fee_ppm: line.maker_fee_ppm,
        min_ttl_s: line.min_ttl_s,
        status: line.status,
    }
}

/// Of this trader over the hash; a forged one is over another.
fn signature(signer: &str, hash: B256, forged: bool) -> Bytes {
    sign(signer, if forged { !hash } else { hash }).into()
}

fn word(side: Side) -> &'static str {
    match side {
        Side::Bid => "bid",
        Side::Ask => "ask",
    }
}

fn rejected(reject: Reject) -> String {
    match reject {
        Reject::WouldCross { best } => format!("WouldCross {best}"),
        Reject::NotFilled { filled } => format!("NotFilled {filled}"),
        Reject::NotLive { status } => format!("NotLive {status}"),
        Reject::Slippage { out } => format!("Slippage {out}"),
        other => other.name().to_string(),
    }
}

/// `2+3 @ 99, 4 @ 100 | 7 @ 101`: bids rising to the bar, asks rising from it, the orders of a price in queue order.
fn draw(book: &Book) -> String {
    let side = |side: Side| {
        let mut prices: Vec<String> = book
            .depth(side, usize::MAX)
            .into_iter()
            .map(|level| {
                let key = LevelKey { market: book.market().id, side, ticks: level.ticks };
                let lots: Vec<String> = book.orders_at(key).map(|order| order.left.to_string()).collect();
                format!("{} @ {}", lots.join("+"), level.ticks)
            })
            .collect();
        if side == Side::Bid {
            prices.reverse();
        }
        prices.join(", ")
    };
    format!("{} | {}", side(Side::Bid), side(Side::Ask)).trim().to_string()
}
