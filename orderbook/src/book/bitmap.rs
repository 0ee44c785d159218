//! Which prices of one side hold open lots: the contract's tree of 256-bit words (root, branch, leaf), searched in three steps.
//! Called by `Book` alone. Memory is two kilobytes per used range of 65,536 prices times four, allocated on first use.

use crate::Ticks;
use alloy_primitives::U256;

type Word = [u64; 4];
type Page = Box<[Word; 256]>;

/// A set of prices below 2^24.
#[derive(Clone, Debug)]
pub(super) struct Bitmap {
    root: Word,
    branches: Page,
    leaves: Vec<Option<Page>>,
}

fn empty_page() -> Page {
    Box::new([[0; 4]; 256])
}

fn set(word: &mut Word, bit: u32) {
    word[bit as usize >> 6] |= 1 << (bit & 63);
}

/// Clears the bit; true if the word became 0.
fn clear(word: &mut Word, bit: u32) -> bool {
    word[bit as usize >> 6] &= !(1 << (bit & 63));
    *word == [0; 4]
}

/// Lowest set bit at `from` or above.
fn above(word: &Word, from: u32) -> Option<u32> {
    if from > 255 {
        return None;
    }
    let mut limb = from as usize >> 6;
    let mut bits = word[limb] & (!0 << (from & 63));
    while bits == 0 {
        limb += 1;
        bits = *word.get(limb)?;
    }
    Some((limb as u32) << 6 | bits.trailing_zeros())
}

/// Highest set bit at `from` or below.
fn below(word: &Word, from: u32) -> Option<u32> {
    let mut limb = from as usize >> 6;
    let mut bits = word[limb] & (!0 >> (63 - (from & 63)));
    while bits == 0 {
        limb = limb.checked_sub(1)?;
        bits = word[limb];
    }
    Some((limb as u32) << 6 | (63 - bits.leading_zeros()))
}

impl Bitmap {
    pub fn new() -> Bitmap {
        Bitmap { root: [0; 4], branches: empty_page(), leaves: vec![None; 256] }
    }

    pub fn insert(&mut self, ticks: Ticks) {
        let (top, middle, low) = split(ticks);
        set(&mut self.leaves[top as usize].get_or_insert_with(empty_page)[middle as usize], low);
        set(&mut self.branches[top as usize], middle);
        set(&mut self.root, top);
    }

    pub fn remove(&mut self, ticks: Ticks) {
        let (top, middle, low) = split(ticks);
        let Some(page) = &mut self.leaves[top as usize] else { return };
        if clear(&mut page[middle as usize], low) && clear(&mut self.branches[top as usize], middle) {
            clear(&mut self.root, top);
        }
    }

    /// Makes a price a member, or no member.
    pub fn set(&mut self, ticks: Ticks, is_member: bool) {
        if is_member { self.insert(ticks) } else { self.remove(ticks) }
    }

    /// Least member at `from` or above.
    pub fn at_or_above(&self, from: Ticks) -> Option<Ticks> {
        if from > Ticks::MAX {
            return None;
        }
        let (top, middle, low) = split(from);
        if let Some(low) = self.leaf(top, middle).and_then(|word| above(word, low)) {
            return Some(join(top, middle, low));
        }
        let (top, middle) = match above(&self.branches[top as usize], middle + 1) {
            Some(middle) => (top, middle),
            None => {
                let top = above(&self.root, top + 1)?;
                (top, above(&self.branches[top as usize], 0)?)
            }
        };
        Some(join(top, middle, above(self.leaf(top, middle)?, 0)?))
    }

    /// Greatest member at `from` or below.
    pub fn at_or_below(&self, from: Ticks) -> Option<Ticks> {
        let (top, middle, low) = split(from.min(Ticks::MAX));
        if let Some(low) = self.leaf(top, middle).and_then(|word| below(word, low)) {
            return Some(join(top, middle, low));
        }
        let beside = middle.checked_sub(1).and_then(|middle| below(&self.branches[top as usize], middle));
        let (top, middle) = match beside {
            Some(middle) => (top, middle),
            None => {
                let top = below(&self.root, top.checked_sub(1)?)?;
                (top, below(&self.branches[top as usize], 255)?)
            }
        };
        Some(join(top, middle, below(self.leaf(top, middle)?, 255)?))
    }

    /// The word the contract stores; depth 0 root, 1 branch, 2 leaf. Zero outside the tree.
    pub fn word(&self, depth: u8, word: u32) -> U256 {
        let limbs = match depth {
            0 if word == 0 => Some(&self.root),
            1 => self.branches.get(word as usize),
            2 if word < 1 << 16 => self.leaf(word >> 8, word & 255),
            _ => None,
        };
        limbs.map_or(U256::ZERO, |limbs| U256::from_limbs(*limbs))
    }

    fn leaf(&self, top: u32, middle: u32) -> Option<&Word> {
        self.leaves[top as usize].as_ref().map(|page| &page[middle as usize])
    }
}

fn split(ticks: Ticks) -> (u32, u32, u32) {
    (ticks.0 >> 16, ticks.0 >> 8 & 255, ticks.0 & 255)
}

fn join(top: u32, middle: u32, low: u32) -> Ticks {
    Ticks(top << 16 | middle << 8 | low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn finds_neighbours_as_a_sorted_set_does() {
        let edges = [0, 1, 63, 64, 255, 256, 65_535, 65_536, 65_791, 8_000_000, 16_711_680, (1 << 24) - 1];
        let mut bitmap = Bitmap::new();
        let mut set = BTreeSet::new();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for round in 0..20_000_u32 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let near = edges[(state >> 33) as usize % edges.len()];
            let ticks = (near as i64 + (state >> 50) as i64 % 5 - 2).clamp(0, (1 << 24) - 1) as u32;
            if state >> 20 & 1 == 0 {
                bitmap.insert(Ticks(ticks));
                set.insert(ticks);
            } else {
                bitmap.remove(Ticks(ticks));
                set.remove(&ticks);
            }
            let probe = Ticks(if round % 2 == 0 { ticks } else { near });
            assert_eq!(bitmap.at_or_above(probe).map(|found| found.0), set.range(probe.0..).next().copied(), "above {probe}");
            assert_eq!(bitmap.at_or_below(probe).map(|found| found.0), set.range(..=probe.0).next_back().copied(), "below {probe}");
        }
    }
}
