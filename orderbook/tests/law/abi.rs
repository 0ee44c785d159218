//! Calls, logs and reverts survive the way to the wire and back; bytes that are none of ours are errors, never panics.

use crate::stream::{Stream, ops, seed};
use alloy_primitives::{Address, B256, U256, address, b256, hex};
use alloy_sol_types::SolError;
use orderbook::{
    AbiError, AccountId, Command, Engine, Event, LevelKey, LevelWord, Lots, Market, MarketId, OrderId, Reject, Side, Ticks, TokenId, abi,
    keys, keys::Base, scenario,
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

/// One of every command of batches, agents and keeping house, with every byte of the fields in use.
#[test]
fn every_other_command_survives_the_wire() {
    let (account, who) = (AccountId(0xa1b2_c3d4), Address::repeat_byte(0x5a));
    let level = LevelKey { market: MarketId(0x0102_0304), side: Side::Ask, ticks: Ticks(0x05_0607) };
    let order = OrderId { level, index: 0x08_090a_0b0c };
    let (nonce, deadline_s, signature) = (u64::MAX - 2, (1_u64 << 40) - 1, hex!("0102030405").into());
    let markets = [MarketId(1), MarketId(0), MarketId(u32::MAX)];
    let (expiry_s, perms, cap_atoms) = (1_u64 << 39 | 1, 0xf00f, (1_u128 << 96) - 1);
    let commands = [
        Command::Execute { account, ops: hex!("000a0000000001").into() },
        Command::ExecuteSigned { account, nonce, deadline_s, relayer: who, ops: hex!("00").into(), signer: who, signature },
        Command::SwapExactIn {
            token_in: Address::ZERO,
            atoms: U256::MAX,
            markets: markets.to_vec(),
            out_min: U256::from(5),
            to: who,
            deadline_s,
            steps_max: 0x7788,
        },
        Command::DepositPermit { account, token: who, atoms: U256::from(9), deadline: U256::MAX, v: 27, r: B256::ZERO, s: [3; 32].into() },
        Command::ApproveAgent { account, agent: who, expiry_s, perms, cap_atoms, markets },
        Command::ApproveAgentSigned {
            account,
            agent: who,
            expiry_s,
            perms,
            cap_atoms,
            markets,
            nonce,
            deadline_s,
            signature: hex!("ff").into(),
        },
        Command::CancelNonces { account, word: (1 << 56) - 1, mask: U256::MAX },
        Command::Poke { account, orders: vec![order, order] },
        Command::Prune { level, steps_max: 3 },
        Command::SweepFees { token: TokenId(0xff_fffe), accounts: vec![account, AccountId(1)] },
        Command::SetTier { account, tier: 15 },
        Command::SetRole { role: 2, who },
    ];
    for command in commands {
        let data = abi::calldata(&command);
        assert_eq!(abi::command_from_calldata(&data).as_ref(), Ok(&command));
        // A word less: the exchange itself does not ask for the padding behind bytes.
        assert!(abi::command_from_calldata(&data[..data.len() - 32]).is_err(), "a short {command:?} was read");
        let native = matches!(command, Command::SwapExactIn { .. });
        assert_eq!(abi::value_atoms(&command), if native { U256::MAX } else { U256::ZERO });
    }
}

#[test]
fn every_other_event_survives_the_wire() {
    let (account, who, client) = (AccountId(0xa1b2_c3d4), Address::repeat_byte(0x5a), u64::MAX - 7);
    let (token, atoms) = (TokenId(0xff_fffe), u128::MAX - 1);
    let events = [
        Event::Rejected { account, index: 63, kind: 10, reason: [1, 2, 3, 4], client },
        Event::Agent { account, agent: who, word: U256::MAX - U256::from(1) },
        Event::Signed { account, signer: who, nonce: client },
        Event::Scheduled { account, at_s: (1 << 40) - 1 },
        Event::CloidPreCancelled { account, client, until_s: (1 << 40) - 1 },
        Event::FeesSwept { account, token, atoms },
        Event::Tier { account, tier: 15 },
        Event::Role { role: 2, who },
        Event::Swapped { from: who, to: Address::ZERO, token_in: TokenId(1), token_out: token, atoms_in: atoms, atoms_out: 7 },
    ];
    for event in events {
        let (topics, data) = abi::encode_log(&event);
        assert_eq!(abi::decode_log(&topics, &data).as_ref(), Ok(&event));
        assert!(data.is_empty() || abi::decode_log(&topics, &data[..data.len() - 1]).is_err(), "a short {event:?} was read");
        assert!(abi::decode_log(&topics[..topics.len() - 1], &data).is_err(), "{event:?} was read without a topic");
    }
}

/// Every error of the interface has its own selector, and is found by it.
#[test]
fn selectors_name_rejects() {
    use abi::IExchange::IExchangeErrors;
    let found: Vec<&str> = IExchangeErrors::SELECTORS
        .iter()
        .map(|selector| {
            let reject = abi::reject_from_selector(*selector).expect("an error of the exchange");
            assert_eq!(abi::selector(&reject), *selector);
            reject.name()
        })
        .collect();
    assert_eq!(found.len(), Reject::ALL.len());
    assert!(Reject::ALL.iter().all(|name| found.contains(name)));
    assert_eq!(abi::reject_from_selector([0; 4]), None);
}
