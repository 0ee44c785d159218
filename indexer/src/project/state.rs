//! The exchange after a block, in memory: [`State::apply`] takes the next block and says everything that changed.
//!
//! Called by the follower, live and in replays, and by verification; the same blocks give the same updates, byte for byte.
//! No I/O, no clock, no lock. An error leaves a state that must be thrown away.

use super::{
    Balance, Bars, Changes, DepthChange, FillRow, MarketHead, MarketState, OpenOrder, OrderFacts, Record, Ticker, Token, TxSummary, Update,
    balances::Balances,
    markets::{BookRecords, Place},
    orders::Orders,
    seq,
    trades::{FeeSplit, Untaken, Waiting, sums},
};
use crate::{
    Block, Cursor, Error,
    decode::{self, Decoded},
    feed::{MarketSnapshot, Snapshot, token_name},
};
use alloy_primitives::{Address, U256, map::HashMap};
use orderbook::{
    AccountId, Book, Event, LevelKey, Lots, Market, MarketId, MarketStatus, Mode, OrderId, ReduceReason, TakenReason, TimeInForce, TokenId,
    ledger,
};
use std::collections::{BTreeMap, BTreeSet};

/// Swept fees go to its free balance.
const FEE_COLLECTOR: AccountId = AccountId(1);
/// Accounts from here on are the markets' own: a swap pays its fee from there, and everything else from wallet to wallet.
const SWAP_ACCOUNTS: u32 = 1 << 31;

/// Books, orders, balances, bars, heads and dictionaries after `cursor`.
#[derive(Clone, Debug)]
pub struct State {
    exchange: Address,
    cursor: Cursor,
    time_ms: u64,
    markets: BTreeMap<MarketId, MarketState>,
    orders: Orders,
    balances: Balances,
    accounts: BTreeMap<AccountId, Address>,
    tokens: BTreeMap<TokenId, Token>,
}

/// What a stored state is made of (`store/load.rs`).
pub(crate) struct StateParts {
    pub cursor: Cursor,
    pub time_ms: u64,
    pub markets: Vec<(Market, MarketHead)>,
    pub levels: Vec<(LevelKey, U256)>,
    pub orders: Vec<(OrderId, OpenOrder)>,
    pub balances: Vec<(AccountId, TokenId, Balance)>,
    /// The newest bar of each market and resolution, if its bucket holds `time_ms`.
    pub bars: Vec<super::Candle>,
    /// One-minute bars of the last day and the one before, rising.
    pub minutes: Vec<super::Candle>,
    pub accounts: Vec<(AccountId, Address)>,
    pub tokens: Vec<Token>,
}

/// What one block has touched so far.
#[derive(Default)]
struct Touched {
    block: u64,
    time_ms: u64,
    untaken: Untaken,
    orders: BTreeSet<OrderId>,
    /// Levels, with lots and orders as they were before the block.
    levels: BTreeMap<LevelKey, (Lots, u32)>,
    balances: BTreeSet<(AccountId, TokenId)>,
    heads: BTreeSet<MarketId>,
    traded: BTreeSet<MarketId>,
    books: BTreeMap<MarketId, BookRecords>,
    book_logs: BTreeMap<MarketId, u32>,
    changes: Changes,
}

/// What a taken operation says, with its place.
struct Take {
    place: Place,
    market: MarketId,
    account: AccountId,
    filled: Lots,
    mode: Mode,
    quote_atoms: u128,
    fee_atoms: u128,
    seq: u64,
}

impl State {
    /// The exchange at genesis: nothing but the native coin.
    pub fn new(exchange: Address, genesis: Cursor) -> State {
        State {
            exchange,
            cursor: genesis,
            time_ms: 0,
            markets: BTreeMap::new(),
            orders: Orders::default(),
            balances: Balances::default(),
            accounts: BTreeMap::new(),
            tokens: BTreeMap::from([(Token::NATIVE.id, Token::NATIVE)]),
        }
    }

