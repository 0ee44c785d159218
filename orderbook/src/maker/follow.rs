//! Own orders from the feed: events in, "my order was filled" out. Follows one market's book, and in it one account.
//!
//! ```text
//! event --Book::replay--> fills --+--> orders: left, filled, claimable, refundable
//!                                 `--> position: inventory, cash, fees, realised
//! ```
//! Every event of the exchange may be fed, in the order of the logs; those of other markets are passed over. After each event the orders are exactly
//! the engine's records of this account (`tests/law/maker.rs`). A follower that began in the middle ([`super::Resync`]) does not know orders of others that
//! were filled before, and needs not to.

use super::{Batch, Position};
use crate::ledger::{self, Change};
use crate::{AccountId, Book, Event, Fill, LevelKey, Lots, MarketId, OrderId, ReduceReason, ReplayError, Side, Ticks};
use std::collections::BTreeMap;

/// An order of ours that is open, or is owed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnOrder {
    pub id: OrderId,
    /// Our own id of it, 0 none; unknown (0) of an order found in the book at the start.
    pub client: u64,
    /// Seconds; 0 never expires.
    pub expiry_s: u32,
    /// Lots that can still be taken or cancelled.
    pub left: Lots,
    /// Lots filled since this follower began.
    pub filled: Lots,
    /// Filled lots that a claim would pay.
    pub claimable: Lots,
    /// Lots that a claim would refund: a taker passed the order after its expiry.
    pub refundable: Lots,
}

impl OwnOrder {
    fn is_gone(&self) -> bool {
        self.left.0 | self.claimable.0 | self.refundable.0 == 0
    }
}

/// What an event meant for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Our order was filled; `order.left` is what remains.
    Filled { order: OwnOrder, lots: Lots },
    /// We took: lots for quote atoms, and paid the fee.
    Took { side: Side, lots: Lots, quote_atoms: u128, fee_atoms: u128 },
    /// An operation of our batch failed: index of its result word, kind byte, the error's selector, our own id.
    Rejected { index: u16, kind: u8, reason: [u8; 4], client: u64 },
}

/// A market's book, one account's orders in it, and what they did.
#[derive(Clone, Debug)]
pub struct Follower {
    account: AccountId,
    book: Book,
    orders: BTreeMap<OrderId, OwnOrder>,
    position: Position,
    /// What this market did to our balances since the start: base, quote.
    changes: [Change; 2],
    /// Fills whose taker the next `Taken` names.
    untaken: Vec<Fill>,
    /// The book began in the middle: it does not know empty levels, nor what was filled before.
    joined: bool,
    /// An order that the last event took from the book: its claim may follow.
    dropped: Option<OrderId>,
}

impl Follower {
    /// Goes on from a book; what rests or is owed there to `account` is taken over. O(orders).
    pub fn new(book: Book, account: AccountId) -> Follower {
        let mut orders = BTreeMap::new();
        for (id, record) in book.records().filter(|(_, record)| record.account == account) {
            let order = book.order(id).expect("a record is an order");
            let refundable = if record.skipped { record.lots } else { Lots(0) };
            let own = OwnOrder {
                id,
                client: 0,
                expiry_s: order.expiry_s,
                left: order.left,
                filled: Lots(0),
                claimable: order.unclaimed,
                refundable,
            };
            orders.insert(id, own);
        }
        let changes = [Change::none(book.market().base), Change::none(book.market().quote)];
        Follower { account, orders, position: Position::default(), changes, untaken: Vec::new(), joined: false, dropped: None, book }
    }

    /// As [`Follower::new`], from a book that began in the middle ([`super::Resync`]).
    pub fn joining(book: Book, account: AccountId) -> Follower {
        Follower { joined: true, ..Follower::new(book, account) }
    }

