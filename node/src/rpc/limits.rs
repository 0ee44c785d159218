//! Every bound of JSON-RPC, and the layer in front of the method table that keeps those a method cannot keep itself.
//! The layer also takes `eth_sendRawTransaction` out of the stream, single or in batches: the one hot path of the surface parses a
//! hex string, queues bytes and formats a hash, with no JSON tree between.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use jsonrpsee::MethodResponse;
use jsonrpsee::core::middleware::{Batch, BatchEntry, Notification, Request, RpcServiceT};
use jsonrpsee::server::middleware::rpc::RpcService;
use jsonrpsee::types::{ErrorObject, Id};
use serde_json::value::RawValue;

use super::{Context, RpcError, send};

/// Bounds of JSON-RPC. Each has a test: the limit passes, one more fails with a typed error.
#[derive(Clone, Copy, Debug)]
pub struct RpcLimits {
    /// Bytes of a request body or WebSocket message.
    pub body_bytes: u32,
    /// Bytes of a response.
    pub response_bytes: u32,
    /// Calls in a batch.
    pub batch_items: usize,
    /// Calls in a batch that holds nothing but `eth_sendRawTransaction`.
    pub batch_sends: usize,
    /// Nesting of JSON in parameters.
    pub depth: usize,
    /// Connections in all.
    pub connections: usize,
    /// WebSocket connections of one remote address.
    pub sockets_per_address: usize,
    /// Requests a second of one remote address (loopback exempt), and how many at once.
    pub requests_per_second: u32,
    pub requests_burst: u32,
    /// How long a connection may take to send a request head, or be idle.
    pub idle: Duration,
    /// Subscriptions of one connection, and of all.
    pub subscriptions_per_connection: u32,
    pub subscriptions: usize,
    /// Messages that wait for one WebSocket reader; one more closes its subscription.
    pub socket_messages: u32,
    /// Gas of a call or an estimate.
    pub call_gas: u64,
    /// Calls, estimates and log queries at work per core, how many more may wait, and how long.
    pub calls_per_core: usize,
    pub call_waiters: usize,
    pub call_wait: Duration,
    /// `eth_getLogs`: blocks, results, bytes scanned, addresses, alternatives per topic.
    pub logs_blocks: u64,
    pub logs_results: usize,
    pub logs_bytes: usize,
    pub logs_addresses: usize,
    pub logs_topics: usize,
    /// Blocks of `eth_feeHistory`.
    pub fee_history_blocks: u64,
    /// Callers of `eth_sendRawTransactionSync` that wait, default and longest wait.
    pub sync_waiters: usize,
    pub sync_wait: Duration,
    pub sync_wait_max: Duration,
}

impl Default for RpcLimits {
    fn default() -> Self {
        Self {
            body_bytes: 2 << 20,
            response_bytes: 25 << 20,
            batch_items: 100,
            batch_sends: 1_000,
            depth: 32,
            connections: 1_024,
            sockets_per_address: 64,
            requests_per_second: 2_000,
            requests_burst: 4_000,
            idle: Duration::from_secs(30),
            subscriptions_per_connection: 64,
            subscriptions: 4_096,
            socket_messages: 256,
            call_gas: 50_000_000,
            calls_per_core: 2,
            call_waiters: 64,
            call_wait: Duration::from_secs(1),
            logs_blocks: 5_000,
            logs_results: 20_000,
            logs_bytes: 64 << 20,
            logs_addresses: 1_000,
            logs_topics: 1_000,
            fee_history_blocks: 1_024,
            sync_waiters: 10_000,
            sync_wait: Duration::from_secs(2),
            sync_wait_max: Duration::from_secs(10),
        }
    }
}

/// Marks requests that came over a WebSocket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Upgraded;

/// What jsonrpsee answers when a response is over its limit, and what we answer instead.
const TOO_BIG: i32 = -32008;

/// The layer in front of the method table.
#[derive(Clone)]
pub(super) struct Gate {
    inner: RpcService,
    context: Arc<Context>,
}

impl Gate {
    pub fn new(inner: RpcService, context: Arc<Context>) -> Self {
        Self { inner, context }
    }
}

