//! A newcomer's day: the program starts, an order is placed and taken, everybody tells the same story, the second start goes on.

use crate::harness::{Up, folder, run, runtime, text};
use alloy_primitives::U256;
use hifi::sender::{funding, send_and_wait};
use hifi::trader::Trader;
use hifi::{genesis, markets::LISTINGS};
use orderbook::{AccountId, Command, Lots, MarketId, Mode, Side, Ticks, TimeInForce, abi};

fn place(trader: &mut Trader, side: Side, tif: TimeInForce, ticks: u32, lots: u64) -> alloy_primitives::Bytes {
    let command = Command::Place {
        account: AccountId(0),
        market: MarketId(1),
        mode: Mode::new(side, tif),
        ticks: Ticks(ticks),
        lots: Lots(lots),
        expiry_s: 0,
        client: 0,
        steps_max: 0,
    };
    trader.sign(genesis::EXCHANGE, U256::ZERO, 1_000_000, abi::calldata(&command)).0
}

#[test]
fn an_order_is_placed_taken_seen_everywhere_and_survives_a_restart() {
    let dir = folder();
    let up = Up::start(dir.path(), &["--no-demo"]);
    let runtime = runtime();
    let (mut alice, mut bob) = (genesis::dev_trader(1, 4434), genesis::dev_trader(2, 4434));
    let atoms = 10u128.pow(24);
    let mut raws = Vec::new();
    for trader in [&mut alice, &mut bob] {
        raws.extend(funding(trader, LISTINGS[0].base_token(), atoms));
        raws.extend(funding(trader, LISTINGS[0].quote_token(), atoms));
    }
    raws.push(place(&mut alice, Side::Ask, TimeInForce::Gtc, 300_100, 7_000));
    raws.push(place(&mut bob, Side::Bid, TimeInForce::Ioc, 300_200, 5_000));
    let rpc = up.rpc();
    let block = runtime.block_on(send_and_wait(&rpc, &raws)).expect("all succeed");

    let depth = up.get(&format!("/api/v3/depth?symbol=ETHUSDC&limit=5&min_block={block}"));
    assert_eq!(depth["asks"], serde_json::json!([["3001.00000000", "0.20000000"]]));
    let trades = up.get(&format!("/api/v3/trades?symbol=ETHUSDC&min_block={block}"));
    assert_eq!(trades[0]["price"], "3001.00000000");
    assert_eq!(trades[0]["qty"], "0.50000000");
    assert_eq!(trades[0]["isBuyerMaker"], false);
    let markets = up.get("/v1/markets");
    assert_eq!(markets["data"].as_array().map(Vec::len), Some(4), "{markets}");

    assert!(up.stop().success());
    let up = Up::start(dir.path(), &["--no-demo"]);
    let again = up.get("/api/v3/depth?symbol=ETHUSDC&limit=5");
    assert_eq!(again, depth, "a restart changes nothing");
    let head = runtime.block_on(up.rpc().block_number()).expect("a head");
    assert!(head >= block);
    assert_eq!(up.sql("select count(*), sum(lots) from fills"), "1|5000");
    up.stop();

    let verified = run(&["node", "verify", "--data-dir", dir.path().to_str().expect("utf-8")]);
    assert!(verified.status.success(), "{}", text(&verified));
}

#[test]
fn a_port_in_use_is_one_clear_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let dir = folder();
    let output =
        run(&["up", "--no-demo", "--api-addr", "127.0.0.1:0", "--rpc-addr", &address, "--data-dir", dir.path().to_str().expect("utf-8")]);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&address) && said.contains("use"), "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("hifi:")).count(), 1, "{said}");
}

#[test]
fn bad_flags_and_a_missing_tape_are_clear_errors() {
    let output = run(&["up", "--rpc-addr", "nowhere"]);
    assert_eq!(output.status.code(), Some(2));
    let output = run(&["replay", "/nonexistent.csv"]);
    assert!(!output.status.success());
    assert!(text(&output).contains("cannot read the tape /nonexistent.csv"), "{}", text(&output));
    let output = run(&["up", "--data-dir", "/proc/none"]);
    assert!(!output.status.success());
    assert!(text(&output).contains("cannot make the data directory"), "{}", text(&output));
}
