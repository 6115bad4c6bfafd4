//! Flow `authorize-part`: holds and approves a part of the request, because the account had no more. It begins where
//! `authorize` ended: the whole amount is reserved on the card.
//!
//! | step | done by | undone by |
//! |---|---|---|
//! | `answer` | nothing | `DeclineAuthorization` for the refusal's reason |
//! | `keep` | nothing: the reservation is there | `ReleaseSpend` of everything |
//! | `hold-part` | `PlaceHold` of the part, not forced | `VoidHold` |
//! | `assess` | the effect `risk`, if the host offers it | nothing |
//! | `approve-part` | `ApproveAuthorization` of the part | |
//!
//! The account is asked for exactly the proposed part: if it has less by now, the request is declined. The booking of
//! the approval releases the rest on the card.

use clearfold_kernel::{Action, Amount, Flow, Rejection, StepCall, Subject};

use super::assess;
use super::authorize::{self, to_account, to_payment};
use super::memory::{id, read};
use super::observe::{BOOKS, planned};
use crate::account::{self, PlaceHold};
use crate::authorization::{self, ApproveAuthorization};

pub(super) const KEEP: &str = "keep";
pub(super) const HOLD: &str = "hold-part";
pub(super) const APPROVE: &str = "approve-part";

pub(super) fn flow(subject: &Subject) -> Flow {
    let before = [authorize::ANSWER, KEEP, HOLD].map(planned);
    let steps = before.into_iter().chain(assess::step(subject)).chain([planned(APPROVE)]).collect();
    Flow { name: "authorize-part", lane: BOOKS.into(), steps }
}

pub(super) fn hold(call: &StepCall) -> Result<Action, String> {
    let (hold_id, Some(amount)) = (id(&call.subject)?, part(call)?) else { return Ok(decided()) };
    let state = read(&call.subject)?;
    let purchase = Some(Box::new(authorize::purchase(&state)?));
    let hold = PlaceHold {
        hold_id,
        amount,
        forced: false,
        partial: false,
        unless_spent: false,
        asked_by: state.asked_by,
        purchase,
    };
    to_account(call, &account::Command::PlaceHold(hold))
}

pub(super) fn approve(call: &StepCall) -> Result<Action, String> {
    let Some(amount) = part(call)? else { return Ok(decided()) };
    to_payment(call, &authorization::Command::ApproveAuthorization(ApproveAuthorization { amount }))
}

/// Returns the proposed part; none if a stand-in's advice has begun the payment anew.
pub(super) fn part(call: &StepCall) -> Result<Option<Amount>, String> {
    let state = read(&call.subject)?;
    let payment = state.payment().ok_or("the memory has no payment")?;
    Ok(payment.proposed.map(|minor| Amount { minor, asset: payment.asset.clone() }))
}

fn decided() -> Action {
    Action::Refuse(Rejection::new("already_decided", "a stand-in approved the payment meanwhile"))
}
