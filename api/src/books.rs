//! What is known of every market after the newest block: order book, trades, bars, ticker, names. Owned by the sequencer's core,
//! moved by one block at a time, read by every surface. Never serves a book that disagrees with the exchange's own level words.

use crate::bars::Bars;
use crate::compat::symbol::Symbols;
use crate::decimal::{self, Scale};
use alloy_primitives::{Address, B256};
use indexer::Update;
use indexer::feed::Snapshot;
use indexer::project::{FillRow, MarketHead, OpenOrder, Ticker, Token};
use orderbook::{AccountId, Book, DepthLevel, Lots, Market, MarketId, OrderId, Side, Ticks, TokenId};
use parking_lot::RwLock;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

/// Trades of a market kept in memory; older ones are history.
const TRADES_KEPT: usize = 10_000;
/// Levels of each side that the checksum covers.
const CRC_LEVELS: usize = 10;

/// A block's place and time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockHead {
    pub number: u64,
    pub hash: B256,
    /// Unix milliseconds.
    pub time_ms: u64,
}

/// What is fixed about a market at its creation, with its names.
#[derive(Clone, Debug)]
pub struct MarketInfo {
    pub market: Market,
    pub base: TokenInfo,
    pub quote: TokenInfo,
    /// BASE-QUOTE.
    pub name: String,
    /// Exact decimals of a tick and a lot.
    pub tick: String,
    pub lot: String,
    /// Present exactly if the market can be shown in compat.
    pub compat: Option<CompatInfo>,
}

/// How compat writes a market.
#[derive(Clone, Debug)]
pub struct CompatInfo {
    pub symbol: String,
    pub base_asset: String,
    pub quote_asset: String,
    pub scale: Scale,
}

#[derive(Clone, Debug)]
pub struct TokenInfo {
    pub at: Address,
    pub name: String,
    pub decimals: u8,
}

/// A trade as kept: the fill and when it was made.
#[derive(Clone, Debug)]
pub struct Trade {
    pub fill: FillRow,
    pub time_ms: u64,
}

/// What an order's `Placed` said; kept while the order is known.
#[derive(Clone, Copy, Debug)]
pub struct PlacedFacts {
    pub lots: Lots,
    pub seq: u64,
}

/// One market after the newest block.
#[derive(Debug)]
pub struct MarketState {
    pub info: Arc<MarketInfo>,
    pub head: MarketHead,
    pub book: Book,
    pub placed: HashMap<OrderId, PlacedFacts>,
    pub bars: Bars,
    pub ticker: Ticker,
    pub trades: VecDeque<Trade>,
    /// The oldest trade in memory may lack others of its aggregate.
    pub trades_cut: bool,
    /// Seqs of the last message of the resumable streams; 0 before the first one here.
    pub trades_seq: u64,
    pub book_seq: u64,
    /// Best prices after the last block that moved the depth.
    best_sent: Best,
    /// Why the book is not served any more: it disagreed with an event or a level.
    pub broken: Option<String>,
}

/// Addresses behind the exchange's numbers; they only ever grow.
#[derive(Debug, Default)]
pub struct Directory {
    pub accounts: HashMap<AccountId, Address>,
    pub tokens: HashMap<TokenId, Address>,
}

/// Read while printing, also outside the core's lock.
pub type Owners = Arc<RwLock<Directory>>;

/// All markets, and the dictionaries.
#[derive(Debug)]
pub struct Books {
    pub markets: BTreeMap<MarketId, MarketState>,
    pub owners: Owners,
    pub symbols: Symbols,
    tokens: BTreeMap<TokenId, TokenInfo>,
}

/// The net change of one market's depth in a block: a difference of both surfaces. Levels are absolute; 0 lots delete.
#[derive(Clone, Debug)]
pub struct DepthMove {
    pub info: Arc<MarketInfo>,
    pub head: BlockHead,
    /// `u` before and after.
    pub prev_u: u64,
    pub u: u64,
    pub crc: u32,
    pub book_hash: B256,
    /// Best first.
    pub bids: Vec<DepthLevel>,
    pub asks: Vec<DepthLevel>,
    /// Best price and lots after, per side.
    pub best: Best,
    /// The best of either side changed.
    pub best_moved: bool,
}

