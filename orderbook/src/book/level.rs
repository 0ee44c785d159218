//! One price level: a queue whose head only moves forward. Orders before the head are filled (by their whole record), orders from it
//! on are open; a taker that eats a whole level moves two numbers and touches no order.
//!
//! ```text
//! index   0     1     2     3     4     5        tail = 6: the next order's index, never reused
//!         paid  filled      open  hole  open     head = 3, head_filled: lots of order 3 already taken
//!               `- past: waits for its claim     open = lots of the live records - head_filled
//! ```

use crate::{AccountId, Lots};
use alloy_primitives::U256;
use std::collections::BTreeMap;

/// The word of a level as the contract stores it: tail 40 | head 40 | headFilled 48 | open 64 | minExpiry 32 | zero 32, high bit first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LevelWord {
    /// Index of the next order to rest here.
    pub tail: u64,
    /// Index of the first order that is not filled; records before it are.
    pub head: u64,
    /// Lots of the order at `head` already taken, and not yet claimed.
    pub head_filled: Lots,
    /// Lots that can be taken.
    pub open: Lots,
    /// No live order here expires before this second; 0: none expires.
    pub expiry_min_s: u32,
}

impl LevelWord {
    /// A tail that no more orders fit behind, 2^40 - 1.
    pub const TAIL_MAX: u64 = (1 << 40) - 1;

    /// `None`: the low 32 bits, always zero, are not.
    pub fn from_word(word: U256) -> Option<LevelWord> {
        let field = |low: usize, width: usize| crate::abi::field(word, low, width);
        if field(0, 32) != 0 {
            return None;
        }
        Some(LevelWord {
            tail: field(216, 40),
            head: field(176, 40),
            head_filled: Lots(field(128, 48)),
            open: Lots(field(64, 64)),
            expiry_min_s: field(32, 32) as u32,
        })
    }

    pub fn to_word(self) -> U256 {
        // Four limbs, low first: zero and minExpiry; open; headFilled and the low 16 bits of head; the rest of head, and tail.
        U256::from_limbs([
            (self.expiry_min_s as u64) << 32,
            self.open.0,
            self.head_filled.0 | self.head << 48,
            self.head >> 16 | self.tail << 24,
        ])
    }

    /// The word with an order appended.
    pub(crate) fn pushed(self, record: &Record) -> LevelWord {
        let expiry_s = record.aux as u32;
        let least = if self.expiry_min_s == 0 || expiry_s == 0 { self.expiry_min_s.max(expiry_s) } else { self.expiry_min_s.min(expiry_s) };
        LevelWord { tail: self.tail + 1, open: self.open + record.lots, expiry_min_s: least, ..self }
    }

    /// The word once an order with `left` lots has left: a head that goes takes its filled part along; holes behind it are not chased.
    pub(crate) fn without(self, index: u64, left: Lots) -> LevelWord {
        let word = LevelWord { open: self.open - left, ..self };
        if index == self.head { LevelWord { head: self.head + 1, head_filled: Lots(0), ..word } } else { word }
    }

    /// The word as it is stored: a level without open lots starts anew at its tail.
    pub(crate) fn tidied(self) -> LevelWord {
        if self.open.0 > 0 { self } else { LevelWord { tail: self.tail, head: self.tail, ..LevelWord::default() } }
    }

    /// True if an order here may have expired at `now_s`.
    pub(crate) fn stale(self, now_s: u64) -> bool {
        self.expiry_min_s != 0 && now_s >= self.expiry_min_s as u64
    }
}

/// What the contract keeps of one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    pub account: AccountId,
    /// Lots placed, minus what was reduced or claimed; the filled and unclaimed part is inside. Skipped: lots to refund.
    pub lots: Lots,
    /// The order's expiry in seconds, 0 none. Skipped: lots filled before it expired.
    pub aux: u64,
    /// A taker passed it after its expiry.
    pub skipped: bool,
}

impl Record {
    /// The 128 bits of the record: lots 0-47, account 48-79, aux 80-126, skipped 127.
    pub fn bits(&self) -> u128 {
        self.lots.0 as u128 | (self.account.0 as u128) << 48 | (self.aux as u128) << 80 | (self.skipped as u128) << 127
    }

    /// `None` for 0, a hole.
    pub fn from_bits(bits: u128) -> Option<Record> {
        (bits != 0).then_some(Record {
            account: AccountId((bits >> 48) as u32),
            lots: Lots(bits as u64 & ((1 << 48) - 1)),
            aux: (bits >> 80) as u64 & ((1 << 47) - 1),
            skipped: bits >> 127 == 1,
        })
    }

    /// True if a live record is dead at `now_s`.
    pub(crate) fn expired(&self, now_s: u64) -> bool {
        self.aux != 0 && now_s >= self.aux
    }

    /// The record of a live order that expired after `filled` lots: it waits for a claim that pays them and refunds the rest.
    pub(crate) fn skipped(self, filled: Lots) -> Record {
        Record { lots: self.lots - filled, aux: filled.0, skipped: true, ..self }
    }
}

/// A level with its records. Live records are those from the head on; a hole has none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Level {
    pub word: LevelWord,
    pub live: BTreeMap<u64, Record>,
    /// Filled or skipped, not yet claimed: all indexes below the head.
    pub past: BTreeMap<u64, Record>,
}

impl Level {
    /// Lots of a live record that can still be taken.
    pub fn left(&self, index: u64, record: &Record) -> Lots {
        if index == self.word.head { record.lots - self.word.head_filled } else { record.lots }
    }

    /// Filled and unclaimed lots of a live record.
    pub fn filled(&self, index: u64) -> Lots {
        if index == self.word.head { self.word.head_filled } else { Lots(0) }
    }

    /// The law of a level; names the clause that is broken.
    pub fn check(&self) -> Result<(), &'static str> {
        let LevelWord { tail, head, head_filled, open, expiry_min_s } = self.word;
        let live: u128 = self.live.values().map(|record| record.lots.0 as u128).sum();
        let head_lots = self.live.get(&head).map_or(0, |record| record.lots.0);
        let expiries = || self.live.values().map(|record| record.aux).filter(|expiry| *expiry != 0);
        let broken = [
            (live != open.0 as u128 + head_filled.0 as u128, "open is the sum of the live records"),
            (open.0 == 0 && (head != tail || head_filled.0 != 0 || expiry_min_s != 0), "an empty level is tidy"),
            (head_filled.0 > 0 && head_lots <= head_filled.0, "a filled part belongs to a live order at the head"),
            (self.live.range(..head).next().is_some(), "live records are at the head or behind it"),
            (self.live.range(tail..).next().is_some(), "no record is at the tail or behind it"),
            (self.past.range(head..).next().is_some(), "past records are before the head"),
            (self.live.values().any(|record| record.skipped), "a live record is not skipped"),
            (expiries().any(|expiry| expiry_min_s == 0 || expiry < expiry_min_s as u64), "the least expiry is a lower bound"),
        ];
        broken.iter().find(|(is_broken, _)| *is_broken).map_or(Ok(()), |(_, law)| Err(*law))
    }
}
