//! `State::apply` alone: equal to the engine after every block, and what it refuses.

use crate::chain::{EXCHANGE, Workload, exchange_log, genesis, seed};
use alloy_primitives::{B256, U256};
use indexer::{Block, Error, project::State};
use orderbook::{Event, Lots, MarketId, ReduceReason, Side};
use std::{collections::BTreeMap, sync::Arc};

/// Goal: books word by word, balances to the atom, and trades' numbers agree with the engine. Method: compare after each of 300 blocks.
#[test]
fn the_projection_equals_the_engine_after_every_block() {
    let mut workload = Workload::new(seed(11));
    let mut state = State::new(EXCHANGE, genesis());
    let mut trades: BTreeMap<MarketId, u64> = BTreeMap::new();
    let mut fills = 0;
    let mut met: BTreeMap<&str, u32> = BTreeMap::new();
    for number in 1..=300_u64 {
        let block = if number == 1 { workload.first() } else { workload.random() };
        let update = state.apply(&block).unwrap_or_else(|error| panic!("block {number}: {error}"));
        for market in state.markets() {
            let book = workload.engine.book(market.market.id).expect("the engine has the market");
            assert_eq!(sorted(market.book.levels()), sorted(book.levels()), "levels of {:?} after block {number}", market.market.id);
            assert_eq!(sorted(market.book.records()), sorted(book.records()), "orders of {:?} after block {number}", market.market.id);
        }
        for (account, token, balance) in state.balances() {
            assert_eq!(balance.free, workload.engine.free_atoms(account, token), "free of {account:?} {token:?} after block {number}");
            assert_eq!(balance.fee_due, workload.engine.fee_due_atoms(account, token), "fee due of {account:?} {token:?}");
        }
        for fill in &update.changes.fills {
            let last = trades.entry(fill.market).or_default();
            *last += 1;
            assert_eq!(fill.trade, *last, "trade numbers have no holes");
        }
        for record in &update.records {
            *met.entry(kind(&record.event)).or_default() += 1;
        }
        fills += update.changes.fills.len();
        fees_sum_to_the_takers(&update);
    }
    assert!(fills > 500, "the stream trades: {fills} fills");
    for event in ["rejected", "swept", "swapped", "expired", "self-trade", "replaced", "tier", "scheduled"] {
        assert!(met.contains_key(event), "no {event} among {met:?}");
    }
    money_is_conserved(&workload, &state);
}

/// What the stream must hold to mean anything.
fn kind(event: &Event) -> &'static str {
    match event {
        Event::Rejected { .. } => "rejected",
        Event::FeesSwept { .. } => "swept",
        Event::Swapped { .. } => "swapped",
        Event::Reduced { reason: ReduceReason::Expired, .. } => "expired",
        Event::Reduced { reason: ReduceReason::Stp, .. } => "self-trade",
        Event::Reduced { reason: ReduceReason::Replaced, .. } => "replaced",
        Event::Tier { .. } => "tier",
        Event::Scheduled { .. } => "scheduled",
        _ => "other",
    }
}

fn sorted<K: std::fmt::Debug, V: std::fmt::Debug>(pairs: impl Iterator<Item = (K, V)>) -> Vec<String> {
    let mut shown: Vec<String> = pairs.map(|pair| format!("{pair:?}")).collect();
    shown.sort();
    shown
}

