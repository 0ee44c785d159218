//! Accounts, and the way of money in and out.

use super::agents::{Account, perms};
use super::{Call, Engine};
use crate::{AccountId, Event, OrderId, Reject, TokenId};
use alloy_primitives::{Address, U256};

/// Salts that a first deposit tries.
const SALTS: u32 = 4;

/// Who takes money out, and where to.
pub(super) struct Withdrawal<'a> {
    pub account: AccountId,
    pub token: Address,
    /// 2^256 - 1: all that is free after `settle`.
    pub atoms: U256,
    pub to: Address,
    pub settle: &'a [OrderId],
}

impl Engine {
    pub(super) fn register(&mut self, caller: Address, salt: u32, call: &mut Call) -> Result<(), Reject> {
        let account = AccountId::numbered(caller, salt);
        if self.is_known(account) {
            return Err(Reject::AccountTaken);
        }
        self.open(caller, account, call);
        Ok(())
    }

    /// True if the account's word is not 0.
    fn is_known(&self, account: AccountId) -> bool {
        self.accounts.get(&account).is_some_and(|word| *word != Account::default())
    }

    fn open(&mut self, owner: Address, account: AccountId, call: &mut Call) {
        self.set_account(account, Account { owner, ..Account::default() });
        self.set_first(owner, account);
        call.events.push(Event::AccountCreated { account, owner });
    }

    /// Who is credited by a deposit, of which token.
    fn credited(&mut self, caller: Address, named: AccountId, token: Address, call: &mut Call) -> Result<(AccountId, TokenId), Reject> {
        let first = if named.0 == 0 { self.account_of(caller) } else { Some(named) };
        let account = match first {
            Some(account) if self.is_known(account) => account,
            Some(_) => return Err(Reject::UnknownAccount),
            None => {
                let mut numbers = (0..SALTS).map(|salt| AccountId::numbered(caller, salt));
                let account = numbers.find(|account| !self.is_known(*account)).ok_or(Reject::AccountTaken)?;
                self.open(caller, account, call);
                account
            }
        };
        Ok((account, self.token(token).ok_or(Reject::UnknownToken)?))
    }

    fn credit(&mut self, account: AccountId, token: TokenId, atoms: U256, call: &mut Call) -> Result<(), Reject> {
        let atoms = u128::try_from(atoms).map_err(|_| Reject::BadAmount)?;
        self.vault_in(token, atoms)?;
        self.change_balance(account, token, |balance| balance.credit(Some(atoms)))?;
        call.events.push(Event::Deposit { account, token, atoms });
        Ok(())
    }

    pub(super) fn deposit(
        &mut self,
        caller: Address,
        (named, token, atoms): (AccountId, Address, U256),
        settle: &[OrderId],
        call: &mut Call,
    ) -> Result<(), Reject> {
        let (account, token) = self.credited(caller, named, token, call)?;
        self.claim_all(settle, call)?;
        self.credit(account, token, atoms, call)
    }

    /// The permit itself is between the trader and the token: one that fails does no harm if the allowance is there.
    pub(super) fn deposit_permit(
        &mut self,
        caller: Address,
        (named, at, atoms): (AccountId, Address, U256),
        call: &mut Call,
    ) -> Result<(), Reject> {
        let (account, token) = self.credited(caller, named, at, call)?;
        if at.is_zero() {
            return Err(Reject::BadAmount); // the native coin has no permits
        }
        self.credit(account, token, atoms, call)
    }

    pub(super) fn withdraw(&mut self, caller: Address, wish: &Withdrawal, call: &mut Call) -> Result<(), Reject> {
        let actor = self.actor(caller, wish.account, call.now_s)?;
        actor.demand(perms::WITHDRAW, crate::MarketId(0))?;
        // An agent brings money home and nowhere else.
        if wish.to.is_zero() || (!actor.owns() && wish.to != actor.word.owner) {
            return Err(Reject::NotAuthorized);
        }
        let token = self.token(wish.token).ok_or(Reject::UnknownToken)?;
        self.claim_all(wish.settle, call)?;
        let atoms = if wish.atoms == U256::MAX {
            self.free_atoms(actor.account, token)
        } else {
            u128::try_from(wish.atoms).map_err(|_| Reject::Insufficient)?
        };
        self.change_balance(actor.account, token, |balance| balance.debit(Some(atoms)))?;
        self.vault_out(token, atoms);
        call.events.push(Event::Withdraw { account: actor.account, token, atoms, to: wish.to });
        Ok(())
    }
}
