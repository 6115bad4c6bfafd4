//! Refunds: the customer is credited at once. The network pays if the payment is known; if not, suspense pays until
//! somebody finds out ([`suspense`](super::suspense)).
//!
//! Pulled money that is sent back looks like an unlinked refund on chain, but is no credit, because a pull debits
//! nothing of the customer's claim. So an unlinked refund on chain is withheld up to the amount that is owed back for
//! pulls, as far as no earlier one is withheld for it. What is withheld is credited only if the refund turns out to be
//! none of it.
//!
//! The authorization decides whether a linked refund exceeds what its payment captured, because it knows the
//! captures.

use clearfold_kernel::{Amount, Asset, Minor, Rejection, Timestamp};
use serde::{Deserialize, Serialize};

use super::held::set;
use super::identity::{Fact, Identity, Kind};
use super::ledger::LedgerAccount::{Customer, Hold, Safe, Settlement, Suspense};
use super::ledger::transfers;
use super::messages::{BookRefund, Event, RefundBooked, RefundLink, RefundOutcome, RefundResolved, Returned};
use super::rule::Rule;
use super::state::Books;
use crate::checks;

/// Refund that names no payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unlinked {
    /// Refunded amount, which is or was in suspense without its withheld part.
    pub amount: Amount,
    /// Part of the amount that is withheld.
    pub withheld: Minor,
}

impl Rule for BookRefund {
    fn is_seen_on_chain(&self) -> bool {
        self.source.is_some()
    }

    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        checks::sound(&self.amount)?;
        let minor = self.amount.minor;
        let withheld = self.withheld(books);
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
            withheld,
            transfers: transfers(&[(payer, Customer, minor.excess_over(withheld)), (Safe, Hold, on_chain)]),
            at,
        }))
    }
}

impl BookRefund {
    /// Returns the part that is withheld. A repeat withholds what was withheld at first, whatever is owed back by then.
    fn withheld(&self, books: &Books) -> Minor {
        if self.link == RefundLink::Linked || self.source.is_none() {
            return Minor::ZERO;
        }
        let withheld = match books.fact(&Identity::new(Kind::Refund, &self.refund_id)) {
            Some(Fact::Unlinked(known)) => known.withheld,
            _ => books.withholdable(&self.amount.asset),
        };
        withheld.min(self.amount.minor)
    }
}

impl Books {
    /// Returns what is owed back and did not come back yet.
    fn withholdable(&self, asset: &Asset) -> Minor {
        self.owed_back(asset).excess_over(self.unassigned(asset))
    }

    /// Counts a return that names no payment against what is owed back.
    pub(super) fn returned(&mut self, event: &Returned) -> Option<()> {
        let Amount { minor, asset } = &event.amount;
        let unassigned = self.unassigned(asset).plus(*minor).ok()?;
        set(&mut self.unassigned, &asset.code, unassigned);
        Some(())
    }

    pub(super) fn refund_booked(&mut self, event: &RefundBooked) -> Option<()> {
        let Amount { asset, .. } = &event.amount;
        let unassigned = self.unassigned(asset).plus(event.withheld).ok()?;
        set(&mut self.unassigned, &asset.code, unassigned);
        Some(())
    }

    /// Ends the withholding. A return is taken off the payment that is named, as far as its money is kept; the rest goes
    /// on counting against what is owed back, and so does the whole amount if no payment is named.
    pub(super) fn refund_resolved(&mut self, event: &RefundResolved) -> Option<()> {
        let Amount { minor, asset } = &event.amount;
        let mut unassigned = self.unassigned(asset).minus(event.withheld).ok()?;
        match (event.outcome, &event.payment_id) {
            (RefundOutcome::Returned, Some(payment_id)) => {
                let mut held = self.held(payment_id);
                unassigned = unassigned.plus(held.returned(asset, *minor)?).ok()?;
                self.become_held(payment_id, &held)?;
            }
            (RefundOutcome::Returned, None) => unassigned = unassigned.plus(*minor).ok()?,
            (RefundOutcome::Paid | RefundOutcome::TakenBack, _) => {}
        }
        set(&mut self.unassigned, &asset.code, unassigned);
        Some(())
    }
}
