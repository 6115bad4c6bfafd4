//! Recent payments of a card, by reservation: the source of all totals up to a month, and of velocity.
//!
//! There are no counters beside the reservations for these, so none can drift from them: a release lowers its
//! reservation, and every total with it. A reservation is kept until the newest one of its payment is 45 days old,
//! unless all of it was released: longer than the longest window of a velocity rule, the longest month, and the longest
//! time for which a hold lives after its request or an increment. So while a payment can grow, all of it counts against
//! the limit per transaction. It is kept that long whatever the current rules are, so that a rule with a longer span that
//! is set tomorrow counts today's payments. Longer spans have [tallies](Tallies).
//!
//! A later release lowers the amounts of the tallies all the same. Their numbers of payments stay, because the
//! card does not know any more whether something else of the payment counts: so they may be one too high, never too low.

use std::collections::{BTreeMap, BTreeSet};

use clearfold_kernel::{Amount, Asset, ExternalId, Minor, MoneyError, Timestamp};
use serde::{Deserialize, Serialize};

use super::limit::{Place, Scope, Span};
use super::rules::Rules;
use super::tally::{Change, Tallies, Totals};
use crate::network::{MerchantCategory, MerchantId, TransactionType};

/// Time for which the newest reservation of a payment is kept, in seconds: 45 days.
const KEPT_S: u32 = 45 * 24 * 60 * 60;
/// Age in milliseconds of the oldest reservation that is kept for itself.
const OLDEST_MS: u64 = KEPT_S as u64 * 1000 - 1;

/// Reservations of the payments of the last 45 days, and the totals of longer spans.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    reservations: BTreeMap<ExternalId, Reservation>,
    tallies: Tallies,
}

/// Payment that counts against the rules, or one part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// Id of the payment.
    pub authorization_id: ExternalId,
    /// Merchant's id, if it is known.
    pub merchant_id: Option<MerchantId>,
    /// Merchant's category, if it is known.
    pub category: Option<MerchantCategory>,
    /// Amount that still counts: reserved minus released; above zero while the reservation is kept.
    pub remaining: Amount,
    /// Time of the reservation.
    pub reserved_at: Timestamp,
    /// True if the payment counts with this reservation in the numbers of payments of longer spans.
    pub opens: bool,
    /// Type of the transaction, if it is known.
    pub transaction_type: Option<TransactionType>,
}

/// Payments that a limit counts: its span and scope, and the place of the payment that is asked for.
#[derive(Clone, Copy)]
pub struct Counted<'a> {
    /// Span of the limit.
    pub per: Span,
    /// Scope of the limit.
    pub scope: Option<&'a Scope>,
    /// Place of the payment that is asked for.
    pub place: Place<'a>,
    /// Payment that is asked for.
    pub payment: &'a ExternalId,
    /// Present time.
    pub now: Timestamp,
}

impl Usage {
    /// Returns a reservation that is kept.
    pub(super) fn reservation(&self, id: &ExternalId) -> Option<&Reservation> {
        self.reservations.get(id)
    }

    /// Returns the totals of spans that are longer than the reservations are kept.
    #[must_use]
    pub const fn tallies(&self) -> &Tallies {
        &self.tallies
    }

    /// Returns the amount of an asset that a limit counts.
    pub fn amount(&self, asset: &Asset, counted: Counted<'_>) -> Result<Minor, MoneyError> {
        if counted.per.is_long() {
            return Ok(self.totals(counted).map_or(Minor::ZERO, |totals| totals.amount(asset)));
        }
        let counting = self.counting(counted).filter(|reservation| reservation.remaining.asset == *asset);
        let mut amounts = counting.map(|reservation| reservation.remaining.minor);
        amounts.try_fold(Minor::ZERO, Minor::plus)
    }

    /// Returns the total that counts of one payment, increments included.
    pub fn of_payment(
        &self,
        payment: &ExternalId,
        asset: &Asset,
        now: Timestamp,
    ) -> Result<Minor, MoneyError> {
        self.amount(
            asset,
            Counted { per: Span::Transaction, scope: None, place: Place::default(), payment, now },
        )
    }

    /// Returns the number of payments that a limit counts; None if the payment that is asked for is one of them, because
    /// then it is an increment, and no further payment.
    #[must_use]
    pub fn payments_before(&self, counted: Counted<'_>) -> Option<u64> {
        if counted.per.is_long() {
            let before = || self.totals(counted).map_or(0, Totals::payments);
            return (!self.counts(counted.payment)).then(before);
        }
        let payments: BTreeSet<_> =
            self.counting(counted).map(|reservation| &reservation.authorization_id).collect();
        (!payments.contains(counted.payment)).then_some(payments.len() as u64)
    }

    /// Returns the payments of the last `window_s` seconds, without those that were released in full.
    #[must_use]
    pub fn payments_within(&self, window_s: u32, now: Timestamp) -> BTreeSet<&ExternalId> {
        let counting = self.reservations.values().filter(|kept| kept.is_within(window_s, now));
        counting.map(|reservation| &reservation.authorization_id).collect()
    }

