//! The pool against a naive one that keeps a plain list, the law of the queue, and every bound. No chain: accounts are a table.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_consensus::TxEip1559;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use node::genesis::dev_accounts;
use node::mempool::{AccountNow, Added, Fifo, Pool, PoolError, PoolLimits};
use node::tx::{Rules, SenderCache, Tx, next_arrival, sign};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const CHAIN: u64 = 4434;
const ETHER: u64 = 1_000_000_000_000_000_000;

/// A signed transfer as the pool receives it; `arrival` from the one counter.
fn tx(key: &B256, nonce: u64, cap: u128, tip: u128, value: u64) -> Arc<Tx> {
    tx_with(key, nonce, cap, tip, value, Bytes::new())
}

fn tx_with(key: &B256, nonce: u64, cap: u128, tip: u128, value: u64, input: Bytes) -> Arc<Tx> {
    let tx = TxEip1559 {
        chain_id: CHAIN,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: cap,
        max_priority_fee_per_gas: tip,
        to: TxKind::Call(Address::repeat_byte(1)),
        value: U256::from(value),
        input,
        ..Default::default()
    };
    let raw: Bytes = sign(tx.into(), key).expect("a development key signs").encoded_2718().into();
    let rules = Rules { chain_id: CHAIN, allow_unprotected: false };
    Arc::new(Tx::decode(raw, next_arrival(), Instant::now(), rules, &SenderCache::default()).expect("we signed it"))
}

fn pool(limits: PoolLimits) -> Pool {
    Pool::new(limits, Box::new(Fifo))
}

fn rich(nonce: u64) -> AccountNow {
    AccountNow { nonce, balance: U256::from(100 * u128::from(ETHER)) }
}

/// Takes everything that can run, in order.
fn drain(pool: &mut Pool) -> Vec<(u64, Arc<Tx>)> {
    let mut taken = Vec::new();
    while let Some(head) = pool.head() {
        pool.take(head.sender);
        taken.push((head.pooled.ready_seq, head.pooled.tx));
    }
    taken
}

#[test]
fn first_come_is_first_served_across_senders() {
    let keys = dev_accounts(50);
    let mut pool = pool(PoolLimits::default());
    let txs: Vec<_> = keys.iter().map(|(_, key)| tx(key, 0, 1_000_000_000, 1, 1)).collect();
    // They reach the pool in another order than they arrived in: the numbers decide.
    for tx in txs.iter().rev() {
        assert_eq!(pool.add(tx.clone(), rich(0), Instant::now()), Ok(Added::Ready));
    }
    let order: Vec<B256> = drain(&mut pool).iter().map(|(_, tx)| tx.hash).collect();
    assert_eq!(order, txs.iter().map(|tx| tx.hash).collect::<Vec<_>>());
}

#[test]
fn a_tip_buys_no_place_and_a_replacement_loses_its_own() {
    let keys = dev_accounts(2);
    let mut pool = pool(PoolLimits::default());
    let first = tx(&keys[0].1, 0, 1_000, 100, 1);
    let second = tx(&keys[1].1, 0, 1_000_000, 999_999, 1);
    pool.add(first, rich(0), Instant::now()).expect("admissible");
    pool.add(second.clone(), rich(0), Instant::now()).expect("admissible");
    let replacement = tx(&keys[0].1, 0, 1_100, 110, 1);
    assert_eq!(pool.add(replacement.clone(), rich(0), Instant::now()), Ok(Added::Ready));
    let order: Vec<B256> = drain(&mut pool).iter().map(|(_, tx)| tx.hash).collect();
    assert_eq!(order, [second.hash, replacement.hash]);
}

#[test]
fn parking_behind_a_gap_reserves_no_place() {
    let keys = dev_accounts(3);
    let mut pool = pool(PoolLimits::default());
    let parked = tx(&keys[0].1, 1, 1_000, 1, 1);
    let other = tx(&keys[1].1, 0, 1_000, 1, 1);
    let closing = tx(&keys[0].1, 0, 1_000, 1, 1);
    let third = tx(&keys[2].1, 0, 1_000, 1, 1);
    assert_eq!(pool.add(parked.clone(), rich(0), Instant::now()), Ok(Added::Gapped));
    assert_eq!(pool.add(other.clone(), rich(0), Instant::now()), Ok(Added::Ready));
    assert_eq!(pool.add(third.clone(), rich(0), Instant::now()), Ok(Added::Ready));
    assert_eq!(pool.add(closing.clone(), rich(0), Instant::now()), Ok(Added::Ready));
    let order: Vec<B256> = drain(&mut pool).iter().map(|(_, tx)| tx.hash).collect();
    assert_eq!(order, [other.hash, closing.hash, third.hash, parked.hash], "its place is that of the moment the gap closed");
}

