//! The parser of `.book` files: short trading stories with their outcome, the specification of matching (`testdata/README.md`).
//!
//! Read by the tests of engine and contract (through [`play`]) and, in its own parser, by the web page's tests. Knows no exchange.

mod play;

pub use play::{Exchange, Failure, bless, play};

/// The chain and contract that scenarios sign for.
pub const DOMAIN: signed::Domain = signed::Domain { chain_id: 1, exchange: address!("0x4f00000000000000000000000000000000000001") };

use crate::{Side, Ticks, signed};
use alloy_primitives::{Address, B256, U256, address, hex, keccak256};
use secp256k1::{Message, SECP256K1, SecretKey};

/// A deadline nobody misses.
const DEADLINE_S: u64 = (1 << 40) - 1;
/// Longest scenario, in lines.
const LINES_MAX: usize = 1_000;

/// A parsed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Atoms of every token that each trader holds on the exchange from its first mention; `None`: traders register and deposit themselves.
    pub funds: Option<u128>,
    pub markets: Vec<MarketLine>,
    pub steps: Vec<Step>,
}

/// `market BASE QUOTE tick Q lot B min L taker F maker M ttl T status S`, each number optional: 1, 1, 1, 0, 0, 0, 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarketLine {
    pub base: String,
    pub quote: String,
    pub quote_atoms_per_lot_tick: u64,
    pub base_atoms_per_lot: u64,
    pub lots_min: u32,
    pub taker_fee_ppm: u16,
    pub maker_fee_ppm: i16,
    pub min_ttl_s: u8,
    pub status: u8,
}

/// One command or check, with its place in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// From 1.
    pub line: usize,
    pub text: String,
    pub action: Action,
    /// The `=>` lines below it, without the arrow.
    pub expected: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `by` sends it; `account` is whose account it names.
    Do { by: String, account: String, deed: Deed },
    /// `now N`: the clock stands at this second, from 1,000 on.
    Now { now_s: u64 },
    /// `tail SIDE TICKS N [in MARKET]`: the level had N orders that are gone; at the end of its indexes it is full.
    Tail { market: u32, side: Side, ticks: Ticks, tail: u64 },
    /// `book: ...` or `book 2: ...`: the drawn book of a market must be this.
    Book { market: u32, drawn: String },
    /// `balance NAME: 5 ETH, 7 USDC, due 1 USDC`: free atoms, and fees due.
    Balance { account: String, free: Vec<(u128, String)>, due: Vec<(u128, String)> },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    Place {
        market: u32,
        side: Side,
        lots: u64,
        ticks: Ticks,
        mode: u8,
        expiry_s: u32,
        client: u64,
        steps_max: u16,
    },
    Cancel {
        order: Name,
    },
    Reduce {
        order: Name,
        left: u64,
    },
    /// Empty: all orders of the trader so far.
    Claim {
        orders: Vec<Name>,
    },
    Deposit {
        atoms: U256,
        token: String,
        settle: Vec<Name>,
    },
    /// `to_nobody`: the receiver is address 0.
    Withdraw {
        atoms: U256,
        token: String,
        to_nobody: bool,
        settle: Vec<Name>,
    },
    Register {
        salt: u32,
    },
    List {
        token: String,
    },
    Create(MarketLine),
    Status {
        market: u32,
        status: u8,
    },
    /// A market order; only in batches. `in_max_atoms` and `out_min_atoms` as in `Operation::Take`.
    Take {
        market: u32,
        mode: u8,
        limit: Ticks,
        lots: u64,
        in_max_atoms: u128,
        out_min_atoms: u128,
        deadline_s: u32,
        client: u64,
        steps_max: u16,
    },
    Replace {
        order: Name,
        mode: u8,
        lots: u64,
        ticks: Ticks,
        expiry_s: u32,
        client: u64,
        steps_max: u16,
    },
    Ladder {
        market: u32,
        mode: u8,
        ticks: Ticks,
        step: i16,
        expiry_s: u32,
        client: u64,
        lots: Vec<u64>,
    },
    CancelUpTo {
        market: u32,
        side: Side,
        ticks: Ticks,
        steps_max: u16,
    },
    CancelClient {
        client: u64,
        until_s: u64,
    },
    Schedule {
        at_s: u64,
    },
    /// Several of the above, and places, cancels, reduces and claims, in one transaction.
    Batch {
        skip_failed: bool,
        deeds: Vec<Deed>,
    },
    /// Raw bytes of a batch.
    Ops(Vec<u8>),
    /// A batch that `signer` signed for `account`.
    Relay {
        account: String,
        signer: String,
        nonce: u64,
        deadline_s: u64,
        relayer: Option<String>,
        /// Signed over something else.
        forged: bool,
        batch: Box<Deed>,
    },
    Agent(AgentLine),
    /// An agent's rights, signed by the owner of `account`.
    Grant {
        account: String,
        nonce: u64,
        deadline_s: u64,
        forged: bool,
        agent: AgentLine,
    },
    Nonces {
        word: u64,
        mask: U256,
    },
    Poke {
        account: String,
        orders: Vec<Name>,
    },
    Prune {
        market: u32,
        side: Side,
        ticks: Ticks,
        steps_max: u16,
    },
    Sweep {
        token: String,
        accounts: Vec<String>,
    },
    Tier {
        account: String,
        tier: u8,
    },
    Role {
        role: u8,
        who: String,
    },
    Swap {
        atoms: U256,
        token: String,
        markets: Vec<u32>,
        out_min: U256,
        to: String,
        deadline_s: u64,
        steps_max: u16,
    },
    Permit {
        atoms: U256,
        token: String,
    },
}

