//! Receivables: amounts that the customer owes because they could not be pulled, and their recovery.

use clearfold_kernel::{Amount, ExternalId, Rejection, Timestamp};

use super::ledger::LedgerAccount::{Customer, Receivable};
use super::ledger::transfers;
use super::messages::{BookReceivable, Event, ReceivableBooked, ReceivableRecovered, RecoverReceivable};
use super::rule::Rule;
use super::state::Books;
use crate::checks;

impl Rule for BookReceivable {
    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        checks::sound(&self.amount)?;
        Ok(Event::ReceivableBooked(ReceivableBooked {
            account: books.address,
            receivable_id: self.receivable_id.clone(),
            amount: self.amount.clone(),
            transfers: transfers(&[(Receivable, Customer, self.amount.minor)]),
            at,
        }))
    }
}

impl Rule for RecoverReceivable {
    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        checks::sound(&self.amount)?;
        Ok(Event::ReceivableRecovered(ReceivableRecovered {
            account: books.address,
            recovery_id: self.recovery_id.clone(),
            receivable_id: self.receivable_id.clone(),
            amount: self.amount.clone(),
            transfers: transfers(&[(Customer, Receivable, self.amount.minor)]),
            at,
        }))
    }

    fn check(&self, books: &Books) -> Result<(), Rejection> {
        let Some(owed) = books.owed(&self.receivable_id) else {
            let detail = format!("nothing was booked as the receivable {}", self.receivable_id);
            return Err(Rejection::new("receivable_not_found", detail));
        };
        checks::same_asset(&owed.asset, &self.amount.asset)?;
        if self.amount.minor <= owed.minor {
            return Ok(());
        }
        let detail = format!("of {} {owed} are still owed; {} are more", self.receivable_id, self.amount);
        Err(Rejection::new("recovery_above_receivable", detail))
    }
}

impl Books {
    pub(super) fn receivable_booked(&mut self, event: &ReceivableBooked) {
        self.entries.set(&owed_key(&event.receivable_id), &event.amount);
    }

    pub(super) fn receivable_recovered(&mut self, event: &ReceivableRecovered) -> Option<()> {
        let mut owed = self.owed(&event.receivable_id)?;
        owed.minor = owed.minor.minus(event.amount.minor).ok()?;
        self.entries.set(&owed_key(&event.receivable_id), &owed);
        Some(())
    }

    /// Returns what is still owed of a receivable.
    fn owed(&self, receivable_id: &ExternalId) -> Option<Amount> {
        self.entries.get(&owed_key(receivable_id))
    }
}

/// Key of the entry that keeps what is still owed of a receivable.
pub(super) fn owed_key(receivable_id: &ExternalId) -> String {
    format!("owed/{receivable_id}")
}