/// Best bid and ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Best {
    pub bid: Option<(Ticks, Lots)>,
    pub ask: Option<(Ticks, Lots)>,
}

/// A copy of a book's levels at one `u`.
#[derive(Clone, Debug)]
pub struct DepthCopy {
    pub info: Arc<MarketInfo>,
    pub u: u64,
    pub bids: Vec<DepthLevel>,
    pub asks: Vec<DepthLevel>,
    pub crc: u32,
    pub book_hash: B256,
}

impl DepthMove {
    /// Makes this difference cover `next`, which must follow it. Later levels win.
    pub fn merge(&mut self, next: &DepthMove) {
        self.bids = merged(&self.bids, &next.bids, Side::Bid);
        self.asks = merged(&self.asks, &next.asks, Side::Ask);
        self.head = next.head;
        self.u = next.u;
        self.crc = next.crc;
        self.book_hash = next.book_hash;
        self.best = next.best;
        self.best_moved |= next.best_moved;
    }
}

fn merged(older: &[DepthLevel], newer: &[DepthLevel], side: Side) -> Vec<DepthLevel> {
    let levels: BTreeMap<Ticks, DepthLevel> = older.iter().chain(newer).map(|level| (level.ticks, *level)).collect();
    match side {
        Side::Bid => levels.into_values().rev().collect(),
        Side::Ask => levels.into_values().collect(),
    }
}

impl Books {
    /// The books as a snapshot of the feed has them.
    pub fn from_snapshot(snapshot: Snapshot) -> Books {
        let tokens =
            snapshot.tokens.iter().zip(&snapshot.token_names).map(|(token, name)| (token.id, token_info(token, name.clone()))).collect();
        let directory = Directory {
            accounts: snapshot.accounts.into_iter().collect(),
            tokens: snapshot.tokens.iter().map(|token| (token.id, token.at)).collect(),
        };
        let owners = Arc::new(RwLock::new(directory));
        let mut books = Books { markets: BTreeMap::new(), owners, symbols: Symbols::default(), tokens };
        for market in snapshot.markets {
            let mut bars = Bars::starting_at(snapshot.time_ms);
            for bar in market.bars {
                bars.put(bar);
            }
            let info = books.name(&market.market);
            let placed = market.orders.iter().map(|(id, order)| (*id, placed_facts(order))).collect();
            let mut state = MarketState {
                info,
                head: market.head,
                book: market.book,
                placed,
                bars,
                ticker: market.ticker,
                trades: VecDeque::new(),
                trades_cut: true,
                trades_seq: 0,
                book_seq: market.head.last_u,
                best_sent: Best::default(),
                broken: None,
            };
            state.best_sent = state.best();
            books.markets.insert(state.head.market, state);
        }
        books
    }

    /// A market that can be read: known, and with a book that agrees with the exchange.
    pub fn market(&self, id: MarketId) -> Option<&MarketState> {
        self.markets.get(&id)
    }

    /// Highest market number.
    pub fn highest(&self) -> u32 {
        self.markets.keys().next_back().map_or(0, |id| id.0)
    }

    /// Follows one block. `name_of` names tokens that are new in it. Returns the depth moves, by market.
    pub fn apply(&mut self, update: &Update, name_of: impl Fn(&Token) -> String) -> Vec<Arc<DepthMove>> {
        let changes = &update.changes;
        for token in &changes.tokens {
            self.tokens.insert(token.id, token_info(token, name_of(token)));
            self.owners.write().tokens.insert(token.id, token.at);
        }
        if !changes.accounts.is_empty() {
            self.owners.write().accounts.extend(changes.accounts.iter().copied());
        }
        for market in &changes.markets {
            let info = self.name(market);
            self.markets.entry(market.id).or_insert_with(|| MarketState::new(info, update));
        }
        for state in self.markets.values_mut() {
            state.ticker.advance(update.time_ms);
        }
        for record in &update.records {
            if let Some(state) = crate::sequencer::market_of(&record.event).and_then(|id| self.markets.get_mut(&id)) {
                state.replay(record, update.block);
            }
        }
        for (id, order) in &changes.orders {
            if let Some(state) = self.markets.get_mut(&id.level.market) {
                match order {
                    Some(order) => state.placed.insert(*id, placed_facts(order)),
                    None => state.placed.remove(id),
                };
            }
        }
        for fill in &changes.fills {
            if let Some(state) = self.markets.get_mut(&fill.market) {
                state.trade(fill, update.time_ms);
            }
        }
        for bar in &changes.candles {
            if let Some(state) = self.markets.get_mut(&bar.market) {
                state.bars.put(bar.clone());
            }
        }
        self.settle(update)
    }

