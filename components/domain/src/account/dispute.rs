//! Disputes: a provisional credit comes out of suspense, and the outcome says who pays for it.
//!
//! A dispute is over one amount, has at most one provisional credit and one outcome.

use clearfold_kernel::{Rejection, Timestamp};

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
            dispute_id: self.dispute_id.clone(),
            step: self.step,
            amount: self.amount.clone(),
            transfers,
            at,
        }))
    }

    fn check(&self, books: &Books) -> Result<(), Rejection> {
        if let Some(disputed) = books.disputed.get(&self.dispute_id) {
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
    fn has(&self, books: &Books, kind: Kind) -> bool {
        books.acts.contains(&Identity::new(kind, &self.dispute_id))
    }
}

impl Books {
    pub(super) fn dispute_booked(&mut self, event: &DisputeBooked) {
        self.disputed.insert(event.dispute_id.clone(), event.amount.clone());
    }
}
