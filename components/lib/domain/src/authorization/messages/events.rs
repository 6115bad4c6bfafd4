//! What can have happened between us and the card network. `at` is the host's clock when it was decided, `occurred_at` what the network or the block
//! says.

use clearfold_kernel::{Address, Amount, Asset, ChainSource, ExternalId, Minor, MoneyError, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Extent, Part, Parties, RefundOrigin, ReversalCause};
use crate::network::{Merchant, Network, Presented, Residue};
use crate::policy::DeclineReason;

/// The account paid, on chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SwipeRecorded {
    /// The Safe that paid.
    pub account: Address,
    /// What it paid.
    pub amount: Amount,
    /// The `Spend` log.
    pub source: ChainSource,
    /// The block's time.
    pub occurred_at: Timestamp,
}

/// The network asked whether the payment may be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuthorizationRequested {
    /// The network's id of the message.
    pub message_id: ExternalId,
    /// The Safe that shall pay.
    pub account: Address,
    /// The card.
    pub card_id: ExternalId,
    /// What is asked for, in the account's asset.
    pub amount: Amount,
    /// The same in the merchant's currency, if that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presented: Option<Presented>,
    /// Who asks.
    pub merchant: Merchant,
    /// Through which network.
    pub network: Network,
    /// Whether a part of the amount would do.
    pub partial_allowed: bool,
    /// How long a hold for it lives, from its approval, in seconds.
    pub hold_interval_s: u64,
    /// The network's time of the message.
    pub occurred_at: Timestamp,
    /// When it was accepted.
    pub at: Timestamp,
}

event! {
    /// The whole amount is held.
    AuthorizationApproved {
        /// How much.
        amount: Amount,
        /// When the hold ends by itself.
        expires_at: Timestamp,
        /// When it was decided.
        at: Timestamp,
    }
}

event! {
    /// A part of the amount is held, and the merchant agreed to that.
    AuthorizationPartiallyApproved {
        /// How much.
        amount: Amount,
        /// How much was asked for, in minor units of the same asset.
        requested: Minor,
        /// When the hold ends by itself.
        expires_at: Timestamp,
        /// When it was decided.
        at: Timestamp,
    }
}

event! {
    /// The payment is refused.
    AuthorizationDeclined {
        /// What was asked for.
        amount: Amount,
        /// Why.
        reason: DeclineReason,
        /// When it was decided.
        at: Timestamp,
    }
}

event! {
    /// More is held.
    HoldIncreased {
        /// The network's id of the message.
        message_id: ExternalId,
        /// How much more.
        amount: Amount,
        /// The network's time of the message.
        occurred_at: Timestamp,
        /// When it was accepted.
        at: Timestamp,
    }
}

event! {
    /// Less is held, or nothing.
    AuthorizationReversed {
        /// The id of the message.
        message_id: ExternalId,
        /// What was asked for.
        extent: Extent,
        /// How much is no longer held. Nothing, if the request was reversed before it was decided.
        released: Amount,
        /// Whether nothing is held any more.
        full: bool,
        /// Why.
        cause: ReversalCause,
        /// The time of the message.
        occurred_at: Timestamp,
        /// When it was accepted.
        at: Timestamp,
    }
}

event! {
    /// A reversal that fits nothing. It changes no amount; it is kept because somebody sent it.
    ReversalRefused {
        /// The id of the message.
        message_id: ExternalId,
        /// What was asked for.
        extent: Extent,
        /// Why it was sent.
        cause: ReversalCause,
        /// Why it fits nothing.
        reason: ReversalRefusal,
        /// The time of the message.
        occurred_at: Timestamp,
        /// When it was accepted.
        at: Timestamp,
    }
}

/// Why a reversal fits nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ReversalRefusal {
    /// There is no such authorization.
    Unmatched,
    /// Nothing is held any more.
    NothingHeld,
    /// Less is held.
    ExceedsHold,
}

event! {
    /// The hold ended by time. It can still be cleared, late.
    AuthorizationExpired {
        /// How much is no longer held.
        released: Amount,
        /// When it was accepted.
        at: Timestamp,
    }
}

/// A stand-in of the network approved the payment in our place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AdviceRecorded {
    /// The network's id of the message.
    pub message_id: ExternalId,
    /// The Safe that pays.
    pub account: Address,
    /// The card.
    pub card_id: ExternalId,
    /// What was approved.
    pub amount: Amount,
    /// What it means for the hold.
    #[serde(default)]
    pub hold: AdviceHold,
    /// Who is paid.
    pub merchant: Merchant,
    /// Through which network.
    pub network: Network,
    /// When the hold ends by itself.
    pub expires_at: Timestamp,
    /// The network's time of the message.
    pub occurred_at: Timestamp,
    /// When it was accepted.
    pub at: Timestamp,
}

impl AdviceRecorded {
    /// How much is held by it that was not held before.
    #[must_use]
    pub const fn held(&self) -> Minor {
        match self.hold {
            AdviceHold::Placed => self.amount.minor,
            AdviceHold::Raised(by) => by,
            AdviceHold::Unchanged => Minor::ZERO,
        }
    }
}

