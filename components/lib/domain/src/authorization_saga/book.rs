//! Flow `book`: the commands of the [bookings](crate::bookings), each repeated until it is accepted.
//!
//! A booking is given up only where nothing is left to book:
//!
//! | command | refused with | why nothing is left |
//! |---|---|---|
//! | `OpenAccount` | `duplicate_mismatch` | the account is open, with other assets |
//! | `VoidHold` | `account_not_opened` | no hold was ever placed |
//! | every command to the card | `card_not_issued`, `account_mismatch` | the account has no such card that could count it |
//! | `RecoverReceivable` | `recovery_above_receivable` | an operator recovered it by hand; what is left stays a receivable |
//! | `RecordSpend` | `duplicate_mismatch` | another payment's message has the same id; a counter holds up no money |
//! | `FreezeCard` | `card_closed` | it pays no more |
//! | `ReleaseSpend`, `ReleasePayment` | `reservation_not_found` | nothing was reserved |
//! | `TakeReturn` | `authorization_not_found`, `identity_conflict`, `account_mismatch`, `asset_mismatch` | what the operator named is no payment of the account in that asset |
//!
//! A return that names a linked `Spend` is taken by the payment that has its money, which the refusal names.
//!
//! Every other refusal is repeated, and in the end an operator's: no money is dropped. Idempotent repeats are
//! accepted, so they need no rule.

use clearfold_kernel::{Action, Asset, Encoded, ExternalId, Message, Minor, PlannedStep, StepCall};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::was_refused;
use crate::account::{self, OpenAccount};
use crate::authorization::{self, Event, State, Subject};
use crate::{bookings, card};

pub(super) const OPEN: &str = "open";
pub(super) const BOOK: &str = "book";

/// Argument of a step: its command. JSON, so that people can read it in the log.
#[derive(Serialize, Deserialize)]
struct Booking {
    aggregate: String,
    id: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    seen_on_chain: bool,
    #[serde(rename = "type")]
    kind: String,
    schema_version: u32,
    payload: Box<RawValue>,
}

/// Plans the bookings of an event: the account's, then the card's, then another payment's.
pub(super) fn steps(
    subject: &clearfold_kernel::Subject,
    id: &ExternalId,
    before: &State,
    event: &Event,
) -> Result<Vec<PlannedStep>, String> {
    let of_account = bookings::of_account(id, before, event).map_err(|error| error.to_string())?;
    let of_card = bookings::of_card(id, before, event).map_err(|error| error.to_string())?;
    let mut steps = Vec::new();
    if let Some(asset) = opened_for(before, event)
        && of_account.iter().any(|command| !matches!(command, account::Command::VoidHold(_)))
    {
        let open = account::Command::OpenAccount(OpenAccount { assets: vec![asset] });
        steps.push(step(OPEN, account::AGGREGATE, &subject.routing_key, false, &open)?);
    }
    for command in &of_account {
        let seen_on_chain = bookings::is_seen_on_chain(command);
        steps.push(step(BOOK, account::AGGREGATE, &subject.routing_key, seen_on_chain, command)?);
    }
    for (card_id, command) in &of_card {
        steps.push(step(BOOK, card::AGGREGATE, card_id.as_str(), false, command)?);
    }
    if let Some((payment_id, command)) =
        bookings::of_payment(id, before, event).map_err(|error| error.to_string())?
    {
        steps.push(step(BOOK, authorization::AGGREGATE, payment_id.as_str(), false, &command)?);
    }
    Ok(steps)
}

/// Returns the asset for which the account is opened if it is not open: that of an event which posts whatever the
/// account is. None if the payment held or claimed something before, because then the account is open.
fn opened_for(before: &State, event: &Event) -> Option<Asset> {
    let is_first = match &before.subject {
        Subject::Nothing => true,
        Subject::Payment(payment) => {
            payment.totals.authorized == Minor::ZERO && payment.totals.captured() == Minor::ZERO
        }
        Subject::Refund(_) => false,
    };
    if !is_first {
        return None;
    }
    match event {
        Event::SwipeRecorded(event) => Some(event.amount.asset.clone()),
        Event::AdviceRecorded(event) => Some(event.amount.asset.clone()),
        // A verification asked no account.
        Event::ClearingPosted(event) => Some(event.asset.clone()),
        Event::ForcePosted(event) => Some(event.amount.asset.clone()),
        Event::RefundLinked(event) => Some(event.amount.asset.clone()),
        Event::RefundUnlinked(event) => Some(event.amount.asset.clone()),
        Event::FundingIncluded(event) => Some(event.amount.asset.clone()),
        Event::DisputeMoneyMoved(event) => Some(event.amount.asset.clone()),
        _ => None,
    }
}

