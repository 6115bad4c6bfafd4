//! Increments: the merchant asks for more in the same payment. An increment is decided like a request, once for each
//! message, and holds more only when it is approved.
//!
//! | payment | increment |
//! |---|---|
//! | open | requested; approved or declined once card and account were asked |
//! | not decided yet, or closed | requested and declined at once: `not_open` |
//!
//! A message states the addition or the payment's new total ([`IncrementBasis`]). A total is compared with what was
//! authorized and not reversed, so an amount that was claimed already is not held again.
//!
//! Events that were recorded before increments were decided are approvals without a request; they fold as such.

use clearfold_kernel::{Amount, CommandContext, ExternalId, Minor, Rejection, Timestamp};
use serde::{Deserialize, Serialize};

use super::messages::{
    ApproveIncrement, DeclineIncrement, Event, HoldIncreased, IncrementAuthorization, IncrementBasis,
    IncrementDeclined, IncrementRequested,
};
use super::state::{Entry, Payment, State, sum};
use super::{Decision, existing, single_message};
use crate::checks;
use crate::policy::{DeclineReason, hold_expiry};

/// Increment that the network asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Increment {
    /// Amount that the message states, in minor units.
    pub stated: Minor,
    /// Meaning of the stated amount.
    pub basis: IncrementBasis,
    /// Additional amount to hold, in minor units.
    pub addition: Minor,
    /// Time of the message, as stated by the network.
    pub occurred_at: Timestamp,
    /// Decision on the increment.
    pub fate: IncrementFate,
}

/// Decision on an increment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IncrementFate {
    /// Card and account are being asked.
    Undecided,
    /// The addition is held.
    Approved,
    /// Declined: the hold stays as it was.
    Declined(DeclineReason),
}

pub(super) fn request(
    state: &State,
    increment: &IncrementAuthorization,
    context: &CommandContext,
) -> Decision {
    checks::in_time(state.latest, context)?;
    let payment = existing(state, context)?;
    checks::sound(&increment.amount)?;
    checks::same_asset(&payment.asset, &increment.amount.asset)?;
    let given = (increment.amount.minor, increment.basis);
    if let Some(known) = state.increments.get(&increment.message_id) {
        checks::repeated(increment.message_id.as_str(), &(known.stated, known.basis), &given)?;
        return Ok(Vec::new());
    }
    single_message::takes_increments(state)?;
    state.unheard(&increment.message_id)?;
    if !payment.takes_increments() {
        // A closed payment holds nothing, so the addition is the whole stated amount, also of a new total.
        let addition = increment.amount.minor;
        let requested = requested_of(payment, increment, addition, context);
        let declined =
            DeclineIncrement { message_id: increment.message_id.clone(), reason: DeclineReason::NotOpen };
        return Ok(vec![
            Event::IncrementRequested(requested),
            declined_of(payment, &declined, addition, context),
        ]);
    }
    let addition = match increment.basis {
        IncrementBasis::Addition => increment.amount.minor,
        IncrementBasis::Total => above_authorized(state, payment, &increment.amount)?,
    };
    checks::fits(payment.totals.authorized.plus(addition))?;
    Ok(vec![Event::IncrementRequested(requested_of(payment, increment, addition, context))])
}

/// Returns what a new total adds. What an undecided increment will add is not known yet.
fn above_authorized(state: &State, payment: &Payment, total: &Amount) -> Result<Minor, Rejection> {
    let undecided = state.increments.iter().find(|(_, known)| known.fate == IncrementFate::Undecided);
    if let Some((message_id, _)) = undecided {
        let detail = format!("{message_id} is not decided yet, so the new total adds no known amount");
        return Err(Rejection::new("increment_undecided", detail));
    }
    let standing = payment.totals.standing();
    match total.minor.minus(standing) {
        Ok(addition) if addition > Minor::ZERO => Ok(addition),
        _ => {
            let detail = format!("{} is authorized already; {total} adds nothing", payment.amount(standing));
            Err(Rejection::new("total_not_above_authorized", detail))
        }
    }
}

fn requested_of(
    payment: &Payment,
    increment: &IncrementAuthorization,
    addition: Minor,
    context: &CommandContext,
) -> IncrementRequested {
    IncrementRequested {
        parties: payment.parties.clone(),
        message_id: increment.message_id.clone(),
        amount: increment.amount.clone(),
        basis: increment.basis,
        addition,
        occurred_at: increment.occurred_at,
        at: context.accepted_at,
        details: increment.details.clone(),
    }
}

