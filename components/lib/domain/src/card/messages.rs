//! Commands to a card, and its events.
//!
//! Every event names the account and the time, and enough of the payment to be projected without earlier events.

use std::collections::BTreeSet;

use clearfold_kernel::{Address, Amount, ExternalId, Minor, Timestamp, messages};
use serde::{Deserialize, Serialize};

use super::expiry::ExpiryMonth;
use super::rules::Rules;
use super::status::{CloseCause, FreezeReason};
use crate::network::{Merchant, MerchantId, TransactionType};
use crate::policy::DeclineReason;
use crate::verification::CardChecks;

messages! {
    /// Commands to a card.
    pub enum Command {
        /// Issues a card to an account.
        IssueCard = 1,
        /// Freezes the card for a reason.
        FreezeCard = 1,
        /// Lifts one reason for a freeze.
        UnfreezeCard = 1,
        /// Closes the card permanently.
        CloseCard = 1,
        /// Replaces the card's rules.
        SetRules = 1,
        /// Asks whether the card may pay an amount; if so, reserves it.
        ReserveSpend = 1,
        /// Releases a reservation, or a part of it.
        ReleaseSpend = 1,
        /// Records a payment that could not be declined.
        RecordSpend = 1,
        /// Releases an amount of a payment's reservations.
        ReleasePayment = 1,
        /// Renews the card until another month.
        RenewCard = 1,
        /// Counts a wrong PIN that the network reports with a request.
        RecordPinFailure = 1,
        /// Begins the count of wrong PINs anew.
        ResetPinTries = 1,
    }
}

messages! {
    /// Events of a card.
    pub enum Event {
        /// Card issued to an account.
        CardIssued = 1,
        /// Card frozen for a reason.
        CardFrozen = 1,
        /// One reason for the card's freeze was lifted.
        CardUnfrozen = 1,
        /// Card closed permanently.
        CardClosed = 1,
        /// Rules of the card replaced.
        CardRulesSet = 1,
        /// Amount reserved: it counts against the card's rules.
        SpendReserved = 1,
        /// Reservation released, in full or in part.
        SpendReleased = 1,
        /// Reservation released before it arrived; if it arrives later, it has no effect.
        ReservationVoided = 1,
        /// Payment recorded that could not be declined.
        SpendRecorded = 1,
        /// Card renewed until another month.
        CardRenewed = 1,
        /// Wrong PIN counted.
        PinFailed = 1,
        /// Count of wrong PINs begun anew.
        PinTriesReset = 1,
    }
}

/// Portion of a reservation that is released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Portion {
    /// All that is left of the reservation.
    Everything,
    /// This number of minor units of the reservation's asset.
    Part(Minor),
}

/// Issues a card to an account. The card is active at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct IssueCard {
    /// Address of the Safe that the card pays from.
    pub account: Address,
    /// Rules that limit what the card may pay.
    pub rules: Rules,
    /// Last month in which the card pays. Absent if it does not expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<ExpiryMonth>,
}

/// Freezes the card for a reason. Several reasons can apply at once; the card declines payments while one does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FreezeCard {
    /// Reason for the freeze.
    pub reason: FreezeReason,
}

/// Lifts one reason for a freeze. The card pays again if it was the last one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UnfreezeCard {
    /// Reason that no longer applies.
    pub reason: FreezeReason,
}

/// Closes the card permanently. It cannot be reopened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CloseCard {
    /// Loss or theft, if that is why. Absent if it is not: then the network is told only that the card is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<CloseCause>,
}

/// Renews the card: it pays until the end of another, later month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RenewCard {
    /// Last month in which the card pays.
    pub expires: ExpiryMonth,
}

/// Counts a wrong PIN that the network reports with a request. The saga sends it before it asks the card for the
/// payment, so that requests which come together have no more tries than those which come one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RecordPinFailure {
    /// Id of the payment that was asked for with the wrong PIN. A payment is asked for once, so a repeat is the same
    /// wrong PIN.
    pub authorization_id: ExternalId,
}

