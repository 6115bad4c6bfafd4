//! Expiry of holds. `policy::hold_expiry` defines the lifetime; a durable timer sends the command.
//!
//! Money that was pulled on chain stays where it is: at the issuer. What nobody claimed of it is the customer's again,
//! and is owed back; the event says how much. A claim that comes later takes it.

use clearfold_kernel::{CommandContext, Minor, Rejection};

use super::increment::not_open;
use super::messages::{AuthorizationExpired, Event};
use super::state::{Payment, State, Status, sum};
use super::{Decision, existing};

pub(super) fn expire(state: &State, context: &CommandContext) -> Decision {
    let payment = existing(state, context)?;
    match payment.status {
        Status::Expired | Status::ClearedLate => return Ok(Vec::new()),
        status if !status.is_open() => return Err(not_open(payment)),
        _ => {}
    }
    let Some(expires_at) = payment.expires_at else {
        let detail =
            "it was recorded before holds of what is seen on chain expired; only the network can end it";
        return Err(Rejection::new("hold_does_not_expire", detail));
    };
    if context.accepted_at < expires_at {
        let detail = format!("the hold lives until {expires_at}; send it then");
        return Err(Rejection::new("not_yet_expired", detail));
    }
    Ok(vec![Event::AuthorizationExpired(AuthorizationExpired {
        parties: payment.parties.clone(),
        released: payment.amount(payment.held()),
        owed: owed(state, payment).map(|minor| payment.amount(minor)),
        at: context.accepted_at,
    })])
}

/// Returns how much of the hold was pulled on chain and not claimed; none if that is nothing. What was reversed before
/// is no part of it.
fn owed(state: &State, payment: &Payment) -> Option<Minor> {
    let unclaimed = state.kept().minus(payment.totals.captured()).ok()?;
    Some(unclaimed.min(payment.held())).filter(|owed| *owed > Minor::ZERO)
}

/// Applies the expiry. A payment that was claimed in parts and of which nothing is left is cleared, not expired.
pub(super) fn expired(state: &mut State, event: &AuthorizationExpired) {
    state.happened_at(event.at);
    let Some(payment) = state.payment_mut() else { return };
    payment.totals.expired = sum(payment.totals.expired, event.released.minor);
    let is_cleared = event.released.minor == Minor::ZERO && payment.totals.captured() > Minor::ZERO;
    payment.status = if is_cleared { Status::Cleared } else { Status::Expired };
}
