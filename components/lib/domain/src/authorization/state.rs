//! What a payment's events add up to.

use std::collections::BTreeMap;

use clearfold_kernel::{Amount, Asset, ExternalId, Hash, Minor, Rejection, Timestamp};
use serde::{Deserialize, Serialize};

use super::clearing::Clearing;
use super::dispute::Dispute;
use super::funding::{Funding, Gone};
use super::messages::{AdviceHold, AdviceRecorded, AuthorizationRequested, Event, Parties};
use super::refund::UnlinkedRefund;
use super::reversal::Reversal;
use super::suspense::Suspended;
use super::{
    advice, clearing, dispute, expiry, flag, force_post, funding, increment, refund, request, reversal,
    suspense, swipe,
};
use crate::checks;
use crate::network::{Merchant, MerchantCategory};
use crate::policy::DeclineReason;

/// The state of an authorization's stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The host's clock at the latest decision: time does not run behind it.
    pub latest: Option<Timestamp>,
    /// What stand-ins approved in our place, by their message.
    pub advices: BTreeMap<ExternalId, AdviceRecorded>,
    /// Increments that were added, by their message: how much each added.
    pub increments: BTreeMap<ExternalId, Minor>,
    /// Reversals that came, by their message, whether they fitted or not.
    pub reversals: BTreeMap<ExternalId, Reversal>,
    /// Claims of the network, by their record, whether they posted or not.
    pub clearings: BTreeMap<ExternalId, Clearing>,
    /// Claims that came to the suspense account, by their record.
    pub suspended: BTreeMap<ExternalId, Suspended>,
    /// Refunds of this payment, by what makes each the same.
    pub refunds: BTreeMap<String, Minor>,
    /// Logs of pulled money that went with their blocks.
    pub reorged: Vec<Gone>,
    /// What the stream is about.
    pub subject: Subject,
}

/// What the stream is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subject {
    /// Nothing yet, but what fitted nothing may have been kept.
    #[default]
    Nothing,
    /// A payment.
    Payment(Box<Payment>),
    /// An unlinked refund.
    Refund(Box<UnlinkedRefund>),
}

/// A payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Whose it is.
    pub parties: Parties,
    /// What it is paid in.
    pub asset: Asset,
    /// What the merchant sells, where it is known.
    pub category: Option<MerchantCategory>,
    /// How it began.
    pub entry: Entry,
    /// How far it has come with the network.
    pub status: Status,
    /// What was held, claimed and given back.
    pub totals: Totals,
    /// When the hold ends by itself. None where it does not, or is not placed yet.
    pub expires_at: Option<Timestamp>,
    /// How far the money has come on chain.
    pub funding: Funding,
    /// Rules that would have refused it.
    pub flags: Vec<DeclineReason>,
    /// Disputes, the newest last.
    pub disputes: Vec<Dispute>,
}

/// How a payment began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// The network asked.
    Requested(Box<AuthorizationRequested>),
    /// The chain showed it first.
    Swiped {
        /// The transaction that paid.
        transaction_hash: Hash,
    },
    /// A stand-in approved it.
    Advised {
        /// Its message.
        message_id: ExternalId,
        /// Who is paid.
        merchant: Box<Merchant>,
        /// What the network had asked us before, if it had.
        requested: Option<Box<AuthorizationRequested>>,
    },
    /// The network posted without asking.
    Forced {
        /// Who is paid, where the first claim said it.
        merchant: Option<Box<Merchant>>,
    },
}

impl Entry {
    /// What the network asked us, if it did.
    #[must_use]
    pub fn request(&self) -> Option<&AuthorizationRequested> {
        match self {
            Self::Requested(request) => Some(request),
            Self::Advised { requested, .. } => requested.as_deref(),
            Self::Swiped { .. } | Self::Forced { .. } => None,
        }
    }

    /// Who is paid, where the network has said it.
    #[must_use]
    pub fn merchant(&self) -> Option<&Merchant> {
        match self {
            Self::Requested(request) => Some(&request.merchant),
            Self::Advised { merchant, .. } => Some(merchant),
            Self::Forced { merchant } => merchant.as_deref(),
            Self::Swiped { .. } => None,
        }
    }
}

/// How far a payment has come with the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Asked for, not decided.
    Requested,
    /// Refused.
    Declined,
    /// Open: seen on chain first.
    Recorded,
    /// Open: all that was asked for is held.
    Authorized,
    /// Open: a part of it is held.
    PartiallyAuthorized,
    /// Open: a stand-in approved it.
    Advised,
    /// Closed: given back, unclaimed.
    Reversed,
    /// Closed: claimed, for the last time.
    Cleared,
    /// Closed: the hold ended by time.
    Expired,
    /// Closed: claimed after the hold had ended.
    ClearedLate,
    /// Closed: claimed without an authorization.
    ForcePosted,
}

impl Status {
    /// Whether something may be held.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Recorded | Self::Authorized | Self::PartiallyAuthorized | Self::Advised)
    }
}

/// The sums that the invariants speak of, in minor units of the payment's asset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// A: authorized, with all increments.
    pub authorized: Minor,
    /// R: given back.
    pub reversed: Minor,
    /// E: ended by time.
    pub expired: Minor,
    /// K: claimed against the hold.
    pub cleared: Minor,
    /// X: claimed beyond it.
    pub beyond: Minor,
    /// F: given back by the merchant.
    pub refunded: Minor,
}

impl Totals {
    /// H = A − R − E − K: what is still held. No decision lets the parts exceed the whole.
    #[must_use]
    pub fn held(&self) -> Minor {
        [self.reversed, self.expired, self.cleared]
            .into_iter()
            .fold(self.authorized, |rest, part| rest.minus(part).unwrap_or(Minor::ZERO))
    }

