//! Recent payments of a card, by reservation: the only source of daily totals and of velocity.
//!
//! There are no counters beside the reservations, so none can drift from them: a release lowers its reservation, and
//! every total with it. A reservation is kept for 31 days, the longest window of a velocity rule; later releases
//! change nothing that still counts. It is kept that long whatever the current rules are, so that a rule with a
//! longer window that is set tomorrow counts today's payments.

use std::collections::{BTreeMap, BTreeSet};

use clearfold_kernel::{Amount, Asset, ExternalId, Minor, MoneyError, Timestamp};
use serde::{Deserialize, Serialize};

use super::messages::SpendReleased;
use super::rules::MAX_WINDOW_S;
use crate::network::MerchantId;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Reservations of the last 31 days.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    reservations: BTreeMap<ExternalId, Reservation>,
}

/// Payment that counts against the rules, or one part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// Id of the payment.
    pub authorization_id: ExternalId,
    /// Merchant's id, if it is known.
    pub merchant_id: Option<MerchantId>,
    /// Amount that still counts: reserved minus released.
    pub remaining: Amount,
    /// Time of the reservation.
    pub reserved_at: Timestamp,
    /// Amount that each release took, by release id.
    pub releases: BTreeMap<ExternalId, Minor>,
}

impl Usage {
    /// Returns a reservation, unless it is too old to count.
    #[must_use]
    pub fn reservation(&self, id: &ExternalId, now: Timestamp) -> Option<&Reservation> {
        self.reservations.get(id).filter(|reservation| reservation.is_within(MAX_WINDOW_S, now))
    }

    /// Returns the total that counts on the calendar day of `now`, in UTC.
    pub fn of_day(&self, asset: &Asset, now: Timestamp) -> Result<Minor, MoneyError> {
        self.sum(asset, now, |reservation| day(reservation.reserved_at) == day(now))
    }

    /// Returns the total that counts of one payment, increments included.
    pub fn of_payment(
        &self,
        payment: &ExternalId,
        asset: &Asset,
        now: Timestamp,
    ) -> Result<Minor, MoneyError> {
        self.sum(asset, now, |reservation| reservation.authorization_id == *payment)
    }

    /// Returns the payments of the last `window_s` seconds, without those that were released in full.
    #[must_use]
    pub fn payments_within(&self, window_s: u32, now: Timestamp) -> BTreeSet<&ExternalId> {
        let counts = |reservation: &&Reservation| {
            reservation.remaining.minor > Minor::ZERO && reservation.is_within(window_s, now)
        };
        self.reservations.values().filter(counts).map(|reservation| &reservation.authorization_id).collect()
    }

    fn sum(
        &self,
        asset: &Asset,
        now: Timestamp,
        counts: impl Fn(&Reservation) -> bool,
    ) -> Result<Minor, MoneyError> {
        let counts = |reservation: &&Reservation| {
            reservation.remaining.asset == *asset
                && reservation.is_within(MAX_WINDOW_S, now)
                && counts(reservation)
        };
        let mut counting = self.reservations.values().filter(counts);
        counting.try_fold(Minor::ZERO, |sum, reservation| sum.plus(reservation.remaining.minor))
    }

    pub(super) fn count(&mut self, id: ExternalId, reservation: Reservation) {
        self.reservations.insert(id, reservation);
    }

    pub(super) fn release(&mut self, released: &SpendReleased) {
        if let Some(reservation) = self.reservations.get_mut(&released.reservation_id) {
            reservation.remaining.minor = released.remaining;
            reservation.releases.insert(released.release_id.clone(), released.amount.minor);
        }
    }

    /// Drops reservations that are too old to count for any possible rule.
    pub(super) fn forget_old(&mut self, now: Timestamp) {
        self.reservations.retain(|_, reservation| reservation.is_within(MAX_WINDOW_S, now));
    }
}

impl Reservation {
    /// Returns true if it was reserved within the last `window_s` seconds; the window's oldest moment is excluded.
    fn is_within(&self, window_s: u32, now: Timestamp) -> bool {
        // If the clock were behind the reservation, its age would be zero: it counts.
        let age_ms = now.as_ms().saturating_sub(self.reserved_at.as_ms());
        age_ms < u64::from(window_s) * 1000
    }
}

fn day(at: Timestamp) -> u64 {
    at.as_ms() / DAY_MS
}
