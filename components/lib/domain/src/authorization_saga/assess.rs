//! Step `assess`: asks a risk check about a request, a part of it or an increment, if the host offers one as the effect
//! `risk`.
//!
//! The request of the effect is [`Assessment`], its answer [`Advice`]. The step comes behind the hold: what the card or
//! the account refuses is not assessed, and meanwhile the money is held.

use clearfold_kernel::{
    Action, Address, Amount, EffectAnswer, ExternalId, PlannedStep, Rejection, StepCall, Subject, Timestamp,
};
use serde::{Deserialize, Serialize};

use super::memory::{id, read, request};
use super::observe::planned;
use super::{increment, part};
use crate::network::{Merchant, Network, Presented};
use crate::policy::DeclineReason;

pub(super) const ASSESS: &str = "assess";
/// Name of the effect in the host's manifest.
pub(super) const RISK: &str = "risk";

/// Request of the effect `risk`.
#[derive(Serialize)]
struct Assessment<'a> {
    authorization_id: ExternalId,
    account: Address,
    card_id: &'a ExternalId,
    /// Id of the increment's message, if that is what is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    increment_id: Option<&'a ExternalId>,
    /// Amount that would be approved: of an increment, the addition.
    amount: &'a Amount,
    #[serde(skip_serializing_if = "Option::is_none")]
    presented: Option<&'a Presented>,
    merchant: &'a Merchant,
    network: Network,
    occurred_at: Timestamp,
}

/// Answer to the effect `risk`.
#[derive(Deserialize)]
struct Advice {
    decision: Decision,
    /// Reason for people.
    #[serde(default)]
    detail: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Decision {
    Approve,
    Decline,
}

/// Plans the step, if there is something that can be asked.
pub(super) fn step(subject: &Subject) -> Option<PlannedStep> {
    subject.effects.iter().any(|effect| effect == RISK).then(|| planned(ASSESS))
}

/// The same for an increment. Of a payment that the network did not ask for there is too little to assess.
pub(super) fn step_of_increment(subject: &Subject, argument: &[u8]) -> Result<Option<PlannedStep>, String> {
    let is_asked_for = read(subject)?.payment().is_some_and(|payment| payment.entry.request().is_some());
    let step = step(subject).filter(|_| is_asked_for);
    Ok(step.map(|step| PlannedStep { argument: argument.to_vec(), ..step }))
}

pub(super) fn run(call: &StepCall) -> Result<Action, String> {
    match &call.answer {
        None => ask(call),
        Some(EffectAnswer::Unanswered(why)) => Ok(refuse(DeclineReason::RiskUnavailable, why)),
        Some(EffectAnswer::Answered(answer)) => Ok(match serde_json::from_slice::<Advice>(answer) {
            Ok(Advice { decision: Decision::Approve, .. }) => Action::Done,
            Ok(Advice { decision: Decision::Decline, detail }) => {
                refuse(DeclineReason::RiskDeclined, &detail)
            }
            // An answer that says nothing is none.
            Err(error) => {
                refuse(DeclineReason::RiskUnavailable, &format!("the answer is no advice: {error}"))
            }
        }),
    }
}

fn ask(call: &StepCall) -> Result<Action, String> {
    let state = read(&call.subject)?;
    let request = request(&state)?;
    let increment = (!call.argument.is_empty()).then(|| increment::asked(call)).transpose()?;
    let (increment_id, amount) = match increment {
        Some((message_id, amount)) => (Some(message_id), Some(amount)),
        None => (None, part::part(call)?),
    };
    let assessment = Assessment {
        authorization_id: id(&call.subject)?,
        account: request.account,
        card_id: &request.card_id,
        increment_id: increment_id.as_ref(),
        amount: amount.as_ref().unwrap_or(&request.amount),
        presented: request.presented.as_ref(),
        merchant: &request.merchant,
        network: request.network,
        occurred_at: request.occurred_at,
    };
    let request = serde_json::to_vec(&assessment).map_err(|error| error.to_string())?;
    Ok(Action::Request { effect: RISK, request })
}

fn refuse(reason: DeclineReason, detail: &str) -> Action {
    Action::Refuse(Rejection::new(reason.code(), detail))
}