#[test]
fn replacements_need_ten_percent_on_both_fees() {
    let key = dev_accounts(1)[0].1;
    let mut pool = pool(PoolLimits::default());
    let now = Instant::now();
    pool.add(tx(&key, 0, 1_000, 100, 1), rich(0), now).expect("admissible");
    for (cap, tip) in [(1_099, 110), (1_100, 109), (1_000, 100), (2_000, 100)] {
        assert_eq!(pool.add(tx(&key, 0, cap, tip, 2), rich(0), now), Err(PoolError::ReplacementUnderpriced), "{cap} {tip}");
    }
    let same = tx(&key, 0, 1_100, 110, 2);
    assert_eq!(pool.add(same.clone(), rich(0), now), Ok(Added::Ready));
    assert_eq!(pool.add(same, rich(0), now), Ok(Added::Known));
    assert_eq!(pool.stats().executable, 1);
    pool.audit();
}

#[test]
fn nonces_funds_and_counts_of_one_sender_are_bounded() {
    let key = dev_accounts(1)[0].1;
    let now = Instant::now();
    let limits = PoolLimits { executable_per_sender: 4, gapped_per_sender: 2, gap_max: 10, ..PoolLimits::default() };
    let mut pool = pool(limits);
    assert_eq!(pool.add(tx(&key, 4, 1_000, 1, 1), rich(5), now), Err(PoolError::NonceTooLow { expected: 5, found: 4 }));
    assert_eq!(pool.add(tx(&key, 16, 1_000, 1, 1), rich(5), now), Err(PoolError::NonceTooHigh { expected: 5, found: 16 }));
    assert_eq!(pool.add(tx(&key, 15, 1_000, 1, 1), rich(5), now), Ok(Added::Gapped));
    assert_eq!(pool.add(tx(&key, 14, 1_000, 1, 1), rich(5), now), Ok(Added::Gapped));
    assert_eq!(pool.add(tx(&key, 13, 1_000, 1, 1), rich(5), now), Err(PoolError::SenderFull { limit: 2 }));
    for nonce in 5..9 {
        assert_eq!(pool.add(tx(&key, nonce, 1_000, 1, 1), rich(5), now), Ok(Added::Ready));
    }
    assert_eq!(pool.add(tx(&key, 9, 1_000, 1, 1), rich(5), now), Err(PoolError::SenderFull { limit: 4 }));
    pool.audit();
}

#[test]
fn the_balance_covers_all_pooled_transactions_of_a_sender() {
    let (address, key) = dev_accounts(1)[0];
    let now = Instant::now();
    let mut pool = pool(PoolLimits::default());
    let account = AccountNow { nonce: 0, balance: U256::from(3 * (21_000 * 1_000 + 5)) };
    for nonce in 0..3 {
        assert_eq!(pool.add(tx(&key, nonce, 1_000, 1, 5), account, now), Ok(Added::Ready));
    }
    let refused = pool.add(tx(&key, 3, 1_000, 1, 5), account, now);
    let want = U256::from(4 * (21_000 * 1_000 + 5));
    assert_eq!(refused, Err(PoolError::InsufficientFunds { address, have: account.balance, want }));
    assert!(refused.expect_err("refused").to_string().starts_with("insufficient funds for gas * price + value"));
    // Funds go away by a block: the last nonces leave until the rest is covered.
    let less = AccountNow { nonce: 0, balance: U256::from(2 * (21_000 * 1_000 + 5)) };
    pool.settle_block([].iter(), [].iter(), &[(address, less)], now);
    assert_eq!(pool.stats().executable, 2);
    pool.audit();
}

