//! Links between a clearing that named no known payment and the payment that it belongs to.
//!
//! The clearing posts on its own stream, so it is never late and never lost. The account says to which hold it belongs
//! ([`account`](crate::account)), or an operator does. Then that stream states the link, and the payment takes the clearing
//! as a claim like every other: at every moment it is the claim of one of the two. What happened to it meanwhile (a refund,
//! a dispute, a reversal, another claim) keeps it where it is.
//!
//! The stream that has the claim decides: the clearing's own makes a link, the payment gives it up. If nothing else happened
//! to the payment since, it is then as it was before; otherwise what the clearing used of the hold stays released.

use std::collections::BTreeMap;

use clearfold_kernel::{CommandContext, ExternalId, InvalidId, Minor, Rejection, Timestamp};
use serde::{Deserialize, Serialize};

use super::claim::{Clearing, ClearingFate};
use super::dispute::DisputeStatus;
use super::link::{at, is_short};
use super::messages::{
    CandidatesNamed, ClaimOrigin, ClearingGivenUp, ClearingLinked, ClearingPosted, ClearingUnlinked, Event,
    GiveUpClearing, LinkClearing, NameCandidates, PresentClearing, RestoredStatus, ReversedRecord,
    TakeClearing, UnlinkClearing,
};
use super::state::{Entry, Payment, State, Status, Totals, sum};
use super::{Decision, clearing, existing};
use crate::{bookings, checks};

/// Code of the refusal of a link, or of its end.
const NOT_LINKABLE: &str = "clearing_not_linkable";

/// Links of clearings. The last member but one of the [`State`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClearingLinks {
    /// Time of presentment of the clearing that the payment began with.
    pub presented_at: Option<Timestamp>,
    /// Link of that clearing to another payment.
    pub linked: Option<LinkedClearing>,
    /// Number of links that it had.
    pub made: u32,
    /// Payments that it may belong to, once they were named.
    pub candidates: Option<Vec<ExternalId>>,
    /// Clearings of other payments that are claims to this one, or were, by their ids here.
    pub taken: BTreeMap<ExternalId, TakenClearing>,
}

/// Link of a clearing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkedClearing {
    /// Id of the clearing record.
    pub clearing_id: ExternalId,
    /// Payment that it belongs to.
    pub payment_id: ExternalId,
}

/// Clearing that was posted for another payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenClearing {
    /// Payment that it was posted for.
    pub posted_on: ExternalId,
    /// Id of the clearing record there.
    pub record: ExternalId,
    /// Number of the link.
    pub link: u32,
    /// Figures of this payment before the clearing.
    pub before: Figures,
    /// Figures behind it.
    pub after: Figures,
    /// Part of what is held again since it was given up that the card had released; none if it is not given up.
    pub counted_again: Option<Minor>,
}

/// Figures of a payment that a claim changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Progress with the network.
    pub status: Status,
    /// Totals of what was held, claimed and given back.
    pub totals: Totals,
    /// Part of R that a last clearing released, or that the network took back.
    pub released: Minor,
}

impl TakenClearing {
    const fn is_given_up(&self) -> bool {
        self.counted_again.is_some()
    }
}

impl State {
    /// Returns the payment that the stream's own clearing is linked to.
    #[must_use]
    pub fn clearing_linked_to(&self) -> Option<&ExternalId> {
        self.clearing_links.linked.as_ref().map(|linked| &linked.payment_id)
    }

    /// Returns true if the record is the stream's own clearing, and another payment's claim.
    pub(super) fn is_linked_record(&self, of: &ReversedRecord) -> bool {
        let linked = self.clearing_links.linked.as_ref();
        matches!((of, linked), (ReversedRecord::Clearing(id), Some(linked)) if linked.clearing_id == *id)
    }

    /// Returns the id that a clearing has here. The network may name one of another payment by its own id.
    pub(super) fn claim_named(&self, id: &ExternalId) -> ExternalId {
        if self.clearings.contains_key(id) {
            return id.clone();
        }
        let mut taken = self.clearing_links.taken.iter();
        let named = taken.find(|(_, taken)| taken.record == *id && !taken.is_given_up());
        named.map_or(id, |(here, _)| here).clone()
    }

