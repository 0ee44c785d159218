// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// @title A demo ERC-20 with permit (EIP-2612) that anyone may mint
/// @notice For faucet chains only: it is worth nothing. No immutables, so a genesis file may carry the runtime code with these slots set:
/// 0 name and 1 symbol (Solidity short strings: bytes from the left, twice the length in the last byte), 2 decimals, 3 totalSupply,
/// 4 balanceOf[owner], 5 allowance[owner][spender], 6 nonces[owner]. Amounts are atoms.
contract Token {
    string public name;
    string public symbol;
    uint8 public decimals;
    uint256 public totalSupply;
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;
    mapping(address => uint256) public nonces;

    bytes32 private constant DOMAIN = keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant PERMIT = keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
    /// Half of the curve's order: a higher s is the mirror image of a signature already used.
    uint256 private constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    /// @notice Tokens moved; from 0 they were minted.
    /// @param from who had them
    /// @param to who has them
    /// @param value atoms
    event Transfer(address indexed from, address indexed to, uint256 value);
    /// @notice An allowance was set.
    /// @param owner whose tokens
    /// @param spender who may move them
    /// @param value atoms; 2^256-1 is never used up
    event Approval(address indexed owner, address indexed spender, uint256 value);

    /// @notice Balance or allowance do not cover the transfer.
    error Insufficient();
    /// @notice The permit's deadline has passed.
    error Expired();
    /// @notice The permit is not the owner's.
    error BadSignature();

    /// @param name_ long name
    /// @param symbol_ short name
    /// @param decimals_ of one unit; display only
    constructor(string memory name_, string memory symbol_, uint8 decimals_) {
        name = name_;
        symbol = symbol_;
        decimals = decimals_;
    }

    /// @notice Makes atoms out of nothing, for anyone.
    /// @param to who gets them
    /// @param atoms token units
    function mint(address to, uint256 atoms) external {
        totalSupply += atoms;
        unchecked {
            balanceOf[to] += atoms; // no balance exceeds the supply
        }
        emit Transfer(address(0), to, atoms);
    }

    /// @notice Sends tokens of the sender.
    /// @param to receiver
    /// @param atoms token units
    /// @return true; what fails reverts
    function transfer(address to, uint256 atoms) external returns (bool) {
        move(msg.sender, to, atoms);
        return true;
    }

    /// @notice Sends tokens of another, within its allowance to the sender.
    /// @param from whose tokens
    /// @param to receiver
    /// @param atoms token units
    /// @return true; what fails reverts
    function transferFrom(address from, address to, uint256 atoms) external returns (bool) {
        uint256 allowed = allowance[from][msg.sender];
        if (allowed != type(uint256).max) {
            if (allowed < atoms) revert Insufficient();
            unchecked {
                allowance[from][msg.sender] = allowed - atoms;
            }
        }
        move(from, to, atoms);
        return true;
    }

    /// @notice Allows a spender to move tokens of the sender.
    /// @param spender who may
    /// @param atoms token units; 2^256-1 is never used up
    /// @return true
    function approve(address spender, uint256 atoms) external returns (bool) {
        allowance[msg.sender][spender] = atoms;
        emit Approval(msg.sender, spender, atoms);
        return true;
    }

    /// @notice An approval by signature. `deadline` is in seconds; the owner's nonces count up.
    /// @param owner whose tokens, and whose signature
    /// @param spender who may move them
    /// @param value atoms
    /// @param deadline last second of the permit
    /// @param v of the signature
    /// @param r of the signature
    /// @param s of the signature
    function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external {
        if (block.timestamp > deadline) revert Expired();
        bytes32 content = keccak256(abi.encode(PERMIT, owner, spender, value, nonces[owner]++, deadline));
        address signer = ecrecover(keccak256(abi.encodePacked("\x19\x01", DOMAIN_SEPARATOR(), content)), v, r, s);
        if (signer == address(0) || signer != owner || uint256(s) > HALF_ORDER) revert BadSignature();
        allowance[owner][spender] = value;
        emit Approval(owner, spender, value);
    }

    /// @notice Computed at each call: it follows the chain id, and the code knows no constants of a deployment.
    // forge-lint: disable-next-line(mixed-case-function)
    /// @return the EIP-712 domain: name, version 1, chain id, this contract
    function DOMAIN_SEPARATOR() public view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN, keccak256(bytes(name)), keccak256("1"), block.chainid, address(this)));
    }

    function move(address from, address to, uint256 atoms) private {
        uint256 held = balanceOf[from];
        if (held < atoms) revert Insufficient();
        unchecked {
            balanceOf[from] = held - atoms;
            balanceOf[to] += atoms;
        }
        emit Transfer(from, to, atoms);
    }
}
