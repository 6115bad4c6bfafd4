//! Moves of clearings: one that was posted for a payment of its own becomes the claim to the hold that it belongs to, or
//! becomes its own again.
//!
//! The customer was debited when it was posted, so nothing is booked: at every moment it is the claim of one payment. The
//! hold ends as with every claim; on the way back what was used of it is held again, if the payment says so.

use clearfold_kernel::{Amount, Rejection, Timestamp};

use super::matching::Side;
use super::messages::{ClaimedOn, ClearingMoved, Event, MoveClearing};
use super::rule::Rule;
use super::state::Books;
use crate::checks;

impl Rule for MoveClearing {
    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        checks::sound(&self.amount)?;
        Ok(Event::ClearingMoved(ClearingMoved {
            account: books.address,
            posted_on: self.posted_on.clone(),
            payment_id: self.payment_id.clone(),
            clearing_id: self.clearing_id.clone(),
            link: self.link,
            to: self.to,
            amount: self.amount.clone(),
            against_hold: self.against_hold,
            released: self.released,
            held: self.held,
            at,
        }))
    }

    fn check(&self, books: &Books) -> Result<(), Rejection> {
        let from = match self.to {
            ClaimedOn::Payment => &self.posted_on,
            ClaimedOn::Origin => &self.payment_id,
        };
        if self.posted_on == self.payment_id || !books.held(from).has_captured(&self.amount) {
            let detail = format!("{from} has no claim of {} that could be moved; book it first", self.amount);
            return Err(Rejection::new("clearing_not_booked", detail));
        }
        let taken = checks::fits(self.against_hold.plus(self.released))?;
        if self.to == ClaimedOn::Payment {
            return books.can_use_up(&self.payment_id, &Amount { minor: taken, ..self.amount.clone() });
        }
        if self.held.is_zero() {
            return Ok(());
        }
        checks::same_asset(&books.placed(&self.payment_id)?.asset, &self.amount.asset)?;
        books.can_set_aside(&Amount { minor: self.held, ..self.amount.clone() }, true, false)
    }
}

impl Books {
    pub(super) fn clearing_moved(&mut self, event: &ClearingMoved) -> Option<()> {
        let Amount { minor, asset } = &event.amount;
        let (mut origin, mut payment) = (self.held(&event.posted_on), self.held(&event.payment_id));
        match event.to {
            ClaimedOn::Payment => {
                let taken = event.against_hold.plus(event.released).ok()?;
                if !taken.is_zero() {
                    payment.lower(taken)?;
                }
                origin.taken_back(asset, *minor)?;
                payment.captured(asset, *minor)?;
            }
            ClaimedOn::Origin => {
                if !event.held.is_zero() {
                    payment.stand(&Amount { minor: event.held, asset: asset.clone() })?;
                }
                payment.taken_back(asset, *minor)?;
                origin.captured(asset, *minor)?;
            }
        }
        self.become_held(&event.posted_on, &origin)?;
        self.become_held(&event.payment_id, &payment)?;
        self.ended_awaited(&event.payment_id);
        self.claim_moved_unmatched(event, payment.is_over());
        Some(())
    }

    /// A claim that moves is due for the payment that has it, and for no other.
    fn claim_moved_unmatched(&mut self, event: &ClearingMoved, is_over: bool) {
        let Amount { minor, asset } = event.amount.clone();
        match event.to {
            ClaimedOn::Payment => {
                self.voided_unmatched(&event.posted_on);
                self.unmatched.forget(&event.payment_id);
                let beyond = Amount { minor: minor.excess_over(event.against_hold), asset };
                self.asked_unmatched(Side::of(&event.payment_id, &beyond, event.at), &beyond);
            }
            ClaimedOn::Origin => {
                if is_over {
                    self.lowered_unmatched(&event.payment_id, &event.amount, Some(event.at));
                }
                self.asked_unmatched(Side::of(&event.posted_on, &event.amount, event.at), &event.amount);
            }
        }
    }
}