    /// Per result word of a batch, the id of the order that will rest ([`super::order_ids`]); `None` also at a level whose tail is not known yet.
    pub fn order_ids(&self, batch: &Batch, now_s: u64) -> Vec<Option<OrderId>> {
        let known = |id: &OrderId| !self.joined || self.book.level_word(id.level).tail > 0;
        super::order_ids(&self.book, &batch.operations, now_s).into_iter().map(|id| id.filter(known)).collect()
    }

    pub fn book(&self) -> &Book {
        &self.book
    }

    pub fn account(&self) -> AccountId {
        self.account
    }

    pub fn market(&self) -> MarketId {
        self.book.market().id
    }

    /// Everything of ours that is open or owed something, by id.
    pub fn orders(&self) -> impl Iterator<Item = &OwnOrder> {
        self.orders.values()
    }

    /// What rests, of one side, by rising price and queue place.
    pub fn live(&self, side: Side) -> impl Iterator<Item = &OwnOrder> {
        self.orders.values().filter(move |order| order.id.level.side == side && order.left.0 > 0)
    }

    /// Orders that have nothing open but something to claim.
    pub fn claimable(&self) -> impl Iterator<Item = &OwnOrder> {
        self.orders.values().filter(|order| order.left.0 == 0)
    }

    /// The best price of a side at which somebody else stands.
    pub fn best_of_others(&self, side: Side) -> Option<Ticks> {
        let own_at = |ticks: Ticks| self.live(side).filter(|order| order.id.level.ticks == ticks).map(|order| order.left.0).sum::<u64>();
        let mut best = self.book.best(side);
        while let Some(ticks) = best {
            if self.book.depth_at(LevelKey { market: self.market(), side, ticks }).lots.0 > own_at(ticks) {
                break;
            }
            best = self.book.best_beyond(side, ticks);
        }
        best
    }

    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Keeps an earlier follower's sums after a resync: orders come from the new book, inventory, fees and realised go on.
    pub fn with_position(self, position: Position) -> Follower {
        Follower { position, ..self }
    }

    /// What this market's events, deposits and withdrawals did to our balances since the start: base, then quote.
    pub fn changes(&self) -> &[Change; 2] {
        &self.changes
    }

    /// Follows one event; returns what it means for us.
    ///
    /// # Errors
    /// An event that cannot follow those before: logs are missing, and the book must be resynced.
    pub fn event(&mut self, event: &Event) -> Result<Vec<News>, ReplayError> {
        let mut news = Vec::new();
        match event.market() {
            Some(market) if market == self.book.market().id => {}
            Some(_) => return Ok(news),
            None => {
                self.elsewhere(event, &mut news);
                return Ok(news);
            }
        }
        let dropped = self.dropped.take();
        match *event {
            Event::Placed { order, .. } if self.joined => self.book.adopt(order.level, order.index),
            Event::Reduced { order, left: Lots(0), .. } => self.dropped = Some(order),
            // Filled before the book began.
            Event::Claimed { order, account, lots, back } if self.joined && dropped != Some(order) && self.book.order(order).is_none() => {
                self.claimed(order, account, lots, back);
                return Ok(news);
            }
            _ => {}
        }
        for fill in self.book.replay(event)? {
            self.filled(&fill, &mut news);
        }
        match *event {
            Event::Placed { order, account, lots, expiry_s, client, .. } if account == self.account => {
                let own = OwnOrder { id: order, client, expiry_s, left: lots, filled: Lots(0), claimable: Lots(0), refundable: Lots(0) };
                self.orders.insert(order, own);
                self.change(ledger::placed(self.book.market(), order.level, lots));
            }
            Event::Reduced { order, left, removed, reason } => self.reduced(order, left, removed, reason),
            Event::Claimed { order, account, lots, back } => self.claimed(order, account, lots, back),
            Event::Taken { account, filled, mode, quote_atoms, fee_atoms, .. } => {
                let fills = std::mem::take(&mut self.untaken);
                if account == self.account {
                    self.taken(&fills, mode.side(), filled, quote_atoms, fee_atoms);
                    news.push(News::Took { side: mode.side(), lots: filled, quote_atoms, fee_atoms });
                }
            }
            _ => {}
        }
        Ok(news)
    }