    /// Returns the ids of what is reserved again on the card for this payment, beside its messages: what the hold of a
    /// clearing that was given up had released, and the stream's own clearing once it was unlinked.
    pub(crate) fn reserved_again(&self, authorization_id: &ExternalId) -> Result<Vec<ExternalId>, InvalidId> {
        let is_counted =
            |taken: &&TakenClearing| taken.counted_again.is_some_and(|minor| minor > Minor::ZERO);
        let given_up = self.clearing_links.taken.values().filter(is_counted);
        let given_up = given_up.map(|taken| bookings::unlinked(&taken.posted_on, taken.link));
        let ended = self.clearing_links.made.saturating_sub(u32::from(self.clearing_links.linked.is_some()));
        given_up.chain((1..=ended).map(|link| bookings::unlinked(authorization_id, link))).collect()
    }

    fn figures(&self) -> Option<Figures> {
        let payment = self.payment()?;
        Some(Figures { status: payment.status, totals: payment.totals, released: self.released })
    }
}

pub(super) fn link(state: &State, command: &LinkClearing, context: &CommandContext) -> Decision {
    checks::from_saga_or_operator(context)?;
    is_short(command.reason.as_ref())?;
    let payment = existing(state, context)?;
    if let Some(linked) = &state.clearing_links.linked {
        if linked.payment_id == command.payment_id {
            return Ok(Vec::new());
        }
        let detail = format!(
            "the clearing of {} is linked to {}; have that give it up first",
            context.id, linked.payment_id
        );
        return Err(Rejection::new("clearing_linked", detail));
    }
    let Some((clearing_id, known, occurred_at)) = only_claim(state, payment) else {
        return Err(not_linkable(format!(
            "{} is {:?}; only a clearing that began its payment, and to which nothing else happened, is another payment's",
            context.id, payment.status
        )));
    };
    if command.payment_id.as_str() == context.id {
        return Err(not_linkable(format!("{} is the clearing's own payment", context.id)));
    }
    Ok(vec![Event::ClearingLinked(ClearingLinked {
        parties: payment.parties.clone(),
        payment_id: command.payment_id.clone(),
        link: state.clearing_links.made.saturating_add(1),
        clearing_id: clearing_id.clone(),
        amount: payment.amount(known.claimed),
        residue: known.residue,
        part: known.part,
        reference: known.reference.clone(),
        matched: command.matched.clone(),
        actor: context.actor.clone(),
        reason: command.reason.clone(),
        occurred_at,
        at: at(state, context),
    })])
}

/// Returns the clearing that the payment began with, if it is all that happened to the payment.
fn only_claim<'a>(state: &'a State, payment: &Payment) -> Option<(&'a ExternalId, &'a Clearing, Timestamp)> {
    let is_forced = matches!(payment.entry, Entry::Forced { .. }) && payment.status == Status::ForcePosted;
    let mut claims = state.clearings.iter();
    let (only, None) = (claims.next()?, claims.next()) else { return None };
    let is_untouched = state.refunds.is_empty()
        && payment.disputes.is_empty()
        && state.dispute_money.is_empty()
        && state.record_reversals.known.is_empty();
    let is_own = is_forced && is_untouched && only.1.fate == ClearingFate::Forced;
    is_own.then_some((only.0, only.1, state.clearing_links.presented_at?))
}

/// Ends a link. The payment does not have the clearing, or gave it up: only its saga knows.
pub(super) fn unlink(state: &State, command: &UnlinkClearing, context: &CommandContext) -> Decision {
    let payment = existing(state, context)?;
    if context.actor != CommandContext::SAGA {
        let detail =
            format!("the payment that has the clearing gives it up: send it to {}", command.payment_id);
        return Err(Rejection::new("clearing_linked", detail));
    }
    let Some(linked) = &state.clearing_links.linked else { return Ok(Vec::new()) };
    let is_it = linked.payment_id == command.payment_id && state.clearing_links.made == command.link;
    let claimed = state.clearings.get(&linked.clearing_id).map(|known| known.claimed);
    let Some(minor) = claimed.filter(|_| is_it) else { return Ok(Vec::new()) };
    Ok(vec![Event::ClearingUnlinked(ClearingUnlinked {
        parties: payment.parties.clone(),
        payment_id: linked.payment_id.clone(),
        link: command.link,
        clearing_id: linked.clearing_id.clone(),
        amount: payment.amount(minor),
        at: at(state, context),
    })])
}

