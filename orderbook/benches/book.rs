//! What one command, one event and one look at the book cost. `cargo bench -p orderbook`.
//!
//! Method: a random stream (the tests' own mix: 56% places that cross often, 16% cancels, 7% reduces, 10% claims, refusals included) is
//! recorded once; the engine applies it from the same opening, the follower replays its events, depth reads the book it ends in.

#[path = "../tests/law/stream.rs"]
mod stream;

use alloy_primitives::Address;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use orderbook::{Book, Command, Engine, Event, MarketId, Side, abi, scenario};
use std::hint::black_box;
use stream::{Stream, TOKENS, ops, seed};

const COMMANDS: usize = 20_000;

/// An engine after the opening, the commands that follow, and the events of market 1 they lead to.
fn recorded() -> (Engine, Vec<(Address, Command)>, Book, Vec<Event>) {
    let mut engine = Engine::new(scenario::trader("owner"));
    for token in TOKENS {
        engine.deploy_token(scenario::token(token), 18);
    }
    let mut stream = Stream::new(seed(1));
    for (caller, command) in stream.opening() {
        stream.saw(&engine.apply(caller, &command, 0).expect("the opening succeeds"));
    }
    let opened = engine.clone();
    let (mut commands, mut events) = (Vec::new(), Vec::new());
    for _ in 0..ops(COMMANDS) {
        let (caller, command) = stream.next();
        if let Ok(done) = engine.apply(caller, &command, 0) {
            stream.saw(&done);
            events.extend(done.into_iter().filter(|event| event.market() == Some(MarketId(1))));
        }
        commands.push((caller, command));
    }
    let book = opened.book(MarketId(1)).expect("the opening makes market 1").clone();
    (opened, commands, book, events)
}

fn book(criterion: &mut Criterion) {
    let (engine, commands, book, events) = recorded();

    let mut group = criterion.benchmark_group("engine::apply");
    group.throughput(Throughput::Elements(commands.len() as u64));
    group.bench_function("mix=random", |bench| {
        let run = |mut engine: Engine| {
            let mut out = Vec::new();
            for (caller, command) in &commands {
                out.clear();
                let _ = black_box(engine.apply_into(*caller, command, 0, &mut out));
            }
            engine
        };
        bench.iter_batched(|| engine.clone(), run, BatchSize::LargeInput);
    });
    group.finish();

    let mut group = criterion.benchmark_group("book::replay");
    group.throughput(Throughput::Elements(events.len() as u64));
    group.bench_function("mix=random", |bench| {
        let run = |mut book: Book| {
            for event in &events {
                black_box(book.replay(event).expect("recorded events follow"));
            }
            book
        };
        bench.iter_batched(|| book.clone(), run, BatchSize::LargeInput);
    });
    group.finish();

    let logs: Vec<_> = events.iter().map(abi::encode_log).collect();
    let mut group = criterion.benchmark_group("abi::decode_log");
    group.throughput(Throughput::Elements(logs.len() as u64));
    group.bench_function("mix=random", |bench| {
        bench.iter(|| logs.iter().filter_map(|(topics, data)| abi::decode_log(topics, data).ok()).count());
    });
    group.finish();

    let mut full = book;
    for event in &events {
        full.replay(event).expect("recorded events follow");
    }
    let mut group = criterion.benchmark_group("book::depth");
    for levels in [1, 5, 20] {
        group.bench_function(format!("levels={levels}"), |bench| bench.iter(|| black_box(full.depth(Side::Bid, levels))));
    }
    group.finish();
}

criterion_group!(benches, book);
criterion_main!(benches);
