//! Flow `authorize`: asks the card, then the account, and approves the request. A refusal is undone in reverse order
//! and declines the request.
//!
//! | step | done by | undone by | nothing to undo if |
//! |---|---|---|---|
//! | `answer` | nothing | `DeclineAuthorization` for the refusal's reason | the payment is decided already |
//! | `count-pin`, if the network states a wrong PIN | `RecordPinFailure` | nothing: it stays wrong | |
//! | `reserve` | `ReserveSpend` under the request's message id within the payment, with its checks | `ReleaseSpend` of everything | the card does not exist, or is another account's |
//! | `hold` | `PlaceHold`, not forced | `VoidHold` | the account is not open |
//! | `assess` | the effect `risk`, if the host offers it ([`assess`]) | nothing | |
//! | `approve` | `ApproveAuthorization` for the requested amount | | |
//!
//! The answer comes first so that every refusal declines.
//!
//! If a part would do, and the account has only a part, its refusal says how much. Then the request is not declined and
//! the reservation is kept: `answer` is undone by `ProposePartialApproval`, and the event of that starts the flow
//! [`authorize-part`](super::part). A part is whole cents; if none is available, the request is declined.
//!
//! If the chain showed a `Spend` of the amount before the network asked, the account refuses by naming it. The
//! reservation is kept likewise, and `answer` is undone by `ExpectSpend`. The event of that starts the flow
//! `authorize-spent`: `answer`, `keep`, `hold`, which now takes the `Spend`, `assess` and `approve`.
//!
//! If another hand has approved the request meanwhile, reservation and hold are the payment's, and are not undone. Its
//! later events lower them.

use serde::{Deserialize, Serialize};

use clearfold_kernel::{Action, Amount, ExternalId, Flow, Message, Minor, PlannedStep, StepCall, Subject};

use super::memory::{id, is_approved, read, request};
use super::observe::{BOOKS, planned};
use super::part::KEEP;
use super::{assess, was_refused};
use crate::account::{self, PlaceHold, Purchase, VoidHold};
use crate::authorization::{
    self, ApproveAuthorization, AuthorizationRequested, DeclineAuthorization, ExpectSpend,
    ProposePartialApproval, State,
};
use crate::bookings;
use crate::card::{self, Portion, RecordPinFailure, ReleaseSpend, ReserveSpend};
use crate::network::{Details, TransactionType};
use crate::policy::{DeclineReason, assets};
use crate::verification::CardChecks;

pub(super) const ANSWER: &str = "answer";
pub(super) const COUNT_PIN: &str = "count-pin";
pub(super) const RESERVE: &str = "reserve";
pub(super) const HOLD: &str = "hold";
pub(super) const APPROVE: &str = "approve";

/// Code of a decision on a payment that is decided.
const DECIDED: &str = "already_decided";

/// Statements of a request by which the card decides.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stated {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checks: Option<CardChecks>,
    transaction_type: Option<TransactionType>,
}

/// Plans the flow. What the network states of card, holder and type is the argument of the step that asks the card: JSON,
/// so that people can read it in the log. Without a type it is the checks alone, as before there were types.
pub(super) fn steps(subject: &Subject, event: &AuthorizationRequested) -> Result<Vec<PlannedStep>, String> {
    let argument = match (Details::type_of(event.details.as_deref()), &event.checks) {
        (None, None) => Ok(Vec::new()),
        (None, Some(checks)) => serde_json::to_vec(checks),
        (transaction_type, checks) => {
            serde_json::to_vec(&Stated { checks: checks.clone(), transaction_type })
        }
    };
    let reserve = PlannedStep { step: RESERVE, argument: argument.map_err(|error| error.to_string())? };
    let is_wrong = event.checks.as_ref().is_some_and(CardChecks::has_wrong_pin);
    let count_pin = is_wrong.then(|| planned(COUNT_PIN));
    let before = [planned(ANSWER)].into_iter().chain(count_pin).chain([reserve, planned(HOLD)]);
    Ok(before.chain(assess::step(subject)).chain([planned(APPROVE)]).collect())
}

