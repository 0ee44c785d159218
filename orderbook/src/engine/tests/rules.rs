//! One rule at a time: what an operation does to book, money and words. Market 1 is the worked example's of docs/contract.md: 1,000 base
//! atoms a lot, 10 quote atoms a lot and tick, taker fee 500 millionths, maker fee none.

use super::*;
use crate::operation::{self, Operation, Outcome};
use crate::{Event, OrderId, ReduceReason, Reject, SelfTrade, TakenReason, keys};
use alloy_primitives::hex;
use keys::Base;
use secp256k1::{Message, SECP256K1, SecretKey};

const BASE: Address = Address::repeat_byte(0xb0);
const QUOTE: Address = Address::repeat_byte(0xb1);
const THIRD: Address = Address::repeat_byte(0xb2);
const M1: MarketId = MarketId(1);

fn who(name: u8) -> Address {
    Address::repeat_byte(name)
}

fn account(name: u8) -> AccountId {
    AccountId::numbered(who(name), 0)
}

/// An exchange with traders 1 to 5, each with 1,000,000 atoms of every token; trader 1 has every role.
struct Desk {
    engine: Engine,
    now_s: u64,
}

impl Desk {
    fn new() -> Desk {
        let mut desk = Desk { engine: Engine::new(who(1)), now_s: 900 };
        for (at, decimals) in [(BASE, 18), (QUOTE, 6), (THIRD, 18)] {
            desk.engine.deploy_token(at, decimals);
        }
        desk.market(BASE, QUOTE, 500, 0);
        for name in 1..=5 {
            for token in [BASE, QUOTE] {
                desk.ok(name, Command::Deposit { account: AccountId(0), token, atoms: U256::from(1_000_000), settle: vec![] });
            }
        }
        desk.ok(1, Command::SetRole { role: 2, who: who(1) });
        desk
    }

    /// Units of the worked example: 10 quote atoms a lot and tick, 1,000 base atoms a lot.
    fn market(&mut self, base: Address, quote: Address, taker_fee_ppm: u16, min_ttl_s: u8) {
        self.ok(
            1,
            Command::CreateMarket {
                base,
                quote,
                quote_atoms_per_lot_tick: 10,
                base_atoms_per_lot: 1_000,
                lots_min: 1,
                taker_fee_ppm,
                maker_fee_ppm: 0,
                min_ttl_s,
                status: 1,
            },
        );
    }

    fn ok(&mut self, name: u8, command: Command) -> Vec<Event> {
        let done = self.engine.apply(who(name), &command, self.now_s);
        done.unwrap_or_else(|reject| panic!("{command:?}: {reject}"))
    }

    fn refused(&mut self, name: u8, command: Command) -> Reject {
        self.engine.apply(who(name), &command, self.now_s).expect_err("it is refused")
    }

    fn batch(&mut self, name: u8, skip_failed: bool, operations: &[Operation]) -> Result<(Vec<Event>, Vec<Outcome>), Reject> {
        let ops = operation::encode(skip_failed, operations).into();
        let (events, words) = self.engine.execute(who(name), &Command::Execute { account: AccountId(0), ops }, self.now_s)?;
        let outcomes = operation::outcomes(operations, &words).expect("words of this batch");
        Ok((events, outcomes.concat()))
    }

    fn one(&mut self, name: u8, operation: Operation) -> Result<Outcome, Reject> {
        self.batch(name, false, &[operation]).map(|(_, outcomes)| outcomes[0])
    }

    fn word(&self, side: Side, ticks: u32) -> LevelWord {
        self.engine.books[0].level_word(level(side, ticks))
    }

    fn free(&self, name: u8, token: Address) -> u128 {
        self.engine.free_atoms(account(name), self.engine.token(token).expect("it is listed"))
    }
}

fn level(side: Side, ticks: u32) -> LevelKey {
    LevelKey { market: M1, side, ticks: Ticks(ticks) }
}

fn order(side: Side, ticks: u32, index: u64) -> OrderId {
    OrderId { level: level(side, ticks), index }
}

fn place(side: Side, tif: TimeInForce, ticks: u32, lots: u64) -> Operation {
    let mode = Mode::new(side, tif);
    Operation::Place { market: M1, mode, ticks: Ticks(ticks), lots: Lots(lots), expiry_s: 0, client: 0, steps_max: 0 }
}

fn ask(ticks: u32, lots: u64) -> Operation {
    place(Side::Ask, TimeInForce::PostOnly, ticks, lots)
}

fn until(operation: Operation, second: u32) -> Operation {
    match operation {
        Operation::Place { market, mode, ticks, lots, client, steps_max, .. } => {
            Operation::Place { market, mode, ticks, lots, expiry_s: second, client, steps_max }
        }
        other => other,
    }
}

