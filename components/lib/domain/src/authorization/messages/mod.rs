//! Commands to an authorization, and its events.

/// Defines an event of a payment, which begins with the payment's parties.
macro_rules! event {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub struct $name {
            /// Parties of the payment: account, card and merchant.
            #[serde(flatten)]
            pub parties: Parties,
            $($(#[$field_doc])* pub $field: $type),*
        }
    };
}

/// Defines a command's payload. Unknown fields are rejected, not ignored.
macro_rules! command {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(deny_unknown_fields)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type),* }
    };
}

mod clearing_link;
mod commands;
mod dispute;
mod events;
mod funding;
mod record_reversal;
mod refund;
mod spend;
mod suspense;

use clearfold_kernel::{Address, ChainSource, ExternalId, Hash, messages};
use serde::{Deserialize, Serialize};

pub use clearing_link::*;
pub use commands::*;
pub use dispute::*;
pub use events::*;
pub use funding::*;
pub use record_reversal::*;
pub use refund::*;
pub use spend::*;
pub use suspense::*;

use super::superseded::{
    ClearingPostedV1, ClearingPostedV2, PresentClearingV1, RecordRefundV1, RefundUnlinkedV1,
};
use crate::network::{Details, MerchantId};

messages! {
    /// Commands to an authorization.
    pub enum Command {
        /// Records a card's spend that was seen on chain.
        RecordSwipe = 1,
        /// Requests an authorization, as the network asks for it.
        RequestAuthorization = 1,
        /// Proposes to approve a part of the request, because no more is available.
        ProposePartialApproval = 1,
        /// Expects a `Spend` that was seen before the network asked.
        ExpectSpend = 1,
        /// Approves the request.
        ApproveAuthorization = 1,
        /// Declines the request.
        DeclineAuthorization = 1,
        /// Asks for an increment of the authorization, as the network does for the merchant.
        IncrementAuthorization = 1,
        /// Approves an increment.
        ApproveIncrement = 1,
        /// Declines an increment.
        DeclineIncrement = 1,
        /// Reverses the authorization: the hold, or a part of it, is given back.
        ReverseAuthorization = 1,
        /// Expires the hold.
        ExpireAuthorization = 1,
        /// Records that a stand-in approved the payment in our place.
        RecordAdvice = 1,
        /// Presents a clearing of the card network.
        PresentClearing = 2 from [PresentClearingV1],
        /// Posts a claim without an authorization, or beside one.
        ForcePost = 1,
        /// Records a refund.
        RecordRefund = 2 from [RecordRefundV1],
        /// Resolves a suspended clearing.
        ResolveClearing = 1,
        /// Resolves an unlinked refund.
        ResolveRefund = 1,
        /// Reports an observation of the transaction that pulls the money.
        ObserveFunding = 1,
        /// Ends a leg of the funding whose pulls can never be executed.
        AbandonFunding = 1,
        /// Closes the exposure of a leg.
        CloseExposure = 1,
        /// Flags a payment that could not be declined.
        FlagPayment = 1,
        /// Opens a dispute.
        OpenDispute = 1,
        /// Advances a dispute to its next stage.
        AdvanceDispute = 1,
        /// Grants the customer provisional credit until the dispute is decided.
        GrantProvisionalCredit = 1,
        /// Resolves a dispute as won or lost.
        ResolveDispute = 1,
        /// Links a `Spend` that somebody else submitted to the payment that the network asked for.
        LinkSpend = 1,
        /// Unlinks a `Spend` from its payment.
        UnlinkSpend = 1,
        /// Takes a linked `Spend` as a leg of the payment's funding.
        TakeSpend = 1,
        /// Gives up a `Spend` that is not linked to the payment any more.
        GiveUpSpend = 1,
        /// Reports an observation of the transaction of a linked `Spend`.
        ObserveSpend = 1,
        /// Takes a return: money that was pulled for the payment came back to the Safe.
        TakeReturn = 1,
        /// Takes a clearing back, or a part of it, as the network does.
        ReverseClearing = 1,
        /// Takes a refund back, or a part of it, as the network does.
        ReverseRefund = 1,
        /// Ends the wait of a reversal whose record does not come.
        DismissRecordReversal = 1,
        /// Records money that moved in a cycle of a dispute, as the network does.
        RecordDisputeMoney = 1,
        /// Links a clearing that named no known payment to the payment that it belongs to.
        LinkClearing = 1,
        /// Ends the link of a clearing.
        UnlinkClearing = 1,
        /// Takes a linked clearing as a claim to this payment.
        TakeClearing = 1,
        /// Gives up a clearing that is not this payment's.
        GiveUpClearing = 1,
        /// Names the payments that a clearing may belong to.
        NameCandidates = 1,
    }
}