pub(super) fn run(call: &StepCall) -> Result<Action, String> {
    let (mut booking, aggregate) = booking(call)?;
    if is_settled(call, aggregate, &booking.kind) {
        return Ok(Action::Done);
    }
    if let Some(payment_id) = call.last_refusal.as_ref().and_then(authorization::money_of) {
        booking.id = payment_id.to_string();
    }
    command_of(booking, aggregate)
}

/// Sends the command of the step's argument.
pub(super) fn command(call: &StepCall) -> Result<Action, String> {
    let (booking, aggregate) = booking(call)?;
    command_of(booking, aggregate)
}

/// Reads the step's argument: the command, and the kind of its stream.
fn booking(call: &StepCall) -> Result<(Booking, &'static str), String> {
    let booking: Booking = serde_json::from_slice(&call.argument)
        .map_err(|error| format!("the argument of `{}`: {error}", call.step))?;
    let aggregate = match booking.aggregate.as_str() {
        account::AGGREGATE => account::AGGREGATE,
        card::AGGREGATE => card::AGGREGATE,
        authorization::AGGREGATE => authorization::AGGREGATE,
        other => return Err(format!("a booking on `{other}`, which keeps no books")),
    };
    Ok((booking, aggregate))
}

fn command_of(booking: Booking, aggregate: &'static str) -> Result<Action, String> {
    let Booking { id, seen_on_chain, kind, schema_version, payload, .. } = booking;
    let payload = payload.get().as_bytes().to_vec();
    Ok(Action::Command { aggregate, id, seen_on_chain, message: Encoded { kind, schema_version, payload } })
}

/// Returns true if the refusal of the attempt before says that nothing is left to book.
fn is_settled(call: &StepCall, aggregate: &str, kind: &str) -> bool {
    match (aggregate, kind) {
        (account::AGGREGATE, "OpenAccount") => was_refused(call, &["duplicate_mismatch"]),
        (account::AGGREGATE, "RecoverReceivable") => was_refused(call, &["recovery_above_receivable"]),
        // A `Spend` that was matched and linked was never held, also if it is unlinked by now.
        (account::AGGREGATE, "LowerHold") if was_refused(call, &["hold_not_found"]) => {
            super::memory::read(&call.subject).is_ok_and(|state| state.links.made > 0)
        }
        (account::AGGREGATE, "VoidHold") => was_refused(call, &["account_not_opened"]),
        (card::AGGREGATE, "ReleaseSpend" | "ReleasePayment")
            if was_refused(call, &["reservation_not_found"]) =>
        {
            true
        }
        (card::AGGREGATE, "FreezeCard") if was_refused(call, &["card_closed"]) => true,
        (card::AGGREGATE, "RecordSpend") if was_refused(call, &["duplicate_mismatch"]) => true,
        (card::AGGREGATE, _) => was_refused(call, &["card_not_issued", "account_mismatch"]),
        // The link of the clearing has ended, and its own stream has taken it back.
        (authorization::AGGREGATE, "ReverseClearing") => {
            super::memory::read(&call.subject).is_ok_and(|state| state.clearing_linked_to().is_none())
        }
        (authorization::AGGREGATE, _) => was_refused(
            call,
            &["authorization_not_found", "identity_conflict", "account_mismatch", "asset_mismatch"],
        ),
        _ => false,
    }
}

pub(super) fn step(
    name: &'static str,
    aggregate: &'static str,
    id: &str,
    seen_on_chain: bool,
    command: &impl Message,
) -> Result<PlannedStep, String> {
    let Encoded { kind, schema_version, payload } = command.encode().map_err(|error| error.to_string())?;
    let payload: Box<RawValue> = serde_json::from_slice(&payload).map_err(|error| error.to_string())?;
    let (aggregate, id) = (aggregate.to_owned(), id.to_owned());
    let booking = Booking { aggregate, id, seen_on_chain, kind, schema_version, payload };
    let argument = serde_json::to_vec(&booking).map_err(|error| error.to_string())?;
    Ok(PlannedStep { step: name, argument })
}
