//! Effect of each event on a payment's row.

use clearfold_kernel::{Hash, Minor};

use super::status::{Dispute, Funding, Status};
use super::tables::Payment;
use super::{beginning, clearing, hold};
use crate::authorization::{Event, FIRST_LEG, KeptReason, Observation};
use crate::projecting::{Misfit, Number, Seen};

/// Returns the payment after an event that concerns it.
pub(super) fn after(known: Option<Payment>, seen: &Seen<'_, Event>) -> Result<Payment, Misfit> {
    let mut payment = beginning::payment(known, seen)?;
    change(&mut payment, &seen.event)?;
    derive(&mut payment)?;
    payment.updated_at = seen.recorded.recorded_at;
    Ok(payment)
}

fn change(payment: &mut Payment, event: &Event) -> Result<(), Misfit> {
    match event {
        Event::AuthorizationApproved(event) => {
            hold::placed(payment, Status::Authorized, event.amount.minor, event.expires_at);
        }
        Event::AuthorizationPartiallyApproved(event) => {
            hold::placed(payment, Status::PartiallyAuthorized, event.amount.minor, event.expires_at);
        }
        Event::AuthorizationDeclined(event) => {
            payment.status = Status::Declined;
            payment.decline_reason = Some(event.reason);
        }
        Event::HoldIncreased(event) => hold::increased(payment, event)?,
        Event::AuthorizationReversed(event) => hold::reversed(payment, event)?,
        Event::AuthorizationExpired(event) => hold::expired(payment, event)?,
        Event::ClearingPosted(event) => clearing::posted(payment, event)?,
        Event::ClearingReversed(event) => clearing::reversed(payment, event)?,
        Event::RefundReversed(event) => {
            payment.refunded_minor = payment.refunded_minor.minus(event.amount.minor)?;
            payment.flagged |= event.stated.is_some_and(|stated| stated > event.amount.minor);
        }
        // It is told to the payment that has the clearing.
        Event::RecordReversalKept(event) if event.reason == KeptReason::Linked => {}
        // A reversal that fits nothing comes here only if it may be of this payment.
        Event::RecordReversalKept(_) | Event::ReversalRefused(_) => payment.flagged = true,
        Event::OverCaptured(event) => {
            payment.over_captured = true;
            payment.flagged |= event.flagged;
        }
        Event::LatePresented(_) => payment.late = true,
        // Each waits for an operator.
        Event::ConversionDeviates(_) | Event::ClearingSuspended(_) | Event::ClearingRefused(_) => {
            payment.flagged = true;
        }
        Event::ForcePosted(event) => clearing::forced(payment, event)?,
        Event::RefundLinked(event) => {
            payment.refunded_minor = payment.refunded_minor.plus(event.amount.minor)?;
            payment.flagged |= event.excess.is_some_and(|excess| excess.flagged);
        }
        Event::FundingSubmitted(event) => {
            moved(payment, event.leg, Funding::Unconfirmed, Some(event.transaction_hash));
        }
        Event::FundingIncluded(event) => {
            moved(payment, event.leg, Funding::Included, Some(event.source.transaction_hash));
        }
        Event::FundingFinalized(event) => {
            moved(payment, event.leg, Funding::Finalized, Some(event.source.transaction_hash));
        }
        Event::FundingReverted(event) => {
            moved(payment, event.leg, Funding::ExecReverted, Some(event.transaction_hash));
        }
        Event::FundingDropped(event) => {
            moved(payment, event.leg, Funding::Dropped, Some(event.transaction_hash));
        }
        // The transaction is sent again and may be mined in another block.
        Event::FundingReorged(event) => {
            moved(payment, event.leg, Funding::Unconfirmed, Some(event.source.transaction_hash));
        }
        Event::FundingAbandoned(event) => {
            moved(payment, event.leg, Funding::Abandoned, None);
            payment.flagged |= event.exposed.minor > Minor::ZERO;
        }
        Event::ReturnOwed(event) => {
            payment.owed_back_minor = event.owed.minor;
            payment.flagged |= event.owed.minor > Minor::ZERO;
        }
        Event::PaymentFlagged(event) => {
            payment.flags.push(event.reason);
            payment.flagged = true;
        }
        Event::DisputeOpened(_) => payment.dispute = Some(Dispute::New),
        Event::DisputeAdvanced(event) => payment.dispute = Some(event.stage.into()),
        Event::DisputeResolved(event) => payment.dispute = Some(event.outcome.into()),
        Event::DisputeMoneyMoved(event) => payment.flagged |= !event.flags.is_empty(),
        Event::SpendLinked(event) => {
            payment.status = Status::Linked;
            payment.reversed_minor = payment.reversed_minor.plus(event.released)?;
            payment.linked_to = Some(event.payment_id.clone());
        }
        Event::SpendUnlinked(event) => {
            payment.status = if event.held > Minor::ZERO { Status::Recorded } else { Status::Expired };
            payment.reversed_minor = payment.reversed_minor.minus(event.held)?;
            payment.linked_to = None;
        }
        Event::ClearingLinked(event) => {
            payment.status = Status::Linked;
            payment.beyond_hold_minor = payment.beyond_hold_minor.minus(event.amount.minor)?;
            payment.linked_to = Some(event.payment_id.clone());
        }
        Event::ClearingUnlinked(event) => {
            payment.status = Status::ForcePosted;
            payment.beyond_hold_minor = payment.beyond_hold_minor.plus(event.amount.minor)?;
            payment.linked_to = None;
            // Nobody knows its payment, again.
            payment.flagged = true;
        }
        Event::ClearingGivenUp(event) => clearing::given_up(payment, event)?,
        Event::CandidatesNamed(_) => payment.flagged = true,
        Event::SpendTaken(event) => {
            let funding = if event.is_final { Funding::Finalized } else { Funding::Included };
            moved(payment, event.leg, funding, Some(event.source.transaction_hash));
        }
        Event::SpendGivenUp(event) => moved(payment, event.leg, Funding::Abandoned, None),
        Event::SpendObserved(event) => {
            let (funding, transaction_hash) = seen(&event.observation);
            moved(payment, FIRST_LEG, funding, Some(transaction_hash));
        }
        // These events created the row, do not concern it, or are followed by an event that carries the change.
        Event::SwipeRecorded(_)
        | Event::AuthorizationRequested(_)
        | Event::PartialApprovalProposed(_)
        | Event::SpendExpected(_)
        | Event::AdviceRecorded(_)
        | Event::IncrementRequested(_)
        | Event::IncrementDeclined(_)
        | Event::RecordReversalEnded(_)
        | Event::ReturnTaken(_)
        | Event::ClearingResolved(_)
        | Event::RefundResolved(_)
        | Event::RefundUnlinked(_)
        | Event::ExposureCleared(_)
        | Event::ProvisionalCreditGranted(_) => {}
    }
    Ok(())
}

