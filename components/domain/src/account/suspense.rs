//! Suspense: a clearing that has probably been claimed before is owed, but by nobody yet, until somebody finds out.

use clearfold_kernel::{Rejection, Timestamp};

use super::ledger::LedgerAccount::{Customer, Settlement, Suspense};
use super::ledger::transfers;
use super::messages::{
    ClearingSuspended, Event, ResolveSuspense, SuspendClearing, SuspenseOutcome, SuspenseResolved,
};
use super::rule::Rule;
use super::state::Books;

impl Rule for SuspendClearing {
    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        books.sound(&self.amount)?;
        Ok(Event::ClearingSuspended(ClearingSuspended {
            account: books.address,
            clearing_id: self.clearing_id.clone(),
            amount: self.amount.clone(),
            transfers: transfers(&[(Suspense, Settlement, self.amount.minor)]),
            at,
        }))
    }
}

impl Rule for ResolveSuspense {
    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        let Some(amount) = books.suspended.get(&self.clearing_id) else {
            let detail = format!("the clearing {} was never suspended", self.clearing_id);
            return Err(Rejection::new("suspense_not_found", detail));
        };
        let payer = match self.outcome {
            SuspenseOutcome::Charged => Customer,
            SuspenseOutcome::Returned => Settlement,
        };
        Ok(Event::SuspenseResolved(SuspenseResolved {
            account: books.address,
            clearing_id: self.clearing_id.clone(),
            outcome: self.outcome,
            amount: amount.clone(),
            transfers: transfers(&[(payer, Suspense, amount.minor)]),
            at,
        }))
    }
}

impl Books {
    pub(super) fn clearing_suspended(&mut self, event: &ClearingSuspended) {
        self.suspended.insert(event.clearing_id.clone(), event.amount.clone());
    }
}