#[test]
fn a_full_pool_refuses_gaps_and_equal_tips_and_evicts_for_ten_percent() {
    let keys = dev_accounts(12);
    let now = Instant::now();
    let mut pool = pool(PoolLimits { txs_max: 16, ..PoolLimits::default() });
    // One crowd of 8 and eight others: full.
    let crowd: Vec<_> = (0..8).map(|nonce| tx(&keys[0].1, nonce, 10_000, 100, 1)).collect();
    crowd.iter().for_each(|tx| assert_eq!(pool.add(tx.clone(), rich(0), now), Ok(Added::Ready)));
    for (_, key) in &keys[1..9] {
        assert_eq!(pool.add(tx(key, 0, 10_000, 100, 1), rich(0), now), Ok(Added::Ready));
    }
    assert_eq!(pool.add(tx(&keys[9].1, 1, 10_000, 900, 1), rich(0), now), Err(PoolError::Full), "gapped");
    assert_eq!(pool.add(tx(&keys[9].1, 0, 10_000, 100, 1), rich(0), now), Err(PoolError::Full), "equal tip");
    assert_eq!(pool.add(tx(&keys[9].1, 0, 10_000, 109, 1), rich(0), now), Err(PoolError::Full), "9 % more");
    assert_eq!(pool.add(tx(&keys[9].1, 0, 10_000, 110, 1), rich(0), now), Ok(Added::Ready), "10 % more");
    assert!(pool.get(&crowd[7].hash).is_none(), "the last nonce of the crowd left");
    assert!(pool.get(&crowd[6].hash).is_some());
    assert_eq!(pool.stats().executable, 16);
    assert_eq!(pool.stats().gapped, 0, "an eviction leaves no gap");
    pool.audit();
}

#[test]
fn bytes_of_the_pool_are_bounded() {
    let keys = dev_accounts(8);
    let now = Instant::now();
    let mut pool = pool(PoolLimits { bytes_max: 300_000, ..PoolLimits::default() });
    let big = Bytes::from(vec![1; 100_000]);
    for (_, key) in &keys[..2] {
        assert_eq!(pool.add(tx_with(key, 0, 10_000, 1, 1, big.clone()), rich(0), now), Ok(Added::Ready));
    }
    assert_eq!(pool.add(tx_with(&keys[3].1, 0, 10_000, 1, 1, big.clone()), rich(0), now), Err(PoolError::Full));
    assert!(pool.stats().bytes <= 300_000);
}

#[test]
fn what_waits_too_long_leaves_with_its_followers() {
    let keys = dev_accounts(2);
    let now = Instant::now();
    let mut pool = pool(PoolLimits::default());
    for nonce in [0, 1, 5] {
        pool.add(tx(&keys[0].1, nonce, 1_000, 1, 1), rich(0), now).expect("admissible");
    }
    assert_eq!(pool.expire(now + Duration::from_secs(59), 100), 0);
    assert_eq!(pool.expire(now + Duration::from_secs(61), 100), 1, "the gapped one");
    assert_eq!(pool.stats().executable, 2);
    assert_eq!(pool.expire(now + Duration::from_secs(599), 100), 0);
    assert_eq!(pool.expire(now + Duration::from_secs(601), 100), 2);
    assert_eq!(pool.stats(), Default::default());
    pool.audit();
}

#[test]
fn below_the_base_fee_a_sender_waits_aside() {
    let keys = dev_accounts(2);
    let now = Instant::now();
    let mut pool = pool(PoolLimits::default());
    pool.add(tx(&keys[0].1, 0, 1_000, 1, 1), rich(0), now).expect("admissible");
    pool.add(tx(&keys[1].1, 0, 2_000, 1, 1), rich(0), now).expect("admissible");
    pool.set_base_fee(1_500);
    assert_eq!(drain(&mut pool).len(), 1);
    pool.set_base_fee(900);
    assert_eq!(drain(&mut pool).len(), 1);
    pool.audit();
}

/// A pool as one would write it in a lecture: a list, sorted when asked. Knows no bounds but those the test reaches.
#[derive(Default)]
struct Naive {
    held: BTreeMap<(Address, u64), (u64, Arc<Tx>)>,
    /// Order of becoming executable.
    steps: u64,
    ready: HashMap<B256, u64>,
}

