//! The writes of a book: every one sets one record, or moves a level's head, together with the level's word and the bitmap, and returns
//! what it replaced. Called by the engine, which keeps that for the case that the operation fails, and by replay, which does not.
//! Never judges: bounds and balances are the caller's.

use super::{Book, BookSide, Level, LevelWord, Order, Record, live_order};
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

impl BookSide {
    /// Sets one record (`None`: a hole) and its level's word; an empty level is tidied, its price listed or unlisted. The level is the
    /// side's at `ticks`, `to` says the record and the word, or that nothing is to be written.
    fn write<T>(&mut self, id: OrderId, to: impl FnOnce(&Level) -> Option<(T, Option<Record>, LevelWord)>) -> Option<(T, Before)> {
        let level = self.levels.get_mut(&id.level.ticks.0)?;
        let (found, record, word) = to(level)?;
        let before = level.word;
        level.word = word.tidied();
        let is_open = level.word.open.0 > 0;
        let replaced = level.put(id.index, record);
        if is_open != (before.open.0 > 0) {
            self.prices.set(id.level.ticks, is_open);
        }
        Some((found, Before { level: id.level, word: before, what: What::Record(id.index, replaced) }))
    }
}

impl Book {
    fn side(&mut self, key: LevelKey) -> &mut BookSide {
        &mut self.sides[key.side as usize]
    }

    /// Sets one record of a used level during a walk: the level's word stays for the end of it.
    pub(crate) fn set_record(&mut self, id: OrderId, record: Option<Record>) -> Before {
        let written = self.side(id.level).write(id, |level| Some(((), record, level.word)));
        written.expect("a walked level exists").1
    }

    /// Moves a used level's head on: live records it passed are filled now. Tidies and unlists an emptied level.
    pub(crate) fn pass(&mut self, key: LevelKey, word: LevelWord) -> Before {
        let side = &mut self.sides[key.side as usize];
        let level = side.levels.get_mut(&key.ticks.0).expect("the caller has read this level");
        let before = level.word;
        level.word = word.tidied();
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

    /// Appends an order to its level's queue. `None`: its indexes are used up, or the sum of its lots is full.
    pub(crate) fn push(&mut self, key: LevelKey, record: Record) -> Option<(OrderId, Before)> {
        let side = self.side(key);
        let level = side.levels.entry(key.ticks.0).or_default();
        let before = level.word;
        if before.tail >= LevelWord::TAIL_MAX || before.open.0.checked_add(record.lots.0).is_none() {
            return None;
        }
        level.word = before.pushed(&record);
        level.live.insert(before.tail, record);
        if before.open.0 == 0 {
            side.prices.set(key.ticks, true);
        }
        let id = OrderId { level: key, index: before.tail };
        Some((id, Before { level: key, word: before, what: What::Record(id.index, None) }))
    }

    /// Removes a live order; returns it as it was. `None`: it is not live.
    pub(crate) fn remove(&mut self, id: OrderId) -> Option<(Order, Before)> {
        self.side(id.level).write(id, |level| {
            let order = live_order(id, level, level.live.get(&id.index)?);
            Some((order, None, level.word.without(id.index, order.left)))
        })
    }

    /// Lets a live order expire: its record waits for a claim. Returns it as it was. `None`: it is not live.
    pub(super) fn skip(&mut self, id: OrderId) -> Option<Order> {
        let written = self.side(id.level).write(id, |level| {
            let record = level.live.get(&id.index)?;
            let order = live_order(id, level, record);
            Some((order, Some(record.skipped(order.unclaimed)), level.word.without(id.index, order.left)))
        });
        written.map(|(order, _)| order)
    }

    /// Takes `removed` lots out of a live order, fewer than are left.
    pub(crate) fn shrink(&mut self, id: OrderId, removed: Lots) -> Before {
        let written = self.side(id.level).write(id, |level| {
            let record = level.live.get(&id.index)?;
            assert!(record.lots > removed, "order {id} of {} lots cannot shrink by {removed}", record.lots);
            let shrunk = Record { lots: record.lots - removed, ..*record };
            Some(((), Some(shrunk), LevelWord { open: level.word.open - removed, ..level.word }))
        });
        written.expect("the caller has read this order").1
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
        let written = self.side(id.level).write(id, |level| {
            let word = level.word;
            let Some(record) = level.live.get(&id.index) else { return Some(((), None, word)) };
            let rebased = Record { lots: record.lots - word.head_filled, ..*record };
            Some(((), Some(rebased), LevelWord { head_filled: Lots(0), ..word }))
        });
        written.expect("an order with something owed has a level").1
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
