//! Events of a dispute, and the command that states the network's money. `at` is the host's clock at acceptance.

use clearfold_kernel::{Amount, ExternalId, Minor, Timestamp};
use serde::{Deserialize, Serialize};

use super::{DisputeOutcome, DisputeReason, DisputeStage, Parties};
use crate::network::{Details, DisputeCycle, DisputeDirection, Network};

command! {
    /// Records money that moved between the acquirer and us in a cycle of a dispute. A fact of the network: it is recorded
    /// in any order, and whatever the dispute is.
    RecordDisputeMoney {
        /// Id of the record, assigned by the network. A repeat with the same id is the same record.
        record_id: ExternalId,
        /// Id of the dispute, assigned by the processor.
        dispute_id: ExternalId,
        /// Network that sends it.
        network: Network,
        /// Cycle in which the money moved.
        cycle: DisputeCycle,
        /// Direction in which it moved. Absent: received in a chargeback, paid in a representment and in a withdrawal. The
        /// other cycles state it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        direction: Option<DisputeDirection>,
        /// Amount that moved, in the account's asset. A withdrawal may move nothing: zero.
        amount: Amount,
        /// Time of the movement, as stated by the network.
        occurred_at: Timestamp,
        /// Further facts that the message states. Absent if it states none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        details: Option<Box<Details>>,
    }
}

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

event! {
    /// Money of a dispute moved between the acquirer and us in one of its cycles. It is no money of the customer: that is
    /// the provisional credit and the award.
    DisputeMoneyMoved {
        /// Id of the record, assigned by the network.
        record_id: ExternalId,
        /// Id of the dispute, assigned by the processor.
        dispute_id: ExternalId,
        /// Network that sent it.
        network: Network,
        /// Cycle in which the money moved.
        cycle: DisputeCycle,
        /// Direction in which it moved.
        direction: DisputeDirection,
        /// Amount that moved; zero if a withdrawal moved nothing.
        amount: Amount,
        /// Circumstances that an operator should look at. Absent if there are none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        flags: Vec<DisputeMoneyFlag>,
        /// Time of the movement, as stated by the network.
        occurred_at: Timestamp,
        /// Further facts that the message states. Absent if it states none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        details: Option<Box<Details>>,
    }
}

/// Circumstance in which money of a dispute moves, and that an operator should look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DisputeMoneyFlag {
    /// The payment has no dispute with this id. The money waits in suspense until one is opened, or withdrawn.
    UnknownDispute,
    /// The network gave more than is disputed.
    AboveDisputed,
    /// We paid more than the network gave: a record is missing, or comes later.
    PaidAboveReceived,
    /// The dispute is decided, and the network's money does not come to its award.
    OtherThanAwarded,
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
