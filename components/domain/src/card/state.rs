//! What a card's events add up to.

use std::collections::BTreeMap;

use clearfold_kernel::{Address, ExternalId, Hash, Timestamp};
use serde::{Deserialize, Serialize};

use super::messages::{CardIssued, Event};
use super::rules::Rules;
use super::spend::Spend;
use super::status::Status;
use super::usage::{Reservation, Usage};

/// The state of a card's stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Nothing has happened.
    #[default]
    New,
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
    /// Every reservation's id that ever came.
    pub known: BTreeMap<ExternalId, Known>,
    /// When something last happened.
    pub latest: Timestamp,
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

impl State {
    pub(super) fn after(self, event: &Event) -> Self {
        match (self, event) {
            (Self::New, Event::CardIssued(issued)) => Self::Issued(Box::new(Issued::with(issued))),
            (Self::Issued(mut card), event) => {
                card.apply(event);
                Self::Issued(card)
            }
            // No decision makes these pairs; a fold must be total all the same.
            (Self::New, _) => Self::New,
        }
    }
}

impl Issued {
    fn with(issued: &CardIssued) -> Self {
        Self {
            account: issued.account,
            issued_with: issued.rules.clone(),
            rules: issued.rules.clone(),
            status: Status::ACTIVE,
            usage: Usage::default(),
            known: BTreeMap::new(),
            latest: issued.at,
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
                self.known.entry(voided.reservation_id.clone()).or_insert(Known::Voided);
                voided.at
            }
        };
        self.latest = self.latest.max(at);
        self.usage.forget_old(self.latest);
    }

    fn count(&mut self, spend: &Spend<'_>, reserved_at: Timestamp) -> Timestamp {
        // No decision counts an id twice.
        if self.known.contains_key(spend.reservation_id) {
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
        self.known.insert(spend.reservation_id.clone(), Known::Spend(spend.digest()));
        reserved_at
    }
}
