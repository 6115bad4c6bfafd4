//! Decides recorded segments again, with any decider, and compares outcomes.

use std::sync::Arc;

use clearfold_sandbox::{Decides, Fault, Message, Outcome, Turn, WholeState, WireCommand};
use clearfold_store::StoredCommand;

use super::history::{BATCH, Segment};
use crate::saga::without_version;

const NOT_TRIED: &str = "not tried, because the component failed too often before";

/// New outcomes, or the component's faults as text: one for each command of each segment.
pub(super) type Redecided = Vec<Vec<Result<Outcome, String>>>;

/// Decides segments again, each on the events recorded before it. Within a turn a difference is carried on to the
/// commands that follow it. If a call fails, its commands are decided one by one, so that only those fail that must.
/// Each failure may take as long as a call may, so after `patience` of them the rest is not tried.
pub(super) fn redecide(decider: &dyn Decides, segments: &[Segment], mut patience: usize) -> Redecided {
    let mut past = WholeState::initial(decider);
    let mut again = Redecided::with_capacity(segments.len());
    let mut rest = segments;
    while let Some(first) = rest.first() {
        let began = as_it_began(decider, first);
        let count = if began.is_some() { 1 } else { count_in_one_call(decider, rest) };
        let (decider, chunk) = (began.as_deref().unwrap_or(decider), &rest[..count]);
        rest = &rest[count..];
        let before = past.clone();
        let decided = turns(decider, chunk, &mut past)
            .and_then(|turns| decider.decide(&turns).map_err(|fault| message_of(&fault)));
        match decided {
            Ok(decided) => {
                let outcomes = decided.into_iter();
                again.extend(outcomes.map(|decided| decided.outcomes.into_iter().map(Ok).collect()));
            }
            Err(_) => {
                past = before;
                again.extend(
                    chunk.iter().map(|segment| one_by_one(decider, segment, &mut past, &mut patience)),
                );
            }
        }
    }
    again
}

/// Decides a segment's commands one by one, each on the events recorded before it.
fn one_by_one(
    decider: &dyn Decides,
    segment: &Segment,
    past: &mut WholeState,
    patience: &mut usize,
) -> Vec<Result<Outcome, String>> {
    if !segment.continues {
        *past = WholeState::initial(decider);
    }
    let mut known = match *patience {
        0 => Err(NOT_TRIED.to_owned()),
        _ => past.evolve(decider, segment.before()).map_err(|fault| message_of(&fault)),
    };
    let mut folded = past.clone();
    let commands = segment.commands.iter().zip(&segment.recorded).map(|(command, recorded)| {
        known.clone()?;
        let mut decided = by_itself(decider, command, &folded);
        if let Outcome::Accepted(events) = recorded {
            known = folded.evolve(decider, events).map_err(|fault| message_of(&fault));
            decided = known.clone().and(decided);
        }
        // Zero means that it is used up, and then nothing is tried that could fail.
        *patience = patience.saturating_sub(usize::from(decided.is_err()));
        if *patience == 0 {
            known = Err(NOT_TRIED.to_owned());
        }
        decided
    });
    commands.collect()
}

fn by_itself(decider: &dyn Decides, command: &StoredCommand, folded: &WholeState) -> Result<Outcome, String> {
    let turn = folded.turn(decider, vec![wire(decider, command)?]).map_err(|fault| message_of(&fault))?;
    let decided = decider.decide(&[turn]).map_err(|fault| message_of(&fault))?.pop();
    decided.and_then(|mut decided| decided.outcomes.pop()).ok_or_else(|| "no outcome".to_owned())
}

fn message_of(fault: &Fault) -> String {
    clearfold_base::telemetry::with_causes(fault)
}

/// Returns what decided a segment that begins its stream, if it decides otherwise than the decider does now.
fn as_it_began(decider: &dyn Decides, segment: &Segment) -> Option<Arc<dyn Decides>> {
    let mut events = segment.recorded.iter().filter_map(|outcome| match outcome {
        Outcome::Accepted(events) => events.first(),
        Outcome::Rejected(_) => None,
    });
    decider.as_it_began(events.next()?)
}

/// Number of segments that go into one call: at least one, and no more commands than a batch if there are several.
fn count_in_one_call(decider: &dyn Decides, segments: &[Segment]) -> usize {
    let mut commands = 0;
    let fits = |segment: &&Segment| {
        commands += segment.commands.len();
        commands <= BATCH && as_it_began(decider, segment).is_none()
    };
    segments.iter().take_while(fits).count().max(1)
}

/// Makes the turns of segments. `past` is the state before the segment that precedes them.
fn turns(decider: &dyn Decides, segments: &[Segment], past: &mut WholeState) -> Result<Vec<Turn>, String> {
    let mut turns = Vec::with_capacity(segments.len());
    for segment in segments {
        if !segment.continues {
            *past = WholeState::initial(decider);
        }
        if !segment.before().is_empty() {
            past.evolve(decider, segment.before()).map_err(|fault| message_of(&fault))?;
        }
        let commands =
            segment.commands.iter().map(|command| wire(decider, command)).collect::<Result<_, _>>()?;
        turns.push(past.turn(decider, commands).map_err(|fault| message_of(&fault))?);
    }
    Ok(turns)
}

fn wire(decider: &dyn Decides, command: &StoredCommand) -> Result<WireCommand, String> {
    let aggregate = decider.aggregate();
    let id = command.stream.strip_prefix(aggregate).and_then(|rest| rest.strip_prefix('-'));
    let id = id.ok_or_else(|| format!("the stream {} is not one of `{aggregate}`", command.stream))?;
    Ok(WireCommand {
        id: id.to_owned(),
        routing_key: command.routing_key.clone(),
        actor: command.actor.clone(),
        accepted_at_ms: command.accepted_at.as_ms(),
        message: Message {
            type_: command.kind.clone(),
            schema_version: command.schema_version,
            payload: command.payload.clone(),
        },
    })
}

/// Returns true if two outcomes are the same, bit for bit.
pub(super) fn is_same(one: &Outcome, other: &Outcome) -> bool {
    let same_message = |(one, other): (&Message, &Message)| {
        one.type_ == other.type_ && one.schema_version == other.schema_version && one.payload == other.payload
    };
    match (one, other) {
        (Outcome::Accepted(one), Outcome::Accepted(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(same_message)
        }
        (Outcome::Rejected(one), Outcome::Rejected(other)) => {
            one.code == other.code && one.detail == other.detail
        }
        _ => false,
    }
}

/// Returns true if two versions came to the same: the outcomes are the same but for the version that an instance of a
/// saga names as its own.
pub(super) fn is_same_but_for_version(one: &Outcome, other: &Outcome) -> bool {
    let without_version = |outcome: &Outcome| match outcome {
        Outcome::Accepted(events) => Outcome::Accepted(events.iter().map(without_version).collect()),
        rejected @ Outcome::Rejected(_) => rejected.clone(),
    };
    is_same(one, other) || is_same(&without_version(one), &without_version(other))
}

/// Renders an outcome in full, for people.
pub(super) fn shown(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Accepted(events) if events.is_empty() => "nothing, for it held already".to_owned(),
        Outcome::Accepted(events) => {
            let event = |event: &Message| {
                let payload = String::from_utf8_lossy(&event.payload);
                format!("{} v{} {payload}", event.type_, event.schema_version)
            };
            events.iter().map(event).collect::<Vec<_>>().join("; ")
        }
        Outcome::Rejected(rejection) => format!("rejected: {}: {}", rejection.code, rejection.detail),
    }
}
