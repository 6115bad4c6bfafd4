//! `Spend`s that somebody else submitted: each is matched with the payment that the network asked for.

use clearfold_kernel::{Address, Amount, ChainSource, ExternalId, Minor, Timestamp};
use serde::{Deserialize, Serialize};

use crate::network::MatchBasis;

/// Matches a `Spend` with a payment whose money was not pulled, or holds its amount until the network's part comes.
/// Accepted only from the chain reader (actor `chain`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MatchSpend {
    /// Id of the payment that begins with the `Spend`. A repeat has no effect.
    pub spend_id: ExternalId,
    /// Amount that was spent.
    pub amount: Amount,
    /// Time of the block that contains the `Spend`.
    pub occurred_at: Timestamp,
}

/// Asks for a `Spend` that was seen before the network's payment: it is refused as `spend_matched`, and the detail is the
/// reason and the `Spend`'s id. Without effect if there is none. The `Spend`'s own stream decides if it is linked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FindSpend {
    /// Id of the payment.
    pub payment_id: ExternalId,
    /// Amount that is due.
    pub amount: Amount,
}

/// Asks for the payment that a `Spend` was matched with: it is refused as `spend_matched`, and the detail is the reason and
/// the payment's id. Without effect if there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReadMatch {
    /// Id of the payment that begins with the `Spend`.
    pub spend_id: ExternalId,
}

/// Moves the money of a `Spend` to the payment that it is linked to, or back. Accepted only from the chain reader (actor
/// `chain`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MoveFunding {
    /// Id of the payment that begins with the `Spend`.
    pub spend_id: ExternalId,
    /// Id of the payment that it is linked to.
    pub payment_id: ExternalId,
    /// Number of the link among those of the `Spend`, from 1. Each is made once and undone once.
    pub link: u32,
    /// True if the block of the `Spend` is gone, so that no money moves. Absent if it is there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_gone: bool,
    /// Direction of the move.
    pub to: FundedBy,
    /// Amount to hold for the `Spend` when its money comes back, in minor units. Absent for nothing.
    #[serde(default, skip_serializing_if = "Minor::is_zero")]
    pub held: Minor,
    /// Amount that was spent.
    pub amount: Amount,
    /// Position of the `Spend` log on chain.
    pub source: ChainSource,
}

/// Side to which the money of a linked `Spend` belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FundedBy {
    /// The payment that it is linked to.
    Payment,
    /// The payment that begins with it.
    Spend,
}

/// A `Spend` was found to be the money of a payment that the network had asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SpendMatched {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Id of the payment that begins with the `Spend`.
    pub spend_id: ExternalId,
    /// Id of the payment that the network asked for.
    pub payment_id: ExternalId,
    /// Amount that was spent.
    pub amount: Amount,
    /// Reason for the match.
    pub basis: MatchBasis,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
}

/// The money of a `Spend` was moved between the payment that begins with it and the one that it is linked to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FundingMoved {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Id of the payment that begins with the `Spend`.
    pub spend_id: ExternalId,
    /// Id of the payment that it is linked to.
    pub payment_id: ExternalId,
    /// Number of the link among those of the `Spend`, from 1. Each is made once and undone once.
    pub link: u32,
    /// Side to which the money belongs now.
    pub to: FundedBy,
    /// Amount that was spent.
    pub amount: Amount,
    /// Part of it that was pulled for the one side and counts for the other now, in minor units. Absent for nothing: its
    /// block is gone.
    #[serde(default, skip_serializing_if = "Minor::is_zero")]
    pub moved: Minor,
    /// Part of it that the `Spend` held and holds no more, or holds again, in minor units. Absent for nothing.
    #[serde(default, skip_serializing_if = "Minor::is_zero")]
    pub held: Minor,
    /// Position of the `Spend` log on chain.
    pub source: ChainSource,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
}
