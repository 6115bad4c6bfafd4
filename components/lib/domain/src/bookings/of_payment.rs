//! Command to another payment that follows from an event of an unlinked refund.
//!
//! A refund that turns out to be the return of a payment's pulled money is taken by that payment: it counts what it keeps
//! of it, and reverses its hold by what exceeds the amount that is owed back.

use clearfold_kernel::{ExternalId, InvalidId};

use super::of_account::refund_id;
use crate::authorization::{Command, Event, TakeReturn};
use crate::network::RefundOutcome;

/// Returns the command with the id of its payment. Fails only if a derived id does not fit, which none does.
pub fn of_payment(event: &Event) -> Result<Option<(ExternalId, Command)>, InvalidId> {
    let Event::RefundResolved(event) = event else { return Ok(None) };
    let (RefundOutcome::Returned, Some(payment_id)) = (event.outcome, &event.payment_id) else {
        return Ok(None);
    };
    let taken = TakeReturn {
        refund_id: refund_id(&event.origin)?,
        amount: event.amount.clone(),
        occurred_at: event.at,
    };
    Ok(Some((payment_id.clone(), Command::TakeReturn(taken))))
}
