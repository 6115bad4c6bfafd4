//! Reversals: a hold, or a part of it, is given back. A reversal of more than is held releases what is held: after a
//! time-out the network reverses the amount that it asked for, not the smaller one that was approved. One that finds
//! nothing to release is recorded with its reason and changes no amount.
//!
//! If a [single message](super::single_message) claimed the payment, it takes back the claim.
//!
//! A reversal may come under the id of the message that it reverses: ids are unique among reversals.
//!
//! One that is of this payment or of another one, and does not say of which, is kept and not applied, until an operator
//! sends it to the payment that it is of.

use clearfold_kernel::{CommandContext, Minor, Rejection};
use serde::{Deserialize, Serialize};

use super::messages::{
    AuthorizationRequested, AuthorizationReversed, Event, Extent, Parties, ReversalCause, ReversalRefusal,
    ReversalRefused, ReverseAuthorization,
};
use super::state::{Payment, State, Status, sum};
use super::{Decision, record_reversal, single_message};
use crate::checks;

/// Reversal that was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reversal {
    /// Extent that it asked for.
    pub extent: Extent,
    /// Outcome of the reversal.
    pub fate: ReversalFate,
}

/// Outcome of a reversal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReversalFate {
    /// It fitted and was applied.
    Done,
    /// It did not fit and was only recorded.
    Refused,
    /// It is of this payment or of another one, and waits for an operator.
    Ambiguous,
}

/// Decides a reversal of the network. Money that comes back is reported by the refund that it looks like; only a saga of
/// an earlier version sends such a return as a reversal.
pub(super) fn reverse(state: &State, reversal: &ReverseAuthorization, context: &CommandContext) -> Decision {
    if reversal.cause == ReversalCause::Returned && context.actor != CommandContext::SAGA {
        let detail = "what comes back is a refund on chain; resolve it as returned, and name the payment";
        return Err(Rejection::new("return_not_resolved", detail));
    }
    apply(state, reversal, context)
}

/// Decides a reversal, or a return, which gives the hold back likewise.
pub(super) fn apply(state: &State, reversal: &ReverseAuthorization, context: &CommandContext) -> Decision {
    if let Extent::Part(minor) = reversal.extent {
        checks::moves(minor)?;
    }
    if let Some(known) = state.reversals.get(&reversal.message_id) {
        checks::repeated(reversal.message_id.as_str(), &known.extent, &reversal.extent)?;
        let is_named_now = known.fate == ReversalFate::Ambiguous && reversal.candidates.is_empty();
        if !is_named_now {
            return Ok(Vec::new());
        }
    }
    match state.payment() {
        Some(payment) => {
            checks::routed_to(payment.parties.account, context)?;
            if !reversal.candidates.is_empty() {
                let parties = payment.parties.clone();
                return Ok(vec![refuse(parties, reversal, ReversalRefusal::Ambiguous, context)]);
            }
            if let Some(events) = single_message::reverse(state, reversal, context)? {
                return Ok(events);
            }
            Ok(vec![match releasable(payment, beside_what_is_owed(state, reversal)) {
                Ok(released) => give_back(payment, reversal, released, context),
                Err(reason) => refuse(payment.parties.clone(), reversal, reason, context),
            }])
        }
        None => {
            let parties = record_reversal::parties(state, context)?;
            let is_named = reversal.candidates.is_empty();
            let reason = if is_named { ReversalRefusal::Unmatched } else { ReversalRefusal::Ambiguous };
            Ok(vec![refuse(parties, reversal, reason, context)])
        }
    }
}

/// Returns the extent of a reversal of the hold. Money that came back is first what was owed back: that was given back
/// before, and the hold stands for the rest.
fn beside_what_is_owed(state: &State, reversal: &ReverseAuthorization) -> Extent {
    match (reversal.cause, reversal.extent) {
        // The hold is lowered by the excess over the amount that is owed back.
        (ReversalCause::Returned, Extent::Part(minor)) => Extent::Part(minor.excess_over(state.owed_back())),
        (_, extent) => extent,
    }
}

