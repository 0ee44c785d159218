//! The accounts of the well-known test mnemonic, derived as wallets do (BIP-39 seed, BIP-32 path `m/44'/60'/0'/0/i`).
//! Used by the development genesis, the faucet, demo traders and benches. These keys are public knowledge: never fund them elsewhere.

use alloy_primitives::{Address, B256};
use hmac::{Hmac, Mac};
use rayon::prelude::*;
use secp256k1::{All, PublicKey, Scalar, Secp256k1, SecretKey};
use sha2::Sha512;

/// The mnemonic every development tool knows.
pub const DEV_MNEMONIC: &str = "test test test test test test test test test test test junk";
/// Most accounts [`dev_accounts`] derives.
pub const DEV_ACCOUNTS_MAX: usize = 100_000;

/// An extended private key: the key and the chain code of BIP-32.
struct Extended {
    key: SecretKey,
    code: [u8; 32],
}

/// The first `count` accounts (at most [`DEV_ACCOUNTS_MAX`]) with their private keys; about 30 us of CPU each, on all cores.
pub fn dev_accounts(count: usize) -> Vec<(Address, B256)> {
    let secp = Secp256k1::new();
    let mut parent = master();
    for index in [44 | HARDENED, 60 | HARDENED, HARDENED, 0] {
        parent = parent.child(&secp, index);
    }
    let public = PublicKey::from_secret_key(&secp, &parent.key).serialize();
    (0..count.min(DEV_ACCOUNTS_MAX) as u32)
        .into_par_iter()
        .map(|index| {
            let child = parent.derive(&public, index);
            let public = PublicKey::from_secret_key(&secp, &child.key).serialize_uncompressed();
            (Address::from_raw_public_key(&public[1..]), B256::from(child.key.secret_bytes()))
        })
        .collect()
}

/// Added to an index that only the private key can derive.
const HARDENED: u32 = 1 << 31;

fn master() -> Extended {
    let mut seed = [0u8; 64];
    pbkdf2::pbkdf2::<Hmac<Sha512>>(DEV_MNEMONIC.as_bytes(), b"mnemonic", 2_048, &mut seed).expect("HMAC takes keys of any length");
    let (key, code) = split(mac(b"Bitcoin seed", &[&seed]));
    Extended { key: SecretKey::from_byte_array(key).expect("this seed gives a valid key"), code }
}

impl Extended {
    fn child(&self, secp: &Secp256k1<All>, index: u32) -> Self {
        if index & HARDENED == 0 {
            return self.derive(&PublicKey::from_secret_key(secp, &self.key).serialize(), index);
        }
        let mut data = [0u8; 33];
        data[1..].copy_from_slice(&self.key.secret_bytes());
        self.derive(&data, index)
    }

    /// The child whose HMAC input is `data ++ index`: the compressed public key, or zero and the private key.
    fn derive(&self, data: &[u8; 33], index: u32) -> Self {
        let (tweak, code) = split(mac(&self.code, &[data, &index.to_be_bytes()]));
        let tweak = Scalar::from_be_bytes(tweak).expect("fails for one index in 2^127");
        Self { key: self.key.add_tweak(&tweak).expect("fails for one index in 2^127"), code }
    }
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 64] {
    let mut mac = Hmac::<Sha512>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

fn split(bytes: [u8; 64]) -> ([u8; 32], [u8; 32]) {
    let (left, right) = bytes.split_at(32);
    (left.try_into().expect("half of 64 bytes"), right.try_into().expect("half of 64 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{address, b256};

    /// Addresses and keys as every wallet shows them for this mnemonic.
    #[test]
    fn accounts_are_those_every_wallet_derives() {
        let accounts = dev_accounts(20);
        assert_eq!(accounts[0].0, address!("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"));
        assert_eq!(accounts[0].1, b256!("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"));
        assert_eq!(accounts[1].0, address!("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"));
        assert_eq!(accounts[19].0, address!("0x8626f6940E2eb28930eFb4CeF49B2d1F2C9C1199"));
        assert_eq!(accounts.len(), 20);
    }
}