    /// A state from what was stored.
    ///
    /// # Errors
    /// Parts that do not belong together.
    pub(crate) fn restore(exchange: Address, parts: StateParts) -> Result<State, Error> {
        let stored = |what: String| Error::Stored { table: "open_orders", what };
        let mut levels: BTreeMap<MarketId, Vec<(LevelKey, U256)>> = BTreeMap::new();
        for (key, word) in parts.levels {
            levels.entry(key.market).or_default().push((key, word));
        }
        let mut records: BTreeMap<MarketId, Vec<(OrderId, orderbook::Record)>> = BTreeMap::new();
        for (id, order) in &parts.orders {
            records.entry(id.level.market).or_default().push((*id, order.record()));
        }
        let mut markets = BTreeMap::new();
        for (market, head) in parts.markets {
            let id = market.id;
            let book = Book::restore(market.clone(), levels.remove(&id).unwrap_or_default(), records.remove(&id).unwrap_or_default())
                .map_err(|error| stored(format!("market {}: {error}", id.0)))?;
            let bars = Bars::restore(parts.bars.iter().filter(|bar| bar.market == id).cloned());
            let ticker = Ticker::restore(parts.minutes.iter().filter(|bar| bar.market == id), parts.time_ms);
            markets.insert(id, MarketState { market, head, book, bars, ticker });
        }
        if let Some(id) = levels.keys().chain(records.keys()).next() {
            return Err(stored(format!("market {} is not in markets", id.0)));
        }
        Ok(State {
            exchange,
            cursor: parts.cursor,
            time_ms: parts.time_ms,
            markets,
            orders: Orders::restore(parts.orders.iter().map(|(id, order)| (*id, order.facts()))),
            balances: Balances::restore(parts.balances),
            accounts: parts.accounts.into_iter().collect(),
            tokens: parts.tokens.into_iter().map(|token| (token.id, token)).collect(),
        })
    }

    /// The last block applied.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Its Unix milliseconds; 0 at genesis.
    pub fn time_ms(&self) -> u64 {
        self.time_ms
    }

    pub fn markets(&self) -> impl Iterator<Item = &MarketState> {
        self.markets.values()
    }

    pub fn balance(&self, account: AccountId, token: TokenId) -> Balance {
        self.balances.get(account, token)
    }

