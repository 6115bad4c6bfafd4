//! Holds: what is set aside for an authorization always counts against the available balance, until it is cleared,
//! reversed, expired or voided.
//!
//! Only a hold that is not forced can be refused: first in an asset that the account did not name at opening, then
//! while the delay queue is not empty, then for funds. A void that overtakes its hold leaves a tombstone, and the hold
//! that comes later does nothing.

use clearfold_kernel::{Amount, Asset, ExternalId, Minor, Rejection, Timestamp};
use serde::{Deserialize, Serialize};

use super::identity::{Identity, Kind};
use super::messages::{
    DelayQueue, Event, HoldLowered, HoldPlaced, HoldRaised, HoldVoided, LowerHold, PlaceHold, RaiseHold,
    VoidHold,
};
use super::rule::Rule;
use super::state::Books;
use crate::checks;

/// What has become of a hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Hold {
    /// It was placed; this much of it is left.
    Placed(Amount),
    /// It was placed and voided.
    Voided(Asset),
    /// It was voided before it came.
    Tombstone,
}

impl Hold {
    /// What it still holds, if anything.
    pub(super) fn remaining(&self) -> Option<Amount> {
        match self {
            Self::Placed(amount) if amount.minor > Minor::ZERO => Some(amount.clone()),
            _ => None,
        }
    }

    pub(super) fn held_of(&self, asset: &Asset) -> Option<Minor> {
        match self {
            Self::Placed(amount) if amount.asset == *asset => Some(amount.minor),
            _ => None,
        }
    }
}

impl Rule for PlaceHold {
    fn is_moot(&self, books: &Books) -> bool {
        let is_tombstone = matches!(books.holds.get(&self.hold_id), Some(Hold::Tombstone));
        !self.forced && (is_tombstone || books.is_forced(&self.hold_id))
    }

    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        checks::sound(&self.amount)?;
        Ok(Event::HoldPlaced(HoldPlaced {
            account: books.address,
            hold_id: self.hold_id.clone(),
            amount: self.amount.clone(),
            forced: self.forced,
            at,
        }))
    }

    fn check(&self, books: &Books) -> Result<(), Rejection> {
        // What a stand-in approved takes the place of a hold that was voided, never of one that stands.
        checks::repeated(self.hold_id.as_str(), &false, &books.placed(&self.hold_id).is_ok())?;
        books.can_set_aside(&self.amount, self.forced)
    }
}

impl Rule for RaiseHold {
    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        checks::sound(&self.amount)?;
        Ok(Event::HoldRaised(HoldRaised {
            account: books.address,
            hold_id: self.hold_id.clone(),
            change_id: self.change_id.clone(),
            amount: self.amount.clone(),
            forced: self.forced,
            at,
        }))
    }

    fn check(&self, books: &Books) -> Result<(), Rejection> {
        checks::same_asset(&books.placed(&self.hold_id)?.asset, &self.amount.asset)?;
        books.can_set_aside(&self.amount, self.forced)
    }
}

impl Rule for LowerHold {
    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        // A hold that was raised may be larger than what one command moves, and ends all the same.
        checks::moves(self.amount.min(Minor::LARGEST_AMOUNT))?;
        let asset = match books.holds.get(&self.hold_id) {
            Some(Hold::Placed(Amount { asset, .. }) | Hold::Voided(asset)) => asset.clone(),
            Some(Hold::Tombstone) | None => return Err(not_found(&self.hold_id)),
        };
        Ok(Event::HoldLowered(HoldLowered {
            account: books.address,
            hold_id: self.hold_id.clone(),
            change_id: self.change_id.clone(),
            amount: Amount { minor: self.amount, asset },
            cause: self.cause,
            at,
        }))
    }

    fn check(&self, books: &Books) -> Result<(), Rejection> {
        let held = books.placed(&self.hold_id)?;
        if self.amount <= held.minor {
            return Ok(());
        }
        let detail = format!("{} holds {held}; {} minor units are more", self.hold_id, self.amount);
        Err(Rejection::new("release_above_hold", detail))
    }
}

