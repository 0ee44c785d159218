// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// @title Conditional orders: stop, take-profit, timed, slices of a large order
/// @notice How an owner leaves or signs an order that waits for a price or a time, and how anyone runs it. Errors besides `NotTriggered` are those of
/// `IExchange`. A side of the book without living orders fulfils no condition.
interface IConditional {
    /// @notice A conditional order; EIP-712 type `Conditional` of these fields in this order, domain `hifi Conditional`, `1`, chain id, this contract.
    struct Order {
        uint32 account; // the owner's; never 0
        uint32 market;
        uint8 kind; // 0 best bid <= tick, 1 best ask >= tick, 2 best bid >= tick, 3 best ask <= tick, 4 time only
        uint24 tick;
        uint48 minOpen; // lots that must live on the level looked at
        uint40 notBefore; // first second it may run
        uint40 deadline; // last one
        uint64 nonce; // free choice of the owner, once
        bytes ops; // flags 0, then one PLACE or TAKE in `market`
    }

    /// @notice Leaves an order here; msg.value is the tip. By the account's owner alone (`NotAuthorized`), one order a nonce (`NonceUsed`). Past its deadline:
    /// `Expired`; no such kind: `BadMode`; `ops` not one PLACE or TAKE in its market with flags 0: `BadOps`.
    /// @param c the order
    function create(Order calldata c) external payable;

    /// @notice Runs an order that waits (else `UnknownOrder`) and pays its tip to the sender. What the exchange refuses reverts whole and may be tried again.
    /// @param c the order, as it was created
    /// @return result word of its operation
    function run(Order calldata c) external returns (uint256 result);

    /// @notice Runs an order its owner has signed and nobody left here.
    /// @param sig 65 bytes r, s, v with low s, or what the owner's contract takes (ERC-1271)
    /// @param c the order; its nonce is used up
    /// @return result word of its operation
    function runSigned(Order calldata c, bytes calldata sig) external returns (uint256 result);

    /// @notice Uses up a nonce of the sender, whether an order waits there, was signed, or never existed; a tip goes back. Run or dropped before: `NonceUsed`.
    /// @param nonce of the sender
    function drop(uint64 nonce) external;

    /// @notice Whether time and book allow an order now. Says nothing about signature, nonce, rights or funds.
    /// @param c the order
    /// @return whether it would run
    function triggered(Order calldata c) external view returns (bool);

    /// @notice What is known of a nonce.
    /// @param owner whose nonce
    /// @param nonce the number
    /// @return content 0 nothing; 1 run or dropped; else the typed hash of the order that waits
    /// @return tip wei
    function waiting(address owner, uint64 nonce) external view returns (bytes32 content, uint256 tip);

    /// @notice An order waits. All of it is logged, for those who watch conditions.
    /// @param tip wei for whoever runs it
    /// @param owner who left it
    /// @param account the owner's
    /// @param order the order
    event Created(address indexed owner, uint32 indexed account, Order order, uint256 tip);
    /// @notice An order was run.
    /// @param by who sent it, and earned the tip if there was one
    /// @param result word of its operation, as of `IExchange.execute`
    /// @param owner whose order
    /// @param nonce used up
    event Ran(address indexed owner, uint64 indexed nonce, address by, uint256 result);
    /// @notice A nonce was used up by its owner; an order that waited there never runs, its tip went back.
    /// @param owner whose nonce
    /// @param nonce used up
    /// @param tip wei that went back
    event Dropped(address indexed owner, uint64 indexed nonce, uint256 tip);

    /// @notice The price, the lots or the time are not there.
    error NotTriggered();
}
