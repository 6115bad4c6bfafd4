//! What the tables hold, and what the database checks of them.

use clearfold_kernel::{Address, ExternalId, Minor, Timestamp};

use crate::authorization::{DisputeOutcome, DisputeReason, DisputeStage};
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
    /// One row a dispute.
    pub(super) struct Dispute in "dispute", indexes [
        [stage, opened_at],
        [outcome, opened_at],
        [account, opened_at],
        [merchant_id, opened_at],
    ] {
        key { payment_id: String, id: ExternalId }
        account: Address,
        card_id: Option<ExternalId>,
        merchant_id: Option<ExternalId>,
        amount_minor: Minor where Positive,
        asset: String,
        decimals: u8,
        reason: DisputeReason,
        /// How far it has come, or had come when it was decided.
        stage: DisputeStage,
        /// For whom it was decided. Empty while it is open.
        outcome: Option<DisputeOutcome>,
        /// What the customer got by it: nothing while it is open, or if it is lost.
        awarded_minor: Minor,
        /// What the customer was given until the decision. What exceeds the award is taken back.
        provisional_credit_minor: Minor,
        opened_at: Timestamp,
        updated_at: Timestamp,
    }
}

/// What a step of a dispute was.
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
    /// One row a step of a dispute.
    pub(super) struct DisputeStep in "dispute_step", indexes [[payment_id, dispute_id, stream_version]] {
        key { payment_id: String, stream_version: Number where Positive }
        dispute_id: ExternalId,
        step: Step,
        event_id: String,
        at: Timestamp,
    }
}
