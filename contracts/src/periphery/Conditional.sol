// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IConditional} from "../interfaces/IConditional.sol";
import {IExchange} from "../interfaces/IExchange.sol";
import {Keys} from "../libraries/Keys.sol";
import {SafeTransfer} from "../libraries/SafeTransfer.sol";
import {Signatures} from "../libraries/Signatures.sol";
import {Reader} from "./Reader.sol";

/// @title Orders that wait for a price or a time: stop, take-profit, timed, slices of a large order
/// @notice An agent like any other: an owner approves this contract on the exchange (`approveAgent`, with TAKE or PLACE, best with markets, cap and expiry),
/// then leaves conditional orders here or signs them. Anyone may run one once its condition holds, by the book of that moment; whoever does earns the tip. It
/// sends nothing but the one operation the owner wrote, once: a run that the exchange refuses reverts whole and may be tried again until the deadline. Never
/// holds tokens; native coin only as tips of orders that wait. Holds the exchange's address in slot 0, where a genesis file may set it. A book can be moved for
/// a moment by whoever pays for it: `minOpen` says how many lots must stand behind the touch, and the operation should carry the worst price its owner accepts.
contract Conditional is IConditional, Reader {
    // Kinds of condition.
    uint8 internal constant BID_AT_MOST = 0; // stop of a holder
    uint8 internal constant ASK_AT_LEAST = 1; // stop of who is short of it
    uint8 internal constant BID_AT_LEAST = 2; // take-profit of a holder
    uint8 internal constant ASK_AT_MOST = 3; // take-profit, or a buy further down
    uint8 internal constant TIME = 4;

    bytes32 private constant NAME = keccak256("hifi Conditional");
    bytes32 private constant KIND = keccak256(
        "Conditional(uint32 account,uint32 market,uint8 kind,uint24 tick,uint48 minOpen,uint40 notBefore,uint40 deadline,uint64 nonce,bytes ops)"
    );
    /// Instead of the content of an order that waits: run or dropped.
    bytes32 private constant DONE = bytes32(uint256(1));
    uint256 private constant PLACE_BYTES = 30; // flags and a PLACE
    uint256 private constant TAKE_BYTES = 62; // flags and a TAKE

    /// An order left here.
    struct Waiting {
        bytes32 content; // 0 unknown nonce; 1 run or dropped
        uint256 tip; // wei
    }

    /// @inheritdoc IConditional
    mapping(address => mapping(uint64 => Waiting)) public waiting;

    /// @param exchange_ where the orders run
    constructor(IExchange exchange_) {
        exchange = exchange_;
    }

    /// @inheritdoc IConditional
    function create(Order calldata c) external payable {
        if (ownerOf(c.account) != msg.sender) revert IExchange.NotAuthorized();
        check(c);
        Waiting storage w = waiting[msg.sender][c.nonce];
        if (w.content != 0) revert IExchange.NonceUsed();
        (w.content, w.tip) = (contentOf(c), msg.value);
        emit Created(msg.sender, c.account, c, msg.value);
    }

    /// @inheritdoc IConditional
    function run(Order calldata c) external returns (uint256 result) {
        address owner = ownerOf(c.account);
        Waiting storage w = waiting[owner][c.nonce];
        if (w.content != contentOf(c)) revert IExchange.UnknownOrder();
        uint256 tip = w.tip;
        (w.content, w.tip) = (DONE, 0);
        result = fire(c, owner);
        if (tip != 0) SafeTransfer.send(address(0), msg.sender, tip);
    }

    /// @inheritdoc IConditional
    function runSigned(Order calldata c, bytes calldata sig) external returns (uint256 result) {
        address owner = ownerOf(c.account);
        Waiting storage w = waiting[owner][c.nonce];
        if (w.content != 0) revert IExchange.NonceUsed();
        Signatures.check(NAME, contentOf(c), owner, sig);
        w.content = DONE;
        return fire(c, owner);
    }

    /// @inheritdoc IConditional
    function drop(uint64 nonce) external {
        Waiting storage w = waiting[msg.sender][nonce];
        if (w.content == DONE) revert IExchange.NonceUsed();
        uint256 tip = w.tip;
        (w.content, w.tip) = (DONE, 0);
        emit Dropped(msg.sender, nonce, tip);
        if (tip != 0) SafeTransfer.send(address(0), msg.sender, tip);
    }

    /// @inheritdoc IConditional
    function triggered(Order calldata c) public view returns (bool) {
        if (block.timestamp < c.notBefore || block.timestamp > c.deadline) return false;
        if (c.kind == TIME) return true;
        uint256 side = c.kind == BID_AT_MOST || c.kind == BID_AT_LEAST ? Keys.BID : Keys.ASK;
        (uint256 tick, uint256 open) = touch(c.market, side, false);
        if (tick == 0 || open < c.minOpen) return false;
        return c.kind == BID_AT_MOST || c.kind == ASK_AT_MOST ? tick <= c.tick : tick >= c.tick;
    }

    // ------------------------------------------------------------------------------------------------------------------------------------- inside

    /// @dev The nonce is used up by now; a refusal of the exchange reverts that too.
    function fire(Order calldata c, address owner) private returns (uint256 result) {
        check(c);
        if (!triggered(c)) revert NotTriggered();
        result = uint256(bytes32(exchange.execute(c.account, c.ops)));
        emit Ran(owner, c.nonce, msg.sender, result);
    }

    /// @dev Past its deadline: `Expired`; no such kind: `BadMode`; not one PLACE or TAKE in its market, to succeed or revert: `BadOps`.
    function check(Order calldata c) private view {
        if (block.timestamp > c.deadline) revert IExchange.Expired();
        if (c.kind > TIME) revert IExchange.BadMode();
        bytes calldata ops = c.ops;
        bool known = (ops.length == PLACE_BYTES && ops[1] == 0x01) || (ops.length == TAKE_BYTES && ops[1] == 0x02);
        if (!known || ops[0] != 0 || uint32(bytes4(ops[2:6])) != c.market) revert IExchange.BadOps();
    }

    /// @dev Account 1, the fee collector, and numbers nobody has are nobody's here.
    function ownerOf(uint32 account) private view returns (address owner) {
        owner = address(uint160(read(ACCT, account)));
        if (owner == address(0)) revert IExchange.NotAuthorized();
    }

    function contentOf(Order calldata c) private pure returns (bytes32) {
        return keccak256(abi.encode(KIND, c.account, c.market, c.kind, c.tick, c.minOpen, c.notBefore, c.deadline, c.nonce, keccak256(c.ops)));
    }
}
