//! Random streams: the follower ends where the engine is, a naive matcher agrees on every fill, and no atom is lost.

use crate::stream::{MIDDLE, Stream, TOKENS, ops, seed};
use alloy_primitives::Address;
use orderbook::{
    AccountId, Book, Command, Engine, Event, Fill, LevelKey, Lots, Market, MarketId, Mode, OrderId, ReduceReason, Reject, Side,
    TakenReason, Ticks, TimeInForce, TokenId, ledger, scenario,
};
use std::collections::{BTreeMap, HashMap};

/// What everybody could do who only reads logs: books, and balances by `orderbook::ledger`.
#[derive(Default)]
struct Reader {
    books: Vec<Book>,
    markets: Vec<Market>,
    balances: HashMap<(AccountId, TokenId), [i128; 4]>,
    rebates: u128,
    owners: HashMap<OrderId, AccountId>,
}

impl Reader {
    fn add(&mut self, account: AccountId, change: ledger::Change) {
        let balance = self.balances.entry((account, change.token)).or_default();
        for (sum, part) in balance.iter_mut().zip([change.free, change.locked, change.claimable, change.fee_due]) {
            *sum += part;
        }
    }

    fn market(&self, id: MarketId) -> Market {
        self.markets[id.0 as usize - 1].clone()
    }

    fn read(&mut self, event: &Event) -> Vec<Fill> {
        let fills = match event.market().and_then(|market| self.books.get_mut(market.0 as usize - 1)) {
            Some(book) => book.replay(event).unwrap_or_else(|error| panic!("{event:?}: {error}")),
            None => Vec::new(),
        };
        for fill in &fills {
            let level = fill.maker_order.level;
            let market = self.market(level.market);
            self.rebates += ledger::rebate_per_lot(&market, level.ticks) * fill.lots.0 as u128;
            for change in ledger::filled(&market, level, fill.lots) {
                self.add(fill.maker, change);
            }
        }
        match *event {
            Event::Placed { order, account, lots, .. } => {
                self.owners.insert(order, account);
                let change = ledger::placed(&self.market(order.level.market), order.level, lots);
                self.add(account, change);
            }
            // Lots of an expired order stay locked until its claim.
            Event::Reduced { reason: ReduceReason::Expired, .. } => {}
            Event::Reduced { order, removed, .. } => {
                let change = ledger::reduced(&self.market(order.level.market), order.level, removed);
                self.add(self.owners[&order], change);
            }
            Event::Claimed { order, account, lots, back } => {
                for change in ledger::claimed(&self.market(order.level.market), order.level, lots, back) {
                    self.add(account, change);
                }
            }
            Event::Taken { market, account, filled, mode, quote_atoms, fee_atoms, .. } => {
                let rebates = std::mem::take(&mut self.rebates);
                for change in ledger::taken(&self.market(market), mode.side(), filled, quote_atoms, fee_atoms, rebates) {
                    self.add(account, change);
                }
            }
            Event::Deposit { account, token, atoms } => {
                self.add(account, ledger::Change { free: atoms as i128, ..ledger::Change::none(token) });
            }
            Event::Withdraw { account, token, atoms, .. } => {
                self.add(account, ledger::Change { free: -(atoms as i128), ..ledger::Change::none(token) });
            }
            Event::MarketCreated { market, cfg } => {
                let market = Market::from_cfg(market, cfg).expect("a market has a status");
                self.markets.push(market.clone());
                self.books.push(Book::new(market));
            }
            Event::FeesSwept { account, token, atoms } => {
                self.add(account, ledger::Change { fee_due: -(atoms as i128), ..ledger::Change::none(token) });
                self.add(AccountId(1), ledger::Change { free: atoms as i128, ..ledger::Change::none(token) });
            }
            _ => {}
        }
        fills
    }
}

/// The plainest matcher there is: one list of orders, searched from the front.
#[derive(Default)]
struct Naive {
    /// (id, owner, lots left, lots filled and unclaimed) in order of time.
    orders: Vec<(OrderId, AccountId, u64, u64)>,
}

