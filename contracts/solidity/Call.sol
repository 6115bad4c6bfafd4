// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// The address has no code. A call to it would succeed and do nothing.
error NoContract(address to);

/// @dev Calls `to`, and reverts with the same reason when it reverts: an error that arises in the token reaches the
/// relayer, however many contracts lie between.
function callOrRevert(address to, uint256 value, bytes memory data) {
    if (to.code.length == 0) revert NoContract(to);
    (bool success, bytes memory reason) = to.call{value: value}(data);
    if (!success) {
        assembly ("memory-safe") {
            revert(add(reason, 32), mload(reason))
        }
    }
}
