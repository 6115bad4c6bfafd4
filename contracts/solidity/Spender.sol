// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IToken} from "./EURe.sol";
import {Roles} from "./Roles.sol";
import {Safe} from "./Safe.sol";

/// @title Remembers which signed calls were executed or invalidated, modelled on Zodiac's ExecutionTracker.
abstract contract ExecutionTracker {
    event HashExecuted(bytes32 hash);
    event HashInvalidated(bytes32 hash);

    error HashAlreadyConsumed(bytes32 hash);

    mapping(address delegate => mapping(bytes32 hash => bool)) public consumed;

    /// @notice Makes the caller's signature over `hash` worthless.
    /// @dev Anyone may call it, for any hash, and only for its own signature. The log does not name the caller, so the
    /// log alone does not prove that a delegate's signature is worthless; `consumed` does. And a hash that was executed
    /// before logs the same.
    function invalidate(bytes32 hash) external {
        consumed[msg.sender][hash] = true;
        emit HashInvalidated(hash);
    }
}

/// @title The entry point of card swipes on the chain: a module of the Spender Safe, modelled on Zodiac's Modifier.
/// @notice A call is authorized in one of two ways:
/// - The sender is a delegate. Then nothing is consumed, and the same call can be made again.
/// - A delegate signed the call, whoever sends it. The arguments are followed by a salt (32 bytes) and the signature
///   (r, s, v: 65 bytes). What is consumed is the EIP-712 hash of chain, contract, the whole call and the salt, for the
///   delegate that signed it. So the same call with the same salt works once. The same salt with another amount,
///   receiver, asset, account or role is another hash, and works too; so does the same call at another Spender.
/// Unlike the original it accepts no signatures of contracts (EIP-1271).
contract Spender is ExecutionTracker {
    event EnabledModule(address module);
    event Spend(address asset, address account, address receiver, uint256 amount);

    error NotAuthorized(address caller);

    bytes32 private constant DOMAIN_TYPEHASH = keccak256("EIP712Domain(uint256 chainId,address verifyingContract)");
    bytes32 private constant MODULE_TX_TYPEHASH = keccak256("ModuleTx(bytes data,bytes32 salt)");
    uint256 private constant SELECTOR_BYTES = 4;
    uint256 private constant TAIL_BYTES = 32 + 65;

    Safe public immutable avatar;
    /// @notice True for a delegate.
    mapping(address => bool) public isModuleEnabled;

    modifier moduleOnly() {
        if (!isModuleEnabled[msg.sender]) _consumeSignature();
        _;
    }

    constructor(Safe avatar_, address delegate) {
        avatar = avatar_;
        _enableModule(delegate);
    }

    /// @notice Adds a delegate. Only the Spender Safe can do this.
    function enableModule(address delegate) external {
        if (msg.sender != address(avatar)) revert NotAuthorized(msg.sender);
        _enableModule(delegate);
    }

    /// @param asset The token's address as the account's role knows it: EURe V1.
    /// @param account The account's Roles module, not its Safe.
    /// @param receiver The settlement Safe.
    function spend(address asset, address account, address receiver, uint256 amount, bytes32 roleKey)
        external
        moduleOnly
    {
        bytes memory transfer = abi.encodeCall(IToken.transfer, (receiver, amount));
        bytes memory exec = abi.encodeCall(Roles.execTransactionWithRole, (asset, 0, transfer, 0, roleKey, true));
        avatar.execTransactionFromModule(account, 0, exec, 0);
        emit Spend(asset, account, receiver, amount);
    }

    /// @notice Returns the hash that a delegate signs for the call `data` with `salt`.
    function moduleTxHash(bytes calldata data, bytes32 salt) public view returns (bytes32) {
        bytes32 domain = keccak256(abi.encode(DOMAIN_TYPEHASH, block.chainid, this));
        bytes32 moduleTx = keccak256(abi.encode(MODULE_TX_TYPEHASH, keccak256(data), salt));
        return keccak256(abi.encodePacked(hex"1901", domain, moduleTx));
    }

    function _enableModule(address delegate) private {
        isModuleEnabled[delegate] = true;
        emit EnabledModule(delegate);
    }

    function _consumeSignature() private {
        if (msg.data.length < SELECTOR_BYTES + TAIL_BYTES) revert NotAuthorized(msg.sender);
        uint256 end = msg.data.length - TAIL_BYTES;
        bytes calldata tail = msg.data[end:];
        bytes32 hash = moduleTxHash(msg.data[:end], bytes32(tail[:32]));
        address signer = ecrecover(hash, uint8(tail[96]), bytes32(tail[32:64]), bytes32(tail[64:96]));
        if (signer == address(0) || !isModuleEnabled[signer]) revert NotAuthorized(msg.sender);
        if (consumed[signer][hash]) revert HashAlreadyConsumed(hash);
        consumed[signer][hash] = true;
        emit HashExecuted(hash);
    }
}
