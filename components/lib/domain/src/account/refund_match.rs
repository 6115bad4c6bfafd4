//! Matching of refunds that the network tells of with those on chain, in either order: one refund has two reports, and is
//! credited once.
//!
//! The account remembers, for a time, the linked refunds of the network that were not seen on chain, and the unlinked ones
//! on chain that the network did not tell of. They match by asset and exact amount, one to one, within the window of
//! [`refund_match`]. Of several that are equal it is the oldest: the sums are the same whichever it is.
//!
//! A refund that the network took back in part is paid out by what is left, or as a whole if the payout was under way. So
//! both amounts match; the one that was told matches behind every report of which that amount is left. If the payout of
//! what is left was seen before the rest was taken back, both were credited, and the resolution takes the payout's credit
//! back.
//!
//! The report that comes last credits nothing. The one on chain moves the money from the hold account to the Safe, as
//! always, and its own stream is resolved as `matched`: a saga reads the match and says so. Of one that was credited from
//! suspense before the network told of it, that resolution has the network pay. Until it is resolved, a match ends if an
//! operator finds that the one on chain was the return of pulled money.

use clearfold_kernel::{Amount, ExternalId, Minor, Rejection, Timestamp};
use serde::{Deserialize, Serialize};

use super::identity::{Fact, Identity, Kind};
use super::messages::{
    BookRefund, Event, ReadRefund, RefundBooked, RefundLink, RefundMatch, RefundOutcome, RefundResolved,
    RefundReversalBooked,
};
use super::rule::Rule;
use super::state::Books;
use crate::policy::refund_match;

/// Code of the answer that names both streams of a match.
const MATCHED: &str = "refund_matched";

/// Returns the stream of the refund on chain and the payment of a match, by the refusal to [`ReadRefund`]; none if the
/// refusal is another one.
pub(crate) fn refund_matched(refused: &Rejection) -> Option<(ExternalId, ExternalId)> {
    let (on_chain, payment_id) = refused.detail.split_once(' ').filter(|_| refused.code == MATCHED)?;
    Some((on_chain.parse().ok()?, payment_id.parse().ok()?))
}

/// Reports that have no counterpart yet, or whose match is not resolved, each the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reports {
    /// Linked refunds that the network told of.
    told: Vec<Report>,
    /// Unlinked refunds on chain.
    on_chain: Vec<Report>,
}

/// Report of a refund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Report {
    refund_id: ExternalId,
    reported_on: ExternalId,
    asset: String,
    /// Amount that was reported.
    minor: Minor,
    /// Amount less what the network took back of it.
    left: Minor,
    at: Timestamp,
    /// Other report of the same refund, as long as the one on chain is not resolved.
    matched: Option<ExternalId>,
    /// True if an operator found that the network pays.
    is_paid: bool,
}

impl Report {
    fn of(event: &RefundBooked) -> Option<Self> {
        Some(Self {
            refund_id: event.refund_id.clone(),
            reported_on: event.reported_on.clone()?,
            asset: event.amount.asset.code.clone(),
            minor: event.amount.minor,
            left: event.amount.minor,
            at: event.at,
            matched: None,
            is_paid: false,
        })
    }

    fn is_within(&self, window_s: u64, now: Timestamp) -> bool {
        now <= self.at.after_s(window_s)
    }
}

/// Kind of a report that can be matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Told,
    OnChain,
}

fn side(link: RefundLink, is_on_chain: bool) -> Option<Side> {
    match (link, is_on_chain) {
        (RefundLink::Linked, false) => Some(Side::Told),
        (RefundLink::Unlinked, true) => Some(Side::OnChain),
        _ => None,
    }
}

impl Reports {
    /// Returns the oldest report of the other side that is not matched and of which the amount is left; if there is none,
    /// the oldest that told the amount before it was taken back.
    fn counterpart(&self, side: Side, amount: &Amount, now: Timestamp) -> Option<&Report> {
        let (others, window_s) = match side {
            Side::Told => (&self.on_chain, refund_match::behind_the_chain_s()),
            Side::OnChain => (&self.told, refund_match::behind_the_network_s()),
        };
        let is_free = |other: &&Report| {
            other.asset == amount.asset.code && other.matched.is_none() && other.is_within(window_s, now)
        };
        let mut free = others.iter().filter(is_free);
        let left = free.clone().find(|other| other.left == amount.minor);
        left.or_else(|| free.find(|other| other.minor == amount.minor))
    }

    /// Adds a report, and forgets what is out of its window and what is too much.
    fn remember(&mut self, side: Side, report: Report) {
        let (reports, window_s) = match side {
            Side::Told => (&mut self.told, refund_match::behind_the_network_s()),
            Side::OnChain => (&mut self.on_chain, refund_match::behind_the_chain_s()),
        };
        reports.retain(|known| known.matched.is_some() || known.is_within(window_s, report.at));
        reports.push(report);
        let free = reports.iter().filter(|known| known.matched.is_none()).count();
        if free > refund_match::REMEMBERED
            && let Some(oldest) = reports.iter().position(|known| known.matched.is_none())
        {
            reports.remove(oldest);
        }
    }

    /// Matches a report with the one that came later. If an operator resolved the one on chain, there is nothing left to
    /// resolve; otherwise both are kept until it is.
    fn matched(&mut self, side: Side, before: &ExternalId, later: Report) {
        let others = match side {
            Side::Told => &mut self.on_chain,
            Side::OnChain => &mut self.told,
        };
        let Some(index) = others.iter().position(|known| known.refund_id == *before) else { return };
        if others[index].is_paid {
            others.remove(index);
            return;
        }
        others[index].matched = Some(later.refund_id.clone());
        if side == Side::Told {
            self.told.push(Report { matched: Some(before.clone()), ..later });
        }
    }

