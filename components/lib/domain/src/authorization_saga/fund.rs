//! Lane `funding`: has the money that is due pulled on chain, leg by leg, and reports it final.
//!
//! | flow | lane | begins | step |
//! |---|---|---|---|
//! | `fund` | `funding` | a leg begins, or an abandoned one is seen in a block | `pull` requests the pull until the leg is pulled in a final block, or abandoned |
//! | `withdraw` | `withdrawal` | nothing is due while a leg is undecided | `withdraw` has the leg's pull withdrawn, unless it is mined |
//! | `recover` | `recovery`, and one for each later leg | a leg is abandoned that leaves an exposure | `recover` parks for an operator, whose `retry` makes it due again: the next leg begins |
//! | `finalize` | `funding` | the listener has seen a pull of ours in a block | `finalize` reports the leg as final |
//!
//! `finalize` waits in its lane for the flow that pulls, and that ends by a final block; so what is reported as final is
//! final. Only an instance that was offered the effect has these flows.
//!
//! The first leg asks the effect `pull` as it did before there were legs. Later legs and withdrawals ask `pull-leg`: a host
//! of before does not know them, and would answer with the pull of the first.
//!
//! The number of a pull increments with each refusal. That is safe whatever the refusal was: the other side makes a new
//! pull only if every other of the leg is dead for good, and otherwise answers for the one that may still come.

use std::borrow::Cow;

use clearfold_kernel::{
    Action, Address, Amount, EffectAnswer, ExternalId, Flow, Message, Minor, PlannedStep, StepCall, Subject,
    Timestamp,
};
use serde::{Deserialize, Serialize};

use super::authorize::to_payment;
use super::memory::{id, read};
use super::was_refused;
use crate::authorization::{
    self, AbandonCause, AbandonFunding, CloseExposure, Command, Entry, Event, FIRST_LEG, Funding,
    Observation, ObserveFunding, State,
};

/// Name of the effect, and of the step that requests it.
pub(super) const PULL: &str = "pull";
/// Name of the effect for later legs and for withdrawals.
pub(super) const PULL_LEG: &str = "pull-leg";
pub(super) const WITHDRAW: &str = "withdraw";
pub(super) const RECOVER: &str = "recover";
pub(super) const FINALIZE: &str = "finalize";
/// Lane of the money on chain, apart from the bookings: a pull takes minutes, and days if it is refused.
pub(super) const LANE: &str = "funding";
/// Code of the refusal to close what is exposed.
const EXPOSURE_OPEN: &str = "exposure_open";
/// Codes of refusals that say that no pull of the leg may still be executed, and that another one may be.
const DEAD: [&str; 5] =
    ["pull_dead", "pull_in_lost_block", "account_without_roles", "unknown_asset", "deadline_out_of_range"];
/// Codes of refusals that say that nothing of the leg will be pulled.
const ENDED: [&str; 2] = ["pull_withdrawn", "amount_not_positive"];
/// Code of the refusal to end a leg out of its turn. None of its pulls was asked for.
const BEFORE_UNDECIDED: &str = "leg_before_undecided";

/// Pulls of a leg that may be dead before it is abandoned.
pub(super) const PULLS: u32 = 3;
/// Pause before a leg looks again for the observation of the one before it.
const LOOK_AGAIN_MS: u64 = 10_000;
/// Time without an event of the payment after which a leg that waits for the one before is parked.
const LOOKED_MS: u64 = 3_600_000;

