//! Blocks of storage writes through executor, root thread, log and publication: one block of 1,000 transactions a time.
//! Prints the totals of the stages at the end, so that the slowest one is seen.

#[allow(dead_code)]
#[path = "../tests/it/chain.rs"]
mod chain;

use chain::{Actor, Chain};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const TXS: usize = 1_000;

fn pipeline(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut rng = StdRng::seed_from_u64(1);
    let mut chain = Chain::open(dir.path());
    let mut actors = Actor::all();
    let mut group = criterion.benchmark_group("pipeline");
    group.sample_size(20);
    group.bench_function("block/txs=1000", |bencher| {
        bencher.iter_batched(
            || {
                let write = |_| {
                    let who = rng.random_range(0..actors.len());
                    actors[who].write(rng.random_range(0..200_000), rng.random(), 0)
                };
                (0..TXS).map(write).collect::<Vec<_>>()
            },
            |txs| {
                chain.block(txs);
                chain.settle();
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
    for (name, total) in chain.pipeline.stages().totals() {
        println!("{name:12} {total}");
    }
    chain.stop();
}

criterion_group!(benches, pipeline);
criterion_main!(benches);
