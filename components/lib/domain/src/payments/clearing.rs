//! Effect of the network's claims on a payment and its status.

use clearfold_kernel::Minor;

use super::hold;
use super::status::Status;
use super::tables::Payment;
use crate::authorization::{ClearingPosted, ForcePosted};
use crate::projecting::Misfit;

/// Returns true if the network has claimed anything.
pub(super) fn is_claimed(payment: &Payment) -> bool {
    payment.cleared_minor > Minor::ZERO
}

/// Posts a clearing. The part that the hold covers is computed from the row, because a clearing recorded in an old
/// schema version does not state it. The same applies to the amount that the final clearing releases.
pub(super) fn posted(payment: &mut Payment, event: &ClearingPosted) -> Result<(), Misfit> {
    let claimed = event.claimed()?;
    // A verification had nothing to pull.
    hold::begin_funding(payment);
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

/// Posts a forced clearing. If the payment has an authorization, the claim does not change its status.
pub(super) fn forced(payment: &mut Payment, event: &ForcePosted) -> Result<(), Misfit> {
    payment.beyond_hold_minor = payment.beyond_hold_minor.plus(event.amount.minor)?;
    hold::begin_funding(payment);
    // The merchant gave the payment back and claims it all the same: an operator should look at it.
    payment.flagged |= payment.status == Status::Reversed;
    if matches!(payment.status, Status::Requested | Status::Declined) {
        payment.status = Status::ForcePosted;
    }
    Ok(())
}
