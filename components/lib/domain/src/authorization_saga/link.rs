//! Flows that find the two halves of one payment: the `Spend` that somebody else submitted, and what the network asked
//! for. They end at the `Spend`'s own stream, which decides to which payment it belongs.
//!
//! | flow | lane | begins | steps |
//! |---|---|---|---|
//! | `spend` | `books` | a `Spend` is recorded, behind its bookings | `link`, `read-match` asks the account for what it matched |
//! | `match` | `books` | an increment is approved, and no leg begins with it | `link-spend`, `find-spend` for the addition |
//! | … | `funding` | a leg begins for which the account may know a `Spend`, before its pull | `await-spend`, `link-spend`, `find-spend` asks the account for a `Spend` that was seen first |
//! | `link` | `books` | the `Spend` is linked | `take` makes it a leg of the payment, `book` moves its money |
//! | `observe` | `books` | something happened on chain to the linked `Spend` | `observe-spend` reports it to the payment |
//! | `unlink` | `books` | the `Spend` is unlinked | `give-up` takes the leg back, `book` moves the money back, behind the loss of its block |
//!
//! The account answers by a refusal that names the other side. It is undone by the link: a refusal is all that a saga
//! hears of another stream. If it was refused for another reason, the same question is asked again.

use clearfold_kernel::{Action, Address, Amount, ExternalId, Flow, Minor, PlannedStep, StepCall, Timestamp};

use super::authorize::{send, to_account};
use super::memory::{id, read};
use super::observe::{BOOKS, planned};
use super::{book, fund, was_refused};
use crate::account::{
    self, BookFunding, FindSpend, FundedBy, FundingStep, MoveFunding, PlaceHold, ReadMatch,
};
use crate::authorization::{
    self, Command, Event, Funding, GiveUpSpend, LinkSpend, ObserveSpend, SpendLinked, SpendObserved,
    SpendUnlinked, State, TakeSpend, UnlinkSpend,
};
use crate::network::MatchBasis;

pub(super) const LINK: &str = "link";
pub(super) const READ: &str = "read-match";
pub(super) const AWAIT: &str = "await-spend";
pub(super) const LINK_SPEND: &str = "link-spend";
pub(super) const FIND: &str = "find-spend";
pub(super) const TAKE: &str = "take";
pub(super) const GIVE_UP: &str = "give-up";
pub(super) const OBSERVE: &str = "observe-spend";

/// Time within which a `Spend` that was found becomes a leg. It is in the same commit; then the pull asks for less.
const AWAITED_MS: u64 = 10_000;
/// Pause before a payment looks again if it has the `Spend`.
const LOOK_AGAIN_MS: u64 = 1_000;

/// Returns the flows behind the bookings of an event.
pub(super) fn flows(
    id: &ExternalId,
    before: &State,
    after: &State,
    event: &Event,
) -> Result<Vec<Flow>, String> {
    let mut flows = Vec::new();
    match event {
        Event::SwipeRecorded(_) => {
            flows.push(Flow { name: "spend", lane: BOOKS.into(), steps: [LINK, READ].map(planned).into() });
        }
        Event::SpendLinked(event) => flows.push(linked(id, before, event)?),
        Event::SpendUnlinked(event) => flows.push(unlinked(id, event)?),
        Event::SpendObserved(event) => flows.push(observed(id, event)?),
        _ => {}
    }
    if fund::begun(before, after).is_some() && may_be_spent(after, event) {
        let steps = [AWAIT, LINK_SPEND, FIND].map(planned).into();
        flows.push(Flow { name: "match", lane: fund::LANE.into(), steps });
    } else if let Event::HoldIncreased(event) = event {
        flows.push(added(&event.amount)?);
    }
    Ok(flows)
}

/// Plans the search for a `Spend` of what was added while an earlier leg is undecided, so that no leg begins with it.
fn added(amount: &Amount) -> Result<Flow, String> {
    let argument = serde_json::to_vec(amount).map_err(|error| error.to_string())?;
    let steps = [LINK_SPEND, FIND].map(|step| PlannedStep { step, argument: argument.clone() });
    Ok(Flow { name: "match", lane: BOOKS.into(), steps: steps.into() })
}

