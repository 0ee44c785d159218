//! The example market maker on the running stack: it quotes one ladder, lives through the death of everything it talks to, doubles nothing,
//! keeps count of its fills, and takes its orders home when it is told to stop.

use crate::harness::{Process, folder, get, runtime};
use hifi::client::Rpc;
use hifi::sender::{funding, send_and_wait};
use hifi::{genesis, markets::LISTINGS};
use orderbook::{AccountId, Command, Lots, MarketId, Mode, Side, Ticks, TimeInForce, abi};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

#[allow(dead_code)]
#[path = "../../examples/market_maker.rs"]
mod market_maker;

const PRICE: u32 = 300_000;
const RUNGS: u32 = 4;
const LOTS: u64 = 500;

fn up(dir: &Path, rpc: &str, api: &str) -> Process {
    let stream = "127.0.0.1:0";
    let dir = dir.to_str().expect("utf-8");
    Process::start(&["up", "--no-demo", "--rpc-addr", rpc, "--api-addr", api, "--stream-addr", stream, "--data-dir", dir])
}

/// The ladder as the maker is asked to quote it: `[ticks, lots, orders]` a side, best first.
fn ladder() -> [Value; 2] {
    let rungs = |sign: i64| (0..RUNGS as i64).map(|rung| json!([PRICE as i64 + sign * (30 + rung * 20), LOTS, 1])).collect();
    [rungs(-1), rungs(1)]
}

/// Waits until the market holds exactly this; the api is asked as fast as it answers.
fn wait_for(api_url: &str, expected: &[Value; 2]) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let depth = get(api_url, "/v1/markets/1/depth?levels=50");
        let data = &depth["data"];
        if data["bids"] == expected[0] && data["asks"] == expected[1] {
            return;
        }
        assert!(Instant::now() < deadline, "expected {expected:?}, found {data}");
    }
}

/// An immediate-or-cancel order of somebody else.
fn take(rpc: &Rpc, side: Side, ticks: u32, lots: u64) {
    runtime().block_on(async {
        let mut taker = genesis::dev_trader(2, 4434);
        taker.nonce = rpc.nonce(taker.address).await.expect("a nonce");
        let mut raws = Vec::new();
        for token in [LISTINGS[0].base_token(), LISTINGS[0].quote_token()] {
            raws.extend(funding(&mut taker, token, 10u128.pow(24)));
        }
        let command = Command::Place {
            account: AccountId(0),
            market: MarketId(1),
            mode: Mode::new(side, TimeInForce::Ioc),
            ticks: Ticks(ticks),
            lots: Lots(lots),
            expiry_s: 0,
            client: 0,
            steps_max: 0,
        };
        raws.push(taker.sign(genesis::EXCHANGE, alloy_primitives::U256::ZERO, 1_000_000, abi::calldata(&command)).0);
        send_and_wait(rpc, &raws).await.expect("taken");
    });
}

#[test]
fn a_market_maker_outlives_node_and_api_with_one_ladder_and_takes_it_home() {
    let dir = folder();
    let hifi = up(dir.path(), "127.0.0.1:0", "127.0.0.1:0");
    let (rpc_url, api_url) = (hifi.address("http://"), hifi.address("page      http://"));
    let options = market_maker::Options {
        rpc: rpc_url.clone(),
        market: 1,
        key: None,
        dev_key: 6,
        price: Some(PRICE),
        rungs: RUNGS,
        lots: LOTS,
        away: 30,
        step: 20,
        skew: 0,
    };
    let stop = CancellationToken::new();
    let quoting = std::thread::spawn({
        let stop = stop.clone();
        move || runtime().block_on(market_maker::quote(&options, stop))
    });
    wait_for(&api_url, &ladder());
    let rpc = Rpc::new(&rpc_url).expect("its URL");

    // A whole rung is sold: it is back with the next requote.
    take(&rpc, Side::Bid, PRICE + 30, LOTS);
    wait_for(&api_url, &ladder());
    // Part of one is bought: what is left keeps its place, a second order fills the rung up.
    take(&rpc, Side::Ask, PRICE - 30, 100);
    let mut part = ladder();
    part[0][0] = json!([PRICE - 30, LOTS, 2]);
    wait_for(&api_url, &part);

    // Everything is killed and starts again on the same ports; the maker goes on, inventory and all.
    let port = |url: &str| url.split("//").nth(1).expect("a URL").to_owned();
    // Dropped without a SIGTERM: kill -9 of it and of its Postgres.
    drop(hifi);
    let hifi = up(dir.path(), &port(&rpc_url), &port(&api_url));
    wait_for(&api_url, &part);
    take(&rpc, Side::Ask, PRICE - 30, LOTS);
    wait_for(&api_url, &ladder());

    stop.cancel();
    let position = quoting.join().expect("no panic").expect("an orderly end");
    wait_for(&api_url, &[json!([]), json!([])]);
    assert_eq!((position.bought, position.sold), (Lots(LOTS + 100), Lots(LOTS)));
    assert_eq!(position.realised_atoms, LOTS as i128 * 60, "sold at +30, bought back at -30, one atom a lot and tick");
    assert_eq!(position.fees_atoms, 0, "makers pay nothing in the demo's markets");
    assert!(hifi.stop().success());
}
