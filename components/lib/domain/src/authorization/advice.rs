//! Advices: a stand-in of the network approved the payment in our place, or a fuel pump says what it really sold. It
//! cannot be declined: whatever we answered or would have answered, the stated amount is held.
//!
//! | payment | effect of the advice |
//! |---|---|
//! | unknown, not decided, declined, or reversed before the decision and not claimed | places its hold anew |
//! | open | raises the hold to the stated amount, if that is more |
//! | approved and reversed since | holds the stated amount less what was claimed |
//! | open | a reversal of the rest follows, if it is less |
//! | not decided, and nothing was sold | a reversal of the whole request follows |
//! | cleared, expired, force-posted, or reversed before the decision and claimed | nothing: the claim posts |
//!
//! If it or the request is a [single message](super::single_message), what it leaves held is claimed at once.
//!
//! The reversal has an id made of the advice's, because a reversal of the advice may come under the advice's own. An
//! advice that is older than another one or than an increment says nothing of those, and gives nothing back.

use clearfold_kernel::{CommandContext, Minor, Rejection, Timestamp};

use super::increment::{Increment, IncrementFate};
use super::messages::{
    AdviceHold, AdviceRecorded, AuthorizationReversed, Event, Extent, Parties, RecordAdvice, ReversalCause,
};
use super::state::{Entry, Payment, State, Status, sum};
use super::stored::{Advice, Requested};
use super::{Decision, record_reversal, single_message};
use crate::policy::hold_expiry;
use crate::{bookings, checks};

pub(super) fn record(state: &State, advice: &RecordAdvice, context: &CommandContext) -> Decision {
    checks::known(&advice.amount.asset)?;
    checks::routed_to(advice.account, context)?;
    let hold = match state.payment() {
        None => {
            record_reversal::parties(state, context)?;
            AdviceHold::Placed
        }
        Some(payment) => {
            checks::routed_to(payment.parties.account, context)?;
            if let Some(known) = state.advices.get(&advice.message_id) {
                let given = of_command(advice, known.hold, known.expires_at, known.at);
                let given = AdviceRecorded { details: None, single_message: false, ..given };
                checks::repeated(advice.message_id.as_str(), &known.0, &given)?;
                return Ok(Vec::new());
            }
            checks::same_asset(&payment.asset, &advice.amount.asset)?;
            hold(state, payment, advice)
        }
    };
    // A pump that sold nothing says so, but nothing is no hold.
    if hold == AdviceHold::Placed || advice.amount.minor > Minor::ZERO {
        checks::moves(advice.amount.minor)?;
    }
    state.unheard(&advice.message_id)?;
    if let (AdviceHold::Raised(by), Some(payment)) = (hold, state.payment()) {
        checks::fits(payment.totals.authorized.plus(by))?;
    }
    let at = context.accepted_at;
    let interval_s = hold_expiry::interval_s(advice.network, advice.merchant.category);
    let recorded = Event::AdviceRecorded(of_command(advice, hold, at.after_s(interval_s), at));
    let rest = state.payment().and_then(|payment| given_back(state, payment, advice, context).transpose());
    Ok([vec![recorded], rest.transpose()?.into_iter().collect()].concat())
}

/// Returns the reversal of what is held beyond the stated amount; none if that is nothing.
fn given_back(
    state: &State,
    payment: &Payment,
    advice: &RecordAdvice,
    context: &CommandContext,
) -> Result<Option<Event>, Rejection> {
    let released = payment.totals.standing().excess_over(advice.amount.minor).min(payment.held());
    // The hold of an undecided request may be in flight, so a sale of nothing withdraws the whole request.
    let is_withdrawn = payment.status == Status::Requested && advice.amount.minor == Minor::ZERO;
    let is_lowered = payment.status.is_open() && released > Minor::ZERO && is_newest(state, advice);
    if !is_withdrawn && !is_lowered {
        return Ok(None);
    }
    Ok(Some(Event::AuthorizationReversed(AuthorizationReversed {
        parties: payment.parties.clone(),
        message_id: bookings::advised(&advice.message_id)
            .map_err(|error| Rejection::new("invalid_id", error.to_string()))?,
        extent: if is_withdrawn { Extent::Full } else { Extent::Part(released) },
        released: payment.amount(released),
        full: released == payment.held(),
        cause: ReversalCause::Merchant,
        occurred_at: advice.occurred_at,
        at: context.accepted_at,
        // They are the advice's, which the event before it has.
        details: None,
    })))
}

/// Returns true if no known advice or increment is younger, by the network's times. A declined increment added nothing.
fn is_newest(state: &State, advice: &RecordAdvice) -> bool {
    let advices = state.advices.values().map(|known| known.occurred_at);
    let is_declined = |known: &&Increment| matches!(known.fate, IncrementFate::Declined(_));
    let increments = state.increments.values().filter(|known| !is_declined(known));
    let increments = increments.map(|known| known.occurred_at);
    advices.chain(increments).all(|occurred_at| occurred_at <= advice.occurred_at)
}

