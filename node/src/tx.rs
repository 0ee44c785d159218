//! A transaction as the node knows it: decoded, bound to its chain, its sender recovered.
//! Called by the recovery collector (`mempool::ingress`) off the driver thread, and by `store` when a block is read back.
//! Never looks at state, never blocks, never panics on input: malformed bytes are a [`TxError`].
//!
//! Recovery uses libsecp256k1 (a quarter of the cost of the pure Rust one); a bare exchange order costs less in the EVM than its
//! signature costs here, which is why nothing on the driver thread ever recovers.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use alloy_consensus::{EthereumTxEnvelope, EthereumTypedTransaction, SignableTransaction, Transaction, TxEip4844};
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_eips::eip7702::{RecoveredAuthority, RecoveredAuthorization, SignedAuthorization};
use alloy_primitives::{Address, B256, Bytes, Signature, U256, keccak256};
use parking_lot::Mutex;
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, Secp256k1, SecretKey, SignOnly, VerifyOnly};
use thiserror::Error;

/// The signed transaction types of Ethereum; blobs (type 3) are refused at [`Tx::decode`], so that variant never occurs in a [`Tx`].
pub type Envelope = EthereumTxEnvelope<TxEip4844>;

/// A transaction of such a type before it is signed.
pub type TypedTransaction = EthereumTypedTransaction<TxEip4844>;

/// Largest transaction admitted, in bytes of its EIP-2718 encoding.
pub const TX_BYTES_MAX: usize = 128 * 1024;
/// Most EIP-7702 authorities in one transaction: each one costs a signature recovery.
pub const AUTHORITIES_MAX: usize = 16;
/// Largest gas limit of one transaction (EIP-7825).
pub const TX_GAS_LIMIT_MAX: u64 = 1 << 24;

/// Half of the order of secp256k1; a valid `s` is not above it (EIP-2).
const HALF_ORDER: U256 = U256::from_limbs([0xdfe9_2f46_681b_20a0, 0x5d57_6e73_57a4_501d, 0xffff_ffff_ffff_ffff, 0x7fff_ffff_ffff_ffff]);
/// The order of secp256k1; `r` is below it.
const ORDER: U256 = U256::from_limbs([0xbfd2_5e8c_d036_4141, 0xbaae_dce6_af48_a03b, 0xffff_ffff_ffff_fffe, 0xffff_ffff_ffff_ffff]);

static ARRIVALS: AtomicU64 = AtomicU64::new(1);

/// The next number of the one arrival counter. Taken when a request is read, before any parallel work, so that batching cannot
/// reorder traders.
pub fn next_arrival() -> u64 {
    ARRIVALS.fetch_add(1, Ordering::Relaxed)
}

/// Reserves `count` consecutive arrival numbers and returns the first.
pub fn next_arrivals(count: u64) -> u64 {
    ARRIVALS.fetch_add(count, Ordering::Relaxed)
}

/// A decoded transaction whose signature is valid and whose chain id is ours. Only [`Tx::decode`] and [`Tx::restored`] make one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Tx {
    /// The signed transaction; type 0, 1, 2 or 4.
    pub envelope: Envelope,
    /// Its EIP-2718 encoding as received; at most [`TX_BYTES_MAX`] bytes.
    pub raw: Bytes,
    /// keccak256 of `raw`.
    pub hash: B256,
    /// Who signed it.
    pub sender: Address,
    /// EIP-7702 authorisations with their recovered authorities; empty but for type 4.
    pub authorities: Vec<RecoveredAuthorization>,
    /// Number from the arrival counter; 0 for a transaction read back from disk.
    pub arrival: u64,
    /// When the request was read.
    pub arrived_at: Instant,
}

/// What the node demands of a transaction before it looks at state.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The only chain id accepted.
    pub chain_id: u64,
    /// Whether legacy transactions without a chain id (before EIP-155) pass.
    pub allow_unprotected: bool,
}

