// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {callOrRevert} from "./Call.sol";

/// @title An account modelled on Safe 1.3.0, with one owner who sends transactions instead of signing.
/// @notice Modules may act for it: that is how a card spends. Unlike the original it reverts where the original would
/// log `ExecutionFromModuleFailure`; the Roles module requests the same.
contract Safe {
    /// @dev One entry of a batch.
    struct Call {
        address to;
        bytes data;
    }

    event EnabledModule(address module);
    event ExecutionFromModuleSuccess(address indexed module);
    event ExecutionSuccess(bytes32 txHash, uint256 payment);

    error NotAuthorized(address caller);
    error DelegateCallRefused();

    address public immutable owner;
    uint256 public nonce;
    mapping(address => bool) public isModuleEnabled;

    constructor(address owner_) {
        owner = owner_;
    }

    /// @notice Makes all calls, in order and in one transaction; if one fails, none takes effect.
    function execBatch(Call[] calldata calls) external {
        if (msg.sender != owner) revert NotAuthorized(msg.sender);
        bytes32 txHash = keccak256(abi.encode(block.chainid, this, nonce++, calls));
        for (uint256 i = 0; i < calls.length; i++) {
            callOrRevert(calls[i].to, 0, calls[i].data);
        }
        emit ExecutionSuccess(txHash, 0);
    }

    /// @notice Only the account itself can do this, through `execBatch`.
    function enableModule(address module) external {
        if (msg.sender != address(this)) revert NotAuthorized(msg.sender);
        isModuleEnabled[module] = true;
        emit EnabledModule(module);
    }

    function execTransactionFromModule(address to, uint256 value, bytes memory data, uint8 operation)
        public
        virtual
        returns (bool)
    {
        if (!isModuleEnabled[msg.sender]) revert NotAuthorized(msg.sender);
        if (operation != 0) revert DelegateCallRefused();
        callOrRevert(to, value, data);
        emit ExecutionFromModuleSuccess(msg.sender);
        return true;
    }
}

/// @title The variant of Safe that also logs what a module is about to do. The Spender Safe is one.
contract SafeL2 is Safe {
    event SafeModuleTransaction(address module, address to, uint256 value, bytes data, uint8 operation);

    constructor(address owner_) Safe(owner_) {}

    function execTransactionFromModule(address to, uint256 value, bytes memory data, uint8 operation)
        public
        override
        returns (bool)
    {
        emit SafeModuleTransaction(msg.sender, to, value, data, operation);
        return super.execTransactionFromModule(to, value, data, operation);
    }
}
