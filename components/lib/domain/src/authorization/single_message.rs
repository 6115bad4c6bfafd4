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
//! | a clearing of the same amount, while the claim stands | suspended as its duplicate |
//!
//! The claim's record has an id that is made of the id of the message that claims: the request, or else the advice. A reversal of the claim has one that is made of
//! the reversal's.

use std::collections::BTreeMap;

use clearfold_kernel::{Amount, CommandContext, ExternalId, InvalidId, Minor, Rejection, Timestamp};
use serde::{Deserialize, Serialize};

use super::claim::Billing;
use super::messages::{
    AdviceRecorded, AuthorizationRequested, Event, Extent, Part, PresentClearing, RequestAuthorization,
    ReversalCause, ReverseAuthorization, ReversedRecord,
};
use super::record_reversal::{self, RecordReversal};
use super::state::{Payment, State};
use super::{Decision, clearing};
use crate::network::{Details, Network, TransactionType};
use crate::{bookings, checks};

/// What the stream knows of single messages. The last member of the [`State`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SingleMessage {
    /// True if the network's request is the presentment too.
    pub is_requested: bool,
    /// Advice that is the presentment too: that which claimed, or the latest before there was a claim.
    pub advice: Option<ExternalId>,
    /// Times of the reversals that came before there was a claim, as the network states them, by message id.
    pub early: BTreeMap<ExternalId, Timestamp>,
}

impl SingleMessage {
    const fn claims_at_once(&self) -> bool {
        self.is_requested || self.advice.is_some()
    }
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
    if state.single_message.claims_at_once() { Err(no_increment()) } else { Ok(()) }
}

fn no_increment() -> Rejection {
    let detail = "a single message states the final amount: it is no increment, and its payment takes none; \
                  send it as a payment of its own";
    Rejection::new("single_message_increment", detail)
}

/// Returns the events of a decision, and behind an approval of a single message the claim that it is as well. Reversals that
/// came before take it back, or their part of it.
pub(super) fn presented(state: &State, mut events: Vec<Event>, context: &CommandContext) -> Decision {
    let Some(approved) = events.iter().find_map(|event| approved(state, event)) else { return Ok(events) };
    let mut after = events.iter().fold(state.clone(), State::after);
    let payment = after.payment().filter(|payment| payment.status.is_open());
    let claimed = payment.map_or_else(|| Ok(Vec::new()), |payment| claim(&after, payment, approved))?;
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
    debug_assert!(after.payment().is_none_or(|payment| payment.held() == Minor::ZERO), "{}", context.id);
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
    let (claimed, asset) = (payment.held().min(approved), checks::known(&payment.asset)?);
    let Some(message) = Asking::of(after).filter(|_| claimed > Minor::ZERO) else { return Ok(Vec::new()) };
    // What is presented is the whole; nobody states which part of it was approved.
    let whole = payment.entry.request().filter(|request| request.amount.minor == claimed);
    let claim = PresentClearing {
        clearing_id: fitting(bookings::presented(message.id))?,
        amount: payment.amount(claimed),
        presented: whole.and_then(|request| request.presented.clone()),
        reference: None,
        part: Part::Final,
        occurred_at: message.occurred_at,
        details: None,
    };
    // The request was flagged if its amount deviates.
    let billing = Billing::of_fact(&claim.amount, claim.presented.as_ref(), asset, Some(message.network));
    Ok(clearing::post(after, payment, &claim, billing.residue))
}

/// Returns the reversals that came before the claim, by the ids under which they take it back.
fn early(after: &State) -> Result<Vec<(ExternalId, RecordReversal)>, Rejection> {
    let Some(claimed) = Claimed::of(after) else { return Ok(Vec::new()) };
    let known = after.single_message.early.iter();
    let known = known.filter_map(|(id, at)| Some((id, after.reversals.get(id)?.extent, *at)));
    known.map(|(id, extent, at)| Ok((reversal_id(id)?, claimed.reversal(extent, at)))).collect()
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
    let of_claim = claimed.reversal(reversal.extent, reversal.occurred_at);
    let decided = record_reversal::reverse(state, &id, &of_claim, context);
    record_reversal::detailed(decided, reversal.details.clone()).map(Some)
}

/// Message that claims the payment: the network's request, or an advice.
struct Asking<'a> {
    id: &'a ExternalId,
    amount: &'a Amount,
    network: Network,
    occurred_at: Timestamp,
}

impl<'a> Asking<'a> {
    fn of(state: &'a State) -> Option<Self> {
        if state.single_message.is_requested {
            let request = state.payment()?.entry.request()?;
            let AuthorizationRequested { message_id: id, amount, network, occurred_at, .. } = request;
            return Some(Self { id, amount, network: *network, occurred_at: *occurred_at });
        }
        let id = state.single_message.advice.as_ref()?;
        let AdviceRecorded { amount, network, occurred_at, .. } = &state.advices.get(id)?.0;
        Some(Self { id, amount, network: *network, occurred_at: *occurred_at })
    }
}

/// Payment that its single message claimed.
struct Claimed<'a> {
    payment: &'a Payment,
    asking: Asking<'a>,
    clearing_id: ExternalId,
}

impl<'a> Claimed<'a> {
    fn of(state: &'a State) -> Option<Self> {
        let (payment, asking) = state.payment().zip(Asking::of(state))?;
        let clearing_id = bookings::presented(asking.id).ok()?;
        state.clearings.contains_key(&clearing_id).then_some(Self { payment, asking, clearing_id })
    }

    /// Returns the reversal of the claim that a reversal of the network is. One of all that was asked for is of all that is
    /// left, though less was approved.
    fn reversal(&self, extent: Extent, occurred_at: Timestamp) -> RecordReversal {
        let stated = match extent {
            Extent::Part(minor) if minor < self.asking.amount.minor => Some(self.payment.amount(minor)),
            Extent::Part(_) | Extent::Full => None,
        };
        let of = ReversedRecord::Clearing(self.clearing_id.clone());
        record_reversal::waiting(of, self.asking.network, stated, occurred_at)
    }
}

/// Finds the claim of a single message with this amount, while it stands: no other record claims it.
pub(super) fn looks_like(state: &State, amount: Minor) -> Option<ExternalId> {
    let clearing_id = Claimed::of(state)?.clearing_id;
    let known = state.clearings.get(&clearing_id)?;
    (known.claimed == amount && !state.is_taken_back(&clearing_id, known)).then_some(clearing_id)
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
    if is_first && cause != ReversalCause::Returned {
        state.single_message.early.insert(message_id.clone(), occurred_at);
    }
}