    pub fn balances(&self) -> impl Iterator<Item = (AccountId, TokenId, Balance)> + '_ {
        self.balances.iter()
    }

    /// Every order that still exists, in no particular order.
    pub fn orders(&self) -> impl Iterator<Item = (OrderId, OpenOrder)> + '_ {
        self.orders.ids().filter_map(|id| Some((id, self.open_order(id)?)))
    }

    /// Follows the next block.
    ///
    /// # Errors
    /// A block that is not the child of the last one; a log that is no event; events that contradict the books or each other.
    /// The state is broken then and must be dropped.
    pub fn apply(&mut self, block: &Block) -> Result<Update, Error> {
        let follows = block.number == self.cursor.block + 1 && block.parent == self.cursor.hash && block.time_ms > self.time_ms;
        if !follows {
            return Err(Error::OutOfOrder { after: self.cursor, found: block.number, parent: block.parent });
        }
        let events = decode::events(block, self.exchange)?;
        let mut touched = Touched { block: block.number, time_ms: block.time_ms, ..Touched::default() };
        let mut records = Vec::with_capacity(events.len());
        for (place, decoded) in events.iter().enumerate() {
            let next = events.get(place + 1).filter(|next| next.tx == decoded.tx);
            let (account, order_seq) = self.event(&mut touched, decoded, next)?;
            records.push(Record { log: decoded.log, tx: decoded.tx, event: decoded.event.clone(), account, order_seq });
            if next.is_none() {
                self.end_transaction(&touched, decoded.log)?;
            }
        }
        let changes = self.collapse(touched);
        self.cursor = Cursor { block: block.number, hash: block.hash };
        self.time_ms = block.time_ms;
        Ok(Update {
            block: block.number,
            hash: block.hash,
            parent: block.parent,
            time_ms: block.time_ms,
            base_fee: block.base_fee,
            gas_used: block.gas_used,
            txs: block.txs.iter().map(|tx| self.summary(tx)).collect(),
            records,
            changes,
        })
    }

    /// A copy of everything, for readers.
    pub(crate) fn snapshot(&self, names: &HashMap<Address, String>) -> Snapshot {
        let mut orders: BTreeMap<MarketId, Vec<_>> = BTreeMap::new();
        for (id, order) in self.orders() {
            orders.entry(id.level.market).or_default().push((id, order));
        }
        let markets = self.markets.values().map(|state| MarketSnapshot {
            market: state.market.clone(),
            head: state.head,
            book: state.book.clone(),
            bars: state.bars.iter().cloned().collect(),
            ticker: state.ticker.clone(),
            orders: orders.remove(&state.market.id).unwrap_or_default(),
        });
        Snapshot {
            cursor: self.cursor,
            time_ms: self.time_ms,
            markets: markets.collect(),
            tokens: self.tokens.values().cloned().collect(),
            token_names: self.tokens.values().map(|token| token_name(names, token.id, &token.at)).collect(),
            accounts: self.accounts.iter().map(|(account, owner)| (*account, *owner)).collect(),
        }
    }

    fn summary(&self, tx: &crate::source::Tx) -> TxSummary {
        TxSummary {
            hash: tx.hash,
            sender: tx.sender,
            to_exchange: tx.to == Some(self.exchange),
            nonce: tx.nonce,
            ok: tx.ok,
            gas_used: tx.gas_used,
        }
    }

    /// One event; returns whose it is and the seq of its order's `Placed`.
    fn event(&mut self, touched: &mut Touched, decoded: &Decoded, next: Option<&Decoded>) -> Result<(AccountId, u64), Error> {
        let place = Place { log: decoded.log, tx: decoded.tx };
        match decoded.event {
            Event::Placed { .. } => self.placed(touched, decoded),
            Event::Reduced { order, left, removed, reason } => self.reduced(touched, decoded, order, left, removed, reason),
            Event::Claimed { order, account, lots, back } => self.claimed(touched, decoded, order, account, lots, back),
            Event::LevelFill { level, .. } => self.level_fill(touched, decoded, level).map(|()| (AccountId(0), 0)),
            Event::Taken { market, account, filled, mode, quote_atoms, fee_atoms, .. } => {
                let seq = remainder(decoded, next).unwrap_or(decoded.log);
                let seq = super::seq(touched.block, seq);
                let take = Take { place, market, account, filled, mode, quote_atoms, fee_atoms, seq };
                self.taken(touched, &take)?;
                Ok((account, seq))
            }
            Event::Deposit { account, token, atoms } => self.money(touched, place, account, token, signed(atoms)),
            Event::Withdraw { account, token, atoms, .. } => self.money(touched, place, account, token, -signed(atoms)),
            Event::AccountCreated { account, owner } => {
                self.accounts.insert(account, owner);
                touched.changes.accounts.push((account, owner));
                Ok((account, 0))
            }
            Event::TokenAdded { token, at, decimals } => {
                let token = Token { id: token, at, decimals };
                self.tokens.insert(token.id, token.clone());
                touched.changes.tokens.push(token);
                Ok((AccountId(0), 0))
            }
            Event::MarketCreated { market, cfg } => self.market_created(touched, place, market, cfg),
            Event::Status { market, status } => self.status(touched, decoded, market, status),
            Event::FeesSwept { account, token, atoms } => self.swept(touched, place, account, token, signed(atoms)),
            // Its hops are `Taken` of the markets' swap accounts; the money went from wallet to wallet.
            Event::Swapped { .. } | Event::Role { .. } => Ok((AccountId(0), 0)),
            // No balance, book or order changes: rows of history, or rights that the contract alone judges.
            Event::Rejected { account, .. }
            | Event::Agent { account, .. }
            | Event::Signed { account, .. }
            | Event::Scheduled { account, .. }
            | Event::CloidPreCancelled { account, .. }
            | Event::Tier { account, .. } => Ok((account, 0)),
        }
    }

    /// Fees due of an account become the collector's own.
    fn swept(
        &mut self,
        touched: &mut Touched,
        place: Place,
        account: AccountId,
        token: TokenId,
        atoms: i128,
    ) -> Result<(AccountId, u64), Error> {
        self.credit(touched, place, account, &[ledger::Change { fee_due: -atoms, ..ledger::Change::none(token) }])?;
        self.money(touched, place, FEE_COLLECTOR, token, atoms)?;
        Ok((account, 0))
    }

    fn placed(&mut self, touched: &mut Touched, decoded: &Decoded) -> Result<(AccountId, u64), Error> {
        let Event::Placed { order, account, lots, expiry_s, client, .. } = decoded.event else { unreachable!("called for Placed alone") };
        let place = Place { log: decoded.log, tx: decoded.tx };
        let state = self.market(touched, place, order.level.market)?;
        touched.level(&state.book, order.level, place.log);
        replay(&mut state.book, touched, decoded)?;
        touched.books.entry(order.level.market).or_default().placed(place, order, lots);
        let change = ledger::placed(&state.market, order.level, lots);
        let placed_seq = seq(touched.block, place.log);
        self.orders.insert(order, OrderFacts { account, placed_lots: lots, placed_seq, client, expiry_s, refundable: None });
        touched.orders.insert(order);
        self.credit(touched, place, account, &[change])?;
        Ok((account, placed_seq))
    }

    fn reduced(
        &mut self,
        touched: &mut Touched,
        decoded: &Decoded,
        order: OrderId,
        left: Lots,
        removed: Lots,
        reason: ReduceReason,
    ) -> Result<(AccountId, u64), Error> {
        let place = Place { log: decoded.log, tx: decoded.tx };
        let state = self.market(touched, place, order.level.market)?;
        touched.level(&state.book, order.level, place.log);
        replay(&mut state.book, touched, decoded)?;
        touched.books.entry(order.level.market).or_default().reduced(place, order, removed, left, reason);
        let change = ledger::reduced(&state.market, order.level, removed);
        touched.orders.insert(order);
        let (account, placed_seq) = self.facts(touched, place, order)?;
        if reason == ReduceReason::Expired {
            self.orders.expired(order, removed);
        } else {
            self.credit(touched, place, account, &[change])?;
        }
        Ok((account, placed_seq))
    }

    fn claimed(
        &mut self,
        touched: &mut Touched,
        decoded: &Decoded,
        order: OrderId,
        account: AccountId,
        lots: Lots,
        back: Lots,
    ) -> Result<(AccountId, u64), Error> {
        let place = Place { log: decoded.log, tx: decoded.tx };
        let state = self.market(touched, place, order.level.market)?;
        // A claim moves no open lots, but rebases the head's filled part: the level's word changes.
        touched.level_word(&state.book, order.level);
        replay(&mut state.book, touched, decoded)?;
        let changes = ledger::claimed(&state.market, order.level, lots, back);
        touched.orders.insert(order);
        let (_, placed_seq) = self.facts(touched, place, order)?;
        self.credit(touched, place, account, &changes)?;
        Ok((account, placed_seq))
    }

    fn level_fill(&mut self, touched: &mut Touched, decoded: &Decoded, level: LevelKey) -> Result<(), Error> {
        let place = Place { log: decoded.log, tx: decoded.tx };
        let state = self.market(touched, place, level.market)?;
        touched.level(&state.book, level, place.log);
        let fills = replay(&mut state.book, touched, decoded)?;
        let market = state.market.clone();
        for fill in &fills {
            touched.books.entry(level.market).or_default().fill(place, fill.maker_order, fill.lots, fill.maker_left);
            touched.orders.insert(fill.maker_order);
            self.credit(touched, place, fill.maker, &ledger::filled(&market, level, fill.lots))?;
        }
        touched.untaken.push(Waiting { level, log: place.log, fills });
        Ok(())
    }

    /// The taker is known: its fills become trades, once both sides agree.
    fn taken(&mut self, touched: &mut Touched, take: &Take) -> Result<(), Error> {
        let waiting = touched.untaken.take(take.market);
        let market = self.market(touched, take.place, take.market)?.market.clone();
        let (lots, quote_atoms) = sums(&market, &waiting);
        if lots != take.filled.0 || quote_atoms != take.quote_atoms {
            let expected = format!("fills of {lots} lots and {quote_atoms} quote atoms");
            let found = format!("Taken of {} lots and {} quote atoms", take.filled.0, take.quote_atoms);
            return Err(touched.mirror(take.place.log, expected, found));
        }
        if waiting.iter().any(|waiting| waiting.level.side == take.mode.side()) {
            let found = format!("a taker of side {:?} too", take.mode.side());
            return Err(touched.mirror(take.place.log, "a taker of the other side than its makers".into(), found));
        }
        let mut fee = FeeSplit::new(take.fee_atoms, take.quote_atoms);
        let mut rebate = 0;
        for waiting in &waiting {
            rebate += waiting.fills.iter().map(|fill| fill.lots.0 as u128 * ledger::rebate_per_lot(&market, fill.ticks)).sum::<u128>();
            self.trade(touched, take, waiting, &market, &mut fee)?;
        }
        let mut changes = ledger::taken(&market, take.mode.side(), take.filled, take.quote_atoms, take.fee_atoms, rebate);
        if take.account.0 >= SWAP_ACCOUNTS {
            changes.iter_mut().for_each(|change| change.free = 0);
        }
        self.credit(touched, take.place, take.account, &changes)
    }

    fn trade(&mut self, touched: &mut Touched, take: &Take, waiting: &Waiting, market: &Market, fee: &mut FeeSplit) -> Result<(), Error> {
        for (place, fill) in waiting.fills.iter().enumerate() {
            let (_, maker_seq) = self.facts(touched, Place { log: waiting.log, tx: take.place.tx }, fill.maker_order)?;
            let quote_atoms = market.quote_atoms(fill.ticks, fill.lots).0;
            let state = self.market(touched, take.place, take.market)?;
            state.head.last_trade += 1;
            state.head.last_agg += u64::from(place == 0);
            state.head.last_ticks = fill.ticks;
            let row = FillRow {
                market: take.market,
                trade: state.head.last_trade,
                agg: state.head.last_agg,
                n: touched.changes.fills.len() as u32,
                tx: take.place.tx,
                log: waiting.log,
                ticks: fill.ticks,
                lots: fill.lots,
                maker_order: fill.maker_order,
                maker: fill.maker,
                maker_seq,
                maker_left: fill.maker_left,
                taker: take.account,
                taker_seq: take.seq,
                taker_side: take.mode.side(),
                fee_atoms: fee.part(quote_atoms),
            };
            state.bars.trade(touched.time_ms, &row, quote_atoms);
            state.ticker.trade(touched.time_ms, &row, quote_atoms);
            touched.changes.fills.push(row);
            touched.traded.insert(take.market);
        }
        Ok(())
    }

    fn money(
        &mut self,
        touched: &mut Touched,
        place: Place,
        account: AccountId,
        token: TokenId,
        free: i128,
    ) -> Result<(AccountId, u64), Error> {
        self.credit(touched, place, account, &[ledger::Change { free, ..ledger::Change::none(token) }])?;
        Ok((account, 0))
    }

    fn market_created(&mut self, touched: &mut Touched, place: Place, id: MarketId, cfg: U256) -> Result<(AccountId, u64), Error> {
        let market = Market::from_cfg(id, cfg)
            .ok_or_else(|| touched.mirror(place.log, "a market word".into(), format!("{cfg:#x} of market {}", id.0)))?;
        if self.markets.contains_key(&id) {
            return Err(touched.mirror(place.log, "a new market number".into(), format!("market {} again", id.0)));
        }
        self.markets.insert(id, MarketState::created(market.clone(), seq(touched.block, place.log)));
        touched.heads.insert(id);
        touched.changes.markets.push(market);
        Ok((AccountId(0), 0))
    }

    fn status(&mut self, touched: &mut Touched, decoded: &Decoded, id: MarketId, status: MarketStatus) -> Result<(AccountId, u64), Error> {
        let state = self.market(touched, Place { log: decoded.log, tx: decoded.tx }, id)?;
        replay(&mut state.book, touched, decoded)?;
        state.market.status = status;
        state.head.status = status;
        touched.heads.insert(id);
        Ok((AccountId(0), 0))
    }

    /// After a transaction's last event: nothing waits for a taker, no touched book is crossed.
    fn end_transaction(&self, touched: &Touched, log: u32) -> Result<(), Error> {
        if let Some(log) = touched.untaken.orphan() {
            return Err(touched.mirror(log, "a Taken in the same transaction".into(), "none".into()));
        }
        let crossed = touched.books.keys().find(|market| self.markets[*market].book.crossed());
        match crossed {
            Some(market) => Err(touched.mirror(log, format!("market {} not crossed", market.0), "a bid at or above an ask".into())),
            None => Ok(()),
        }
    }

    /// Touched things become absolute values; books' heads move.
    fn collapse(&mut self, touched: Touched) -> Changes {
        let mut changes = touched.changes;
        for (key, before) in &touched.levels {
            let state = &self.markets[&key.market];
            let after = state.book.depth_at(*key);
            changes.levels.push((*key, state.book.level_word(*key).to_word()));
            if (after.lots, after.orders) != *before {
                changes.depth.push(DepthChange { level: *key, lots: after.lots, orders: after.orders });
            }
        }
        let mut heads = touched.heads;
        for (id, records) in &touched.books {
            let head = &mut self.markets.get_mut(id).expect("a touched market exists").head;
            head.book_hash = records.chain(head.book_hash, touched.block);
            if let Some(log) = touched.book_logs.get(id).filter(|_| changes.depth.iter().any(|change| change.level.market == *id)) {
                head.last_u = seq(touched.block, *log);
            }
            heads.insert(*id);
        }
        for id in &touched.traded {
            changes.candles.extend(self.markets[id].bars.iter().cloned());
        }
        changes.heads.extend(heads.iter().map(|id| self.markets[id].head));
        for id in touched.orders {
            let order = self.open_order(id);
            if order.is_none() {
                self.orders.forget(id);
            }
            changes.orders.push((id, order));
        }
        for (account, token) in touched.balances {
            changes.balances.push((account, token, self.balances.get(account, token)));
        }
        for state in self.markets.values_mut() {
            state.ticker.advance(touched.time_ms);
        }
        changes
    }

    fn open_order(&self, id: OrderId) -> Option<OpenOrder> {
        self.orders.open_order(&self.markets.get(&id.level.market)?.book, id)
    }

    fn market(&mut self, touched: &Touched, place: Place, id: MarketId) -> Result<&mut MarketState, Error> {
        self.markets.get_mut(&id).ok_or_else(|| touched.mirror(place.log, "a market that was created".into(), format!("market {}", id.0)))
    }

    fn facts(&self, touched: &Touched, place: Place, order: OrderId) -> Result<(AccountId, u64), Error> {
        let facts = self.orders.get(order);
        let facts = facts.ok_or_else(|| touched.mirror(place.log, "an order that was placed".into(), format!("order {order}")))?;
        Ok((facts.account, facts.placed_seq))
    }

    fn credit(&mut self, touched: &mut Touched, place: Place, account: AccountId, changes: &[ledger::Change]) -> Result<(), Error> {
        for change in changes {
            let changed = self.balances.apply(account, change);
            if changed.map_err(|found| touched.mirror(place.log, "balances of 0 or more atoms".into(), found))? {
                touched.balances.insert((account, change.token));
            }
        }
        Ok(())
    }
}

