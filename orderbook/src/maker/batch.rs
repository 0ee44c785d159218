//! A batch of operations as one thing: its transaction, its signed form, and its result words read back.
//! Thin over `operation::encode`, `abi::calldata` and `signed`: no byte is laid out here.

use crate::operation::{self, Outcome, WORDS_MAX};
use crate::{AbiError, AccountId, Command, Operation, abi, signed};
use alloy_primitives::{Address, B256, Bytes};

/// What an account wants done, in order, in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// 0: the sender's first account; a signed batch names it.
    pub account: AccountId,
    /// A failed operation leaves only its `Rejected` event; without it the first failure reverts everything.
    pub skip_failed: bool,
    pub operations: Vec<Operation>,
}

/// One operation of a batch with what became of it (of a ladder: one per rung).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done<'a> {
    pub operation: &'a Operation,
    pub outcomes: Vec<Outcome>,
}

impl Batch {
    /// An empty batch that skips what fails: what a market maker sends.
    pub fn new(account: AccountId) -> Batch {
        Batch { account, skip_failed: true, operations: Vec::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Result words it will give; the exchange takes at most [`WORDS_MAX`].
    pub fn words(&self) -> usize {
        self.operations.iter().map(Operation::words).sum()
    }

    /// Result words still free.
    pub fn room(&self) -> usize {
        WORDS_MAX.saturating_sub(self.words())
    }

    /// The bytes of its operations.
    pub fn bytes(&self) -> Vec<u8> {
        operation::encode(self.skip_failed, &self.operations)
    }

    /// As `Engine::apply` takes it.
    pub fn command(&self) -> Command {
        Command::Execute { account: self.account, ops: self.bytes().into() }
    }

    /// Input of a transaction to the exchange, to be signed by the account's owner or agent.
    pub fn calldata(&self) -> Vec<u8> {
        abi::calldata(&self.command())
    }

    /// The EIP-712 hash to sign so that `relayer` (zero: anybody) may send the batch until `deadline_s`. `nonce` is any number the account has
    /// not used yet.
    pub fn signing_hash(&self, domain: signed::Domain, nonce: u64, deadline_s: u64, relayer: Address) -> B256 {
        signed::Batch { account: self.account, nonce, deadline_s, relayer, ops: &self.bytes() }.signing_hash(domain)
    }

    /// Input of the transaction that carries a signed batch; the arguments are those of the hash.
    pub fn signed_calldata(&self, nonce: u64, deadline_s: u64, relayer: Address, signer: Address, signature: Bytes) -> Vec<u8> {
        let (account, ops) = (self.account, self.bytes().into());
        abi::calldata(&Command::ExecuteSigned { account, nonce, deadline_s, relayer, ops, signer, signature })
    }

    /// Reads what `execute` returned (from `eth_call` or a trace; a receipt does not hold it).
    ///
    /// # Errors
    /// Bytes that are no result of this batch.
    pub fn done(&self, returned: &[u8]) -> Result<Vec<Done<'_>>, AbiError> {
        let words = abi::batch_result(returned)?;
        let outcomes = operation::outcomes(&self.operations, &words)
            .ok_or(AbiError::Malformed { what: "batch result", why: format!("{} words for {} results", words.len(), self.words()) })?;
        Ok(self.operations.iter().zip(outcomes).map(|(operation, outcomes)| Done { operation, outcomes }).collect())
    }
}
