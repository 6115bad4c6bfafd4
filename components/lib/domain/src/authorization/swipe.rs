//! Payments seen on chain first: a `Spend` without a request. The money has moved, so it is recorded whatever the
//! rules are. Its hold ends by a clearing, a return of the money, or in time.

use clearfold_kernel::CommandContext;

use super::Decision;
use super::funding::Funding;
use super::messages::{Event, Parties, RecordSwipe, SwipeRecorded};
use super::state::{Entry, Payment, State, Status, Subject, sum};
use crate::checks;
use crate::policy::hold_expiry;

pub(super) fn record(state: &State, swipe: &RecordSwipe, context: &CommandContext) -> Decision {
    checks::from_chain(context)?;
    checks::sound(&swipe.amount)?;
    checks::routed_to(swipe.account, context)?;
    match &state.subject {
        Subject::Nothing => Ok(vec![Event::SwipeRecorded(SwipeRecorded {
            account: swipe.account,
            amount: swipe.amount.clone(),
            source: swipe.source.clone(),
            // From the block's time: what is read late lives no longer for it.
            expires_at: Some(swipe.occurred_at.after_s(hold_expiry::seen_on_chain_interval_s())),
            occurred_at: swipe.occurred_at,
        })]),
        // The same transaction was seen again, perhaps mined in another block: it paid once.
        Subject::Payment(payment) if same(state, payment, swipe) => Ok(Vec::new()),
        Subject::Payment(_) | Subject::Refund { .. } => Err(checks::identity_conflict(context)),
    }
}

fn same(state: &State, payment: &Payment, swipe: &RecordSwipe) -> bool {
    let transaction_hash = swipe.source.transaction_hash;
    let raised = state.added().fold(swipe.amount.minor, |total, (_, by)| sum(total, by));
    payment.entry == Entry::Swiped { transaction_hash }
        && payment.parties.account == swipe.account
        && payment.asset == swipe.amount.asset
        && payment.totals.authorized == raised
}

/// Applies a swipe. The spend is its own authorization: the amount is held until the network claims it.
pub(super) fn recorded(state: &mut State, event: &SwipeRecorded) {
    let entry = Entry::Swiped { transaction_hash: event.source.transaction_hash };
    let parties = Parties::account(event.account);
    let mut payment = Payment::new(parties, event.amount.asset.clone(), entry, Status::Recorded);
    payment.totals.authorized = event.amount.minor;
    payment.expires_at = event.expires_at;
    payment.funding = Funding::Included { amount: event.amount.minor, source: event.source.clone() };
    state.begin(payment);
}
