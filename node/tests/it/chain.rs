//! A chain for tests: dev accounts, a few hand-written contracts, seeded random blocks that reach the corners of execution.
//! Everything real: signed transactions, decoded and recovered; the test drives executor and pipeline itself.

use alloy_consensus::{SignableTransaction, TxEip1559, TxEip2930, TxEip7702, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_eips::eip7702::Authorization;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, address, hex};
use node::build::{Candidate, OnInvalid};
use node::commit::Pipeline;
use node::execute::{ChainSpec, Executor, Timing};
use node::genesis::{Genesis, contract, dev_accounts};
use node::mempool::Pooled;
use node::publish::BlockLog;
use node::state::State;
use node::store::{Fsync, Recovered, SnapshotPolicy, StoreConfig, open};
use node::tx::{Envelope, Rules, SenderCache, Tx};
use rand::Rng;
use rand::rngs::StdRng;
use secp256k1::{Message, Secp256k1, SecretKey};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

pub const CHAIN_ID: u64 = 4434;
pub const BASE_FEE: u64 = 1_000_000;
pub const GAS_LIMIT: u64 = 60_000_000;
pub const COINBASE: Address = address!("c0ffee0000000000000000000000000000000001");

/// `(slot, value, mode)`: stores, logs `(slot, value)`; mode 1 reverts after, mode 2 burns all gas after.
pub const WRITER: Address = address!("aaaa000000000000000000000000000000000001");
/// Stores BLOCKHASH(number - 1), BLOCKHASH(number - 3), the EIP-2935 answers for both, and BALANCE(coinbase).
pub const WITNESS: Address = address!("aaaa000000000000000000000000000000000002");
/// `(salt)`: creates with CREATE2 a contract that destroys itself when called with value 0, calls it, creates it again.
pub const PHOENIX: Address = address!("aaaa000000000000000000000000000000000003");

/// SSTORE(word0, word1); LOG2(word0, word1) over the calldata; then by word2: 0 stop, 1 revert, 2 invalid.
const WRITER_CODE: &str = concat!(
    "602035", "5f35", "55", // sstore(calldata[0], calldata[32])
    "6060", "5f", "5f", "37", // calldatacopy(0, 0, 96)
    "602035", "5f35", "6060", "5f", "a2", // log2(0, 96, word0, word1)
    "604035", "6001", "14", "6023", "57", // word2 == 1 -> revert
    "604035", "6002", "14", "6027", "57", // word2 == 2 -> invalid
    "00", "5b5f5ffd", "5bfe",
);

/// See [`WITNESS`]; slots number*8 + 0..5.
fn witness_code() -> Bytes {
    let history = "0000F90827F1C53a10cb7A02335B175320002935";
    let mut code = String::new();
    for (index, back) in [(0u8, 1u8), (1, 3)] {
        // sstore(number * 8 + index, blockhash(number - back))
        code += &format!("60{back:02x}43034043600802{}55", add(index));
        // mstore(0, number - back); staticcall(gas, history, 0, 32, 32, 32); sstore(number * 8 + 2 + index, mload(32))
        code += &format!("60{back:02x}43035f526020602060205f73{history}5afa5060205143600802{}55", add(index + 2));
    }
    // sstore(number * 8 + 4, balance(coinbase))
    code += &format!("413143600802{}55", add(4));
    hex::decode(code).expect("written by hand").into()
}

fn add(index: u8) -> String {
    format!("60{index:02x}01")
}

/// Init code of a contract whose runtime stores 7 at slot 1 and destroys itself to the caller: `600760015533ff`.
const MORTAL_INIT: &str = "66600760015533ff5f5260076019f3";

/// create2(mortal), call it (it stores and dies), and log the address; a second transaction in the block can do it again.
fn phoenix_code() -> Bytes {
    let init = MORTAL_INIT;
    let len = init.len() / 2;
    // mstore(0, init << ..); create2(value, 0, len, calldata[0]); call(gas, address, 0, 0, 0, 0, 0)
    let shift = (32 - len) * 8;
    let code = format!("6e{init}60{shift:02x}1b5f525f3560{len:02x}5f34f55f5f5f5f5f855af15000");
    hex::decode(code).expect("written by hand").into()
}

/// The genesis of the tests: dev chain plus the contracts above.
pub fn genesis() -> Genesis {
    let mut genesis = Genesis::dev(CHAIN_ID, 10);
    let writer = hex::decode(WRITER_CODE).expect("written by hand").into();
    let seeded = (1..=40u8).map(|slot| (B256::with_last_byte(slot), B256::with_last_byte(slot))).collect();
    genesis.add(WRITER, contract(writer, seeded));
    genesis.add(WITNESS, contract(witness_code(), BTreeMap::new()));
    genesis.add(PHOENIX, contract(phoenix_code(), BTreeMap::new()));
    genesis
}

