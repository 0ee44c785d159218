//! Packing: what a block takes from the pool, and when it stops. No chain: candidates are looked at, not executed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_consensus::TxEip1559;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use node::build::{Candidate, Estimates, HeaderRules, OnInvalid, Parent, build};
use node::genesis::dev_accounts;
use node::mempool::{AccountNow, Fifo, Mempool, PoolLimits};
use node::tx::{Rules, SenderCache, Tx, next_arrival, sign};

const RULES: HeaderRules =
    HeaderRules { chain_id: 4434, gas_limit_target: 300_000_000, base_fee_floor: 1_000_000, sub_second: true, beneficiary: Address::ZERO };
const PARENT: Parent = Parent { number: 9, time_ms: 1_000, gas_limit: 300_000_000, gas_used: 0, base_fee: 1_000_000 };

fn pool(txs: impl IntoIterator<Item = (B256, u64, u64, usize)>) -> Mempool {
    let pool = Mempool::new(PoolLimits::default(), Box::new(Fifo));
    let account = AccountNow { nonce: 0, balance: U256::MAX };
    for (key, nonce, gas_limit, input_bytes) in txs {
        let tx = TxEip1559 {
            chain_id: 4434,
            nonce,
            gas_limit,
            max_fee_per_gas: 2_000_000,
            to: TxKind::Call(Address::repeat_byte(1)),
            input: vec![0; input_bytes].into(),
            ..Default::default()
        };
        let raw: Bytes = sign(tx.into(), &key).expect("a development key signs").encoded_2718().into();
        let rules = Rules { chain_id: 4434, allow_unprotected: false };
        let tx = Tx::decode(raw, next_arrival(), Instant::now(), rules, &SenderCache::default()).expect("we signed it");
        pool.lock().add(Arc::new(tx), account, Instant::now()).expect("admissible");
    }
    pool
}

fn pack(pool: &Mempool, interval: Duration) -> Candidate {
    build(RULES.next(&PARENT, 2_000), pool, &Estimates::default(), interval)
}

#[test]
fn a_block_takes_all_that_fits_in_the_order_of_the_queue() {
    let keys = dev_accounts(40);
    let pool = pool((0..5).flat_map(|nonce| keys.iter().map(move |(_, key)| (*key, nonce, 21_000, 0))));
    let candidate = pack(&pool, Duration::from_millis(100));
    assert_eq!((candidate.number, candidate.txs.len(), candidate.on_invalid), (10, 200, OnInvalid::Drop));
    assert!(candidate.txs.is_sorted_by_key(|pooled| pooled.ready_seq));
    assert!(pack(&pool, Duration::from_millis(100)).txs.is_empty(), "what is taken is not offered again");
    pool.lock().audit();
}

#[test]
fn one_sender_gets_an_eighth_while_others_wait_and_the_rest_after_them() {
    let keys = dev_accounts(2);
    // Unknown functions count half their gas limit: 20 of these are 50 % of the block, an eighth is 4.
    let greedy = (0..20).map(|nonce| (keys[0].1, nonce, 15_000_000, 0));
    let pool = pool(greedy.chain([(keys[1].1, 0, 21_000, 0)]));
    let candidate = pack(&pool, Duration::from_secs(10));
    let place = candidate.txs.iter().position(|pooled| pooled.tx.sender == keys[1].0).expect("the other sender is in the block");
    assert_eq!(place, 4, "after an eighth the others come first");
    assert_eq!(candidate.txs.len(), 21, "then the rest, as nobody else waits");
    pool.lock().audit();
}

#[test]
fn gas_time_and_bytes_end_a_block() {
    let keys = dev_accounts(60);
    let heavy = |gas: u64, bytes: usize| pool(keys.iter().map(move |(_, key)| (*key, 0, gas, bytes)));
    // 95 % of 300 M at 8 M each.
    assert_eq!(pack(&heavy(16_000_000, 0), Duration::from_secs(10)).txs.len(), 35);
    // 80 % of 100 ms at 8 ms each.
    assert_eq!(pack(&heavy(16_000_000, 0), Duration::from_millis(100)).txs.len(), 10);
    // 8 MiB at 131,000 bytes each would take 63; gas would take 71 of these.
    let many = dev_accounts(70);
    let bytes = pool(many.iter().map(|(_, key)| (*key, 0, 2_000_000, 130_000)));
    let candidate = pack(&bytes, Duration::from_secs(10));
    let packed: usize = candidate.txs.iter().map(|pooled| pooled.tx.raw.len()).sum();
    assert!(packed <= 8 << 20 && packed + 131_000 > (8 << 20) - (16 << 10), "{packed} bytes");
    // A transaction over the time alone still gets its block.
    assert_eq!(pack(&heavy(16_000_000, 0), Duration::from_millis(5)).txs.len(), 1);
}
