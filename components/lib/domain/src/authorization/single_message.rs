//! Single messages: the network's request is its presentment too. Once it is approved, the payment is claimed by the same
//! decision, and no clearing record follows.
//!
//! | message | effect on a payment of a single message |
//! |---|---|
//! | approval, whole or in part | the approved amount is claimed at once, as the last clearing |
//! | advice of a stand-in, or of what a pump sold, if it or the request is a single message | what it leaves held is claimed likewise |
//! | decline | nothing is claimed |
//! | request of zero | approved like every verification; nothing is claimed |
//! | increment, and a further request | refused: the amount was final |
//! | reversal before the decision, of all of it | as for every request: it is withdrawn, or declined when it comes |
//! | reversal before there is a claim, of a part; of all of it, and a stand-in approves | taken back of the claim as soon as there is one |
//! | reversal behind it, of all of it or a part | takes back the claim, like the [reversal of a record](super::record_reversal) |
//! | advice for a payment that is closed | what it states beyond what stands claimed is claimed; one that is older than another says nothing |
//! | a clearing of the same amount, while the claim stands | suspended as its duplicate |
//!
//! The claim's record has an id that is made of the id of the message that claims: the request, or else the advice. A reversal
//! of the claim has one that is made of the reversal's; of several claims it takes back one after the other.

use std::collections::BTreeMap;

use clearfold_kernel::{Amount, CommandContext, ExternalId, InvalidId, Minor, Rejection, Timestamp};
use serde::{Deserialize, Serialize};

use super::claim::{Billing, Clearing};
use super::messages::{
    AdviceHold, AdviceRecorded, AuthorizationRequested, Event, Extent, Part, PresentClearing,
    RequestAuthorization, ReversalCause, ReverseAuthorization, ReversedRecord,
};
use super::record_reversal::{self, RecordReversal};
use super::state::{Payment, State, Status, sum};
use super::{Decision, clearing, force_post};
use crate::network::{Details, Network, TransactionType};
use crate::{bookings, checks};

/// Knowledge of the stream about single messages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SingleMessage {
    /// True if the network's request is the presentment too.
    pub is_requested: bool,
    /// Advice that is the presentment too: that which claimed, or the latest before there was a claim.
    pub advice: Option<ExternalId>,
    /// Times of the reversals that came before there was a claim, as the network states them, by message id.
    pub early: BTreeMap<ExternalId, Timestamp>,
}

/// Checks that a request can be a single message: it begins a payment, and claims money.
pub(super) fn check(state: &State, request: &RequestAuthorization) -> Result<(), Rejection> {
    let transaction_type = Details::type_of(request.details.as_deref());
    let is_credit =
        matches!(transaction_type, Some(TransactionType::Refund | TransactionType::OriginalCredit));
    if request.single_message && is_credit {
        let detail = "a single message of a credit pays it at once; record it as a refund";
        return Err(Rejection::new("single_message_credit", detail));
    }
    let known = state.payment().and_then(|payment| payment.entry.request());
    let is_further = known.is_some_and(|known| known.message_id != request.message_id);
    if is_further && request.single_message {
        return Err(no_increment());
    }
    if is_further { takes_increments(state) } else { Ok(()) }
}

/// Checks that an increment can be added: the amount of a single message was final.
pub(super) fn takes_increments(state: &State) -> Result<(), Rejection> {
    let has_claimed = claims(state).next().is_some();
    if state.single_message.is_requested || has_claimed { Err(no_increment()) } else { Ok(()) }
}

fn no_increment() -> Rejection {
    let detail = "a single message states the final amount: it is no increment, and its payment takes none; \
                  send it as a payment of its own";
    Rejection::new("single_message_increment", detail)
}