    /// Takes over the heads, compares every level that changed with the book, and cuts the moves.
    fn settle(&mut self, update: &Update) -> Vec<Arc<DepthMove>> {
        let head = BlockHead { number: update.block, hash: update.hash, time_ms: update.time_ms };
        let mut moves = Vec::new();
        for new in &update.changes.heads {
            let Some(state) = self.markets.get_mut(&new.market) else { continue };
            let before = std::mem::replace(&mut state.head, *new);
            let mut levels: Vec<_> = update.changes.depth.iter().filter(|change| change.level.market == new.market).collect();
            if levels.is_empty() {
                continue;
            }
            levels.sort_by_key(|change| change.level.ticks);
            for change in &levels {
                let ours = state.book.depth_at(change.level);
                if (ours.lots, ours.orders) != (change.lots, change.orders) && state.broken.is_none() {
                    state.broken = Some(format!("level {:?} has {} lots here and {} in the block", change.level, ours.lots, change.lots));
                }
            }
            let of_side = |side: Side| {
                let rows = levels.iter().filter(move |change| change.level.side == side);
                rows.map(|change| DepthLevel { ticks: change.level.ticks, lots: change.lots, orders: change.orders })
            };
            let best = state.best();
            let best_before = std::mem::replace(&mut state.best_sent, best);
            moves.push(Arc::new(DepthMove {
                info: state.info.clone(),
                head,
                prev_u: before.last_u,
                u: new.last_u,
                crc: crc(&state.book),
                book_hash: new.book_hash,
                bids: of_side(Side::Bid).rev().collect(),
                asks: of_side(Side::Ask).collect(),
                best,
                best_moved: best != best_before,
            }));
        }
        moves
    }

    fn name(&mut self, market: &Market) -> Arc<MarketInfo> {
        let token = |id: TokenId| {
            let unknown = || TokenInfo { at: Address::ZERO, name: format!("T{}", id.0), decimals: 0 };
            self.tokens.get(&id).cloned().unwrap_or_else(unknown)
        };
        let (base, quote) = (token(market.base), token(market.quote));
        let scale = Scale::of(market, base.decimals, quote.decimals);
        let decimals = |fraction: Option<decimal::Fraction>| fraction.map_or_else(|| "0".to_owned(), |fraction| fraction.to_string());
        let tick = decimals(decimal::tick_fraction(market, base.decimals, quote.decimals));
        let lot = decimals(decimal::lot_fraction(market, base.decimals));
        let compat = scale.map(|scale| self.symbols.add(market.id, &base.name, &quote.name, scale));
        Arc::new(MarketInfo { name: format!("{}-{}", base.name, quote.name), market: market.clone(), base, quote, tick, lot, compat })
    }
}

impl MarketState {
    fn new(info: Arc<MarketInfo>, update: &Update) -> MarketState {
        let head = update.changes.heads.iter().find(|head| head.market == info.market.id).copied();
        let head = head.unwrap_or(MarketHead {
            market: info.market.id,
            status: info.market.status,
            last_u: indexer::project::seq(update.block, 0),
            last_trade: 0,
            last_agg: 0,
            last_ticks: Ticks(0),
            book_hash: B256::ZERO,
        });
        // The first `u` is that of `MarketCreated`, whatever else the block did to the market.
        let created = update
            .records
            .iter()
            .find(|record| matches!(record.event, orderbook::Event::MarketCreated { market, .. } if market == info.market.id));
        let last_u = created.map_or(head.last_u, |record| indexer::project::seq(update.block, record.log));
        MarketState {
            book: Book::new(info.market.clone()),
            head: MarketHead { last_u, ..head },
            info,
            placed: HashMap::new(),
            bars: Bars::default(),
            ticker: Ticker::default(),
            trades: VecDeque::new(),
            trades_cut: false,
            trades_seq: 0,
            book_seq: last_u,
            best_sent: Best::default(),
            broken: None,
        }
    }

