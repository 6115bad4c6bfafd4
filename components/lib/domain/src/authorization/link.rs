//! Links between a `Spend` that somebody else submitted and the payment that the network asked for.
//!
//! The `Spend`'s own stream says which payment it belongs to: it has one at most. Then it holds nothing, and the payment
//! has its money as a leg. The account proposes the links ([`account`](crate::account)); an operator can make and undo
//! them.

use std::collections::BTreeMap;

use clearfold_kernel::{ChainSource, CommandContext, ExternalId, Minor, Rejection};
use serde::{Deserialize, Serialize};

use super::funding::Funding;
use super::increment::{Increment, IncrementFate};
use super::messages::{
    Event, ExpectSpend, FIRST_LEG, GiveUpSpend, LinkSpend, ObserveFunding, SpendExpected, SpendGivenUp,
    SpendLinked, SpendObserved, SpendTaken, SpendUnlinked, TakeSpend, UnlinkSpend,
};
use super::request::already_decided;
use super::state::{Entry, Payment, State, Status, sum};
use super::{Decision, existing};
use crate::checks;
use crate::network::MatchBasis;

/// Longest reason that an operator may give, in bytes.
const LONGEST_REASON: usize = 500;

/// Links of a payment. The last member of the [`State`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Links {
    /// Link of the stream's own `Spend` to another payment.
    pub linked: Option<Linked>,
    /// Number of links that the stream's own `Spend` had.
    pub made: u32,
    /// Legs that are `Spend`s of others, by the `Spend`'s id.
    pub taken: BTreeMap<ExternalId, Taken>,
}

/// `Spend` of others that is a leg, or was one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Number of the leg.
    pub leg: u32,
    /// Number of the link among those of the `Spend`.
    pub link: u32,
    /// True if the link was undone.
    pub is_given_up: bool,
}

/// Link of a `Spend`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Linked {
    /// Payment that it funds.
    pub payment_id: ExternalId,
    /// Status of the `Spend`'s own payment, as it was before.
    pub status: Status,
    /// Part of its amount that it held.
    pub released: Minor,
}

impl State {
    /// Returns the id of the payment that the stream's own `Spend` is linked to.
    #[must_use]
    pub fn linked_to(&self) -> Option<&ExternalId> {
        self.links.linked.as_ref().map(|linked| &linked.payment_id)
    }

    /// Returns the `Spend` that somebody else submitted and that is this leg.
    #[must_use]
    pub fn spend_of_others(&self, leg: u32) -> Option<&ExternalId> {
        let mut taken = self.links.taken.iter();
        taken.find(|(_, taken)| taken.leg == leg && !taken.is_given_up).map(|(spend_id, _)| spend_id)
    }

    /// Returns the leg that the `Spend` is by this link; none if it was given up.
    pub(super) fn taken(&self, spend_id: &ExternalId, link: u32) -> Option<u32> {
        let taken = self.links.taken.get(spend_id).filter(|taken| taken.link == link && !taken.is_given_up);
        taken.map(|taken| taken.leg)
    }

    /// Returns the log of the stream's own `Spend`, also if its block is gone.
    fn spent_in(&self) -> Option<&ChainSource> {
        let known = self.payment().and_then(|payment| source(&payment.funding));
        known.or_else(|| self.reorged.last().map(|gone| &gone.source))
    }
}

/// Expects a `Spend`, before the account sets its amount aside for the payment.
pub(super) fn expect(state: &State, command: &ExpectSpend, context: &CommandContext) -> Decision {
    checks::from_saga_or_operator(context)?;
    let payment = existing(state, context)?;
    if payment.status != Status::Requested {
        return Err(already_decided(payment));
    }
    if let Some(known) = &state.expected {
        checks::repeated(&context.id, known, &command.spend_id)?;
        return Ok(Vec::new());
    }
    Ok(vec![Event::SpendExpected(SpendExpected {
        parties: payment.parties.clone(),
        spend_id: command.spend_id.clone(),
        at: context.accepted_at,
    })])
}