/// Returns what a step's argument states. Flows that were planned before there were checks have none.
fn stated(call: &StepCall) -> Result<Stated, String> {
    if call.argument.is_empty() {
        return Ok(Stated::default());
    }
    if let Ok(checks) = serde_json::from_slice(&call.argument) {
        return Ok(Stated { checks: Some(checks), transaction_type: None });
    }
    serde_json::from_slice(&call.argument)
        .map_err(|error| format!("the argument of `{}`: {error}", call.step))
}

/// Has the wrong PIN counted. It is a fact, whatever the card decides of the payment.
pub(super) fn count_pin(call: &StepCall) -> Result<Action, String> {
    let state = read(&call.subject)?;
    let failure = RecordPinFailure { authorization_id: id(&call.subject)? };
    to_card(request(&state)?.card_id.as_str(), &card::Command::RecordPinFailure(failure))
}

/// Flow `authorize-spent`: begins where `authorize` ended, with the whole amount reserved.
pub(super) fn spent(subject: &Subject) -> Flow {
    let before = [ANSWER, KEEP, HOLD].map(planned);
    let steps = before.into_iter().chain(assess::step(subject)).chain([planned(APPROVE)]).collect();
    Flow { name: "authorize-spent", lane: BOOKS.into(), steps }
}

pub(super) fn reserve(call: &StepCall) -> Result<Action, String> {
    let state = read(&call.subject)?;
    let request = request(&state)?;
    let Stated { checks, transaction_type } = stated(call)?;
    to_card(
        request.card_id.as_str(),
        &card::Command::ReserveSpend(ReserveSpend {
            reservation_id: reservation(call, &request.message_id)?,
            authorization_id: id(&call.subject)?,
            amount: request.amount.clone(),
            merchant: request.merchant.clone(),
            checks,
            transaction_type,
        }),
    )
}

pub(super) fn hold(call: &StepCall) -> Result<Action, String> {
    let state = read(&call.subject)?;
    let (hold_id, amount) = (id(&call.subject)?, request(&state)?.amount.clone());
    // A card is verified without the account.
    if amount.minor == Minor::ZERO {
        return Ok(Action::Done);
    }
    let (partial, unless_spent) = (request(&state)?.partial_allowed, state.expected.is_none());
    let purchase = Some(Box::new(purchase(&state)?));
    let asked_by = state.asked_by;
    let hold = PlaceHold { hold_id, amount, forced: false, partial, unless_spent, asked_by, purchase };
    to_account(call, &account::Command::PlaceHold(hold))
}

/// Returns what the request's hold is for.
pub(super) fn purchase(state: &State) -> Result<Purchase, String> {
    let request = request(state)?;
    Ok(Purchase {
        card_id: request.card_id.clone(),
        merchant_id: request.merchant.id.clone(),
        category: request.merchant.category,
        country: request.merchant.country,
        network: request.network,
        terminal: state.terminal.clone(),
        requested_at: request.occurred_at,
    })
}

pub(super) fn approve(call: &StepCall) -> Result<Action, String> {
    let state = read(&call.subject)?;
    let amount = request(&state)?.amount.clone();
    to_payment(call, &authorization::Command::ApproveAuthorization(ApproveAuthorization { amount }))
}

/// Declines the request for the reason that the refusal's code names; other codes are the processor's own affair.
pub(super) fn decline(call: &StepCall) -> Result<Action, String> {
    if let Some(amount) = available_part(call)? {
        let proposal = authorization::Command::ProposePartialApproval(ProposePartialApproval { amount });
        return go_on(call, &proposal);
    }
    if let Some((spend_id, _)) = call.refusal.as_ref().and_then(account::matched) {
        return go_on(call, &authorization::Command::ExpectSpend(ExpectSpend { spend_id }));
    }
    let code = call.refusal.as_ref().map_or("", |refusal| refusal.code.as_str());
    if code == DECIDED || was_refused(call, &[DECIDED]) {
        return Ok(Action::Done);
    }
    let reason = reason_of(code);
    to_payment(call, &authorization::Command::DeclineAuthorization(DeclineAuthorization { reason }))
}