/// Returns the events of a decision, and behind an approval of a single message the claim that it is as well. Reversals that
/// came before take it back, or their part of it.
pub(super) fn presented(state: &State, mut events: Vec<Event>) -> Decision {
    let Some((approved, event)) = events.iter().find_map(|event| Some((approved(state, event)?, event)))
    else {
        return Ok(events);
    };
    let mut after = events.iter().fold(state.clone(), State::after);
    let claimed = match (after.payment(), event) {
        (Some(payment), _) if payment.status.is_open() => claim(&after, payment, approved)?,
        (Some(payment), Event::AdviceRecorded(advice)) => claim_rest(state, &after, payment, advice)?,
        _ => Vec::new(),
    };
    if claimed.is_empty() {
        return Ok(events);
    }
    after = claimed.iter().fold(after, State::after);
    events.extend(claimed);
    for (id, reversal) in early(&after)? {
        let Some(event) = record_reversal::take_back(&after, &id, &reversal, false) else { continue };
        after = after.after(&event);
        events.push(event);
    }
    debug_assert!(
        after.payment().is_none_or(|payment| payment.held() == Minor::ZERO),
        "a claim leaves a hold"
    );
    Ok(events)
}

/// Returns the amount of an approval that claims, too.
fn approved(state: &State, event: &Event) -> Option<Minor> {
    let is_requested = state.single_message.is_requested;
    match event {
        Event::AuthorizationApproved(event) => Some(event.amount.minor).filter(|_| is_requested),
        Event::AuthorizationPartiallyApproved(event) => Some(event.amount.minor).filter(|_| is_requested),
        Event::AdviceRecorded(event) => {
            Some(event.amount.minor).filter(|_| is_requested || event.single_message)
        }
        _ => None,
    }
}

/// Returns the claim of what is held, at most what was approved; nothing if the request verified the card.
fn claim(after: &State, payment: &Payment, approved: Minor) -> Result<Vec<Event>, Rejection> {
    let claimed = payment.held().min(approved);
    match Asking::of(after).filter(|_| claimed > Minor::ZERO) {
        Some(asking) => present(after, payment, &asking, claimed),
        None => Ok(Vec::new()),
    }
}

/// Returns the claim of what an advice states beyond what stands claimed of a payment that is closed: no clearing record
/// follows that would post it. A linked payment has the money of a `Spend`, which its own payment claims.
fn claim_rest(
    before: &State,
    after: &State,
    payment: &Payment,
    advice: &AdviceRecorded,
) -> Result<Vec<Event>, Rejection> {
    let is_closed = matches!(
        payment.status,
        Status::Cleared | Status::Expired | Status::ClearedLate | Status::ForcePosted | Status::Reversed
    );
    let is_newest = before.advices.values().all(|known| known.occurred_at <= advice.occurred_at);
    let rest = advice.amount.minor.excess_over(payment.totals.captured());
    if !is_closed || advice.hold != AdviceHold::Unchanged || !is_newest || rest == Minor::ZERO {
        return Ok(Vec::new());
    }
    present(after, payment, &Asking::by(advice), rest)
}

/// Presents the amount under the id of the message that claims it.
fn present(
    after: &State,
    payment: &Payment,
    asking: &Asking<'_>,
    claimed: Minor,
) -> Result<Vec<Event>, Rejection> {
    let asset = checks::known(&payment.asset)?;
    // The presented amount is the whole; nobody states which part of it was approved.
    let request = payment.entry.request().filter(|request| request.message_id == *asking.id);
    let whole = request.filter(|request| request.amount.minor == claimed);
    let claim = PresentClearing {
        clearing_id: fitting(bookings::presented(asking.id))?,
        amount: payment.amount(claimed),
        presented: whole.and_then(|request| request.presented.clone()),
        reference: None,
        part: Part::Final,
        occurred_at: asking.occurred_at,
        details: None,
        network_fees: None,
    };
    // The request was flagged if its amount deviates.
    let residue =
        Billing::of_fact(&claim.amount, claim.presented.as_ref(), asset, Some(asking.network)).residue;
    Ok(match payment.status {
        Status::ForcePosted | Status::Reversed => vec![force_post::unauthorized(payment, &claim, residue)],
        _ => clearing::post(after, payment, &claim, residue),
    })
}