    fn claimed(&mut self, order: OrderId, account: AccountId, lots: Lots, back: Lots) {
        if account != self.account {
            return;
        }
        self.update(order, |own| {
            own.claimable = own.claimable - lots;
            own.refundable = own.refundable - back;
        });
        ledger::claimed(self.book.market(), order.level, lots, back).into_iter().for_each(|change| self.change(change));
    }

    fn elsewhere(&mut self, event: &Event, news: &mut Vec<News>) {
        let signed = |atoms: u128| i128::try_from(atoms).unwrap_or(i128::MAX);
        match *event {
            Event::Deposit { account, token, atoms } if account == self.account => {
                self.change(Change { free: signed(atoms), ..Change::none(token) });
            }
            Event::Withdraw { account, token, atoms, .. } if account == self.account => {
                self.change(Change { free: -signed(atoms), ..Change::none(token) });
            }
            Event::FeesSwept { account, token, atoms } if account == self.account => {
                self.change(Change { fee_due: -signed(atoms), ..Change::none(token) });
            }
            Event::Rejected { account, index, kind, reason, client } if account == self.account => {
                news.push(News::Rejected { index, kind, reason, client });
            }
            _ => {}
        }
    }

    fn filled(&mut self, fill: &Fill, news: &mut Vec<News>) {
        self.untaken.push(*fill);
        if fill.maker != self.account {
            return;
        }
        let level = fill.maker_order.level;
        self.update(fill.maker_order, |own| {
            own.left = fill.maker_left;
            own.filled = own.filled + fill.lots;
            own.claimable = own.claimable + fill.lots;
        });
        let market = self.book.market().clone();
        self.position.made(&market, level.side, fill.ticks, fill.lots);
        ledger::filled(&market, level, fill.lots).into_iter().for_each(|change| self.change(change));
        if let Some(order) = self.orders.get(&fill.maker_order) {
            news.push(News::Filled { order: *order, lots: fill.lots });
        }
    }

    fn reduced(&mut self, order: OrderId, left: Lots, removed: Lots, reason: ReduceReason) {
        if !self.orders.contains_key(&order) {
            return;
        }
        self.update(order, |own| {
            own.left = left;
            if reason == ReduceReason::Expired {
                own.refundable = removed;
            }
        });
        if reason != ReduceReason::Expired {
            self.change(ledger::reduced(self.book.market(), order.level, removed));
        }
    }

    fn taken(&mut self, fills: &[Fill], side: Side, lots: Lots, quote_atoms: u128, fee_atoms: u128) {
        let market = self.book.market().clone();
        let mut rebate_atoms = 0;
        for fill in fills {
            rebate_atoms += ledger::rebate_per_lot(&market, fill.ticks) * fill.lots.0 as u128;
            self.position.took(&market, side, fill.ticks, fill.lots);
        }
        self.position.paid(fee_atoms);
        ledger::taken(&market, side, lots, quote_atoms, fee_atoms, rebate_atoms).into_iter().for_each(|change| self.change(change));
    }

    fn update(&mut self, order: OrderId, by: impl FnOnce(&mut OwnOrder)) {
        if let Some(own) = self.orders.get_mut(&order) {
            by(own);
            if own.is_gone() {
                self.orders.remove(&order);
            }
        }
    }

    fn change(&mut self, change: Change) {
        for sum in self.changes.iter_mut().filter(|sum| sum.token == change.token) {
            sum.free = sum.free.saturating_add(change.free);
            sum.locked = sum.locked.saturating_add(change.locked);
            sum.claimable = sum.claimable.saturating_add(change.claimable);
            sum.fee_due = sum.fee_due.saturating_add(change.fee_due);
        }
    }
}
