//! A stand-in of the network approved the payment in our place: it is held, and cannot be declined.

use clearfold_kernel::CommandContext;

use super::messages::{AdviceRecorded, Event, Parties, RecordAdvice};
use super::request::{after, already_decided};
use super::state::{Entry, Payment, State, Status, Subject};
use super::{Decision, Funding};
use crate::checks;
use crate::policy::hold_expiry;

pub(super) fn record(state: &State, advice: &RecordAdvice, context: &CommandContext) -> Decision {
    checks::in_time(state.latest, context)?;
    checks::sound(&advice.amount)?;
    checks::routed_to(advice.account, context)?;
    match &state.subject {
        Subject::Nothing => {
            state.unheard(&advice.message_id)?;
            Ok(vec![advised(advice, context)])
        }
        Subject::Payment(payment) => {
            checks::routed_to(payment.parties.account, context)?;
            if let Entry::Advised { message_id, minor } = &payment.entry
                && *message_id == advice.message_id
            {
                checks::repeated(message_id.as_str(), minor, &advice.amount.minor)?;
                return Ok(Vec::new());
            }
            state.unheard(&advice.message_id)?;
            checks::same_asset(&payment.asset, &advice.amount.asset)?;
            match payment.status {
                // What the stand-in promised counts, whatever we would have said or have said.
                Status::Requested | Status::Declined => Ok(vec![advised(advice, context)]),
                _ => Err(already_decided(payment)),
            }
        }
        Subject::Refund { .. } => Err(checks::identity_conflict(context)),
    }
}

fn advised(advice: &RecordAdvice, context: &CommandContext) -> Event {
    let interval_s = hold_expiry::interval_s(advice.network, advice.merchant.category);
    Event::AdviceRecorded(AdviceRecorded {
        message_id: advice.message_id.clone(),
        account: advice.account,
        card_id: advice.card_id.clone(),
        amount: advice.amount.clone(),
        merchant: advice.merchant.clone(),
        network: advice.network,
        expires_at: after(context.accepted_at, interval_s),
        occurred_at: advice.occurred_at,
        at: context.accepted_at,
    })
}

pub(super) fn recorded(state: &mut State, event: &AdviceRecorded) {
    let parties = Parties {
        account: event.account,
        card_id: Some(event.card_id.clone()),
        merchant_id: Some(event.merchant.id.clone()),
    };
    let entry = Entry::Advised { message_id: event.message_id.clone(), minor: event.amount.minor };
    let mut payment = Payment::new(parties, event.amount.asset.clone(), entry, Status::Advised);
    payment.category = Some(event.merchant.category);
    payment.totals.authorized = event.amount.minor;
    payment.expires_at = Some(event.expires_at);
    // What was pulled before the advice came is not pulled again.
    payment.funding = match state.payment() {
        Some(known) if known.funding != Funding::None => known.funding.clone(),
        _ => Funding::Unsubmitted,
    };
    state.subject = Subject::Payment(Box::new(payment));
    state.latest = Some(event.at);
}
