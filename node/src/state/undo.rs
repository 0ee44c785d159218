//! Reverse diffs of the newest blocks: what makes old views possible.
//! Written by [`super::State::apply`] before the maps change; read by [`super::StateView`]. Bounded by blocks and bytes.

use super::AccountState;
use alloy_primitives::{Address, U256};
use foldhash::fast::RandomState;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, OnceLock};

/// Most blocks kept.
pub const WINDOW_BLOCKS: usize = 4_096;
/// Fewest blocks kept, whatever their bytes.
pub const WINDOW_BLOCKS_MIN: usize = 128;
/// Most bytes of reverse diffs beyond the fewest blocks.
pub const WINDOW_BYTES: usize = 512 << 20;
/// Blocks whose reverse diffs are merged into one for views further back.
const GROUP: u64 = 64;

/// Values before a block (or before a run of blocks: the earliest one counts).
#[derive(Debug, Default)]
pub(super) struct Reverse {
    pub accounts: HashMap<Address, Option<AccountState>, RandomState>,
    pub slots: HashMap<(Address, U256), U256, RandomState>,
}

impl Reverse {
    /// Approximate bytes in RAM.
    fn bytes(&self) -> usize {
        128 + self.accounts.len() * 128 + self.slots.len() * 112
    }

    fn merge(diffs: &[Arc<Self>]) -> Self {
        let mut merged = Self::default();
        for diff in diffs {
            for (address, account) in &diff.accounts {
                merged.accounts.entry(*address).or_insert(*account);
            }
            for (key, value) in &diff.slots {
                merged.slots.entry(*key).or_insert(*value);
            }
        }
        merged
    }
}

/// The window of reverse diffs: the one at index i belongs to block `next - diffs.len() + i`.
#[derive(Debug)]
pub(super) struct Undo {
    diffs: VecDeque<Arc<Reverse>>,
    /// Merged diffs of whole groups, made by the first reader that needs one; aligned to [`GROUP`].
    groups: VecDeque<(u64, Arc<OnceLock<Reverse>>)>,
    /// Block of the newest reverse diff + 1.
    next: u64,
    bytes: usize,
}

impl Undo {
    /// No reverse diffs: only `head` can be viewed.
    pub fn new(head: u64) -> Self {
        Self { diffs: VecDeque::new(), groups: VecDeque::new(), next: head + 1, bytes: 0 }
    }

    /// First block that can be viewed.
    pub fn first(&self) -> u64 {
        self.next - 1 - self.diffs.len() as u64
    }

    pub fn push(&mut self, number: u64, reverse: Reverse) {
        assert_eq!(number, self.next, "reverse diffs have no gap");
        self.bytes += reverse.bytes();
        self.diffs.push_back(Arc::new(reverse));
        self.next += 1;
        if self.next.is_multiple_of(GROUP) && self.next - GROUP > self.first() {
            self.groups.push_back((self.next - GROUP, Arc::default()));
        }
        while self.diffs.len() > WINDOW_BLOCKS || (self.bytes > WINDOW_BYTES && self.diffs.len() > WINDOW_BLOCKS_MIN) {
            let dropped = self.diffs.pop_front().expect("the window is not empty");
            self.bytes -= dropped.bytes();
        }
        let first = self.first();
        while self.groups.front().is_some_and(|(group, _)| *group <= first) {
            self.groups.pop_front();
        }
    }

    /// The value an account had after `block`, if a later block changed it. `Err(first)` if `block` left the window.
    pub fn account(&self, block: u64, address: &Address) -> Result<Option<Option<AccountState>>, u64> {
        self.look(block, |reverse| reverse.accounts.get(address).copied())
    }

    /// The value a slot had after `block`, if a later block changed it.
    pub fn slot(&self, block: u64, address: &Address, key: U256) -> Result<Option<U256>, u64> {
        self.look(block, |reverse| reverse.slots.get(&(*address, key)).copied())
    }

    /// Accounts changed after `block`, and slots changed after `block`: what a walk over the flat maps may miss.
    pub fn changed_after(&self, block: u64) -> Result<(Vec<Address>, Vec<(Address, U256)>), u64> {
        let (mut accounts, mut slots) = (Vec::new(), Vec::new());
        if block < self.first() {
            return Err(self.first());
        }
        for number in block + 1..self.next {
            let reverse = self.diff(number);
            accounts.extend(reverse.accounts.keys().copied());
            slots.extend(reverse.slots.keys().copied());
        }
        Ok((accounts, slots))
    }

    /// Asks the reverse diffs above `block`, earliest first; the first answer is the value at `block`.
    fn look<T>(&self, block: u64, ask: impl Fn(&Reverse) -> Option<T>) -> Result<Option<T>, u64> {
        if block < self.first() {
            return Err(self.first());
        }
        let mut number = block + 1;
        while number < self.next {
            if number.is_multiple_of(GROUP)
                && let Some(merged) = self.group(number)
            {
                if let Some(found) = ask(merged) {
                    return Ok(Some(found));
                }
                number += GROUP;
                continue;
            }
            if let Some(found) = ask(self.diff(number)) {
                return Ok(Some(found));
            }
            number += 1;
        }
        Ok(None)
    }

    fn diff(&self, number: u64) -> &Arc<Reverse> {
        let index = number - (self.next - self.diffs.len() as u64);
        &self.diffs[index as usize]
    }

    fn group(&self, first: u64) -> Option<&Reverse> {
        let front = self.groups.front()?.0;
        let index = usize::try_from(first.checked_sub(front)? / GROUP).ok()?;
        let (group, cell) = self.groups.get(index)?;
        debug_assert_eq!(*group, first);
        Some(cell.get_or_init(|| {
            let start = (first - (self.next - self.diffs.len() as u64)) as usize;
            let run: Vec<_> = self.diffs.iter().skip(start).take(GROUP as usize).cloned().collect();
            Reverse::merge(&run)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reverse(key: u64, value: u64) -> Reverse {
        let mut reverse = Reverse::default();
        reverse.slots.insert((Address::ZERO, U256::from(key)), U256::from(value));
        reverse
    }

    /// Slot `n % 7` is written by block n with value n; so the value before block n is that of block n - 7.
    #[test]
    fn every_block_of_the_window_has_its_own_value() {
        let mut undo = Undo::new(0);
        let blocks = 5_000u64;
        for n in 1..=blocks {
            undo.push(n, reverse(n % 7, n.saturating_sub(7)));
        }
        assert_eq!(undo.first(), blocks - WINDOW_BLOCKS as u64);
        for block in undo.first()..blocks {
            for key in 0..7u64 {
                let newest = block - (block + 7 - key) % 7;
                let found = undo.slot(block, &Address::ZERO, U256::from(key)).expect("inside the window");
                let rewritten = block + 1 + (key + 7 - (block + 1) % 7) % 7 <= blocks;
                assert_eq!(found, rewritten.then(|| U256::from(newest)), "block {block}, slot {key}");
            }
        }
        assert_eq!(undo.slot(undo.first() - 1, &Address::ZERO, U256::ZERO), Err(undo.first()));
    }
}