/// Begins the count of wrong PINs anew: the card takes the PIN again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ResetPinTries {}

/// Replaces all of the card's rules. The new rules also apply to payments that were counted before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SetRules {
    /// Complete new rules; they replace the old ones.
    pub rules: Rules,
}

/// Asks whether the card may make a payment; if so, reserves the amount, which counts against the rules at once. The
/// code of a rejection is the decline reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReserveSpend {
    /// Id of the payment, a slash, and the id of the network's message that asks. A repeat with the same id is the same
    /// reservation. Earlier versions sent the message's id alone.
    pub reservation_id: ExternalId,
    /// Id of the payment. An increment is another reservation of the same payment.
    pub authorization_id: ExternalId,
    /// Amount to reserve.
    pub amount: Amount,
    /// Merchant that asks for the payment.
    pub merchant: Merchant,
    /// Results of the checks of card and holder. Absent if the network states none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<CardChecks>,
    /// Type of the transaction. Absent if the network states none: then it is that of the payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction_type: Option<TransactionType>,
}

/// Releases a reservation, or a part of it, because it is not paid after all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReleaseSpend {
    /// Id of the reservation.
    pub reservation_id: ExternalId,
    /// Id of this release. A repeat with the same id is the same release of that reservation.
    pub release_id: ExternalId,
    /// Portion of the reservation to release.
    pub amount: Portion,
}

/// Releases an amount of a payment's reservations, one after the other, and no more of each than is left of it. Whatever
/// became of the payment, less of it is paid than was reserved: a reversal, an expiry, or a last clearing below the hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReleasePayment {
    /// Id of the payment. Reservations of another payment are left alone.
    pub authorization_id: ExternalId,
    /// Ids of the payment's reservations, in the order in which they are released.
    pub reservations: Vec<ExternalId>,
    /// Id of this release. A repeat with the same id is the same release.
    pub release_id: ExternalId,
    /// Portion of what is left of all of them.
    pub amount: Portion,
}

/// Records a payment that could not be declined: it was seen on chain first, or a stand-in approved it. It counts
/// against the rules even if it breaks them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RecordSpend {
    /// Id of the payment, a slash, and the id of the network's message or clearing that reports it. A repeat with the same
    /// id is the same. Earlier versions sent the message's id alone.
    pub reservation_id: ExternalId,
    /// Id of the payment.
    pub authorization_id: ExternalId,
    /// Amount that was paid.
    pub amount: Amount,
    /// Merchant that is paid. Absent if it is unknown, as for a payment that was seen on chain first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merchant: Option<Merchant>,
    /// Type of the transaction. Absent if the network states none: then it is that of the payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction_type: Option<TransactionType>,
}

/// Card issued to an account. It is active at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CardIssued {
    /// Address of the Safe that the card pays from.
    pub account: Address,
    /// Rules that limit what the card may pay.
    pub rules: Rules,
    /// Time of the decision, by the host's clock.
    pub at: Timestamp,
    /// Last month in which the card pays. Absent if it does not expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<ExpiryMonth>,
}

/// Card frozen for a reason. It declines payments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CardFrozen {
    /// Address of the Safe that the card pays from.
    pub account: Address,
    /// Reason for the freeze.
    pub reason: FreezeReason,
    /// Time of the decision, by the host's clock.
    pub at: Timestamp,
}

/// One reason for the card's freeze was lifted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CardUnfrozen {
    /// Address of the Safe that the card pays from.
    pub account: Address,
    /// Reason that no longer applies.
    pub reason: FreezeReason,
    /// Reasons that still apply. If empty, the card pays again.
    pub still_frozen_for: BTreeSet<FreezeReason>,
    /// Time of the decision, by the host's clock.
    pub at: Timestamp,
}

/// Card closed permanently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CardClosed {
    /// Address of the Safe that the card paid from.
    pub account: Address,
    /// Time of the decision, by the host's clock.
    pub at: Timestamp,
    /// Loss or theft, if that is why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<CloseCause>,
}

