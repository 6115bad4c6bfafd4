//! Flow `authorize`: asks the card, then the account, and approves the request. A refusal is undone in reverse order
//! and declines the request.
//!
//! | step | done by | undone by | nothing to undo if |
//! |---|---|---|---|
//! | `answer` | nothing | `DeclineAuthorization` for the refusal's reason | the payment is decided already |
//! | `reserve` | `ReserveSpend` under the request's message id | `ReleaseSpend` of everything | the card does not exist, or is another account's |
//! | `hold` | `PlaceHold`, not forced | `VoidHold` | the account is not open |
//! | `approve` | `ApproveAuthorization` for the requested amount | | |
//!
//! The answer comes first so that every refusal declines. The whole amount is approved or nothing: what is available
//! is the account's affair, and no code says it.
//!
//! If another hand has approved the request meanwhile, reservation and hold are the payment's, and are not undone. Its
//! later events lower them.

use clearfold_kernel::{Action, Message, PlannedStep, StepCall};

use super::memory::{id, is_approved, read, request};
use super::observe::planned;
use super::was_refused;
use crate::account::{self, PlaceHold, VoidHold};
use crate::authorization::{self, ApproveAuthorization, DeclineAuthorization};
use crate::bookings;
use crate::card::{self, Portion, ReleaseSpend, ReserveSpend};
use crate::policy::DeclineReason;

pub(super) const ANSWER: &str = "answer";
pub(super) const RESERVE: &str = "reserve";
pub(super) const HOLD: &str = "hold";
pub(super) const APPROVE: &str = "approve";

/// Code of a decision on a payment that is decided.
const DECIDED: &str = "already_decided";

pub(super) fn steps() -> Vec<PlannedStep> {
    [ANSWER, RESERVE, HOLD, APPROVE].map(planned).into()
}

pub(super) fn reserve(call: &StepCall) -> Result<Action, String> {
    let state = read(&call.subject)?;
    let request = request(&state)?;
    to_card(
        request.card_id.as_str(),
        &card::Command::ReserveSpend(ReserveSpend {
            reservation_id: request.message_id.clone(),
            authorization_id: id(&call.subject)?,
            amount: request.amount.clone(),
            merchant: request.merchant.clone(),
        }),
    )
}

pub(super) fn hold(call: &StepCall) -> Result<Action, String> {
    let state = read(&call.subject)?;
    let (hold_id, amount) = (id(&call.subject)?, request(&state)?.amount.clone());
    to_account(call, &account::Command::PlaceHold(PlaceHold { hold_id, amount, forced: false }))
}

pub(super) fn approve(call: &StepCall) -> Result<Action, String> {
    let state = read(&call.subject)?;
    let amount = request(&state)?.amount.clone();
    to_payment(call, &authorization::Command::ApproveAuthorization(ApproveAuthorization { amount }))
}

/// Declines the request for the reason that the refusal's code names; other codes are the processor's own affair.
pub(super) fn decline(call: &StepCall) -> Result<Action, String> {
    let code = call.refusal.as_ref().map_or("", |refusal| refusal.code.as_str());
    if code == DECIDED || was_refused(call, &[DECIDED]) {
        return Ok(Action::Done);
    }
    let reason = reason_of(code);
    to_payment(call, &authorization::Command::DeclineAuthorization(DeclineAuthorization { reason }))
}

/// Returns the reason that a refusal's code names.
pub(super) fn reason_of(code: &str) -> DeclineReason {
    match code {
        // The card exists, and is another account's.
        "account_mismatch" => DeclineReason::CardNotIssued,
        code => DeclineReason::of_code(code).unwrap_or(DeclineReason::SystemError),
    }
}

/// Releases everything that was reserved. If the reservation never arrived, this prevents it.
pub(super) fn release(call: &StepCall) -> Result<Action, String> {
    let state = read(&call.subject)?;
    if state.payment().is_some_and(is_approved) || was_refused(call, &["card_not_issued", "account_mismatch"])
    {
        return Ok(Action::Done);
    }
    let request = request(&state)?;
    let release_id = bookings::declined(&id(&call.subject)?).map_err(|error| error.to_string())?;
    to_card(
        request.card_id.as_str(),
        &card::Command::ReleaseSpend(ReleaseSpend {
            reservation_id: request.message_id.clone(),
            release_id,
            amount: Portion::Everything,
        }),
    )
}

/// Voids the hold. If it was never placed, this prevents it; a hold that a stand-in's advice forced stays.
pub(super) fn void(call: &StepCall) -> Result<Action, String> {
    let state = read(&call.subject)?;
    if state.payment().is_some_and(is_approved) || was_refused(call, &["account_not_opened"]) {
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
