//! Commands to an authorization.

use clearfold_kernel::{Address, Amount, ChainSource, ExternalId, Hash, Timestamp};
use serde::{Deserialize, Serialize};

use super::funding::{first_leg, is_first_leg};
use super::{
    AbandonCause, DisputeOutcome, DisputeReason, DisputeStage, Extent, IncrementBasis, Part, RefundOrigin,
    ReversalCause,
};
use crate::network::{
    Details, MatchBasis, Merchant, Network, NetworkFees, Presented, RefundOutcome, SuspenseOutcome,
};
use crate::policy::DeclineReason;
use crate::verification::CardChecks;

command! {
    /// Records a card's spend that was seen on chain. Only the chain reader may send it.
    RecordSwipe {
        /// Address of the Safe that paid.
        account: Address,
        /// Amount that was paid.
        amount: Amount,
        /// Position of the `Spend` log on chain.
        source: ChainSource,
        /// Time of the block.
        occurred_at: Timestamp,
    }
}

command! {
    /// Requests an authorization: the network asks if the payment may be made.
    RequestAuthorization {
        /// Id of the request message, assigned by the network. A repeat with the same id is the same request.
        message_id: ExternalId,
        /// Address of the Safe that is to pay.
        account: Address,
        /// Id of the card.
        card_id: ExternalId,
        /// Requested amount, in the account's asset.
        amount: Amount,
        /// The same amount in the merchant's currency, with the network's rate. Absent if no currency was converted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        presented: Option<Presented>,
        /// Merchant that asks for the payment.
        merchant: Merchant,
        /// Card network that sent the request.
        network: Network,
        /// True if the merchant also accepts a part of the amount.
        partial_allowed: bool,
        /// Time of the message, as stated by the network.
        occurred_at: Timestamp,
        /// Results of the checks of card and holder. Absent if the network states none. They are no part of what tells
        /// a repeat from another request.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        checks: Option<CardChecks>,
        /// Further facts that the message states. Absent if it states none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        details: Option<Box<Details>>,
        /// True if the message is the presentment too: once it is approved, the payment is claimed. Absent if not.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        single_message: bool,
    }
}

command! {
    /// Proposes to approve a part of the request, because the account has no more. The account is asked for the part.
    ProposePartialApproval {
        /// Part of the requested amount.
        amount: Amount,
    }
}

command! {
    /// Expects a `Spend` that the chain showed before the network asked: it pays what is requested.
    ExpectSpend {
        /// Id of the `Spend`, which is its payment's.
        spend_id: ExternalId,
    }
}

command! {
    /// Approves the request, after the card reserved the amount and the account holds it.
    ApproveAuthorization {
        /// Approved amount: the whole requested amount, or a part if the request allows it.
        amount: Amount,
    }
}

command! {
    /// Declines the request for a reason.
    DeclineAuthorization {
        /// Reason for the decline.
        reason: DeclineReason,
    }
}

command! {
    /// Asks for an increment of the authorization: the merchant asks for more in the same payment. Card and account
    /// decide.
    IncrementAuthorization {
        /// Id of the increment message, assigned by the network. A repeat with the same id is the same increment.
        message_id: ExternalId,
        /// Amount that the message states.
        amount: Amount,
        /// Meaning of the amount: the addition, or the new total. Absent: the addition.
        #[serde(default)]
        basis: IncrementBasis,
        /// Time of the message, as stated by the network.
        occurred_at: Timestamp,
        /// Further facts that the message states. Absent if it states none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        details: Option<Box<Details>>,
    }
}

command! {
    /// Approves an increment, after the card reserved the addition and the account holds it.
    ApproveIncrement {
        /// Id of the increment message.
        message_id: ExternalId,
    }
}

command! {
    /// Declines an increment for a reason.
    DeclineIncrement {
        /// Id of the increment message.
        message_id: ExternalId,
        /// Reason for the decline.
        reason: DeclineReason,
    }
}

command! {
    /// Reverses the authorization: the hold, or a part of it, is given back.
    ReverseAuthorization {
        /// Id of the reversal message. A repeat with the same id is the same reversal.
        message_id: ExternalId,
        /// Extent of the reversal: all that is held, or a part.
        extent: Extent,
        /// Cause of the reversal.
        cause: ReversalCause,
        /// Time of the message, as stated by its sender.
        occurred_at: Timestamp,
        /// Further facts that the message states. Absent if it states none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        details: Option<Box<Details>>,
        /// Payments of which it may be, this one among them, if it names none of them: then it is kept and not applied.
        /// The same reversal without candidates, from an operator, is applied. Absent if it is of this payment.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        candidates: Vec<ExternalId>,
    }
}

command! {
    /// Expires the hold. A durable timer sends the command; it is rejected if it comes too early.
    ExpireAuthorization {}
}

