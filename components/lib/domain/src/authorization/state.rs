//! State of an authorization's stream, folded from its events.

use std::collections::BTreeMap;

use clearfold_kernel::{Amount, Asset, ExternalId, Hash, Minor, Rejection, Timestamp};
use serde::{Deserialize, Serialize};

use super::claim::{Clearing, ClearingFate, Suspended};
use super::clearing_link::ClearingLinks;
use super::dispute::Dispute;
use super::dispute_money::DisputeMoney;
use super::fees::Fees;
use super::funding::{Funding, Gone};
use super::increment::{Increment, IncrementFate};
use super::legs::Legs;
use super::link::Links;
use super::messages::{AdviceHold, AuthorizationRequested, Event, Parties};
use super::record_reversal::RecordReversals;
use super::refund::UnlinkedRefund;
use super::reversal::{Reversal, ReversalFate};
use super::single_message::SingleMessage;
use super::stored::{Advice, Requested, StoredParties};
use super::{
    advice, clearing, clearing_link, dispute, dispute_money, expiry, flag, force_post, funding, increment,
    legs, link, partial, record_reversal, refund, request, reversal, suspense, swipe,
};
use crate::checks;
use crate::network::{FieldText, Merchant, MerchantCategory, Network};
use crate::policy::DeclineReason;
use crate::policy::over_capture::Circumstances;

/// State of an authorization's stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Latest time of the host's clock at a decision; no request may come before it.
    pub latest: Option<Timestamp>,
    /// Approvals by a stand-in, by message id.
    pub advices: BTreeMap<ExternalId, Advice>,
    /// Increments that the network asked for, by message id, whether they were approved or not.
    pub increments: BTreeMap<ExternalId, Increment>,
    /// Reversals that were received, by message id, whether they fitted or not.
    pub reversals: BTreeMap<ExternalId, Reversal>,
    /// Claims of the network, by clearing id, whether they posted or not.
    pub clearings: BTreeMap<ExternalId, Clearing>,
    /// Claims that came to the suspense account, or that an earlier version refused, by clearing id.
    pub suspended: BTreeMap<ExternalId, Suspended>,
    /// Amount of each refund of this payment, by the refund's identity.
    pub refunds: BTreeMap<String, Minor>,
    /// Pulls of money whose blocks were reorganized away.
    pub reorged: Vec<Gone>,
    /// Subject of the stream.
    pub subject: Subject,
    /// Legs of the funding behind the first, and what is stated of all legs.
    pub legs: Legs,
    /// Part of R that the last clearing released, or that the network took back of a clearing. The merchant did not give
    /// it back, so it can still be claimed.
    pub released: Minor,
    /// Links with `Spend`s that somebody else submitted.
    pub links: Links,
    /// Transaction of each refund of this payment that is on chain, by the refund's identity.
    pub paid_back_by: BTreeMap<String, Hash>,
    /// `Spend` that was seen before the network asked for this payment, and pays what it requests.
    pub expected: Option<ExternalId>,
    /// Reversals of records by the network.
    pub record_reversals: RecordReversals,
    /// Single message by which the network asked.
    pub single_message: SingleMessage,
    /// Money that moved in disputes, by the ids of the network's records.
    pub dispute_money: BTreeMap<ExternalId, DisputeMoney>,
    /// Numbers of the network's request, by which the account knows its hold. None if the request does not state them all.
    pub asked_by: Option<ExternalId>,
    /// Unlinked refund that opened the stream, if a payment has begun behind it. Earlier versions recorded such refunds under
    /// the payment's id.
    pub beside: Option<Box<UnlinkedRefund>>,
    /// Network fees of the records that were not taken back.
    pub fees: Fees,
    /// Links of clearings that named no known payment.
    pub clearing_links: ClearingLinks,
    /// Terminal of the network's request, by which a clearing finds the hold.
    pub terminal: Option<FieldText>,
}

