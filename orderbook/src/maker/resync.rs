//! A market's book from the chain's words, when its events from the start are not at hand: after a restart, a lost connection, a missed log.
//!
//! ```text
//! slots() -> the caller asks the exchange's view `load` for them, all rounds at one block -> learn(words) -> ... -> slots() is empty -> book()
//! round:  market and roots | branches | leaves | level words | records
//! ```
//! Five rounds, whatever the size. The book holds every order that rests, and of the filled ones those asked for by [`Resync::and_orders`]; levels that
//! are empty are left out, so go on with [`super::Follower::joining`], which learns their tails from the next order there.

use crate::{Book, LevelKey, LevelWord, Market, MarketId, OrderId, Record, ReplayError, Side, Ticks, keys, keys::Base};
use alloy_primitives::{B256, U256};
use std::collections::BTreeSet;

/// Words that are no market, or do not belong together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResyncError {
    #[error("asked for {expected} words, got {found}")]
    Words { expected: usize, found: usize },
    #[error("there is no market {}", .0.0)]
    NoMarket(MarketId),
    #[error("the word {word:#x} of level {level:?} is none")]
    BadLevel { level: LevelKey, word: U256 },
    #[error("the words do not make a book: {0}")]
    NoBook(#[from] ReplayError),
    #[error("the rounds are not over")]
    Unfinished,
}

/// A node of the bitmap tree of prices: side, depth (0 root, 2 leaf), number of the word.
type Node = (Side, u8, u32);

/// What is known so far and what is asked next.
#[derive(Clone, Debug)]
pub struct Resync {
    id: MarketId,
    asked: Vec<OrderId>,
    round: Round,
    market: Option<Market>,
    levels: Vec<(LevelKey, U256)>,
    records: Vec<(OrderId, Record)>,
}

#[derive(Clone, Debug)]
enum Round {
    /// The market's word and both roots.
    Market,
    Nodes(Vec<Node>),
    Levels(Vec<LevelKey>),
    /// Words of two records, by level and half of the index.
    Records(Vec<(LevelKey, u64)>),
    Done,
}

impl Resync {
    pub fn new(market: MarketId) -> Resync {
        Resync { id: market, asked: Vec::new(), round: Round::Market, market: None, levels: Vec::new(), records: Vec::new() }
    }

    /// Reads these orders too, also if they no longer rest: filled ones wait for their claim.
    pub fn and_orders(mut self, orders: impl IntoIterator<Item = OrderId>) -> Resync {
        self.asked.extend(orders.into_iter().filter(|order| order.level.market == self.id));
        self
    }

    /// Storage slots of the exchange to load next; empty: the book can be taken.
    pub fn slots(&self) -> Vec<B256> {
        match &self.round {
            Round::Market => {
                let root = |side| Base::Bits.slot(keys::bits(self.id, side, 0, 0));
                vec![Base::Config.slot(U256::from(self.id.0)), root(Side::Bid), root(Side::Ask)]
            }
            Round::Nodes(nodes) => {
                nodes.iter().map(|(side, depth, word)| Base::Bits.slot(keys::bits(self.id, *side, *depth, *word))).collect()
            }
            Round::Levels(levels) => levels.iter().map(|level| Base::Level.slot(keys::level(*level))).collect(),
            Round::Records(halves) => {
                halves.iter().map(|(level, half)| Base::Order.slot(keys::order(OrderId { level: *level, index: half * 2 }))).collect()
            }
            Round::Done => Vec::new(),
        }
    }

