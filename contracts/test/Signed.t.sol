// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../src/interfaces/IExchange.sol";
import {Base} from "./Base.sol";
import {Batches} from "./Batches.sol";
import {Vm} from "./Vm.sol";

/// @notice Signs as wallets do: types, domain and digest are written out here, not taken from the contract.
abstract contract Signing is Base {
    uint256 internal constant ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    function domainOf(string memory name, uint256 chain, address where) internal pure returns (bytes32) {
        bytes32 kind = keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        return keccak256(abi.encode(kind, keccak256(bytes(name)), keccak256("1"), chain, where));
    }

    function contentOf(IExchange.Batch memory b) internal pure returns (bytes32) {
        bytes32 kind = keccak256("Batch(uint32 account,uint64 nonce,uint40 deadline,address relayer,bytes ops)");
        return keccak256(abi.encode(kind, b.account, b.nonce, b.deadline, b.relayer, keccak256(b.ops)));
    }

    function contentOf(IExchange.AgentGrant memory g) internal pure returns (bytes32) {
        bytes memory kind =
            "Agent(uint32 account,address agent,uint40 expiry,uint16 perms,uint96 cap,uint32 market0,uint32 market1,uint32 market2,uint64 nonce,uint40 deadline)";
        bytes memory first = abi.encode(keccak256(kind), g.account, g.agent, g.expiry, g.perms, g.cap);
        return keccak256(bytes.concat(first, abi.encode(g.market0, g.market1, g.market2, g.nonce, g.deadline)));
    }

    function sign(uint256 key, bytes32 domain, bytes32 content) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, keccak256(abi.encodePacked("\x19\x01", domain, content)));
        return abi.encodePacked(r, s, v);
    }

    function here() internal view returns (bytes32) {
        return domainOf("hifi Exchange", block.chainid, address(x));
    }

    /// The mirror image of a signature: valid for the curve, made without the key.
    function mirror(bytes memory sig) internal pure returns (bytes memory) {
        (bytes32 r, bytes32 s) = (wordAt(sig, 0), wordAt(sig, 32));
        return abi.encodePacked(r, ORDER - uint256(s), uint8(sig[64]) == 27 ? uint8(28) : uint8(27));
    }

    function wordAt(bytes memory data, uint256 offset) internal pure returns (bytes32 w) {
        assembly ("memory-safe") {
            w := mload(add(add(data, 32), offset))
        }
    }
}

