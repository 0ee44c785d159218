//! The exchange contract and its tokens as predeploys of a bare EVM: no blocks, no nonces, no gas price.

use alloy_primitives::{Address, B256, Bytes, U256, hex, keccak256};
use orderbook::{AccountId, Atoms, Command, Event, LevelKey, LevelWord, Reject, TokenId, abi, keys, keys::Base, scenario};
use revm::{
    Context, DatabaseCommit, DatabaseRef, ExecuteEvm, MainBuilder, MainContext, MainnetEvm,
    bytecode::Bytecode,
    context::{TxEnv, result::ExecutionResult},
    database::{CacheDB, EmptyDB},
    handler::MainnetContext,
    primitives::{TxKind, hardfork::SpecId},
    state::AccountInfo,
};

/// Where genesis puts the exchange.
pub const EXCHANGE: Address = Address::new(hex!("4f00000000000000000000000000000000000001"));
/// The chain the EVM says it is.
pub const CHAIN_ID: u64 = 1;
/// More than a batch of any length needs here.
const GAS: u64 = 1 << 30;
/// Atoms of every token in the hands of one who was [`Chain::fund`]ed.
const FUNDS_BITS: usize = 120;

pub struct Chain {
    evm: MainnetEvm<MainnetContext<CacheDB<EmptyDB>>>,
    token_code: Bytecode,
}

/// What one command did on the chain.
pub struct Outcome {
    pub result: Result<(Vec<Event>, Bytes), Reject>,
    /// Slots of the exchange with another value than before, with the new one.
    pub changed: Vec<(B256, U256)>,
}

impl Outcome {
    /// The events, or why not.
    pub fn events(self) -> Result<Vec<Event>, Reject> {
        self.result.map(|(events, _)| events)
    }
}