    /// K + X: what the merchant got.
    #[must_use]
    pub fn captured(&self) -> Minor {
        sum(self.cleared, self.beyond)
    }
}

/// A sum that a decision found to fit. A fold is total: what could not be would stay at the largest number.
pub(super) fn sum(left: Minor, right: Minor) -> Minor {
    left.plus(right).unwrap_or(Minor::new(u128::MAX))
}

impl Payment {
    /// A payment of which nothing is known but how it began.
    pub(super) fn new(parties: Parties, asset: Asset, entry: Entry, status: Status) -> Self {
        Self {
            parties,
            asset,
            category: None,
            entry,
            status,
            totals: Totals::default(),
            expires_at: None,
            funding: Funding::None,
            flags: Vec::new(),
            disputes: Vec::new(),
        }
    }

    /// What is still held for clearings to come.
    #[must_use]
    pub fn held(&self) -> Minor {
        self.totals.held()
    }

    /// The money is to be pulled, unless something was seen of it on chain before.
    pub(super) fn begin_funding(&mut self) {
        if self.funding == Funding::None {
            self.funding = Funding::Unsubmitted;
        }
    }

    /// An amount of the payment's asset.
    pub(super) fn amount(&self, minor: Minor) -> Amount {
        Amount { minor, asset: self.asset.clone() }
    }
}

impl State {
    /// The payment, if that is what the stream is about.
    #[must_use]
    pub fn payment(&self) -> Option<&Payment> {
        match &self.subject {
            Subject::Payment(payment) => Some(payment),
            Subject::Nothing | Subject::Refund(_) => None,
        }
    }

    /// The id of a message is its own: what came under it before, as another kind of message, is not repeated by it.
    pub(super) fn unheard(&self, message_id: &ExternalId) -> Result<(), Rejection> {
        let entry = self.payment().map(|payment| &payment.entry);
        let is_request = entry.and_then(Entry::request).is_some_and(|known| known.message_id == *message_id);
        let is_heard = is_request
            || self.advices.contains_key(message_id)
            || self.increments.contains_key(message_id)
            || self.reversals.contains_key(message_id);
        checks::repeated(message_id.as_str(), &false, &is_heard)
    }

    /// What was added to the payment after it had begun, by the message: increments, and what stand-ins approved beyond
    /// what was held.
    pub fn added(&self) -> impl Iterator<Item = (&ExternalId, Minor)> {
        let advices = self.advices.iter().filter_map(|(message_id, advice)| match advice.hold {
            AdviceHold::Raised(by) => Some((message_id, by)),
            AdviceHold::Placed | AdviceHold::Unchanged => None,
        });
        self.increments.iter().map(|(message_id, by)| (message_id, *by)).chain(advices)
    }

    pub(super) fn payment_mut(&mut self) -> Option<&mut Payment> {
        match &mut self.subject {
            Subject::Payment(payment) => Some(payment),
            Subject::Nothing | Subject::Refund(_) => None,
        }
    }

    pub(super) fn begin(&mut self, payment: Payment) {
        if let Subject::Nothing = self.subject {
            self.subject = Subject::Payment(Box::new(payment));
        }
    }

    /// The state after an event. What no decision makes changes nothing.
    pub(super) fn after(mut self, event: &Event) -> Self {
        match event {
            Event::SwipeRecorded(event) => swipe::recorded(&mut self, event),
            Event::AuthorizationRequested(event) => request::requested(&mut self, event),
            Event::AuthorizationApproved(event) => request::approved(&mut self, event),
            Event::AuthorizationPartiallyApproved(event) => request::partially_approved(&mut self, event),
            Event::AuthorizationDeclined(event) => request::declined(&mut self, event),
            Event::HoldIncreased(event) => increment::increased(&mut self, event),
            Event::AuthorizationReversed(event) => reversal::reversed(&mut self, event),
            Event::ReversalRefused(event) => reversal::refused(&mut self, event),
            Event::AuthorizationExpired(event) => expiry::expired(&mut self, event),
            Event::AdviceRecorded(event) => advice::recorded(&mut self, event),
            Event::ClearingPosted(event) => clearing::posted(&mut self, event),
            Event::ClearingSuspended(event) => clearing::suspended(&mut self, event),
            Event::ClearingResolved(event) => suspense::clearing_resolved(&mut self, event),
            Event::ClearingRefused(event) => clearing::refused(&mut self, event),
            // What these say follows from the clearing beside them.
            Event::OverCaptured(_) | Event::LatePresented(_) => {}
            Event::ForcePosted(event) => force_post::posted(&mut self, event),
            Event::RefundLinked(event) => refund::linked(&mut self, event),
            Event::RefundUnlinked(event) => refund::unlinked(&mut self, event),
            Event::RefundResolved(event) => suspense::refund_resolved(&mut self, event),
            Event::FundingSubmitted(event) => funding::submitted(&mut self, event),
            Event::FundingIncluded(event) => funding::included(&mut self, event),
            Event::FundingFinalized(event) => funding::finalized(&mut self, event),
            Event::FundingReverted(event) => funding::reverted(&mut self, event),
            Event::FundingDropped(event) => funding::dropped(&mut self, event),
            Event::FundingReorged(event) => funding::reorged(&mut self, event),
            Event::PaymentFlagged(event) => flag::flagged(&mut self, event),
            Event::DisputeOpened(event) => dispute::opened(&mut self, event),
            Event::DisputeAdvanced(event) => dispute::advanced(&mut self, event),
            Event::ProvisionalCreditGranted(event) => dispute::credited(&mut self, event),
            Event::DisputeResolved(event) => dispute::resolved(&mut self, event),
        }
        self
    }
}
