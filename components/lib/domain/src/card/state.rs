//! State of a card's stream, folded from its events.

use std::collections::BTreeMap;

use clearfold_kernel::{Address, Entries, ExternalId, Hash, Minor, Timestamp};
use serde::{Deserialize, Serialize};

use super::expiry::ExpiryMonth;
use super::holder_checks::pin_key;
use super::messages::{CardIssued, Event, SpendReleased};
use super::rules::Rules;
use super::spend::Spend;
use super::status::{CloseCause, Status};
use super::stored::StoredRules;
use super::usage::{Reservation, Usage};
use crate::verification::CardChecks;

/// State of a card's stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// No card was issued yet. The entries are those of a card that may be issued in the same turn.
    New(#[serde(skip)] Entries),
    /// The card was issued.
    Issued(Box<Issued>),
}

/// State of an issued card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    /// Address of the Safe that the card pays from.
    pub account: Address,
    /// Rules at issue, by which a repeated `IssueCard` is recognized.
    #[serde(with = "StoredRules")]
    pub issued_with: Rules,
    /// Current rules.
    #[serde(with = "StoredRules")]
    pub rules: Rules,
    /// Current status: open, frozen or closed.
    pub status: Status,
    /// Payments of the last 45 days, and totals of longer spans.
    pub usage: Usage,
    /// Time of the latest event.
    pub latest: Timestamp,
    /// Expiry at issue, by which a repeated `IssueCard` is recognized.
    pub issued_until: Option<ExpiryMonth>,
    /// Last month in which the card pays. None if it does not expire.
    pub expires: Option<ExpiryMonth>,
    /// Loss or theft, if the card was closed for it.
    pub closed_as: Option<CloseCause>,
    /// Wrong PINs in a row.
    pub pin_failures: u8,
    /// Meaning of every reservation id that ever arrived, as entries.
    #[serde(skip)]
    pub(super) entries: Entries,
}

impl Default for State {
    fn default() -> Self {
        Self::New(Entries::default())
    }
}

/// Meaning of a known reservation id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Known {
    /// A payment.
    Spend {
        /// Digest of its content.
        digest: Hash,
        /// Part of it that still counts. While the card keeps the reservation among those of the last 45 days, that one
        /// says if it opens the payment.
        reservation: Reservation,
        /// Amount that each release took, by release id.
        releases: BTreeMap<ExternalId, Minor>,
    },
    /// A tombstone: the reservation was released before it arrived.
    Voided,
}

/// Entry key of a reservation id.
pub(super) fn reservation_key(reservation_id: &ExternalId) -> String {
    format!("reservation/{reservation_id}")
}

/// Returns the payment that a reservation id names, and the id under which earlier versions reserved the same: the message's
/// alone. None if it names no payment.
fn unscoped(reservation_id: &ExternalId) -> Option<(&str, ExternalId)> {
    let (payment, message_id) = reservation_id.as_str().split_once('/')?;
    Some((payment, message_id.parse().ok()?))
}

/// Entry keys under which a command looks for a reservation.
pub(super) fn reservation_keys(reservation_id: &ExternalId) -> Vec<String> {
    let before = unscoped(reservation_id).map(|(_, message_id)| reservation_key(&message_id));
    [reservation_key(reservation_id)].into_iter().chain(before).collect()
}

impl State {
    /// Returns true if the card was issued.
    #[must_use]
    pub fn is_issued(&self) -> bool {
        matches!(self, Self::Issued(_))
    }

    pub(super) fn entries(&mut self) -> &mut Entries {
        match self {
            Self::New(entries) => entries,
            Self::Issued(card) => &mut card.entries,
        }
    }

    pub(super) fn after(self, event: &Event) -> Self {
        match (self, event) {
            (Self::New(entries), Event::CardIssued(issued)) => {
                Self::Issued(Box::new(Issued::with(issued, entries)))
            }
            (Self::Issued(mut card), event) => {
                card.apply(event);
                Self::Issued(card)
            }
            // No decision produces these pairs; a fold must be total all the same.
            (state @ Self::New(_), _) => state,
        }
    }
}

impl Issued {
    fn with(issued: &CardIssued, entries: Entries) -> Self {
        Self {
            account: issued.account,
            issued_with: issued.rules.clone(),
            rules: issued.rules.clone(),
            status: Status::ACTIVE,
            usage: Usage::default(),
            latest: issued.at,
            issued_until: issued.expires,
            expires: issued.expires,
            closed_as: None,
            pin_failures: 0,
            entries,
        }
        .following_rules()
    }

    /// Begins the tallies that the rules ask for.
    fn following_rules(mut self) -> Self {
        self.usage.follow(&self.rules, self.latest);
        self
    }

