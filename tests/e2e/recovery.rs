//! kill -9 of everything under load, at random moments, again and again: what a client saw as final is there afterwards,
//! the blocks re-execute to equal roots, and Postgres equals the chain. Rounds by HIFI_KILLS, randomness by HIFI_SEED.

use crate::harness::{Up, folder, run, runtime, text};
use alloy_primitives::{B256, U256};
use anyhow::Result;
use hifi::client::Rpc;
use hifi::sender::{funding, send_and_wait};
use hifi::trader::Trader;
use hifi::{genesis, markets::LISTINGS};
use orderbook::{AccountId, Command, Lots, MarketId, Mode, Side, Ticks, TimeInForce, abi};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::HashMap;
use std::time::Duration;

const TRADERS: usize = 8;

/// Trades until the node dies; notes every receipt it has seen.
async fn load(rpc: &Rpc, random: &mut StdRng, final_txs: &mut HashMap<B256, u64>) -> Result<()> {
    let mut traders: Vec<Trader> = (1..=TRADERS).map(|index| genesis::dev_trader(index, 4434)).collect();
    for trader in &mut traders {
        trader.nonce = rpc.nonce(trader.address).await?;
    }
    let mut block = rpc.block_number().await?;
    let mut head = block;
    loop {
        let mut raws = Vec::new();
        for trader in &mut traders {
            for _ in 0..8 {
                let side = if random.random_bool(0.5) { Side::Bid } else { Side::Ask };
                let command = Command::Place {
                    account: AccountId(0),
                    market: MarketId(random.random_range(1..=4)),
                    mode: Mode::new(side, TimeInForce::Gtc),
                    ticks: Ticks(random.random_range(1_000..1_050)),
                    lots: Lots(random.random_range(1..100)),
                    expiry_s: 0,
                    client: 0,
                    steps_max: 0,
                };
                raws.push(trader.sign(genesis::EXCHANGE, U256::ZERO, 1_000_000, abi::calldata(&command)).0);
            }
        }
        for answer in rpc.send_raw(&raws).await? {
            answer?;
        }
        // The pool takes 256 transactions of an account: go on with the next block.
        while head == block {
            head = rpc.block_number().await?;
        }
        while block < head {
            block += 1;
            final_txs.extend(rpc.statuses(block).await?.into_iter().map(|(hash, _)| (hash, block)));
        }
    }
}

async fn fund(rpc: &Rpc) -> Result<()> {
    let mut raws = Vec::new();
    for index in 1..=TRADERS {
        let mut trader = genesis::dev_trader(index, 4434);
        for listing in LISTINGS {
            raws.extend(funding(&mut trader, listing.base_token(), 10u128.pow(30)));
        }
        raws.extend(funding(&mut trader, LISTINGS[0].quote_token(), 10u128.pow(30)));
    }
    send_and_wait(rpc, &raws).await?;
    Ok(())
}

#[test]
fn killed_again_and_again_under_load_nothing_final_is_lost() {
    let kills: u32 = std::env::var("HIFI_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    let seed: u64 = std::env::var("HIFI_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or_else(rand::random);
    eprintln!("seed {seed} (HIFI_SEED), {kills} kills (HIFI_KILLS)");
    let mut random = StdRng::seed_from_u64(seed);
    let dir = folder();
    let path = dir.path().to_str().expect("utf-8");
    let runtime = runtime();
    let mut final_txs: HashMap<B256, u64> = HashMap::new();

    for round in 0..kills {
        let up = Up::start(dir.path(), &["--no-demo"]);
        let rpc = up.rpc();
        if round == 0 {
            runtime.block_on(fund(&rpc)).expect("funded");
        }
        runtime.block_on(check(&rpc, &final_txs, &mut random));
        let moment = Duration::from_millis(random.random_range(50..1500));
        let everything = random.random_bool(0.5);
        runtime.block_on(async {
            // Ends by the moment of the kill, never by itself.
            let result = tokio::time::timeout(moment, load(&rpc, &mut random, &mut final_txs)).await;
            assert!(result.is_err(), "the load ended before the kill: {result:?}");
        });
        up.kill(everything);
    }

    let up = Up::start(dir.path(), &["--no-demo"]);
    runtime.block_on(async {
        for (hash, block) in &final_txs {
            assert!(holds(&up.rpc(), *hash, *block).await, "transaction {hash} of block {block} is lost");
        }
    });
    assert!(final_txs.len() > kills as usize * 20, "only {} transactions became final: no load", final_txs.len());
    let stream_url = up.stream_url.clone();
    let compared = run(&["index", "verify", "--data-dir", path, "--node", &stream_url]);
    assert!(compared.status.success(), "{}", text(&compared));
    assert!(up.stop().success());
    let verified = run(&["node", "verify", "--data-dir", path]);
    assert!(verified.status.success(), "{}", text(&verified));
    eprintln!("{} transactions seen as final, none lost", final_txs.len());
}

async fn check(rpc: &Rpc, final_txs: &HashMap<B256, u64>, random: &mut StdRng) {
    let sample: Vec<(B256, u64)> = final_txs.iter().filter(|_| random.random_bool(0.05)).map(|(h, b)| (*h, *b)).take(50).collect();
    for (hash, block) in sample {
        assert!(holds(rpc, hash, block).await, "transaction {hash} of block {block} is lost");
    }
}

async fn holds(rpc: &Rpc, hash: B256, block: u64) -> bool {
    let receipt = rpc.call("eth_getTransactionReceipt", serde_json::json!([hash])).await.expect("an answer");
    receipt["blockNumber"] == format!("0x{block:x}")
}
