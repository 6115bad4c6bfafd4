//! Lane `funding`: has the money that is due pulled on chain, leg by leg, and reports it final.
//!
//! | flow | lane | begins | step |
//! |---|---|---|---|
//! | `fund` | `funding` | a leg begins | `pull` requests the effect `pull` until the leg is pulled in a final block, or abandoned |
//! | `withdraw` | `withdrawal` | nothing is due any more while a leg is undecided, or exposed of one that was abandoned | `withdraw` has the leg's pull withdrawn, unless it is mined |
//! | `recover` | `recovery` | a leg is abandoned that leaves an exposure | `repull` parks for an operator, whose `retry` asks for another pull |
//! | `finalize` | that of the leg's pull | the listener has seen a pull in a block | `finalize` reports the leg as final |
//!
//! `finalize` waits in its lane for the flow that pulls, and that ends by a final block; so what is reported as final is
//! final. Only an instance that was offered the effect has these flows.
//!
//! The number of a pull increments with each refusal. That is safe whatever the refusal was: the other side makes a new
//! pull only if every other of the leg is dead for good, and otherwise answers for the one that may still come.

use clearfold_kernel::{
    Action, Address, Amount, EffectAnswer, ExternalId, Flow, Message, Minor, PlannedStep, StepCall, Subject,
    Timestamp,
};
use serde::{Deserialize, Serialize};

use super::authorize::to_payment;
use super::memory::{id, read};
use crate::authorization::{
    self, AbandonCause, AbandonFunding, CloseExposure, Command, Event, ExposureCleared, FIRST_LEG, Funding,
    Observation, ObserveFunding, State,
};

/// Name of the effect, and of the step that requests it.
pub(super) const PULL: &str = "pull";
pub(super) const WITHDRAW: &str = "withdraw";
pub(super) const REPULL: &str = "repull";
pub(super) const FINALIZE: &str = "finalize";
/// Lane of the money on chain, apart from the bookings: a pull takes minutes, and days if it is refused.
pub(super) const LANE: &str = "funding";
/// Lane of what an operator has pulled again. The legs behind it do not wait.
const RECOVERY: &str = "recovery";

/// Pulls of a leg that may be dead before it is abandoned.
pub(super) const PULLS: u32 = 3;
/// Pause before a leg looks again for the observation of the one before it.
const LOOK_AGAIN_MS: u64 = 10_000;

/// Request of the effect `pull`.
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
    if !subject.effects.iter().any(|effect| effect == PULL) {
        return Ok(Vec::new());
    }
    let mut flows = Vec::new();
    match event {
        Event::FundingIncluded(event) => {
            let is_recovered = before.legs.exposed.contains_key(&event.leg);
            let lane = if is_recovered { RECOVERY } else { LANE };
            flows.push(flow(FINALIZE, lane, FINALIZE, event.leg)?);
        }
        Event::FundingAbandoned(event) if event.exposed.minor > Minor::ZERO => {
            flows.push(flow("recover", RECOVERY, REPULL, event.leg)?);
        }
        // What an operator has pulled again may be on its way.
        Event::ExposureCleared(event) if is_needless_now(after, event) => {
            flows.push(flow("withdraw", "withdrawal", WITHDRAW, event.leg)?);
        }
        _ => {}
    }
    for leg in needless(before, after) {
        flows.push(flow("withdraw", "withdrawal", WITHDRAW, leg)?);
    }
    if let Some(leg) = begun(before, after) {
        flows.push(flow("fund", LANE, PULL, leg)?);
    }
    Ok(flows)
}

fn flow(name: &'static str, lane: &'static str, step: &'static str, leg: u32) -> Result<Flow, String> {
    let argument = match leg {
        FIRST_LEG => Vec::new(),
        leg => serde_json::to_vec(&Argument { leg }).map_err(|error| error.to_string())?,
    };
    Ok(Flow { name, lane, steps: vec![PlannedStep { step, argument }] })
}

/// Returns the leg that begins with the event.
fn begun(before: &State, after: &State) -> Option<u32> {
    let (leg, funding) = after.legs().last()?;
    let is_new = matches!(before.leg(leg), None | Some(Funding::None));
    (*funding == Funding::Unsubmitted && is_new).then_some(leg)
}

/// Returns true if an abandoned leg has nothing left that it could pull.
fn is_needless_now(after: &State, event: &ExposureCleared) -> bool {
    event.left == Minor::ZERO && after.leg(event.leg) == Some(&Funding::Abandoned)
}