/// Subject of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subject {
    /// None yet, but reversals that fitted nothing may have been recorded.
    #[default]
    Nothing,
    /// A payment.
    Payment(Box<Payment>),
    /// An unlinked refund.
    Refund(Box<UnlinkedRefund>),
}

/// State of a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Parties of the payment: account, card and merchant.
    #[serde(with = "StoredParties")]
    pub parties: Parties,
    /// Asset of all amounts of the payment.
    pub asset: Asset,
    /// Merchant category, if it is known. Not read: memories of version 10 are the head of this state.
    pub category: Option<MerchantCategory>,
    /// Beginning of the payment.
    pub entry: Entry,
    /// Progress with the network.
    pub status: Status,
    /// Part of the request that the account is asked for, because it has no more.
    pub proposed: Option<Minor>,
    /// Totals of what was held, claimed and given back.
    pub totals: Totals,
    /// Time at which the hold expires. None if it is not placed yet, or was recorded before such holds expired.
    pub expires_at: Option<Timestamp>,
    /// Progress of the money on chain, in its first leg.
    pub funding: Funding,
    /// Reasons for which the payment was, or would have been, declined.
    pub flags: Vec<DeclineReason>,
    /// Disputes, newest last.
    pub disputes: Vec<Dispute>,
}

/// Beginning of a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// The network requested it.
    Requested(Box<Requested>),
    /// It was seen on chain first.
    Swiped {
        /// Hash of the transaction that paid.
        transaction_hash: Hash,
    },
    /// A stand-in approved it.
    Advised {
        /// Id of the advice message.
        message_id: ExternalId,
        /// Merchant that is paid.
        merchant: Box<Merchant>,
        /// Earlier request of the network, if there was one.
        requested: Option<Box<Requested>>,
    },
    /// The network force-posted it.
    Forced {
        /// Merchant that is paid, if the first claim named it.
        merchant: Option<Box<Merchant>>,
    },
}

impl Entry {
    /// Returns the network's request, if there was one.
    #[must_use]
    pub fn request(&self) -> Option<&AuthorizationRequested> {
        match self {
            Self::Requested(request) => Some(request),
            Self::Advised { requested, .. } => requested.as_deref().map(|request| &request.0),
            Self::Swiped { .. } | Self::Forced { .. } => None,
        }
    }

    /// Returns the merchant that is paid, if the network has named it.
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

/// Progress of a payment with the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Requested, not decided.
    Requested,
    /// Declined.
    Declined,
    /// Open: seen on chain first.
    Recorded,
    /// Open: the whole requested amount is held.
    Authorized,
    /// Open: a part of the requested amount is held.
    PartiallyAuthorized,
    /// Open: a stand-in approved it.
    Advised,
    /// Closed: reversed in full, unclaimed.
    Reversed,
    /// Closed: the last claim has posted.
    Cleared,
    /// Closed: the hold expired.
    Expired,
    /// Closed: claimed after the hold had expired.
    ClearedLate,
    /// Closed: claimed without an authorization.
    ForcePosted,
    /// Closed: a `Spend` that is the funding of another payment, or a clearing that is a claim to another one.
    Linked,
}

impl Status {
    /// Returns true if the payment can hold money.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Recorded | Self::Authorized | Self::PartiallyAuthorized | Self::Advised)
    }
}

/// Totals that the invariants are about, in minor units of the payment's asset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// A: authorized, with all increments.
    pub authorized: Minor,
    /// R: reversed, released by the last clearing, or claimed and taken back by the network.
    pub reversed: Minor,
    /// E: expired.
    pub expired: Minor,
    /// K: claimed against the hold, without what was taken back. The read store and the API call K + X cleared; see [`captured`](Self::captured).
    pub against_hold: Minor,
    /// X: claimed beyond the hold, without what was taken back.
    pub beyond: Minor,
    /// F: refunded by the merchant, without what the network took back.
    pub refunded: Minor,
}

