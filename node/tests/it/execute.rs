//! The executor against a plain revm run: one transaction after another, each committed to a database of its own, all four
//! system calls as real calls. Receipts must be equal, and the state root built from that database by `alloy-trie` must be
//! the one in the header: it covers accounts, slots, code, the EIP-2935 ring and the incremental trie at once.

use crate::chain::{self, Actor, BASE_FEE, CHAIN_ID, COINBASE, Chain, GAS_LIMIT};
use crate::seed;
use alloy_eips::{eip2935, eip4788, eip7002, eip7251};
use alloy_primitives::{B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use alloy_trie::TrieAccount;
use alloy_trie::root::{state_root_unsorted, storage_root_unsorted};
use node::execute::tx_env;
use node::publish::Block;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use revm::bytecode::Bytecode;
use revm::context::{BlockEnv, Context};
use revm::context_interface::block::BlobExcessGasAndPrice;
use revm::database::{AccountState, CacheDB, EmptyDB};
use revm::primitives::hardfork::SpecId;
use revm::state::AccountInfo;
use revm::{ExecuteCommitEvm, MainBuilder, MainContext, SystemCallCommitEvm};

type Plain = CacheDB<EmptyDB>;

/// The genesis of the tests in a database of revm's own.
fn plain() -> Plain {
    let mut db = Plain::default();
    for (address, account) in chain::genesis().inner.alloc {
        let code = account.code.map(Bytecode::new_raw);
        let code_hash = code.as_ref().map_or(KECCAK256_EMPTY, Bytecode::hash_slow);
        let info = AccountInfo { balance: account.balance, nonce: account.nonce.unwrap_or(0), code_hash, code, ..Default::default() };
        db.insert_account_info(address, info);
        for (key, value) in account.storage.unwrap_or_default() {
            db.insert_account_storage(address, key.into(), value.into()).expect("no database below");
        }
    }
    db
}

/// Runs a published block the plain way; returns `(success, gas, logs)` of each transaction.
fn run(db: &mut Plain, block: &Block) -> Vec<(bool, u64, Vec<alloy_primitives::Log>)> {
    let header = &block.header;
    db.cache.block_hashes.insert(U256::from(header.number - 1), header.parent_hash);
    let env = BlockEnv {
        number: U256::from(header.number),
        beneficiary: COINBASE,
        timestamp: U256::from(header.timestamp),
        gas_limit: GAS_LIMIT,
        basefee: BASE_FEE,
        difficulty: U256::ZERO,
        prevrandao: Some(header.mix_hash),
        blob_excess_gas_and_price: Some(BlobExcessGasAndPrice { excess_blob_gas: 0, blob_gasprice: 1 }),
        slot_num: 0,
    };
    let mut evm = Context::mainnet()
        .modify_cfg_chained(|cfg| {
            *cfg = std::mem::take(cfg).with_spec_and_mainnet_gas_params(SpecId::OSAKA).with_chain_id(CHAIN_ID);
        })
        .with_db(db)
        .with_block(env)
        .build_mainnet();
    evm.system_call_commit(eip4788::BEACON_ROOTS_ADDRESS, B256::ZERO.0.into()).expect("EIP-4788");
    evm.system_call_commit(eip2935::HISTORY_STORAGE_ADDRESS, header.parent_hash.0.into()).expect("EIP-2935");
    let mut results = Vec::new();
    for tx in &block.txs {
        let result = evm.transact_commit(tx_env(tx)).expect("included transactions are valid");
        results.push((result.is_success(), result.tx_gas_used(), result.into_logs()));
    }
    evm.system_call_commit(eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, Bytes::new()).expect("EIP-7002");
    evm.system_call_commit(eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, Bytes::new()).expect("EIP-7251");
    results
}

/// The state root of revm's database, from nothing.
fn root(db: &Plain) -> B256 {
    let live =
        db.cache.accounts.iter().filter(|(_, account)| account.account_state != AccountState::NotExisting && !account.info.is_empty());
    state_root_unsorted(live.map(|(address, account)| {
        let slots = account.storage.iter().filter(|(_, value)| !value.is_zero());
        let slots = slots.map(|(key, value)| (keccak256(key.to_be_bytes::<32>()), *value));
        let leaf = TrieAccount {
            nonce: account.info.nonce,
            balance: account.info.balance,
            storage_root: storage_root_unsorted(slots),
            code_hash: account.info.code_hash,
        };
        (keccak256(address), leaf)
    }))
}

#[test]
fn blocks_equal_a_plain_run_transaction_by_transaction() {
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut chain = Chain::open(dir.path());
    let mut actors = Actor::all();
    let mut db = plain();
    assert_eq!(root(&db), chain.log.genesis().header.state_root, "genesis");
    let (mut reverted, mut dropped, mut txs) = (0, 0, 0);
    let mut succeeded = std::collections::HashMap::new();
    for _ in 0..150 {
        let count = rng.random_range(0..40);
        dropped += chain.block(chain::random_txs(&mut rng, &mut actors, count));
        chain.settle();
        chain.sync_nonces(&mut actors);
        let block = chain.log.head_block();
        let plain = run(&mut db, &block);
        assert_eq!(plain.len(), block.receipts.len());
        for (index, (success, gas, logs)) in plain.into_iter().enumerate() {
            let receipt = &block.receipts[index];
            let at = format!("transaction {index} of block {} of seed {seed}", chain.number);
            assert_eq!(receipt.status(), success, "{at}");
            assert_eq!(block.gas_used(index), gas, "{at}");
            assert_eq!(receipt.logs(), logs, "{at}");
            reverted += usize::from(!success);
            if success {
                *succeeded.entry(alloy_consensus::Transaction::to(&block.txs[index].envelope)).or_insert(0) += 1;
            }
        }
        assert_eq!(block.header.state_root, root(&db), "the state after block {} of seed {seed}", chain.number);
        txs += block.txs.len();
    }
    assert!(txs > 1_000 && reverted > 50 && dropped > 20, "{txs} txs, {reverted} reverted, {dropped} dropped: too tame");
    for contract in [chain::WRITER, chain::WITNESS, chain::PHOENIX] {
        assert!(succeeded.get(&Some(contract)).is_some_and(|count| *count > 20), "{contract} was hardly reached");
    }
    chain.stop();
}