/// Links a `Spend` of which nothing was claimed or given back.
pub(super) fn link(state: &State, command: &LinkSpend, context: &CommandContext) -> Decision {
    checks::from_saga_or_operator(context)?;
    is_short(command.reason.as_ref())?;
    let payment = swiped(state, context)?;
    if let Some(linked) = &state.links.linked {
        if linked.payment_id == command.payment_id {
            return Ok(Vec::new());
        }
        let detail = format!("{} is linked to {}; unlink it first", context.id, linked.payment_id);
        return Err(Rejection::new("spend_linked", detail));
    }
    let is_itself = command.payment_id.as_str() == context.id;
    let totals = &payment.totals;
    let is_there = state.legs.returned == Minor::ZERO && state.taken_back() == Minor::ZERO;
    let is_untouched = totals.captured() == Minor::ZERO && totals.reversed == Minor::ZERO && is_there;
    let is_declined = |increment: &Increment| matches!(increment.fate, IncrementFate::Declined(_));
    // The flow of a declined increment ends before the link moves the money: both are bookings of the `Spend`.
    let is_whole =
        is_untouched && state.increments.values().all(is_declined) && state.added().next().is_none();
    let is_pulled = payment.funding.pulled() == payment.totals.authorized && state.legs.later.is_empty();
    // An expired one is an operator's to link: its account may still have to hold and release it.
    let is_free = match payment.status {
        Status::Recorded => true,
        Status::Expired => command.basis.is_none(),
        _ => false,
    };
    if is_itself || !is_whole || !is_pulled || !is_free {
        let detail = format!(
            "{} is {:?}; only a Spend that is in a block as it was seen first, and of which nothing was claimed, given back or added, is another payment's money",
            context.id, payment.status
        );
        return Err(Rejection::new("spend_not_linkable", detail));
    }
    Ok(vec![Event::SpendLinked(SpendLinked {
        parties: payment.parties.clone(),
        payment_id: command.payment_id.clone(),
        link: state.links.made.saturating_add(1),
        amount: payment.amount(payment.totals.authorized),
        released: payment.held(),
        basis: command.basis.unwrap_or(MatchBasis::Operator),
        actor: context.actor.clone(),
        reason: command.reason.clone(),
        at: at(state, context),
    })])
}

pub(super) fn unlink(state: &State, command: &UnlinkSpend, context: &CommandContext) -> Decision {
    checks::from_saga_or_operator(context)?;
    is_short(command.reason.as_ref())?;
    let payment = swiped(state, context)?;
    let Some(Linked { payment_id, released, .. }) = &state.links.linked else {
        return Ok(Vec::new());
    };
    if command.payment_id.as_ref().is_some_and(|given| given != payment_id) {
        let detail = format!("{} is linked to {payment_id}", context.id);
        return Err(Rejection::new("spend_linked", detail));
    }
    let Some(source) = state.spent_in() else { return Ok(Vec::new()) };
    Ok(vec![Event::SpendUnlinked(SpendUnlinked {
        parties: payment.parties.clone(),
        payment_id: payment_id.clone(),
        link: state.links.made,
        amount: payment.amount(payment.totals.authorized),
        held: *released,
        is_gone: payment.funding.pulled() == Minor::ZERO,
        source: source.clone(),
        actor: context.actor.clone(),
        reason: command.reason.clone(),
        at: at(state, context),
    })])
}

/// Takes a `Spend` as a leg of its own, beside those that the processor pulls: so what is pulled besides is owed back.
pub(super) fn take(state: &State, command: &TakeSpend, context: &CommandContext) -> Decision {
    checks::from_saga_or_operator(context)?;
    checks::sound(&command.amount)?;
    let payment = known(state, context)?;
    checks::same_asset(&payment.asset, &command.amount.asset)?;
    if state.links.taken.get(&command.spend_id).is_some_and(|taken| taken.link >= command.link) {
        return Ok(Vec::new());
    }
    if state.links.linked.is_some() {
        let detail = format!("{} is linked to another payment itself", context.id);
        return Err(Rejection::new("spend_linked", detail));
    }
    let leg = if payment.funding == Funding::None { FIRST_LEG } else { state.newest_leg().saturating_add(1) };
    Ok(vec![Event::SpendTaken(SpendTaken {
        parties: payment.parties.clone(),
        spend_id: command.spend_id.clone(),
        link: command.link,
        leg,
        amount: command.amount.clone(),
        source: command.source.clone(),
        basis: command.basis,
        is_final: command.is_final,
        at: at(state, context),
    })])
}

