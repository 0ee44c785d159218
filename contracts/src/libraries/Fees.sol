// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Keys} from "./Keys.sol";
import {Markets} from "./Markets.sol";

/// @title Prices, fees and their roundings
/// @notice All roundings of the exchange live here and favour it: the taker's fee up, the maker's fee up, the maker's rebate down.
library Fees {
    uint256 private constant PPM = 1e6;
    uint256 private constant SIXTEENTH_PPM = 16e6;

    /// @return quote atoms of one lot at `tick`; below 2^88
    function unit(uint256 cfg, uint256 tick) internal pure returns (uint256) {
        unchecked {
            return tick * Markets.quotePerLotTick(cfg);
        }
    }

    /// @return due quote atoms per lot the maker owes, rounded up; 0 in a market with a rebate
    /// @return rebate quote atoms per lot the maker earns, rounded down; 0 in a market with a fee
    function maker(uint256 cfg, uint256 unit_) internal pure returns (uint256 due, uint256 rebate) {
        int256 fee = Markets.makerFee(cfg);
        unchecked {
            if (fee > 0) due = (unit_ * uint256(fee) + (PPM - 1)) / PPM;
            else if (fee < 0) rebate = unit_ * uint256(-fee) / PPM;
        }
    }

    /// @notice The taker's fee on all it takes in one operation, rounded up once.
    /// @return quote atoms
    function taker(uint256 cfg, uint256 tier, uint256 quote) internal pure returns (uint256) {
        unchecked {
            return (quote * rate(cfg, tier) + (SIXTEENTH_PPM - 1)) / SIXTEENTH_PPM;
        }
    }

    /// @notice The most quote atoms a taker can exchange so that they and the fee stay within `atoms`; what the rounding leaves over stays with the taker.
    function budget(uint256 cfg, uint256 tier, uint256 atoms) internal pure returns (uint256) {
        unchecked {
            return atoms * SIXTEENTH_PPM / (SIXTEENTH_PPM + rate(cfg, tier));
        }
    }

    /// @param tier of the account, 0 .. 15: sixteenths off, though never below the maker's rebate
    /// @return sixteenths of a ppm of the quote
    function rate(uint256 cfg, uint256 tier) private pure returns (uint256 sixteenths) {
        int256 makerFee = Markets.makerFee(cfg);
        unchecked {
            sixteenths = Markets.takerFee(cfg) * (16 - tier);
            uint256 floor = makerFee < 0 ? 16 * uint256(-makerFee) : 0;
            if (sixteenths < floor) sixteenths = floor;
        }
    }

    /// @return atoms one lot of an order holds in escrow: base of an ask, quote of a bid with the maker's fee on top
    function escrow(uint256 cfg, uint256 side, uint256 tick) internal pure returns (uint256) {
        if (side == Keys.ASK) return Markets.basePerLot(cfg);
        uint256 price = unit(cfg, tick);
        (uint256 due,) = maker(cfg, price);
        unchecked {
            return price + due;
        }
    }
}
