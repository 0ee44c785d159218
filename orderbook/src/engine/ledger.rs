//! The words of balances, and the moves that may be refused: credit, debit, fee due. Amounts are atoms; the arithmetic of fees and
//! escrow is `orderbook::ledger`'s.

use super::Engine;
use crate::{AccountId, Event, Lots, Market, Order, OrderId, Record, Reject, Side, Ticks, TokenId, ledger as rules};
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

    pub fn vault_atoms(&self, token: TokenId) -> u128 {
        self.vault.get(&token).copied().unwrap_or(0)
    }

    /// Free atoms and fees due of everybody.
    pub fn sum(&self, token: TokenId) -> Option<u128> {
        let words = self.words.iter().filter(|((_, of), _)| *of == token);
        words.map(|(_, balance)| balance).try_fold(0_u128, |sum, word| sum.checked_add(word.free)?.checked_add(word.fee_due))
    }

    pub fn deposit(&mut self, account: AccountId, token: TokenId, atoms: u128) -> Result<(), Reject> {
        let held = self.vault_atoms(token).checked_add(atoms).filter(|held| *held <= VAULT_MAX).ok_or(Reject::BadAmount)?;
        if atoms == 0 {
            return Err(Reject::BadAmount);
        }
        let balance = self.get(account, token).credit(Some(atoms))?;
        self.set(account, token, balance);
        self.vault.insert(token, held);
        Ok(())
    }

    pub fn withdraw(&mut self, account: AccountId, token: TokenId, atoms: u128) -> Result<(), Reject> {
        let balance = self.get(account, token).debit(Some(atoms))?;
        self.set(account, token, balance);
        let held = self.vault_atoms(token).checked_sub(atoms).expect("free balances are within the vault");
        self.vault.insert(token, held);
        Ok(())
    }
}

/// An order's new balance words, judged and not yet written.
pub(super) struct Payment {
    account: AccountId,
    words: [(TokenId, Balance); 2],
}

/// How to take a claim back.
pub(super) struct Undo {
    id: OrderId,
    account: AccountId,
    /// Words before.
    words: [(TokenId, Balance); 2],
    /// The past record that was forgotten; `None`: the head was rebased by `lots`.
    record: Option<Record>,
    lots: Lots,
}

/// lots x atoms per lot; `None` beyond 2^128.
pub(super) fn product(lots: Lots, per_lot: u128) -> Option<u128> {
    (lots.0 as u128).checked_mul(per_lot)
}