/// `agent NAME perms N until N [cap N] [markets A B C]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentLine {
    pub agent: String,
    pub perms: u16,
    pub expiry_s: u64,
    pub cap_atoms: u128,
    pub markets: [u32; 3],
}

/// Which order is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// `alice` is her first order that rested, `alice.2` the second.
    Of { account: String, nth: usize },
    /// `ask@1600#5`: by its place in market 1, whether it exists or not; `ask@1600#5/2` in market 2.
    Raw { market: u32, side: Side, ticks: Ticks, index: u64 },
}

/// A line that is no scenario.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}: `{text}`")]
pub struct ParseError {
    pub line: usize,
    pub why: &'static str,
    pub text: String,
}

/// The key of a trader of this name: worth nothing, since everybody can compute it.
fn key(name: &str) -> SecretKey {
    SecretKey::from_byte_array(keccak256(format!("trader {name}")).0).expect("a hash is a key")
}

/// The address a trader of this name sends from. `owner` owns the exchange, `nobody` is address 0.
pub fn trader(name: &str) -> Address {
    if name == "nobody" {
        return Address::ZERO;
    }
    Address::from_slice(&keccak256(&key(name).public_key(SECP256K1).serialize_uncompressed()[1..])[12..])
}

/// A trader's signature, 65 bytes.
pub fn sign(name: &str, hash: B256) -> Vec<u8> {
    let (id, compact) = SECP256K1.sign_ecdsa_recoverable(Message::from_digest(hash.0), &key(name)).serialize_compact();
    [&compact[..], &[27 + i32::from(id) as u8]].concat()
}

/// The address of a token of this name; `COIN` is the native coin.
pub fn token(name: &str) -> Address {
    if name == "COIN" { Address::ZERO } else { Address::from_slice(&keccak256(format!("token {name}"))[12..]) }
}

/// The token no one deployed.
pub const NOWHERE: &str = "NOWHERE";

