//! Suspense: a clearing that is probably a duplicate is owed to the network, but not charged to the customer until
//! somebody finds out. A refund that names no payment is in suspense as well, as far as it was credited: a withheld part
//! is credited only if the network pays.
//!
//! The resolution of a clearing always undoes its suspension, whatever the outcome. If it is charged, it is booked as
//! a clearing of its own, with its rounding and against what is held then. The two bookings may come in any order.

use clearfold_kernel::{ExternalId, Minor, Rejection, Timestamp};

use super::identity::{Fact, Identity, Kind};
use super::ledger::LedgerAccount::{Customer, Settlement, Suspense};
use super::ledger::transfers;
use super::messages::{
    ClearingSuspended, Event, RefundOutcome, RefundResolved, ResolveRefund, ResolveSuspense, SuspendClearing,
    SuspenseResolved,
};
use super::refund::Unlinked;
use super::rule::Rule;
use super::state::Books;
use crate::checks;

impl Rule for SuspendClearing {
    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        checks::sound(&self.amount)?;
        Ok(Event::ClearingSuspended(ClearingSuspended {
            account: books.address,
            clearing_id: self.clearing_id.clone(),
            amount: self.amount.clone(),
            transfers: transfers(&[(Suspense, Settlement, self.amount.minor)]),
            at,
            hold_id: self.hold_id.clone(),
        }))
    }
}

impl Rule for ResolveSuspense {
    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        // Earlier versions suspended a clearing without its payment.
        let scopes = self.hold_id.iter().map(Some).chain([None]);
        let suspended =
            |scope| match books.fact(&Identity::within(Kind::Suspension, scope, &self.clearing_id)) {
                Some(Fact::Suspended(amount)) => Some((scope.cloned(), amount)),
                _ => None,
            };
        let Some((hold_id, amount)) = scopes.into_iter().find_map(suspended) else {
            return Err(not_found("clearing", &self.clearing_id));
        };
        Ok(Event::SuspenseResolved(SuspenseResolved {
            account: books.address,
            clearing_id: self.clearing_id.clone(),
            outcome: self.outcome,
            transfers: transfers(&[(Settlement, Suspense, amount.minor)]),
            amount,
            at,
            hold_id,
        }))
    }
}

impl Rule for ResolveRefund {
    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        let Some(Fact::Unlinked(known)) = books.fact(&Identity::new(Kind::Refund, &self.refund_id)) else {
            return Err(not_found("refund", &self.refund_id));
        };
        let credited = known.credited();
        let Unlinked { amount, withheld, .. } = known;
        let is_told_later = books.is_told_later(&self.refund_id);
        // The refund that the network told of later was not credited, because this one was.
        let told = if is_told_later { amount.minor } else { Minor::ZERO };
        let transfers = match self.outcome {
            RefundOutcome::Matched if !is_told_later => transfers(&[(Customer, Suspense, credited)]),
            RefundOutcome::Paid | RefundOutcome::Matched => {
                transfers(&[(Settlement, Suspense, credited), (Settlement, Customer, withheld)])
            }
            // A pull does not debit the customer's claim, so its return credits nothing.
            RefundOutcome::TakenBack | RefundOutcome::Returned => {
                transfers(&[(Customer, Suspense, credited), (Settlement, Customer, told)])
            }
        };
        Ok(Event::RefundResolved(RefundResolved {
            account: books.address,
            refund_id: self.refund_id.clone(),
            outcome: self.outcome,
            amount,
            withheld,
            payment_id: self.payment_id.clone(),
            transfers,
            at,
        }))
    }
}

fn not_found(what: &str, id: &ExternalId) -> Rejection {
    Rejection::new("suspense_not_found", format!("the {what} {id} was never in suspense"))
}
