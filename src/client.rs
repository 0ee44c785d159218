//! A small JSON-RPC client over keep-alive HTTP: what the replay, the demo traders and the bench use to talk to a node as any bot would.
//! Batches raw transactions. Knows no market and keeps no state but the connection.

use alloy_primitives::{Address, B256, Bytes, U256, hex};
use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes as Body;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt::Write;

/// Most bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A node's JSON-RPC endpoint.
#[derive(Clone)]
pub struct Rpc {
    url: hyper::Uri,
    http: Client<HttpConnector, Full<Body>>,
}

/// An error object of the node.
#[derive(Clone, Debug, Deserialize, thiserror::Error)]
#[error("{message} ({code})")]
pub struct RpcError {
    pub code: i64,
    pub message: String,
    #[serde(default)]
    pub data: Option<Value>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    id: u64,
    #[serde(default)]
    result: Value,
    error: Option<RpcError>,
}

/// A log of `eth_getLogs`, with its place in the chain.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChainLog {
    pub topics: Vec<B256>,
    pub data: Bytes,
    pub block_number: alloy_primitives::U64,
    pub transaction_hash: B256,
    pub log_index: alloy_primitives::U64,
}

impl Rpc {
    /// `url` like `http://127.0.0.1:8545`; plain http only.
    pub fn new(url: &str) -> Result<Rpc> {
        let url: hyper::Uri = url.parse().with_context(|| format!("{url} is not a URL; expected http://HOST:PORT"))?;
        if url.scheme_str() != Some("http") {
            bail!("{url}: expected http://HOST:PORT");
        }
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let http = Client::builder(hyper_util::rt::TokioExecutor::new()).build(connector);
        Ok(Rpc { url, http })
    }

    /// One call; an error object becomes an `RpcError`.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value> {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let answer: Answer = serde_json::from_slice(&self.post(body).await?).with_context(|| format!("the answer to {method}"))?;
        match answer.error {
            Some(error) => Err(anyhow!(error).context(format!("{method} was refused"))),
            None => Ok(answer.result),
        }
    }

    /// Sends signed transactions as one batch, in order. Per transaction its hash, or why the pool refused it.
    pub async fn send_raw(&self, raws: &[Bytes]) -> Result<Vec<Result<B256, RpcError>>> {
        if raws.is_empty() {
            return Ok(Vec::new());
        }
        let mut body = String::with_capacity(raws.iter().map(|r| r.len() * 2 + 90).sum::<usize>() + 2);
        for (id, raw) in raws.iter().enumerate() {
            body.push(if id == 0 { '[' } else { ',' });
            write!(body, r#"{{"jsonrpc":"2.0","id":{id},"method":"eth_sendRawTransaction","params":["0x{}"]}}"#, hex::encode(raw))?;
        }
        body.push(']');
        let bytes = self.post(body).await?;
        let answers: Vec<Answer> = match serde_json::from_slice(&bytes) {
            Ok(answers) => answers,
            Err(_) => {
                let one: Answer = serde_json::from_slice(&bytes).context("the answer to a batch of transactions")?;
                bail!("the batch was refused: {}", one.error.map(|e| e.to_string()).unwrap_or_default());
            }
        };
        let mut results = vec![Err(RpcError { code: 0, message: "no answer".into(), data: None }); raws.len()];
        for answer in answers {
            let slot = results.get_mut(answer.id as usize).context("an answer to a call never made")?;
            *slot = match answer.error {
                Some(error) => Err(error),
                None => Ok(serde_json::from_value(answer.result)?),
            };
        }
        Ok(results)
    }

    pub async fn block_number(&self) -> Result<u64> {
        quantity(&self.call("eth_blockNumber", json!([])).await?)
    }

    pub async fn chain_id(&self) -> Result<u64> {
        quantity(&self.call("eth_chainId", json!([])).await?)
    }

    /// The next nonce, pool included.
    pub async fn nonce(&self, who: Address) -> Result<u64> {
        quantity(&self.call("eth_getTransactionCount", json!([who, "pending"])).await?)
    }

    pub async fn balance(&self, who: Address) -> Result<U256> {
        Ok(serde_json::from_value(self.call("eth_getBalance", json!([who, "latest"])).await?)?)
    }

    /// `eth_call` against the newest block.
    pub async fn view(&self, to: Address, data: &[u8]) -> Result<Bytes> {
        Ok(serde_json::from_value(self.call("eth_call", json!([{"to": to, "data": format!("0x{}", hex::encode(data))}, "latest"])).await?)?)
    }

    /// `eth_call` against the state after a block; the node keeps the newest 4,096.
    pub async fn view_at(&self, block: u64, to: Address, data: &[u8]) -> Result<Bytes> {
        let call = json!([{"to": to, "data": format!("0x{}", hex::encode(data))}, format!("0x{block:x}")]);
        Ok(serde_json::from_value(self.call("eth_call", call).await?)?)
    }

    /// Transactions of an address up to a block, the pool left out: the nonce of its next one.
    pub async fn nonce_at(&self, block: u64, who: Address) -> Result<u64> {
        quantity(&self.call("eth_getTransactionCount", json!([who, format!("0x{block:x}")])).await?)
    }

    /// Logs of `address` in blocks `from ..= to` (at most 5,000) with these topics; `None` is any.
    pub async fn logs_of(&self, from: u64, to: u64, address: Address, topics: &[Option<B256>]) -> Result<Vec<ChainLog>> {
        let filter = json!([{"fromBlock": format!("0x{from:x}"), "toBlock": format!("0x{to:x}"), "address": address, "topics": topics}]);
        Ok(serde_json::from_value(self.call("eth_getLogs", filter).await?)?)
    }

    /// Receipt statuses of a block's transactions, in order: (hash, succeeded).
    pub async fn statuses(&self, block: u64) -> Result<Vec<(B256, bool)>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Receipt {
            transaction_hash: B256,
            status: alloy_primitives::U64,
        }
        let receipts: Option<Vec<Receipt>> =
            serde_json::from_value(self.call("eth_getBlockReceipts", json!([format!("0x{block:x}")])).await?)?;
        let receipts = receipts.with_context(|| format!("the node does not have block {block}"))?;
        Ok(receipts.into_iter().map(|r| (r.transaction_hash, r.status.to::<u64>() == 1)).collect())
    }

    /// Logs of `address` in one block.
    pub async fn logs(&self, block: u64, address: Address) -> Result<Vec<ChainLog>> {
        let at = format!("0x{block:x}");
        Ok(serde_json::from_value(self.call("eth_getLogs", json!([{"fromBlock": at, "toBlock": at, "address": address}])).await?)?)
    }

    async fn post(&self, body: String) -> Result<Body> {
        let request =
            hyper::Request::post(self.url.clone()).header("content-type", "application/json").body(Full::new(Body::from(body)))?;
        let answer = self.http.request(request).await.with_context(|| format!("no answer from {}: is the node running?", self.url))?;
        let status = answer.status();
        let bytes = Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await
            .map_err(|e| anyhow!("reading the node's answer: {e}"))?
            .to_bytes();
        if !status.is_success() {
            bail!("{} answered {status}: {}", self.url, String::from_utf8_lossy(&bytes[..bytes.len().min(200)]));
        }
        Ok(bytes)
    }
}

fn quantity(value: &Value) -> Result<u64> {
    let text = value.as_str().context("expected a hex quantity")?;
    u64::from_str_radix(text.trim_start_matches("0x"), 16).with_context(|| format!("{text} is no hex quantity"))
}
