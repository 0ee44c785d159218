//! Who acts for an account, and what it may do: its owner all, an agent (session key) what its word of rights says.

use super::{Call, Engine, FEE_COLLECTOR};
use crate::{AccountId, Event, MarketId, Reject, TimeInForce, abi::field};
use alloy_primitives::{Address, U256};

/// Bits of an agent's `perms`.
pub(super) mod perms {
    /// POST_ONLY, SLIDE, LADDER.
    pub const PLACE: u16 = 1;
    /// GTC, IOC, FOK, TAKE.
    pub const TAKE: u16 = 2;
    /// Cancel, reduce, claim, by client id, up to a tick, schedule.
    pub const CANCEL: u16 = 4;
    /// Only to the owner.
    pub const WITHDRAW: u16 = 8;
}

/// A word of account: owner 0-159, tier 160-163, deadman 176-215.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    /// Zero for the fee collector, which belongs to the owner role.
    pub owner: Address,
    /// Sixteenths off the taker's fee.
    pub tier: u8,
    /// Second from which the dead-man switch has fired; 0 never.
    pub deadman_s: u64,
}

impl Account {
    /// True if the dead-man switch has fired.
    pub fn fired(self, now_s: u64) -> bool {
        self.deadman_s != 0 && now_s >= self.deadman_s
    }

    pub fn word(self) -> U256 {
        U256::from_be_slice(self.owner.as_slice()) | U256::from(self.tier) << 160 | U256::from(self.deadman_s) << 176
    }
}

/// Who acts in a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Actor {
    /// Never 0.
    pub account: AccountId,
    pub word: Account,
    /// An agent's rights: expiry 0-39, perms 40-55, cap 56-151, 3 markets 152-247. `None`: the owner.
    rights: Option<U256>,
}

impl Actor {
    /// Who trades for an account that nobody owns: tier 0, no switch.
    pub fn unowned(account: AccountId) -> Actor {
        Actor { account, word: Account::default(), rights: None }
    }

    pub fn owns(&self) -> bool {
        self.rights.is_none()
    }

    /// `NotAuthorized` unless the rights hold all of `perm` in this market; market 0: for what has none.
    pub fn demand(&self, perm: u16, market: MarketId) -> Result<(), Reject> {
        let Some(rights) = self.rights else { return Ok(()) };
        if field(rights, 40, 16) as u16 & perm != perm {
            return Err(Reject::NotAuthorized);
        }
        let markets = [152, 184, 216].map(|low| field(rights, low, 32) as u32);
        if market.0 == 0 || markets == [0; 3] || markets.contains(&market.0) { Ok(()) } else { Err(Reject::NotAuthorized) }
    }

    /// `OverCap` if an order is worth more than the rights allow; `None`: more than 2^128.
    pub fn cap(&self, quote_atoms: Option<u128>) -> Result<(), Reject> {
        let Some(rights) = self.rights else { return Ok(()) };
        let most = field(rights, 56, 48) as u128 | (field(rights, 104, 48) as u128) << 48;
        if most == 0 || quote_atoms.is_some_and(|atoms| atoms <= most) { Ok(()) } else { Err(Reject::OverCap) }
    }
}

/// The right an order needs; also modes that do not exist need one.
pub(super) fn perm_of(tif: Option<TimeInForce>) -> u16 {
    match tif {
        Some(TimeInForce::PostOnly | TimeInForce::Slide) => perms::PLACE,
        _ => perms::TAKE,
    }
}

/// What a call or a signed grant gives an agent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grant {
    pub agent: Address,
    pub expiry_s: u64,
    pub perms: u16,
    pub cap_atoms: u128,
    pub markets: [MarketId; 3],
}

impl Grant {
    /// The word of rights, its fields cut to their widths; an expiry of 0 leaves none.
    fn word(&self) -> U256 {
        let (expiry_s, cap_atoms) = (self.expiry_s & ((1 << 40) - 1), self.cap_atoms & ((1 << 96) - 1));
        if expiry_s == 0 {
            return U256::ZERO;
        }
        let [first, second, third] = self.markets.map(|market| U256::from(market.0));
        let scope = first << 152 | second << 184 | third << 216;
        U256::from(expiry_s) | U256::from(self.perms) << 40 | U256::from(cap_atoms) << 56 | scope
    }
}

impl Engine {
    /// The account a call is for and the rights `who` has over it; none at all is `NotAuthorized`. `named` 0: the first account of `who`.
    pub(super) fn actor(&self, who: Address, named: AccountId, now_s: u64) -> Result<Actor, Reject> {
        let account = if named.0 == 0 { self.account_of(who).ok_or(Reject::NotAuthorized)? } else { named };
        let word = self.accounts.get(&account).copied().unwrap_or_default();
        let owns = (word.owner == who && !who.is_zero()) || (account == FEE_COLLECTOR && who == self.owner);
        if owns {
            return Ok(Actor { account, word, rights: None });
        }
        let rights = self.agents.get(&(account, who)).copied().unwrap_or_default();
        if now_s >= field(rights, 0, 40) { Err(Reject::NotAuthorized) } else { Ok(Actor { account, word, rights: Some(rights) }) }
    }

    /// As [`Engine::actor`], for what an owner alone may do.
    pub(super) fn owned(&self, who: Address, named: AccountId, now_s: u64) -> Result<AccountId, Reject> {
        let actor = self.actor(who, named, now_s)?;
        if actor.owns() { Ok(actor.account) } else { Err(Reject::NotAuthorized) }
    }

    /// Gives rights, replacing what the agent had.
    pub(super) fn approve(&mut self, account: AccountId, grant: &Grant, call: &mut Call) {
        let word = grant.word();
        self.set_agent(account, grant.agent, word);
        call.events.push(Event::Agent { account, agent: grant.agent, word });
    }
}
