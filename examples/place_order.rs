//! Places one post-only order on a running `hifi up`, shows it in the book, and cancels it.
//!
//! `cargo run --release --example place_order -- http://127.0.0.1:8545`

use alloy_primitives::U256;
use anyhow::{Context, Result};
use hifi::client::Rpc;
use hifi::genesis::{self, EXCHANGE};
use hifi::markets::LISTINGS;
use hifi::sender::{funding, send_and_wait};
use orderbook::{AccountId, Command, Event, Lots, MarketId, Mode, Side, Ticks, TimeInForce, abi};

#[tokio::main]
async fn main() -> Result<()> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:8545".into());
    let rpc = Rpc::new(&url)?;

    // A dev account: its key is public, its money worth nothing.
    let mut trader = genesis::dev_trader(5, rpc.chain_id().await?);
    trader.nonce = rpc.nonce(trader.address).await?;

    // Tokens into the exchange: mint, approve, deposit. The first deposit registers the account.
    let quote = LISTINGS[0].quote_token();
    send_and_wait(&rpc, &funding(&mut trader, quote, 1_000_000_000)).await?;

    // 0.01 ETH at 1,000.00 USDC: prices are ticks of 0.01 USDC, sizes lots of 0.0001 ETH.
    let place = Command::Place {
        account: AccountId(0),
        market: MarketId(1),
        mode: Mode::new(Side::Bid, TimeInForce::PostOnly),
        ticks: Ticks(100_000),
        lots: Lots(100),
        expiry_s: 0,
        client: 1,
        steps_max: 0,
    };
    let (raw, hash) = trader.sign(EXCHANGE, U256::ZERO, 300_000, abi::calldata(&place));
    let block = send_and_wait(&rpc, &[raw]).await?;

    // What happened is in the logs of the block.
    let mut placed = None;
    for log in rpc.logs(block, EXCHANGE).await?.iter().filter(|log| log.transaction_hash == hash) {
        if let Event::Placed { order, lots, .. } = abi::decode_log(&log.topics, &log.data)? {
            println!("block {block}: order {order} rests with {lots} lots");
            placed = Some(order);
        }
    }

    let order = placed.context("the order did not rest")?;
    let cancel = Command::Cancel { account: AccountId(0), order };
    let (raw, _) = trader.sign(EXCHANGE, U256::ZERO, 300_000, abi::calldata(&cancel));
    let block = send_and_wait(&rpc, &[raw]).await?;
    println!("block {block}: cancelled");
    Ok(())
}
