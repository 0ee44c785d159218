//! Follows the exchange's events: the book and every maker's fill come from the logs alone, no view is ever called.
//!
//! A taker writes one `LevelFill` per level and no maker's order; who was filled follows from the level's word before and after:
//! every order the head passed is filled by what it had left, the one at the new head by the rise of head_filled. The sum must be the
//! fall of `open`, or the events are not the exchange's and replay says so.
//! Events are followed, not trusted: every number is compared with the book before anything changes, a wrong one is a [`ReplayError`].

use super::{Book, LevelWord, Record};
use crate::{AccountId, Event, Fill, LevelKey, Lots, MarketId, OrderId, ReduceReason, Side, Ticks};
use alloy_primitives::U256;

/// An event that cannot follow the ones before. The book is as it was before that event; its owner must rebuild it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    #[error("a book of market {} got an event of market {}", expected.0, found.0)]
    ForeignMarket { expected: MarketId, found: MarketId },
    #[error("order {order} was placed, but the level's tail is {tail}")]
    NotAtTail { order: OrderId, tail: u64 },
    #[error("order {order} has no expiry, but expired")]
    NeverExpires { order: OrderId },
    #[error("order {order} of {lots} lots does not fit its level")]
    BadLots { order: OrderId, lots: Lots },
    #[error("order {order} is not in the book")]
    UnknownOrder { order: OrderId },
    #[error("order {order} had {expected} lots left, but {found} were removed or left")]
    LeftDiffers { order: OrderId, expected: Lots, found: Lots },
    #[error("order {order} is owed {expected} lots and a refund of {expected_back}, but was paid {found} and {found_back}")]
    PaidDiffers { order: OrderId, expected: Lots, expected_back: Lots, found: Lots, found_back: Lots },
    #[error("order {order} is of account {}, not of {}", expected.0, found.0)]
    OwnerDiffers { order: OrderId, expected: AccountId, found: AccountId },
    #[error("level {level:?} cannot have the word {word:#x}: {why}")]
    BadLevelWord { level: LevelKey, word: U256, why: &'static str },
    #[error("level {level:?} lost {by_word} lots, but its orders were filled by {by_orders}")]
    FillsDiffer { level: LevelKey, by_word: Lots, by_orders: Lots },
    #[error("order {order} was removed with filled lots, but no claim of them followed")]
    ClaimMissing { order: OrderId },
    #[error("{ticks} ticks are no price of an order")]
    BadTicks { ticks: Ticks },
    #[error("the best bid {bid} is not below the best ask {ask}")]
    Crossed { bid: Ticks, ask: Ticks },
}

impl Book {
    /// Follows one event; returns the fills it implies, in queue order (of a `LevelFill`; the next `Taken` names their taker).
    /// Events that move no book (money, accounts, tokens) and `Taken` change nothing, of whatever market.
    ///
    /// # Errors
    /// An event that cannot follow those before; the book is unchanged then.
    pub fn replay(&mut self, event: &Event) -> Result<Vec<Fill>, ReplayError> {
        if let Some((order, ..)) = self.dropped
            && !matches!(event, Event::Claimed { order: claimed, .. } if *claimed == order)
        {
            return Err(ReplayError::ClaimMissing { order });
        }
        match *event {
            Event::Placed { order, account, lots, expiry_s, .. } => self.placed(order, account, lots, expiry_s)?,
            Event::Reduced { order, left, removed, reason } => self.reduced(order, left, removed, reason)?,
            Event::LevelFill { level, word } => return self.level_fill(level, word),
            Event::Claimed { order, account, lots, back } => self.claimed(order, account, lots, back)?,
            Event::Status { market, status } if market == self.market.id => self.market.status = status,
            Event::Status { .. }
            | Event::Taken { .. }
            | Event::Deposit { .. }
            | Event::Withdraw { .. }
            | Event::AccountCreated { .. }
            | Event::TokenAdded { .. }
            | Event::MarketCreated { .. }
            | Event::Rejected { .. }
            | Event::Agent { .. }
            | Event::Signed { .. }
            | Event::Scheduled { .. }
            | Event::CloidPreCancelled { .. }
            | Event::FeesSwept { .. }
            | Event::Tier { .. }
            | Event::Role { .. }
            | Event::Swapped { .. } => {}
        }
        Ok(Vec::new())
    }