/// Goal: `last_u` and `book_hash` are what `api.md` says. Method: follow the records with code of our own.
#[test]
fn heads_are_numbered_and_hashed_as_documented() {
    let mut workload = Workload::new(seed(16));
    let mut state = State::new(EXCHANGE, genesis());
    let mut heads: BTreeMap<MarketId, (u64, B256)> = BTreeMap::new();
    let mut moved = 0;
    for number in 1..=150_u64 {
        let block = if number == 1 { workload.first() } else { workload.random() };
        let update = state.apply(&block).unwrap();
        let mut bytes: BTreeMap<MarketId, (u64, Vec<u8>)> = BTreeMap::new();
        let mut last: BTreeMap<MarketId, u64> = BTreeMap::new();
        for record in &update.records {
            let seq = (number << 20) + record.log as u64;
            if matches!(record.event, Event::Placed { .. } | Event::Reduced { .. } | Event::LevelFill { .. }) {
                last.insert(record.event.market().unwrap(), seq);
            }
            let at = (record.log, record.tx);
            match record.event {
                Event::MarketCreated { market, .. } => drop(heads.insert(market, (seq, B256::ZERO))),
                Event::Placed { order, lots, .. } => push(&mut bytes, seq, at, [1, 0], order, lots.0, 0),
                Event::Reduced { order, left, removed, reason } => push(&mut bytes, seq, at, [2, reason as u16], order, removed.0, left.0),
                Event::LevelFill { .. } => {
                    for fill in update.changes.fills.iter().filter(|fill| fill.log == record.log) {
                        push(&mut bytes, seq, at, [3, 0], fill.maker_order, fill.lots.0, fill.maker_left.0);
                    }
                }
                _ => {}
            }
        }
        for (market, (_, records)) in bytes {
            let (last_u, hash) = heads.get_mut(&market).unwrap();
            // Also a bare `LevelFill`, of which nothing but the head of a level is to be learnt, moves a book.
            let seq = last[&market];
            *hash = alloy_primitives::keccak256([hash.as_slice(), &number.to_le_bytes(), &records].concat());
            if update.changes.depth.iter().any(|change| change.level.market == market) {
                *last_u = seq;
                moved += 1;
            }
        }
        for market in state.markets() {
            assert_eq!(
                (market.head.last_u, market.head.book_hash),
                heads[&market.market.id],
                "{:?} after block {number}",
                market.market.id
            );
        }
    }
    assert!(moved > 100, "{moved} blocks moved a book");
}

/// One 48-byte record, little-endian.
fn push(
    bytes: &mut BTreeMap<MarketId, (u64, Vec<u8>)>,
    seq: u64,
    at: (u32, u32),
    [kind, flags]: [u16; 2],
    order: orderbook::OrderId,
    lots: u64,
    left: u64,
) {
    let (last, records) = bytes.entry(order.level.market).or_default();
    *last = seq;
    let before = records.len();
    records.extend([kind as u8, order.level.side as u8]);
    records.extend(flags.to_le_bytes());
    records.extend(order.level.market.0.to_le_bytes());
    for wide in [order.index, order.level.ticks.0 as u64, lots, left] {
        records.extend(wide.to_le_bytes());
    }
    records.extend(at.0.to_le_bytes());
    records.extend(at.1.to_le_bytes());
    assert_eq!(records.len() - before, 48);
}

/// Each operation's fee is the sum of its fills' parts.
fn fees_sum_to_the_takers(update: &indexer::Update) {
    for record in &update.records {
        if let Event::Taken { fee_atoms, filled, .. } = record.event {
            let fills = update.changes.fills.iter().filter(|fill| fill.taker_seq == record.order_seq);
            let (lots, fee) = fills.fold((0, 0), |(lots, fee), fill| (lots + fill.lots.0, fee + fill.fee_atoms));
            assert_eq!((lots, fee), (filled.0, fee_atoms), "block {} log {}", update.block, record.log);
        }
    }
}

/// Per token, all that accounts own or owe is what the vault holds, but for rebates not yet claimed, which lie in `claimable` already.
fn money_is_conserved(workload: &Workload, state: &State) {
    let mut sums: BTreeMap<_, u128> = BTreeMap::new();
    for (_, token, balance) in state.balances() {
        // A maker's positive fee is paid from the escrow or the proceeds; until the claim it is in neither column.
        *sums.entry(token).or_default() += balance.free + balance.locked + balance.claimable + balance.fee_due;
    }
    for (token, sum) in sums {
        assert!(sum <= workload.engine.vault_atoms(token), "{token:?}: {sum} atoms owned, {} held", workload.engine.vault_atoms(token));
    }
}

#[test]
fn a_block_twice_a_gap_and_a_wrong_parent_are_refused() {
    let mut workload = Workload::new(seed(12));
    let blocks = workload.blocks(4);
    let mut state = State::new(EXCHANGE, genesis());
    state.apply(&blocks[0]).unwrap();
    state.apply(&blocks[1]).unwrap();
    let refused = |block: &Block| matches!(state.clone().apply(block), Err(Error::OutOfOrder { .. }));
    assert!(refused(&blocks[1]), "the same block again");
    assert!(refused(&blocks[3]), "a gap");
    assert!(refused(&Block { parent: B256::repeat_byte(3), ..(*blocks[2]).clone() }), "another parent");
    assert!(refused(&Block { time_ms: blocks[1].time_ms, ..(*blocks[2]).clone() }), "a clock that stands");
    assert!(state.clone().apply(&blocks[2]).is_ok(), "the child");
}

