//! REST and websockets for traders, market makers and the page.
//!
//! Called by the root package: [`Config`] and a feed of executed blocks go in, a listener comes out.

mod bars;
mod config;
mod decimal;
mod error;

pub use config::{Config, Limits};
pub use error::StartError;
