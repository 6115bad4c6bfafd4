//! Reversals of clearings: the network takes back what it claimed. It owes as much to the customer again.
//!
//! The hold that the clearing used up is not held again. What was pulled for it is owed back, unless the payment is
//! claimed again. Once nothing is held or claimed any more, a `Spend` is taken for the money of another payment first.

use clearfold_kernel::{Amount, Rejection, Timestamp};

use super::ledger::LedgerAccount::{Customer, Settlement};
use super::ledger::transfers;
use super::messages::{BookClearingReversal, ClearingReversalBooked, Event};
use super::rule::Rule;
use super::state::Books;
use crate::checks;

impl Rule for BookClearingReversal {
    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        checks::sound(&self.amount)?;
        Ok(Event::ClearingReversalBooked(ClearingReversalBooked {
            account: books.address,
            reversal_id: self.reversal_id.clone(),
            clearing_id: self.clearing_id.clone(),
            hold_id: self.hold_id.clone(),
            amount: self.amount.clone(),
            transfers: transfers(&[(Settlement, Customer, self.amount.minor)]),
            at,
        }))
    }

    fn check(&self, books: &Books) -> Result<(), Rejection> {
        if books.held(&self.hold_id).has_captured(&self.amount) {
            return Ok(());
        }
        let detail =
            format!("of {} less than {} was claimed; book the clearing first", self.hold_id, self.amount);
        Err(Rejection::new("reversal_above_claimed", detail))
    }
}

impl Books {
    pub(super) fn clearing_reversed(&mut self, event: &ClearingReversalBooked) -> Option<()> {
        let Amount { minor, asset } = &event.amount;
        let mut held = self.held(&event.hold_id);
        held.taken_back(asset, *minor)?;
        self.become_held(&event.hold_id, &held)?;
        if held.is_over() {
            self.lowered_unmatched(&event.hold_id, &event.amount, Some(event.at));
        }
        Some(())
    }
}
