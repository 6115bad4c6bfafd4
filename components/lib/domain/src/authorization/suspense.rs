//! Resolution of suspense: the operator has found out what a suspended clearing is, or who pays for an unlinked
//! refund. A clearing that an earlier version refused is resolved like a suspended one, but is on no account's suspense.
//!
//! | finding | effect |
//! |---|---|
//! | the clearing is charged | it posts like any claim, against what is held now |
//! | … unauthorized, or reversed in full | it posts beyond the hold, as a [force post](super::force_post) |
//! | the clearing is returned | no amount of the payment changes |
//! | the refund is paid | the network pays it |
//! | the refund is taken back | it was credited in error; impossible for a refund on chain, which was really paid |
//! | the refund is matched | the network told of it on the stream of its payment, where it counts; only for a refund on chain |
//! | the refund is a return | the money that was pulled for a payment came back; only for a refund on chain |
//!
//! A payment that was reversed in full stays reversed, whatever is charged. The payment that a refund belongs to is
//! recorded if it is known, and stays as it is, unless its money was returned: then the saga has its hold reversed by as
//! much.

use clearfold_kernel::{CommandContext, ExternalId, Rejection, Timestamp};

use super::claim::{ClearingFate, Suspended};
use super::messages::{
    ClearingResolved, Event, Parties, PresentClearing, RefundOrigin, RefundResolved, ResolveClearing,
    ResolveRefund, ReversedRecord,
};
use super::refund::Resolution;
use super::state::{Payment, State, Status};
use super::{Decision, clearing, existing, force_post};
use crate::checks;
use crate::network::{RefundOutcome, Residue, SuspenseOutcome};

pub(super) fn resolve_clearing(
    state: &State,
    command: &ResolveClearing,
    context: &CommandContext,
) -> Decision {
    let payment = existing(state, context)?;
    let ResolveClearing { clearing_id, outcome } = command;
    let claim = match state.suspended.get(clearing_id) {
        Some(Suspended::Resolved(known)) => {
            checks::repeated(clearing_id.as_str(), known, outcome)?;
            return Ok(Vec::new());
        }
        Some(Suspended::Waiting { occurred_at }) => claim(state, payment, clearing_id, *occurred_at),
        None => None,
    };
    let Some((claim, residue, was_refused)) = claim else {
        return Err(not_found(format!("the clearing {clearing_id} was neither suspended nor refused")));
    };
    let network_fees_back = match outcome {
        SuspenseOutcome::Charged => None,
        SuspenseOutcome::Returned => state.fees.of(&ReversedRecord::Clearing(clearing_id.clone())),
    };
    let resolved = Event::ClearingResolved(ClearingResolved {
        parties: payment.parties.clone(),
        clearing_id: clearing_id.clone(),
        outcome: *outcome,
        amount: claim.amount.clone(),
        was_refused,
        at: context.accepted_at,
        network_fees_back,
    });
    let charged = match outcome {
        SuspenseOutcome::Charged => charge(state, payment, &claim, residue)?,
        SuspenseOutcome::Returned => Vec::new(),
    };
    Ok([vec![resolved], charged].concat())
}

/// Restores the claim as it was presented, and says if it was refused. It was converted then, so the residue is known.
fn claim(
    state: &State,
    payment: &Payment,
    clearing_id: &ExternalId,
    occurred_at: Timestamp,
) -> Option<(PresentClearing, Residue, bool)> {
    let known = state.clearings.get(clearing_id)?;
    let claim = PresentClearing {
        clearing_id: clearing_id.clone(),
        amount: payment.amount(known.claimed),
        presented: None,
        reference: known.reference.clone(),
        part: known.part,
        occurred_at,
        // The suspended clearing's own event has them, and its fees count since then.
        details: None,
        network_fees: None,
    };
    Some((claim, known.residue, known.fate == ClearingFate::Refused))
}

fn charge(state: &State, payment: &Payment, claim: &PresentClearing, residue: Residue) -> Decision {
    checks::fits(payment.totals.captured().plus(claim.amount.minor))?;
    Ok(match payment.status {
        Status::Requested | Status::Declined | Status::ForcePosted | Status::Reversed | Status::Linked => {
            vec![force_post::unauthorized(payment, claim, residue)]
        }
        _ => clearing::post(state, payment, claim, residue),
    })
}

pub(super) fn resolve_refund(state: &State, command: &ResolveRefund, context: &CommandContext) -> Decision {
    let Some(refund) = state.unlinked() else {
        return Err(not_found(format!("{} is no unlinked refund", context.id)));
    };
    checks::routed_to(refund.account, context)?;
    let ResolveRefund { outcome, payment_id } = command;
    if let Resolution::Resolved { outcome: known, payment_id: known_id } = &refund.resolution {
        checks::repeated(&context.id, &(known, known_id), &(outcome, payment_id))?;
        return Ok(Vec::new());
    }
    if let (RefundOutcome::TakenBack, RefundOrigin::Chain(_)) = (outcome, &refund.origin) {
        let detail = "the money is in the customer's Safe; who paid it is all that can be found out";
        return Err(Rejection::new("refund_on_chain", detail));
    }
    if let (RefundOutcome::Returned | RefundOutcome::Matched, RefundOrigin::Network(_)) =
        (outcome, &refund.origin)
    {
        let detail = "only what is on chain can be money that was pulled, or what the network told of besides; the network pays refunds, or takes them back";
        return Err(Rejection::new("return_not_on_chain", detail));
    }
    let network_fees_back = match (outcome, &refund.origin) {
        (RefundOutcome::TakenBack, RefundOrigin::Network(id)) => {
            state.fees.of(&ReversedRecord::Refund(id.clone()))
        }
        _ => None,
    };
    Ok(vec![Event::RefundResolved(RefundResolved {
        parties: Parties::account(refund.account),
        outcome: *outcome,
        amount: refund.amount.clone(),
        origin: refund.origin.clone(),
        payment_id: payment_id.clone(),
        at: context.accepted_at,
        network_fees_back,
    })])
}

fn not_found(detail: String) -> Rejection {
    Rejection::new("suspense_not_found", detail)
}

/// Applies the resolution of a clearing. The next event states what a charge posts.
pub(super) fn clearing_resolved(state: &mut State, event: &ClearingResolved) {
    state.happened_at(event.at);
    if let Some(suspended) = state.suspended.get_mut(&event.clearing_id) {
        *suspended = Suspended::Resolved(event.outcome);
    }
}

pub(super) fn refund_resolved(state: &mut State, event: &RefundResolved) {
    state.happened_at(event.at);
    if let Some(refund) = state.unlinked_mut() {
        refund.resolution =
            Resolution::Resolved { outcome: event.outcome, payment_id: event.payment_id.clone() };
    }
}