/// Returns the state of a leg behind an observation, with the transaction.
const fn seen(observation: &Observation) -> (Funding, Hash) {
    match observation {
        Observation::Submitted { transaction_hash } => (Funding::Unconfirmed, *transaction_hash),
        Observation::Included { source, .. } => (Funding::Included, source.transaction_hash),
        Observation::Finalized { source } => (Funding::Finalized, source.transaction_hash),
        Observation::Reverted { transaction_hash } => (Funding::ExecReverted, *transaction_hash),
        Observation::Dropped { transaction_hash } => (Funding::Dropped, *transaction_hash),
        Observation::Reorged { source } => (Funding::Unconfirmed, source.transaction_hash),
    }
}

/// Shows what was observed of a leg, unless a later leg is shown.
fn moved(payment: &mut Payment, leg: u32, funding: Funding, transaction_hash: Option<Hash>) {
    let leg = Number::from(leg);
    if leg >= payment.funding_leg {
        (payment.funding, payment.funding_leg) = (funding, leg);
        payment.funding_transaction_hash = transaction_hash;
    }
}

/// Computes the derived fields. A negative hold is an error: the projection fails at that event and stores nothing.
fn derive(payment: &mut Payment) -> Result<(), Misfit> {
    payment.cleared_minor = payment.against_hold_minor.plus(payment.beyond_hold_minor)?;
    payment.held_minor = payment
        .authorized_minor
        .minus(payment.reversed_minor)?
        .minus(payment.expired_minor)?
        .minus(payment.against_hold_minor)?;
    if payment.status.is_open() && clearing::is_claimed(payment) {
        payment.status = Status::PartiallyCleared;
    }
    Ok(())
}
