//! Force posts: the network claims money that nobody authorized. Nothing was requested, the request was declined, not
//! decided or reversed in full, or the claim comes beside an authorization. The merchant was paid, so the claim posts; it
//! uses up no hold, and all of it is to be pulled.

use clearfold_kernel::{CommandContext, Hash};
use sha2::{Digest, Sha256};

use super::claim::{Billing, Clearing, ClearingFate};
use super::messages::{Event, ForcePost, ForcePostReason, ForcePosted, Part, Parties, PresentClearing};
use super::state::{Entry, Payment, State, Status, Subject, sum};
use super::{Decision, record_reversal};
use crate::checks;
use crate::network::{Details, Merchant, Residue};

pub(super) fn post(state: &State, claim: &ForcePost, context: &CommandContext) -> Decision {
    let asset = checks::sound(&claim.amount)?;
    checks::routed_to(claim.account, context)?;
    let billing = Billing::of_fact(&claim.amount, claim.presented.as_ref(), asset, state.network());
    let reason = match state.payment() {
        None => {
            record_reversal::parties(state, context)?;
            ForcePostReason::NoAuthorization
        }
        Some(payment) => {
            checks::routed_to(payment.parties.account, context)?;
            checks::same_asset(&payment.asset, &claim.amount.asset)?;
            checks::fits(payment.totals.captured().plus(claim.amount.minor))?;
            reason(payment)
        }
    };
    let posted = forced(claim, billing.residue, reason);
    if let Some(known) = state.clearings.get(&claim.clearing_id) {
        // Claims that were recorded before events named the merchant are compared without card and merchant.
        let named = named(&posted).filter(|_| known.named.is_some());
        // One that is linked by now is still the same.
        let fate = if known.fate == ClearingFate::Moved { known.fate } else { ClearingFate::Forced };
        let given = Clearing { named, fate, ..Clearing::from(&posted) };
        checks::repeated(claim.clearing_id.as_str(), known, &given)?;
        return Ok(Vec::new());
    }
    let deviates = billing.flag(posted.parties.clone(), &claim.clearing_id, &claim.amount);
    Ok([Event::ForcePosted(posted)].into_iter().chain(deviates).collect())
}

fn forced(claim: &ForcePost, residue: Residue, reason: ForcePostReason) -> ForcePosted {
    let parties = Parties {
        account: claim.account,
        card_id: Some(claim.card_id.clone()),
        merchant_id: Some(claim.merchant.id.clone()),
    };
    ForcePosted {
        parties,
        clearing_id: claim.clearing_id.clone(),
        amount: claim.amount.clone(),
        merchant: Some(claim.merchant.clone()),
        residue,
        reason,
        part: Part::Final,
        reference: None,
        occurred_at: claim.occurred_at,
        details: None,
        network_fees: None,
    }
}

/// Posts a clearing of a payment that was not approved, or that was reversed in full.
pub(super) fn unauthorized(payment: &Payment, claim: &PresentClearing, residue: Residue) -> Event {
    let merchant = payment.entry.merchant().cloned();
    presented(payment.parties.clone(), merchant, claim, residue, reason(payment))
}

/// Posts a clearing of an unknown payment.
pub(super) fn unmatched(parties: Parties, claim: &PresentClearing, residue: Residue) -> Event {
    let (_, merchant) = Details::named(claim.details.as_deref());
    presented(parties, merchant.cloned(), claim, residue, ForcePostReason::NoAuthorization)
}

fn presented(
    parties: Parties,
    merchant: Option<Merchant>,
    claim: &PresentClearing,
    residue: Residue,
    reason: ForcePostReason,
) -> Event {
    Event::ForcePosted(ForcePosted {
        parties,
        clearing_id: claim.clearing_id.clone(),
        amount: claim.amount.clone(),
        merchant,
        residue,
        reason,
        part: claim.part,
        reference: claim.reference.clone(),
        occurred_at: claim.occurred_at,
        details: claim.details.clone(),
        network_fees: claim.network_fees.clone(),
    })
}

fn reason(payment: &Payment) -> ForcePostReason {
    match (payment.status, &payment.entry) {
        (Status::Requested, _) => ForcePostReason::Undecided,
        (Status::Declined, _) => ForcePostReason::Declined,
        (Status::ForcePosted, Entry::Forced { .. }) => ForcePostReason::NoAuthorization,
        (Status::ForcePosted, _) => ForcePostReason::Declined,
        _ => ForcePostReason::Forced,
    }
}

pub(super) fn posted(state: &mut State, event: &ForcePosted) {
    let entry = Entry::Forced { merchant: event.merchant.clone().map(Box::new) };
    let (parties, asset) = (event.parties.clone(), event.amount.asset.clone());
    if let Subject::Nothing = state.subject {
        state.clearing_links.presented_at = Some(event.occurred_at);
    }
    state.begin(Payment::new(parties, asset, entry, Status::ForcePosted));
    let Some(payment) = state.payment_mut() else { return };
    payment.totals.beyond = sum(payment.totals.beyond, event.amount.minor);
    // A claim beside an authorization does not change the authorization's status.
    if matches!(payment.status, Status::Requested | Status::Declined) {
        payment.status = Status::ForcePosted;
    }
    state.clearings.insert(event.clearing_id.clone(), Clearing::from(event));
    state.names(&event.clearing_id, &event.parties);
}

impl From<&ForcePosted> for Clearing {
    fn from(event: &ForcePosted) -> Self {
        Self {
            claimed: event.amount.minor,
            residue: event.residue,
            part: event.part,
            reference: event.reference.clone(),
            named: named(event),
            fate: ClearingFate::Forced,
        }
    }
}

/// Digest of the card and the merchant, if both are known. Ids and codes contain no NUL, and the only free text comes
/// last, so the encoding is unambiguous.
fn named(event: &ForcePosted) -> Option<Hash> {
    let card_id = event.parties.card_id.as_ref()?;
    let Merchant { id, category, country, name } = event.merchant.as_ref()?;
    let text = format!("{card_id}\0{id}\0{category}\0{country}\0{name}");
    Some(Hash(Sha256::digest(text).into()))
}
