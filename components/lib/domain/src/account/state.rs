//! State of an account, folded from its events: the books.

use std::collections::BTreeMap;

use clearfold_kernel::{Address, Amount, Asset, Entries, Minor, Timestamp};
use serde::{Deserialize, Serialize};

use super::awaited::Awaited;
use super::held::{HELD, Held};
use super::hold::Hold;
use super::ledger::{Ledger, LedgerAccount, Net};
use super::matching::Unmatched;
use super::messages::{DelayQueue, Event, Opener};
use super::refund_match::Reports;

/// The state of an account's stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// State before the first event. The entries are those of the account that may be opened in the same turn.
    New(#[serde(skip)] Entries),
    /// State of an open account.
    Open(Box<Books>),
}

/// Books of an open account. Everything that grows with its history is in the entries, by id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Books {
    pub(super) address: Address,
    pub(super) assets: Vec<Asset>,
    /// Source of the list of assets: the fact that opened the account, or an operator.
    pub(super) assets_by: Opener,
    pub(super) opened_at: Timestamp,
    pub(super) latest_at: Timestamp,
    pub(super) delay_queue: DelayQueue,
    pub(super) ledger: Ledger,
    /// Sum of the holds in minor units, by asset code.
    pub(super) pending: BTreeMap<String, Minor>,
    /// Sum of what is owed back for the holds' payments in minor units, by asset code.
    pub(super) owed_back: BTreeMap<String, Minor>,
    /// Sum of what came back on chain and was taken off no payment, by asset code: the withheld parts of refunds that
    /// are not resolved, and returns that name no payment.
    pub(super) unassigned: BTreeMap<String, Minor>,
    /// `Spend`s and payments of the network that have no counterpart yet.
    pub(super) unmatched: Unmatched,
    /// Refunds that were reported once, by the network or on chain.
    pub(super) reports: Reports,
    /// Holds that no clearing has claimed, by what they are for.
    pub(super) awaited: Awaited,
    #[serde(skip)]
    pub(super) entries: Entries,
}

impl Default for State {
    fn default() -> Self {
        Self::New(Entries::default())
    }
}

impl State {
    /// Returns the customer's balance by the ledger, including what is on hold.
    #[must_use]
    pub fn posted(&self, asset: &Asset) -> Net {
        self.books().map(|books| books.posted(asset)).unwrap_or_default()
    }

    /// Returns the sum of the holds for open authorizations.
    #[must_use]
    pub fn pending(&self, asset: &Asset) -> Minor {
        self.books().map(|books| books.pending(asset)).unwrap_or_default()
    }

    /// Returns what a new authorization can use: posted less pending and less what is owed as a receivable.
    #[must_use]
    pub fn available(&self, asset: &Asset) -> Net {
        self.books().map(|books| books.available(asset)).unwrap_or_default()
    }

    /// Returns what was pulled for the account's payments, did not come back under a payment's name, and is neither
    /// held nor captured.
    #[must_use]
    pub fn owed_back(&self, asset: &Asset) -> Minor {
        self.books().map(|books| books.owed_back(asset)).unwrap_or_default()
    }

    /// Returns what came back on chain and was taken off no payment: what is withheld, and returns without a payment.
    #[must_use]
    pub fn unassigned(&self, asset: &Asset) -> Minor {
        self.books().map(|books| books.unassigned(asset)).unwrap_or_default()
    }

    /// Returns all balances; `None` if the account is not open.
    #[must_use]
    pub fn ledger(&self) -> Option<&Ledger> {
        self.books().map(|books| &books.ledger)
    }

    /// Returns the amounts still held, by authorization id, without holds of which nothing is left. Requires a state
    /// with all of its entries.
    #[must_use]
    pub fn holds(&self) -> BTreeMap<String, Amount> {
        let all = self.books().map(|books| books.entries.all::<Held>(HELD)).unwrap_or_default();
        let remaining = |held: Held| held.hold.as_ref().and_then(Hold::remaining).cloned();
        all.into_iter().filter_map(|(id, held)| Some((id, remaining(held)?))).collect()
    }

