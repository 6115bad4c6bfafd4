//! What the network claims of a payment, and in which state that leaves it.

use clearfold_kernel::Minor;

use super::hold;
use super::status::Status;
use super::tables::Payment;
use crate::authorization::{ClearingPosted, ForcePosted};
use crate::projecting::Misfit;

/// Whether the network has claimed anything.
pub(super) fn is_claimed(payment: &Payment) -> bool {
    payment.cleared_minor > Minor::ZERO
}

/// How much of a claim the hold covers follows from the row: a clearing that was recorded in an old version does not
/// say. The same goes for what the last one releases.
pub(super) fn posted(payment: &mut Payment, event: &ClearingPosted) -> Result<(), Misfit> {
    let claimed = event.claimed()?;
    let against_hold = claimed.min(payment.held_minor);
    payment.against_hold_minor = payment.against_hold_minor.plus(against_hold)?;
    payment.beyond_hold_minor = payment.beyond_hold_minor.plus(claimed.minus(against_hold)?)?;
    if matches!(payment.status, Status::Expired | Status::ClearedLate) {
        payment.status = Status::ClearedLate;
    } else if event.is_final {
        let released = payment.held_minor.minus(against_hold)?;
        payment.reversed_minor = payment.reversed_minor.plus(released)?;
        payment.status = Status::Cleared;
    }
    Ok(())
}

/// Beside an authorization the claim leaves the state as it is.
pub(super) fn forced(payment: &mut Payment, event: &ForcePosted) -> Result<(), Misfit> {
    payment.beyond_hold_minor = payment.beyond_hold_minor.plus(event.amount.minor)?;
    hold::begin_funding(payment);
    if matches!(payment.status, Status::Requested | Status::Declined) {
        payment.status = Status::ForcePosted;
    }
    Ok(())
}
