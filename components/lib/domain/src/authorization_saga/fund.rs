//! Lane `funding`: has the approved money pulled on chain, and reports it final.
//!
//! | flow | begins | step |
//! |---|---|---|
//! | `fund` | an amount is authorized whose money is to be pulled | `pull` requests the effect `pull` until the money is pulled in a final block |
//! | `finalize` | the listener has seen the pull in a block | `finalize` reports the funding as final |
//!
//! `finalize` waits for `fund` in its lane, and `fund` ends by a final block; so what is reported as final is final.
//! Only an instance that was offered the effect has these flows.
//!
//! The number of a pull increments with each refusal. That is safe whatever the refusal was: the other side makes a new
//! pull only if every other of the payment is dead for good, and otherwise answers for the one that may still come.

use clearfold_kernel::{
    Action, Address, Amount, EffectAnswer, ExternalId, Flow, Message, Minor, StepCall, Subject,
};
use serde::Serialize;

use super::memory::{id, read};
use super::observe::planned;
use crate::authorization::{self, Event, Funding, Observation, ObserveFunding, Payment, State};

/// Name of the effect, and of the step that requests it.
pub(super) const PULL: &str = "pull";
pub(super) const FINALIZE: &str = "finalize";
/// Lane of the money on chain, apart from the bookings: a pull takes minutes, and days if it is refused.
pub(super) const LANE: &str = "funding";

/// Request of the effect `pull`.
#[derive(Serialize)]
struct PullRequest {
    authorization_id: ExternalId,
    account: Address,
    amount: Amount,
    number: u32,
}

/// Returns the flow that follows from an event, if the host offers the effect.
pub(super) fn flow(subject: &Subject, before: &State, after: &State, event: &Event) -> Option<Flow> {
    if !subject.effects.iter().any(|effect| effect == PULL) {
        return None;
    }
    if begins(before, after) {
        return Some(Flow { name: "fund", lane: LANE, steps: vec![planned(PULL)] });
    }
    let is_included = matches!(event, Event::FundingIncluded(_));
    is_included.then(|| Flow { name: FINALIZE, lane: LANE, steps: vec![planned(FINALIZE)] })
}

/// Returns true if an amount is authorized for the first time and its money is to be pulled. Money that was seen on
/// chain before is not pulled again.
fn begins(before: &State, after: &State) -> bool {
    let is_authorized =
        |state: &State| state.payment().is_some_and(|payment| payment.totals.authorized > Minor::ZERO);
    let is_unsubmitted = after.payment().is_some_and(|payment| payment.funding == Funding::Unsubmitted);
    is_unsubmitted && is_authorized(after) && !is_authorized(before)
}

pub(super) fn pull(call: &StepCall) -> Result<Action, String> {
    // Without an answer it is not known whether the money was pulled: the same pull is asked for again.
    if let Some(EffectAnswer::Answered(_)) = &call.answer {
        return Ok(Action::Done);
    }
    let state = read(&call.subject)?;
    let payment = state.payment().ok_or("the memory has no payment whose money could be pulled")?;
    let minor = due(payment);
    // A pull that was asked for before may still be executed. Then its outcome is waited for, with a request of nothing.
    if minor == Minor::ZERO && is_unasked(call) {
        return Ok(Action::Done);
    }
    let request = PullRequest {
        authorization_id: id(&call.subject)?,
        account: payment.parties.account,
        amount: Amount { minor, asset: payment.asset.clone() },
        number: call.attempt,
    };
    let request = serde_json::to_vec(&request).map_err(|error| error.to_string())?;
    Ok(Action::Request { effect: PULL, request })
}

/// Returns true if no pull of the payment may still be executed: none was asked for, or the last refusal says so.
fn is_unasked(call: &StepCall) -> bool {
    let is_definite = |code: &str| ["pull_dead", "amount_not_positive"].contains(&code);
    let is_first = call.attempt == 1 && call.last_refusal.is_none();
    call.answer.is_none() && call.last_refusal.as_ref().map_or(is_first, |refusal| is_definite(&refusal.code))
}

/// Returns the amount that was authorized and not given back: what is held, and what was claimed against it. A payment
/// that was given back before its pull began needs none.
fn due(payment: &Payment) -> Minor {
    // No decision gives back more than is held.
    payment.totals.standing().minus(payment.totals.expired).unwrap_or(Minor::ZERO)
}

pub(super) fn finalize(call: &StepCall) -> Result<Action, String> {
    let state = read(&call.subject)?;
    // A block that was reorganized away is not final; the next one has a flow of its own.
    let Some(Funding::Included { source, .. }) = state.payment().map(|payment| &payment.funding) else {
        return Ok(Action::Done);
    };
    let observation = Observation::Finalized { source: source.clone() };
    let occurred_at = call.subject.now;
    let observe = authorization::Command::ObserveFunding(ObserveFunding { observation, occurred_at });
    let (id, message) = (call.subject.id.clone(), observe.encode().map_err(|error| error.to_string())?);
    Ok(Action::Command { aggregate: authorization::AGGREGATE, id, seen_on_chain: true, message })
}
