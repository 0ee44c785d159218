// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "./interfaces/IExchange.sol";
import {Agents} from "./libraries/Agents.sol";
import {Fees} from "./libraries/Fees.sol";
import {Keys} from "./libraries/Keys.sol";
import {Ledger} from "./libraries/Ledger.sol";
import {Markets} from "./libraries/Markets.sol";
import {Matching} from "./libraries/Matching.sol";
import {Orders} from "./libraries/Orders.sol";
import {SafeTransfer} from "./libraries/SafeTransfer.sol";
import {Store} from "./libraries/Store.sol";

/// @title The entry points of the exchange
/// @notice Each checks who calls and what, in the order of the design, then hands over to one library. No proxy, no immutables: a genesis file may carry the
/// runtime code and set `owner`. Tokens move only in deposit and withdraw; trading calls no other contract.
contract Exchange is IExchange {
    uint256 private constant FIRST_ACCOUNT = 256;
    uint256 private constant ACCOUNTS = (1 << 31) - 256;
    uint256 private constant SALTS = 4;
    uint256 private constant VAULT_MAX = type(uint112).max;
    uint256 private constant STEPS = 256;

    constructor() {
        Store.words().owner = msg.sender;
    }

    /// @dev One lock for all mutators, in transient storage; it is the only thing every call shares, and it ends with the transaction.
    modifier lock() {
        assembly ("memory-safe") {
            if tload(0) {
                mstore(0, 0xb5dfd9e5) // Reentered()
                revert(28, 4)
            }
            tstore(0, 1)
        }
        _;
        assembly ("memory-safe") {
            tstore(0, 0)
        }
    }

    // ------------------------------------------------------------------------------------------------------------------------------------- trading

    /// @inheritdoc IExchange
    function place(uint32 account, uint32 market, uint8 mode, uint24 tick, uint48 lots, uint32 expiry, uint64 cloid, uint16 maxSteps)
        external
        lock
        returns (uint256 id, uint48 filled)
    {
        Matching.Order memory o;
        o.market = market;
        o.cfg = Store.words().cfg[market];
        if (o.cfg == 0) revert NoMarket();
        Agents.Actor memory who = Agents.resolve(account, msg.sender);
        uint256 tif = mode >> 1; // stp and TRACK lie above it and are not offered yet
        Agents.demand(who.rights, Agents.permOf(tif & 7), market);
        Agents.cap(who.rights, lots * Fees.unit(o.cfg, tick));
        o.account = who.account;
        o.tier = Agents.tier(who.word);
        if (tif > Matching.FOK || tif == 2 || expiry != 0) revert BadMode();
        uint256 status = Markets.status(o.cfg);
        if (status > (tif == Matching.POST_ONLY ? Markets.POST_ONLY : Markets.LIVE)) revert NotLive(uint8(status));
        if (tick == 0) revert BadTick();
        if (lots < Markets.minLots(o.cfg) || lots > Orders.LOTS_MAX) revert BadLots();
        o.mode = mode;
        o.side = mode & 1;
        o.tick = tick;
        o.lots = lots;
        o.cloid = cloid;
        o.steps = maxSteps == 0 ? STEPS : maxSteps;
        uint256 taken;
        (id, taken) = Matching.place(o);
        filled = uint48(taken);
    }

    /// @inheritdoc IExchange
    function cancel(uint32 account, uint256 orderId) external lock returns (uint48, uint48) {
        (uint256 back, uint256 filled) = Orders.cancel(Orders.own(orderId, canceller(account, orderId)));
        return (uint48(back), uint48(filled));
    }

    /// @inheritdoc IExchange
    function reduce(uint32 account, uint256 orderId, uint48 left) external lock returns (uint48) {
        return uint48(Orders.reduce(Orders.own(orderId, canceller(account, orderId)), left));
    }

    /// @inheritdoc IExchange
    function claim(uint256[] calldata orderIds) external lock {
        claimAll(orderIds);
    }

    // --------------------------------------------------------------------------------------------------------------------------- accounts and money

    /// @inheritdoc IExchange
    function register(uint32 salt) external lock returns (uint32) {
        (uint256 account, bool free) = numberFor(salt);
        if (!free) revert AccountTaken();
        open(account);
        return uint32(account);
    }

    /// @inheritdoc IExchange
    function deposit(uint32 account, address token, uint256 atoms, uint256[] calldata settle) external payable lock returns (uint32) {
        uint256 to = account == 0 ? firstOrNew() : account;
        if (Store.words().acct[to] == 0) revert UnknownAccount();
        uint256 number = Markets.numberOf(token);
        claimAll(settle);
        uint256 credit = receive_(token, atoms);
        mapping(uint256 => uint256) storage bal = Store.words().bal;
        uint256 page = Keys.bal(to, number);
        bal[page] = Ledger.credit(bal[page], credit);
        emit Deposit(uint32(to), uint24(number), credit);
        return uint32(to);
    }

    /// @inheritdoc IExchange
    function withdraw(uint32 account, address token, uint256 atoms, address to, uint256[] calldata settle) external lock returns (uint256) {
        Agents.Actor memory who = Agents.resolve(account, msg.sender);
        Agents.demand(who.rights, Agents.WITHDRAW, 0);
        if (to == address(0)) revert NotAuthorized();
        // An agent brings money home and nowhere else.
        if (who.rights & Agents.OWNER == 0 && to != address(uint160(who.word))) revert NotAuthorized();
        uint256 from = who.account;
        uint256 number = Markets.numberOf(token);
        claimAll(settle);
        mapping(uint256 => uint256) storage bal = Store.words().bal;
        uint256 page = Keys.bal(from, number);
        uint256 word = bal[page];
        if (atoms == type(uint256).max) atoms = Ledger.free(word);
        bal[page] = Ledger.debit(word, atoms);
        emit Withdraw(uint32(from), uint24(number), atoms, to);
        SafeTransfer.send(token, to, atoms);
        return atoms;
    }

    // ------------------------------------------------------------------------------------------------------------------------------------- markets

    /// @inheritdoc IExchange
    function addToken(address token) external lock returns (uint24) {
        return uint24(Markets.addToken(token));
    }

    /// @inheritdoc IExchange
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
    ) external lock returns (uint32) {
        uint256 cfg = uint256(quotePerLotTick) << 48 | uint256(basePerLot) << 112 | uint256(minLots) << 176 | uint256(takerFee) << 200;
        cfg |= uint256(uint16(makerFee)) << 216 | uint256(minTtl) << 232 | uint256(status) << 240;
        return uint32(Markets.create(base, quote, cfg));
    }

    /// @inheritdoc IExchange
    function setStatus(uint32 market, uint8 status) external lock {
        Markets.setStatus(market, status);
    }

    // ---------------------------------------------------------------------------------------------------------------------------------------- agents

    /// @inheritdoc IExchange
    function approveAgent(uint32 account, address agent, uint40 expiry, uint16 perms, uint96 cap, uint32[3] calldata markets) external lock {
        uint256 word = Agents.pack(expiry, perms, cap, markets[0], markets[1], markets[2]);
        Agents.approve(Agents.owned(account, msg.sender), agent, word);
    }

    // --------------------------------------------------------------------------------------------------------------------------------------- views

    /// @inheritdoc IExchange
    function load(bytes32[] calldata slots) external view returns (bytes32[] memory words) {
        words = new bytes32[](slots.length);
        for (uint256 i = 0; i < slots.length; ++i) {
            bytes32 slot = slots[i];
            bytes32 word;
            assembly ("memory-safe") {
                word := sload(slot)
            }
            words[i] = word;
        }
    }

    // TEMPORARY on branch m2: every stub below is replaced before this branch goes to main.

    function execute(uint32, bytes calldata) external pure returns (bytes memory) { revert BadMode(); }
    function executeSigned(Batch calldata, address, bytes calldata) external pure returns (bytes memory) { revert BadMode(); }
    function swapExactIn(address, uint256, uint32[] calldata, uint256, address, uint40, uint16) external payable returns (uint256) { revert BadMode(); }
    function depositPermit(uint32, address, uint256, uint256, uint8, bytes32, bytes32) external pure returns (uint32) { revert BadMode(); }
    function approveAgentSigned(AgentGrant calldata, bytes calldata) external pure { revert BadMode(); }
    function cancelNonces(uint32, uint64, uint256) external pure { revert BadMode(); }
    function poke(uint32, uint256[] calldata) external pure { revert BadMode(); }
    function prune(uint64, uint16) external pure { revert BadMode(); }
    function sweepFees(uint24, uint32[] calldata) external pure { revert BadMode(); }
    function setTier(uint32, uint8) external pure { revert BadMode(); }
    function setRole(uint8, address) external pure { revert BadMode(); }

    // -------------------------------------------------------------------------------------------------------------------------------------- inside

    /// @dev The account of an operation on an id, if the sender may take its orders back there.
    function canceller(uint256 named, uint256 orderId) private view returns (uint256) {
        Agents.Actor memory who = Agents.resolve(named, msg.sender);
        Agents.demand(who.rights, Agents.CANCEL, Keys.marketOf(Keys.levelOf(orderId)));
        return who.account;
    }

    /// @dev The sender's first account, registered now with the first free of the salts if there is none.
    function firstOrNew() private returns (uint256 account) {
        account = Store.words().acctOf[msg.sender];
        if (account != 0) return account;
        for (uint256 salt = 0; salt < SALTS; ++salt) {
            bool free;
            (account, free) = numberFor(salt);
            if (free) {
                open(account);
                return account;
            }
        }
        revert AccountTaken();
    }

    function numberFor(uint256 salt) private view returns (uint256 account, bool free) {
        account = FIRST_ACCOUNT + uint256(keccak256(abi.encode(msg.sender, salt))) % ACCOUNTS;
        free = Store.words().acct[account] == 0;
    }

    function open(uint256 account) private {
        Store.Layout storage s = Store.words();
        s.acct[account] = uint160(msg.sender);
        if (s.acctOf[msg.sender] == 0) s.acctOf[msg.sender] = account;
        emit AccountCreated(uint32(account), msg.sender);
    }

    function claimAll(uint256[] calldata orderIds) private {
        for (uint256 i = 0; i < orderIds.length; ++i) {
            Orders.claim(orderIds[i]);
        }
    }

    /// @dev Pulls from the sender alone, so no approval of others can be spent.
    /// @return credit what the vault really grew by; 0 or a vault beyond its bound is refused
    function receive_(address token, uint256 atoms) private returns (uint256 credit) {
        uint256 held;
        if (token == address(0)) {
            if (msg.value != atoms) revert BadAmount();
            credit = atoms;
            held = address(this).balance;
        } else {
            if (msg.value != 0) revert BadAmount();
            uint256 before = SafeTransfer.held(token);
            SafeTransfer.pull(token, msg.sender, atoms);
            held = SafeTransfer.held(token);
            if (held <= before) revert BadAmount();
            unchecked {
                credit = held - before;
            }
        }
        if (credit == 0 || held > VAULT_MAX) revert BadAmount();
    }
}
