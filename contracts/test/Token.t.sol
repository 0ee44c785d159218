// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Token} from "../src/Token.sol";
import {Base} from "./Base.sol";

/// @notice The demo token: ERC-20, permit, and the slots a genesis file sets.
contract TokenTest is Base {
    function testTransfers() public {
        base.mint(address(this), 100);
        require(base.transfer(address(9), 30), "transfer");
        eq(base.balanceOf(address(9)), 30, "received");
        vm.expectRevert(Token.Insufficient.selector);
        base.transfer(address(9), 71);
        base.approve(address(8), 50);
        vm.prank(address(8));
        base.transferFrom(address(this), address(9), 20);
        eq(base.allowance(address(this), address(8)), 30, "allowance");
        vm.expectRevert(Token.Insufficient.selector);
        vm.prank(address(8));
        base.transferFrom(address(this), address(9), 31);
        base.approve(address(8), type(uint256).max);
        vm.prank(address(8));
        base.transferFrom(address(this), address(9), 50);
        eq(base.allowance(address(this), address(8)), type(uint256).max, "for ever");
        base.transfer(address(this), 0);
        eq(base.totalSupply(), 100, "supply");
    }

    function testPermit() public {
        uint256 key = 0xa11ce;
        bytes32 content = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                vm.addr(key),
                address(8),
                77,
                0,
                block.timestamp
            )
        );
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, keccak256(abi.encodePacked("\x19\x01", base.DOMAIN_SEPARATOR(), content)));
        address owner = vm.addr(key);
        uint256 deadline = block.timestamp;
        vm.expectRevert(Token.BadSignature.selector);
        base.permit(owner, address(8), 78, deadline, v, r, s);
        // The mirror image of a signature is refused.
        bytes32 mirror = bytes32(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141 - uint256(s));
        vm.expectRevert(Token.BadSignature.selector);
        base.permit(owner, address(8), 77, deadline, v == 27 ? 28 : 27, r, mirror);
        base.permit(owner, address(8), 77, deadline, v, r, s);
        eq(base.allowance(owner, address(8)), 77, "allowance");
        vm.expectRevert(Token.BadSignature.selector);
        base.permit(owner, address(8), 77, deadline, v, r, s);
        vm.warp(deadline + 1);
        vm.expectRevert(Token.Expired.selector);
        base.permit(owner, address(8), 77, deadline, v, r, s);
    }

    function testAsInAGenesisFile() public {
        Token token = Token(predeploy("Token", address(0xe9), 0x5553442070726574656e646564000000000000000000000000000000000000 << 8 | 26));
        vm.store(address(token), bytes32(uint256(1)), 0x5553444300000000000000000000000000000000000000000000000000000008);
        vm.store(address(token), bytes32(uint256(2)), bytes32(uint256(6)));
        require(keccak256(bytes(token.name())) == keccak256("USD pretended"), "name");
        require(keccak256(bytes(token.symbol())) == keccak256("USDC"), "symbol");
        eq(token.decimals(), 6, "decimals");
        eq(x.addToken(address(token)), 4, "listed");
    }
}
