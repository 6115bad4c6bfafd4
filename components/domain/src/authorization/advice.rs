//! A stand-in of the network approved the payment in our place: it is held, and cannot be declined.

use clearfold_kernel::{CommandContext, Timestamp};

use super::messages::{AdviceRecorded, Event, Parties, RecordAdvice};
use super::request::{after, already_decided};
use super::state::{Entry, Payment, State, Status, Subject, sum};
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
            if let Some(known) = payment.entry.advice()
                && known.message_id == advice.message_id
            {
                let given = of_command(advice, known.expires_at, known.at);
                checks::repeated(advice.message_id.as_str(), known, &given)?;
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
    let at = context.accepted_at;
    Event::AdviceRecorded(of_command(advice, after(at, interval_s), at))
}

fn of_command(advice: &RecordAdvice, expires_at: Timestamp, at: Timestamp) -> AdviceRecorded {
    AdviceRecorded {
        message_id: advice.message_id.clone(),
        account: advice.account,
        card_id: advice.card_id.clone(),
        amount: advice.amount.clone(),
        merchant: advice.merchant.clone(),
        network: advice.network,
        expires_at,
        occurred_at: advice.occurred_at,
        at,
    }
}

/// The promise begins the payment anew; what has happened to it before stays true.
pub(super) fn recorded(state: &mut State, event: &AdviceRecorded) {
    let parties = Parties {
        account: event.account,
        card_id: Some(event.card_id.clone()),
        merchant_id: Some(event.merchant.id.clone()),
    };
    let before = state.payment();
    let requested = before.and_then(|before| before.entry.request()).cloned().map(Box::new);
    let entry = Entry::Advised { advice: Box::new(event.clone()), requested };
    let mut payment = Payment::new(parties, event.amount.asset.clone(), entry, Status::Advised);
    if let Some(before) = before {
        payment.totals = before.totals;
        payment.funding = before.funding.clone();
        payment.disputes.clone_from(&before.disputes);
    }
    payment.category = Some(event.merchant.category);
    payment.totals.authorized = sum(payment.totals.authorized, event.amount.minor);
    payment.expires_at = Some(event.expires_at);
    // What was pulled before the advice came is not pulled again.
    if payment.funding == Funding::None {
        payment.funding = Funding::Unsubmitted;
    }
    state.subject = Subject::Payment(Box::new(payment));
    state.latest = Some(event.at);
}
