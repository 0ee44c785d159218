//! JSON-RPC over HTTP and WebSocket on one port: Ethereum's methods, field sets, null rules and message texts.
//! Started by `Node::start`. Reads published blocks, pinned state and the pool; writes only through the bounded entrance
//! (`mempool::ingress`); holds no lock the driver needs for longer than one look.
//!
//! | file | methods |
//! |---|---|
//! | `read` | blocks, transactions, receipts, accounts, fees, `net_*`, `web3_*`, `txpool_status` |
//! | `call` | `eth_call`, `eth_estimateGas` |
//! | `send` | `eth_sendRawTransaction` (also in batches, before any method table), `eth_sendRawTransactionSync` |
//! | `logs` | `eth_getLogs` |
//! | `subscribe` | `eth_subscribe` |
//! | `debug` | `debug_getRaw*` |
//! | `hifi` | `hifi_stats`, `hifi_faucet` |
//! | `limits` | every bound and the middleware that keeps them |
//! | `server` | accept loop, connections per address, shutdown |

mod call;
mod convert;
mod debug;
mod error;
mod hifi;
mod limits;
mod logs;
mod read;
mod send;
mod server;
mod subscribe;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use jsonrpsee::{Methods, RpcModule};
use tokio::sync::Semaphore;

use crate::Parts;
use crate::build::HeaderRules;
use crate::config::Config;
use crate::execute::ChainSpec;

pub use error::RpcError;
pub use limits::RpcLimits;
pub(crate) use server::{Server, listen, serve};

/// What every method may see.
pub(crate) struct Context {
    pub chain: ChainSpec,
    pub rules: HeaderRules,
    pub limits: RpcLimits,
    pub parts: Arc<Parts>,
    /// One permit per call, estimate or log query at work.
    pub calls: Semaphore,
    pub call_waiters: AtomicUsize,
    pub sync_waiters: AtomicUsize,
    pub subscriptions: AtomicUsize,
    pub faucet: Option<hifi::Faucet>,
    pub client_version: String,
    pub debug: bool,
    pub cors_origins: Vec<String>,
}

impl Context {
    pub fn new(config: &Config, chain: ChainSpec, rules: HeaderRules, parts: Arc<Parts>) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, |cores| cores.get());
        let fsync = match config.fsync {
            crate::store::Fsync::Block => String::new(),
            other => format!("/fsync-{other:?}").to_lowercase(),
        };
        Self {
            chain,
            rules,
            limits: config.rpc,
            parts,
            calls: Semaphore::new(config.rpc.calls_per_core * cores),
            call_waiters: AtomicUsize::new(0),
            sync_waiters: AtomicUsize::new(0),
            subscriptions: AtomicUsize::new(0),
            faucet: config.dev.then(|| hifi::Faucet::new(chain.chain_id)),
            client_version: format!("hifi/v{}{fsync}/{}-{}", env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH),
            debug: config.rpc_debug.unwrap_or(config.rpc_addr.ip().is_loopback()),
            cors_origins: config.cors_origins.clone(),
        }
    }
}

/// The method table.
fn table(context: Arc<Context>) -> Methods {
    let debug = context.debug;
    let mut module = RpcModule::from_arc(context);
    read::register(&mut module);
    call::register(&mut module);
    send::register(&mut module);
    logs::register(&mut module);
    subscribe::register(&mut module);
    hifi::register(&mut module);
    if debug {
        debug::register(&mut module);
    }
    module.into()
}

/// Registers plain methods: each a function of parameters and context that answers at once.
macro_rules! methods {
    ($module:expr, $($name:literal => $function:path),+ $(,)?) => {
        $($module.register_method($name, |params, context, _| $function(params, context)).expect("method names are unique");)+
    };
}

/// Registers methods that wait or work long: each an async function of parameters and context.
macro_rules! async_methods {
    ($module:expr, $($name:literal => $function:path),+ $(,)?) => {
        $($module
            .register_async_method($name, |params, context, _| async move { $function(params, context).await })
            .expect("method names are unique");)+
    };
}

pub(crate) use {async_methods, methods};
