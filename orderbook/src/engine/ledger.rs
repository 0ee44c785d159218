//! The words of balances, and the moves that may be refused: credit, debit, fee due. Amounts are atoms; the arithmetic of fees and
//! escrow is `orderbook::ledger`'s.

use super::Engine;
use super::taking::Sum;
use crate::{AccountId, LevelKey, Lots, Market, MarketId, Order, OrderId, Reject, Side, Ticks, TokenId, ledger as rules};
use alloy_primitives::{U256, map::HashMap};

/// Most atoms a vault may hold, 2^112 - 1; also the bound of fees due.
const VAULT_MAX: u128 = (1 << 112) - 1;

/// An account's balance of one token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Balance {
    pub free: u128,
    /// 112 bits.
    pub fee_due: u128,
    /// Set for good by the first resting order that escrowed the token.
    pub rested: bool,
}

impl Balance {
    pub fn word(self) -> U256 {
        U256::from(self.free) | U256::from(self.fee_due) << 128 | U256::from(self.rested) << 240
    }

    pub fn credit(self, atoms: Option<u128>) -> Result<Balance, Reject> {
        let free = atoms.and_then(|atoms| self.free.checked_add(atoms)).ok_or(Reject::BadAmount)?;
        Ok(Balance { free, ..self })
    }

    pub fn debit(self, atoms: Option<u128>) -> Result<Balance, Reject> {
        let free = atoms.and_then(|atoms| self.free.checked_sub(atoms)).ok_or(Reject::Insufficient)?;
        Ok(Balance { free, ..self })
    }

    pub fn owe(self, atoms: Option<u128>) -> Result<Balance, Reject> {
        let due = atoms.and_then(|atoms| self.fee_due.checked_add(atoms)).filter(|due| *due <= VAULT_MAX);
        Ok(Balance { fee_due: due.ok_or(Reject::BadAmount)?, ..self })
    }
}

/// All balances and the vault's totals.
#[derive(Clone, Debug, Default)]
pub(super) struct Balances {
    words: HashMap<(AccountId, TokenId), Balance>,
    vault: HashMap<TokenId, u128>,
}

impl Balances {
    pub fn get(&self, account: AccountId, token: TokenId) -> Balance {
        self.words.get(&(account, token)).copied().unwrap_or_default()
    }

    pub fn set(&mut self, account: AccountId, token: TokenId, balance: Balance) {
        self.words.insert((account, token), balance);
    }

    /// To be changed through the journal alone.
    pub fn word_mut(&mut self, account: AccountId, token: TokenId) -> &mut Balance {
        self.words.entry((account, token)).or_default()
    }

    pub fn vault_atoms(&self, token: TokenId) -> u128 {
        self.vault.get(&token).copied().unwrap_or(0)
    }

    pub fn set_vault(&mut self, token: TokenId, atoms: u128) {
        self.vault.insert(token, atoms);
    }

    /// Free atoms and fees due of everybody.
    pub fn sum(&self, token: TokenId) -> Option<u128> {
        let words = self.words.iter().filter(|((_, of), _)| *of == token);
        words.map(|(_, balance)| balance).try_fold(0_u128, |sum, word| sum.checked_add(word.free)?.checked_add(word.fee_due))
    }
}

/// lots x atoms per lot; `None` beyond 2^128.
pub(super) fn product(lots: Lots, per_lot: u128) -> Option<u128> {
    (lots.0 as u128).checked_mul(per_lot)
}

/// What an order's escrow and unclaimed proceeds hold of a token; in a market with a maker fee, the fee too. `refund`: lots of an
/// expired order that wait for its claim.
pub(super) fn order_atoms(market: &Market, order: &Order, refund: Lots, token: TokenId) -> Option<u128> {
    let (side, ticks) = (order.id.level.side, order.id.level.ticks);
    let mut sum = 0_u128;
    if token == rules::escrow_token(market, side) {
        let lots = Lots(order.left.0.checked_add(refund.0)?);
        sum = sum.checked_add(product(lots, rules::escrow_per_lot(market, side, ticks))?)?;
    }
    let proceeds = match side {
        Side::Ask if token == market.quote => rules::ask_proceeds_per_lot(market, ticks) + rules::maker_pays_per_lot(market, ticks),
        Side::Bid if token == market.quote => rules::rebate_per_lot(market, ticks) + rules::maker_pays_per_lot(market, ticks),
        Side::Bid => market.base_atoms_per_lot as u128,
        Side::Ask => 0,
    };
    sum.checked_add(product(order.unclaimed, proceeds)?)
}

