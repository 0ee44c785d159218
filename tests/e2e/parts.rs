//! The parts as processes of their own: a node, and an api with its indexer that follows the node's block stream.

use crate::harness::{Process, folder};
use alloy_primitives::U256;
use hifi::client::Rpc;
use hifi::sender::{funding, send_and_wait};
use hifi::{genesis, markets::LISTINGS};
use orderbook::{AccountId, Command, Lots, MarketId, Mode, Side, Ticks, TimeInForce, abi};
use std::time::{Duration, Instant};

#[test]
fn an_api_follows_a_node_in_another_process_and_goes_on_after_the_node_was_away() {
    let (node_dir, api_dir) = (folder(), folder());
    let any = "127.0.0.1:0";
    let node = Process::start(&["node", "--rpc-addr", any, "--stream-addr", any, "--data-dir", node_dir.path().to_str().expect("utf-8")]);
    let (rpc_url, stream_url) = (node.address("http://"), node.address("blocks at ws://"));
    let api = Process::start(&[
        "api",
        "--node",
        &stream_url,
        "--rpc",
        &rpc_url,
        "--api-addr",
        any,
        "--data-dir",
        api_dir.path().to_str().expect("utf-8"),
    ]);
    let api_url = api.address("http://");

    let runtime = crate::harness::runtime();
    let rpc = Rpc::new(&rpc_url).expect("its URL");
    let mut alice = genesis::dev_trader(1, 4434);
    let mut raws = vec![alice.sign(genesis::EXCHANGE, U256::ZERO, 1_000_000, abi::calldata(&LISTINGS[0].command())).0];
    raws.extend(funding(&mut alice, LISTINGS[0].quote_token(), 10u128.pow(20)));
    raws.push(bid(&mut alice, 100));
    let block = runtime.block_on(send_and_wait(&rpc, &raws)).expect("placed");
    assert_eq!(best_bid(&api_url, block), "0.01000000");

    // The node goes away and comes back on the same ports; the api goes on from its cursor.
    let ports = [rpc_url.replace("http://", ""), stream_url.replace("ws://", "")];
    assert!(node.stop().success());
    let node = Process::start(&[
        "node",
        "--rpc-addr",
        &ports[0],
        "--stream-addr",
        &ports[1],
        "--data-dir",
        node_dir.path().to_str().expect("utf-8"),
    ]);
    let raw = bid(&mut alice, 50);
    let block = runtime.block_on(send_and_wait(&rpc, &[raw])).expect("placed");
    assert_eq!(best_bid(&api_url, block), "0.01500000");
    assert!(api.stop().success());
    assert!(node.stop().success());
}

fn bid(trader: &mut hifi::trader::Trader, lots: u64) -> alloy_primitives::Bytes {
    let command = Command::Place {
        account: AccountId(0),
        market: MarketId(1),
        mode: Mode::new(Side::Bid, TimeInForce::PostOnly),
        ticks: Ticks(300_000),
        lots: Lots(lots),
        expiry_s: 0,
        client: 0,
        steps_max: 0,
    };
    trader.sign(genesis::EXCHANGE, U256::ZERO, 1_000_000, abi::calldata(&command)).0
}

/// The size of the best bid once the api has seen `block`; the api waits for it up to two seconds a question.
fn best_bid(api_url: &str, block: u64) -> String {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let depth = crate::harness::get(api_url, &format!("/api/v3/depth?symbol=ETHUSDC&limit=5&min_block={block}"));
        if let Some(lots) = depth["bids"][0][1].as_str() {
            return lots.to_owned();
        }
        assert!(Instant::now() < deadline, "the api does not see block {block}: {depth}");
    }
}
