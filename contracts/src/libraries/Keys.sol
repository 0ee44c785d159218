// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// @title Packed ids
/// @notice level = market << 32 | side << 24 | tick; orderId = level << 40 | index. An id from outside may be any number of 256 bits: no function here
/// drops high bits, so a forged id names a word nobody wrote.
library Keys {
    uint256 internal constant BID = 0;
    uint256 internal constant ASK = 1;
    uint256 internal constant INDEX = (1 << 40) - 1;

    /// @param book market << 32
    function level(uint256 book, uint256 side, uint256 tick) internal pure returns (uint256) {
        return book | side << 24 | tick;
    }

    /// @return market << 32 | side << 24 | tick, and whatever a forged id has above
    function levelOf(uint256 orderId) internal pure returns (uint256) {
        return orderId >> 40;
    }

    /// @return place in the level's queue
    function indexOf(uint256 orderId) internal pure returns (uint256) {
        return orderId & INDEX;
    }

    /// @return number of the market, and whatever a forged level has above
    function marketOf(uint256 level_) internal pure returns (uint256) {
        return level_ >> 32;
    }

    /// @return 0 bid, 1 ask
    function sideOf(uint256 level_) internal pure returns (uint256) {
        return level_ >> 24 & 1;
    }

    /// @return price in ticks
    function tickOf(uint256 level_) internal pure returns (uint256) {
        return level_ & 0xffffff;
    }

    /// @return key of an account's balance in a token
    function bal(uint256 account, uint256 token) internal pure returns (uint256) {
        return account << 24 | token;
    }
}
