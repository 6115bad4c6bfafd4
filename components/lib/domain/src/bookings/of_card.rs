//! Commands to the card that follow from an event of an authorization.
//!
//! The request and each increment were reserved under their message ids, within the payment, before they were approved. An
//! amount that posts beyond the hold was never reserved: it is recorded under its clearing's id. What the payment gives back, by a
//! reversal, its expiry or a last clearing below the hold, is taken from what was added first, and from its first
//! reservation at last. What the network takes back of a clearing is taken from what that recorded, and then likewise. So
//! in the end the card counts what was claimed and stands. A refund gives nothing back: it is no part of
//! what the card paid.
//!
//! A card whose payment leaves an exposure is frozen for that reason. Only an operator lifts it.

use clearfold_kernel::{Amount, ExternalId, InvalidId, Minor};

use super::ids;
use crate::authorization::{
    AdviceHold, AdviceRecorded, AuthorizationReversed, ClearingGivenUp, ClearingReversed, Entry, Event,
    ForcePostReason, Parties, Payment, State,
};
use crate::card::{Command, FreezeCard, FreezeReason, Portion, RecordSpend, ReleasePayment, ReleaseSpend};
use crate::network::{Details, Merchant, TransactionType};

/// Returns the commands, each with the id of its card. `before` is the authorization's state before the event. Fails
/// only if a derived id does not fit, which none does.
pub fn of_card(
    authorization_id: &ExternalId,
    before: &State,
    event: &Event,
) -> Result<Vec<(ExternalId, Command)>, InvalidId> {
    let payment = before.payment();
    Ok(match (event, payment) {
        (Event::AuthorizationDeclined(event), Some(payment)) => {
            let release_id = ids::declined(authorization_id)?;
            release_first(
                authorization_id,
                payment,
                &release_id,
                &event.parties.card_id,
                Portion::Everything,
            )?
        }
        // Only a part of the reservation was approved; the rest is released. No decision approves more than was
        // requested, so the rest is never below zero.
        (Event::AuthorizationPartiallyApproved(event), Some(payment)) => {
            let rest = event.requested.excess_over(event.amount.minor);
            let release_id = ids::approved(first(payment).unwrap_or(authorization_id))?;
            release_first(
                authorization_id,
                payment,
                &release_id,
                &event.parties.card_id,
                Portion::Part(rest),
            )?
        }
        (Event::AuthorizationReversed(event), Some(payment)) => {
            if is_undecided(event) {
                let (release_id, card_id) = (&event.message_id, &payment.parties.card_id);
                return release_first(authorization_id, payment, release_id, card_id, Portion::Everything);
            }
            let given =
                Given { release_id: event.message_id.clone(), by: event.released.minor, ends: event.full };
            given_back(authorization_id, before, payment, given)?
        }
        (Event::AuthorizationExpired(event), Some(payment)) => {
            let (release_id, by) = (ids::expired(authorization_id)?, event.released.minor);
            given_back(authorization_id, before, payment, Given { release_id, by, ends: true })?
        }
        (Event::AdviceRecorded(event), _) if event.hold == AdviceHold::Unchanged => Vec::new(),
        (Event::AdviceRecorded(event), payment) => advised(authorization_id, payment, event)?,
        (Event::ClearingPosted(event), Some(payment)) => {
            let amount = Amount { minor: event.beyond_hold, asset: event.asset.clone() };
            let merchant = payment.entry.merchant().cloned();
            let named = (merchant, Details::type_of(event.details.as_deref()));
            let recorded = posted(authorization_id, &event.parties, &event.clearing_id, amount, named)?;
            let recorded = recorded.filter(|_| event.beyond_hold > Minor::ZERO);
            let release_id = ids::captured(&event.clearing_id)?;
            let rest = Given { release_id, by: event.released, ends: false };
            given_back(authorization_id, before, payment, rest)?.into_iter().chain(recorded).collect()
        }
        (Event::ForcePosted(event), payment) => {
            let named = (event.merchant.clone(), Details::type_of(event.details.as_deref()));
            let amount = event.amount.clone();
            let recorded = posted(authorization_id, &event.parties, &event.clearing_id, amount, named)?;
            let replaced = match (event.reason, payment) {
                (ForcePostReason::Undecided, Some(payment)) => {
                    let (release_id, card_id) = (&event.clearing_id, &payment.parties.card_id);
                    release_first(authorization_id, payment, release_id, card_id, Portion::Everything)?
                }
                _ => Vec::new(),
            };
            replaced.into_iter().chain(recorded).collect()
        }
        (Event::ClearingReversed(event), Some(payment)) => {
            taken_back(authorization_id, before, payment, event)?
        }
        (Event::ClearingLinked(event), Some(_)) => {
            let release_id = ids::linked(authorization_id, event.link)?;
            let again = before.reserved_again(authorization_id)?;
            let messages = [&event.clearing_id].into_iter().chain(&again);
            let amount = event.amount.minor;
            let card_id = event.parties.card_id.as_ref();
            release(authorization_id, card_id, messages, release_id, amount)?
        }
        (Event::ClearingUnlinked(event), Some(payment)) => {
            let id = ids::unlinked(authorization_id, event.link)?;
            let named = (payment.entry.merchant().cloned(), None);
            let recorded = posted(authorization_id, &event.parties, &id, event.amount.clone(), named)?;
            recorded.into_iter().collect()
        }
        (Event::ClearingGivenUp(event), Some(payment)) => given_up(authorization_id, before, payment, event)?,
        (Event::FundingAbandoned(event), _) if event.exposed.minor > Minor::ZERO => {
            let freeze =
                |card_id| (card_id, Command::FreezeCard(FreezeCard { reason: FreezeReason::Exposure }));
            event.parties.card_id.clone().map(freeze).into_iter().collect()
        }
        _ => Vec::new(),
    })
}

