//! What a hifi dev chain holds at block 0, and the names of it: the exchange, its lens, the demo tokens, the funded accounts.
//! The bytes are the committed artifacts of `contracts/`; no Solidity compiler is needed to build this. Markets are created by
//! transactions, not here: the indexer knows markets from events alone.

use crate::trader::Trader;
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, Bytes, U256, address};
use anyhow::{Context, Result};
use node::genesis::{Genesis, contract};
use orderbook::Engine;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The exchange on every hifi dev chain.
pub const EXCHANGE: Address = address!("4F00000000000000000000000000000000000001");
/// Its views.
pub const LENS: Address = address!("4F00000000000000000000000000000000000002");
/// The tokens that `hifi replay` trades: XBT with 8 decimals, USD with 18.
pub const TAPE_BASE: Address = address!("4F00000000000000000000000000000000000020");
pub const TAPE_QUOTE: Address = address!("4F00000000000000000000000000000000000021");

/// Indices of the dev mnemonic's keys: `0..20` are for people, these are ours.
pub const REPLAY_BANK_KEY: usize = 18;
pub const DEMO_FIRST_KEY: usize = 100;
pub const DEMO_KEYS: usize = 24;
pub const REPLAY_FIRST_KEY: usize = 1_000;
pub const BENCH_FIRST_KEY: usize = 4_000;

/// Wei of each funded account, 10,000 ETH.
const FUNDED_WEI: u128 = 10_000_000_000_000_000_000_000;

/// A demo token of the dev genesis.
#[derive(Clone, Copy, Debug)]
pub struct DemoToken {
    pub at: Address,
    pub name: &'static str,
    pub decimals: u8,
}

/// Every token of the dev genesis; anybody may mint them.
pub const TOKENS: [DemoToken; 7] = [
    DemoToken { at: address!("4F00000000000000000000000000000000000010"), name: "USDC", decimals: 6 },
    DemoToken { at: address!("4F00000000000000000000000000000000000011"), name: "ETH", decimals: 18 },
    DemoToken { at: address!("4F00000000000000000000000000000000000012"), name: "BTC", decimals: 8 },
    DemoToken { at: address!("4F00000000000000000000000000000000000013"), name: "MON", decimals: 18 },
    DemoToken { at: address!("4F00000000000000000000000000000000000014"), name: "SOL", decimals: 9 },
    DemoToken { at: TAPE_BASE, name: "XBT", decimals: 8 },
    DemoToken { at: TAPE_QUOTE, name: "USD", decimals: 18 },
];

alloy_sol_types::sol! {
    /// The part of the demo token that funding an account needs.
    interface Token {
        function mint(address to, uint256 atoms) external;
        function approve(address spender, uint256 atoms) external returns (bool);
        function balanceOf(address owner) external view returns (uint256);
    }
}

/// The dev account that owns the exchange's roles.
pub fn owner() -> Address {
    dev_keys(0, 1)[0].0
}

/// A reference engine of the dev chain's exchange: its owner, its tokens, nothing else.
pub fn engine() -> Engine {
    let mut engine = Engine::new(owner());
    for token in TOKENS {
        engine.deploy_token(token.at, token.decimals);
    }
    engine
}

/// Keys `first ..` of the dev mnemonic, with their addresses.
pub fn dev_keys(first: usize, count: usize) -> Vec<(Address, B256)> {
    node::genesis::dev_accounts(first + count).split_off(first)
}

/// One key of the dev mnemonic as a trader, nonce 0.
pub fn dev_trader(index: usize, chain_id: u64) -> Trader {
    Trader::new(dev_keys(index, 1)[0].1, chain_id)
}

/// Names by token address, for the api.
pub fn token_names() -> BTreeMap<Address, String> {
    TOKENS.iter().map(|token| (token.at, token.name.to_owned())).collect()
}

/// The node's dev genesis with exchange, lens, tokens and the demo's accounts. `more` funds further keys: (first index, count).
pub fn dev(chain_id: u64, dev_accounts: usize, more: Option<(usize, usize)>) -> Result<Genesis> {
    let mut genesis = Genesis::dev(chain_id, dev_accounts);
    let exchange = Artifact::read(include_str!("../contracts/artifacts/Exchange.json"))?;
    let owner_word = B256::left_padding_from(owner().as_slice());
    let roles = (0..3u64).map(|slot| (slot_of(slot), owner_word)).collect();
    genesis.add(EXCHANGE, contract(exchange.code, roles));
    let lens = Artifact::read(include_str!("../contracts/artifacts/Lens.json"))?;
    let exchange_word = B256::left_padding_from(EXCHANGE.as_slice());
    genesis.add(LENS, contract(lens.code, [(slot_of(0), exchange_word)].into()));
    let token = Artifact::read(include_str!("../contracts/artifacts/Token.json"))?;
    for TokenSlots { at, slots } in TOKENS.iter().map(TokenSlots::of) {
        genesis.add(at, contract(token.code.clone(), slots));
    }
    for (first, count) in [(DEMO_FIRST_KEY, DEMO_KEYS)].into_iter().chain(more) {
        for (at, _) in dev_keys(first, count) {
            genesis.add(at, GenesisAccount { balance: U256::from(FUNDED_WEI), ..Default::default() });
        }
    }
    Ok(genesis)
}

/// A committed artifact of `contracts/`.
struct Artifact {
    code: Bytes,
}

impl Artifact {
    fn read(json: &str) -> Result<Artifact> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct File {
            deployed_bytecode: Bytes,
        }
        let file: File = serde_json::from_str(json).context("a committed artifact")?;
        Ok(Artifact { code: file.deployed_bytecode })
    }
}

/// A token's first three words: name and short name as Solidity short strings, decimals.
struct TokenSlots {
    at: Address,
    slots: BTreeMap<B256, B256>,
}

impl TokenSlots {
    fn of(token: &DemoToken) -> TokenSlots {
        let name = short_string(token.name);
        let slots = [(slot_of(0), name), (slot_of(1), name), (slot_of(2), B256::with_last_byte(token.decimals))];
        TokenSlots { at: token.at, slots: slots.into() }
    }
}

/// A Solidity string below 32 bytes: its bytes from the left, twice its length in the last byte.
fn short_string(text: &str) -> B256 {
    let mut word = B256::right_padding_from(text.as_bytes());
    word[31] = 2 * text.len() as u8;
    word
}

fn slot_of(number: u64) -> B256 {
    B256::from(U256::from(number))
}