/// Records what the account said, with which another flow goes on. If the request is decided by another hand meanwhile,
/// none does, and what was kept of the reservation is released.
fn go_on(call: &StepCall, command: &authorization::Command) -> Result<Action, String> {
    match call.last_refusal.as_ref().map(|refusal| refusal.code.as_str()) {
        Some(DECIDED | "card_not_issued" | "account_mismatch") => release_all(call),
        _ => to_payment(call, command),
    }
}

/// Returns the part of the request that the account has, if the account refused for that. Less than a cent is none.
fn available_part(call: &StepCall) -> Result<Option<Amount>, String> {
    let Some(available) = call.refusal.as_ref().and_then(account::available_part) else { return Ok(None) };
    let state = read(&call.subject)?;
    let asset = request(&state)?.amount.asset.clone();
    let minor = assets::find(&asset.code).map_or(available, |known| known.chargeable(available));
    Ok((minor > Minor::ZERO).then_some(Amount { minor, asset }))
}

/// Returns the reason that a refusal's code names.
pub(super) fn reason_of(code: &str) -> DeclineReason {
    match code {
        // A part is available, and it is less than a cent.
        "only_part_available" => DeclineReason::InsufficientFunds,
        // The card exists, and is another account's.
        "account_mismatch" => DeclineReason::CardNotIssued,
        code => DeclineReason::of_code(code).unwrap_or(DeclineReason::SystemError),
    }
}

/// Releases everything that was reserved, unless another flow goes on with it. If the reservation never arrived, this
/// prevents it.
pub(super) fn release(call: &StepCall) -> Result<Action, String> {
    let is_spent = call.refusal.as_ref().and_then(account::matched).is_some();
    if is_spent || available_part(call)?.is_some() {
        return Ok(Action::Done);
    }
    release_all(call)
}

fn release_all(call: &StepCall) -> Result<Action, String> {
    let state = read(&call.subject)?;
    if state.payment().is_some_and(is_approved) || was_refused(call, &["card_not_issued", "account_mismatch"])
    {
        return Ok(Action::Done);
    }
    let request = request(&state)?;
    if request.amount.minor == Minor::ZERO {
        return Ok(Action::Done);
    }
    let release_id = bookings::declined(&id(&call.subject)?).map_err(|error| error.to_string())?;
    to_card(
        request.card_id.as_str(),
        &card::Command::ReleaseSpend(ReleaseSpend {
            reservation_id: reservation(call, &request.message_id)?,
            release_id,
            amount: Portion::Everything,
        }),
    )
}

/// Returns the id under which a message of the payment is reserved on its card.
pub(super) fn reservation(call: &StepCall, message_id: &ExternalId) -> Result<ExternalId, String> {
    bookings::reservation(&id(&call.subject)?, message_id).map_err(|error| error.to_string())
}

/// Voids the hold. If it was never placed, this prevents it; a hold that a stand-in's advice forced stays.
pub(super) fn void(call: &StepCall) -> Result<Action, String> {
    let state = read(&call.subject)?;
    let holds = request(&state).is_ok_and(|request| request.amount.minor > Minor::ZERO);
    if !holds || state.payment().is_some_and(is_approved) || was_refused(call, &["account_not_opened"]) {
        return Ok(Action::Done);
    }
    to_account(call, &account::Command::VoidHold(VoidHold { hold_id: id(&call.subject)? }))
}

pub(super) fn to_account(call: &StepCall, command: &account::Command) -> Result<Action, String> {
    send(account::AGGREGATE, &call.subject.routing_key, command)
}

pub(super) fn to_card(card_id: &str, command: &card::Command) -> Result<Action, String> {
    send(card::AGGREGATE, card_id, command)
}

pub(super) fn to_payment(call: &StepCall, command: &authorization::Command) -> Result<Action, String> {
    send(authorization::AGGREGATE, &call.subject.id, command)
}

/// Makes the action that sends a command, which never reports what was seen on chain.
pub(super) fn send(aggregate: &'static str, id: &str, command: &impl Message) -> Result<Action, String> {
    let message = command.encode().map_err(|error| error.to_string())?;
    Ok(Action::Command { aggregate, id: id.to_owned(), seen_on_chain: false, message })
}
