// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// @title The one word of a price level
/// @notice minExpiry 32-63 (s, lower bound over its live orders, 0 none), open 64-127 (lots that rest), headFilled 128-175 (lots of the head order already
/// filled), head 176-215, tail 216-255 (indexes of the queue). Law: open = lots of the live records in head .. tail-1, minus headFilled; open = 0 implies
/// head = tail, headFilled = 0 and minExpiry = 0; headFilled > 0 implies a live record at head with more lots.
library Levels {
    uint256 internal constant OPEN_MAX = type(uint64).max;
    uint256 internal constant INDEX_MAX = type(uint40).max;
    uint256 private constant LOW = type(uint64).max; // minExpiry and the zero bits

    /// @return lots that rest
    function open(uint256 word) internal pure returns (uint256) {
        return word >> 64 & OPEN_MAX;
    }

    /// @return lots of the head order already filled and not yet paid
    function headFilled(uint256 word) internal pure returns (uint256) {
        return word >> 128 & type(uint48).max;
    }

    /// @return index of the first record that may live
    function head(uint256 word) internal pure returns (uint256) {
        return word >> 176 & INDEX_MAX;
    }

    /// @return s, a lower bound over the level's live orders; 0 none has an expiry
    function minExpiry(uint256 word) internal pure returns (uint256) {
        return word >> 32 & type(uint32).max;
    }

    /// @return index the next order gets
    function tail(uint256 word) internal pure returns (uint256) {
        return word >> 216;
    }

    /// @notice The word with its queue moved: minExpiry and tail stay. Nothing open: the word of an empty level.
    function moved(uint256 word, uint256 open_, uint256 headFilled_, uint256 head_) internal pure returns (uint256) {
        if (open_ == 0) return emptied(word);
        return (word >> 216 << 216) | head_ << 176 | headFilled_ << 128 | open_ << 64 | (word & LOW);
    }

    /// @notice head = tail, all else 0: what a sweep leaves, whatever was in the queue.
    function emptied(uint256 word) internal pure returns (uint256) {
        uint256 end = word >> 216;
        return end << 216 | end << 176;
    }

    /// @notice The word with `lots` more at its tail, that live until `expiry` (0: for ever). The caller has checked tail < INDEX_MAX and open + lots <=
    /// OPEN_MAX.
    function pushed(uint256 word, uint256 lots, uint256 expiry) internal pure returns (uint256) {
        unchecked {
            word += (1 << 216) + (lots << 64);
            if (expiry == 0) return word;
            uint256 least = minExpiry(word);
            if (least != 0 && least <= expiry) return word;
            return word - (least << 32) + (expiry << 32);
        }
    }

    /// @notice Whether an order of the level may have expired: then it must be walked.
    function due(uint256 word) internal view returns (bool) {
        uint256 least = minExpiry(word);
        return least != 0 && least <= block.timestamp;
    }
}
