// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// @title Views of the exchange: books, balances, and what an order would do
/// @notice For `eth_call`; nothing here is cheap enough for a contract. Answers are of the block of the call, and of its time: an order whose expiry has come
/// counts nowhere as resting, whatever storage still says. Units and ids are those of `IExchange`.
interface ILens {
    /// The fields of `place`, and who would send it.
    struct Wish {
        address sender;
        uint32 account; // 0: the sender's first one
        uint32 market;
        uint8 mode;
        uint24 tick;
        uint48 lots;
        uint32 expiry; // s
        uint64 cloid;
        uint16 maxSteps;
    }

    /// @notice The touch of a market.
    /// @param market number of the market
    /// @return bid best bid's tick, 0 none
    /// @return ask best ask's tick, 0 none
    function best(uint32 market) external view returns (uint24 bid, uint24 ask);

    /// @notice Price levels of a side, from the touch outward. Levels are read in one call each 64; only a level with expired orders is walked, and at most
    /// 1,024 of its records: those behind count as alive.
    /// @param market number of the market
    /// @param side 0 bids, downward; 1 asks, upward
    /// @param from first tick looked at; 0 starts at the touch
    /// @param n most levels to answer, at most 4,096
    /// @return levels words: tick 0-23, open 24-87 (lots), tail - head 88-127 (orders and holes)
    function depth(uint32 market, uint8 side, uint24 from, uint256 n) external view returns (uint256[] memory levels);

    /// @notice The queue of a level, first come first.
    /// @param level market << 32 | side << 24 | tick
    /// @param from index to start at; what lies before the head is passed
    /// @param n most orders to answer, at most 4,096
    /// @return orders_ words: index 0-39, account 40-71, left 72-119 (lots), expiry 120-151 (s, 0 none)
    function orders(uint64 level, uint40 from, uint256 n) external view returns (uint256[] memory orders_);

    /// @notice One order. What was claimed in full or cancelled is not known any more: all 0.
    /// @param id the order
    /// @return account its owner
    /// @return lots of its record: what it had when placed, less what was reduced or claimed; an expired order gets lots - claimable back
    /// @return left lots that rest
    /// @return claimable filled lots not paid yet
    /// @return expiry s, 0 none (or passed already)
    /// @return state 0 unknown; 1 rests; 2 filled, a claim pays it; 3 expired, its cancel pays it; 4 expired and passed by, a claim pays it
    function orderInfo(uint256 id) external view returns (uint32 account, uint48 lots, uint48 left, uint48 claimable, uint32 expiry, uint8 state);

    /// @notice An account's balance in a token, with what a claim of its orders would add now.
    /// @param account number of the account
    /// @param token address, 0 the native coin
    /// @param ids orders to look at; those of others, and repeats, count nothing
    /// @return free atoms it may use
    /// @return feeDue atoms owed to the exchange
    /// @return claimable atoms a claim of `ids` would add to free
    function balanceOf(uint32 account, address token, uint256[] calldata ids) external view returns (uint256 free, uint256 feeDue, uint256 claimable);

    /// @notice What a taker would get from the book now, own orders met like any other (self-trade mode NONE). It looks at the book only: a market that is not
    /// LIVE, or free atoms that do not cover `amountIn`, would still refuse the order.
    /// @param account the taker, for its tier and its free atoms; 0 the sender's first one, and without one tier 0 and no bound
    /// @param market number of the market
    /// @param side 0 buys, 1 sells
    /// @param limit worst tick; a seller's 0 is any price
    /// @param lots most lots
    /// @param maxIn most atoms of what is paid with, fee included; 2^128-1 means all that is free
    /// @return filled lots
    /// @return amountIn atoms paid: a buyer's quote with the fee, a seller's base
    /// @return out atoms received: a buyer's base, a seller's quote without the fee
    /// @return fee quote atoms of it
    /// @return steps maxSteps that the take needs; at most 65,535 are gone
    function quoteTake(uint32 account, uint32 market, uint8 side, uint24 limit, uint48 lots, uint128 maxIn)
        external
        view
        returns (uint48 filled, uint256 amountIn, uint256 out, uint256 fee, uint16 steps);

    /// @notice Whether the exchange would take an order, of the sender of this call, as it stands now.
    /// @param account an account of the sender; 0: its first one
    /// @param market number of the market
    /// @param mode side, tif, self-trade mode, TRACK, as of `place`
    /// @param tick limit price
    /// @param lots size
    /// @param expiry s, 0 none
    /// @param cloid the sender's own number, 0 none
    /// @param maxSteps bound on the work of taking; 0 means 256
    /// @return the selector of the error `place` would fail with, 0 if it would not; fields as of `place`
    function canPlace(uint32 account, uint32 market, uint8 mode, uint24 tick, uint48 lots, uint32 expiry, uint64 cloid, uint16 maxSteps)
        external
        view
        returns (bytes4);

    /// @notice What `place` would do; it fails with the error `place` would fail with.
    /// @param w the fields of `place`, and the address that would send it
    /// @return tick where it would rest
    /// @return rests lots that would rest, 0 none
    /// @return filled lots it would take
    function previewPlace(Wish calldata w) external view returns (uint24 tick, uint48 rests, uint48 filled);
}
