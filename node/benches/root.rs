//! The state trie: what a block's dirty slots cost in a big trie. Random keys, 200,000 leaves.

use alloy_primitives::{B256, U256};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use node::trie::Trie;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const LEAVES: usize = 200_000;

fn root(criterion: &mut Criterion) {
    let mut rng = StdRng::seed_from_u64(1);
    let keys: Vec<B256> = (0..LEAVES).map(|_| B256::from(rng.random::<[u8; 32]>())).collect();
    let mut trie = Trie::<U256>::default();
    keys.iter().for_each(|key| trie.set(key, U256::from(1)));
    trie.root();
    for slots in [1_000, 5_000] {
        criterion.bench_function(&format!("trie::root/slots={slots}"), |bencher| {
            bencher.iter_batched(
                || (0..slots).map(|_| (keys[rng.random_range(0..LEAVES)], U256::from(rng.random::<u64>()))).collect::<Vec<_>>(),
                |changes| {
                    changes.iter().for_each(|(key, value)| trie.set(key, *value));
                    trie.root()
                },
                BatchSize::LargeInput,
            );
        });
    }
}

criterion_group!(benches, root);
criterion_main!(benches);