/// Returns the reversals that came before the claim, by the ids under which they take it back.
fn early(after: &State) -> Result<Vec<(ExternalId, RecordReversal)>, Rejection> {
    let Some(claimed) = Claimed::of(after) else { return Ok(Vec::new()) };
    let known = after.single_message.early.iter();
    let known = known.filter_map(|(id, at)| Some((id, after.reversals.get(id)?.extent, *at)));
    let each = known.map(|(id, extent, at)| Ok((reversal_id(id)?, claimed.reversal(extent, at))));
    // A claim of before has had its part of them.
    let is_new = |each: &Result<(ExternalId, RecordReversal), Rejection>| {
        each.as_ref().map_or(true, |(id, _)| after.reversed_by(id).is_none())
    };
    each.filter(is_new).collect()
}

/// Decides a reversal of a payment that a single message claimed; `None` if there is no such claim. Money that came back
/// is no reversal of the network.
pub(super) fn reverse(
    state: &State,
    reversal: &ReverseAuthorization,
    context: &CommandContext,
) -> Result<Option<Vec<Event>>, Rejection> {
    let Some(claimed) = Claimed::of(state).filter(|_| reversal.cause != ReversalCause::Returned) else {
        return Ok(None);
    };
    let id = reversal_id(&reversal.message_id)?;
    // A repeat is of the claim that it was of at first.
    let known = state.reversed_by(&id).cloned();
    let standing = claims(state).find(|(id, known)| !state.is_taken_back(id, known));
    let first = known.or_else(|| standing.map(|(id, _)| ReversedRecord::Clearing(id.clone())));
    let mut of_claim = claimed.reversal(reversal.extent, reversal.occurred_at);
    of_claim.of = first.unwrap_or(of_claim.of);
    let decided = record_reversal::reverse(state, &id, &of_claim, context);
    let events = record_reversal::detailed(decided, reversal.details.clone())?;
    rest_taken_back(state, events, &of_claim, &reversal.message_id).map(Some)
}

/// Takes back of the other claims what the first one did not cover. Claims are several if a stand-in approved more than we
/// did.
fn rest_taken_back(
    state: &State,
    mut events: Vec<Event>,
    reversal: &RecordReversal,
    message_id: &ExternalId,
) -> Decision {
    let Some(Event::ClearingReversed(first)) = events.first() else { return Ok(events) };
    let mut rest = reversal.stated.as_ref().map(|stated| stated.minor.excess_over(first.amount.minor));
    let mut after = events.iter().fold(state.clone(), State::after);
    let others: Vec<ExternalId> = claims(state).map(|(id, _)| id.clone()).collect();
    for (number, of) in (2_u32..).zip(others) {
        let stated =
            reversal.stated.as_ref().zip(rest).map(|(stated, minor)| Amount { minor, ..stated.clone() });
        let of = RecordReversal { of: ReversedRecord::Clearing(of), stated, ..reversal.clone() };
        let id = fitting(bookings::reversed_beside(message_id, number))?;
        let Some(event) = record_reversal::take_back(&after, &id, &of, false) else { continue };
        if let Event::ClearingReversed(taken) = &event {
            rest = rest.map(|rest| rest.excess_over(taken.amount.minor));
        }
        after = after.after(&event);
        events.push(event);
    }
    Ok(events)
}

/// Claims of single messages, by their ids.
fn claims(state: &State) -> impl Iterator<Item = (&ExternalId, &Clearing)> {
    state.clearings.iter().filter(|(id, _)| bookings::is_presented(id.as_str()))
}

fn left_of(state: &State, clearing_id: &ExternalId, known: &Clearing) -> Minor {
    known.claimed.excess_over(state.taken_back_of(clearing_id))
}

/// Message that claims the payment: the network's request, or an advice.
struct Asking<'a> {
    id: &'a ExternalId,
    amount: &'a Amount,
    network: Network,
    occurred_at: Timestamp,
}