fn declined_of(
    payment: &Payment,
    decline: &DeclineIncrement,
    addition: Minor,
    context: &CommandContext,
) -> Event {
    Event::IncrementDeclined(IncrementDeclined {
        parties: payment.parties.clone(),
        message_id: decline.message_id.clone(),
        amount: payment.amount(addition),
        reason: decline.reason,
        at: context.accepted_at,
    })
}

pub(super) fn approve(state: &State, approval: &ApproveIncrement, context: &CommandContext) -> Decision {
    let payment = existing(state, context)?;
    let increment = known(state, &approval.message_id)?;
    match increment.fate {
        IncrementFate::Approved => return Ok(Vec::new()),
        IncrementFate::Declined(_) => return Err(already_decided(&approval.message_id, increment.fate)),
        IncrementFate::Undecided => {}
    }
    if !payment.status.is_open() {
        return Err(not_open(payment));
    }
    checks::fits(payment.totals.authorized.plus(increment.addition))?;
    Ok(vec![Event::HoldIncreased(HoldIncreased {
        parties: payment.parties.clone(),
        message_id: approval.message_id.clone(),
        amount: payment.amount(increment.addition),
        expires_at: renewed(state, payment, context.accepted_at),
        occurred_at: increment.occurred_at,
        at: context.accepted_at,
    })])
}

pub(super) fn decline(state: &State, decline: &DeclineIncrement, context: &CommandContext) -> Decision {
    let payment = existing(state, context)?;
    let increment = known(state, &decline.message_id)?;
    match increment.fate {
        IncrementFate::Undecided => Ok(vec![declined_of(payment, decline, increment.addition, context)]),
        IncrementFate::Declined(reason) if reason == decline.reason => Ok(Vec::new()),
        fate => Err(already_decided(&decline.message_id, fate)),
    }
}

fn known<'a>(state: &'a State, message_id: &ExternalId) -> Result<&'a Increment, Rejection> {
    state.increments.get(message_id).ok_or_else(|| {
        let detail = format!("no increment {message_id} was asked for");
        Rejection::new("increment_not_found", detail)
    })
}

fn already_decided(message_id: &ExternalId, fate: IncrementFate) -> Rejection {
    let detail = format!("the increment {message_id} is {fate:?}; the first decision counts");
    Rejection::new("already_decided", detail)
}

/// Rejection of a command that needs an open payment.
pub(super) fn not_open(payment: &Payment) -> Rejection {
    Rejection::new("not_open", format!("the payment is {:?}; nothing is held any more", payment.status))
}

/// Returns the expiry time that an approval at `at` gives the hold; none if it does not change. An increment never
/// brings the expiry forward.
fn renewed(state: &State, payment: &Payment, at: Timestamp) -> Option<Timestamp> {
    let expires_at = payment.expires_at?;
    let (network, interval_s) = match &payment.entry {
        Entry::Requested(request) => (request.network, request.hold_interval_s),
        Entry::Advised { message_id, .. } => {
            let advice = state.advices.get(message_id)?;
            (advice.network, hold_expiry::interval_s(advice.network, advice.merchant.category))
        }
        Entry::Swiped { .. } | Entry::Forced { .. } => return None,
    };
    let renewed = at.after_s(interval_s);
    (hold_expiry::is_renewed_by_increment(network) && renewed > expires_at).then_some(renewed)
}

pub(super) fn requested(state: &mut State, event: &IncrementRequested) {
    state.happened_at(event.at);
    let increment = Increment {
        stated: event.amount.minor,
        basis: event.basis,
        addition: event.addition,
        occurred_at: event.occurred_at,
        fate: IncrementFate::Undecided,
    };
    state.increments.insert(event.message_id.clone(), increment);
}

/// Applies an approval. One without a request was recorded before increments were decided; it states the addition.
pub(super) fn increased(state: &mut State, event: &HoldIncreased) {
    state.happened_at(event.at);
    let Some(payment) = state.payment_mut() else { return };
    payment.totals.authorized = sum(payment.totals.authorized, event.amount.minor);
    payment.expires_at = event.expires_at.or(payment.expires_at);
    let undecided = Increment {
        stated: event.amount.minor,
        basis: IncrementBasis::Addition,
        addition: event.amount.minor,
        occurred_at: event.occurred_at,
        fate: IncrementFate::Undecided,
    };
    let increment = state.increments.entry(event.message_id.clone()).or_insert(undecided);
    increment.fate = IncrementFate::Approved;
}

pub(super) fn declined(state: &mut State, event: &IncrementDeclined) {
    state.happened_at(event.at);
    if let Some(increment) = state.increments.get_mut(&event.message_id) {
        increment.fate = IncrementFate::Declined(event.reason);
    }
}