impl Naive {
    /// What a taker of `lots` at `limit` meets, as (maker's order, lots).
    fn take(&mut self, market: MarketId, side: Side, limit: Ticks, mut lots: u64) -> Vec<(OrderId, u64)> {
        let mut fills = Vec::new();
        while lots > 0 {
            let better = |a: Ticks, b: Ticks| if side == Side::Bid { a < b } else { a > b };
            let mut best: Option<usize> = None;
            for (at, (id, _, left, _)) in self.orders.iter().enumerate() {
                let level = id.level;
                let reachable = if side == Side::Bid { level.ticks <= limit } else { level.ticks >= limit };
                if level.market == market && level.side == side.opposite() && *left > 0 && reachable {
                    let is_better = best.is_none_or(|best| better(level.ticks, self.orders[best].0.level.ticks));
                    best = if is_better { Some(at) } else { best };
                }
            }
            let Some(at) = best else { break };
            let (id, _, left, unclaimed) = &mut self.orders[at];
            let n = lots.min(*left);
            *left -= n;
            *unclaimed += n;
            lots -= n;
            fills.push((*id, n));
        }
        fills
    }

    fn order(&mut self, id: OrderId) -> &mut (OrderId, AccountId, u64, u64) {
        self.orders.iter_mut().find(|order| order.0 == id).expect("an event names an order that rests")
    }

    /// Follows the events by its own rules and compares what it must have decided.
    fn follow(&mut self, command: &Command, events: &[Event], fills: &[Fill]) {
        let found: Vec<(OrderId, u64)> = fills.iter().map(|fill| (fill.maker_order, fill.lots.0)).collect();
        if let Command::Place { market, mode, ticks, lots, .. } = command {
            let taken = events.iter().find_map(|event| match event {
                Event::Taken { filled, reason, .. } => Some((*filled, *reason)),
                _ => None,
            });
            let wanted = match (mode.tif(), taken) {
                (Some(TimeInForce::PostOnly), _) => 0,
                (_, Some((filled, TakenReason::Steps))) => filled.0,
                _ => lots.0,
            };
            assert_eq!(self.take(*market, mode.side(), *ticks, wanted), found, "fills of {command:?}");
        } else {
            assert!(found.is_empty(), "{command:?} filled something");
        }
        for event in events {
            match event {
                Event::Placed { order, account, lots, .. } => self.orders.push((*order, *account, lots.0, 0)),
                Event::Reduced { order, left, removed, .. } => {
                    let known = self.order(*order);
                    assert_eq!(known.2, left.0 + removed.0, "{event:?}");
                    known.2 = left.0;
                }
                Event::Claimed { order, account, lots, .. } => {
                    let known = self.order(*order);
                    assert_eq!((known.1, known.3), (*account, lots.0), "{event:?}");
                    known.3 = 0;
                }
                _ => {}
            }
        }
        self.orders.retain(|(_, _, left, unclaimed)| *left > 0 || *unclaimed > 0);
    }
}

type Everything = (Vec<(LevelKey, alloy_primitives::U256)>, BTreeMap<u128, u128>, Vec<u128>);

/// All that an engine holds, comparable.
fn everything(engine: &Engine, accounts: &[AccountId]) -> Everything {
    let mut levels: Vec<_> = engine.books().iter().flat_map(Book::levels).collect();
    levels.sort();
    let records = engine.books().iter().flat_map(Book::records).map(|(id, record)| (id.packed(), record.bits())).collect();
    let mut money = Vec::new();
    for token in (1..=TOKENS.len() as u32 + 1).map(TokenId) {
        money.push(engine.vault_atoms(token));
        for account in accounts {
            money.push(engine.free_atoms(*account, token));
            money.push(engine.fee_due_atoms(*account, token));
        }
    }
    (levels, records, money)
}

fn engine() -> Engine {
    let mut engine = Engine::new(scenario::trader("owner"));
    for token in TOKENS {
        engine.deploy_token(scenario::token(token), 18);
    }
    engine
}