/// @notice Signed grants and nonces. A is the account of KEY, BOT the agent granted.
contract SignedTest is Signing {
    uint256 constant KEY = 0xa11ce;
    uint32 constant A = 300;
    uint32 constant B = 301;
    address constant BOT = address(0xb07);
    address internal owner;

    function setUp() public override {
        super.setUp();
        enrol(A);
        enrol(B);
        owner = vm.addr(KEY);
        set(7, A, uint160(owner));
        set(6, uint160(owner), A);
        vm.warp(1000);
    }

    function grant() internal pure returns (IExchange.AgentGrant memory) {
        return IExchange.AgentGrant(A, BOT, 2000, 7, 77, 1, 2, 3, 5, 1000);
    }

    function refused(bytes4 reason, IExchange.AgentGrant memory g, bytes memory sig) internal {
        vm.expectRevert(err(reason));
        x.approveAgentSigned(g, sig);
        eq(get(13, uint256(A) << 160 | uint160(BOT)), 0, "no rights");
    }

    // ------------------------------------------------------------------------------------------------------------------------------------- grants

    function testApproveAgentSigned() public {
        IExchange.AgentGrant memory g = grant();
        bytes memory sig = sign(KEY, here(), contentOf(g));
        vm.recordLogs();
        vm.prank(address(0x99)); // anyone sends it
        x.approveAgentSigned(g, sig);
        uint256 rights = 2000 | 7 << 40 | 77 << 56 | 1 << 152 | uint256(2) << 184 | uint256(3) << 216;
        eq(get(13, uint256(A) << 160 | uint160(BOT)), rights, "agents");
        eq(get(14, uint256(A) << 56), 1 << 5, "nonce bit");
        Vm.Log[] memory logs = vm.getRecordedLogs();
        isLog(logs[0], IExchange.Signed.selector, abi.encode(A, owner), abi.encode(5));
        isLog(logs[1], IExchange.Agent.selector, abi.encode(A, BOT), abi.encode(rights));
    }

    function testGrantIsNotReplayed() public {
        IExchange.AgentGrant memory g = grant();
        bytes memory sig = sign(KEY, here(), contentOf(g));
        x.approveAgentSigned(g, sig);
        vm.prank(owner);
        x.approveAgent(A, BOT, 0, 0, 0, [uint32(0), 0, 0]); // revoked
        refused(IExchange.NonceUsed.selector, g, sig);
    }

    function testGrantIsNotReplayedElsewhere() public {
        IExchange.AgentGrant memory g = grant();
        refused(IExchange.BadSignature.selector, g, sign(KEY, domainOf("hifi Exchange", block.chainid + 1, address(x)), contentOf(g)));
        refused(IExchange.BadSignature.selector, g, sign(KEY, domainOf("hifi Exchange", block.chainid, address(0xe2)), contentOf(g)));
        refused(IExchange.BadSignature.selector, g, sign(KEY, domainOf("hifi", block.chainid, address(x)), contentOf(g)));
        bytes memory sig = sign(KEY, here(), contentOf(g));
        vm.chainId(4242); // the chain forks: what was signed before stays on the other side
        refused(IExchange.BadSignature.selector, g, sig);
    }

    /// Each field is signed: change any one and the signature is another's.
    function testEveryFieldOfAGrantIsSigned() public {
        bytes memory sig = sign(KEY, here(), contentOf(grant()));
        for (uint256 i = 1; i < 10; ++i) {
            IExchange.AgentGrant memory g = grant();
            assembly ("memory-safe") {
                let field := add(g, mul(i, 32))
                mstore(field, add(mload(field), 1))
            }
            refused(IExchange.BadSignature.selector, g, sig);
        }
        IExchange.AgentGrant memory other = grant();
        other.account = B;
        refused(IExchange.BadSignature.selector, other, sig);
    }

    function testMalleableGrantIsRefused() public {
        IExchange.AgentGrant memory g = grant();
        bytes memory sig = sign(KEY, here(), contentOf(g));
        refused(IExchange.BadSignature.selector, g, mirror(sig));
        sig[64] = bytes1(uint8(sig[64]) - 27); // v of 0 or 1
        refused(IExchange.BadSignature.selector, g, sig);
    }

    function testExpiredGrantIsRefused() public {
        IExchange.AgentGrant memory g = grant();
        bytes memory sig = sign(KEY, here(), contentOf(g));
        vm.warp(1001);
        refused(IExchange.Expired.selector, g, sig);
        vm.warp(1000);
        x.approveAgentSigned(g, sig); // the deadline is the last second
    }

    function testOnlyTheOwnerGrants() public {
        // An agent with every right signs; it is no owner.
        vm.prank(owner);
        x.approveAgent(A, vm.addr(7), 2000, 0xffff, 0, [uint32(0), 0, 0]);
        IExchange.AgentGrant memory g = grant();
        refused(IExchange.BadSignature.selector, g, sign(7, here(), contentOf(g)));
        // Nobody's accounts: a failed recovery answers address 0, which owns none.
        uint32[3] memory nobodys = [uint32(0), 4711, (1 << 31) + 1];
        for (uint256 i = 0; i < 3; ++i) {
            g.account = nobodys[i];
            refused(IExchange.NotAuthorized.selector, g, new bytes(65));
        }
        g.account = A;
        refused(IExchange.BadSignature.selector, g, new bytes(65));
    }

    /// The fee collector's grants are the owner role's to sign.
    function testGrantOfTheFeeCollector() public {
        x.setRole(0, owner);
        IExchange.AgentGrant memory g = grant();
        g.account = 1;
        x.approveAgentSigned(g, sign(KEY, here(), contentOf(g)));
        require(get(13, uint256(1) << 160 | uint160(BOT)) != 0, "granted");
    }

    function testOddSignaturesAreRefused() public {
        IExchange.AgentGrant memory g = grant();
        bytes memory sig = sign(KEY, here(), contentOf(g));
        refused(IExchange.BadSignature.selector, g, "");
        refused(IExchange.BadSignature.selector, g, bytes.concat(sig, hex"00"));
        refused(IExchange.BadSignature.selector, g, abi.encodePacked(wordAt(sig, 0), wordAt(sig, 32))); // 64 bytes
    }

    // ------------------------------------------------------------------------------------------------------------------------------------- nonces

    function testNoncesHaveNoOrder() public {
        uint64[5] memory nonces = [type(uint64).max, 0, 255, 256, 1 << 40];
        for (uint256 i = 0; i < 5; ++i) {
            IExchange.AgentGrant memory g = grant();
            g.nonce = nonces[i];
            x.approveAgentSigned(g, sign(KEY, here(), contentOf(g)));
            require(get(14, uint256(A) << 56 | nonces[i] >> 8) >> (nonces[i] & 255) & 1 == 1, "bit");
        }
        eq(get(14, uint256(A) << 56), 1 | 1 << 255, "two of one word");
    }

    function testCancelledNonceIsUsed() public {
        vm.prank(owner);
        x.cancelNonces(0, 0, 1 << 5 | 1 << 200);
        eq(get(14, uint256(A) << 56), 1 << 5 | 1 << 200, "bits");
        IExchange.AgentGrant memory g = grant();
        refused(IExchange.NonceUsed.selector, g, sign(KEY, here(), contentOf(g)));
        g.nonce = 6;
        x.approveAgentSigned(g, sign(KEY, here(), contentOf(g)));
        vm.prank(owner);
        x.cancelNonces(A, 0, 1); // bits are added, never cleared
        eq(get(14, uint256(A) << 56), 1 | 1 << 5 | 1 << 6 | 1 << 200, "bits");
    }

    /// nonce >> 8 has 56 bits; a longer word would be a word of another account.
    function testCancelNoncesStaysInTheAccount() public {
        vm.expectRevert(err(IExchange.BadAmount.selector));
        vm.prank(owner);
        x.cancelNonces(A, 1 << 56, 1);
        vm.prank(owner);
        x.cancelNonces(A, (1 << 56) - 1, 1);
        eq(get(14, uint256(B) << 56), 0, "B's");
    }

    function testOnlyTheOwnerCancelsNonces() public {
        vm.prank(owner);
        x.approveAgent(A, BOT, 2000, 0xffff, 0, [uint32(0), 0, 0]);
        vm.expectRevert(err(IExchange.NotAuthorized.selector));
        vm.prank(BOT);
        x.cancelNonces(A, 0, 1);
        vm.expectRevert(err(IExchange.NotAuthorized.selector));
        vm.prank(ownerOf(B));
        x.cancelNonces(A, 0, 1);
    }

    // ----------------------------------------------------------------------------------------------------------------------------------- ERC-1271

    function testContractSignsByErc1271() public {
        Wallet wallet = new Wallet(x);
        set(7, A, uint160(address(wallet)));
        IExchange.AgentGrant memory g = grant();
        wallet.agree(keccak256(abi.encodePacked("\x19\x01", here(), contentOf(g))), "any length");
        refused(IExchange.BadSignature.selector, g, "another");
        IExchange.AgentGrant memory changed = grant();
        changed.cap = 0;
        refused(IExchange.BadSignature.selector, changed, "any length");
        x.approveAgentSigned(g, "any length");
        require(get(13, uint256(A) << 160 | uint160(BOT)) != 0, "granted");
        vm.expectRevert(err(IExchange.NonceUsed.selector));
        x.approveAgentSigned(g, "any length");
    }

    function testOddErc1271AnswersAreRefused() public {
        Wallet wallet = new Wallet(x);
        set(7, A, uint160(address(wallet)));
        IExchange.AgentGrant memory g = grant();
        wallet.agree(keccak256(abi.encodePacked("\x19\x01", here(), contentOf(g))), "");
        for (uint256 mood = 1; mood < 6; ++mood) {
            wallet.turn(mood);
            refused(IExchange.BadSignature.selector, g, "");
        }
        wallet.turn(0);
        x.approveAgentSigned(g, "");
    }
}