/// Returns the command that releases what the network takes back of a clearing, on the card that the clearing named.
fn taken_back(
    authorization_id: &ExternalId,
    before: &State,
    payment: &Payment,
    event: &ClearingReversed,
) -> Result<Vec<(ExternalId, Command)>, InvalidId> {
    let card_id = event.parties.card_id.as_ref();
    let again = before.reserved_again(authorization_id)?;
    let added = before.added().map(|(message_id, _)| message_id).chain(&again);
    let of_hold = added.chain(first(payment)).filter(|_| payment.parties.card_id.as_ref() == card_id);
    // Another card than the payment's reserved only the claim itself.
    let messages = [&event.clearing_id].into_iter().chain(of_hold);
    let release_id = ids::taken_back(&event.reversal_id)?;
    release(authorization_id, card_id, messages, release_id, event.amount.minor)
}

/// Commands for a clearing that is given up. What it recorded beyond the hold is released, and what its hold had released
/// is reserved again if it is held again; if it is not, nothing of the clearing is.
fn given_up(
    authorization_id: &ExternalId,
    before: &State,
    payment: &Payment,
    event: &ClearingGivenUp,
) -> Result<Vec<(ExternalId, Command)>, InvalidId> {
    let card_id = payment.parties.card_id.as_ref();
    let release_id = ids::unlinked(&event.posted_on, event.link)?;
    let is_held = event.held > Minor::ZERO;
    let beyond = event.amount.minor.excess_over(event.against_hold);
    let again = before.reserved_again(authorization_id)?;
    let of_hold = before.added().map(|(message_id, _)| message_id).chain(&again).chain(first(payment));
    let messages = [&event.clearing_id].into_iter().chain(of_hold.filter(|_| !is_held));
    let released = if is_held { beyond } else { event.amount.minor };
    let given = release(authorization_id, card_id, messages, release_id.clone(), released)?;
    let rest =
        Amount { minor: event.held.excess_over(event.against_hold), asset: event.amount.asset.clone() };
    let named = (payment.entry.merchant().cloned(), None);
    let is_reserved = rest.minor > Minor::ZERO;
    let reserved =
        posted(authorization_id, &payment.parties, &release_id, rest, named)?.filter(|_| is_reserved);
    Ok(given.into_iter().chain(reserved).collect())
}

/// Returns the command that releases a part of what the payment reserved under these messages, if its card is known.
fn release<'a>(
    authorization_id: &ExternalId,
    card_id: Option<&ExternalId>,
    messages: impl Iterator<Item = &'a ExternalId>,
    release_id: ExternalId,
    minor: Minor,
) -> Result<Vec<(ExternalId, Command)>, InvalidId> {
    let reservations = reservations(authorization_id, messages)?;
    let Some(card_id) = card_id.filter(|_| minor > Minor::ZERO) else { return Ok(Vec::new()) };
    let (authorization_id, amount) = (authorization_id.clone(), Portion::Part(minor));
    let release = ReleasePayment { authorization_id, reservations, release_id, amount };
    Ok(vec![(card_id.clone(), Command::ReleasePayment(release))])
}

