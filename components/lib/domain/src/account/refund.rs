//! Refunds: the customer is credited at once. The network pays if the payment is known; if not, suspense pays until
//! somebody finds out ([`suspense`](super::suspense)).
//!
//! Pulled money that is sent back looks like an unlinked refund on chain, but is no credit, because a pull debits
//! nothing of the customer's claim. So an unlinked refund on chain is withheld up to the amount that is owed back for
//! pulls, as far as no earlier one is withheld for it. What is withheld is credited only if the refund turns out to be
//! none of it.
//!
//! A refund that was reported before, by the network or on chain, is credited already ([`refund_match`](super::refund_match)).
//!
//! A return is assigned by the payment whose money came back: it counts what it keeps, and the account takes as much off
//! it. So both say the same, whatever is booked before and what later.
//!
//! The authorization decides whether a linked refund exceeds what its payment captured, because it knows the
//! captures.

use clearfold_kernel::{Amount, Asset, ExternalId, Minor, Rejection, Timestamp};
use serde::{Deserialize, Serialize};

use super::held::set;
use super::identity::{Fact, Identity, Kind};
use super::ledger::LedgerAccount::{Customer, Hold, Safe, Settlement, Suspense};
use super::ledger::transfers;
use super::messages::{
    AssignReturn, BookRefund, Event, RefundBooked, RefundLink, RefundOutcome, RefundResolved, ReturnAssigned,
    Returned,
};
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
    /// Authorization whose stream reports it, if it is known.
    pub reported_on: Option<ExternalId>,
    /// Payment whose refund it is: the network had told of it, so nothing of it is credited or withheld.
    pub payment_id: Option<ExternalId>,
}

impl Unlinked {
    /// Returns the part that was credited.
    pub(super) fn credited(&self) -> Minor {
        if self.payment_id.is_some() { Minor::ZERO } else { self.amount.minor.excess_over(self.withheld) }
    }
}

impl Rule for BookRefund {
    fn is_seen_on_chain(&self) -> bool {
        self.source.is_some()
    }

    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        checks::sound(&self.amount)?;
        let minor = self.amount.minor;
        let matched = books.report_before(self, at);
        let is_credited = matched.is_none();
        let withheld = if is_credited { self.withheld(books) } else { Minor::ZERO };
        let credited = if is_credited { minor.excess_over(withheld) } else { Minor::ZERO };
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
            reported_on: self.reported_on.clone(),
            matched,
            withheld,
            transfers: transfers(&[(payer, Customer, credited), (Safe, Hold, on_chain)]),
            at,
        }))
    }
}

impl BookRefund {
    /// Returns the part that is withheld.
    fn withheld(&self, books: &Books) -> Minor {
        if self.link == RefundLink::Linked || self.source.is_none() {
            return Minor::ZERO;
        }
        books.withholdable(&self.amount.asset).min(self.amount.minor)
    }
}

impl Rule for AssignReturn {
    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        checks::sound(&self.amount)?;
        Ok(Event::ReturnAssigned(ReturnAssigned {
            account: books.address,
            refund_id: self.refund_id.clone(),
            hold_id: self.hold_id.clone(),
            amount: self.amount.clone(),
            at,
        }))
    }

    fn check(&self, books: &Books) -> Result<(), Rejection> {
        let resolution = Identity::new(Kind::RefundResolution, &self.refund_id);
        let Some(Fact::CameBack(known)) = books.fact(&resolution) else {
            let detail = format!(
                "the refund {} was not resolved as a return that its payment counts; resolve it first",
                self.refund_id
            );
            return Err(Rejection::new("suspense_not_found", detail));
        };
        checks::same_asset(&known.asset, &self.amount.asset)?;
        if self.amount.minor > known.minor {
            let detail = format!("{} of the refund {} of {known} is assigned", self.amount, self.refund_id);
            return Err(Rejection::new("return_above_refund", detail));
        }
        Ok(())
    }
}

impl RefundResolved {
    /// Returns true if it is a return that was taken off no payment when it was resolved.
    pub(super) fn is_unassigned(&self) -> bool {
        self.outcome == RefundOutcome::Returned && self.payment_id.is_none()
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
        self.reported(event);
        Some(())
    }

    /// Ends the withholding. A return counts against what is owed back until its payment has counted it. In events of
    /// earlier versions it is taken off the payment at once, as far as its money is kept by then; the rest goes on
    /// counting.
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
            (RefundOutcome::Paid | RefundOutcome::TakenBack | RefundOutcome::Matched, _) => {}
        }
        set(&mut self.unassigned, &asset.code, unassigned);
        self.report_resolved(event);
        Some(())
    }

    /// Takes a return off its payment. The payment counted it by its own legs, so the account counts the same, also if it
    /// has not booked them yet.
    pub(super) fn return_assigned(&mut self, event: &ReturnAssigned) -> Option<()> {
        let Amount { minor, asset } = &event.amount;
        let unassigned = self.unassigned(asset).minus(*minor).ok()?;
        let mut held = self.held(&event.hold_id);
        held.came_back(asset, *minor)?;
        self.become_held(&event.hold_id, &held)?;
        set(&mut self.unassigned, &asset.code, unassigned);
        Some(())
    }
}
