//! Disputes: the customer contests a payment, and what the merchant got may come back.
//!
//! `New → Submitted → Representment → PreArbitration → Arbitration`. A dispute can be lost at each stage; it can be
//! won, whole or in part, once it was submitted. While it is open the customer may have the money as provisional
//! credit. One dispute is open at a time.
//!
//! A claim that an earlier version refused can be disputed as well, because the network debited us for it. It has to be
//! charged before the customer gets anything for it: what was never debited is not given back.

use clearfold_kernel::{CommandContext, ExternalId, Minor, Rejection};
use serde::{Deserialize, Serialize};

use super::claim::ClearingFate;
use super::messages::{
    AdvanceDispute, DisputeAdvanced, DisputeOpened, DisputeOutcome, DisputeReason, DisputeResolved,
    DisputeStage, Event, GrantProvisionalCredit, OpenDispute, ProvisionalCreditGranted, ResolveDispute,
};
use super::state::{Payment, State};
use super::{Decision, existing};
use crate::checks;

/// Dispute of a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    /// Dispute id, assigned by the processor.
    pub id: ExternalId,
    /// Disputed amount, in minor units of the payment's asset.
    pub minor: Minor,
    /// Reason that the customer gave.
    pub reason: DisputeReason,
    /// Progress of the dispute.
    pub status: DisputeStatus,
    /// True if a provisional credit was granted.
    pub provisional_credit: bool,
}

/// Progress of a dispute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DisputeStatus {
    /// The dispute is not decided.
    Open {
        /// Current stage.
        stage: DisputeStage,
    },
    /// The dispute is decided.
    Closed {
        /// Outcome: won or lost by the customer.
        outcome: DisputeOutcome,
        /// Amount that the customer was awarded, in minor units of the payment's asset.
        awarded: Minor,
    },
}

impl Dispute {
    /// Returns the amount that the customer was awarded, in minor units; zero while the dispute is not decided.
    pub(super) fn awarded(&self) -> Minor {
        match self.status {
            DisputeStatus::Open { .. } => Minor::ZERO,
            DisputeStatus::Closed { awarded, .. } => awarded,
        }
    }
}

pub(super) fn open(state: &State, command: &OpenDispute, context: &CommandContext) -> Decision {
    let payment = existing(state, context)?;
    checks::sound(&command.amount)?;
    checks::same_asset(&payment.asset, &command.amount.asset)?;
    if let Some(known) = find(payment, &command.dispute_id) {
        let given = (command.amount.minor, command.reason);
        checks::repeated(known.id.as_str(), &(known.minor, known.reason), &given)?;
        return Ok(Vec::new());
    }
    let mut told = state.dispute_money.values().filter(|money| money.dispute_id == command.dispute_id);
    if let Some(told) = told.next() {
        checks::same_asset(&told.amount.asset, &command.amount.asset)?;
    }
    if let Some(other) = payment.disputes.iter().find(|dispute| stage(dispute).is_some()) {
        let detail = format!("dispute {} is not decided yet; open another one when it is", other.id);
        return Err(Rejection::new("dispute_open", detail));
    }
    let disputable = checks::fits(payment.refundable().plus(state.refused()))?;
    if let Some(payment_id) = state.clearing_linked_to().filter(|_| command.amount.minor > disputable) {
        let detail = format!("the clearing is linked to {payment_id}; open the dispute there");
        return Err(Rejection::new("clearing_linked", detail));
    }
    if command.amount.minor > disputable {
        let detail = format!("the merchant has {} of this payment", payment.amount(disputable));
        return Err(Rejection::new("dispute_exceeds_captured", detail));
    }
    Ok(vec![Event::DisputeOpened(DisputeOpened {
        parties: payment.parties.clone(),
        dispute_id: command.dispute_id.clone(),
        amount: command.amount.clone(),
        reason: command.reason,
        at: context.accepted_at,
    })])
}

pub(super) fn advance(state: &State, command: &AdvanceDispute, context: &CommandContext) -> Decision {
    let payment = existing(state, context)?;
    let dispute = known(payment, &command.dispute_id)?;
    let current = stage(dispute).ok_or_else(|| closed(dispute))?;
    if current == command.stage {
        return Ok(Vec::new());
    }
    if next(current) != Some(command.stage) {
        let detail = format!("after {current:?} comes {:?}, not {:?}", next(current), command.stage);
        return Err(Rejection::new("invalid_dispute_stage", detail));
    }
    Ok(vec![Event::DisputeAdvanced(DisputeAdvanced {
        parties: payment.parties.clone(),
        dispute_id: command.dispute_id.clone(),
        stage: command.stage,
        at: context.accepted_at,
    })])
}

const fn next(stage: DisputeStage) -> Option<DisputeStage> {
    match stage {
        DisputeStage::New => Some(DisputeStage::Submitted),
        DisputeStage::Submitted => Some(DisputeStage::Representment),
        DisputeStage::Representment => Some(DisputeStage::PreArbitration),
        DisputeStage::PreArbitration => Some(DisputeStage::Arbitration),
        DisputeStage::Arbitration => None,
    }
}

pub(super) fn credit(state: &State, command: &GrantProvisionalCredit, context: &CommandContext) -> Decision {
    let payment = existing(state, context)?;
    let dispute = known(payment, &command.dispute_id)?;
    if dispute.provisional_credit {
        return Ok(Vec::new());
    }
    stage(dispute).ok_or_else(|| closed(dispute))?;
    let was_refused = state.clearings.values().any(|known| known.fate == ClearingFate::Refused);
    if was_refused && dispute.minor > payment.refundable() {
        return Err(not_charged(payment));
    }
    // The customer has already what the network took back.
    if state.taken_back() > Minor::ZERO && dispute.minor > payment.refundable() {
        let left = payment.amount(payment.refundable());
        let detail = format!(
            "the network has taken back a clearing, and the merchant has {left}; resolve the dispute"
        );
        return Err(Rejection::new("dispute_exceeds_captured", detail));
    }
    Ok(vec![Event::ProvisionalCreditGranted(ProvisionalCreditGranted {
        parties: payment.parties.clone(),
        dispute_id: command.dispute_id.clone(),
        amount: payment.amount(dispute.minor),
        at: context.accepted_at,
    })])
}

