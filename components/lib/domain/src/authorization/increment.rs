//! Increments: the merchant asks for more in the same payment. An increment is added once.

use clearfold_kernel::{CommandContext, Rejection};

use super::messages::{Event, HoldIncreased, IncrementAuthorization};
use super::state::{Payment, State, sum};
use super::{Decision, existing};
use crate::checks;

pub(super) fn increment(
    state: &State,
    increment: &IncrementAuthorization,
    context: &CommandContext,
) -> Decision {
    let payment = existing(state, context)?;
    checks::sound(&increment.amount)?;
    checks::same_asset(&payment.asset, &increment.amount.asset)?;
    if let Some(known) = state.increments.get(&increment.message_id) {
        checks::repeated(increment.message_id.as_str(), known, &increment.amount.minor)?;
        return Ok(Vec::new());
    }
    state.unheard(&increment.message_id)?;
    if !payment.status.is_open() {
        return Err(not_open(payment));
    }
    checks::fits(payment.totals.authorized.plus(increment.amount.minor))?;
    Ok(vec![Event::HoldIncreased(HoldIncreased {
        parties: payment.parties.clone(),
        message_id: increment.message_id.clone(),
        amount: increment.amount.clone(),
        occurred_at: increment.occurred_at,
        at: context.accepted_at,
    })])
}

/// Rejection of a command that needs an open payment.
pub(super) fn not_open(payment: &Payment) -> Rejection {
    Rejection::new("not_open", format!("the payment is {:?}; nothing is held any more", payment.status))
}

pub(super) fn increased(state: &mut State, event: &HoldIncreased) {
    state.latest = Some(event.at);
    let Some(payment) = state.payment_mut() else { return };
    payment.totals.authorized = sum(payment.totals.authorized, event.amount.minor);
    state.increments.insert(event.message_id.clone(), event.amount.minor);
}
