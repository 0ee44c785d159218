//! The data directory: what was published is there after a restart, a torn end is cut, damage is named, another chain is
//! refused, snapshots shorten recovery without changing its result, `verify` finds a planted difference.

use crate::chain::{self, Actor, Chain, genesis, recover};
use crate::seed;
use alloy_primitives::{B256, U256};
use node::error::StoreError;
use node::publish::{Cursor, LogError, Next};
use node::store::{Fsync, SnapshotPolicy, StoreConfig, VerifyError, open, verify};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::path::{Path, PathBuf};

/// Makes a chain of `blocks` random blocks and stops it in order; returns its head.
fn make(dir: &Path, rng: &mut StdRng, blocks: usize, policy: SnapshotPolicy) -> Cursor {
    let mut chain = Chain::open_with(dir, policy);
    let mut actors = Actor::all();
    chain.sync_nonces(&mut actors);
    for _ in 0..blocks {
        let count = rng.random_range(0..12);
        chain.block(chain::random_txs(rng, &mut actors, count));
        chain.sync_nonces(&mut actors);
    }
    let log = chain.log.clone();
    chain.stop();
    log.head()
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(dir.join("wal"))
        .expect("the log has a directory")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .collect();
    paths.sort();
    paths
}

/// A copy of a data directory, short of the zeros behind the last record (which a test would only copy to and fro).
fn copy(from: &Path, to: &Path) {
    for part in ["wal", "snap"] {
        std::fs::create_dir_all(to.join(part)).expect("a temporary directory");
        for entry in std::fs::read_dir(from.join(part)).expect("readable") {
            let path = entry.expect("readable").path();
            let mut bytes = std::fs::read(&path).expect("readable");
            let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            bytes.truncate(end + 64);
            std::fs::write(to.join(part).join(path.file_name().expect("a name")), bytes).expect("writable");
        }
    }
    for name in ["meta.json", "genesis.json"] {
        std::fs::copy(from.join(name), to.join(name)).expect("a small file");
    }
}

/// Starts and ends of all records of a segment.
fn records(bytes: &[u8]) -> Vec<(usize, usize)> {
    let (mut at, mut all) = (64, Vec::new());
    while let Ok(record) = node::store::record::Record::parse(&bytes[at..]) {
        all.push((at, at + record.head.record_bytes()));
        at += record.head.record_bytes();
    }
    all
}

#[test]
fn a_restart_finds_every_block_transaction_and_slot() {
    let mut rng = StdRng::seed_from_u64(seed());
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut head = Cursor { block: 0, hash: recover(dir.path()).expect("new").head.hash };
    for round in 0..4 {
        let recovered = recover(dir.path()).expect("round after round");
        assert_eq!(recovered.head.cursor(), head, "round {round}");
        assert_eq!(recovered.log.head(), head);
        for number in 1..=head.block {
            let block = recovered.log.block_by_number(number).expect("readable").expect("published");
            assert_eq!(recovered.log.number_of(&block.hash), Some(number));
            for (index, tx) in block.txs.iter().enumerate() {
                let (found, place) = recovered.log.tx(&tx.hash).expect("readable").expect("indexed");
                assert_eq!((found.hash, place), (block.hash, index));
            }
        }
        drop(recovered);
        head = make(dir.path(), &mut rng, 20, SnapshotPolicy::default());
    }
    let report = verify(dir.path(), &mut |_, _| {}).expect("an honest directory");
    assert_eq!((report.block, report.hash), (80, head.hash));
}

#[test]
fn a_torn_end_at_any_byte_loses_only_the_torn_block() {
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let origin = tempfile::tempdir().expect("a temporary directory");
    make(origin.path(), &mut rng, 12, SnapshotPolicy::default());
    let segment = segments(origin.path()).pop().expect("one segment");
    let bytes = std::fs::read(&segment).expect("readable");
    let places = records(&bytes);
    assert_eq!(places.len(), 12);
    for _ in 0..40 {
        let whole = rng.random_range(0..places.len());
        let (start, end) = places[whole];
        let cut = rng.random_range(start..end);
        let dir = tempfile::tempdir().expect("a temporary directory");
        copy(origin.path(), dir.path());
        // The bytes after the cut were never written: zeros, as in a reserved file.
        let mut torn = bytes[..cut].to_vec();
        torn.resize(end + 4_096, 0);
        std::fs::write(dir.path().join("wal").join(segment.file_name().expect("a name")), &torn).expect("writable");
        let recovered = recover(dir.path()).unwrap_or_else(|error| panic!("cut at {cut} in {start}..{end}, seed {seed}: {error}"));
        // A cut inside the zeros a record ends with is no cut.
        let expected = if torn[..end] == bytes[..end] { whole + 1 } else { whole };
        assert_eq!(recovered.head.header.number, expected as u64, "cut at {cut} in {start}..{end}, seed {seed}");
        drop(recovered);
        // The chain goes on from there, and what follows is whole.
        let head = make(dir.path(), &mut rng, 3, SnapshotPolicy::default());
        assert_eq!(head.block, expected as u64 + 3);
        assert_eq!(verify(dir.path(), &mut |_, _| {}).expect("whole").hash, head.hash);
    }
}