fn with_mode(operation: Operation, change: impl Fn(Mode) -> Mode, number: u64) -> Operation {
    match operation {
        Operation::Place { market, mode, ticks, lots, expiry_s, steps_max, .. } => {
            Operation::Place { market, mode: change(mode), ticks, lots, expiry_s, client: number, steps_max }
        }
        other => other,
    }
}

fn take(side: Side, limit: u32, lots: u64, in_max_atoms: u128, out_min_atoms: u128) -> Operation {
    Operation::Take {
        market: M1,
        mode: Mode::new(side, TimeInForce::Ioc),
        limit: Ticks(limit),
        lots_max: Lots(lots),
        in_max_atoms,
        out_min_atoms,
        deadline_s: 0,
        client: 0,
        steps_max: 0,
    }
}

fn rests(order: OrderId) -> Outcome {
    Outcome::Placed { order: Some(order), filled: Lots(0), reason: TakenReason::Limit }
}

fn taken(filled: u64, reason: TakenReason) -> Outcome {
    Outcome::Placed { order: None, filled: Lots(filled), reason }
}

#[test]
fn the_worked_example_is_reached() {
    let mut desk = Desk::new();
    let key = |half: u64| keys::order(order(Side::Ask, 100, half * 2));
    let word = |tail, head, head_filled: u64, open: u64, expiry_min_s| LevelWord {
        tail,
        head,
        head_filled: Lots(head_filled),
        open: Lots(open),
        expiry_min_s,
    };
    // 1: three asks, the third until 1000. 2: 4 lots are bought. 3: the first is cancelled: 6 lots go home, 4 are paid.
    desk.one(1, ask(100, 10)).expect("it rests");
    desk.one(2, ask(100, 7)).expect("it rests");
    desk.one(3, until(ask(100, 5), 1000)).expect("it rests");
    assert_eq!(desk.word(Side::Ask, 100), word(3, 0, 0, 22, 1000));
    assert_eq!(desk.one(5, place(Side::Bid, TimeInForce::Ioc, 100, 4)), Ok(taken(4, TakenReason::Filled)));
    assert_eq!(desk.free(5, QUOTE), 1_000_000 - 4_002, "4,000 and a fee of 2");
    let back = desk.one(1, Operation::Cancel { order: order(Side::Ask, 100, 0) });
    assert_eq!(back, Ok(Outcome::Cancelled { back: Lots(6), filled: Lots(4) }));
    assert_eq!(desk.word(Side::Ask, 100), word(3, 1, 0, 12, 1000));
    // 4, at 1000: 8 wanted, 7 found: the third has expired.
    desk.now_s = 1000;
    assert_eq!(desk.one(5, place(Side::Bid, TimeInForce::Ioc, 100, 8)), Ok(taken(7, TakenReason::Limit)));
    assert_eq!(desk.word(Side::Ask, 100), word(3, 3, 0, 0, 0));
    assert_eq!(desk.free(5, QUOTE), 1_000_000 - 4_002 - 7_004);
    let half = desk.engine.word(Base::Order, key(1)) & U256::from(u128::MAX);
    assert!(half.bit(127), "skipped");
    // 5: anybody claims both.
    desk.ok(5, Command::Claim { orders: vec![order(Side::Ask, 100, 2), order(Side::Ask, 100, 1)] });
    assert_eq!((desk.engine.word(Base::Order, key(0)), desk.engine.word(Base::Order, key(1))), (U256::ZERO, U256::ZERO));
    assert_eq!((desk.free(3, BASE), desk.free(2, QUOTE)), (1_000_000, 1_007_000));
    // 6, 7: an order that was filled in part expires before a bid that may not take.
    desk.one(4, until(ask(100, 9), 2000)).expect("it rests");
    desk.one(5, place(Side::Bid, TimeInForce::Ioc, 100, 2)).expect("it takes");
    assert_eq!(desk.word(Side::Ask, 100), word(4, 3, 2, 7, 2000));
    desk.now_s = 2000;
    let (events, _) = desk.batch(5, false, &[place(Side::Bid, TimeInForce::PostOnly, 100, 3)]).expect("it rests");
    assert!(matches!(events[..], [Event::Reduced { .. }, Event::LevelFill { .. }, Event::Placed { .. }]), "{events:?}");
    assert_eq!((desk.word(Side::Ask, 100), desk.word(Side::Bid, 100).open), (word(4, 4, 0, 0, 0), Lots(3)));
    // 8: two lots paid, seven home.
    let paid = desk.one(4, Operation::Claim { order: order(Side::Ask, 100, 3) });
    assert_eq!(paid, Ok(Outcome::Cancelled { back: Lots(7), filled: Lots(2) }));
}

