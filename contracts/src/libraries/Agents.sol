// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../interfaces/IExchange.sol";
import {Markets} from "./Markets.sol";
import {Store} from "./Store.sol";

/// @title Who acts, and what it may do
/// @notice Every call resolves once, at its top, who acts for which account; each operation then demands its right from the word in memory. An owner's call
/// reads no more than the account's word; the agents' word is read only when the one who acts is not the owner.
/// Rights: expiry 0-39 (s; living while now < expiry), perms 40-55, cap 56-151 (quote atoms of one order, 0 none), three markets 152-247 (all 0: any). An
/// owner's rights are all perms, no cap, any market, and OWNER. Agents never hand rights on, and never withdraw but to the owner.
library Agents {
    /// POST_ONLY, SLIDE and LADDER.
    uint256 internal constant PLACE = 1 << 40;
    /// GTC, IOC, FOK and TAKE.
    uint256 internal constant TAKE = 1 << 41;
    /// Cancel, reduce, claim in a batch, by cloid, up to a tick, schedule. A REPLACE needs this and the right of its mode.
    uint256 internal constant CANCEL = 1 << 42;
    /// Withdraw, only to the account's owner.
    uint256 internal constant WITHDRAW = 1 << 43;

    /// Set in the rights of the account's owner alone.
    uint256 internal constant OWNER = 1 << 255;
    uint256 private constant ALL = OWNER | uint256(0xffff) << 40;

    /// Who acts in a call.
    struct Actor {
        uint256 account; // never 0
        uint256 word; // the account's: owner 0-159, tier 160-163, deadman 176-215 (s)
        uint256 rights;
    }

    /// @notice The account a call is for and the rights `who` has over it; none at all is `NotAuthorized`.
    /// @param named 0: the first account of `who`
    /// @param who the sender, or the signer of a batch
    function resolve(uint256 named, address who) internal view returns (Actor memory a) {
        Store.Layout storage s = Store.words();
        uint256 account = named == 0 ? s.acctOf[who] : named;
        if (account == 0) revert IExchange.NotAuthorized();
        uint256 word = s.acct[account];
        a.account = account;
        a.word = word;
        a.rights = ALL;
        if (address(uint160(word)) == who || (account == Markets.FEE_COLLECTOR && who == s.owner)) return a;
        a.rights = s.agents[key(account, who)];
        if (block.timestamp >= a.rights & type(uint40).max) revert IExchange.NotAuthorized();
    }

    /// @notice As `resolve`, for what an owner alone may do.
    function owned(uint256 named, address who) internal view returns (uint256 account) {
        Actor memory a = resolve(named, who);
        if (a.rights & OWNER == 0) revert IExchange.NotAuthorized();
        return a.account;
    }

    /// @notice Whose signature an account needs; nobody's account is `NotAuthorized`.
    function ownerOf(uint256 account) internal view returns (address owner) {
        Store.Layout storage s = Store.words();
        owner = account == Markets.FEE_COLLECTOR ? s.owner : address(uint160(s.acct[account]));
        if (owner == address(0)) revert IExchange.NotAuthorized();
    }

    /// @notice Whether the rights hold all of `perm`, in this market. Comes before the order of an operation is looked up.
    /// @param perm one or more of the constants above
    /// @param market number of the market; 0 for what has none (withdraw, schedule, pre-cancel)
    function may(uint256 rights, uint256 perm, uint256 market) internal pure returns (bool) {
        if (rights >= OWNER) return true;
        if (rights & perm != perm) return false;
        uint256 markets = rights >> 152 & type(uint96).max;
        if (markets == 0 || market == 0) return true;
        uint256 m = type(uint32).max;
        return markets & m == market || markets >> 32 & m == market || markets >> 64 == market;
    }

    /// @notice Whether the rights allow to take back, reduce or claim orders of this market.
    function mayCancel(uint256 rights, uint256 market) internal pure returns (bool) {
        return may(rights, CANCEL, market);
    }

    /// @notice `NotAuthorized` unless the rights hold `perm`.
    function demand(uint256 rights, uint256 perm, uint256 market) internal pure {
        if (!may(rights, perm, market)) revert IExchange.NotAuthorized();
    }

    /// @notice The right an order needs: resting modes PLACE, all others TAKE, also modes that do not exist.
    /// @param tif bits 1-3 of the mode
    function permOf(uint256 tif) internal pure returns (uint256) {
        return tif == 1 || tif == 2 ? PLACE : TAKE;
    }

    /// @notice Whether the rights allow an order worth this much. PLACE: lots x unit of its limit tick, before anything is taken. TAKE: the quote it
    /// exchanged, without the fee.
    function within(uint256 rights, uint256 quoteAtoms) internal pure returns (bool) {
        uint256 most = rights >> 56 & type(uint96).max;
        return most == 0 || quoteAtoms <= most;
    }

    /// @notice `OverCap` unless the rights allow it.
    function cap(uint256 rights, uint256 quoteAtoms) internal pure {
        if (!within(rights, quoteAtoms)) revert IExchange.OverCap();
    }

    /// @notice Gives rights, replacing what the agent had.
    /// @param word as above; expiry 0 revokes and leaves no word
    function approve(uint256 account, address agent, uint256 word) internal {
        if (word & type(uint40).max == 0) word = 0;
        Store.words().agents[key(account, agent)] = word;
        emit IExchange.Agent(uint32(account), agent, word);
    }

    /// @return the word of rights that a call or a signed grant spells out
    function pack(uint256 expiry, uint256 perms, uint256 most, uint256 market0, uint256 market1, uint256 market2) internal pure returns (uint256) {
        return expiry | perms << 40 | most << 56 | market0 << 152 | market1 << 184 | market2 << 216;
    }

    /// @return sixteenths off the taker's fee, 0 .. 15
    function tier(uint256 word) internal pure returns (uint256) {
        return word >> 160 & 15;
    }

    function key(uint256 account, address agent) private pure returns (uint256) {
        return account << 160 | uint160(agent);
    }
}