impl Rule for VoidHold {
    fn is_moot(&self, books: &Books) -> bool {
        let is_void = matches!(books.holds.get(&self.hold_id), Some(Hold::Voided(_) | Hold::Tombstone));
        is_void || books.is_forced(&self.hold_id)
    }

    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        Ok(Event::HoldVoided(HoldVoided {
            account: books.address,
            hold_id: self.hold_id.clone(),
            released: books.placed(&self.hold_id).ok().cloned(),
            at,
        }))
    }
}

impl Books {
    /// What a hold still holds, if it can be used at all.
    pub(super) fn placed(&self, hold_id: &ExternalId) -> Result<&Amount, Rejection> {
        match self.holds.get(hold_id) {
            Some(Hold::Placed(amount)) => Ok(amount),
            _ => Err(not_found(hold_id)),
        }
    }

    /// What cannot be refused cannot be voided either.
    fn is_forced(&self, hold_id: &ExternalId) -> bool {
        self.acts.contains(&Identity::new(Kind::ForcedHold, hold_id))
    }

    fn can_set_aside(&self, amount: &Amount, forced: bool) -> Result<(), Rejection> {
        let asset = &amount.asset;
        checks::fits(self.pending(asset).plus(amount.minor))?;
        if forced {
            return Ok(());
        }
        if !self.assets.contains(asset) {
            let detail = format!("the account {} was not opened for {}", self.address, asset.code);
            return Err(Rejection::new("asset_not_held", detail));
        }
        if self.delay_queue == DelayQueue::Waiting {
            let detail = "transactions wait in the delay module; what is there now may be gone soon";
            return Err(Rejection::new("delay_queue_not_empty", detail));
        }
        let available = self.available(asset);
        if available.covers(amount.minor) {
            return Ok(());
        }
        let detail = format!("{} minor units are more than the {available} that are available", amount.minor);
        Err(Rejection::new("insufficient_funds", detail))
    }

    pub(super) fn hold_placed(&mut self, event: &HoldPlaced) -> Option<()> {
        self.pending(&event.amount.asset).plus(event.amount.minor).ok()?;
        match self.holds.get(&event.hold_id) {
            None => {}
            Some(Hold::Voided(_) | Hold::Tombstone) if event.forced => {}
            Some(_) => return None,
        }
        self.holds.insert(event.hold_id.clone(), Hold::Placed(event.amount.clone()));
        Some(())
    }

    pub(super) fn hold_raised(&mut self, event: &HoldRaised) -> Option<()> {
        self.pending(&event.amount.asset).plus(event.amount.minor).ok()?;
        match self.holds.get_mut(&event.hold_id) {
            Some(Hold::Placed(held)) if held.asset == event.amount.asset => {
                held.minor = held.minor.plus(event.amount.minor).ok()?;
                Some(())
            }
            _ => None,
        }
    }

    pub(super) fn hold_lowered(&mut self, hold_id: &ExternalId, by: Minor) -> Option<()> {
        let Some(Hold::Placed(held)) = self.holds.get_mut(hold_id) else { return None };
        held.minor = held.minor.minus(by).ok()?;
        Some(())
    }

    pub(super) fn hold_voided(&mut self, event: &HoldVoided) -> Option<()> {
        let voided = match self.holds.get(&event.hold_id) {
            None => Hold::Tombstone,
            Some(Hold::Placed(held)) => Hold::Voided(held.asset.clone()),
            Some(Hold::Voided(_) | Hold::Tombstone) => return None,
        };
        self.holds.insert(event.hold_id.clone(), voided);
        Some(())
    }
}

fn not_found(hold_id: &ExternalId) -> Rejection {
    let detail = format!("{hold_id} holds nothing: it was never placed, was refused or was voided");
    Rejection::new("hold_not_found", detail)
}
