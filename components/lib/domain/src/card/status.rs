//! Status of a card: active, frozen for one or several reasons, or closed permanently.
//!
//! Each reason for a freeze is lifted separately: a cardholder who finds the card again does not lift a freeze that
//! an uncovered exposure caused. Closing is final.

use std::collections::BTreeSet;
use std::fmt;

use clearfold_kernel::{CommandContext, Rejection};
use serde::{Deserialize, Serialize};

use super::messages::{CardClosed, CardFrozen, CardUnfrozen, CloseCard, Event, FreezeCard, UnfreezeCard};
use super::state::Issued;

/// Reason for a freeze of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FreezeReason {
    /// The cardholder asked for it.
    Holder,
    /// The card is lost.
    Lost,
    /// The card was stolen.
    Stolen,
    /// A payment of the card could not be funded, which left an exposure.
    Exposure,
    /// The risk check suspects that somebody else uses the card.
    Risk,
}

/// Cause for which a card is closed that the network's answer depends on: it is lost or stolen for good. A card that may
/// be found again is frozen instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CloseCause {
    /// The card is lost.
    Lost,
    /// The card was stolen.
    Stolen,
}

impl fmt::Display for FreezeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Holder => "holder",
            Self::Lost => "lost",
            Self::Stolen => "stolen",
            Self::Exposure => "exposure",
            Self::Risk => "risk",
        })
    }
}

/// Status of a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The card pays, unless it is frozen for a reason.
    Open {
        /// Reasons for the freeze; empty while the card is active.
        frozen_for: BTreeSet<FreezeReason>,
    },
    /// The card never pays again.
    Closed,
}

impl Status {
    /// Open and not frozen.
    pub const ACTIVE: Self = Self::Open { frozen_for: BTreeSet::new() };

    pub(super) fn freeze(&mut self, reason: FreezeReason) {
        if let Self::Open { frozen_for } = self {
            frozen_for.insert(reason);
        }
    }

    pub(super) fn unfreeze(&mut self, reason: FreezeReason) {
        if let Self::Open { frozen_for } = self {
            frozen_for.remove(&reason);
        }
    }
}

pub(super) fn freeze(
    card: &Issued,
    freeze: &FreezeCard,
    context: &CommandContext,
) -> Result<Vec<Event>, Rejection> {
    if card.frozen_for()?.contains(&freeze.reason) {
        return Ok(Vec::new());
    }
    let (account, reason, at) = (card.account, freeze.reason, context.accepted_at);
    Ok(vec![Event::CardFrozen(CardFrozen { account, reason, at })])
}

pub(super) fn unfreeze(
    card: &Issued,
    unfreeze: &UnfreezeCard,
    context: &CommandContext,
) -> Result<Vec<Event>, Rejection> {
    let mut still_frozen_for = card.frozen_for()?.clone();
    if !still_frozen_for.remove(&unfreeze.reason) {
        return Ok(Vec::new());
    }
    let (account, reason, at) = (card.account, unfreeze.reason, context.accepted_at);
    Ok(vec![Event::CardUnfrozen(CardUnfrozen { account, reason, still_frozen_for, at })])
}

pub(super) fn close(card: &Issued, close: &CloseCard, context: &CommandContext) -> Vec<Event> {
    match card.status {
        Status::Closed => Vec::new(),
        Status::Open { .. } => {
            let (account, cause, at) = (card.account, close.cause, context.accepted_at);
            vec![Event::CardClosed(CardClosed { account, at, cause })]
        }
    }
}

impl Issued {
    /// Returns the reasons for the freeze; rejects the command if the card is closed.
    pub(super) fn frozen_for(&self) -> Result<&BTreeSet<FreezeReason>, Rejection> {
        match &self.status {
            Status::Open { frozen_for } => Ok(frozen_for),
            Status::Closed => {
                let detail = "the card was closed for good; issue another one";
                Err(Rejection::new("card_closed", detail))
            }
        }
    }
}
