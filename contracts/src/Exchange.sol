// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "./interfaces/IExchange.sol";
import {Agents} from "./libraries/Agents.sol";
import {Deadman} from "./libraries/Deadman.sol";
import {Keys} from "./libraries/Keys.sol";
import {Ledger} from "./libraries/Ledger.sol";
import {Markets} from "./libraries/Markets.sol";
import {Matching} from "./libraries/Matching.sol";
import {Ops} from "./libraries/Ops.sol";
import {Kind, Order} from "./libraries/Order.sol";
import {Orders} from "./libraries/Orders.sol";
import {Rejects} from "./libraries/Rejects.sol";
import {SafeTransfer} from "./libraries/SafeTransfer.sol";
import {Signatures} from "./libraries/Signatures.sol";
import {Store} from "./libraries/Store.sol";
import {Swaps} from "./libraries/Swaps.sol";
import {Taking} from "./libraries/Taking.sol";

/// @title The entry points of the exchange
/// @notice Each checks who calls and what, in the order of the design, then hands over to one library. No proxy, no immutables: a genesis file may carry the
/// runtime code and set `owner`. Tokens move only in deposits, withdrawals and swaps; trading calls no other contract.
contract Exchange is IExchange {
    uint256 private constant FIRST_ACCOUNT = 256;
    uint256 private constant ACCOUNTS = (1 << 31) - 256;
    uint256 private constant SALTS = 4;
    uint256 private constant VAULT_MAX = type(uint112).max;
    uint256 private constant HOPS = 4;

    /// @dev The deployer has the owner role until it hands it over; a genesis file sets slot 0 instead.
    constructor() {
        Store.words().owner = msg.sender;
    }

    /// @dev One lock for all mutators, in transient storage; it is the only thing every call shares, and it ends with the transaction.
    modifier lock() {
        close();
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
        uint256 cfg = Store.words().cfg[market];
        if (cfg == 0) revert NoMarket();
        Agents.Actor memory who = Agents.resolve(account, msg.sender);
        Order memory o = Order({
            account: who.account,
            acct: who.word,
            rights: who.rights,
            kind: Kind.PLACE,
            market: market,
            cfg: cfg,
            mode: mode,
            side: mode & 1,
            tick: tick,
            lots: lots,
            expiry: expiry,
            cloid: cloid,
            steps: Ops.stepsOf(maxSteps),
            maxIn: Taking.UNBOUND,
            minOut: 0,
            replaced: 0,
            isolate: 0,
            result: 0
        });
        Rejects.raise(Matching.place(o));
        id = o.result & type(uint104).max;
        filled = uint48(o.result >> 104);
    }

    /// @inheritdoc IExchange
    function cancel(uint32 account, uint256 orderId) external lock returns (uint48, uint48) {
        Orders.Resting memory resting = Orders.find(orderId);
        authorize(account, resting);
        Rejects.raise(Orders.cancel(resting));
        return (uint48(resting.back), uint48(resting.filled));
    }

    /// @inheritdoc IExchange
    function reduce(uint32 account, uint256 orderId, uint48 left) external lock returns (uint48) {
        Orders.Resting memory resting = Orders.find(orderId);
        authorize(account, resting);
        Rejects.raise(Orders.reduce(resting, left));
        return uint48(resting.back);
    }

    /// @inheritdoc IExchange
    function claim(uint256[] calldata orderIds) external lock {
        claimAll(orderIds);
    }

    /// @inheritdoc IExchange
    function execute(uint32 account, bytes calldata ops) external lock returns (bytes memory) {
        uint256 words = Ops.count(ops);
        return Ops.run(Agents.resolve(account, msg.sender), ops, words);
    }

    /// @inheritdoc IExchange
    /// @dev Checked in this order: deadline, relayer, form of the batch, the signer's rights, nonce, signature.
    function executeSigned(Batch calldata b, address signer, bytes calldata sig) external lock returns (bytes memory) {
        if (block.timestamp > b.deadline) revert Expired();
        if (b.relayer != address(0) && b.relayer != msg.sender) revert NotAuthorized();
        uint256 words = Ops.count(b.ops);
        Agents.Actor memory who = Agents.resolve(b.account, signer);
        Signatures.batch(b, who.account, signer, sig);
        return Ops.run(who, b.ops, words);
    }

    /// @inheritdoc IExchange
    /// @dev Checked in this order: deadline, receiver, number of markets, token, what came in; then each hop.
    function swapExactIn(address tokenIn, uint256 atoms, uint32[] calldata markets, uint256 minOut, address to, uint40 deadline, uint16 maxSteps)
        external
        payable
        lock
        returns (uint256 out)
    {
        if (block.timestamp > deadline) revert Expired();
        if (to == address(0)) revert NotAuthorized();
        if (markets.length == 0 || markets.length > HOPS) revert BadMarket();
        uint256 first = Markets.numberOf(tokenIn);
        atoms = receive_(tokenIn, atoms);
        uint256 last;
        (out, last) = Swaps.run(first, atoms, markets, Ops.stepsOf(maxSteps));
        if (out < minOut) revert Slippage(out);
        emit Swapped(msg.sender, to, uint24(first), uint24(last), atoms, out);
        if (out != 0) SafeTransfer.send(address(uint160(Store.words().tokens[last])), to, out);
    }

    /// @notice Not for others: an operation of a batch that goes on after failures, in a call of its own, so that a failure leaves no trace. Carries the
    /// words of an `Order` and gives its result word. The lock is held meanwhile.
    fallback() external {
        // The length as well: no call to a token, a signer or a receiver looks like this.
        if (msg.sender != address(this) || msg.data.length != Matching.ORDER_BYTES) revert NotAuthorized();
        Order memory o;
        assembly ("memory-safe") {
            calldatacopy(o, 0, calldatasize())
        }
        Ops.inside(o);
        uint256 result = o.result;
        assembly ("memory-safe") {
            mstore(0, result)
            return(0, 32)
        }
    }

    // ------------------------------------------------------------------------------------------------------------------------------- keeping house

    /// @inheritdoc IExchange
    function poke(uint32 account, uint256[] calldata orderIds) external lock {
        Deadman.poke(account == 0 ? Store.words().acctOf[msg.sender] : account, orderIds);
    }

    /// @inheritdoc IExchange
    function prune(uint64 level, uint16 maxSteps) external lock {
        Taking.prune(level, Ops.stepsOf(maxSteps));
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
        (uint256 to, uint256 number) = credited(account, token);
        claimAll(settle);
        credit(to, token, number, atoms);
        return uint32(to);
    }

    /// @inheritdoc IExchange
    function depositPermit(uint32 account, address token, uint256 atoms, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external lock returns (uint32) {
        (uint256 to, uint256 number) = credited(account, token);
        if (token == address(0)) revert BadAmount(); // the native coin has no permits
        SafeTransfer.permit(token, msg.sender, atoms, deadline, v, r, s);
        credit(to, token, number, atoms);
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

    /// @inheritdoc IExchange
    /// @dev Checked in this order: deadline, the account's owner (the grant names the account, so 0 is nobody's), nonce, signature.
    function approveAgentSigned(AgentGrant calldata g, bytes calldata sig) external lock {
        if (block.timestamp > g.deadline) revert Expired();
        address owner = Agents.ownerOf(g.account);
        Signatures.grant(g, g.account, owner, sig);
        Agents.approve(g.account, g.agent, Agents.pack(g.expiry, g.perms, g.cap, g.market0, g.market1, g.market2));
    }

    /// @inheritdoc IExchange
    function cancelNonces(uint32 account, uint64 word, uint256 mask) external lock {
        Signatures.cancel(Agents.owned(account, msg.sender), word, mask);
    }

    // ------------------------------------------------------------------------------------------------------------------------------- roles and fees

    /// @inheritdoc IExchange
    function setRole(uint8 role, address who) external lock {
        Markets.setRole(role, who);
    }

    /// @inheritdoc IExchange
    function setTier(uint32 account, uint8 tier) external lock {
        Markets.setTier(account, tier);
    }

    /// @inheritdoc IExchange
    function sweepFees(uint24 token, uint32[] calldata accounts) external lock {
        Markets.sweepFees(token, accounts);
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

    // -------------------------------------------------------------------------------------------------------------------------------------- inside

    function close() private {
        assembly ("memory-safe") {
            if tload(0) {
                mstore(0, 0xb5dfd9e5) // Reentered()
                revert(28, 4)
            }
            tstore(0, 1)
        }
    }

    /// @dev The sender must be the order's owner, or an agent that may cancel it.
    function authorize(uint256 named, Orders.Resting memory resting) private view {
        Rejects.raise(Ops.denied(Agents.resolve(named, msg.sender), resting));
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
            Rejects.raise(Orders.claim(Orders.find(orderIds[i])));
        }
    }

    /// @dev Who is credited by a deposit of which token.
    function credited(uint256 account, address token) private returns (uint256 to, uint256 number) {
        to = account == 0 ? firstOrNew() : account;
        if (Store.words().acct[to] == 0) revert UnknownAccount();
        number = Markets.numberOf(token);
    }

    function credit(uint256 to, address token, uint256 number, uint256 atoms) private {
        atoms = receive_(token, atoms);
        mapping(uint256 => uint256) storage bal = Store.words().bal;
        uint256 page = Keys.bal(to, number);
        bal[page] = Ledger.credit(bal[page], atoms);
        emit Deposit(uint32(to), uint24(number), atoms);
    }

    /// @dev Pulls from the sender alone, so no approval of others can be spent.
    /// @return came what the vault really grew by; 0 or a vault beyond its bound is refused
    function receive_(address token, uint256 atoms) private returns (uint256 came) {
        uint256 held;
        if (token == address(0)) {
            if (msg.value != atoms) revert BadAmount();
            came = atoms;
            held = address(this).balance;
        } else {
            if (msg.value != 0) revert BadAmount();
            uint256 before = SafeTransfer.held(token);
            SafeTransfer.pull(token, msg.sender, atoms);
            held = SafeTransfer.held(token);
            if (held <= before) revert BadAmount();
            unchecked {
                came = held - before;
            }
        }
        if (came == 0 || held > VAULT_MAX) revert BadAmount();
    }
}
