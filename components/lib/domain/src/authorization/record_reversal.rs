//! Reversals of records: the network takes a clearing back that it sent, as a whole or in part. It is a fact of the
//! network's settlement, so it is never refused.
//!
//! | reversal | outcome |
//! |---|---|
//! | of a posted clearing | the customer has as much again, at most what is left of the clearing |
//! | of more than is left | takes back what is left, and states what the network said; the payment is flagged |
//! | of what was refunded, or awarded in a dispute | takes it back all the same, and states it as `excess`; flagged |
//! | of a clearing in suspense | waits for its resolution; one of the whole returns it |
//! | before its clearing, or of no known payment | waits: the clearing posts when it comes, and is taken back at once |
//! | known id | no effect; rejected if its content differs |
//!
//! The hold is not held again: it ended with the clearing. What is taken back comes off X first, then off K; what comes
//! off K counts as given back (R), so H = A − R − E − K stays as it is. The merchant may claim it again, by a new record:
//! that is neither a duplicate nor an over-capture.

use std::collections::BTreeMap;

use clearfold_kernel::{Amount, CommandContext, ExternalId, Minor, Rejection, Timestamp};
use serde::{Deserialize, Serialize};

use super::claim::{Clearing, ClearingFate, Suspended};
use super::messages::{
    ClearingReversed, DismissRecordReversal, Event, KeptReason, Parties, RecordReversalEnded,
    RecordReversalKept, ResolveClearing, ReverseClearing, ReversedRecord, WaitEnd,
};
use super::state::{State, Subject, sum};
use super::{Decision, suspense};
use crate::checks;
use crate::network::{MerchantId, Network, SuspenseOutcome};

/// Reversals of records, and what they need of the records. The last member of the [`State`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordReversals {
    /// Reversals, by the ids of their own records.
    pub known: BTreeMap<ExternalId, RecordReversal>,
    /// Card and merchant that each claim names, by clearing id: a payment may learn them later, and a force post may
    /// name others.
    pub named: BTreeMap<ExternalId, Named>,
}

/// Reversal of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordReversal {
    /// Record that it takes back.
    pub of: ReversedRecord,
    /// Network that sent it.
    pub network: Network,
    /// Amount that it states; all that is left if it states none.
    pub stated: Option<Amount>,
    /// Time that the network states.
    pub occurred_at: Timestamp,
    /// Amount that it took back, in minor units.
    pub taken: Minor,
    /// Outcome of the reversal.
    pub fate: RecordReversalFate,
}

/// Outcome of a reversal of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecordReversalFate {
    /// It took back what it could.
    Done,
    /// It waits for its record, or for the resolution of that.
    Waiting,
    /// It took nothing back, and does not wait any more.
    Ended,
}

/// Card and merchant of a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Id of the card; none if it is unknown.
    pub card_id: Option<ExternalId>,
    /// Id of the merchant; none if it is unknown.
    pub merchant_id: Option<MerchantId>,
}

impl RecordReversal {
    fn of_clearing(command: &ReverseClearing) -> Self {
        Self {
            of: ReversedRecord::Clearing(command.clearing_id.clone()),
            network: command.network,
            stated: command.amount.clone(),
            occurred_at: command.occurred_at,
            taken: Minor::ZERO,
            fate: RecordReversalFate::Waiting,
        }
    }

    fn is_waiting(&self) -> bool {
        self.fate == RecordReversalFate::Waiting
    }

    /// Returns what tells reversals apart. A record that is sent again states another time.
    fn content(&self) -> (&ReversedRecord, Network, Option<&Amount>) {
        (&self.of, self.network, self.stated.as_ref())
    }

    fn covers(&self, minor: Minor) -> bool {
        self.stated.as_ref().is_none_or(|stated| stated.minor >= minor)
    }
}

impl State {
    /// Returns the amount of a clearing that was taken back.
    #[must_use]
    pub fn taken_back_of(&self, clearing_id: &ExternalId) -> Minor {
        let is_of =
            |known: &&RecordReversal| matches!(&known.of, ReversedRecord::Clearing(of) if of == clearing_id);
        let known = self.record_reversals.known.values().filter(is_of);
        known.map(|known| known.taken).fold(Minor::ZERO, sum)
    }

    /// Returns the amount of all clearings that was taken back.
    #[must_use]
    pub fn taken_back(&self) -> Minor {
        self.record_reversals.known.values().map(|known| known.taken).fold(Minor::ZERO, sum)
    }

    /// Returns true if a clearing posted and all of it was taken back.
    pub(super) fn is_taken_back(&self, clearing_id: &ExternalId, clearing: &Clearing) -> bool {
        has_posted(clearing) && self.taken_back_of(clearing_id) >= clearing.claimed
    }

