//! The incremental trie against `alloy-trie`, which builds each root anew from sorted leaves.
//! Batches mix random keys with adversarial ones: long shared prefixes, deletes down to nothing, re-inserts, values of
//! every length. Seeded by `HIFI_SEED`.

use crate::seed;
use alloy_primitives::{B256, U256};
use alloy_trie::root::storage_root;
use node::trie::Trie;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;

/// Batches of a run.
const BATCHES: usize = 500;

fn key(rng: &mut StdRng, model: &BTreeMap<B256, U256>) -> B256 {
    match rng.random_range(0..10) {
        // A key that exists.
        0..=2 if !model.is_empty() => *model.keys().nth(rng.random_range(0..model.len())).expect("below the length"),
        // A key that shares a long prefix with one that exists.
        3..=5 if !model.is_empty() => {
            let mut key = *model.keys().nth(rng.random_range(0..model.len())).expect("below the length");
            let nibble = rng.random_range(0..64);
            key[nibble / 2] ^= if nibble % 2 == 0 { 0x10 << rng.random_range(0..4) } else { 1 << rng.random_range(0..4) };
            key
        }
        // A key in a tiny corner: everything differs in the last byte or the first.
        6 => B256::with_last_byte(rng.random()),
        7 => {
            let mut key = B256::ZERO;
            key[0] = rng.random();
            key
        }
        _ => B256::from(rng.random::<[u8; 32]>()),
    }
}

fn value(rng: &mut StdRng) -> U256 {
    // Every length of RLP: one byte below 0x80, one above, up to 32 bytes.
    let bits = rng.random_range(1..=256);
    let value: U256 = U256::from_be_bytes(rng.random::<[u8; 32]>()) >> (256 - bits);
    value.max(U256::from(1))
}

#[test]
fn incremental_root_equals_full_root_after_every_batch() {
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let mut trie = Trie::<U256>::default();
    let mut model = BTreeMap::new();
    for batch in 0..BATCHES {
        let empty_it = rng.random_range(0..40) == 0;
        if empty_it {
            for key in std::mem::take(&mut model).into_keys() {
                trie.remove(&key);
            }
            assert!(trie.is_empty(), "batch {batch}: nothing is left, seed {seed}");
        }
        let changes = if rng.random_range(0..4) == 0 { 1 } else { rng.random_range(1..120) };
        for _ in 0..changes {
            let key = key(&mut rng, &model);
            if rng.random_range(0..5) < 2 {
                trie.remove(&key);
                model.remove(&key);
            } else {
                let value = value(&mut rng);
                trie.set(&key, value);
                model.insert(key, value);
            }
            assert_eq!(trie.get(&key), model.get(&key));
        }
        assert_eq!(trie.len(), model.len(), "batch {batch}, seed {seed}");
        let full = storage_root(model.iter().map(|(key, value)| (*key, *value)));
        assert_eq!(trie.root(), full, "batch {batch} of seed {seed}");
    }
}

#[test]
fn order_of_changes_does_not_show_in_the_root() {
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let entries: Vec<(B256, U256)> = (0..2_000).map(|_| (B256::from(rng.random::<[u8; 32]>()), value(&mut rng))).collect();
    let mut forward = Trie::<U256>::default();
    entries.iter().for_each(|(key, value)| forward.set(key, *value));
    let mut backward = Trie::<U256>::default();
    for (index, (key, value)) in entries.iter().rev().enumerate() {
        backward.set(key, *value);
        if index % 3 == 0 {
            // Hashing between changes, and a change taken back.
            let _ = backward.root();
            backward.remove(key);
            backward.set(key, *value);
        }
    }
    assert_eq!(forward.root(), backward.root(), "seed {seed}");
}
