//! The writes of a book: every one sets one record, or moves a level's head, together with the level's word and the bitmap, and returns
//! what it replaced. Called by the engine, which keeps that for the case that the operation fails, and by replay, which does not.
//! Never judges: bounds and balances are the caller's.

use super::{Book, Level, LevelWord, Order, Record, live_order};
use crate::{AccountId, LevelKey, Lots, OrderId};

/// What one write replaced: [`Book::undo`] puts it back, the last write first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before {
    level: LevelKey,
    word: LevelWord,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    /// The record of this index.
    Record(u64, Option<Record>),
    /// Records from the old head to the new one became past.
    Passed,
}

impl Book {
    /// Sets one record (`None`: a hole) and its level's word; an empty level is tidied, its price listed or unlisted.
    pub(crate) fn write(&mut self, id: OrderId, record: Option<Record>, word: LevelWord) -> Before {
        let side = &mut self.sides[id.level.side as usize];
        let level = side.levels.entry(id.level.ticks.0).or_default();
        let before = level.word;
        level.word = word;
        level.tidy();
        let is_open = level.word.open.0 > 0;
        let replaced = level.put(id.index, record);
        if is_open != (before.open.0 > 0) {
            side.prices.set(id.level.ticks, is_open);
        }
        Before { level: id.level, word: before, what: What::Record(id.index, replaced) }
    }

    /// Moves a used level's head on: live records it passed are filled now. Tidies and unlists an emptied level.
    pub(crate) fn pass(&mut self, key: LevelKey, word: LevelWord) -> Before {
        let side = &mut self.sides[key.side as usize];
        let level = side.levels.get_mut(&key.ticks.0).expect("the caller has read this level");
        let before = level.word;
        level.word = word;
        level.tidy();
        if word.head > before.head || level.word.open.0 == 0 {
            let live = level.live.split_off(&level.word.head);
            let passed = std::mem::replace(&mut level.live, live);
            level.past.extend(passed);
        }
        if level.word.open.0 == 0 && before.open.0 > 0 {
            side.prices.set(key.ticks, false);
        }
        Before { level: key, word: before, what: What::Passed }
    }

    /// Puts back what a write replaced; writes are undone in the reverse order.
    pub(crate) fn undo(&mut self, before: Before) {
        let side = &mut self.sides[before.level.side as usize];
        let level = side.levels.get_mut(&before.level.ticks.0).expect("a level that was written exists");
        let Before { word, .. } = before;
        match before.what {
            What::Record(index, record) => {
                level.live.remove(&index);
                level.past.remove(&index);
                if let Some(record) = record {
                    let queue = if record.skipped || index < word.head { &mut level.past } else { &mut level.live };
                    queue.insert(index, record);
                }
            }
            What::Passed => {
                let passed = level.past.split_off(&word.head);
                level.live.extend(passed);
            }
        }
        level.word = word;
        side.prices.set(before.level.ticks, word.open.0 > 0);
        if word == LevelWord::default() {
            side.levels.remove(&before.level.ticks.0);
        }
    }

    /// Appends an order to its level's queue; the caller has judged that there is room.
    pub(crate) fn push(&mut self, key: LevelKey, record: Record) -> (OrderId, Before) {
        let word = self.level_word(key);
        let id = OrderId { level: key, index: word.tail };
        (id, self.write(id, Some(record), word.pushed(&record)))
    }

    /// Removes a live order; returns it as it was. `None`: it is not live.
    pub(crate) fn remove(&mut self, id: OrderId) -> Option<(Order, Before)> {
        let level = self.level(id.level)?;
        let order = live_order(id, level, level.live.get(&id.index)?);
        let word = level.word.without(id.index, order.left);
        Some((order, self.write(id, None, word)))
    }

    /// Lets a live order expire: its record waits for a claim. Returns it as it was. `None`: it is not live.
    pub(super) fn skip(&mut self, id: OrderId) -> Option<Order> {
        let level = self.level(id.level)?;
        let record = *level.live.get(&id.index)?;
        let order = live_order(id, level, &record);
        let word = level.word.without(id.index, order.left);
        self.write(id, Some(record.skipped(order.unclaimed)), word);
        Some(order)
    }

    /// Takes `removed` lots out of a live order, fewer than are left.
    pub(crate) fn shrink(&mut self, id: OrderId, removed: Lots) -> Before {
        let level = self.level(id.level).expect("a live order has a level");
        let record = *level.live.get(&id.index).expect("the caller has read this order");
        assert!(record.lots > removed, "order {id} of {} lots cannot shrink by {removed}", record.lots);
        let word = LevelWord { open: level.word.open - removed, ..level.word };
        self.write(id, Some(Record { lots: record.lots - removed, ..record }), word)
    }

    /// What a claim of the order would pay and refund now: account, lots, lots back. `None`: there is no such order.
    pub(crate) fn owed(&self, id: OrderId) -> Option<(AccountId, Lots, Lots)> {
        let level = self.level(id.level)?;
        if let Some(record) = level.past.get(&id.index) {
            let (lots, back) = if record.skipped { (Lots(record.aux), record.lots) } else { (record.lots, Lots(0)) };
            return Some((record.account, lots, back));
        }
        let record = level.live.get(&id.index)?;
        Some((record.account, level.filled(id.index), Lots(0)))
    }

    /// Takes an order's filled part out of the book: forgets a past record, or rebases a partly filled head by it. The caller has read
    /// that something is owed.
    pub(crate) fn claim(&mut self, id: OrderId) -> Before {
        let level = self.level(id.level).expect("an order with something owed has a level");
        let word = level.word;
        let Some(record) = level.live.get(&id.index).copied() else { return self.write(id, None, word) };
        let rebased = Record { lots: record.lots - word.head_filled, ..record };
        self.write(id, Some(rebased), LevelWord { head_filled: Lots(0), ..word })
    }
}

impl Level {
    /// Sets a record where it belongs; returns what was there. The word is the new one.
    fn put(&mut self, index: u64, record: Option<Record>) -> Option<Record> {
        match record {
            None => self.live.remove(&index).or_else(|| self.past.remove(&index)),
            Some(record) if record.skipped => {
                let was = self.live.remove(&index);
                self.past.insert(index, record).or(was)
            }
            Some(record) => self.live.insert(index, record),
        }
    }
}