/// Returns the effect on the hold. The promise is compared with what was authorized and not reversed, and with what was
/// claimed after a reversal, so an amount that was already claimed is not held again. An advice of nothing, or one that
/// is older than another, holds nothing.
fn hold(state: &State, payment: &Payment, advice: &RecordAdvice) -> AdviceHold {
    let (totals, promised) = (&payment.totals, advice.amount.minor);
    let stands = totals.standing();
    let is_younger = |known: &Advice| known.occurred_at > advice.occurred_at;
    if promised == Minor::ZERO || state.advices.values().any(is_younger) {
        return AdviceHold::Unchanged;
    }
    match payment.status {
        Status::Requested | Status::Declined => AdviceHold::Placed,
        // A verified card, or a request that was withdrawn: the account holds nothing that could be raised.
        Status::Authorized | Status::Reversed if totals.authorized == Minor::ZERO => {
            match totals.captured() == Minor::ZERO && state.taken_back() == Minor::ZERO {
                true => AdviceHold::Placed,
                false => AdviceHold::Unchanged,
            }
        }
        Status::Cleared | Status::Expired | Status::ClearedLate | Status::ForcePosted | Status::Linked => {
            AdviceHold::Unchanged
        }
        Status::Reversed => raise(promised, sum(stands, totals.beyond)),
        Status::Recorded | Status::Authorized | Status::PartiallyAuthorized | Status::Advised => {
            raise(promised, stands)
        }
    }
}

fn raise(promised: Minor, stands: Minor) -> AdviceHold {
    match promised.minus(stands) {
        Ok(more) if more > Minor::ZERO => AdviceHold::Raised(more),
        _ => AdviceHold::Unchanged,
    }
}

fn of_command(
    advice: &RecordAdvice,
    hold: AdviceHold,
    expires_at: Timestamp,
    at: Timestamp,
) -> AdviceRecorded {
    AdviceRecorded {
        message_id: advice.message_id.clone(),
        account: advice.account,
        card_id: advice.card_id.clone(),
        amount: advice.amount.clone(),
        hold,
        merchant: advice.merchant.clone(),
        network: advice.network,
        expires_at,
        occurred_at: advice.occurred_at,
        at,
        details: advice.details.clone(),
        single_message: advice.single_message,
    }
}

pub(super) fn recorded(state: &mut State, event: &AdviceRecorded) {
    single_message::advised(state, event);
    match event.hold {
        AdviceHold::Placed => begun_anew(state, event),
        AdviceHold::Raised(by) => raised(state, event, by),
        AdviceHold::Unchanged => {}
    }
    let known = AdviceRecorded { details: None, single_message: false, ..event.clone() };
    state.advices.insert(event.message_id.clone(), Advice(known));
    state.happened_at(event.at);
}

/// Begins the payment anew with the promised amount; its earlier totals, funding and disputes are kept.
fn begun_anew(state: &mut State, event: &AdviceRecorded) {
    let parties = Parties {
        account: event.account,
        card_id: Some(event.card_id.clone()),
        merchant_id: Some(event.merchant.id.clone()),
    };
    let before = state.payment();
    let requested =
        before.and_then(|before| before.entry.request()).map(|known| Box::new(Requested(known.clone())));
    let (message_id, merchant) = (event.message_id.clone(), Box::new(event.merchant.clone()));
    let entry = Entry::Advised { message_id, merchant, requested };
    let mut payment = Payment::new(parties, event.amount.asset.clone(), entry, Status::Advised);
    if let Some(before) = before {
        payment.totals = before.totals;
        payment.funding = before.funding.clone();
        payment.disputes.clone_from(&before.disputes);
    }
    payment.totals.authorized = sum(payment.totals.authorized, event.amount.minor);
    payment.expires_at = Some(event.expires_at);
    state.begin_anew(payment);
}

/// Raises the hold. A payment that was reversed is open again. One that was seen on chain first learns its card and
/// its merchant.
fn raised(state: &mut State, event: &AdviceRecorded, by: Minor) {
    let Some(payment) = state.payment_mut() else { return };
    payment.totals.authorized = sum(payment.totals.authorized, by);
    if !payment.status.is_open() {
        payment.status = Status::Advised;
    }
    payment.parties.card_id.get_or_insert_with(|| event.card_id.clone());
    payment.parties.merchant_id.get_or_insert_with(|| event.merchant.id.clone());
    // A hold without an expiry time, which was recorded before such holds had one, gets none.
    payment.expires_at = payment.expires_at.map(|known| known.max(event.expires_at));
}
