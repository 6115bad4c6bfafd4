//! What can have been found out of what was in suspense. `at` is the host's clock when it was accepted.

use clearfold_kernel::{Amount, ExternalId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Parties, RefundOrigin};
use crate::network::{RefundOutcome, SuspenseOutcome};

event! {
    /// A suspended clearing is charged or returned. What a charge posts, the event after this one says.
    ClearingResolved {
        /// The network's id of the record.
        clearing_id: ExternalId,
        /// What it turned out to be.
        outcome: SuspenseOutcome,
        /// How much it claims.
        amount: Amount,
        /// When it was accepted.
        at: Timestamp,
    }
}

event! {
    /// An unlinked refund is paid or taken back.
    RefundResolved {
        /// Who turned out to pay.
        outcome: RefundOutcome,
        /// How much had come back.
        amount: Amount,
        /// By whose word it had.
        origin: RefundOrigin,
        /// The payment that it turned out to belong to, if somebody knows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payment_id: Option<ExternalId>,
        /// When it was accepted.
        at: Timestamp,
    }
}
