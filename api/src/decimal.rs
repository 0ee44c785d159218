//! The only place of the api where integers become decimals. Called by both wire formats; never rounds up, never uses a float.
//!
//! ```text
//! price_e8 = ticks * tick_e8        size_e8 = lots * lot_e8        (exact, or the market is native only)
//! ```

use orderbook::{Lots, Market, Ticks};
use std::fmt::Write;

/// One unit with eight decimals.
pub const E8: u128 = 100_000_000;

/// A tick and a lot of a market in units of 1e-8; exists only if both are whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    pub tick_e8: u64,
    pub lot_e8: u64,
}

impl Scale {
    /// `None` if a tick or a lot is no multiple of 1e-8, or too large for 64 bits.
    pub fn of(market: &Market, base_decimals: u8, quote_decimals: u8) -> Option<Scale> {
        let tick = tick_fraction(market, base_decimals, quote_decimals)?;
        let lot = lot_fraction(market, base_decimals)?;
        Some(Scale { tick_e8: tick.whole_e8()?, lot_e8: lot.whole_e8()? })
    }

    /// At most 2^24 x 2^64: fits.
    pub fn price_e8(self, ticks: Ticks) -> u128 {
        ticks.0 as u128 * self.tick_e8 as u128
    }

    pub fn size_e8(self, lots: Lots) -> u128 {
        lots.0 as u128 * self.lot_e8 as u128
    }
}

/// A positive rational number in lowest terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fraction {
    over: u128,
    under: u128,
}

impl Fraction {
    /// `None` if the lower number is 0.
    fn new(over: u128, under: u128) -> Option<Fraction> {
        let common = gcd(over, under);
        (under != 0).then(|| Fraction { over: over / common, under: under / common })
    }

    /// The number of 1e-8, if it is whole.
    fn whole_e8(self) -> Option<u64> {
        let scaled = self.over.checked_mul(E8)?;
        (scaled.is_multiple_of(self.under)).then(|| u64::try_from(scaled / self.under).ok())?
    }
}

/// Shortest exact decimal; a number that needs more than 36 decimals (no market of ours has one) is cut there.
impl std::fmt::Display for Fraction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.over / self.under)?;
        let mut rest = self.over % self.under;
        if rest == 0 {
            return Ok(());
        }
        let mut digits = String::new();
        while rest != 0 && digits.len() < 36 {
            let Some(next) = rest.checked_mul(10) else { break };
            let _ = write!(digits, "{}", next / self.under);
            rest = next % self.under;
        }
        write!(f, ".{digits}")
    }
}

/// Quote units per base unit that one tick is worth.
pub fn tick_fraction(market: &Market, base_decimals: u8, quote_decimals: u8) -> Option<Fraction> {
    let over = (market.quote_atoms_per_lot_tick as u128).checked_mul(power_of_ten(base_decimals)?)?;
    let under = (market.base_atoms_per_lot as u128).checked_mul(power_of_ten(quote_decimals)?)?;
    Fraction::new(over, under)
}

/// Base units in one lot.
pub fn lot_fraction(market: &Market, base_decimals: u8) -> Option<Fraction> {
    Fraction::new(market.base_atoms_per_lot as u128, power_of_ten(base_decimals)?)
}

/// Atoms of a token in units of 1e-8, rounded down.
pub fn atoms_e8(atoms: u128, decimals: u8) -> u128 {
    match decimals {
        0..=8 => atoms.saturating_mul(10u128.pow(8 - decimals as u32)),
        9..=46 => atoms / 10u128.pow(decimals as u32 - 8),
        _ => 0,
    }
}

/// price x size in units of 1e-8, rounded down.
pub fn product_e8(price_e8: u128, size_e8: u128) -> u128 {
    match price_e8.checked_mul(size_e8) {
        Some(product) => product / E8,
        None => (price_e8 / E8).saturating_mul(size_e8),
    }
}

/// value / size in units of 1e-8, rounded down; 0 when nothing was traded.
pub fn quotient_e8(value_e8: u128, size_e8: u128) -> u128 {
    value_e8.saturating_mul(E8).checked_div(size_e8).unwrap_or(0)
}

/// Exactly eight decimals: `3000.00000000`.
pub fn push_e8(out: &mut Vec<u8>, value: u128) {
    push_fixed(out, value / E8, (value % E8) as u64, 8);
}