fn same_books(engine: &Engine, reader: &Reader) {
    for (left, right) in engine.books().iter().zip(&reader.books) {
        left.check().expect("the engine keeps the law");
        assert_eq!(left.market(), right.market());
        let (mut of_left, mut of_right): (Vec<_>, Vec<_>) = (left.levels().collect(), right.levels().collect());
        of_left.sort();
        of_right.sort();
        assert_eq!(of_left, of_right, "levels of market {}", left.market().id.0);
        let (mut of_left, mut of_right): (Vec<_>, Vec<_>) = (left.records().collect(), right.records().collect());
        of_left.sort_by_key(|(id, _)| *id);
        of_right.sort_by_key(|(id, _)| *id);
        assert_eq!(of_left, of_right, "records of market {}", left.market().id.0);
        let restored = Book::restore(left.market().clone(), left.levels(), left.records()).expect("a book restores itself");
        for side in [Side::Bid, Side::Ask] {
            assert_eq!(restored.depth(side, usize::MAX), left.depth(side, usize::MAX));
            assert!(restored.orders(side).eq(left.orders(side)), "the queues of a restored book");
        }
    }
}

fn same_money(engine: &Engine, reader: &Reader) {
    for token in (1..=TOKENS.len() as u32 + 1).map(TokenId) {
        assert_eq!(engine.claims_atoms(token), Some(engine.vault_atoms(token)), "token {} is conserved", token.0);
        // A maker's fee is on its way from the fill to the claim: in nobody's balance meanwhile.
        let unclaimed = engine.books().iter().filter(|book| book.market().quote == token).flat_map(|book| {
            let fee = |order: orderbook::Order| ledger::maker_pays_per_lot(book.market(), order.id.level.ticks) * order.unclaimed.0 as u128;
            book.unclaimed().map(fee)
        });
        let mut sum = unclaimed.sum::<u128>() as i128;
        for ((account, _), [free, locked, claimable, due]) in reader.balances.iter().filter(|((_, of), _)| *of == token) {
            assert_eq!(*free, engine.free_atoms(*account, token) as i128, "free of account {} in token {}", account.0, token.0);
            assert_eq!(*due, engine.fee_due_atoms(*account, token) as i128, "fee due of account {} in token {}", account.0, token.0);
            assert!(*locked >= 0 && *claimable >= 0, "account {} owes its own escrow", account.0);
            sum += free + locked + claimable + due;
        }
        assert_eq!(sum, engine.vault_atoms(token) as i128, "the reader's sum of token {}", token.0);
    }
}

#[test]
fn the_follower_and_a_naive_matcher_agree_with_the_engine() {
    let ops = ops(40_000);
    let first = seed(20_261_122);
    let mut done = [0_usize; 2];
    for run in 0..4 {
        let mut stream = Stream::new(first.wrapping_add(run));
        let (mut engine, mut reader, mut naive) = (engine(), Reader::default(), Naive::default());
        let opening = stream.opening();
        let mut commands = opening.into_iter();
        for op in 0..ops / 4 {
            let (caller, command) = commands.next().unwrap_or_else(|| stream.next());
            let before = (op % 97 == 0).then(|| engine.clone());
            let result = engine.apply(caller, &command, 0);
            done[result.is_ok() as usize] += 1;
            match result {
                Ok(events) => {
                    stream.saw(&events);
                    let fills: Vec<Fill> = events.iter().flat_map(|event| reader.read(event)).collect();
                    naive.follow(&command, &events, &fills);
                    for book in &reader.books {
                        assert!(!book.crossed(), "seed {first}, run {run}, operation {op}: {command:?} crossed the book");
                    }
                }
                Err(_) => {
                    if let Some(before) = before {
                        let accounts: Vec<AccountId> = reader.balances.keys().map(|(account, _)| *account).collect();
                        assert_eq!(everything(&before, &accounts), everything(&engine, &accounts), "{command:?} failed and left a trace");
                    }
                }
            }
            if op % 500 == 499 {
                same_books(&engine, &reader);
                same_money(&engine, &reader);
            }
        }
        same_books(&engine, &reader);
        same_money(&engine, &reader);
    }
    println!("{} done, {} refused", done[1], done[0]);
    assert!(done[1] > done[0], "a stream that is mostly refused tests little: {done:?}");
}