    /// Remembers whom a claim names.
    pub(super) fn names(&mut self, clearing_id: &ExternalId, parties: &Parties) {
        let Parties { card_id, merchant_id, .. } = parties.clone();
        self.record_reversals.named.insert(clearing_id.clone(), Named { card_id, merchant_id });
    }
}

const fn has_posted(clearing: &Clearing) -> bool {
    matches!(clearing.fate, ClearingFate::Posted | ClearingFate::Forced)
}

pub(super) fn reverse_clearing(
    state: &State,
    command: &ReverseClearing,
    context: &CommandContext,
) -> Decision {
    if let Some(amount) = &command.amount {
        checks::sound(amount)?;
    }
    let (id, reversal) = (&command.reversal_id, RecordReversal::of_clearing(command));
    if let Some(known) = state.record_reversals.known.get(id) {
        checks::repeated(id.as_str(), &known.content(), &reversal.content())?;
        return Ok(Vec::new());
    }
    let parties = parties(state, context)?;
    if let (Some(payment), Some(amount)) = (state.payment(), &command.amount) {
        checks::same_asset(&payment.asset, &amount.asset)?;
    }
    let keep = |reason| kept(parties.clone(), id, &reversal, reason);
    let clearing = state.clearings.get(&command.clearing_id);
    Ok(match (clearing, state.suspended.get(&command.clearing_id)) {
        (None, _) => vec![keep(KeptReason::Unmatched)],
        (Some(known), _) if has_posted(known) => {
            vec![take_back(state, id, &reversal, false).unwrap_or_else(|| keep(KeptReason::NothingLeft))]
        }
        (Some(known), Some(Suspended::Waiting { .. })) => {
            let (clearing_id, outcome) = (command.clearing_id.clone(), SuspenseOutcome::Returned);
            let returned = match reversal.covers(known.claimed) {
                true => {
                    suspense::resolve_clearing(state, &ResolveClearing { clearing_id, outcome }, context)?
                }
                false => Vec::new(),
            };
            [vec![keep(KeptReason::Unresolved)], returned].concat()
        }
        (Some(_), _) => vec![keep(KeptReason::NothingLeft)],
    })
}

/// Returns the parties of the stream; of one without a payment, only the account is known.
fn parties(state: &State, context: &CommandContext) -> Result<Parties, Rejection> {
    match &state.subject {
        Subject::Payment(payment) => {
            checks::routed_to(payment.parties.account, context)?;
            Ok(payment.parties.clone())
        }
        Subject::Nothing => checks::account(context).map(Parties::account),
        Subject::Refund(_) => Err(checks::identity_conflict(context)),
    }
}

fn kept(parties: Parties, reversal_id: &ExternalId, reversal: &RecordReversal, reason: KeptReason) -> Event {
    Event::RecordReversalKept(RecordReversalKept {
        parties,
        reversal_id: reversal_id.clone(),
        of: reversal.of.clone(),
        network: reversal.network,
        amount: reversal.stated.clone(),
        reason,
        occurred_at: reversal.occurred_at,
    })
}

/// Takes back what is left of the clearing, up to the stated amount. `None` if that is nothing.
fn take_back(
    state: &State,
    reversal_id: &ExternalId,
    reversal: &RecordReversal,
    waited: bool,
) -> Option<Event> {
    let ReversedRecord::Clearing(clearing_id) = &reversal.of;
    let payment = state.payment()?;
    let clearing = state.clearings.get(clearing_id).filter(|clearing| has_posted(clearing))?;
    let left = clearing.claimed.excess_over(state.taken_back_of(clearing_id));
    let stated = reversal.stated.as_ref().map(|stated| stated.minor);
    let minor = stated.map_or(left, |stated| stated.min(left));
    if minor == Minor::ZERO {
        return None;
    }
    let excess = minor.excess_over(payment.refundable());
    let mut parties = payment.parties.clone();
    if let Some(named) = state.record_reversals.named.get(clearing_id) {
        (parties.card_id, parties.merchant_id) = (named.card_id.clone(), named.merchant_id.clone());
    }
    Some(Event::ClearingReversed(ClearingReversed {
        parties,
        reversal_id: reversal_id.clone(),
        clearing_id: clearing_id.clone(),
        network: reversal.network,
        amount: payment.amount(minor),
        stated,
        excess: (excess > Minor::ZERO).then_some(excess),
        waited,
        occurred_at: reversal.occurred_at,
    }))
}

/// Returns the events of a decision, and behind them what reversals that waited make of them: a clearing that came is
/// taken back, and the wait for one that was returned ends.
pub(super) fn applied(state: &State, mut events: Vec<Event>, context: &CommandContext) -> Vec<Event> {
    let is_kept = |event: &Event| matches!(event, Event::RecordReversalKept(_));
    let waits = state.record_reversals.known.values().any(RecordReversal::is_waiting);
    if events.is_empty() || !(waits || events.iter().any(is_kept)) {
        return events;
    }
    let mut after = events.iter().fold(state.clone(), State::after);
    for (clearing_id, cause) in events.iter().filter_map(decided).collect::<Vec<_>>() {
        for (id, reversal) in waiting_for(&after, &clearing_id) {
            let taken = take_back(&after, &id, &reversal, true).filter(|_| cause == WaitEnd::NothingLeft);
            let next = taken.or_else(|| ended(&after, &id, &reversal, cause, context));
            after = next.iter().fold(after, State::after);
            events.extend(next);
        }
    }
    events
}

