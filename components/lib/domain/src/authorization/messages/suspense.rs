//! Events that resolve items in suspense. `at` is the host's clock at acceptance.

use clearfold_kernel::{Amount, ExternalId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Parties, RefundOrigin};
use crate::network::{RefundOutcome, SuspenseOutcome};

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
    }
}
