//! A hold is placed, grows, is given back, or ends by time.

use clearfold_kernel::{Minor, Timestamp};

use super::status::{Funding, Status};
use super::tables::Payment;
use crate::authorization::{AuthorizationExpired, AuthorizationReversed, HoldIncreased};
use crate::projecting::Misfit;

pub(super) fn placed(payment: &mut Payment, status: Status, minor: Minor, expires_at: Timestamp) {
    payment.status = status;
    payment.authorized_minor = minor;
    payment.expires_at = Some(expires_at);
    begin_funding(payment);
}

/// The money is to be pulled, unless it was seen on chain before.
pub(super) fn begin_funding(payment: &mut Payment) {
    if payment.funding == Funding::None {
        payment.funding = Funding::Unsubmitted;
    }
}

pub(super) fn increased(payment: &mut Payment, event: &HoldIncreased) -> Result<(), Misfit> {
    payment.requested_minor = payment.requested_minor.plus(event.amount.minor)?;
    payment.authorized_minor = payment.authorized_minor.plus(event.amount.minor)?;
    Ok(())
}

/// A payment of which nothing is held any more is closed: given back if nothing was claimed, else cleared.
pub(super) fn reversed(payment: &mut Payment, event: &AuthorizationReversed) -> Result<(), Misfit> {
    payment.reversed_minor = payment.reversed_minor.plus(event.released.minor)?;
    if event.full {
        let unclaimed = payment.against_hold_minor == Minor::ZERO;
        payment.status = if unclaimed { Status::Reversed } else { Status::Cleared };
    }
    Ok(())
}

/// A payment of which nothing was left to expire is cleared.
pub(super) fn expired(payment: &mut Payment, event: &AuthorizationExpired) -> Result<(), Misfit> {
    payment.expired_minor = payment.expired_minor.plus(event.released.minor)?;
    payment.status = if event.released.minor == Minor::ZERO { Status::Cleared } else { Status::Expired };
    Ok(())
}