    /// Returns the payout of what is left of a refund, with the report of the refund, if it was seen before the network took
    /// the rest back.
    fn payout_of_rest(&self, refund_id: &ExternalId) -> Option<(&Report, &Report)> {
        let is_partly_left =
            |known: &&Report| known.left < known.minor && known.left > Minor::ZERO && known.matched.is_none();
        let told = self.told.iter().filter(is_partly_left).find(|known| known.refund_id == *refund_id)?;
        let is_near = |other: &Report| match other.at <= told.at {
            true => other.is_within(refund_match::behind_the_chain_s(), told.at),
            false => told.is_within(refund_match::behind_the_network_s(), other.at),
        };
        let is_payout = |other: &&Report| {
            let is_free = other.matched.is_none() && !other.is_paid;
            is_free && other.asset == told.asset && other.minor == told.left && is_near(other)
        };
        self.on_chain.iter().find(is_payout).map(|payout| (payout, told))
    }

    /// Forgets the refund of a payment that the network told of, and whose payout was found without a match: by what is
    /// left of it, or else by its amount.
    fn paid_out(&mut self, payment_id: &ExternalId, amount: &Amount) {
        let is_of = |known: &Report| {
            let is_free = known.matched.is_none() && known.asset == amount.asset.code;
            is_free && known.reported_on == *payment_id
        };
        let left = self.told.iter().position(|known| is_of(known) && known.left == amount.minor);
        let all = || self.told.iter().position(|known| is_of(known) && known.minor == amount.minor);
        if let Some(index) = left.or_else(all) {
            self.told.remove(index);
        }
    }

    /// Takes off a report what the network took back of its refund, also if it is matched: the match may end.
    fn reversed(&mut self, refund_id: &ExternalId, minor: Minor) {
        let known = self.told.iter_mut().find(|known| known.refund_id == *refund_id);
        known.into_iter().for_each(|known| known.left = known.left.excess_over(minor));
    }

    /// Ends the match of a refund on chain, or the wait for it.
    fn resolved(&mut self, event: &RefundResolved) {
        let RefundResolved { refund_id, outcome, amount, payment_id, .. } = event;
        let is_matched = self.told.iter().any(|known| known.matched.as_ref() == Some(refund_id));
        if let (RefundOutcome::Matched, false, Some(payment_id)) = (outcome, is_matched, payment_id) {
            self.paid_out(payment_id, amount);
        }
        match outcome {
            RefundOutcome::Paid => {
                self.on_chain.retain(|known| known.refund_id != *refund_id || known.matched.is_none());
                let known = self.on_chain.iter_mut().find(|known| known.refund_id == *refund_id);
                known.into_iter().for_each(|known| known.is_paid = true);
            }
            RefundOutcome::TakenBack | RefundOutcome::Returned | RefundOutcome::Matched => {
                self.on_chain.retain(|known| known.refund_id != *refund_id);
            }
        }
        let is_credit = matches!(outcome, RefundOutcome::Paid | RefundOutcome::Matched);
        self.told.retain(|known| !is_credit || known.matched.as_ref() != Some(refund_id));
        let freed = self.told.iter_mut().find(|known| known.matched.as_ref() == Some(refund_id));
        freed.into_iter().for_each(|known| known.matched = None);
    }
}

impl Books {
    /// Returns the report of the same refund that was booked before.
    pub(super) fn report_before(&self, refund: &BookRefund, at: Timestamp) -> Option<RefundMatch> {
        refund.reported_on.as_ref()?;
        let side = side(refund.link, refund.source.is_some())?;
        let other = self.reports.counterpart(side, &refund.amount, at)?;
        Some(RefundMatch { refund_id: other.refund_id.clone(), reported_on: other.reported_on.clone() })
    }

    /// Returns true if the network told of the refund after it was booked, and is not credited for that.
    pub(super) fn is_told_later(&self, refund_id: &ExternalId) -> bool {
        self.reports.on_chain.iter().any(|known| known.refund_id == *refund_id && known.matched.is_some())
    }

    pub(super) fn reported(&mut self, event: &RefundBooked) {
        let Some(side) = side(event.link, event.source.is_some()) else { return };
        let Some(report) = Report::of(event) else { return };
        match &event.matched {
            Some(before) => self.reports.matched(side, &before.refund_id, report),
            None => self.reports.remember(side, report),
        }
    }

    pub(super) fn refund_reversed(&mut self, event: &RefundReversalBooked) {
        self.reports.reversed(&event.refund_id, event.amount.minor);
    }

    pub(super) fn report_resolved(&mut self, event: &RefundResolved) {
        self.reports.resolved(event);
    }
}

impl Rule for ReadRefund {
    fn is_moot(&self, books: &Books) -> bool {
        self.streams(books).is_none()
    }

    fn event(&self, books: &Books, _at: Timestamp) -> Result<Event, Rejection> {
        let detail = match self.streams(books) {
            Some((on_chain, payment_id)) => format!("{on_chain} {payment_id}"),
            None => return Err(Rejection::new("suspense_not_found", "it was reported once")),
        };
        Err(Rejection::new(MATCHED, detail))
    }
}

impl ReadRefund {
    /// Returns the stream of the refund on chain, and the payment.
    fn streams(&self, books: &Books) -> Option<(ExternalId, ExternalId)> {
        match books.fact(&Identity::new(Kind::Refund, &self.refund_id)) {
            Some(Fact::Told { on_chain, payment_id }) => Some((on_chain, payment_id)),
            Some(Fact::Unlinked(refund)) => Some((refund.reported_on?, refund.payment_id?)),
            _ => {
                let (payout, told) = books.reports.payout_of_rest(&self.refund_id)?;
                Some((payout.reported_on.clone(), told.reported_on.clone()))
            }
        }
    }
}