impl Touched {
    fn mirror(&self, log: u32, expected: String, found: String) -> Error {
        Error::Mirror { block: self.block, log, expected, found }
    }

    /// A level is about to change its depth by this log.
    fn level(&mut self, book: &Book, key: LevelKey, log: u32) {
        self.level_word(book, key);
        self.book_logs.insert(key.market, log);
    }

    /// A level's word is about to change.
    fn level_word(&mut self, book: &Book, key: LevelKey) {
        self.levels.entry(key).or_insert_with(|| {
            let before = book.depth_at(key);
            (before.lots, before.orders)
        });
    }
}

impl OpenOrder {
    /// What the book keeps of it.
    pub(crate) fn record(&self) -> orderbook::Record {
        if self.expired {
            return orderbook::Record { account: self.account, lots: self.lots, aux: self.unclaimed.0, skipped: true };
        }
        let lots = self.lots + self.unclaimed;
        orderbook::Record { account: self.account, lots, aux: self.expiry_s as u64, skipped: false }
    }

    fn facts(&self) -> OrderFacts {
        OrderFacts {
            account: self.account,
            placed_lots: self.placed_lots,
            placed_seq: self.placed_seq,
            client: self.client,
            expiry_s: self.expiry_s,
            refundable: self.expired.then_some(self.lots),
        }
    }
}

/// Lets the book follow, with its complaint as ours.
fn replay(book: &mut Book, touched: &Touched, decoded: &Decoded) -> Result<Vec<orderbook::Fill>, Error> {
    book.replay(&decoded.event).map_err(|error| touched.mirror(decoded.log, "an event that follows the book".into(), error.to_string()))
}

/// Log of the `Placed` that rests what this `Taken` left: it follows directly, in the same mode, with exactly the remainder.
fn remainder(taken: &Decoded, next: Option<&Decoded>) -> Option<u32> {
    let Event::Taken { market, account, wanted, filled, mode, reason: TakenReason::Limit, .. } = taken.event else { return None };
    let Event::Placed { order, account: placer, lots, mode: placed_mode, .. } = next?.event else { return None };
    let same = order.level.market == market && placer == account && placed_mode == mode && lots.0 + filled.0 == wanted.0;
    (same && mode.tif() == Some(TimeInForce::Gtc)).then(|| next.map(|next| next.log)).flatten()
}

fn signed(atoms: u128) -> i128 {
    i128::try_from(atoms).unwrap_or(i128::MAX)
}