#[test]
fn a_flipped_bit_before_a_valid_block_is_named_and_stops_the_node() {
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let dir = tempfile::tempdir().expect("a temporary directory");
    make(dir.path(), &mut rng, 10, SnapshotPolicy::default());
    let segment = segments(dir.path()).pop().expect("one segment");
    let mut bytes = std::fs::read(&segment).expect("readable");
    let places = records(&bytes);
    // Short of the reserved zeros, which only cost time here.
    bytes.truncate(places.last().expect("ten blocks").1 + 4_096);
    for _ in 0..60 {
        let index = rng.random_range(0..places.len() - 1);
        let at = rng.random_range(places[index].0..places[index].1);
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << rng.random_range(0..8);
        std::fs::write(&segment, &flipped).expect("writable");
        match recover(dir.path()) {
            Err(error @ StoreError::Corrupt { block, .. }) => {
                assert_eq!((block, error.exit_code()), (index as u64 + 1, 74), "bit at {at}, seed {seed}");
            }
            other => panic!("bit at {at} of block {}, seed {seed}: {other:?}", index + 1),
        }
        assert!(verify(dir.path(), &mut |_, _| {}).is_err(), "verify must see it too");
    }
    // In the last block it is a torn end: nothing valid follows.
    let (start, end) = *places.last().expect("ten blocks");
    let mut flipped = bytes.clone();
    flipped[rng.random_range(start..end)] ^= 4;
    std::fs::write(&segment, &flipped).expect("writable");
    assert_eq!(recover(dir.path()).expect("the end is cut").head.header.number, 9);
}

#[test]
fn a_directory_of_another_chain_or_in_use_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let held = recover(dir.path()).expect("new");
    let error = recover(dir.path()).expect_err("it is in use");
    assert!(matches!(error, StoreError::Locked { .. }) && error.exit_code() == 78, "{error}");
    drop(held);
    let mut other = genesis().inner;
    other.gas_limit += 1;
    let config = StoreConfig { data_dir: dir.path().to_owned(), genesis: other, fsync: Fsync::Block };
    let error = open(config).expect_err("another genesis");
    assert!(matches!(error, StoreError::OtherChain { what: "genesis", .. }) && error.exit_code() == 78, "{error}");
}

#[test]
fn snapshots_do_not_change_what_recovery_finds() {
    let mut rng = StdRng::seed_from_u64(seed());
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut chain = Chain::open(dir.path());
    let mut actors = Actor::all();
    for number in 1..=60u64 {
        chain.block(chain::random_txs(&mut rng, &mut actors, 8));
        chain.sync_nonces(&mut actors);
        if number % 20 == 0 {
            chain.settle();
            // Two behind the head: the view must take later blocks back.
            let head = chain.log.block_by_number(number - 2).expect("readable").expect("published");
            let mark = node::store::ChainMark { chain_id: chain::CHAIN_ID, genesis: chain.log.genesis().hash };
            node::store::write_snapshot(dir.path(), mark, &chain.state, &head).expect("the root is right");
        }
    }
    let log = chain.log.clone();
    chain.stop();
    let snapshots = |dir: &Path| {
        let mut paths: Vec<_> =
            std::fs::read_dir(dir.join("snap")).expect("readable").map(|entry| entry.expect("readable").path()).collect();
        paths.sort();
        paths
    };
    let paths = snapshots(dir.path());
    assert_eq!(paths.len(), 2, "two are kept");
    // From the newest, from the older, from genesis: the same head and root, or `open` would have failed.
    for damaged in 0..=2 {
        for path in paths.iter().rev().take(damaged) {
            let mut bytes = std::fs::read(path).expect("readable");
            let at = rng.random_range(0..bytes.len());
            bytes[at] ^= 1;
            std::fs::write(path, bytes).expect("writable");
        }
        let recovered = recover(dir.path()).expect("damaged snapshots are passed over");
        assert_eq!(recovered.head.cursor(), log.head(), "{damaged} damaged");
        assert!(recovered.state.first() <= 58, "the window is refilled");
    }
    // A chain that goes on from a snapshot is the same chain.
    let head = make(dir.path(), &mut rng, 5, SnapshotPolicy::default());
    assert_eq!(verify(dir.path(), &mut |_, _| {}).expect("whole").hash, head.hash);
}