    /// Takes the words of [`Resync::slots`], in the same order, all of one block.
    ///
    /// # Errors
    /// Words that are none of a market; begin again.
    pub fn learn(&mut self, words: &[B256]) -> Result<(), ResyncError> {
        let expected = self.slots().len();
        if words.len() != expected {
            return Err(ResyncError::Words { expected, found: words.len() });
        }
        let words: Vec<U256> = words.iter().map(|word| U256::from_be_bytes(word.0)).collect();
        let mut next = match std::mem::replace(&mut self.round, Round::Done) {
            Round::Market => {
                self.market = Some(Market::from_cfg(self.id, words[0]).ok_or(ResyncError::NoMarket(self.id))?);
                self.nodes(&[(Side::Bid, 0, 0), (Side::Ask, 0, 0)], &words[1..])
            }
            Round::Nodes(nodes) => self.nodes(&nodes, &words),
            Round::Levels(levels) => self.halves(&levels, &words)?,
            Round::Records(halves) => {
                self.keep(&halves, &words);
                Round::Done
            }
            Round::Done => Round::Done,
        };
        // A round without questions is over.
        if matches!(&next, Round::Nodes(nodes) if nodes.is_empty()) {
            next = Round::Levels(self.asked.iter().map(|order| order.level).collect::<BTreeSet<_>>().into_iter().collect());
        }
        let empty =
            matches!(&next, Round::Levels(levels) if levels.is_empty()) || matches!(&next, Round::Records(halves) if halves.is_empty());
        self.round = if empty { Round::Done } else { next };
        Ok(())
    }

    /// The book at the block of the words.
    ///
    /// # Errors
    /// Before the last round, and if the words are not of one block.
    pub fn book(self) -> Result<Book, ResyncError> {
        match (self.round, self.market) {
            (Round::Done, Some(market)) => Ok(Book::restore(market, self.levels, self.records)?),
            _ => Err(ResyncError::Unfinished),
        }
    }

    /// The set bits of some nodes: their children, or the levels below the leaves.
    fn nodes(&self, nodes: &[Node], words: &[U256]) -> Round {
        let bits = |word: &U256| (0..256_u32).filter(|bit| word.bit(*bit as usize)).collect::<Vec<_>>();
        let children = nodes
            .iter()
            .zip(words)
            .flat_map(|((side, depth, word), bitmap)| bits(bitmap).into_iter().map(move |bit| (*side, depth + 1, word << 8 | bit)));
        let children: Vec<Node> = children.collect();
        if children.iter().any(|(_, depth, _)| *depth == 3) {
            let open = children.iter().map(|(side, _, ticks)| LevelKey { market: self.id, side: *side, ticks: Ticks(*ticks) });
            let levels: BTreeSet<LevelKey> = open.chain(self.asked.iter().map(|order| order.level)).collect();
            return Round::Levels(levels.into_iter().collect());
        }
        Round::Nodes(children)
    }

    fn halves(&mut self, levels: &[LevelKey], words: &[U256]) -> Result<Round, ResyncError> {
        let mut halves: BTreeSet<(LevelKey, u64)> = self.asked.iter().map(|order| (order.level, order.index >> 1)).collect();
        for (level, word) in levels.iter().zip(words) {
            let bad = || ResyncError::BadLevel { level: *level, word: *word };
            let LevelWord { head, tail, .. } = LevelWord::from_word(*word).ok_or_else(bad)?;
            if head > tail {
                return Err(bad());
            }
            halves.extend((head >> 1..tail.div_ceil(2)).filter(|_| head < tail).map(|half| (*level, half)));
            self.levels.push((*level, *word));
        }
        Ok(Round::Records(halves.into_iter().collect()))
    }

    fn keep(&mut self, halves: &[(LevelKey, u64)], words: &[U256]) {
        for ((level, half), word) in halves.iter().zip(words) {
            let limbs = word.as_limbs();
            for (place, bits) in
                [limbs[0] as u128 | (limbs[1] as u128) << 64, limbs[2] as u128 | (limbs[3] as u128) << 64].into_iter().enumerate()
            {
                let order = OrderId { level: *level, index: half * 2 + place as u64 };
                self.records.extend(Record::from_bits(bits).map(|record| (order, record)));
            }
        }
    }
}
