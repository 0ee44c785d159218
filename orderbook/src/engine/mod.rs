//! The exchange as a pure function: [`Engine::apply`] takes a command and says what happens, exactly as the contract does: same events,
//! same rejects in the same order of checks, same words of storage ([`Engine::word`]).
//!
//! Called by the differential tests (contract = engine), by workloads that need to know an order's id before the chain says it, and by
//! the scenario corpus. Never does I/O, never reads a clock (`now_s` is an argument), never calls a token: a deposit is told what came in.
//!
//! Every operation is atomic: what can fail is judged before the first write, or undone.

mod accounts;
mod ledger;
mod matching;
mod words;

use crate::{AccountId, Book, Command, Event, MarketId, Reject, Side, TokenId};
use alloy_primitives::{Address, map::HashMap};
use ledger::Balances;

/// The fee collector: its owner is the owner role.
const FEE_COLLECTOR: AccountId = AccountId(1);
/// The native coin, address 0; never listed.
const NATIVE: TokenId = TokenId(1);

/// All markets, accounts and balances.
#[derive(Clone, Debug)]
pub struct Engine {
    owner: Address,
    guardian: Address,
    /// Contracts that answer `decimals()`, with their answer: those a market may be made of.
    deployed: HashMap<Address, u8>,
    /// Listed tokens from number 2 on.
    tokens: Vec<(Address, u8)>,
    token_of: HashMap<Address, TokenId>,
    owner_of: HashMap<AccountId, Address>,
    account_of: HashMap<Address, AccountId>,
    /// Market n is at n - 1.
    books: Vec<Book>,
    balances: Balances,
}

impl Engine {
    /// An exchange without tokens and markets. `owner` may set any market's status.
    pub fn new(owner: Address) -> Engine {
        Engine {
            owner,
            guardian: Address::ZERO,
            deployed: HashMap::default(),
            tokens: Vec::new(),
            token_of: HashMap::default(),
            owner_of: HashMap::default(),
            account_of: HashMap::default(),
            books: Vec::new(),
            balances: Balances::default(),
        }
    }

    /// Tells the engine that a token contract exists outside; others are refused with `UnknownToken`.
    pub fn deploy_token(&mut self, at: Address, decimals: u8) {
        self.deployed.insert(at, decimals);
    }

    /// Does one command of `caller` at block time `now_s` (seconds); returns its events in the order of the contract's logs.
    /// A refused command changes nothing.
    ///
    /// # Errors
    /// The first check that fails, in the contract's order.
    pub fn apply(&mut self, caller: Address, command: &Command, now_s: u64) -> Result<Vec<Event>, Reject> {
        let mut events = Vec::with_capacity(2);
        self.apply_into(caller, command, now_s, &mut events)?;
        Ok(events)
    }

    /// As [`Engine::apply`], appending to `events`; a refused command appends nothing.
    ///
    /// # Errors
    /// The first check that fails, in the contract's order.
    pub fn apply_into(&mut self, caller: Address, command: &Command, _now_s: u64, events: &mut Vec<Event>) -> Result<(), Reject> {
        let start = events.len();
        let done = self.dispatch(caller, command, events);
        if done.is_err() {
            events.truncate(start);
        }
        done
    }

    fn dispatch(&mut self, caller: Address, command: &Command, events: &mut Vec<Event>) -> Result<(), Reject> {
        match command {
            Command::Register { salt } => self.register(caller, *salt, events),
            Command::AddToken { token } => self.add_token(*token, events).map(|_| ()),
            Command::CreateMarket { .. } => self.create_market(command, events),
            Command::SetStatus { market, status } => self.set_status(caller, *market, *status, events),
            Command::Deposit { account, token, atoms, settle } => self.deposit(caller, *account, *token, *atoms, settle, events),
            Command::Withdraw { account, token, atoms, to, settle } => self.withdraw(caller, *account, *token, *atoms, *to, settle, events),
            Command::Place { account, market, mode, ticks, lots, expiry_s, client, steps_max } => {
                if self.book(*market).is_none() {
                    return Err(Reject::NoMarket);
                }
                let account = self.actor(caller, *account)?;
                let wish = matching::Wish {
                    account,
                    market: *market,
                    mode: *mode,
                    ticks: *ticks,
                    lots: *lots,
                    expiry_s: *expiry_s,
                    client: *client,
                    steps_max: *steps_max,
                };
                self.place(&wish, events)
            }
            Command::Cancel { account, order } => {
                let account = self.actor(caller, *account)?;
                self.cancel(account, *order, events)
            }
            Command::Reduce { account, order, left } => {
                let account = self.actor(caller, *account)?;
                self.reduce(account, *order, *left, events)
            }
            Command::Claim { orders } => self.claim_all(orders, events).map(|_| ()),
            // Of milestone 2; until the engine knows them they are refused like every mode it lacks.
            _ => Err(Reject::BadMode),
        }
    }