/// As [`push_e8`], in quotes, as Binance prints every amount.
pub fn push_quoted_e8(out: &mut Vec<u8>, value: u128) {
    out.push(b'"');
    push_e8(out, value);
    out.push(b'"');
}

/// Eight decimals with a minus sign when `to < from`.
pub fn text_change_e8(from: u128, to: u128) -> String {
    into_text(|out| {
        if to < from {
            out.push(b'-');
        }
        push_e8(out, to.abs_diff(from));
    })
}

/// Change in percent with three decimals, towards zero; `0.000` when there is nothing to compare with.
pub fn text_change_percent(from: u128, to: u128) -> String {
    let thousandths = to.abs_diff(from).saturating_mul(100_000).checked_div(from).unwrap_or(0);
    into_text(|out| {
        if to < from && thousandths > 0 {
            out.push(b'-');
        }
        push_fixed(out, thousandths / 1_000, (thousandths % 1_000) as u64, 3);
    })
}

fn into_text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::with_capacity(24);
    write(&mut out);
    out.into_iter().map(char::from).collect()
}

fn push_fixed(out: &mut Vec<u8>, whole: u128, part: u64, digits: usize) {
    out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
    out.push(b'.');
    let mut printed = itoa::Buffer::new();
    let printed = printed.format(part);
    out.extend(std::iter::repeat_n(b'0', digits - printed.len()));
    out.extend_from_slice(printed.as_bytes());
}

fn power_of_ten(exponent: u8) -> Option<u128> {
    10u128.checked_pow(exponent as u32)
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a.max(1) } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orderbook::{MarketId, MarketStatus, TokenId};

    fn text_e8(value: u128) -> String {
        into_text(|out| push_e8(out, value))
    }

    fn market(per_lot_tick: u64, per_lot: u64) -> Market {
        Market {
            id: MarketId(1),
            base: TokenId(2),
            quote: TokenId(3),
            quote_atoms_per_lot_tick: per_lot_tick,
            base_atoms_per_lot: per_lot,
            lots_min: 1,
            taker_fee_ppm: 0,
            maker_fee_ppm: 0,
            min_ttl_s: 0,
            status: MarketStatus::Live,
        }
    }

    #[test]
    fn ether_in_dollars() {
        let m = market(1, 100_000_000_000_000);
        let scale = Scale::of(&m, 18, 6).unwrap();
        assert_eq!(scale, Scale { tick_e8: 1_000_000, lot_e8: 10_000 });
        assert_eq!(text_e8(scale.price_e8(Ticks(300_000))), "3000.00000000");
        assert_eq!(text_e8(scale.size_e8(Lots(12_500))), "1.25000000");
        assert_eq!(tick_fraction(&m, 18, 6).unwrap().to_string(), "0.01");
        assert_eq!(lot_fraction(&m, 18).unwrap().to_string(), "0.0001");
        assert_eq!(text_e8(product_e8(scale.price_e8(Ticks(300_100)), scale.size_e8(Lots(5_000)))), "1500.50000000");
    }

    #[test]
    fn a_tick_finer_than_eight_decimals_has_no_scale() {
        assert_eq!(Scale::of(&market(1, 1_000_000_000_000_000_000), 18, 9), None);
        assert_eq!(Scale::of(&market(1, 3), 18, 6), None);
        assert_eq!(Scale::of(&market(1, 3), 255, 6), None);
    }

    #[test]
    fn borders() {
        assert_eq!(text_e8(0), "0.00000000");
        assert_eq!(text_e8(1), "0.00000001");
        assert_eq!(text_e8(u128::MAX), "3402823669209384634633746074317.68211455");
        assert_eq!(text_change_e8(5, 3), "-0.00000002");
        assert_eq!(text_change_percent(297_000, 300_100), "1.043");
        assert_eq!(text_change_percent(300_000, 100_000), "-66.666");
        assert_eq!(text_change_percent(300_000_000, 299_999_999), "0.000");
        assert_eq!(text_change_percent(0, 7), "0.000");
        assert_eq!(atoms_e8(1_999, 11), 1);
        assert_eq!(atoms_e8(7, 6), 700);
        assert_eq!(quotient_e8(3 * E8, 2 * E8), 150_000_000);
    }
}
