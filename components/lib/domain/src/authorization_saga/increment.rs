//! Flow `increment`: asks the card, then the account, and approves the addition. A refusal is undone in reverse order
//! and declines the increment; the payment stays as it was.
//!
//! | step | done by | undone by | nothing to undo if |
//! |---|---|---|---|
//! | `answer-increment` | nothing | `DeclineIncrement` for the refusal's reason | the increment is decided already |
//! | `reserve-increment` | `ReserveSpend` under the increment's message id within the payment | `ReleaseSpend` of everything | the card does not exist, or is another account's |
//! | `raise` | `RaiseHold`, not forced | `LowerHold` by as much | |
//! | `assess` | the effect `risk`, if the host offers it and the network asked for the payment | nothing | |
//! | `approve-increment` | `ApproveIncrement` | | |
//!
//! A payment that was seen on chain first may name no card; then only the account is asked. A raise is undone only if
//! it was accepted, so what is lowered was raised. If another hand has approved the increment meanwhile, reservation
//! and raise are the payment's, and are not undone.

use clearfold_kernel::{Action, Amount, ExternalId, Flow, PlannedStep, StepCall, Subject};
use serde::{Deserialize, Serialize};

use super::assess;
use super::authorize::{reason_of, reservation, to_account, to_card, to_payment};
use super::memory::{id, read};
use super::observe::BOOKS;
use super::was_refused;
use crate::account::{self, RaiseHold};
use crate::authorization::{
    self, ApproveIncrement, DeclineIncrement, Increment, IncrementFate, IncrementRequested, Payment, State,
};
use crate::bookings;
use crate::card::{self, Portion, ReleaseSpend, ReserveSpend};
use crate::network::Merchant;

pub(super) const INCREMENT: &str = "increment";

pub(super) const ANSWER: &str = "answer-increment";
pub(super) const RESERVE: &str = "reserve-increment";
pub(super) const RAISE: &str = "raise";
pub(super) const APPROVE: &str = "approve-increment";

/// Code of a decision on an increment that is decided.
const DECIDED: &str = "already_decided";

/// Argument of each step. JSON, so that people can read it in the log.
#[derive(Serialize, Deserialize)]
struct Argument {
    message_id: ExternalId,
}

/// Plans the flow of an increment. Lane and order are those of the bookings: the hold is placed before it is raised.
pub(super) fn flow(subject: &Subject, event: &IncrementRequested) -> Result<Flow, String> {
    let argument = serde_json::to_vec(&Argument { message_id: event.message_id.clone() });
    let argument = argument.map_err(|error| error.to_string())?;
    let step = |step| PlannedStep { step, argument: argument.clone() };
    let assess = assess::step_of_increment(subject, &argument)?;
    let before = [ANSWER, RESERVE, RAISE].map(step);
    let steps = before.into_iter().chain(assess).chain([step(APPROVE)]).collect();
    Ok(Flow { name: INCREMENT, lane: BOOKS.into(), steps })
}

/// Returns the id and the amount of the increment that a step is about.
pub(super) fn asked(call: &StepCall) -> Result<(ExternalId, Amount), String> {
    let asked = Asked::of(call)?;
    let amount = asked.amount()?;
    Ok((asked.message_id, amount))
}

/// Increment that a step is about, with its payment.
struct Asked {
    message_id: ExternalId,
    increment: Increment,
    state: State,
}

impl Asked {
    fn of(call: &StepCall) -> Result<Self, String> {
        let argument: Result<Argument, _> = serde_json::from_slice(&call.argument);
        let Argument { message_id } =
            argument.map_err(|error| format!("the argument of `{}`: {error}", call.step))?;
        let state = read(&call.subject)?;
        let increment = state.increments.get(&message_id).copied();
        let increment = increment.ok_or_else(|| format!("the memory has no increment {message_id}"))?;
        Ok(Self { message_id, increment, state })
    }

    fn payment(&self) -> Result<&Payment, String> {
        self.state.payment().ok_or_else(|| "the memory has no payment".to_owned())
    }

    fn amount(&self) -> Result<Amount, String> {
        let asset = self.payment()?.asset.clone();
        Ok(Amount { minor: self.increment.addition, asset })
    }

    /// Returns card and merchant, if both are known: of a payment that was seen on chain first only a stand-in names
    /// them.
    fn card(&self) -> Result<Option<(&ExternalId, &Merchant)>, String> {
        let payment = self.payment()?;
        let advised = || self.state.advices.values().next().map(|advice| &advice.merchant);
        Ok(payment.parties.card_id.as_ref().zip(payment.entry.merchant().or_else(advised)))
    }

    /// Returns true if another hand approved the increment. The flow itself approves with its last step.
    fn is_approved(&self) -> bool {
        self.increment.fate == IncrementFate::Approved
    }
}

pub(super) fn reserve(call: &StepCall) -> Result<Action, String> {
    let asked = Asked::of(call)?;
    let Some((card_id, merchant)) = asked.card()? else { return Ok(Action::Done) };
    let reserve = ReserveSpend {
        reservation_id: reservation(call, &asked.message_id)?,
        authorization_id: id(&call.subject)?,
        amount: asked.amount()?,
        merchant: merchant.clone(),
        checks: None,
        // The card knows the payment's.
        transaction_type: None,
    };
    to_card(card_id.as_str(), &card::Command::ReserveSpend(reserve))
}

pub(super) fn raise(call: &StepCall) -> Result<Action, String> {
    let asked = Asked::of(call)?;
    let (hold_id, amount) = (id(&call.subject)?, asked.amount()?);
    let raise = RaiseHold { hold_id, change_id: asked.message_id, amount, forced: false };
    to_account(call, &account::Command::RaiseHold(raise))
}

pub(super) fn approve(call: &StepCall) -> Result<Action, String> {
    let approve = ApproveIncrement { message_id: Asked::of(call)?.message_id };
    to_payment(call, &authorization::Command::ApproveIncrement(approve))
}

pub(super) fn decline(call: &StepCall) -> Result<Action, String> {
    let asked = Asked::of(call)?;
    let code = call.refusal.as_ref().map_or("", |refusal| refusal.code.as_str());
    if code == DECIDED || was_refused(call, &[DECIDED]) {
        return Ok(Action::Done);
    }
    let decline = DeclineIncrement { message_id: asked.message_id, reason: reason_of(code) };
    to_payment(call, &authorization::Command::DeclineIncrement(decline))
}

/// Releases everything that was reserved. If the reservation never arrived, this prevents it.
pub(super) fn release(call: &StepCall) -> Result<Action, String> {
    let asked = Asked::of(call)?;
    let is_nobodys = was_refused(call, &["card_not_issued", "account_mismatch"]);
    let Some((card_id, _)) = asked.card()?.filter(|_| !is_nobodys && !asked.is_approved()) else {
        return Ok(Action::Done);
    };
    let message_id = &asked.message_id;
    let release = ReleaseSpend {
        reservation_id: reservation(call, message_id)?,
        release_id: message_id.clone(),
        amount: Portion::Everything,
    };
    to_card(card_id.as_str(), &card::Command::ReleaseSpend(release))
}

/// Takes the raise back, under an id of its own.
pub(super) fn lower(call: &StepCall) -> Result<Action, String> {
    let asked = Asked::of(call)?;
    if asked.is_approved() {
        return Ok(Action::Done);
    }
    let lower = bookings::raise_undone(&id(&call.subject)?, &asked.message_id, asked.increment.addition);
    to_account(call, &lower.map_err(|error| error.to_string())?)
}
