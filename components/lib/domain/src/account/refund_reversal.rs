//! Reversals of refunds: the network takes back what it paid for the customer, who has as much less. What was paid out on
//! chain for it stays in the Safe.
//!
//! A match with the refund on chain ([`refund_match`](super::refund_match)) stays as well: that is still the payout of this
//! refund, and credits nothing besides. One that is not matched waits for the payout of what is left.

use clearfold_kernel::{Rejection, Timestamp};

use super::identity::{Identity, Kind};
use super::ledger::LedgerAccount::{Customer, Settlement};
use super::ledger::transfers;
use super::messages::{BookRefundReversal, Event, RefundReversalBooked};
use super::rule::Rule;
use super::state::Books;
use crate::checks;

impl Rule for BookRefundReversal {
    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        checks::sound(&self.amount)?;
        Ok(Event::RefundReversalBooked(RefundReversalBooked {
            account: books.address,
            reversal_id: self.reversal_id.clone(),
            refund_id: self.refund_id.clone(),
            reported_on: self.reported_on.clone(),
            amount: self.amount.clone(),
            transfers: transfers(&[(Customer, Settlement, self.amount.minor)]),
            at,
        }))
    }

    fn check(&self, books: &Books) -> Result<(), Rejection> {
        if books.has(&Identity::new(Kind::Refund, &self.refund_id)) {
            return Ok(());
        }
        let detail = format!("the refund {} was never booked; book it first", self.refund_id);
        Err(Rejection::new("suspense_not_found", detail))
    }
}
