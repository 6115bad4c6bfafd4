//! Tables of the projection, with their constraints.

use clearfold_kernel::{Address, ExternalId, Minor, Timestamp};

use crate::account::Net;
use crate::authorization::{DisputeMoneyFlag, DisputeOutcome, DisputeReason, DisputeStage};
use crate::network::{DisputeCycle, DisputeDirection, MerchantId};
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

words!(DisputeCycle {
    Chargeback = "chargeback",
    Representment = "representment",
    PreArbitration = "pre_arbitration",
    Arbitration = "arbitration",
    Withdrawal = "withdrawal",
});

words!(DisputeDirection { Received = "received", Paid = "paid" });

words!(DisputeMoneyFlag {
    UnknownDispute = "unknown_dispute",
    AboveDisputed = "above_disputed",
    PaidAboveReceived = "paid_above_received",
    OtherThanAwarded = "other_than_awarded",
});

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
        /// Money that the acquirer paid us in the cycles of the dispute.
        received_minor: Minor,
        /// Money that we paid the acquirer in them.
        paid_minor: Minor,
        /// Received less paid.
        net_minor: Net,
        /// True if we have withdrawn: what the net lacks of the award is our loss.
        withdrawn: bool,
        opened_at: Timestamp,
        updated_at: Timestamp,
    }
}

table! {
    /// One row for each record of the network by which money of a dispute moved.
    pub(super) struct DisputeMoney in "dispute_money", indexes [[payment_id, dispute_id, stream_version]] {
        key { payment_id: String, record_id: ExternalId }
        stream_version: Number where Positive,
        dispute_id: ExternalId,
        account: Address,
        cycle: DisputeCycle,
        direction: DisputeDirection,
        /// Zero if a withdrawal moved nothing.
        amount_minor: Minor,
        asset: String,
        decimals: u8,
        /// Circumstances that an operator should look at.
        flags: Vec<DisputeMoneyFlag>,
        event_id: String,
        occurred_at: Timestamp,
    }
}

table! {
    /// One row for each dispute that is not known while money of it moved. It ends when the dispute is opened.
    pub(super) struct UnknownDispute in "unknown_dispute", indexes [[account, since]] {
        key { payment_id: String, id: ExternalId }
        account: Address,
        asset: String,
        decimals: u8,
        received_minor: Minor,
        paid_minor: Minor,
        net_minor: Net,
        /// True if we have withdrawn: the net is our gain or our loss, and waits for nobody.
        withdrawn: bool,
        since: Timestamp,
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