/// The deployed code of a committed artifact.
fn runtime_code(contract: &str) -> Bytecode {
    let path = format!("{}/../contracts/artifacts/{contract}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let artifact: serde_json::Value = serde_json::from_str(&text).expect("an artifact is JSON");
    let code = artifact["deployedBytecode"].as_str().expect("an artifact has deployedBytecode");
    Bytecode::new_raw(hex::decode(code).expect("code is hex").into())
}

impl Chain {
    /// An exchange without tokens and markets; its owner is the scenario's `owner`.
    pub fn new() -> Chain {
        let mut db = CacheDB::new(EmptyDB::new());
        db.insert_account_info(EXCHANGE, contract(runtime_code("Exchange")));
        let owner = U256::from_be_slice(scenario::trader("owner").as_slice());
        db.insert_account_storage(EXCHANGE, U256::ZERO, owner).expect("an empty database never fails");
        let evm = Context::mainnet()
            .with_db(db)
            .modify_cfg_chained(|cfg| {
                cfg.set_spec_and_mainnet_gas_params(SpecId::OSAKA);
                cfg.disable_nonce_check = true;
                cfg.tx_gas_limit_cap = Some(GAS);
            })
            .build_mainnet();
        Chain { evm, token_code: runtime_code("Token") }
    }

    /// Puts a demo token at an address.
    pub fn deploy_token(&mut self, at: Address) {
        let code = self.token_code.clone();
        let db = &mut self.evm.ctx.journaled_state.database;
        db.insert_account_info(at, contract(code));
        db.insert_account_storage(at, U256::from(2), U256::from(18)).expect("an empty database never fails");
    }

    /// Puts a wallet contract at an address: by ERC-1271 it agrees to what `key` has signed in 65 bytes.
    pub fn deploy_signer(&mut self, at: Address, key: Address) {
        // ecrecover(hash, v, r, s) == key && length == 65 ? 0x1626ba7e : 0
        let head = hex!("6004355f5260a43560f81c602052606435604052608435606052602060806080 5f60015afa50608051 73");
        let tail = hex!("146044356041 1416 631626ba7e 60e01b 02 5f52 60205ff3");
        let code = Bytecode::new_raw([&head[..], key.as_slice(), &tail[..]].concat().into());
        self.evm.ctx.journaled_state.database.insert_account_info(at, contract(code));
    }

    /// Sets the time of the next commands, in seconds.
    pub fn set_now(&mut self, now_s: u64) {
        self.evm.ctx.block.timestamp = U256::from(now_s);
    }

    /// Gives plenty of every token and of the native coin, and lets the exchange pull it.
    pub fn fund(&mut self, who: Address, tokens: &[Address]) {
        let atoms = U256::from(1) << FUNDS_BITS;
        for token in tokens {
            self.call(who, *token, U256::ZERO, with_words("mint(address,uint256)", &[word(who), atoms]));
            self.call(who, *token, U256::ZERO, with_words("approve(address,uint256)", &[word(EXCHANGE), U256::MAX]));
        }
        self.give(who, atoms);
    }

    fn give(&mut self, who: Address, wei: U256) {
        let db = &mut self.evm.ctx.journaled_state.database;
        let mut info = db.basic_ref(who).expect("an empty database never fails").unwrap_or_default();
        info.balance += wei;
        db.insert_account_info(who, info);
    }

    pub fn storage(&self, slot: B256) -> U256 {
        let db = &self.evm.ctx.journaled_state.database;
        db.storage_ref(EXCHANGE, slot.into()).expect("an empty database never fails")
    }

    pub fn set_storage(&mut self, slot: B256, word: U256) {
        let db = &mut self.evm.ctx.journaled_state.database;
        db.insert_account_storage(EXCHANGE, slot.into(), word).expect("an empty database never fails");
    }

    /// A token's balance, or wei of the native coin.
    pub fn held(&mut self, token: Address, owner: Address) -> U256 {
        if token.is_zero() {
            let db = &self.evm.ctx.journaled_state.database;
            return db.basic_ref(owner).expect("an empty database never fails").map_or(U256::ZERO, |info| info.balance);
        }
        let (result, _) = self.call(Address::ZERO, token, U256::ZERO, with_words("balanceOf(address)", &[word(owner)]));
        U256::from_be_slice(result.output().expect("a view answers"))
    }

    /// Sends a command; what it pays in is put into the sender's hands before, and approved.
    pub fn send_funded(&mut self, caller: Address, command: &Command) -> Outcome {
        match command {
            Command::Deposit { token, atoms, .. }
            | Command::DepositPermit { token, atoms, .. }
            | Command::SwapExactIn { token_in: token, atoms, .. } => {
                if token.is_zero() {
                    self.give(caller, *atoms);
                } else {
                    self.call(caller, *token, U256::ZERO, with_words("mint(address,uint256)", &[word(caller), *atoms]));
                    self.call(caller, *token, U256::ZERO, with_words("approve(address,uint256)", &[word(EXCHANGE), *atoms]));
                }
            }
            _ => {}
        }
        self.send(caller, command)
    }

    /// Sends a command as it is.
    pub fn send(&mut self, caller: Address, command: &Command) -> Outcome {
        let value = abi::value_atoms(command);
        let (result, changed) = self.call(caller, EXCHANGE, value, abi::calldata(command));
        let result = match result {
            ExecutionResult::Success { logs, output, .. } => {
                let ours = logs.iter().filter(|log| log.address == EXCHANGE);
                let events = ours.map(|log| abi::decode_log(log.data.topics(), &log.data.data).expect("the exchange logs its own events"));
                Ok((events.collect(), output.into_data()))
            }
            ExecutionResult::Revert { output, .. } => {
                Err(abi::reject_from_revert(&output).unwrap_or_else(|| panic!("{command:?} reverted with {output}")))
            }
            ExecutionResult::Halt { reason, .. } => panic!("{command:?} halted: {reason:?}"),
        };
        Outcome { result, changed }
    }

    fn call(&mut self, caller: Address, to: Address, value: U256, data: Vec<u8>) -> (ExecutionResult, Vec<(B256, U256)>) {
        let tx = TxEnv {
            caller,
            kind: TxKind::Call(to),
            value,
            data: data.into(),
            gas_limit: GAS,
            gas_price: 0,
            chain_id: Some(CHAIN_ID),
            ..TxEnv::default()
        };
        let done = self.evm.transact(tx).expect("a call without price and nonce is valid");
        let slots = done.state.get(&EXCHANGE).into_iter().flat_map(|account| account.storage.iter());
        let changed = slots.filter(|(_, slot)| slot.is_changed()).map(|(slot, value)| (B256::from(*slot), value.present_value));
        let changed = changed.collect();
        self.evm.ctx.journaled_state.database.commit(done.state);
        (done.result, changed)
    }
}

fn contract(code: Bytecode) -> AccountInfo {
    AccountInfo { code_hash: code.hash_slow(), code: Some(code), nonce: 1, ..AccountInfo::default() }
}

fn word(address: Address) -> U256 {
    U256::from_be_slice(address.as_slice())
}

fn with_words(signature: &str, words: &[U256]) -> Vec<u8> {
    let mut data = keccak256(signature)[..4].to_vec();
    for word in words {
        data.extend(word.to_be_bytes::<32>());
    }
    data
}

impl scenario::Exchange for Chain {
    fn deploy_token(&mut self, at: Address) {
        Chain::deploy_token(self, at);
    }
    fn apply(&mut self, caller: Address, command: &Command, now_s: u64) -> Result<Vec<Event>, Reject> {
        self.set_now(now_s);
        self.send_funded(caller, command).events()
    }
    fn set_domain(&mut self, domain: orderbook::signed::Domain) {
        assert_eq!((domain.chain_id, domain.exchange), (CHAIN_ID, EXCHANGE), "what the contract itself would say");
    }
    fn age_level(&mut self, level: LevelKey, tail: u64) {
        let word = LevelWord { tail, head: tail, ..LevelWord::default() }.to_word();
        self.set_storage(Base::Level.slot(keys::level(level)), word);
    }
    fn balance(&self, account: AccountId, token: TokenId) -> (Atoms, Atoms) {
        let word = self.storage(Base::Balance.slot(keys::balance(account, token)));
        let mask = (U256::from(1) << 112) - U256::from(1);
        let free = word & U256::from(u128::MAX);
        let due: U256 = (word >> 128) & mask;
        (Atoms(free.to()), Atoms(due.to()))
    }
}