/// Every slot of [`chain::WRITER`] at every block of the window, read while later blocks are applied, must be what a
/// follower of the logs computed.
#[test]
fn views_stay_as_they_were_while_the_executor_goes_on() {
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut chain = Chain::open(dir.path());
    let mut actors = Actor::all();
    let mut model = vec![(0..60u64).map(|slot| if (1..=40).contains(&slot) { slot } else { 0 }).collect::<Vec<u64>>()];
    let mut views = vec![chain.state.view(0).expect("genesis")];
    let state = std::sync::Arc::clone(&chain.state);
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let reader = std::thread::spawn({
        let stop = std::sync::Arc::clone(&stop);
        move || {
            let mut reads = 0u64;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let view = state.view(state.head()).expect("the head is in the window");
                // Two reads of one view are equal, whatever the writer does between.
                let read =
                    || (0..60u64).map(|slot| view.storage(&chain::WRITER, U256::from(slot)).expect("in the window")).collect::<Vec<_>>();
                assert_eq!(read(), read(), "block {}", view.block());
                reads += 1;
            }
            reads
        }
    });
    for _ in 0..300 {
        let mut row = model.last().expect("genesis").clone();
        let txs = (0..rng.random_range(1..8))
            .map(|_| {
                let (slot, value) = (rng.random_range(0..60u64), rng.random_range(0..3u64));
                row[slot as usize] = value;
                let who = rng.random_range(0..actors.len());
                actors[who].write(slot, value, 0)
            })
            .collect();
        chain.block(txs);
        model.push(row);
        views.push(chain.state.view(chain.number).expect("just applied"));
    }
    for (block, (view, row)) in views.iter().zip(&model).enumerate() {
        for (slot, value) in row.iter().enumerate() {
            let found = view.storage(&chain::WRITER, U256::from(slot)).expect("in the window");
            assert_eq!(found, U256::from(*value), "slot {slot} after block {block}, seed {seed}");
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(reader.join().expect("consistent reads") > 0);
    assert!(chain.state.view(chain.number + 1).is_err(), "a block that is not executed has no view");
    chain.stop();
}

#[test]
fn verify_names_the_first_difference() {
    let mut rng = StdRng::seed_from_u64(seed());
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut chain = Chain::open(dir.path());
    let mut actors = Actor::all();
    for _ in 0..6 {
        let tx = actors[0].write(rng.random_range(0..60), rng.random_range(1_000..2_000), 0);
        chain.block(vec![tx]);
    }
    chain.stop();
    // Forge block 4: its diff says another value, all checksums are right.
    let segment = segments(dir.path()).pop().expect("one segment");
    let mut bytes = std::fs::read(&segment).expect("readable");
    let (start, end) = records(&bytes)[3];
    let head = node::store::record::Head::parse(&bytes[start..]).expect("whole");
    let writer = bytes[start + 100 + head.block_len as usize..end].windows(20).position(|window| window == chain::WRITER.as_slice());
    let account = start + 100 + head.block_len as usize + writer.expect("the diff names the writer");
    // flags 1, nonce 8, balance 1, code hash 32, slot count 4, key 32, length 1, then the value
    let value = account + 20 + 1 + 8 + 1 + 32 + 4 + 32 + 1;
    bytes[value] ^= 1;
    let crc = crc32(&bytes[start + 100..end - 4]);
    bytes[end - 4..end].copy_from_slice(&crc.to_le_bytes());
    std::fs::write(&segment, bytes).expect("writable");
    match verify(dir.path(), &mut |_, _| {}) {
        Err(VerifyError::Differs { block: 4, what: "the diff of the state", .. }) => {}
        other => panic!("{other:?}"),
    }
    let error = recover(dir.path()).expect_err("the root cannot be right");
    assert!(matches!(error, StoreError::Root { .. }) && error.exit_code() == 70, "{error}");
}

/// crc32 (IEEE), bit by bit: the test's own.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes
        .iter()
        .fold(!0u32, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 }))
}

