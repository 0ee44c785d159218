//! Sends prepared transactions over JSON-RPC and waits until they are in blocks: for funding and setting up, not for trading.

use crate::client::Rpc;
use crate::genesis;
use crate::trader::Trader;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::SolCall;
use anyhow::{Context, Result, bail};
use orderbook::{AccountId, Command, abi};
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// Transactions in one JSON-RPC batch, and how long a batch may take to be in blocks.
const BATCH: usize = 200;
const WAIT: Duration = Duration::from_secs(30);

/// Sends in order, batch after batch, and waits until each is in a block and succeeded. Returns the block of the last one.
pub async fn send_and_wait(rpc: &Rpc, raws: &[Bytes]) -> Result<u64> {
    let mut block = rpc.block_number().await?;
    for batch in raws.chunks(BATCH) {
        let mut waiting: HashSet<B256> = batch.iter().map(keccak256).collect();
        for answer in rpc.send_raw(batch).await? {
            answer.context("the pool refused a transaction")?;
        }
        let deadline = Instant::now() + WAIT;
        while !waiting.is_empty() {
            if block == rpc.block_number().await? {
                if Instant::now() > deadline {
                    bail!("{} transactions are in no block after {} s: does the node make blocks?", waiting.len(), WAIT.as_secs());
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            }
            block += 1;
            for (hash, ok) in rpc.statuses(block).await? {
                if waiting.remove(&hash) && !ok {
                    bail!("transaction {hash} failed in block {block}");
                }
            }
        }
    }
    Ok(block)
}

/// Mint, approve and deposit of one demo token, as three signed transactions.
pub fn funding(trader: &mut Trader, token: Address, atoms: u128) -> Vec<Bytes> {
    let atoms = U256::from(atoms);
    let deposit = Command::Deposit { account: AccountId(0), token, atoms, settle: Vec::new() };
    let calls = [
        (token, genesis::Token::mintCall { to: trader.address, atoms }.abi_encode()),
        (token, genesis::Token::approveCall { spender: genesis::EXCHANGE, atoms }.abi_encode()),
        (genesis::EXCHANGE, abi::calldata(&deposit)),
    ];
    calls.into_iter().map(|(to, input)| trader.sign(to, U256::ZERO, 400_000, input).0).collect()
}