#[test]
fn claims_in_any_order_pay_the_same() {
    let mut stream = Stream::new(seed(7));
    let mut engine = engine();
    let mut accounts = Vec::new();
    let opening = stream.opening();
    let mut commands = opening.into_iter();
    for _ in 0..4_000 {
        let (caller, command) = commands.next().unwrap_or_else(|| stream.next());
        if let Ok(events) = engine.apply(caller, &command, 0) {
            stream.saw(&events);
            accounts.extend(events.iter().filter_map(|event| match event {
                Event::AccountCreated { account, .. } => Some(*account),
                _ => None,
            }));
        }
    }
    let mut orders: Vec<OrderId> = engine.books().iter().flat_map(Book::unclaimed).map(|order| order.id).collect();
    orders.sort();
    assert!(orders.len() > 20, "there is something to claim");
    let anybody = Address::repeat_byte(9);
    let mut one_by_one = engine.clone();
    for order in orders.iter().rev() {
        one_by_one.apply(anybody, &Command::Claim { orders: vec![*order, *order] }, 0).expect("a claim never fails");
    }
    engine.apply(anybody, &Command::Claim { orders }, 0).expect("a claim never fails");
    assert_eq!(everything(&engine, &accounts), everything(&one_by_one, &accounts));
    assert_eq!(engine.books().iter().flat_map(Book::unclaimed).count(), 0);
}

#[test]
fn a_take_in_single_steps_ends_in_the_same_book_as_one_take() {
    let mut stream = Stream::new(seed(11));
    let mut engine = engine();
    let opening = stream.opening();
    let mut commands = opening.into_iter();
    let rich = scenario::trader("rich");
    for token in ["ETH", "USDC", "BTC"] {
        commands = {
            let atoms = alloy_primitives::U256::from(1_u64 << 50);
            let deposit = Command::Deposit { account: AccountId(0), token: scenario::token(token), atoms, settle: vec![] };
            commands.chain([(rich, deposit)]).collect::<Vec<_>>().into_iter()
        };
    }
    let mut compared = 0;
    for op in 0..6_000 {
        let (caller, command) = commands.next().unwrap_or_else(|| stream.next());
        if let Ok(events) = engine.apply(caller, &command, 0) {
            stream.saw(&events);
        }
        if op % 100 != 99 {
            continue;
        }
        let side = if op % 200 == 99 { Side::Bid } else { Side::Ask };
        let take = |lots: u64, steps_max: u16| Command::Place {
            account: AccountId(0),
            market: MarketId(1),
            mode: Mode::new(side, TimeInForce::Ioc),
            ticks: Ticks(MIDDLE),
            lots: Lots(lots),
            expiry_s: 0,
            client: 0,
            steps_max,
        };
        let wanted = 1 + op % 113;
        let (mut once, mut stepped) = (engine.clone(), engine.clone());
        if once.apply(rich, &take(wanted, u16::MAX), 0).is_err() {
            continue;
        }
        let mut left = wanted;
        while left > 0 {
            let events = stepped.apply(rich, &take(left, 1), 0).expect("what one take can do, many can");
            let Some(Event::Taken { filled, reason, .. }) = events.last() else { panic!("an immediate order says what it took") };
            left -= filled.0;
            if *reason != TakenReason::Steps {
                break;
            }
        }
        let levels = |engine: &Engine| {
            let mut levels: Vec<_> = engine.books()[0].levels().collect();
            levels.sort();
            levels
        };
        assert_eq!(levels(&once), levels(&stepped), "after operation {op}");
        compared += 1;
    }
    assert!(compared > 30, "only {compared} takes were compared");
}

