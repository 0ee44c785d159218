//! Our own methods: `hifi_stats`, and in development `hifi_faucet`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_consensus::TxEip1559;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, TxKind, U256};
use jsonrpsee::RpcModule;
use jsonrpsee::types::Params;
use serde_json::{Value, json};

use super::read::next;
use super::{Context, RpcError, async_methods, methods};
use crate::genesis::dev_accounts;
use crate::tx;

/// What the faucet gives: 10 ether in wei.
const GIFT: U256 = U256::from_limbs([10_000_000_000_000_000_000, 0, 0, 0]);
/// An address is served once in this time, and this many addresses a second in all.
const ONCE_PER: Duration = Duration::from_secs(60);
const PER_SECOND: usize = 10;
/// The development account that pays.
const PAYER: usize = 19;

pub(super) fn register(module: &mut RpcModule<Context>) {
    methods!(module, "hifi_stats" => stats);
    async_methods!(module, "hifi_faucet" => faucet);
}

fn stats(_: Params<'_>, context: &Context) -> Value {
    json!(context.parts.stats())
}

/// Gives test ether by ordinary signed transactions.
pub(crate) struct Faucet {
    chain_id: u64,
    payer: Address,
    key: B256,
    /// Held across one submission, so that nonces follow each other.
    served: tokio::sync::Mutex<HashMap<Address, Instant>>,
}

impl Faucet {
    pub fn new(chain_id: u64) -> Self {
        let (payer, key) = dev_accounts(PAYER + 1)[PAYER];
        Self { chain_id, payer, key, served: tokio::sync::Mutex::default() }
    }
}

async fn faucet(params: Params<'static>, context: Arc<Context>) -> Result<B256, RpcError> {
    let to: Address = next(&mut params.sequence())?;
    let Some(faucet) = &context.faucet else {
        return Err(RpcError::Rejected("the faucet is open on development chains only".into()));
    };
    let mut served = faucet.served.lock().await;
    let now = Instant::now();
    served.retain(|_, at| now.duration_since(*at) < ONCE_PER);
    if let Some(at) = served.get(&to) {
        let left = ONCE_PER.saturating_sub(now.duration_since(*at)).as_secs();
        let what = format!("the faucet serves an address once a minute, try again in {left} s");
        return Err(RpcError::Limit { what, limit: 1, value: 2 });
    }
    let second = served.values().filter(|at| now.duration_since(**at) < Duration::from_secs(1)).count();
    if second >= PER_SECOND {
        let what = "the faucet is busy, try again in a second".into();
        return Err(RpcError::Limit { what, limit: PER_SECOND as u64, value: second as u64 + 1 });
    }
    let parts = &context.parts;
    let nonce = parts.state.account(&faucet.payer).map_or(0, |account| account.nonce);
    let gift = TxEip1559 {
        chain_id: faucet.chain_id,
        nonce: parts.pool.pending_nonce(&faucet.payer, nonce),
        gas_limit: 100_000,
        max_fee_per_gas: u128::from(context.rules.base_fee_floor.max(1_000_000)) * 1_000,
        max_priority_fee_per_gas: 0,
        to: TxKind::Call(to),
        value: GIFT,
        ..Default::default()
    };
    let signed = tx::sign(gift.into(), &faucet.key)?;
    let mut results = parts.ingress.submit(vec![signed.encoded_2718().into()]).await;
    let hash = results.pop().expect("one answer a transaction")?;
    served.insert(to, now);
    Ok(hash)
}

impl From<tx::TxError> for RpcError {
    fn from(error: tx::TxError) -> Self {
        crate::mempool::ingress::SubmitError::from(error).into()
    }
}
