//! Settlement: money paid to the network leaves the hold account, and money that it gives back enters it.

use clearfold_kernel::{Rejection, Timestamp};

use super::ledger::LedgerAccount::{Hold, Settlement};
use super::ledger::transfers;
use super::messages::{Event, RecordSettlement, SettlementBooked, SettlementDirection};
use super::rule::Rule;
use super::state::Books;
use crate::checks;

impl Rule for RecordSettlement {
    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        checks::sound(&self.amount)?;
        let (debit, credit) = match self.direction {
            SettlementDirection::Paid => (Settlement, Hold),
            SettlementDirection::Received => (Hold, Settlement),
        };
        Ok(Event::SettlementBooked(SettlementBooked {
            account: books.address,
            settlement_id: self.settlement_id.clone(),
            direction: self.direction,
            amount: self.amount.clone(),
            transfers: transfers(&[(debit, credit, self.amount.minor)]),
            at,
        }))
    }
}