#[test]
fn a_forged_event_is_refused_and_leaves_the_book_as_it_was() {
    let mut engine = engine();
    let mut stream = Stream::new(seed(3));
    let mut book: Option<Book> = None;
    let opening = stream.opening();
    let mut commands = opening.into_iter();
    let mut refused = 0;
    for _ in 0..3_000 {
        let (caller, command) = commands.next().unwrap_or_else(|| stream.next());
        let Ok(events) = engine.apply(caller, &command, 0) else { continue };
        stream.saw(&events);
        for event in events {
            if let (Event::MarketCreated { market: MarketId(1), .. }, None) = (&event, &book) {
                book = engine.book(MarketId(1)).cloned();
            }
            let Some(book) = book.as_mut().filter(|_| event.market() == Some(MarketId(1))) else { continue };
            for forged in forgeries(&event) {
                let mut victim = book.clone();
                let believed = victim.replay(&forged);
                if let Ok(fills) = believed {
                    // A head one hole further is no lie that a reader could know, and no maker's fill differs.
                    let true_fills = book.clone().replay(&event).expect("the true event follows");
                    let is_fill = matches!(forged, Event::LevelFill { .. });
                    assert!(is_fill && fills == true_fills, "{forged:?} was believed");
                } else {
                    refused += 1;
                    let (mut before, mut after): (Vec<_>, Vec<_>) = (book.levels().collect(), victim.levels().collect());
                    before.sort();
                    after.sort();
                    assert_eq!(before, after, "{forged:?}");
                }
            }
            book.replay(&event).expect("the true event follows");
        }
    }
    assert!(refused > 1_000, "only {refused} forgeries were tried");
}

/// An event with one number changed that the book can know to be wrong.
fn forgeries(event: &Event) -> Vec<Event> {
    match *event {
        Event::Placed { order, account, lots, expiry_s, client, mode } => {
            let moved = OrderId { index: order.index + 1, ..order };
            let foreign = OrderId { level: LevelKey { market: MarketId(9), ..order.level }, ..order };
            [(moved, lots), (foreign, lots), (order, Lots(0)), (order, Lots(Lots::MAX.0 + 1))]
                .map(|(order, lots)| Event::Placed { order, account, lots, expiry_s, client, mode })
                .to_vec()
        }
        Event::Reduced { order, left, removed, reason } => {
            let other = OrderId { index: order.index + 100_000, ..order };
            [(order, left + Lots(1), removed), (order, left, removed + Lots(1)), (other, left, removed)]
                .map(|(order, left, removed)| Event::Reduced { order, left, removed, reason })
                .to_vec()
        }
        Event::LevelFill { level, word } => {
            use alloy_primitives::U256;
            let one = |shift: usize| U256::from(1) << shift;
            [one(0), one(64), one(128), one(176), one(216), one(64) | one(128)]
                .map(|bit| Event::LevelFill { level, word: word.wrapping_add(bit) })
                .to_vec()
        }
        Event::Claimed { order, account, lots, back } => {
            let other = AccountId(account.0 + 1);
            [(account, lots + Lots(1), back), (account, lots, back + Lots(1)), (other, lots, back)]
                .map(|(account, lots, back)| Event::Claimed { order, account, lots, back })
                .to_vec()
        }
        _ => Vec::new(),
    }
}

#[test]
fn a_dropped_event_is_noticed() {
    let account = AccountId(300);
    let market = engine_with_one_market();
    let level = LevelKey { market: MarketId(1), side: Side::Ask, ticks: Ticks(100) };
    let placed = |index: u64, lots: u64| Event::Placed {
        order: OrderId { level, index },
        account,
        lots: Lots(lots),
        expiry_s: 0,
        client: 0,
        mode: Mode::new(Side::Ask, TimeInForce::Gtc),
    };
    let mut book = Book::new(market);
    book.replay(&placed(0, 5)).expect("the first order");
    assert!(book.replay(&placed(2, 5)).is_err(), "order 1 is missing");
}

fn engine_with_one_market() -> Market {
    let mut engine = engine();
    let (owner, create) = Stream::new(0).opening().remove(0);
    let result: Result<Vec<Event>, Reject> = engine.apply(owner, &create, 0);
    result.expect("the market opens");
    engine.books()[0].market().clone()
}