impl Engine {
    /// Takes atoms into the vault, up to its bound.
    pub(super) fn vault_in(&mut self, token: TokenId, atoms: u128) -> Result<(), Reject> {
        let held = self.balances.vault_atoms(token).checked_add(atoms).filter(|held| atoms > 0 && *held <= VAULT_MAX);
        self.set_vault(token, held.ok_or(Reject::BadAmount)?);
        Ok(())
    }

    /// Lets atoms out of the vault that no balance holds any more.
    pub(super) fn vault_out(&mut self, token: TokenId, atoms: u128) {
        let held = self.balances.vault_atoms(token).checked_sub(atoms).expect("free balances are within the vault");
        self.set_vault(token, held);
    }

    /// Pays the owner of an order: proceeds of `lots` filled lots, escrow of `back` lots.
    pub(super) fn pay(&mut self, id: OrderId, account: AccountId, lots: Lots, back: Lots) -> Result<(), Reject> {
        let market = self.books[id.level.market.0 as usize - 1].market();
        let (side, ticks) = (id.level.side, id.level.ticks);
        let (base, quote) = (market.base, market.quote);
        let refund = product(back, rules::escrow_per_lot(market, side, ticks));
        let (base_atoms, quote_atoms) = match side {
            Side::Ask => (refund, product(lots, rules::ask_proceeds_per_lot(market, ticks))),
            Side::Bid => {
                let rebate = product(lots, rules::rebate_per_lot(market, ticks));
                let both = rebate.zip(refund).and_then(|(rebate, refund)| rebate.checked_add(refund));
                (product(lots, market.base_atoms_per_lot as u128), both)
            }
        };
        let due = product(lots, rules::maker_pays_per_lot(market, ticks));
        if base_atoms != Some(0) {
            self.change_balance(account, base, |balance| balance.credit(base_atoms))?;
        }
        if (quote_atoms, due) != (Some(0), Some(0)) {
            self.change_balance(account, quote, |balance| balance.credit(quote_atoms)?.owe(due))?;
        }
        Ok(())
    }

    /// Moves a taker's money, judged in the contract's order: what it pays, what it gets, the fee. Returns the fee, in quote atoms.
    pub(super) fn settle(&mut self, account: AccountId, tier: u8, market: MarketId, side: Side, sum: &Sum) -> Result<u128, Reject> {
        if sum.filled.0 == 0 {
            return Ok(0);
        }
        let market = &self.books[market.0 as usize - 1].market().clone();
        let atoms = product(sum.filled, market.base_atoms_per_lot as u128);
        let fee = sum.quote_atoms.map(|atoms| rules::taker_fee(market, atoms, tier));
        let both = sum.quote_atoms.zip(fee);
        if side == Side::Bid {
            let cost = both.and_then(|(quote, fee)| quote.checked_add(fee));
            self.change_balance(account, market.quote, |balance| balance.debit(cost))?;
            self.change_balance(account, market.base, |balance| balance.credit(atoms))?;
        } else {
            self.change_balance(account, market.base, |balance| balance.debit(atoms))?;
            self.change_balance(account, market.quote, |balance| balance.credit(both.map(|(quote, fee)| quote - fee)))?;
        }
        let fee = fee.ok_or(Reject::BadAmount)?;
        self.change_balance(account, market.quote, |balance| balance.owe(sum.rebate_atoms.map(|rebate| fee - rebate)))?;
        Ok(fee)
    }

    /// Takes the escrow of an order that comes to rest out of the free balance.
    pub(super) fn escrow(&mut self, account: AccountId, level: LevelKey, lots: Lots) -> Result<(), Reject> {
        let market = self.books[level.market.0 as usize - 1].market();
        let token = rules::escrow_token(market, level.side);
        let atoms = product(lots, rules::escrow_per_lot(market, level.side, level.ticks));
        self.change_balance(account, token, |balance| Ok(Balance { rested: true, ..balance.debit(atoms)? }))
    }
}

/// What one lot takes from a taker's budget at a price.
pub(super) fn spent_per_lot(market: &Market, side: Side, ticks: Ticks) -> u128 {
    match side {
        Side::Bid => rules::quote_per_lot(market, ticks),
        Side::Ask => market.base_atoms_per_lot as u128,
    }
}
