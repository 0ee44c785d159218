//! kill -9 at every crash point of the commit side, and at random moments. The victim is this test binary again, running
//! [`victim`] with `HIFI_VICTIM` set: it makes blocks and writes down each one that was published.
//! After each kill: every acknowledged block and transaction is there under the same hash, the directory executes from
//! genesis to equal roots, and the chain goes on.

use crate::chain::{self, Actor, Chain, recover};
use crate::seed;
use alloy_primitives::B256;
use node::store::{SnapshotPolicy, verify};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Blocks a victim makes if nothing kills it.
const BLOCKS: usize = 60;
/// Small segments, so that a run rolls several times.
const SEGMENT_BYTES: u64 = 24 << 10;

/// Not a test by itself: the process that is killed.
#[test]
fn victim() {
    let Ok(dir) = std::env::var("HIFI_VICTIM") else {
        return;
    };
    let dir = Path::new(&dir);
    let mut rng = StdRng::seed_from_u64(seed());
    let mut recovered = recover(dir).expect("a good directory");
    recovered.wal.set_segment_bytes(SEGMENT_BYTES);
    let policy = SnapshotPolicy { after_bytes: u64::MAX, history_max_bytes: None };
    let mut chain = Chain::start(recovered, policy);
    let mut actors = Actor::all();
    chain.sync_nonces(&mut actors);
    let mut log = OpenOptions::new().create(true).append(true).open(dir.join("acknowledged")).expect("writable");
    let (mut watch, mut told) = (chain.log.watch(), chain.log.head().block);
    for made in 0..BLOCKS {
        let count = rng.random_range(0..12);
        chain.block(chain::random_txs(&mut rng, &mut actors, count));
        chain.sync_nonces(&mut actors);
        if made % 3 == 0 {
            // Let the pipeline drain now and then: a crash should meet every state of it.
            chain.settle();
        }
        let head = watch.borrow_and_update().block;
        for number in told + 1..=head {
            let block = chain.log.block_by_number(number).expect("readable").expect("published");
            let txs: Vec<_> = block.txs.iter().map(|tx| tx.hash.to_string()).collect();
            writeln!(log, "{number} {} {}", block.hash, txs.join(" ")).expect("writable");
        }
        told = head;
        if made % 20 == 19 {
            chain.settle();
            let mark = node::store::ChainMark { chain_id: chain::CHAIN_ID, genesis: chain.log.genesis().hash };
            node::store::write_snapshot(dir, mark, &chain.state, &chain.log.head_block()).expect("the root is right");
        }
    }
    chain.stop();
}

enum Kill {
    /// At a crash point, at its n-th passage.
    Point(String),
    /// When this many blocks were acknowledged.
    After(usize),
}

/// Runs a victim until it dies. Returns whether it died by our hand.
fn run(dir: &Path, kill: &Kill, seed: u64) -> bool {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command.args(["--exact", "crash::victim", "--nocapture"]).env("HIFI_VICTIM", dir).env("HIFI_SEED", seed.to_string());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    if let Kill::Point(point) = kill {
        command.env("HIFI_CRASH", point);
    }
    let mut child = command.spawn().expect("this binary runs");
    if let Kill::After(lines) = kill {
        while acknowledged(dir).len() < *lines && child.try_wait().expect("our child").is_none() {
            std::thread::yield_now();
        }
        // Gone already is fine: then it made all its blocks.
        let _ = child.kill();
    }
    !child.wait().expect("our child").success()
}

fn acknowledged(dir: &Path) -> Vec<(u64, B256, Vec<B256>)> {
    let text = std::fs::read_to_string(dir.join("acknowledged")).unwrap_or_default();
    // The last line may be torn: it is acknowledged once its end is written.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let parse = |line: &str| {
        let mut words = line.split_whitespace();
        let number = words.next().expect("a number").parse().expect("a number");
        let hash = words.next().expect("a hash").parse().expect("a hash");
        (number, hash, words.map(|word| word.parse().expect("a hash")).collect())
    };
    whole.lines().map(parse).collect()
}

/// The oracle.
fn check(dir: &Path, what: &str) -> u64 {
    let recovered = recover(dir).unwrap_or_else(|error| panic!("{what}: {error}"));
    let known = acknowledged(dir);
    for (number, hash, txs) in &known {
        assert_eq!(recovered.log.hash(*number), Some(*hash), "{what}: block {number} was acknowledged");
        for tx in txs {
            let (block, _) = recovered.log.tx(tx).expect("readable").unwrap_or_else(|| panic!("{what}: {tx} was acknowledged"));
            assert_eq!(block.hash, *hash, "{what}");
        }
    }
    let head = recovered.head.cursor();
    drop(recovered);
    let report = verify(dir, &mut |_, _| {}).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(report.hash, head.hash, "{what}");
    head.block
}

#[test]
fn no_acknowledged_block_is_lost_at_any_crash_point() {
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let points = ["executed", "rooted", "wal_partial", "wal_written", "wal_synced", "published"];
    let dir = tempfile::tempdir().expect("a temporary directory");
    for round in 0..2 {
        for point in points {
            let point = format!("{point}:{}", rng.random_range(1..40));
            let what = format!("round {round}, {point}, seed {seed}");
            assert!(run(dir.path(), &Kill::Point(point), rng.random()), "{what}: it must die");
            check(dir.path(), &what);
        }
        for point in ["segment_created", "snap_tmp", "snap_renamed"] {
            let what = format!("round {round}, {point}, seed {seed}");
            assert!(run(dir.path(), &Kill::Point(point.into()), rng.random()), "{what}: it must die");
            check(dir.path(), &what);
        }
    }
}

#[test]
fn a_crash_while_recovering_changes_nothing_three_deep() {
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let dir = tempfile::tempdir().expect("a temporary directory");
    assert!(run(dir.path(), &Kill::Point("wal_partial:18".into()), rng.random()));
    for passage in [9, 2, 5] {
        assert!(run(dir.path(), &Kill::Point(format!("recovering:{passage}")), rng.random()), "seed {seed}");
    }
    assert_eq!(check(dir.path(), "recovering"), 17, "seed {seed}");
}

#[test]
fn no_acknowledged_block_is_lost_at_random_moments() {
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let dir = tempfile::tempdir().expect("a temporary directory");
    for kill in 0..8 {
        let lines = acknowledged(dir.path()).len() + rng.random_range(1..BLOCKS / 2);
        run(dir.path(), &Kill::After(lines), rng.random());
        check(dir.path(), &format!("kill {kill}, seed {seed}"));
    }
}