/// A key with its next nonce.
#[derive(Clone)]
pub struct Actor {
    pub address: Address,
    secret: SecretKey,
    pub nonce: u64,
}

impl Actor {
    pub fn all() -> Vec<Self> {
        let secret = |key: &B256| SecretKey::from_byte_array(key.0).expect("a dev key is valid");
        dev_accounts(10).iter().map(|(address, key)| Self { address: *address, secret: secret(key), nonce: 0 }).collect()
    }

    fn sign(&self, hash: B256) -> Signature {
        let signature = Secp256k1::signing_only().sign_ecdsa_recoverable(Message::from_digest(hash.0), &self.secret);
        let (id, compact) = signature.serialize_compact();
        let word = |bytes: &[u8]| U256::from_be_slice(bytes);
        Signature::new(word(&compact[..32]), word(&compact[32..]), i32::from(id) == 1)
    }

    /// A signed type-2 transaction with the next nonce.
    pub fn send(&mut self, to: TxKind, value: u64, input: Bytes, gas_limit: u64) -> Arc<Tx> {
        let tx = TxEip1559 {
            chain_id: CHAIN_ID,
            nonce: self.nonce,
            gas_limit,
            max_fee_per_gas: u128::from(BASE_FEE) * 3,
            max_priority_fee_per_gas: 7,
            to,
            value: U256::from(value),
            access_list: AccessList::default(),
            input,
        };
        self.nonce += 1;
        let signature = self.sign(tx.signature_hash());
        decode(tx.into_signed(signature).into())
    }

    /// A write by [`WRITER`].
    pub fn write(&mut self, slot: u64, value: u64, mode: u64) -> Arc<Tx> {
        self.send(TxKind::Call(WRITER), 0, words(&[slot, value, mode]), 200_000)
    }

    fn legacy(&mut self, to: Address, value: u64) -> Arc<Tx> {
        let tx = TxLegacy {
            chain_id: Some(CHAIN_ID),
            nonce: self.nonce,
            gas_price: u128::from(BASE_FEE) + 5,
            gas_limit: 60_000,
            to: TxKind::Call(to),
            value: U256::from(value),
            input: Bytes::new(),
        };
        self.nonce += 1;
        let signature = self.sign(tx.signature_hash());
        decode(tx.into_signed(signature).into())
    }

    fn with_list(&mut self, slot: u64, value: u64) -> Arc<Tx> {
        let item = AccessListItem { address: WRITER, storage_keys: vec![B256::from(U256::from(slot))] };
        let tx = TxEip2930 {
            chain_id: CHAIN_ID,
            nonce: self.nonce,
            gas_price: u128::from(BASE_FEE) * 2,
            gas_limit: 200_000,
            to: TxKind::Call(WRITER),
            value: U256::ZERO,
            access_list: AccessList(vec![item]),
            input: words(&[slot, value, 0]),
        };
        self.nonce += 1;
        let signature = self.sign(tx.signature_hash());
        decode(tx.into_signed(signature).into())
    }

    fn delegate(&mut self, authority: &mut Self, target: Address) -> Arc<Tx> {
        let authorization = Authorization { chain_id: U256::from(CHAIN_ID), address: target, nonce: authority.nonce };
        let signature = authority.sign(authorization.signature_hash());
        authority.nonce += 1;
        let tx = TxEip7702 {
            chain_id: CHAIN_ID,
            nonce: self.nonce,
            gas_limit: 300_000,
            max_fee_per_gas: u128::from(BASE_FEE) * 3,
            max_priority_fee_per_gas: 1,
            to: authority.address,
            value: U256::ZERO,
            access_list: AccessList::default(),
            authorization_list: vec![authorization.into_signed(signature)],
            input: words(&[99, self.nonce, 0]),
        };
        self.nonce += 1;
        let signature = self.sign(tx.signature_hash());
        decode(tx.into_signed(signature).into())
    }
}

fn decode(envelope: Envelope) -> Arc<Tx> {
    let rules = Rules { chain_id: CHAIN_ID, allow_unprotected: false };
    let raw = envelope.encoded_2718().into();
    Arc::new(Tx::decode(raw, 0, Instant::now(), rules, &SenderCache::default()).expect("signed by the test itself"))
}

pub fn words(words: &[u64]) -> Bytes {
    words.iter().flat_map(|word| U256::from(*word).to_be_bytes::<32>()).collect::<Vec<u8>>().into()
}

/// A random block's transactions: every kind of effect, some invalid.
pub fn random_txs(rng: &mut StdRng, actors: &mut [Actor], count: usize) -> Vec<Arc<Tx>> {
    (0..count).map(|_| random_tx(rng, actors)).collect()
}

