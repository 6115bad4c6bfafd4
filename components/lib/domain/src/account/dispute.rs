//! Disputes: a provisional credit comes out of suspense, and the outcome decides who pays for it. A dispute may be
//! won in part: then the network pays that part, and the customer gives back the rest of the credit. What the network
//! moves in the cycles of a dispute is in [`dispute_money`](super::dispute_money).
//!
//! A dispute has one amount, at most one provisional credit and one outcome. Its id is unique only within its
//! payment, so everything about it is keyed by the payment's id as well.

use std::fmt::Display;

use clearfold_kernel::{ExternalId, Minor, Rejection, Timestamp};

use super::identity::{Fact, Identity, Kind};
use super::messages::{BookDispute, DisputeBooked, DisputeStep, Event};
use super::rule::Rule;
use super::state::Books;
use crate::checks;

impl Rule for BookDispute {
    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        checks::sound(&self.amount)?;
        self.check_award()?;
        let before = books.disputed(&self.hold_id, &self.dispute_id);
        let after = before.clone().decided(self.step, self.amount.minor, self.awarded);
        Ok(Event::DisputeBooked(DisputeBooked {
            account: books.address,
            hold_id: self.hold_id.clone(),
            dispute_id: self.dispute_id.clone(),
            step: self.step,
            amount: self.amount.clone(),
            awarded: self.awarded,
            transfers: checks::fits(before.transfers_to(&after))?,
            at,
        }))
    }

    fn check(&self, books: &Books) -> Result<(), Rejection> {
        for kind in [Kind::ProvisionalCredit, Kind::DisputeOutcome] {
            if let Some(Fact::Disputed(disputed)) = books.fact(&self.identity(kind)) {
                checks::repeated(self.dispute_id.as_str(), &disputed, &self.amount)?;
            }
        }
        books.disputed(&self.hold_id, &self.dispute_id).check_asset(&self.amount.asset)?;
        if self.step == DisputeStep::Provisional && books.has(&self.identity(Kind::DisputeOutcome)) {
            let detail = format!("the dispute {} has been won or lost", self.dispute_id);
            return Err(Rejection::new("dispute_closed", detail));
        }
        Ok(())
    }
}

impl BookDispute {
    /// Refuses an award that exceeds what is disputed, or of a dispute that was not won.
    fn check_award(&self) -> Result<(), Rejection> {
        let Some(awarded) = self.awarded else { return Ok(()) };
        checks::moves(awarded)?;
        if self.step == DisputeStep::Won && awarded <= self.amount.minor {
            return Ok(());
        }
        let detail = format!("{awarded} minor units of {} cannot be awarded", self.amount);
        Err(Rejection::new("award_exceeds_dispute", detail))
    }

    pub(super) fn identity(&self, kind: Kind) -> Identity {
        Identity::new(kind, &dispute_key(&self.hold_id, &self.dispute_id))
    }
}

impl DisputeBooked {
    /// Part of the disputed amount that the customer gets if the dispute is won; all of it if the event names no part.
    #[must_use]
    pub fn awarded(&self) -> Minor {
        self.awarded.unwrap_or(self.amount.minor)
    }

    /// Key of the dispute, unique within the account.
    pub(crate) fn key(&self) -> String {
        dispute_key(&self.hold_id, &self.dispute_id)
    }
}

/// Key of a payment's dispute, unique within the account.
pub(crate) fn dispute_key(hold_id: &(impl Display + ?Sized), dispute_id: &ExternalId) -> String {
    format!("{hold_id}/{dispute_id}")
}
