//! Money that comes back to the customer: refunds and disputes.

use clearfold_kernel::{Address, Amount, ChainSource, ExternalId, Minor, Timestamp};
use serde::{Deserialize, Serialize};

use crate::account::ledger::Transfer;
use crate::network::{DisputeCycle, DisputeDirection, RefundOutcome};

/// Link between a refund and its payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RefundLink {
    /// The refund names its payment; the network pays.
    Linked,
    /// The refund names no payment, and none is guessed; it is booked from suspense.
    Unlinked,
}

/// Report of a refund that was booked before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RefundMatch {
    /// Id of the refund: the network's, or for a refund seen on chain `chain/{chain id}/{block hash}/{log index}`.
    pub refund_id: ExternalId,
    /// Id of the authorization whose stream reports it.
    pub reported_on: ExternalId,
}

/// Asks whether a refund was reported twice, by the network and on chain: then it is refused as `refund_matched`, and the
/// detail is the stream of the one on chain and the payment. Without effect if not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReadRefund {
    /// Id of the refund that was booked last.
    pub refund_id: ExternalId,
}

/// Books money that a merchant gives back. A refund with a `source` is accepted only from the chain reader (actor
/// `chain`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BookRefund {
    /// Id of the refund: the network's, or for a refund seen on chain `chain/{chain id}/{block hash}/{log index}`. A
    /// repeat with the same content has no effect.
    pub refund_id: ExternalId,
    /// Amount refunded.
    pub amount: Amount,
    /// Link to the payment: `linked` if the payment is known.
    pub link: RefundLink,
    /// `Transfer` log of the refund. Absent if the refund did not come on chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<ChainSource>,
    /// Id of the authorization whose stream reports the refund. Absent if it is unknown: then the refund is not matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported_on: Option<ExternalId>,
}

/// A merchant gave money back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RefundBooked {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Id of the refund: the network's, or for a refund seen on chain `chain/{chain id}/{block hash}/{log index}`.
    pub refund_id: ExternalId,
    /// Amount refunded.
    pub amount: Amount,
    /// Link to the payment: `linked` if the payment is known.
    pub link: RefundLink,
    /// `Transfer` log of the refund. Absent if the refund did not come on chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<ChainSource>,
    /// Id of the authorization whose stream reports the refund. Absent if it is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported_on: Option<ExternalId>,
    /// Other report of the same refund, which was booked before and is credited for both. Absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched: Option<RefundMatch>,
    /// Part of the amount that is withheld, in minor units of the same asset: so much is owed back to the customer for
    /// pulled money, and it is credited only if the refund turns out to be none of it. Absent if nothing is withheld.
    #[serde(default, skip_serializing_if = "Minor::is_zero")]
    pub withheld: Minor,
    /// Transfers that the event books in the account's ledger, set by the decider.
    pub transfers: Vec<Transfer>,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
}

/// Resolves an unlinked refund, once it is known who pays for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ResolveRefund {
    /// Id of the refund: the network's, or for a refund seen on chain `chain/{chain id}/{block hash}/{log index}`. A
    /// repeat with the same content has no effect.
    pub refund_id: ExternalId,
    /// Outcome: the network pays (`paid`), the customer gives the credit back (`taken_back`), it was the return of pulled
    /// money (`returned`), or the network told of it as well (`matched`).
    pub outcome: RefundOutcome,
    /// Id of the payment that the refund belongs to; absent if it is unknown, and if the payment itself counts what came
    /// back (`AssignReturn`). If it is a return, it is taken off the payment as far as the account keeps its money by
    /// now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<ExternalId>,
}

/// An unlinked refund was paid or taken back, or was the return of pulled money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RefundResolved {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Id of the refund: the network's, or for a refund seen on chain `chain/{chain id}/{block hash}/{log index}`.
    pub refund_id: ExternalId,
    /// Outcome: the network pays (`paid`), the customer gives the credit back (`taken_back`), it was the return of pulled
    /// money (`returned`), or the network told of it as well (`matched`).
    pub outcome: RefundOutcome,
    /// Amount refunded; the part that is not withheld was in suspense.
    pub amount: Amount,
    /// Part of the amount that was withheld, in minor units of the same asset: it is credited if the network pays.
    /// Absent if nothing was withheld.
    #[serde(default, skip_serializing_if = "Minor::is_zero")]
    pub withheld: Minor,
    /// Id of the payment that the refund belongs to; absent if it is unknown, and if the payment itself counts what came
    /// back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<ExternalId>,
    /// Transfers that the event books in the account's ledger, set by the decider.
    pub transfers: Vec<Transfer>,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
}