    /// Returns true if the account was opened.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.books().is_some()
    }

    pub(super) fn entries(&mut self) -> &mut Entries {
        match self {
            Self::New(entries) => entries,
            Self::Open(books) => &mut books.entries,
        }
    }

    pub(super) fn after(self, event: &Event) -> Self {
        match (self, event) {
            (Self::New(entries), Event::AccountOpened(opened)) => {
                Self::Open(Box::new(Books::new(opened, entries)))
            }
            (Self::Open(mut books), event) => {
                // An event that no decision makes on these books is skipped as a whole, because a fold must be total.
                let _applied = books.apply(event);
                Self::Open(books)
            }
            (state, _) => state,
        }
    }

    fn books(&self) -> Option<&Books> {
        match self {
            Self::New(_) => None,
            Self::Open(books) => Some(books),
        }
    }
}

impl Books {
    pub(super) fn posted(&self, asset: &Asset) -> Net {
        self.ledger.net(asset, LedgerAccount::Customer)
    }

    pub(super) fn pending(&self, asset: &Asset) -> Minor {
        self.pending.get(&asset.code).copied().unwrap_or_default()
    }

    pub(super) fn owed_back(&self, asset: &Asset) -> Minor {
        self.owed_back.get(&asset.code).copied().unwrap_or_default()
    }

    pub(super) fn unassigned(&self, asset: &Asset) -> Minor {
        self.unassigned.get(&asset.code).copied().unwrap_or_default()
    }

    /// Returns posted less pending less the open receivable. The customer is credited with a receivable when it is booked,
    /// although the money is the processor's.
    pub(super) fn available(&self, asset: &Asset) -> Net {
        let owed = self.ledger.net(asset, LedgerAccount::Receivable).magnitude();
        self.posted(asset).less(self.pending(asset)).less(owed)
    }

    /// Applies the whole event, or nothing of it if no decision makes it on these books.
    fn apply(&mut self, event: &Event) -> Option<()> {
        let identities = event.identities();
        if identities.iter().any(|identity| self.has(identity)) {
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
        let fact = event.fact();
        identities.iter().for_each(|identity| self.did(identity, &said, fact.as_ref()));
        self.latest_at = self.latest_at.max(event.at());
        Some(())
    }

    /// Updates what later commands need besides balances, identities and their facts. Each rule's file says what that
    /// is.
    fn remember(&mut self, event: &Event) -> Option<()> {
        match event {
            Event::AccountOpened(_) => return None,
            Event::AssetsNamed(event) => self.assets_named(event)?,
            Event::DelayQueueChanged(event) => self.delay_queue = event.state,
            Event::HoldPlaced(event) => self.hold_placed(event)?,
            Event::HoldRaised(event) => self.hold_raised(event)?,
            Event::HoldLowered(event) => self.hold_lowered(event)?,
            Event::HoldVoided(event) => self.hold_voided(event)?,
            Event::ClearingBooked(event) => self.clearing_booked(event)?,
            Event::FundingBooked(event) => self.funding_booked(event)?,
            Event::Returned(event) => self.returned(event)?,
            Event::RefundBooked(event) => self.refund_booked(event)?,
            Event::RefundResolved(event) => self.refund_resolved(event)?,
            Event::DisputeBooked(event) => self.dispute_booked(event),
            Event::DisputeMoneyBooked(event) => self.dispute_money_booked(event)?,
            Event::ReceivableBooked(event) => self.receivable_booked(event),
            Event::ReceivableRecovered(event) => self.receivable_recovered(event)?,
            Event::SpendMatched(event) => self.spend_matched(event),
            Event::FundingMoved(event) => self.funding_moved(event)?,
            Event::ReturnAssigned(event) => self.return_assigned(event)?,
            Event::ClearingReversalBooked(event) => self.clearing_reversed(event)?,
            Event::RefundReversalBooked(event) => self.refund_reversed(event),
            Event::HoldPrevented(event) => self.hold_prevented(event)?,
            Event::ClearingMoved(event) => self.clearing_moved(event)?,
            Event::Deposited(_)
            | Event::DepositReorged(_)
            | Event::Withdrawn(_)
            | Event::WithdrawalReorged(_)
            | Event::ClearingSuspended(_)
            | Event::SuspenseResolved(_)
            | Event::SettlementBooked(_)
            | Event::FeeCharged(_) => {}
        }
        Some(())
    }
}
