// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../interfaces/IExchange.sol";

/// @title Calls to tokens nobody vouches for
/// @notice The only external calls of the exchange, tokens' and those of signers that are contracts (`read`). A token without return value is accepted,
/// `false`, a revert or no code is `TransferFailed`.
library SafeTransfer {
    /// @param token address, 0 for the native coin
    function send(address token, address to, uint256 atoms) internal {
        if (token != address(0)) return call(token, abi.encodeWithSignature("transfer(address,uint256)", to, atoms));
        bool ok;
        assembly ("memory-safe") {
            ok := call(gas(), to, atoms, 0, 0, 0, 0) // copies no return data: the receiver cannot make it costly
        }
        if (!ok) revert IExchange.TransferFailed();
    }

    /// @notice Moves tokens of `from` into the exchange, within the allowance it gave.
    function pull(address token, address from, uint256 atoms) internal {
        call(token, abi.encodeWithSignature("transferFrom(address,address,uint256)", from, address(this), atoms));
    }

    /// @notice Asks a token for an ERC-2612 permit of `owner` for the exchange. Whatever it answers: the pull after it shows whether there is an allowance.
    function permit(address token, address owner, uint256 atoms, uint256 deadline, uint8 v, bytes32 r, bytes32 s) internal {
        bytes memory data = abi.encodeWithSelector(0xd505accf, owner, address(this), atoms, deadline, v, r, s);
        assembly ("memory-safe") {
            pop(call(gas(), token, 0, add(data, 32), mload(data), 0, 0))
        }
    }

    /// @return atoms the token says the exchange holds
    function held(address token) internal view returns (uint256 atoms) {
        if (token == address(0)) return address(this).balance;
        bool ok;
        (ok, atoms) = read(token, abi.encodeWithSignature("balanceOf(address)", address(this)));
        if (!ok) revert IExchange.TransferFailed();
    }

    /// @notice Never asks the exchange itself: so it is listed as no token, signs nothing, and no call of this library ever comes back to it.
    /// @return ok whether the call answered a word
    /// @return value the word
    function read(address token, bytes memory data) internal view returns (bool ok, uint256 value) {
        if (token == address(this)) return (false, 0);
        assembly ("memory-safe") {
            ok := and(gt(returndatasize(), 31), staticcall(gas(), token, add(data, 32), mload(data), 0, 32))
            value := mload(0)
        }
    }

    function call(address token, bytes memory data) private {
        bool ok;
        assembly ("memory-safe") {
            mstore(0, 0)
            ok := call(gas(), token, 0, add(data, 32), mload(data), 0, 32)
            switch returndatasize()
            case 0 { ok := and(ok, gt(extcodesize(token), 0)) }
            default { ok := and(and(ok, gt(returndatasize(), 31)), eq(mload(0), 1)) }
        }
        if (!ok) revert IExchange.TransferFailed();
    }
}
