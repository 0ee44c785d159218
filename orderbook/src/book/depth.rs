//! The aggregated view of a side: price, open lots, number of orders. Read by the api, the page's snapshots and tests.

use super::Book;
use crate::{LevelKey, Lots, Side, Ticks};

/// One price of a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthLevel {
    pub ticks: Ticks,
    /// Lots that can be taken here.
    pub lots: Lots,
    /// Orders that rest here.
    pub orders: u32,
}

impl Book {
    /// The best `levels_max` prices of a side, best first, as stored: an expired order counts until somebody walks, prunes or cancels it.
    pub fn depth(&self, side: Side, levels_max: usize) -> Vec<DepthLevel> {
        let mut depth = Vec::with_capacity(levels_max.min(64));
        let mut next = self.best(side);
        while let Some(ticks) = next.filter(|_| depth.len() < levels_max) {
            depth.push(self.depth_at(LevelKey { market: self.market.id, side, ticks }));
            next = self.best_beyond(side, ticks);
        }
        depth
    }

    /// One price; lots and orders are 0 where nothing rests.
    pub fn depth_at(&self, key: LevelKey) -> DepthLevel {
        let (lots, orders) = self.level(key).map_or((Lots(0), 0), |level| (level.word.open, level.live.len() as u32));
        DepthLevel { ticks: key.ticks, lots, orders }
    }
}
