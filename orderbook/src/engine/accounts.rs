//! Who may act, tokens, markets and their statuses, and the way of money in and out.

use super::{Engine, FEE_COLLECTOR, NATIVE};
use crate::{AccountId, Book, Command, Event, Market, MarketId, MarketStatus, OrderId, Reject, TokenId};
use alloy_primitives::{Address, U256};

/// Salts that a first deposit tries.
const SALTS: u32 = 4;
/// Highest fee, in millionths.
const FEE_MAX_PPM: i32 = 10_000;

impl Engine {
    /// The account a call is for, if the caller may act for it.
    pub(super) fn actor(&self, caller: Address, named: AccountId) -> Result<AccountId, Reject> {
        let account = if named.0 == 0 { self.account_of(caller).unwrap_or(named) } else { named };
        let owns = self.owner_of(account) == Some(caller) || (account == FEE_COLLECTOR && caller == self.owner);
        if owns { Ok(account) } else { Err(Reject::NotAuthorized) }
    }

    pub(super) fn register(&mut self, caller: Address, salt: u32, events: &mut Vec<Event>) -> Result<(), Reject> {
        let account = AccountId::numbered(caller, salt);
        if self.owner_of.contains_key(&account) {
            return Err(Reject::AccountTaken);
        }
        self.open(caller, account);
        events.push(Event::AccountCreated { account, owner: caller });
        Ok(())
    }

    fn open(&mut self, owner: Address, account: AccountId) {
        self.owner_of.insert(account, owner);
        self.account_of.entry(owner).or_insert(account);
    }

    pub(super) fn deposit(
        &mut self,
        caller: Address,
        named: AccountId,
        token: Address,
        atoms: U256,
        settle: &[OrderId],
        events: &mut Vec<Event>,
    ) -> Result<(), Reject> {
        let first = if named.0 == 0 { self.account_of(caller) } else { Some(named) };
        let account = match first {
            Some(account) if self.owner_of.contains_key(&account) => account,
            Some(_) => return Err(Reject::UnknownAccount),
            None => {
                let mut numbers = (0..SALTS).map(|salt| AccountId::numbered(caller, salt));
                let account = numbers.find(|account| !self.owner_of.contains_key(account)).ok_or(Reject::AccountTaken)?;
                events.push(Event::AccountCreated { account, owner: caller });
                account
            }
        };
        let token = self.token(token).ok_or(Reject::UnknownToken)?;
        let undo = self.claim_all(settle, events)?;
        let credited = u128::try_from(atoms).map_err(|_| Reject::BadAmount);
        match credited.and_then(|atoms| self.balances.deposit(account, token, atoms).map(|()| atoms)) {
            Ok(atoms) => {
                if first.is_none() {
                    self.open(caller, account);
                }
                events.push(Event::Deposit { account, token, atoms });
                Ok(())
            }
            Err(reject) => {
                self.undo(undo);
                Err(reject)
            }
        }
    }

    pub(super) fn withdraw(
        &mut self,
        caller: Address,
        named: AccountId,
        token: Address,
        atoms: U256,
        to: Address,
        settle: &[OrderId],
        events: &mut Vec<Event>,
    ) -> Result<(), Reject> {
        let account = self.actor(caller, named)?;
        if to.is_zero() {
            return Err(Reject::NotAuthorized);
        }
        let token = self.token(token).ok_or(Reject::UnknownToken)?;
        let undo = self.claim_all(settle, events)?;
        let wanted =
            if atoms == U256::MAX { Ok(self.free_atoms(account, token)) } else { u128::try_from(atoms).map_err(|_| Reject::Insufficient) };
        match wanted.and_then(|atoms| self.balances.withdraw(account, token, atoms).map(|()| atoms)) {
            Ok(atoms) => {
                events.push(Event::Withdraw { account, token, atoms, to });
                Ok(())
            }
            Err(reject) => {
                self.undo(undo);
                Err(reject)
            }
        }
    }

    /// A listed token keeps its number; a new one must be known to exist.
    pub(super) fn add_token(&mut self, at: Address, events: &mut Vec<Event>) -> Result<TokenId, Reject> {
        if let Some(token) = self.token(at) {
            return Ok(token);
        }
        let decimals = *self.deployed.get(&at).ok_or(Reject::UnknownToken)?;
        let token = TokenId(NATIVE.0 + 1 + self.tokens.len() as u32);
        self.tokens.push((at, decimals));
        self.token_of.insert(at, token);
        events.push(Event::TokenAdded { token, at, decimals });
        Ok(token)
    }

    pub(super) fn create_market(&mut self, command: &Command, events: &mut Vec<Event>) -> Result<(), Reject> {
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
        let (taker, maker) = (taker_fee_ppm as i32, maker_fee_ppm as i32);
        let status = match MarketStatus::from_code(status) {
            Some(status @ (MarketStatus::Live | MarketStatus::PostOnly)) => status,
            _ => return Err(Reject::BadMarket),
        };
        let units = quote_atoms_per_lot_tick > 0 && base_atoms_per_lot > 0 && lots_min > 0;
        if base == quote || !units || taker > FEE_MAX_PPM || maker < -taker || maker > FEE_MAX_PPM {
            return Err(Reject::BadMarket);
        }
        for at in [base, quote] {
            if self.token(at).is_none() && !self.deployed.contains_key(&at) {
                return Err(Reject::UnknownToken);
            }
        }
        let base = self.add_token(base, events)?;
        let quote = self.add_token(quote, events)?;
        let id = MarketId(self.books.len() as u32 + 1);
        let market = Market {
            id,
            base,
            quote,
            quote_atoms_per_lot_tick,
            base_atoms_per_lot,
            lots_min,
            taker_fee_ppm,
            maker_fee_ppm,
            min_ttl_s,
            status,
        };
        events.push(Event::MarketCreated { market: id, cfg: market.cfg() });
        self.books.push(Book::new(market));
        Ok(())
    }

    /// Owner: any status, HALTED only from CANCEL_ONLY, nothing from HALTED. Guardian: LIVE or POST_ONLY to CANCEL_ONLY.
    pub(super) fn set_status(&mut self, caller: Address, id: MarketId, to: u8, events: &mut Vec<Event>) -> Result<(), Reject> {
        let (owner, guardian) = (self.owner, self.guardian);
        let book = self.book_mut(id).ok_or(Reject::NoMarket)?;
        let from = book.market().status;
        let to = MarketStatus::from_code(to);
        if caller != owner {
            let may_stop = caller == guardian && from <= MarketStatus::PostOnly && to == Some(MarketStatus::CancelOnly);
            if !may_stop {
                return Err(Reject::NotAuthorized);
            }
        }
        let to = to.ok_or(Reject::BadStatus)?;
        if from == MarketStatus::Halted || (to == MarketStatus::Halted && from != MarketStatus::CancelOnly) {
            return Err(Reject::BadStatus);
        }
        book.market_mut().status = to;
        events.push(Event::Status { market: id, status: to });
        Ok(())
    }
}
