//! Batches: operations in order, each with full effect or none. Without SKIP_FAILED the first failure is that of the batch; with it a
//! failed operation leaves nothing but its `Rejected` and its result word, and the batch goes on.

use super::agents::{Actor, perms};
use super::matching::{Kind, MarketWish, Wish};
use super::{Call, Engine};
use crate::operation::{self, Operation, Outcome};
use crate::{AccountId, Event, Lots, MarketId, OrderId, Reject, Ticks, abi::selector};
use alloy_primitives::{Address, U256};

/// A client id's word: an order is tracked by it.
const TRACKED: usize = 255;
/// A client id's word: what arrives with it is refused.
const PRE_CANCELLED: usize = 254;
/// Kind of LADDER, each rung of which is an operation of its own.
const LADDER: u8 = 7;

impl Engine {
    pub(super) fn execute_batch(&mut self, caller: Address, account: AccountId, ops: &[u8], call: &mut Call) -> Result<Vec<U256>, Reject> {
        let batch = operation::decode(ops).map_err(|_| Reject::BadOps)?;
        let actor = self.actor(caller, account, call.now_s)?;
        self.batch(actor, batch, call)
    }

    /// Runs a batch for an actor. Returns its result words.
    pub(super) fn batch(
        &mut self,
        mut actor: Actor,
        (skip_failed, operations): (bool, Vec<Operation>),
        call: &mut Call,
    ) -> Result<Vec<U256>, Reject> {
        let mut words = Vec::with_capacity(operations.len());
        for operation in &operations {
            let Operation::Ladder { market, mode, ticks, step, expiry_s, client, lots } = operation else {
                let done = self.attempt(skip_failed, call, |engine, call| engine.operate(&mut actor, operation, call));
                words.push(finish(done, skip_failed, (&actor, words.len(), operation.kind(), client_of(operation)), call)?);
                continue;
            };
            for (rung, lots) in lots.iter().enumerate() {
                if lots.0 == 0 {
                    words.push(U256::ZERO);
                    continue;
                }
                let client = if *client == 0 { 0 } else { client.wrapping_add(rung as u64) };
                let ticks = ticks.0 as i64 + rung as i64 * *step as i64;
                let done = self.attempt(skip_failed, call, |engine, call| {
                    // Off range: no price.
                    let ticks = Ticks(u32::try_from(ticks).ok().filter(|ticks| *ticks <= Ticks::MAX.0).unwrap_or(0));
                    let wish = Wish { market: *market, mode: *mode, ticks, lots: *lots, expiry_s: *expiry_s, client, steps_max: 0 };
                    let (order, filled, reason) = engine.place(&actor, &wish, Kind::Rung, call)?;
                    Ok(Outcome::Placed { order, filled, reason })
                });
                words.push(finish(done, skip_failed, (&actor, words.len(), LADDER, client), call)?);
            }
        }
        Ok(words)
    }

    /// One operation with full effect or none. Without `skip_failed` the whole batch is rolled back anyway.
    fn attempt(
        &mut self,
        skip_failed: bool,
        call: &mut Call,
        operate: impl FnOnce(&mut Engine, &mut Call) -> Result<Outcome, Reject>,
    ) -> Result<Outcome, Reject> {
        let (mark, logged) = (self.mark(), call.events.len());
        let done = operate(self, call);
        if done.is_err() && skip_failed {
            self.rollback(mark);
            call.events.truncate(logged);
        }
        done
    }

    fn operate(&mut self, actor: &mut Actor, operation: &Operation, call: &mut Call) -> Result<Outcome, Reject> {
        Ok(match *operation {
            Operation::Place { market, mode, ticks, lots, expiry_s, client, steps_max } => {
                let wish = Wish { market, mode, ticks, lots, expiry_s, client, steps_max };
                let (order, filled, reason) = self.place(actor, &wish, Kind::Place, call)?;
                Outcome::Placed { order, filled, reason }
            }
            Operation::Take { market, mode, limit, lots_max, in_max_atoms, out_min_atoms, deadline_s, client, steps_max } => {
                let wish = MarketWish { market, mode, limit, lots_max, in_max_atoms, out_min_atoms, deadline_s, client, steps_max };
                let (out_atoms, filled, reason) = self.take_market(actor, &wish, call)?;
                Outcome::Taken { out_atoms, filled, reason }
            }
            Operation::Cancel { order } => cancelled(self.cancel(actor, order, call)?),
            Operation::Claim { order } => cancelled(self.claim_own(actor, order, call)?),
            Operation::Reduce { order, left } => Outcome::Reduced { back: self.reduce(actor, order, left, call)? },
            Operation::Replace { order, mode, ticks, lots, expiry_s, client, steps_max } => {
                let wish = Wish { market: order.level.market, mode, ticks, lots, expiry_s, client, steps_max };
                let (order, filled, reason) = self.replace(actor, order, &wish, call)?;
                Outcome::Placed { order, filled, reason }
            }
            Operation::CancelUpTo { market, side, ticks, steps_max } => {
                let (orders, lots) = self.cancel_up_to(actor, (market, side, ticks), steps_max, call)?;
                Outcome::CancelledUpTo { orders, lots }
            }
            Operation::CancelClient { client, until_s } => cancelled(self.cancel_client(actor, client, until_s, call)?),
            Operation::Schedule { at_s } => {
                self.schedule(actor, at_s, call)?;
                Outcome::Scheduled
            }
            Operation::Ladder { .. } => unreachable!("its rungs are operations of their own"),
        })
    }

