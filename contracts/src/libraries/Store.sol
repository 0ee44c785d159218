// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// @title The layout of storage, final from the first day
/// @notice One struct at slot 0 fixes the base of every mapping; a value lies at keccak256(key, base), both 32 bytes. `load` makes all of it public, so
/// Lens, indexer and node compute slots from calldata. Everything is a word packed by the libraries named beside it; nothing here is a counter that a
/// trading operation touches, and no word is shared by traders who did not choose the same level or account.
library Store {
    /// @dev The order of the fields is their slot.
    struct Layout {
        /// 0: any status of a market, fees; a genesis file may set these three
        address owner;
        /// 1: may stop a market's trading, never exits
        address guardian;
        /// 2: sets fee tiers
        address feeManager;
        /// 3: newest market 0-31, newest token 32-55 (0 while only the native coin is known)
        uint256 counts;
        /// 4: address => number of the token
        mapping(address => uint256) tokenOf;
        /// 5: token => address 0-159, decimals 160-167
        mapping(uint256 => uint256) tokens;
        /// 6: owner => its first account
        mapping(address => uint256) acctOf;
        /// 7: account => owner 0-159, tier 160-163 (sixteenths), deadman 176-215 (s)
        mapping(uint256 => uint256) acct;
        /// 8: account << 24 | token => Ledger
        mapping(uint256 => uint256) bal;
        /// 9: market => Markets
        mapping(uint256 => uint256) cfg;
        /// 10: market << 40 | side << 36 | depth << 32 | word => Bitmap
        mapping(uint256 => uint256) bits;
        /// 11: level => Levels
        mapping(uint256 => uint256) lvl;
        /// 12: level << 40 | index >> 1 => two records, Orders
        mapping(uint256 => uint256) ord;
        /// 13: account << 160 | address => agent's rights, Agents
        mapping(uint256 => uint256) agents;
        /// 14: account << 56 | nonce >> 8 => used bits, Signatures
        mapping(uint256 => uint256) nonces;
        /// 15: account << 64 | cloid => Cloids
        mapping(uint256 => uint256) cloids;
    }

    /// @return s the layout at slot 0
    function words() internal pure returns (Layout storage s) {
        assembly ("memory-safe") {
            s.slot := 0
        }
    }
}
