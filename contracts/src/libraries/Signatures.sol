// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../interfaces/IExchange.sol";
import {SafeTransfer} from "./SafeTransfer.sol";
import {Store} from "./Store.sol";

/// @title What somebody signed and somebody else sends
/// @notice EIP-712 digests of batches and grants, nonces without an order, and whether a signature is the signer's. The domain holds chain id and contract and
/// is computed at each call, so a fork of the chain or a second exchange never accepts what was signed here. Called by `executeSigned` and
/// `approveAgentSigned`, after deadline, relayer and rights were checked and before anything is done, and by Conditional for a domain of its own; never says
/// what the signer may do: `Agents` does.
library Signatures {
    bytes32 private constant DOMAIN = keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant NAME = keccak256("hifi Exchange");
    bytes32 private constant VERSION = keccak256("1");
    bytes32 private constant BATCH = keccak256("Batch(uint32 account,uint64 nonce,uint40 deadline,address relayer,bytes ops)");
    bytes32 private constant GRANT = keccak256(
        "Agent(uint32 account,address agent,uint40 expiry,uint16 perms,uint96 cap,uint32 market0,uint32 market1,uint32 market2,uint64 nonce,uint40 deadline)"
    );
    /// Half of the curve's order: a higher s is the mirror image of a signature, which anybody could make.
    uint256 private constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;
    /// What an ERC-1271 contract answers when it agrees, and the selector it is asked by.
    bytes4 private constant AGREED = 0x1626ba7e;
    uint256 private constant WORD_MAX = (1 << 56) - 1;

    /// @notice Judges a batch: `NonceUsed`, `BadSignature`. Uses its nonce up.
    /// @param account whose nonces count; agents share them with the owner
    function batch(IExchange.Batch calldata b, uint256 account, address signer, bytes calldata sig) internal {
        use(account, b.nonce, signer);
        bytes32 content = keccak256(abi.encode(BATCH, b.account, b.nonce, b.deadline, b.relayer, keccak256(b.ops)));
        check(NAME, content, signer, sig);
    }

    /// @notice Judges a grant: `NonceUsed`, `BadSignature`. Uses its nonce up.
    function grant(IExchange.AgentGrant calldata g, uint256 account, address signer, bytes calldata sig) internal {
        use(account, g.nonce, signer);
        check(NAME, keccak256(abi.encode(GRANT, g)), signer, sig);
    }

    /// @notice Uses nonces up without anything signed: a batch under way with one of them fails.
    /// @param word nonce >> 8; one that no nonce has is `BadAmount`, since it would name the word of another account
    function cancel(uint256 account, uint256 word, uint256 mask) internal {
        if (word > WORD_MAX) revert IExchange.BadAmount();
        Store.words().nonces[account << 56 | word] |= mask;
    }

    /// @dev Set before the signer's contract is asked; a revert takes it back.
    function use(uint256 account, uint256 nonce, address signer) private {
        mapping(uint256 => uint256) storage nonces = Store.words().nonces;
        uint256 key = account << 56 | nonce >> 8;
        uint256 bit = 1 << (nonce & 255);
        uint256 word = nonces[key];
        if (word & bit != 0) revert IExchange.NonceUsed();
        nonces[key] = word | bit;
        emit IExchange.Signed(uint32(account), signer, uint64(nonce));
    }

    /// @notice `BadSignature` unless it is the signer's: first as 65 bytes r, s, v of a key, then by the signer's code. Address 0 signs nothing: it is what a
    /// failed recovery answers.
    /// @param name hash of the domain's name; its version is 1, its contract this one
    /// @param content hash of the typed struct
    function check(bytes32 name, bytes32 content, address signer, bytes calldata sig) internal view {
        bytes32 domain = keccak256(abi.encode(DOMAIN, name, VERSION, block.chainid, address(this)));
        bytes32 digest = keccak256(abi.encodePacked("\x19\x01", domain, content));
        if (signer == address(0)) revert IExchange.BadSignature();
        if (sig.length == 65 && uint256(bytes32(sig[32:64])) <= HALF_ORDER) {
            if (ecrecover(digest, uint8(sig[64]), bytes32(sig[:32]), bytes32(sig[32:64])) == signer) return;
        }
        (bool ok, uint256 answer) = SafeTransfer.read(signer, abi.encodeWithSelector(AGREED, digest, sig));
        if (!ok || bytes32(answer) != AGREED) revert IExchange.BadSignature();
    }
}
