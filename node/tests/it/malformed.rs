//! Malformed input of every kind: each answer is an error of a known code or a result, nothing panics, the node serves afterwards.
//! Most inputs go through decoding alone, which is where bytes become types; a part goes over HTTP through the whole surface.
//! `HIFI_FUZZ` sets the number of inputs (default 100,000).

use std::panic::catch_unwind;
use std::time::Instant;

use alloy_consensus::{TxEip1559, TxEip2930, TxEip7702, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_eips::eip7702::Authorization;
use alloy_primitives::{Address, Bytes, Signature, TxKind, U256};
use node::genesis::dev_accounts;
use node::tx::{Rules, SenderCache, Tx, TypedTransaction, sign};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::jsonrpc::{CHAIN, Chain, fees};

const RULES: Rules = Rules { chain_id: CHAIN, allow_unprotected: true };

fn inputs() -> usize {
    std::env::var("HIFI_FUZZ").ok().and_then(|count| count.parse().ok()).unwrap_or(100_000)
}

/// One valid transaction of each type.
fn valid() -> Vec<Vec<u8>> {
    let key = dev_accounts(1)[0].1;
    let to = TxKind::Call(Address::repeat_byte(7));
    let authorization = Authorization { chain_id: U256::from(CHAIN), address: Address::repeat_byte(8), nonce: 0 };
    let authorization_list = vec![authorization.into_signed(Signature::new(U256::from(5), U256::from(6), true))];
    let txs: [TypedTransaction; 4] = [
        TxLegacy { chain_id: Some(CHAIN), gas_limit: 21_000, gas_price: 1 << 40, to, ..Default::default() }.into(),
        TxEip2930 { chain_id: CHAIN, gas_limit: 21_000, gas_price: 1 << 40, to, ..Default::default() }.into(),
        TxEip1559 { to, input: vec![1; 100].into(), ..fees() }.into(),
        TxEip7702 { chain_id: CHAIN, gas_limit: 99_000, max_fee_per_gas: 1 << 40, authorization_list, ..Default::default() }.into(),
    ];
    txs.into_iter().map(|tx| sign(tx, &key).expect("a development key signs").encoded_2718()).collect()
}

/// Changes some bytes, cuts, extends, swaps or replaces.
fn mutate(random: &mut StdRng, bytes: &mut Vec<u8>) {
    for _ in 0..random.random_range(1..4) {
        let at = random.random_range(0..=bytes.len());
        match random.random_range(0..7) {
            0 if at < bytes.len() => bytes[at] = random.random(),
            1 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8),
            2 => bytes.truncate(at),
            3 => bytes.insert(at, random.random()),
            4 if at < bytes.len() => drop(bytes.remove(at)),
            5 => bytes.extend((0..random.random_range(0..40)).map(|_| random.random::<u8>())),
            _ => {
                // A lying length where RLP expects one.
                let lie = [0xb8, 0xbf, 0xf8, 0xff, 0x80, 0xc0][random.random_range(0..6)];
                bytes.splice(at..at, [lie, 0xff, 0xff, 0xff, 0xff]);
            }
        }
    }
}

