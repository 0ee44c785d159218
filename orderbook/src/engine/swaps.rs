//! Swaps: tokens through several markets, from wallet to wallet, without an account.
//!
//! Each hop is a market order at any price by the account 2^31 + market, which nobody owns: tier 0, no self-trade prevention. Its free
//! balances are 0 before and after; what stays in it is the fee due. What a hop does not spend goes back to the sender at once.

use super::agents::Actor;
use super::ledger::Balance;
use super::matching::MarketWish;
use super::{Call, Engine};
use crate::{AccountId, Event, Lots, MarketId, Mode, Reject, Side, Ticks, TimeInForce, TokenId};
use alloy_primitives::{Address, U256};

/// Most markets of one swap.
const HOPS: usize = 4;
/// Accounts of swaps: this bit and the market's number.
const ACCOUNT: u32 = 1 << 31;

/// A swap as its sender spells it; `Command::SwapExactIn` says what is what.
pub(super) struct SwapWish<'a> {
    pub token_in: Address,
    pub atoms: U256,
    pub markets: &'a [MarketId],
    pub out_min: U256,
    pub to: Address,
    pub deadline_s: u64,
    pub steps_max: u16,
}

impl Engine {
    pub(super) fn swap(&mut self, caller: Address, wish: &SwapWish, call: &mut Call) -> Result<(), Reject> {
        if call.now_s > wish.deadline_s {
            return Err(Reject::Expired);
        }
        if wish.to.is_zero() {
            return Err(Reject::NotAuthorized);
        }
        if wish.markets.is_empty() || wish.markets.len() > HOPS {
            return Err(Reject::BadMarket);
        }
        let token_in = self.token(wish.token_in).ok_or(Reject::UnknownToken)?;
        let atoms_in = u128::try_from(wish.atoms).map_err(|_| Reject::BadAmount)?;
        self.vault_in(token_in, atoms_in)?;
        let (mut token, mut atoms) = (token_in, atoms_in);
        for market in wish.markets {
            (token, atoms) = self.hop(*market, token, atoms, wish.steps_max, call)?;
        }
        if U256::from(atoms) < wish.out_min {
            return Err(Reject::Slippage { out: atoms });
        }
        self.vault_out(token, atoms);
        call.events.push(Event::Swapped { from: caller, to: wish.to, token_in, token_out: token, atoms_in, atoms_out: atoms });
        Ok(())
    }

    /// Sells atoms of a token in one market. Returns the other token and its atoms, net of the fee.
    fn hop(&mut self, id: MarketId, token: TokenId, atoms: u128, steps_max: u16, call: &mut Call) -> Result<(TokenId, u128), Reject> {
        let market = self.book(id).ok_or(Reject::NoMarket)?.market();
        let (side, limit, other) = match token {
            token if token == market.base => (Side::Ask, Ticks(0), market.quote),
            token if token == market.quote => (Side::Bid, Ticks::MAX, market.base),
            _ => return Err(Reject::BadMarket),
        };
        let account = AccountId(ACCOUNT | id.0);
        self.change_balance(account, token, |balance| balance.credit(Some(atoms)))?;
        let wish = MarketWish {
            market: id,
            mode: Mode::new(side, TimeInForce::Ioc),
            limit,
            lots_max: Lots::MAX,
            in_max_atoms: atoms,
            out_min_atoms: 0,
            deadline_s: 0,
            client: 0,
            steps_max,
        };
        self.take_market(&Actor::unowned(account), &wish, call)?;
        let change = self.drain(account, token)?;
        self.vault_out(token, change);
        Ok((other, self.drain(account, other)?))
    }

    /// All that is free, taken out.
    fn drain(&mut self, account: AccountId, token: TokenId) -> Result<u128, Reject> {
        let atoms = self.free_atoms(account, token);
        self.change_balance(account, token, |balance| Ok(Balance { free: 0, ..balance }))?;
        Ok(atoms)
    }
}
