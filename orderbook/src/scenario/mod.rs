//! The parser of `.book` files: short trading stories with their outcome, the specification of matching (`testdata/README.md`).
//!
//! Read by the tests of engine and contract (through [`play`]) and, in its own parser, by the web page's tests. Knows no exchange.

mod play;

pub use play::{Exchange, Failure, bless, play};

use crate::{Side, Ticks};
use alloy_primitives::{Address, U256, keccak256};

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

/// `market BASE QUOTE tick Q lot B min L taker F maker M`, each number optional: 1, 1, 1, 0, 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarketLine {
    pub base: String,
    pub quote: String,
    pub quote_atoms_per_lot_tick: u64,
    pub base_atoms_per_lot: u64,
    pub lots_min: u32,
    pub taker_fee_ppm: u16,
    pub maker_fee_ppm: i16,
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

/// The address a trader of this name sends from. `owner` owns the exchange.
pub fn trader(name: &str) -> Address {
    Address::from_slice(&keccak256(format!("trader {name}"))[12..])
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
        status: words.option("status", 1)?,
    })
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
    let deed = match words.next()? {
        "bid" => place(Side::Bid, words)?,
        "ask" => place(Side::Ask, words)?,
        "cancel" => Deed::Cancel { order: own_name(words, &account)? },
        "reduce" => {
            let order = if words.words.get(words.at) == Some(&"to") { first(&account) } else { own_name(words, &account)? };
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
        _ => return Err("no such command"),
    };
    Ok(Action::Do { by, account, deed })
}

fn place(side: Side, words: &mut Words<'_>) -> Result<Deed, &'static str> {
    let lots = words.number()?;
    if !words.take("@") {
        return Err("LOTS @ TICKS");
    }
    let ticks = Ticks(words.number()?);
    let tifs = [("gtc", 0), ("post", 1), ("ioc", 3), ("fok", 4)];
    let tif = tifs.iter().find(|(word, _)| words.take(word)).map_or(0, |(_, tif)| *tif);
    let mode = words.option("mode", side as u8 | tif << 1)?;
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