    /// Takes a tracked order back and frees its number; if none is tracked, refuses what arrives with it until then.
    fn cancel_client(&mut self, actor: &Actor, client: u64, until_s: u64, call: &mut Call) -> Result<(Lots, Lots), Reject> {
        let word = self.client_word(actor.account, client);
        if !word.bit(TRACKED) {
            actor.demand(perms::CANCEL, MarketId(0))?;
            if until_s <= call.now_s {
                return Err(Reject::UnknownOrder);
            }
            self.set_client(actor.account, client, U256::from(until_s) | U256::from(1) << PRE_CANCELLED);
            call.events.push(Event::CloidPreCancelled { account: actor.account, client, until_s });
            return Ok((Lots(0), Lots(0)));
        }
        let packed: u128 = (word & U256::from((1_u128 << 104) - 1)).to();
        let id = OrderId::unpacked(packed).expect("a tracked order has an id");
        actor.demand(perms::CANCEL, id.level.market)?;
        self.set_client(actor.account, client, U256::ZERO);
        match self.book(id.level.market).and_then(|book| book.order(id)) {
            Some(order) => self.cancel_order(&order, call),
            None => Ok((Lots(0), Lots(0))),
        }
    }

    /// Sets the dead-man switch; 0 disarms it.
    fn schedule(&mut self, actor: &mut Actor, at_s: u64, call: &mut Call) -> Result<(), Reject> {
        actor.demand(perms::CANCEL, MarketId(0))?;
        if at_s != 0 && at_s <= call.now_s {
            return Err(Reject::Expired);
        }
        actor.word.deadman_s = at_s;
        self.set_account(actor.account, actor.word);
        call.events.push(Event::Scheduled { account: actor.account, at_s });
        Ok(())
    }

    /// Refuses an order that wants to be tracked by a number in use, or cancelled ahead.
    pub(super) fn untracked(&self, account: AccountId, client: u64, now_s: u64) -> Result<(), Reject> {
        let word = self.client_word(account, client);
        if word.bit(TRACKED) {
            return Err(Reject::CloidInUse);
        }
        let is_refused = word.bit(PRE_CANCELLED) && now_s <= crate::abi::field(word, 0, 40);
        if is_refused { Err(Reject::PreCancelled) } else { Ok(()) }
    }

    pub(super) fn track(&mut self, account: AccountId, client: u64, order: OrderId) {
        self.set_client(account, client, U256::from(order.packed()) | U256::from(1) << TRACKED);
    }

    pub(super) fn client_word(&self, account: AccountId, client: u64) -> U256 {
        self.clients.get(&(account, client)).copied().unwrap_or_default()
    }
}

fn cancelled((back, filled): (Lots, Lots)) -> Outcome {
    Outcome::Cancelled { back, filled }
}

fn client_of(operation: &Operation) -> u64 {
    match operation {
        Operation::Place { client, .. }
        | Operation::Take { client, .. }
        | Operation::Replace { client, .. }
        | Operation::CancelClient { client, .. } => *client,
        _ => 0,
    }
}

/// The result word of an operation; a failure of a batch that goes on is logged.
fn finish(
    done: Result<Outcome, Reject>,
    skip_failed: bool,
    (actor, index, kind, client): (&Actor, usize, u8, u64),
    call: &mut Call,
) -> Result<U256, Reject> {
    match done {
        Ok(outcome) => Ok(outcome.to_word()),
        Err(reject) if skip_failed => {
            let reason = selector(&reject);
            call.events.push(Event::Rejected { account: actor.account, index: index as u16, kind, reason, client });
            Ok(Outcome::Failed { reason }.to_word())
        }
        Err(reject) => Err(reject),
    }
}
