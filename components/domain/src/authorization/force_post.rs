//! The network claims what nobody authorized: nothing was asked, the answer was no, or it posts beside an
//! authorization. The merchant was paid, so it posts; none of it uses up a hold.

use clearfold_kernel::{CommandContext, ExternalId};

use super::Decision;
use super::clearing::{self, Clearing, ClearingFate};
use super::messages::{Event, ForcePost, ForcePostReason, ForcePosted, Part, Parties, PresentClearing};
use super::state::{Entry, Payment, State, Status, Subject, sum};
use crate::checks;
use crate::network::Residue;

pub(super) fn post(state: &State, claim: &ForcePost, context: &CommandContext) -> Decision {
    checks::in_time(state.latest, context)?;
    let asset = checks::sound(&claim.amount)?;
    checks::routed_to(claim.account, context)?;
    let residue = clearing::residue(&claim.amount, claim.presented.as_ref(), asset)?;
    let reason = match &state.subject {
        Subject::Nothing => ForcePostReason::NoAuthorization,
        Subject::Payment(payment) => {
            checks::routed_to(payment.parties.account, context)?;
            checks::same_asset(&payment.asset, &claim.amount.asset)?;
            checks::fits(payment.totals.captured().plus(claim.amount.minor))?;
            reason(payment)
        }
        Subject::Refund { .. } => return Err(checks::identity_conflict(context)),
    };
    if let Some(known) = state.clearings.get(&claim.clearing_id) {
        let same = (known.claimed, known.fate) == (claim.amount.minor, ClearingFate::Forced);
        checks::repeated(claim.clearing_id.as_str(), &same, &true)?;
        return Ok(Vec::new());
    }
    let parties = Parties {
        account: claim.account,
        card_id: Some(claim.card_id.clone()),
        merchant_id: Some(claim.merchant.id.clone()),
    };
    Ok(vec![Event::ForcePosted(ForcePosted {
        parties,
        clearing_id: claim.clearing_id.clone(),
        amount: claim.amount.clone(),
        residue,
        reason,
        part: Part::Final,
        reference: None,
        occurred_at: claim.occurred_at,
    })])
}

/// A clearing of a payment that was not approved, or one that is owed of what was given up.
pub(super) fn unauthorized(payment: &Payment, claim: &PresentClearing, residue: Residue) -> Event {
    presented(payment.parties.clone(), claim, residue, reason(payment))
}

/// A clearing of a payment that nobody has heard of.
pub(super) fn unmatched(claim: &PresentClearing, residue: Residue, context: &CommandContext) -> Decision {
    let parties = Parties::account(checks::account(context)?);
    Ok(vec![presented(parties, claim, residue, ForcePostReason::NoAuthorization)])
}

fn presented(parties: Parties, claim: &PresentClearing, residue: Residue, reason: ForcePostReason) -> Event {
    Event::ForcePosted(ForcePosted {
        parties,
        clearing_id: claim.clearing_id.clone(),
        amount: claim.amount.clone(),
        residue,
        reason,
        part: claim.part,
        reference: claim.reference.clone(),
        occurred_at: claim.occurred_at,
    })
}

fn reason(payment: &Payment) -> ForcePostReason {
    match (payment.status, &payment.entry) {
        (Status::Requested, _) => ForcePostReason::Undecided,
        (Status::Declined, _) => ForcePostReason::Declined,
        (Status::ForcePosted, Entry::Forced) => ForcePostReason::NoAuthorization,
        (Status::ForcePosted, _) => ForcePostReason::Declined,
        _ => ForcePostReason::Forced,
    }
}

pub(super) fn posted(state: &mut State, event: &ForcePosted) {
    state.begin(Payment::new(
        event.parties.clone(),
        event.amount.asset.clone(),
        Entry::Forced,
        Status::ForcePosted,
    ));
    let Some(payment) = state.payment_mut() else { return };
    payment.totals.beyond = sum(payment.totals.beyond, event.amount.minor);
    // Beside an authorization the claim changes nothing of it.
    if matches!(payment.status, Status::Requested | Status::Declined) {
        payment.status = Status::ForcePosted;
    }
    remember(state, &event.clearing_id, event);
}

fn remember(state: &mut State, clearing_id: &ExternalId, event: &ForcePosted) {
    let (claimed, part, reference) = (event.amount.minor, event.part, event.reference.clone());
    let clearing = Clearing { claimed, part, reference, fate: ClearingFate::Forced };
    state.clearings.insert(clearing_id.clone(), clearing);
}
