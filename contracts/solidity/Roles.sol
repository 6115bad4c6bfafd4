// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IToken} from "./EURe.sol";
import {Safe} from "./Safe.sol";

/// @title The spending limit of one account, modelled on Zodiac's Roles modifier.
/// @notice The account's Safe owns it and enables it as a module. A role may do one thing only: transfer
/// one token to one receiver, within an allowance that refills with time.
contract Roles {
    struct Allowance {
        uint128 balance;
        uint128 maxRefill;
        uint128 refill;
        uint64 period;
        uint64 timestamp;
    }

    struct Scope {
        address token;
        address receiver;
        bytes32 allowanceKey;
    }

    event AssignRoles(address module, bytes32[] roleKeys, bool[] memberOf);
    event SetAllowance(
        bytes32 allowanceKey, uint128 balance, uint128 maxRefill, uint128 refill, uint64 period, uint64 timestamp
    );
    event ConsumeAllowance(bytes32 allowanceKey, uint128 consumed, uint128 newBalance);

    error AlreadyInitialized();
    error NotAuthorized(address caller);
    error NoMembership(address caller, bytes32 roleKey);
    error OutOfScope(bytes32 roleKey);
    error AllowanceExceeded(bytes32 allowanceKey, uint128 balance, uint256 needed);

    /// @notice The Safe that owns this module and for which it acts. In the master copy it is the copy itself, so
    /// that nobody can take it over.
    Safe public avatar = Safe(address(this));
    mapping(bytes32 allowanceKey => Allowance) public allowances;
    mapping(bytes32 roleKey => Scope) public scopes;
    mapping(address module => mapping(bytes32 roleKey => bool)) public isMember;

    modifier onlyAvatar() {
        if (msg.sender != address(avatar)) revert NotAuthorized(msg.sender);
        _;
    }

    /// @notice Replaces the constructor in a proxy.
    function setUp(Safe avatar_) external {
        if (address(avatar) != address(0)) revert AlreadyInitialized();
        avatar = avatar_;
    }

    function assignRoles(address module, bytes32[] calldata roleKeys, bool[] calldata memberOf) external onlyAvatar {
        for (uint256 i = 0; i < roleKeys.length; i++) {
            isMember[module][roleKeys[i]] = memberOf[i];
        }
        emit AssignRoles(module, roleKeys, memberOf);
    }

    function scopeTransfer(bytes32 roleKey, address token, address receiver, bytes32 allowanceKey)
        external
        onlyAvatar
    {
        scopes[roleKey] = Scope(token, receiver, allowanceKey);
    }

    /// @param timestamp The start of the first period; zero means now.
    function setAllowance(
        bytes32 key, uint128 balance, uint128 maxRefill, uint128 refill, uint64 period, uint64 timestamp
    ) external onlyAvatar {
        if (timestamp == 0) timestamp = uint64(block.timestamp);
        allowances[key] = Allowance(balance, maxRefill, refill, period, timestamp);
        emit SetAllowance(key, balance, maxRefill, refill, period, timestamp);
    }

    /// @dev `ConsumeAllowance` is logged after the transfer, as in the original. A transfer that reverts restores the
    /// allowance, whatever `shouldRevert` says.
    function execTransactionWithRole(
        address to, uint256 value, bytes calldata data, uint8 operation, bytes32 roleKey, bool /* shouldRevert */
    ) external returns (bool success) {
        if (!isMember[msg.sender][roleKey]) revert NoMembership(msg.sender, roleKey);
        Scope memory scope = scopes[roleKey];
        bool isTransfer = data.length == 68 && bytes4(data) == IToken.transfer.selector;
        if (to != scope.token || value != 0 || operation != 0 || !isTransfer) revert OutOfScope(roleKey);
        (address receiver, uint256 amount) = abi.decode(data[4:], (address, uint256));
        if (receiver != scope.receiver) revert OutOfScope(roleKey);

        uint128 newBalance = _consume(scope.allowanceKey, amount);
        success = avatar.execTransactionFromModule(to, value, data, operation);
        emit ConsumeAllowance(scope.allowanceKey, uint128(amount), newBalance);
    }

    function _consume(bytes32 key, uint256 amount) private returns (uint128 newBalance) {
        Allowance storage allowance = allowances[key];
        (uint128 balance, uint64 timestamp) = _accrued(allowance);
        if (amount > balance) revert AllowanceExceeded(key, balance, amount);
        newBalance = balance - uint128(amount);
        (allowance.balance, allowance.timestamp) = (newBalance, timestamp);
    }

    /// @dev Returns the balance after every whole period since `timestamp` has refilled it. A refill never lifts the
    /// balance above `maxRefill`, and never lowers one that was set above it.
    function _accrued(Allowance memory allowance) private view returns (uint128 balance, uint64 timestamp) {
        (balance, timestamp) = (allowance.balance, allowance.timestamp);
        if (allowance.period == 0 || block.timestamp < timestamp) return (balance, timestamp);
        uint64 periods = (uint64(block.timestamp) - timestamp) / allowance.period;
        timestamp += periods * allowance.period;
        if (balance < allowance.maxRefill) {
            uint256 refilled = uint256(balance) + uint256(allowance.refill) * periods;
            balance = refilled < allowance.maxRefill ? uint128(refilled) : allowance.maxRefill;
        }
    }
}

/// @title Creates a cheap copy (ERC-1167) of a module for each account.
contract ModuleProxyFactory {
    event ModuleProxyCreation(address indexed proxy, address indexed masterCopy);

    error DeploymentFailed();
    error InitializationFailed();

    function deployModule(address masterCopy, bytes calldata initializer, uint256 saltNonce)
        external
        returns (address proxy)
    {
        bytes memory code = abi.encodePacked(
            hex"602d8060093d393df3363d3d373d3d3d363d73", masterCopy, hex"5af43d82803e903d91602b57fd5bf3"
        );
        bytes32 salt = keccak256(abi.encodePacked(keccak256(initializer), saltNonce));
        assembly ("memory-safe") {
            proxy := create2(0, add(code, 32), mload(code), salt)
        }
        if (proxy == address(0)) revert DeploymentFailed();
        (bool success,) = proxy.call(initializer);
        if (!success) revert InitializationFailed();
        emit ModuleProxyCreation(proxy, masterCopy);
    }
}
