//! Every option of the api, filled by the root package from flags, environment and `hifi.toml`. Never read from here.

use alloy_primitives::Address;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// What the api must know to start. [`Config::new`] gives the defaults of `hifi up`. Token names come with the feed.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; port 0 takes a free one, told by [`crate::Handle::addr`].
    pub addr: SocketAddr,
    /// Folder of the built page (`web/dist`). If it is missing, a plain page says so and everything else works.
    pub web_dir: PathBuf,
    /// The node's JSON-RPC over http, for `/rpc`; its websocket is taken to listen on the same host and port.
    pub rpc_url: String,
    pub chain_id: u64,
    /// The exchange contract, shown in `/config.json` and `/v1/status`.
    pub exchange: Address,
    /// Whether the node has a faucet, told to the page.
    pub faucet: bool,
    /// One origin that may read across origins, or `*`; none by default.
    pub cors: Option<String>,
    /// The proxy whose `X-Forwarded-For` is believed; none by default.
    pub trusted_proxy: Option<IpAddr>,
    pub limits: Limits,
}

/// Bounds of everything a stranger can make the api hold or do. The defaults are those of the documentation.
#[derive(Clone, Debug)]
pub struct Limits {
    /// REST weight an address may use in a minute.
    pub weight_per_min: u32,
    /// REST requests of an address in five minutes.
    pub requests_per_5min: u32,
    /// Open sockets of an address.
    pub sockets_per_peer: u32,
    /// New sockets of an address in five minutes.
    pub new_sockets_per_5min: u32,
    /// Open sockets in all.
    pub sockets: usize,
    /// Streams or subscriptions of a socket.
    pub streams_per_socket: usize,
    /// Control messages a socket may send in a second, and at once.
    pub control_per_s: f64,
    pub control_burst: f64,
    /// Largest frame and message that is read, in bytes.
    pub frame_bytes: usize,
    /// Bytes that may wait for one socket; above, it is closed with 4008.
    pub outbox_bytes: usize,
    /// Bytes waiting from which pending depth differences are merged into one.
    pub merge_bytes: usize,
    /// How long the oldest message may wait for one socket.
    pub outbox_age: Duration,
    /// Bytes that may wait in all outboxes together.
    pub outbox_bytes_all: usize,
    /// A ping is sent this often; a socket silent for three times as long is closed.
    pub ping_every: Duration,
    /// Blocks kept in memory for `from`.
    pub ring_blocks: usize,
    /// Largest request body, in bytes.
    pub body_bytes: usize,
    /// Longest path with query, in bytes.
    pub url_bytes: usize,
    /// How long a request may take to send its head.
    pub head_time: Duration,
    /// Addresses remembered for the limits above.
    pub peers: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            weight_per_min: 6_000,
            requests_per_5min: 61_000,
            sockets_per_peer: 64,
            new_sockets_per_5min: 300,
            sockets: 10_000,
            streams_per_socket: 1_024,
            control_per_s: 5.0,
            control_burst: 50.0,
            frame_bytes: 64 << 10,
            outbox_bytes: 4 << 20,
            merge_bytes: 1 << 20,
            outbox_age: Duration::from_secs(2),
            outbox_bytes_all: 1 << 30,
            ping_every: Duration::from_secs(20),
            ring_blocks: 10_000,
            body_bytes: 2 << 20,
            url_bytes: 8 << 10,
            head_time: Duration::from_secs(5),
            peers: 65_536,
        }
    }
}

impl Config {
    /// Default limits, no faucet, the page of `web/dist`.
    pub fn new(addr: SocketAddr, rpc_url: impl Into<String>, chain_id: u64, exchange: Address) -> Config {
        Config {
            addr,
            web_dir: PathBuf::from("web/dist"),
            rpc_url: rpc_url.into(),
            chain_id,
            exchange,
            faucet: false,
            cors: None,
            trusted_proxy: None,
            limits: Limits::default(),
        }
    }
}