command! {
    /// Records that a stand-in of the network approved the payment in our place, or what a fuel pump really sold. It cannot
    /// be declined.
    RecordAdvice {
        /// Id of the advice message, assigned by the network. A repeat with the same id is the same advice.
        message_id: ExternalId,
        /// Address of the Safe that pays.
        account: Address,
        /// Id of the card.
        card_id: ExternalId,
        /// Total amount that the stand-in approved, or that was sold. Zero only for a payment that is known: nothing of
        /// it is held any more.
        amount: Amount,
        /// Merchant that is paid.
        merchant: Merchant,
        /// Card network whose stand-in approved.
        network: Network,
        /// Time of the message, as stated by the network.
        occurred_at: Timestamp,
        /// Further facts that the message states. Absent if it states none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        details: Option<Box<Details>>,
        /// True if the message is the presentment too: what the stand-in approved is claimed. Absent if not.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        single_message: bool,
    }
}

command! {
    /// Presents a clearing: the card network's claim to the payment or to a part of it.
    PresentClearing {
        /// Id of the clearing record, assigned by the network. A repeat with the same id is the same clearing.
        clearing_id: ExternalId,
        /// Claimed amount, in the account's asset.
        amount: Amount,
        /// The same amount in the merchant's currency, with the network's rate. Absent if no currency was converted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        presented: Option<Presented>,
        /// Transaction reference, assigned by the acquirer; absent if there is none. Another clearing with the same
        /// reference and amount is suspected to be a duplicate, unless it is another part.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<ExternalId>,
        /// Part of the payment that is claimed: partial, final, or one of a sequence.
        part: Part,
        /// Time of presentment, as stated by the network.
        occurred_at: Timestamp,
        /// Further facts that the message states. Absent if it states none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        details: Option<Box<Details>>,
        /// Interchange and scheme fees of the record. Absent if it states none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        network_fees: Option<Box<NetworkFees>>,
    }
}

command! {
    /// Posts a claim that the card network makes without an authorization, or beside one.
    ForcePost {
        /// Id of the clearing record, assigned by the network. A repeat with the same id is the same clearing.
        clearing_id: ExternalId,
        /// Address of the Safe that pays.
        account: Address,
        /// Id of the card.
        card_id: ExternalId,
        /// Claimed amount, in the account's asset.
        amount: Amount,
        /// The same amount in the merchant's currency, with the network's rate. Absent if no currency was converted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        presented: Option<Presented>,
        /// Merchant that is paid.
        merchant: Merchant,
        /// Time of presentment, as stated by the network.
        occurred_at: Timestamp,
    }
}

command! {
    /// Records a refund. On a payment's stream it is linked to the payment; on a stream of its own it is unlinked.
    RecordRefund {
        /// Address of the Safe that receives the refund.
        account: Address,
        /// Refunded amount.
        amount: Amount,
        /// Origin of the report: a log on chain, or the card network.
        origin: RefundOrigin,
        /// Time of the block, or the time stated by the network.
        occurred_at: Timestamp,
        /// Further facts that the message states. Absent if it states none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        details: Option<Box<Details>>,
        /// True if it is refused (`authorization_not_found`) unless the payment is known, or a reversal waits for the refund.
        /// Absent if not.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        known_only: bool,
        /// Interchange and scheme fees of the record; only the network's records have them. Absent if it states none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        network_fees: Option<Box<NetworkFees>>,
    }
}

command! {
    /// Resolves a suspended clearing, or one that an earlier version refused: the operator found out what it is.
    ResolveClearing {
        /// Id of the clearing record, assigned by the network.
        clearing_id: ExternalId,
        /// Outcome: charged to the customer, or returned to the network as a duplicate.
        outcome: SuspenseOutcome,
    }
}

command! {
    /// Resolves an unlinked refund: the operator found out who pays for it.
    ResolveRefund {
        /// Outcome: paid by the network, or taken back from the customer.
        outcome: RefundOutcome,
        /// Id of the payment that the refund belongs to; absent if it is unknown. It is recorded only: nothing of
        /// that payment changes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payment_id: Option<ExternalId>,
    }
}

command! {
    /// Reports an observation of the transaction that pulls the money. Only the chain reader may send it.
    ObserveFunding {
        /// Number of the leg that the transaction pulls, from 1. Absent for the first.
        #[serde(default = "first_leg", skip_serializing_if = "is_first_leg")]
        leg: u32,
        /// Observation of the transaction.
        observation: Observation,
        /// Time of the block, or the observer's clock if there is no block.
        occurred_at: Timestamp,
    }
}

command! {
    /// Ends a leg of the funding whose pulls can never be executed.
    AbandonFunding {
        /// Number of the leg, from 1. Absent for the first.
        #[serde(default = "first_leg", skip_serializing_if = "is_first_leg")]
        leg: u32,
        /// Reason for which it ends without a pull.
        cause: AbandonCause,
    }
}

command! {
    /// Closes the exposure of a leg: refused as long as something of it is exposed, unless it falls due again.
    CloseExposure {
        /// Number of the leg, from 1. Absent for the first.
        #[serde(default = "first_leg", skip_serializing_if = "is_first_leg")]
        leg: u32,
        /// True if what is exposed falls due again, for another leg to pull. Absent if not.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        pull_again: bool,
    }
}