/// @notice Signed batches. A is the account of KEY; AGENT_KEY signs as an agent; B is a stranger.
contract SignedBatchTest is Signing, Batches {
    uint256 constant KEY = 0xa11ce;
    uint256 constant AGENT_KEY = 0xb07;
    uint32 constant A = 300;
    uint32 constant B = 301;
    address constant RELAYER = address(0x4e1a);
    address internal owner;
    address internal agent;

    function setUp() public override {
        super.setUp();
        enrol(A);
        enrol(B);
        owner = vm.addr(KEY);
        agent = vm.addr(AGENT_KEY);
        set(7, A, uint160(owner));
        set(6, uint160(owner), A);
        vm.warp(1000);
    }

    /// A bids 5 at 90, by anyone, until 1000, nonce 5.
    function batch() internal view returns (IExchange.Batch memory) {
        return IExchange.Batch(A, 5, 1000, address(0), bytes.concat(ops(false), opPlace(POST_ONLY, 90, 5)));
    }

    function send(IExchange.Batch memory b, uint256 key) internal returns (bytes memory) {
        bytes memory sig = sign(key, here(), contentOf(b));
        vm.prank(RELAYER);
        return x.executeSigned(b, vm.addr(key), sig);
    }

    /// Refused, and nothing rests, no nonce is used.
    function refused(bytes4 reason, IExchange.Batch memory b, address signer, bytes memory sig) internal {
        uint256 nonces = get(14, uint256(A) << 56);
        vm.expectRevert(err(reason));
        vm.prank(RELAYER);
        x.executeSigned(b, signer, sig);
        isLevel(BID, 90, 0, 0, 0, 0);
        eq(get(14, uint256(A) << 56), nonces, "nonces");
    }

    function approve(uint40 expiry, uint16 perms, uint96 cap, uint32 only) internal {
        vm.prank(owner);
        x.approveAgent(A, agent, expiry, perms, cap, [only, 0, 0]);
    }

    // ------------------------------------------------------------------------------------------------------------------------------------ batches

    function testExecuteSigned() public {
        vm.recordLogs();
        bytes memory results = send(batch(), KEY);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        uint256 id = levelId(market, BID, 90) << 40;
        eq(word(results, 0), id | 1 << 152, "as of execute");
        isLevel(BID, 90, 1, 0, 0, 5);
        eq(record(id), uint256(A) << 48 | 5, "the account's own order");
        eq(get(14, uint256(A) << 56), 1 << 5, "nonce bit");
        isLog(logs[0], IExchange.Signed.selector, abi.encode(A, owner), abi.encode(5));
    }

    /// Account 0 is the signer's first, not the relayer's.
    function testAccountZeroIsTheSigners() public {
        IExchange.Batch memory b = batch();
        b.account = 0;
        bytes memory sig = sign(KEY, here(), contentOf(b));
        vm.prank(ownerOf(B)); // who has an account of its own
        x.executeSigned(b, owner, sig);
        eq(record(levelId(market, BID, 90) << 40) >> 48, A, "A's order");
        eq(get(14, uint256(A) << 56), 1 << 5, "A's nonce");
    }

    function testBatchIsNotReplayed() public {
        IExchange.Batch memory b = batch();
        send(b, KEY);
        bytes memory sig = sign(KEY, here(), contentOf(b));
        vm.expectRevert(err(IExchange.NonceUsed.selector));
        x.executeSigned(b, owner, sig);
        b.account = 0; // the same account by another name has the same nonces
        sig = sign(KEY, here(), contentOf(b));
        vm.expectRevert(err(IExchange.NonceUsed.selector));
        x.executeSigned(b, owner, sig);
    }

    function testBatchIsNotReplayedElsewhere() public {
        IExchange.Batch memory b = batch();
        bytes32 content = contentOf(b);
        refused(IExchange.BadSignature.selector, b, owner, sign(KEY, domainOf("hifi Exchange", block.chainid + 1, address(x)), content));
        refused(IExchange.BadSignature.selector, b, owner, sign(KEY, domainOf("hifi Exchange", block.chainid, address(0xe2)), content));
        bytes memory sig = sign(KEY, here(), content);
        // A second exchange on this chain, where the same account is the same owner's.
        IExchange other = IExchange(predeploy("Exchange", address(0xe5), uint160(address(this))));
        vm.store(address(other), slot(7, A), bytes32(uint256(uint160(owner))));
        vm.expectRevert(err(IExchange.BadSignature.selector));
        other.executeSigned(b, owner, sig);
        vm.chainId(4242);
        refused(IExchange.BadSignature.selector, b, owner, sig);
    }

    function testMalleableBatchIsRefused() public {
        IExchange.Batch memory b = batch();
        bytes memory sig = sign(KEY, here(), contentOf(b));
        refused(IExchange.BadSignature.selector, b, owner, mirror(sig));
        vm.prank(RELAYER);
        x.executeSigned(b, owner, sig);
        vm.expectRevert(err(IExchange.NonceUsed.selector)); // it would not run again even so
        x.executeSigned(b, owner, mirror(sig));
    }

    function testDeadline() public {
        IExchange.Batch memory b = batch();
        bytes memory sig = sign(KEY, here(), contentOf(b));
        vm.warp(1001);
        refused(IExchange.Expired.selector, b, owner, sig);
        vm.warp(1000);
        send(b, KEY); // the last second
    }

    function testWrongRelayer() public {
        IExchange.Batch memory b = batch();
        b.relayer = ownerOf(B);
        bytes memory sig = sign(KEY, here(), contentOf(b));
        refused(IExchange.NotAuthorized.selector, b, owner, sig);
        vm.expectRevert(err(IExchange.NotAuthorized.selector));
        vm.prank(owner); // not even the signer
        x.executeSigned(b, owner, sig);
        vm.prank(ownerOf(B));
        x.executeSigned(b, owner, sig);
    }

    function testEveryFieldOfABatchIsSigned() public {
        bytes memory sig = sign(KEY, here(), contentOf(batch()));
        IExchange.Batch[4] memory changed = [batch(), batch(), batch(), batch()];
        changed[0].nonce = 6;
        changed[1].deadline = 1001;
        changed[2].relayer = RELAYER;
        changed[3].ops = bytes.concat(ops(false), opPlace(POST_ONLY, 90, 6));
        for (uint256 i = 0; i < 4; ++i) {
            refused(IExchange.BadSignature.selector, changed[i], owner, sig);
        }
        IExchange.Batch memory other = batch();
        other.account = 0; // the same account, but not what was signed
        refused(IExchange.BadSignature.selector, other, owner, sig);
    }

    function testWrongSigner() public {
        IExchange.Batch memory b = batch();
        refused(IExchange.BadSignature.selector, b, owner, sign(AGENT_KEY, here(), contentOf(b))); // named one, signed by another
        bytes memory sig = sign(AGENT_KEY, here(), contentOf(b));
        refused(IExchange.NotAuthorized.selector, b, agent, sig); // who has no rights over A
        refused(IExchange.NotAuthorized.selector, b, address(0), new bytes(65)); // what a failed recovery answers
        b.account = 4711; // an account nobody has is owned by address 0
        refused(IExchange.BadSignature.selector, b, address(0), new bytes(65));
        refused(IExchange.BadSignature.selector, b, address(0), "");
    }

    /// The exchange is no signer, whatever its own answer to a call would be.
    function testTheExchangeSignsNothing() public {
        set(7, A, uint160(address(x)));
        refused(IExchange.BadSignature.selector, batch(), address(x), "");
        refused(IExchange.BadSignature.selector, batch(), address(x), new bytes(416));
    }

    function testMalformedBatch() public {
        IExchange.Batch memory b = batch();
        b.ops = hex"0063";
        refused(IExchange.BadOps.selector, b, owner, sign(KEY, here(), contentOf(b)));
    }

    /// A failure of an operation takes the nonce back too, so the batch may be sent again; with SKIP_FAILED the batch has run.
    function testABatchThatFailsKeepsItsNonce() public {
        ask(B, 80, 5);
        IExchange.Batch memory b = batch();
        bytes memory sig = sign(KEY, here(), contentOf(b));
        vm.expectRevert(abi.encodeWithSelector(IExchange.WouldCross.selector, 80));
        x.executeSigned(b, owner, sig);
        eq(get(14, uint256(A) << 56), 0, "not used");
        cancel(B, levelId(market, ASK, 80) << 40);
        x.executeSigned(b, owner, sig);
        ask(B, 95, 5);
        b.nonce = 6;
        b.ops = bytes.concat(ops(true), opPlace(POST_ONLY, 95, 5));
        isRefused(send(b, KEY), 0, IExchange.WouldCross.selector);
        eq(get(14, uint256(A) << 56), 1 << 5 | 1 << 6, "used");
    }

    function testCancelledNonceStopsABatchUnderWay() public {
        vm.prank(owner);
        x.cancelNonces(A, 0, 1 << 5);
        refused(IExchange.NonceUsed.selector, batch(), owner, sign(KEY, here(), contentOf(batch())));
    }

    // ------------------------------------------------------------------------------------------------------------------------------------- agents

    /// An agent signs with the rights it has as a sender, no more.
    function testAgentSignsWithinItsRights() public {
        IExchange.Batch memory b = batch();
        bytes memory sig = sign(AGENT_KEY, here(), contentOf(b));
        bytes4 no = IExchange.NotAuthorized.selector;
        approve(2000, 2 | 4 | 8, 0, 0); // all but PLACE
        refused(no, b, agent, sig);
        approve(2000, 1, 0, 2); // another market
        refused(no, b, agent, sig);
        approve(1000, 1, 0, 0); // living while now < expiry
        refused(no, b, agent, sig);
        approve(2000, 1, 4499, 0); // 5 lots at 900
        refused(IExchange.OverCap.selector, b, agent, sig);
        approve(2000, 1, 4500, 0);
        send(b, AGENT_KEY);
        isLevel(BID, 90, 1, 0, 0, 5);
        eq(get(14, uint256(A) << 56), 1 << 5, "the account's nonces are one set");
        refuseNonce(b);
    }

    /// What the agent used up, the owner cannot use, and the other way round.
    function refuseNonce(IExchange.Batch memory b) internal {
        bytes memory sig = sign(KEY, here(), contentOf(b));
        vm.expectRevert(err(IExchange.NonceUsed.selector));
        x.executeSigned(b, owner, sig);
    }

    /// What an agent signed before it was revoked is void.
    function testRevokedAgentsBatchIsVoid() public {
        approve(2000, 1, 0, 0);
        IExchange.Batch memory b = batch();
        bytes memory sig = sign(AGENT_KEY, here(), contentOf(b));
        approve(0, 0, 0, 0);
        refused(IExchange.NotAuthorized.selector, b, agent, sig);
    }

    /// The rights are asked for each operation of a batch; in one that goes on the others run.
    function testAgentsBatchIsJudgedByOperation() public {
        approve(2000, 1, 0, 0);
        IExchange.Batch memory b = batch();
        b.ops = bytes.concat(ops(true), opPlace(IOC, 90, 5), opPlace(POST_ONLY, 90, 5), opSchedule(2000));
        bytes memory results = send(b, AGENT_KEY);
        isRefused(results, 0, IExchange.NotAuthorized.selector);
        eq(word(results, 1), levelId(market, BID, 90) << 40 | 1 << 152, "rests");
        isRefused(results, 2, IExchange.NotAuthorized.selector);
    }

    // ------------------------------------------------------------------------------------------------------------------------------------ wallets

    /// A contract as owner: it answers for each digest, and cannot act from inside its answer.
    function testWalletSignsABatch() public {
        Wallet wallet = new Wallet(x);
        set(7, A, uint160(address(wallet)));
        IExchange.Batch memory b = batch();
        refused(IExchange.BadSignature.selector, b, address(wallet), "");
        wallet.agree(keccak256(abi.encodePacked("\x19\x01", here(), contentOf(b))), "sig");
        x.executeSigned(b, address(wallet), "sig");
        isLevel(BID, 90, 1, 0, 0, 5);
        vm.expectRevert(err(IExchange.NonceUsed.selector));
        x.executeSigned(b, address(wallet), "sig");
    }

    /// A key whose address also has code (EIP-7702): the key is asked first.
    function testKeyOfAnAddressWithCode() public {
        vm.etch(owner, hex"fe");
        send(batch(), KEY);
        isLevel(BID, 90, 1, 0, 0, 5);
    }

    function testFuzz_anyOtherSignatureIsRefused(bytes32 r, bytes32 s, uint8 v) public {
        refused(IExchange.BadSignature.selector, batch(), owner, abi.encodePacked(r, s, v));
    }
}

/// @notice A contract that owns an account and answers by ERC-1271; in other moods wrongly.
contract Wallet {
    IExchange private immutable x;
    bytes32 private digest;
    bytes32 private sigHash;
    uint256 private mood;

    constructor(IExchange x_) {
        x = x_;
    }

    function agree(bytes32 digest_, bytes calldata sig) external {
        (digest, sigHash) = (digest_, keccak256(sig));
    }

    function turn(uint256 mood_) external {
        mood = mood_;
    }

    function isValidSignature(bytes32 digest_, bytes calldata sig) external returns (bytes4) {
        if (digest_ != digest || keccak256(sig) != sigHash) return 0;
        uint256 word = uint256(bytes32(bytes4(0x1626ba7e)));
        uint256 length = 32;
        if (mood == 1) length = 4; // the four bytes alone
        if (mood == 2) word |= 1; // the four bytes and more
        if (mood == 3) word = 1; // true
        if (mood == 4) revert("no");
        if (mood == 5) digest = 0; // writes: it is asked statically, so this fails
        assembly {
            mstore(0, word)
            return(0, length)
        }
    }
}