impl Naive {
    fn refresh(&mut self, nonces: &HashMap<Address, u64>) {
        self.held.retain(|(address, nonce), _| *nonce >= nonces[address]);
        let mut executable = HashMap::new();
        let mut expected: HashMap<Address, u64> = nonces.clone();
        for ((address, nonce), (_, tx)) in &self.held {
            let next = expected.get_mut(address).expect("known");
            if *nonce == *next {
                *next += 1;
                self.steps += 1;
                let step = self.ready.get(&tx.hash).copied().unwrap_or(self.steps);
                executable.insert(tx.hash, step);
            }
        }
        self.ready = executable;
    }
}

/// Random submissions, replacements and blocks: after every step both pools hold the same and agree what can run; blocks never
/// invert two senders' places.
#[test]
fn the_pool_agrees_with_a_naive_one() {
    let mut random = StdRng::seed_from_u64(crate::seed());
    let keys = dev_accounts(6);
    let mut nonces: HashMap<Address, u64> = keys.iter().map(|(address, _)| (*address, 0)).collect();
    let mut pool = pool(PoolLimits::default());
    let mut naive = Naive::default();
    for step in 0..3_000u64 {
        let now = Instant::now();
        if random.random_ratio(1, 12) {
            block(&mut pool, &mut naive, &mut nonces, &mut random);
        } else {
            let (address, key) = keys[random.random_range(0..keys.len())];
            let nonce = (nonces[&address] + random.random_range(0..8)).saturating_sub(1);
            let cap = 1_000 + 100 * random.random_range(0..5u128);
            let tx = tx(&key, nonce, cap, cap / 10, step);
            let expected = match naive.held.get(&(address, nonce)) {
                _ if nonce < nonces[&address] => false,
                Some((_, old)) => cap * 10 >= old.fee_cap() * 11 && tx.tip_cap() * 10 >= old.tip_cap() * 11,
                None => true,
            };
            let outcome = pool.add(tx.clone(), rich(nonces[&address]), now);
            assert_eq!(outcome.is_ok(), expected, "step {step}: {outcome:?}");
            if expected {
                naive.held.insert((address, nonce), (step, tx));
            }
        }
        naive.refresh(&nonces);
        pool.audit();
        assert_eq!(pool.stats().executable, naive.ready.len(), "step {step}");
        assert_eq!(pool.stats().executable + pool.stats().gapped, naive.held.len(), "step {step}");
        for (_, tx) in naive.held.values() {
            assert!(pool.get(&tx.hash).is_some(), "step {step}: {} is missing", tx.hash);
        }
    }
}

/// Packs some transactions, includes some, drops one, returns the rest.
fn block(pool: &mut Pool, naive: &mut Naive, nonces: &mut HashMap<Address, u64>, random: &mut StdRng) {
    let mut taken = Vec::new();
    for _ in 0..random.random_range(0..12) {
        let Some(head) = pool.head() else { break };
        pool.take(head.sender);
        taken.push((head.pooled.ready_seq, head.pooled.tx));
    }
    // The law: places rise, where a transaction cannot go before its sender's earlier nonces.
    let mut effective: HashMap<Address, u64> = HashMap::new();
    let mut newest = 0;
    for (seq, tx) in &taken {
        let place = effective.entry(tx.sender).or_default();
        *place = (*place).max(*seq);
        assert!(*place >= newest, "{} at place {place} ran after place {newest}", tx.sender);
        newest = *place;
    }
    let cut = if taken.is_empty() { 0 } else { random.random_range(0..=taken.len()) };
    let (included, rest) = taken.split_at(cut);
    let dropped: Vec<Arc<Tx>> = rest.first().filter(|_| random.random_ratio(1, 3)).map(|(_, tx)| tx.clone()).into_iter().collect();
    for (_, tx) in included {
        *nonces.get_mut(&tx.sender).expect("known") = tx.nonce() + 1;
    }
    for tx in &dropped {
        naive.held.remove(&(tx.sender, tx.nonce()));
    }
    let mut senders: Vec<Address> = taken.iter().map(|(_, tx)| tx.sender).collect();
    senders.sort_unstable();
    senders.dedup();
    let accounts: Vec<_> = senders.iter().map(|sender| (*sender, rich(nonces[sender]))).collect();
    pool.settle_block(included.iter().map(|(_, tx)| tx), dropped.iter(), &accounts, Instant::now());
}