/// Returns the amount that a reversal releases. Before the decision nothing is held yet, but the whole request can be
/// withdrawn, also by a reversal that names the amount asked for.
fn releasable(payment: &Payment, extent: Extent) -> Result<Minor, ReversalRefusal> {
    let held = payment.held();
    match (payment.status, extent) {
        (Status::Requested, extent) if covers(extent, payment.entry.request()) => Ok(Minor::ZERO),
        (Status::Authorized, Extent::Full) if payment.totals.authorized == Minor::ZERO => Ok(Minor::ZERO),
        (status, _) if !status.is_open() || held == Minor::ZERO => Err(ReversalRefusal::NothingHeld),
        (_, Extent::Full) => Ok(held),
        (_, Extent::Part(Minor::ZERO)) => Err(ReversalRefusal::NothingHeld),
        (_, Extent::Part(asked)) => Ok(asked.min(held)),
    }
}

/// Returns true if the reversal is of all that was asked for.
pub(super) fn covers(extent: Extent, request: Option<&AuthorizationRequested>) -> bool {
    match extent {
        Extent::Full => true,
        Extent::Part(minor) => request.is_some_and(|request| minor >= request.amount.minor),
    }
}

fn give_back(
    payment: &Payment,
    reversal: &ReverseAuthorization,
    released: Minor,
    context: &CommandContext,
) -> Event {
    Event::AuthorizationReversed(AuthorizationReversed {
        parties: payment.parties.clone(),
        message_id: reversal.message_id.clone(),
        extent: reversal.extent,
        released: payment.amount(released),
        full: released == payment.held(),
        cause: reversal.cause,
        occurred_at: reversal.occurred_at,
        at: context.accepted_at,
        details: reversal.details.clone(),
    })
}

fn refuse(
    parties: Parties,
    reversal: &ReverseAuthorization,
    reason: ReversalRefusal,
    context: &CommandContext,
) -> Event {
    Event::ReversalRefused(ReversalRefused {
        parties,
        message_id: reversal.message_id.clone(),
        extent: reversal.extent,
        cause: reversal.cause,
        reason,
        occurred_at: reversal.occurred_at,
        at: context.accepted_at,
        details: reversal.details.clone(),
        candidates: reversal.candidates.clone(),
    })
}

/// Applies a reversal. A payment of which nothing is held any more is closed: reversed if nothing was claimed,
/// otherwise cleared.
pub(super) fn reversed(state: &mut State, event: &AuthorizationReversed) {
    state.happened_at(event.at);
    let Some(payment) = state.payment_mut() else { return };
    payment.totals.reversed = sum(payment.totals.reversed, event.released.minor);
    if event.full {
        // A force post beside the authorization is not a claim to it, so only K counts.
        let unclaimed = payment.totals.against_hold == Minor::ZERO;
        payment.status = if unclaimed { Status::Reversed } else { Status::Cleared };
    }
    state.came_back(event.cause, event.extent);
    single_message::reversed(state, &event.message_id, event.cause, event.occurred_at);
    remember(state, event.message_id.clone(), event.extent, ReversalFate::Done);
}

pub(super) fn refused(state: &mut State, event: &ReversalRefused) {
    state.happened_at(event.at);
    state.came_back(event.cause, event.extent);
    let is_ambiguous = event.reason == ReversalRefusal::Ambiguous;
    let fate = if is_ambiguous { ReversalFate::Ambiguous } else { ReversalFate::Refused };
    if !is_ambiguous {
        single_message::reversed(state, &event.message_id, event.cause, event.occurred_at);
    }
    remember(state, event.message_id.clone(), event.extent, fate);
}

fn remember(state: &mut State, message_id: clearfold_kernel::ExternalId, extent: Extent, fate: ReversalFate) {
    state.reversals.insert(message_id, Reversal { extent, fate });
}
