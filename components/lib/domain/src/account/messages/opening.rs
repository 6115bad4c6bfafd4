//! Opening an account, and the state of its delay queue.

use clearfold_kernel::{Address, Asset, ChainSource, Timestamp};
use serde::{Deserialize, Serialize};

/// Opens an account for a customer's Safe, or names the assets of one that a fact opened, once.
///
/// The stream's id is the Safe's address in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OpenAccount {
    /// Assets in which the account's cards pay: at least one, each named once. Movements in other assets are booked
    /// as well, but a hold in one of them is refused unless it is forced.
    pub assets: Vec<Asset>,
}

/// An account was opened for a customer's Safe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AccountOpened {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Assets in which the account's cards pay. If a fact opened the account, that fact's asset.
    pub assets: Vec<Asset>,
    /// Cause of the opening.
    pub opened_by: Opener,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
}

/// Cause of an account's opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Opener {
    /// An operator, who named the assets.
    Operator,
    /// A fact that had to be booked: a deposit, a withdrawal or a payment. An operator may name the assets later.
    Fact,
}

/// An operator named the assets of an account that a fact had opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AssetsNamed {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Assets in which the account's cards pay from now on, in place of the fact's.
    pub assets: Vec<Asset>,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
}

/// State of the account's delay module, whose transactions could take money out within minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DelayQueue {
    /// No transaction waits.
    Empty,
    /// At least one transaction waits; holds are refused unless they are forced.
    Waiting,
}

/// Reports the state of the delay queue. Accepted only from the chain reader (actor `chain`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ObserveDelayQueue {
    /// State of the delay queue after the log.
    pub state: DelayQueue,
    /// Log in which the state was seen. A repeat with the same content has no effect.
    pub source: ChainSource,
}

/// The state of the delay queue was observed on chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DelayQueueChanged {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// State of the delay queue after the log.
    pub state: DelayQueue,
    /// Log in which the state was seen.
    pub source: ChainSource,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
}
