//! A key with a nonce that signs exchange operations: what every bot of ours trades with (demo, replay, bench, examples).
//! Signs EIP-1559 transactions with libsecp256k1; sends nothing itself.

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256};
use secp256k1::{Message, SECP256K1, SecretKey};

/// Highest fee a trader of ours offers, wei per gas; the chain's base fee rests on its floor far below.
const MAX_FEE_WEI: u128 = 1_000_000_000;

/// A local signer of one address on one chain.
#[derive(Clone)]
pub struct Trader {
    key: SecretKey,
    pub address: Address,
    pub chain_id: u64,
    /// Nonce of the next transaction.
    pub nonce: u64,
}

impl Trader {
    /// Panics if `key` is zero or not below the curve's order, which no derived key is.
    pub fn new(key: B256, chain_id: u64) -> Trader {
        let key = SecretKey::from_byte_array(key.0).expect("a derived key lies on the curve");
        let public = key.public_key(SECP256K1).serialize_uncompressed();
        let address = Address::from_slice(&keccak256(&public[1..])[12..]);
        Trader { key, address, chain_id, nonce: 0 }
    }

    /// Signs a call with the next nonce and returns the raw transaction and its hash.
    pub fn sign(&mut self, to: Address, value: U256, gas_limit: u64, input: impl Into<Bytes>) -> (Bytes, B256) {
        self.nonce += 1;
        self.sign_at(self.nonce - 1, to, value, gas_limit, input)
    }

    /// Signs a call with a nonce of the caller's choice; about 50 us.
    pub fn sign_at(&self, nonce: u64, to: Address, value: U256, gas_limit: u64, input: impl Into<Bytes>) -> (Bytes, B256) {
        let tx = TxEip1559 {
            chain_id: self.chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas: MAX_FEE_WEI,
            max_priority_fee_per_gas: 1,
            to: TxKind::Call(to),
            value,
            access_list: Default::default(),
            input: input.into(),
        };
        let (id, bytes) = SECP256K1.sign_ecdsa_recoverable(Message::from_digest(tx.signature_hash().0), &self.key).serialize_compact();
        let odd = i32::from(id) & 1 == 1;
        let signature = Signature::new(U256::from_be_slice(&bytes[..32]), U256::from_be_slice(&bytes[32..]), odd);
        let envelope: TxEnvelope = tx.into_signed(signature).into();
        let raw: Bytes = envelope.encoded_2718().into();
        let hash = *envelope.tx_hash();
        (raw, hash)
    }
}

/// The number `register(salt)` gives `owner`: 256 + keccak256(abi.encode(owner, salt)) mod (2^31 - 256).
pub fn account_of(owner: Address, salt: u32) -> orderbook::AccountId {
    let mut input = [0u8; 64];
    input[12..32].copy_from_slice(owner.as_slice());
    input[60..].copy_from_slice(&salt.to_be_bytes());
    let modulus = U256::from((1u64 << 31) - 256);
    orderbook::AccountId(256 + (U256::from_be_bytes(keccak256(input).0) % modulus).to::<u32>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{address, b256};

    #[test]
    fn the_first_account_of_the_first_dev_key_is_the_documented_one() {
        let trader = Trader::new(b256!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"), 4434);
        assert_eq!(trader.address, address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"));
        assert_eq!(account_of(trader.address, 0), orderbook::AccountId(1113525282));
    }

    #[test]
    fn a_signed_transaction_recovers_to_its_sender() {
        let mut trader = Trader::new(B256::repeat_byte(7), 4434);
        let (raw, _) = trader.sign(Address::ZERO, U256::ZERO, 21_000, Bytes::new());
        let tx = <TxEnvelope as alloy_eips::eip2718::Decodable2718>::decode_2718(&mut raw.as_ref()).unwrap();
        let TxEnvelope::Eip1559(signed) = tx else { panic!("expected type 2") };
        let digest = Message::from_digest(signed.signature_hash().0);
        let mut compact = [0u8; 64];
        compact[..32].copy_from_slice(&signed.signature().r().to_be_bytes::<32>());
        compact[32..].copy_from_slice(&signed.signature().s().to_be_bytes::<32>());
        let id = secp256k1::ecdsa::RecoveryId::try_from(signed.signature().v() as i32).unwrap();
        let signature = secp256k1::ecdsa::RecoverableSignature::from_compact(&compact, id).unwrap();
        let key = SECP256K1.recover_ecdsa(digest, &signature).unwrap().serialize_uncompressed();
        assert_eq!(Address::from_slice(&keccak256(&key[1..])[12..]), trader.address);
    }
}
