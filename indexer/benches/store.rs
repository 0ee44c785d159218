//! What a row costs from block to commit, in CPU time of us and of Postgres (wall time lies on shared machines).
//!
//! `HIFI_TEST_POSTGRES=<url> cargo bench -p indexer --bench store [-- BLOCKS TXS]`; method: a chain of random engine commands is made
//! first, then indexed as fast as it goes into a fresh database; CPU is read from `/proc` of this process and of every server process.
//! Rows are those of order_events, fills, transfers and blocks; state flushes are in the figure.

#[path = "../tests/it/chain.rs"]
#[allow(dead_code)]
mod chain;
#[path = "../tests/it/database.rs"]
#[allow(dead_code)]
mod database;

use chain::{Chain, EXCHANGE, Workload, genesis};
use database::{Database, stored};
use indexer::{Indexer, project::State};
use std::time::Instant;

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    let (blocks, txs) = (numbers.first().copied().unwrap_or(400), numbers.get(1).copied().unwrap_or(1_000));
    let mut workload = Workload::new(1);
    let mut made = vec![workload.first()];
    made.extend((0..blocks).map(|_| workload.sized(txs)));

    let (begun, mut state, mut rows) = (cpu_us(&[std::process::id()]), State::new(EXCHANGE, genesis()), 0);
    for block in &made {
        let update = state.apply(block).expect("the engine's blocks follow each other");
        rows += update.records.len() + update.changes.fills.len() + 1;
    }
    let project_us = (cpu_us(&[std::process::id()]) - begun) / rows as f64;
    println!("project::apply/{txs} txs a block: {project_us:.2} us CPU a row of {rows} rows");

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let last = made.len() as u64;
        let database = Database::create().await;
        let chain = Chain::new(made);
        let config = indexer::Config { flush_blocks: 100, ..database.config() };
        let (begun, own) = (Instant::now(), cpu_us(&[std::process::id()]));
        let handle = Indexer::start(config, chain).await.expect("the database is fresh");
        stored(&handle.feed, last).await;
        let wall = begun.elapsed();
        let own_us = cpu_us(&[std::process::id()]) - own;
        let backends = database.rows("select pid from pg_stat_activity where datname = current_database() and application_name = 'hifi indexer' or backend_type in ('checkpointer', 'walwriter', 'background writer')").await;
        let pids: Vec<u32> = backends.iter().filter_map(|pid| pid.trim_matches(['(', ')']).parse().ok()).collect();
        // Sessions of this database were born with it; the background processes' share before the run is noise below a second.
        let server_us = cpu_us(&pids);
        let rows = database.rows("select (select count(*) from order_events) + (select count(*) from fills) + (select count(*) from transfers) + (select count(*) from blocks)").await;
        let rows: f64 = rows[0].trim_matches(['(', ')']).parse().expect("a count");
        println!(
            "store/{last} blocks of {txs} txs: {:.2} us CPU a row (indexer {:.2}, postgres {:.2}), {rows} rows in {:.1} s wall",
            (own_us + server_us) / rows,
            own_us / rows,
            server_us / rows,
            wall.as_secs_f64()
        );
        handle.shutdown().await.expect("a clean stop");
        database.remove().await;
    });
}

/// User and system time of processes so far, in microseconds; clock ticks are 10 ms.
fn cpu_us(pids: &[u32]) -> f64 {
    let ticks = pids.iter().filter_map(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        Some(fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?)
    });
    ticks.sum::<f64>() * 10_000.0
}
