//! Effect of the network's claims on a payment and its status.

use clearfold_kernel::Minor;

use super::hold;
use super::status::{Dispute, Status};
use super::tables::Payment;
use crate::authorization::{ClearingGivenUp, ClearingPosted, ClearingReversed, ForcePosted, RestoredStatus};
use crate::projecting::Misfit;

/// Returns true if the network has claimed anything, also if it took that back.
pub(super) fn is_claimed(payment: &Payment) -> bool {
    payment.cleared_minor > Minor::ZERO || payment.taken_back_minor > Minor::ZERO
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

/// Takes a clearing back: off X first, then off K, which is given back. The status stays: it says how far the payment
/// came, and the amounts say what stands.
pub(super) fn reversed(payment: &mut Payment, event: &ClearingReversed) -> Result<(), Misfit> {
    let minor = event.amount.minor;
    let beyond_hold = minor.min(payment.beyond_hold_minor);
    let against_hold = minor.minus(beyond_hold)?;
    payment.beyond_hold_minor = payment.beyond_hold_minor.minus(beyond_hold)?;
    payment.against_hold_minor = payment.against_hold_minor.minus(against_hold)?;
    payment.reversed_minor = payment.reversed_minor.plus(against_hold)?;
    payment.taken_back_minor = payment.taken_back_minor.plus(minor)?;
    // More was stated than was left, some of it came back before, or a dispute is about it: an operator should look.
    let is_disputed = !matches!(payment.dispute, None | Some(Dispute::Won | Dispute::Lost));
    let is_above = event.stated.is_some_and(|stated| stated > minor);
    payment.flagged |= is_above || event.excess.is_some() || is_disputed;
    Ok(())
}

/// Gives up a clearing of another payment. The payment is as it was before, or what the clearing used of the hold is given
/// back.
pub(super) fn given_up(payment: &mut Payment, event: &ClearingGivenUp) -> Result<(), Misfit> {
    let beyond_hold = event.amount.minor.minus(event.against_hold)?;
    payment.beyond_hold_minor = payment.beyond_hold_minor.minus(beyond_hold)?;
    payment.against_hold_minor = payment.against_hold_minor.minus(event.against_hold)?;
    let Some(restored) = event.restored else {
        payment.reversed_minor = payment.reversed_minor.plus(event.against_hold)?;
        return Ok(());
    };
    payment.reversed_minor = payment.reversed_minor.minus(event.held.minus(event.against_hold)?)?;
    payment.status = match restored {
        RestoredStatus::Recorded => Status::Recorded,
        RestoredStatus::Authorized => Status::Authorized,
        RestoredStatus::PartiallyAuthorized => Status::PartiallyAuthorized,
        RestoredStatus::Advised => Status::Advised,
        RestoredStatus::Cleared => Status::Cleared,
        RestoredStatus::Expired => Status::Expired,
        RestoredStatus::ClearedLate => Status::ClearedLate,
    };
    Ok(())
}
