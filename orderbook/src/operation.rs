//! Operations of a batch (`Command::Execute`): what a market maker sends many of in one transaction.
//! Called by the engine, by market makers and by the differential tests. The bytes are those of the contract's `Ops` library.

use crate::{Lots, MarketId, Mode, OrderId, Side, Ticks};

/// One operation; a ladder gives one result word per rung, every other one word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// As `Command::Place`.
    Place {
        market: MarketId,
        mode: Mode,
        ticks: Ticks,
        lots: Lots,
        expiry_s: u32,
        client: u64,
        steps_max: u16,
    },
    /// A market order: `limit` 0 sells at any price; pays at most `in_max_atoms` with the fee (2^128-1: all that is free), refuses less than `out_min_atoms`
    /// net of the fee. `deadline_s` 0: none.
    Take {
        market: MarketId,
        mode: Mode,
        limit: Ticks,
        lots_max: Lots,
        in_max_atoms: u128,
        out_min_atoms: u128,
        deadline_s: u32,
        client: u64,
        steps_max: u16,
    },
    Cancel {
        order: OrderId,
    },
    Reduce {
        order: OrderId,
        left: Lots,
    },
    Claim {
        order: OrderId,
    },
    /// Takes a live order back and places anew in its market and on its side.
    Replace {
        order: OrderId,
        mode: Mode,
        ticks: Ticks,
        lots: Lots,
        expiry_s: u32,
        client: u64,
        steps_max: u16,
    },
    /// Up to 64 places at ticks, ticks + step, ...; POST_ONLY or SLIDE; 0 lots leave a rung out; rung i has client + i unless `client` is 0.
    Ladder {
        market: MarketId,
        mode: Mode,
        ticks: Ticks,
        step: i16,
        expiry_s: u32,
        client: u64,
        lots: Vec<Lots>,
    },
    /// Takes back all own orders from the best tick of a side to `ticks`.
    CancelUpTo {
        market: MarketId,
        side: Side,
        ticks: Ticks,
        steps_max: u16,
    },
    /// Takes a tracked order back; one still under way is refused until `until_s`.
    CancelClient {
        client: u64,
        until_s: u64,
    },
    /// Sets the dead-man switch to fire at this second; 0 disarms.
    Schedule {
        at_s: u64,
    },
}
