//! Holds: money set aside for an authorization that is not cleared yet.

use clearfold_kernel::{Address, Amount, ExternalId, Minor, Timestamp};
use serde::{Deserialize, Serialize};

/// Sets money aside for an authorization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PlaceHold {
    /// The authorization's id.
    pub hold_id: ExternalId,
    /// How much.
    pub amount: Amount,
    /// Whether it cannot be refused for funds: the payment has happened already.
    pub forced: bool,
}

/// Sets more aside: the authorization was incremented.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RaiseHold {
    /// The authorization's id.
    pub hold_id: ExternalId,
    /// The network's id of the message that changes it.
    pub change_id: ExternalId,
    /// How much more.
    pub amount: Amount,
    /// Whether it cannot be refused for funds: the payment has happened already.
    pub forced: bool,
}

/// Why less is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LowerCause {
    /// The authorization was reversed, in part or in full.
    Reversed,
    /// No clearing came in time.
    Expired,
}

/// Sets less aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LowerHold {
    /// The authorization's id.
    pub hold_id: ExternalId,
    /// The network's id of the message that changes it.
    pub change_id: ExternalId,
    /// How much less.
    pub amount: Minor,
    /// Why.
    pub cause: LowerCause,
}

/// Undoes a hold, or prevents the one that is still to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct VoidHold {
    /// The authorization's id.
    pub hold_id: ExternalId,
}

/// Money was set aside for an authorization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HoldPlaced {
    /// The customer's Safe.
    pub account: Address,
    /// The authorization's id.
    pub hold_id: ExternalId,
    /// How much.
    pub amount: Amount,
    /// Whether it cannot be refused for funds: the payment has happened already.
    pub forced: bool,
    /// When the host accepted it.
    pub at: Timestamp,
}

/// More was set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HoldRaised {
    /// The customer's Safe.
    pub account: Address,
    /// The authorization's id.
    pub hold_id: ExternalId,
    /// The network's id of the message that changes it.
    pub change_id: ExternalId,
    /// How much more.
    pub amount: Amount,
    /// Whether it cannot be refused for funds: the payment has happened already.
    pub forced: bool,
    /// When the host accepted it.
    pub at: Timestamp,
}

/// Less is set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HoldLowered {
    /// The customer's Safe.
    pub account: Address,
    /// The authorization's id.
    pub hold_id: ExternalId,
    /// The network's id of the message that changes it.
    pub change_id: ExternalId,
    /// How much less.
    pub amount: Amount,
    /// Why.
    pub cause: LowerCause,
    /// When the host accepted it.
    pub at: Timestamp,
}

/// A hold was undone, or prevented before it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HoldVoided {
    /// The customer's Safe.
    pub account: Address,
    /// The authorization's id.
    pub hold_id: ExternalId,
    /// What it still held. Nothing is said of a hold that had not come: this is its tombstone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<Amount>,
    /// When the host accepted it.
    pub at: Timestamp,
}
