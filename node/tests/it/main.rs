//! The node from outside: one binary, one module per subject. Randomised tests print their seed; `HIFI_SEED` sets it.

mod chain;
mod crash;
mod execute;
mod jsonrpc;
mod malformed;
mod mempool;
mod packing;
mod store;
mod trie;

/// The seed of this run.
fn seed() -> u64 {
    let seed = std::env::var("HIFI_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    println!("HIFI_SEED={seed}");
    seed
}