pub(super) fn resolve(state: &State, command: &ResolveDispute, context: &CommandContext) -> Decision {
    let payment = existing(state, context)?;
    let dispute = known(payment, &command.dispute_id)?;
    let minor = awarded(payment, dispute, command)?;
    match (dispute.status, command.outcome) {
        (DisputeStatus::Closed { outcome, awarded }, asked) if (outcome, awarded) == (asked, minor) => {
            return Ok(Vec::new());
        }
        (DisputeStatus::Closed { .. }, _) => return Err(closed(dispute)),
        (DisputeStatus::Open { stage: DisputeStage::New }, DisputeOutcome::Won) => {
            let detail = "a dispute is won against somebody; submit it to the network first";
            return Err(Rejection::new("invalid_dispute_stage", detail));
        }
        (_, DisputeOutcome::Won) if state.refused() > Minor::ZERO && minor > payment.refundable() => {
            return Err(not_charged(payment));
        }
        // The merchant may have refunded while the dispute was open, or the network taken back the clearing: the same
        // money must not be paid back twice.
        (_, DisputeOutcome::Won) if minor > payment.refundable() => {
            let left = payment.amount(payment.refundable());
            let detail =
                format!("the money came back meanwhile, and the merchant has {left}: no more can be won");
            return Err(Rejection::new("dispute_exceeds_captured", detail));
        }
        _ => {}
    }
    Ok(vec![Event::DisputeResolved(DisputeResolved {
        parties: payment.parties.clone(),
        dispute_id: command.dispute_id.clone(),
        outcome: command.outcome,
        amount: payment.amount(dispute.minor),
        // An award of the whole amount is recorded as absent, so that equal awards have equal events.
        awarded: command.awarded.clone().filter(|awarded| awarded.minor != dispute.minor),
        provisional_credit: dispute.provisional_credit,
        at: context.accepted_at,
    })])
}

/// Returns the award: the amount that the command states, otherwise all that is disputed if won and zero if lost.
fn awarded(payment: &Payment, dispute: &Dispute, command: &ResolveDispute) -> Result<Minor, Rejection> {
    let most = match command.outcome {
        DisputeOutcome::Won => dispute.minor,
        DisputeOutcome::Lost => Minor::ZERO,
    };
    let Some(awarded) = &command.awarded else { return Ok(most) };
    checks::sound(awarded)?;
    checks::same_asset(&payment.asset, &awarded.asset)?;
    if awarded.minor <= most {
        return Ok(awarded.minor);
    }
    let detail =
        format!("{awarded} cannot be awarded; of this outcome it is {} at most", payment.amount(most));
    Err(Rejection::new("award_exceeds_dispute", detail))
}

fn find<'a>(payment: &'a Payment, id: &ExternalId) -> Option<&'a Dispute> {
    payment.disputes.iter().find(|dispute| dispute.id == *id)
}

fn known<'a>(payment: &'a Payment, id: &ExternalId) -> Result<&'a Dispute, Rejection> {
    let missing = || Rejection::new("dispute_not_found", format!("the payment has no dispute {id}"));
    find(payment, id).ok_or_else(missing)
}

fn stage(dispute: &Dispute) -> Option<DisputeStage> {
    match dispute.status {
        DisputeStatus::Open { stage } => Some(stage),
        DisputeStatus::Closed { .. } => None,
    }
}

/// Rejection of a credit for a claim that was not charged.
fn not_charged(payment: &Payment) -> Rejection {
    let charged = payment.amount(payment.refundable());
    let detail = format!("of this payment {charged} is charged; charge the refused clearing first");
    Rejection::new("dispute_exceeds_captured", detail)
}

fn closed(dispute: &Dispute) -> Rejection {
    Rejection::new("dispute_closed", format!("dispute {} is decided: {:?}", dispute.id, dispute.status))
}

fn find_mut<'a>(state: &'a mut State, id: &ExternalId) -> Option<&'a mut Dispute> {
    state.payment_mut()?.disputes.iter_mut().find(|dispute| dispute.id == *id)
}

pub(super) fn opened(state: &mut State, event: &DisputeOpened) {
    state.happened_at(event.at);
    let Some(payment) = state.payment_mut() else { return };
    payment.disputes.push(Dispute {
        id: event.dispute_id.clone(),
        minor: event.amount.minor,
        reason: event.reason,
        status: DisputeStatus::Open { stage: DisputeStage::New },
        provisional_credit: false,
    });
}

pub(super) fn advanced(state: &mut State, event: &DisputeAdvanced) {
    state.happened_at(event.at);
    if let Some(dispute) = find_mut(state, &event.dispute_id) {
        dispute.status = DisputeStatus::Open { stage: event.stage };
    }
}

pub(super) fn credited(state: &mut State, event: &ProvisionalCreditGranted) {
    state.happened_at(event.at);
    if let Some(dispute) = find_mut(state, &event.dispute_id) {
        dispute.provisional_credit = true;
    }
}

pub(super) fn resolved(state: &mut State, event: &DisputeResolved) {
    state.happened_at(event.at);
    if let Some(dispute) = find_mut(state, &event.dispute_id) {
        dispute.status = DisputeStatus::Closed { outcome: event.outcome, awarded: event.awarded() };
    }
}
