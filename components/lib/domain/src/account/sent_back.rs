//! Pulled money that is sent back to the Safe, for example after a payment was reversed whose funding was final.

use clearfold_kernel::{Rejection, Timestamp};

use super::ledger::LedgerAccount::{Hold, Safe};
use super::ledger::transfers;
use super::messages::{Event, RecordReturn, Returned};
use super::rule::Rule;
use super::state::Books;
use crate::checks;

impl Rule for RecordReturn {
    fn is_seen_on_chain(&self) -> bool {
        true
    }

    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        checks::sound(&self.amount)?;
        Ok(Event::Returned(Returned {
            account: books.address,
            amount: self.amount.clone(),
            source: self.source.clone(),
            transfers: transfers(&[(Safe, Hold, self.amount.minor)]),
            at,
        }))
    }
}
