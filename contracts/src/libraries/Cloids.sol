// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../interfaces/IExchange.sol";
import {Rejects} from "./Rejects.sol";
import {Store} from "./Store.sol";

/// @title Orders known by their owner's own numbers
/// @notice A word each account and number: bit 255 tracked, orderId 0-103; bit 254 pre-cancelled, until 0-39 (s); 0 free. Read for TRACK and CANCEL_CLOID
/// only. Nothing but CANCEL_CLOID frees a tracked number: neither a fill nor a cancel by id looks here.
library Cloids {
    uint256 private constant TRACKED = 1 << 255;
    uint256 private constant PRE_CANCELLED = 1 << 254;
    uint256 private constant ID = (1 << 104) - 1;

    /// @return refusal of an order that wants to be tracked by this number
    function refusal(uint256 account, uint256 cloid) internal view returns (uint256) {
        uint256 word = Store.words().cloids[account << 64 | cloid];
        if (word & TRACKED != 0) return Rejects.CLOID_IN_USE;
        if (word & PRE_CANCELLED != 0 && block.timestamp <= word & type(uint40).max) return Rejects.PRE_CANCELLED;
        return 0;
    }

    /// @notice Remembers an order that rests by its owner's number.
    function track(uint256 account, uint256 cloid, uint256 id) internal {
        Store.words().cloids[account << 64 | cloid] = TRACKED | id;
    }

    /// @return id of the tracked order, 0 if none (no order has id 0: markets count from 1)
    function tracked(uint256 account, uint256 cloid) internal view returns (uint256 id) {
        uint256 word = Store.words().cloids[account << 64 | cloid];
        return word & TRACKED == 0 ? 0 : word & ID;
    }

    /// @notice Forgets the number: it may be used again.
    function free(uint256 account, uint256 cloid) internal {
        Store.words().cloids[account << 64 | cloid] = 0;
    }

    /// @notice Refuses what arrives with this number up to `until`, which must lie ahead.
    function preCancel(uint256 account, uint256 cloid, uint256 until) internal returns (uint256) {
        if (until <= block.timestamp) return Rejects.UNKNOWN_ORDER;
        Store.words().cloids[account << 64 | cloid] = PRE_CANCELLED | until;
        emit IExchange.CloidPreCancelled(uint32(account), uint64(cloid), uint40(until));
        return 0;
    }
}