/// Reads a whole file.
///
/// # Errors
/// The first line that cannot be read.
pub fn parse(text: &str) -> Result<Scenario, ParseError> {
    let mut scenario = Scenario { funds: Some(1_000_000_000_000_000), markets: Vec::new(), steps: Vec::new() };
    for (at, raw) in text.lines().enumerate() {
        let line = at + 1;
        let text = raw.trim();
        let fail = |why| ParseError { line, why, text: raw.to_string() };
        if line > LINES_MAX {
            return Err(fail("too long a scenario"));
        }
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        if let Some(expected) = text.strip_prefix("=>") {
            let step = scenario.steps.last_mut().filter(|step| matches!(step.action, Action::Do { .. }));
            let words: Vec<&str> = expected.split_whitespace().collect();
            step.ok_or(fail("an outcome without a command"))?.expected.push(words.join(" "));
            continue;
        }
        let mut words = Words { words: text.split_whitespace().collect(), at: 0 };
        if scenario.steps.is_empty() && header(&mut scenario, &mut words).map_err(fail)? {
            continue;
        }
        let action = if text.starts_with("book") {
            book_line(text).map_err(fail)?
        } else if words.take("now") {
            Action::Now { now_s: words.number().map_err(fail)? }
        } else if words.take("tail") {
            tail_line(&mut words).map_err(fail)?
        } else if words.take("balance") {
            balance_line(text).map_err(fail)?
        } else {
            deed(&mut words).map_err(fail)?
        };
        if matches!(action, Action::Do { .. }) && words.at < words.words.len() {
            return Err(fail("words that mean nothing here"));
        }
        scenario.steps.push(Step { line, text: text.to_string(), action, expected: Vec::new() });
    }
    if scenario.markets.is_empty() {
        scenario.markets.push(market_line(&mut Words { words: vec!["ETH", "USDC"], at: 0 }).expect("two tokens are a market"));
    }
    Ok(scenario)
}

/// A cursor over the words of a line.
struct Words<'a> {
    words: Vec<&'a str>,
    at: usize,
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Result<&'a str, &'static str> {
        let word = self.words.get(self.at).copied().ok_or("a word is missing")?;
        self.at += 1;
        Ok(word)
    }
    /// Passes `word` if it is next.
    fn take(&mut self, word: &str) -> bool {
        let found = self.words.get(self.at) == Some(&word);
        self.at += found as usize;
        found
    }
    fn peek(&self) -> Option<&'a str> {
        self.words.get(self.at).copied()
    }
    /// All numbers up to the next word.
    fn numbers(&mut self) -> Vec<u32> {
        let numbers: Vec<u32> = self.words[self.at..].iter().map_while(|word| word.parse().ok()).collect();
        self.at += numbers.len();
        numbers
    }
    fn number<T: std::str::FromStr>(&mut self) -> Result<T, &'static str> {
        self.next()?.replace('_', "").parse().map_err(|_| "a number is expected, and must fit its field")
    }
    /// `word N`, or `default`.
    fn option<T: std::str::FromStr>(&mut self, word: &str, default: T) -> Result<T, &'static str> {
        if self.take(word) { self.number() } else { Ok(default) }
    }
}

