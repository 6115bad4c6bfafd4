//! Movements of money on chain: between the Safe and other addresses, and between the Safe and the processor.

use clearfold_kernel::{Address, Amount, ChainSource, ExternalId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::account::ledger::Transfer;

/// Records money that came to the Safe. Accepted only from the chain reader (actor `chain`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RecordDeposit {
    /// Amount deposited.
    pub amount: Amount,
    /// `Transfer` log at the asset's canonical address in which the deposit was seen. A repeat with the same content
    /// has no effect.
    pub source: ChainSource,
    /// Time of the block that contains the log.
    pub occurred_at: Timestamp,
}

/// Reverts a deposit whose block was reorganized away. Accepted only from the chain reader (actor `chain`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RevertDeposit {
    /// Log of the deposit that is reverted.
    pub source: ChainSource,
}

/// Records money that the customer took out of the Safe. Accepted only from the chain reader (actor `chain`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RecordWithdrawal {
    /// Amount withdrawn.
    pub amount: Amount,
    /// `Transfer` log at the asset's canonical address in which the withdrawal was seen. A repeat with the same
    /// content has no effect.
    pub source: ChainSource,
    /// Time of the block that contains the log.
    pub occurred_at: Timestamp,
}

/// Reverts a withdrawal whose block was reorganized away. Accepted only from the chain reader (actor `chain`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RevertWithdrawal {
    /// Log of the withdrawal that is reverted.
    pub source: ChainSource,
}

/// Stage that the pull of an authorization's money has reached on chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FundingStep {
    /// The transfer is in a block, which is not final yet.
    Included,
    /// The transfer's block is final.
    Finalized,
    /// The transfer's block was reorganized away.
    Reorged,
}

/// Books a stage of one funding leg: a transfer that pulls an authorization's money from the Safe. Accepted only from
/// the chain reader (actor `chain`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BookFunding {
    /// Id of the authorization that is funded.
    pub hold_id: ExternalId,
    /// Stage that the leg has reached.
    pub step: FundingStep,
    /// Amount of the leg, the same for each of its stages.
    pub amount: Amount,
    /// `Transfer` log of the leg, the same for each of its stages.
    pub source: ChainSource,
}

/// Records pulled money that was sent back to the Safe, as after a reversal. Accepted only from the chain reader
/// (actor `chain`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RecordReturn {
    /// Amount sent back.
    pub amount: Amount,
    /// `Transfer` log at the asset's canonical address in which the return was seen. A repeat with the same content
    /// has no effect.
    pub source: ChainSource,
}

/// Money came to the Safe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Deposited {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Amount deposited.
    pub amount: Amount,
    /// `Transfer` log at the asset's canonical address in which the deposit was seen.
    pub source: ChainSource,
    /// Time of the block that contains the log.
    pub occurred_at: Timestamp,
    /// Transfers that the event books in the account's ledger, set by the decider.
    pub transfers: Vec<Transfer>,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
}

/// A deposit was reverted, because its block was reorganized away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DepositReorged {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Amount that had been deposited.
    pub amount: Amount,
    /// Log of the deposit.
    pub source: ChainSource,
    /// Transfers that the event books in the account's ledger, set by the decider.
    pub transfers: Vec<Transfer>,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
}

/// The customer took money out of the Safe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Withdrawn {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Amount withdrawn.
    pub amount: Amount,
    /// `Transfer` log at the asset's canonical address in which the withdrawal was seen.
    pub source: ChainSource,
    /// Time of the block that contains the log.
    pub occurred_at: Timestamp,
    /// Transfers that the event books in the account's ledger, set by the decider.
    pub transfers: Vec<Transfer>,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
}

/// A withdrawal was reverted, because its block was reorganized away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WithdrawalReorged {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Amount that had been withdrawn.
    pub amount: Amount,
    /// Log of the withdrawal.
    pub source: ChainSource,
    /// Transfers that the event books in the account's ledger, set by the decider.
    pub transfers: Vec<Transfer>,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
}

/// A leg of an authorization's funding reached its next stage on chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FundingBooked {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Id of the authorization that is funded.
    pub hold_id: ExternalId,
    /// Stage that the leg has reached.
    pub step: FundingStep,
    /// Amount of the leg.
    pub amount: Amount,
    /// `Transfer` log of the leg, the same for each of its stages.
    pub source: ChainSource,
    /// Transfers that the event books in the account's ledger, set by the decider.
    pub transfers: Vec<Transfer>,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
}

/// Pulled money was sent back to the Safe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Returned {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Amount sent back.
    pub amount: Amount,
    /// `Transfer` log at the asset's canonical address in which the return was seen.
    pub source: ChainSource,
    /// Transfers that the event books in the account's ledger, set by the decider.
    pub transfers: Vec<Transfer>,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
}