/// What an order's escrow and unclaimed proceeds hold of a token; in a market with a maker fee, the fee too.
pub(super) fn order_atoms(market: &Market, order: &Order, token: TokenId) -> Option<u128> {
    let (side, ticks) = (order.id.level.side, order.id.level.ticks);
    let mut sum = 0_u128;
    if token == rules::escrow_token(market, side) {
        sum = sum.checked_add(product(order.left, rules::escrow_per_lot(market, side, ticks))?)?;
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
    /// Judges the payment of `lots` filled lots and the refund of `back` lots of an order.
    pub(super) fn payment(&self, id: OrderId, account: AccountId, lots: Lots, back: Lots) -> Result<Payment, Reject> {
        let market = self.book(id.level.market).expect("an order has a market").market();
        let (side, ticks) = (id.level.side, id.level.ticks);
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
        let base = self.balances.get(account, market.base).credit(base_atoms)?;
        let quote = self.balances.get(account, market.quote).credit(quote_atoms)?.owe(due)?;
        Ok(Payment { account, words: [(market.base, base), (market.quote, quote)] })
    }

    /// Writes a payment that was judged.
    pub(super) fn pay(&mut self, payment: Payment) {
        for (token, balance) in payment.words {
            if self.balances.get(payment.account, token) != balance {
                self.balances.set(payment.account, token, balance);
            }
        }
    }

    /// Pays a list of orders to their owners; ids with nothing to pay are passed over. Returns how to take it all back.
    pub(super) fn claim_all(&mut self, orders: &[OrderId], events: &mut Vec<Event>) -> Result<Vec<Undo>, Reject> {
        let mut undo = Vec::new();
        for id in orders {
            if let Err(reject) = self.claim(*id, events, &mut undo) {
                self.undo(undo);
                return Err(reject);
            }
        }
        Ok(undo)
    }

    fn claim(&mut self, id: OrderId, events: &mut Vec<Event>, undo: &mut Vec<Undo>) -> Result<(), Reject> {
        let Some(book) = self.book(id.level.market) else { return Ok(()) };
        let Some(level) = book.level(id.level) else { return Ok(()) };
        let record = level.past.get(&id.index).copied();
        let (account, lots, back) = match (record, level.live.get(&id.index)) {
            (Some(record), _) if record.skipped => (record.account, Lots(record.aux), record.lots),
            (Some(record), _) => (record.account, record.lots, Lots(0)),
            (None, Some(live)) => (live.account, level.filled(id.index), Lots(0)),
            (None, None) => return Ok(()),
        };
        if lots.0 | back.0 == 0 {
            return Ok(());
        }
        let market = book.market();
        let words = [market.base, market.quote].map(|token| (token, self.balances.get(account, token)));
        let payment = self.payment(id, account, lots, back)?;
        self.book_mut(id.level.market).expect("read above").claim(id);
        self.pay(payment);
        events.push(Event::Claimed { order: id, account, lots, back });
        undo.push(Undo { id, account, words, record, lots });
        Ok(())
    }

    /// Takes claims back, the last first.
    pub(super) fn undo(&mut self, undo: Vec<Undo>) {
        for claim in undo.into_iter().rev() {
            for (token, balance) in claim.words {
                self.balances.set(claim.account, token, balance);
            }
            let book = self.book_mut(claim.id.level.market).expect("the claim had a market");
            book.unclaim(claim.id, claim.record, claim.lots);
        }
    }

    /// The words a taker's sum leads to, judged in the contract's order: what it pays, what it gets, the fee.
    pub(super) fn taker_payment(
        &self,
        account: AccountId,
        market: &Market,
        side: Side,
        filled: Lots,
        quote_atoms: Option<u128>,
        rebate_atoms: Option<u128>,
    ) -> Result<(Payment, u128), Reject> {
        let base = self.balances.get(account, market.base);
        let quote = self.balances.get(account, market.quote);
        let atoms = product(filled, market.base_atoms_per_lot as u128);
        let fee = quote_atoms.map(|atoms| rules::taker_fee(market, atoms, 0));
        let (base, quote) = match side {
            Side::Bid => {
                let cost = quote_atoms.zip(fee).and_then(|(quote, fee)| quote.checked_add(fee));
                let quote = quote.debit(cost)?;
                (base.credit(atoms)?, quote)
            }
            Side::Ask => (base.debit(atoms)?, quote.credit(quote_atoms.zip(fee).map(|(quote, fee)| quote - fee))?),
        };
        let fee = fee.ok_or(Reject::BadAmount)?;
        let quote = quote.owe(rebate_atoms.map(|rebate| fee - rebate))?;
        Ok((Payment { account, words: [(market.base, base), (market.quote, quote)] }, fee))
    }

    /// The word an escrow leads to, on top of a payment not yet written.
    pub(super) fn escrow(
        &self,
        account: AccountId,
        market: &Market,
        side: Side,
        ticks: Ticks,
        lots: Lots,
        before: Option<&Payment>,
    ) -> Result<(TokenId, Balance), Reject> {
        let token = rules::escrow_token(market, side);
        let pending = before.and_then(|payment| payment.words.iter().find(|(of, _)| *of == token));
        let balance = pending.map_or_else(|| self.balances.get(account, token), |(_, balance)| *balance);
        let balance = balance.debit(product(lots, rules::escrow_per_lot(market, side, ticks)))?;
        Ok((token, Balance { rested: true, ..balance }))
    }
}
