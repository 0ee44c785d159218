// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// @title The exchange: one contract for all markets, books and balances
/// @notice The one source of the ABI. Rust reads this file with `sol!`, TypeScript is generated from its artifact; so it imports nothing and inherits
/// nothing.
///
/// Units. `tick`: price, 1 .. 2^24-1; one lot costs tick x quotePerLotTick quote atoms. `lots`: size, below 2^47. atoms: smallest units of a token.
/// ppm: millionths. side: 0 bid, 1 ask. level = market << 32 | side << 24 | tick. orderId = level << 40 | index, index counted from 0 in its level.
/// Accounts are numbers; account 0 in a call means the first account of the sender. Tokens: 0 none, 1 native coin (address 0), ERC-20s from 2.
/// Statuses of a market: 1 LIVE, 2 POST_ONLY, 3 CANCEL_ONLY, 4 HALTED.
interface IExchange {
    // ----------------------------------------------------------------------------------------------------------------------------------- signed types

    /// @notice Operations that somebody else may send: EIP-712 type `Batch(uint32 account,uint64 nonce,uint40 deadline,address relayer,bytes ops)` in the
    /// domain `hifi Exchange`, `1`, chain id, this contract.
    struct Batch {
        uint32 account; // whose operations; 0: the signer's first account
        uint64 nonce; // any number not used before by the account; no order among them
        uint40 deadline; // last second it may run
        address relayer; // who may send it; 0: anyone
        bytes ops; // as in `execute`
    }

    /// @notice Rights of an agent, signed by the account's owner: EIP-712 type `Agent(uint32 account,address agent,uint40 expiry,uint16 perms,uint96
    /// cap,uint32 market0,uint32 market1,uint32 market2,uint64 nonce,uint40 deadline)`.
    struct AgentGrant {
        uint32 account;
        address agent;
        uint40 expiry;
        uint16 perms;
        uint96 cap;
        uint32 market0;
        uint32 market1;
        uint32 market2;
        uint64 nonce;
        uint40 deadline;
    }

    // ------------------------------------------------------------------------------------------------------------------------------ accounts and money

    /// @notice Takes the account number 256 + keccak256(abi.encode(sender, salt)) mod (2^31 - 256) for the sender.
    /// @param salt free choice; the number has no counter behind it, so newcomers never wait for each other
    /// @return account the number; the sender's first one is kept as the meaning of account 0
    function register(uint32 salt) external returns (uint32 account);

    /// @notice Pulls tokens from the sender and credits what the vault's balance really grew by.
    /// @param account who is credited; any registered account. 0: the sender's first one, registered now with the first free salt of 0..3 if there is none
    /// @param token address of the token; 0 is the native coin, then msg.value = atoms
    /// @param atoms token units to pull; the credit may be less for a token that takes a fee
    /// @param settle ids to claim first, of any owner
    /// @return the account credited
    function deposit(uint32 account, address token, uint256 atoms, uint256[] calldata settle) external payable returns (uint32);

    /// @notice Debits free atoms of the account and sends them. Works in every status of every market.
    /// @param account an account of the sender
    /// @param token address of the token; 0 is the native coin
    /// @param atoms token units; 2^256-1 means all that is free after `settle`
    /// @param to receiver, not 0
    /// @param settle ids to claim first, of any owner
    /// @return the atoms sent
    function withdraw(uint32 account, address token, uint256 atoms, address to, uint256[] calldata settle) external returns (uint256);

    // --------------------------------------------------------------------------------------------------------------------------------------- markets

    /// @notice Lists a token; open to all. A token already listed keeps its number and logs nothing.
    /// @param token address with code and decimals(), or 0 for the native coin
    /// @return number of the token
    function addToken(address token) external returns (uint24 number);

    /// @notice Opens a market; open to all. Units and fees can never change. Lists the tokens on the way.
    /// @param base token address of what is traded
    /// @param quote token address of what it is paid with; not `base`
    /// @param quotePerLotTick quote atoms of one lot at tick 1, > 0
    /// @param basePerLot base atoms of one lot, > 0
    /// @param minLots least lots of a new order, > 0
    /// @param takerFee ppm of the quote, 0 .. 10,000
    /// @param makerFee ppm of the quote, -takerFee .. 10,000; below 0 it is a rebate paid out of the taker's fee
    /// @param minTtl least seconds an order with an expiry must live
    /// @param status 1 LIVE or 2 POST_ONLY
    /// @return market number, from 1
    function createMarket(
        address base,
        address quote,
        uint64 quotePerLotTick,
        uint64 basePerLot,
        uint24 minLots,
        uint16 takerFee,
        int16 makerFee,
        uint8 minTtl,
        uint8 status
    ) external returns (uint32 market);