pub(super) fn give_up(state: &State, command: &GiveUpSpend, context: &CommandContext) -> Decision {
    checks::from_saga_or_operator(context)?;
    let payment = known(state, context)?;
    let Some(leg) = state.taken(&command.spend_id, command.link) else { return Ok(Vec::new()) };
    let pulled = state.leg(leg).map_or(Minor::ZERO, Funding::pulled);
    Ok(vec![Event::SpendGivenUp(SpendGivenUp {
        parties: payment.parties.clone(),
        spend_id: command.spend_id.clone(),
        link: command.link,
        leg,
        amount: payment.amount(pulled),
        at: at(state, context),
    })])
}

/// Returns the event of an observation of a linked `Spend`, which is the payment's.
pub(super) fn observed(
    state: &State,
    payment: &Payment,
    payment_id: &ExternalId,
    command: &ObserveFunding,
) -> Event {
    Event::SpendObserved(SpendObserved {
        parties: payment.parties.clone(),
        payment_id: payment_id.clone(),
        link: state.links.made,
        observation: command.observation.clone(),
        occurred_at: command.occurred_at,
    })
}

/// Returns the payment, whatever the host's clock says: what was spent is a fact.
fn known<'a>(state: &'a State, context: &CommandContext) -> Result<&'a Payment, Rejection> {
    let payment = state.payment().ok_or_else(|| {
        let detail = format!("no payment {} has been asked for or seen", context.id);
        Rejection::new("authorization_not_found", detail)
    })?;
    checks::routed_to(payment.parties.account, context)?;
    Ok(payment)
}

fn swiped<'a>(state: &'a State, context: &CommandContext) -> Result<&'a Payment, Rejection> {
    let payment = known(state, context)?;
    if let Entry::Swiped { .. } = payment.entry {
        return Ok(payment);
    }
    let detail = format!("{} did not begin with a Spend", context.id);
    Err(Rejection::new("spend_not_linkable", detail))
}

pub(super) fn is_short(reason: Option<&String>) -> Result<(), Rejection> {
    if reason.is_none_or(|reason| reason.len() <= LONGEST_REASON) {
        return Ok(());
    }
    let detail = format!("the reason is longer than {LONGEST_REASON} bytes; shorten it");
    Err(Rejection::new("reason_too_long", detail))
}

pub(super) fn at(state: &State, context: &CommandContext) -> clearfold_kernel::Timestamp {
    state.latest.map_or(context.accepted_at, |latest| latest.max(context.accepted_at))
}

fn source(funding: &Funding) -> Option<&ChainSource> {
    match funding {
        Funding::Included { source, .. } | Funding::Finalized { source, .. } => Some(source),
        _ => None,
    }
}

pub(super) fn expected(state: &mut State, event: &SpendExpected) {
    state.happened_at(event.at);
    state.expected = Some(event.spend_id.clone());
}

/// Applies a link. The `Spend` holds nothing, and its leg counts for the payment ([`State::kept`]).
pub(super) fn linked(state: &mut State, event: &SpendLinked) {
    state.latest = Some(event.at);
    let Some(payment) = state.payment_mut() else { return };
    let status = std::mem::replace(&mut payment.status, Status::Linked);
    payment.totals.reversed = sum(payment.totals.reversed, event.released);
    let (payment_id, released) = (event.payment_id.clone(), event.released);
    state.links.linked = Some(Linked { payment_id, status, released });
    state.links.made = event.link;
}

pub(super) fn unlinked(state: &mut State, event: &SpendUnlinked) {
    state.latest = Some(event.at);
    let Some(Linked { status, released, .. }) = state.links.linked.take() else { return };
    let Some(payment) = state.payment_mut() else { return };
    payment.totals.reversed = payment.totals.reversed.excess_over(released);
    payment.status = status;
}

pub(super) fn taken(state: &mut State, event: &SpendTaken) {
    state.latest = Some(event.at);
    let (amount, source) = (event.amount.minor, event.source.clone());
    let funding = if event.is_final {
        Funding::Finalized { amount, source }
    } else {
        Funding::Included { amount, source }
    };
    match state.leg_mut(event.leg) {
        Some(leg) => *leg = funding,
        None => state.legs.later.push(funding),
    }
    let taken = Taken { leg: event.leg, link: event.link, is_given_up: false };
    state.links.taken.insert(event.spend_id.clone(), taken);
}

pub(super) fn given_up(state: &mut State, event: &SpendGivenUp) {
    state.latest = Some(event.at);
    if let Some(leg) = state.leg_mut(event.leg) {
        *leg = Funding::Abandoned;
    }
    if let Some(taken) = state.links.taken.get_mut(&event.spend_id) {
        taken.is_given_up = true;
    }
}