impl Totals {
    /// Returns H = A − R − E − K: the amount still held. No decision lets the parts exceed the whole.
    #[must_use]
    pub fn held(&self) -> Minor {
        [self.reversed, self.expired, self.against_hold].into_iter().fold(self.authorized, Minor::excess_over)
    }

    /// Returns A − R: the amount that was authorized and not reversed. No decision reverses more than is held.
    #[must_use]
    pub fn standing(&self) -> Minor {
        self.authorized.excess_over(self.reversed)
    }

    /// Returns K + X: the amount that the merchant got, against the hold or beyond it. In the read store's columns and
    /// the API's fields this is `cleared`.
    #[must_use]
    pub fn captured(&self) -> Minor {
        sum(self.against_hold, self.beyond)
    }
}

/// Adds two amounts in a fold. A decision has checked that the sum fits. A fold must be total, so an impossible
/// overflow would yield the largest number.
pub(super) fn sum(left: Minor, right: Minor) -> Minor {
    left.plus(right).unwrap_or(Minor::new(u128::MAX))
}

impl Payment {
    /// Creates a payment of which only its beginning is known.
    pub(super) fn new(parties: Parties, asset: Asset, entry: Entry, status: Status) -> Self {
        Self {
            parties,
            asset,
            category: None,
            entry,
            status,
            proposed: None,
            totals: Totals::default(),
            expires_at: None,
            funding: Funding::None,
            flags: Vec::new(),
            disputes: Vec::new(),
        }
    }

    /// Returns true if an increment can be added: the payment is open, and more than a verification of its card.
    #[must_use]
    pub fn takes_increments(&self) -> bool {
        self.status.is_open() && self.totals.authorized > Minor::ZERO
    }

    /// Returns the amount still held for clearings to come.
    #[must_use]
    pub fn held(&self) -> Minor {
        self.totals.held()
    }

    /// Returns what the merchant still has: K + X, minus refunds and minus awards from disputes. A refund of the network
    /// may exceed it, and a later claim then leaves the merchant only what exceeds the refund.
    pub(super) fn refundable(&self) -> Minor {
        let awarded = self.disputes.iter().map(Dispute::awarded);
        awarded.chain([self.totals.refunded]).fold(self.totals.captured(), Minor::excess_over)
    }

    /// Makes an amount in the payment's asset.
    pub(super) fn amount(&self, minor: Minor) -> Amount {
        Amount { minor, asset: self.asset.clone() }
    }
}

impl State {
    /// Returns the payment, if it is the stream's subject.
    #[must_use]
    pub fn payment(&self) -> Option<&Payment> {
        match &self.subject {
            Subject::Payment(payment) => Some(payment),
            Subject::Nothing | Subject::Refund(_) => None,
        }
    }

    /// Returns the amount that was authorized and that the merchant did not give back: clearings up to it are no
    /// over-capture, though an earlier one released the rest of the hold.
    pub(super) fn claimable(&self, payment: &Payment) -> Minor {
        payment.totals.authorized.excess_over(payment.totals.reversed.excess_over(self.released))
    }

    /// Returns the card network of the payment, if a request or an advice named it.
    pub(super) fn network(&self) -> Option<Network> {
        let requested = self.payment().and_then(|payment| payment.entry.request());
        requested.map(|request| request.network).or_else(|| self.first_advice().map(|advice| advice.network))
    }

    /// Returns what the tolerance for over-capture depends on, if the payment's network and merchant are known.
    pub(super) fn circumstances(&self) -> Option<Circumstances> {
        let named = self.payment().and_then(|payment| payment.entry.merchant());
        let merchant = named.or_else(|| self.first_advice().map(|advice| &advice.merchant))?;
        Some(Circumstances::of(self.network()?, merchant))
    }

