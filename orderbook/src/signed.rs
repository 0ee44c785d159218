//! What an owner or agent signs so that somebody else may send it: the EIP-712 hashes of a batch and of an agent's rights, and who signed.
//! Called by market makers (they sign the hash with their own key), by the engine and by tests. Holds no key, signs nothing.
//!
//! ```text
//! hash = keccak256(0x1901, domain, keccak256(type hash, fields of one word each))        domain: name `hifi Exchange`, version `1`
//! ```

use crate::{AccountId, MarketId};
use alloy_primitives::{Address, B256, U256, keccak256};
use secp256k1::{
    Message, SECP256K1,
    ecdsa::{RecoverableSignature, RecoveryId},
};

/// Where a signature is valid: one exchange on one chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Domain {
    pub chain_id: u64,
    pub exchange: Address,
}

impl Domain {
    /// keccak256 of the domain's type, name, version, chain and contract.
    pub fn separator(self) -> B256 {
        hashed(
            "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)",
            &[
                keccak256("hifi Exchange").into(),
                keccak256("1").into(),
                U256::from(self.chain_id),
                U256::from_be_slice(self.exchange.as_slice()),
            ],
        )
    }

    /// What is signed.
    fn digest(self, message: B256) -> B256 {
        let mut preimage = [0u8; 66];
        preimage[..2].copy_from_slice(&[0x19, 0x01]);
        preimage[2..34].copy_from_slice(self.separator().as_slice());
        preimage[34..].copy_from_slice(message.as_slice());
        keccak256(preimage)
    }
}

/// A batch as it is signed; `ops` are the bytes of [`crate::operation::encode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch<'a> {
    pub account: AccountId,
    /// Any number the account has not used.
    pub nonce: u64,
    /// Last second it may run; 40 bits.
    pub deadline_s: u64,
    /// Who may send it; zero: anybody.
    pub relayer: Address,
    pub ops: &'a [u8],
}

impl Batch<'_> {
    /// The EIP-712 hash to sign.
    pub fn signing_hash(&self, domain: Domain) -> B256 {
        domain.digest(hashed(
            "Batch(uint32 account,uint64 nonce,uint40 deadline,address relayer,bytes ops)",
            &[
                U256::from(self.account.0),
                U256::from(self.nonce),
                U256::from(self.deadline_s),
                U256::from_be_slice(self.relayer.as_slice()),
                keccak256(self.ops).into(),
            ],
        ))
    }
}

/// An agent's rights as the account's owner signs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    pub account: AccountId,
    pub agent: Address,
    /// Second from which they are void, 0 revokes; 40 bits.
    pub expiry_s: u64,
    pub perms: u16,
    /// Most quote atoms of one order, 0: no bound; 96 bits.
    pub cap_atoms: u128,
    /// All 0: everywhere.
    pub markets: [MarketId; 3],
    pub nonce: u64,
    /// Last second it may be sent; 40 bits.
    pub deadline_s: u64,
}

impl Grant {
    /// The EIP-712 hash to sign.
    pub fn signing_hash(&self, domain: Domain) -> B256 {
        domain.digest(hashed(
            "Agent(uint32 account,address agent,uint40 expiry,uint16 perms,uint96 cap,uint32 market0,uint32 market1,uint32 market2,\
             uint64 nonce,uint40 deadline)",
            &[
                U256::from(self.account.0),
                U256::from_be_slice(self.agent.as_slice()),
                U256::from(self.expiry_s),
                U256::from(self.perms),
                U256::from(self.cap_atoms),
                U256::from(self.markets[0].0),
                U256::from(self.markets[1].0),
                U256::from(self.markets[2].0),
                U256::from(self.nonce),
                U256::from(self.deadline_s),
            ],
        ))
    }
}

/// keccak256 of a type's hash and its fields.
fn hashed(of_type: &str, fields: &[U256]) -> B256 {
    let mut preimage = keccak256(of_type).to_vec();
    fields.iter().for_each(|field| preimage.extend(field.to_be_bytes::<32>()));
    keccak256(preimage)
}

