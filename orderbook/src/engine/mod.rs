//! The exchange as a pure function: [`Engine::apply`] takes a command and says what happens, exactly as the contract does: same events,
//! same rejects in the same order of checks, same words of storage ([`Engine::word`]).
//!
//! Called by the differential tests (contract = engine), by workloads that need to know an order's id before the chain says it, and by
//! the scenario corpus. Never does I/O, never reads a clock (`now_s` is an argument), never calls a token: a deposit is told what came in.
//!
//! Every operation is atomic: each write notes what it replaced (`journal.rs`), and what fails is rolled back.

mod accounts;
mod agents;
mod batch;
mod journal;
mod ledger;
mod markets;
mod matching;
mod orders;
mod signatures;
mod swaps;
mod taking;
#[cfg(test)]
mod tests;
mod words;

use crate::{AccountId, Book, Command, Event, Lots, MarketId, Reject, TokenId, signed};
use accounts::Withdrawal;
use agents::{Account, Grant};
use alloy_primitives::{Address, U256, map::HashMap};
use journal::Undo;
use ledger::Balances;
use matching::Wish;

/// The fee collector: its owner is the owner role.
const FEE_COLLECTOR: AccountId = AccountId(1);
/// The native coin, address 0; never listed.
const NATIVE: TokenId = TokenId(1);

/// All markets, accounts and balances.
#[derive(Clone, Debug)]
pub struct Engine {
    owner: Address,
    guardian: Address,
    fee_manager: Address,
    /// Contracts that answer `decimals()`, with their answer: those a market may be made of.
    deployed: HashMap<Address, u8>,
    /// Contracts that sign by ERC-1271, each with the key whose signatures it agrees to.
    wallets: HashMap<Address, Address>,
    /// Where signatures are valid; `None`: nowhere.
    domain: Option<signed::Domain>,
    /// Listed tokens from number 2 on.
    tokens: Vec<(Address, u8)>,
    token_of: HashMap<Address, TokenId>,
    accounts: HashMap<AccountId, Account>,
    account_of: HashMap<Address, AccountId>,
    /// Words of rights, nonces and client ids; no word is 0.
    agents: HashMap<(AccountId, Address), U256>,
    nonces: HashMap<(AccountId, u64), U256>,
    clients: HashMap<(AccountId, u64), U256>,
    /// Market n is at n - 1.
    books: Vec<Book>,
    balances: Balances,
    /// What the command under way has replaced; empty between commands.
    journal: Vec<Undo>,
}

/// A command under way: its time, and what it has done.
struct Call<'a> {
    now_s: u64,
    events: &'a mut Vec<Event>,
}

impl Engine {
    /// An exchange without tokens and markets. `owner` may set any market's status.
    pub fn new(owner: Address) -> Engine {
        Engine {
            owner,
            guardian: Address::ZERO,
            fee_manager: Address::ZERO,
            deployed: HashMap::default(),
            wallets: HashMap::default(),
            domain: None,
            tokens: Vec::new(),
            token_of: HashMap::default(),
            accounts: HashMap::default(),
            account_of: HashMap::default(),
            agents: HashMap::default(),
            nonces: HashMap::default(),
            clients: HashMap::default(),
            books: Vec::new(),
            balances: Balances::default(),
            journal: Vec::new(),
        }
    }

    /// Tells the engine that a token contract exists outside; others are refused with `UnknownToken`.
    pub fn deploy_token(&mut self, at: Address, decimals: u8) {
        self.deployed.insert(at, decimals);
    }

    /// Tells the engine that a wallet contract exists outside which agrees (ERC-1271) to the 65-byte signatures of `key` and to no others.
    pub fn deploy_signer(&mut self, at: Address, key: Address) {
        self.wallets.insert(at, key);
    }

    /// Tells the engine which chain and contract it stands for; before that every signature is refused with `BadSignature`.
    pub fn set_domain(&mut self, chain_id: u64, exchange: Address) {
        self.domain = Some(signed::Domain { chain_id, exchange });
    }

