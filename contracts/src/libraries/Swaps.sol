// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../interfaces/IExchange.sol";
import {Agents} from "./Agents.sol";
import {Keys} from "./Keys.sol";
import {Ledger} from "./Ledger.sol";
import {Markets} from "./Markets.sol";
import {Matching} from "./Matching.sol";
import {Kind, Modes, Order} from "./Order.sol";
import {Orders} from "./Orders.sol";
import {Rejects} from "./Rejects.sol";
import {SafeTransfer} from "./SafeTransfer.sol";
import {Store} from "./Store.sol";

/// @title Swaps: tokens through several markets, without an account
/// @notice Called by `swapExactIn` with tokens that have come in. Each hop is a TAKE at any price by the account 2^31 + market, which nobody owns, at tier 0 and
/// without self-trade prevention; its free balances are 0 before and after, what stays in it is the fee due. What a hop does not spend (less than a lot, a book
/// that ends, steps used up) goes back to the sender. All words are written before a token is called, and the lock is held.
library Swaps {
    uint256 private constant ACCOUNT = 1 << 31;
    uint256 private constant TICK_MAX = type(uint24).max;

    /// @notice Sells atoms of a token along the markets. No such market: `NoMarket`; not LIVE: `NotLive`; without the token in hand: `BadMarket`.
    /// @param token number of what is sold
    /// @return out atoms of the last token, net of all fees; no balance holds them any more
    /// @return last its number
    function run(uint256 token, uint256 atoms, uint32[] calldata markets, uint256 steps) internal returns (uint256 out, uint256 last) {
        Store.Layout storage s = Store.words();
        Order memory o;
        o.rights = Agents.OWNER;
        o.kind = Kind.TAKE;
        o.lots = Orders.LOTS_MAX;
        o.steps = steps;
        for (uint256 i = 0; i < markets.length; ++i) {
            o.market = markets[i];
            o.cfg = s.cfg[o.market];
            if (o.cfg == 0) revert IExchange.NoMarket();
            last = Markets.base(o.cfg);
            o.side = Keys.ASK;
            o.tick = 0;
            if (token == last) {
                last = Markets.quote(o.cfg);
            } else {
                if (token != Markets.quote(o.cfg)) revert IExchange.BadMarket();
                o.side = Keys.BID;
                o.tick = TICK_MAX;
            }
            o.mode = Modes.IOC << 1 | o.side;
            o.account = ACCOUNT | o.market;
            o.maxIn = atoms;
            uint256 page = Keys.bal(o.account, token);
            s.bal[page] = Ledger.credit(s.bal[page], atoms);
            Rejects.raise(Matching.place(o));
            atoms = drain(o.account, token);
            out = drain(o.account, last);
            if (atoms != 0) SafeTransfer.send(address(uint160(s.tokens[token])), msg.sender, atoms);
            (token, atoms) = (last, out);
        }
    }

    /// @dev All that is free, taken out.
    function drain(uint256 account, uint256 token) private returns (uint256 atoms) {
        mapping(uint256 => uint256) storage bal = Store.words().bal;
        uint256 page = Keys.bal(account, token);
        uint256 word = bal[page];
        atoms = Ledger.free(word);
        if (atoms != 0) bal[page] = word - atoms;
    }
}