/// Returns true if the account may know a `Spend` that pays the leg. Of a request that is approved as a whole it has said
/// so already.
fn may_be_spent(after: &State, event: &Event) -> bool {
    !matches!(event, Event::AuthorizationApproved(_)) || after.expected.is_some()
}

fn linked(id: &ExternalId, before: &State, event: &SpendLinked) -> Result<Flow, String> {
    let funding = before.payment().map(|payment| &payment.funding);
    let Some(Funding::Included { source, .. } | Funding::Finalized { source, .. }) = funding else {
        return Err("the Spend that is linked has no log".to_owned());
    };
    let take = Command::TakeSpend(TakeSpend {
        spend_id: id.clone(),
        link: event.link,
        amount: event.amount.clone(),
        source: source.clone(),
        basis: event.basis,
        is_final: matches!(funding, Some(Funding::Finalized { .. })),
    });
    let moved = MoveFunding {
        spend_id: id.clone(),
        payment_id: event.payment_id.clone(),
        link: event.link,
        is_gone: false,
        to: FundedBy::Payment,
        held: Minor::ZERO,
        amount: event.amount.clone(),
        source: source.clone(),
    };
    flow("link", TAKE, event.parties.account, &event.payment_id, &take, moved)
}

fn unlinked(id: &ExternalId, event: &SpendUnlinked) -> Result<Flow, String> {
    let give_up = Command::GiveUpSpend(GiveUpSpend { spend_id: id.clone(), link: event.link });
    let moved = MoveFunding {
        spend_id: id.clone(),
        payment_id: event.payment_id.clone(),
        link: event.link,
        is_gone: event.is_gone,
        to: FundedBy::Spend,
        held: event.held,
        amount: event.amount.clone(),
        source: event.source.clone(),
    };
    let account = event.parties.account;
    let mut flow = flow("unlink", GIVE_UP, account, &event.payment_id, &give_up, moved)?;
    if event.is_gone {
        // A payment that never had the Spend does not book that its block is gone.
        let gone = account::Command::BookFunding(BookFunding {
            hold_id: event.payment_id.clone(),
            step: FundingStep::Reorged,
            amount: event.amount.clone(),
            source: event.source.clone(),
        });
        flow.steps.insert(1, book::step(book::BOOK, account::AGGREGATE, &account.to_string(), true, &gone)?);
    }
    Ok(flow)
}

fn observed(id: &ExternalId, event: &SpendObserved) -> Result<Flow, String> {
    let observe = Command::ObserveSpend(ObserveSpend {
        spend_id: id.clone(),
        link: event.link,
        observation: event.observation.clone(),
        occurred_at: event.occurred_at,
    });
    let tell = book::step(OBSERVE, authorization::AGGREGATE, event.payment_id.as_str(), true, &observe)?;
    Ok(Flow { name: "observe", lane: BOOKS.into(), steps: vec![tell] })
}

fn flow(
    name: &'static str,
    step: &'static str,
    account: Address,
    payment_id: &ExternalId,
    command: &Command,
    moved: MoveFunding,
) -> Result<Flow, String> {
    let tell = book::step(step, authorization::AGGREGATE, payment_id.as_str(), false, command)?;
    let moved = account::Command::MoveFunding(moved);
    let moves = book::step(book::BOOK, account::AGGREGATE, &account.to_string(), true, &moved)?;
    Ok(Flow { name, lane: BOOKS.into(), steps: vec![tell, moves] })
}

/// Asks for the payment with which the account matched the `Spend`.
pub(super) fn read_match(call: &StepCall) -> Result<Action, String> {
    let spend_id = id(&call.subject)?;
    to_account(call, &account::Command::ReadMatch(ReadMatch { spend_id }))
}

/// Asks for a `Spend` that was seen before the network asked, of the amount that was added or is due.
pub(super) fn find(call: &StepCall) -> Result<Action, String> {
    let state = read(&call.subject)?;
    let Some(payment) = state.payment().filter(|_| state.due() > Minor::ZERO) else {
        return Ok(Action::Done);
    };
    let amount = match call.argument.as_slice() {
        [] => Amount { minor: state.due(), asset: payment.asset.clone() },
        added => serde_json::from_slice(added)
            .map_err(|error| format!("the argument of `{}`: {error}", call.step))?,
    };
    to_account(call, &account::Command::FindSpend(FindSpend { payment_id: id(&call.subject)?, amount }))
}

