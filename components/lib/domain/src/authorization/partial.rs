//! Partial approvals: the account has less than was requested, and the merchant accepts a part. What is available is
//! recorded before it is asked for, so the decision that follows can be repeated from the log.

use clearfold_kernel::{CommandContext, Rejection};

use super::messages::{Event, PartialApprovalProposed, ProposePartialApproval};
use super::request::already_decided;
use super::state::{Entry, State, Status};
use super::{Decision, existing};
use crate::checks;

pub(super) fn propose(
    state: &State,
    proposal: &ProposePartialApproval,
    context: &CommandContext,
) -> Decision {
    let payment = existing(state, context)?;
    checks::sound(&proposal.amount)?;
    checks::same_asset(&payment.asset, &proposal.amount.asset)?;
    let (Status::Requested, Entry::Requested(request)) = (payment.status, &payment.entry) else {
        return Err(already_decided(payment));
    };
    if let Some(known) = payment.proposed {
        // The first proposal counts: the account is being asked for it.
        checks::repeated(&context.id, &known, &proposal.amount.minor)?;
        return Ok(Vec::new());
    }
    if !request.partial_allowed {
        let detail = "the merchant takes the whole amount or nothing; decline it";
        return Err(Rejection::new("partial_not_allowed", detail));
    }
    if proposal.amount.minor >= request.amount.minor {
        let detail = format!("{} is no part of {}", proposal.amount, request.amount);
        return Err(Rejection::new("no_part", detail));
    }
    Ok(vec![Event::PartialApprovalProposed(PartialApprovalProposed {
        parties: payment.parties.clone(),
        amount: proposal.amount.clone(),
        requested: request.amount.minor,
        at: context.accepted_at,
    })])
}

pub(super) fn proposed(state: &mut State, event: &PartialApprovalProposed) {
    state.happened_at(event.at);
    if let Some(payment) = state.payment_mut() {
        payment.proposed = Some(event.amount.minor);
    }
}