messages! {
    /// Events of an authorization.
    pub enum Event {
        /// Swipe recorded: the account paid on chain.
        SwipeRecorded = 1,
        /// Authorization requested by the network.
        AuthorizationRequested = 1,
        /// Partial approval proposed: the account has less than was requested, and a part would do.
        PartialApprovalProposed = 1,
        /// Spend expected: it pays what is requested.
        SpendExpected = 1,
        /// Request approved: the whole amount is held.
        AuthorizationApproved = 1,
        /// Request approved in part: a part of the amount is held.
        AuthorizationPartiallyApproved = 1,
        /// Request declined.
        AuthorizationDeclined = 1,
        /// Increment requested by the network.
        IncrementRequested = 1,
        /// Increment approved: the hold is increased.
        HoldIncreased = 1,
        /// Increment declined.
        IncrementDeclined = 1,
        /// Authorization reversed, in full or in part.
        AuthorizationReversed = 1,
        /// Reversal refused because it fits nothing; recorded with its reason.
        ReversalRefused = 1,
        /// Hold expired.
        AuthorizationExpired = 1,
        /// Advice recorded: a stand-in approved, which cannot be declined.
        AdviceRecorded = 1,
        /// Clearing posted: the network claimed the payment or a part of it.
        ClearingPosted = 3 from [ClearingPostedV1, ClearingPostedV2],
        /// Over-capture: the clearings exceed the authorized amount.
        OverCaptured = 1,
        /// Conversion deviates: the network's amount is far from our own conversion.
        ConversionDeviates = 1,
        /// Late presentment: the clearing came after the hold had expired.
        LatePresented = 1,
        /// Clearing suspended as a suspected duplicate, until the operator decides.
        ClearingSuspended = 1,
        /// Suspended clearing resolved: charged or returned.
        ClearingResolved = 1,
        /// Clearing refused because the authorization was reversed in full. No longer written: such a claim is force
        /// posted.
        ClearingRefused = 1,
        /// Force post: the network claimed money that nobody authorized.
        ForcePosted = 1,
        /// Refund linked to this payment.
        RefundLinked = 1,
        /// Refund that names no payment.
        RefundUnlinked = 2 from [RefundUnlinkedV1],
        /// Unlinked refund resolved: paid or taken back.
        RefundResolved = 1,
        /// Funding submitted: the transaction that pulls the money was sent.
        FundingSubmitted = 1,
        /// Funding included: the transaction is in a block.
        FundingIncluded = 1,
        /// Funding finalized: the transaction's block is final.
        FundingFinalized = 1,
        /// Funding reverted: the transaction's execution failed.
        FundingReverted = 1,
        /// Funding dropped: the transaction will never be in a block.
        FundingDropped = 1,
        /// Funding reorganized away: the transaction's block is no longer on the chain.
        FundingReorged = 1,
        /// Funding abandoned: no pull of a leg can be executed any more.
        FundingAbandoned = 1,
        /// Exposure cleared: a part of what could not be pulled is there, or is not owed any more.
        ExposureCleared = 1,
        /// Return owed: what was pulled and is the customer's has changed.
        ReturnOwed = 1,
        /// Payment flagged: a rule would have declined it.
        PaymentFlagged = 1,
        /// Dispute opened by the customer.
        DisputeOpened = 1,
        /// Dispute advanced to its next stage.
        DisputeAdvanced = 1,
        /// Provisional credit granted until the dispute is decided.
        ProvisionalCreditGranted = 1,
        /// Dispute resolved as won or lost.
        DisputeResolved = 1,
        /// `Spend` linked to the payment that the network asked for.
        SpendLinked = 1,
        /// `Spend` unlinked: a payment of its own again.
        SpendUnlinked = 1,
        /// `Spend` taken as a leg of the payment's funding.
        SpendTaken = 1,
        /// `Spend` given up, because it is not linked any more.
        SpendGivenUp = 1,
        /// Transaction of a linked `Spend` observed: its leg is the payment's.
        SpendObserved = 1,
        /// Return taken: money that was pulled for the payment came back to the Safe.
        ReturnTaken = 1,
        /// Clearing reversed: the network took it back, or a part of it.
        ClearingReversed = 1,
        /// Refund reversed: the network took it back, or a part of it.
        RefundReversed = 1,
        /// Reversal of a record kept, because there is nothing that it could take back now.
        RecordReversalKept = 1,
        /// Wait of a reversal ended without its taking anything back.
        RecordReversalEnded = 1,
        /// Money of a dispute moved in one of its cycles.
        DisputeMoneyMoved = 1,
        /// Clearing linked: it is a claim to another payment.
        ClearingLinked = 1,
        /// Clearing unlinked: a payment of its own again.
        ClearingUnlinked = 1,
        /// Clearing given up: it is no claim to this payment any more.
        ClearingGivenUp = 1,
        /// Candidates named: payments that the clearing may belong to, if there are any.
        CandidatesNamed = 1,
    }
}

