//! Totals of a year and of all time, which outlive the payments that a card keeps one by one.
//!
//! There is one tally for all payments, and one for each scope that a limit of a year or of all time names: so there
//! are never more than the card has rules. Each counts what the payments still count: a release lowers it, however
//! late it comes.
//!
//! A tally of a scope begins when a limit first names the scope, with the payments that the card keeps then: those of
//! the last 45 days. It ends when no limit names the scope any more.

use std::collections::{BTreeMap, BTreeSet};

use clearfold_kernel::{Amount, Asset, Minor, Timestamp};
use serde::{Deserialize, Serialize};

use super::limit::{Place, Scope};
use super::period::Period;
use super::rules::Rules;
use super::usage::Reservation;

/// Tallies of a card.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tallies {
    all: Tally,
    /// Tallies of scopes, each once.
    scoped: Vec<Scoped>,
}

/// Tally of a scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Scoped {
    scope: Scope,
    tally: Tally,
}

/// Totals of one scope.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Time of the earliest payments that are counted.
    since: Timestamp,
    /// Latest calendar year of which something was counted.
    year: u64,
    of_year: Totals,
    of_all_time: Totals,
}

/// Number of payments, and the amount of each asset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    payments: u64,
    amounts: BTreeMap<String, Minor>,
}

/// Change of what counts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change<'a> {
    /// An amount more.
    More(&'a Amount),
    /// An amount less.
    Less(&'a Amount),
    /// One payment more.
    Begun,
    /// One payment less.
    Ended,
}

impl Totals {
    /// Returns the number of payments.
    #[must_use]
    pub const fn payments(&self) -> u64 {
        self.payments
    }

    /// Returns the amount of an asset.
    #[must_use]
    pub fn amount(&self, asset: &Asset) -> Minor {
        self.amounts.get(&asset.code).copied().unwrap_or_default()
    }

    fn apply(&mut self, change: Change<'_>) {
        match change {
            Change::More(amount) => {
                let total = self.amounts.entry(amount.asset.code.clone()).or_default();
                // A fold must be total. A sum that does not fit exceeds every limit, and so does the largest number.
                *total = total.plus(amount.minor).unwrap_or(Minor::new(u128::MAX));
            }
            Change::Less(amount) => {
                if let Some(total) = self.amounts.get_mut(&amount.asset.code) {
                    *total = total.excess_over(amount.minor);
                }
            }
            // A count does not reach the end of 64 bits, and ends no payment that it did not begin.
            Change::Begun => self.payments = self.payments.saturating_add(1),
            Change::Ended => self.payments = self.payments.saturating_sub(1),
        }
    }
}

impl Tally {
    fn since(since: Timestamp) -> Self {
        Self { since, ..Self::default() }
    }

    /// Applies a change to the totals of the year in which it was reserved, and of all time.
    fn apply(&mut self, change: Change<'_>, reserved_at: Timestamp) {
        if reserved_at < self.since {
            return;
        }
        let year = Period::Year.of(reserved_at);
        if year > self.year && matches!(change, Change::More(_) | Change::Begun) {
            self.year = year;
            self.of_year = Totals::default();
        }
        if year == self.year {
            self.of_year.apply(change);
        }
        self.of_all_time.apply(change);
    }

    /// Returns the totals of the calendar year of `now`; None if nothing of it was counted.
    #[must_use]
    pub fn of_year(&self, now: Timestamp) -> Option<&Totals> {
        (Period::Year.of(now) == self.year).then_some(&self.of_year)
    }

    /// Returns the totals of all time.
    #[must_use]
    pub const fn of_all_time(&self) -> &Totals {
        &self.of_all_time
    }
}

impl Tallies {
    /// Returns the tally of a scope. There is one for every scope that a limit of a year or of all time names.
    #[must_use]
    pub fn of(&self, scope: Option<&Scope>) -> Option<&Tally> {
        let Some(scope) = scope else { return Some(&self.all) };
        self.scoped.iter().find(|scoped| scoped.scope == *scope).map(|scoped| &scoped.tally)
    }

    pub(super) fn apply(&mut self, change: Change<'_>, place: Place<'_>, reserved_at: Timestamp) {
        self.all.apply(change, reserved_at);
        for scoped in self.scoped.iter_mut().filter(|scoped| scoped.scope.has(place)) {
            scoped.tally.apply(change, reserved_at);
        }
    }

    /// Ends the tallies that no rule needs any more, and begins those that are missing, with the payments that are kept.
    /// `since` is the time of the earliest that would be kept.
    pub(super) fn follow<'a>(
        &mut self,
        rules: &Rules,
        since: Timestamp,
        kept: &(impl Iterator<Item = &'a Reservation> + Clone),
    ) {
        let long = rules.limits.iter().filter(|limit| limit.per.is_long());
        let scopes: BTreeSet<&Scope> = long.filter_map(|limit| limit.scope.as_ref()).collect();
        self.scoped.retain(|scoped| scopes.contains(&scoped.scope));
        for scope in scopes {
            if self.of(Some(scope)).is_some() {
                continue;
            }
            let mut tally = Tally::since(since);
            for reservation in kept.clone().filter(|reservation| scope.has(reservation.place())) {
                tally.apply(Change::More(&reservation.remaining), reservation.reserved_at);
                if reservation.opens {
                    tally.apply(Change::Begun, reservation.reserved_at);
                }
            }
            self.scoped.push(Scoped { scope: scope.clone(), tally });
        }
    }
}