/// Returns the undecided legs, if nothing is due any more since the event.
fn needless(before: &State, after: &State) -> Vec<u32> {
    if before.due() == Minor::ZERO || after.due() > Minor::ZERO {
        return Vec::new();
    }
    let is_undecided = |state: &State, leg| state.leg(leg).is_some_and(Funding::is_undecided);
    let legs = before.legs().map(|(leg, _)| leg);
    legs.filter(|leg| is_undecided(before, *leg) && is_undecided(after, *leg)).collect()
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
    let is_unasked = is_unasked(call);
    if is_unasked && let Some(cause) = abandons(call, &state, leg) {
        return to_payment(call, &Command::AbandonFunding(AbandonFunding { leg, cause }));
    }
    // The pull of the leg before has ended, but how much it took is known when the listener has seen it.
    let is_earlier = |(number, funding): (u32, &Funding)| number < leg && funding.is_undecided();
    if is_unasked && state.legs().any(is_earlier) {
        return look_again(call.subject.now);
    }
    // A pull that was asked for before may still be executed. Then its outcome is waited for, with a request of nothing.
    request(call, &state, state.due(), call.attempt, leg)
}

/// Returns the reason for which the leg ends without a pull, if no pull of it may still be executed.
fn abandons(call: &StepCall, state: &State, leg: u32) -> Option<AbandonCause> {
    let was_refused = |code: &str| call.last_refusal.as_ref().is_some_and(|refusal| refusal.code == code);
    let is_undecided = state.leg(leg).is_some_and(Funding::is_undecided);
    if !is_undecided || state.due() == Minor::ZERO || was_refused("pull_withdrawn") {
        return Some(AbandonCause::Withdrawn);
    }
    (call.attempt > PULLS && was_refused("pull_dead")).then_some(AbandonCause::Dead)
}

/// Returns true if no pull of the leg may still be executed: none was asked for, or the last refusal says so.
fn is_unasked(call: &StepCall) -> bool {
    let is_definite = |code: &str| ["pull_dead", "pull_withdrawn", "amount_not_positive"].contains(&code);
    let is_first = call.attempt == 1 && call.last_refusal.is_none();
    call.answer.is_none() && call.last_refusal.as_ref().map_or(is_first, |refusal| is_definite(&refusal.code))
}

fn look_again(now: Timestamp) -> Result<Action, String> {
    let until = now.as_ms().checked_add(LOOK_AGAIN_MS).and_then(Timestamp::from_ms);
    until.map(Action::WaitUntil).ok_or_else(|| "the calendar ends".to_owned())
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
    let request = serde_json::to_vec(&request).map_err(|error| error.to_string())?;
    Ok(Action::Request { effect: PULL, request })
}

/// Has the leg's pull withdrawn. How that ends is the answer to the request for the pull.
pub(super) fn withdraw(call: &StepCall) -> Result<Action, String> {
    let (leg, state) = (leg_of(call)?, read(&call.subject)?);
    let is_answered = matches!(call.answer, Some(EffectAnswer::Answered(_)));
    let is_there = state.leg(leg).is_some_and(|funding| funding.pulled() > Minor::ZERO);
    if is_answered || is_there {
        return Ok(Action::Done);
    }
    request(call, &state, Minor::ZERO, call.attempt, leg)
}

/// Pulls again what is exposed, when an operator says so: the first attempt is refused as long as something is.
pub(super) fn repull(call: &StepCall) -> Result<Action, String> {
    if let Some(EffectAnswer::Answered(_)) = &call.answer {
        return Ok(Action::Done);
    }
    let (leg, state) = (leg_of(call)?, read(&call.subject)?);
    let exposed = state.exposed_in(leg);
    let is_undecided = state.leg(leg).is_some_and(Funding::is_undecided);
    if call.attempt == 1 || (exposed == Minor::ZERO && call.answer.is_none() && !is_undecided) {
        return to_payment(call, &Command::CloseExposure(CloseExposure { leg }));
    }
    // It was pulled in a block that is gone, and is dead now: the next leg begins.
    if exposed == Minor::ZERO && is_unasked(call) {
        return to_payment(call, &Command::AbandonFunding(AbandonFunding { leg, cause: AbandonCause::Dead }));
    }
    // Behind the numbers of the pulls that are dead. One that was used is refused at once.
    let number = call.attempt.saturating_add(PULLS).saturating_sub(1);
    request(call, &state, exposed, number, leg)
}

pub(super) fn finalize(call: &StepCall) -> Result<Action, String> {
    let (leg, state) = (leg_of(call)?, read(&call.subject)?);
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
