//! Requests of the network and their answer: approved, approved in part, or declined with a reason.
//!
//! Between request and answer the card and the account are asked; their result comes back as a command. The first
//! answer counts. A further request for a payment that was requested before is an increment: networks send the same
//! message for both. A request of zero verifies the card: it is decided by the card's rules, and holds nothing. What is
//! approved of a [single message](super::single_message) is claimed by the same decision.

use clearfold_kernel::{Amount, CommandContext, Minor, Rejection, Timestamp};

use super::claim::Billing;
use super::messages::{
    ApproveAuthorization, AuthorizationApproved, AuthorizationDeclined, AuthorizationPartiallyApproved,
    AuthorizationRequested, DeclineAuthorization, Event, IncrementAuthorization, IncrementBasis, Parties,
    RequestAuthorization,
};
use super::state::{Entry, Payment, State, Status, Subject};
use super::stored::Requested;
use super::{Decision, existing, increment, single_message};
use crate::checks;
use crate::network::Numbers;
use crate::policy::{DeclineReason, hold_expiry};

pub(super) fn request(state: &State, request: &RequestAuthorization, context: &CommandContext) -> Decision {
    single_message::check(state, request)?;
    checks::in_time(state.latest, context)?;
    let asset = checks::askable(&request.amount)?;
    checks::routed_to(request.account, context)?;
    let billing = Billing::of_request(&request.amount, request.presented.as_ref(), asset, request.network)?;
    let parties = Parties::of_request(&of_command(request, context.accepted_at));
    let deviates = billing.flag(parties, &request.message_id, &request.amount);
    match &state.subject {
        Subject::Nothing => {
            state.unheard(&request.message_id)?;
            let requested = of_command(request, context.accepted_at);
            // A full reversal that came first is a tombstone: what it gave back must not be held afterwards.
            let declined = state.is_reversed_already(&requested).then(|| declined_as_reversed(&requested));
            let events = [Event::AuthorizationRequested(requested)].into_iter().chain(declined);
            Ok(events.chain(deviates).collect())
        }
        Subject::Payment(payment) => match payment.entry.request() {
            Some(known) if known.message_id == request.message_id => {
                // The table of hold lifetimes may have changed since, so the known interval is used; the message has
                // not changed.
                let hold_interval_s = known.hold_interval_s;
                let given = of_command(request, known.at);
                let given = kept(AuthorizationRequested { hold_interval_s, ..given });
                let known = (known, state.single_message.is_requested);
                checks::repeated(request.message_id.as_str(), &known, &(&given, request.single_message))?;
                Ok(Vec::new())
            }
            Some(known) if known.account == request.account && known.card_id == request.card_id => {
                let events = increment::request(state, &as_increment(request), context)?;
                let deviates = deviates.filter(|_| !events.is_empty());
                Ok(events.into_iter().chain(deviates).collect())
            }
            _ => Err(checks::identity_conflict(context)),
        },
        Subject::Refund { .. } => Err(checks::identity_conflict(context)),
    }
}

/// Returns the increment that a further request asks for. Networks send the addition.
fn as_increment(request: &RequestAuthorization) -> IncrementAuthorization {
    IncrementAuthorization {
        message_id: request.message_id.clone(),
        amount: request.amount.clone(),
        basis: IncrementBasis::Addition,
        occurred_at: request.occurred_at,
        details: request.details.clone(),
    }
}

fn declined_as_reversed(requested: &AuthorizationRequested) -> Event {
    Event::AuthorizationDeclined(AuthorizationDeclined {
        parties: Parties::of_request(requested),
        amount: requested.amount.clone(),
        reason: DeclineReason::Reversed,
        at: requested.at,
    })
}

fn of_command(request: &RequestAuthorization, at: Timestamp) -> AuthorizationRequested {
    AuthorizationRequested {
        message_id: request.message_id.clone(),
        account: request.account,
        card_id: request.card_id.clone(),
        amount: request.amount.clone(),
        presented: request.presented.clone(),
        merchant: request.merchant.clone(),
        network: request.network,
        partial_allowed: request.partial_allowed,
        hold_interval_s: hold_expiry::interval_s(request.network, request.merchant.category),
        occurred_at: request.occurred_at,
        at,
        checks: request.checks.clone(),
        details: request.details.clone(),
        single_message: request.single_message,
    }
}

impl Parties {
    fn of_request(request: &AuthorizationRequested) -> Self {
        Self {
            account: request.account,
            card_id: Some(request.card_id.clone()),
            merchant_id: Some(request.merchant.id.clone()),
        }
    }
}

