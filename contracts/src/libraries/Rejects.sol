// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../interfaces/IExchange.sol";

/// @title Refusals as numbers
/// @notice What is refused before its first write answers with a number, 0 for none, so that a batch can log it and go on without a call of its own; everyone
/// else raises it. Selector 0-31, argument above (never 0 where the error has one).
library Rejects {
    uint256 internal constant NO_MARKET = uint256(uint32(IExchange.NoMarket.selector));
    uint256 internal constant NOT_AUTHORIZED = uint256(uint32(IExchange.NotAuthorized.selector));
    uint256 internal constant OVER_CAP = uint256(uint32(IExchange.OverCap.selector));
    uint256 internal constant BAD_MODE = uint256(uint32(IExchange.BadMode.selector));
    uint256 internal constant NOT_LIVE = uint256(uint32(IExchange.NotLive.selector));
    uint256 internal constant BAD_TICK = uint256(uint32(IExchange.BadTick.selector));
    uint256 internal constant BAD_LOTS = uint256(uint32(IExchange.BadLots.selector));
    uint256 internal constant EXPIRED = uint256(uint32(IExchange.Expired.selector));
    uint256 internal constant CLOID_IN_USE = uint256(uint32(IExchange.CloidInUse.selector));
    uint256 internal constant PRE_CANCELLED = uint256(uint32(IExchange.PreCancelled.selector));
    uint256 internal constant INSUFFICIENT = uint256(uint32(IExchange.Insufficient.selector));
    uint256 internal constant LEVEL_FULL = uint256(uint32(IExchange.LevelFull.selector));
    uint256 internal constant UNKNOWN_ORDER = uint256(uint32(IExchange.UnknownOrder.selector));
    uint256 internal constant BAD_AMOUNT = uint256(uint32(IExchange.BadAmount.selector));

    /// @notice Reverts with the refusal, unless it is none.
    function raise(uint256 refusal) internal pure {
        if (refusal == 0) return;
        assembly ("memory-safe") {
            mstore(0, shl(224, refusal))
            mstore(4, shr(32, refusal))
            revert(0, add(4, shl(5, gt(refusal, 0xffffffff))))
        }
    }
}