#[test]
fn mutated_transactions_are_typed_errors() {
    let mut random = StdRng::seed_from_u64(crate::seed());
    let (valid, senders) = (valid(), SenderCache::default());
    let mut accepted = 0;
    for tx in &valid {
        Tx::decode(Bytes::from(tx.clone()), 1, Instant::now(), RULES, &senders).expect("unchanged they are valid");
    }
    for index in 0..inputs() * 9 / 10 {
        let mut bytes = valid[random.random_range(0..valid.len())].clone();
        mutate(&mut random, &mut bytes);
        let raw = Bytes::from(bytes);
        let copy = raw.clone();
        let decoded = catch_unwind(|| Tx::decode(copy, 1, Instant::now(), RULES, &SenderCache::default()));
        match decoded.unwrap_or_else(|_| panic!("input {index} panics: {raw}")) {
            // Another valid transaction, most likely of another sender: its encoding must be its own.
            Ok(tx) => {
                accepted += 1;
                assert_eq!(tx.envelope.encoded_2718(), raw, "input {index} is not canonical");
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    println!("{accepted} of {} mutants were valid transactions", inputs() * 9 / 10);
}

/// Bodies in the form of real calls, and what may go wrong with each part.
fn body(random: &mut StdRng, raws: &[Vec<u8>]) -> Vec<u8> {
    let methods = [
        "eth_getBalance",
        "eth_call",
        "eth_getLogs",
        "eth_getBlockByNumber",
        "eth_sendRawTransaction",
        "eth_feeHistory",
        "eth_getStorageAt",
        "eth_estimateGas",
        "eth_getTransactionByHash",
        "eth_sendRawTransactionSync",
        "web3_sha3",
        "debug_getRawBlock",
        "hifi_faucet",
        "eth_subscribe",
    ];
    let mut raw = raws[random.random_range(0..raws.len())].clone();
    mutate(random, &mut raw);
    let values = [
        json!("0x"),
        json!("0x0"),
        json!("latest"),
        json!(null),
        json!([]),
        json!({}),
        json!(-1),
        json!(1e300),
        json!(u64::MAX),
        json!("\u{d7ff}\u{0}"),
        json!("0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
        json!(format!("0x{}", "11".repeat(20))),
        json!(format!("0x{}", "22".repeat(32))),
        json!({ "to": format!("0x{}", "11".repeat(20)), "data": "0x1", "gas": "0xffffffffffffffff" }),
        json!({ "fromBlock": "0xffffffffffffffff", "toBlock": "0x0", "topics": [null, [[]]] }),
        json!(true),
        json!(format!("0x{}", raw.iter().map(|byte| format!("{byte:02x}")).collect::<String>())),
    ];
    let params: Vec<Value> = (0..random.random_range(0..4)).map(|_| values[random.random_range(0..values.len())].clone()).collect();
    let one = json!({ "jsonrpc": "2.0", "id": 1, "method": methods[random.random_range(0..methods.len())], "params": params });
    let body = if random.random_ratio(1, 10) { json!([one, 1, [one]]) } else { one };
    let mut bytes = body.to_string().into_bytes();
    if random.random_ratio(1, 2) {
        mutate(random, &mut bytes);
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn mutated_bodies_are_answered_with_known_codes() {
    let mut random = StdRng::seed_from_u64(crate::seed());
    let chain = Chain::start(|_| {}).await;
    let raws = valid();
    let (mut pending, mut left) = (tokio::task::JoinSet::new(), inputs() / 10);
    while left > 0 || !pending.is_empty() {
        if left > 0 && pending.len() < 32 {
            left -= 1;
            let (http, body) = (chain.http.clone(), body(&mut random, &raws));
            pending.spawn(async move {
                let (status, answer) = http.post(body.clone()).await;
                (body, status, answer)
            });
            continue;
        }
        let (body, status, answer) = pending.join_next().await.expect("not empty").expect("no panic");
        let shown = || format!("{} -> {status} {}", String::from_utf8_lossy(&body), String::from_utf8_lossy(&answer));
        assert!([200, 400].contains(&status), "{}", shown());
        if answer.is_empty() {
            // A notification has no answer.
            continue;
        }
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_else(|_| panic!("not JSON: {}", shown()));
        for one in answer.as_array().map_or(std::slice::from_ref(&answer), |all| all.as_slice()) {
            let code = one["error"]["code"].as_i64().unwrap_or(0);
            let known = matches!(code, 0 | 3 | 4 | 5 | -32700 | -32600 | -32601 | -32602 | -32000 | -32003 | -32005);
            assert!(known, "{}", shown());
        }
    }
    assert_eq!(chain.http.call("eth_chainId", json!([])).await, "0x1152", "the node still serves");
    chain.handle.shutdown().await;
}
