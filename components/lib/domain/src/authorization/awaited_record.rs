//! Reversals of records that wait: for a record that did not come, or for the resolution of one in suspense. What follows
//! when it comes is in the same decision. So is what follows from a reversal for a claim in suspense that looked like the
//! one which is taken back: it was presented anew, and posts.

use std::collections::VecDeque;

use clearfold_kernel::{CommandContext, ExternalId, Rejection};

use super::messages::{
    ClearingUnlinked, DismissRecordReversal, Event, KeptReason, RecordReversalEnded, RefundOrigin,
    ResolveClearing, ResolveRefund, ReversedRecord, WaitEnd,
};
use super::record_reversal::{RecordReversal, RecordReversalFate, parties, take_back};
use super::state::State;
use super::{Decision, clearing, suspense};
use crate::checks;
use crate::network::{RefundOutcome, SuspenseOutcome};

/// Returns the events of a decision, and behind them what reversals make of them: a record that came is taken back, one in
/// suspense is undone if all of it is taken back, and the wait for one that was undone ends. A claim in suspense posts once
/// the one that it looked like is taken back.
pub(super) fn applied(state: &State, mut events: Vec<Event>, context: &CommandContext) -> Vec<Event> {
    let concerns = |event: &Event| matches!(event, Event::RecordReversalKept(_) | Event::ClearingReversed(_));
    let waits = state.record_reversals.known.values().any(RecordReversal::is_waiting);
    if let [Event::ClearingUnlinked(event)] = events.as_slice() {
        let own = took_back(state, event);
        return [events, own].concat();
    }
    if events.is_empty() || !(waits || events.iter().any(concerns)) {
        return events;
    }
    let mut after = events.iter().fold(state.clone(), State::after);
    let mut queue = VecDeque::from(events.clone());
    while let Some(event) = queue.pop_front() {
        let Some((of, follows)) = follows(&event) else { continue };
        let more = match follows {
            Follows::Undone => undo(&after, &of, context),
            Follows::End(cause) => concluded(&after, &of, cause, context),
            Follows::Presented => presented_anew(&after, &of, context),
        };
        after = more.iter().fold(after, State::after);
        queue.extend(more.iter().cloned());
        events.extend(more);
    }
    events
}

/// Takes back a clearing that is its payment's own again, for each reversal that came while it was linked. The payment that
/// it was linked to had it no more, or never.
fn took_back(state: &State, event: &ClearingUnlinked) -> Vec<Event> {
    let of = ReversedRecord::Clearing(event.clearing_id.clone());
    let mut after = state.clone().after(&Event::ClearingUnlinked(event.clone()));
    let is_kept = |known: &RecordReversal| known.fate == RecordReversalFate::Linked && known.of == of;
    let kept = state.record_reversals.known.iter().filter(|(_, known)| is_kept(known));
    let mut events = Vec::new();
    for (id, reversal) in kept {
        let Some(event) = take_back(&after, id, reversal, false) else { continue };
        after = after.after(&event);
        events.push(event);
    }
    events
}

/// Consequence of an event for the reversals that wait for its record.
enum Follows {
    /// The record is in suspense, and undone if a reversal is of all of it.
    Undone,
    /// The record is taken back. What looked like it was presented anew, if nothing is left of it.
    Presented,
    /// The record is decided. What is left of it is taken back; a wait that takes nothing back ends for that cause.
    End(WaitEnd),
}

