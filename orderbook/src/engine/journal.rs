//! Undo: every write of the engine goes through here and notes what it replaced. A command that fails, and an operation of a batch that
//! fails, is rolled back to where it began; a command that succeeds forgets its notes. Nothing else makes operations atomic.

use super::Engine;
use super::ledger::Balance;
use crate::book::Before;
use crate::{AccountId, LevelKey, LevelWord, MarketId, MarketStatus, OrderId, Record, Reject, TokenId};
use alloy_primitives::{Address, U256, map::HashMap};
use std::{collections::hash_map::Entry, hash::Hash};

/// What one write replaced.
#[derive(Clone, Debug)]
pub(super) enum Undo {
    Book(MarketId, Before),
    Balance(AccountId, TokenId, Balance),
    Vault(TokenId, u128),
    Status(MarketId, MarketStatus),
    Account(AccountId, super::Account),
    /// The owner got its first account.
    First(Address),
    /// The newest token, or market, was listed.
    Token,
    Market,
    Rights((AccountId, Address), U256),
    Nonces((AccountId, u64), U256),
    Client((AccountId, u64), U256),
    /// 0 owner, 1 guardian, 2 fee manager.
    Role(u8, Address),
}

/// Sets a word of a sparse map, as storage does; returns the word before.
fn replace<T: Eq + Hash>(words: &mut HashMap<T, U256>, key: T, word: U256) -> U256 {
    let before = if word.is_zero() { words.remove(&key) } else { words.insert(key, word) };
    before.unwrap_or_default()
}

impl Engine {
    /// Where a later [`Engine::rollback`] goes back to.
    pub(super) fn mark(&self) -> usize {
        self.journal.len()
    }

    /// Takes back all writes since the mark, the last first.
    pub(super) fn rollback(&mut self, mark: usize) {
        while self.journal.len() > mark {
            let Some(undo) = self.journal.pop() else { return };
            self.take_back(undo);
        }
    }

    fn take_back(&mut self, undo: Undo) {
        match undo {
            Undo::Book(market, before) => self.books[market.0 as usize - 1].undo(before),
            Undo::Balance(account, token, balance) => self.balances.set(account, token, balance),
            Undo::Vault(token, atoms) => self.balances.set_vault(token, atoms),
            Undo::Status(market, status) => self.books[market.0 as usize - 1].market_mut().status = status,
            Undo::Account(account, before) if before == super::Account::default() => {
                self.accounts.remove(&account);
            }
            Undo::Account(account, before) => {
                self.accounts.insert(account, before);
            }
            Undo::First(owner) => {
                self.account_of.remove(&owner);
            }
            Undo::Token => {
                let (at, _) = self.tokens.pop().expect("it was listed");
                self.token_of.remove(&at);
            }
            Undo::Market => {
                self.books.pop();
            }
            Undo::Rights(key, word) => {
                replace(&mut self.agents, key, word);
            }
            Undo::Nonces(key, word) => {
                replace(&mut self.nonces, key, word);
            }
            Undo::Client(key, word) => {
                replace(&mut self.clients, key, word);
            }
            Undo::Role(role, who) => *self.role_mut(role).expect("it was set") = who,
        }
    }

    /// Changes a balance word as the rule says, or fails as it does.
    pub(super) fn change_balance(
        &mut self,
        account: AccountId,
        token: TokenId,
        rule: impl FnOnce(Balance) -> Result<Balance, Reject>,
    ) -> Result<(), Reject> {
        let balance = self.balances.word_mut(account, token);
        let before = *balance;
        let after = rule(before)?;
        if after != before {
            *balance = after;
            self.journal.push(Undo::Balance(account, token, before));
        }
        Ok(())
    }

    pub(super) fn set_vault(&mut self, token: TokenId, atoms: u128) {
        self.journal.push(Undo::Vault(token, self.balances.vault_atoms(token)));
        self.balances.set_vault(token, atoms);
    }

    /// Notes a write of a book.
    pub(super) fn note(&mut self, market: MarketId, before: Before) {
        self.journal.push(Undo::Book(market, before));
    }

    /// Sets a record during a walk; the level's word is stored when the walk ends.
    pub(super) fn set_record(&mut self, id: OrderId, record: Option<Record>) {
        let before = self.books[id.level.market.0 as usize - 1].set_record(id, record);
        self.note(id.level.market, before);
    }

    /// Moves the head of a level.
    pub(super) fn pass(&mut self, key: LevelKey, word: LevelWord) {
        let before = self.books[key.market.0 as usize - 1].pass(key, word);
        self.note(key.market, before);
    }

    pub(super) fn set_account(&mut self, account: AccountId, word: super::Account) {
        let before = self.accounts.insert(account, word).unwrap_or_default();
        self.journal.push(Undo::Account(account, before));
    }

    /// The account of an owner who has none yet.
    pub(super) fn set_first(&mut self, owner: Address, account: AccountId) {
        if let Entry::Vacant(first) = self.account_of.entry(owner) {
            first.insert(account);
            self.journal.push(Undo::First(owner));
        }
    }

    pub(super) fn set_agent(&mut self, account: AccountId, agent: Address, word: U256) {
        let before = replace(&mut self.agents, (account, agent), word);
        self.journal.push(Undo::Rights((account, agent), before));
    }

    pub(super) fn set_nonces(&mut self, account: AccountId, word: u64, bits: U256) {
        let before = replace(&mut self.nonces, (account, word), bits);
        self.journal.push(Undo::Nonces((account, word), before));
    }

    pub(super) fn set_client(&mut self, account: AccountId, client: u64, word: U256) {
        let before = replace(&mut self.clients, (account, client), word);
        self.journal.push(Undo::Client((account, client), before));
    }

    /// `None`: there is no such role.
    pub(super) fn role_mut(&mut self, role: u8) -> Option<&mut Address> {
        match role {
            0 => Some(&mut self.owner),
            1 => Some(&mut self.guardian),
            2 => Some(&mut self.fee_manager),
            _ => None,
        }
    }
}