/// Request of the effects `pull` and `pull-leg`.
#[derive(Serialize)]
struct PullRequest {
    authorization_id: ExternalId,
    account: Address,
    amount: Amount,
    number: u32,
    #[serde(skip_serializing_if = "is_first")]
    leg: u32,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    withdraw: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_first(leg: &u32) -> bool {
    *leg == FIRST_LEG
}

/// Argument of a step that is about a later leg. JSON, so that people can read it in the log.
#[derive(Serialize, Deserialize)]
struct Argument {
    leg: u32,
}

/// Returns the flows that follow from an event, if the host offers the effect.
pub(super) fn flows(
    subject: &Subject,
    before: &State,
    after: &State,
    event: &Event,
) -> Result<Vec<Flow>, String> {
    if !offers(subject, PULL) {
        return Ok(Vec::new());
    }
    let mut flows = Vec::new();
    match event {
        Event::FundingIncluded(event) => {
            // The flow of an abandoned leg has ended, and the block may be one that is lost: the pull is asked for again.
            if before.leg(event.leg) == Some(&Funding::Abandoned) {
                flows.push(flow("fund", LANE.into(), PULL, event.leg)?);
            }
            flows.push(flow(FINALIZE, LANE.into(), FINALIZE, event.leg)?);
        }
        Event::FundingAbandoned(event) if event.exposed.minor > Minor::ZERO => {
            flows.push(flow(RECOVER, recovery(event.leg), RECOVER, event.leg)?);
        }
        _ => {}
    }
    let has_legs = offers(subject, PULL_LEG);
    for leg in needless(after).filter(|_| has_legs) {
        flows.push(flow(WITHDRAW, "withdrawal".into(), WITHDRAW, leg)?);
    }
    if let Some(leg) = begun(before, after).filter(|leg| has_legs || *leg == FIRST_LEG) {
        flows.push(flow("fund", LANE.into(), PULL, leg)?);
    }
    Ok(flows)
}

fn offers(subject: &Subject, effect: &str) -> bool {
    subject.effects.iter().any(|offered| offered == effect)
}

/// Lane of a leg's recovery: one for each leg, so that none waits for another.
fn recovery(leg: u32) -> Cow<'static, str> {
    if leg == FIRST_LEG { "recovery".into() } else { format!("recovery-{leg}").into() }
}

fn flow(name: &'static str, lane: Cow<'static, str>, step: &'static str, leg: u32) -> Result<Flow, String> {
    let argument = match leg {
        FIRST_LEG => Vec::new(),
        leg => serde_json::to_vec(&Argument { leg }).map_err(|error| error.to_string())?,
    };
    Ok(Flow { name, lane, steps: vec![PlannedStep { step, argument }] })
}

/// Returns the leg that begins with the event.
pub(super) fn begun(before: &State, after: &State) -> Option<u32> {
    let (leg, funding) = after.legs().last()?;
    let is_new = matches!(before.leg(leg), None | Some(Funding::None));
    (*funding == Funding::Unsubmitted && is_new).then_some(leg)
}

/// Returns the undecided legs, if nothing is due. A withdrawal that is asked for already is asked for again. What others
/// pull is not withdrawn.
fn needless(after: &State) -> impl Iterator<Item = u32> {
    let is_needless = after.due() == Minor::ZERO;
    let legs = after.legs().filter(move |(_, funding)| is_needless && funding.is_undecided());
    legs.map(|(leg, _)| leg).filter(|leg| !is_of_others(after, *leg))
}

/// Returns true if the leg is a `Spend` that somebody else submitted: the stream's own, or another one that it has taken.
fn is_of_others(state: &State, leg: u32) -> bool {
    let is_swiped = || state.payment().is_some_and(|payment| matches!(payment.entry, Entry::Swiped { .. }));
    state.spend_of_others(leg).is_some() || (leg == FIRST_LEG && is_swiped())
}

fn leg_of(call: &StepCall) -> Result<u32, String> {
    if call.argument.is_empty() {
        return Ok(FIRST_LEG);
    }
    let argument: Argument = serde_json::from_slice(&call.argument)
        .map_err(|error| format!("the argument of `{}`: {error}", call.step))?;
    Ok(argument.leg)
}

pub(super) fn pull(call: &StepCall) -> Result<Action, String> {
    // Without an answer it is not known whether the money was pulled: the same pull is asked for again.
    if let Some(EffectAnswer::Answered(_)) = &call.answer {
        return Ok(Action::Done);
    }
    let (leg, state) = (leg_of(call)?, read(&call.subject)?);
    // The pull of the leg before has ended, but how much it took is known when the listener has seen it.
    let is_earlier = |(number, funding): (u32, &Funding)| number < leg && funding.is_undecided();
    if call.answer.is_none() && state.legs().any(is_earlier) {
        return look_again(call, &state, leg);
    }
    if has_no_pull(call)
        && let Some(cause) = abandons(call, &state, leg)
    {
        return to_payment(call, &Command::AbandonFunding(AbandonFunding { leg, cause }));
    }
    // A request of nothing is refused if no pull of the leg may be executed, and otherwise waits for the one that may.
    request(call, &state, state.due(), call.attempt, leg)
}

/// Returns the reason for which the leg ends without a pull, if no pull of it may still be executed. Of a leg that the
/// listener has seen in a block, the payment refuses that until the block is reported as gone.
fn abandons(call: &StepCall, state: &State, leg: u32) -> Option<AbandonCause> {
    let is_there = state.leg(leg).is_some_and(|funding| funding.pulled() > Minor::ZERO);
    if is_there {
        return Some(AbandonCause::Dead);
    }
    let is_undecided = state.leg(leg).is_some_and(Funding::is_undecided);
    if !is_undecided || state.due() == Minor::ZERO || was_refused(call, &["pull_withdrawn"]) {
        return Some(AbandonCause::Withdrawn);
    }
    (call.attempt > PULLS && was_refused(call, &DEAD)).then_some(AbandonCause::Dead)
}

