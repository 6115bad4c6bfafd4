//! What can have happened in a dispute. `at` is the host's clock when it was accepted.

use clearfold_kernel::{Amount, ExternalId, Minor, Timestamp};
use serde::{Deserialize, Serialize};

use super::{DisputeOutcome, DisputeReason, DisputeStage, Parties};

event! {
    /// The customer disputes the payment, or a part of it.
    DisputeOpened {
        /// Our id of the dispute.
        dispute_id: ExternalId,
        /// How much.
        amount: Amount,
        /// Why.
        reason: DisputeReason,
        /// When it was accepted.
        at: Timestamp,
    }
}

event! {
    /// The dispute went a step further.
    DisputeAdvanced {
        /// Our id of the dispute.
        dispute_id: ExternalId,
        /// The stage that it is in now.
        stage: DisputeStage,
        /// When it was accepted.
        at: Timestamp,
    }
}

event! {
    /// The customer has the disputed money until it is decided who keeps it.
    ProvisionalCreditGranted {
        /// Our id of the dispute.
        dispute_id: ExternalId,
        /// How much.
        amount: Amount,
        /// When it was accepted.
        at: Timestamp,
    }
}

event! {
    /// The dispute is decided.
    DisputeResolved {
        /// Our id of the dispute.
        dispute_id: ExternalId,
        /// For whom.
        outcome: DisputeOutcome,
        /// How much was disputed.
        amount: Amount,
        /// How much of that was won, where it is a part.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        awarded: Option<Amount>,
        /// Whether the customer had the money already.
        provisional_credit: bool,
        /// When it was accepted.
        at: Timestamp,
    }
}

impl DisputeResolved {
    /// What the customer gets, in minor units of what was disputed.
    #[must_use]
    pub fn awarded(&self) -> Minor {
        match self.outcome {
            DisputeOutcome::Won => self.awarded.as_ref().unwrap_or(&self.amount).minor,
            DisputeOutcome::Lost => Minor::ZERO,
        }
    }
}