/// Takes a clearing as a claim, if this payment can have it: it posts against the hold, or beyond it.
pub(super) fn take(state: &State, command: &TakeClearing, context: &CommandContext) -> Decision {
    checks::from_saga_or_operator(context)?;
    checks::sound(&command.amount)?;
    let payment = existing(state, context)?;
    checks::same_asset(&payment.asset, &command.amount.asset)?;
    let TakeClearing { posted_on, clearing_id, link, .. } = command;
    let mut taken = state.clearing_links.taken.values();
    if taken.any(|taken| taken.posted_on == *posted_on && taken.link >= *link) {
        return Ok(Vec::new());
    }
    checks::fits(payment.totals.captured().plus(command.amount.minor))?;
    let claim = PresentClearing {
        clearing_id: bookings::linked(posted_on, *link)
            .map_err(|error| Rejection::new("invalid_id", error.to_string()))?,
        amount: command.amount.clone(),
        presented: None,
        reference: command.reference.clone(),
        part: command.part,
        occurred_at: command.occurred_at,
        // The event of the payment that it was posted for has them.
        details: None,
        network_fees: None,
    };
    if command.matched.is_some() {
        is_unclaimed(state, payment)?;
    }
    can_take(state, payment, clearing_id, &claim)?;
    let mut events = clearing::post(state, payment, &claim, command.residue);
    if let Some(Event::ClearingPosted(posted)) = events.first_mut() {
        let (posted_on, clearing_id, matched) =
            (posted_on.clone(), clearing_id.clone(), command.matched.clone());
        posted.origin = Some(Box::new(ClaimOrigin { posted_on, clearing_id, link: *link, matched }));
    }
    Ok(events)
}

/// Refuses a match if the hold was claimed or ended since the account was asked: another clearing may have matched it, too.
fn is_unclaimed(state: &State, payment: &Payment) -> Result<(), Rejection> {
    let is_claimed = state.clearings.values().any(|known| known.fate == ClearingFate::Posted);
    if payment.status.is_open() && !is_claimed {
        return Ok(());
    }
    Err(not_linkable(format!("the payment is {:?}, and was claimed or ended meanwhile", payment.status)))
}

/// Refuses what a claim of this payment would not be posted for, or would be suspended for.
fn can_take(
    state: &State,
    payment: &Payment,
    record: &ExternalId,
    claim: &PresentClearing,
) -> Result<(), Rejection> {
    if let Status::Requested | Status::Declined | Status::Reversed | Status::ForcePosted | Status::Linked =
        payment.status
    {
        let detail = format!("the payment is {:?}, and has no hold that could be claimed", payment.status);
        return Err(not_linkable(detail));
    }
    let alike = clearing::looks_like(state, claim);
    match alike.or_else(|| state.clearings.contains_key(record).then(|| record.clone())) {
        None => Ok(()),
        Some(known) => Err(not_linkable(format!("the payment has the clearing already, as {known}"))),
    }
}

pub(super) fn give_up(state: &State, command: &GiveUpClearing, context: &CommandContext) -> Decision {
    checks::from_saga_or_operator(context)?;
    is_short(command.reason.as_ref())?;
    let payment = existing(state, context)?;
    let mut taken =
        state.clearing_links.taken.iter().filter(|(_, taken)| taken.posted_on == command.posted_on);
    let Some((clearing_id, taken)) = taken.clone().find(|(_, taken)| !taken.is_given_up()) else {
        if taken.next().is_some() {
            return Ok(Vec::new());
        }
        return Err(not_linkable(format!("{} has no clearing of {}", context.id, command.posted_on)));
    };
    let claimed = state.clearings.get(clearing_id).map_or(Minor::ZERO, |known| known.claimed);
    let is_open = payment.disputes.iter().any(|dispute| matches!(dispute.status, DisputeStatus::Open { .. }));
    if is_open || payment.refundable() < claimed || state.taken_back_of(clearing_id) > Minor::ZERO {
        let detail = format!(
            "a part of {clearing_id} was taken back, refunded or awarded, or a dispute of the payment is open; it stays"
        );
        return Err(not_linkable(detail));
    }
    let is_restored = state.figures() == Some(taken.after);
    let against_hold = match is_restored {
        true => taken.after.totals.against_hold.excess_over(taken.before.totals.against_hold),
        // As for a clearing that is taken back: off X first, then off K.
        false => claimed.excess_over(payment.totals.beyond),
    };
    let held = if is_restored { taken.before.totals.held().excess_over(payment.held()) } else { Minor::ZERO };
    Ok(vec![Event::ClearingGivenUp(ClearingGivenUp {
        parties: payment.parties.clone(),
        posted_on: command.posted_on.clone(),
        clearing_id: clearing_id.clone(),
        link: taken.link,
        amount: payment.amount(claimed),
        against_hold,
        held,
        restored: if is_restored { restored(taken.before.status) } else { None },
        actor: context.actor.clone(),
        reason: command.reason.clone(),
        at: at(state, context),
    })])
}