    /// A market's book.
    pub fn book(&self, market: MarketId) -> Option<&Book> {
        self.books.get((market.0 as usize).checked_sub(1)?)
    }

    fn book_mut(&mut self, market: MarketId) -> Option<&mut Book> {
        self.books.get_mut((market.0 as usize).checked_sub(1)?)
    }

    /// All books, market 1 first.
    pub fn books(&self) -> &[Book] {
        &self.books
    }

    /// An owner's first account, the meaning of account 0 in its commands.
    pub fn account_of(&self, owner: Address) -> Option<AccountId> {
        self.account_of.get(&owner).copied()
    }

    pub fn owner_of(&self, account: AccountId) -> Option<Address> {
        self.owner_of.get(&account).copied()
    }

    /// A token's number.
    pub fn token(&self, at: Address) -> Option<TokenId> {
        if at.is_zero() { Some(NATIVE) } else { self.token_of.get(&at).copied() }
    }

    /// Atoms the account may use now.
    pub fn free_atoms(&self, account: AccountId, token: TokenId) -> u128 {
        self.balances.get(account, token).free
    }

    /// Fees the account owes and can no longer use, in atoms.
    pub fn fee_due_atoms(&self, account: AccountId, token: TokenId) -> u128 {
        self.balances.get(account, token).fee_due
    }

    /// Deposits less withdrawals of a token, in atoms: the sum of everything below it.
    pub fn vault_atoms(&self, token: TokenId) -> u128 {
        self.balances.vault_atoms(token)
    }

    /// Adds up what the vault of a token owes to everybody: free balances, fees due, escrow, unclaimed proceeds. O(orders); for tests
    /// and verification, must equal [`Engine::vault_atoms`]. `None`: beyond 2^128.
    pub fn claims_atoms(&self, token: TokenId) -> Option<u128> {
        let mut sum = self.balances.sum(token)?;
        for book in self.books.iter().filter(|book| [book.market().base, book.market().quote].contains(&token)) {
            let resting = [Side::Bid, Side::Ask].into_iter().flat_map(|side| book.orders(side));
            let past = book.unclaimed().filter(|order| order.left.0 == 0);
            for order in resting.chain(past) {
                sum = sum.checked_add(ledger::order_atoms(book.market(), &order, token)?)?;
            }
        }
        Some(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LevelKey, LevelWord, Lots, Mode, Ticks, TimeInForce};
    use alloy_primitives::U256;

    /// A level at the end of its indexes or of its sum takes no more orders; the level beside it does.
    #[test]
    fn a_full_level_is_refused() {
        let (trader, base, quote) = (Address::repeat_byte(1), Address::repeat_byte(2), Address::repeat_byte(3));
        let mut engine = Engine::new(trader);
        engine.deploy_token(base, 18);
        engine.deploy_token(quote, 18);
        let create = Command::CreateMarket {
            base,
            quote,
            quote_atoms_per_lot_tick: 1,
            base_atoms_per_lot: 1,
            lots_min: 1,
            taker_fee_ppm: 0,
            maker_fee_ppm: 0,
            min_ttl_s: 0,
            status: 1,
        };
        let deposit = Command::Deposit { account: AccountId(0), token: base, atoms: U256::from(1_u64 << 50), settle: Vec::new() };
        for command in [create, deposit] {
            engine.apply(trader, &command, 0).expect("the opening succeeds");
        }
        let level = LevelKey { market: MarketId(1), side: Side::Ask, ticks: Ticks(100) };
        let end = (1 << 40) - 1;
        let word = LevelWord { tail: end, head: end, ..LevelWord::default() };
        let market = engine.books[0].market().clone();
        engine.books[0] = Book::restore(market, [(level, word.to_word())], []).expect("an empty level at its end");
        let ask = |ticks: u32| Command::Place {
            account: AccountId(0),
            market: MarketId(1),
            mode: Mode::new(Side::Ask, TimeInForce::PostOnly),
            ticks: Ticks(ticks),
            lots: Lots(1),
            expiry_s: 0,
            client: 0,
            steps_max: 0,
        };
        assert_eq!(engine.apply(trader, &ask(100), 0), Err(Reject::LevelFull));
        assert!(engine.apply(trader, &ask(101), 0).is_ok());
    }

    /// A book that was restored from words and records which do not fit is refused.
    #[test]
    fn a_torn_restore_is_refused() {
        let word = LevelWord { tail: 1, head: 0, open: Lots(5), ..LevelWord::default() };
        let level = LevelKey { market: MarketId(1), side: Side::Ask, ticks: Ticks(100) };
        let market = crate::Market::from_cfg(MarketId(1), U256::from(1) << 240).expect("status 1");
        assert!(Book::restore(market, [(level, word.to_word())], []).is_err(), "5 lots are open, but no order has them");
    }
}