    /// Returns the sum of the claims that an earlier version refused and that are not resolved.
    pub(super) fn refused(&self) -> Minor {
        let waits = |id| matches!(self.suspended.get(id), Some(Suspended::Waiting { .. }));
        let refused = self.clearings.iter().filter(|(_, known)| known.fate == ClearingFate::Refused);
        refused.filter(|(id, _)| waits(*id)).map(|(_, known)| known.claimed).fold(Minor::ZERO, sum)
    }

    fn first_advice(&self) -> Option<&Advice> {
        self.advices.values().min_by_key(|advice| advice.at)
    }

    /// Rejects a message id that another message has, unless that is a reversal: a reversal may come under the id of the
    /// message that it reverses.
    pub(super) fn unheard(&self, message_id: &ExternalId) -> Result<(), Rejection> {
        let entry = self.payment().map(|payment| &payment.entry);
        let is_request = entry.and_then(Entry::request).is_some_and(|known| known.message_id == *message_id);
        let is_heard =
            is_request || self.advices.contains_key(message_id) || self.increments.contains_key(message_id);
        checks::repeated(message_id.as_str(), &false, &is_heard)
    }

    /// Returns true if the network has reversed the whole of a payment that it asks for only now.
    pub(super) fn is_reversed_already(&self, request: &AuthorizationRequested) -> bool {
        let is_nothing = matches!(self.subject, Subject::Nothing);
        let is_of_all = |known: &Reversal| {
            known.fate != ReversalFate::Ambiguous && reversal::covers(known.extent, Some(request))
        };
        is_nothing && self.reversals.values().any(is_of_all)
    }

    /// Returns what was added to the payment after its beginning, by message id: approved increments, and approvals
    /// of stand-ins beyond what was held.
    pub fn added(&self) -> impl Iterator<Item = (&ExternalId, Minor)> {
        let advices = self.advices.iter().filter_map(|(message_id, advice)| match advice.hold {
            AdviceHold::Raised(by) => Some((message_id, by)),
            AdviceHold::Placed | AdviceHold::Unchanged => None,
        });
        let approved = self.increments.iter().filter(|(_, known)| known.fate == IncrementFate::Approved);
        approved.map(|(message_id, known)| (message_id, known.addition)).chain(advices)
    }

    /// Notes the time of a decision. A fact may have been recorded while the host's clock was behind.
    pub(super) fn happened_at(&mut self, at: Timestamp) {
        self.latest = self.latest.max(Some(at));
    }

    pub(super) fn payment_mut(&mut self) -> Option<&mut Payment> {
        match &mut self.subject {
            Subject::Payment(payment) => Some(payment),
            Subject::Nothing | Subject::Refund(_) => None,
        }
    }

    /// Returns the unlinked refund of the stream, also if a payment has begun behind it.
    #[must_use]
    pub fn unlinked(&self) -> Option<&UnlinkedRefund> {
        match &self.subject {
            Subject::Refund(refund) => Some(refund),
            Subject::Nothing | Subject::Payment(_) => self.beside.as_deref(),
        }
    }

    pub(super) fn unlinked_mut(&mut self) -> Option<&mut UnlinkedRefund> {
        match &mut self.subject {
            Subject::Refund(refund) => Some(refund),
            Subject::Nothing | Subject::Payment(_) => self.beside.as_deref_mut(),
        }
    }

    /// Begins a payment, unless there is one.
    pub(super) fn begin(&mut self, payment: Payment) {
        if self.payment().is_none() {
            self.begin_anew(payment);
        }
    }

    /// Makes the payment the stream's subject. An unlinked refund that opened the stream stays beside it.
    pub(super) fn begin_anew(&mut self, payment: Payment) {
        let before = std::mem::replace(&mut self.subject, Subject::Payment(Box::new(payment)));
        if let Subject::Refund(refund) = before {
            self.beside = Some(refund);
        }
    }

