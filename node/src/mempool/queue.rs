//! The pool proper: per sender a list by nonce, over all senders a queue of those whose next transaction can run.
//! Only [`super::Mempool`] holds one. Knows accounts only by what it is told; never looks them up itself.
//!
//! States of a transaction: *gapped* (an earlier nonce is missing), *executable* (has a `ready_seq`), *taken* (executable and in
//! the block being made). A sender is queued with its first executable transaction that is not taken, in exactly one of two places:
//! `ready`, or `parked` while its fee cap is below the base fee of the block being made.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256, U256};

use super::{AccountNow, Added, OrderingPolicy, PoolError, PoolLimits, PoolStats, Pooled};
use crate::tx::{Tx, next_arrival};

/// Per mille by which both fees of a replacement, and the tip of an evictor, must rise: 10 %.
const BUMP_PER_MILLE: u128 = 1_100;

#[derive(Debug)]
struct Entry {
    tx: Arc<Tx>,
    /// `None` while gapped.
    ready_seq: Option<u64>,
    class: u8,
    /// When it got its present state; its life counts from here.
    since: Instant,
}

/// Where a sender is queued, so that it can be found and removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Ready(u8, u64),
    Parked(u128),
}

#[derive(Debug)]
struct Sender {
    /// Next nonce of the account as of the newest executed block.
    nonce: u64,
    balance: U256,
    txs: BTreeMap<u64, Entry>,
    /// Transactions below this nonce are taken.
    taken: u64,
    /// First nonce that is not executable.
    next: u64,
    /// Sum of what all its transactions may cost, wei.
    cost: U256,
    place: Option<Place>,
}

impl Sender {
    fn gapped(&self) -> usize {
        self.txs.len() - self.executable()
    }

    fn executable(&self) -> usize {
        (self.next - self.nonce) as usize
    }
}

/// The next transaction in the queue, offered to `build`.
#[derive(Clone, Debug)]
pub struct Head {
    /// Whose it is.
    pub sender: Address,
    /// The transaction and its place.
    pub pooled: Pooled,
}

/// See the head of this file.
#[derive(Debug)]
pub struct Pool {
    limits: PoolLimits,
    policy: Box<dyn OrderingPolicy>,
    senders: HashMap<Address, Sender, foldhash::fast::RandomState>,
    hashes: HashMap<B256, (Address, u64), foldhash::fast::RandomState>,
    ready: BTreeSet<(u8, u64, Address)>,
    parked: BTreeSet<(u128, Address)>,
    /// Senders by their number of transactions: who pays when the pool is full.
    crowd: BTreeSet<(usize, Address)>,
    /// In order of their deadline; entries that changed since are skipped.
    gapped_deadlines: VecDeque<(Instant, B256)>,
    executable_deadlines: VecDeque<(Instant, B256)>,
    gapped: usize,
    bytes: usize,
    base_fee: u64,
}

impl Pool {
    /// An empty pool.
    pub fn new(limits: PoolLimits, policy: Box<dyn OrderingPolicy>) -> Self {
        Self {
            limits,
            policy,
            senders: HashMap::default(),
            hashes: HashMap::default(),
            ready: BTreeSet::new(),
            parked: BTreeSet::new(),
            crowd: BTreeSet::new(),
            gapped_deadlines: VecDeque::new(),
            executable_deadlines: VecDeque::new(),
            gapped: 0,
            bytes: 0,
            base_fee: 0,
        }
    }

    /// Admits a transaction that passed [`super::Admission::check`]. `account` is its sender as of the newest executed block.
    pub fn add(&mut self, tx: Arc<Tx>, account: AccountNow, now: Instant) -> Result<Added, PoolError> {
        if self.hashes.contains_key(&tx.hash) {
            return Ok(Added::Known);
        }
        self.sync(tx.sender, account);
        let verdict = self.admissible(&tx, account, now);
        if verdict.is_err() {
            self.forget_if_empty(tx.sender);
        }
        verdict?;
        let address = tx.sender;
        let nonce = tx.nonce();
        self.remove_one(address, nonce);
        let added = self.insert(tx, account, now);
        self.requeue(address);
        Ok(added)
    }

