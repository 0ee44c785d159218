//! The api over an exchange in memory, one block each 100 ms: something to point a client at without a node or Postgres.
//! `cargo run -p api --example live_market [port]`. Never used by `hifi`.

#[path = "../tests/it/exchange.rs"]
#[allow(dead_code)]
mod exchange;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::args().nth(1).map_or(Ok(8080), |port| port.parse())?;
    let now_ms = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    let history = 1_000;
    let mut exchange = exchange::Exchange::new(exchange::seed(1), now_ms() - (history + 1) * 100);
    for _ in 0..history {
        exchange.step(20, 100);
    }
    let config = api::Config::new(([127, 0, 0, 1], port).into(), "http://127.0.0.1:8545", 4434, exchange::EXCHANGE);
    let api = api::start(config, exchange.feed.clone(), None).await?;
    println!("http://{}", api.addr);
    let mut beat = tokio::time::interval(Duration::from_millis(100));
    loop {
        tokio::select! {
            _ = beat.tick() => {
                // A block's time rises strictly and is close to the clock.
                exchange.time_ms = exchange.time_ms.max(now_ms() - 100);
                exchange.step(20, 100);
            }
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    api.stop().await;
    Ok(())
}
