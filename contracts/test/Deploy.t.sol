// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Deploy} from "../script/Deploy.s.sol";
import {IExchange} from "../src/interfaces/IExchange.sol";
import {ILens} from "../src/interfaces/ILens.sol";
import {Token} from "../src/Token.sol";
import {Base} from "./Base.sol";

/// @notice The script puts up an exchange that works: constructors run here, where other tests place runtime code as a genesis file does.
contract DeployTest is Base {
    function testDeploy() public {
        (address exchange, address lens_, address conditional) = new Deploy().run();
        eq(uint256(vm.load(lens_, 0)), uint160(exchange), "the lens reads it");
        eq(uint256(vm.load(conditional, 0)), uint160(exchange), "conditional orders go there");
        address owner = address(uint160(uint256(vm.load(exchange, 0))));
        require(owner != address(0), "somebody owns it");
        eq(uint256(vm.load(exchange, bytes32(uint256(3)))), 0, "no tokens, no markets");
        x = IExchange(exchange);
        vm.prank(owner);
        x.setRole(1, address(0x6));
        Token fresh = new Token("Fresh", "FRESH", 8);
        eq(x.createMarket(address(0), address(fresh), 1, 1, 1, 0, 0, 0, 1), 1, "market 1");
        (uint24 bid_, uint24 ask_) = ILens(lens_).best(1);
        eq(bid_ | ask_, 0, "empty");
    }
}