/// Card renewed: it pays until the end of another month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CardRenewed {
    /// Address of the Safe that the card pays from.
    pub account: Address,
    /// Last month in which the card pays.
    pub expires: ExpiryMonth,
    /// Time of the decision, by the host's clock.
    pub at: Timestamp,
}

/// Wrong PIN counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PinFailed {
    /// Address of the Safe that the card pays from.
    pub account: Address,
    /// Id of the payment that was asked for with the wrong PIN.
    pub authorization_id: ExternalId,
    /// Wrong PINs in a row, this one included; 255 for as many or more.
    pub failures: u8,
    /// Time of the recording, by the host's clock.
    pub at: Timestamp,
}

/// Count of wrong PINs begun anew: the card takes the PIN again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PinTriesReset {
    /// Address of the Safe that the card pays from.
    pub account: Address,
    /// Time of the decision, by the host's clock.
    pub at: Timestamp,
}

/// Rules of the card replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CardRulesSet {
    /// Address of the Safe that the card pays from.
    pub account: Address,
    /// Complete new rules.
    pub rules: Rules,
    /// Time of the decision, by the host's clock.
    pub at: Timestamp,
}

/// Amount reserved for a payment that the rules allow. It counts against them from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SpendReserved {
    /// Address of the Safe that pays.
    pub account: Address,
    /// Id of the payment, a slash, and the id of the network's message that asked; in old events the message's id alone.
    pub reservation_id: ExternalId,
    /// Id of the payment.
    pub authorization_id: ExternalId,
    /// Reserved amount.
    pub amount: Amount,
    /// Merchant that asks for the payment.
    pub merchant: Merchant,
    /// Time of the decision, by the host's clock. It determines the periods, in UTC, in which the amount counts.
    pub at: Timestamp,
    /// Results of the checks of card and holder. Absent if the network stated none. A right PIN begins the count of wrong
    /// ones anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<CardChecks>,
    /// Type of the transaction. Absent if the network states none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction_type: Option<TransactionType>,
}

/// Reservation released, in full or in part. The released amount no longer counts against the rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SpendReleased {
    /// Address of the Safe that would have paid.
    pub account: Address,
    /// Id of the reservation.
    pub reservation_id: ExternalId,
    /// Id of this release.
    pub release_id: ExternalId,
    /// Id of the payment.
    pub authorization_id: ExternalId,
    /// Released amount.
    pub amount: Amount,
    /// Amount of the reservation that still counts, in minor units of the same asset.
    pub remaining: Minor,
    /// Merchant's id. Absent if the merchant is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merchant_id: Option<MerchantId>,
    /// Time of the reservation: its periods get the amount back.
    pub reserved_at: Timestamp,
    /// Time of the release, by the host's clock.
    pub at: Timestamp,
}

/// Reservation released before it arrived. If it arrives later, it has no effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReservationVoided {
    /// Address of the Safe that would have paid.
    pub account: Address,
    /// Id of the reservation.
    pub reservation_id: ExternalId,
    /// Id of the release.
    pub release_id: ExternalId,
    /// Time of the decision, by the host's clock.
    pub at: Timestamp,
}

/// Payment recorded that could not be declined. It counts against the rules, even if it breaks them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SpendRecorded {
    /// Address of the Safe that paid.
    pub account: Address,
    /// Id of the payment, a slash, and the id of the network's message or clearing that reported it; in old events the
    /// message's id alone.
    pub reservation_id: ExternalId,
    /// Id of the payment.
    pub authorization_id: ExternalId,
    /// Amount that was paid.
    pub amount: Amount,
    /// Merchant that is paid. Absent if it is unknown, as for a payment that was seen on chain first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merchant: Option<Merchant>,
    /// All reasons for which the payment would have been declined, in the order in which they are checked. Empty if
    /// it broke no rule.
    pub flags: Vec<DeclineReason>,
    /// Time of the recording, by the host's clock. It determines the periods, in UTC, in which the amount
    /// counts.
    pub at: Timestamp,
    /// Type of the transaction. Absent if the network states none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction_type: Option<TransactionType>,
}
