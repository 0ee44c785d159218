//! What somebody signed and somebody else sends: batches and agents' rights. Deadline, rights, nonce, signature; then as if sent.

use super::agents::Grant;
use super::{Call, Engine, FEE_COLLECTOR};
use crate::{AccountId, Event, Reject};
use crate::{operation, signed};
use alloy_primitives::{Address, B256, U256};

/// Highest nonce >> 8.
const WORD_MAX: u64 = (1 << 56) - 1;

impl Engine {
    pub(super) fn execute_signed(
        &mut self,
        caller: Address,
        batch: &signed::Batch,
        (signer, signature): (Address, &[u8]),
        call: &mut Call,
    ) -> Result<Vec<U256>, Reject> {
        if call.now_s > batch.deadline_s {
            return Err(Reject::Expired);
        }
        if !batch.relayer.is_zero() && batch.relayer != caller {
            return Err(Reject::NotAuthorized);
        }
        let operations = operation::decode(batch.ops).map_err(|_| Reject::BadOps)?;
        let actor = self.actor(signer, batch.account, call.now_s)?;
        self.use_nonce(actor.account, batch.nonce, signer, call)?;
        self.check_signature(self.domain.map(|domain| batch.signing_hash(domain)), signer, signature)?;
        self.batch(actor, operations, call)
    }

    /// The grant names the account: 0 is nobody's.
    pub(super) fn approve_signed(&mut self, grant: &signed::Grant, signature: &[u8], call: &mut Call) -> Result<(), Reject> {
        if call.now_s > grant.deadline_s {
            return Err(Reject::Expired);
        }
        let account = grant.account;
        let owner = if account == FEE_COLLECTOR { Some(self.owner) } else { self.owner_of(account) };
        let owner = owner.filter(|owner| !owner.is_zero()).ok_or(Reject::NotAuthorized)?;
        self.use_nonce(account, grant.nonce, owner, call)?;
        self.check_signature(self.domain.map(|domain| grant.signing_hash(domain)), owner, signature)?;
        let signed::Grant { agent, expiry_s, perms, cap_atoms, markets, .. } = *grant;
        self.approve(account, &Grant { agent, expiry_s, perms, cap_atoms, markets }, call);
        Ok(())
    }

    pub(super) fn cancel_nonces(&mut self, account: AccountId, word: u64, mask: U256) -> Result<(), Reject> {
        if word > WORD_MAX {
            return Err(Reject::BadAmount);
        }
        let bits = self.nonces_word(account, word);
        self.set_nonces(account, word, bits | mask);
        Ok(())
    }

    /// Nonces have no order: each is a bit, set once.
    fn use_nonce(&mut self, account: AccountId, nonce: u64, signer: Address, call: &mut Call) -> Result<(), Reject> {
        let (word, bit) = (nonce >> 8, nonce as usize & 255);
        let bits = self.nonces_word(account, word);
        if bits.bit(bit) {
            return Err(Reject::NonceUsed);
        }
        self.set_nonces(account, word, bits | U256::from(1) << bit);
        call.events.push(Event::Signed { account, signer, nonce });
        Ok(())
    }

    /// A key signs for its own address, or for the wallet contract it was deployed for. Without a domain nothing is signed.
    fn check_signature(&self, hash: Option<B256>, signer: Address, signature: &[u8]) -> Result<(), Reject> {
        let key = hash.and_then(|hash| signed::signer(hash, signature)).ok_or(Reject::BadSignature)?;
        let is_wallet_key = self.wallets.get(&signer) == Some(&key);
        if key == signer || is_wallet_key { Ok(()) } else { Err(Reject::BadSignature) }
    }

    pub(super) fn nonces_word(&self, account: AccountId, word: u64) -> U256 {
        self.nonces.get(&(account, word)).copied().unwrap_or_default()
    }
}
