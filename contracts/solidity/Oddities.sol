// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {callOrRevert} from "./Call.sol";

/// @title Emits any log, for tests of how a listener treats logs that no honest contract emits.
contract Oddities {
    struct Log {
        bytes32[] topics;
        bytes data;
    }

    error TooManyTopics(uint256 count);

    function emitLogs(Log[] calldata logs) external {
        for (uint256 i = 0; i < logs.length; i++) {
            _emit(logs[i].topics, logs[i].data);
        }
    }

    /// @notice Makes several calls in one transaction, so that one transaction hash stands for several swipes.
    function forward(address to, bytes[] calldata calls) external {
        for (uint256 i = 0; i < calls.length; i++) {
            callOrRevert(to, 0, calls[i]);
        }
    }

    function _emit(bytes32[] memory topics, bytes memory data) private {
        if (topics.length > 4) revert TooManyTopics(topics.length);
        assembly ("memory-safe") {
            let at := add(data, 32)
            let size := mload(data)
            let t := add(topics, 32)
            switch mload(topics)
            case 0 { log0(at, size) }
            case 1 { log1(at, size, mload(t)) }
            case 2 { log2(at, size, mload(t), mload(add(t, 32))) }
            case 3 { log3(at, size, mload(t), mload(add(t, 32)), mload(add(t, 64))) }
            case 4 { log4(at, size, mload(t), mload(add(t, 32)), mload(add(t, 64)), mload(add(t, 96))) }
        }
    }
}
