//! Legs of a payment's funding: what they pulled, what is due, and what is owed back.
//!
//! The funding is a list of legs, each with its own pull. The first begins with the payment's first hold or claim, or is
//! the `Spend` that was seen first. Another one begins as soon as something is due and no leg is undecided: an increment,
//! a force post, a claim beyond the hold.
//!
//! | figure | definition |
//! |---|---|
//! | owed | H + K + X: authorized or claimed, without what was given back |
//! | kept | amounts of the legs that are in a block, without what came back to the Safe |
//! | exposed | amounts of the legs whose pulls are dead: booked as receivables |
//! | due | owed − kept − exposed, at least 0: what the next pull takes |
//! | owed back | kept − owed, at least 0: the customer's money at the issuer |
//!
//! Amounts that were refunded or awarded are no part of these: they are paid from the settlement Safe.
//!
//! Events state the amounts that are owed back and exposed. They follow the event that changes one of these, in the same
//! decision ([`balanced`]), whatever that event is.

use std::collections::BTreeMap;

use clearfold_kernel::{CommandContext, Minor};
use serde::{Deserialize, Serialize};

use super::funding::Funding;
use super::messages::{Event, ExposureCleared, Extent, FIRST_LEG, ReturnOwed, ReversalCause};
use super::state::{State, sum};

/// Legs behind the first, and what is stated of all of them. The last member of the [`State`]: the bytes of a state from
/// before there were legs are the head of one with none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Legs {
    /// Legs behind the first, which the payment has.
    pub later: Vec<Funding>,
    /// Exposure of each leg whose pulls were dead, by its number; zero if it is cleared.
    pub exposed: BTreeMap<u32, Minor>,
    /// Amount of what was pulled that came back to the Safe.
    pub returned: Minor,
    /// Amount that is owed back, as it was stated last.
    pub owed_back: Minor,
}

impl State {
    /// Returns the legs of the payment with their numbers, from 1.
    pub fn legs(&self) -> impl Iterator<Item = (u32, &Funding)> {
        let first = self.payment().map(|payment| &payment.funding);
        (FIRST_LEG..).zip(first.into_iter().chain(&self.legs.later))
    }

    /// Returns the legs whose money is this payment's. The first leg of a linked `Spend` is another one's.
    pub fn own_legs(&self) -> impl Iterator<Item = (u32, &Funding)> {
        self.legs().skip(usize::from(self.linked_to().is_some()))
    }

    /// Returns the funding of a leg; `None` if the payment has no leg with that number.
    #[must_use]
    pub fn leg(&self, number: u32) -> Option<&Funding> {
        self.legs().find(|(known, _)| *known == number).map(|(_, funding)| funding)
    }

    /// Returns the number of the newest leg.
    #[must_use]
    pub fn newest_leg(&self) -> u32 {
        self.legs().last().map_or(FIRST_LEG, |(number, _)| number)
    }

    /// Returns H + K + X.
    #[must_use]
    pub fn owed(&self) -> Minor {
        self.payment().map_or(Minor::ZERO, |payment| sum(payment.held(), payment.totals.captured()))
    }

    /// Returns the amount that was pulled and did not come back. A block that is reorganized away can leave less than
    /// nothing.
    #[must_use]
    pub fn kept(&self) -> Minor {
        let pulled = self.own_legs().map(|(_, funding)| funding.pulled()).fold(Minor::ZERO, sum);
        pulled.excess_over(self.legs.returned)
    }

    /// Returns the amount that could not be pulled and is a receivable.
    #[must_use]
    pub fn exposed(&self) -> Minor {
        self.legs.exposed.values().copied().fold(Minor::ZERO, sum)
    }

    /// Returns the exposure of a leg.
    #[must_use]
    pub fn exposed_in(&self, leg: u32) -> Minor {
        self.legs.exposed.get(&leg).copied().unwrap_or_default()
    }

    /// Returns the amount that the next pull takes: what is due, up to the most that one message may state.
    #[must_use]
    pub fn due(&self) -> Minor {
        self.owed().excess_over(self.kept()).excess_over(self.exposed()).min(Minor::LARGEST_AMOUNT)
    }

