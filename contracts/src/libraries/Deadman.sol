// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../interfaces/IExchange.sol";
import {Agents} from "./Agents.sol";
import {Keys} from "./Keys.sol";
import {Markets} from "./Markets.sol";
import {Orders} from "./Orders.sol";
import {Rejects} from "./Rejects.sol";
import {Store} from "./Store.sol";

/// @title The dead-man switch, and whoever sends a dead man's orders home
/// @notice The switch lies in the account's word, which every operation of the account reads anyway. Matching never looks at it: a taker does not read makers.
library Deadman {
    uint256 private constant SHIFT = 176;
    uint256 private constant TIME = type(uint40).max;

    /// @notice SCHEDULE: from `second` on new orders fail and anyone may poke; 0 disarms.
    function schedule(Agents.Actor memory who, uint256 second) internal returns (uint256 refusal) {
        if (who.rights & Agents.CANCEL == 0) return Rejects.NOT_AUTHORIZED;
        if (second != 0 && second <= block.timestamp) return Rejects.EXPIRED;
        who.word = (who.word & ~(TIME << SHIFT)) | second << SHIFT; // the rest of the batch sees it
        Store.words().acct[who.account] = who.word;
        emit IExchange.Scheduled(uint32(who.account), uint40(second));
    }

    /// @notice Whether the switch of an account has fired.
    /// @param word of the account
    function fired(uint256 word) internal view returns (bool) {
        uint256 second = word >> SHIFT & TIME;
        return second != 0 && block.timestamp >= second;
    }

    /// @notice Takes live orders of an account back if its switch has fired (DEADMAN), else those in a halted market (HALTED); passes over all others.
    function poke(uint256 account, uint256[] calldata ids) internal {
        Store.Layout storage s = Store.words();
        bool dead = fired(s.acct[account]);
        for (uint256 i = 0; i < ids.length; ++i) {
            Orders.Resting memory r = Orders.find(ids[i]);
            if (Orders.foreign(r, account) != 0) continue;
            uint256 word = s.lvl[r.level];
            if (!Orders.live(r, word)) continue;
            if (!dead && Markets.status(s.cfg[Keys.marketOf(r.level)]) != Markets.HALTED) continue;
            r.why = dead ? Orders.DEADMAN : Orders.HALTED;
            Rejects.raise(Orders.drop(r, word));
        }
    }
}
