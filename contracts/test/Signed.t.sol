// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../src/interfaces/IExchange.sol";
import {Base} from "./Base.sol";
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
        bytes memory kind = "Agent(uint32 account,address agent,uint40 expiry,uint16 perms,uint96 cap,uint32 market0,uint32 market1,uint32 market2,uint64 nonce,uint40 deadline)";
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
        (bytes32 r, bytes32 s) = (word(sig, 0), word(sig, 32));
        return abi.encodePacked(r, ORDER - uint256(s), uint8(sig[64]) == 27 ? uint8(28) : uint8(27));
    }

    function word(bytes memory data, uint256 at_) internal pure returns (bytes32 w) {
        assembly ("memory-safe") {
            w := mload(add(add(data, 32), at_))
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
        refused(IExchange.BadSignature.selector, g, abi.encodePacked(word(sig, 0), word(sig, 32))); // 64 bytes
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