    /// All rules of the pool; makes room if it is full.
    fn admissible(&mut self, tx: &Arc<Tx>, account: AccountNow, now: Instant) -> Result<(), PoolError> {
        let nonce = tx.nonce();
        let (next, taken) = self.senders.get(&tx.sender).map_or((account.nonce, account.nonce), |s| (s.next, s.taken));
        if nonce < account.nonce {
            return Err(PoolError::NonceTooLow { expected: account.nonce, found: nonce });
        }
        if nonce > next.saturating_add(self.limits.gap_max) {
            return Err(PoolError::NonceTooHigh { expected: next, found: nonce });
        }
        let sender = self.senders.get(&tx.sender);
        let old = sender.and_then(|sender| sender.txs.get(&nonce));
        if let Some(old) = old
            && (nonce < taken || !bumped(old.tx.fee_cap(), tx.fee_cap()) || !bumped(old.tx.tip_cap(), tx.tip_cap()))
        {
            return Err(PoolError::ReplacementUnderpriced);
        }
        let others = sender.map_or(U256::ZERO, |sender| sender.cost) - old.map_or(U256::ZERO, |old| old.tx.cost_max());
        let want = others.saturating_add(tx.cost_max());
        if want > account.balance {
            return Err(PoolError::InsufficientFunds { address: tx.sender, have: account.balance, want });
        }
        if old.is_some() {
            return Ok(());
        }
        let executable = nonce == next;
        if let Some(sender) = sender {
            let limit = if executable { self.limits.executable_per_sender } else { self.limits.gapped_per_sender };
            let have = if executable { sender.executable() } else { sender.gapped() };
            if have >= limit {
                return Err(PoolError::SenderFull { limit });
            }
        }
        if !executable && (self.gapped + 1) > self.limits.txs_max / 8 {
            return Err(PoolError::Full);
        }
        self.make_room(tx, executable, now)
    }

    /// Evicts the last nonce of the most crowded sender, if the newcomer can run and tips 10 % more than that one.
    fn make_room(&mut self, tx: &Arc<Tx>, executable: bool, now: Instant) -> Result<(), PoolError> {
        while self.hashes.len() >= self.limits.txs_max || self.bytes + tx.raw.len() > self.limits.bytes_max {
            if !executable {
                return Err(PoolError::Full);
            }
            let victim = self.crowd.iter().rev().map(|(_, address)| *address).take(8).find(|address| *address != tx.sender);
            let victim = victim.ok_or(PoolError::Full)?;
            let sender = &self.senders[&victim];
            let (nonce, last) = sender.txs.last_key_value().ok_or(PoolError::Full)?;
            if *nonce < sender.taken || !bumped(last.tx.tip_cap(), tx.tip_cap()) {
                return Err(PoolError::Full);
            }
            let nonce = *nonce;
            self.remove_one(victim, nonce);
            self.settle(victim, now);
        }
        Ok(())
    }

    fn insert(&mut self, tx: Arc<Tx>, account: AccountNow, now: Instant) -> Added {
        let (address, nonce, hash) = (tx.sender, tx.nonce(), tx.hash);
        let class = self.policy.class(&tx);
        let sender = self.senders.entry(address).or_insert_with(|| Sender {
            nonce: account.nonce,
            balance: account.balance,
            txs: BTreeMap::new(),
            taken: account.nonce,
            next: account.nonce,
            cost: U256::ZERO,
            place: None,
        });
        self.crowd.remove(&(sender.txs.len(), address));
        sender.cost = sender.cost.saturating_add(tx.cost_max());
        self.bytes += tx.raw.len();
        // A replacement of an executable one stays executable, with a new place; a first-comer gets its own arrival number.
        let arrival = tx.arrival;
        let ready_seq = (nonce < sender.next).then(|| arrival.max(1));
        sender.txs.insert(nonce, Entry { tx, ready_seq, class, since: now });
        self.crowd.insert((sender.txs.len(), address));
        self.hashes.insert(hash, (address, nonce));
        if ready_seq.is_some() {
            self.executable_deadlines.push_back((now + self.limits.executable_life, hash));
            return Added::Ready;
        }
        self.gapped += 1;
        self.gapped_deadlines.push_back((now + self.limits.gapped_life, hash));
        self.promote(address, Some(nonce), now);
        if self.senders[&address].next > nonce { Added::Ready } else { Added::Gapped }
    }