    fn replay(&mut self, record: &indexer::Record, block: u64) {
        if self.broken.is_some() {
            return;
        }
        if let Err(error) = self.book.replay(&record.event) {
            self.broken = Some(format!("block {block}, log {}: {error}", record.log));
        }
    }

    fn trade(&mut self, fill: &FillRow, time_ms: u64) {
        let quote = self.info.market.quote_atoms(fill.ticks, fill.lots);
        self.ticker.trade(time_ms, fill, quote.0);
        self.trades.push_back(Trade { fill: fill.clone(), time_ms });
        if self.trades.len() > TRADES_KEPT {
            self.trades.pop_front();
            self.trades_cut = true;
        }
    }

    /// Puts trades of blocks that were published before this book was loaded in front, newest first.
    pub fn remember(&mut self, fill: &FillRow, time_ms: u64) {
        if self.trades.len() < TRADES_KEPT {
            self.trades.push_front(Trade { fill: fill.clone(), time_ms });
        }
    }

    /// Best prices with their lots.
    pub fn best(&self) -> Best {
        let of = |side| self.book.depth(side, 1).first().map(|level| (level.ticks, level.lots));
        Best { bid: of(Side::Bid), ask: of(Side::Ask) }
    }

    /// Copies the best levels of both sides.
    pub fn depth(&self, levels_max: usize) -> DepthCopy {
        DepthCopy {
            info: self.info.clone(),
            u: self.head.last_u,
            bids: self.book.depth(Side::Bid, levels_max),
            asks: self.book.depth(Side::Ask, levels_max),
            crc: crc(&self.book),
            book_hash: self.head.book_hash,
        }
    }
}

fn placed_facts(order: &OpenOrder) -> PlacedFacts {
    PlacedFacts { lots: order.placed_lots, seq: order.placed_seq }
}

fn token_info(token: &Token, name: String) -> TokenInfo {
    TokenInfo { at: token.at, name, decimals: token.decimals }
}

/// The checksum both sides compute after each difference: CRC-32 over the digits of ticks and lots, ten asks, then ten bids.
pub fn crc(book: &Book) -> u32 {
    crc_of(&book.depth(Side::Ask, CRC_LEVELS), &book.depth(Side::Bid, CRC_LEVELS))
}

fn crc_of(asks: &[DepthLevel], bids: &[DepthLevel]) -> u32 {
    let mut digits = Vec::with_capacity(320);
    for level in asks.iter().chain(bids) {
        digits.extend_from_slice(itoa::Buffer::new().format(level.ticks.0).as_bytes());
        digits.extend_from_slice(itoa::Buffer::new().format(level.lots.0).as_bytes());
    }
    crc32fast::hash(&digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(ticks: u32, lots: u64) -> DepthLevel {
        DepthLevel { ticks: Ticks(ticks), lots: Lots(lots), orders: 1 }
    }

    #[test]
    fn the_checksum_of_the_documentation() {
        assert_eq!(crc_of(&[level(300_100, 12_500), level(300_200, 500)], &[level(300_000, 1_000)]), 278_947_946);
        assert_eq!(crc_of(&[level(300_100, 12_500)], &[level(300_000, 1_000)]), 3_557_125_923);
        assert_eq!(crc_of(&[], &[]), 0);
    }

    #[test]
    fn later_levels_win_and_sides_stay_sorted() {
        let older = [level(10, 1), level(8, 2)];
        let newer = [level(9, 3), level(8, 0)];
        let ticks = |levels: Vec<DepthLevel>| levels.into_iter().map(|level| (level.ticks.0, level.lots.0)).collect::<Vec<_>>();
        assert_eq!(ticks(merged(&older, &newer, Side::Bid)), [(10, 1), (9, 3), (8, 0)]);
        assert_eq!(ticks(merged(&newer, &older, Side::Ask)), [(8, 2), (9, 3), (10, 1)]);
    }
}
