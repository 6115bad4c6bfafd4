//! Messages that ask and claim at once, in the model.

use super::claims::{claim, take_back};
use super::{Claim, Payment, Stage};
use crate::facts::Part;

#[derive(Debug, Clone)]
pub(super) struct Single {
    /// Id of its claim.
    pub claim: String,
    pub amount: i128,
    /// True if it is the request, otherwise it is an advice.
    pub is_request: bool,
}

impl Single {
    pub(super) fn of(id: &str, amount: i128, is_request: bool) -> Self {
        Self { claim: format!("single-message/{id}"), amount, is_request }
    }
}

impl Claim {
    pub(super) fn is_at_once(&self) -> bool {
        self.id.starts_with("single-message/")
    }
}

impl Payment {
    /// Returns true if a message claimed the payment at once.
    pub(super) fn is_claimed_at_once(&self) -> bool {
        self.claims.iter().any(Claim::is_at_once)
    }

    /// Returns what a reversal takes back of that claim: one of all that was asked for, all that is left.
    pub(super) fn of_claim(&self, part: Option<i128>) -> Option<i128> {
        let claims = self.claims.iter().filter(|claim| claim.is_at_once());
        let standing: i128 = claims.map(|claim| claim.amount - claim.back).sum();
        part.filter(|part| self.single.as_ref().is_some_and(|single| *part < single.amount.max(standing)))
    }
}

/// A message that claims at once claims what is approved. What was reversed before is taken back of it.
pub(super) fn present(payment: &mut Payment, approved: i128) {
    let Some(single) = payment.single.as_ref().map(|single| single.claim.clone()) else { return };
    let amount = payment.held.min(approved);
    if payment.stage != Stage::Open || amount == 0 {
        return;
    }
    present_as(payment, &single, amount);
}

fn present_as(payment: &mut Payment, id: &str, amount: i128) {
    claim(payment, id, amount, &None, Part::Final);
    for part in std::mem::take(&mut payment.early) {
        reverse_claims(payment, part);
    }
}

/// A payment that is closed has no hold, so an advice claims what it states beyond what was claimed.
pub(super) fn present_rest(payment: &mut Payment, id: &str, stated: i128) {
    let rest = stated - payment.captured();
    if matches!(payment.stage, Stage::Cleared | Stage::Expired | Stage::Forced) && rest > 0 {
        present_as(payment, &Single::of(id, stated, false).claim, rest);
    }
}

/// Takes claims back, one after the other.
pub(super) fn reverse_claims(payment: &mut Payment, part: Option<i128>) {
    let mut rest = payment.of_claim(part);
    let claims = payment.claims.iter().filter(|claim| claim.is_at_once() && claim.back < claim.amount);
    let claims: Vec<_> = claims.map(|claim| (claim.id.clone(), claim.amount - claim.back)).collect();
    for (claim, left) in claims {
        take_back(payment, &claim, rest);
        rest = rest.map(|rest| (rest - left).max(0));
    }
}
