//! What each fact does to balances: the exact arithmetic of escrow, fees and pay (docs/contract.md, money and fees).
//!
//! Called by the engine (which must be exact to the atom) and by the indexer (which adds [`Change`]s up from events alone).
//! Pure functions; three roundings exist: the taker's fee up, a maker's fee up, a maker's rebate down. Nothing else divides.
//!
//! ```text
//! u(t) = t x quote_atoms_per_lot_tick        m(t) = ceil(u(t) x maker_fee_ppm / 10^6), signed
//! escrow of a lot: ask base_atoms_per_lot of base, bid u(t) + max(m(t), 0) of quote
//! placed      free -> locked (escrow)
//! reduced     locked -> free
//! filled      maker: locked -> claimable, in the other token, net of the maker's fee (which is in nobody's balance until the claim)
//! claimed     claimable -> free; the maker's fee becomes fee due; lots of an expired order: locked -> free
//! taken       taker: pays one token and the fee, gets the other; the fee without the makers' rebates becomes fee due
//! ```

use crate::{LevelKey, Lots, Market, Side, Ticks, TokenId};

/// One million: fees are in parts of it.
const PPM: u128 = 1_000_000;
/// Steps of the tier discount; tier 0 pays 16/16 of the taker fee.
const TIERS: u128 = 16;

/// u(t): quote atoms of one lot at a price; below 2^88.
pub fn quote_per_lot(market: &Market, ticks: Ticks) -> u128 {
    ticks.0 as u128 * market.quote_atoms_per_lot_tick as u128
}

/// m(t): quote atoms a maker owes per lot filled, negative: receives. Rounded up (a fee up, a rebate down in size).
pub fn maker_fee_per_lot(market: &Market, ticks: Ticks) -> i128 {
    let product = quote_per_lot(market, ticks) as i128 * market.maker_fee_ppm as i128;
    let quotient = product.div_euclid(PPM as i128);
    if product.rem_euclid(PPM as i128) == 0 { quotient } else { quotient + 1 }
}

/// The part of m(t) that a maker pays, max(m, 0).
pub fn maker_pays_per_lot(market: &Market, ticks: Ticks) -> u128 {
    maker_fee_per_lot(market, ticks).max(0) as u128
}

/// The part of m(t) that a maker receives, max(-m, 0).
pub fn rebate_per_lot(market: &Market, ticks: Ticks) -> u128 {
    (-maker_fee_per_lot(market, ticks)).max(0) as u128
}

/// The token an order of this side is backed by.
pub fn escrow_token(market: &Market, side: Side) -> TokenId {
    match side {
        Side::Bid => market.quote,
        Side::Ask => market.base,
    }
}

/// Atoms of [`escrow_token`] that back one lot.
pub fn escrow_per_lot(market: &Market, side: Side, ticks: Ticks) -> u128 {
    match side {
        Side::Bid => quote_per_lot(market, ticks) + maker_pays_per_lot(market, ticks),
        Side::Ask => market.base_atoms_per_lot as u128,
    }
}

/// The taker's fee on a sum of quote atoms, rounded up once per operation: R = max(taker fee x (16 - tier), 16 x rebate), over 16 x 10^6.
/// `tier` is 0 ..= 15: sixteenths off.
pub fn taker_fee(market: &Market, quote_atoms: u128, tier: u8) -> u128 {
    let rate = taker_rate(market, tier);
    let (whole, part) = (quote_atoms / (TIERS * PPM), quote_atoms % (TIERS * PPM));
    whole * rate + (part * rate).div_ceil(TIERS * PPM)
}

/// Most quote atoms a buyer can exchange so that they and the fee stay within `atoms`; what the rounding leaves over stays with the taker.
pub fn budget(market: &Market, atoms: u128, tier: u8) -> u128 {
    let (unit, whole) = (TIERS * PPM, TIERS * PPM + taker_rate(market, tier));
    // In two parts, so that no product leaves 128 bits: the remainder is below 2^28.
    atoms / whole * unit + atoms % whole * unit / whole
}

/// R of the taker's fee, in parts of 16 x 10^6; at most 160,000.
fn taker_rate(market: &Market, tier: u8) -> u128 {
    let rebate_ppm = (-(market.maker_fee_ppm as i32)).max(0) as u128;
    (market.taker_fee_ppm as u128 * (TIERS - tier.min(15) as u128)).max(TIERS * rebate_ppm)
}

