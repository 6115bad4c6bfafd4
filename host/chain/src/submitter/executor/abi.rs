//! Interface of the Spender, as far as the submitter needs it.

alloy::sol! {
    interface Spender {
        event HashExecuted(bytes32 hash);
        function consumed(address delegate, bytes32 hash) external view returns (bool);
        function invalidate(bytes32 hash) external;
        function isModuleEnabled(address module) external view returns (bool);
    }
}