    /// Returns the state after an event. An event that no decision produces in this state changes nothing.
    pub(super) fn after(mut self, event: &Event) -> Self {
        match event {
            Event::SwipeRecorded(event) => swipe::recorded(&mut self, event),
            Event::AuthorizationRequested(event) => request::requested(&mut self, event),
            Event::PartialApprovalProposed(event) => partial::proposed(&mut self, event),
            Event::AuthorizationApproved(event) => request::approved(&mut self, event),
            Event::AuthorizationPartiallyApproved(event) => request::partially_approved(&mut self, event),
            Event::AuthorizationDeclined(event) => request::declined(&mut self, event),
            Event::IncrementRequested(event) => increment::requested(&mut self, event),
            Event::HoldIncreased(event) => increment::increased(&mut self, event),
            Event::IncrementDeclined(event) => increment::declined(&mut self, event),
            Event::AuthorizationReversed(event) => reversal::reversed(&mut self, event),
            Event::ReversalRefused(event) => reversal::refused(&mut self, event),
            Event::AuthorizationExpired(event) => expiry::expired(&mut self, event),
            Event::AdviceRecorded(event) => advice::recorded(&mut self, event),
            Event::ClearingPosted(event) => clearing::posted(&mut self, event),
            Event::ClearingSuspended(event) => clearing::suspended(&mut self, event),
            Event::ClearingResolved(event) => suspense::clearing_resolved(&mut self, event),
            Event::ClearingRefused(event) => clearing::refused(&mut self, event),
            // These follow from the event that they accompany.
            Event::OverCaptured(_)
            | Event::ConversionDeviates(_)
            | Event::LatePresented(_)
            | Event::ReturnTaken(_) => {}
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
            Event::FundingAbandoned(event) => funding::abandoned(&mut self, event),
            Event::ExposureCleared(event) => legs::exposure_cleared(&mut self, event),
            Event::ReturnOwed(event) => legs::return_owed(&mut self, event),
            Event::PaymentFlagged(event) => flag::flagged(&mut self, event),
            Event::DisputeOpened(event) => dispute::opened(&mut self, event),
            Event::DisputeAdvanced(event) => dispute::advanced(&mut self, event),
            Event::ProvisionalCreditGranted(event) => dispute::credited(&mut self, event),
            Event::DisputeResolved(event) => dispute::resolved(&mut self, event),
            Event::SpendExpected(event) => link::expected(&mut self, event),
            Event::SpendLinked(event) => link::linked(&mut self, event),
            Event::SpendUnlinked(event) => link::unlinked(&mut self, event),
            Event::SpendTaken(event) => link::taken(&mut self, event),
            Event::SpendGivenUp(event) => link::given_up(&mut self, event),
            Event::SpendObserved(event) => funding::spend_observed(&mut self, event),
            Event::ClearingReversed(event) => record_reversal::clearing_reversed(&mut self, event),
            Event::RefundReversed(event) => record_reversal::refund_reversed(&mut self, event),
            Event::RecordReversalKept(event) => record_reversal::kept_back(&mut self, event),
            Event::RecordReversalEnded(event) => record_reversal::wait_ended(&mut self, event),
            Event::DisputeMoneyMoved(event) => dispute_money::moved(&mut self, event),
            Event::ClearingLinked(event) => clearing_link::linked(&mut self, event),
            Event::ClearingUnlinked(event) => clearing_link::unlinked(&mut self, event),
            Event::ClearingGivenUp(event) => clearing_link::given_up(&mut self, event),
            Event::CandidatesNamed(event) => clearing_link::named(&mut self, event),
        }
        self.fees.apply(event);
        self.begin_leg();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_captured_and_standing_follows_from_the_totals() {
        let minor = Minor::new;
        let totals = Totals {
            authorized: minor(100),
            reversed: minor(10),
            expired: minor(2),
            against_hold: minor(3),
            beyond: minor(4),
            refunded: minor(5),
        };
        assert_eq!((totals.held(), totals.captured()), (minor(85), minor(7)));
        assert_eq!(totals.standing(), minor(90));
    }
}
