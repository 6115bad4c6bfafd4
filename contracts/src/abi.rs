//! Interfaces of the contracts: the functions that are called, the logs and the errors. The sources are in
//! `../solidity`.

use alloy::sol;

sol! {
    interface EureV2 {
        function v1() external view returns (address);
        function mint(address to, uint256 amount) external;
    }

    interface Token {
        function balanceOf(address account) external view returns (uint256);
        function transfer(address to, uint256 amount) external returns (bool);
    }

    interface Safe {
        struct Call { address to; bytes data; }
        event ExecutionFromModuleSuccess(address indexed module);
        function execBatch(Call[] calls) external;
        function enableModule(address module) external;
    }

    interface Roles {
        function setUp(address avatar) external;
        function assignRoles(address module, bytes32[] roleKeys, bool[] memberOf) external;
        function scopeTransfer(bytes32 roleKey, address token, address receiver, bytes32 allowanceKey) external;
        function setAllowance(
            bytes32 key, uint128 balance, uint128 maxRefill, uint128 refill, uint64 period, uint64 timestamp
        ) external;
    }

    interface ModuleProxyFactory {
        event ModuleProxyCreation(address indexed proxy, address indexed masterCopy);
        function deployModule(address masterCopy, bytes initializer, uint256 saltNonce) external returns (address);
    }

    interface Spender {
        event HashExecuted(bytes32 hash);
        event HashInvalidated(bytes32 hash);
        event Spend(address asset, address account, address receiver, uint256 amount);
        function consumed(address delegate, bytes32 hash) external view returns (bool);
        function enableModule(address delegate) external;
        function invalidate(bytes32 hash) external;
        function spend(address asset, address account, address receiver, uint256 amount, bytes32 roleKey) external;
    }

    interface Oddities {
        struct Log { bytes32[] topics; bytes data; }
        function emitLogs(Log[] logs) external;
        function forward(address to, bytes[] calls) external;
    }

    /// All errors with which a contract can revert.
    #[derive(Debug)]
    interface Refusal {
        error AllowanceExceeded(bytes32 allowanceKey, uint128 balance, uint256 needed);
        error AlreadyInitialized();
        error DelegateCallRefused();
        error DeploymentFailed();
        error HashAlreadyConsumed(bytes32 hash);
        error InitializationFailed();
        error InsufficientBalance(address account, uint256 balance, uint256 needed);
        error NoContract(address to);
        error NoMembership(address caller, bytes32 roleKey);
        error NotAuthorized(address caller);
        error OutOfScope(bytes32 roleKey);
        error TooManyTopics(uint256 count);
        error TransferRefused(address from, address to);
    }
}