/// What an account's balance of one token changes by, in atoms. Saturates beyond 2^127: only a token that lies about its own
/// balances gets there, and only its own numbers suffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    pub token: TokenId,
    pub free: i128,
    /// Escrow of open orders (and of expired ones not yet collected).
    pub locked: i128,
    /// Proceeds of fills not yet claimed.
    pub claimable: i128,
    /// Fees paid, lying in the payer's word until swept.
    pub fee_due: i128,
}

impl Change {
    /// Nothing of this token.
    pub fn none(token: TokenId) -> Change {
        Change { token, free: 0, locked: 0, claimable: 0, fee_due: 0 }
    }
}

/// lots x atoms per lot, saturating.
fn atoms(lots: Lots, per_lot: u128) -> i128 {
    (lots.0 as u128).checked_mul(per_lot).and_then(|atoms| i128::try_from(atoms).ok()).unwrap_or(i128::MAX)
}

fn signed(atoms: u128) -> i128 {
    i128::try_from(atoms).unwrap_or(i128::MAX)
}

/// The maker's change when `lots` come to rest at a level.
pub fn placed(market: &Market, level: LevelKey, lots: Lots) -> Change {
    let escrow = atoms(lots, escrow_per_lot(market, level.side, level.ticks));
    Change { free: -escrow, locked: escrow, ..Change::none(escrow_token(market, level.side)) }
}

/// The maker's change when `removed` lots go home. Not for reason `Expired`: those stay locked until claimed.
pub fn reduced(market: &Market, level: LevelKey, removed: Lots) -> Change {
    let escrow = atoms(removed, escrow_per_lot(market, level.side, level.ticks));
    Change { free: escrow, locked: -escrow, ..Change::none(escrow_token(market, level.side)) }
}

/// The maker's changes (base, quote) when `lots` of its order are filled: escrow leaves, proceeds become claimable. No word of the
/// contract's ledger changes at this moment; the claim makes it so.
pub fn filled(market: &Market, level: LevelKey, lots: Lots) -> [Change; 2] {
    let (mut base, mut quote) = (Change::none(market.base), Change::none(market.quote));
    let escrow = atoms(lots, escrow_per_lot(market, level.side, level.ticks));
    match level.side {
        Side::Ask => {
            base.locked = -escrow;
            quote.claimable = atoms(lots, ask_proceeds_per_lot(market, level.ticks));
        }
        Side::Bid => {
            quote.locked = -escrow;
            base.claimable = atoms(lots, market.base_atoms_per_lot as u128);
            quote.claimable = atoms(lots, rebate_per_lot(market, level.ticks));
        }
    }
    [base, quote]
}

/// The maker's changes (base, quote) when a claim pays `lots` filled lots and refunds `back` lots of an expired order.
pub fn claimed(market: &Market, level: LevelKey, lots: Lots, back: Lots) -> [Change; 2] {
    let [mut base, mut quote] = filled(market, level, lots);
    let refund = atoms(back, escrow_per_lot(market, level.side, level.ticks));
    for change in [&mut base, &mut quote] {
        *change = Change { free: change.claimable, claimable: -change.claimable, ..Change::none(change.token) };
    }
    let refunded = if level.side == Side::Ask { &mut base } else { &mut quote };
    refunded.free = refunded.free.saturating_add(refund);
    refunded.locked = -refund;
    quote.fee_due = atoms(lots, maker_pays_per_lot(market, level.ticks));
    [base, quote]
}

/// The taker's changes (base, quote) of one operation. `rebate_atoms` is the sum of lots x [`rebate_per_lot`] over its fills: that part
/// of the fee is set aside for the makers and never due to the exchange.
pub fn taken(market: &Market, side: Side, lots: Lots, quote_atoms: u128, fee_atoms: u128, rebate_atoms: u128) -> [Change; 2] {
    let (mut base, mut quote) = (Change::none(market.base), Change::none(market.quote));
    let bought = atoms(lots, market.base_atoms_per_lot as u128);
    (base.free, quote.free) = match side {
        Side::Bid => (bought, signed(quote_atoms).saturating_neg().saturating_sub(signed(fee_atoms))),
        Side::Ask => (-bought, signed(quote_atoms).saturating_sub(signed(fee_atoms))),
    };
    quote.fee_due = signed(fee_atoms).saturating_sub(signed(rebate_atoms));
    [base, quote]
}