    /// @notice Owner: any status, 4 only from 3, nothing from 4. Guardian: 1 or 2 to 3.
    /// @param market number of the market
    /// @param status 1 LIVE, 2 POST_ONLY, 3 CANCEL_ONLY, 4 HALTED
    function setStatus(uint32 market, uint8 status) external;

    // --------------------------------------------------------------------------------------------------------------------------------------- trading

    /// @notice Places an order: takes what crosses, rests what remains, as `mode` says.
    /// @param account an account of the sender
    /// @param market number of the market
    /// @param mode bit 0 side; bits 1-3 tif (0 GTC, 1 POST_ONLY, 2 SLIDE, 3 IOC, 4 FOK); bits 4-6 self-trade mode (0 NONE, 1 CANCEL_TAKER, 2
    /// CANCEL_MAKER, 3 CANCEL_BOTH, 4 DECREMENT); bit 7 TRACK: remember the order by its cloid
    /// @param tick limit price, 1 .. 2^24-1
    /// @param lots size, minLots .. 2^47-1
    /// @param expiry second from which the order is dead, at least now + max(1, minTtl) for an order that may rest; 0: lives until cancelled. On IOC and FOK
    /// a deadline: the last second is expiry - 1
    /// @param cloid the sender's own number of the order; 0 none
    /// @param maxSteps bound on the work of taking: swept levels plus walked records; 0 means 256
    /// @return id of the order that rests, 0 if none
    /// @return filled lots taken now
    function place(uint32 account, uint32 market, uint8 mode, uint24 tick, uint48 lots, uint32 expiry, uint64 cloid, uint16 maxSteps)
        external
        returns (uint256 id, uint48 filled);

    /// @notice Takes an order back and pays what it has earned. An order already filled is paid out; that is no error.
    /// @param account the order's account, an account of the sender
    /// @param orderId the order
    /// @return back lots returned
    /// @return filled lots paid
    function cancel(uint32 account, uint256 orderId) external returns (uint48 back, uint48 filled);

    /// @notice Lowers what is left of an order to `left`; it keeps its place in the queue. More than is left changes nothing, 0 cancels.
    /// @param account the order's account, an account of the sender
    /// @param orderId the order
    /// @param left lots that shall remain, 0 or at least minLots
    /// @return back lots returned
    function reduce(uint32 account, uint256 orderId, uint48 left) external returns (uint48 back);

    /// @notice Pays what filled orders have earned to their owners. Anyone, any orders; ids with nothing to pay are passed over.
    /// @param orderIds the orders
    function claim(uint256[] calldata orderIds) external;

    /// @notice Reads words of storage; the layout is public and final. All views build on this.
    /// @param slots storage slots
    /// @return words their values, in the same order
    function load(bytes32[] calldata slots) external view returns (bytes32[] memory words);

    // ---------------------------------------------------------------------------------------------------------------------------- batches and agents

    /// @notice Runs up to 64 operations in order, each with full effect or none.
    /// @dev Kinds, with the bytes of each field, and their result words:
    /// 01 PLACE market 4, mode 1, tick 3, lots 6, expiry 4, cloid 8, maxSteps 2: id 0-103 (0: nothing rests), filled 104-151, reason 152-159 (rested: 1).
    /// 02 TAKE market 4, mode 1, limit 3, maxLots 6, maxIn 16, minOut 16, deadline 4, cloid 8, maxSteps 2: out atoms 0-127, filled 128-175, reason 176-183.
    /// 03 CANCEL id 13, 05 CLAIM id 13: back 0-47, filled 48-95 (lots). 04 REDUCE id 13, left 6: back 0-47.
    /// 06 REPLACE id 13, mode 1, tick 3, lots 6, expiry 4, cloid 8, maxSteps 2: as PLACE.
    /// 07 LADDER market 4, mode 1, tick 3, step 2 (signed), expiry 4, cloid 8, n 1, then n x lots 6: n words as PLACE; lots 0 leaves a rung out.
    /// 08 CANCEL_UP_TO market 4, side 1, tick 3, maxSteps 2: orders 0-15, lots 16-79. 09 CANCEL_CLOID cloid 8, until 5: as CANCEL. 0a SCHEDULE at 5: 0.
    /// reason: 0 FILLED, 1 LIMIT, 2 STEPS, 3 STP, 4 BUDGET. maxIn and minOut are atoms, maxIn with the fee (2^128-1: all that is free), minOut net of it.
    /// @param account an account of the sender, or one it is an agent of
    /// @param ops flags (bit 0 SKIP_FAILED: a failed operation logs `Rejected` and the batch goes on; else it reverts all), then operations: a kind byte and
    /// its fields, big-endian, unpadded
    /// @return results a word each operation (a rung each for LADDER): what it gave, or bit 255 with the error's selector in 0-31
    function execute(uint32 account, bytes calldata ops) external returns (bytes memory results);

