//! Transactions in: `eth_sendRawTransaction` and `eth_sendRawTransactionSync`.
//! An error is sent only when nothing was accepted; a resent transaction that is in the pool or in a block is answered with its hash.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use alloy_primitives::{B256, Bytes, hex};
use jsonrpsee::RpcModule;
use jsonrpsee::types::Params;

use super::convert::{self, Receipt};
use super::{Context, RpcError, async_methods};
use crate::mempool::PoolError;
use crate::mempool::ingress::SubmitError;
use crate::tx::TX_BYTES_MAX;

/// The hot method, served by the layer in `limits` before the method table.
pub(super) const METHOD: &str = "eth_sendRawTransaction";

pub(super) fn register(module: &mut RpcModule<Context>) {
    async_methods!(module, "eth_sendRawTransaction" => send, "eth_sendRawTransactionSync" => send_sync);
}

/// For callers that reach the method table directly; the layer in front answers first.
async fn send(params: Params<'static>, context: Arc<Context>) -> Result<B256, RpcError> {
    let mut answers = batch(&context, &[params.as_str()]).await;
    answers.pop().expect("one answer a call")
}

/// Submits every call of a batch in order; the parameters are raw JSON.
pub(super) async fn batch(context: &Context, params: &[Option<&str>]) -> Vec<Result<B256, RpcError>> {
    let parsed: Vec<Result<Bytes, RpcError>> = params.iter().map(|params| raw(*params)).collect();
    let raws: Vec<Bytes> = parsed.iter().filter_map(|raw| raw.as_ref().ok().cloned()).collect();
    let mut results = if raws.is_empty() { Vec::new() } else { context.parts.ingress.submit(raws).await }.into_iter();
    let mut next = || results.next().unwrap_or(Err(SubmitError::Stopped)).map_err(RpcError::from);
    parsed.into_iter().map(|raw| raw.and_then(|_| next())).collect()
}

fn raw(params: Option<&str>) -> Result<Bytes, RpcError> {
    let wrong = |what: &str| RpcError::Params(format!("invalid params: {what}"));
    // Borrowed: a valid hex string has no escapes.
    let [text]: [&str; 1] = serde_json::from_str(params.unwrap_or("[]")).map_err(|_| wrong("expected one hex string"))?;
    bytes(text)
}

fn bytes(text: &str) -> Result<Bytes, RpcError> {
    let wrong = |what: &str| RpcError::Params(format!("invalid params: {what}"));
    let digits = text.strip_prefix("0x").ok_or_else(|| wrong("hex string without 0x prefix"))?;
    if digits.len() > 2 * TX_BYTES_MAX + 2 {
        return Err(wrong("oversized data"));
    }
    hex::decode(digits).map(Bytes::from).map_err(|error| wrong(&error.to_string()))
}

/// EIP-7966: answers with the receipt once the block is published, at the latest after the timeout (milliseconds).
async fn send_sync(params: Params<'static>, context: Arc<Context>) -> Result<Receipt, RpcError> {
    let mut sequence = params.sequence();
    let text: String = sequence.next().map_err(|error| RpcError::Params(error.message().to_owned()))?;
    let timeout: Option<convert::Millis> = sequence.optional_next().map_err(|error| RpcError::Params(error.message().to_owned()))?;
    let raw = bytes(&text)?;
    let limits = &context.limits;
    let wait = timeout.map_or(limits.sync_wait, |timeout| Duration::from_millis(timeout.0)).min(limits.sync_wait_max);
    let waiting = context.sync_waiters.fetch_add(1, Ordering::Relaxed);
    let _leave = Leave(&context);
    if waiting >= limits.sync_waiters {
        let limit = limits.sync_waiters as u64;
        return Err(RpcError::Limit { what: "too many callers wait for their transaction".into(), limit, value: limit + 1 });
    }
    let mut head = context.parts.log.watch();
    let hash = context.parts.ingress.submit_ready(raw).await.map_err(not_ready)?;
    let published = async {
        loop {
            head.borrow_and_update();
            if let Some((block, index)) = context.parts.log.tx(&hash)? {
                return Ok(convert::receipt(&block, index));
            }
            head.changed().await.map_err(|_| RpcError::Refused("the node is shutting down".into()))?;
        }
    };
    tokio::time::timeout(wait, published).await.unwrap_or(Err(RpcError::SyncTimeout(hash)))
}

/// A nonce gap or missing funds: not accepted, and what must come first.
fn not_ready(error: SubmitError) -> RpcError {
    match &error {
        SubmitError::Pool(PoolError::NonceTooHigh { expected, .. }) => {
            RpcError::SyncNotReady { expected: *expected, text: error.to_string() }
        }
        _ => error.into(),
    }
}

struct Leave<'a>(&'a Context);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.sync_waiters.fetch_sub(1, Ordering::Relaxed);
    }
}
