//! Calls, logs and reverts survive the way to the wire and back; bytes that are none of ours are errors, never panics.

use crate::stream::{Stream, ops, seed};
use alloy_primitives::{Address, B256, U256, address, b256, hex};
use alloy_sol_types::SolError;
use orderbook::{
    AbiError, AccountId, Engine, LevelKey, LevelWord, Lots, Market, MarketId, OrderId, Reject, Side, Ticks, TokenId, abi, keys, keys::Base,
    scenario,
};
use rand::{Rng, SeedableRng, rngs::StdRng};

#[test]
fn commands_and_events_survive_the_wire() {
    let mut stream = Stream::new(seed(5));
    let mut engine = Engine::new(scenario::trader("owner"));
    for token in crate::stream::TOKENS {
        engine.deploy_token(scenario::token(token), 18);
    }
    let mut opening = stream.opening().into_iter();
    let mut kinds = std::collections::HashSet::new();
    for _ in 0..ops(10_000).min(10_000) {
        let (caller, command) = opening.next().unwrap_or_else(|| stream.next());
        let data = abi::calldata(&command);
        assert_eq!(abi::command_from_calldata(&data).as_ref(), Ok(&command));
        let Ok(events) = engine.apply(caller, &command, 0) else { continue };
        stream.saw(&events);
        for event in events {
            let (topics, data) = abi::encode_log(&event);
            kinds.insert(topics[0]);
            assert_eq!(abi::decode_log(&topics, &data).as_ref(), Ok(&event));
            let short = &data[..data.len().saturating_sub(1)];
            assert!(data.is_empty() || abi::decode_log(&topics, short).is_err(), "a short {event:?} was read");
            assert!(abi::decode_log(&topics[..topics.len() - 1], &data).is_err(), "{event:?} was read without a topic");
        }
    }
    assert_eq!(kinds.len(), 11, "every event occurred");
}

#[test]
fn malformed_bytes_are_errors() {
    let mut rng = StdRng::seed_from_u64(seed(17));
    let mut stream = Stream::new(17);
    let opening = stream.opening();
    let commands: Vec<_> = opening.into_iter().chain((0..300).map(|_| stream.next())).collect();
    for _ in 0..20_000 {
        let mut data = abi::calldata(&commands[rng.random_range(0..commands.len())].1);
        match rng.random_range(0..3) {
            0 => data.truncate(rng.random_range(0..data.len())),
            1 => {
                let at = rng.random_range(0..data.len());
                data[at] ^= 1 << rng.random_range(0..8);
            }
            _ => {
                let at = rng.random_range(0..data.len());
                data[at..].iter_mut().for_each(|byte| *byte = 0xff);
            }
        }
        // Whatever it is read as, it must be what those bytes say.
        if let Ok(command) = abi::command_from_calldata(&data) {
            let again = abi::calldata(&command);
            assert_eq!(abi::command_from_calldata(&again), Ok(command));
        }
        let topics: Vec<B256> = (0..rng.random_range(0..4)).map(|_| B256::from(rng.random::<[u8; 32]>())).collect();
        assert!(abi::decode_log(&topics, &data).is_err());
        assert_eq!(abi::reject_from_revert(&data[..data.len().min(3)]), None);
    }
    assert_eq!(abi::decode_log(&[], &[]), Err(AbiError::NoTopic));
    assert_eq!(abi::decode_log(&[B256::ZERO], &[]), Err(AbiError::UnknownTopic(B256::ZERO)));
    assert_eq!(abi::command_from_calldata(&[1, 2, 3, 4]), Err(AbiError::UnknownSelector([1, 2, 3, 4])));
}

#[test]
fn reverts_become_rejects() {
    use abi::IExchange as X;
    assert_eq!(abi::reject_from_revert(&X::Insufficient {}.abi_encode()), Some(Reject::Insufficient));
    let crossed = X::WouldCross { best: alloy_primitives::aliases::U24::from(1600) };
    assert_eq!(abi::reject_from_revert(&crossed.abi_encode()), Some(Reject::WouldCross { best: Ticks(1600) }));
    assert_eq!(abi::reject_from_revert(&hex!("08c379a0")), None, "Error(string) is not ours");
    assert_eq!(abi::reject_from_revert(&[]), None, "out of gas says nothing");
}

