//! Reversals of records: the network takes a clearing or a refund back that it sent. `occurred_at` is the time that the network
//! states.

use clearfold_kernel::{Amount, ExternalId, Minor, Timestamp};
use serde::{Deserialize, Serialize};

use super::Parties;
use crate::network::{Details, Network, NetworkFees};

command! {
    /// Takes a clearing back, or a part of it: the network reverses the record by which it claimed the money.
    ReverseClearing {
        /// Id of the reversal's own record, assigned by the network. A repeat with the same id is the same reversal.
        reversal_id: ExternalId,
        /// Id of the clearing record that it takes back, unique within the payment.
        clearing_id: ExternalId,
        /// Network that sends it.
        network: Network,
        /// Amount that is taken back, in the account's asset. Absent: all that is left of the clearing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount: Option<Amount>,
        /// Time of the reversal, as stated by the network.
        occurred_at: Timestamp,
        /// Further facts that the message states. Absent if it states none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        details: Option<Box<Details>>,
    }
}

command! {
    /// Takes a refund back that the network told of, or a part of it.
    ReverseRefund {
        /// Id of the reversal's own record, assigned by the network. A repeat with the same id is the same reversal.
        reversal_id: ExternalId,
        /// Network's id of the refund that it takes back.
        refund_id: ExternalId,
        /// Network that sends it.
        network: Network,
        /// Amount that is taken back, in the account's asset. Absent: all that is left of the refund.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount: Option<Amount>,
        /// Time of the reversal, as stated by the network.
        occurred_at: Timestamp,
        /// Further facts that the message states. Absent if it states none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        details: Option<Box<Details>>,
        /// True if it is refused (`refund_not_found`) unless the payment or the refund is known. Absent if not.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        known_only: bool,
    }
}

command! {
    /// Ends the wait of a reversal whose record does not come, or is another payment's: an operator says so.
    DismissRecordReversal {
        /// Id of the reversal's record.
        reversal_id: ExternalId,
    }
}

event! {
    /// Clearing reversed: the network took it back, or a part of it. The customer has the amount again; the hold that the
    /// clearing used up is not held again.
    ClearingReversed {
        /// Id of the reversal's own record.
        reversal_id: ExternalId,
        /// Id of the clearing record that it takes back.
        clearing_id: ExternalId,
        /// Network that sent it.
        network: Network,
        /// Amount that is taken back: no more than was left of the clearing.
        amount: Amount,
        /// Amount that the network states, in minor units. What exceeds `amount` is credited to nobody. Absent if it states
        /// none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stated: Option<Minor>,
        /// Part of the amount that the merchant did not have any more, because it was refunded or awarded in a dispute.
        /// Absent if there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        excess: Option<Minor>,
        /// True if the reversal waited for its clearing. Absent if not.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        waited: bool,
        /// Time of the reversal, as stated by the network.
        occurred_at: Timestamp,
        /// Further facts that the message states. Absent if it states none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        details: Option<Box<Details>>,
        /// Network fees of the clearing, which are taken back with it. Absent if it had none, or a part of it is left.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        network_fees_back: Option<Box<NetworkFees>>,
    }
}

event! {
    /// Refund reversed: the network took it back, or a part of it. The customer is not credited with the amount any more,
    /// also if it was paid out on chain.
    RefundReversed {
        /// Id of the reversal's own record.
        reversal_id: ExternalId,
        /// Network's id of the refund that it takes back.
        refund_id: ExternalId,
        /// Network that sent it.
        network: Network,
        /// Amount that is taken back: no more than was left of the refund.
        amount: Amount,
        /// Amount that the network states, in minor units. What exceeds `amount` is debited to nobody. Absent if it states
        /// none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stated: Option<Minor>,
        /// True if the reversal waited for its refund. Absent if not.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        waited: bool,
        /// Time of the reversal, as stated by the network.
        occurred_at: Timestamp,
        /// Further facts that the message states. Absent if it states none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        details: Option<Box<Details>>,
        /// Network fees of the refund, which are taken back with it. Absent if it had none, or a part of it is left.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        network_fees_back: Option<Box<NetworkFees>>,
    }
}

event! {
    /// Reversal of a record kept: there is nothing that it could take back now. It moves no money.
    RecordReversalKept {
        /// Id of the reversal's own record.
        reversal_id: ExternalId,
        /// Record that it takes back.
        of: ReversedRecord,
        /// Network that sent it.
        network: Network,
        /// Amount that the network states. Absent if it states none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount: Option<Amount>,
        /// Reason for which it takes nothing back.
        reason: KeptReason,
        /// Time of the reversal, as stated by the network.
        occurred_at: Timestamp,
        /// Further facts that the message states. Absent if it states none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        details: Option<Box<Details>>,
    }
}

event! {
    /// Wait of a reversal ended without its taking anything back.
    RecordReversalEnded {
        /// Id of the reversal's own record.
        reversal_id: ExternalId,
        /// Record that it names.
        of: ReversedRecord,
        /// Amount that the network stated. Absent if it stated none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount: Option<Amount>,
        /// Cause of the end.
        cause: WaitEnd,
        /// Time of acceptance, by the host's clock.
        at: Timestamp,
    }
}

/// Record that a reversal takes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ReversedRecord {
    /// Clearing, by the id of its record.
    Clearing(ExternalId),
    /// Refund, by the network's id.
    Refund(ExternalId),
}

/// Reason for which a reversal of a record takes nothing back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum KeptReason {
    /// There is no such record. It is taken back as soon as it comes.
    Unmatched,
    /// The record is in suspense. If the clearing is charged, or the refund paid, it is taken back.
    Unresolved,
    /// The record has nothing left: it was taken back before, or an operator undid it.
    NothingLeft,
    /// The clearing is linked to another payment, which is told of the reversal.
    Linked,
}

/// Cause for which a reversal of a record does not wait any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum WaitEnd {
    /// An operator dismissed it.
    Dismissed,
    /// The item in suspense was undone: the clearing returned to the network, or the refund taken back.
    Undone,
    /// The record has nothing left: another reversal took it back.
    NothingLeft,
}