/// Observation of the transaction that pulls the money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Observation {
    /// The transaction was sent, for the first time or again.
    Submitted {
        /// Hash of the transaction.
        transaction_hash: Hash,
    },
    /// The transaction is in a block that may not be final yet.
    Included {
        /// Amount pulled from the Safe.
        amount: Amount,
        /// Position of the transfer's log on chain.
        source: ChainSource,
    },
    /// The transaction's block is final.
    Finalized {
        /// Position of the transfer's log on chain.
        source: ChainSource,
    },
    /// The transaction is in a block, but its execution failed.
    Reverted {
        /// Hash of the transaction.
        transaction_hash: Hash,
    },
    /// The transaction will never be in a block.
    Dropped {
        /// Hash of the transaction.
        transaction_hash: Hash,
    },
    /// The transaction's block is no longer on the chain.
    Reorged {
        /// Position of the transfer's log in the block that is gone.
        source: ChainSource,
    },
}

command! {
    /// Flags a payment that could not be declined: a rule would have declined it.
    FlagPayment {
        /// Reason for which the payment would have been declined.
        reason: DeclineReason,
    }
}

command! {
    /// Opens a dispute: the customer contests the payment, or a part of it.
    OpenDispute {
        /// Id of the dispute, assigned by the processor. A repeat with the same id is the same dispute.
        dispute_id: ExternalId,
        /// Disputed amount; at most what the merchant still has of the payment.
        amount: Amount,
        /// Reason that the customer gives.
        reason: DisputeReason,
    }
}

command! {
    /// Advances a dispute to its next stage.
    AdvanceDispute {
        /// Id of the dispute, assigned by the processor.
        dispute_id: ExternalId,
        /// Next stage. No stage can be skipped.
        stage: DisputeStage,
    }
}

command! {
    /// Grants provisional credit: the customer gets the disputed money until the dispute is decided.
    GrantProvisionalCredit {
        /// Id of the dispute, assigned by the processor.
        dispute_id: ExternalId,
    }
}

command! {
    /// Resolves a dispute as won or lost.
    ResolveDispute {
        /// Id of the dispute, assigned by the processor.
        dispute_id: ExternalId,
        /// Outcome: won or lost by the customer.
        outcome: DisputeOutcome,
        /// Amount that the customer is awarded, at most the disputed amount. Absent means the whole disputed amount
        /// if the dispute is won, and nothing if it is lost.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        awarded: Option<Amount>,
    }
}

command! {
    /// Links a `Spend` that somebody else submitted to the payment that the network asked for. Only a saga or an operator
    /// may send it.
    LinkSpend {
        /// Id of the payment. A repeat has no effect.
        payment_id: ExternalId,
        /// Reason for the match, if it was found. Absent if an operator links them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        basis: Option<MatchBasis>,
        /// Reason for people, at most 500 bytes. Absent if there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    }
}

command! {
    /// Unlinks a `Spend` from its payment. Only a saga or an operator may send it.
    UnlinkSpend {
        /// Id of the payment that it is linked to. Absent for whichever it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payment_id: Option<ExternalId>,
        /// Reason for people, at most 500 bytes. Absent if there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    }
}

command! {
    /// Takes a linked `Spend` as a leg of the payment's funding. The saga sends it once the `Spend` is linked.
    TakeSpend {
        /// Id of the payment that began with the `Spend`. A repeat has no effect.
        spend_id: ExternalId,
        /// Number of the link among those of the `Spend`, from 1.
        link: u32,
        /// Amount that was spent.
        amount: Amount,
        /// Position of the `Spend` log on chain.
        source: ChainSource,
        /// Reason for the link.
        basis: MatchBasis,
        /// True if its block is final. Absent if not.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_final: bool,
    }
}

command! {
    /// Reports an observation of the transaction of a linked `Spend`. The saga of the `Spend` sends it, as the chain reader.
    ObserveSpend {
        /// Id of the payment that began with the `Spend`.
        spend_id: ExternalId,
        /// Number of the link among those of the `Spend`, from 1.
        link: u32,
        /// Observation of the transaction.
        observation: Observation,
        /// Time of the block, or the observer's clock if there is no block.
        occurred_at: Timestamp,
    }
}

command! {
    /// Gives up a `Spend` that is not linked to the payment any more. The saga sends it.
    GiveUpSpend {
        /// Id of the payment that began with the `Spend`.
        spend_id: ExternalId,
        /// Number of the link among those of the `Spend`, from 1.
        link: u32,
    }
}

command! {
    /// Takes a return: money that was pulled for the payment came back to the Safe. The payment counts it as far as it
    /// keeps what was pulled, and reverses its hold by what was not owed back. Only a saga or an operator may send it.
    TakeReturn {
        /// Id of the refund that was resolved as a return: the network's, or for a refund seen on chain
        /// `chain/{chain id}/{block hash}/{log index}`. A repeat with the same amount has no effect.
        refund_id: ExternalId,
        /// Amount that came back.
        amount: Amount,
        /// Time of the resolution.
        occurred_at: Timestamp,
    }
}
