// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../interfaces/IExchange.sol";
import {Agents} from "./Agents.sol";
import {Cloids} from "./Cloids.sol";
import {Deadman} from "./Deadman.sol";
import {Keys} from "./Keys.sol";
import {Matching} from "./Matching.sol";
import {Kind, Order} from "./Order.sol";
import {Orders} from "./Orders.sol";
import {Rejects} from "./Rejects.sol";
import {Taking} from "./Taking.sol";
import {Upto} from "./Upto.sol";

/// @title Batches: bytes to operations, operations to result words
/// @notice flags (bit 0 SKIP_FAILED), then operations: a kind byte and its fields, big-endian, unpadded. Each operation has its full effect or none. Without
/// SKIP_FAILED the first refusal reverts all; with it a refusal is logged and the batch goes on. Decodes straight from calldata and reuses one order's memory.
library Ops {
    uint256 private constant SKIP_FAILED = 1;
    uint256 private constant WORDS_MAX = 64;
    uint256 private constant STEPS = 256;
    /// Bytes of an operation by its kind, most significant first; 0: unknown. A LADDER has 6 more each rung.
    uint256 private constant LENGTHS = 0x001d3d0e140e26180b0e06 << 168;
    uint256 private constant LADDER_N = 23; // where a ladder says its rungs

    /// A batch under way.
    struct Run {
        Agents.Actor who;
        bool skip;
        uint256 index; // of the next result word
        uint256 results; // where the first lies
    }

    /// @notice Whether the batch is well formed; else `BadOps`, whatever its operations would do.
    /// @return words of its result
    function count(bytes calldata ops) internal pure returns (uint256 words) {
        unchecked {
            if (ops.length == 0 || peek(ops, 0) >> 248 > SKIP_FAILED) revert IExchange.BadOps();
            uint256 i = 1;
            while (i < ops.length) {
                uint256 word = peek(ops, i);
                uint256 kind = word >> 248;
                uint256 length = lengthOf(kind);
                if (length == 0) revert IExchange.BadOps();
                uint256 n = 1;
                if (kind == Kind.LADDER) {
                    n = uint8(word >> (31 - LADDER_N) * 8);
                    length += 6 * n;
                } else if (kind == Kind.CANCEL_UP_TO && uint8(word >> 208) > Keys.ASK) {
                    revert IExchange.BadOps(); // there are two sides
                }
                words += n;
                i += length;
            }
            if (i != ops.length || words > WORDS_MAX) revert IExchange.BadOps();
        }
    }

    /// @notice Runs a batch that `count` has found well formed.
    /// @param who acts; its rights are asked for each operation
    /// @param words what `count` said
    function run(Agents.Actor memory who, bytes calldata ops, uint256 words) internal returns (bytes memory results) {
        results = new bytes(words * 32);
        Run memory r;
        Order memory o;
        r.who = who;
        r.skip = peek(ops, 0) >> 248 == SKIP_FAILED;
        o.account = who.account;
        o.rights = who.rights;
        uint256 first;
        uint256 memory_;
        assembly ("memory-safe") {
            first := add(results, 32)
            memory_ := mload(0x40)
        }
        r.results = first;
        for (uint256 i = 1; i < ops.length;) {
            uint256 word = peek(ops, i);
            uint256 kind = word >> 248;
            if (kind == Kind.LADDER) {
                unchecked {
                    i += 6 * ladder(r, o, ops, i);
                }
            } else {
                (uint256 refusal, uint256 cloid) = one(r, o, ops, i, kind);
                note(r, o, kind, cloid, refusal);
            }
            unchecked {
                i += lengthOf(kind);
            }
            assembly ("memory-safe") {
                mstore(0x40, memory_) // nothing of this operation is needed any more
            }
        }
    }

    /// @notice An operation in a call of its own (see Matching.isolated): reverts if it fails.
    function inside(Order memory o) internal {
        if (o.kind == Kind.REPLACE) Rejects.raise(Matching.replace(o));
        else if (o.kind == Kind.CANCEL_UP_TO) Rejects.raise(Upto.cancel(o));
        else Matching.cross(o); // checked before the call, and nothing has changed since
    }

    /// @return refusal of an operation on an order named by its id
    function denied(Agents.Actor memory who, Orders.Resting memory resting) internal pure returns (uint256 refusal) {
        if (!Agents.mayCancel(who.rights, Keys.marketOf(resting.level))) return Rejects.NOT_AUTHORIZED;
        return Orders.foreign(resting, who.account);
    }

    // ------------------------------------------------------------------------------------------------------------------------------------- inside

    /// @dev One operation that is no ladder; its result word is left in `o.result`.
    /// @return refusal 0, or why nothing happened
    /// @return cloid it names, 0 none
    function one(Run memory r, Order memory o, bytes calldata ops, uint256 i, uint256 kind) private returns (uint256 refusal, uint256 cloid) {
        uint256 word = peek(ops, i + 1);
        if (kind >= Kind.CANCEL && kind <= Kind.CLAIM) return (onId(r.who, o, kind, word), 0);
        if (kind == Kind.CANCEL_CLOID) {
            cloid = word >> 192;
            return (cancelCloid(r.who, o, cloid, word >> 152 & type(uint40).max), cloid);
        }
        if (kind == Kind.SCHEDULE) {
            o.result = 0;
            return (Deadman.schedule(r.who, word >> 216), 0);
        }
        o.kind = kind;
        o.acct = r.who.word;
        o.isolate = r.skip ? 1 : 0;
        o.cfg = 0;
        o.market = word >> 224;
        if (kind == Kind.CANCEL_UP_TO) {
            o.side = uint8(word >> 216);
            o.tick = uint24(word >> 192);
            o.steps = stepsOf(uint16(word >> 176));
            return (Upto.cancel(o), 0);
        }
        if (kind == Kind.REPLACE) {
            o.replaced = word >> 152;
            o.market = o.replaced >> 72;
            word = peek(ops, i + 10); // from the mode on it looks like a PLACE
        }
        fields(o, word);
        o.lots = uint48(word >> 144);
        if (kind == Kind.TAKE) {
            // market 4, mode 1, limit 3, maxLots 6, maxIn 16, minOut 16, deadline 4, cloid 8, maxSteps 2
            o.maxIn = peek(ops, i + 15) >> 128;
            o.minOut = peek(ops, i + 31) >> 128;
            word = peek(ops, i + 33);
        }
        o.expiry = uint32(word >> 112);
        o.cloid = uint64(word >> 48);
        o.steps = stepsOf(uint16(word >> 32));
        refusal = kind == Kind.REPLACE ? Matching.replace(o) : Matching.place(o);
        cloid = o.cloid;
    }

    /// @dev A place each rung: an operation of its own, with its own result. Rungs of 0 lots are left out.
    /// @return n its rungs
    function ladder(Run memory r, Order memory o, bytes calldata ops, uint256 i) private returns (uint256 n) {
        uint256 word = peek(ops, i + 1); // market 4, mode 1, tick 3, step 2, expiry 4, cloid 8, n 1
        n = uint8(word >> 72);
        fields(o, word);
        o.kind = Kind.LADDER;
        o.acct = r.who.word;
        o.isolate = r.skip ? 1 : 0;
        o.cfg = 0;
        o.market = word >> 224;
        o.expiry = uint32(word >> 144);
        o.steps = STEPS;
        int256 tick = int256(o.tick);
        unchecked {
            for (uint256 rung = 0; rung < n; ++rung) {
                uint64 cloid = uint64(word >> 80);
                if (cloid != 0) cloid += uint64(rung);
                o.result = 0;
                o.cloid = cloid;
                o.lots = peek(ops, i + LADDER_N + 1 + 6 * rung) >> 208;
                o.tick = tick > 0 && tick <= int256(uint256(type(uint24).max)) ? uint256(tick) : 0; // 0: BadTick
                note(r, o, Kind.LADDER, cloid, o.lots == 0 ? 0 : Matching.place(o));
                tick += int16(uint16(word >> 176));
            }
        }
    }

    /// @dev CANCEL, REDUCE or CLAIM: id 13, left 6.
    function onId(Agents.Actor memory who, Order memory o, uint256 kind, uint256 word) private returns (uint256 refusal) {
        Orders.Resting memory resting = Orders.find(word >> 152);
        refusal = denied(who, resting);
        if (refusal != 0) {
            if (refusal != Rejects.UNKNOWN_ORDER || kind != Kind.CLAIM) return refusal;
            refusal = 0; // paid before: no effect
        }
        if (kind == Kind.CANCEL) refusal = Orders.cancel(resting);
        else if (kind == Kind.REDUCE) refusal = Orders.reduce(resting, word >> 104 & type(uint48).max);
        else refusal = Orders.claim(resting);
        // A REDUCE to 0 pays what was filled too, but its word says only what came back.
        o.result = kind == Kind.REDUCE ? resting.back : resting.back | resting.filled << 48;
    }

    function fields(Order memory o, uint256 word) private pure {
        o.mode = uint8(word >> 216);
        o.side = o.mode & 1;
        o.tick = uint24(word >> 192);
        o.maxIn = Taking.UNBOUND;
    }

    /// @dev Takes a tracked order back and frees its number; an unknown one is refused until `until` (s) when it arrives.
    function cancelCloid(Agents.Actor memory who, Order memory o, uint256 cloid, uint256 until) private returns (uint256 refusal) {
        o.result = 0;
        uint256 id = Cloids.tracked(who.account, cloid);
        if (!Agents.mayCancel(who.rights, id >> 72)) return Rejects.NOT_AUTHORIZED;
        if (id == 0) return Cloids.preCancel(who.account, cloid, until);
        Orders.Resting memory resting = Orders.find(id);
        // Already cancelled or claimed by its id: nothing is left of it but the number.
        if (resting.record != 0) refusal = Orders.cancel(resting);
        if (refusal != 0) return refusal;
        o.result = resting.back | resting.filled << 48;
        Cloids.free(who.account, cloid);
    }

    /// @dev Writes the result word, or what the refusal means for the batch.
    function note(Run memory r, Order memory o, uint256 kind, uint256 cloid, uint256 refusal) private {
        uint256 result = o.result;
        if (refusal != 0) {
            if (!r.skip) Rejects.raise(refusal);
            refusal = uint32(refusal);
            result = 1 << 255 | refusal;
            emit IExchange.Rejected(uint32(r.who.account), uint16(r.index), uint8(kind), bytes4(uint32(refusal)), uint64(cloid));
        }
        unchecked {
            uint256 spot = r.results + 32 * r.index++;
            assembly ("memory-safe") {
                mstore(spot, result)
            }
        }
    }

    /// @return the bound on the work of taking; 0 asks for 256
    function stepsOf(uint256 steps) internal pure returns (uint256) {
        return steps == 0 ? STEPS : steps;
    }

    function lengthOf(uint256 kind) private pure returns (uint256 length) {
        assembly ("memory-safe") {
            length := byte(kind, LENGTHS)
        }
    }

    /// @dev 32 bytes from offset `i`; what lies behind the batch is not looked at.
    function peek(bytes calldata ops, uint256 i) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := calldataload(add(ops.offset, i))
        }
    }
}
