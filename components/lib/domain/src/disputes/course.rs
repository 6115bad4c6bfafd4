//! Effect of each event on the rows of a dispute.

use clearfold_kernel::{ExternalId, Minor, RowKey, Timestamp};

use super::tables::{Dispute, DisputeStep, Step};
use crate::account::Net;
use crate::authorization::{DisputeOpened, DisputeOutcome, DisputeStage, Event};
use crate::projecting::{Misfit, Rows, Seen};

/// Returns the key of the row that a step changes. `DisputeOpened` creates its row, so it needs none.
pub(super) fn key(seen: &Seen<'_, Event>) -> Option<RowKey> {
    let dispute_id = match &seen.event {
        Event::DisputeAdvanced(event) => &event.dispute_id,
        Event::ProvisionalCreditGranted(event) => &event.dispute_id,
        Event::DisputeResolved(event) => &event.dispute_id,
        _ => return None,
    };
    Some(Dispute::key(&seen.id.to_owned(), dispute_id))
}

/// Applies a step to the rows of its dispute.
pub(super) fn follow(rows: &mut Rows, seen: &Seen<'_, Event>) -> Result<(), Misfit> {
    let existing = || key(seen).map_or(Err(Misfit::Missing("dispute")), |key| rows.existing(&key));
    let (step, dispute) = match &seen.event {
        Event::DisputeOpened(event) => (Step::Opened, opened(seen.id, event)),
        Event::DisputeAdvanced(event) => {
            let dispute = Dispute { stage: event.stage, updated_at: event.at, ..existing()? };
            (reached(event.stage), dispute)
        }
        Event::ProvisionalCreditGranted(event) => {
            let (provisional_credit_minor, updated_at) = (event.amount.minor, event.at);
            (Step::ProvisionalCredit, Dispute { provisional_credit_minor, updated_at, ..existing()? })
        }
        Event::DisputeResolved(event) => {
            let (outcome, awarded_minor) = (Some(event.outcome), event.awarded());
            let dispute = Dispute { outcome, awarded_minor, updated_at: event.at, ..existing()? };
            (decided(event.outcome), dispute)
        }
        _ => return Ok(()),
    };
    rows.put(&taken(seen, step, &dispute.id, dispute.updated_at)?);
    rows.put(&dispute);
    Ok(())
}

fn opened(payment_id: &str, event: &DisputeOpened) -> Dispute {
    Dispute {
        payment_id: payment_id.to_owned(),
        id: event.dispute_id.clone(),
        account: event.parties.account,
        card_id: event.parties.card_id.clone(),
        merchant_id: event.parties.merchant_id.clone(),
        amount_minor: event.amount.minor,
        asset: event.amount.asset.code.clone(),
        decimals: event.amount.asset.decimals,
        reason: event.reason,
        stage: DisputeStage::New,
        outcome: None,
        awarded_minor: Minor::ZERO,
        provisional_credit_minor: Minor::ZERO,
        received_minor: Minor::ZERO,
        paid_minor: Minor::ZERO,
        net_minor: Net::default(),
        withdrawn: false,
        opened_at: event.at,
        updated_at: event.at,
    }
}

const fn reached(stage: DisputeStage) -> Step {
    match stage {
        DisputeStage::New => Step::Opened,
        DisputeStage::Submitted => Step::Submitted,
        DisputeStage::Representment => Step::Representment,
        DisputeStage::PreArbitration => Step::PreArbitration,
        DisputeStage::Arbitration => Step::Arbitration,
    }
}

const fn decided(outcome: DisputeOutcome) -> Step {
    match outcome {
        DisputeOutcome::Won => Step::Won,
        DisputeOutcome::Lost => Step::Lost,
    }
}

fn taken(
    seen: &Seen<'_, Event>,
    step: Step,
    dispute_id: &ExternalId,
    at: Timestamp,
) -> Result<DisputeStep, Misfit> {
    Ok(DisputeStep {
        payment_id: seen.id.to_owned(),
        stream_version: seen.recorded.stream_version.try_into()?,
        dispute_id: dispute_id.clone(),
        step,
        event_id: seen.recorded.event_id.clone(),
        at,
    })
}
