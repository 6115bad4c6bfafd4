//! Links of clearings in the model: a clearing that named no payment is the claim of the one that it belongs to.

use super::claims::{post, take_back, take_back_awaited};
use super::{Claim, Payment, Stage};
use crate::facts::What;

/// Clearing of another payment.
#[derive(Debug, Clone)]
pub struct Taken {
    pub origin: String,
    /// Id that it has there.
    record: String,
    id: String,
    pub is_given_up: bool,
    /// Stage, what was held and what was claimed before it.
    before: (Stage, [i128; 3]),
    /// Number of changes with it: another number says that something else happened.
    changes: u32,
}

impl Payment {
    /// Returns the id that a claim has here. The network may name one of another payment as that does.
    pub(super) fn known_as(&self, id: &str) -> String {
        let is_own = self.claims.iter().any(|claim| claim.id == id);
        let mut taken = self.taken_claims.iter().filter(|taken| taken.record == id && !taken.is_given_up);
        let here = taken.next().filter(|_| !is_own).map(|taken| taken.id.clone());
        here.unwrap_or_else(|| id.to_owned())
    }
}

/// The only claim is another payment's.
pub(super) fn link(payment: &mut Payment) {
    let Some(claim) = payment.claims.first_mut() else { return };
    claim.is_moved = true;
    payment.beyond -= claim.amount;
    payment.stage = Stage::Linked;
}

/// It is its own again, and what the network took back meanwhile comes off it.
pub(super) fn unlink(payment: &mut Payment) {
    let Some(claim) = payment.claims.first_mut() else { return };
    claim.is_moved = false;
    payment.beyond += claim.amount;
    payment.stage = Stage::Forced;
    let id = claim.id.clone();
    let passed_on = payment.passed_on.clone();
    passed_on.into_iter().for_each(|amount| take_back(payment, &id, amount));
}

/// It posts like every claim, and what waited for it takes it back.
pub(super) fn take(payment: &mut Payment, what: &What) {
    let What::ClaimTaken { origin, record, id, amount, reference, part } = what else { return };
    let before = (payment.stage, [payment.held, payment.against_hold, payment.beyond]);
    payment.claims.push(Claim {
        id: id.clone(),
        amount: *amount,
        is_suspended: false,
        back: 0,
        is_returned: false,
        is_moved: false,
        reference: reference.clone(),
        part: *part,
    });
    post(payment, *amount, *part);
    payment.taken_claims.push(Taken {
        origin: origin.clone(),
        record: record.clone(),
        id: id.clone(),
        is_given_up: false,
        before,
        // This change is counted behind it.
        changes: payment.changes + 1,
    });
    take_back_awaited(payment, id);
}

/// If nothing else happened since, all is as it was before; otherwise it comes off what exceeded the hold first, and nothing
/// is held for it again.
pub(super) fn give_up(payment: &mut Payment, origin: &str) {
    let mut taken = payment.taken_claims.iter_mut();
    let Some(taken) = taken.find(|taken| taken.origin == origin && !taken.is_given_up) else { return };
    taken.is_given_up = true;
    let taken = taken.clone();
    let mut claims = payment.claims.iter_mut();
    let Some(claim) = claims.find(|claim| claim.id == taken.id) else { return };
    claim.is_moved = true;
    if payment.changes == taken.changes {
        (payment.stage, [payment.held, payment.against_hold, payment.beyond]) = taken.before;
        return;
    }
    let beyond = claim.amount.min(payment.beyond);
    payment.beyond -= beyond;
    payment.against_hold -= claim.amount - beyond;
}
