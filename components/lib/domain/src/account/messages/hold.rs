//! Holds: money set aside for an authorization that is not cleared yet.

use clearfold_kernel::{Address, Amount, ExternalId, Minor, Timestamp};
use serde::{Deserialize, Serialize};

use crate::network::{Country, FieldText, MerchantCategory, MerchantId, Network};

/// Places a hold: sets money aside for an authorization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PlaceHold {
    /// Id of the authorization that the hold belongs to. A repeat with the same content has no effect.
    pub hold_id: ExternalId,
    /// Amount to set aside, above zero.
    pub amount: Amount,
    /// True if the payment has happened already, so that the hold is placed regardless of the asset, the delay queue
    /// and the available balance.
    pub forced: bool,
    /// True if a part of the amount would do. If only a part is available, the refusal is `only_part_available` and
    /// says how much is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// True if a `Spend` of that amount that was seen before the network asked is not taken yet. If there is one, the
    /// refusal is `spend_matched` and names it. A forced hold takes none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unless_spent: bool,
    /// Numbers of the request that the hold is for (network, acquirer, STAN, retrieval reference, second of sending), by
    /// which a reversal finds it that lacks the network's id. If such a reversal came before, the refusal is `reversed`.
    /// Absent if the request does not state them all. No part of what tells two holds apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_by: Option<ExternalId>,
    /// Purchase that the hold is for, by which a clearing finds it that names no known payment. Absent if it is not known.
    /// No part of what tells two holds apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purchase: Option<Box<Purchase>>,
}

/// Purchase that a hold is for, as the network's request states it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Purchase {
    /// Id of the card.
    pub card_id: ExternalId,
    /// Merchant's id.
    pub merchant_id: MerchantId,
    /// Category of the merchant.
    pub category: MerchantCategory,
    /// Country of the merchant.
    pub country: Country,
    /// Network that carried the request.
    pub network: Network,
    /// Terminal. Absent if the request states none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<FieldText>,
    /// Time of the request, as stated by the network.
    pub requested_at: Timestamp,
}

/// Asks for the hold that was placed for a request, for a reversal that lacks the network's id. It is refused as
/// `hold_found`, and the detail is the hold's id, or as `hold_ambiguous` with several ids. If there is none, one that comes
/// later is prevented.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FindHold {
    /// Numbers of the request: network, acquirer, STAN, retrieval reference, second of sending.
    pub asked_by: ExternalId,
    /// Id of the reversal message.
    pub message_id: ExternalId,
    /// Amount that is reversed, in minor units. Absent if that is everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Minor>,
}

/// Raises a hold, because the authorization was incremented.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RaiseHold {
    /// Id of the authorization that the hold belongs to.
    pub hold_id: ExternalId,
    /// Id of the network message that raises the authorization. A repeat with the same content has no effect.
    pub change_id: ExternalId,
    /// Amount to set aside in addition, in the hold's asset and above zero.
    pub amount: Amount,
    /// True if the payment has happened already, so that the hold is raised regardless of the asset, the delay queue
    /// and the available balance.
    pub forced: bool,
}

/// Reason for which a hold is lowered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LowerCause {
    /// The authorization was reversed, in part or in full, or its increment was refused after the hold had been
    /// raised.
    Reversed,
    /// The authorization expired: no clearing came in time.
    Expired,
}

/// Lowers a hold: releases all or a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LowerHold {
    /// Id of the authorization that the hold belongs to.
    pub hold_id: ExternalId,
    /// Id of the change: that of the network message that caused it. Without such a message an id derived by the
    /// processor: `expired/…` for an expiry, `undone/…` for a raise that is taken back. A repeat with the same
    /// content has no effect.
    pub change_id: ExternalId,
    /// Amount to release, in minor units of the hold's asset: above zero and at most what is still held.
    pub amount: Minor,
    /// Reason for the release.
    pub cause: LowerCause,
}

/// Voids a hold, or prevents one that has not come yet. Has no effect on a forced hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct VoidHold {
    /// Id of the authorization that the hold belongs to. A repeat has no effect.
    pub hold_id: ExternalId,
}

/// Money was set aside for an authorization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HoldPlaced {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Id of the authorization that the hold belongs to.
    pub hold_id: ExternalId,
    /// Amount set aside.
    pub amount: Amount,
    /// True if the payment has happened already, so that the hold was placed regardless of the asset, the delay queue
    /// and the available balance.
    pub forced: bool,
    /// Time of the block of the `Spend` that the hold is for. Absent if somebody asked for the hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent_at: Option<Timestamp>,
    /// Id of the `Spend` whose money this is: it is held already, so what it holds counts as available. Absent if there
    /// is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spend_id: Option<ExternalId>,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
    /// Numbers of the request that the hold is for, by which a reversal finds it that lacks the network's id. Absent if
    /// they are not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_by: Option<ExternalId>,
    /// Purchase that the hold is for, by which a clearing finds it that names no known payment. Absent if it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purchase: Option<Box<Purchase>>,
}

/// A reversal came before the hold that it is of: a hold for the same request that comes later is refused, unless it is
/// forced, or the reversal is of less.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HoldPrevented {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Numbers of the request: network, acquirer, STAN, retrieval reference, second of sending.
    pub asked_by: ExternalId,
    /// Id of the reversal message.
    pub message_id: ExternalId,
    /// Amount that is reversed, in minor units. Absent if that is everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Minor>,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
}

/// More money was set aside for an authorization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HoldRaised {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Id of the authorization that the hold belongs to.
    pub hold_id: ExternalId,
    /// Id of the network message that raised the authorization.
    pub change_id: ExternalId,
    /// Amount set aside in addition.
    pub amount: Amount,
    /// True if the payment has happened already, so that the hold was raised regardless of the asset, the delay queue
    /// and the available balance.
    pub forced: bool,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
    /// Id of the `Spend` whose money this is: it is held already, so what it holds counts as available. Absent if there
    /// is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spend_id: Option<ExternalId>,
}

/// All or a part of a hold was released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HoldLowered {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Id of the authorization that the hold belongs to.
    pub hold_id: ExternalId,
    /// Id of the change: that of the network message that caused it. Without such a message an id derived by the
    /// processor: `expired/…` for an expiry, `undone/…` for a raise that is taken back.
    pub change_id: ExternalId,
    /// Amount released.
    pub amount: Amount,
    /// Reason for the release.
    pub cause: LowerCause,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
}

/// A hold was voided, or prevented before it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HoldVoided {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Id of the authorization that the hold belongs to.
    pub hold_id: ExternalId,
    /// Amount that was still held and is released. Absent if no hold had been placed: the event is then a tombstone,
    /// which makes the hold a no-op if it comes later, unless it is forced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<Amount>,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
}