    /// Takes over a book that was read elsewhere, in the place of its market's own; ignored if there is no such market.
    /// Balances are as they were.
    pub fn restore_book(&mut self, book: Book) {
        if let Some(own) = self.book_mut(book.market().id) {
            *own = book;
        }
    }

    /// Does one command of `caller` at block time `now_s` (seconds); returns its events in the order of the contract's logs.
    /// A refused command changes nothing.
    ///
    /// # Errors
    /// The first check that fails, in the contract's order.
    pub fn apply(&mut self, caller: Address, command: &Command, now_s: u64) -> Result<Vec<Event>, Reject> {
        self.execute(caller, command, now_s).map(|(events, _)| events)
    }

    /// As [`Engine::apply`], with the result words of a batch (`Execute`, `ExecuteSigned`; of other commands none): what each operation
    /// gave, as [`crate::operation::Outcome`] reads it.
    ///
    /// # Errors
    /// The first check that fails, in the contract's order.
    pub fn execute(&mut self, caller: Address, command: &Command, now_s: u64) -> Result<(Vec<Event>, Vec<U256>), Reject> {
        let mut events = Vec::with_capacity(2);
        let words = self.run(caller, command, now_s, &mut events)?;
        Ok((events, words))
    }

    /// As [`Engine::apply`], appending to `events`; a refused command appends nothing.
    ///
    /// # Errors
    /// The first check that fails, in the contract's order.
    pub fn apply_into(&mut self, caller: Address, command: &Command, now_s: u64, events: &mut Vec<Event>) -> Result<(), Reject> {
        self.run(caller, command, now_s, events).map(|_| ())
    }

    fn run(&mut self, caller: Address, command: &Command, now_s: u64, events: &mut Vec<Event>) -> Result<Vec<U256>, Reject> {
        let start = events.len();
        let mut call = Call { now_s, events };
        let mut words = Vec::new();
        let done = self.dispatch(caller, command, &mut words, &mut call);
        if let Err(reject) = done {
            self.rollback(0);
            events.truncate(start);
            return Err(reject);
        }
        self.journal.clear();
        Ok(words)
    }

    fn dispatch(&mut self, caller: Address, command: &Command, words: &mut Vec<U256>, call: &mut Call) -> Result<(), Reject> {
        match command {
            Command::Register { salt } => self.register(caller, *salt, call),
            Command::AddToken { token } => self.add_token(*token, call).map(|_| ()),
            Command::CreateMarket { .. } => self.create_market(&market_wish(command), call),
            Command::SetStatus { market, status } => self.set_status(caller, *market, *status, call),
            Command::Deposit { account, token, atoms, settle } => self.deposit(caller, (*account, *token, *atoms), settle, call),
            Command::DepositPermit { account, token, atoms, .. } => self.deposit_permit(caller, (*account, *token, *atoms), call),
            Command::Withdraw { account, token, atoms, to, settle } => {
                let wish = Withdrawal { account: *account, token: *token, atoms: *atoms, to: *to, settle };
                self.withdraw(caller, &wish, call)
            }
            Command::Place { account, market, mode, ticks, lots, expiry_s, client, steps_max } => {
                if self.book(*market).is_none() {
                    return Err(Reject::NoMarket);
                }
                let actor = self.actor(caller, *account, call.now_s)?;
                let (expiry_s, client, steps_max) = (*expiry_s, *client, *steps_max);
                let wish = Wish { market: *market, mode: *mode, ticks: *ticks, lots: *lots, expiry_s, client, steps_max };
                self.place(&actor, &wish, matching::Kind::Place, call).map(|_| ())
            }
            Command::Cancel { account, order } => {
                let actor = self.actor(caller, *account, call.now_s)?;
                self.cancel(&actor, *order, call).map(|_| ())
            }
            Command::Reduce { account, order, left } => {
                let actor = self.actor(caller, *account, call.now_s)?;
                self.reduce(&actor, *order, *left, call).map(|_| ())
            }
            Command::Claim { orders } => self.claim_all(orders, call),
            Command::Execute { account, ops } => {
                *words = self.execute_batch(caller, *account, ops, call)?;
                Ok(())
            }
            Command::ExecuteSigned { account, nonce, deadline_s, relayer, ops, signer, signature } => {
                let (account, nonce, deadline_s, relayer) = (*account, *nonce, *deadline_s, *relayer);
                let batch = signed::Batch { account, nonce, deadline_s, relayer, ops };
                *words = self.execute_signed(caller, &batch, (*signer, signature), call)?;
                Ok(())
            }
            _ => self.dispatch_rest(caller, command, call),
        }
    }

