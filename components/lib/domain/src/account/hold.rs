//! Holds: an amount set aside for an authorization reduces the available balance until it is cleared, reversed,
//! expired or voided.
//!
//! Only a hold that is not forced can be refused: first for an asset that is not among the account's, then
//! for a delay queue that is not empty, then for funds; and before all that for a reversal that came first ([`asked`](super::asked)). A void that overtakes its hold leaves a tombstone, which
//! makes the later hold a no-op.

use clearfold_kernel::{Amount, Asset, ExternalId, Minor, Rejection, Timestamp};
use serde::{Deserialize, Serialize};

use super::held::Held;
use super::identity::{Fact, Identity, Kind};
use super::ledger::Net;
use super::messages::{
    DelayQueue, Event, HoldLowered, HoldPlaced, HoldRaised, HoldVoided, LowerHold, PlaceHold, RaiseHold,
    VoidHold,
};
use super::rule::Rule;
use super::state::Books;
use crate::checks;

/// Code of the refusal for lack of funds.
const INSUFFICIENT: &str = "insufficient_funds";
/// Code of the refusal of a hold of which a part would do, and only a part is available.
const ONLY_PART: &str = "only_part_available";

/// Refuses a hold of which only a part is available. The detail is that amount, in minor units and digits alone:
/// [`available_part`] reads it.
fn only_part(available: Minor) -> Rejection {
    Rejection::new(ONLY_PART, available.to_string())
}

/// Returns the amount that is available by a refusal of a hold; none if the refusal is another one.
pub(crate) fn available_part(refused: &Rejection) -> Option<Minor> {
    if refused.code != ONLY_PART {
        return None;
    }
    refused.detail.parse().ok()
}

/// State of a hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Hold {
    /// Placed; the amount is what is left of it.
    Placed(Amount),
    /// Placed, then voided.
    Voided(Asset),
    /// Voided before it was placed.
    Tombstone,
}

impl Hold {
    /// Returns what is still held, if anything.
    pub(super) fn remaining(&self) -> Option<&Amount> {
        match self {
            Self::Placed(amount) if amount.minor > Minor::ZERO => Some(amount),
            _ => None,
        }
    }
}

impl Rule for PlaceHold {
    fn is_request(&self) -> bool {
        !self.forced
    }

    fn is_moot(&self, books: &Books) -> bool {
        let is_tombstone = matches!(books.held(&self.hold_id).hold, Some(Hold::Tombstone));
        !self.forced && (is_tombstone || books.is_forced(&self.hold_id))
    }

    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        checks::sound(&self.amount)?;
        Ok(Event::HoldPlaced(HoldPlaced {
            account: books.address,
            hold_id: self.hold_id.clone(),
            amount: self.amount.clone(),
            forced: self.forced,
            spent_at: None,
            spend_id: self.spend(books),
            at,
            asked_by: self.asked_by.clone(),
            purchase: self.purchase.clone(),
        }))
    }

    fn check(&self, books: &Books) -> Result<(), Rejection> {
        // A hold that a stand-in approved may replace one that was voided, never one that still stands.
        checks::repeated(self.hold_id.as_str(), &false, &books.placed(&self.hold_id).is_ok())?;
        self.unless_reversed(books)?;
        let is_held = self.spend(books).is_some();
        if is_held && self.unless_spent {
            return Err(books.spent_before(&self.hold_id, &self.amount));
        }
        books.can_set_aside(&self.amount, self.forced, is_held).map_err(|refused| {
            let available = books.available(&self.amount.asset);
            let is_part = self.partial && refused.code == INSUFFICIENT && available.covers(Minor::new(1));
            if is_part { only_part(Net::magnitude(available)) } else { refused }
        })
    }
}

impl PlaceHold {
    /// Returns the `Spend` whose money this is, if the chain showed it before the network asked.
    fn spend(&self, books: &Books) -> Option<ExternalId> {
        let known = Identity::new(Kind::Hold, &self.hold_id);
        books.spend_of_request(self.forced, &known, &self.hold_id, &self.amount)
    }
}

impl Rule for RaiseHold {
    fn is_request(&self) -> bool {
        !self.forced
    }

    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        checks::sound(&self.amount)?;
        Ok(Event::HoldRaised(HoldRaised {
            account: books.address,
            hold_id: self.hold_id.clone(),
            change_id: self.change_id.clone(),
            amount: self.amount.clone(),
            forced: self.forced,
            at,
            spend_id: self.spend(books),
        }))
    }

    fn check(&self, books: &Books) -> Result<(), Rejection> {
        checks::same_asset(&books.placed(&self.hold_id)?.asset, &self.amount.asset)?;
        books.can_set_aside(&self.amount, self.forced, self.spend(books).is_some())
    }
}

impl RaiseHold {
    /// Returns the `Spend` whose money this is, if the chain showed it before the network asked for more.
    fn spend(&self, books: &Books) -> Option<ExternalId> {
        let known = Identity::of_hold(Kind::Raise, &self.hold_id, &self.change_id);
        books.spend_of_request(self.forced, &known, &self.hold_id, &self.amount)
    }
}

impl Rule for LowerHold {
    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        // A raised hold may exceed the largest amount that one command may move, and must be released all the same.
        checks::moves(self.amount.min(Minor::LARGEST_AMOUNT))?;
        let asset = match books.held(&self.hold_id).hold {
            Some(Hold::Placed(Amount { asset, .. }) | Hold::Voided(asset)) => asset,
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
        let is_void = matches!(books.held(&self.hold_id).hold, Some(Hold::Voided(_) | Hold::Tombstone));
        is_void || books.is_forced(&self.hold_id)
    }

    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        Ok(Event::HoldVoided(HoldVoided {
            account: books.address,
            hold_id: self.hold_id.clone(),
            released: books.placed(&self.hold_id).ok(),
            at,
        }))
    }
}

