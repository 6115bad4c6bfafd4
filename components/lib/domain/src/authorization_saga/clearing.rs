//! Flows of a clearing that named no known payment: it is linked to the one that it belongs to.
//!
//! | flow | lane | begins | steps |
//! |---|---|---|---|
//! | `match-clearing` | `funding` | a payment begins with a clearing that nobody authorized, before its leg is pulled | `link-clearing`, `find-hold` asks the account for the hold that it belongs to |
//! | `take-clearing` | `books` | the clearing is linked, behind the booking of the clearing | `take-clearing` makes it a claim to the payment |
//!
//! The account answers by a refusal that names the hold, or the candidates. It is undone by the link, or by naming them. A
//! payment that cannot have the clearing has the link undone.

use clearfold_kernel::{Action, Flow, StepCall};

use super::authorize::send;
use super::memory::{id, read};
use super::observe::{BOOKS, planned};
use super::{book, fund, was_refused};
use crate::account::{self, MatchClearing};
use crate::authorization::{
    self, ClearingLinked, Command, Event, ForcePostReason, ForcePosted, LinkClearing, NameCandidates, State,
    Subject, TakeClearing, UnlinkClearing,
};

pub(super) const LINK: &str = "link-clearing";
pub(super) const FIND: &str = "find-hold";
pub(super) const TAKE: &str = "take-clearing";

/// Codes of the answers to the question. An account that is not open has no hold.
const ANSWERS: [&str; 4] = ["hold_matched", "hold_ambiguous", "hold_not_matched", "account_not_opened"];

/// Returns the flow that follows from an event.
pub(super) fn flow(
    subject: &clearfold_kernel::Subject,
    before: &State,
    event: &Event,
) -> Result<Option<Flow>, String> {
    match event {
        Event::ForcePosted(event)
            if event.reason == ForcePostReason::NoAuthorization && before.subject == Subject::Nothing =>
        {
            let question = question(subject, event)?;
            let step = |step| match &question {
                Some(asks) => book::step(step, account::AGGREGATE, &subject.routing_key, false, asks),
                None => Ok(planned(step)),
            };
            let steps = vec![step(LINK)?, step(FIND)?];
            Ok(Some(Flow { name: "match-clearing", lane: fund::LANE.into(), steps }))
        }
        Event::ClearingLinked(event) => {
            let steps = vec![taking(subject, event)?];
            Ok(Some(Flow { name: "take-clearing", lane: BOOKS.into(), steps }))
        }
        _ => Ok(None),
    }
}

/// Returns the question for the hold; none if the clearing does not name its card and its merchant.
fn question(
    subject: &clearfold_kernel::Subject,
    event: &ForcePosted,
) -> Result<Option<account::Command>, String> {
    let (Some(card_id), Some(merchant)) = (&event.parties.card_id, &event.merchant) else { return Ok(None) };
    Ok(Some(account::Command::MatchClearing(MatchClearing {
        payment_id: id(subject)?,
        card_id: card_id.clone(),
        merchant_id: merchant.id.clone(),
        category: merchant.category,
        country: merchant.country,
        terminal: event.details.as_ref().and_then(|details| details.terminal.clone()),
        amount: event.amount.clone(),
        occurred_at: event.occurred_at,
    })))
}

fn taking(
    subject: &clearfold_kernel::Subject,
    event: &ClearingLinked,
) -> Result<clearfold_kernel::PlannedStep, String> {
    let take = Command::TakeClearing(TakeClearing {
        posted_on: id(subject)?,
        clearing_id: event.clearing_id.clone(),
        link: event.link,
        amount: event.amount.clone(),
        residue: event.residue,
        part: event.part,
        reference: event.reference.clone(),
        matched: event.matched.clone(),
        occurred_at: event.occurred_at,
    });
    book::step(TAKE, authorization::AGGREGATE, event.payment_id.as_str(), false, &take)
}

/// Asks the account for the hold.
pub(super) fn find(call: &StepCall) -> Result<Action, String> {
    if call.argument.is_empty() { Ok(Action::Refuse(account::not_matched())) } else { book::command(call) }
}

/// Links the clearing to the payment whose hold the account names; otherwise names the candidates. If something happened to
/// the clearing meanwhile, it stays a payment of its own.
pub(super) fn link(call: &StepCall) -> Result<Action, String> {
    if was_refused(call, &["clearing_linked", "clearing_not_linkable"]) {
        return Ok(Action::Done);
    }
    // If the question was refused for another reason, it is asked again.
    let mut refusals = call.last_refusal.iter().chain(&call.refusal);
    let Some(answer) = refusals.find(|refused| ANSWERS.contains(&refused.code.as_str())) else {
        return find(call);
    };
    let command = match account::hold_matched(answer) {
        Some((payment_id, matched)) => {
            Command::LinkClearing(LinkClearing { payment_id, matched: Some(matched), reason: None })
        }
        None => {
            let candidates = account::holds_of(&answer.code, &answer.detail).unwrap_or_default();
            Command::NameCandidates(NameCandidates { candidates })
        }
    };
    send(authorization::AGGREGATE, &call.subject.id, &command)
}

/// Makes the clearing a claim to the payment. If that cannot have it, the link is undone.
pub(super) fn take(call: &StepCall) -> Result<Action, String> {
    let cannot = [
        "authorization_not_found",
        "identity_conflict",
        "account_mismatch",
        "asset_mismatch",
        "clearing_not_linkable",
    ];
    if !was_refused(call, &cannot) {
        return book::command(call);
    }
    let state = read(&call.subject)?;
    let Some(payment_id) = state.clearing_linked_to().cloned() else { return Ok(Action::Done) };
    let unlink = UnlinkClearing { payment_id, link: state.clearing_links.made };
    send(authorization::AGGREGATE, &call.subject.id, &Command::UnlinkClearing(unlink))
}
