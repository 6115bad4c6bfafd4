//! Disputes: a provisional credit comes out of suspense, and the outcome says who pays for it. What is won may be a
//! part: then the network pays that, and the customer gives back the rest of the credit.
//!
//! A dispute is over one amount, has at most one provisional credit and one outcome. Its id is its payment's own
//! matter, so what is known of it is known by the payment's id as well.

use std::fmt::Display;

use clearfold_kernel::{ExternalId, Minor, Rejection, Timestamp};

use super::identity::{Fact, Identity, Kind};
use super::ledger::LedgerAccount::{Customer, Settlement, Suspense};
use super::ledger::transfers;
use super::messages::{BookDispute, DisputeBooked, DisputeStep, Event};
use super::rule::Rule;
use super::state::Books;
use crate::checks;

impl Rule for BookDispute {
    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        checks::sound(&self.amount)?;
        let minor = self.amount.minor;
        let (awarded, rest) = self.shares()?;
        let is_credited = books.has(&self.identity(Kind::ProvisionalCredit));
        let transfers = match (self.step, is_credited) {
            (DisputeStep::Provisional, _) => transfers(&[(Suspense, Customer, minor)]),
            (DisputeStep::Won, true) => {
                transfers(&[(Settlement, Suspense, awarded), (Customer, Suspense, rest)])
            }
            (DisputeStep::Won, false) => transfers(&[(Settlement, Customer, awarded)]),
            (DisputeStep::Lost, true) => transfers(&[(Customer, Suspense, minor)]),
            (DisputeStep::Lost, false) => Vec::new(),
        };
        Ok(Event::DisputeBooked(DisputeBooked {
            account: books.address,
            hold_id: self.hold_id.clone(),
            dispute_id: self.dispute_id.clone(),
            step: self.step,
            amount: self.amount.clone(),
            awarded: self.awarded,
            transfers,
            at,
        }))
    }

    fn check(&self, books: &Books) -> Result<(), Rejection> {
        for kind in [Kind::ProvisionalCredit, Kind::DisputeOutcome] {
            if let Some(Fact::Disputed(disputed)) = books.fact(&self.identity(kind)) {
                checks::repeated(self.dispute_id.as_str(), &disputed, &self.amount)?;
            }
        }
        if self.step == DisputeStep::Provisional && books.has(&self.identity(Kind::DisputeOutcome)) {
            let detail = format!("the dispute {} has been won or lost", self.dispute_id);
            return Err(Rejection::new("dispute_closed", detail));
        }
        Ok(())
    }
}

impl BookDispute {
    /// What of the disputed amount the network pays, and what it does not.
    fn shares(&self) -> Result<(Minor, Minor), Rejection> {
        let disputed = self.amount.minor;
        let Some(awarded) = self.awarded else { return Ok((disputed, Minor::ZERO)) };
        checks::moves(awarded)?;
        match (self.step, disputed.minus(awarded)) {
            (DisputeStep::Won, Ok(rest)) => Ok((awarded, rest)),
            _ => {
                let detail = format!("{awarded} minor units of {} cannot be awarded", self.amount);
                Err(Rejection::new("award_exceeds_dispute", detail))
            }
        }
    }

    pub(super) fn identity(&self, kind: Kind) -> Identity {
        Identity::new(kind, &dispute_key(&self.hold_id, &self.dispute_id))
    }
}

impl DisputeBooked {
    /// How much of a dispute that was won the customer gets.
    #[must_use]
    pub fn awarded(&self) -> Minor {
        self.awarded.unwrap_or(self.amount.minor)
    }

    /// What tells the dispute apart from all others of the account.
    pub(crate) fn key(&self) -> String {
        dispute_key(&self.hold_id, &self.dispute_id)
    }
}

/// What tells a payment's dispute apart from all others of the account.
pub(crate) fn dispute_key(hold_id: &(impl Display + ?Sized), dispute_id: &ExternalId) -> String {
    format!("{hold_id}/{dispute_id}")
}