#[test]
fn an_expiry_must_lie_ahead_by_the_least_life_of_the_market() {
    let mut desk = Desk::new();
    assert_eq!(desk.one(1, until(ask(100, 1), 900)), Err(Reject::Expired));
    assert_eq!(desk.one(1, until(ask(100, 1), 901)), Ok(rests(order(Side::Ask, 100, 0))));
    desk.market(THIRD, QUOTE, 0, 5);
    let bid = |tif, expiry_s| {
        let mode = Mode::new(Side::Bid, tif);
        Operation::Place { market: MarketId(2), mode, ticks: Ticks(1), lots: Lots(1), expiry_s, client: 0, steps_max: 0 }
    };
    assert_eq!(desk.one(1, bid(TimeInForce::Gtc, 904)), Err(Reject::Expired));
    assert!(desk.one(1, bid(TimeInForce::Gtc, 905)).is_ok());
    assert!(desk.one(1, bid(TimeInForce::Ioc, 901)).is_ok(), "a deadline only must lie ahead");
}

#[test]
fn a_swept_level_may_not_hold_what_has_expired() {
    let mut desk = Desk::new();
    desk.one(1, until(ask(100, 5), 950)).expect("it rests");
    desk.one(2, ask(100, 5)).expect("it rests");
    desk.now_s = 949;
    let mut early = Desk { engine: desk.engine.clone(), now_s: 949 };
    assert_eq!(early.one(5, place(Side::Bid, TimeInForce::Ioc, 100, 20)), Ok(taken(10, TakenReason::Limit)), "it is alive");
    desk.now_s = 950;
    assert_eq!(desk.one(5, place(Side::Bid, TimeInForce::Ioc, 100, 20)), Ok(taken(5, TakenReason::Limit)));
}

#[test]
fn post_only_clears_the_dead_or_runs_out_of_steps() {
    let mut desk = Desk::new();
    for _ in 0..3 {
        desk.one(1, until(ask(100, 1), 950)).expect("it rests");
    }
    desk.now_s = 950;
    let bid = |steps_max| Operation::Place {
        market: M1,
        mode: Mode::new(Side::Bid, TimeInForce::PostOnly),
        ticks: Ticks(100),
        lots: Lots(1),
        expiry_s: 0,
        client: 0,
        steps_max,
    };
    assert_eq!(desk.one(2, bid(2)), Err(Reject::StepLimit));
    assert_eq!(desk.word(Side::Ask, 100).open, Lots(3), "nothing was passed");
    desk.ok(4, Command::Prune { level: level(Side::Ask, 100), steps_max: 2 });
    assert_eq!(desk.word(Side::Ask, 100).head, 2);
    assert_eq!(desk.one(2, bid(1)), Ok(rests(order(Side::Bid, 100, 0))));
    assert_eq!(desk.word(Side::Ask, 100).open, Lots(0));
}

#[test]
fn slide_stands_beside_the_best_price_instead_of_crossing() {
    let mut desk = Desk::new();
    desk.one(1, ask(100, 5)).expect("it rests");
    desk.one(1, ask(1, 5)).expect("it rests");
    assert_eq!(desk.one(2, place(Side::Bid, TimeInForce::Slide, 120, 1)), Err(Reject::BadTick), "below 1 there is no price");
    desk.one(1, Operation::Cancel { order: order(Side::Ask, 1, 0) }).expect("it rests");
    assert_eq!(desk.one(2, place(Side::Bid, TimeInForce::Slide, 120, 1)), Ok(rests(order(Side::Bid, 99, 0))));
    assert_eq!(desk.one(2, place(Side::Bid, TimeInForce::Slide, 50, 1)), Ok(rests(order(Side::Bid, 50, 0))));
    assert_eq!(desk.one(3, place(Side::Ask, TimeInForce::Slide, 3, 1)), Ok(rests(order(Side::Ask, 100, 1))));
}

#[test]
fn self_trade_modes() {
    let run = |rule: SelfTrade, lots: u64| {
        let mut desk = Desk::new();
        desk.one(1, ask(100, 4)).expect("it rests");
        desk.one(2, ask(100, 6)).expect("it rests");
        desk.one(3, ask(100, 5)).expect("it rests");
        let bid = with_mode(place(Side::Bid, TimeInForce::Ioc, 100, lots), |mode| mode.with_self_trade(rule), 0);
        let (events, outcomes) = desk.batch(2, false, &[bid]).expect("it takes");
        let removed: Vec<u64> = events
            .iter()
            .filter_map(|event| match event {
                Event::Reduced { removed, reason: ReduceReason::Stp, .. } => Some(removed.0),
                _ => None,
            })
            .collect();
        (outcomes[0], removed, desk.word(Side::Ask, 100).open.0)
    };
    assert_eq!(run(SelfTrade::None, 8), (taken(8, TakenReason::Filled), vec![], 7));
    assert_eq!(run(SelfTrade::CancelTaker, 8), (taken(4, TakenReason::Stp), vec![], 11));
    assert_eq!(run(SelfTrade::CancelMaker, 8), (taken(8, TakenReason::Filled), vec![6], 1));
    assert_eq!(run(SelfTrade::CancelBoth, 8), (taken(4, TakenReason::Stp), vec![6], 5));
    assert_eq!(run(SelfTrade::Decrement, 8), (taken(4, TakenReason::Filled), vec![4], 7), "two lots of it stay");
    assert_eq!(run(SelfTrade::Decrement, 12), (taken(6, TakenReason::Filled), vec![6], 3));
}