/// One row a language: the names of `Reject` are those of the interface, in its order.
#[test]
fn rejects_are_the_errors_of_the_interface() {
    let interface = include_str!("../../../contracts/src/interfaces/IExchange.sol");
    let errors = interface.lines().filter_map(|line| line.trim().strip_prefix("error "));
    let names: Vec<&str> = errors.filter_map(|line| line.split('(').next()).collect();
    assert_eq!(names, Reject::ALL);
    assert_eq!(Reject::WouldCross { best: Ticks(1) }.code(), "would_cross");
    assert_eq!(Reject::NoMarket.name(), "NoMarket");
}

/// The vectors of docs/contract.md, checked there on a Solidity prototype.
#[test]
fn ids_slots_and_words_are_those_of_the_contract() {
    let owner = address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
    assert_eq!(AccountId::numbered(owner, 0), AccountId(1_113_525_282));
    let level = LevelKey { market: MarketId(1), side: Side::Ask, ticks: Ticks(100) };
    assert_eq!(level.packed(), 0x1_0100_0064);
    let third = OrderId { level, index: 2 };
    assert_eq!(third.packed(), 0x0101_0000_6400_0000_0002);
    let slots = [
        (Base::Level, keys::level(level), b256!("dcf00126bc61b03f222800cd229eb5b762931fe97b74d62c8e4fd51de6d8e204")),
        (Base::Order, keys::order(third), b256!("a238ed62d438d96abf20aaeb7630e030e0760a53a377a4a5f533569ace60ecee")),
        (
            Base::Bits,
            keys::bits_of(MarketId(1), Side::Ask, Ticks(100))[0],
            b256!("0b73828640b5820f3483bc6f9b333bdf6f21e64124219e155223a20ee55ea332"),
        ),
        (
            Base::Balance,
            keys::balance(AccountId(300), TokenId(2)),
            b256!("f84587ccdba24c041416bccda74e7e88a49865aabedad05f2cc9e551628ddfca"),
        ),
    ];
    for (base, key, slot) in slots {
        assert_eq!(base.slot(key), slot, "{base:?}");
    }
    assert_eq!(Base::Counts.slot(U256::ZERO), B256::with_last_byte(3));
    let word = LevelWord { tail: 3, head: 0, head_filled: Lots(0), open: Lots(22), expiry_min_s: 1000 };
    let stored = U256::from_be_bytes(hex!("000000000300000000000000000000000000000000000016000003e800000000"));
    assert_eq!(word.to_word(), stored);
    assert_eq!(LevelWord::from_word(stored), Some(word));
    assert_eq!(LevelWord::from_word(stored + U256::from(1)), None);
}

#[test]
fn a_market_survives_its_word() {
    let mut rng = StdRng::seed_from_u64(seed(23));
    for _ in 0..1_000 {
        let market = Market {
            id: MarketId(rng.random()),
            base: TokenId(rng.random_range(0..1 << 24)),
            quote: TokenId(rng.random_range(0..1 << 24)),
            quote_atoms_per_lot_tick: rng.random(),
            base_atoms_per_lot: rng.random(),
            lots_min: rng.random_range(0..1 << 24),
            taker_fee_ppm: rng.random(),
            maker_fee_ppm: rng.random(),
            min_ttl_s: rng.random(),
            status: orderbook::MarketStatus::from_code(rng.random_range(1..5)).expect("a status"),
        };
        assert_eq!(Market::from_cfg(market.id, market.cfg()), Some(market));
    }
    assert_eq!(Market::from_cfg(MarketId(1), U256::ZERO), None, "a market that is not");
    assert_eq!(Address::ZERO, scenario::token("COIN"));
}
