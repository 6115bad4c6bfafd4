//! Events of items in suspense, and of clearings that an earlier version refused. `at` is the host's clock at acceptance.

use clearfold_kernel::{Amount, ExternalId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Part, Parties, RefundOrigin};
use crate::network::{Details, NetworkFees, RefundOutcome, Residue, SuspenseOutcome};

event! {
    /// Clearing suspended as a suspected duplicate: another id, but the same reference and amount. The claim stays on
    /// the suspense account until the operator decides.
    ClearingSuspended {
        /// Id of the clearing record, assigned by the network.
        clearing_id: ExternalId,
        /// Id of the earlier clearing that it seems to duplicate.
        duplicate_of: ExternalId,
        /// Claimed amount.
        amount: Amount,
        /// Difference of the claimed amount from our own conversion; both fields are zero if there was none. Absent in old
        /// events, where it counts as zero.
        #[serde(default)]
        residue: Residue,
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
        /// Interchange and scheme fees of the record. Absent if it states none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        network_fees: Option<Box<NetworkFees>>,
    }
}

event! {
    /// Clearing refused because the authorization was reversed in full. It changes no amount until the operator resolves
    /// it. No longer written: such a claim is force posted.
    ClearingRefused {
        /// Id of the clearing record, assigned by the network.
        clearing_id: ExternalId,
        /// Claimed amount.
        amount: Amount,
        /// Difference of the claimed amount from our own conversion; both fields are zero if there was none. Absent in old
        /// events, where it counts as zero.
        #[serde(default)]
        residue: Residue,
        /// Reason for the refusal.
        reason: ClearingRefusal,
        /// Part of the payment that was presented: partial, final, or one of a sequence.
        part: Part,
        /// Transaction reference, assigned by the acquirer; absent if there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<ExternalId>,
        /// Time of presentment, as stated by the network.
        occurred_at: Timestamp,
    }
}

/// Reason for which a clearing was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ClearingRefusal {
    /// The authorization was reversed in full, so the merchant gave up the claim.
    Reversed,
}

event! {
    /// Suspended or refused clearing resolved: charged or returned. If it is charged, the next event states what posts.
    ClearingResolved {
        /// Id of the clearing record, assigned by the network.
        clearing_id: ExternalId,
        /// Outcome: charged to the customer, or returned to the network as a duplicate.
        outcome: SuspenseOutcome,
        /// Claimed amount.
        amount: Amount,
        /// True if the clearing was refused, by an earlier version: then it is in no suspense, which it would leave.
        /// Absent if not.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        was_refused: bool,
        /// Time of acceptance, by the host's clock.
        at: Timestamp,
        /// Network fees of the clearing, which are taken back with it: it is returned. Absent if it had none, or is charged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        network_fees_back: Option<Box<NetworkFees>>,
    }
}

event! {
    /// Unlinked refund resolved: paid, taken back, returned or matched.
    RefundResolved {
        /// Outcome: paid by the network, taken back from the customer, the return of pulled money, or matched with a
        /// refund that the network told of.
        outcome: RefundOutcome,
        /// Refunded amount.
        amount: Amount,
        /// Origin of the report of the refund: a log on chain, or the card network.
        origin: RefundOrigin,
        /// Id of the payment that the refund belongs to; absent if it is unknown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payment_id: Option<ExternalId>,
        /// Time of acceptance, by the host's clock.
        at: Timestamp,
        /// Network fees of the refund, which are taken back with it. Absent if it had none, or is not taken back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        network_fees_back: Option<Box<NetworkFees>>,
    }
}