    /// Makes executable what follows the sender's executable transactions without a gap. `first_comer` keeps its arrival number,
    /// those it frees get numbers of this moment.
    fn promote(&mut self, address: Address, first_comer: Option<u64>, now: Instant) {
        let Some(sender) = self.senders.get_mut(&address) else { return };
        while sender.executable() < self.limits.executable_per_sender
            && let Some(entry) = sender.txs.get_mut(&sender.next)
        {
            let own = first_comer == Some(sender.next) && entry.tx.arrival != 0;
            entry.ready_seq = Some(if own { entry.tx.arrival } else { next_arrival() });
            entry.since = now;
            self.executable_deadlines.push_back((now + self.limits.executable_life, entry.tx.hash));
            self.gapped -= 1;
            sender.next += 1;
        }
    }

    /// Removes one transaction without caring for what follows it. A replacement calls it just before its own insertion.
    fn remove_one(&mut self, address: Address, nonce: u64) -> Option<Arc<Tx>> {
        let sender = self.senders.get_mut(&address)?;
        let entry = sender.txs.remove(&nonce)?;
        self.crowd.remove(&(sender.txs.len() + 1, address));
        if !sender.txs.is_empty() {
            self.crowd.insert((sender.txs.len(), address));
        }
        sender.cost -= entry.tx.cost_max().min(sender.cost);
        self.bytes -= entry.tx.raw.len();
        self.hashes.remove(&entry.tx.hash);
        if entry.ready_seq.is_none() {
            self.gapped -= 1;
        }
        Some(entry.tx)
    }

    /// Brings a sender in order after removals: executable is what is contiguous from its nonce, the rest is gapped.
    fn settle(&mut self, address: Address, now: Instant) {
        let Some(sender) = self.senders.get_mut(&address) else { return };
        let end = sender.next;
        let mut contiguous = sender.nonce;
        while contiguous < end && sender.txs.contains_key(&contiguous) {
            contiguous += 1;
        }
        for (_, entry) in sender.txs.range_mut(contiguous..) {
            if entry.ready_seq.take().is_some() {
                entry.since = now;
                self.gapped += 1;
                self.gapped_deadlines.push_back((now + self.limits.gapped_life, entry.tx.hash));
            }
        }
        sender.next = contiguous;
        sender.taken = sender.taken.clamp(sender.nonce, contiguous);
        self.promote(address, None, now);
        self.requeue(address);
        self.forget_if_empty(address);
    }

    /// Tells a known sender what the chain says of its account now: earlier nonces leave.
    fn sync(&mut self, address: Address, account: AccountNow) {
        let Some(sender) = self.senders.get_mut(&address) else { return };
        sender.balance = account.balance;
        if account.nonce <= sender.nonce {
            return;
        }
        sender.nonce = account.nonce;
        sender.next = sender.next.max(account.nonce);
        sender.taken = sender.taken.max(account.nonce);
        let stale: Vec<u64> = sender.txs.range(..account.nonce).map(|(nonce, _)| *nonce).collect();
        for nonce in stale {
            self.remove_one(address, nonce);
        }
        let now = Instant::now();
        self.settle(address, now);
    }

    /// Puts the sender where it belongs: with its first executable transaction that is not taken, or nowhere.
    fn requeue(&mut self, address: Address) {
        let Some(sender) = self.senders.get_mut(&address) else { return };
        match sender.place.take() {
            Some(Place::Ready(class, seq)) => drop(self.ready.remove(&(class, seq, address))),
            Some(Place::Parked(cap)) => drop(self.parked.remove(&(cap, address))),
            None => {}
        }
        if sender.taken >= sender.next {
            return;
        }
        let Some(entry) = sender.txs.get(&sender.taken) else { return };
        let (Some(seq), cap) = (entry.ready_seq, entry.tx.fee_cap()) else { return };
        if cap < u128::from(self.base_fee) {
            sender.place = Some(Place::Parked(cap));
            self.parked.insert((cap, address));
        } else {
            sender.place = Some(Place::Ready(entry.class, seq));
            self.ready.insert((entry.class, seq, address));
        }
    }

    fn forget_if_empty(&mut self, address: Address) {
        if self.senders.get(&address).is_some_and(|sender| sender.txs.is_empty()) {
            self.senders.remove(&address);
            self.crowd.remove(&(0, address));
        }
    }

