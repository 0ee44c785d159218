//! JSON-RPC from outside, over real HTTP and WebSocket: every method's happy path, every limit and one more, errors with their codes.

use std::net::SocketAddr;
use std::time::Duration;

use alloy_consensus::{TxEip1559, TxEip2930, TxEip7702, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, address, hex};
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use node::genesis::{MULTICALL3, dev_accounts};
use node::tx::{TypedTransaction, sign};
use node::{Config, Handle, Node};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::Message;

pub const CHAIN: u64 = 4434;
const WAIT: Duration = Duration::from_secs(20);
/// PUSH1 42, LOG1, STOP behind a constructor that returns it.
const LOGGER: [u8; 19] = hex!("6007600c60003960076000f3602a5f5fa1005b");
const TOPIC: &str = "0x000000000000000000000000000000000000000000000000000000000000002a";

/// A node of its own in a temporary directory, and a client of it.
pub struct Chain {
    pub handle: Handle,
    pub http: Http,
    pub accounts: Vec<(Address, B256)>,
    _dir: TempDir,
}

impl Chain {
    pub async fn start(change: impl FnOnce(&mut Config)) -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let mut config = Config::dev(dir.path().join("data"), 24);
        config.block_interval = Duration::ZERO;
        change(&mut config);
        let handle = Node::start(config).await.expect("the node starts");
        Self { http: Http::new(handle.rpc_addr), handle, accounts: dev_accounts(24), _dir: dir }
    }

    /// A signed transfer of `value` wei from development account `from`.
    pub fn transfer(&self, from: usize, nonce: u64, value: u64) -> String {
        self.signed(from, TxEip1559 { nonce, value: U256::from(value), to: TxKind::Call(Address::repeat_byte(7)), ..fees() })
    }

    pub fn signed(&self, from: usize, tx: impl Into<TypedTransaction>) -> String {
        let signed = sign(tx.into(), &self.accounts[from].1).expect("a development key signs");
        hex::encode_prefixed(signed.encoded_2718())
    }

    /// Sends a transaction and waits for its receipt.
    pub async fn mined(&self, raw: String) -> Value {
        let receipt = self.http.call("eth_sendRawTransactionSync", json!([raw, 10_000])).await;
        assert!(receipt["blockNumber"].is_string(), "no receipt: {receipt}");
        receipt
    }
}

pub fn fees() -> TxEip1559 {
    TxEip1559 { chain_id: CHAIN, gas_limit: 200_000, max_fee_per_gas: 1_000_000_000, max_priority_fee_per_gas: 1, ..Default::default() }
}

/// JSON-RPC over HTTP.
#[derive(Clone)]
pub struct Http {
    client: Client<hyper_util::client::legacy::connect::HttpConnector, Full<bytes::Bytes>>,
    url: String,
}

impl Http {
    pub fn new(addr: SocketAddr) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), url: format!("http://{addr}") }
    }

    /// Status and body of any POST.
    pub async fn post(&self, body: impl Into<bytes::Bytes>) -> (u16, bytes::Bytes) {
        let request = hyper::Request::post(&self.url).header("content-type", "application/json").body(Full::new(body.into()));
        let response = self.client.request(request.expect("a request")).await.expect("the node answers");
        let status = response.status().as_u16();
        (status, response.into_body().collect().await.expect("a whole body").to_bytes())
    }

    pub async fn raw(&self, body: impl Into<bytes::Bytes>) -> Value {
        let (_, body) = self.post(body).await;
        serde_json::from_slice(&body).unwrap_or_else(|_| panic!("not JSON: {}", String::from_utf8_lossy(&body)))
    }

    pub async fn answer(&self, method: &str, params: Value) -> Value {
        self.raw(json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string()).await
    }

    /// The result of a call that must succeed.
    pub async fn call(&self, method: &str, params: Value) -> Value {
        let answer = self.answer(method, params).await;
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// Code and text of a call that must fail.
    pub async fn fails(&self, method: &str, params: Value) -> (i64, String, Value) {
        let answer = self.answer(method, params).await;
        let error = answer.get("error").unwrap_or_else(|| panic!("{method} did not fail: {answer}"));
        (error["code"].as_i64().expect("a code"), error["message"].as_str().expect("a text").to_owned(), error["data"].clone())
    }
}

