// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../src/interfaces/IExchange.sol";
import {Vm} from "../test/Vm.sol";

/// @notice Puts the exchange, its lens and its conditional orders on any EVM chain with the rules of Cancun, byte for byte as committed in artifacts/.
/// The sender is the owner at first; HIFI_GUARDIAN, HIFI_FEE_MANAGER and HIFI_OWNER (last, so that the sender may still name the others) hand the roles over.
/// ```text
/// cd contracts
/// FOUNDRY_PROFILE=test node forge.cjs script script/Deploy.s.sol --rpc-url URL --broadcast --private-key KEY
/// ```
/// It prints the three addresses and changes nothing else: tokens and markets are listed by whoever wants them.
contract Deploy {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    error NotDeployed(string name);

    function run() external returns (address exchange, address lens, address conditional) {
        vm.startBroadcast();
        exchange = put("Exchange", "");
        lens = put("Lens", abi.encode(exchange));
        conditional = put("Conditional", abi.encode(exchange));
        hand(exchange, 1, vm.envOr("HIFI_GUARDIAN", address(0)));
        hand(exchange, 2, vm.envOr("HIFI_FEE_MANAGER", address(0)));
        hand(exchange, 0, vm.envOr("HIFI_OWNER", address(0)));
        vm.stopBroadcast();
    }

    /// @dev Creates the committed contract and compares the code that lies there now.
    function put(string memory name, bytes memory arguments) private returns (address where) {
        string memory artifact = vm.readFile(string.concat("artifacts/", name, ".json"));
        bytes memory code = bytes.concat(vm.parseJsonBytes(artifact, ".bytecode"), arguments);
        assembly ("memory-safe") {
            where := create(0, add(code, 32), mload(code))
        }
        if (where.codehash != keccak256(vm.parseJsonBytes(artifact, ".deployedBytecode"))) revert NotDeployed(name);
    }

    function hand(address exchange, uint8 role, address who) private {
        if (who != address(0)) IExchange(exchange).setRole(role, who);
    }
}