fn follows(event: &Event) -> Option<(ReversedRecord, Follows)> {
    let clearing = |id: &ExternalId| ReversedRecord::Clearing(id.clone());
    let refund = |origin: &RefundOrigin| match origin {
        RefundOrigin::Network(id) => Some(ReversedRecord::Refund(id.clone())),
        RefundOrigin::Chain(_) => None,
    };
    let end = |of| (of, Follows::End(WaitEnd::NothingLeft));
    match event {
        Event::ClearingPosted(event) => Some(end(clearing(&event.clearing_id))),
        Event::ForcePosted(event) => Some(end(clearing(&event.clearing_id))),
        Event::ClearingReversed(event) => Some((clearing(&event.clearing_id), Follows::Presented)),
        Event::RefundLinked(event) => refund(&event.origin).map(end),
        Event::ClearingSuspended(event) => Some((clearing(&event.clearing_id), Follows::Undone)),
        Event::RefundUnlinked(event) => Some((refund(&event.origin)?, Follows::Undone)),
        Event::RecordReversalKept(event) if event.reason == KeptReason::Unresolved => {
            Some((event.of.clone(), Follows::Undone))
        }
        Event::ClearingResolved(event) if event.outcome == SuspenseOutcome::Returned => {
            Some((clearing(&event.clearing_id), Follows::End(WaitEnd::Undone)))
        }
        Event::RefundResolved(event) if event.outcome == RefundOutcome::Paid => {
            refund(&event.origin).map(end)
        }
        Event::RefundResolved(event) => Some((refund(&event.origin)?, Follows::End(WaitEnd::Undone))),
        _ => None,
    }
}

/// Undoes what is in suspense if a reversal that waits is of all of it: the network says itself that it was none.
fn undo(state: &State, of: &ReversedRecord, context: &CommandContext) -> Vec<Event> {
    let Some(minor) = state.suspended_of(of) else { return Vec::new() };
    if !waiting_for(state, of).iter().any(|(_, reversal)| reversal.covers(minor)) {
        return Vec::new();
    }
    let undone = match of {
        ReversedRecord::Clearing(clearing_id) => {
            let (clearing_id, outcome) = (clearing_id.clone(), SuspenseOutcome::Returned);
            suspense::resolve_clearing(state, &ResolveClearing { clearing_id, outcome }, context)
        }
        ReversedRecord::Refund(_) => {
            let (outcome, payment_id) = (RefundOutcome::TakenBack, None);
            suspense::resolve_refund(state, &ResolveRefund { outcome, payment_id }, context)
        }
    };
    // It is in suspense, so its resolution is not refused.
    undone.unwrap_or_default()
}

/// Charges the oldest claim in suspense that looked like a claim of which nothing is left, and like no other one: the
/// network debits us for one of the two, in whatever order its records come.
fn presented_anew(state: &State, of: &ReversedRecord, context: &CommandContext) -> Vec<Event> {
    let ReversedRecord::Clearing(taken_back) = of else { return Vec::new() };
    let Some(clearing_id) = clearing::presented_anew(state, taken_back) else { return Vec::new() };
    let charge = ResolveClearing { clearing_id, outcome: SuspenseOutcome::Charged };
    // If its sum does not fit, it stays in suspense.
    suspense::resolve_clearing(state, &charge, context).unwrap_or_default()
}

/// Takes back what is left of a record for each reversal that waits for it; otherwise ends its wait.
fn concluded(state: &State, of: &ReversedRecord, cause: WaitEnd, context: &CommandContext) -> Vec<Event> {
    let (mut after, mut events) = (state.clone(), Vec::new());
    for (id, reversal) in waiting_for(state, of) {
        let taken = take_back(&after, &id, &reversal, true);
        let Some(event) = taken.or_else(|| ended(&after, &id, &reversal, cause, context)) else { continue };
        after = after.after(&event);
        events.push(event);
    }
    events
}

/// Returns the reversals that wait for a record. One in another asset than the stream's cannot be of it, and is left to an
/// operator.
fn waiting_for(state: &State, of: &ReversedRecord) -> Vec<(ExternalId, RecordReversal)> {
    let Some(asset) = state.asset_of(of) else { return Vec::new() };
    let is_of = |known: &RecordReversal| {
        let is_in_asset = known.stated.as_ref().is_none_or(|stated| stated.asset == *asset);
        known.is_waiting() && is_in_asset && named(state, &known.of) == *of
    };
    let known = state.record_reversals.known.iter().filter(|(_, known)| is_of(known));
    known.map(|(id, known)| (id.clone(), RecordReversal { of: of.clone(), ..known.clone() })).collect()
}

/// Returns the record by the id that it has here.
fn named(state: &State, of: &ReversedRecord) -> ReversedRecord {
    match of {
        ReversedRecord::Clearing(id) => ReversedRecord::Clearing(state.claim_named(id)),
        ReversedRecord::Refund(_) => of.clone(),
    }
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