#[test]
fn who_never_rested_sweeps_in_one_step() {
    let mut desk = Desk::new();
    for name in [1, 2, 3] {
        desk.one(name, ask(100, 1)).expect("it rests");
    }
    let bid = |steps_max| Operation::Place {
        market: M1,
        mode: Mode::new(Side::Bid, TimeInForce::Ioc).with_self_trade(SelfTrade::CancelMaker),
        ticks: Ticks(100),
        lots: Lots(3),
        expiry_s: 0,
        client: 0,
        steps_max,
    };
    let mut other = Desk { engine: desk.engine.clone(), now_s: 900 };
    assert_eq!(desk.one(5, bid(1)), Ok(taken(3, TakenReason::Filled)));
    assert_eq!(other.one(3, bid(1)), Ok(taken(1, TakenReason::Steps)), "trader 3 has rested and is walked");
}

#[test]
fn a_market_order_keeps_to_its_budget() {
    let mut desk = Desk::new();
    desk.one(1, ask(100, 5)).expect("it rests");
    desk.one(1, ask(200, 5)).expect("it rests");
    // 5 lots at 1,000 and 2 at 2,000, fee 4.5 rounded up; a third would not fit.
    let done = desk.one(2, take(Side::Bid, Ticks::MAX.0, 100, 9_005 + 1_999, 0));
    assert_eq!(done, Ok(Outcome::Taken { out_atoms: 7_000, filled: Lots(7), reason: TakenReason::Budget }));
    assert_eq!(desk.free(2, QUOTE), 1_000_000 - 9_005);
    assert_eq!(desk.one(2, take(Side::Bid, Ticks::MAX.0, 100, u128::MAX, 3_001)), Err(Reject::Slippage { out: 3_000 }));
    desk.one(3, place(Side::Bid, TimeInForce::Gtc, 50, 10)).expect("it rests");
    let sold = desk.one(4, take(Side::Ask, 0, 100, 2_500, 0));
    assert_eq!(sold, Ok(Outcome::Taken { out_atoms: 999, filled: Lots(2), reason: TakenReason::Budget }), "half a lot is no lot");
    let rests_not = Operation::Take {
        market: M1,
        mode: Mode::new(Side::Bid, TimeInForce::Gtc),
        limit: Ticks(1),
        lots_max: Lots(1),
        in_max_atoms: 1,
        out_min_atoms: 0,
        deadline_s: 0,
        client: 0,
        steps_max: 0,
    };
    assert_eq!(desk.one(4, rests_not), Err(Reject::BadMode));
}

#[test]
fn replace_never_doubles_a_fill() {
    let mut desk = Desk::new();
    desk.one(1, ask(100, 5)).expect("it rests");
    let replace = |side, ticks| Operation::Replace {
        order: order(Side::Ask, 100, 0),
        mode: Mode::new(side, TimeInForce::PostOnly),
        ticks: Ticks(ticks),
        lots: Lots(8),
        expiry_s: 0,
        client: 0,
        steps_max: 0,
    };
    assert_eq!(desk.one(2, replace(Side::Ask, 110)), Err(Reject::NotAuthorized));
    assert_eq!(desk.one(1, replace(Side::Bid, 90)), Err(Reject::BadMode));
    desk.one(5, place(Side::Bid, TimeInForce::Ioc, 100, 2)).expect("it takes");
    let mut filled = Desk { engine: desk.engine.clone(), now_s: 900 };
    let (events, outcomes) = desk.batch(1, false, &[replace(Side::Ask, 110)]).expect("it is live");
    assert_eq!(outcomes, [rests(order(Side::Ask, 110, 0))]);
    let [Event::Reduced { reason: ReduceReason::Replaced, removed: Lots(3), .. }, Event::Claimed { lots: Lots(2), .. }, ..] = events[..]
    else {
        panic!("{events:?}")
    };
    filled.one(5, place(Side::Bid, TimeInForce::Ioc, 100, 3)).expect("it takes");
    assert_eq!(filled.one(1, replace(Side::Ask, 110)), Err(Reject::UnknownOrder), "it was filled meanwhile");
}