fn header(scenario: &mut Scenario, words: &mut Words<'_>) -> Result<bool, &'static str> {
    if words.take("market") {
        let market = market_line(words)?;
        scenario.markets.push(market);
    } else if words.take("funds") {
        scenario.funds = if words.take("none") { None } else { Some(words.number()?) };
    } else {
        return Ok(false);
    }
    Ok(true)
}

fn market_line(words: &mut Words<'_>) -> Result<MarketLine, &'static str> {
    Ok(MarketLine {
        base: words.next()?.to_string(),
        quote: words.next()?.to_string(),
        quote_atoms_per_lot_tick: words.option("tick", 1)?,
        base_atoms_per_lot: words.option("lot", 1)?,
        lots_min: words.option("min", 1)?,
        taker_fee_ppm: words.option("taker", 0)?,
        maker_fee_ppm: words.option("maker", 0)?,
        min_ttl_s: words.option("ttl", 0)?,
        status: words.option("status", 1)?,
    })
}

fn tail_line(words: &mut Words<'_>) -> Result<Action, &'static str> {
    let (side, ticks, tail) = (side(words)?, Ticks(words.number()?), words.number()?);
    Ok(Action::Tail { side, ticks, tail, market: words.option("in", 1)? })
}

fn side(words: &mut Words<'_>) -> Result<Side, &'static str> {
    match words.next()? {
        "bid" => Ok(Side::Bid),
        "ask" => Ok(Side::Ask),
        _ => Err("bid or ask"),
    }
}

fn book_line(text: &str) -> Result<Action, &'static str> {
    let (head, drawn) = text.split_once(':').ok_or("a book is drawn behind a colon")?;
    let number = head.trim_start_matches("book").trim();
    let market = if number.is_empty() { 1 } else { number.parse().map_err(|_| "a market is a number")? };
    Ok(Action::Book { market, drawn: drawn.split_whitespace().collect::<Vec<_>>().join(" ") })
}

fn balance_line(text: &str) -> Result<Action, &'static str> {
    let (head, list) = text.split_once(": ").ok_or("balances stand behind a colon and a space")?;
    let account = head.trim_start_matches("balance").trim().to_string();
    let (mut free, mut due) = (Vec::new(), Vec::new());
    for item in list.split(',') {
        let mut words = Words { words: item.split_whitespace().collect(), at: 0 };
        let owed = words.take("due");
        let entry = (words.number()?, words.next()?.to_string());
        if owed { due.push(entry) } else { free.push(entry) }
    }
    Ok(Action::Balance { account, free, due })
}

fn deed(words: &mut Words<'_>) -> Result<Action, &'static str> {
    let by = words.next()?.to_string();
    let account = if words.take("as") { words.next()?.to_string() } else { by.clone() };
    let deed = one(words, &account)?;
    Ok(Action::Do { by, account, deed })
}

fn one(words: &mut Words<'_>, account: &str) -> Result<Deed, &'static str> {
    Ok(match words.next()? {
        "bid" => place(Side::Bid, words)?,
        "ask" => place(Side::Ask, words)?,
        "cancel" => Deed::Cancel { order: own_name(words, account)? },
        "reduce" => {
            let order = if words.words.get(words.at) == Some(&"to") { first(account) } else { own_name(words, account)? };
            if !words.take("to") {
                return Err("reduce [order] to LOTS");
            }
            Deed::Reduce { order, left: words.number()? }
        }
        "claim" => Deed::Claim { orders: names(words)? },
        "deposit" => {
            let (atoms, token) = (words.number()?, words.next()?.to_string());
            let settle = if words.take("settle") { names(words)? } else { Vec::new() };
            Deed::Deposit { atoms, token, settle }
        }
        "withdraw" => {
            let atoms = if words.take("all") { U256::MAX } else { words.number()? };
            let token = words.next()?.to_string();
            let to_nobody = words.take("to") && words.next()? == "nobody";
            let settle = if words.take("settle") { names(words)? } else { Vec::new() };
            Deed::Withdraw { atoms, token, to_nobody, settle }
        }
        "register" => Deed::Register { salt: words.number()? },
        "list" => Deed::List { token: words.next()?.to_string() },
        "create" => Deed::Create(market_line(words)?),
        "status" => Deed::Status { market: words.number()?, status: words.number()? },
        "take" => take(words)?,
        "replace" => {
            let order = if matches!(words.peek(), Some("bid" | "ask")) { first(account) } else { name(words.next()?)? };
            let Deed::Place { mode, lots, ticks, expiry_s, client, steps_max, .. } = place(side(words)?, words)? else {
                unreachable!("that is what it reads")
            };
            Deed::Replace { order, mode, lots, ticks, expiry_s, client, steps_max }
        }
        "ladder" => ladder(words)?,
        "cancel-up-to" => {
            let (side, ticks) = (side(words)?, Ticks(words.number()?));
            Deed::CancelUpTo { side, ticks, steps_max: words.option("steps", 0)?, market: words.option("in", 1)? }
        }
        "cancel-client" => Deed::CancelClient { client: words.number()?, until_s: words.option("until", 0)? },
        "schedule" => Deed::Schedule { at_s: words.number()? },
        "batch" => batch(words, account)?,
        "ops" => Deed::Ops(hex::decode(words.next()?).map_err(|_| "bytes in hexadecimal")?),
        _ => {
            words.at -= 1;
            house(words)?
        }
    })
}

/// `batch [skip] OPERATION ; OPERATION`.
fn batch(words: &mut Words<'_>, account: &str) -> Result<Deed, &'static str> {
    let skip_failed = words.take("skip");
    let mut deeds = Vec::new();
    for part in words.words.split_off(words.at).split(|word| *word == ";") {
        let mut words = Words { words: part.to_vec(), at: 0 };
        deeds.push(one(&mut words, account)?);
        if words.at < words.words.len() {
            return Err("words that mean nothing in this operation");
        }
    }
    Ok(Deed::Batch { skip_failed, deeds })
}

/// Rights, signatures and keeping house.
fn house(words: &mut Words<'_>) -> Result<Deed, &'static str> {
    Ok(match words.next()? {
        "relay" => {
            let account = words.next()?.to_string();
            let (nonce, deadline_s) = (words.option("nonce", 0)?, words.option("deadline", DEADLINE_S)?);
            let relayer = if words.take("relayer") { Some(words.next()?.to_string()) } else { None };
            let signer = if words.take("signer") { words.next()?.to_string() } else { account.clone() };
            let forged = words.take("forged");
            if !words.take("batch") {
                return Err("relay NAME [nonce N] [deadline N] [relayer NAME] [signer NAME] [forged] batch ...");
            }
            let batch = Box::new(batch(words, &account)?);
            Deed::Relay { account, signer, nonce, deadline_s, relayer, forged, batch }
        }
        "agent" => Deed::Agent(agent(words)?),
        "grant" => {
            let account = words.next()?.to_string();
            let (nonce, deadline_s) = (words.option("nonce", 0)?, words.option("deadline", DEADLINE_S)?);
            let forged = words.take("forged");
            if !words.take("agent") {
                return Err("grant NAME [nonce N] [deadline N] [forged] agent ...");
            }
            Deed::Grant { account, nonce, deadline_s, forged, agent: agent(words)? }
        }
        "nonces" => Deed::Nonces { word: words.number()?, mask: words.number()? },
        "poke" => Deed::Poke { account: words.next()?.to_string(), orders: names(words)? },
        "prune" => {
            let (side, ticks) = (side(words)?, Ticks(words.number()?));
            Deed::Prune { side, ticks, steps_max: words.option("steps", 0)?, market: words.option("in", 1)? }
        }
        "sweep" => {
            let token = words.next()?.to_string();
            let accounts = words.words.split_off(words.at).into_iter().map(str::to_string).collect();
            Deed::Sweep { token, accounts }
        }
        "tier" => Deed::Tier { account: words.next()?.to_string(), tier: words.number()? },
        "role" => Deed::Role { role: words.number()?, who: words.next()?.to_string() },
        "swap" => {
            let (atoms, token) = (words.number()?, words.next()?.to_string());
            let markets = if words.take("through") { words.numbers() } else { Vec::new() };
            let out_min = words.option("least", U256::ZERO)?;
            let to = if words.take("to") { words.next()?.to_string() } else { String::new() };
            let deadline_s = words.option("deadline", DEADLINE_S)?;
            Deed::Swap { atoms, token, markets, out_min, to, deadline_s, steps_max: words.option("steps", 0)? }
        }
        "permit" => Deed::Permit { atoms: words.number()?, token: words.next()?.to_string() },
        _ => return Err("no such command"),
    })
}

fn agent(words: &mut Words<'_>) -> Result<AgentLine, &'static str> {
    let agent = words.next()?.to_string();
    let (perms, expiry_s, cap_atoms) = (words.option("perms", 0)?, words.option("until", 0)?, words.option("cap", 0)?);
    let mut markets = [0; 3];
    if words.take("markets") {
        for (at, market) in words.numbers().into_iter().take(3).enumerate() {
            markets[at] = market;
        }
    }
    Ok(AgentLine { agent, perms, expiry_s, cap_atoms, markets })
}

/// `take SIDE LOTS [limit TICKS] [ioc or fok] [stp RULE] [mode N] [spend ATOMS] [least ATOMS] [deadline N] [client N] [steps N] [in MARKET]`.
fn take(words: &mut Words<'_>) -> Result<Deed, &'static str> {
    let side = side(words)?;
    let lots = words.number()?;
    let any_price = if side == Side::Bid { Ticks::MAX.0 } else { 0 };
    let limit = Ticks(words.option("limit", any_price)?);
    let tif = if words.take("fok") { 4 } else { 3 };
    words.take("ioc");
    let mode = mode(side, tif, words)?;
    Ok(Deed::Take {
        mode,
        limit,
        lots,
        in_max_atoms: words.option("spend", u128::MAX)?,
        out_min_atoms: words.option("least", 0)?,
        deadline_s: words.option("deadline", 0)?,
        client: words.option("client", 0)?,
        steps_max: words.option("steps", 0)?,
        market: words.option("in", 1)?,
    })
}

/// `ladder SIDE LOTS+LOTS+... @ TICKS step N [slide] [stp RULE] [track] [mode N] [expiry N] [client N] [in MARKET]`.
fn ladder(words: &mut Words<'_>) -> Result<Deed, &'static str> {
    let side = side(words)?;
    let rungs = words.next()?.split('+').map(|lots| lots.parse().map_err(|_| "lots are numbers"));
    let lots = rungs.collect::<Result<Vec<_>, _>>()?;
    if !words.take("@") {
        return Err("LOTS+LOTS @ TICKS step N");
    }
    let (ticks, step) = (Ticks(words.number()?), words.option("step", 0)?);
    let tif = if words.take("slide") { 2 } else { 1 };
    words.take("post");
    let mode = mode(side, tif, words)?;
    let (expiry_s, client) = (words.option("expiry", 0)?, words.option("client", 0)?);
    Ok(Deed::Ladder { mode, ticks, step, expiry_s, client, lots, market: words.option("in", 1)? })
}

/// `[stp RULE] [track] [mode N]`; a mode given as a number is all of it.
fn mode(side: Side, tif: u8, words: &mut Words<'_>) -> Result<u8, &'static str> {
    let rules = ["none", "taker", "maker", "both", "decrement"];
    let rule = match words.take("stp") {
        true => {
            let word = words.next()?;
            rules.iter().position(|rule| *rule == word).ok_or("stp none, taker, maker, both or decrement")? as u8
        }
        false => 0,
    };
    let track = words.take("track") as u8;
    words.option("mode", side as u8 | tif << 1 | rule << 4 | track << 7)
}

fn place(side: Side, words: &mut Words<'_>) -> Result<Deed, &'static str> {
    let lots = words.number()?;
    if !words.take("@") {
        return Err("LOTS @ TICKS");
    }
    let ticks = Ticks(words.number()?);
    let tifs = [("gtc", 0), ("post", 1), ("slide", 2), ("ioc", 3), ("fok", 4)];
    let tif = tifs.iter().find(|(word, _)| words.take(word)).map_or(0, |(_, tif)| *tif);
    let mode = mode(side, tif, words)?;
    Ok(Deed::Place {
        side,
        lots,
        ticks,
        mode,
        expiry_s: words.option("expiry", 0)?,
        client: words.option("client", 0)?,
        steps_max: words.option("steps", 0)?,
        market: words.option("in", 1)?,
    })
}

fn first(account: &str) -> Name {
    Name::Of { account: account.to_string(), nth: 1 }
}

fn own_name(words: &mut Words<'_>, account: &str) -> Result<Name, &'static str> {
    match words.next() {
        Ok(word) => name(word),
        Err(_) => Ok(first(account)),
    }
}

fn names(words: &mut Words<'_>) -> Result<Vec<Name>, &'static str> {
    let rest = words.words[words.at..].iter().map(|word| name(word)).collect();
    words.at = words.words.len();
    rest
}

fn name(word: &str) -> Result<Name, &'static str> {
    let bad = |_| "an order by place is side@ticks#index or side@ticks#index/market";
    if let Some((side, place)) = word.split_once('@') {
        let side = if side == "ask" { Side::Ask } else { Side::Bid };
        let (ticks, place) = place.split_once('#').ok_or("an order by place is side@ticks#index")?;
        let (index, market) = place.split_once('/').unwrap_or((place, "1"));
        let index = index.parse().map_err(bad)?;
        return Ok(Name::Raw { market: market.parse().map_err(bad)?, side, ticks: Ticks(ticks.parse().map_err(bad)?), index });
    }
    let (account, nth) = word.split_once('.').unwrap_or((word, "1"));
    Ok(Name::Of { account: account.to_string(), nth: nth.parse().map_err(|_| "an order of a trader is name.number")? })
}
