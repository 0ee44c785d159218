//! The market maker's toolkit against the engine: after any batch the follower's orders are the engine's, whatever others do; plans reach their
//! targets; predicted ids come true; a book read from words is the book.

use crate::stream::{ops, seed};
use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::SolCall;
use orderbook::keys::Base;
use orderbook::maker::{Batch, Follower, News, Position, Quote, Resync, Terms, order_ids, plan, withdrawal};
use orderbook::operation::{self, Outcome, WORDS_MAX};
use orderbook::{
    AccountId, Book, Command, Engine, Event, LevelKey, Lots, MarketId, Mode, Operation, OrderId, Side, Ticks, TimeInForce, TokenId, abi,
    keys, scenario,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::collections::BTreeMap;

const MARKET: MarketId = MarketId(1);
const MIDDLE: u32 = 65_536;

/// An engine with one market, the maker and some others with money, and every event so far.
struct World {
    engine: Engine,
    random: StdRng,
    maker: Address,
    others: Vec<Address>,
    now_s: u64,
}

impl World {
    fn new(seed: u64, maker_fee_ppm: i16) -> (World, Vec<Event>) {
        let (maker, owner) = (scenario::trader("maker"), scenario::trader("owner"));
        let others: Vec<Address> = (0..4).map(|n| scenario::trader(&format!("other {n}"))).collect();
        let mut engine = Engine::new(owner);
        for token in ["ETH", "USDC"] {
            engine.deploy_token(scenario::token(token), 18);
        }
        let mut world = World { engine, random: StdRng::seed_from_u64(seed), maker, others: others.clone(), now_s: 1_000 };
        let mut events = world.must(
            owner,
            &Command::CreateMarket {
                base: scenario::token("ETH"),
                quote: scenario::token("USDC"),
                quote_atoms_per_lot_tick: 10,
                base_atoms_per_lot: 1_000,
                lots_min: 2,
                taker_fee_ppm: 500,
                maker_fee_ppm,
                min_ttl_s: 0,
                status: 1,
            },
        );
        for trader in others.iter().chain([&maker]) {
            for token in ["ETH", "USDC"] {
                let atoms = U256::from(1_u64 << 40);
                let deposit = Command::Deposit { account: AccountId(0), token: scenario::token(token), atoms, settle: vec![] };
                events.extend(world.must(*trader, &deposit));
            }
        }
        (world, events)
    }

    fn must(&mut self, caller: Address, command: &Command) -> Vec<Event> {
        self.engine.apply(caller, command, self.now_s).unwrap_or_else(|reject| panic!("{command:?}: {reject}"))
    }

    /// The maker's batch; its events.
    fn send(&mut self, batch: &Batch) -> Vec<Event> {
        let (maker, command) = (self.maker, batch.command());
        self.must(maker, &command)
    }

    fn account(&self) -> AccountId {
        self.engine.account_of(self.maker).expect("the maker has deposited")
    }

    fn book(&self) -> &Book {
        self.engine.book(MARKET).expect("the market exists")
    }

    /// Something others do, or that anybody may do to the maker: places, takes, cancels, claims, time.
    fn others(&mut self) -> Vec<Event> {
        let other = self.others[self.random.random_range(0..self.others.len())];
        let side = if self.random.random_bool(0.5) { Side::Bid } else { Side::Ask };
        let tif = [TimeInForce::Gtc, TimeInForce::PostOnly, TimeInForce::Ioc, TimeInForce::Slide, TimeInForce::Fok]
            [self.random.random_range(0..5)];
        let away = self.random.random_range(0..16) as i64 - 6;
        let ticks = MIDDLE as i64 + if side == Side::Bid { -away } else { away };
        let orders: Vec<OrderId> =
            [Side::Bid, Side::Ask].into_iter().flat_map(|side| self.book().orders(side)).map(|order| order.id).collect();
        let some: Vec<OrderId> = (0..orders.len().min(6)).map(|_| orders[self.random.random_range(0..orders.len())]).collect();
        let command = match (some.first(), self.random.random_range(0..7)) {
            (Some(order), 0) => Command::Cancel { account: AccountId(0), order: *order },
            (Some(_), 1) => Command::Claim { orders: some },
            _ => Command::Place {
                account: AccountId(0),
                market: MARKET,
                mode: Mode::new(side, tif),
                ticks: Ticks(ticks as u32),
                lots: Lots(self.random.random_range(2..40)),
                expiry_s: if self.random.random_bool(0.2) && tif != TimeInForce::Ioc {
                    self.now_s as u32 + self.random.random_range(1..9)
                } else {
                    0
                },
                client: 0,
                steps_max: [0, 2, 5][self.random.random_range(0..3)],
            },
        };
        self.now_s += self.random.random_range(0..2);
        self.engine.apply(other, &command, self.now_s).unwrap_or_default()
    }

    /// What the maker would like to quote: a few rungs about a middle of its own.
    fn targets(&mut self) -> Vec<Quote> {
        let middle = MIDDLE + self.random.random_range(0..8) - 4;
        let (gap, rungs) = (self.random.random_range(1..4), self.random.random_range(0..7));
        let mut targets = Vec::new();
        for rung in 0..rungs {
            for (side, ticks) in [(Side::Bid, middle - gap - rung), (Side::Ask, middle + gap + rung)] {
                if self.random.random_bool(0.9) {
                    targets.push(Quote { side, ticks: Ticks(ticks), lots: Lots(self.random.random_range(0..30)) });
                }
            }
        }
        targets
    }

    /// Any batch at all, sense or nonsense, of orders that exist or not.
    fn wild(&mut self, own: &Follower) -> Batch {
        let mut batch = Batch { skip_failed: true, ..Batch::new(own.account()) };
        let mut ids: Vec<OrderId> = own.orders().map(|order| order.id).collect();
        ids.extend(self.book().orders(Side::Bid).take(2).map(|order| order.id));
        for _ in 0..self.random.random_range(1..8) {
            let side = if self.random.random_bool(0.5) { Side::Bid } else { Side::Ask };
            let ticks = Ticks(MIDDLE + self.random.random_range(0..20) - 10);
            let lots = Lots(self.random.random_range(0..30));
            let tif = [TimeInForce::Gtc, TimeInForce::PostOnly, TimeInForce::Slide, TimeInForce::Ioc, TimeInForce::Fok]
                [self.random.random_range(0..5)];
            let expiry_s = if self.random.random_bool(0.2) { self.now_s as u32 + self.random.random_range(0..6) } else { 0 };
            let (client, steps_max) = (self.random.random_range(0..1_000), 0);
            // Self-trade modes are bits 4-6.
            let mode = Mode(Mode::new(side, tif).0 | self.random.random_range(0..5_u8) << 4);
            let order = if ids.is_empty() { None } else { Some(ids[self.random.random_range(0..ids.len())]) };
            let operation = match (self.random.random_range(0..9), order) {
                (0, Some(order)) => Operation::Cancel { order },
                (1, Some(order)) => Operation::Reduce { order, left: lots },
                (2, Some(order)) => Operation::Claim { order },
                (3, Some(order)) => Operation::Replace { order, mode, ticks, lots, expiry_s, client, steps_max },
                (4, _) => Operation::CancelUpTo { market: MARKET, side, ticks, steps_max: 8 },
                (5, _) => Operation::Take {
                    market: MARKET,
                    mode: Mode::new(side, TimeInForce::Ioc),
                    limit: ticks,
                    lots_max: Lots(lots.0 + 1),
                    in_max_atoms: u128::MAX,
                    out_min_atoms: 0,
                    deadline_s: 0,
                    client,
                    steps_max,
                },
                (6, _) => Operation::Ladder {
                    market: MARKET,
                    mode: Mode::new(side, if tif == TimeInForce::Slide { tif } else { TimeInForce::PostOnly }),
                    ticks,
                    step: self.random.random_range(-3..4),
                    expiry_s,
                    client,
                    lots: (0..self.random.random_range(0..6)).map(|_| Lots(self.random.random_range(0..20))).collect(),
                },
                _ => Operation::Place { market: MARKET, mode, ticks, lots, expiry_s, client, steps_max },
            };
            batch.operations.push(operation);
        }
        batch
    }
}

fn feed(own: &mut Follower, events: &[Event]) -> Vec<News> {
    events.iter().flat_map(|event| own.event(event).unwrap_or_else(|error| panic!("{event:?}: {error}"))).collect()
}

/// The engine's records of an account: (left, claimable, refundable) by id.
fn records(book: &Book, account: AccountId) -> BTreeMap<OrderId, (Lots, Lots, Lots)> {
    let own = book.records().filter(|(_, record)| record.account == account);
    own.map(|(id, record)| {
        let order = book.order(id).expect("a record is an order");
        (id, (order.left, order.unclaimed, if record.skipped { record.lots } else { Lots(0) }))
    })
    .collect()
}

fn check(own: &Follower, world: &World) {
    let tracked: BTreeMap<_, _> = own.orders().map(|order| (order.id, (order.left, order.claimable, order.refundable))).collect();
    assert_eq!(tracked, records(world.book(), own.account()));
}

/// Free balances as the follower adds them up are the engine's.
fn check_money(own: &Follower, world: &World) {
    for change in own.changes() {
        let token: TokenId = change.token;
        assert_eq!(change.free, world.engine.free_atoms(own.account(), token) as i128, "free of token {}", token.0);
        assert_eq!(change.fee_due, world.engine.fee_due_atoms(own.account(), token) as i128, "fee due of token {}", token.0);
    }
}

fn start(world: &World, events: &[Event]) -> Follower {
    let market = world.book().market().clone();
    let mut own = Follower::new(Book::new(market), world.account());
    feed(&mut own, events);
    own
}

#[test]
fn whatever_the_batch_the_follower_has_the_engines_orders_and_money() {
    let seed = seed(4434);
    for (world_number, maker_fee_ppm) in [100_i16, -300, 0].into_iter().enumerate() {
        let (mut world, events) = World::new(seed + world_number as u64, maker_fee_ppm);
        let mut own = start(&world, &events);
        for _ in 0..ops(3_000) {
            let mut events = Vec::new();
            for _ in 0..world.random.random_range(0..4) {
                events.extend(world.others());
            }
            let batch = if world.random.random_bool(0.5) { world.wild(&own) } else { plan(&own, &world.targets(), &Terms::PLAIN) };
            feed(&mut own, &events);
            let events = world.send(&batch);
            feed(&mut own, &events);
            check(&own, &world);
            check_money(&own, &world);
        }
    }
}

/// Live lots of ours by side and price.
fn standing(own: &Follower) -> BTreeMap<(Side, Ticks), u64> {
    let mut standing = BTreeMap::new();
    for order in [Side::Bid, Side::Ask].into_iter().flat_map(|side| own.live(side)) {
        *standing.entry((order.id.level.side, order.id.level.ticks)).or_default() += order.left.0;
    }
    standing
}

#[test]
fn a_plan_reaches_its_targets_and_then_has_nothing_to_do() {
    let (mut world, events) = World::new(seed(99), 0);
    let mut own = start(&world, &events);
    for _ in 0..ops(2_000) {
        let (bid, ask) = (world.book().best(Side::Bid), world.book().best(Side::Ask));
        let targets: Vec<Quote> = world.targets();
        let batch = plan(&own, &targets, &Terms::PLAIN);
        assert!(batch.words() <= WORDS_MAX);
        let events = world.send(&batch);
        let news = feed(&mut own, &events);
        check(&own, &world);
        // A target beyond others' best price is refused, the others stand.
        let crossed = |quote: &Quote| match quote.side {
            Side::Bid => ask.is_some_and(|ask| quote.ticks >= ask),
            Side::Ask => bid.is_some_and(|bid| quote.ticks <= bid),
        };
        if !targets.iter().any(crossed) {
            assert!(!news.iter().any(|news| matches!(news, News::Rejected { .. })), "{batch:?} gave {news:?}");
            let mut wanted: BTreeMap<(Side, Ticks), u64> = BTreeMap::new();
            for quote in targets.iter().filter(|quote| quote.lots.0 > 0) {
                *wanted.entry((quote.side, quote.ticks)).or_default() += quote.lots.0;
            }
            for (place, lots) in standing(&own) {
                let target = wanted.remove(&place).unwrap_or(0);
                assert!(lots == target || lots + 2 > target && lots < target, "{place:?}: {lots} of {target}");
            }
            assert!(wanted.values().all(|lots| *lots < 2), "{wanted:?} is missing");
            let again = plan(&own, &targets, &Terms { claims_alone: 0, ..Terms::PLAIN });
            assert!(again.is_empty(), "{again:?}");
        }
        for _ in 0..world.random.random_range(0..3) {
            let events = world.others();
            feed(&mut own, &events);
        }
    }
    while own.orders().count() > 0 {
        let events = world.send(&withdrawal(&own));
        feed(&mut own, &events);
    }
    assert_eq!(records(world.book(), own.account()), BTreeMap::new());
    let change = own.changes();
    assert_eq!((change[0].locked, change[0].claimable, change[1].locked, change[1].claimable), (0, 0, 0, 0), "everything went home");
}

#[test]
fn predicted_ids_come_true_when_nobody_is_faster() {
    let (mut world, events) = World::new(seed(7), 0);
    let mut own = start(&world, &events);
    let (mut right, mut open) = (0, 0);
    for _ in 0..ops(2_000) {
        let batch = plan(
            &own,
            &world.targets(),
            &Terms { tif: if world.random.random_bool(0.5) { TimeInForce::Slide } else { TimeInForce::PostOnly }, ..Terms::PLAIN },
        );
        let ids = order_ids(own.book(), &batch.operations, world.now_s);
        assert_eq!(ids.len(), batch.words());
        assert_eq!(ids, own.order_ids(&batch, world.now_s));
        let events = world.send(&batch);
        let placed: Vec<OrderId> =
            events.iter().filter_map(|event| if let Event::Placed { order, .. } = event { Some(*order) } else { None }).collect();
        let predicted: Vec<OrderId> = ids.into_iter().flatten().collect();
        assert_eq!(predicted, placed, "of {batch:?}");
        right += placed.len();
        feed(&mut own, &events);
        for _ in 0..world.random.random_range(0..3) {
            let events = world.others();
            open += events.len();
            feed(&mut own, &events);
        }
    }
    assert!(right > ops(2_000) / 2 && open > ops(2_000) / 2, "{right} orders predicted, {open} events of others: too few to mean anything");
}

/// The chain's `load`, answered by the engine's words.
fn load(engine: &Engine, slots: &[B256], known: &BTreeMap<B256, (Base, U256)>) -> Vec<B256> {
    slots.iter().map(|slot| known.get(slot).map_or(B256::ZERO, |(base, key)| B256::from(engine.word(*base, *key)))).collect()
}

/// Slots of a market's words, back to base and key.
fn slots_of(engine: &Engine) -> BTreeMap<B256, (Base, U256)> {
    let book = engine.book(MARKET).expect("the market");
    let mut slots = BTreeMap::new();
    let mut add = |base: Base, key: U256| slots.insert(base.slot(key), (base, key));
    add(Base::Config, U256::from(MARKET.0));
    for (level, _) in book.levels() {
        add(Base::Level, keys::level(level));
        for key in keys::bits_of(MARKET, level.side, level.ticks) {
            add(Base::Bits, key);
        }
        for index in 0..book.level_word(level).tail {
            add(Base::Order, keys::order(OrderId { level, index }));
        }
    }
    for side in [Side::Bid, Side::Ask] {
        add(Base::Bits, keys::bits(MARKET, side, 0, 0));
    }
    slots
}

fn resync(world: &World, asked: &[OrderId]) -> Book {
    let known = slots_of(&world.engine);
    let mut resync = Resync::new(MARKET).and_orders(asked.iter().copied());
    let mut rounds = 0;
    loop {
        let slots = resync.slots();
        if slots.is_empty() {
            break;
        }
        rounds += 1;
        resync.learn(&load(&world.engine, &slots, &known)).expect("the chain's words");
    }
    assert!(rounds <= 6, "{rounds} rounds");
    resync.book().expect("a book")
}

#[test]
fn a_book_read_from_words_goes_on_as_if_it_had_always_followed() {
    let (mut world, events) = World::new(seed(23), 100);
    let mut own = start(&world, &events);
    for round in 0..60 {
        for _ in 0..40 {
            let mut events = world.others();
            let batch = plan(&own, &world.targets(), &Terms::PLAIN);
            feed(&mut own, &events);
            events = world.send(&batch);
            feed(&mut own, &events);
        }
        let asked: Vec<OrderId> = own.orders().map(|order| order.id).collect();
        let mut joined = Follower::joining(resync(&world, &asked), own.account()).with_position(Position::default());
        for side in [Side::Bid, Side::Ask] {
            let orders = |book: &Book| book.orders(side).collect::<Vec<_>>();
            assert_eq!(orders(joined.book()), orders(own.book()), "round {round}");
        }
        check(&joined, &world);
        for _ in 0..30 {
            let mut events = world.others();
            feed(&mut own, &events);
            feed(&mut joined, &events);
            let batch = plan(&joined, &world.targets(), &Terms::PLAIN);
            let ids = joined.order_ids(&batch, world.now_s);
            events = world.send(&batch);
            let placed = events.iter().filter_map(|event| if let Event::Placed { order, .. } = event { Some(*order) } else { None });
            for order in placed.clone() {
                let unknown = joined.book().level_word(order.level).tail == 0;
                assert!(ids.contains(&Some(order)) || unknown, "{order} was not predicted");
            }
            feed(&mut own, &events);
            feed(&mut joined, &events);
            check(&joined, &world);
        }
        own = joined;
    }
}

#[test]
fn a_missing_log_is_noticed() {
    let (mut world, events) = World::new(seed(5), 0);
    let mut own = start(&world, &events);
    let quote = [
        Quote { side: Side::Bid, ticks: Ticks(MIDDLE), lots: Lots(10) },
        Quote { side: Side::Bid, ticks: Ticks(MIDDLE - 1), lots: Lots(10) },
    ];
    let placed = world.send(&plan(&own, &quote, &Terms::PLAIN));
    feed(&mut own, &placed[1..]);
    let order = OrderId { level: LevelKey { market: MARKET, side: Side::Bid, ticks: Ticks(MIDDLE) }, index: 0 };
    let batch = Batch { operations: vec![Operation::Cancel { order }], ..Batch::new(own.account()) };
    let events = world.send(&batch);
    assert!(own.event(&events[0]).is_err(), "the cancel of an order never seen cannot be followed");
}

#[test]
fn a_batch_is_its_transaction_and_its_results_are_read_back() {
    let (mut world, events) = World::new(seed(1), 0);
    let own = start(&world, &events);
    let quotes = [(Side::Bid, 5), (Side::Bid, 4), (Side::Ask, 7)].map(|(side, away)| {
        let ticks = if side == Side::Bid { MIDDLE - away } else { MIDDLE + away };
        Quote { side, ticks: Ticks(ticks), lots: Lots(9) }
    });
    let batch = plan(&own, &quotes, &Terms { client: 40, ..Terms::PLAIN });
    assert_eq!(operation::decode(&batch.bytes()), Ok((true, batch.operations.clone())));
    let command = abi::command_from_calldata(&batch.calldata()).expect("calldata");
    assert_eq!(command, batch.command());
    let domain = orderbook::signed::Domain { chain_id: 4434, exchange: Address::repeat_byte(9) };
    let hash = batch.signing_hash(domain, 3, 2_000, Address::ZERO);
    assert_ne!(hash, batch.signing_hash(domain, 4, 2_000, Address::ZERO));
    assert_ne!(hash, keccak256(batch.bytes()));

    let placed: Vec<OrderId> = world
        .send(&batch)
        .iter()
        .filter_map(|event| {
            if let Event::Placed { order, client, .. } = event {
                assert!((40..43).contains(client));
                Some(*order)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(placed.len(), 3);
    let outcome = |order: OrderId| Outcome::Placed { order: Some(order), filled: Lots(0), reason: orderbook::TakenReason::Limit };
    let words: Vec<U256> = placed.iter().map(|order| outcome(*order).to_word()).collect();
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes::<32>()).collect();
    let returned = abi::IExchange::executeCall::abi_encode_returns(&bytes.into());
    let done = batch.done(&returned[..]).expect("a result");
    let outcomes: Vec<Outcome> = done.iter().flat_map(|done| done.outcomes.clone()).collect();
    assert_eq!(outcomes, placed.into_iter().map(outcome).collect::<Vec<_>>());
    assert!(batch.done(&returned[..returned.len() - 32]).is_err());
}
