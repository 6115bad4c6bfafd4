// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title The token functions that a payment needs; one interface for both addresses of EURe.
interface IToken {
    event Transfer(address indexed from, address indexed to, uint256 amount);

    error InsufficientBalance(address account, uint256 balance, uint256 needed);
    error TransferRefused(address from, address to);
    error NotAuthorized(address caller);

    function transfer(address to, uint256 amount) external returns (bool);
    function balanceOf(address account) external view returns (uint256);
}

/// @title Decides for every movement whether the issuer allows it, modelled on Monerium's validator.
/// @notice Anyone may call it; only the token acts on the result.
contract Validator {
    event Decision(address indexed from, address indexed to, uint256 amount, bool valid);

    error NotAuthorized(address caller);

    address public immutable owner = msg.sender;
    mapping(address => bool) public banned;

    function setBanned(address account, bool isBanned) external {
        if (msg.sender != owner) revert NotAuthorized(msg.sender);
        banned[account] = isBanned;
    }

    function validate(address from, address to, uint256 amount) external returns (bool valid) {
        valid = !banned[from] && !banned[to];
        emit Decision(from, to, amount, valid);
    }
}

/// @title EURe at its current address: it holds the balances and has V1 repeat each `Transfer`.
/// @notice No approvals: neither swipes nor refunds use them.
contract EUReV2 is IToken {
    string public constant name = "Monerium EUR emoney";
    string public constant symbol = "EURe";
    uint8 public constant decimals = 18;

    address public immutable owner = msg.sender;
    Validator public immutable validator;
    EUReV1 public immutable v1;

    uint256 public totalSupply;
    mapping(address => uint256) public balanceOf;

    constructor(Validator validator_) {
        validator = validator_;
        v1 = new EUReV1();
    }

    function mint(address to, uint256 amount) external {
        if (msg.sender != owner) revert NotAuthorized(msg.sender);
        totalSupply += amount;
        balanceOf[to] += amount;
        _announce(address(0), to, amount);
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        return _move(msg.sender, to, amount);
    }

    /// @notice Executes a transfer that `from` requested at V1.
    function transferFor(address from, address to, uint256 amount) external returns (bool) {
        if (msg.sender != address(v1)) revert NotAuthorized(msg.sender);
        return _move(from, to, amount);
    }

    function _move(address from, address to, uint256 amount) private returns (bool) {
        if (!validator.validate(from, to, amount)) revert TransferRefused(from, to);
        uint256 balance = balanceOf[from];
        if (balance < amount) revert InsufficientBalance(from, balance, amount);
        balanceOf[from] = balance - amount;
        balanceOf[to] += amount;
        _announce(from, to, amount);
        return true;
    }

    /// @dev Logs here first, then at V1: one movement of money, two logs.
    function _announce(address from, address to, uint256 amount) private {
        emit Transfer(from, to, amount);
        v1.mirror(from, to, amount);
    }
}

/// @title EURe at its old address: a front for V2 that holds nothing itself.
contract EUReV1 is IToken {
    string public constant name = "Monerium EUR emoney";
    string public constant symbol = "EURe";
    uint8 public constant decimals = 18;

    EUReV2 public immutable v2 = EUReV2(msg.sender);

    function transfer(address to, uint256 amount) external returns (bool) {
        return v2.transferFor(msg.sender, to, amount);
    }

    function mirror(address from, address to, uint256 amount) external {
        if (msg.sender != address(v2)) revert NotAuthorized(msg.sender);
        emit Transfer(from, to, amount);
    }

    function balanceOf(address account) external view returns (uint256) {
        return v2.balanceOf(account);
    }

    function totalSupply() external view returns (uint256) {
        return v2.totalSupply();
    }
}
