//! Tables of the projection, with their constraints.

use clearfold_kernel::{Address, ExternalId, Minor, Timestamp};

use crate::authorization::{DisputeOutcome, DisputeReason, DisputeStage};
use crate::network::MerchantId;
use crate::projecting::{Number, table, words};

words!(DisputeReason {
    Fraud = "fraud",
    NotReceived = "not_received",
    NotAsDescribed = "not_as_described",
    Duplicate = "duplicate",
    WrongAmount = "wrong_amount",
});

words!(DisputeStage {
    New = "new",
    Submitted = "submitted",
    Representment = "representment",
    PreArbitration = "pre_arbitration",
    Arbitration = "arbitration",
});

words!(DisputeOutcome { Won = "won", Lost = "lost" });

table! {
    /// One row for each dispute.
    pub(super) struct Dispute in "dispute", indexes [
        [stage, opened_at],
        [outcome, opened_at],
        [account, opened_at],
        [merchant_id, opened_at],
    ] {
        key { payment_id: String, id: ExternalId }
        account: Address,
        card_id: Option<ExternalId>,
        merchant_id: Option<MerchantId>,
        amount_minor: Minor where Positive,
        asset: String,
        decimals: u8,
        reason: DisputeReason,
        /// Current stage, or the last stage before the decision.
        stage: DisputeStage,
        /// Outcome, from the customer's side. Empty while the dispute is open.
        outcome: Option<DisputeOutcome>,
        /// Amount awarded to the customer: zero while the dispute is open or if it is lost.
        awarded_minor: Minor,
        /// Provisional credit until the decision. The part that exceeds the award is taken back.
        provisional_credit_minor: Minor,
        opened_at: Timestamp,
        updated_at: Timestamp,
    }
}

/// Kind of a dispute's step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Opened,
    Submitted,
    Representment,
    PreArbitration,
    Arbitration,
    ProvisionalCredit,
    Won,
    Lost,
}

words!(Step {
    Opened = "opened",
    Submitted = "submitted",
    Representment = "representment",
    PreArbitration = "pre_arbitration",
    Arbitration = "arbitration",
    ProvisionalCredit = "provisional_credit",
    Won = "won",
    Lost = "lost",
});

table! {
    /// One row for each step of a dispute.
    pub(super) struct DisputeStep in "dispute_step", indexes [[payment_id, dispute_id, stream_version]] {
        key { payment_id: String, stream_version: Number where Positive }
        dispute_id: ExternalId,
        step: Step,
        event_id: String,
        at: Timestamp,
    }
}
