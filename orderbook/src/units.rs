//! Units, and the only arithmetic that is legal between them. A bare integer never crosses a function boundary as money.
//!
//! ```text
//! Ticks x Market::quote_atoms_per_lot_tick = QuoteAtoms of one lot      (Market::quote_atoms)
//! Lots  x Market::base_atoms_per_lot       = BaseAtoms                  (Market::base_atoms)
//! ```

use serde::{Deserialize, Serialize};

/// Price of one lot, in steps of [`crate::Market::quote_atoms_per_lot_tick`]; 1 ..= [`Ticks::MAX`] on an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ticks(pub u32);

/// Size in whole lots; [`crate::Market::lots_min`] ..= [`Lots::MAX`] when placed. Sums of a level use all 64 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lots(pub u64);

/// Smallest units of a market's base token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BaseAtoms(pub u128);

/// Smallest units of a market's quote token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuoteAtoms(pub u128);

/// Smallest units of a token named beside it (deposits, withdrawals, balances).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Atoms(pub u128);

impl Ticks {
    /// Highest price of an order, 2^24 - 1.
    pub const MAX: Ticks = Ticks((1 << 24) - 1);
}

impl Lots {
    /// Largest order, 2^47 - 1: a record keeps the 48th bit for itself.
    pub const MAX: Lots = Lots((1 << 47) - 1);
}

impl std::ops::Add for Lots {
    type Output = Lots;
    fn add(self, other: Lots) -> Lots {
        Lots(self.0 + other.0)
    }
}

impl std::ops::Sub for Lots {
    type Output = Lots;
    fn sub(self, other: Lots) -> Lots {
        Lots(self.0 - other.0)
    }
}

impl std::fmt::Display for Ticks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::fmt::Display for Lots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
