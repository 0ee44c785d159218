// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../interfaces/IExchange.sol";

/// @title The balance word of an account in a token
/// @notice free 0-127 (atoms the owner may use), feeDue 128-239 (atoms owed to the exchange, never the owner's again), rested 240 (set for good by the first
/// order that escrowed this token). Escrow itself is nowhere: it is the orders' lots. All amounts are atoms.
library Ledger {
    uint256 internal constant RESTED = 1 << 240;
    uint256 private constant FREE_MAX = type(uint128).max;
    uint256 private constant DUE_MAX = type(uint112).max;

    /// @return atoms the owner may use
    function free(uint256 word) internal pure returns (uint256) {
        return word & FREE_MAX;
    }

    /// @return atoms owed to the exchange
    function feeDue(uint256 word) internal pure returns (uint256) {
        return word >> 128 & DUE_MAX;
    }

    /// @dev Only a token that lies about balances can reach the bound: honest vaults hold at most 2^112-1.
    function credit(uint256 word, uint256 atoms) internal pure returns (uint256) {
        unchecked {
            if (atoms > FREE_MAX - (word & FREE_MAX)) revert IExchange.BadAmount();
            return word + atoms;
        }
    }

    /// @notice Takes free atoms, or fails with `Insufficient`.
    function debit(uint256 word, uint256 atoms) internal pure returns (uint256) {
        unchecked {
            if (atoms > word & FREE_MAX) revert IExchange.Insufficient();
            return word - atoms;
        }
    }

    /// @notice Whether the word has room for a credit and a fee more.
    function holds(uint256 word, uint256 atoms, uint256 due) internal pure returns (bool) {
        unchecked {
            return atoms <= FREE_MAX - (word & FREE_MAX) && due <= DUE_MAX - feeDue(word);
        }
    }

    /// @return whether an order of the account ever escrowed this token
    function rested(uint256 word) internal pure returns (bool) {
        return word & RESTED != 0;
    }

    /// @notice Adds to the fee due; beyond 2^112-1 it fails with `BadAmount`.
    function owe(uint256 word, uint256 atoms) internal pure returns (uint256) {
        unchecked {
            if (atoms > DUE_MAX - feeDue(word)) revert IExchange.BadAmount();
            return word + (atoms << 128);
        }
    }

    /// @return the word with nothing owed
    function paid(uint256 word) internal pure returns (uint256) {
        return word & ~(DUE_MAX << 128);
    }
}
