//! A market maker's toolkit: everything between "these are the quotes I want" and the bytes to sign, and back from logs to orders, fills, fees.
//!
//! ```text
//! chain words --Resync--> Book --Follower::new--> Follower <--event-- logs          what is mine: orders, inventory, fees
//!                                                    |
//! target quotes --------------------------------- plan --> Batch --calldata / signing_hash--> the caller signs and sends
//!                                                            `-- order_ids: the ids its orders will get
//! Nonces: which nonce is next, which are under way
//! ```
//! Called by market makers (`examples/market_maker.rs`, the demo). Does no I/O, reads no clock, holds no key: words, logs and seconds are arguments.

mod batch;
mod follow;
mod nonces;
mod plan;
mod position;
mod predict;
mod resync;

pub use batch::{Batch, Done};
pub use follow::{Follower, News, OwnOrder};
pub use nonces::Nonces;
pub use plan::{Quote, Terms, plan, withdrawal};
pub use position::Position;
pub use predict::order_ids;
pub use resync::{Resync, ResyncError};