    /// Commands that trade nothing: rights, roles, house-keeping, swaps.
    fn dispatch_rest(&mut self, caller: Address, command: &Command, call: &mut Call) -> Result<(), Reject> {
        match command {
            Command::ApproveAgent { account, agent, expiry_s, perms, cap_atoms, markets } => {
                let account = self.owned(caller, *account, call.now_s)?;
                let grant = Grant { agent: *agent, expiry_s: *expiry_s, perms: *perms, cap_atoms: *cap_atoms, markets: *markets };
                self.approve(account, &grant, call);
                Ok(())
            }
            Command::ApproveAgentSigned { account, agent, expiry_s, perms, cap_atoms, markets, nonce, deadline_s, signature } => {
                let grant = signed::Grant {
                    account: *account,
                    agent: *agent,
                    expiry_s: *expiry_s,
                    perms: *perms,
                    cap_atoms: *cap_atoms,
                    markets: *markets,
                    nonce: *nonce,
                    deadline_s: *deadline_s,
                };
                self.approve_signed(&grant, signature, call)
            }
            Command::CancelNonces { account, word, mask } => {
                let account = self.owned(caller, *account, call.now_s)?;
                self.cancel_nonces(account, *word, *mask)
            }
            Command::Poke { account, orders } => {
                let account = if account.0 == 0 { self.account_of(caller).unwrap_or_default() } else { *account };
                self.poke(account, orders, call)
            }
            Command::Prune { level, steps_max } => self.prune(*level, *steps_max, call),
            Command::SweepFees { token, accounts } => self.sweep_fees(*token, accounts, call),
            Command::SetTier { account, tier } => self.set_tier(caller, *account, *tier, call),
            Command::SetRole { role, who } => self.set_role(caller, *role, *who, call),
            Command::SwapExactIn { token_in, atoms, markets, out_min, to, deadline_s, steps_max } => {
                let wish = swaps::SwapWish {
                    token_in: *token_in,
                    atoms: *atoms,
                    markets,
                    out_min: *out_min,
                    to: *to,
                    deadline_s: *deadline_s,
                    steps_max: *steps_max,
                };
                self.swap(caller, &wish, call)
            }
            _ => unreachable!("dispatched above"),
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
        self.accounts.get(&account).map(|word| word.owner).filter(|owner| !owner.is_zero())
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
            for (id, record) in book.records() {
                let refund = if record.skipped { record.lots } else { Lots(0) };
                sum = sum.checked_add(ledger::order_atoms(book.market(), &book.order(id)?, refund, token)?)?;
            }
        }
        Some(sum)
    }
}

fn market_wish(command: &Command) -> markets::MarketWish {
    let Command::CreateMarket {
        base,
        quote,
        quote_atoms_per_lot_tick,
        base_atoms_per_lot,
        lots_min,
        taker_fee_ppm,
        maker_fee_ppm,
        min_ttl_s,
        status,
    } = *command
    else {
        unreachable!("dispatched by this variant")
    };
    markets::MarketWish {
        base,
        quote,
        quote_atoms_per_lot_tick,
        base_atoms_per_lot,
        lots_min,
        taker_fee_ppm,
        maker_fee_ppm,
        min_ttl_s,
        status,
    }
}
