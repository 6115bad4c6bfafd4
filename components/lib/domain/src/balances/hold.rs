//! Changes of holds: placed, raised and lowered, and the reason for which a hold ended once nothing is left of it.

use clearfold_kernel::{Amount, Asset, ExternalId, Minor, MoneyError, Timestamp};

use super::tables::Hold;
use super::{Seen, balance};
use crate::account::{ClaimedOn, Event, FundedBy, LowerCause};
use crate::projecting::{Misfit, Rows, lowered, raised, words};

/// Status of a hold. A hold of which nothing is left can be raised again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HoldStatus {
    Held,
    Cleared,
    Reversed,
    Expired,
    Voided,
    /// Ended as the hold of another payment.
    Linked,
}

words!(HoldStatus {
    Held = "held",
    Cleared = "cleared",
    Reversed = "reversed",
    Expired = "expired",
    Voided = "voided",
    Linked = "linked",
});

/// Effect of one event on a hold.
pub(super) struct HoldChange<'a> {
    pub hold_id: &'a ExternalId,
    pub asset: &'a Asset,
    minor: Minor,
    step: Step,
}

enum Step {
    Placed {
        at: Timestamp,
    },
    Raised,
    /// Lowered; the status applies if nothing is left.
    Lowered(HoldStatus),
}

impl<'a> HoldChange<'a> {
    /// Returns the effect of an event; `None` if it changes no hold.
    pub(super) fn of(event: &'a Event) -> Result<Option<Self>, MoneyError> {
        Ok(match event {
            Event::HoldPlaced(event) => {
                Some(Self::by(&event.hold_id, &event.amount, Step::Placed { at: event.at }))
            }
            Event::HoldRaised(event) => Some(Self::by(&event.hold_id, &event.amount, Step::Raised)),
            Event::HoldLowered(event) => {
                let ended = match event.cause {
                    LowerCause::Reversed => HoldStatus::Reversed,
                    LowerCause::Expired => HoldStatus::Expired,
                };
                Some(Self::by(&event.hold_id, &event.amount, Step::Lowered(ended)))
            }
            // A tombstone stands for a hold that was never placed, and a hold that is used up has ended before.
            Event::HoldVoided(event) => {
                let released = event.released.as_ref().filter(|amount| amount.minor > Minor::ZERO);
                released.map(|amount| Self::by(&event.hold_id, amount, Step::Lowered(HoldStatus::Voided)))
            }
            Event::ClearingBooked(event) => {
                let (hold_id, asset) = (&event.hold_id, &event.asset);
                let minor = event.against_hold.plus(event.released)?;
                let step = Step::Lowered(HoldStatus::Cleared);
                (minor > Minor::ZERO).then_some(Self { hold_id, asset, minor, step })
            }
            // The part of the hold that a claim uses up, or that is held again when it is given up.
            Event::ClearingMoved(event) => {
                let (hold_id, asset) = (&event.payment_id, &event.amount.asset);
                let (minor, step) = match event.to {
                    ClaimedOn::Payment => {
                        (event.against_hold.plus(event.released)?, Step::Lowered(HoldStatus::Cleared))
                    }
                    ClaimedOn::Origin => (event.held, Step::Raised),
                };
                (minor > Minor::ZERO).then_some(Self { hold_id, asset, minor, step })
            }
            Event::FundingMoved(event) if event.held > Minor::ZERO => {
                let (hold_id, asset) = (&event.spend_id, &event.amount.asset);
                let step = match event.to {
                    FundedBy::Payment => Step::Lowered(HoldStatus::Linked),
                    FundedBy::Spend => Step::Placed { at: event.at },
                };
                Some(Self { hold_id, asset, minor: event.held, step })
            }
            _ => None,
        })
    }

    const fn by(hold_id: &'a ExternalId, amount: &'a Amount, step: Step) -> Self {
        Self { hold_id, asset: &amount.asset, minor: amount.minor, step }
    }
}

pub(super) fn change(rows: &mut Rows, seen: &Seen, change: &HoldChange) -> Result<(), Misfit> {
    let (account, updated_at) = (seen.id.to_owned(), seen.recorded.recorded_at);
    let mut balance = balance(rows, seen, change.asset)?;
    let key = Hold::key(&account, change.hold_id);
    let mut hold = match change.step {
        Step::Placed { at } => Hold::placed(account, change, at),
        Step::Raised | Step::Lowered(_) => rows.existing(&key)?,
    };
    hold.updated_at = updated_at;
    hold.remaining_minor = change.step.applied(hold.remaining_minor, change.minor)?;
    balance.pending_minor = change.step.applied(balance.pending_minor, change.minor)?;
    hold.status = match change.step {
        Step::Lowered(ended) if hold.remaining_minor == Minor::ZERO => ended,
        _ => HoldStatus::Held,
    };
    balance.available_minor = match change.step {
        Step::Placed { .. } | Step::Raised => lowered(balance.available_minor, change.minor)?,
        Step::Lowered(_) => raised(balance.available_minor, change.minor)?,
    };
    balance.updated_at = updated_at;
    rows.put(&hold);
    rows.put(&balance);
    Ok(())
}

impl Step {
    fn applied(&self, held: Minor, minor: Minor) -> Result<Minor, MoneyError> {
        match self {
            Self::Placed { .. } | Self::Raised => held.plus(minor),
            Self::Lowered(_) => held.minus(minor),
        }
    }
}

impl Hold {
    fn placed(account: String, change: &HoldChange, placed_at: Timestamp) -> Self {
        Self {
            account,
            hold_id: change.hold_id.clone(),
            asset: change.asset.code.clone(),
            decimals: change.asset.decimals,
            status: HoldStatus::Held,
            remaining_minor: Minor::ZERO,
            placed_at,
            updated_at: placed_at,
        }
    }
}