    /// Sets the base fee of the block being made: senders whose head cannot pay it are parked, those who can come back.
    pub fn set_base_fee(&mut self, base_fee: u64) {
        let rose = base_fee > self.base_fee;
        self.base_fee = base_fee;
        let payable: Vec<Address> = self
            .parked
            .range(..)
            .rev()
            .map(|(cap, address)| (*cap, *address))
            .take_while(|(cap, _)| *cap >= u128::from(base_fee))
            .map(|(_, address)| address)
            .collect();
        payable.into_iter().for_each(|address| self.requeue(address));
        if rose {
            // Rare: the base fee rests on its floor unless blocks are over half full.
            let heads: Vec<Address> = self.ready.iter().map(|(_, _, address)| *address).collect();
            heads.into_iter().for_each(|address| self.requeue(address));
        }
    }

    /// Whether a transaction could be packed now.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The next transaction in the order of the queue.
    pub fn head(&self) -> Option<Head> {
        let (_, ready_seq, sender) = *self.ready.first()?;
        let entry = &self.senders[&sender];
        let tx = entry.txs[&entry.taken].tx.clone();
        Some(Head { sender, pooled: Pooled { tx, ready_seq } })
    }

    /// Takes the head into the block being made; the sender's next transaction queues in its own place.
    pub fn take(&mut self, sender: Address) {
        if let Some(entry) = self.senders.get_mut(&sender) {
            entry.taken += 1;
            self.requeue(sender);
        }
    }

    /// Leaves the sender out of the queue until [`Pool::resume`].
    pub fn set_aside(&mut self, sender: Address) {
        if let Some(entry) = self.senders.get_mut(&sender)
            && let Some(Place::Ready(class, seq)) = entry.place.take()
        {
            self.ready.remove(&(class, seq, sender));
        }
    }

    /// Queues a sender again that was set aside.
    pub fn resume(&mut self, sender: Address) {
        self.requeue(sender);
    }