impl Books {
    /// Returns the `Spend` whose money is asked for; none if what is forced takes none. A repeat names the one that was named
    /// at first, whatever is there by then.
    fn spend_of_request(
        &self,
        forced: bool,
        known: &Identity,
        hold_id: &ExternalId,
        amount: &Amount,
    ) -> Option<ExternalId> {
        if forced {
            return None;
        }
        match self.fact(known) {
            Some(Fact::HeldBy(spend_id)) => Some(spend_id),
            _ if self.has(known) => None,
            _ => self.spend_of(hold_id, amount),
        }
    }

    /// Returns what is left of a hold. Fails if it was never placed or was voided.
    pub(super) fn placed(&self, hold_id: &ExternalId) -> Result<Amount, Rejection> {
        match self.held(hold_id).hold {
            Some(Hold::Placed(amount)) => Ok(amount),
            _ => Err(not_found(hold_id)),
        }
    }

    /// Returns true if the hold was forced. Such a hold cannot be refused, so it cannot be voided either.
    fn is_forced(&self, hold_id: &ExternalId) -> bool {
        self.has(&Identity::new(Kind::ForcedHold, hold_id))
    }

    /// Refuses what cannot be set aside. The amount that is held already, by the `Spend` of the same payment, has left the
    /// Safe: neither what is available nor what waits there matters to it.
    pub(super) fn can_set_aside(
        &self,
        amount: &Amount,
        forced: bool,
        is_held: bool,
    ) -> Result<(), Rejection> {
        let asset = &amount.asset;
        checks::fits(self.pending(asset).plus(amount.minor))?;
        if forced {
            return Ok(());
        }
        if !self.assets.contains(asset) {
            let detail = format!("{} is not among the assets of the account {}", asset.code, self.address);
            return Err(Rejection::new("asset_not_held", detail));
        }
        if is_held {
            return Ok(());
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
        Err(Rejection::new(INSUFFICIENT, detail))
    }

    pub(super) fn hold_placed(&mut self, event: &HoldPlaced) -> Option<()> {
        let mut held = self.held(&event.hold_id);
        match held.hold {
            None => {}
            Some(Hold::Voided(_) | Hold::Tombstone) if event.forced => {}
            Some(_) => return None,
        }
        let is_pulled = held.has_pulled(&event.amount);
        held.hold = Some(Hold::Placed(event.amount.clone()));
        self.become_held(&event.hold_id, &held)?;
        self.placed_for_request(event);
        self.placed_awaited(event);
        self.placed_unmatched(event, is_pulled);
        Some(())
    }

    pub(super) fn hold_raised(&mut self, event: &HoldRaised) -> Option<()> {
        let mut held = self.held(&event.hold_id);
        let amount = held.placed_mut().filter(|held| held.asset == event.amount.asset)?;
        amount.minor = amount.minor.plus(event.amount.minor).ok()?;
        self.become_held(&event.hold_id, &held)?;
        self.raised_awaited(&event.hold_id, event.amount.minor);
        self.raised_unmatched(event);
        Some(())
    }

    pub(super) fn hold_lowered(&mut self, event: &HoldLowered) -> Option<()> {
        let mut held = self.held(&event.hold_id);
        held.lower(event.amount.minor)?;
        self.become_held(&event.hold_id, &held)?;
        self.lowered_awaited(&event.hold_id, event.amount.minor);
        let is_all = held.hold.as_ref().and_then(Hold::remaining).is_none();
        self.lowered_unmatched(&event.hold_id, &event.amount, is_all.then_some(event.at));
        Some(())
    }

    pub(super) fn hold_voided(&mut self, event: &HoldVoided) -> Option<()> {
        let mut held = self.held(&event.hold_id);
        held.hold = Some(match held.hold {
            None => Hold::Tombstone,
            Some(Hold::Placed(amount)) => Hold::Voided(amount.asset),
            Some(Hold::Voided(_) | Hold::Tombstone) => return None,
        });
        self.become_held(&event.hold_id, &held)?;
        self.ended_awaited(&event.hold_id);
        self.voided_unmatched(&event.hold_id);
        Some(())
    }
}

impl Held {
    /// Lowers what is left of the hold. Returns `None` if less is left, or nothing was placed.
    pub(super) fn lower(&mut self, by: Minor) -> Option<()> {
        let amount = self.placed_mut()?;
        amount.minor = amount.minor.minus(by).ok()?;
        Some(())
    }

    /// Holds an amount again, in addition to what is left.
    pub(super) fn stand(&mut self, amount: &Amount) -> Option<()> {
        if let Some(held) = self.placed_mut() {
            held.minor = held.minor.plus(amount.minor).ok()?;
        } else {
            self.hold = Some(Hold::Placed(amount.clone()));
        }
        Some(())
    }

    fn placed_mut(&mut self) -> Option<&mut Amount> {
        match &mut self.hold {
            Some(Hold::Placed(amount)) => Some(amount),
            _ => None,
        }
    }
}

fn not_found(hold_id: &ExternalId) -> Rejection {
    let detail = format!("{hold_id} holds nothing: it was never placed, was refused or was voided");
    Rejection::new("hold_not_found", detail)
}
