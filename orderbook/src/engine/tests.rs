//! What the engine refuses and undoes, rule by rule.

use super::*;
use crate::{LevelKey, LevelWord, Mode, Side, Ticks, TimeInForce};
use alloy_primitives::U256;

/// A level at the end of its indexes or of its sum takes no more orders; the level beside it does.
#[test]
fn a_full_level_is_refused() {
    let (trader, base, quote) = (Address::repeat_byte(1), Address::repeat_byte(2), Address::repeat_byte(3));
    let mut engine = Engine::new(trader);
    engine.deploy_token(base, 18);
    engine.deploy_token(quote, 18);
    let create = Command::CreateMarket {
        base,
        quote,
        quote_atoms_per_lot_tick: 1,
        base_atoms_per_lot: 1,
        lots_min: 1,
        taker_fee_ppm: 0,
        maker_fee_ppm: 0,
        min_ttl_s: 0,
        status: 1,
    };
    let deposit = Command::Deposit { account: AccountId(0), token: base, atoms: U256::from(1_u64 << 50), settle: Vec::new() };
    for command in [create, deposit] {
        engine.apply(trader, &command, 0).expect("the opening succeeds");
    }
    let level = LevelKey { market: MarketId(1), side: Side::Ask, ticks: Ticks(100) };
    let end = (1 << 40) - 1;
    let word = LevelWord { tail: end, head: end, ..LevelWord::default() };
    let market = engine.books[0].market().clone();
    engine.books[0] = Book::restore(market, [(level, word.to_word())], []).expect("an empty level at its end");
    let ask = |ticks: u32| Command::Place {
        account: AccountId(0),
        market: MarketId(1),
        mode: Mode::new(Side::Ask, TimeInForce::PostOnly),
        ticks: Ticks(ticks),
        lots: Lots(1),
        expiry_s: 0,
        client: 0,
        steps_max: 0,
    };
    assert_eq!(engine.apply(trader, &ask(100), 0), Err(Reject::LevelFull));
    assert!(engine.apply(trader, &ask(101), 0).is_ok());
}

/// A book that was restored from words and records which do not fit is refused.
#[test]
fn a_torn_restore_is_refused() {
    let word = LevelWord { tail: 1, head: 0, open: Lots(5), ..LevelWord::default() };
    let level = LevelKey { market: MarketId(1), side: Side::Ask, ticks: Ticks(100) };
    let market = crate::Market::from_cfg(MarketId(1), U256::from(1) << 240).expect("status 1");
    assert!(Book::restore(market, [(level, word.to_word())], []).is_err(), "5 lots are open, but no order has them");
}

mod random;
mod rules;
