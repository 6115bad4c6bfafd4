//! Returns: money that was pulled for the payment came back to the Safe, and an operator said so.
//!
//! A return is a reversal that no network sent: the hold is given back by what was not owed back before. The payment
//! counts what it keeps of its pulls, no more than came back; the rest was none of its money. It states the part that it
//! counted, and the account takes as much off it ([`account`](crate::account)).
//!
//! The money of a linked `Spend` is that of another payment, which the refusal names.

use clearfold_kernel::{CommandContext, ExternalId, Minor, Rejection};

use super::Decision;
use super::messages::{Event, Extent, ReturnTaken, ReversalCause, ReverseAuthorization, TakeReturn};
use super::reversal;
use super::state::State;
use crate::{bookings, checks};

/// Code of the refusal that names the payment to which a `Spend` is linked.
const LINKED: &str = "return_of_linked_spend";

/// Returns the payment that has the money of a linked `Spend`, by the refusal to [`TakeReturn`]; none if the refusal is
/// another one.
pub(crate) fn money_of(refused: &Rejection) -> Option<ExternalId> {
    let (payment_id, _) = refused.detail.split_once(' ').filter(|_| refused.code == LINKED)?;
    payment_id.parse().ok()
}

pub(super) fn take(state: &State, command: &TakeReturn, context: &CommandContext) -> Decision {
    checks::from_saga_or_operator(context)?;
    checks::sound(&command.amount)?;
    let Some(payment) = state.payment() else {
        let detail = format!("{} is no payment; name the one whose money came back", context.id);
        return Err(Rejection::new("authorization_not_found", detail));
    };
    checks::routed_to(payment.parties.account, context)?;
    checks::same_asset(&payment.asset, &command.amount.asset)?;
    if let Some(payment_id) = state.linked_to() {
        let detail = format!("{payment_id} has the money of {}, which is linked to it", context.id);
        return Err(Rejection::new(LINKED, detail));
    }
    let message_id = bookings::returned(&command.refund_id)
        .map_err(|error| Rejection::new("invalid_id", error.to_string()))?;
    let minor = command.amount.minor;
    let reversal = ReverseAuthorization {
        candidates: Vec::new(),
        message_id,
        extent: Extent::Part(minor),
        cause: ReversalCause::Returned,
        occurred_at: command.occurred_at,
        details: None,
    };
    let mut events = reversal::apply(state, &reversal, context)?;
    let counted = minor.min(state.kept());
    if !events.is_empty() && counted > Minor::ZERO {
        events.push(Event::ReturnTaken(ReturnTaken {
            parties: payment.parties.clone(),
            refund_id: command.refund_id.clone(),
            amount: payment.amount(counted),
            at: context.accepted_at,
        }));
    }
    Ok(events)
}