    /// Tells the pool what became of a block. Included and dropped transactions leave; all others of the block go back to their
    /// place. `accounts` are the senders of the block as of its end.
    pub fn settle_block<'a>(
        &mut self,
        included: impl Iterator<Item = &'a Arc<Tx>>,
        dropped: impl Iterator<Item = &'a Arc<Tx>>,
        accounts: &[(Address, AccountNow)],
        now: Instant,
    ) {
        for tx in included.chain(dropped) {
            if let Some((address, nonce)) = self.hashes.get(&tx.hash).copied() {
                self.remove_one(address, nonce);
            }
        }
        for (address, account) in accounts {
            let Some(sender) = self.senders.get_mut(address) else { continue };
            sender.balance = account.balance;
            sender.nonce = account.nonce;
            sender.next = sender.next.max(account.nonce);
            sender.taken = account.nonce;
            let stale: Vec<u64> = sender.txs.range(..account.nonce).map(|(nonce, _)| *nonce).collect();
            stale.into_iter().for_each(|nonce| drop(self.remove_one(*address, nonce)));
            self.trim(*address);
            self.settle(*address, now);
        }
    }

    /// Drops the sender's last transactions until it can pay for the rest.
    fn trim(&mut self, address: Address) {
        while let Some(sender) = self.senders.get(&address)
            && sender.cost > sender.balance
            && let Some(nonce) = sender.txs.keys().next_back().copied()
        {
            self.remove_one(address, nonce);
        }
    }

    /// Drops what has waited too long; at most `most` transactions a call, so that the lock stays short. Returns how many left.
    pub fn expire(&mut self, now: Instant, most: usize) -> usize {
        let mut left = 0;
        for gapped in [true, false] {
            let life = if gapped { self.limits.gapped_life } else { self.limits.executable_life };
            for _ in 0..most {
                let deadlines = if gapped { &mut self.gapped_deadlines } else { &mut self.executable_deadlines };
                if deadlines.front().is_none_or(|(at, _)| *at > now) {
                    break;
                }
                let hash = deadlines.pop_front().expect("the front was just seen").1;
                left += self.expire_one(&hash, gapped, life, now);
            }
        }
        self.compact_deadlines();
        left
    }

    /// An executable transaction takes its followers along: they could only become gapped.
    fn expire_one(&mut self, hash: &B256, gapped: bool, life: Duration, now: Instant) -> usize {
        let Some((address, nonce)) = self.hashes.get(hash).copied() else { return 0 };
        let sender = &self.senders[&address];
        let entry = &sender.txs[&nonce];
        if entry.ready_seq.is_none() != gapped || now < entry.since + life || nonce < sender.taken {
            return 0;
        }
        let leaving: Vec<u64> = if gapped { vec![nonce] } else { sender.txs.range(nonce..).map(|(nonce, _)| *nonce).collect() };
        leaving.iter().for_each(|nonce| drop(self.remove_one(address, *nonce)));
        self.settle(address, now);
        leaving.len()
    }

    /// Keeps the deadline lists in proportion to the pool.
    fn compact_deadlines(&mut self) {
        let bound = 2 * self.hashes.len() + 1_024;
        let hashes = &self.hashes;
        for deadlines in [&mut self.gapped_deadlines, &mut self.executable_deadlines] {
            if deadlines.len() > bound {
                deadlines.retain(|(_, hash)| hashes.contains_key(hash));
            }
        }
    }

    /// The pooled transaction with that hash.
    pub fn get(&self, hash: &B256) -> Option<Arc<Tx>> {
        let (address, nonce) = self.hashes.get(hash)?;
        Some(self.senders[address].txs[nonce].tx.clone())
    }

    /// The nonce after the sender's last executable transaction; 0 if it has none here.
    pub fn pending_nonce(&self, address: &Address) -> u64 {
        self.senders.get(address).map_or(0, |sender| sender.next)
    }

    /// Counts of the pool now.
    pub fn stats(&self) -> PoolStats {
        PoolStats { executable: self.hashes.len() - self.gapped, gapped: self.gapped, bytes: self.bytes, senders: self.senders.len() }
    }

    /// Recounts everything the pool keeps incrementally; for tests and debug assertions.
    ///
    /// # Panics
    /// If any count or queue disagrees with the transactions held.
    pub fn audit(&self) {
        let (mut txs, mut gapped, mut bytes, mut placed) = (0, 0, 0, 0);
        for (address, sender) in &self.senders {
            assert!(!sender.txs.is_empty(), "{address} is kept without a transaction");
            assert!(sender.nonce <= sender.taken && sender.taken <= sender.next, "{address}: nonce, taken, next out of order");
            let mut cost = U256::ZERO;
            for (nonce, entry) in &sender.txs {
                assert!(*nonce >= sender.nonce, "{address} keeps the stale nonce {nonce}");
                assert_eq!(entry.ready_seq.is_some(), *nonce < sender.next, "{address}: state of nonce {nonce}");
                assert_eq!(self.hashes.get(&entry.tx.hash), Some(&(*address, *nonce)), "{address}: index of nonce {nonce}");
                gapped += usize::from(entry.ready_seq.is_none());
                bytes += entry.tx.raw.len();
                txs += 1;
                cost += entry.tx.cost_max();
            }
            assert_eq!(cost, sender.cost, "{address}: sum of costs");
            assert_eq!(sender.executable(), sender.txs.range(..sender.next).count(), "{address}: a hole below next");
            assert!(self.crowd.contains(&(sender.txs.len(), *address)), "{address} is missing in the crowd");
            match sender.place {
                Some(Place::Ready(class, seq)) => assert!(self.ready.contains(&(class, seq, *address)), "{address}: place"),
                Some(Place::Parked(cap)) => assert!(self.parked.contains(&(cap, *address)), "{address}: place"),
                None => assert!(sender.taken >= sender.next, "{address} can run but is not queued"),
            }
            placed += usize::from(sender.place.is_some());
        }
        assert_eq!((txs, gapped, bytes), (self.hashes.len(), self.gapped, self.bytes), "counts");
        assert_eq!(placed, self.ready.len() + self.parked.len(), "queued senders");
        assert_eq!(self.crowd.len(), self.senders.len(), "crowd");
    }
}

/// Whether `new` is at least 10 % above `old`; an old fee of 0 takes any fee above it.
fn bumped(old: u128, new: u128) -> bool {
    new > old && new.saturating_mul(1_000) >= old.saturating_mul(BUMP_PER_MILLE)
}
