//! Command to another payment that follows from an event.
//!
//! A refund that turns out to be the return of a payment's pulled money is taken by that payment: it counts what it keeps
//! of it, and reverses its hold by what exceeds the amount that is owed back.
//!
//! A linked clearing has two payments: the one that gives it up has the link ended, and a reversal that names the one that
//! it was posted for is passed on to the one that has it.

use clearfold_kernel::{ExternalId, InvalidId};

use super::ids;
use super::of_account::refund_id;
use crate::authorization::{
    Command, Event, KeptReason, RecordReversalKept, RefundResolved, ReverseClearing, State, TakeReturn,
    UnlinkClearing,
};
use crate::network::RefundOutcome;

/// Returns the command with the id of its payment. Fails only if a derived id does not fit, which none does.
pub fn of_payment(
    authorization_id: &ExternalId,
    before: &State,
    event: &Event,
) -> Result<Option<(ExternalId, Command)>, InvalidId> {
    match event {
        Event::RefundResolved(event) => returned(event),
        Event::ClearingGivenUp(event) => {
            let unlink = UnlinkClearing { payment_id: authorization_id.clone(), link: event.link };
            Ok(Some((event.posted_on.clone(), Command::UnlinkClearing(unlink))))
        }
        Event::RecordReversalKept(event) if event.reason == KeptReason::Linked => {
            passed_on(authorization_id, before, event)
        }
        _ => Ok(None),
    }
}

fn returned(event: &RefundResolved) -> Result<Option<(ExternalId, Command)>, InvalidId> {
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

fn passed_on(
    authorization_id: &ExternalId,
    before: &State,
    event: &RecordReversalKept,
) -> Result<Option<(ExternalId, Command)>, InvalidId> {
    let Some(payment_id) = before.clearing_linked_to().cloned() else { return Ok(None) };
    let reversal = ReverseClearing {
        reversal_id: event.reversal_id.clone(),
        clearing_id: ids::linked(authorization_id, before.clearing_links.made)?,
        network: event.network,
        amount: event.amount.clone(),
        occurred_at: event.occurred_at,
        details: event.details.clone(),
    };
    Ok(Some((payment_id, Command::ReverseClearing(reversal))))
}