fn random_tx(rng: &mut StdRng, actors: &mut [Actor]) -> Arc<Tx> {
    let who = rng.random_range(0..actors.len());
    let slot = rng.random_range(0..60);
    let actor = &mut actors[who];
    match rng.random_range(0..20) {
        0..=1 => actor.send(TxKind::Call(Address::from(rng.random::<[u8; 20]>())), rng.random_range(0..3), Bytes::new(), 21_000),
        2 => actor.legacy(Address::with_last_byte(rng.random()), rng.random_range(0..2)),
        3 => {
            let to = actors[rng.random_range(0..actors.len())].address;
            actors[who].send(TxKind::Call(to), 1_000, Bytes::new(), 30_000)
        }
        4..=8 => actor.write(slot, rng.random(), 0),
        9..=10 => actor.write(slot, 0, 0),
        11 => actor.write(slot, 5, 1),
        12 => actor.write(slot, 5, 2),
        13 => actor.with_list(slot, rng.random()),
        14 => actor.send(TxKind::Call(WITNESS), 0, Bytes::new(), 400_000),
        // The same salt twice in a block: created, destroyed, created again.
        15..=16 => actor.send(TxKind::Call(PHOENIX), rng.random_range(0..2), words(&[rng.random_range(0..3)]), 500_000),
        17 => actor.send(TxKind::Create, 0, hex::decode(MORTAL_INIT).expect("written by hand").into(), 200_000),
        18 => {
            let other = (who + rng.random_range(1..actors.len())) % actors.len();
            let mut authority = actors[other].clone();
            let target = if rng.random() { WRITER } else { Address::ZERO };
            let tx = actors[who].delegate(&mut authority, target);
            actors[other].nonce = authority.nonce;
            tx
        }
        // Invalid in its place: a nonce that was used, or one too high.
        _ => {
            let mut liar = actor.clone();
            liar.nonce = if liar.nonce > 0 && rng.random() { liar.nonce - 1 } else { liar.nonce + 3 };
            liar.write(slot, 1, 0)
        }
    }
}

/// The candidate of a block at 100 ms steps.
pub fn candidate(number: u64, txs: Vec<Arc<Tx>>) -> Candidate {
    Candidate {
        number,
        time_ms: 1_700_000_000_000 + number * 100,
        gas_limit: GAS_LIMIT,
        base_fee: BASE_FEE,
        beneficiary: COINBASE,
        mix_hash: alloy_primitives::keccak256(number.to_be_bytes()),
        extra_data: Bytes::from_static(b"hifi"),
        txs: txs.into_iter().map(|tx| Pooled { tx, ready_seq: 0 }).collect(),
        on_invalid: OnInvalid::Drop,
    }
}

/// An open chain: the driver's part is played by the test.
pub struct Chain {
    pub executor: Executor,
    pub pipeline: Pipeline,
    pub state: Arc<State>,
    pub log: BlockLog,
    pub number: u64,
}

impl Chain {
    pub fn open(dir: &Path) -> Self {
        Self::open_with(dir, SnapshotPolicy::default())
    }

    pub fn open_with(dir: &Path, policy: SnapshotPolicy) -> Self {
        Self::start(recover(dir).expect("the data directory is good"), policy)
    }

    pub fn start(recovered: Recovered, policy: SnapshotPolicy) -> Self {
        let spec = ChainSpec::from_genesis(&genesis().inner).expect("dev rules");
        let (state, log, number) = (Arc::clone(&recovered.state), recovered.log.clone(), recovered.head.header.number);
        let executor = Executor::new(Arc::clone(&state), spec);
        Self { executor, pipeline: Pipeline::start(recovered, policy), state, log, number }
    }

    /// Executes and submits the next block; returns what was dropped.
    pub fn block(&mut self, txs: Vec<Arc<Tx>>) -> usize {
        self.number += 1;
        let executed = self.executor.execute(candidate(self.number, txs), Timing::NONE).expect("own blocks cannot fail");
        assert!(executed.returned.is_empty(), "test blocks fit");
        let dropped = executed.dropped.len();
        self.pipeline.submit(executed).expect("the pipeline runs");
        dropped
    }

    /// Waits until every submitted block is published.
    pub fn settle(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers");
        let mut head = self.log.watch();
        runtime.block_on(head.wait_for(|head| head.block >= self.number)).expect("the log is open");
    }

    /// Ends the node in order.
    pub fn stop(self) {
        self.pipeline.stop();
    }

    /// Sets the nonces of actors to what the chain says.
    pub fn sync_nonces(&self, actors: &mut [Actor]) {
        for actor in actors {
            actor.nonce = self.state.account(&actor.address).map_or(0, |account| account.nonce);
        }
    }
}

pub fn recover(dir: &Path) -> Result<Recovered, node::error::StoreError> {
    open(StoreConfig { data_dir: dir.to_owned(), genesis: genesis().inner, fsync: Fsync::Block })
}
