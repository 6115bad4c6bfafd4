//! Money that comes back to the customer: refunds and disputes.

use clearfold_kernel::{Address, Amount, ChainSource, ExternalId, Minor, Timestamp};
use serde::{Deserialize, Serialize};

use crate::account::ledger::Transfer;
use crate::network::RefundOutcome;

/// Whether a refund names its payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RefundLink {
    /// It does.
    Linked,
    /// It does not, and nobody guesses.
    Unlinked,
}

/// A merchant gives money back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BookRefund {
    /// The refund's id.
    pub refund_id: ExternalId,
    /// How much.
    pub amount: Amount,
    /// Whether its payment is known.
    pub link: RefundLink,
    /// The `Transfer` log, if it came back on chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<ChainSource>,
}

/// A merchant gave money back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RefundBooked {
    /// The customer's Safe.
    pub account: Address,
    /// The refund's id.
    pub refund_id: ExternalId,
    /// How much.
    pub amount: Amount,
    /// Whether its payment is known.
    pub link: RefundLink,
    /// The `Transfer` log, if it came back on chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<ChainSource>,
    /// What it moves in the ledger.
    pub transfers: Vec<Transfer>,
    /// When the host accepted it.
    pub at: Timestamp,
}

/// Somebody found out who pays for an unlinked refund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ResolveRefund {
    /// The refund's id.
    pub refund_id: ExternalId,
    /// Who it is.
    pub outcome: RefundOutcome,
}

/// An unlinked refund was paid or taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RefundResolved {
    /// The customer's Safe.
    pub account: Address,
    /// The refund's id.
    pub refund_id: ExternalId,
    /// Who turned out to pay.
    pub outcome: RefundOutcome,
    /// How much was in suspense.
    pub amount: Amount,
    /// What it moves in the ledger.
    pub transfers: Vec<Transfer>,
    /// When the host accepted it.
    pub at: Timestamp,
}

/// What a dispute does to the customer's money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DisputeStep {
    /// The customer is credited until it is decided.
    Provisional,
    /// The customer gets the money.
    Won,
    /// The customer does not.
    Lost,
}

/// A dispute was credited provisionally, won or lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BookDispute {
    /// The authorization's id.
    pub hold_id: ExternalId,
    /// The dispute's id, which is its payment's own: another payment may have one of the same id.
    pub dispute_id: ExternalId,
    /// What became of it.
    pub step: DisputeStep,
    /// How much is disputed.
    pub amount: Amount,
    /// How much of that the customer gets, in minor units of the same asset. If it is not said: all that was won.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awarded: Option<Minor>,
}

/// A dispute was credited provisionally, won or lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DisputeBooked {
    /// The customer's Safe.
    pub account: Address,
    /// The authorization's id.
    pub hold_id: ExternalId,
    /// The dispute's id, which is its payment's own: another payment may have one of the same id.
    pub dispute_id: ExternalId,
    /// What became of it.
    pub step: DisputeStep,
    /// How much is disputed.
    pub amount: Amount,
    /// How much of that the customer gets, in minor units of the same asset. If it is not said: all that was won.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awarded: Option<Minor>,
    /// What it moves in the ledger.
    pub transfers: Vec<Transfer>,
    /// When the host accepted it.
    pub at: Timestamp,
}
