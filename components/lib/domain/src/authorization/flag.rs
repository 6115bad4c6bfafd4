//! Flags: a payment that could not be declined is checked afterwards, and each reason that would have declined it is
//! recorded.

use clearfold_kernel::{CommandContext, Rejection};

use super::messages::{Event, FlagPayment, PaymentFlagged};
use super::state::{Entry, State};
use super::{Decision, existing};

pub(super) fn flag(state: &State, flag: &FlagPayment, context: &CommandContext) -> Decision {
    let payment = existing(state, context)?;
    if let Entry::Requested(_) = payment.entry {
        let detail = "the rules were asked before this payment was made; there is nothing to flag";
        return Err(Rejection::new("not_flaggable", detail));
    }
    if payment.flags.contains(&flag.reason) {
        return Ok(Vec::new());
    }
    Ok(vec![Event::PaymentFlagged(PaymentFlagged {
        parties: payment.parties.clone(),
        reason: flag.reason,
        at: context.accepted_at,
    })])
}

pub(super) fn flagged(state: &mut State, event: &PaymentFlagged) {
    state.happened_at(event.at);
    if let Some(payment) = state.payment_mut() {
        payment.flags.push(event.reason);
    }
}
