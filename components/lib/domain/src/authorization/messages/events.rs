//! Events between the processor and the card network. `at` is the host's clock at the decision; `occurred_at` is the
//! time that the network or the block states.

use clearfold_kernel::{Address, Amount, Asset, ChainSource, ExternalId, Minor, MoneyError, Timestamp};
use serde::{Deserialize, Serialize};

use super::{ClaimOrigin, Extent, IncrementBasis, Part, Parties, ReversalCause};
use crate::network::{Details, Merchant, Network, NetworkFees, Presented, Residue};
use crate::policy::DeclineReason;
use crate::verification::CardChecks;

/// Swipe recorded: the account paid on chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SwipeRecorded {
    /// Address of the Safe that paid.
    pub account: Address,
    /// Amount that was paid.
    pub amount: Amount,
    /// Position of the `Spend` log on chain.
    pub source: ChainSource,
    /// Time at which the hold expires, counted from the block's time by the processor's policy table. Absent in old
    /// events: their holds do not expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Time of the block.
    pub occurred_at: Timestamp,
}

/// Authorization requested: the network asked if the payment may be made. No decision yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuthorizationRequested {
    /// Id of the request message, assigned by the network.
    pub message_id: ExternalId,
    /// Address of the Safe that is to pay.
    pub account: Address,
    /// Id of the card.
    pub card_id: ExternalId,
    /// Requested amount, in the account's asset.
    pub amount: Amount,
    /// The same amount in the merchant's currency, with the network's rate. Absent if no currency was converted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presented: Option<Presented>,
    /// Merchant that asks for the payment.
    pub merchant: Merchant,
    /// Card network that sent the request.
    pub network: Network,
    /// True if the merchant also accepts a part of the amount.
    pub partial_allowed: bool,
    /// Lifetime of the hold in seconds, counted from the approval. Set by the processor from its policy table.
    pub hold_interval_s: u64,
    /// Time of the message, as stated by the network.
    pub occurred_at: Timestamp,
    /// Time of acceptance, by the host's clock.
    pub at: Timestamp,
    /// Results of the checks of card and holder. Absent if the network stated none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<CardChecks>,
    /// Further facts that the message states. Absent if it states none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Box<Details>>,
    /// True if the message is the presentment too: once it is approved, the payment is claimed. Absent if not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub single_message: bool,
}

event! {
    /// Partial approval proposed: the account has less than was requested, and the merchant accepts a part. No decision
    /// yet.
    PartialApprovalProposed {
        /// Part that the account is asked for.
        amount: Amount,
        /// Requested amount, in minor units of the same asset.
        requested: Minor,
        /// Time of acceptance, by the host's clock.
        at: Timestamp,
    }
}

event! {
    /// Request approved: the whole amount is held.
    AuthorizationApproved {
        /// Amount held.
        amount: Amount,
        /// Time at which the hold expires.
        expires_at: Timestamp,
        /// Time of the decision, by the host's clock.
        at: Timestamp,
    }
}

event! {
    /// Request approved in part: a part of the amount is held, which the merchant accepts.
    AuthorizationPartiallyApproved {
        /// Amount held.
        amount: Amount,
        /// Requested amount, in minor units of the same asset.
        requested: Minor,
        /// Time at which the hold expires.
        expires_at: Timestamp,
        /// Time of the decision, by the host's clock.
        at: Timestamp,
    }
}

event! {
    /// Request declined: the payment is not made.
    AuthorizationDeclined {
        /// Requested amount.
        amount: Amount,
        /// Reason for the decline.
        reason: DeclineReason,
        /// Time of the decision, by the host's clock.
        at: Timestamp,
    }
}

event! {
    /// Increment requested: the network asked for more in the same payment. No decision yet.
    IncrementRequested {
        /// Id of the increment message, assigned by the network.
        message_id: ExternalId,
        /// Amount that the message states.
        amount: Amount,
        /// Meaning of the amount: the addition, or the new total.
        basis: IncrementBasis,
        /// Additional amount to hold, in minor units of the same asset.
        addition: Minor,
        /// Time of the message, as stated by the network.
        occurred_at: Timestamp,
        /// Time of acceptance, by the host's clock.
        at: Timestamp,
        /// Further facts that the message states. Absent if it states none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        details: Option<Box<Details>>,
    }
}

event! {
    /// Increment declined: no more is held than before.
    IncrementDeclined {
        /// Id of the increment message, assigned by the network.
        message_id: ExternalId,
        /// Additional amount that is not held.
        amount: Amount,
        /// Reason for the decline.
        reason: DeclineReason,
        /// Time of the decision, by the host's clock.
        at: Timestamp,
    }
}

