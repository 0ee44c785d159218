// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Base} from "./Base.sol";

/// @notice What tests of batches start from: operations as bytes, results as words. `ops(skip)` begins a batch, the rest is appended with `bytes.concat`.
abstract contract Batches is Base {
    uint8 internal constant SLIDE = 2 << 1;
    uint8 internal constant CANCEL_TAKER = 1 << 4;
    uint8 internal constant CANCEL_MAKER = 2 << 4;
    uint8 internal constant CANCEL_BOTH = 3 << 4;
    uint8 internal constant DECREMENT = 4 << 4;
    uint8 internal constant TRACK = 1 << 7;

    uint8 internal constant KIND_PLACE = 1;
    uint8 internal constant KIND_TAKE = 2;
    uint8 internal constant KIND_REPLACE = 6;
    uint8 internal constant KIND_LADDER = 7;

    uint128 internal constant ALL_FREE = type(uint128).max;

    /// A TAKE's many fields.
    struct Take {
        uint32 market;
        uint8 mode;
        uint24 limit;
        uint48 lots;
        uint128 maxIn;
        uint128 minOut;
        uint32 deadline;
        uint64 cloid;
        uint16 steps;
    }

    function ops(bool skipFailed) internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(skipFailed ? 1 : 0));
    }

    function opPlace(uint32 market_, uint8 mode, uint24 tick, uint48 lots, uint32 expiry, uint64 cloid, uint16 steps) internal pure returns (bytes memory) {
        return abi.encodePacked(KIND_PLACE, market_, mode, tick, lots, expiry, cloid, steps);
    }

    function opPlace(uint8 mode, uint24 tick, uint48 lots) internal view returns (bytes memory) {
        return opPlace(market, mode, tick, lots, 0, 0, 0);
    }

    function opTake(Take memory t) internal pure returns (bytes memory) {
        return abi.encodePacked(KIND_TAKE, t.market, t.mode, t.limit, t.lots, t.maxIn, t.minOut, t.deadline, t.cloid, t.steps);
    }

    function opCancel(uint256 id) internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(3), uint104(id));
    }

    function opReduce(uint256 id, uint48 left) internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(4), uint104(id), left);
    }

    function opClaim(uint256 id) internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(5), uint104(id));
    }

    function opReplace(uint256 id, uint8 mode, uint24 tick, uint48 lots, uint32 expiry, uint64 cloid, uint16 steps) internal pure returns (bytes memory) {
        return abi.encodePacked(KIND_REPLACE, uint104(id), mode, tick, lots, expiry, cloid, steps);
    }

    function opLadder(uint32 market_, uint8 mode, uint24 tick, int16 step, uint32 expiry, uint64 cloid, uint48[] memory lots)
        internal
        pure
        returns (bytes memory op)
    {
        op = abi.encodePacked(KIND_LADDER, market_, mode, tick, step, expiry, cloid, uint8(lots.length));
        for (uint256 i = 0; i < lots.length; ++i) {
            op = bytes.concat(op, abi.encodePacked(lots[i]));
        }
    }

    function opCancelUpTo(uint32 market_, uint8 side, uint24 tick, uint16 steps) internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(8), market_, side, tick, steps);
    }

    function opCancelCloid(uint64 cloid, uint40 until) internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(9), cloid, until);
    }

    function opSchedule(uint40 when) internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(10), when);
    }

    /// @notice Sends the batch as the account's owner.
    function run(uint32 account, bytes memory batch) internal returns (bytes memory results) {
        vm.prank(ownerOf(account));
        results = x.execute(account, batch);
        lastGas = spent();
    }

    /// @notice The batch must be refused as a whole, with exactly this error.
    function refuseBatch(bytes memory reason, uint32 account, bytes memory batch) internal {
        vm.expectRevert(reason);
        vm.prank(ownerOf(account));
        x.execute(account, batch);
    }

    /// @notice A take without bounds but its limit and lots.
    function take(uint32 account, uint8 mode, uint24 limit, uint48 lots) internal returns (uint256 result) {
        return word(run(account, bytes.concat(ops(false), opTake(Take(market, mode, limit, lots, ALL_FREE, 0, 0, 0, 0)))), 0);
    }

    function word(bytes memory results, uint256 i) internal pure returns (uint256 w) {
        require(results.length >= 32 * i + 32, "no such result");
        assembly {
            w := mload(add(add(results, 32), mul(32, i)))
        }
    }

    /// @notice Result word i must be a refusal with this selector.
    function isRefused(bytes memory results, uint256 i, bytes4 reason) internal pure {
        eq(word(results, i), 1 << 255 | uint256(uint32(reason)), "a refusal");
    }

    function rungs(uint256 n, uint48 lots) internal pure returns (uint48[] memory list) {
        list = new uint48[](n);
        for (uint256 i = 0; i < n; ++i) {
            list[i] = lots;
        }
    }

    /// @notice An order with an expiry.
    function placeUntil(uint32 account, uint8 mode, uint24 tick, uint48 lots, uint32 expiry) internal returns (uint256 id) {
        vm.prank(ownerOf(account));
        (id,) = x.place(account, market, mode, tick, lots, expiry, 0, 0);
        lastGas = spent();
    }
}
