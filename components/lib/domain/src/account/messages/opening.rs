//! Opening an account, and the state of its delay queue.

use clearfold_kernel::{Address, Asset, ChainSource, Timestamp};
use serde::{Deserialize, Serialize};

/// A customer's Safe becomes an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OpenAccount {
    /// What its cards pay in. What happens in another asset is booked all the same.
    pub assets: Vec<Asset>,
}

/// A customer's Safe became an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AccountOpened {
    /// The customer's Safe.
    pub account: Address,
    /// What its cards pay in.
    pub assets: Vec<Asset>,
    /// When the host accepted it.
    pub at: Timestamp,
}

/// Whether transactions wait in the account's delay module, which could take money out in minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DelayQueue {
    /// None waits.
    Empty,
    /// At least one waits.
    Waiting,
}

/// The delay queue was seen on chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ObserveDelayQueue {
    /// What it is now.
    pub state: DelayQueue,
    /// The log.
    pub source: ChainSource,
}

/// The delay queue was seen on chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DelayQueueChanged {
    /// The customer's Safe.
    pub account: Address,
    /// What it is now.
    pub state: DelayQueue,
    /// The log.
    pub source: ChainSource,
    /// When the host accepted it.
    pub at: Timestamp,
}
