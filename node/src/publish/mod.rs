//! Published blocks: durable, visible to every reader. Readers own their cursor; nobody waits for one.

mod block;
pub use block::{Block, Cursor, TxLocation};
