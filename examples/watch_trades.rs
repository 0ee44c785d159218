//! Prints the trades of a running `hifi up` as they happen, and resumes where it stopped when the connection breaks.
//!
//! `cargo run --release --example watch_trades -- ws://127.0.0.1:8080/v1/ws`

use anyhow::Result;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::{connect_async, tungstenite::Message};

#[tokio::main]
async fn main() -> Result<()> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "ws://127.0.0.1:8080/v1/ws".into());
    let mut last: Option<u64> = None;
    loop {
        if let Err(error) = watch(&url, &mut last).await {
            eprintln!("{error:#}; connecting again");
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    }
}

/// One connection; `last` is the sequence number seen last, from which the next one goes on.
async fn watch(url: &str, last: &mut Option<u64>) -> Result<()> {
    let (mut socket, _) = connect_async(url).await?;
    let mut wish = json!({"op": "sub", "id": 1, "channel": "trades"});
    if let Some(seq) = last {
        wish["from"] = json!(*seq + 1);
    }
    socket.send(Message::text(wish.to_string())).await?;
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message? else { continue };
        let message: Value = serde_json::from_str(&text)?;
        if message["op"] == "error" {
            // The gap is too old to be replayed from memory: go on with what is live.
            eprintln!("{}", message["message"]);
            continue;
        }
        for trade in message["data"].as_array().into_iter().flatten() {
            println!(
                "market {} trade {}: {} {} lots at {} ticks, block {}",
                trade["market"], trade["trade"], trade["taker_side"], trade["lots"], trade["ticks"], message["block"]
            );
        }
        if let Some(seq) = message["seq"].as_u64() {
            *last = Some(seq);
        }
    }
    anyhow::bail!("the api closed the connection")
}
