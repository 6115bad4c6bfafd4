//! Events of a dispute. `at` is the host's clock at acceptance.

use clearfold_kernel::{Amount, ExternalId, Minor, Timestamp};
use serde::{Deserialize, Serialize};

use super::{DisputeOutcome, DisputeReason, DisputeStage, Parties};

event! {
    /// Dispute opened: the customer contests the payment, or a part of it.
    DisputeOpened {
        /// Id of the dispute, assigned by the processor.
        dispute_id: ExternalId,
        /// Disputed amount.
        amount: Amount,
        /// Reason that the customer gave.
        reason: DisputeReason,
        /// Time of acceptance, by the host's clock.
        at: Timestamp,
    }
}

event! {
    /// Dispute advanced to its next stage.
    DisputeAdvanced {
        /// Id of the dispute, assigned by the processor.
        dispute_id: ExternalId,
        /// Stage that the dispute is in now.
        stage: DisputeStage,
        /// Time of acceptance, by the host's clock.
        at: Timestamp,
    }
}

event! {
    /// Provisional credit granted: the customer has the disputed money until the dispute is decided.
    ProvisionalCreditGranted {
        /// Id of the dispute, assigned by the processor.
        dispute_id: ExternalId,
        /// Credited amount: all that is disputed.
        amount: Amount,
        /// Time of acceptance, by the host's clock.
        at: Timestamp,
    }
}

event! {
    /// Dispute resolved: won or lost by the customer.
    DisputeResolved {
        /// Id of the dispute, assigned by the processor.
        dispute_id: ExternalId,
        /// Outcome: won or lost by the customer.
        outcome: DisputeOutcome,
        /// Disputed amount.
        amount: Amount,
        /// Amount that the customer was awarded, if it is only a part of the disputed amount. Absent means the whole
        /// disputed amount if the dispute was won, and nothing if it was lost.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        awarded: Option<Amount>,
        /// True if the customer already had the money as provisional credit.
        provisional_credit: bool,
        /// Time of acceptance, by the host's clock.
        at: Timestamp,
    }
}

impl DisputeResolved {
    /// Returns the amount that the customer is awarded, in minor units of the disputed asset.
    #[must_use]
    pub fn awarded(&self) -> Minor {
        match self.outcome {
            DisputeOutcome::Won => self.awarded.as_ref().unwrap_or(&self.amount).minor,
            DisputeOutcome::Lost => Minor::ZERO,
        }
    }
}
