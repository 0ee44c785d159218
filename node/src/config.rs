//! What a node is started with. One struct, every option documented; the root package fills it from flags, environment and file.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use alloy_primitives::Address;

use crate::genesis::{GAS_LIMIT_DEFAULT, Genesis};
use crate::mempool::PoolLimits;
use crate::rpc::RpcLimits;
use crate::store::Fsync;

/// Everything `Node::start` needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The first block and the rules of the chain.
    pub genesis: Genesis,
    /// Where blocks and snapshots live; created if missing.
    pub data_dir: PathBuf,
    /// Address of JSON-RPC over HTTP and WebSocket; port 0 takes a free one.
    pub rpc_addr: SocketAddr,
    /// Time between blocks while transactions wait; zero makes a block as soon as one is ready.
    pub block_interval: Duration,
    /// Block gas limit the chain moves to.
    pub gas_limit: u64,
    /// Receiver of the tips.
    pub beneficiary: Address,
    /// When the block log is synced to disk.
    pub fsync: Fsync,
    /// Development conveniences: the faucet. Only with a development genesis.
    pub dev: bool,
    /// Accept legacy transactions without a chain id.
    pub allow_unprotected_txs: bool,
    /// Serve `debug_*`; `None` means: only if `rpc_addr` is a loopback address.
    pub rpc_debug: Option<bool>,
    /// Origins that browsers may call from; empty allows none, `*` all.
    pub cors_origins: Vec<String>,
    /// Bounds of the pool.
    pub pool: PoolLimits,
    /// Bounds of JSON-RPC.
    pub rpc: RpcLimits,
}

impl Config {
    /// A node of this genesis in this directory with the defaults of the program.
    pub fn new(genesis: Genesis, data_dir: PathBuf) -> Self {
        Self {
            genesis,
            data_dir,
            rpc_addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 8545)),
            block_interval: Duration::from_millis(100),
            gas_limit: GAS_LIMIT_DEFAULT,
            beneficiary: Address::ZERO,
            fsync: Fsync::Block,
            dev: false,
            allow_unprotected_txs: false,
            rpc_debug: None,
            cors_origins: Vec::new(),
            pool: PoolLimits::default(),
            rpc: RpcLimits::default(),
        }
    }

    /// A development node: built-in genesis with `accounts` funded accounts, faucet on, a free port.
    pub fn dev(data_dir: PathBuf, accounts: usize) -> Self {
        Self {
            rpc_addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            dev: true,
            allow_unprotected_txs: true,
            ..Self::new(Genesis::dev(4434, accounts), data_dir)
        }
    }
}
