//! Every account's money, by `orderbook::ledger` alone: this file only adds changes up and refuses what falls below zero.

use super::Balance;
use alloy_primitives::map::HashMap;
use orderbook::{AccountId, TokenId, ledger::Change};

/// Balances by account and token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Balances(HashMap<(AccountId, TokenId), Balance>);

impl Balances {
    pub fn restore(balances: impl IntoIterator<Item = (AccountId, TokenId, Balance)>) -> Balances {
        Balances(balances.into_iter().map(|(account, token, balance)| ((account, token), balance)).collect())
    }

    pub fn get(&self, account: AccountId, token: TokenId) -> Balance {
        self.0.get(&(account, token)).copied().unwrap_or_default()
    }

    pub fn iter(&self) -> impl Iterator<Item = (AccountId, TokenId, Balance)> + '_ {
        self.0.iter().map(|((account, token), balance)| (*account, *token, *balance))
    }

    /// Adds a change; true if it changes anything.
    ///
    /// # Errors
    /// The column that would fall below zero (or above 2^128), as text for a `Mirror` error.
    pub fn apply(&mut self, account: AccountId, change: &Change) -> Result<bool, String> {
        if change.free == 0 && change.locked == 0 && change.claimable == 0 && change.fee_due == 0 {
            return Ok(false);
        }
        let balance = self.0.entry((account, change.token)).or_default();
        let columns = [
            ("free", &mut balance.free, change.free),
            ("locked", &mut balance.locked, change.locked),
            ("claimable", &mut balance.claimable, change.claimable),
            ("fee due", &mut balance.fee_due, change.fee_due),
        ];
        for (name, atoms, by) in columns {
            *atoms = atoms
                .checked_add_signed(by)
                .ok_or_else(|| format!("account {} token {}: {name} of {atoms} atoms changed by {by}", account.0, change.token.0))?;
        }
        Ok(true)
    }
}
