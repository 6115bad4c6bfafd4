//! Events of the contracts as they appear in logs, and validating decoders for them.

use alloy_sol_types::{SolEvent, sol};
use clearfold_kernel::{Address, Hash, Log};

sol! {
    event Spend(address asset, address account, address receiver, uint256 amount);
    event HashExecuted(bytes32 hash);
    event ExecutionFromModuleSuccess(address indexed module);
    event Transfer(address indexed from, address indexed to, uint256 value);
}

/// Zero address: `Transfer`s from it issue money, and those to it redeem money.
pub(super) const NOBODY: Address = Address([0; 20]);

/// Decoded `Spend`. `roles_module` is the field that the contract calls `account`.
pub(super) struct SpendLog {
    pub asset: Address,
    pub roles_module: Address,
    pub receiver: Address,
    pub minor: u128,
}

/// Decoded `Transfer`.
pub(super) struct TransferLog {
    pub from: Address,
    pub to: Address,
    pub minor: u128,
}

/// Reason why a log with a known signature could not be decoded.
pub(super) enum Unreadable {
    Malformed(String),
    TooLarge(String),
}

pub(super) fn spend_signature() -> Hash {
    Hash(Spend::SIGNATURE_HASH.0)
}

/// Signature of the log by which a spender says that it executed a signed call; the call's `Spend` comes behind it.
pub(super) fn execution_signature() -> Hash {
    Hash(HashExecuted::SIGNATURE_HASH.0)
}

pub(super) fn transfer_signature() -> Hash {
    Hash(Transfer::SIGNATURE_HASH.0)
}

pub(super) fn is_signed(log: &Log, signature: Hash) -> bool {
    log.topics.first() == Some(&signature)
}

pub(super) fn spend(log: &Log) -> Result<SpendLog, Unreadable> {
    let event: Spend = decode(log)?;
    Ok(SpendLog {
        asset: address(event.asset),
        roles_module: address(event.account),
        receiver: address(event.receiver),
        minor: minor(event.amount)?,
    })
}

pub(super) fn transfer(log: &Log) -> Result<TransferLog, Unreadable> {
    let event: Transfer = decode(log)?;
    Ok(TransferLog { from: address(event.from), to: address(event.to), minor: minor(event.value)? })
}

/// Returns the module that a Safe executed for; `None` for any other log.
pub(super) fn executing_module(log: &Log) -> Option<Address> {
    if !is_signed(log, Hash(ExecutionFromModuleSuccess::SIGNATURE_HASH.0)) {
        return None;
    }
    let event: ExecutionFromModuleSuccess = decode(log).ok()?;
    Some(address(event.module))
}

fn decode<E: SolEvent>(log: &Log) -> Result<E, Unreadable> {
    let topics = log.topics.iter().map(|topic| alloy_primitives::B256::from(topic.0));
    E::decode_raw_log_validate(topics, &log.data)
        .map_err(|error| Unreadable::Malformed(format!("not a {}: {error}", E::SIGNATURE)))
}

fn address(address: alloy_primitives::Address) -> Address {
    Address(address.into_array())
}

fn minor(amount: alloy_primitives::U256) -> Result<u128, Unreadable> {
    u128::try_from(amount).map_err(|_| Unreadable::TooLarge(format!("{amount} minor units exceed 2^128 - 1")))
}