/// u(t) - m(t): what an ask earns per lot.
pub fn ask_proceeds_per_lot(market: &Market, ticks: Ticks) -> u128 {
    (quote_per_lot(market, ticks) as i128 - maker_fee_per_lot(market, ticks)) as u128
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MarketId, MarketStatus};

    fn market(per_tick: u64, taker_fee_ppm: u16, maker_fee_ppm: i16) -> Market {
        Market {
            id: MarketId(1),
            base: TokenId(2),
            quote: TokenId(3),
            quote_atoms_per_lot_tick: per_tick,
            base_atoms_per_lot: 1_000,
            lots_min: 1,
            taker_fee_ppm,
            maker_fee_ppm,
            min_ttl_s: 0,
            status: MarketStatus::Live,
        }
    }

    #[test]
    fn fees_round_up_and_rebates_down() {
        let fee = market(10, 500, 100);
        assert_eq!(taker_fee(&fee, 4_000, 0), 2);
        assert_eq!(taker_fee(&fee, 7_000, 0), 4, "3.5 rounds up");
        assert_eq!(taker_fee(&fee, 0, 0), 0);
        assert_eq!(maker_fee_per_lot(&fee, Ticks(100)), 1, "0.1 rounds up");
        assert_eq!(maker_fee_per_lot(&market(10, 500, -100), Ticks(100)), 0, "a rebate of 0.1 rounds down to nothing");
        assert_eq!(maker_fee_per_lot(&market(10, 500, -100), Ticks(1_500)), -1, "1.5 rounds down to 1");
        assert_eq!(maker_fee_per_lot(&market(1_000, 500, -100), Ticks(100)), -10);
    }

    #[test]
    fn a_taker_fee_below_the_rebate_is_raised_to_it() {
        let rebated = market(10, 100, -100);
        assert_eq!(taker_fee(&rebated, 1_000_000, 0), 100);
        assert_eq!(taker_fee(&rebated, 1_000_000, 15), 100, "no tier takes the makers' rebate away");
        assert_eq!(taker_fee(&market(10, 100, 0), 1_000_000, 15), 7, "6.25 rounds up");
    }

    #[test]
    fn a_budget_covers_the_fee_and_no_atom_more_would_fit() {
        for market in [market(10, 500, 100), market(10, 10_000, -10_000), market(10, 0, 0)] {
            for tier in [0, 7, 15] {
                for atoms in (0..3_000).chain([u128::MAX >> 1, (1 << 112) - 1]) {
                    let quote = budget(&market, atoms, tier);
                    assert!(quote + taker_fee(&market, quote, tier) <= atoms, "{atoms}");
                    assert!(quote + 1 + taker_fee(&market, quote + 1, tier) > atoms, "{atoms}");
                }
            }
        }
        assert_eq!(budget(&market(10, 0, 0), u128::MAX, 0), u128::MAX);
    }

    #[test]
    fn the_largest_sum_does_not_overflow() {
        let dear = market(u64::MAX, 10_000, 10_000);
        assert_eq!(taker_fee(&dear, u128::MAX, 0), u128::MAX / 100 + 1);
        let level = LevelKey { market: MarketId(1), side: Side::Bid, ticks: Ticks::MAX };
        assert_eq!(placed(&dear, level, Lots::MAX).locked, i128::MAX, "saturates");
    }

    #[test]
    fn a_fill_and_its_claim_conserve_every_atom() {
        for maker_fee_ppm in [-400, 0, 700] {
            let market = market(12_345, 500, maker_fee_ppm);
            for side in [Side::Bid, Side::Ask] {
                let level = LevelKey { market: MarketId(1), side, ticks: Ticks(777) };
                let lots = Lots(13);
                let quote = quote_per_lot(&market, level.ticks) * 13;
                let fee = taker_fee(&market, quote, 0);
                let rebate = rebate_per_lot(&market, level.ticks) * 13;
                let placed = placed(&market, level, lots);
                let mut sums = [0i128; 2];
                let taken = taken(&market, side.opposite(), lots, quote, fee, rebate);
                for changes in [filled(&market, level, lots), claimed(&market, level, lots, Lots(0)), taken] {
                    for (sum, change) in sums.iter_mut().zip(changes) {
                        *sum += change.free + change.locked + change.claimable + change.fee_due;
                    }
                }
                assert_eq!(placed.free + placed.locked, 0);
                assert_eq!(sums, [0, 0], "{side:?} with maker fee {maker_fee_ppm}");
            }
        }
    }
}