/// Returns true if the last refusal says that no pull of the leg may still be executed. Without one that is not known,
/// also at the first attempt: a retry of an operator forgets an answer that never came.
fn has_no_pull(call: &StepCall) -> bool {
    let codes = [&DEAD[..], &ENDED, &[BEFORE_UNDECIDED]];
    call.answer.is_none() && codes.iter().any(|codes| was_refused(call, codes))
}

/// Waits for the leg before. If nothing happens to the payment for an hour, the payment is told to end the leg, which it
/// refuses as long as the one before is undecided: so an operator hears of it. Until it is known that no pull of the leg
/// may be executed, nothing is asked for first.
fn look_again(call: &StepCall, state: &State, leg: u32) -> Result<Action, String> {
    let has_no_pull = has_no_pull(call);
    let is_first = call.attempt == 1 && call.last_refusal.is_none();
    if !has_no_pull && !is_first {
        return request(call, state, Minor::ZERO, call.attempt, leg);
    }
    let after =
        |time: Timestamp, interval_ms| time.as_ms().checked_add(interval_ms).and_then(Timestamp::from_ms);
    let now = call.subject.now;
    if state.latest.and_then(|latest| after(latest, LOOKED_MS)).is_some_and(|until| until <= now) {
        if !has_no_pull {
            return request(call, state, Minor::ZERO, call.attempt, leg);
        }
        let cause = AbandonCause::Withdrawn;
        return to_payment(call, &Command::AbandonFunding(AbandonFunding { leg, cause }));
    }
    after(now, LOOK_AGAIN_MS).map(Action::WaitUntil).ok_or_else(|| "the calendar ends".to_owned())
}

fn request(call: &StepCall, state: &State, minor: Minor, number: u32, leg: u32) -> Result<Action, String> {
    let payment = state.payment().ok_or("the memory has no payment whose money could be pulled")?;
    let request = PullRequest {
        authorization_id: id(&call.subject)?,
        account: payment.parties.account,
        amount: Amount { minor, asset: payment.asset.clone() },
        number,
        leg,
        withdraw: call.step == WITHDRAW,
    };
    let effect = if leg == FIRST_LEG && !request.withdraw { PULL } else { PULL_LEG };
    let request = serde_json::to_vec(&request).map_err(|error| error.to_string())?;
    Ok(Action::Request { effect, request })
}

/// Has the leg's pull withdrawn, also one that is in a block, which may be lost. How that ends is the answer to the
/// request for the pull.
pub(super) fn withdraw(call: &StepCall) -> Result<Action, String> {
    if let Some(EffectAnswer::Answered(_)) = &call.answer {
        return Ok(Action::Done);
    }
    let (leg, state) = (leg_of(call)?, read(&call.subject)?);
    request(call, &state, Minor::ZERO, call.attempt, leg)
}

/// Asks an operator about what is exposed: the first attempt is refused as long as something is. The retry of that makes
/// it due again, where the host pulls later legs.
pub(super) fn recover(call: &StepCall) -> Result<Action, String> {
    let pull_again = was_refused(call, &[EXPOSURE_OPEN]) && offers(&call.subject, PULL_LEG);
    to_payment(call, &Command::CloseExposure(CloseExposure { leg: leg_of(call)?, pull_again }))
}

pub(super) fn finalize(call: &StepCall) -> Result<Action, String> {
    let (leg, state) = (leg_of(call)?, read(&call.subject)?);
    // No flow waited for the block of what others pulled: the listener reports that it is final.
    if is_of_others(&state, leg) {
        return Ok(Action::Done);
    }
    // A block that was reorganized away is not final; the next one has a flow of its own.
    let Some(Funding::Included { source, .. }) = state.leg(leg) else {
        return Ok(Action::Done);
    };
    let observation = Observation::Finalized { source: source.clone() };
    let occurred_at = call.subject.now;
    let observe = Command::ObserveFunding(ObserveFunding { leg, observation, occurred_at });
    let (id, message) = (call.subject.id.clone(), observe.encode().map_err(|error| error.to_string())?);
    Ok(Action::Command { aggregate: authorization::AGGREGATE, id, seen_on_chain: true, message })
}