/// Who signed `hash`: 65 bytes r, s, v with v 27 or 28 and s in its lower half, as the exchange takes them. `None`: nobody did.
pub fn signer(hash: B256, signature: &[u8]) -> Option<Address> {
    let (&v, compact) = signature.split_last().filter(|(_, compact)| compact.len() == 64)?;
    let parity = v.checked_sub(27).filter(|parity| *parity < 2)?;
    let signature = RecoverableSignature::from_compact(compact, RecoveryId::try_from(parity as i32).ok()?).ok()?;
    let mut plain = signature.to_standard();
    plain.normalize_s();
    if plain != signature.to_standard() {
        return None;
    }
    let key = SECP256K1.recover_ecdsa(Message::from_digest(hash.0), &signature).ok()?.serialize_uncompressed();
    Some(Address::from_slice(&keccak256(&key[1..])[12..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{address, aliases, hex};
    use alloy_sol_types::{SolStruct, eip712_domain};
    use secp256k1::SecretKey;

    /// The types again, hashed by alloy: an independent reading of EIP-712.
    mod typed {
        alloy_sol_types::sol! {
            struct Batch { uint32 account; uint64 nonce; uint40 deadline; address relayer; bytes ops; }
            struct Agent {
                uint32 account; address agent; uint40 expiry; uint16 perms; uint96 cap; uint32 market0; uint32 market1; uint32 market2;
                uint64 nonce; uint40 deadline;
            }
        }
    }

    const EXCHANGE: Address = address!("0x00000000000000000000000000000000000e8c0a");
    const DOMAIN: Domain = Domain { chain_id: 31_337, exchange: EXCHANGE };

    fn alloy_domain() -> alloy_sol_types::Eip712Domain {
        eip712_domain! { name: "hifi Exchange", version: "1", chain_id: 31_337, verifying_contract: EXCHANGE, }
    }

    fn batch() -> Batch<'static> {
        let relayer = address!("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        Batch { account: AccountId(1_113_525_282), nonce: u64::MAX - 1, deadline_s: (1 << 40) - 1, relayer, ops: &[1, 10, 0, 0, 0, 0, 0] }
    }

    #[test]
    fn hashes_are_those_of_eip_712() {
        assert_eq!(DOMAIN.separator(), alloy_domain().separator());
        let batch = batch();
        let typed = typed::Batch {
            account: batch.account.0,
            nonce: batch.nonce,
            deadline: aliases::U40::from(batch.deadline_s),
            relayer: batch.relayer,
            ops: batch.ops.into(),
        };
        assert_eq!(batch.signing_hash(DOMAIN), typed.eip712_signing_hash(&alloy_domain()));
        let grant = Grant {
            account: AccountId(7),
            agent: EXCHANGE,
            expiry_s: 1_800_000_000,
            perms: 0xf00f,
            cap_atoms: (1 << 96) - 1,
            markets: [MarketId(1), MarketId(0), MarketId(u32::MAX)],
            nonce: 1 << 63,
            deadline_s: 1_700_000_000,
        };
        let typed = typed::Agent {
            account: 7,
            agent: EXCHANGE,
            expiry: aliases::U40::from(grant.expiry_s),
            perms: grant.perms,
            cap: aliases::U96::from(grant.cap_atoms),
            market0: 1,
            market1: 0,
            market2: u32::MAX,
            nonce: grant.nonce,
            deadline: aliases::U40::from(grant.deadline_s),
        };
        assert_eq!(grant.signing_hash(DOMAIN), typed.eip712_signing_hash(&alloy_domain()));
        assert_ne!(batch.signing_hash(DOMAIN), batch.signing_hash(Domain { chain_id: 1, ..DOMAIN }), "another chain, another hash");
    }

    #[test]
    fn only_the_canonical_signature_names_its_signer() {
        // The first key of the well-known test mnemonic.
        let key = SecretKey::from_byte_array(hex!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")).expect("a key");
        let who = address!("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        let hash = batch().signing_hash(DOMAIN);
        let (id, compact) = SECP256K1.sign_ecdsa_recoverable(Message::from_digest(hash.0), &key).serialize_compact();
        let v = 27 + i32::from(id) as u8;
        let good = [&compact[..], &[v]].concat();
        assert_eq!(signer(hash, &good), Some(who));
        assert_ne!(signer(keccak256("else"), &good), Some(who), "over another message it names another, or nobody");
        // The other signature of the same message: n - s and the other parity.
        let order = U256::from_be_bytes(hex!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"));
        let high = order - U256::from_be_slice(&compact[32..]);
        let twin = [&compact[..32], &high.to_be_bytes::<32>()[..], &[27 + 28 - v]].concat();
        for bad in [&twin[..], &good[..64], &[&good[..], &[0]].concat(), &[&compact[..], &[v - 27]].concat(), &[0; 65], &[]] {
            assert_eq!(signer(hash, bad), None, "{} bytes", bad.len());
        }
    }
}