    /// @notice Runs a batch its signer has signed; the signer has the rights it would have as sender.
    /// @param b the batch; its nonce is used up
    /// @param signer owner or agent of the account; a contract answers by ERC-1271
    /// @param sig 65 bytes r, s, v with low s, or what the signer's contract takes
    /// @return results as of `execute`
    function executeSigned(Batch calldata b, address signer, bytes calldata sig) external returns (bytes memory results);

    /// @notice Sells tokens through up to four markets in a row, from wallet to wallet, without an account.
    /// @param tokenIn token address of what is sold; 0 is the native coin, then msg.value = atoms
    /// @param atoms token units to sell; what does not fill a lot comes back
    /// @param markets the way, 1 .. 4 markets, each LIVE and with the token in hand
    /// @param minOut least token units of the last token, net of all fees
    /// @param to receiver of the last token, not 0
    /// @param deadline last second it may run
    /// @param maxSteps bound on the work of each hop; 0 means 256
    /// @return out token units sent to `to`
    function swapExactIn(address tokenIn, uint256 atoms, uint32[] calldata markets, uint256 minOut, address to, uint40 deadline, uint16 maxSteps)
        external
        payable
        returns (uint256 out);

    /// @notice As `deposit`, with an ERC-2612 permit before it. A permit that fails, or that somebody has used before, does no harm if the allowance is there.
    /// @param account who is credited, as of `deposit`
    /// @param token address of an ERC-20 with permit
    /// @param atoms token units to pull, and of the allowance
    /// @param deadline last second of the permit (s)
    /// @param v of its signature
    /// @param r of its signature
    /// @param s of its signature
    /// @return the account credited
    function depositPermit(uint32 account, address token, uint256 atoms, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external returns (uint32);

    /// @notice Gives rights over an account to another address, replacing what it had. Owner only.
    /// @param account an account of the sender
    /// @param agent who gets them
    /// @param expiry second from which they are void; 0 revokes
    /// @param perms bit 0 PLACE (POST_ONLY, SLIDE, LADDER), 1 TAKE (GTC, IOC, FOK, TAKE), 2 CANCEL (cancel, reduce, claim, cloid, up-to, schedule), 3
    /// WITHDRAW (only to the owner)
    /// @param cap most quote atoms of one order; 0: no bound
    /// @param markets where it may trade; all 0: everywhere
    function approveAgent(uint32 account, address agent, uint40 expiry, uint16 perms, uint96 cap, uint32[3] calldata markets) external;

    /// @notice As `approveAgent`, signed by the owner and sent by anyone.
    /// @param g the rights; its nonce is used up
    /// @param sig the owner's: 65 bytes r, s, v with low s, or what the owner's contract takes (ERC-1271)
    function approveAgentSigned(AgentGrant calldata g, bytes calldata sig) external;

    /// @notice Uses up nonces of the account before anyone can. Owner only.
    /// @param word nonce >> 8
    /// @param mask bits nonce & 255
    /// @param account an account of the sender
    function cancelNonces(uint32 account, uint64 word, uint256 mask) external;

    // ---------------------------------------------------------------------------------------------------------------------------------- keeping house

    /// @notice Takes back orders whose owner's dead-man switch has fired, or that lie in a halted market. Anyone; other ids are passed over.
    /// @param account whose orders; 0: the first account of the sender
    /// @param orderIds the orders
    function poke(uint32 account, uint256[] calldata orderIds) external;

    /// @notice Passes holes and expired orders at the head of a level. Anyone.
    /// @param level market << 32 | side << 24 | tick
    /// @param maxSteps most records passed; 0 means 256
    function prune(uint64 level, uint16 maxSteps) external;

    /// @notice Moves fees due of accounts to the fee collector (account 1). Anyone.
    /// @param token number of the token
    /// @param accounts whose `feeDue` is moved, all of it
    function sweepFees(uint24 token, uint32[] calldata accounts) external;

    /// @notice Sets the tier of an account's taker fee, 0 .. 15 sixteenths off. The fee manager.
    /// @param account number of the account
    /// @param tier sixteenths off the taker's fee, 0 .. 15
    function setTier(uint32 account, uint8 tier) external;

    /// @notice Hands a role over. Owner only.
    /// @param role 0 owner, 1 guardian, 2 fee manager
    /// @param who the new holder; 0: nobody
    function setRole(uint8 role, address who) external;

    // ---------------------------------------------------------------------------------------------------------------------------------------- events

    /// @notice An order rests.
    /// @param orderId its index is the level's tail before
    /// @param account its owner
    /// @param data lots that rest 0-47, expiry 48-79 (s), cloid 80-143, mode 144-151
    event Placed(uint256 indexed orderId, uint32 indexed account, uint256 data);

    /// @notice Lots of an order went home.
    /// @param orderId the order
    /// @param left lots that remain
    /// @param removed lots taken back
    /// @param reason 1 CANCEL, 2 REDUCE, 3 REPLACED, 4 STP, 5 EXPIRED, 6 DEADMAN, 7 HALTED
    event Reduced(uint256 indexed orderId, uint48 left, uint48 removed, uint8 reason);

    /// @notice Matching moved a level; with the level's word before, it says every maker's fill.
    /// @param level market << 32 | side << 24 | tick
    /// @param levelWord after-image: minExpiry 32-63, open 64-127 (lots), headFilled 128-175 (lots), head 176-215, tail 216-255
    event LevelFill(uint256 indexed level, uint256 levelWord);

    /// @notice The sum of one taking.
    /// @param market number of the market
    /// @param account the taker
    /// @param data lots wanted 0-47, filled 48-95, cloid 96-159, mode 160-167, reason 168-175 (0 FILLED, 1 LIMIT, 2 STEPS, 3 STP, 4 BUDGET)
    /// @param quote atoms exchanged for the lots, without the fee
    /// @param fee quote atoms the taker paid on top
    event Taken(uint32 indexed market, uint32 indexed account, uint256 data, uint256 quote, uint256 fee);

    /// @notice A resting order was paid.
    /// @param orderId the order
    /// @param account its owner
    /// @param lots filled lots paid
    /// @param back lots refunded (of an expired order)
    event Claimed(uint256 indexed orderId, uint32 indexed account, uint48 lots, uint48 back);

    /// @notice Tokens came in.
    /// @param account who is credited
    /// @param token number of the token
    /// @param atoms the credit
    event Deposit(uint32 indexed account, uint24 indexed token, uint256 atoms);

    /// @notice Tokens went out.
    /// @param account who is debited
    /// @param token number of the token
    /// @param atoms the debit
    /// @param to receiver
    event Withdraw(uint32 indexed account, uint24 indexed token, uint256 atoms, address to);

    /// @notice An account was taken.
    /// @param account its number
    /// @param owner its owner for ever
    event AccountCreated(uint32 indexed account, address indexed owner);

    /// @notice A token was listed.
    /// @param token its number
    /// @param tokenAddress where it lives
    /// @param decimals as the token says
    event TokenAdded(uint24 indexed token, address indexed tokenAddress, uint8 decimals);

    /// @notice A market was opened.
    /// @param market its number
    /// @param cfg base 0-23, quote 24-47 (numbers of tokens), quotePerLotTick 48-111 (quote atoms), basePerLot 112-175 (base atoms), minLots 176-199,
    /// takerFee 200-215 (ppm), makerFee 216-231 (ppm, signed), minTtl 232-239 (s), status 240-247
    event MarketCreated(uint32 indexed market, uint256 cfg);

    /// @notice A market changed its status.
    /// @param market number of the market
    /// @param status 1 LIVE, 2 POST_ONLY, 3 CANCEL_ONLY, 4 HALTED
    event Status(uint32 indexed market, uint8 status);

    /// @notice An operation of a SKIP_FAILED batch failed and left no trace but this.
    /// @param account whose batch
    /// @param index of its result word
    /// @param kind of the operation
    /// @param reason selector of the error
    /// @param cloid of the operation, 0 none
    event Rejected(uint32 indexed account, uint16 index, uint8 kind, bytes4 reason, uint64 cloid);

    /// @notice Rights over an account changed.
    /// @param word expiry 0-39 (s; 0 revoked), perms 40-55, cap 56-151 (quote atoms), 3 markets 152-247
    /// @param account whose rights
    /// @param agent who has them
    event Agent(uint32 indexed account, address indexed agent, uint256 word);

    /// @notice A signed batch or grant was used.
    /// @param nonce that is used up
    /// @param account whose batch or grant
    /// @param signer who signed it
    event Signed(uint32 indexed account, address indexed signer, uint64 nonce);

    /// @notice The dead-man switch was set.
    /// @param at second from which it has fired; 0 disarmed
    /// @param account whose switch
    event Scheduled(uint32 indexed account, uint40 at);

    /// @notice An order under way with this cloid will be refused.
    /// @param until last second of that
    /// @param account whose number
    /// @param cloid the number
    event CloidPreCancelled(uint32 indexed account, uint64 cloid, uint40 until);

    /// @notice Fees due went to the fee collector.
    /// @param account who owed them
    /// @param token number of the token
    /// @param atoms token units moved to account 1
    event FeesSwept(uint32 indexed account, uint24 indexed token, uint256 atoms);

    /// @notice A fee tier was set.
    /// @param tier sixteenths off the taker's fee, 0 .. 15
    /// @param account number of the account
    event Tier(uint32 indexed account, uint8 tier);

    /// @notice A role was handed over.
    /// @param role 0 owner, 1 guardian, 2 fee manager
    /// @param who the new holder
    event Role(uint8 role, address who);

    /// @notice A swap from wallet to wallet; its hops are the `Taken` before it, of the accounts 2^31 + market.
    /// @param from who paid
    /// @param to who got the last token
    /// @param tokenIn number of the token sold
    /// @param tokenOut number of the last token
    /// @param atomsIn token units that came in; what was not spent has gone back
    /// @param atomsOut token units sent to `to`, net of all fees
    event Swapped(address indexed from, address indexed to, uint24 tokenIn, uint24 tokenOut, uint256 atomsIn, uint256 atomsOut);

    // ---------------------------------------------------------------------------------------------------------------------------------------- errors
    // The whole table of rejects; codes never move.

    /// @notice There is no such market.
    error NoMarket();
    /// @notice The caller may not act for this account, on this order or in this role.
    error NotAuthorized();
    /// @notice The order is worth more than the agent may spend on one.
    error OverCap();
    /// @notice The mode byte, or a field that goes with it, is unknown or not offered.
    error BadMode();
    /// @notice The market's status does not allow this order.
    /// @param status 2 POST_ONLY, 3 CANCEL_ONLY, 4 HALTED
    error NotLive(uint8 status);
    /// @notice The tick is 0 or out of range.
    error BadTick();
    /// @notice The lots are fewer than minLots or above 2^47-1.
    error BadLots();
    /// @notice The expiry or deadline is past, too near, or the dead-man switch has fired.
    error Expired();
    /// @notice A living order uses this cloid.
    error CloidInUse();
    /// @notice This cloid was cancelled before it arrived.
    error PreCancelled();
    /// @notice A post-only order would take.
    /// @param best tick of the best level it crosses
    error WouldCross(uint24 best);
    /// @notice Free atoms do not cover the debit.
    error Insufficient();
    /// @notice The level has no index or no room for these lots left.
    error LevelFull();
    /// @notice A fill-or-kill order could only be filled in part.
    /// @param filled lots it would have got
    error NotFilled(uint48 filled);
    /// @notice The proceeds are below the least the caller accepts.
    /// @param out atoms it would have got, net of the fee
    error Slippage(uint256 out);
    /// @notice The steps were used up before the answer was known.
    error StepLimit();
    /// @notice The order does not exist or does not rest any more.
    error UnknownOrder();
    /// @notice The batch is truncated, too long or has an unknown operation.
    error BadOps();
    /// @notice The nonce was used before.
    error NonceUsed();
    /// @notice The signature is not the signer's.
    error BadSignature();
    /// @notice The token is not listed, or is no token.
    error UnknownToken();
    /// @notice The account is not registered.
    error UnknownAccount();
    /// @notice The account number belongs to somebody.
    error AccountTaken();
    /// @notice Nothing came in, msg.value is wrong, or a balance would leave its bounds.
    error BadAmount();
    /// @notice The market's tokens, units, fees or first status are out of bounds.
    error BadMarket();
    /// @notice The market cannot go to this status.
    error BadStatus();
    /// @notice The token or receiver refused the transfer.
    error TransferFailed();
    /// @notice The exchange was called from inside one of its own calls.
    error Reentered();
}
