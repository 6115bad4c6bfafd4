//! Releases of reserved amounts that are not paid: compensation, a reversal in full or in part, an expiry, or a last
//! clearing below the hold.
//!
//! The amount goes back to the periods in which it was reserved, however long ago, and the payment leaves the counts
//! once nothing of it is left. A release of everything may arrive before its reservation and then leaves a tombstone. A
//! closed card accepts releases as well.

use std::collections::{BTreeMap, BTreeSet};

use clearfold_kernel::{Amount, CommandContext, ExternalId, Minor, Rejection};

use super::messages::{Event, Portion, ReleasePayment, ReleaseSpend, ReservationVoided, SpendReleased};
use super::state::{Issued, Known};
use super::usage::Reservation;
use crate::checks;

pub(super) fn release(
    card: &Issued,
    release: &ReleaseSpend,
    context: &CommandContext,
) -> Result<Vec<Event>, Rejection> {
    if let Portion::Part(minor) = release.amount {
        checks::moves(minor)?;
    }
    let id = &release.reservation_id;
    match (card.reserved(id), release.amount) {
        (Some((id, Known::Spend { reservation, releases, .. })), _) => {
            of_reservation(card, (&id, &reservation), &releases, release, context)
        }
        (Some((_, Known::Voided)), _) => Ok(Vec::new()),
        (None, Portion::Everything) => Ok(vec![voided(card, id, &release.release_id, context)]),
        (None, Portion::Part(_)) => {
            let detail = format!("no reservation {id} has come; release a part of it when it has");
            Err(Rejection::new("reservation_not_found", detail))
        }
    }
}

fn of_reservation(
    card: &Issued,
    (id, reservation): (&ExternalId, &Reservation),
    releases: &BTreeMap<ExternalId, Minor>,
    release: &ReleaseSpend,
    context: &CommandContext,
) -> Result<Vec<Event>, Rejection> {
    let left = reservation.remaining.minor;
    let minor = match (release.amount, releases.get(&release.release_id)) {
        (Portion::Everything, _) if left == Minor::ZERO => return Ok(Vec::new()),
        (given, Some(taken)) => {
            checks::repeated(release.release_id.as_str(), &Portion::Part(*taken), &given)?;
            return Ok(Vec::new());
        }
        (Portion::Everything, None) => left,
        (Portion::Part(minor), None) => minor,
    };
    if minor > left {
        let detail = format!("{left} minor units of {id} are left; {minor} are too many");
        return Err(Rejection::new("release_above_reservation", detail));
    }
    Ok(vec![released(card, id, reservation, &release.release_id, minor, context)])
}

pub(super) fn release_payment(
    card: &Issued,
    release: &ReleasePayment,
    context: &CommandContext,
) -> Result<Vec<Event>, Rejection> {
    let (mut due, everything) = match release.amount {
        Portion::Everything => (Minor::new(u128::MAX), true),
        Portion::Part(minor) => {
            // A payment with increments may exceed the largest amount that one command may move.
            checks::moves(minor.min(Minor::LARGEST_AMOUNT))?;
            (minor, false)
        }
    };
    let (mut events, mut is_known, mut seen) = (Vec::new(), false, BTreeSet::new());
    for id in release.reservations.iter().filter(|id| seen.insert(*id)) {
        match card.reserved(id) {
            Some((id, Known::Spend { reservation, releases, .. }))
                if reservation.authorization_id == release.authorization_id =>
            {
                // All releases of a command happen at once, so one of them shows a repeat.
                if releases.contains_key(&release.release_id) {
                    return Ok(Vec::new());
                }
                is_known = true;
                let minor = reservation.remaining.minor.min(due);
                due = due.excess_over(minor);
                if minor > Minor::ZERO {
                    events.push(released(card, &id, &reservation, &release.release_id, minor, context));
                }
            }
            None if everything => events.push(voided(card, id, &release.release_id, context)),
            _ => {}
        }
    }
    if !is_known && !everything {
        let detail =
            format!("no reservation of {} has come; release it when it has", release.authorization_id);
        return Err(Rejection::new("reservation_not_found", detail));
    }
    Ok(events)
}

fn voided(card: &Issued, id: &ExternalId, release_id: &ExternalId, context: &CommandContext) -> Event {
    Event::ReservationVoided(ReservationVoided {
        account: card.account,
        reservation_id: id.clone(),
        release_id: release_id.clone(),
        at: context.accepted_at,
    })
}

/// Returns the event for an amount that is not above what is left.
fn released(
    card: &Issued,
    id: &ExternalId,
    reservation: &Reservation,
    release_id: &ExternalId,
    minor: Minor,
    context: &CommandContext,
) -> Event {
    let left = &reservation.remaining;
    Event::SpendReleased(SpendReleased {
        account: card.account,
        reservation_id: id.clone(),
        release_id: release_id.clone(),
        authorization_id: reservation.authorization_id.clone(),
        amount: Amount { minor, asset: left.asset.clone() },
        remaining: left.minor.excess_over(minor),
        merchant_id: reservation.merchant_id.clone(),
        reserved_at: reservation.reserved_at,
        at: context.accepted_at,
    })
}