#[test]
fn an_unknown_topic_of_the_exchange_stops_and_names_its_log() {
    let (state, block) = at_a_trading_block(13);
    let mut broken = (*block).clone();
    let (tx, log) = first_exchange_log(&broken);
    broken.txs[tx].logs[log].topics[0] = B256::repeat_byte(0xee);
    let index = broken.txs[tx].logs[log].index;
    match state.clone().apply(&broken) {
        Err(error @ Error::Abi { .. }) => {
            assert_eq!(error.exit_code(), 70);
            assert!(error.to_string().contains(&format!("log {index}")), "{error}");
        }
        other => panic!("an unknown topic passed: {other:?}"),
    }
}

/// Goal: a fill is checked, not trusted. Method: plant one wrong number per kind of event in an otherwise good block.
#[test]
fn events_that_contradict_each_other_stop() {
    let (state, block) = at_a_trading_block(14);
    let mut planted = 0;
    for (tx, body) in block.txs.iter().enumerate() {
        for (place, log) in body.logs.iter().enumerate().filter(|(_, log)| log.address == EXCHANGE) {
            let event = orderbook::abi::decode_log(&log.topics, &log.data).unwrap();
            let Some(wrong) = corrupt(event.clone()) else { continue };
            let mut broken = (*block).clone();
            broken.txs[tx].logs[place] = exchange_log(log.index, &wrong);
            match state.clone().apply(&broken) {
                Err(error @ Error::Mirror { .. }) => assert_eq!(error.exit_code(), 70),
                other => panic!("{wrong:?} passed in place of {event:?}: {:?}", other.map(|_| ())),
            }
            planted += 1;
        }
    }
    assert!(planted > 5, "{planted} planted");
}

#[test]
fn a_taker_that_is_never_named_stops() {
    let (state, block) = at_a_trading_block(15);
    let mut broken = (*block).clone();
    for tx in &mut broken.txs {
        tx.logs.retain(|log| {
            log.address != EXCHANGE || !matches!(orderbook::abi::decode_log(&log.topics, &log.data), Ok(Event::Taken { .. }))
        });
    }
    assert!(matches!(state.clone().apply(&broken), Err(Error::Mirror { .. })));
}

/// An event with one number changed in a way that events alone betray.
fn corrupt(event: Event) -> Option<Event> {
    Some(match event {
        Event::Placed { mut order, account, lots, expiry_s, client, mode } => {
            order.index += 1;
            Event::Placed { order, account, lots, expiry_s, client, mode }
        }
        Event::Reduced { order, left, removed, reason } => Event::Reduced { order, left, removed: Lots(removed.0 + 1), reason },
        Event::LevelFill { level, word } => Event::LevelFill { level, word: word + (U256::from(1) << 64) },
        Event::Taken { market, account, wanted, filled, client, mode, reason, quote_atoms, fee_atoms } => {
            Event::Taken { market, account, wanted, filled, client, mode, reason, quote_atoms: quote_atoms + 1, fee_atoms }
        }
        Event::Claimed { order, account, lots, back } => Event::Claimed { order, account, lots: Lots(lots.0 + 1), back },
        _ => return None,
    })
}

/// A state and the next block, which trades.
fn at_a_trading_block(default: u64) -> (State, Arc<Block>) {
    let mut workload = Workload::new(seed(default));
    let mut state = State::new(EXCHANGE, genesis());
    state.apply(&workload.first()).unwrap();
    loop {
        let block = workload.random();
        let update = state.clone().apply(&block).unwrap();
        let sides = update.changes.fills.iter().map(|fill| fill.taker_side);
        if update.changes.fills.len() > 4 && sides.clone().any(|side| side == Side::Bid) && update.records.len() > 12 {
            return (state, block);
        }
        state.apply(&block).unwrap();
    }
}

fn first_exchange_log(block: &Block) -> (usize, usize) {
    let found = block.txs.iter().enumerate().find_map(|(tx, body)| Some((tx, body.logs.iter().position(|log| log.address == EXCHANGE)?)));
    found.expect("the block has exchange logs")
}
