//! What can be asked of a card, and what can have happened to it.
//!
//! Every event names the account and the time, and enough of the payment that it can be projected without the
//! events before it.

use std::collections::BTreeSet;

use clearfold_kernel::{Address, Amount, ExternalId, Minor, Timestamp, messages};
use serde::{Deserialize, Serialize};

use super::rules::Rules;
use super::status::FreezeReason;
use crate::network::Merchant;
use crate::policy::DeclineReason;

messages! {
    /// What can be asked for.
    pub enum Command {
        /// An account gets a card.
        IssueCard = 1,
        /// The card stops paying for a reason.
        FreezeCard = 1,
        /// The reason is gone.
        UnfreezeCard = 1,
        /// The card stops paying for good.
        CloseCard = 1,
        /// Other rules hold from now on.
        SetRules = 1,
        /// May the card pay this? If so, it counts.
        ReserveSpend = 1,
        /// A reserved payment, or a part of it, is not made after all.
        ReleaseSpend = 1,
        /// The card has paid, whatever its rules say.
        RecordSpend = 1,
    }
}

messages! {
    /// What can have happened.
    pub enum Event {
        /// An account got a card.
        CardIssued = 1,
        /// The card stopped paying for a reason.
        CardFrozen = 1,
        /// A reason was gone.
        CardUnfrozen = 1,
        /// The card stopped paying for good.
        CardClosed = 1,
        /// Other rules hold.
        CardRulesSet = 1,
        /// A payment that the rules allow counts.
        SpendReserved = 1,
        /// A payment, or a part of it, counts no longer.
        SpendReleased = 1,
        /// A reservation was released before it came. It will count for nothing.
        ReservationVoided = 1,
        /// A payment that nobody could decline counts.
        SpendRecorded = 1,
    }
}

/// How much of a reservation is released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Portion {
    /// All that is left of it.
    Everything,
    /// That many minor units of its asset.
    Part(Minor),
}

/// An account gets a card, active at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct IssueCard {
    /// The Safe that it pays from.
    pub account: Address,
    /// What it may pay.
    pub rules: Rules,
}

/// The card stops paying for a reason. Several reasons can hold at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FreezeCard {
    /// Why.
    pub reason: FreezeReason,
}

/// A reason for a freeze is gone. The card pays again when it was the last one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UnfreezeCard {
    /// Which.
    pub reason: FreezeReason,
}

/// The card stops paying for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CloseCard {}

/// Other rules hold from now on, for what was counted before as well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SetRules {
    /// All of them.
    pub rules: Rules,
}

/// May the card pay this? If so, it counts against the rules at once. The refusal's code is the decline reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReserveSpend {
    /// The network's id of the message that asks. The same id is the same reservation.
    pub reservation_id: ExternalId,
    /// The payment. An increment is another reservation of the same payment.
    pub authorization_id: ExternalId,
    /// How much.
    pub amount: Amount,
    /// To whom.
    pub merchant: Merchant,
}

/// A reserved payment, or a part of it, is not made after all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReleaseSpend {
    /// The reservation.
    pub reservation_id: ExternalId,
    /// The id of this release. The same id is the same release of that reservation.
    pub release_id: ExternalId,
    /// How much of it.
    pub amount: Portion,
}

/// The card has paid, whatever its rules say: seen on chain first, or approved by a stand-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RecordSpend {
    /// The id of the message or the log that says so. The same id is the same payment.
    pub reservation_id: ExternalId,
    /// The payment.
    pub authorization_id: ExternalId,
    /// How much.
    pub amount: Amount,
    /// To whom; left out where it is not known, as on chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merchant: Option<Merchant>,
}

/// An account got a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CardIssued {
    /// The Safe that it pays from.
    pub account: Address,
    /// What it may pay.
    pub rules: Rules,
    /// When.
    pub at: Timestamp,
}

/// The card stopped paying for a reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CardFrozen {
    /// The Safe that it pays from.
    pub account: Address,
    /// Why.
    pub reason: FreezeReason,
    /// When.
    pub at: Timestamp,
}

/// A reason for a freeze was gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CardUnfrozen {
    /// The Safe that it pays from.
    pub account: Address,
    /// Which.
    pub reason: FreezeReason,
    /// The reasons that still hold. The card pays again if there is none.
    pub still_frozen_for: BTreeSet<FreezeReason>,
    /// When.
    pub at: Timestamp,
}

/// The card stopped paying for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CardClosed {
    /// The Safe that it paid from.
    pub account: Address,
    /// When.
    pub at: Timestamp,
}

/// Other rules hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CardRulesSet {
    /// The Safe that it pays from.
    pub account: Address,
    /// All of them.
    pub rules: Rules,
    /// When.
    pub at: Timestamp,
}

/// A payment that the rules allow counts against them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SpendReserved {
    /// The Safe that pays.
    pub account: Address,
    /// The network's id of the message that asked.
    pub reservation_id: ExternalId,
    /// The payment.
    pub authorization_id: ExternalId,
    /// How much.
    pub amount: Amount,
    /// To whom.
    pub merchant: Merchant,
    /// When, and so on which day it counts.
    pub at: Timestamp,
}

/// A payment, or a part of it, counts no longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SpendReleased {
    /// The Safe that would have paid.
    pub account: Address,
    /// The reservation.
    pub reservation_id: ExternalId,
    /// The id of this release.
    pub release_id: ExternalId,
    /// The payment.
    pub authorization_id: ExternalId,
    /// How much was released.
    pub amount: Amount,
    /// How much of the reservation still counts.
    pub remaining: Minor,
    /// The merchant's id, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merchant_id: Option<ExternalId>,
    /// When it was reserved: the day that gets the amount back.
    pub reserved_at: Timestamp,
    /// When it was released.
    pub at: Timestamp,
}

/// A reservation was released before it came. When it comes, it counts for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReservationVoided {
    /// The Safe that would have paid.
    pub account: Address,
    /// The reservation.
    pub reservation_id: ExternalId,
    /// The id of the release.
    pub release_id: ExternalId,
    /// When.
    pub at: Timestamp,
}

/// A payment that nobody could decline counts against the rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SpendRecorded {
    /// The Safe that paid.
    pub account: Address,
    /// The id of the message or the log that said so.
    pub reservation_id: ExternalId,
    /// The payment.
    pub authorization_id: ExternalId,
    /// How much.
    pub amount: Amount,
    /// To whom, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merchant: Option<Merchant>,
    /// Every reason for which it would have been declined, in the order in which they are checked.
    pub flags: Vec<DeclineReason>,
    /// When it was recorded, and so on which day it counts.
    pub at: Timestamp,
}
