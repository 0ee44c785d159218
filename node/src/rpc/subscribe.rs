//! `eth_subscribe`: new heads, logs, pending transactions over WebSocket.
//! A subscriber owns its cursor into the block log; one that does not read is closed once its messages fill their queue, and nobody
//! waits for it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use alloy_rpc_types_eth::Filter;
use alloy_rpc_types_eth::pubsub::SubscriptionKind;
use jsonrpsee::core::SubscriptionError;
use jsonrpsee::server::{IdProvider, PendingSubscriptionSink, SubscriptionSink, TrySendError};
use jsonrpsee::types::{ErrorObjectOwned, Params, SubscriptionId};
use jsonrpsee::{Extensions, RpcModule};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::broadcast::error::RecvError;

use super::read::{next, optional};
use super::server::Peer;
use super::{Context, RpcError, convert, logs};
use crate::publish::{Block, Next};

pub(super) fn register(module: &mut RpcModule<Context>) {
    module.register_subscription("eth_subscribe", "eth_subscription", "eth_unsubscribe", subscribe).expect("method names are unique");
}

/// Subscription ids as Ethereum nodes make them: 16 bytes of hex, not guessable from one another.
#[derive(Debug, Default)]
pub(super) struct HexIds {
    seed: foldhash::fast::RandomState,
    next: std::sync::atomic::AtomicU64,
}

impl IdProvider for HexIds {
    fn next_id(&self) -> SubscriptionId<'static> {
        use std::hash::BuildHasher;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id = format!("0x{:016x}{:016x}", self.seed.hash_one(number), self.seed.hash_one((number, "low")));
        SubscriptionId::Str(id.into())
    }
}

/// What a subscriber asked for.
enum Wish {
    Heads,
    Logs(Box<Filter>),
    Pending { full: bool },
}

async fn subscribe(
    params: Params<'static>,
    pending: PendingSubscriptionSink,
    context: Arc<Context>,
    extensions: Extensions,
) -> Result<(), SubscriptionError> {
    let wish = match wish(&params, &context) {
        Ok(wish) => wish,
        Err(error) => {
            pending.reject(ErrorObjectOwned::from(error)).await;
            return Ok(());
        }
    };
    let limit = context.limits.subscriptions;
    let taken = context.subscriptions.fetch_add(1, Ordering::Relaxed);
    let _leave = Leave(Arc::clone(&context));
    if taken >= limit {
        let error = RpcError::Limit { what: "too many subscriptions".into(), limit: limit as u64, value: taken as u64 + 1 };
        pending.reject(ErrorObjectOwned::from(error)).await;
        return Ok(());
    }
    let sink = pending.accept().await?;
    let kept_up = match wish {
        Wish::Heads => blocks(&context, sink, |block, out| out.push(raw(&convert::header(block)))).await,
        Wish::Logs(filter) => {
            let send = move |block: &Block, out: &mut Vec<Box<RawValue>>| {
                let mut found = Vec::new();
                logs::matching(block, &filter, &mut found);
                out.extend(found.iter().map(raw));
            };
            blocks(&context, sink, send).await
        }
        Wish::Pending { full } => transactions(&context, sink, full).await,
    };
    if !kept_up && let Some(peer) = extensions.get::<Peer>() {
        peer.cut();
    }
    Ok(())
}

struct Leave(Arc<Context>);

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.subscriptions.fetch_sub(1, Ordering::Relaxed);
    }
}

fn wish(params: &Params<'_>, context: &Context) -> Result<Wish, RpcError> {
    let mut sequence = params.sequence();
    match next(&mut sequence)? {
        SubscriptionKind::NewHeads => Ok(Wish::Heads),
        SubscriptionKind::Logs => {
            let filter: Filter = optional(&mut sequence)?.unwrap_or_default();
            logs::check(context, &filter)?;
            Ok(Wish::Logs(Box::new(filter)))
        }
        SubscriptionKind::NewPendingTransactions => Ok(Wish::Pending { full: optional(&mut sequence)?.unwrap_or(false) }),
        _ => Err(RpcError::Params("unknown subscription: newHeads, logs or newPendingTransactions".into())),
    }
}

fn raw<T: Serialize>(value: &T) -> Box<RawValue> {
    to_raw_value(value).expect("types of Ethereum's JSON-RPC always serialise")
}

/// Follows the log from the head on; false if the reader did not keep up.
async fn blocks(context: &Context, mut sink: SubscriptionSink, mut send: impl FnMut(&Block, &mut Vec<Box<RawValue>>)) -> bool {
    let log = &context.parts.log;
    let mut cursor = log.head();
    let mut out = Vec::new();
    loop {
        let found = tokio::select! {
            found = log.next(cursor) => found,
            () = sink.closed() => return true,
        };
        let block = match found {
            Ok(Next::Block(block)) => block,
            // The ring holds over a minute of blocks at full load: whoever is that late is gone.
            Ok(Next::Lagged(_)) | Err(_) => return false,
        };
        cursor = block.cursor();
        send(&block, &mut out);
        for message in out.drain(..) {
            match sink.try_send(message) {
                Ok(()) => {}
                Err(TrySendError::Closed(_)) => return true,
                Err(TrySendError::Full(_)) => return false,
            }
        }
    }
}

async fn transactions(context: &Context, mut sink: SubscriptionSink, full: bool) -> bool {
    let mut pending = context.parts.ingress.pending();
    loop {
        let batch = tokio::select! {
            batch = pending.recv() => batch,
            () = sink.closed() => return true,
        };
        let txs = match batch {
            Ok(txs) => txs,
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return true,
        };
        for tx in txs.iter() {
            let message = if full { raw(&convert::pending(tx)) } else { raw(&tx.hash) };
            match sink.try_send(message) {
                Ok(()) => {}
                Err(TrySendError::Closed(_)) => return true,
                Err(TrySendError::Full(_)) => return false,
            }
        }
    }
}