    fn apply(&mut self, event: &Event) {
        let at = match event {
            // A card is issued once.
            Event::CardIssued(_) => return,
            Event::CardFrozen(frozen) => {
                self.status.freeze(frozen.reason);
                frozen.at
            }
            Event::CardUnfrozen(unfrozen) => {
                self.status.unfreeze(unfrozen.reason);
                unfrozen.at
            }
            Event::CardClosed(closed) => {
                self.status = Status::Closed;
                self.closed_as = closed.cause;
                closed.at
            }
            Event::CardRulesSet(set) => {
                self.rules = set.rules.clone();
                self.usage.follow(&self.rules, self.latest.max(set.at));
                set.at
            }
            Event::CardRenewed(renewed) => {
                self.expires = Some(renewed.expires);
                renewed.at
            }
            Event::PinFailed(failed) => {
                self.pin_failures = failed.failures;
                self.entries.set(&pin_key(&failed.authorization_id), &true);
                failed.at
            }
            Event::PinTriesReset(reset) => {
                self.pin_failures = 0;
                reset.at
            }
            Event::SpendReserved(reserved) => {
                if reserved.checks.as_ref().is_some_and(CardChecks::has_right_pin) {
                    self.pin_failures = 0;
                }
                self.count(&Spend::from(reserved), reserved.at)
            }
            Event::SpendRecorded(recorded) => self.count(&Spend::from(recorded), recorded.at),
            Event::SpendReleased(released) => {
                self.release(released);
                released.at
            }
            Event::ReservationVoided(voided) => {
                if self.known(&voided.reservation_id).is_none() {
                    self.entries.set(&reservation_key(&voided.reservation_id), &Known::Voided);
                }
                voided.at
            }
        };
        self.latest = self.latest.max(at);
        self.usage.forget_old(self.latest);
    }

    fn count(&mut self, spend: &Spend<'_>, reserved_at: Timestamp) -> Timestamp {
        // No decision counts an id twice.
        if self.known(spend.reservation_id).is_some() {
            return reserved_at;
        }
        let reservation = Reservation {
            authorization_id: spend.authorization_id.clone(),
            merchant_id: spend.merchant.map(|merchant| merchant.id.clone()),
            category: spend.merchant.map(|merchant| merchant.category),
            remaining: spend.amount.clone(),
            reserved_at,
            opens: false,
            transaction_type: spend.transaction_type,
        };
        let reservation = self.usage.count(spend.reservation_id.clone(), reservation);
        let known = Known::Spend { digest: spend.digest(), reservation, releases: BTreeMap::new() };
        self.entries.set(&reservation_key(spend.reservation_id), &known);
        reserved_at
    }

    fn release(&mut self, released: &SpendReleased) {
        let id = &released.reservation_id;
        // No decision releases what it does not know.
        let Some(Known::Spend { digest, reservation, mut releases }) = self.known(id) else { return };
        let reservation = self.usage.release(id, reservation, &released.amount, released.remaining);
        releases.insert(released.release_id.clone(), released.amount.minor);
        self.entries.set(&reservation_key(id), &Known::Spend { digest, reservation, releases });
    }

    /// Returns true if the wrong PIN of a payment was counted.
    pub(super) fn knows_pin_failure(&self, authorization_id: &ExternalId) -> bool {
        self.entries.contains(&pin_key(authorization_id))
    }

    /// Returns the id under which a reservation is known, with its meaning: its own, or that of earlier versions if its
    /// payment has one there. None if it never arrived.
    pub(super) fn reserved(&self, reservation_id: &ExternalId) -> Option<(ExternalId, Known)> {
        if let Some(known) = self.known(reservation_id) {
            return Some((reservation_id.clone(), known));
        }
        let (payment, message_id) = unscoped(reservation_id)?;
        let known = self.known(&message_id)?;
        let is_of_payment = match &known {
            Known::Spend { reservation, .. } => reservation.authorization_id.as_str() == payment,
            // A tombstone of earlier versions names no payment.
            Known::Voided => false,
        };
        is_of_payment.then_some((message_id, known))
    }

    /// Returns the meaning of a reservation id, or None if it never arrived.
    pub(super) fn known(&self, reservation_id: &ExternalId) -> Option<Known> {
        let mut known = self.entries.get(&reservation_key(reservation_id));
        // Another reservation of the payment may have handed the payment over to a kept one.
        if let Some(Known::Spend { reservation, .. }) = &mut known
            && let Some(kept) = self.usage.reservation(reservation_id)
        {
            reservation.clone_from(kept);
        }
        known
    }
}