/// Returns the status that a payment can have had before it took a clearing.
const fn restored(status: Status) -> Option<RestoredStatus> {
    Some(match status {
        Status::Recorded => RestoredStatus::Recorded,
        Status::Authorized => RestoredStatus::Authorized,
        Status::PartiallyAuthorized => RestoredStatus::PartiallyAuthorized,
        Status::Advised => RestoredStatus::Advised,
        Status::Cleared => RestoredStatus::Cleared,
        Status::Expired => RestoredStatus::Expired,
        Status::ClearedLate => RestoredStatus::ClearedLate,
        Status::Requested | Status::Declined | Status::Reversed | Status::ForcePosted | Status::Linked => {
            return None;
        }
    })
}

/// Names the candidates once; the saga that asked the account may do so again.
pub(super) fn name(state: &State, command: &NameCandidates, context: &CommandContext) -> Decision {
    checks::from_saga_or_operator(context)?;
    let payment = existing(state, context)?;
    if state.clearing_links.candidates.as_ref() == Some(&command.candidates) {
        return Ok(Vec::new());
    }
    if state.clearing_links.linked.is_some() || only_claim(state, payment).is_none() {
        return Err(not_linkable(format!("{} has no clearing that waits for its payment", context.id)));
    }
    let (parties, candidates) = (payment.parties.clone(), command.candidates.clone());
    Ok(vec![Event::CandidatesNamed(CandidatesNamed { parties, candidates, at: at(state, context) })])
}

fn not_linkable(detail: String) -> Rejection {
    Rejection::new(NOT_LINKABLE, detail)
}

/// Applies a link: the claim is another payment's.
pub(super) fn linked(state: &mut State, event: &ClearingLinked) {
    state.happened_at(event.at);
    let Some(payment) = state.payment_mut() else { return };
    payment.totals.beyond = payment.totals.beyond.excess_over(event.amount.minor);
    payment.status = Status::Linked;
    become_fate(state, &event.clearing_id, ClearingFate::Moved);
    let (clearing_id, payment_id) = (event.clearing_id.clone(), event.payment_id.clone());
    state.clearing_links.linked = Some(LinkedClearing { clearing_id, payment_id });
    state.clearing_links.made = event.link;
}

pub(super) fn unlinked(state: &mut State, event: &ClearingUnlinked) {
    state.happened_at(event.at);
    let Some(payment) = state.payment_mut() else { return };
    payment.totals.beyond = sum(payment.totals.beyond, event.amount.minor);
    if payment.status == Status::Linked {
        payment.status = Status::ForcePosted;
    }
    become_fate(state, &event.clearing_id, ClearingFate::Forced);
    state.clearing_links.linked = None;
}

fn become_fate(state: &mut State, clearing_id: &ExternalId, fate: ClearingFate) {
    if let Some(known) = state.clearings.get_mut(clearing_id) {
        known.fate = fate;
    }
}

/// Remembers a claim that was posted for another payment, with what it changed.
pub(super) fn taken(state: &mut State, before: Option<Figures>, event: &ClearingPosted) {
    let Some(((origin, before), after)) = event.origin.as_ref().zip(before).zip(state.figures()) else {
        return;
    };
    let ClaimOrigin { posted_on, clearing_id: record, link, .. } = (**origin).clone();
    let taken = TakenClearing { posted_on, record, link, before, after, counted_again: None };
    state.clearing_links.taken.insert(event.clearing_id.clone(), taken);
}

pub(super) fn figures(state: &State) -> Option<Figures> {
    state.figures()
}

pub(super) fn given_up(state: &mut State, event: &ClearingGivenUp) {
    state.happened_at(event.at);
    let Some(taken) = state.clearing_links.taken.get_mut(&event.clearing_id) else { return };
    taken.counted_again = Some(event.held.excess_over(event.against_hold));
    let before = taken.before;
    become_fate(state, &event.clearing_id, ClearingFate::Moved);
    let (minor, against_hold) = (event.amount.minor, event.against_hold);
    let released = state.released;
    let Some(payment) = state.payment_mut() else { return };
    if event.restored.is_some() {
        (payment.status, payment.totals) = (before.status, before.totals);
        state.released = before.released;
        return;
    }
    let totals = &mut payment.totals;
    totals.beyond = totals.beyond.excess_over(minor.excess_over(against_hold));
    totals.against_hold = totals.against_hold.excess_over(against_hold);
    totals.reversed = sum(totals.reversed, against_hold);
    state.released = sum(released, against_hold);
}

pub(super) fn named(state: &mut State, event: &CandidatesNamed) {
    state.happened_at(event.at);
    state.clearing_links.candidates = Some(event.candidates.clone());
}
