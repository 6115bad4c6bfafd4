//! Clearings: the card network's claim always posts, even beyond the hold and below zero, because the merchant was
//! paid.
//!
//! The part that a clearing takes from the hold must be there: a hold that was refused cannot be captured. The
//! customer pays and the network gets exactly what it claims, so nothing is left in settlement once it is paid. What our
//! own conversion would have made of it is information. Earlier versions booked the difference to the rounding account.

use clearfold_kernel::{Amount, ExternalId, Minor, Rejection, Timestamp};

use super::ledger::LedgerAccount::{Customer, Settlement};
use super::ledger::transfers;
use super::messages::{BookClearing, ClearingBooked, Event};
use super::rule::Rule;
use super::state::Books;
use crate::checks;
use crate::network::Residue;

impl Rule for BookClearing {
    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        let claimed = checks::fits(self.against_hold.plus(self.beyond_hold))?;
        checks::sound(&Amount { minor: claimed, asset: self.asset.clone() })?;
        self.residue_is_sound()?;
        Ok(Event::ClearingBooked(ClearingBooked {
            account: books.address,
            clearing_id: self.clearing_id.clone(),
            hold_id: self.hold_id.clone(),
            against_hold: self.against_hold,
            beyond_hold: self.beyond_hold,
            released: self.released,
            asset: self.asset.clone(),
            residue: self.residue,
            transfers: transfers(&[(Customer, Settlement, claimed)]),
            at,
        }))
    }

    fn check(&self, books: &Books) -> Result<(), Rejection> {
        let taken = checks::fits(self.against_hold.plus(self.released))?;
        books.can_use_up(&self.hold_id, &Amount { minor: taken, asset: self.asset.clone() })
    }
}

impl BookClearing {
    fn residue_is_sound(&self) -> Result<(), Rejection> {
        let Residue { over, under } = self.residue;
        if over == Minor::ZERO || under == Minor::ZERO {
            return Ok(());
        }
        let detail =
            format!("the claim is {over} below our conversion and {under} above it; it is one of the two");
        Err(Rejection::new("invalid_residue", detail))
    }
}

impl Books {
    /// Refuses a claim that uses up, and releases, more of a hold than is there.
    pub(super) fn can_use_up(&self, hold_id: &ExternalId, taken: &Amount) -> Result<(), Rejection> {
        if taken.minor == Minor::ZERO {
            return Ok(());
        }
        let held = self.placed(hold_id)?;
        checks::same_asset(&held.asset, &taken.asset)?;
        if taken.minor <= held.minor {
            return Ok(());
        }
        let detail = format!("{hold_id} holds {held}; {} minor units are more", taken.minor);
        Err(Rejection::new("hold_too_small", detail))
    }

    pub(super) fn clearing_booked(&mut self, event: &ClearingBooked) -> Option<()> {
        let taken = event.against_hold.plus(event.released).ok()?;
        let captured = event.against_hold.plus(event.beyond_hold).ok()?;
        let mut held = self.held(&event.hold_id);
        if taken > Minor::ZERO {
            held.lower(taken)?;
        }
        held.captured(&event.asset, captured)?;
        self.become_held(&event.hold_id, &held)?;
        self.ended_awaited(&event.hold_id);
        self.claimed_unmatched(event);
        Some(())
    }
}
