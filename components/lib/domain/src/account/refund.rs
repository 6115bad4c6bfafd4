//! Refunds: the customer is credited at once. The network pays if the payment is known; if not, suspense pays until
//! somebody finds out ([`suspense`](super::suspense)).
//!
//! The authorization decides whether a linked refund exceeds what its payment captured, because it knows the
//! captures.

use clearfold_kernel::{Minor, Rejection, Timestamp};

use super::ledger::LedgerAccount::{Customer, Hold, Safe, Settlement, Suspense};
use super::ledger::transfers;
use super::messages::{BookRefund, Event, RefundBooked, RefundLink};
use super::rule::Rule;
use super::state::Books;
use crate::checks;

impl Rule for BookRefund {
    fn is_seen_on_chain(&self) -> bool {
        self.source.is_some()
    }

    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        checks::sound(&self.amount)?;
        let minor = self.amount.minor;
        let payer = match self.link {
            RefundLink::Linked => Settlement,
            RefundLink::Unlinked => Suspense,
        };
        let on_chain = if self.source.is_some() { minor } else { Minor::ZERO };
        Ok(Event::RefundBooked(RefundBooked {
            account: books.address,
            refund_id: self.refund_id.clone(),
            amount: self.amount.clone(),
            link: self.link,
            source: self.source.clone(),
            transfers: transfers(&[(payer, Customer, minor), (Safe, Hold, on_chain)]),
            at,
        }))
    }
}
