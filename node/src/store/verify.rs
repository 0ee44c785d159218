//! `hifi node verify`: executes a data directory again from genesis and compares everything with what is stored.
//! Reads only; needs the lock, so the node must not run. Signatures are recovered anew too.

use super::record::{self, Record};
use super::recover::{Origin, lock, stored_genesis};
use super::segment::{LogFiles, Scan};
use crate::build::{Candidate, OnInvalid};
use crate::commit::seal;
use crate::error::StoreError;
use crate::execute::{ChainSpec, ExecuteError, Executor, Timing};
use crate::mempool::Pooled;
use crate::publish::Block;
use crate::state::{HISTORY_SLOTS, State};
use crate::trie::StateTrie;
use crate::tx::{Rules, SenderCache, Tx};
use alloy_primitives::{B256, Bytes};
use rayon::prelude::*;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// What was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Newest block; every block from 1 on was executed again.
    pub block: u64,
    pub hash: B256,
    pub state_root: B256,
    pub txs: u64,
    /// Gas used by all blocks.
    pub gas: u64,
    /// Slots in the state at the end.
    pub slots: usize,
}

/// What is wrong with a data directory.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    #[error("block {block}: {what} differs: stored {stored}, executed {executed}")]
    Differs { block: u64, what: &'static str, stored: String, executed: String },
    #[error("the log begins at block {first}: only a complete history can be executed from genesis")]
    Pruned { first: u64 },
}

impl VerifyError {
    /// The exit code of the command.
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Store(error) => error.exit_code(),
            Self::Execute(_) | Self::Differs { .. } => 70,
            Self::Pruned { .. } => 78,
        }
    }
}

/// Executes every stored block again. `progress` gets the block and the transactions so far, once per block.
pub fn verify(data_dir: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Report, VerifyError> {
    let _lock = lock(data_dir)?;
    let genesis = stored_genesis(data_dir)?;
    let mut origin = Origin::new(&genesis)?;
    let spec = ChainSpec::from_genesis(&genesis).map_err(StoreError::State)?;
    let state = origin.state();
    let mut replay = Replay {
        executor: Executor::new(Arc::clone(&state), spec),
        trie: std::mem::take(&mut origin.trie),
        state,
        rules: Rules { chain_id: spec.chain_id, allow_unprotected: true },
        parent: Arc::clone(&origin.block),
        txs: 0,
        gas: 0,
    };
    let files = LogFiles::new();
    let mut failed = None;
    let visit = |record: &Record<'_>| {
        if let Err(error) = replay.take(record) {
            // Ends the scan; the real error is told below.
            failed = Some(error);
            return Err(StoreError::Unreadable { block: record.head.number, why: "it differs".into() });
        }
        progress(record.head.number, replay.txs);
        Ok(())
    };
    let scanned = Scan { mark: origin.chain, files: &files, visit, repair: false }.run(&data_dir.join("wal"), origin.block.hash);
    if let Some(error) = failed {
        return Err(error);
    }
    scanned?;
    let (_, slots) = replay.trie.len();
    let head = &replay.parent;
    Ok(Report { block: head.header.number, hash: head.hash, state_root: head.header.state_root, txs: replay.txs, gas: replay.gas, slots })
}

struct Replay {
    executor: Executor,
    state: Arc<State>,
    trie: StateTrie,
    rules: Rules,
    parent: Arc<Block>,
    txs: u64,
    gas: u64,
}

impl Replay {
    fn take(&mut self, record: &Record<'_>) -> Result<(), VerifyError> {
        let number = record.head.number;
        if number != self.parent.header.number + 1 {
            return Err(VerifyError::Pruned { first: number });
        }
        let part = Bytes::copy_from_slice(record.block);
        let unreadable = |why: String| StoreError::Unreadable { block: number, why };
        let stored = record::decode_block(&record.head, &part).map_err(|damage| unreadable(damage.to_string()))?;
        let candidate = self.candidate(&stored)?;
        let executed = self.executor.execute(candidate, Timing::NONE)?;
        let cell = self.state.hashes().open(number);
        self.state.apply(number, &executed.diff);
        self.trie.apply(&executed.diff);
        self.trie.set_history((number - 1) % HISTORY_SLOTS, self.parent.hash);
        let (block, diff) = seal(executed, self.parent.hash, self.trie.root());
        cell.set(block.hash);
        compare(&stored, &block)?;
        let mut diff_part = Vec::new();
        record::encode_diff(&diff, &mut diff_part);
        if diff_part != record.diff {
            return Err(differs(number, "the diff of the state", record.diff.len(), diff_part.len()));
        }
        self.txs += block.txs.len() as u64;
        self.gas += block.header.gas_used;
        self.parent = Arc::new(block);
        Ok(())
    }

    /// The stored block as a candidate, its transactions recovered anew.
    fn candidate(&self, stored: &Block) -> Result<Candidate, VerifyError> {
        let number = stored.header.number;
        let now = Instant::now();
        let (senders, rules) = (SenderCache::default(), self.rules);
        let recover = |tx: &Arc<Tx>| {
            let fresh =
                Tx::decode(tx.raw.clone(), 0, now, rules, &senders).map_err(|error| differs(number, "a transaction", tx.hash, error))?;
            if fresh.sender != tx.sender {
                return Err(differs(number, "the sender of a transaction", tx.sender, fresh.sender));
            }
            Ok(Pooled { tx: Arc::new(fresh), ready_seq: 0 })
        };
        let txs = stored.txs.par_iter().map(recover).collect::<Result<Vec<_>, VerifyError>>()?;
        let header = &stored.header;
        Ok(Candidate {
            number,
            time_ms: stored.time_ms,
            gas_limit: header.gas_limit,
            base_fee: header.base_fee_per_gas.unwrap_or_default(),
            beneficiary: header.beneficiary,
            mix_hash: header.mix_hash,
            extra_data: header.extra_data.clone(),
            txs,
            on_invalid: OnInvalid::Reject,
        })
    }
}

fn compare(stored: &Block, executed: &Block) -> Result<(), VerifyError> {
    let block = stored.header.number;
    for (index, (old, new)) in stored.receipts.iter().zip(&executed.receipts).enumerate() {
        if old != new {
            let of = |receipt: &alloy_consensus::ReceiptEnvelope| {
                format!(
                    "transaction {index}: status {}, gas so far {}, {} logs",
                    receipt.status(),
                    receipt.cumulative_gas_used(),
                    receipt.logs().len()
                )
            };
            return Err(differs(block, "a receipt", of(old), of(new)));
        }
    }
    let (old, new) = (&stored.header, &executed.header);
    if old.state_root != new.state_root {
        return Err(differs(block, "the state root", old.state_root, new.state_root));
    }
    if old.receipts_root != new.receipts_root {
        return Err(differs(block, "the receipts root", old.receipts_root, new.receipts_root));
    }
    if old.transactions_root != new.transactions_root {
        return Err(differs(block, "the transactions root", old.transactions_root, new.transactions_root));
    }
    if old.gas_used != new.gas_used {
        return Err(differs(block, "gas used", old.gas_used, new.gas_used));
    }
    if stored.hash != executed.hash {
        return Err(differs(block, "the block hash", stored.hash, executed.hash));
    }
    Ok(())
}

fn differs(block: u64, what: &'static str, stored: impl ToString, executed: impl ToString) -> VerifyError {
    VerifyError::Differs { block, what, stored: stored.to_string(), executed: executed.to_string() }
}