/// What the approval of a stand-in means for the hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AdviceHold {
    /// It is placed anew, with the whole amount.
    #[default]
    Placed,
    /// It is raised by that many minor units: what is held of the payment was less.
    Raised(Minor),
    /// Nothing: as much is held, or was claimed, or can be claimed without it.
    Unchanged,
}

event! {
    /// The network claimed the payment or a part of it.
    ClearingPosted {
        /// The network's id of the record.
        clearing_id: ExternalId,
        /// How much of the claim the hold covers, and so uses up.
        against_hold: Minor,
        /// How much the claim exceeds what was held.
        beyond_hold: Minor,
        /// How much of the hold is given back, because nothing more will be claimed.
        released: Minor,
        /// What all of them are of.
        #[serde(flatten)]
        asset: Asset,
        /// What a conversion's rounding left over.
        residue: Residue,
        /// Which part it was presented as.
        part: Part,
        /// Whether it is the last one for this payment.
        #[serde(rename = "final")]
        is_final: bool,
        /// The acquirer's reference of the transaction.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<ExternalId>,
        /// When the network says that it was presented.
        occurred_at: Timestamp,
    }
}

impl ClearingPosted {
    /// How much was claimed.
    pub fn claimed(&self) -> Result<Minor, MoneyError> {
        self.against_hold.plus(self.beyond_hold)
    }
}

event! {
    /// The clearings exceed what was authorized.
    OverCaptured {
        /// The clearing that did it.
        clearing_id: ExternalId,
        /// By how much all clearings exceed what was authorized and not reversed.
        excess: Amount,
        /// Whether that is more than the merchant's category is tolerated: then somebody looks at it.
        flagged: bool,
    }
}

event! {
    /// The clearing came after the hold had expired. It posts all the same.
    LatePresented {
        /// The clearing.
        clearing_id: ExternalId,
    }
}

event! {
    /// A clearing that looks like another one again: another id, the same reference and amount. The claim stands on
    /// the suspense account until somebody decides.
    ClearingSuspended {
        /// The network's id of the record.
        clearing_id: ExternalId,
        /// The clearing that it looks like.
        duplicate_of: ExternalId,
        /// How much it claims.
        amount: Amount,
        /// What a conversion's rounding left over. Was not said of old.
        #[serde(default)]
        residue: Residue,
        /// Which part it was presented as.
        part: Part,
        /// The acquirer's reference of the transaction.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<ExternalId>,
        /// When the network says that it was presented.
        occurred_at: Timestamp,
    }
}

event! {
    /// A clearing of what was reversed. It changes no amount; it is kept because somebody sent it.
    ClearingRefused {
        /// The network's id of the record.
        clearing_id: ExternalId,
        /// How much it claims.
        amount: Amount,
        /// What a conversion's rounding left over. Was not said of old.
        #[serde(default)]
        residue: Residue,
        /// Why it does not post.
        reason: ClearingRefusal,
        /// Which part it was presented as.
        part: Part,
        /// The acquirer's reference of the transaction.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<ExternalId>,
        /// When the network says that it was presented.
        occurred_at: Timestamp,
    }
}

/// Why a clearing does not post.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ClearingRefusal {
    /// The authorization was reversed in full, so the merchant has given the claim up.
    Reversed,
}

event! {
    /// The network claimed what nobody authorized. It posts all the same, wholly beyond the hold.
    ForcePosted {
        /// The network's id of the record.
        clearing_id: ExternalId,
        /// How much was claimed.
        amount: Amount,
        /// Who is paid, where the claim says it or the payment knows it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        merchant: Option<Merchant>,
        /// What a conversion's rounding left over.
        residue: Residue,
        /// How it came to that.
        reason: ForcePostReason,
        /// Which part it was presented as.
        part: Part,
        /// The acquirer's reference of the transaction.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<ExternalId>,
        /// When the network says that it was presented.
        occurred_at: Timestamp,
    }
}

/// How it came to a claim that nobody authorized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ForcePostReason {
    /// There is no authorization.
    NoAuthorization,
    /// It was declined.
    Declined,
    /// It was asked for, but not decided yet.
    Undecided,
    /// There is one; the network posted beside it.
    Forced,
}

event! {
    /// The merchant gave back what it was paid.
    RefundLinked {
        /// How much.
        amount: Amount,
        /// By whose word.
        origin: RefundOrigin,
        /// The block's time, or the network's.
        occurred_at: Timestamp,
    }
}

event! {
    /// The account got money back that names no payment.
    RefundUnlinked {
        /// How much it got back.
        amount: Amount,
        /// By whose word.
        origin: RefundOrigin,
        /// The block's time, or the network's.
        occurred_at: Timestamp,
    }
}

event! {
    /// A rule would have refused the payment, had anybody asked.
    PaymentFlagged {
        /// Which one.
        reason: DeclineReason,
        /// When it was accepted.
        at: Timestamp,
    }
}