#[test]
fn a_ladder_is_so_many_places() {
    let mut desk = Desk::new();
    desk.one(2, place(Side::Bid, TimeInForce::Gtc, 104, 1)).expect("it rests");
    let ladder = Operation::Ladder {
        market: M1,
        mode: Mode::new(Side::Ask, TimeInForce::PostOnly).with_track(),
        ticks: Ticks(102),
        step: 2,
        expiry_s: 0,
        client: 7,
        lots: [1, 2, 0, 4].map(Lots).to_vec(),
    };
    assert_eq!(desk.one(1, ladder.clone()), Err(Reject::WouldCross { best: Ticks(104) }));
    let (events, outcomes) = desk.batch(1, true, &[ladder, Operation::Cancel { order: order(Side::Ask, 5, 0) }]).expect("it goes on");
    let failed = |reject: Reject| Outcome::Failed { reason: crate::abi::selector(&reject) };
    let crossed = failed(Reject::WouldCross { best: Ticks(104) });
    assert_eq!(outcomes[..2], [crossed, crossed]);
    assert_eq!(outcomes[2], taken(0, TakenReason::Filled), "a rung left out");
    assert_eq!(outcomes[3..], [rests(order(Side::Ask, 108, 0)), failed(Reject::UnknownOrder)]);
    let rejected: Vec<(u16, u64)> = events
        .iter()
        .filter_map(|event| match event {
            Event::Rejected { index, client, .. } => Some((*index, *client)),
            _ => None,
        })
        .collect();
    assert_eq!(rejected, [(0, 7), (1, 8), (4, 0)]);
    let up_off_range = Operation::Ladder {
        market: M1,
        mode: Mode::new(Side::Bid, TimeInForce::PostOnly),
        ticks: Ticks(1),
        step: -1,
        expiry_s: 0,
        client: 0,
        lots: vec![Lots(1); 2],
    };
    assert_eq!(desk.one(1, up_off_range), Err(Reject::BadTick));
}

#[test]
fn cancel_up_to_counts_what_it_reads() {
    let mut desk = Desk::new();
    for (name, ticks) in [(2, 100), (1, 100), (1, 101), (2, 101), (1, 102)] {
        desk.one(name, ask(ticks, 3)).expect("it rests");
    }
    let up_to = |ticks, steps_max| Operation::CancelUpTo { market: M1, side: Side::Ask, ticks: Ticks(ticks), steps_max };
    let mut stopped = Desk { engine: desk.engine.clone(), now_s: 900 };
    let done = |orders, lots| Ok(Outcome::CancelledUpTo { orders, lots: Lots(lots) });
    assert_eq!(stopped.one(1, up_to(102, 3)), done(2, 6), "the own order behind a foreign one, and one of the next level");
    assert_eq!(desk.one(1, up_to(101, 0)), done(2, 6));
    assert_eq!(desk.one(1, up_to(102, 0)), done(1, 3));
    assert_eq!(desk.one(1, up_to(102, 0)), done(0, 0));
    assert_eq!(
        desk.one(2, Operation::CancelUpTo { market: MarketId(9), side: Side::Ask, ticks: Ticks(1), steps_max: 0 }),
        Err(Reject::NoMarket)
    );
}

#[test]
fn client_ids_are_remembered_or_cancelled_ahead() {
    let mut desk = Desk::new();
    let tracked = |ticks| with_mode(ask(ticks, 3), Mode::with_track, 42);
    let cancel = |until_s| Operation::CancelClient { client: 42, until_s };
    assert_eq!(desk.one(1, with_mode(ask(100, 3), Mode::with_track, 0)), Err(Reject::BadMode));
    assert_eq!(desk.one(1, cancel(900)), Err(Reject::UnknownOrder));
    assert!(desk.one(1, cancel(910)).is_ok());
    desk.now_s = 910;
    assert_eq!(desk.one(1, tracked(100)), Err(Reject::PreCancelled));
    assert!(desk.one(2, tracked(100)).is_ok(), "another account's numbers are its own");
    desk.now_s = 911;
    assert_eq!(desk.one(1, tracked(100)), Ok(rests(order(Side::Ask, 100, 1))));
    assert_eq!(desk.one(1, tracked(101)), Err(Reject::CloidInUse));
    let word = desk.engine.word(Base::Clients, keys::client(account(1), 42));
    assert_eq!(word, U256::from(1) << 255 | U256::from(order(Side::Ask, 100, 1).packed()));
    assert_eq!(desk.one(1, cancel(0)), Ok(Outcome::Cancelled { back: Lots(3), filled: Lots(0) }));
    assert_eq!(desk.one(1, tracked(101)), Ok(rests(order(Side::Ask, 101, 0))));
    desk.one(1, Operation::Cancel { order: order(Side::Ask, 101, 0) }).expect("it rests");
    assert_eq!(desk.one(1, tracked(101)), Err(Reject::CloidInUse), "a cancel by id keeps the number");
    assert_eq!(desk.one(1, cancel(0)), Ok(Outcome::Cancelled { back: Lots(0), filled: Lots(0) }));
    assert_eq!(desk.engine.word(Base::Clients, keys::client(account(1), 42)), U256::ZERO);
}

