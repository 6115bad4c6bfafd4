//! 4. What an account holds is what its open authorizations hold.
//!
//! The two are different streams, and the account follows or goes ahead: it places a hold before the approval and
//! raises one before the increment, and it lowers one after the reversal. So each change is matched with its other
//! half by its id. A half that goes ahead must be one that may; when nothing is on its way any more, every change has
//! both halves. Of an account that was never opened there is nothing to compare.

use std::collections::BTreeMap;

use clearfold_kernel::{Invariant, Minor};

use super::sum::{Sum, plus};
use super::tally::{Fact, Found, Happened, Watch};
use crate::account;
use crate::authorization::{Event, ForcePostReason};
use crate::bookings;

const HOLDS_MATCH_AUTHORIZATIONS: Invariant = Invariant {
    code: "holds_match_authorizations",
    statement: "An account holds what its open authorizations hold, apart from what is on its way between them: the \
                hold of a request that is not decided yet, and the bookings of what has just happened. Of an account \
                that was never opened nothing is said.",
};

#[derive(Debug, Default)]
pub(super) struct AccountHolds {
    is_open: bool,
    holds: BTreeMap<String, Hold>,
}

/// A payment's hold, as its authorization and as its account know it.
#[derive(Debug, Default)]
struct Hold {
    asked: Asked,
    /// What the authorization holds from the start: approved, advised or seen on chain.
    decided: Option<Minor>,
    /// It was refused, or given up before it was decided: then its hold is voided.
    was_refused: bool,
    /// What the account placed, since the last time that it voided it.
    placed: Option<Minor>,
    was_voided: bool,
    changes: BTreeMap<Change, Halves>,
}

/// What was asked for, if anything was.
#[derive(Debug, Default)]
enum Asked {
    #[default]
    Nothing,
    All(Minor),
    Part(Minor),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    Raise(String),
    Lower(String),
    Clearing(String),
}

/// The same change as each side knows it.
#[derive(Debug, Default)]
struct Halves {
    authorization: Option<Minor>,
    account: Option<Minor>,
}

impl Watch for AccountHolds {
    const INVARIANTS: &'static [Invariant] = &[HOLDS_MATCH_AUTHORIZATIONS];

    fn observe(&mut self, fact: Fact<'_>, found: &mut Found<'_>) {
        match fact.event {
            Happened::Authorization(event) => {
                let is_open = self.is_open;
                let hold = self.holds.entry(fact.id.to_owned()).or_default();
                if let Err(detail) = hold.authorized(fact.id, event)
                    && is_open
                {
                    found.report(HOLDS_MATCH_AUTHORIZATIONS, detail);
                }
            }
            Happened::Account(event) => self.account(event, found),
            Happened::Card(_) => {}
        }
    }

    fn settle(&self, found: &mut Found<'_>) {
        if !self.is_open {
            return;
        }
        for (id, hold) in &self.holds {
            if let Err(detail) = hold.settled() {
                found.report_in(HOLDS_MATCH_AUTHORIZATIONS, detail, [format!("authorization-{id}")]);
            }
        }
    }

    fn compare_account(&self, state: &account::State, found: &mut Found<'_>) {
        let says = state.holds();
        for (id, hold) in &self.holds {
            let says =
                says.iter().find(|(held, _)| held.as_str() == id).map_or(Minor::ZERO, |(_, held)| held.minor);
            let remaining = hold.remaining().net();
            if remaining.is_negative() || remaining.magnitude() != says {
                let detail = format!("of {id} {remaining} is left by the events; the account says {says}");
                found.report_in(HOLDS_MATCH_AUTHORIZATIONS, detail, [format!("authorization-{id}")]);
            }
        }
    }
}

impl AccountHolds {
    fn account(&mut self, event: &account::Event, found: &mut Found<'_>) {
        use account::Event;
        let id = match event {
            Event::AccountOpened(_) => {
                self.is_open = true;
                return;
            }
            Event::HoldPlaced(event) => &event.hold_id,
            Event::HoldRaised(event) => &event.hold_id,
            Event::HoldLowered(event) => &event.hold_id,
            Event::HoldVoided(event) => &event.hold_id,
            Event::ClearingBooked(event) => &event.hold_id,
            _ => return,
        };
        let hold = self.holds.entry(id.to_string()).or_default();
        if let Err(detail) = hold.booked(event) {
            found.report_in(HOLDS_MATCH_AUTHORIZATIONS, detail, [format!("authorization-{id}")]);
        }
    }
}

