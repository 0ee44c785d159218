// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Agents} from "./Agents.sol";
import {Bitmap} from "./Bitmap.sol";
import {Keys} from "./Keys.sol";
import {Levels} from "./Levels.sol";
import {Matching} from "./Matching.sol";
import {Order} from "./Order.sol";
import {Orders} from "./Orders.sol";
import {Rejects} from "./Rejects.sol";
import {Store} from "./Store.sol";

/// @title CANCEL_UP_TO: all own orders of a side, from the touch to a tick
/// @notice Called by Ops. A record read is a step, whoever owns it; levels without own orders stay unwritten. Out of steps it ends, and says what it did.
library Upto {
    /// @param o account, market, side, tick, steps
    /// @return refusal 0, or why nothing happened; `o.result`: orders 0-15, lots 16-79
    function cancel(Order memory o) internal returns (uint256 refusal) {
        if (Store.words().cfg[o.market] == 0) return Rejects.NO_MARKET;
        if (!Agents.mayCancel(o.rights, o.market)) return Rejects.NOT_AUTHORIZED;
        if (o.isolate != 0) return Matching.isolated(o); // a payment may fail after others were made
        o.result = 0;
        uint256 half = Bitmap.half(o.market, o.side);
        uint256 tick = Bitmap.best(half, o.side);
        while (tick != 0 && o.steps != 0 && (o.side == Keys.ASK ? tick <= o.tick : tick >= o.tick)) {
            uint256 next = Bitmap.following(half, o.side, tick);
            level(o, Keys.level(o.market << 32, o.side, tick));
            tick = next;
        }
    }

    /// @dev Reads a level from its head until nothing is open or the steps are used up. Two records lie in a word, and a word read twice costs little.
    function level(Order memory o, uint256 level_) private {
        uint256 word = Store.words().lvl[level_];
        unchecked {
            uint256 tail = Levels.tail(word);
            for (uint256 index = Levels.head(word); index < tail && Levels.open(word) != 0 && o.steps != 0; ++index) {
                --o.steps;
                Orders.Resting memory r = Orders.find(level_ << 40 | index);
                if (Orders.foreign(r, o.account) != 0) continue;
                r.why = Orders.CANCEL;
                Rejects.raise(Orders.drop(r, word));
                o.result += 1 + (r.back << 16);
                word = Store.words().lvl[level_];
            }
        }
    }
}
