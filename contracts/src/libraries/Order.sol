// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// @notice An order on its way into the book, or another operation that may fail after its first write. One block of memory, so that it can be handed to a
/// call of its own as it lies.
struct Order {
    uint256 account;
    uint256 acct; // the account's word: tier 160-163, deadman 176-215 (s)
    uint256 rights; // of who acts, see Agents
    uint256 kind; // of the operation, see Kind
    uint256 market;
    uint256 cfg; // the market's word; 0: not read yet
    uint256 mode;
    uint256 side;
    uint256 tick; // limit; SLIDE may move it
    uint256 lots;
    uint256 expiry; // s; a deadline of what never rests; 0 none
    uint256 cloid;
    uint256 steps; // levels swept and records passed at most
    uint256 maxIn; // atoms paid at most, the fee included; UNBOUND, or 2^128-1: all that is free
    uint256 minOut; // atoms got at least, net of the fee
    uint256 replaced; // id of the order that makes room
    uint256 isolate; // 1: in a batch that goes on after failures
    uint256 result; // the operation's result word
}

/// @title Kinds of operations in a batch
library Kind {
    uint256 internal constant PLACE = 1;
    uint256 internal constant TAKE = 2;
    uint256 internal constant CANCEL = 3;
    uint256 internal constant REDUCE = 4;
    uint256 internal constant CLAIM = 5;
    uint256 internal constant REPLACE = 6;
    uint256 internal constant LADDER = 7;
    uint256 internal constant CANCEL_UP_TO = 8;
    uint256 internal constant CANCEL_CLOID = 9;
    uint256 internal constant SCHEDULE = 10;
}

/// @title The mode byte: side 0, tif 1-3, self-trade mode 4-6, TRACK 7
library Modes {
    uint256 internal constant GTC = 0;
    uint256 internal constant POST_ONLY = 1;
    uint256 internal constant SLIDE = 2;
    uint256 internal constant IOC = 3;
    uint256 internal constant FOK = 4;

    uint256 internal constant CANCEL_TAKER = 1;
    uint256 internal constant CANCEL_MAKER = 2;
    uint256 internal constant CANCEL_BOTH = 3;
    uint256 internal constant DECREMENT = 4;

    uint256 internal constant TRACK = 1 << 7;

    /// @return time in force, bits 1-3
    function tif(uint256 mode) internal pure returns (uint256) {
        return mode >> 1 & 7;
    }

    /// @return self-trade mode, bits 4-6; 0 NONE
    function stp(uint256 mode) internal pure returns (uint256) {
        return mode >> 4 & 7;
    }

    /// @notice Whether an order of this tif can only rest.
    function rests(uint256 tif_) internal pure returns (bool) {
        return tif_ == POST_ONLY || tif_ == SLIDE;
    }
}
