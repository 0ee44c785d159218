//! Orders that expire, as the follower reads them: the worked example of docs/contract.md, event by event, with the words checked there.

use alloy_primitives::U256;
use orderbook::{
    AccountId, Book, Event, LevelKey, LevelWord, Lots, Market, MarketId, MarketStatus, Mode, OrderId, ReduceReason, ReplayError, Side,
    Ticks, TimeInForce, TokenId,
};

const LEVEL: LevelKey = LevelKey { market: MarketId(1), side: Side::Ask, ticks: Ticks(100) };

fn placed(index: u64, account: u32, lots: u64, expiry_s: u32) -> Event {
    let mode = Mode::new(Side::Ask, TimeInForce::Gtc);
    Event::Placed { order: OrderId { level: LEVEL, index }, account: AccountId(account), lots: Lots(lots), expiry_s, client: 0, mode }
}

fn expired(index: u64, lots: u64) -> Event {
    let order = OrderId { level: LEVEL, index };
    Event::Reduced { order, left: Lots(0), removed: Lots(lots), reason: ReduceReason::Expired }
}

fn claimed(index: u64, account: u32, lots: u64, back: u64) -> Event {
    Event::Claimed { order: OrderId { level: LEVEL, index }, account: AccountId(account), lots: Lots(lots), back: Lots(back) }
}

fn word(tail: u64, head: u64, head_filled: u64, open: u64, expiry_min_s: u32) -> LevelWord {
    LevelWord { tail, head, head_filled: Lots(head_filled), open: Lots(open), expiry_min_s }
}

fn fill(after: LevelWord) -> Event {
    Event::LevelFill { level: LEVEL, word: after.to_word() }
}

#[test]
fn the_worked_example_is_followed() {
    let market = Market {
        id: MarketId(1),
        base: TokenId(1),
        quote: TokenId(2),
        quote_atoms_per_lot_tick: 10,
        base_atoms_per_lot: 1_000,
        lots_min: 1,
        taker_fee_ppm: 500,
        maker_fee_ppm: 0,
        min_ttl_s: 0,
        status: MarketStatus::Live,
    };
    let mut book = Book::new(market);
    let mut follow = |events: &[Event], after: LevelWord| -> (Vec<(u64, u64)>, U256, U256) {
        let mut fills = Vec::new();
        for event in events {
            let found = book.replay(event).unwrap_or_else(|error: ReplayError| panic!("{event:?}: {error}"));
            fills.extend(found.iter().map(|fill| (fill.maker_order.index, fill.lots.0)));
        }
        assert_eq!(book.level_word(LEVEL), after);
        book.check().expect("the law of a level");
        (fills, book.order_word(LEVEL, 0), book.order_word(LEVEL, 1))
    };
    // 1: A asks 10, B 7, C 5 until 1000.
    let (_, _, half) = follow(&[placed(0, 300, 10, 0), placed(1, 301, 7, 0), placed(2, 302, 5, 1000)], word(3, 0, 0, 22, 1000));
    assert_eq!(half, U256::from(0x3e8_0000_012e_0000_0000_0005_u128));
    // 2: T buys 4.
    let (fills, ..) = follow(&[fill(word(3, 0, 4, 18, 1000))], word(3, 0, 4, 18, 1000));
    assert_eq!(fills, [(0, 4)]);
    // 3: A cancels: 6 lots go home, 4 are paid.
    let order = OrderId { level: LEVEL, index: 0 };
    let cancel = Event::Reduced { order, left: Lots(0), removed: Lots(6), reason: ReduceReason::Cancel };
    follow(&[cancel, claimed(0, 300, 4, 0)], word(3, 1, 0, 12, 1000));
    // 4, at 1000: T buys 8: B's 7; C has expired and is passed.
    let (fills, _, half) = follow(&[expired(2, 5), fill(word(3, 3, 0, 0, 0))], word(3, 3, 0, 0, 0));
    assert_eq!(fills, [(1, 7)]);
    assert_eq!(half, U256::from(0x8000_0000_0000_0000_012e_0000_0000_0005_u128));
    // 5: C and B are claimed: no record is left.
    let (_, first, second) = follow(&[claimed(2, 302, 0, 5), claimed(1, 301, 7, 0)], word(3, 3, 0, 0, 0));
    assert_eq!((first, second), (U256::ZERO, U256::ZERO));
    // 6: D asks 9 until 2000; T buys 2.
    follow(&[placed(3, 303, 9, 2000), fill(word(4, 3, 2, 7, 2000))], word(4, 3, 2, 7, 2000));
    // 7, at 2000: E's bid clears the expired level from its way.
    let (_, _, half) = follow(&[expired(3, 7), fill(word(4, 4, 0, 0, 0))], word(4, 4, 0, 0, 0));
    assert_eq!(half >> 128, U256::from(0x8000_0000_0002_0000_012f_0000_0000_0007_u128));
    // 8: D claims 2 filled and 7 refunded lots.
    follow(&[claimed(3, 303, 2, 7)], word(4, 4, 0, 0, 0));
}