/// Why bytes are not a transaction for this chain. The caller's fault, always.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TxError {
    #[error("empty transaction data")]
    Empty,
    #[error("oversized data: transaction has {bytes} bytes, limit {TX_BYTES_MAX}")]
    TooLong { bytes: usize },
    #[error("transaction type not supported: {0}")]
    Type(u8),
    #[error("failed to decode signed transaction: {0}")]
    Malformed(String),
    #[error("invalid chain id for signer: have {have} want {want}")]
    ChainId { have: u64, want: u64 },
    #[error("only replay-protected (EIP-155) transactions allowed over RPC")]
    Unprotected,
    #[error("exceeds maximum gas limit of a transaction: gas limit {gas_limit}, cap {TX_GAS_LIMIT_MAX}")]
    GasLimit { gas_limit: u64 },
    #[error("too many authorizations: {count}, limit {AUTHORITIES_MAX}")]
    Authorities { count: usize },
    #[error("EIP-7702 transaction with empty auth list")]
    NoAuthorities,
    #[error("max priority fee per gas higher than max fee per gas: maxPriorityFeePerGas: {tip}, maxFeePerGas: {cap}")]
    TipAboveCap { tip: u128, cap: u128 },
    #[error("nonce has max value")]
    NonceMax,
    #[error("max initcode size exceeded: code size {bytes}, limit {limit}")]
    InitCode { bytes: usize, limit: usize },
    #[error("invalid transaction v, r, s values")]
    Signature,
}

impl Tx {
    /// Decodes and recovers one transaction. Cheap checks come first: length, type, chain id, gas, signature range; the recovery
    /// (about 60 us) is last.
    pub fn decode(raw: Bytes, arrival: u64, arrived_at: Instant, rules: Rules, senders: &SenderCache) -> Result<Self, TxError> {
        let envelope = decode_envelope(&raw)?;
        check_static(&envelope, rules)?;
        let hash = *envelope.tx_hash();
        let sender = match senders.get(&hash) {
            Some(sender) => sender,
            None => {
                let sender = recover(envelope.signature(), envelope.signature_hash())?;
                senders.put(hash, sender);
                sender
            }
        };
        let authorities = authorities(&envelope);
        Ok(Self { envelope, raw, hash, sender, authorities, arrival, arrived_at })
    }

    /// A transaction that was in a block of ours: decoded again, its stored sender trusted, nothing else checked but the encoding.
    pub fn restored(raw: Bytes, sender: Address) -> Result<Self, TxError> {
        let envelope = decode_envelope(&raw)?;
        let authorities = authorities(&envelope);
        Ok(Self { hash: *envelope.tx_hash(), envelope, raw, sender, authorities, arrival: 0, arrived_at: Instant::now() })
    }

    /// Wei the sender must hold for it to run: gas limit x fee cap + value. Saturates at `U256::MAX`.
    pub fn cost_max(&self) -> U256 {
        U256::from(self.envelope.max_fee_per_gas())
            .saturating_mul(U256::from(self.envelope.gas_limit()))
            .saturating_add(self.envelope.value())
    }

    /// Wei per gas it pays at most.
    pub fn fee_cap(&self) -> u128 {
        self.envelope.max_fee_per_gas()
    }

    /// Wei per gas it offers to the beneficiary at most; for types without a tip, its gas price.
    pub fn tip_cap(&self) -> u128 {
        self.envelope.max_priority_fee_per_gas().unwrap_or_else(|| self.envelope.max_fee_per_gas())
    }

    /// Nonce of the sender it spends.
    pub fn nonce(&self) -> u64 {
        self.envelope.nonce()
    }

    /// Gas it may use at most.
    pub fn gas_limit(&self) -> u64 {
        self.envelope.gas_limit()
    }
}

fn decode_envelope(raw: &Bytes) -> Result<Envelope, TxError> {
    let first = *raw.first().ok_or(TxError::Empty)?;
    if raw.len() > TX_BYTES_MAX {
        return Err(TxError::TooLong { bytes: raw.len() });
    }
    // 0xc0.. opens a legacy list; below 0x80 is a type byte; between them nothing is defined.
    if !matches!(first, 1 | 2 | 4 | 0xc0..) {
        return Err(TxError::Type(first));
    }
    let envelope = Envelope::decode_2718_exact(raw).map_err(|error| TxError::Malformed(error.to_string()))?;
    // The hash is that of the canonical bytes; what was received must be exactly these.
    if envelope.encode_2718_len() != raw.len() || *envelope.tx_hash() != keccak256(raw) {
        return Err(TxError::Malformed("encoding is not canonical".into()));
    }
    Ok(envelope)
}

