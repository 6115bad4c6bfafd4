// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IToken} from "./EURe.sol";
import {Roles} from "./Roles.sol";
import {Safe} from "./Safe.sol";

/// @title The entry point of card swipes on the chain: a module of the Spender Safe.
/// @notice A call is authorized by the delegate's signature over it, not by its sender. The arguments are followed by
/// a salt (32 bytes) and the signature (r, s, v: 65 bytes), as in Zodiac's modifier. A salt is accepted for one swipe
/// only, so sending the same one again is harmless.
contract Spender {
    event HashExecuted(bytes32 hash);
    event Spend(address asset, address account, address receiver, uint256 amount);

    error NotAuthorized(address signer);
    error HashAlreadyConsumed(bytes32 hash);

    bytes32 private constant DOMAIN_TYPEHASH = keccak256("EIP712Domain(uint256 chainId,address verifyingContract)");
    bytes32 private constant MODULE_TX_TYPEHASH = keccak256("ModuleTx(bytes data,bytes32 salt)");
    uint256 private constant TAIL_BYTES = 32 + 65;

    Safe public immutable avatar;
    address public immutable delegate;
    mapping(bytes32 => bool) public consumed;

    constructor(Safe avatar_, address delegate_) {
        (avatar, delegate) = (avatar_, delegate_);
    }

    /// @param asset The token's address as the account's role knows it: EURe V1.
    /// @param account The account's Roles module, not its Safe.
    /// @param receiver The settlement Safe.
    function spend(address asset, address account, address receiver, uint256 amount, bytes32 roleKey) external {
        _consumeSignature();
        bytes memory transfer = abi.encodeCall(IToken.transfer, (receiver, amount));
        bytes memory exec = abi.encodeCall(Roles.execTransactionWithRole, (asset, 0, transfer, 0, roleKey, true));
        avatar.execTransactionFromModule(account, 0, exec, 0);
        emit Spend(asset, account, receiver, amount);
    }

    /// @notice Returns the hash that the delegate signs for the call `data` with `salt`.
    function moduleTxHash(bytes calldata data, bytes32 salt) public view returns (bytes32) {
        bytes32 domain = keccak256(abi.encode(DOMAIN_TYPEHASH, block.chainid, this));
        bytes32 moduleTx = keccak256(abi.encode(MODULE_TX_TYPEHASH, keccak256(data), salt));
        return keccak256(abi.encodePacked(hex"1901", domain, moduleTx));
    }

    /// @dev Calldata too short to hold a tail reverts in the slices.
    function _consumeSignature() private {
        uint256 end = msg.data.length - TAIL_BYTES;
        bytes calldata tail = msg.data[end:];
        bytes32 hash = moduleTxHash(msg.data[:end], bytes32(tail[:32]));
        address signer = ecrecover(hash, uint8(tail[96]), bytes32(tail[32:64]), bytes32(tail[64:96]));
        if (signer == address(0) || signer != delegate) revert NotAuthorized(signer);
        if (consumed[hash]) revert HashAlreadyConsumed(hash);
        consumed[hash] = true;
        emit HashExecuted(hash);
    }
}
