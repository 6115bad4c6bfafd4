//! Refunds. On a payment's stream a refund is linked to the payment; on a stream of its own it is unlinked, because the
//! processor never guesses the payment.
//!
//! A refund that the network tells of is a fact and always posts. What it exceeds of the amount that the merchant still
//! has is stated: an exchange difference of a converted payment, which has its own day's rate, or money that was there
//! already, as after a dispute. A refund on chain that exceeds it is refused, because nobody says that it belongs to the
//! payment.
//!
//! The stream has one writer, so of two refunds that arrive at the same time the second sees the first.

use clearfold_kernel::{Address, Amount, CommandContext, ExternalId, Minor, Rejection};
use serde::{Deserialize, Serialize};

use super::messages::{
    Event, Parties, RecordRefund, RefundExcess, RefundExcessCause, RefundLinked, RefundOrigin, RefundUnlinked,
};
use super::state::{Payment, State, Subject, sum};
use super::{Decision, fees};
use crate::checks;
use crate::network::{RefundOutcome, Residue};
use crate::policy::conversion;

/// Refund that names no payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnlinkedRefund {
    /// Address of the Safe that received the refund.
    pub account: Address,
    /// Refunded amount.
    pub amount: Amount,
    /// Origin: the chain or the card network.
    pub origin: RefundOrigin,
    /// Resolution: in suspense, or resolved by the operator.
    pub resolution: Resolution,
}

impl UnlinkedRefund {
    /// Returns true if the operator found that the network pays.
    pub(super) fn is_paid(&self) -> bool {
        matches!(self.resolution, Resolution::Resolved { outcome: RefundOutcome::Paid, .. })
    }
}

/// Resolution of a refund that names no payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resolution {
    /// It is in suspense.
    Open,
    /// The operator has found out who pays.
    Resolved {
        /// Outcome: who pays.
        outcome: RefundOutcome,
        /// Payment that the refund belongs to, if it is known.
        payment_id: Option<ExternalId>,
    },
}

pub(super) fn record(state: &State, refund: &RecordRefund, context: &CommandContext) -> Decision {
    if let RefundOrigin::Chain(_) = refund.origin {
        checks::from_chain(context)?;
    }
    fees::check(refund)?;
    checks::sound(&refund.amount)?;
    checks::routed_to(refund.account, context)?;
    if let Some(known) = state.unlinked().filter(|known| is_same(known, refund)) {
        let is_repeat = known.account == refund.account && known.amount == refund.amount;
        return if is_repeat { Ok(Vec::new()) } else { Err(checks::identity_conflict(context)) };
    }
    match &state.subject {
        Subject::Nothing if refund.known_only && !state.awaits_refund(&refund.origin) => {
            let detail =
                format!("no payment {} is known; record the refund under an id of its own", context.id);
            Err(Rejection::new("authorization_not_found", detail))
        }
        Subject::Nothing => Ok(vec![Event::RefundUnlinked(RefundUnlinked {
            parties: Parties::named(refund.account, refund.details.as_deref()),
            amount: refund.amount.clone(),
            origin: refund.origin.clone(),
            occurred_at: refund.occurred_at,
            details: refund.details.clone(),
            network_fees: refund.network_fees.clone(),
        })]),
        Subject::Payment(payment) => link(state, payment, refund, context),
        Subject::Refund(_) => Err(checks::identity_conflict(context)),
    }
}

/// Returns true if it is the same record, or the same transaction, perhaps mined in another block: it paid back once.
fn is_same(known: &UnlinkedRefund, refund: &RecordRefund) -> bool {
    let transaction = known.origin.transaction_hash();
    let is_mined_again = transaction.is_some() && transaction == refund.origin.transaction_hash();
    known.origin.identity() == refund.origin.identity() || is_mined_again
}

fn link(state: &State, payment: &Payment, refund: &RecordRefund, context: &CommandContext) -> Decision {
    checks::routed_to(payment.parties.account, context)?;
    checks::same_asset(&payment.asset, &refund.amount.asset)?;
    let identity = refund.origin.identity();
    if let Some(known) = state.refunds.get(&identity) {
        checks::repeated(&identity, known, &refund.amount.minor)?;
        return Ok(Vec::new());
    }
    if linked_before(state, refund) {
        return Ok(Vec::new());
    }
    let refundable = payment.refundable();
    let excess = excess(state, payment, refund.amount.minor.excess_over(refundable));
    if let (Some(_), RefundOrigin::Chain(_)) = (excess, &refund.origin) {
        let detail = format!(
            "of what the merchant got, {} can still come back; record it as a refund of its own",
            payment.amount(refundable)
        );
        return Err(Rejection::new("refund_exceeds_captured", detail));
    }
    checks::fits(payment.totals.refunded.plus(refund.amount.minor))?;
    Ok(vec![Event::RefundLinked(RefundLinked {
        parties: payment.parties.clone(),
        amount: refund.amount.clone(),
        origin: refund.origin.clone(),
        excess,
        occurred_at: refund.occurred_at,
        details: refund.details.clone(),
        network_fees: refund.network_fees.clone(),
    })])
}

/// Names what exceeds the amount that the merchant still has; none if that is nothing.
fn excess(state: &State, payment: &Payment, minor: Minor) -> Option<RefundExcess> {
    if minor == Minor::ZERO {
        return None;
    }
    if !is_converted(state, payment) {
        return Some(RefundExcess { minor, cause: RefundExcessCause::Unexplained, flagged: true });
    }
    let flagged = !conversion::tolerates_refund(payment.totals.captured(), minor);
    Some(RefundExcess { minor, cause: RefundExcessCause::ExchangeDifference, flagged })
}

/// Returns true if the payment is known to be in another currency than the account's asset: its request says so, or a
/// claim differs from its conversion. A claim that converted without a remainder leaves no trace, so an excess of such a
/// payment is flagged.
fn is_converted(state: &State, payment: &Payment) -> bool {
    let is_presented = payment.entry.request().is_some_and(|request| request.presented.is_some());
    is_presented || state.clearings.values().any(|known| known.residue != Residue::default())
}

/// Returns true if the refund's transaction paid it back in another block. All refunds of a transaction were seen in the
/// block in which it was mined first, also if several are of the same amount.
fn linked_before(state: &State, refund: &RecordRefund) -> bool {
    let RefundOrigin::Chain(source) = &refund.origin else { return false };
    let block = format!("chain/{}/{}/", source.chain_id, source.block_hash);
    state.paid_back_by.iter().any(|(identity, transaction_hash)| {
        let is_same = *transaction_hash == source.transaction_hash && !identity.starts_with(&block);
        is_same && state.refunds.get(identity) == Some(&refund.amount.minor)
    })
}

pub(super) fn linked(state: &mut State, event: &RefundLinked) {
    let Some(payment) = state.payment_mut() else { return };
    payment.totals.refunded = sum(payment.totals.refunded, event.amount.minor);
    state.refunds.insert(event.origin.identity(), event.amount.minor);
    state.names_by_refund(&event.origin, &event.parties);
    if let Some(transaction_hash) = event.origin.transaction_hash() {
        state.paid_back_by.insert(event.origin.identity(), transaction_hash);
    }
}

pub(super) fn unlinked(state: &mut State, event: &RefundUnlinked) {
    if let Subject::Nothing = state.subject {
        state.subject = Subject::Refund(Box::new(UnlinkedRefund {
            account: event.parties.account,
            amount: event.amount.clone(),
            origin: event.origin.clone(),
            resolution: Resolution::Open,
        }));
    }
}