/// Links the `Spend` to the payment that the account names. If something was claimed of it meanwhile, it is a payment of
/// its own, and the account holds its amount after all.
pub(super) fn link(call: &StepCall) -> Result<Action, String> {
    // The hold of one that was linked and unlinked meanwhile stands already.
    if was_refused(call, &["spend_linked", "duplicate_mismatch"]) {
        return Ok(Action::Done);
    }
    if was_refused(call, &["spend_not_linkable"]) {
        return stand(call);
    }
    match other(call) {
        Some((payment_id, basis)) => {
            let link = LinkSpend { payment_id, basis: Some(basis), reason: None };
            send(authorization::AGGREGATE, &call.subject.id, &Command::LinkSpend(link))
        }
        None => read_match(call),
    }
}

fn stand(call: &StepCall) -> Result<Action, String> {
    let state = read(&call.subject)?;
    let Some(payment) = state.payment() else { return Ok(Action::Done) };
    let spent = state.added().fold(payment.totals.authorized, |left, (_, by)| left.excess_over(by));
    let amount = Amount { minor: spent, asset: payment.asset.clone() };
    let hold = PlaceHold {
        hold_id: id(&call.subject)?,
        amount,
        forced: true,
        partial: false,
        unless_spent: false,
        asked_by: None,
        purchase: None,
    };
    to_account(call, &account::Command::PlaceHold(hold))
}

/// Links the `Spend` that the account names to this payment. One that is not to be had is another payment's.
pub(super) fn link_spend(call: &StepCall) -> Result<Action, String> {
    let is_gone = ["spend_linked", "spend_not_linkable", "account_not_opened", "authorization_not_found"];
    if was_refused(call, &is_gone) {
        return Ok(Action::Done);
    }
    match other(call) {
        Some((spend_id, basis)) => {
            let link = LinkSpend { payment_id: id(&call.subject)?, basis: Some(basis), reason: None };
            send(authorization::AGGREGATE, spend_id.as_str(), &Command::LinkSpend(link))
        }
        None if call.refusal.as_ref().is_some_and(|refusal| refusal.code == "account_not_opened") => {
            Ok(Action::Done)
        }
        None => find(call),
    }
}

/// Waits until the `Spend` is a leg, so that the same money is not pulled again.
pub(super) fn await_spend(call: &StepCall) -> Result<Action, String> {
    let state = read(&call.subject)?;
    let after = |time: Timestamp, ms| time.as_ms().checked_add(ms).and_then(Timestamp::from_ms);
    let until = state.latest.and_then(|latest| after(latest, AWAITED_MS));
    let is_over = until.is_none_or(|until| until <= call.subject.now);
    if is_over || state.due() == Minor::ZERO {
        return Ok(Action::Done);
    }
    after(call.subject.now, LOOK_AGAIN_MS)
        .map(Action::WaitUntil)
        .ok_or_else(|| "the calendar ends".to_owned())
}

/// Makes the `Spend` a leg of the payment. If that cannot have it, the link is undone.
pub(super) fn take(call: &StepCall) -> Result<Action, String> {
    let cannot = ["authorization_not_found", "account_mismatch", "asset_mismatch", "spend_linked"];
    if was_refused(call, &cannot) {
        let reason = call.last_refusal.as_ref().map(|refusal| refusal.code.clone());
        let unlink = Command::UnlinkSpend(UnlinkSpend { payment_id: None, reason });
        return send(authorization::AGGREGATE, &call.subject.id, &unlink);
    }
    book::command(call)
}

/// Tells the payment, unless it cannot have the `Spend`.
pub(super) fn tell(call: &StepCall) -> Result<Action, String> {
    if was_refused(call, &["authorization_not_found", "account_mismatch"]) {
        return Ok(Action::Done);
    }
    book::command(call)
}

/// Returns the other side that the account named.
fn other(call: &StepCall) -> Option<(ExternalId, MatchBasis)> {
    let named = call.last_refusal.as_ref().and_then(account::matched);
    named.or_else(|| call.refusal.as_ref().and_then(account::matched))
}
