//! REST and websockets for traders, market makers and the page, on one listener.
//!
//! ```text
//! indexer::feed --Arc<Update>--> sequencer (own thread: books, numbers, frames, fan-out) --> outbox per socket --> socket task
//!                                       |                                                          compat /ws /stream, native /v1/ws
//!                                       `-- copies between two blocks --> REST: compat /api/v3, native /v1     (history: Postgres + memory)
//! ```
//! Called by the root package through [`start`]. Never writes to Postgres, never executes EVM code, holds no keys, and never holds up the
//! chain: whoever reads too slowly is conflated, merged or closed. `compat` and `native` know nothing of each other.

mod bars;
mod books;
mod compat;
mod config;
mod decimal;
mod error;
mod fanout;
mod frames;
mod history;
mod limit;
mod metrics;
mod native;
mod outbox;
mod page;
mod params;
mod sequencer;
mod server;
mod socket;
mod state;
mod submit;

pub use config::{Config, Limits};
pub use error::StartError;
pub use server::{Handle, start};

use axum::Router;
use axum::routing::{any, get, post};
use server::{compat_read, native_read};
use state::Shared;
use std::sync::Arc;

/// Every path there is.
fn routes(shared: Arc<Shared>) -> Router {
    use compat::rest::Read as Compat;
    use native::rest::Read as Native;
    Router::new()
        // compat: the Binance Spot wire format
        .route("/api/v3/ping", compat_read(Compat::Ping))
        .route("/api/v3/time", compat_read(Compat::Time))
        .route("/api/v3/exchangeInfo", compat_read(Compat::ExchangeInfo))
        .route("/api/v3/depth", compat_read(Compat::Depth))
        .route("/api/v3/trades", compat_read(Compat::Trades))
        .route("/api/v3/aggTrades", compat_read(Compat::AggTrades))
        .route("/api/v3/klines", compat_read(Compat::Klines))
        .route("/api/v3/uiKlines", compat_read(Compat::Klines))
        .route("/api/v3/ticker/24hr", compat_read(Compat::Ticker24hr))
        .route("/api/v3/ticker/price", compat_read(Compat::TickerPrice))
        .route("/api/v3/ticker/bookTicker", compat_read(Compat::BookTicker))
        .route("/ws", any(server::compat_ws))
        .route("/ws/", any(server::compat_ws))
        .route("/ws/{*tail}", any(server::compat_ws))
        .route("/stream", any(server::compat_ws))
        .route("/stream/", any(server::compat_ws))
        .route("/stream/{*tail}", any(server::compat_ws))
        // native
        .route("/v1/ws", any(server::native_ws))
        .route("/v1/status", native_read(Native::Status))
        .route("/v1/markets", native_read(Native::Markets))
        .route("/v1/markets/{market}/depth", native_read(Native::Depth))
        .route("/v1/candles", native_read(Native::Candles))
        // the node, the page, the operator
        .route("/rpc", post(server::rpc).get(server::rpc_ws))
        .route("/config.json", get(server::page_config))
        .route("/health", get(server::health))
        .route("/ready", get(server::ready))
        .route("/metrics", get(server::metrics))
        .method_not_allowed_fallback(server::bad_method)
        .fallback(server::page)
        .with_state(shared)
}
