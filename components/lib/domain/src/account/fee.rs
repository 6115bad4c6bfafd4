//! Fees: debited from the customer's balance, even below zero.

use clearfold_kernel::{Rejection, Timestamp};

use super::ledger::LedgerAccount::{Customer, Fee};
use super::ledger::transfers;
use super::messages::{ChargeFee, Event, FeeCharged};
use super::rule::Rule;
use super::state::Books;
use crate::checks;

impl Rule for ChargeFee {
    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        checks::sound(&self.amount)?;
        Ok(Event::FeeCharged(FeeCharged {
            account: books.address,
            fee_id: self.fee_id.clone(),
            amount: self.amount.clone(),
            transfers: transfers(&[(Customer, Fee, self.amount.minor)]),
            at,
        }))
    }
}