#[test]
fn readers_follow_by_cursor_and_lag_without_loss() {
    let mut rng = StdRng::seed_from_u64(seed());
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut chain = Chain::open(dir.path());
    let mut actors = Actor::all();
    let log = chain.log.clone();
    let genesis = log.head();
    let follower = std::thread::spawn({
        let log = log.clone();
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers");
            let (mut cursor, mut seen) = (genesis, Vec::new());
            while seen.len() < 1_100 {
                match runtime.block_on(log.next(cursor)).expect("this chain") {
                    Next::Block(block) => {
                        assert_eq!(block.header.parent_hash, cursor.hash, "no gap, no duplicate");
                        cursor = block.cursor();
                        seen.push(cursor);
                    }
                    Next::Lagged(_) => {
                        for block in log.read(cursor, 1 << 20).expect("on disk") {
                            cursor = block.cursor();
                            seen.push(cursor);
                        }
                    }
                }
            }
            seen
        }
    });
    for number in 0..1_100 {
        let txs = if number % 50 == 0 { chain::random_txs(&mut rng, &mut actors, 5) } else { Vec::new() };
        chain.block(txs);
        chain.sync_nonces(&mut actors);
    }
    let seen = follower.join().expect("the follower is served");
    assert_eq!(seen.last(), Some(&log.head()));
    // More blocks than the ring holds: a newcomer is told how far behind it is, and reads from disk.
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers");
    match runtime.block_on(log.next(genesis)).expect("this chain") {
        Next::Lagged(behind) => assert_eq!(behind, 1_100 - 1_024),
        Next::Block(block) => panic!("block {} left the ring", block.header.number),
    }
    let mut cursor = genesis;
    let mut read = Vec::new();
    while cursor != log.head() {
        let blocks = log.read(cursor, 64 << 10).expect("on disk");
        assert!(blocks.iter().map(|block| block.encoded_bytes).sum::<usize>() <= 64 << 10);
        read.extend(blocks.iter().map(|block| block.cursor()));
        cursor = *read.last().expect("at least one block");
    }
    assert_eq!(read, seen);
    let foreign = Cursor { block: 7, hash: B256::repeat_byte(7) };
    assert!(matches!(log.read(foreign, 1), Err(LogError::Unknown { block: 7, .. })));
    let hold = log.hold("test", seen[4]).expect("few holds");
    assert_eq!(log.held(), Some(5));
    hold.advance(seen[9]);
    assert_eq!(log.held(), Some(10));
    let more: Vec<_> = (1..node::publish::HOLDS_MAX).map(|_| log.hold("more", seen[0]).expect("below the bound")).collect();
    assert!(matches!(log.hold("one too many", seen[0]), Err(LogError::TooManyHolds)));
    drop((hold, more));
    assert_eq!(log.held(), None);
    chain.stop();
}

/// With a bound on history, old segments go once two snapshots stand above them; what is left opens, serves readers from
/// its first block on, and tells those who come too late. A hold keeps what its reader still needs.
#[test]
fn bounded_history_loses_old_blocks_only_and_says_so() {
    let mut rng = StdRng::seed_from_u64(seed());
    let dir = tempfile::tempdir().expect("a temporary directory");
    let policy = SnapshotPolicy { after_bytes: 1, history_max_bytes: Some(64 << 10) };
    let mut recovered = recover(dir.path()).expect("new");
    recovered.wal.set_segment_bytes(16 << 10);
    let mut chain = Chain::start(recovered, policy);
    let mut actors = Actor::all();
    let genesis = chain.log.head();
    let hold = chain.log.hold("reader", genesis).expect("few holds");
    let mut rounds = 0;
    // Housekeeping looks once a second; the chain goes on meanwhile. Two snapshots and a look later the log is short.
    while chain.log.first() == 1 {
        chain.block(chain::random_txs(&mut rng, &mut actors, 10));
        chain.settle();
        chain.sync_nonces(&mut actors);
        let snapshots = std::fs::read_dir(dir.path().join("snap")).expect("readable").count();
        if snapshots >= 2 && chain.log.held() == Some(0) {
            assert_eq!(chain.log.first(), 1, "held back by a reader");
            hold.advance(chain.log.head());
        }
        rounds += 1;
        assert!(rounds < 200_000, "history is never bounded");
    }
    let first = chain.log.first();
    assert!(matches!(chain.log.read(genesis, 1), Err(LogError::Pruned { first: found }) if found >= first));
    drop(hold);
    let log = chain.log.clone();
    chain.stop();
    let recovered = recover(dir.path()).expect("a shorter log");
    assert_eq!(recovered.head.cursor(), log.head());
    assert_eq!(recovered.log.first(), log.first());
    // Before the restart the ring still had it.
    assert!(recovered.log.block_by_number(1).expect("not an error").is_none());
    let last_gone =
        Cursor { block: log.first() - 1, hash: log.block_by_number(log.first()).expect("readable").expect("kept").header.parent_hash };
    assert_eq!(recovered.log.read(last_gone, 1).expect("from the first block on").len(), 1);
    drop(recovered);
    assert!(matches!(verify(dir.path(), &mut |_, _| {}), Err(VerifyError::Pruned { .. })));
}
