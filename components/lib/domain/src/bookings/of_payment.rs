//! Command to another payment that follows from an event of an unlinked refund.
//!
//! A refund that turns out to be the return of a payment's pulled money ends that payment's hold, by what exceeds the
//! amount that is owed back. A payment that holds less, or nothing any more, records that the reversal did not fit.

use clearfold_kernel::{ExternalId, InvalidId};

use super::ids;
use crate::authorization::{Command, Event, Extent, ReversalCause, ReverseAuthorization};
use crate::network::RefundOutcome;

/// Returns the command with the id of its payment. Fails only if a derived id does not fit, which none does.
pub fn of_payment(refund_id: &ExternalId, event: &Event) -> Result<Option<(ExternalId, Command)>, InvalidId> {
    let Event::RefundResolved(event) = event else { return Ok(None) };
    let (RefundOutcome::Returned, Some(payment_id)) = (event.outcome, &event.payment_id) else {
        return Ok(None);
    };
    let reversal = ReverseAuthorization {
        message_id: ids::returned(refund_id)?,
        extent: Extent::Part(event.amount.minor),
        cause: ReversalCause::Returned,
        occurred_at: event.at,
    };
    Ok(Some((payment_id.clone(), Command::ReverseAuthorization(reversal))))
}
