//! Messages that ask and claim at once, in the model.

use super::claims::{claim, take_back};
use super::{Payment, Stage};
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

impl Payment {
    /// Returns the claim that the request was as well, once there is one.
    pub(super) fn claimed_at_once(&self) -> Option<String> {
        let single = &self.single.as_ref()?.claim;
        self.claims.iter().any(|claim| claim.id == *single).then(|| single.clone())
    }

    /// Returns true if something was approved, also if it was given back.
    pub(super) fn has_held(&self) -> bool {
        let is_before =
            matches!(self.stage, Stage::Unknown | Stage::Asked | Stage::Declined | Stage::Withdrawn);
        !is_before && !self.is_verification
    }

    /// Returns what a reversal takes back of that claim: one of all that was asked for, all that is left.
    pub(super) fn of_claim(&self, part: Option<i128>) -> Option<i128> {
        part.filter(|part| self.single.as_ref().is_some_and(|single| *part < single.amount))
    }
}

/// A request that is the claim as well claims what is approved. What was reversed before is taken back of it.
pub(super) fn present(payment: &mut Payment, approved: i128) {
    let Some(single) = payment.single.as_ref().map(|single| single.claim.clone()) else { return };
    let amount = payment.held.min(approved);
    if payment.stage != Stage::Open || amount == 0 {
        return;
    }
    claim(payment, &single, amount, &None, Part::Final);
    for part in std::mem::take(&mut payment.early) {
        let part = payment.of_claim(part);
        take_back(payment, &single, part);
    }
}