    fn totals(&self, counted: Counted<'_>) -> Option<&Totals> {
        let tally = self.tallies.of(counted.scope)?;
        if counted.per == Span::Year { tally.of_year(counted.now) } else { Some(tally.of_all_time()) }
    }

    /// Returns the kept reservations that a limit of at most a month counts.
    fn counting<'a>(&'a self, counted: Counted<'a>) -> impl Iterator<Item = &'a Reservation> {
        let Counted { per, scope, place, payment, now } = counted;
        let period = per.period().map(|period| (period, period.of(now)));
        self.reservations.values().filter(move |reservation| {
            let is_in_span = match period {
                Some((period, current)) => period.of(reservation.reserved_at) == current,
                None => reservation.authorization_id == *payment,
            };
            is_in_span && scope.is_none_or(|scope| scope.counts(reservation.place(), place))
        })
    }

    /// Returns the type that a kept reservation of the payment has.
    pub(super) fn type_of(&self, payment: &ExternalId) -> Option<TransactionType> {
        let mut kept = self.reservations.values().filter(|kept| kept.authorization_id == *payment);
        kept.find_map(|kept| kept.transaction_type)
    }

    /// Returns true if a kept reservation of the payment counts.
    pub(super) fn counts(&self, payment: &ExternalId) -> bool {
        self.reservations.values().any(|kept| kept.authorization_id == *payment)
    }

    /// Counts a reservation. Returns it as it counts.
    pub(super) fn count(&mut self, id: ExternalId, mut reservation: Reservation) -> Reservation {
        let at = reservation.reserved_at;
        reservation.opens = !self.counts(&reservation.authorization_id);
        self.tallies.apply(Change::More(&reservation.remaining), reservation.place(), at);
        if reservation.opens {
            self.tallies.apply(Change::Begun, reservation.place(), at);
        }
        self.reservations.insert(id, reservation.clone());
        reservation
    }

    /// Releases an amount of a reservation, which may be kept no more. Returns it as it counts from then on.
    pub(super) fn release(
        &mut self,
        id: &ExternalId,
        mut reservation: Reservation,
        released: &Amount,
        remaining: Minor,
    ) -> Reservation {
        let at = reservation.reserved_at;
        reservation.remaining.minor = remaining;
        self.tallies.apply(Change::Less(released), reservation.place(), at);
        let Some(kept) = self.reservations.get_mut(id) else { return reservation };
        if remaining > Minor::ZERO {
            kept.clone_from(&reservation);
            return reservation;
        }
        self.reservations.remove(id);
        if reservation.opens {
            reservation.opens = false;
            self.tallies.apply(Change::Ended, reservation.place(), at);
            self.count_another(&reservation.authorization_id);
        }
        reservation
    }

    /// Counts a payment with another one of its reservations.
    fn count_another(&mut self, payment: &ExternalId) {
        if let Some(other) = self.reservations.values_mut().find(|other| other.authorization_id == *payment) {
            other.opens = true;
            self.tallies.apply(Change::Begun, other.place(), other.reserved_at);
        }
    }

    /// Drops reservations that are too old to count for any rule.
    pub(super) fn forget_old(&mut self, now: Timestamp) {
        let is_recent = |reservation: &&Reservation| reservation.is_within(KEPT_S, now);
        if self.reservations.values().all(|reservation| is_recent(&reservation)) {
            return;
        }
        let recent = self.reservations.values().filter(is_recent);
        let recent: BTreeSet<_> = recent.map(|reservation| reservation.authorization_id.clone()).collect();
        self.reservations.retain(|_, reservation| recent.contains(&reservation.authorization_id));
    }

    /// Begins and ends tallies as the rules ask for them.
    pub(super) fn follow(&mut self, rules: &Rules, now: Timestamp) {
        self.forget_old(now);
        // The oldest reservation that is within the window is one millisecond younger than the window is long. One that
        // is kept for its payment's sake is older, and is in no tally that begins now.
        let since_ms = now.as_ms().saturating_sub(OLDEST_MS);
        let since = Timestamp::from_ms(since_ms).unwrap_or(now);
        self.tallies.follow(rules, since, &self.reservations.values());
    }
}

impl Reservation {
    /// Returns merchant and type, as limits tell payments apart.
    #[must_use]
    pub const fn place(&self) -> Place<'_> {
        Place {
            category: self.category,
            merchant_id: self.merchant_id.as_ref(),
            transaction_type: self.transaction_type,
        }
    }

    /// Returns true if it was reserved within the last `window_s` seconds; the window's oldest moment is excluded.
    fn is_within(&self, window_s: u32, now: Timestamp) -> bool {
        // If the clock were behind the reservation, its age would be zero: it counts.
        let age_ms = now.as_ms().saturating_sub(self.reserved_at.as_ms());
        age_ms < u64::from(window_s) * 1000
    }
}