fn number(value: &Value) -> u64 {
    let text = value.as_str().unwrap_or_else(|| panic!("not a quantity: {value}"));
    assert!(text == "0x0" || !text.starts_with("0x0"), "a quantity has no leading zeros: {text}");
    u64::from_str_radix(text.trim_start_matches("0x"), 16).expect("a quantity")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_read_method_answers_as_ethereum_does() {
    let chain = Chain::start(|_| {}).await;
    let http = &chain.http;
    let (sender, _) = chain.accounts[0];
    let create = chain.signed(0, TxEip1559 { input: LOGGER.into(), ..fees() });
    let contract = chain.mined(create).await["contractAddress"].as_str().expect("an address").to_owned();
    let call = TxEip1559 { nonce: 1, to: TxKind::Call(contract.parse().expect("an address")), ..fees() };
    let receipt = chain.mined(chain.signed(0, call)).await;
    let (hash, block, number_) = (&receipt["transactionHash"], &receipt["blockHash"], &receipt["blockNumber"]);

    assert_eq!(http.call("eth_chainId", json!([])).await, "0x1152");
    assert_eq!(http.call("net_version", json!([])).await, "4434");
    assert_eq!(http.call("net_listening", json!([])).await, true);
    assert_eq!(http.call("net_peerCount", json!([])).await, "0x0");
    assert_eq!(http.call("eth_syncing", json!([])).await, false);
    assert_eq!(http.call("eth_accounts", json!([])).await, json!([]));
    assert!(http.call("web3_clientVersion", json!([])).await.as_str().expect("text").starts_with("hifi/v"));
    let empty = "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470";
    assert_eq!(http.call("web3_sha3", json!(["0x"])).await, empty);
    assert_eq!(http.call("eth_gasPrice", json!([])).await, "0xf4241");
    assert_eq!(http.call("eth_maxPriorityFeePerGas", json!([])).await, "0x1");
    assert_eq!(http.call("txpool_status", json!([])).await, json!({ "pending": "0x0", "queued": "0x0" }));
    assert!(number(&http.call("eth_blockNumber", json!([])).await) >= number(number_));
    assert!(number(&http.call("hifi_stats", json!([])).await["txs"].as_u64().map(|n| format!("{n:#x}")).into()) >= 2);

    assert_eq!(http.call("eth_getTransactionCount", json!([sender, "latest"])).await, "0x2");
    assert_eq!(http.call("eth_getTransactionCount", json!([sender, { "blockHash": block }])).await, "0x2");
    assert_eq!(http.call("eth_getTransactionCount", json!([sender, "earliest"])).await, "0x0");
    assert_eq!(http.call("eth_getBalance", json!([sender, "0x0"])).await, "0x21e19e0c9bab2400000");
    assert_eq!(http.call("eth_getBalance", json!([Address::repeat_byte(0x99)])).await, "0x0");
    assert_eq!(http.call("eth_getCode", json!([contract])).await, "0x602a5f5fa1005b");
    assert_eq!(http.call("eth_getStorageAt", json!([contract, "0x0", "latest"])).await, format!("{:#x}", B256::ZERO));

    assert_eq!(receipt["status"], "0x1");
    assert_eq!(receipt["type"], "0x2");
    assert_eq!(receipt["logs"][0]["topics"], json!([TOPIC]));
    assert_eq!(receipt["logs"][0]["logIndex"], "0x0");
    assert_eq!(receipt["contractAddress"], Value::Null);
    assert_eq!(http.call("eth_getTransactionReceipt", json!([hash])).await, receipt);
    assert_eq!(http.call("eth_getBlockReceipts", json!([number_])).await, json!([receipt]));
    let whole = http.call("eth_getBlockByNumber", json!([number_, true])).await;
    assert_eq!(whole, http.call("eth_getBlockByHash", json!([block, true])).await);
    assert_eq!(whole["transactions"][0], http.call("eth_getTransactionByHash", json!([hash])).await);
    assert_eq!(whole["transactions"][0], http.call("eth_getTransactionByBlockNumberAndIndex", json!([number_, "0x0"])).await);
    assert_eq!(whole["transactions"][0], http.call("eth_getTransactionByBlockHashAndIndex", json!([block, "0x0"])).await);
    assert_eq!(whole["transactions"][0]["from"], format!("{sender:#x}"));
    assert_eq!(http.call("eth_getBlockByNumber", json!([number_, false])).await["transactions"], json!([hash]));
    assert_eq!(http.call("eth_getBlockTransactionCountByNumber", json!([number_])).await, "0x1");
    assert_eq!(http.call("eth_getBlockTransactionCountByHash", json!([block])).await, "0x1");
    for method in ["eth_getUncleCountByBlockNumber", "eth_getUncleCountByBlockHash"] {
        let id = if method.ends_with("Hash") { block } else { number_ };
        assert_eq!(http.call(method, json!([id])).await, "0x0");
    }
    for (method, params) in [
        ("eth_getBlockByNumber", json!(["0xffffff", false])),
        ("eth_getBlockByHash", json!([B256::repeat_byte(9), false])),
        ("eth_getTransactionByHash", json!([B256::repeat_byte(9)])),
        ("eth_getTransactionReceipt", json!([B256::repeat_byte(9)])),
        ("eth_getBlockReceipts", json!(["0xffffff"])),
        ("eth_getTransactionByBlockNumberAndIndex", json!([number_, "0x5"])),
    ] {
        assert_eq!(http.call(method, params).await, Value::Null, "{method} of nothing");
    }
    assert_eq!(http.fails("eth_getBalance", json!([sender, "0xffffff"])).await.0, -32000);

    let history = http.call("eth_feeHistory", json!([2, "latest", [0, 100]])).await;
    assert_eq!(history["baseFeePerGas"].as_array().expect("fees").len(), 3);
    assert_eq!(history["reward"].as_array().expect("tips").len(), 2);
    let by_filter = json!([{ "fromBlock": "0x0", "toBlock": "latest", "address": contract, "topics": [TOPIC] }]);
    assert_eq!(http.call("eth_getLogs", by_filter).await, receipt["logs"]);
    assert_eq!(http.call("eth_getLogs", json!([{ "blockHash": block, "topics": [null] }])).await, receipt["logs"]);
    assert_eq!(http.call("eth_getLogs", json!([{ "fromBlock": "0x0", "topics": [[B256::ZERO]] }])).await, json!([]));

    let raw = http.call("debug_getRawTransaction", json!([hash])).await;
    assert!(raw.as_str().expect("hex").starts_with("0x02"));
    let header = http.call("debug_getRawHeader", json!([number_])).await;
    let bytes: Bytes = header.as_str().expect("hex").parse().expect("hex");
    assert_eq!(format!("{:#x}", alloy_primitives::keccak256(bytes)), block.as_str().expect("a hash"));
    let block_bytes: Bytes = http.call("debug_getRawBlock", json!([number_])).await.as_str().expect("hex").parse().expect("hex");
    assert_eq!(block_bytes.len() as u64, number(&whole["size"]), "size is that of the encoded block");
    assert_eq!(http.call("debug_getRawReceipts", json!([number_])).await.as_array().expect("receipts").len(), 1);
    chain.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_and_estimates_run_on_a_view_and_change_nothing() {
    let chain = Chain::start(|_| {}).await;
    let http = &chain.http;
    let (sender, _) = chain.accounts[0];
    let chain_id = json!({ "to": MULTICALL3, "data": "0x3408e470" });
    assert!(http.call("eth_call", json!([chain_id, "latest"])).await.as_str().expect("hex").ends_with("1152"));
    assert_eq!(http.call("eth_call", json!([{ "to": Address::repeat_byte(3) }])).await, "0x");
    // From a contract, as multisigs are simulated.
    assert!(http.call("eth_call", json!([{ "from": MULTICALL3, "to": MULTICALL3, "input": "0x3408e470" }])).await.is_string());
    let estimate = number(&http.call("eth_estimateGas", json!([chain_id])).await);
    assert!((21_000..30_000).contains(&estimate), "{estimate}");
    let plain = json!([{ "from": sender, "to": Address::repeat_byte(3), "value": "0x1" }]);
    assert_eq!(http.call("eth_estimateGas", plain).await, "0x5208");
    let (code, text, _) =
        http.fails("eth_estimateGas", json!([{ "from": sender, "to": MULTICALL3, "gas": "0x5300", "data": "0x3408e470" }])).await;
    assert_eq!((code, text.contains("gas required exceeds allowance") || text.contains("intrinsic")), (-32000, true), "{text}");
    let override_code = json!({ "0x00000000000000000000000000000000000000fe": { "code": "0x5f5ffd", "balance": "0x5" } });
    let (code, text, data) =
        http.fails("eth_call", json!([{ "to": address!("0x00000000000000000000000000000000000000fe") }, "latest", override_code])).await;
    assert_eq!((code, text.as_str(), data), (3, "execution reverted", json!("0x")));
    let (code, text, _) = http.fails("eth_call", json!([{ "from": Address::repeat_byte(5), "to": MULTICALL3, "value": "0x1" }])).await;
    assert_eq!(code, -32000);
    assert!(text.contains("insufficient funds") || text.contains("lack of funds"), "{text}");
    // An endless loop is bounded by gas.
    let endless = json!({ "0x00000000000000000000000000000000000000fd": { "code": "0x5b5f56" } });
    let (code, _, _) = http
        .fails("eth_call", json!([{ "to": "0x00000000000000000000000000000000000000fd", "gas": "0xffffffffff" }, "latest", endless]))
        .await;
    assert_eq!(code, -32000);
    chain.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_of_all_types_run_and_bad_ones_are_named() {
    let chain = Chain::start(|config| config.allow_unprotected_txs = false).await;
    let http = &chain.http;
    let to = TxKind::Call(Address::repeat_byte(7));
    let legacy = TxLegacy { chain_id: Some(CHAIN), gas_price: 1_000_000_000, gas_limit: 21_000, to, ..Default::default() };
    assert_eq!(chain.mined(chain.signed(1, legacy.clone())).await["type"], "0x0");
    let access = TxEip2930 { chain_id: CHAIN, gas_price: 1_000_000_000, gas_limit: 30_000, to, ..Default::default() };
    assert_eq!(chain.mined(chain.signed(2, access)).await["type"], "0x1");
    let sent = chain.transfer(3, 0, 5);
    let receipt = chain.mined(sent.clone()).await;
    assert_eq!(receipt["type"], "0x2");
    assert_eq!(http.call("eth_sendRawTransaction", json!([sent])).await, receipt["transactionHash"], "a resend is no error");

    let send = |raw: String| http.fails("eth_sendRawTransaction", json!([raw]));
    let one = |tx: TxEip1559| chain.signed(4, tx);
    let cases = [
        (-32000, "nonce too low: next nonce 1, tx nonce 0", chain.transfer(3, 0, 6)),
        (-32000, "nonce too high", one(TxEip1559 { nonce: 5_000, to, ..fees() })),
        (-32000, "insufficient funds for gas * price + value", one(TxEip1559 { value: U256::MAX, to, ..fees() })),
        (-32000, "intrinsic gas too low", one(TxEip1559 { gas_limit: 20_999, to, ..fees() })),
        (-32000, "exceeds maximum gas limit", one(TxEip1559 { gas_limit: (1 << 24) + 1, to, ..fees() })),
        (-32000, "invalid chain id", one(TxEip1559 { chain_id: 1, to, ..fees() })),
        (
            -32000,
            "max priority fee per gas higher than max fee per gas",
            one(TxEip1559 { max_priority_fee_per_gas: u128::MAX, to, ..fees() }),
        ),
        (-32000, "max fee per gas less than block base fee", one(TxEip1559 { max_fee_per_gas: 1, to, ..fees() })),
        (-32000, "max initcode size exceeded", one(TxEip1559 { input: vec![0; 49_153].into(), gas_limit: 1 << 24, ..fees() })),
        (-32003, "only replay-protected (EIP-155)", chain.signed(4, TxLegacy { chain_id: None, ..legacy })),
        (-32003, "transaction type not supported: 3", "0x03c0".into()),
        (-32602, "failed to decode signed transaction", "0x02c0".into()),
        (-32602, "empty transaction data", "0x".into()),
        (-32602, "without 0x prefix", "02c0".into()),
        (
            -32000,
            "EIP-7702 transaction with empty auth list",
            chain.signed(4, TxEip7702 { chain_id: CHAIN, gas_limit: 100_000, max_fee_per_gas: 1_000_000_000, ..Default::default() }),
        ),
    ];
    for (code, text, raw) in cases {
        let (found, said, _) = send(raw).await;
        assert_eq!((found, said.contains(text)), (code, true), "expected {text:?}, found {said:?}");
    }
    let (code, said, _) = http.fails("eth_sendRawTransaction", json!([])).await;
    assert_eq!(code, -32602, "{said}");
    chain.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replacements_gaps_and_sync_sends() {
    // No block within the test: what is pooled stays there.
    let chain = Chain::start(|config| config.block_interval = Duration::from_secs(3_600)).await;
    let http = &chain.http;
    let hash = http.call("eth_sendRawTransaction", json!([chain.transfer(5, 0, 1)])).await;
    assert_eq!(http.call("eth_sendRawTransaction", json!([chain.transfer(5, 0, 1)])).await, hash);
    let (code, text, _) = http.fails("eth_sendRawTransaction", json!([chain.transfer(5, 0, 2)])).await;
    assert_eq!((code, text.as_str()), (-32000, "replacement transaction underpriced"));
    let pending = http.call("eth_getTransactionByHash", json!([hash])).await;
    assert_eq!((&pending["blockHash"], &pending["nonce"]), (&Value::Null, &json!("0x0")));
    assert_eq!(http.call("eth_getTransactionReceipt", json!([hash])).await, Value::Null);
    http.call("eth_sendRawTransaction", json!([chain.transfer(5, 2, 1)])).await;
    assert_eq!(http.call("txpool_status", json!([])).await, json!({ "pending": "0x1", "queued": "0x1" }));
    let count = json!([chain.accounts[5].0, "pending"]);
    assert_eq!(http.call("eth_getTransactionCount", count.clone()).await, "0x1");
    http.call("eth_sendRawTransaction", json!([chain.transfer(5, 1, 1)])).await;
    assert_eq!(http.call("eth_getTransactionCount", count).await, "0x3", "the gap closed");

    let (code, text, expected) = http.fails("eth_sendRawTransactionSync", json!([chain.transfer(6, 1, 1)])).await;
    assert_eq!((code, expected), (5, json!("0x0")), "{text}");
    let (code, _, data) = http.fails("eth_sendRawTransactionSync", json!([chain.transfer(6, 0, 1), 20])).await;
    assert_eq!(code, 4);
    assert!(http.call("eth_getTransactionByHash", json!([data])).await.is_object(), "it may still be included");
    chain.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_keep_order_and_are_bounded() {
    let chain = Chain::start(|_| {}).await;
    let http = &chain.http;
    let call = |id: usize, method: &str, params: Value| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
    let sends: Vec<Value> =
        (0..200).map(|nonce| call(nonce as usize, "eth_sendRawTransaction", json!([chain.transfer(8, nonce, 1)]))).collect();
    let answers = http.raw(json!(sends).to_string()).await;
    for (id, answer) in answers.as_array().expect("a batch").iter().enumerate() {
        assert_eq!(answer["id"], id, "{answer}");
        assert!(answer["result"].is_string(), "{answer}");
    }
    let mixed =
        json!([call(1, "eth_chainId", json!([])), call(2, "eth_sendRawTransaction", json!(["0x"])), call(3, "nope", json!([])), 5, [1]]);
    let answers = http.raw(mixed.to_string()).await;
    let codes: Vec<i64> = answers.as_array().expect("a batch").iter().map(|answer| answer["error"]["code"].as_i64().unwrap_or(0)).collect();
    assert_eq!(codes, [0, -32602, -32601, -32600, -32600]);
    let many = |count: usize, method: &str| json!(vec![call(1, method, json!(["0x"])); count]).to_string();
    assert_eq!(http.raw(many(100, "eth_chainId")).await.as_array().expect("a batch").len(), 100);
    assert_eq!(http.raw(many(101, "eth_chainId")).await["error"]["code"], -32600);
    assert_eq!(http.raw(many(1_000, "eth_sendRawTransaction")).await.as_array().expect("a batch").len(), 1_000);
    assert_eq!(http.raw(many(1_001, "eth_sendRawTransaction")).await["error"]["code"], -32600);
    assert_eq!(http.raw("[]").await["error"]["code"], -32600);
    assert_eq!(http.raw("{").await["error"]["code"], -32700);
    chain.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_depth_ranges_and_results_are_bounded() {
    let chain = Chain::start(|config| {
        config.rpc.body_bytes = 10_000;
        config.rpc.logs_blocks = 3;
        config.rpc.logs_results = 2;
        config.rpc.logs_addresses = 2;
        config.rpc.logs_topics = 2;
        config.rpc.response_bytes = 2_400;
    })
    .await;
    let http = &chain.http;
    let padded = |bytes: usize| {
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}"#;
        format!("{body}{}", " ".repeat(bytes - body.len()))
    };
    assert_eq!(http.post(padded(10_000)).await.0, 200);
    assert_eq!(http.post(padded(10_001)).await.0, 413);
    let nested =
        |depth: usize| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"web3_sha3","params":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    assert_eq!(http.raw(nested(32)).await["error"]["code"], -32602);
    assert_eq!(http.raw(nested(33)).await["error"]["code"], -32700);

    let contract = chain.mined(chain.signed(0, TxEip1559 { input: LOGGER.into(), ..fees() })).await["contractAddress"].clone();
    let to = TxKind::Call(contract.as_str().expect("an address").parse().expect("an address"));
    let calls: Vec<Value> = (1..4)
        .map(|nonce| json!({ "jsonrpc": "2.0", "id": nonce, "method": "eth_sendRawTransaction", "params": [chain.signed(0, TxEip1559 { nonce, to, ..fees() })] }))
        .collect();
    http.raw(json!(calls).to_string()).await;
    let last = chain.mined(chain.signed(0, TxEip1559 { nonce: 4, to, ..fees() })).await;
    let head = number(&last["blockNumber"]);
    let range =
        |from: u64, to: u64| json!([{ "fromBlock": format!("{from:#x}"), "toBlock": format!("{to:#x}"), "address": Address::ZERO }]);
    assert_eq!(http.call("eth_getLogs", range(head - 2, head)).await, json!([]));
    if head >= 3 {
        let (code, text, data) = http.fails("eth_getLogs", range(head - 3, head)).await;
        assert_eq!((code, data), (-32005, json!({ "limit": 3, "value": 4 })), "{text}");
    }
    let filter = |addresses: usize| json!([{ "address": vec![Address::ZERO; 1].into_iter().chain((1..addresses as u8).map(Address::repeat_byte)).collect::<Vec<_>>() }]);
    assert_eq!(http.call("eth_getLogs", filter(2)).await, json!([]));
    assert_eq!(http.fails("eth_getLogs", filter(3)).await.0, -32005);
    let topics = |count: u8| json!([{ "topics": [(1..=count).map(B256::repeat_byte).collect::<Vec<_>>()] }]);
    assert_eq!(http.call("eth_getLogs", topics(2)).await, json!([]));
    assert_eq!(http.fails("eth_getLogs", topics(3)).await.0, -32005);
    let (code, text, _) = http.fails("eth_getBlockByNumber", json!([last["blockNumber"], true])).await;
    assert_eq!(code, -32005, "a response over its bound: {text}");
    assert_eq!(http.fails("eth_getLogs", json!([{ "fromBlock": "0x2", "toBlock": "0x1" }])).await.0, -32602);
    chain.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn results_of_a_log_query_are_bounded() {
    let chain = Chain::start(|config| {
        config.rpc.logs_results = 2;
        config.block_interval = Duration::from_millis(100);
    })
    .await;
    let contract = chain.mined(chain.signed(0, TxEip1559 { input: LOGGER.into(), ..fees() })).await["contractAddress"].clone();
    let to = TxKind::Call(contract.as_str().expect("an address").parse().expect("an address"));
    let query = json!([{ "fromBlock": "0x0", "address": contract }]);
    for nonce in 1..=2 {
        chain.mined(chain.signed(0, TxEip1559 { nonce, to, ..fees() })).await;
    }
    assert_eq!(chain.http.call("eth_getLogs", query.clone()).await.as_array().expect("logs").len(), 2);
    chain.mined(chain.signed(0, TxEip1559 { nonce: 3, to, ..fees() })).await;
    let (code, text, _) = chain.http.fails("eth_getLogs", query).await;
    assert_eq!(code, -32005);
    assert!(text.contains("query returned more than 2 results") && text.contains("fits"), "{text}");
    chain.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_faucet_serves_an_address_once_a_minute() {
    let chain = Chain::start(|_| {}).await;
    let to = Address::repeat_byte(0x42);
    let mut log = chain.handle.log.watch();
    let hash = chain.http.call("hifi_faucet", json!([to])).await;
    let published = async {
        while chain.http.call("eth_getTransactionReceipt", json!([hash])).await.is_null() {
            log.changed().await.expect("the node runs");
        }
    };
    tokio::time::timeout(WAIT, published).await.expect("the gift is included");
    assert_eq!(chain.http.call("eth_getBalance", json!([to])).await, "0x8ac7230489e80000");
    assert_eq!(chain.http.fails("hifi_faucet", json!([to])).await.0, -32005);
    assert_eq!(chain.http.fails("hifi_faucet", json!(["0x12"])).await.0, -32602);
    chain.handle.shutdown().await;
    let closed = Chain::start(|config| config.dev = false).await;
    assert_eq!(closed.http.fails("hifi_faucet", json!([to])).await.0, -32003);
    closed.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn debug_methods_and_origins_are_closed_unless_told_otherwise() {
    let chain = Chain::start(|config| {
        config.rpc_debug = Some(false);
        config.cors_origins = vec!["http://page.example".into()];
    })
    .await;
    assert_eq!(chain.http.fails("debug_getRawHeader", json!(["latest"])).await.0, -32601);
    let addr = chain.handle.rpc_addr;
    for (origin, allowed) in [("http://page.example", true), ("http://evil.example", false)] {
        let preflight = hyper::Request::options(format!("http://{addr}"))
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .body(Full::new(bytes::Bytes::new()))
            .expect("a request");
        let answer = chain.http.client.request(preflight).await.expect("an answer");
        assert_eq!(answer.headers().contains_key("access-control-allow-origin"), allowed, "{origin}");
        let mut request =
            tokio_tungstenite::tungstenite::client::IntoClientRequest::into_client_request(format!("ws://{addr}")).expect("a request");
        request.headers_mut().insert("origin", origin.parse().expect("a header"));
        assert_eq!(tokio_tungstenite::connect_async(request).await.is_ok(), allowed, "{origin}");
    }
    chain.handle.shutdown().await;
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn connect(addr: SocketAddr) -> Socket {
    tokio_tungstenite::connect_async(format!("ws://{addr}")).await.expect("a websocket").0
}

async fn ask(socket: &mut Socket, id: u64, method: &str, params: Value) {
    let call = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
    socket.send(Message::text(call.to_string())).await.expect("sent");
}

/// The next message that `wanted` accepts.
async fn next(socket: &mut Socket, wanted: impl Fn(&Value) -> bool) -> Value {
    let found = async {
        loop {
            let message = socket.next().await.expect("the socket is open").expect("a frame");
            if let Message::Text(text) = message {
                let value: Value = serde_json::from_str(&text).expect("JSON");
                if wanted(&value) {
                    return value;
                }
            }
        }
    };
    tokio::time::timeout(WAIT, found).await.expect("a message in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_follow_heads_logs_and_pending_transactions() {
    let chain = Chain::start(|_| {}).await;
    let contract = chain.mined(chain.signed(0, TxEip1559 { input: LOGGER.into(), ..fees() })).await["contractAddress"].clone();
    let mut socket = connect(chain.handle.rpc_addr).await;
    let mut ids = Vec::new();
    for (id, params) in
        [json!(["newHeads"]), json!(["logs", { "address": contract }]), json!(["newPendingTransactions"])].into_iter().enumerate()
    {
        ask(&mut socket, id as u64, "eth_subscribe", params).await;
        let answer = next(&mut socket, |value| value["id"] == id as u64).await;
        ids.push(answer["result"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned());
    }
    let to = TxKind::Call(contract.as_str().expect("an address").parse().expect("an address"));
    let raw = chain.signed(0, TxEip1559 { nonce: 1, to, ..fees() });
    ask(&mut socket, 9, "eth_sendRawTransaction", json!([raw])).await;
    let (mut hash, mut pending, mut log, mut heads) = (Value::Null, Value::Null, Value::Null, Vec::new());
    while hash.is_null() || pending.is_null() || log.is_null() || heads.len() < 2 {
        let message = next(&mut socket, |_| true).await;
        let result = message["params"]["result"].clone();
        match message["params"]["subscription"].as_str() {
            None => hash = message["result"].clone(),
            Some(id) if id == ids[0] => heads.push(result),
            Some(id) if id == ids[1] => log = result,
            Some(_) => pending = result,
        }
    }
    assert_eq!(pending, hash);
    assert_eq!((&log["transactionHash"], &log["topics"]), (&hash, &json!([TOPIC])));
    assert_eq!(heads[1]["parentHash"], heads[0]["hash"]);
    assert_eq!(number(&heads[1]["number"]), number(&heads[0]["number"]) + 1);
    ask(&mut socket, 10, "eth_unsubscribe", json!([ids[0]])).await;
    assert_eq!(next(&mut socket, |value| value["id"] == 10).await["result"], true);
    ask(&mut socket, 11, "eth_subscribe", json!(["nothing"])).await;
    assert_eq!(next(&mut socket, |value| value["id"] == 11).await["error"]["code"], -32602);
    chain.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_sockets_and_connections_are_bounded() {
    let chain = Chain::start(|config| {
        config.rpc.subscriptions_per_connection = 2;
        config.rpc.subscriptions = 3;
        config.rpc.sockets_per_address = 2;
        config.rpc.connections = 4;
    })
    .await;
    let addr = chain.handle.rpc_addr;
    let (mut one, mut two) = (connect(addr).await, connect(addr).await);
    for (id, fine) in [(1, true), (2, true), (3, false)] {
        ask(&mut one, id, "eth_subscribe", json!(["newHeads"])).await;
        assert_eq!(next(&mut one, |value| value["id"] == id).await.get("result").is_some(), fine, "subscription {id} of a connection");
    }
    for (id, fine) in [(1, true), (2, false)] {
        ask(&mut two, id, "eth_subscribe", json!(["newHeads"])).await;
        assert_eq!(next(&mut two, |value| value["id"] == id).await.get("result").is_some(), fine, "subscription in all");
    }
    assert!(tokio_tungstenite::connect_async(format!("ws://{addr}")).await.is_err(), "a third socket of this address");
    drop(two);
    let again = async {
        while tokio_tungstenite::connect_async(format!("ws://{addr}")).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WAIT, again).await.expect("a closed socket leaves room");
    // Idle TCP connections fill what is left; one more is told so.
    let mut idle = Vec::new();
    let told = async {
        loop {
            let mut stream = tokio::net::TcpStream::connect(addr).await.expect("a connection");
            let mut answer = [0; 64];
            let read = tokio::io::AsyncReadExt::read(&mut stream, &mut answer);
            if let Ok(Ok(count)) = tokio::time::timeout(Duration::from_millis(200), read).await
                && count > 0
            {
                return String::from_utf8_lossy(&answer[..count]).into_owned();
            }
            idle.push(stream);
            assert!(idle.len() <= 8, "connections are not bounded");
        }
    };
    assert!(told.await.starts_with("HTTP/1.1 503"));
    drop(one);
    chain.handle.shutdown().await;
}

/// A reader that does not read is closed once its queue is full; the node goes on and memory stays bounded.
#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_subscriber_is_closed() {
    let chain = Chain::start(|config| config.block_interval = Duration::from_secs(3_600)).await;
    let mut socket = connect(chain.handle.rpc_addr).await;
    ask(&mut socket, 1, "eth_subscribe", json!(["newPendingTransactions", true])).await;
    next(&mut socket, |value| value["id"] == 1).await;
    let sent = 24 * 40;
    let input = Bytes::from(vec![0; 16_000]);
    let mut submitted = 0;
    for from in 0..24 {
        let raws = (0..40).map(|nonce| {
            let tx = TxEip1559 { nonce, gas_limit: 300_000, to: TxKind::Call(Address::ZERO), input: input.clone(), ..fees() };
            Bytes::from(sign(tx.into(), &chain.accounts[from].1).expect("a development key signs").encoded_2718())
        });
        let results = chain.handle.ingress().submit(raws.collect()).await;
        submitted += results.iter().filter(|result| result.is_ok()).count();
    }
    assert_eq!(submitted, sent);
    let mut received = 0;
    let ended = async {
        while let Some(Ok(message)) = socket.next().await {
            received += usize::from(message.is_text());
        }
    };
    tokio::time::timeout(WAIT, ended).await.expect("the socket ends");
    assert!(received < sent, "all {received} messages were queued for a reader that did not read");
    assert_eq!(chain.http.call("eth_chainId", json!([])).await, "0x1152");
    assert_eq!(chain.http.fails("eth_subscribe", json!(["newHeads"])).await.0, -32601, "not over HTTP");
    chain.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_is_quick_and_a_restart_goes_on() {
    let dir = TempDir::new().expect("a temporary directory");
    let config = || Config { block_interval: Duration::ZERO, ..Config::dev(dir.path().join("data"), 24) };
    let first = Node::start(config()).await.expect("the node starts");
    let http = Http::new(first.rpc_addr);
    let accounts = dev_accounts(2);
    let tx = TxEip1559 { to: TxKind::Call(accounts[1].0), value: U256::from(3), ..fees() };
    let raw = hex::encode_prefixed(sign(tx.into(), &accounts[0].1).expect("signs").encoded_2718());
    let receipt = http.call("eth_sendRawTransactionSync", json!([raw, 10_000])).await;
    let socket = connect(first.rpc_addr).await;
    let began = std::time::Instant::now();
    first.shutdown().await;
    assert!(began.elapsed() < Duration::from_secs(3), "stopped in {:?}", began.elapsed());
    drop(socket);
    let second = Node::start(config()).await.expect("the node starts again");
    let http = Http::new(second.rpc_addr);
    assert_eq!(http.call("eth_getTransactionReceipt", json!([receipt["transactionHash"]])).await, receipt);
    assert_eq!(http.call("eth_getTransactionCount", json!([accounts[0].0])).await, "0x1");
    second.shutdown().await;
}
