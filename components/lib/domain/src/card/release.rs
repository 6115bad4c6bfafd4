//! Releases of reserved amounts that are not paid: compensation, or a reversal in full or in part.
//!
//! The amount goes back to the day on which it was reserved, and the payment leaves the velocity count once nothing
//! of it is left. A release of everything may arrive before its reservation and then leaves a tombstone. After 31
//! days a reservation counts for no rule any more, so there is nothing left to release. A closed card accepts
//! releases as well.

use clearfold_kernel::{CommandContext, Minor, Rejection};

use super::messages::{Event, Portion, ReleaseSpend, ReservationVoided, SpendReleased};
use super::state::Issued;
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
    let counting = card.usage.reservation(id, context.accepted_at);
    match (counting, release.amount) {
        (Some(reservation), _) => of_reservation(card, reservation, release, context),
        (None, _) if card.known(id).is_some() => Ok(Vec::new()),
        (None, Portion::Everything) => Ok(vec![Event::ReservationVoided(ReservationVoided {
            account: card.account,
            reservation_id: id.clone(),
            release_id: release.release_id.clone(),
            at: context.accepted_at,
        })]),
        (None, Portion::Part(_)) => {
            let detail = format!("no reservation {id} has come; release a part of it when it has");
            Err(Rejection::new("reservation_not_found", detail))
        }
    }
}

fn of_reservation(
    card: &Issued,
    reservation: &Reservation,
    release: &ReleaseSpend,
    context: &CommandContext,
) -> Result<Vec<Event>, Rejection> {
    let left = reservation.remaining.minor;
    let minor = match (release.amount, reservation.releases.get(&release.release_id)) {
        (Portion::Everything, _) if left == Minor::ZERO => return Ok(Vec::new()),
        (given, Some(taken)) => {
            checks::repeated(release.release_id.as_str(), &Portion::Part(*taken), &given)?;
            return Ok(Vec::new());
        }
        (Portion::Everything, None) => left,
        (Portion::Part(minor), None) => minor,
    };
    let remaining = left.minus(minor).map_err(|_| {
        let detail =
            format!("{left} minor units of {} are left; {minor} are too many", release.reservation_id);
        Rejection::new("release_above_reservation", detail)
    })?;
    let mut amount = reservation.remaining.clone();
    amount.minor = minor;
    Ok(vec![Event::SpendReleased(SpendReleased {
        account: card.account,
        reservation_id: release.reservation_id.clone(),
        release_id: release.release_id.clone(),
        authorization_id: reservation.authorization_id.clone(),
        amount,
        remaining,
        merchant_id: reservation.merchant_id.clone(),
        reserved_at: reservation.reserved_at,
        at: context.accepted_at,
    })])
}
