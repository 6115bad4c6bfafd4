//! Disputes: a provisional credit comes out of suspense, and the outcome says who pays for it.
//!
//! A dispute is over one amount, has at most one provisional credit and one outcome. Its id is its payment's own
//! matter, so what is known of it is known by the payment's id as well.

use std::fmt::Display;

use clearfold_kernel::{ExternalId, Rejection, Timestamp};

use super::identity::{Identity, Kind};
use super::ledger::LedgerAccount::{Customer, Settlement, Suspense};
use super::ledger::transfers;
use super::messages::{BookDispute, DisputeBooked, DisputeStep, Event};
use super::rule::Rule;
use super::state::Books;
use crate::checks;

impl Rule for BookDispute {
    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        books.sound(&self.amount)?;
        let minor = self.amount.minor;
        let is_credited = self.has(books, Kind::ProvisionalCredit);
        let transfers = match (self.step, is_credited) {
            (DisputeStep::Provisional, _) => transfers(&[(Suspense, Customer, minor)]),
            (DisputeStep::Won, true) => transfers(&[(Settlement, Suspense, minor)]),
            (DisputeStep::Won, false) => transfers(&[(Settlement, Customer, minor)]),
            (DisputeStep::Lost, true) => transfers(&[(Customer, Suspense, minor)]),
            (DisputeStep::Lost, false) => Vec::new(),
        };
        Ok(Event::DisputeBooked(DisputeBooked {
            account: books.address,
            hold_id: self.hold_id.clone(),
            dispute_id: self.dispute_id.clone(),
            step: self.step,
            amount: self.amount.clone(),
            transfers,
            at,
        }))
    }

    fn check(&self, books: &Books) -> Result<(), Rejection> {
        if let Some(disputed) = books.disputed.get(&self.key()) {
            checks::repeated(self.dispute_id.as_str(), disputed, &self.amount)?;
        }
        if self.step == DisputeStep::Provisional && self.has(books, Kind::DisputeOutcome) {
            let detail = format!("the dispute {} has been won or lost", self.dispute_id);
            return Err(Rejection::new("dispute_closed", detail));
        }
        Ok(())
    }
}

impl BookDispute {
    fn key(&self) -> String {
        dispute_key(&self.hold_id, &self.dispute_id)
    }

    fn has(&self, books: &Books, kind: Kind) -> bool {
        books.acts.contains(&Identity::new(kind, &self.key()))
    }
}

impl DisputeBooked {
    /// What tells the dispute apart from all others of the account.
    pub(crate) fn key(&self) -> String {
        dispute_key(&self.hold_id, &self.dispute_id)
    }
}

/// What tells a payment's dispute apart from all others of the account.
pub(crate) fn dispute_key(hold_id: &(impl Display + ?Sized), dispute_id: &ExternalId) -> String {
    format!("{hold_id}/{dispute_id}")
}

impl Books {
    pub(super) fn dispute_booked(&mut self, event: &DisputeBooked) {
        self.disputed.insert(event.key(), event.amount.clone());
    }
}
