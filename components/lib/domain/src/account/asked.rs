//! Index of the holds by the numbers of the requests that they were placed for.
//!
//! A reversal after a time-out may lack the network's id of its payment, because its sender saw no answer. It repeats the
//! numbers of its original, and the account knows which hold was placed for them. One hold is an answer; two or more are
//! not, since the reversal is of one payment and does not say of which. If there is none, a tombstone stays, with which a
//! hold for these numbers is refused when it comes, unless it is forced.

use clearfold_kernel::{ExternalId, Minor, Rejection, Timestamp};
use serde::{Deserialize, Serialize};

use super::messages::{Event, FindHold, HoldPlaced, HoldPrevented, PlaceHold};
use super::rule::Rule;
use super::state::Books;
use crate::checks;
use crate::policy::DeclineReason;

/// Code of the answer that names the only hold.
pub const FOUND: &str = "hold_found";
/// Code of the answer that names several holds.
pub const AMBIGUOUS: &str = "hold_ambiguous";

/// Most holds of the same numbers that are remembered by name.
const MOST: usize = 8;

/// Entry of a request's numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Asked {
    /// Holds that were placed for them, in order. They stay when the holds end.
    Holds(Vec<ExternalId>),
    /// Tombstone: a reversal of that amount came before any hold. Without an amount it is of everything.
    Prevented(Option<Minor>),
}

/// Returns the ids of the holds that the answer to [`FindHold`] names; none if it is another one.
#[must_use]
pub fn holds_of(code: &str, detail: &str) -> Option<Vec<ExternalId>> {
    if ![FOUND, AMBIGUOUS].contains(&code) {
        return None;
    }
    detail.split(' ').map(|id| id.parse().ok()).collect()
}

/// Key of the entry of a request's numbers.
pub(super) fn asked_key(asked_by: &ExternalId) -> String {
    format!("asked/{asked_by}")
}

/// Returns true if a reversal of that amount is one of all that is asked for.
fn covers(reversed: Option<Minor>, asked: Minor) -> bool {
    reversed.is_none_or(|reversed| reversed >= asked)
}

impl Rule for FindHold {
    fn is_moot(&self, books: &Books) -> bool {
        match (books.asked(&self.asked_by), self.amount) {
            (Some(Asked::Prevented(None)), _) => true,
            (Some(Asked::Prevented(Some(before))), Some(amount)) => before >= amount,
            _ => false,
        }
    }

    fn event(&self, books: &Books, at: Timestamp) -> Result<Event, Rejection> {
        if let Some(amount) = self.amount {
            checks::moves(amount)?;
        }
        if let Some(Asked::Holds(holds)) = books.asked(&self.asked_by) {
            let code = if holds.len() == 1 { FOUND } else { AMBIGUOUS };
            let named: Vec<&str> = holds.iter().map(ExternalId::as_str).collect();
            return Err(Rejection::new(code, named.join(" ")));
        }
        Ok(Event::HoldPrevented(HoldPrevented {
            account: books.address,
            asked_by: self.asked_by.clone(),
            message_id: self.message_id.clone(),
            amount: self.amount,
            at,
        }))
    }
}

impl PlaceHold {
    /// Refuses a hold that a reversal prevented. A forced one cannot be refused.
    pub(super) fn unless_reversed(&self, books: &Books) -> Result<(), Rejection> {
        let Some(asked_by) = self.asked_by.as_ref().filter(|_| !self.forced) else { return Ok(()) };
        match books.asked(asked_by) {
            Some(Asked::Prevented(reversed)) if covers(reversed, self.amount.minor) => {
                let detail = format!("a reversal of {asked_by} came before, so nothing is held for it");
                Err(Rejection::new(DeclineReason::Reversed.code(), detail))
            }
            _ => Ok(()),
        }
    }
}

impl Books {
    fn asked(&self, asked_by: &ExternalId) -> Option<Asked> {
        self.entries.get(&asked_key(asked_by))
    }

    /// Remembers the request's numbers of a hold. A tombstone that did not prevent it has no further effect.
    pub(super) fn placed_for_request(&mut self, event: &HoldPlaced) {
        let Some(asked_by) = &event.asked_by else { return };
        let mut holds = match self.asked(asked_by) {
            Some(Asked::Holds(holds)) => holds,
            Some(Asked::Prevented(_)) | None => Vec::new(),
        };
        if holds.len() < MOST && !holds.contains(&event.hold_id) {
            holds.push(event.hold_id.clone());
            self.entries.set(&asked_key(asked_by), &Asked::Holds(holds));
        }
    }

    pub(super) fn hold_prevented(&mut self, event: &HoldPrevented) -> Option<()> {
        if let Some(Asked::Holds(_)) = self.asked(&event.asked_by) {
            return None;
        }
        self.entries.set(&asked_key(&event.asked_by), &Asked::Prevented(event.amount));
        Some(())
    }
}