impl Hold {
    /// The authorization's half of a change.
    fn authorized(&mut self, id: &str, event: &Event) -> Result<(), String> {
        match event {
            Event::AuthorizationRequested(event) => {
                let minor = event.amount.minor;
                self.asked = if event.partial_allowed { Asked::Part(minor) } else { Asked::All(minor) };
            }
            Event::AuthorizationApproved(event) => return self.approved(event.amount.minor),
            Event::AuthorizationPartiallyApproved(event) => return self.approved(event.amount.minor),
            // The booking of these is still to come. What a stand-in approved counts, whatever was said before.
            Event::SwipeRecorded(event) => self.decided = Some(event.amount.minor),
            Event::AdviceRecorded(event) => {
                self.decided = Some(event.amount.minor);
                self.was_refused = true;
            }
            Event::AuthorizationDeclined(_) => self.was_refused = true,
            Event::HoldIncreased(event) => {
                let raise = Change::Raise(event.message_id.to_string());
                let ahead = self.changes.get(&raise).and_then(|halves| halves.account);
                if ahead != Some(event.amount.minor) {
                    return Err(format!("an increment of {} after a raise of {ahead:?}", event.amount.minor));
                }
                return self.half(&raise, event.amount.minor, |halves| &mut halves.authorization);
            }
            Event::AuthorizationReversed(event) if event.released.minor == Minor::ZERO => {
                self.was_refused = true;
            }
            Event::AuthorizationReversed(event) => {
                let lower = Change::Lower(event.message_id.to_string());
                return self.half(&lower, event.released.minor, |halves| &mut halves.authorization);
            }
            Event::AuthorizationExpired(event) if event.released.minor > Minor::ZERO => {
                let lower = Change::Lower(id.to_owned());
                return self.half(&lower, event.released.minor, |halves| &mut halves.authorization);
            }
            Event::ClearingPosted(event) => {
                let clearing = Change::Clearing(event.clearing_id.to_string());
                let taken = plus(event.against_hold, event.released);
                return self.half(&clearing, taken, |halves| &mut halves.authorization);
            }
            Event::ForcePosted(event) => {
                self.was_refused |= event.reason == ForcePostReason::Undecided;
                let clearing = Change::Clearing(event.clearing_id.to_string());
                return self.half(&clearing, Minor::ZERO, |halves| &mut halves.authorization);
            }
            _ => {}
        }
        Ok(())
    }

    /// The account was asked before the answer: the hold is there.
    fn approved(&mut self, minor: Minor) -> Result<(), String> {
        self.decided = Some(minor);
        if self.placed == Some(minor) {
            return Ok(());
        }
        Err(format!("{minor} minor units were approved while {:?} was held", self.placed))
    }

    /// The account's half of a change.
    fn booked(&mut self, event: &account::Event) -> Result<(), String> {
        use account::Event;
        match event {
            Event::HoldPlaced(event) => self.was_placed(event.amount.minor, event.forced),
            Event::HoldVoided(event) => {
                self.was_voided(event.released.as_ref().map(|released| released.minor))
            }
            Event::HoldRaised(event) => {
                let raise = Change::Raise(event.change_id.to_string());
                self.half(&raise, event.amount.minor, |halves| &mut halves.account)
            }
            Event::HoldLowered(event) => {
                let lower = Change::Lower(event.change_id.to_string());
                let asked = self.changes.get(&lower).and_then(|halves| halves.authorization);
                if asked.is_none() && !self.undoes(event.change_id.as_str(), event.amount.minor) {
                    return Err(format!("{} was lowered, but nobody asked for it", event.change_id));
                }
                self.half(&lower, event.amount.minor, |halves| &mut halves.account)
            }
            Event::ClearingBooked(event) => {
                let clearing = Change::Clearing(event.clearing_id.to_string());
                let taken = plus(event.against_hold, event.released);
                self.half(&clearing, taken, |halves| &mut halves.account)
            }
            _ => Ok(()),
        }
    }