    fn placed(&mut self, order: OrderId, account: AccountId, lots: Lots, expiry_s: u32) -> Result<(), ReplayError> {
        self.own(order.level)?;
        let LevelKey { side, ticks, .. } = order.level;
        let word = self.level_word(order.level);
        if order.index != word.tail || word.tail >= LevelWord::TAIL_MAX {
            return Err(ReplayError::NotAtTail { order, tail: word.tail });
        }
        if lots.0 == 0 || lots > Lots::MAX || word.open.0.checked_add(lots.0).is_none() {
            return Err(ReplayError::BadLots { order, lots });
        }
        if let Some(best) = self.crossing(side, ticks) {
            let (bid, ask) = if side == Side::Bid { (ticks, best) } else { (best, ticks) };
            return Err(ReplayError::Crossed { bid, ask });
        }
        let placed = self.push(order.level, Record { account, lots, aux: expiry_s as u64, skipped: false });
        placed.map(|_| ()).ok_or(ReplayError::BadLots { order, lots })
    }

    fn reduced(&mut self, order: OrderId, left: Lots, removed: Lots, reason: ReduceReason) -> Result<(), ReplayError> {
        self.own(order.level)?;
        let level = self.level(order.level).ok_or(ReplayError::UnknownOrder { order })?;
        let record = level.live.get(&order.index).ok_or(ReplayError::UnknownOrder { order })?;
        let (expected, account) = (level.left(order.index, record), record.account);
        let found = Lots(left.0.saturating_add(removed.0));
        if found != expected || removed.0 == 0 || (reason == ReduceReason::Expired && left.0 != 0) {
            return Err(ReplayError::LeftDiffers { order, expected, found });
        }
        if reason == ReduceReason::Expired && record.aux == 0 {
            return Err(ReplayError::NeverExpires { order });
        }
        if reason == ReduceReason::Expired {
            self.skip(order);
        } else if left.0 > 0 {
            self.shrink(order, removed);
        } else {
            let filled = self.remove(order).map_or(Lots(0), |(order, _)| order.unclaimed);
            self.dropped = (filled.0 > 0).then_some((order, account, filled));
        }
        Ok(())
    }

    fn claimed(&mut self, order: OrderId, account: AccountId, lots: Lots, back: Lots) -> Result<(), ReplayError> {
        self.own(order.level)?;
        let (owner, expected, expected_back) = match self.dropped {
            Some((_, owner, filled)) => (owner, filled, Lots(0)),
            None => self.owed(order).ok_or(ReplayError::UnknownOrder { order })?,
        };
        if owner != account {
            return Err(ReplayError::OwnerDiffers { order, expected: owner, found: account });
        }
        if (lots, back) != (expected, expected_back) || lots.0 | back.0 == 0 {
            return Err(ReplayError::PaidDiffers { order, expected, expected_back, found: lots, found_back: back });
        }
        if self.dropped.take().is_none() {
            self.claim(order);
        }
        Ok(())
    }

    /// Takes over a level's after-image and derives the makers' fills.
    fn level_fill(&mut self, key: LevelKey, word: U256) -> Result<Vec<Fill>, ReplayError> {
        self.own(key)?;
        let bad = |why| ReplayError::BadLevelWord { level: key, word, why };
        let after = LevelWord::from_word(word).ok_or(bad("the low bits are zero"))?;
        let level = self.level(key).ok_or(bad("the level was never used"))?;
        let before = level.word;
        let stepped_back = after.head == before.head && after.head_filled < before.head_filled;
        let emptied = LevelWord { tail: before.tail, head: before.tail, ..LevelWord::default() };
        let broken = [
            (after.tail != before.tail, "a taker does not move the tail"),
            (after.head < before.head || after.head > after.tail || stepped_back, "the head goes forward, to the tail at most"),
            (after.open > before.open, "a taker adds no lots"),
            (after.open.0 == 0 && after != emptied, "an empty level is tidy"),
            (after.open.0 > 0 && after.expiry_min_s != before.expiry_min_s, "the least expiry stays while lots are open"),
        ];
        if let Some((_, why)) = broken.iter().find(|(is_broken, _)| *is_broken) {
            return Err(bad(why));
        }
        let fills = fills_between(key, level, after).ok_or(bad("a filled part belongs to a live order at the head"))?;
        let by_orders = Lots(fills.iter().fold(0_u64, |sum, fill| sum.saturating_add(fill.lots.0)));
        if by_orders != before.open - after.open {
            return Err(ReplayError::FillsDiffer { level: key, by_word: before.open - after.open, by_orders });
        }
        self.pass(key, after);
        Ok(fills)
    }
}

