//! What an account's events add up to: the books.

use std::collections::BTreeMap;

use clearfold_kernel::{Address, Amount, Asset, ExternalId, Minor, Timestamp};
use serde::{Deserialize, Serialize};

use super::deposit::Movement;
use super::funding::Leg;
use super::hold::Hold;
use super::identity::{Acts, LogId};
use super::ledger::{Ledger, LedgerAccount, Net};
use super::messages::{DelayQueue, Event};

/// The state of an account's stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Nothing has happened.
    #[default]
    New,
    /// An account.
    Open(Box<Books>),
}

/// All that is known of an open account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Books {
    pub(super) address: Address,
    pub(super) assets: Vec<Asset>,
    pub(super) opened_at: Timestamp,
    pub(super) latest_at: Timestamp,
    pub(super) delay_queue: DelayQueue,
    pub(super) ledger: Ledger,
    pub(super) holds: BTreeMap<ExternalId, Hold>,
    /// Deposits and withdrawals, for the reorganization that may come.
    pub(super) movements: BTreeMap<LogId, Movement>,
    /// Funding in transit.
    pub(super) legs: BTreeMap<LogId, Leg>,
    /// Clearings that are or were in suspense.
    pub(super) suspended: BTreeMap<ExternalId, Amount>,
    /// Refunds that are or were in suspense.
    pub(super) unlinked: BTreeMap<ExternalId, Amount>,
    /// By payment and dispute.
    pub(super) disputed: BTreeMap<String, Amount>,
    /// What is still owed of each receivable.
    pub(super) owed: BTreeMap<ExternalId, Amount>,
    pub(super) acts: Acts,
}

impl State {
    /// What the customer can call theirs, held or not.
    #[must_use]
    pub fn posted(&self, asset: &Asset) -> Net {
        self.books().map(|books| books.posted(asset)).unwrap_or_default()
    }

    /// What is set aside for open authorizations.
    #[must_use]
    pub fn pending(&self, asset: &Asset) -> Minor {
        self.books().map(|books| books.pending(asset)).unwrap_or_default()
    }

    /// What a new authorization can use: posted less pending.
    #[must_use]
    pub fn available(&self, asset: &Asset) -> Net {
        self.books().map(|books| books.available(asset)).unwrap_or_default()
    }

    /// All balances; none of an account that is not open.
    #[must_use]
    pub fn ledger(&self) -> Option<&Ledger> {
        self.books().map(|books| &books.ledger)
    }

    /// What is still held, by the authorization's id. Holds that hold nothing any more are not among them.
    #[must_use]
    pub fn holds(&self) -> BTreeMap<&ExternalId, Amount> {
        let held = |(id, hold)| Hold::remaining(hold).map(|amount| (id, amount));
        self.books().into_iter().flat_map(|books| &books.holds).filter_map(held).collect()
    }

    pub(super) fn after(self, event: &Event) -> Self {
        match (self, event) {
            (Self::New, Event::AccountOpened(opened)) => Self::Open(Box::new(Books::new(opened))),
            (Self::Open(mut books), event) => {
                // What no decision makes is left out as a whole; a fold must be total all the same.
                let _applied = books.apply(event);
                Self::Open(books)
            }
            (state, _) => state,
        }
    }

    fn books(&self) -> Option<&Books> {
        match self {
            Self::New => None,
            Self::Open(books) => Some(books),
        }
    }
}

impl Books {
    pub(super) fn posted(&self, asset: &Asset) -> Net {
        self.ledger.net(asset, LedgerAccount::Customer)
    }

    /// Counted from the holds each time: a sum kept beside them could differ from them.
    pub(super) fn pending(&self, asset: &Asset) -> Minor {
        let held = self.holds.values().filter_map(|hold| hold.held_of(asset));
        // A hold that would make the sum too large is refused, so that it always fits.
        held.fold(Minor::ZERO, |sum, held| sum.plus(held).unwrap_or(Minor::new(u128::MAX)))
    }

    pub(super) fn available(&self, asset: &Asset) -> Net {
        self.posted(asset).less(self.pending(asset))
    }

    /// All of the event or, if no decision makes it on these books, nothing of it.
    fn apply(&mut self, event: &Event) -> Option<()> {
        let identities = event.identities();
        if identities.iter().any(|identity| self.acts.contains(identity)) {
            return None;
        }
        let said = event.said(self.opened_at).ok()?;
        let booked = match event.booked() {
            None => None,
            Some((asset, transfers)) => Some((asset, self.ledger.after(asset, transfers).ok()?)),
        };
        self.remember(event)?;
        if let Some((asset, book)) = booked {
            self.ledger.set(asset, book);
        }
        identities.into_iter().for_each(|identity| self.acts.insert(identity, said.clone()));
        self.latest_at = self.latest_at.max(event.at());
        Some(())
    }

    /// What later commands must know beside ids and balances. Each rule's file says what that is.
    fn remember(&mut self, event: &Event) -> Option<()> {
        match event {
            Event::AccountOpened(_) => return None,
            Event::DelayQueueChanged(event) => self.delay_queue = event.state,
            Event::Deposited(event) => self.deposited(event),
            Event::Withdrawn(event) => self.withdrawn(event),
            Event::HoldPlaced(event) => self.hold_placed(event)?,
            Event::HoldRaised(event) => self.hold_raised(event)?,
            Event::HoldLowered(event) => self.hold_lowered(&event.hold_id, event.amount.minor)?,
            Event::HoldVoided(event) => self.hold_voided(event)?,
            Event::ClearingBooked(event) => self.clearing_booked(event)?,
            Event::ClearingSuspended(event) => self.clearing_suspended(event),
            Event::FundingBooked(event) => self.funding_booked(event)?,
            Event::RefundBooked(event) => self.refund_booked(event),
            Event::DisputeBooked(event) => self.dispute_booked(event),
            Event::ReceivableBooked(event) => self.receivable_booked(event),
            Event::ReceivableRecovered(event) => self.receivable_recovered(event)?,
            Event::DepositReorged(_)
            | Event::WithdrawalReorged(_)
            | Event::SuspenseResolved(_)
            | Event::Returned(_)
            | Event::RefundResolved(_)
            | Event::SettlementBooked(_)
            | Event::FeeCharged(_) => {}
        }
        Some(())
    }
}