/// Returns the clearing that an event decides, and the cause for which a reversal that finds nothing left of it does not
/// wait any more.
fn decided(event: &Event) -> Option<(ExternalId, WaitEnd)> {
    match event {
        Event::ClearingPosted(event) => Some((event.clearing_id.clone(), WaitEnd::NothingLeft)),
        Event::ForcePosted(event) => Some((event.clearing_id.clone(), WaitEnd::NothingLeft)),
        Event::ClearingResolved(event) if event.outcome == SuspenseOutcome::Returned => {
            Some((event.clearing_id.clone(), WaitEnd::Returned))
        }
        _ => None,
    }
}

/// Returns the reversals that wait for a clearing. One in another asset than the payment's cannot be of it, and is left to
/// an operator.
fn waiting_for(state: &State, clearing_id: &ExternalId) -> Vec<(ExternalId, RecordReversal)> {
    let Some(payment) = state.payment() else { return Vec::new() };
    let is_of = |known: &RecordReversal| {
        let is_in_asset = known.stated.as_ref().is_none_or(|stated| stated.asset == payment.asset);
        known.is_waiting() && is_in_asset && known.of == ReversedRecord::Clearing(clearing_id.clone())
    };
    let known = state.record_reversals.known.iter().filter(|(_, known)| is_of(known));
    known.map(|(id, known)| (id.clone(), known.clone())).collect()
}

fn ended(
    state: &State,
    reversal_id: &ExternalId,
    reversal: &RecordReversal,
    cause: WaitEnd,
    context: &CommandContext,
) -> Option<Event> {
    Some(Event::RecordReversalEnded(RecordReversalEnded {
        parties: parties(state, context).ok()?,
        reversal_id: reversal_id.clone(),
        of: reversal.of.clone(),
        amount: reversal.stated.clone(),
        cause,
        at: context.accepted_at,
    }))
}

pub(super) fn dismiss(state: &State, command: &DismissRecordReversal, context: &CommandContext) -> Decision {
    checks::from_saga_or_operator(context)?;
    parties(state, context)?;
    let id = &command.reversal_id;
    let known = state.record_reversals.known.get(id);
    match known {
        Some(known) if known.fate == RecordReversalFate::Ended => Ok(Vec::new()),
        Some(known) if known.is_waiting() => {
            Ok(ended(state, id, known, WaitEnd::Dismissed, context).into_iter().collect())
        }
        _ => Err(Rejection::new("suspense_not_found", format!("no reversal {id} waits for its record"))),
    }
}

/// Applies a reversal of a clearing. What comes off K is given back, so nothing is held again; it can still be claimed.
pub(super) fn clearing_reversed(state: &mut State, event: &ClearingReversed) {
    let Some(payment) = state.payment_mut() else { return };
    let (minor, totals) = (event.amount.minor, &mut payment.totals);
    let against_hold = minor.excess_over(totals.beyond);
    totals.beyond = totals.beyond.excess_over(minor);
    totals.against_hold = totals.against_hold.excess_over(against_hold);
    totals.reversed = sum(totals.reversed, against_hold);
    let asset = payment.asset.clone();
    state.released = sum(state.released, against_hold);
    let reversal = RecordReversal {
        of: ReversedRecord::Clearing(event.clearing_id.clone()),
        network: event.network,
        stated: event.stated.map(|minor| Amount { minor, asset }),
        occurred_at: event.occurred_at,
        taken: minor,
        fate: RecordReversalFate::Done,
    };
    state.record_reversals.known.insert(event.reversal_id.clone(), reversal);
}

pub(super) fn kept_back(state: &mut State, event: &RecordReversalKept) {
    let fate = match event.reason {
        KeptReason::Unmatched | KeptReason::Unresolved => RecordReversalFate::Waiting,
        KeptReason::NothingLeft => RecordReversalFate::Ended,
    };
    let reversal = RecordReversal {
        of: event.of.clone(),
        network: event.network,
        stated: event.amount.clone(),
        occurred_at: event.occurred_at,
        taken: Minor::ZERO,
        fate,
    };
    state.record_reversals.known.insert(event.reversal_id.clone(), reversal);
}

pub(super) fn wait_ended(state: &mut State, event: &RecordReversalEnded) {
    state.happened_at(event.at);
    if let Some(known) = state.record_reversals.known.get_mut(&event.reversal_id) {
        known.fate = RecordReversalFate::Ended;
    }
}
