//! Events of refunds, linked to a payment or not. `occurred_at` is the time that the network or the block states.

use clearfold_kernel::{Amount, ExternalId, Minor, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Parties, RefundOrigin};
use crate::network::{Details, NetworkFees};

event! {
    /// Refund linked: money of this payment came back from the merchant.
    RefundLinked {
        /// Refunded amount.
        amount: Amount,
        /// Origin of the report: a log on chain, or the card network.
        origin: RefundOrigin,
        /// Part of the amount that exceeds what the merchant still had of the payment. Absent if there is none, and in
        /// old events.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        excess: Option<RefundExcess>,
        /// Time of the block, or the time stated by the network.
        occurred_at: Timestamp,
        /// Further facts that the message states. Absent if it states none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        details: Option<Box<Details>>,
        /// Interchange and scheme fees of the record. Absent if it states none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        network_fees: Option<Box<NetworkFees>>,
    }
}

/// Part of a refund that exceeds what the merchant still had of the payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RefundExcess {
    /// Excess, in minor units of the refund's asset.
    pub minor: Minor,
    /// Cause of the excess, as far as it is known.
    pub cause: RefundExcessCause,
    /// True if the operator should review the payment: the excess is no exchange difference, or a larger one than is
    /// tolerated.
    pub flagged: bool,
}

/// Cause of a refund's excess.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RefundExcessCause {
    /// The payment was converted, and the refund has its own day's rate.
    ExchangeDifference,
    /// The money was there already: refunded before, awarded in a dispute, or not captured.
    Unexplained,
}

event! {
    /// Refund unlinked: the account got money back that names no payment.
    RefundUnlinked {
        /// Refunded amount.
        amount: Amount,
        /// Origin of the report: a log on chain, or the card network.
        origin: RefundOrigin,
        /// Time of the block, or the time stated by the network.
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
    /// Return taken: so much of what came back had been pulled for the payment. It follows the reversal that the return
    /// is; the rest was none of the payment's money.
    ReturnTaken {
        /// Id of the refund that was resolved as a return.
        refund_id: ExternalId,
        /// Part of it that was the payment's money.
        amount: Amount,
        /// Time of acceptance, by the host's clock.
        at: Timestamp,
    }
}