impl RpcServiceT for Gate {
    type MethodResponse = MethodResponse;
    type NotificationResponse = MethodResponse;
    type BatchResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let gate = self.clone();
        async move {
            let id = request.id.clone().into_owned();
            if let Some(error) = gate.refused(&request) {
                return MethodResponse::error(id, error);
            }
            if request.method == send::METHOD {
                let answers = send::batch(&gate.context, &[params(&request)]).await;
                return answers.into_iter().map(|answer| gate.answer(id.clone(), answer)).next().expect("one answer a call");
            }
            let response = gate.inner.call(request).await;
            gate.bounded(id, response)
        }
    }

    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let gate = self.clone();
        async move {
            let limits = &gate.context.limits;
            let sends = batch.iter().all(|entry| matches!(entry, Ok(BatchEntry::Call(call)) if call.method == send::METHOD));
            let limit = if sends { limits.batch_sends } else { limits.batch_items };
            if batch.len() > limit {
                let text = format!("batch too large: {} calls, limit {limit}", batch.len());
                return MethodResponse::error(Id::Null, ErrorObject::owned(-32600, text, None::<()>));
            }
            if sends { gate.sends(batch).await } else { gate.mixed(batch).await }
        }
    }

    fn notification<'a>(&self, notification: Notification<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        self.inner.notification(notification)
    }
}

impl Gate {
    /// A batch of nothing but sends: one job for the entrance, answers in order.
    async fn sends(&self, batch: Batch<'_>) -> MethodResponse {
        let calls: Vec<Request<'_>> = batch
            .into_iter()
            .filter_map(|entry| match entry {
                Ok(BatchEntry::Call(call)) => Some(call),
                _ => None,
            })
            .collect();
        let params: Vec<Option<&str>> = calls.iter().map(params).collect();
        let answers = send::batch(&self.context, &params).await;
        let mut response = jsonrpsee::core::server::BatchResponseBuilder::new_with_limit(self.context.limits.response_bytes as usize);
        for (call, answer) in calls.iter().zip(answers) {
            if let Err(error) = response.append(self.answer(call.id.clone(), answer)) {
                return self.bounded(Id::Null, error);
            }
        }
        MethodResponse::from_batch(response.finish())
    }

    async fn mixed(&self, batch: Batch<'_>) -> MethodResponse {
        let mut response = jsonrpsee::core::server::BatchResponseBuilder::new_with_limit(self.context.limits.response_bytes as usize);
        let mut notified = false;
        for entry in batch {
            let one = match entry {
                Ok(BatchEntry::Call(call)) => self.call(call).await,
                Ok(BatchEntry::Notification(_)) => {
                    notified = true;
                    continue;
                }
                Err(error) => {
                    let (error, id) = error.into_parts();
                    MethodResponse::error(id, error)
                }
            };
            if let Err(error) = response.append(one) {
                return self.bounded(Id::Null, error);
            }
        }
        if response.is_empty() && notified {
            return MethodResponse::notification();
        }
        MethodResponse::from_batch(response.finish())
    }

    fn answer(&self, id: Id<'_>, answer: Result<alloy_primitives::B256, RpcError>) -> MethodResponse {
        match answer {
            Ok(hash) => {
                let payload = jsonrpsee::ResponsePayload::success_borrowed(&hash);
                MethodResponse::response(id, payload, self.context.limits.response_bytes as usize)
            }
            Err(error) => MethodResponse::error(id, jsonrpsee::types::ErrorObjectOwned::from(error)),
        }
    }

    fn refused(&self, request: &Request<'_>) -> Option<ErrorObject<'static>> {
        let follows = matches!(&*request.method, "eth_subscribe" | "eth_unsubscribe");
        if follows && request.extensions.get::<Upgraded>().is_none() {
            return Some(ErrorObject::owned(-32601, "notifications not supported: subscribe over a websocket", None::<()>));
        }
        let depth = request.params.as_ref().map_or(0, |params| depth(params.get()));
        let limit = self.context.limits.depth;
        (depth > limit).then(|| ErrorObject::owned(-32700, format!("parse error: JSON nested deeper than {limit}"), None::<()>))
    }

    /// Turns the library's "response too big" into our limit code.
    fn bounded(&self, id: Id<'_>, response: MethodResponse) -> MethodResponse {
        if response.as_error_code() != Some(TOO_BIG) {
            return response;
        }
        let limit = u64::from(self.context.limits.response_bytes);
        let error = RpcError::Limit { what: "response too large: ask for less".into(), limit, value: limit + 1 };
        MethodResponse::error(id, jsonrpsee::types::ErrorObjectOwned::from(error))
    }
}

fn params<'a>(request: &'a Request<'_>) -> Option<&'a str> {
    request.params.as_ref().map(|params: &Cow<'_, RawValue>| params.get())
}

/// Nesting of a JSON text that is known to be valid.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut text, mut escaped) = (0usize, 0usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if text => escaped = true,
            b'"' => text = !text,
            b'[' | b'{' if !text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::depth;

    #[test]
    fn depth_ignores_brackets_in_text() {
        assert_eq!(depth("[]"), 1);
        assert_eq!(depth(r#"[{"a":"[[[","b":"\"[["}]"#), 2);
        assert_eq!(depth("3"), 0);
    }
}