/// Fills of the orders between a level's word and the one after it. `None`: no live order carries the new filled part.
fn fills_between(key: LevelKey, level: &super::Level, after: LevelWord) -> Option<Vec<Fill>> {
    let before = level.word;
    let fill = |index: u64, record: &Record, lots: Lots, maker_left: Lots| Fill {
        maker_order: OrderId { level: key, index },
        maker: record.account,
        ticks: key.ticks,
        lots,
        maker_left,
    };
    let passed = level.live.range(before.head..after.head);
    let mut fills: Vec<Fill> = passed.map(|(index, record)| fill(*index, record, level.left(*index, record), Lots(0))).collect();
    if after.head_filled.0 > 0 {
        let record = level.live.get(&after.head).filter(|record| record.lots > after.head_filled)?;
        let filled = after.head_filled - level.filled(after.head);
        if filled.0 > 0 {
            fills.push(fill(after.head, record, filled, record.lots - after.head_filled));
        }
    }
    Some(fills)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Market, Mode, TakenReason};
    use rand::{Rng, SeedableRng, rngs::StdRng};

    fn market() -> Market {
        Market::from_cfg(MarketId(1), U256::from(1) << 240).expect("status 1")
    }

    /// Small numbers mostly, so that events often follow; else the ends of every width.
    fn number(rng: &mut StdRng) -> u64 {
        match rng.random_range(0..20) {
            0 => rng.random(),
            1 => u64::MAX,
            2 => 1 << rng.random_range(0..64),
            3 => (1 << rng.random_range(0..64)) - 1,
            _ => rng.random_range(0..6),
        }
    }

    fn event(rng: &mut StdRng, book: &Book) -> Event {
        let ticks = if rng.random_bool(0.95) { rng.random_range(98..104) } else { number(rng) as u32 };
        let side = if rng.random_bool(0.5) { Side::Bid } else { Side::Ask };
        let market = MarketId(if rng.random_bool(0.99) { 1 } else { number(rng) as u32 });
        let level = LevelKey { market, side, ticks: Ticks(ticks) };
        let word = book.level_word(level);
        let near = if rng.random_bool(0.6) { word.tail } else { word.head };
        let order = OrderId { level, index: if rng.random_bool(0.8) { near } else { number(rng) } };
        let (account, lots) = (AccountId(number(rng) as u32), Lots(number(rng)));
        let known = book.order(order);
        match rng.random_range(0..10) {
            0..4 => Event::Placed { order, account, lots, expiry_s: number(rng) as u32, client: 0, mode: Mode(0) },
            4..6 => {
                let left = Lots(if rng.random_bool(0.6) { 0 } else { number(rng) });
                let removed = known.map_or(lots, |order| Lots(order.left.0.wrapping_sub(left.0)));
                let reason = if rng.random_bool(0.5) { ReduceReason::Expired } else { ReduceReason::Stp };
                Event::Reduced { order, left, removed, reason }
            }
            6..8 => {
                let account = known.map_or(account, |order| order.account);
                Event::Claimed { order, account, lots: known.map_or(lots, |order| order.unclaimed), back: Lots(number(rng) & 3) }
            }
            8 => {
                let emptied = LevelWord { tail: word.tail, head: word.tail, ..LevelWord::default() }.to_word();
                let drawn = LevelWord { head: word.head + (number(rng) & 7), open: Lots(number(rng)), ..word }.to_word();
                let flipped = word.to_word() ^ U256::from(1) << rng.random_range(0..256);
                Event::LevelFill { level, word: [emptied, drawn, flipped, U256::from(number(rng))][rng.random_range(0..4)] }
            }
            _ => Event::Taken {
                market,
                account,
                wanted: lots,
                filled: lots,
                client: 0,
                mode: Mode(255),
                reason: TakenReason::Stp,
                quote_atoms: u128::MAX,
                fee_atoms: u128::MAX,
            },
        }
    }

    /// Whatever the events say, the follower answers with an error and an unchanged book, or with a book it can go on from.
    #[test]
    fn no_stream_of_events_makes_it_panic() {
        let seed = std::env::var("HIFI_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261_122);
        println!("HIFI_SEED={seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        let (mut followed, mut refused) = (0, 0);
        for _ in 0..200 {
            let mut book = Book::new(market());
            for _ in 0..1_000 {
                let event = event(&mut rng, &book);
                let before = (refused % 50 == 0).then(|| format!("{book:?}"));
                match book.replay(&event) {
                    Ok(_) => followed += 1,
                    Err(error) => {
                        refused += 1;
                        assert!(!error.to_string().is_empty());
                        assert!(before.is_none_or(|before| before == format!("{book:?}")), "{event:?} was refused and left a trace");
                    }
                }
                assert!(!book.crossed(), "{event:?} crossed the book");
            }
            assert!(book.depth(Side::Bid, usize::MAX).iter().all(|level| level.lots.0 > 0));
            assert!(book.records().all(|(_, record)| record.lots <= Lots::MAX));
        }
        println!("{followed} followed, {refused} refused");
        assert!(followed > 20_000 && refused > 20_000, "{followed} followed, {refused} refused");
    }
}