event! {
    /// Increment approved: the hold is increased. Without a request before it in events that were recorded before
    /// increments were decided.
    HoldIncreased {
        /// Id of the increment message, assigned by the network.
        message_id: ExternalId,
        /// Additional amount held.
        amount: Amount,
        /// Time at which the hold expires from now on. Absent if the increment does not change it, as in old events.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
        /// Time of the message, as stated by the network.
        occurred_at: Timestamp,
        /// Time of acceptance, by the host's clock.
        at: Timestamp,
    }
}

event! {
    /// Authorization reversed, in full or in part: less is held, or nothing.
    AuthorizationReversed {
        /// Id of the reversal message.
        message_id: ExternalId,
        /// Extent that the reversal asked for: all that is held, or a part.
        extent: Extent,
        /// Amount that is no longer held. Zero if the request was reversed before it was decided.
        released: Amount,
        /// True if nothing is held any more.
        full: bool,
        /// Cause of the reversal.
        cause: ReversalCause,
        /// Time of the message, as stated by its sender.
        occurred_at: Timestamp,
        /// Time of acceptance, by the host's clock.
        at: Timestamp,
        /// Further facts that the message states. Absent if it states none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        details: Option<Box<Details>>,
    }
}

event! {
    /// Reversal refused because it fits nothing. It changes no amount; it is recorded because it was received.
    ReversalRefused {
        /// Id of the reversal message.
        message_id: ExternalId,
        /// Extent that the reversal asked for: all that is held, or a part.
        extent: Extent,
        /// Cause of the reversal.
        cause: ReversalCause,
        /// Reason for the refusal.
        reason: ReversalRefusal,
        /// Time of the message, as stated by its sender.
        occurred_at: Timestamp,
        /// Time of acceptance, by the host's clock.
        at: Timestamp,
        /// Further facts that the message states. Absent if it states none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        details: Option<Box<Details>>,
        /// Payments of which it may be, if it is kept because it names none of them. Absent if it is of this payment.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        candidates: Vec<ExternalId>,
    }
}

/// Reason for which a reversal was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ReversalRefusal {
    /// There is no such authorization.
    Unmatched,
    /// The payment holds no amount any more.
    NothingHeld,
    /// Less is held than the reversal asks to give back. No longer written: what is held is released.
    ExceedsHold,
    /// It is of one of several payments, and does not say of which. It waits for an operator, who sends it again, under the
    /// same id, to the one that it is of.
    Ambiguous,
}

event! {
    /// Hold expired. The payment can still be cleared, late.
    AuthorizationExpired {
        /// Amount that is no longer held.
        released: Amount,
        /// Part of it that was pulled on chain and that nobody claimed: the customer's money at the issuer, which is
        /// owed back. Absent if there is none, and in old events.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owed: Option<Amount>,
        /// Time of acceptance, by the host's clock.
        at: Timestamp,
    }
}

/// Advice recorded: a stand-in of the network approved the payment in our place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AdviceRecorded {
    /// Id of the advice message, assigned by the network.
    pub message_id: ExternalId,
    /// Address of the Safe that pays.
    pub account: Address,
    /// Id of the card.
    pub card_id: ExternalId,
    /// Total amount that the stand-in approved.
    pub amount: Amount,
    /// Effect on the hold. Absent in old events, where it means `placed`.
    #[serde(default)]
    pub hold: AdviceHold,
    /// Merchant that is paid.
    pub merchant: Merchant,
    /// Card network whose stand-in approved.
    pub network: Network,
    /// Time at which the hold expires, as set by the processor from its policy table.
    pub expires_at: Timestamp,
    /// Time of the message, as stated by the network.
    pub occurred_at: Timestamp,
    /// Time of acceptance, by the host's clock.
    pub at: Timestamp,
    /// Further facts that the message states. Absent if it states none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Box<Details>>,
    /// True if the message is the presentment too: what the stand-in approved is claimed. Absent if not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub single_message: bool,
}

impl AdviceRecorded {
    /// Returns the amount, in minor units, that is held by the advice and was not held before.
    #[must_use]
    pub const fn held(&self) -> Minor {
        match self.hold {
            AdviceHold::Placed => self.amount.minor,
            AdviceHold::Raised(by) => by,
            AdviceHold::Unchanged => Minor::ZERO,
        }
    }
}

/// Effect of a stand-in's approval on the hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AdviceHold {
    /// The hold is placed anew, with the whole amount.
    #[default]
    Placed,
    /// The hold is raised by this number of minor units, because less was held than promised.
    Raised(Minor),
    /// The advice itself does not change the hold: as much is held, was claimed, or can be claimed without it. If less
    /// was promised than is held, the reversal that follows releases the rest.
    Unchanged,
}

