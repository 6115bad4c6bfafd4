//! What a card's events add up to.

use std::collections::BTreeMap;

use clearfold_kernel::{Address, Entries, ExternalId, Hash, Timestamp};
use serde::{Deserialize, Serialize};

use super::messages::{CardIssued, Event};
use super::rules::Rules;
use super::spend::Spend;
use super::status::Status;
use super::usage::{Reservation, Usage};

/// The state of a card's stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Nothing has happened. Its entries are those of the card that may be issued in the same turn.
    New(#[serde(skip)] Entries),
    /// There is a card.
    Issued(Box<Issued>),
}

/// A card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    /// The Safe that it pays from.
    pub account: Address,
    /// What it was issued with: a repeat of that is known by it.
    pub issued_with: Rules,
    /// What it may pay.
    pub rules: Rules,
    /// Whether it pays at all.
    pub status: Status,
    /// What it has paid lately.
    pub usage: Usage,
    /// When something last happened.
    pub latest: Timestamp,
    /// What every reservation's id that ever came stands for.
    #[serde(skip)]
    pub(super) entries: Entries,
}

impl Default for State {
    fn default() -> Self {
        Self::New(Entries::default())
    }
}

/// What a reservation's id stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Known {
    /// A payment: a digest of what it said.
    Spend(Hash),
    /// A tombstone: it was released before it came.
    Voided,
}

/// The key of what a reservation's id stands for.
pub(super) fn reservation_key(reservation_id: &ExternalId) -> String {
    format!("reservation/{reservation_id}")
}

impl State {
    /// Whether there is a card.
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
            // No decision makes these pairs; a fold must be total all the same.
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
            entries,
        }
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
                closed.at
            }
            Event::CardRulesSet(set) => {
                self.rules = set.rules.clone();
                set.at
            }
            Event::SpendReserved(reserved) => self.count(&Spend::from(reserved), reserved.at),
            Event::SpendRecorded(recorded) => self.count(&Spend::from(recorded), recorded.at),
            Event::SpendReleased(released) => {
                self.usage.release(released);
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
            remaining: spend.amount.clone(),
            reserved_at,
            releases: BTreeMap::new(),
        };
        self.usage.count(spend.reservation_id.clone(), reservation);
        self.entries.set(&reservation_key(spend.reservation_id), &Known::Spend(spend.digest()));
        reserved_at
    }

    /// What a reservation's id stands for, if it ever came.
    pub(super) fn known(&self, reservation_id: &ExternalId) -> Option<Known> {
        self.entries.get(&reservation_key(reservation_id))
    }
}
