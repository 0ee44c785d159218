//! The indexer against a real Postgres: random streams of the reference engine become blocks, blocks become a feed and rows, and
//! what Postgres holds is compared with the chain, with an uninterrupted run, and with sums over its own rows.
//!
//! `HIFI_TEST_POSTGRES` names a server (`cargo xtask test` starts one); `HIFI_SEED` repeats a failure.

mod blocks;
mod chain;
mod database;
mod feed;
mod read;
mod rebuild;
mod restart;
mod verify;
