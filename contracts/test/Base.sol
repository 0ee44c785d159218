// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../src/interfaces/IExchange.sol";
import {ILens} from "../src/interfaces/ILens.sol";
import {Token} from "../src/Token.sol";
import {Vm} from "./Vm.sol";

/// @notice What every test starts from: the exchange, two tokens, market 1 of the worked example, funded traders. It also says how to read a word.
abstract contract Base {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    uint8 internal constant BID = 0;
    uint8 internal constant ASK = 1;
    uint8 internal constant GTC = 0;
    uint8 internal constant POST_ONLY = 1 << 1;
    uint8 internal constant IOC = 3 << 1;
    uint8 internal constant FOK = 4 << 1;

    uint64 internal constant QUOTE_PER_LOT_TICK = 10;
    uint64 internal constant BASE_PER_LOT = 1000;
    uint256 internal constant FUNDS = 1e24;

    IExchange internal x;
    ILens internal lens;
    Token internal base; // token 2
    Token internal quote; // token 3
    uint32 internal market; // 1
    uint256 internal lastGas; // of the last order, as a whole transaction

    /// What a level word says.
    struct Level {
        uint256 tail;
        uint256 head;
        uint256 headFilled;
        uint256 open;
        uint256 minExpiry;
    }

    function setUp() public virtual {
        x = IExchange(predeploy("Exchange", address(0xe1), uint160(address(this))));
        lens = ILens(predeploy("Lens", address(0xe2), uint160(address(x))));
        base = new Token("Base", "BASE", 18);
        quote = new Token("Quote", "QUOTE", 6);
        market = createMarket(1, 500, 0);
    }

    /// @dev Puts the committed runtime code there as a genesis file does: no constructor runs, slot 0 is set. So every test also proves the artifacts.
    function predeploy(string memory name, address where, uint256 slot0) internal returns (address) {
        vm.etch(where, vm.parseJsonBytes(vm.readFile(string.concat("artifacts/", name, ".json")), ".deployedBytecode"));
        vm.store(where, 0, bytes32(slot0));
        return where;
    }

    function createMarket(uint24 minLots, uint16 takerFee, int16 makerFee) internal returns (uint32) {
        return x.createMarket(address(base), address(quote), QUOTE_PER_LOT_TICK, BASE_PER_LOT, minLots, takerFee, makerFee, 0, 1);
    }

    // ------------------------------------------------------------------------------------------------------------------------------------ traders

    /// @notice Owner of an account enrolled here; fixed, so that tests can name accounts by number.
    function ownerOf(uint32 account) internal pure returns (address) {
        return address(uint160(0x10000) + account);
    }

    /// @notice Registers an account under a number of the test's choice, as if its owner had found the salt, and funds it.
    function enrol(uint32 account) internal returns (uint32) {
        set(7, account, uint160(ownerOf(account)));
        set(6, uint160(ownerOf(account)), account);
        fund(account, base, FUNDS);
        fund(account, quote, FUNDS);
        return account;
    }

    function fund(uint32 account, Token token, uint256 atoms) internal {
        address owner = ownerOf(account);
        token.mint(owner, atoms);
        vm.prank(owner);
        token.approve(address(x), atoms);
        vm.prank(owner);
        x.deposit(account, address(token), atoms, none());
    }

    function place(uint32 account, uint8 mode, uint24 tick, uint48 lots) internal returns (uint256 id, uint48 filled) {
        return place(account, market, mode, tick, lots, 0);
    }

    function place(uint32 account, uint32 market_, uint8 mode, uint24 tick, uint48 lots, uint16 steps) internal returns (uint256 id, uint48 filled) {
        vm.prank(ownerOf(account));
        (id, filled) = x.place(account, market_, mode, tick, lots, 0, 0, steps);
        lastGas = spent();
    }

    function ask(uint32 account, uint24 tick, uint48 lots) internal returns (uint256 id) {
        (id,) = place(account, ASK | POST_ONLY, tick, lots);
    }

    function bid(uint32 account, uint24 tick, uint48 lots) internal returns (uint256 id) {
        (id,) = place(account, BID | POST_ONLY, tick, lots);
    }

    function buy(uint32 account, uint24 tick, uint48 lots) internal returns (uint48 filled) {
        (, filled) = place(account, BID | IOC, tick, lots);
    }

    function sell(uint32 account, uint24 tick, uint48 lots) internal returns (uint48 filled) {
        (, filled) = place(account, ASK | IOC, tick, lots);
    }

    function cancel(uint32 account, uint256 id) internal returns (uint48 back, uint48 filled) {
        vm.prank(ownerOf(account));
        (back, filled) = x.cancel(account, id);
        lastGas = spent();
    }

    function reduce(uint32 account, uint256 id, uint48 left) internal returns (uint48 back) {
        vm.prank(ownerOf(account));
        back = x.reduce(account, id, left);
    }

    function claim(uint256 id) internal {
        x.claim(one(id));
        lastGas = spent();
    }

    /// @notice The next order must be refused with exactly this error.
    function refuse(bytes memory reason, uint32 account, uint8 mode, uint24 tick, uint48 lots) internal {
        refuse(reason, account, market, mode, tick, lots, 0, 0);
    }

    function refuse(bytes memory reason, uint32 account, uint32 market_, uint8 mode, uint24 tick, uint48 lots, uint32 expiry, uint16 steps) internal {
        vm.expectRevert(reason);
        vm.prank(ownerOf(account));
        x.place(account, market_, mode, tick, lots, expiry, 0, steps);
    }

    function halt(uint8 status) internal {
        x.setStatus(market, status);
    }

    /// @dev The last call's cost as a transaction: tests run isolated, so it includes 21,000, calldata and cold slots; refunds are taken off.
    function spent() internal view returns (uint256) {
        Vm.Gas memory gas_ = vm.lastCallGas();
        return gas_.gasTotalUsed;
    }

    // -------------------------------------------------------------------------------------------------------------------------------------- words

    function slot(uint256 root, uint256 key) internal pure returns (bytes32) {
        return keccak256(abi.encode(key, root));
    }

    function get(uint256 root, uint256 key) internal view returns (uint256) {
        return uint256(vm.load(address(x), slot(root, key)));
    }

    function set(uint256 root, uint256 key, uint256 word) internal {
        vm.store(address(x), slot(root, key), bytes32(word));
    }

    function levelId(uint32 market_, uint8 side, uint24 tick) internal pure returns (uint256) {
        return uint256(market_) << 32 | uint256(side & 1) << 24 | tick;
    }

    function level(uint8 side, uint24 tick) internal view returns (Level memory) {
        return levelOf(get(11, levelId(market, side, tick)));
    }

    function levelOf(uint256 word) internal pure returns (Level memory l) {
        l.tail = word >> 216;
        l.head = word >> 176 & type(uint40).max;
        l.headFilled = word >> 128 & type(uint48).max;
        l.open = word >> 64 & type(uint64).max;
        l.minExpiry = word >> 32 & type(uint32).max;
        eq(word & type(uint32).max, 0, "low bits of a level are 0");
    }

    function isLevel(uint8 side, uint24 tick, uint256 tail, uint256 head, uint256 headFilled, uint256 open) internal view {
        Level memory l = level(side, tick);
        eq(l.tail, tail, "tail");
        eq(l.head, head, "head");
        eq(l.headFilled, headFilled, "headFilled");
        eq(l.open, open, "open");
        eq(l.minExpiry, 0, "minExpiry");
    }

    function record(uint256 id) internal view returns (uint256) {
        return get(12, id >> 40 << 40 | (id & type(uint40).max) >> 1) >> ((id & 1) * 128) & type(uint128).max;
    }

    function err(bytes4 selector) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(selector);
    }

    function free(uint32 account, uint24 token) internal view returns (uint256) {
        return get(8, uint256(account) << 24 | token) & type(uint128).max;
    }

    function feeDue(uint32 account, uint24 token) internal view returns (uint256) {
        return get(8, uint256(account) << 24 | token) >> 128 & type(uint112).max;
    }

    function leafBit(uint32 market_, uint8 side, uint24 tick) internal view returns (bool) {
        return get(10, uint256(market_) << 40 | uint256(side) << 36 | 2 << 32 | tick >> 8) >> (tick & 255) & 1 == 1;
    }

    // --------------------------------------------------------------------------------------------------------------------------------------- logs

    /// @dev One log, checked word by word: topic 0, its other topics, its data.
    function isLog(Vm.Log memory log, bytes32 topic, bytes memory topics, bytes memory data) internal view {
        require(log.emitter == address(x) && log.topics[0] == topic, "which event");
        bytes memory found;
        for (uint256 i = 1; i < log.topics.length; ++i) {
            found = abi.encodePacked(found, log.topics[i]);
        }
        require(keccak256(found) == keccak256(topics), "indexed fields");
        require(keccak256(log.data) == keccak256(data), "data");
    }

    // ------------------------------------------------------------------------------------------------------------------------------------- little

    function none() internal pure returns (uint256[] memory) {
        return new uint256[](0);
    }

    function one(uint256 id) internal pure returns (uint256[] memory ids) {
        ids = new uint256[](1);
        ids[0] = id;
    }

    function eq(uint256 a, uint256 b, string memory what) internal pure {
        if (a != b) revert(string.concat(what, ": ", vm.toString(a), " is not ", vm.toString(b)));
    }
}