/// Parties of a payment. Part of every event, so that each event can be read alone. A payment that was seen on chain
/// first names neither card nor merchant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Parties {
    /// Address of the Safe that pays.
    pub account: Address,
    /// Id of the card; absent if it is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card_id: Option<ExternalId>,
    /// Id of the merchant, assigned by the acquirer; absent if it is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merchant_id: Option<MerchantId>,
}

impl Parties {
    /// Creates the parties of which only the account is known.
    #[must_use]
    pub const fn account(account: Address) -> Self {
        Self { account, card_id: None, merchant_id: None }
    }

    /// Creates the parties that a message of the network names, whose payment is not known.
    #[must_use]
    pub fn named(account: Address, details: Option<&Details>) -> Self {
        let (card_id, merchant) = Details::named(details);
        Self { account, card_id: card_id.cloned(), merchant_id: merchant.map(|merchant| merchant.id.clone()) }
    }
}

/// Part of a payment that a clearing claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// A part; more may follow.
    Partial,
    /// The last part, or the whole: the rest of the hold is released.
    Final,
    /// One of a known number of parts, in any order. The one that completes them is the last.
    Sequence {
        /// Number of this part, from 1.
        number: u8,
        /// Number of parts in total.
        count: u8,
    },
}

/// Meaning of the amount that an increment states. Card networks send the addition; some processors pass the new
/// total.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum IncrementBasis {
    /// The amount is added to what is authorized.
    #[default]
    Addition,
    /// The amount is what shall be authorized in all.
    Total,
}

/// Extent of a reversal: how much of the hold it gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// All that is still held.
    Full,
    /// This number of minor units of the payment's asset.
    Part(clearfold_kernel::Minor),
}

/// Cause of a reversal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ReversalCause {
    /// The merchant does not claim the amount.
    Merchant,
    /// Our answer missed the network's deadline, so the network treated it as a decline.
    Timeout,
    /// The money that was pulled for the payment was sent back to the customer's Safe.
    Returned,
}

/// Origin of a refund: the source that reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RefundOrigin {
    /// The refund is on chain: position of the `Transfer` log of the asset's canonical address.
    Chain(ChainSource),
    /// The card network reports the refund, under this id.
    Network(ExternalId),
}

impl RefundOrigin {
    /// Returns the refund's identity: two refunds with the same identity are the same refund.
    #[must_use]
    pub fn identity(&self) -> String {
        match self {
            Self::Chain(source) => {
                format!("chain/{}/{}/{}", source.chain_id, source.block_hash, source.log_index)
            }
            Self::Network(refund_id) => format!("network/{refund_id}"),
        }
    }

    /// Returns the hash of the transaction that paid the refund, if it is on chain.
    #[must_use]
    pub fn transaction_hash(&self) -> Option<Hash> {
        match self {
            Self::Chain(source) => Some(source.transaction_hash),
            Self::Network(_) => None,
        }
    }
}

/// Reason for which the customer disputes a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DisputeReason {
    /// Somebody else made the payment.
    Fraud,
    /// The goods were not received.
    NotReceived,
    /// The goods are not as described.
    NotAsDescribed,
    /// The same payment was charged twice.
    Duplicate,
    /// A different amount was charged than agreed.
    WrongAmount,
}

/// Stage of an open dispute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DisputeStage {
    /// The customer reported the dispute to us.
    New,
    /// We submitted the dispute to the network.
    Submitted,
    /// The merchant contests the dispute.
    Representment,
    /// We contest the merchant's representment.
    PreArbitration,
    /// The network arbitrates.
    Arbitration,
}

/// Outcome of a dispute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DisputeOutcome {
    /// The customer wins: the disputed money, or the awarded part, is the customer's.
    Won,
    /// The customer loses: the merchant keeps the money.
    Lost,
}
