//! What can be asked of a payment, and what can have happened to it.

/// An event of one payment: whose it is, and what happened.
macro_rules! event {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub struct $name {
            /// Whose payment it is.
            #[serde(flatten)]
            pub parties: Parties,
            $($(#[$field_doc])* pub $field: $type),*
        }
    };
}

mod commands;
mod dispute;
mod events;
mod funding;
mod suspense;

use clearfold_kernel::{Address, ChainSource, ExternalId, Hash, messages};
use serde::{Deserialize, Serialize};

pub use commands::*;
pub use dispute::*;
pub use events::*;
pub use funding::*;
pub use suspense::*;

use super::superseded::{
    ClearingPostedV1, ClearingPostedV2, PresentClearingV1, RecordRefundV1, RefundUnlinkedV1,
};

messages! {
    /// What can be asked for.
    pub enum Command {
        /// A card's spend was seen on chain.
        RecordSwipe = 1,
        /// The network asks whether the payment may be made.
        RequestAuthorization = 1,
        /// Card and account agreed.
        ApproveAuthorization = 1,
        /// Something was against it.
        DeclineAuthorization = 1,
        /// The merchant asks for more.
        IncrementAuthorization = 1,
        /// The merchant gives back what it has not claimed.
        ReverseAuthorization = 1,
        /// The hold's time is over.
        ExpireAuthorization = 1,
        /// A stand-in approved the payment for us.
        RecordAdvice = 1,
        /// The card network presents a clearing.
        PresentClearing = 2 from [PresentClearingV1],
        /// The card network posts without asking.
        ForcePost = 1,
        /// Money came back.
        RecordRefund = 2 from [RecordRefundV1],
        /// Somebody found out what a suspended clearing is.
        ResolveClearing = 1,
        /// Somebody found out who pays for an unlinked refund.
        ResolveRefund = 1,
        /// Something was seen of the transaction that pulls the money.
        ObserveFunding = 1,
        /// A rule would have refused what could not be refused.
        FlagPayment = 1,
        /// The customer disputes the payment.
        OpenDispute = 1,
        /// The dispute went a step further.
        AdvanceDispute = 1,
        /// The customer gets the money until the dispute is decided.
        GrantProvisionalCredit = 1,
        /// The dispute is decided.
        ResolveDispute = 1,
    }
}

messages! {
    /// What can have happened.
    pub enum Event {
        /// The account paid, on chain.
        SwipeRecorded = 1,
        /// The network asked.
        AuthorizationRequested = 1,
        /// The whole amount is held.
        AuthorizationApproved = 1,
        /// A part of the amount is held, and the merchant agreed to that.
        AuthorizationPartiallyApproved = 1,
        /// The payment is refused.
        AuthorizationDeclined = 1,
        /// More is held.
        HoldIncreased = 1,
        /// Less is held, or nothing.
        AuthorizationReversed = 1,
        /// A reversal that fits nothing; kept with its reason.
        ReversalRefused = 1,
        /// The hold ended by time.
        AuthorizationExpired = 1,
        /// A stand-in approved; it cannot be declined.
        AdviceRecorded = 1,
        /// The network claimed the payment or a part of it.
        ClearingPosted = 3 from [ClearingPostedV1, ClearingPostedV2],
        /// The clearings exceed what was authorized.
        OverCaptured = 1,
        /// The clearing came after the hold had expired.
        LatePresented = 1,
        /// A clearing that looks like another one again; kept apart until somebody decides.
        ClearingSuspended = 1,
        /// A suspended clearing is charged or returned.
        ClearingResolved = 1,
        /// A clearing of what was reversed; kept with its reason.
        ClearingRefused = 1,
        /// The network claimed what nobody authorized.
        ForcePosted = 1,
        /// The merchant gave back what it was paid.
        RefundLinked = 1,
        /// The account got money back that names no payment.
        RefundUnlinked = 2 from [RefundUnlinkedV1],
        /// An unlinked refund is paid or taken back.
        RefundResolved = 1,
        /// The transaction that pulls the money was sent.
        FundingSubmitted = 1,
        /// It is in a block.
        FundingIncluded = 1,
        /// Its block is final.
        FundingFinalized = 1,
        /// It failed.
        FundingReverted = 1,
        /// It was never mined.
        FundingDropped = 1,
        /// Its block is no longer on the chain.
        FundingReorged = 1,
        /// A rule would have refused the payment.
        PaymentFlagged = 1,
        /// The customer disputes the payment.
        DisputeOpened = 1,
        /// The dispute went a step further.
        DisputeAdvanced = 1,
        /// The customer has the money until the dispute is decided.
        ProvisionalCreditGranted = 1,
        /// The dispute is decided.
        DisputeResolved = 1,
    }
}

/// Whose payment it is. Stands in every event, so that each can be read alone. What was seen on chain first names
/// neither card nor merchant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Parties {
    /// The Safe that pays.
    pub account: Address,
    /// The card, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card_id: Option<ExternalId>,
    /// The merchant, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merchant_id: Option<ExternalId>,
}

impl Parties {
    /// Only the account is known.
    #[must_use]
    pub const fn account(account: Address) -> Self {
        Self { account, card_id: None, merchant_id: None }
    }
}

/// Which part of a payment a clearing claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// A part; more may come.
    Partial,
    /// The last part, or the whole: what is not claimed is released.
    Final,
    /// One of a number of parts, in any order. The one that completes them is the last.
    Sequence {
        /// Which one, from 1.
        number: u8,
        /// Of how many.
        count: u8,
    },
}

/// How much of a hold a reversal gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// All that is left.
    Full,
    /// That many minor units.
    Part(clearfold_kernel::Minor),
}

/// Why a hold was given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ReversalCause {
    /// The merchant does not claim it.
    Merchant,
    /// Our answer came too late, so the network took it for a refusal.
    Timeout,
}

/// How money came back: by whose word we know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RefundOrigin {
    /// It is on the chain: the asset's canonical `Transfer` log.
    Chain(ChainSource),
    /// The card network says so, under this id.
    Network(ExternalId),
}

impl RefundOrigin {
    /// What makes two refunds the same refund.
    #[must_use]
    pub fn identity(&self) -> String {
        match self {
            Self::Chain(source) => {
                format!("chain/{}/{}/{}", source.chain_id, source.block_hash, source.log_index)
            }
            Self::Network(refund_id) => format!("network/{refund_id}"),
        }
    }

    /// The transaction that paid it back, if it is on the chain.
    #[must_use]
    pub fn transaction_hash(&self) -> Option<Hash> {
        match self {
            Self::Chain(source) => Some(source.transaction_hash),
            Self::Network(_) => None,
        }
    }
}

/// Why the customer disputes a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DisputeReason {
    /// Somebody else paid.
    Fraud,
    /// The goods did not come.
    NotReceived,
    /// The goods are not what was sold.
    NotAsDescribed,
    /// The same was charged twice.
    Duplicate,
    /// Another amount was charged than agreed.
    WrongAmount,
}

/// How far an open dispute has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DisputeStage {
    /// The customer told us.
    New,
    /// We told the network.
    Submitted,
    /// The merchant contests it.
    Representment,
    /// We contest that.
    PreArbitration,
    /// The network decides.
    Arbitration,
}

/// How a dispute ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DisputeOutcome {
    /// The customer keeps the money.
    Won,
    /// The merchant keeps the money.
    Lost,
}
