//! Tokens, markets and their statuses; roles, tiers, and what is owed to the exchange.

use super::journal::Undo;
use super::ledger::Balance;
use super::{Call, Engine, FEE_COLLECTOR, NATIVE};
use crate::{AccountId, Book, Event, Market, MarketId, MarketStatus, Reject, TokenId};
use alloy_primitives::Address;

/// Highest fee, in millionths.
const FEE_MAX_PPM: i32 = 10_000;
/// Highest tier of an account.
const TIER_MAX: u8 = 15;

/// A market as its creator spells it; `Command::CreateMarket` says what is what.
pub(super) struct MarketWish {
    pub base: Address,
    pub quote: Address,
    pub quote_atoms_per_lot_tick: u64,
    pub base_atoms_per_lot: u64,
    pub lots_min: u32,
    pub taker_fee_ppm: u16,
    pub maker_fee_ppm: i16,
    pub min_ttl_s: u8,
    pub status: u8,
}

impl Engine {
    /// A listed token keeps its number; a new one must be known to exist.
    pub(super) fn add_token(&mut self, at: Address, call: &mut Call) -> Result<TokenId, Reject> {
        if let Some(token) = self.token(at) {
            return Ok(token);
        }
        let decimals = *self.deployed.get(&at).ok_or(Reject::UnknownToken)?;
        let token = TokenId(NATIVE.0 + 1 + self.tokens.len() as u32);
        self.tokens.push((at, decimals));
        self.token_of.insert(at, token);
        self.journal.push(Undo::Token);
        call.events.push(Event::TokenAdded { token, at, decimals });
        Ok(token)
    }

    pub(super) fn create_market(&mut self, wish: &MarketWish, call: &mut Call) -> Result<(), Reject> {
        let (taker, maker) = (wish.taker_fee_ppm as i32, wish.maker_fee_ppm as i32);
        let status = match MarketStatus::from_code(wish.status) {
            Some(status @ (MarketStatus::Live | MarketStatus::PostOnly)) => status,
            _ => return Err(Reject::BadMarket),
        };
        let units = wish.quote_atoms_per_lot_tick > 0 && wish.base_atoms_per_lot > 0 && wish.lots_min > 0;
        if wish.base == wish.quote || !units || taker > FEE_MAX_PPM || maker < -taker || maker > FEE_MAX_PPM {
            return Err(Reject::BadMarket);
        }
        let base = self.add_token(wish.base, call)?;
        let quote = self.add_token(wish.quote, call)?;
        let id = MarketId(self.books.len() as u32 + 1);
        let market = Market {
            id,
            base,
            quote,
            quote_atoms_per_lot_tick: wish.quote_atoms_per_lot_tick,
            base_atoms_per_lot: wish.base_atoms_per_lot,
            lots_min: wish.lots_min,
            taker_fee_ppm: wish.taker_fee_ppm,
            maker_fee_ppm: wish.maker_fee_ppm,
            min_ttl_s: wish.min_ttl_s,
            status,
        };
        call.events.push(Event::MarketCreated { market: id, cfg: market.cfg() });
        self.books.push(Book::new(market));
        self.journal.push(Undo::Market);
        Ok(())
    }

    /// Owner: any status, HALTED only from CANCEL_ONLY, nothing from HALTED. Guardian: LIVE or POST_ONLY to CANCEL_ONLY.
    pub(super) fn set_status(&mut self, caller: Address, id: MarketId, to: u8, call: &mut Call) -> Result<(), Reject> {
        let from = self.book(id).ok_or(Reject::NoMarket)?.market().status;
        let to = MarketStatus::from_code(to);
        if caller != self.owner {
            let may_stop = caller == self.guardian && from <= MarketStatus::PostOnly && to == Some(MarketStatus::CancelOnly);
            if !may_stop {
                return Err(Reject::NotAuthorized);
            }
        }
        let to = to.ok_or(Reject::BadStatus)?;
        if from == MarketStatus::Halted || (to == MarketStatus::Halted && from != MarketStatus::CancelOnly) {
            return Err(Reject::BadStatus);
        }
        self.books[id.0 as usize - 1].market_mut().status = to;
        self.journal.push(Undo::Status(id, from));
        call.events.push(Event::Status { market: id, status: to });
        Ok(())
    }

    /// Owner only; the owner cannot become nobody.
    pub(super) fn set_role(&mut self, caller: Address, role: u8, who: Address, call: &mut Call) -> Result<(), Reject> {
        if caller != self.owner || (role == 0 && who.is_zero()) {
            return Err(Reject::NotAuthorized);
        }
        let before = std::mem::replace(self.role_mut(role).ok_or(Reject::BadMode)?, who);
        self.journal.push(Undo::Role(role, before));
        call.events.push(Event::Role { role, who });
        Ok(())
    }

    /// The fee manager only.
    pub(super) fn set_tier(&mut self, caller: Address, account: AccountId, tier: u8, call: &mut Call) -> Result<(), Reject> {
        if caller != self.fee_manager {
            return Err(Reject::NotAuthorized);
        }
        if tier > TIER_MAX {
            return Err(Reject::BadAmount);
        }
        let word = self.accounts.get(&account).copied().unwrap_or_default();
        if word == super::Account::default() {
            return Err(Reject::UnknownAccount);
        }
        self.set_account(account, super::Account { tier, ..word });
        call.events.push(Event::Tier { account, tier });
        Ok(())
    }

    /// Moves what accounts owe in a token to the fee collector; who owes nothing is passed over.
    pub(super) fn sweep_fees(&mut self, token: TokenId, accounts: &[AccountId], call: &mut Call) -> Result<(), Reject> {
        let mut sum = 0_u128;
        for account in accounts {
            let atoms = self.fee_due_atoms(*account, token);
            if atoms == 0 {
                continue;
            }
            self.change_balance(*account, token, |balance| Ok(Balance { fee_due: 0, ..balance }))?;
            sum = sum.checked_add(atoms).ok_or(Reject::BadAmount)?;
            call.events.push(Event::FeesSwept { account: *account, token, atoms });
        }
        if sum == 0 { Ok(()) } else { self.change_balance(FEE_COLLECTOR, token, |balance| balance.credit(Some(sum))) }
    }
}