/// Commands for a stand-in's approval. If it places the hold anew, the request's reservation is released and
/// replaced. If it raises the existing hold, only the difference is counted in addition.
fn advised(
    authorization_id: &ExternalId,
    payment: Option<&Payment>,
    event: &AdviceRecorded,
) -> Result<Vec<(ExternalId, Command)>, InvalidId> {
    let known_card = payment.and_then(|payment| payment.parties.card_id.clone());
    let replaced = match (event.hold, payment) {
        (AdviceHold::Placed, Some(payment)) => {
            let (release_id, card_id) = (&event.message_id, &payment.parties.card_id);
            release_first(authorization_id, payment, release_id, card_id, Portion::Everything)?
        }
        _ => Vec::new(),
    };
    let card_id = match event.hold {
        AdviceHold::Placed => event.card_id.clone(),
        AdviceHold::Raised(_) | AdviceHold::Unchanged => known_card.unwrap_or_else(|| event.card_id.clone()),
    };
    let spend = RecordSpend {
        reservation_id: ids::reservation(authorization_id, &event.message_id)?,
        authorization_id: authorization_id.clone(),
        amount: Amount { minor: event.held(), asset: event.amount.asset.clone() },
        merchant: Some(event.merchant.clone()),
        transaction_type: Details::type_of(event.details.as_deref()),
    };
    Ok(replaced.into_iter().chain([(card_id, Command::RecordSpend(spend))]).collect())
}

/// Returns true if the request was not decided before the reversal: then nothing was released.
fn is_undecided(event: &AuthorizationReversed) -> bool {
    event.released.minor == Minor::ZERO
}

/// Returns the command that records a claim beyond the hold, if the card is known.
fn posted(
    authorization_id: &ExternalId,
    parties: &Parties,
    clearing_id: &ExternalId,
    amount: Amount,
    (merchant, transaction_type): (Option<Merchant>, Option<TransactionType>),
) -> Result<Option<(ExternalId, Command)>, InvalidId> {
    let reservation_id = ids::reservation(authorization_id, clearing_id)?;
    let authorization_id = authorization_id.clone();
    let spend = RecordSpend { reservation_id, authorization_id, amount, merchant, transaction_type };
    Ok(parties.card_id.clone().map(|card_id| (card_id, Command::RecordSpend(spend))))
}

/// Returns the ids under which messages and claims of the payment were reserved or recorded.
fn reservations<'a>(
    authorization_id: &ExternalId,
    messages: impl Iterator<Item = &'a ExternalId>,
) -> Result<Vec<ExternalId>, InvalidId> {
    messages.map(|message_id| ids::reservation(authorization_id, message_id)).collect()
}

/// Returns the id of the message that the payment's first reservation is for. A payment that was seen on chain first names no card and
/// reserved nothing, and neither did a verification.
fn first(payment: &Payment) -> Option<&ExternalId> {
    match &payment.entry {
        Entry::Requested(request) if request.amount.minor == Minor::ZERO => None,
        Entry::Requested(request) => Some(&request.message_id),
        Entry::Advised { message_id, .. } => Some(message_id),
        Entry::Swiped { .. } | Entry::Forced { .. } => None,
    }
}

fn release_first(
    authorization_id: &ExternalId,
    payment: &Payment,
    release_id: &ExternalId,
    card_id: &Option<ExternalId>,
    amount: Portion,
) -> Result<Vec<(ExternalId, Command)>, InvalidId> {
    let Some((first, card_id)) = first(payment).zip(card_id.as_ref()) else { return Ok(Vec::new()) };
    let (reservation_id, release_id) = (ids::reservation(authorization_id, first)?, release_id.clone());
    let release = ReleaseSpend { reservation_id, release_id, amount };
    Ok(vec![(card_id.clone(), Command::ReleaseSpend(release))])
}

/// Amount that a payment gives back.
struct Given {
    release_id: ExternalId,
    by: Minor,
    /// True if the payment ends with it.
    ends: bool,
}

/// Returns the command that releases what the payment gives back. One that ends unclaimed gives back everything.
fn given_back(
    authorization_id: &ExternalId,
    before: &State,
    payment: &Payment,
    given: Given,
) -> Result<Vec<(ExternalId, Command)>, InvalidId> {
    let Given { release_id, by, ends } = given;
    let is_everything = ends && payment.totals.captured() == Minor::ZERO;
    let amount = if is_everything { Portion::Everything } else { Portion::Part(by) };
    let again = before.reserved_again(authorization_id)?;
    let added = before.added().map(|(message_id, _)| message_id).chain(&again);
    let reservations = reservations(authorization_id, added.chain(first(payment)))?;
    let Some(card_id) = &payment.parties.card_id else { return Ok(Vec::new()) };
    if reservations.is_empty() || amount == Portion::Part(Minor::ZERO) {
        return Ok(Vec::new());
    }
    let authorization_id = authorization_id.clone();
    let release = ReleasePayment { authorization_id, reservations, release_id, amount };
    Ok(vec![(card_id.clone(), Command::ReleasePayment(release))])
}