impl<'a> Asking<'a> {
    fn by(advice: &'a AdviceRecorded) -> Self {
        let AdviceRecorded { message_id: id, amount, network, occurred_at, .. } = advice;
        Self { id, amount, network: *network, occurred_at: *occurred_at }
    }

    fn of(state: &'a State) -> Option<Self> {
        if state.single_message.is_requested {
            let request = state.payment()?.entry.request()?;
            let AuthorizationRequested { message_id: id, amount, network, occurred_at, .. } = request;
            return Some(Self { id, amount, network: *network, occurred_at: *occurred_at });
        }
        let id = state.single_message.advice.as_ref()?;
        state.advices.get(id).map(|advice| Self::by(&advice.0))
    }
}

/// Payment that its single message claimed.
struct Claimed<'a> {
    payment: &'a Payment,
    asking: Asking<'a>,
    clearing_id: ExternalId,
    /// Amount of all its claims that is not taken back.
    standing: Minor,
}

impl<'a> Claimed<'a> {
    fn of(state: &'a State) -> Option<Self> {
        let (payment, asking) = state.payment().zip(Asking::of(state))?;
        let own = bookings::presented(asking.id).ok().filter(|id| state.clearings.contains_key(id));
        let clearing_id = own.or_else(|| claims(state).next().map(|(id, _)| id.clone()))?;
        let left = claims(state).map(|(id, known)| left_of(state, id, known));
        Some(Self { payment, asking, clearing_id, standing: left.fold(Minor::ZERO, sum) })
    }

    /// Returns the reversal of the claim that a reversal of the network is. One of all that was asked for is of all that is
    /// left, though less was approved.
    fn reversal(&self, extent: Extent, occurred_at: Timestamp) -> RecordReversal {
        let stated = match extent {
            Extent::Part(minor) if minor < self.asking.amount.minor.max(self.standing) => {
                Some(self.payment.amount(minor))
            }
            Extent::Part(_) | Extent::Full => None,
        };
        let of = ReversedRecord::Clearing(self.clearing_id.clone());
        record_reversal::waiting(of, self.asking.network, stated, occurred_at)
    }
}

/// Finds the claim of a single message that states this amount, or of which this much stands: no other record claims it.
pub(super) fn looks_like(state: &State, amount: Minor) -> Option<ExternalId> {
    let is_alike = |id: &ExternalId, known: &Clearing| {
        let left = left_of(state, id, known);
        left > Minor::ZERO && (known.claimed == amount || left == amount)
    };
    claims(state).find(|(id, known)| is_alike(id, known)).map(|(id, _)| id.clone())
}

fn reversal_id(message_id: &ExternalId) -> Result<ExternalId, Rejection> {
    fitting(bookings::reversed(message_id))
}

/// Returns a derived id. None is too long.
fn fitting(id: Result<ExternalId, InvalidId>) -> Result<ExternalId, Rejection> {
    id.map_err(|error| Rejection::new("invalid_id", error.to_string()))
}

pub(super) fn requested(state: &mut State, event: &AuthorizationRequested) {
    state.single_message.is_requested = event.single_message;
}

/// Remembers an advice that claims, too.
pub(super) fn advised(state: &mut State, event: &AdviceRecorded) {
    if event.single_message && Claimed::of(state).is_none() {
        state.single_message.advice = Some(event.message_id.clone());
    }
}

/// Remembers a reversal of which nothing was approved yet, for a claim that comes later. Before that nobody knows if the
/// payment is asked for by a single message.
pub(super) fn reversed(
    state: &mut State,
    message_id: &ExternalId,
    cause: ReversalCause,
    occurred_at: Timestamp,
) {
    let is_first = state.payment().is_none_or(|payment| payment.totals.authorized == Minor::ZERO);
    // A sale of nothing withdraws the request; a completion that comes behind it is another one.
    let is_of_advice = state.advices.keys().any(|id| bookings::advised(id).as_ref() == Ok(message_id));
    if is_first && !is_of_advice && cause != ReversalCause::Returned {
        state.single_message.early.insert(message_id.clone(), occurred_at);
    }
}
