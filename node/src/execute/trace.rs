//! What an execution tells about itself. Written by the executor, read by `hifi_executionTrace`, feeds and the simulator.

use alloy_primitives::B256;

/// The path that executed a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// One journal for the whole block on the driver thread.
    #[default]
    SequentialFast,
}

/// How a block was executed. Times are microseconds of the clock given to the executor.
#[derive(Clone, Debug, Default)]
pub struct ExecutionTrace {
    pub mode: Mode,
    pub workers: u16,
    pub exec_us: u64,
    pub merge_us: u64,
    pub retries: u32,
    /// Gas of the longest chain of dependent transactions; all gas in sequential mode.
    pub critical_gas: u64,
    pub total_gas: u64,
    pub txs: Vec<TxTrace>,
}

/// How one transaction was executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxTrace {
    pub index: u32,
    pub hash: B256,
    pub lane: u16,
    pub worker: u16,
    /// Microseconds since the block's execution began.
    pub start_us: u32,
    pub end_us: u32,
    pub attempts: u8,
    pub gas_used: u64,
}