fn check_static(envelope: &Envelope, rules: Rules) -> Result<(), TxError> {
    match envelope.chain_id() {
        Some(have) if have != rules.chain_id => return Err(TxError::ChainId { have, want: rules.chain_id }),
        None if !rules.allow_unprotected => return Err(TxError::Unprotected),
        _ => {}
    }
    if envelope.gas_limit() > TX_GAS_LIMIT_MAX {
        return Err(TxError::GasLimit { gas_limit: envelope.gas_limit() });
    }
    if envelope.nonce() == u64::MAX {
        return Err(TxError::NonceMax);
    }
    let cap = envelope.max_fee_per_gas();
    if let Some(tip) = envelope.max_priority_fee_per_gas()
        && tip > cap
    {
        return Err(TxError::TipAboveCap { tip, cap });
    }
    let limit = revm::primitives::eip3860::MAX_INITCODE_SIZE;
    if envelope.is_create() && envelope.input().len() > limit {
        return Err(TxError::InitCode { bytes: envelope.input().len(), limit });
    }
    if let Some(list) = envelope.authorization_list() {
        if list.is_empty() {
            return Err(TxError::NoAuthorities);
        }
        if list.len() > AUTHORITIES_MAX {
            return Err(TxError::Authorities { count: list.len() });
        }
    }
    check_range(envelope.signature())
}

fn check_range(signature: &Signature) -> Result<(), TxError> {
    let (r, s) = (signature.r(), signature.s());
    if r.is_zero() || s.is_zero() || r >= ORDER || s > HALF_ORDER {
        return Err(TxError::Signature);
    }
    Ok(())
}

fn authorities(envelope: &Envelope) -> Vec<RecoveredAuthorization> {
    recover_authorities(envelope.authorization_list().unwrap_or_default())
}

/// Recovers who signed each EIP-7702 authorisation; one that nobody can have signed is marked invalid, not refused.
pub(crate) fn recover_authorities(list: &[SignedAuthorization]) -> Vec<RecoveredAuthorization> {
    let authority = |signed: &SignedAuthorization| {
        let signature = signed.signature().ok().filter(|signature| check_range(signature).is_ok())?;
        recover(&signature, signed.inner().signature_hash()).ok()
    };
    list.iter()
        .map(|signed| {
            let authority = authority(signed).map_or(RecoveredAuthority::Invalid, RecoveredAuthority::Valid);
            RecoveredAuthorization::new_unchecked(signed.inner().clone(), authority)
        })
        .collect()
}

/// Signs a transaction with a private key: for development accounts, demo traders, benches and tests.
///
/// # Errors
/// [`TxError::Signature`] if the key is zero or not below the order of the curve.
pub fn sign(tx: TypedTransaction, key: &B256) -> Result<Envelope, TxError> {
    static SIGNER: LazyLock<Secp256k1<SignOnly>> = LazyLock::new(Secp256k1::signing_only);
    let key = SecretKey::from_byte_array(key.0).map_err(|_| TxError::Signature)?;
    let digest = tx.signature_hash();
    let (id, compact) = SIGNER.sign_ecdsa_recoverable(Message::from_digest(digest.0), &key).serialize_compact();
    let signature = Signature::from_bytes_and_parity(&compact, id == RecoveryId::One);
    Ok(tx.into_signed(signature).into())
}

fn recover(signature: &Signature, message: B256) -> Result<Address, TxError> {
    static VERIFIER: LazyLock<Secp256k1<VerifyOnly>> = LazyLock::new(Secp256k1::verification_only);
    let mut compact = [0u8; 64];
    compact[..32].copy_from_slice(&signature.r().to_be_bytes::<32>());
    compact[32..].copy_from_slice(&signature.s().to_be_bytes::<32>());
    let id = if signature.v() { RecoveryId::One } else { RecoveryId::Zero };
    let signature = RecoverableSignature::from_compact(&compact, id).map_err(|_| TxError::Signature)?;
    let key = VERIFIER.recover_ecdsa(Message::from_digest(message.0), &signature).map_err(|_| TxError::Signature)?;
    let uncompressed = key.serialize_uncompressed();
    Ok(Address::from_raw_public_key(&uncompressed[1..]))
}

/// Senders already recovered, by transaction hash. Two generations: when the young one is full it becomes the old one and the old
/// one goes, so memory is bounded (about 15 MB) without any bookkeeping per entry.
#[derive(Debug, Default)]
pub struct SenderCache {
    generations: Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    young: std::collections::HashMap<B256, Address, foldhash::fast::RandomState>,
    old: std::collections::HashMap<B256, Address, foldhash::fast::RandomState>,
}

/// Entries of one generation of [`SenderCache`].
const GENERATION_ENTRIES: usize = 65_536;

impl SenderCache {
    /// The sender of this transaction, if it was recovered before.
    pub fn get(&self, hash: &B256) -> Option<Address> {
        let generations = self.generations.lock();
        generations.young.get(hash).or_else(|| generations.old.get(hash)).copied()
    }

    fn put(&self, hash: B256, sender: Address) {
        let mut generations = self.generations.lock();
        if generations.young.len() >= GENERATION_ENTRIES {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(hash, sender);
    }
}
