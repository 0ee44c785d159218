//! Five hours of real order flow through the chain give exactly the fills and the book of an independent matcher,
//! and afterwards REST, Postgres and the feed tell the same story.

use crate::harness::{Up, folder, run, tape, text};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use std::time::Duration;
use tokio_tungstenite::{connect_async, tungstenite::Message};

/// How long the feed may be silent before the test says that trades are missing.
const SILENCE: Duration = Duration::from_secs(120);

fn summary(tape: &std::path::Path) -> Value {
    let path = tape.with_extension("summary.json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("the tape's summary")).expect("JSON")
}

/// Reads the native trades feed until it has told `count` trades; each as the reference writes it, "ticks,lots".
async fn feed(url: String, count: usize, subscribed: tokio::sync::oneshot::Sender<()>) -> Vec<String> {
    let (mut socket, _) = connect_async(&url).await.expect("the api's websocket");
    socket.send(Message::text(r#"{"op":"sub","id":1,"channel":"trades"}"#)).await.expect("sent");
    let mut subscribed = Some(subscribed);
    let mut trades = Vec::new();
    while trades.len() < count {
        let message = tokio::time::timeout(SILENCE, socket.next()).await;
        let message = message.unwrap_or_else(|_| panic!("the feed is silent after {} of {count} trades", trades.len()));
        let Message::Text(message) = message.expect("an open feed").expect("a frame") else { continue };
        let message: Value = serde_json::from_str(&message).expect("JSON");
        assert_ne!(message["op"], "error", "{message}");
        if let Some(subscribed) = subscribed.take() {
            subscribed.send(()).expect("the test waits");
        }
        let told = message["data"].as_array().into_iter().flatten();
        trades.extend(
            told.map(|trade| format!("{},{}", trade["ticks"], trade["lots"].as_str().map_or(trade["lots"].to_string(), Into::into))),
        );
    }
    trades
}

#[test]
fn the_tape_gives_the_reference_fills_and_everybody_agrees() {
    let Some(tape) = tape() else { return };
    let expected = summary(&tape);
    let dir = folder();
    let path = dir.path().to_str().expect("utf-8");
    let up = Up::start(dir.path(), &["--no-demo"]);
    let fills_file = dir.path().join("fills.csv");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let (subscribed, ready) = tokio::sync::oneshot::channel();
    let count = expected["fills"].as_u64().expect("a number") as usize;
    let listening = runtime.spawn(feed(up.api_url.replacen("http", "ws", 1) + "/v1/ws", count, subscribed));
    runtime.block_on(ready).expect("the feed answers");
    let output =
        run(&["replay", tape.to_str().expect("utf-8"), "--json", "--rpc", &up.rpc_url, "--fills", fills_file.to_str().expect("utf-8")]);
    assert!(output.status.success(), "{}", text(&output));
    let report: Value = serde_json::from_str(String::from_utf8_lossy(&output.stdout).lines().last().expect("a line")).expect("JSON");
    assert_eq!(report["fills_sha256"], expected["fills_sha256"]);
    assert_eq!(report["book_sha256"], expected["book_sha256"]);
    assert_eq!(report["final_orders"], expected["final_orders"]);
    assert_eq!(report["fills"], expected["fills"]);

    let depth = up.get("/api/v3/depth?symbol=XBTUSD&limit=5000");
    let price = |ticks: &Value| format!("{:.8}", ticks.as_f64().expect("a number") / 100.0);
    assert_eq!(depth["bids"][0][0], price(&expected["best_bid"]));
    assert_eq!(depth["asks"][0][0], price(&expected["best_ask"]));

    let csv = std::fs::read_to_string(&fills_file).expect("the fills");
    let told = runtime.block_on(listening).expect("the feed is read to the end");
    let reference: Vec<String> = csv.lines().skip(1).map(|line| line.split(',').skip(2).collect::<Vec<_>>().join(",")).collect();
    assert_eq!(told, reference, "the feed tells the reference's fills in its order");
    let last = csv.lines().last().expect("a fill").split(',').collect::<Vec<_>>();
    let trades = up.get("/api/v3/trades?symbol=XBTUSD&limit=1000");
    assert_eq!(trades.as_array().map(Vec::len), expected["fills"].as_u64().map(|n| n as usize));
    let newest = &trades.as_array().expect("a list")[trades.as_array().expect("a list").len() - 1];
    assert_eq!(newest["price"], format!("{:.8}", last[2].parse::<f64>().expect("ticks") / 100.0));
    assert_eq!(newest["qty"], format!("{:.8}", last[3].parse::<f64>().expect("lots") / 1e8));

    let compared = run(&["index", "verify", "--data-dir", path, "--node", &up.stream_url]);
    assert!(compared.status.success(), "{}", text(&compared));
    let market = report["market"].as_u64().expect("a number");
    assert_eq!(
        up.sql(&format!("select count(*), sum(lots) from fills where market = {market}")),
        format!("{}|{}", expected["fills"], expected["fill_qty"])
    );

    up.sql(&format!("update fills set lots = lots + 1 where market = {market} and trade = 100"));
    let compared = run(&["index", "verify", "--data-dir", path, "--node", &up.stream_url]);
    assert_eq!(compared.status.code(), Some(1), "a planted change is found: {}", text(&compared));
    assert!(text(&compared).contains("fills"), "{}", text(&compared));
    up.stop();
}

#[test]
fn the_tape_in_batches_of_ten_gives_the_same_hashes() {
    let Some(tape) = tape() else { return };
    let expected = summary(&tape);
    let output = run(&["replay", tape.to_str().expect("utf-8"), "--json", "--batch", "10"]);
    assert!(output.status.success(), "{}", text(&output));
    let report: Value = serde_json::from_str(String::from_utf8_lossy(&output.stdout).lines().last().expect("a line")).expect("JSON");
    for fact in ["fills_sha256", "book_sha256", "final_orders", "fills"] {
        assert_eq!(report[fact], expected[fact], "{fact}");
    }
    let (ops, txs, skipped) = (report["ops"].as_u64(), report["txs"].as_u64(), report["skipped"].as_u64());
    let carried = ops.expect("ops") - skipped.expect("skipped");
    assert!(txs.expect("txs") * 9 < carried, "{txs:?} transactions for {carried} operations are no batches of ten");
}

#[test]
fn a_batch_of_no_size_is_a_clear_error() {
    let Some(tape) = tape() else { return };
    for size in ["0", "65"] {
        let output = run(&["replay", tape.to_str().expect("utf-8"), "--batch", size]);
        assert!(!output.status.success());
        assert!(text(&output).contains(&format!("--batch {size}: expected 1 ..= 64")), "{}", text(&output));
    }
}