#[test]
fn the_dead_mans_switch() {
    let mut desk = Desk::new();
    desk.one(1, ask(100, 3)).expect("it rests");
    assert_eq!(desk.one(1, Operation::Schedule { at_s: 900 }), Err(Reject::Expired));
    assert_eq!(desk.one(1, Operation::Schedule { at_s: 950 }), Ok(Outcome::Scheduled));
    let poke = || Command::Poke { account: account(1), orders: vec![order(Side::Ask, 100, 0), order(Side::Ask, 100, 7)] };
    assert_eq!(desk.ok(5, poke()), vec![], "not yet");
    desk.now_s = 950;
    assert_eq!(desk.one(1, ask(100, 3)), Err(Reject::Expired));
    let [Event::Reduced { reason: ReduceReason::Deadman, removed: Lots(3), .. }] = desk.ok(5, poke())[..] else { panic!("it is poked") };
    assert_eq!(desk.ok(5, poke()), vec![]);
    let (_, outcomes) = desk.batch(1, false, &[Operation::Schedule { at_s: 0 }, ask(100, 3)]).expect("it is disarmed in time");
    assert_eq!(outcomes[1], rests(order(Side::Ask, 100, 1)));
    for status in [3, 4] {
        desk.ok(1, Command::SetStatus { market: M1, status });
    }
    let halted = Command::Poke { account: account(1), orders: vec![order(Side::Ask, 100, 1)] };
    assert!(matches!(desk.ok(5, halted)[..], [Event::Reduced { reason: ReduceReason::Halted, .. }]));
}

#[test]
fn an_agent_does_what_its_rights_say() {
    let mut desk = Desk::new();
    let approve = |perms, cap_atoms, markets: [u32; 3], expiry_s| Command::ApproveAgent {
        account: AccountId(0),
        agent: who(9),
        expiry_s,
        perms,
        cap_atoms,
        markets: markets.map(MarketId),
    };
    let by_agent = |desk: &mut Desk, operation: Operation| {
        let ops = operation::encode(false, &[operation]).into();
        desk.engine.apply(who(9), &Command::Execute { account: account(1), ops }, desk.now_s).map(|_| ())
    };
    assert_eq!(by_agent(&mut desk, ask(100, 1)), Err(Reject::NotAuthorized));
    desk.ok(1, approve(1, 5_000, [0; 3], 950));
    assert_eq!(by_agent(&mut desk, ask(100, 5)), Ok(()));
    assert_eq!(by_agent(&mut desk, ask(100, 6)), Err(Reject::OverCap));
    assert_eq!(by_agent(&mut desk, place(Side::Ask, TimeInForce::Gtc, 100, 1)), Err(Reject::NotAuthorized), "it may not take");
    assert_eq!(by_agent(&mut desk, Operation::Cancel { order: order(Side::Ask, 100, 0) }), Err(Reject::NotAuthorized));
    desk.ok(1, approve(15, 0, [0, 0, 2], 950));
    assert_eq!(by_agent(&mut desk, ask(100, 5)), Err(Reject::NotAuthorized), "another market");
    let home = |to| Command::Withdraw { account: account(1), token: QUOTE, atoms: U256::from(1), to: who(to), settle: vec![] };
    assert_eq!(desk.refused(9, home(9)), Reject::NotAuthorized);
    assert_eq!(desk.ok(9, home(1)).len(), 1, "money goes home");
    assert_eq!(desk.refused(9, approve(15, 0, [0; 3], 950)), Reject::NotAuthorized, "agents hand nothing on");
    desk.now_s = 950;
    assert_eq!(desk.refused(9, home(1)), Reject::NotAuthorized, "the rights are over");
    desk.ok(1, approve(15, 9, [1; 3], 0));
    assert_eq!(desk.engine.word(Base::Agents, keys::agent(account(1), who(9))), U256::ZERO);
}

