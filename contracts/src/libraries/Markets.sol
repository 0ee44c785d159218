// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../interfaces/IExchange.sol";
import {Keys} from "./Keys.sol";
import {Ledger} from "./Ledger.sol";
import {SafeTransfer} from "./SafeTransfer.sol";
import {Store} from "./Store.sol";

/// @title Tokens, markets, their statuses, roles and what is owed to the exchange
/// @notice A market is one word: base 0-23, quote 24-47 (tokens), quotePerLotTick 48-111 (quote atoms), basePerLot 112-175 (base atoms), minLots 176-199,
/// takerFee 200-215 (ppm), makerFee 216-231 (ppm, signed), minTtl 232-239 (s), status 240-247. Only the status ever changes.
library Markets {
    uint256 internal constant LIVE = 1;
    uint256 internal constant POST_ONLY = 2;
    uint256 internal constant CANCEL_ONLY = 3;
    uint256 internal constant HALTED = 4;

    /// The account that collects fees; it belongs to whoever has the owner role.
    uint256 internal constant FEE_COLLECTOR = 1;

    uint256 private constant NATIVE = 1;
    uint256 private constant FEE_MAX = 10_000;
    uint256 private constant STATUS_SHIFT = 240;

    /// @return number of the token traded
    function base(uint256 cfg) internal pure returns (uint256) {
        return cfg & 0xffffff;
    }

    /// @return number of the token it is paid with
    function quote(uint256 cfg) internal pure returns (uint256) {
        return cfg >> 24 & 0xffffff;
    }

    /// @return quote atoms of one lot at tick 1
    function quotePerLotTick(uint256 cfg) internal pure returns (uint256) {
        return cfg >> 48 & type(uint64).max;
    }

    /// @return base atoms of one lot
    function basePerLot(uint256 cfg) internal pure returns (uint256) {
        return cfg >> 112 & type(uint64).max;
    }

    /// @return least lots of a new order
    function minLots(uint256 cfg) internal pure returns (uint256) {
        return cfg >> 176 & 0xffffff;
    }

    /// @return ppm of the quote
    function takerFee(uint256 cfg) internal pure returns (uint256) {
        return cfg >> 200 & 0xffff;
    }

    /// @return ppm of the quote; below 0 a rebate
    function makerFee(uint256 cfg) internal pure returns (int256) {
        return int16(uint16(cfg >> 216));
    }

    /// @return least seconds an order with an expiry must live
    function minTtl(uint256 cfg) internal pure returns (uint256) {
        return cfg >> 232 & 0xff;
    }

    /// @return 1 LIVE, 2 POST_ONLY, 3 CANCEL_ONLY, 4 HALTED
    function status(uint256 cfg) internal pure returns (uint256) {
        return cfg >> STATUS_SHIFT & 0xff;
    }

    /// @notice Number of a listed token; the native coin needs no listing.
    function numberOf(address token) internal view returns (uint256 number) {
        if (token == address(0)) return NATIVE;
        number = Store.words().tokenOf[token];
        if (number == 0) revert IExchange.UnknownToken();
    }

    /// @notice Lists a token unless it is listed: it needs code and decimals().
    function addToken(address token) internal returns (uint256 number) {
        if (token == address(0)) return NATIVE;
        Store.Layout storage s = Store.words();
        number = s.tokenOf[token];
        if (number != 0) return number;
        (bool ok, uint256 decimals) = SafeTransfer.read(token, abi.encodeWithSignature("decimals()"));
        if (!ok || decimals > 255 || token.code.length == 0) revert IExchange.UnknownToken();
        uint256 counts = s.counts;
        number = counts >> 32 & 0xffffff;
        number = number == 0 ? NATIVE + 1 : number + 1;
        if (number > 0xffffff) revert IExchange.BadAmount();
        s.counts = (counts & type(uint32).max) | number << 32;
        s.tokenOf[token] = number;
        s.tokens[number] = decimals << 160 | uint160(token);
        emit IExchange.TokenAdded(uint24(number), token, uint8(decimals));
    }

    /// @param cfg the word without its tokens
    function create(address base_, address quote_, uint256 cfg) internal returns (uint256 market) {
        if (base_ == quote_ || quotePerLotTick(cfg) == 0 || basePerLot(cfg) == 0 || minLots(cfg) == 0) revert IExchange.BadMarket();
        int256 least = -int256(takerFee(cfg));
        if (takerFee(cfg) > FEE_MAX || makerFee(cfg) < least || makerFee(cfg) > int256(FEE_MAX)) revert IExchange.BadMarket();
        if (status(cfg) != LIVE && status(cfg) != POST_ONLY) revert IExchange.BadMarket();
        cfg |= addToken(base_);
        cfg |= addToken(quote_) << 24;
        Store.Layout storage s = Store.words();
        market = (s.counts & type(uint32).max) + 1;
        if (market >= 1 << 31) revert IExchange.BadMarket(); // 2^31 + market is the account of its swaps
        s.counts += 1;
        s.cfg[market] = cfg;
        emit IExchange.MarketCreated(uint32(market), cfg);
    }

    /// @notice Owner: any status, HALTED only from CANCEL_ONLY, nothing from HALTED. Guardian: LIVE or POST_ONLY to CANCEL_ONLY.
    function setStatus(uint256 market, uint256 to) internal {
        Store.Layout storage s = Store.words();
        uint256 cfg = s.cfg[market];
        if (cfg == 0) revert IExchange.NoMarket();
        uint256 from = status(cfg);
        if (msg.sender != s.owner) {
            if (msg.sender != s.guardian || from > POST_ONLY || to != CANCEL_ONLY) revert IExchange.NotAuthorized();
        }
        if (to < LIVE || to > HALTED || from == HALTED || (to == HALTED && from != CANCEL_ONLY)) revert IExchange.BadStatus();
        s.cfg[market] = (cfg & ~(uint256(0xff) << STATUS_SHIFT)) | to << STATUS_SHIFT;
        emit IExchange.Status(uint32(market), uint8(to));
    }

    // ------------------------------------------------------------------------------------------------------------------------------ roles and fees

    /// @notice Owner only. A guardian or fee manager of 0 is nobody; the owner cannot become nobody (`NotAuthorized`). No such role: `BadMode`.
    function setRole(uint256 role, address who) internal {
        Store.Layout storage s = Store.words();
        if (msg.sender != s.owner || (role == 0 && who == address(0))) revert IExchange.NotAuthorized();
        if (role == 0) s.owner = who;
        else if (role == 1) s.guardian = who;
        else if (role == 2) s.feeManager = who;
        else revert IExchange.BadMode();
        emit IExchange.Role(uint8(role), who);
    }

    /// @notice The fee manager only. Above 15: `BadAmount`; nobody's account, so also those of swaps and the collector: `UnknownAccount`.
    function setTier(uint256 account, uint256 tier) internal {
        Store.Layout storage s = Store.words();
        if (msg.sender != s.feeManager) revert IExchange.NotAuthorized();
        if (tier > 15) revert IExchange.BadAmount();
        uint256 word = s.acct[account];
        if (word == 0) revert IExchange.UnknownAccount();
        s.acct[account] = (word & ~(uint256(15) << 160)) | tier << 160;
        emit IExchange.Tier(uint32(account), uint8(tier));
    }

    /// @notice Moves what accounts owe in a token to the fee collector's free balance; who owes nothing is passed over and logs nothing. A token nobody has
    /// listed has no balances, so nothing moves.
    function sweepFees(uint256 token, uint32[] calldata accounts) internal {
        mapping(uint256 => uint256) storage bal = Store.words().bal;
        uint256 sum;
        for (uint256 i = 0; i < accounts.length; ++i) {
            uint256 page = Keys.bal(accounts[i], token);
            uint256 word = bal[page];
            uint256 due = Ledger.feeDue(word);
            if (due == 0) continue;
            bal[page] = Ledger.paid(word);
            sum += due;
            emit IExchange.FeesSwept(accounts[i], uint24(token), due);
        }
        if (sum == 0) return;
        uint256 own = Keys.bal(FEE_COLLECTOR, token); // read now: the collector may itself have owed
        bal[own] = Ledger.credit(bal[own], sum);
    }
}
