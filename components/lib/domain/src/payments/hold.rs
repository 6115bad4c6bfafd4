//! Effect of events on a hold: it is placed, increased, released, or expires.

use clearfold_kernel::{Minor, Timestamp};

use super::status::{Funding, Status};
use super::tables::Payment;
use crate::authorization::{AuthorizationExpired, AuthorizationReversed, HoldIncreased};
use crate::projecting::Misfit;

pub(super) fn placed(payment: &mut Payment, status: Status, minor: Minor, expires_at: Timestamp) {
    payment.status = status;
    payment.authorized_minor = minor;
    payment.expires_at = Some(expires_at);
    if minor > Minor::ZERO {
        begin_funding(payment);
    }
}

/// Marks the money as still to be pulled, unless it was already seen on chain.
pub(super) fn begin_funding(payment: &mut Payment) {
    if payment.funding == Funding::None {
        payment.funding = Funding::Unsubmitted;
    }
}

pub(super) fn increased(payment: &mut Payment, event: &HoldIncreased) -> Result<(), Misfit> {
    payment.requested_minor = payment.requested_minor.plus(event.amount.minor)?;
    payment.authorized_minor = payment.authorized_minor.plus(event.amount.minor)?;
    payment.expires_at = event.expires_at.or(payment.expires_at);
    Ok(())
}

/// Applies a reversal. A payment with nothing left on hold is closed: reversed if nothing was claimed, else cleared.
pub(super) fn reversed(payment: &mut Payment, event: &AuthorizationReversed) -> Result<(), Misfit> {
    payment.reversed_minor = payment.reversed_minor.plus(event.released.minor)?;
    if event.full {
        let unclaimed = payment.against_hold_minor == Minor::ZERO;
        payment.status = if unclaimed { Status::Reversed } else { Status::Cleared };
    }
    Ok(())
}

/// Applies an expiry. A payment with nothing left to expire counts as cleared.
pub(super) fn expired(payment: &mut Payment, event: &AuthorizationExpired) -> Result<(), Misfit> {
    payment.expired_minor = payment.expired_minor.plus(event.released.minor)?;
    let is_cleared = event.released.minor == Minor::ZERO && payment.cleared_minor > Minor::ZERO;
    payment.status = if is_cleared { Status::Cleared } else { Status::Expired };
    // Money that was pulled and not claimed is owed to the customer; the flag asks an operator to return it.
    payment.flagged |= event.owed.is_some();
    Ok(())
}