    fn was_placed(&mut self, minor: Minor, forced: bool) -> Result<(), String> {
        let may = match (forced, &self.asked) {
            (true, _) => self.decided == Some(minor),
            (false, Asked::Nothing) => false,
            (false, Asked::All(asked)) => minor == *asked,
            (false, Asked::Part(asked)) => minor <= *asked,
        };
        let before = self.placed.replace(minor);
        if may && before.is_none() {
            return Ok(());
        }
        Err(format!("a hold of {minor} was placed (forced: {forced}) after {:?} and {before:?}", self.asked))
    }

    fn was_voided(&mut self, released: Option<Minor>) -> Result<(), String> {
        let remaining = self.remaining().net();
        let before = self.placed.take();
        self.was_voided = true;
        let released_all = released.unwrap_or(Minor::ZERO) == remaining.magnitude();
        let has_changed =
            self.changes.values().any(|halves| halves.account.is_some_and(|minor| minor > Minor::ZERO));
        if self.was_refused && released_all && released.is_some() == before.is_some() && !has_changed {
            return Ok(());
        }
        Err(format!("a hold of {before:?} with {remaining} left was voided, releasing {released:?}"))
    }

    /// Takes one half of a change. If the other is there, it says the same.
    fn half(
        &mut self,
        change: &Change,
        minor: Minor,
        side: fn(&mut Halves) -> &mut Option<Minor>,
    ) -> Result<(), String> {
        let halves = self.changes.entry(change.clone()).or_default();
        *side(halves) = Some(minor);
        match (halves.authorization, halves.account) {
            (Some(asked), Some(booked)) if asked != booked => {
                Err(format!("{change:?} is {asked} for the authorization and {booked} for the account"))
            }
            _ => Ok(()),
        }
    }

    /// A raise whose increment was refused is undone, under an id of its own.
    fn undoes(&self, change_id: &str, minor: Minor) -> bool {
        self.changes.iter().any(|(change, halves)| match change {
            Change::Raise(raised) => {
                halves.authorization.is_none()
                    && halves.account == Some(minor)
                    && is_undone(raised, change_id)
            }
            Change::Lower(_) | Change::Clearing(_) => false,
        })
    }

    /// What the account still holds.
    fn remaining(&self) -> Sum {
        let mut sum = Sum::default();
        let Some(placed) = self.placed else { return sum };
        sum.add(placed);
        for (change, halves) in &self.changes {
            let minor = halves.account.unwrap_or_default();
            match change {
                Change::Raise(_) => sum.add(minor),
                Change::Lower(_) | Change::Clearing(_) => sum.take(minor),
            }
        }
        sum
    }

    /// Nothing is on its way: every change has both halves, and the hold stands where it should.
    fn settled(&self) -> Result<(), String> {
        let remaining = self.remaining().net();
        match (self.decided, self.placed) {
            (Some(decided), Some(placed)) if decided == placed => {}
            (Some(decided), placed) => {
                return Err(format!("{decided} should be held; {placed:?} was placed"));
            }
            (None, Some(_)) if self.was_refused => {
                return Err(format!("{remaining} is held of what was refused"));
            }
            (None, _) => {}
        }
        for (change, halves) in &self.changes {
            let is_whole = match (halves.authorization, halves.account) {
                (Some(_), Some(_)) => true,
                (Some(minor), None) => minor == Minor::ZERO,
                (None, Some(_)) => self.is_undone_pair(change),
                (None, None) => true,
            };
            if !is_whole {
                return Err(format!("{change:?} has one half: {halves:?}"));
            }
        }
        Ok(())
    }

    fn is_undone_pair(&self, change: &Change) -> bool {
        let booked = |other: &Change| self.changes.get(other).is_some_and(|halves| halves.account.is_some());
        match change {
            Change::Raise(id) => self.changes.keys().any(
                |lower| matches!(lower, Change::Lower(lowered) if is_undone(id, lowered) && booked(lower)),
            ),
            Change::Lower(id) => self.changes.keys().any(
                |raise| matches!(raise, Change::Raise(raised) if is_undone(raised, id) && booked(raise)),
            ),
            Change::Clearing(_) => false,
        }
    }
}

fn is_undone(raised: &str, lowered: &str) -> bool {
    let undone = raised.parse().ok().and_then(|raised| bookings::undone(&raised).ok());
    undone.is_some_and(|undone| undone.as_str() == lowered)
}