    /// Returns the amount that was pulled and is neither held nor claimed.
    #[must_use]
    pub fn owed_back(&self) -> Minor {
        self.kept().excess_over(self.owed())
    }

    pub(super) fn leg_mut(&mut self, number: u32) -> Option<&mut Funding> {
        match number.checked_sub(FIRST_LEG)?.checked_sub(1) {
            None => self.payment_mut().map(|payment| &mut payment.funding),
            Some(index) => self.legs.later.get_mut(usize::try_from(index).ok()?),
        }
    }

    /// Begins a leg if something is due and every other leg is decided. Part of every fold.
    pub(super) fn begin_leg(&mut self) {
        if self.due() == Minor::ZERO || self.legs().any(|(_, funding)| funding.is_undecided()) {
            return;
        }
        match self.payment_mut() {
            Some(payment) if payment.funding == Funding::None => payment.funding = Funding::Unsubmitted,
            Some(_) => self.legs.later.push(Funding::Unsubmitted),
            None => {}
        }
    }

    /// Counts money that came back to the Safe. Whether the hold could still be lowered for it does not matter. No more
    /// came back than is kept: the rest was none of this payment's.
    pub(super) fn came_back(&mut self, cause: ReversalCause, extent: Extent) {
        if let (ReversalCause::Returned, Extent::Part(minor)) = (cause, extent) {
            self.legs.returned = sum(self.legs.returned, minor.min(self.kept()));
        }
    }

    /// Returns true if events other than an inclusion can change what is owed back or exposed.
    fn has_moved(&self) -> bool {
        self.kept() > Minor::ZERO || self.exposed() > Minor::ZERO || self.legs.owed_back > Minor::ZERO
    }
}

/// Returns the events of a decision, and behind them what they change in what is exposed and what is owed back.
pub(super) fn balanced(state: &State, mut events: Vec<Event>, context: &CommandContext) -> Vec<Event> {
    let moves = |event: &Event| {
        matches!(event, Event::FundingIncluded(_) | Event::SpendTaken(_) | Event::SpendUnlinked(_))
    };
    if events.is_empty() || !(state.has_moved() || events.iter().any(moves)) {
        return events;
    }
    let after = events.iter().fold(state.clone(), State::after);
    events.extend(cleared(&after, context));
    events.extend(owed_back(&after, context));
    events
}

/// States what is not exposed any more: what a leg pulled all the same, or what is not owed. The newest exposure goes
/// first, but that of a leg whose money is there before all.
fn cleared(after: &State, context: &CommandContext) -> Vec<Event> {
    let Some(payment) = after.payment() else { return Vec::new() };
    let mut excess = after.exposed().excess_over(after.owed().excess_over(after.kept()));
    let is_there = |leg: u32| after.leg(leg).is_some_and(|funding| funding.pulled() > Minor::ZERO);
    let mut legs: Vec<(u32, Minor)> = after.legs.exposed.iter().map(|(leg, minor)| (*leg, *minor)).collect();
    legs.sort_by_key(|(leg, _)| (!is_there(*leg), std::cmp::Reverse(*leg)));
    let mut events = Vec::new();
    for (leg, exposed) in legs {
        let minor = exposed.min(excess);
        if minor == Minor::ZERO {
            continue;
        }
        excess = excess.excess_over(minor);
        let (amount, left) = (payment.amount(minor), exposed.excess_over(minor));
        let (parties, at) = (payment.parties.clone(), context.accepted_at);
        events.push(Event::ExposureCleared(ExposureCleared { parties, leg, amount, left, at }));
    }
    events
}

fn owed_back(after: &State, context: &CommandContext) -> Option<Event> {
    let payment = after.payment()?;
    let (owed, before) = (after.owed_back(), after.legs.owed_back);
    let (parties, at) = (payment.parties.clone(), context.accepted_at);
    let event = || ReturnOwed { parties, owed: payment.amount(owed), before, at };
    (owed != before).then(|| Event::ReturnOwed(event()))
}

pub(super) fn exposure_cleared(state: &mut State, event: &ExposureCleared) {
    if let Some(exposed) = state.legs.exposed.get_mut(&event.leg) {
        *exposed = event.left;
    }
}

pub(super) fn return_owed(state: &mut State, event: &ReturnOwed) {
    state.legs.owed_back = event.owed.minor;
}
