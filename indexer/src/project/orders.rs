//! What a book does not remember of an order: how it was placed. Kept until the order is gone (filled and claimed, or cancelled).

use super::OpenOrder;
use alloy_primitives::map::HashMap;
use orderbook::{AccountId, Book, Lots, OrderId};

/// Facts of an order's `Placed` log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OrderFacts {
    pub account: AccountId,
    pub placed_lots: Lots,
    pub placed_seq: u64,
    pub client: u64,
    pub expiry_s: u32,
    /// Lots a claim would refund: left when a taker passed the expired order.
    pub refundable: Option<Lots>,
}

/// Facts of every order that still exists, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Orders(HashMap<OrderId, OrderFacts>);

impl Orders {
    pub fn restore(orders: impl IntoIterator<Item = (OrderId, OrderFacts)>) -> Orders {
        Orders(orders.into_iter().collect())
    }

    pub fn get(&self, id: OrderId) -> Option<&OrderFacts> {
        self.0.get(&id)
    }

    pub fn insert(&mut self, id: OrderId, facts: OrderFacts) {
        self.0.insert(id, facts);
    }

    pub fn expired(&mut self, id: OrderId, refundable: Lots) {
        if let Some(facts) = self.0.get_mut(&id) {
            facts.refundable = Some(refundable);
        }
    }

    pub fn forget(&mut self, id: OrderId) {
        self.0.remove(&id);
    }

    pub fn ids(&self) -> impl Iterator<Item = OrderId> + '_ {
        self.0.keys().copied()
    }

    /// The order now, from its facts and the book; `None`: gone.
    pub fn open_order(&self, book: &Book, id: OrderId) -> Option<OpenOrder> {
        let order = book.order(id)?;
        let facts = self.0.get(&id)?;
        Some(OpenOrder {
            account: order.account,
            lots: facts.refundable.unwrap_or(order.left),
            unclaimed: order.unclaimed,
            placed_lots: facts.placed_lots,
            placed_seq: facts.placed_seq,
            client: facts.client,
            expiry_s: facts.expiry_s,
            expired: facts.refundable.is_some(),
        })
    }
}