event! {
    /// Clearing posted: the network claimed the payment or a part of it.
    ClearingPosted {
        /// Id of the network's record; `single-message/…` with a request's id, `linked/…` with another payment's.
        clearing_id: ExternalId,
        /// Amount of the claim that the hold covers and that is used up, in minor units.
        against_hold: Minor,
        /// Amount by which the claim exceeds what was held, in minor units.
        beyond_hold: Minor,
        /// Amount of the hold that is released because this is the last clearing, in minor units; otherwise zero.
        released: Minor,
        /// Asset of the three amounts.
        #[serde(flatten)]
        asset: Asset,
        /// Difference of the claimed amount from our own conversion; both fields are zero if there was none.
        residue: Residue,
        /// Part of the payment that was presented: partial, final, or one of a sequence.
        part: Part,
        /// True if it is the last clearing of this payment.
        #[serde(rename = "final")]
        is_final: bool,
        /// Transaction reference, assigned by the acquirer; absent if there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<ExternalId>,
        /// Time of presentment, as stated by the network.
        occurred_at: Timestamp,
        /// Further facts that the message states. Absent if it states none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        details: Option<Box<Details>>,
        /// Interchange and scheme fees of the record. Absent if it states none, or stated them when it was suspended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        network_fees: Option<Box<NetworkFees>>,
        /// Payment that it was posted for before it was linked. Absent if it named this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        origin: Option<Box<ClaimOrigin>>,
    }
}

impl ClearingPosted {
    /// Returns the claimed amount: against and beyond the hold.
    pub fn claimed(&self) -> Result<Minor, MoneyError> {
        self.against_hold.plus(self.beyond_hold)
    }
}

event! {
    /// Over-capture: the clearings exceed the authorized amount.
    OverCaptured {
        /// Id of the clearing that caused the excess.
        clearing_id: ExternalId,
        /// Amount by which all clearings together exceed what was authorized and not reversed.
        excess: Amount,
        /// True if the excess is above the tolerance for the merchant's category, so the operator should review the
        /// payment.
        flagged: bool,
    }
}

event! {
    /// Conversion deviates: the network's amount is farther from our own conversion than is tolerated.
    ///
    /// Also for a presented amount that cannot be converted. The network's amount stands; the operator should review the
    /// payment.
    ConversionDeviates {
        /// Id of the message or the clearing record that states the amount.
        record_id: ExternalId,
        /// Amount that the network states.
        amount: Amount,
        /// Our own exact conversion; absent if what was presented cannot be converted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        converted: Option<Amount>,
        /// Amount in the merchant's currency, with the network's rate.
        presented: Presented,
    }
}

event! {
    /// Late presentment: the clearing came after the hold had expired. It posts all the same.
    LatePresented {
        /// Id of the late clearing.
        clearing_id: ExternalId,
    }
}

event! {
    /// Force post: the network claimed money that nobody authorized. It posts all the same, wholly beyond the hold.
    ForcePosted {
        /// Id of the clearing record, assigned by the network.
        clearing_id: ExternalId,
        /// Claimed amount.
        amount: Amount,
        /// Merchant that is paid, as the claim or the payment names it; absent if neither does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        merchant: Option<Merchant>,
        /// Difference of the claimed amount from our own conversion; both fields are zero if there was none.
        residue: Residue,
        /// Reason for the force post.
        reason: ForcePostReason,
        /// Part of the payment that was presented: partial, final, or one of a sequence.
        part: Part,
        /// Transaction reference, assigned by the acquirer; absent if there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<ExternalId>,
        /// Time of presentment, as stated by the network.
        occurred_at: Timestamp,
        /// Further facts that the message states. Absent if it states none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        details: Option<Box<Details>>,
        /// Interchange and scheme fees of the record. Absent if it states none, or stated them when it was suspended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        network_fees: Option<Box<NetworkFees>>,
    }
}

/// Reason for a force post.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ForcePostReason {
    /// There is no authorization.
    NoAuthorization,
    /// The authorization was declined.
    Declined,
    /// The authorization was requested, but not decided yet.
    Undecided,
    /// There is an authorization; the network posted beside it.
    Forced,
}

event! {
    /// Payment flagged: a rule would have declined the payment, had it been asked.
    PaymentFlagged {
        /// Reason for which the payment would have been declined.
        reason: DeclineReason,
        /// Time of acceptance, by the host's clock.
        at: Timestamp,
    }
}