/// Assigns a return to a payment: takes off the payment what came back of its pulled money. The payment counted it. A
/// refund is assigned once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AssignReturn {
    /// Id of the refund that was resolved as a return, without a payment. A repeat with the same content has no effect.
    pub refund_id: ExternalId,
    /// Id of the authorization whose money came back.
    pub hold_id: ExternalId,
    /// Part of the refund that was the payment's money.
    pub amount: Amount,
}

/// A return was assigned to a payment: so much of its pulled money came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReturnAssigned {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Id of the refund that was resolved as a return.
    pub refund_id: ExternalId,
    /// Id of the authorization whose money came back.
    pub hold_id: ExternalId,
    /// Part of the refund that was the payment's money.
    pub amount: Amount,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
}

/// Step of a dispute that moves the customer's money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DisputeStep {
    /// The customer is credited until the dispute is decided.
    Provisional,
    /// The dispute was won: the customer gets the awarded amount.
    Won,
    /// The dispute was lost: the customer gets nothing, and a provisional credit is taken back.
    Lost,
}

/// Books a provisional credit or the outcome of a dispute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BookDispute {
    /// Id of the authorization whose payment is disputed.
    pub hold_id: ExternalId,
    /// Id of the dispute, unique within its payment: another payment may have a dispute with the same id.
    pub dispute_id: ExternalId,
    /// Step of the dispute that is booked.
    pub step: DisputeStep,
    /// Disputed amount, the same for each step.
    pub amount: Amount,
    /// Part of the disputed amount that the customer gets, in minor units of the same asset. Only for a dispute that
    /// was won; absent means the whole amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awarded: Option<Minor>,
}

/// A dispute was credited provisionally, won or lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DisputeBooked {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Id of the authorization whose payment is disputed.
    pub hold_id: ExternalId,
    /// Id of the dispute, unique within its payment: another payment may have a dispute with the same id.
    pub dispute_id: ExternalId,
    /// Step of the dispute that was booked.
    pub step: DisputeStep,
    /// Disputed amount.
    pub amount: Amount,
    /// Part of the disputed amount that the customer gets, in minor units of the same asset. Only for a dispute that
    /// was won; absent means the whole amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awarded: Option<Minor>,
    /// Transfers that the event books in the account's ledger, set by the decider.
    pub transfers: Vec<Transfer>,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
}

/// Books money that moved between the acquirer and us in a cycle of a dispute. It comes in any order, also before or
/// behind the dispute's outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BookDisputeMoney {
    /// Network's id of the record, unique within the payment. A repeat with the same content has no effect.
    pub record_id: ExternalId,
    /// Id of the authorization whose payment is disputed.
    pub hold_id: ExternalId,
    /// Id of the dispute, unique within its payment.
    pub dispute_id: ExternalId,
    /// Cycle in which the money moved. A withdrawal ends what is expected of the network.
    pub cycle: DisputeCycle,
    /// Direction in which it moved.
    pub direction: DisputeDirection,
    /// Amount that moved; zero if a withdrawal moved nothing.
    pub amount: Amount,
}

/// Money moved between the acquirer and us in a cycle of a dispute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DisputeMoneyBooked {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Network's id of the record, unique within the payment.
    pub record_id: ExternalId,
    /// Id of the authorization whose payment is disputed.
    pub hold_id: ExternalId,
    /// Id of the dispute, unique within its payment.
    pub dispute_id: ExternalId,
    /// Cycle in which the money moved. A withdrawal ends what is expected of the network.
    pub cycle: DisputeCycle,
    /// Direction in which it moved.
    pub direction: DisputeDirection,
    /// Amount that moved; zero if a withdrawal moved nothing.
    pub amount: Amount,
    /// Transfers that the event books in the account's ledger, set by the decider. What an award expected of the network
    /// was booked with the award, so it is not booked again.
    pub transfers: Vec<Transfer>,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
}

/// Books the reversal of a refund: the network takes it back, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BookRefundReversal {
    /// Network's id of the reversal's record. A repeat with the same content has no effect.
    pub reversal_id: ExternalId,
    /// Network's id of the refund that is taken back.
    pub refund_id: ExternalId,
    /// Id of the authorization whose stream reports the refund.
    pub reported_on: ExternalId,
    /// Amount that is taken back.
    pub amount: Amount,
}

/// The network took a refund back, or a part of it. The customer has as much less, also if it was paid out on chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RefundReversalBooked {
    /// Address of the customer's Safe, which identifies the account.
    pub account: Address,
    /// Network's id of the reversal's record.
    pub reversal_id: ExternalId,
    /// Network's id of the refund that is taken back.
    pub refund_id: ExternalId,
    /// Id of the authorization whose stream reports the refund.
    pub reported_on: ExternalId,
    /// Amount that is taken back.
    pub amount: Amount,
    /// Transfers that the event books in the account's ledger, set by the decider.
    pub transfers: Vec<Transfer>,
    /// Time at which the host accepted the command.
    pub at: Timestamp,
}
