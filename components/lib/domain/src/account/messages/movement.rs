//! Money that moves between the Safe and the rest of the world, or between the Safe and the processor, on chain.

use clearfold_kernel::{Address, Amount, ChainSource, ExternalId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::account::ledger::Transfer;

/// Money came to the Safe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RecordDeposit {
    /// How much.
    pub amount: Amount,
    /// The asset's canonical `Transfer` log.
    pub source: ChainSource,
    /// The block's time.
    pub occurred_at: Timestamp,
}

/// The block of a deposit was reorganized away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RevertDeposit {
    /// The deposit's log.
    pub source: ChainSource,
}

/// The customer took money out of the Safe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RecordWithdrawal {
    /// How much.
    pub amount: Amount,
    /// The asset's canonical `Transfer` log.
    pub source: ChainSource,
    /// The block's time.
    pub occurred_at: Timestamp,
}

/// The block of a withdrawal was reorganized away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RevertWithdrawal {
    /// The withdrawal's log.
    pub source: ChainSource,
}

/// How far the pull of an authorization's money has come on chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FundingStep {
    /// It is in a block.
    Included,
    /// Its block is final.
    Finalized,
    /// Its block was reorganized away.
    Reorged,
}

/// An authorization's money was pulled from the Safe: one leg of it, one step further.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BookFunding {
    /// The authorization's id.
    pub hold_id: ExternalId,
    /// How far it has come.
    pub step: FundingStep,
    /// How much.
    pub amount: Amount,
    /// The leg's `Transfer` log, the same for each of its steps.
    pub source: ChainSource,
}

/// Pulled money was sent back to the Safe, as after a reversal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RecordReturn {
    /// How much.
    pub amount: Amount,
    /// The asset's canonical `Transfer` log.
    pub source: ChainSource,
}

/// Money came to the Safe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Deposited {
    /// The customer's Safe.
    pub account: Address,
    /// How much.
    pub amount: Amount,
    /// The asset's canonical `Transfer` log.
    pub source: ChainSource,
    /// The block's time.
    pub occurred_at: Timestamp,
    /// What it moves in the ledger.
    pub transfers: Vec<Transfer>,
    /// When the host accepted it.
    pub at: Timestamp,
}

/// A deposit's block was reorganized away, and the deposit with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DepositReorged {
    /// The customer's Safe.
    pub account: Address,
    /// How much was deposited.
    pub amount: Amount,
    /// The deposit's log.
    pub source: ChainSource,
    /// What it moves in the ledger.
    pub transfers: Vec<Transfer>,
    /// When the host accepted it.
    pub at: Timestamp,
}

/// The customer took money out of the Safe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Withdrawn {
    /// The customer's Safe.
    pub account: Address,
    /// How much.
    pub amount: Amount,
    /// The asset's canonical `Transfer` log.
    pub source: ChainSource,
    /// The block's time.
    pub occurred_at: Timestamp,
    /// What it moves in the ledger.
    pub transfers: Vec<Transfer>,
    /// When the host accepted it.
    pub at: Timestamp,
}

/// A withdrawal's block was reorganized away, and the withdrawal with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WithdrawalReorged {
    /// The customer's Safe.
    pub account: Address,
    /// How much was withdrawn.
    pub amount: Amount,
    /// The withdrawal's log.
    pub source: ChainSource,
    /// What it moves in the ledger.
    pub transfers: Vec<Transfer>,
    /// When the host accepted it.
    pub at: Timestamp,
}

/// A leg of an authorization's funding went one step further.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FundingBooked {
    /// The customer's Safe.
    pub account: Address,
    /// The authorization's id.
    pub hold_id: ExternalId,
    /// How far it has come.
    pub step: FundingStep,
    /// How much.
    pub amount: Amount,
    /// The leg's `Transfer` log.
    pub source: ChainSource,
    /// What it moves in the ledger.
    pub transfers: Vec<Transfer>,
    /// When the host accepted it.
    pub at: Timestamp,
}

/// Pulled money was sent back to the Safe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Returned {
    /// The customer's Safe.
    pub account: Address,
    /// How much.
    pub amount: Amount,
    /// The asset's canonical `Transfer` log.
    pub source: ChainSource,
    /// What it moves in the ledger.
    pub transfers: Vec<Transfer>,
    /// When the host accepted it.
    pub at: Timestamp,
}