pub(super) fn approve(state: &State, approval: &ApproveAuthorization, context: &CommandContext) -> Decision {
    let payment = existing(state, context)?;
    checks::same_asset(&payment.asset, &approval.amount.asset)?;
    let (Status::Requested, Entry::Requested(request)) = (payment.status, &payment.entry) else {
        return approved_before(payment, &approval.amount);
    };
    let (parties, amount, at) = (payment.parties.clone(), approval.amount.clone(), context.accepted_at);
    let expires_at = at.after_s(request.hold_interval_s);
    let requested = request.amount.minor;
    if requested > Minor::ZERO {
        checks::moves(amount.minor)?;
    }
    match amount.minor.cmp(&requested) {
        std::cmp::Ordering::Equal => {
            Ok(vec![Event::AuthorizationApproved(AuthorizationApproved { parties, amount, expires_at, at })])
        }
        std::cmp::Ordering::Less if request.partial_allowed => {
            let event = AuthorizationPartiallyApproved { parties, amount, requested, expires_at, at };
            Ok(vec![Event::AuthorizationPartiallyApproved(event)])
        }
        std::cmp::Ordering::Less => {
            let detail = "the merchant takes the whole amount or nothing; approve all of it, or decline";
            Err(Rejection::new("partial_not_allowed", detail))
        }
        std::cmp::Ordering::Greater => {
            let detail = format!("only {} was asked for", request.amount);
            Err(Rejection::new("approval_above_request", detail))
        }
    }
}

/// Accepts a repeat of the approval while that approval stands.
fn approved_before(payment: &Payment, amount: &Amount) -> Decision {
    let stands = matches!(payment.status, Status::Authorized | Status::PartiallyAuthorized);
    if stands && payment.totals.authorized == amount.minor {
        return Ok(Vec::new());
    }
    Err(already_decided(payment))
}

/// Rejection of a further decision: the first one counts.
pub(super) fn already_decided(payment: &Payment) -> Rejection {
    let detail = format!("the payment is {:?}; the first decision counts", payment.status);
    Rejection::new("already_decided", detail)
}

pub(super) fn decline(state: &State, decline: &DeclineAuthorization, context: &CommandContext) -> Decision {
    let payment = existing(state, context)?;
    let Entry::Requested(request) = &payment.entry else { return Err(already_decided(payment)) };
    match payment.status {
        Status::Requested => Ok(vec![Event::AuthorizationDeclined(AuthorizationDeclined {
            parties: payment.parties.clone(),
            amount: request.amount.clone(),
            reason: decline.reason,
            at: context.accepted_at,
        })]),
        Status::Declined if payment.flags == [decline.reason] => Ok(Vec::new()),
        _ => Err(already_decided(payment)),
    }
}

pub(super) fn requested(state: &mut State, event: &AuthorizationRequested) {
    let parties = Parties::of_request(event);
    let entry = Entry::Requested(Box::new(Requested(kept(event.clone()))));
    state.begin(Payment::new(parties, event.amount.asset.clone(), entry, Status::Requested));
    // The account keeps the details of a hold by their numbers alone.
    let numbers = Numbers::of(event.network, event.details.as_deref(), event.occurred_at);
    state.asked_by = numbers.and_then(|numbers| numbers.written());
    state.terminal = event.details.as_ref().and_then(|details| details.terminal.clone());
    state.happened_at(event.at);
    single_message::requested(state, event);
}

/// Returns what the state keeps of a request. The checks are the card's business, which is asked at once.
fn kept(request: AuthorizationRequested) -> AuthorizationRequested {
    AuthorizationRequested { checks: None, details: None, single_message: false, ..request }
}

pub(super) fn approved(state: &mut State, event: &AuthorizationApproved) {
    hold(state, &event.amount, Status::Authorized, event.expires_at, event.at);
}

pub(super) fn partially_approved(state: &mut State, event: &AuthorizationPartiallyApproved) {
    hold(state, &event.amount, Status::PartiallyAuthorized, event.expires_at, event.at);
}

fn hold(state: &mut State, amount: &Amount, status: Status, expires_at: Timestamp, at: Timestamp) {
    state.happened_at(at);
    if let Some(payment) = state.payment_mut() {
        payment.totals.authorized = amount.minor;
        payment.status = status;
        payment.expires_at = Some(expires_at);
    }
}

pub(super) fn declined(state: &mut State, event: &AuthorizationDeclined) {
    state.happened_at(event.at);
    if let Some(payment) = state.payment_mut() {
        payment.status = Status::Declined;
        payment.flags = vec![event.reason];
    }
}