#[test]
fn a_signed_batch_runs_once_and_only_as_it_was_signed() {
    // The first key of the well-known test mnemonic.
    let key = SecretKey::from_byte_array(hex!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")).expect("a key");
    let signer: Address = alloy_primitives::address!("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
    let mut desk = Desk::new();
    let deposit = Command::Deposit { account: AccountId(0), token: BASE, atoms: U256::from(9_000), settle: vec![] };
    desk.engine.apply(signer, &deposit, 900).expect("it deposits");
    let ops = operation::encode(false, &[ask(100, 3)]);
    let domain = signed::Domain { chain_id: 31_337, exchange: who(0xee) };
    let sign = |hash: alloy_primitives::B256| {
        let (id, compact) = SECP256K1.sign_ecdsa_recoverable(Message::from_digest(hash.0), &key).serialize_compact();
        [&compact[..], &[27 + i32::from(id) as u8]].concat()
    };
    let batch = signed::Batch { account: AccountId(0), nonce: 300, deadline_s: 950, relayer: who(5), ops: &ops };
    let signature = sign(batch.signing_hash(domain));
    let send = |nonce, by: Address| Command::ExecuteSigned {
        account: AccountId(0),
        nonce,
        deadline_s: 950,
        relayer: who(5),
        ops: ops.clone().into(),
        signer: by,
        signature: signature.clone().into(),
    };
    assert_eq!(desk.refused(5, send(300, signer)), Reject::BadSignature, "the engine does not know its chain yet");
    desk.engine.set_domain(domain.chain_id, domain.exchange);
    assert_eq!(desk.refused(4, send(300, signer)), Reject::NotAuthorized, "another relayer");
    assert_eq!(desk.refused(5, send(301, signer)), Reject::BadSignature, "another nonce");
    assert_eq!(desk.refused(5, send(300, who(1))), Reject::BadSignature, "another signer");
    desk.now_s = 951;
    assert_eq!(desk.refused(5, send(300, signer)), Reject::Expired);
    desk.now_s = 950;
    assert!(matches!(desk.ok(5, send(300, signer))[..], [Event::Signed { nonce: 300, .. }, Event::Placed { .. }]));
    assert_eq!(desk.refused(5, send(300, signer)), Reject::NonceUsed);
    let own = AccountId::numbered(signer, 0);
    assert_eq!(desk.engine.word(Base::Nonces, keys::nonces(own, 300)), U256::from(1) << 44);
    // A wallet contract that the key signs for.
    desk.engine.deploy_signer(who(2), signer);
    let grant = signed::Grant {
        account: account(2),
        agent: who(9),
        expiry_s: 2_000,
        perms: 1,
        cap_atoms: 0,
        markets: [MarketId(0); 3],
        nonce: 5,
        deadline_s: 950,
    };
    let command = Command::ApproveAgentSigned {
        account: grant.account,
        agent: grant.agent,
        expiry_s: grant.expiry_s,
        perms: grant.perms,
        cap_atoms: grant.cap_atoms,
        markets: grant.markets,
        nonce: grant.nonce,
        deadline_s: grant.deadline_s,
        signature: sign(grant.signing_hash(domain)).into(),
    };
    let mut spent = Desk { engine: desk.engine.clone(), now_s: 950 };
    spent.ok(2, Command::CancelNonces { account: AccountId(0), word: 0, mask: U256::from(1) << 5 });
    assert_eq!(spent.refused(4, command.clone()), Reject::NonceUsed);
    assert!(matches!(desk.ok(4, command)[..], [Event::Signed { .. }, Event::Agent { .. }]));
    assert_eq!(desk.refused(2, Command::CancelNonces { account: AccountId(0), word: 1 << 56, mask: U256::from(1) }), Reject::BadAmount);
}

#[test]
fn a_swap_leaves_nothing_but_the_fee_behind() {
    let mut desk = Desk::new();
    desk.market(THIRD, QUOTE, 500, 0);
    desk.ok(2, Command::Deposit { account: AccountId(0), token: THIRD, atoms: U256::from(100_000), settle: vec![] });
    desk.one(1, place(Side::Bid, TimeInForce::Gtc, 100, 50)).expect("it rests");
    let mode = Mode::new(Side::Ask, TimeInForce::Gtc);
    let third = Operation::Place { market: MarketId(2), mode, ticks: Ticks(50), lots: Lots(20), expiry_s: 0, client: 0, steps_max: 0 };
    desk.one(2, third).expect("it rests");
    let swap = |atoms: u64, out_min: u64, markets: &[u32]| Command::SwapExactIn {
        token_in: BASE,
        atoms: U256::from(atoms),
        markets: markets.iter().copied().map(MarketId).collect(),
        out_min: U256::from(out_min),
        to: who(8),
        deadline_s: 900,
        steps_max: 0,
    };
    let vaults = |desk: &Desk| [2, 3, 4].map(|token| desk.engine.vault_atoms(TokenId(token)));
    let before = vaults(&desk);
    // Sells 10 lots for 10,000 less a fee of 5, which buy 19 lots at 500 (9,500 and a fee of 5): 490 and half a lot come back.
    let events = desk.ok(7, swap(10_500, 19_000, &[1, 2]));
    let Some(Event::Swapped { atoms_in: 10_500, atoms_out: 19_000, .. }) = events.last() else { panic!("{events:?}") };
    let [base, quote, third] = vaults(&desk);
    assert_eq!([base - before[0], before[1] - quote, before[2] - third], [10_000, 490, 19_000]);
    for (market, due) in [(1, 5), (2, 5)] {
        let own = AccountId(1 << 31 | market);
        assert_eq!((desk.engine.free_atoms(own, TokenId(3)), desk.engine.fee_due_atoms(own, TokenId(3))), (0, due));
    }
    for token in [2, 3, 4].map(TokenId) {
        assert_eq!(desk.engine.claims_atoms(token), Some(desk.engine.vault_atoms(token)));
    }
    assert_eq!(desk.refused(7, swap(10_500, 19_001, &[1, 2])), Reject::Slippage { out: 1_000 });
    assert_eq!(desk.refused(7, swap(10_500, 0, &[2])), Reject::BadMarket);
    assert_eq!(desk.refused(7, swap(10_500, 0, &[1; 5])), Reject::BadMarket);
    assert_eq!(desk.refused(7, swap(10_500, 0, &[3])), Reject::NoMarket);
    assert_eq!(desk.refused(7, swap(0, 0, &[1])), Reject::BadAmount);
}

#[test]
fn tiers_roles_and_the_sweep_of_fees() {
    let mut desk = Desk::new();
    desk.one(1, ask(100, 50)).expect("it rests");
    assert_eq!(desk.refused(2, Command::SetTier { account: account(2), tier: 1 }), Reject::NotAuthorized);
    assert_eq!(desk.refused(1, Command::SetTier { account: account(2), tier: 16 }), Reject::BadAmount);
    assert_eq!(desk.refused(1, Command::SetTier { account: AccountId(77), tier: 1 }), Reject::UnknownAccount);
    desk.ok(1, Command::SetTier { account: account(2), tier: 8 });
    desk.one(2, place(Side::Bid, TimeInForce::Ioc, 100, 40)).expect("it takes");
    assert_eq!(desk.free(2, QUOTE), 1_000_000 - 40_010, "half of the fee of 20");
    let swept = desk.ok(5, Command::SweepFees { token: TokenId(3), accounts: vec![account(3), account(2), account(2)] });
    assert_eq!(swept, [Event::FeesSwept { account: account(2), token: TokenId(3), atoms: 10 }]);
    assert_eq!(desk.engine.free_atoms(AccountId(1), TokenId(3)), 10);
    assert_eq!(desk.refused(2, Command::SetRole { role: 0, who: who(2) }), Reject::NotAuthorized);
    assert_eq!(desk.refused(1, Command::SetRole { role: 0, who: Address::ZERO }), Reject::NotAuthorized);
    assert_eq!(desk.refused(1, Command::SetRole { role: 3, who: who(2) }), Reject::BadMode);
    desk.ok(1, Command::SetRole { role: 0, who: who(2) });
    let collect = |to| Command::Withdraw { account: AccountId(1), token: QUOTE, atoms: U256::MAX, to, settle: vec![] };
    assert_eq!(desk.refused(1, collect(who(1))), Reject::NotAuthorized);
    assert_eq!(desk.ok(2, collect(who(2))).len(), 1, "the collector's account goes with the role");
}

#[test]
fn a_failed_batch_leaves_no_trace() {
    let mut desk = Desk::new();
    desk.one(1, ask(100, 5)).expect("it rests");
    let operations = [
        Operation::Schedule { at_s: 2_000 },
        place(Side::Bid, TimeInForce::Gtc, 100, 9),
        with_mode(ask(300, 1), Mode::with_track, 5),
        Operation::Cancel { order: order(Side::Ask, 7, 7) },
    ];
    let before = format!("{:?}", desk.engine.books[0].records().collect::<Vec<_>>());
    assert_eq!(desk.batch(2, false, &operations).map(|_| ()), Err(Reject::UnknownOrder));
    assert_eq!(before, format!("{:?}", desk.engine.books[0].records().collect::<Vec<_>>()));
    assert_eq!(desk.engine.word(Base::Clients, keys::client(account(2), 5)), U256::ZERO);
    assert_eq!((desk.free(2, BASE), desk.free(2, QUOTE)), (1_000_000, 1_000_000));
    assert_eq!(desk.engine.books[0].levels().count(), 1, "levels that came with it went with it");
    let (_, outcomes) = desk.batch(2, true, &operations).expect("it goes on");
    assert!(matches!(outcomes[3], Outcome::Failed { .. }));
    assert_eq!(desk.word(Side::Bid, 100).open, Lots(4));
}
