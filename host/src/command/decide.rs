//! Has the turns of a batch decided, and keeps a failing component from harming more than one command.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clearfold_kernel::Timestamp;

use super::plan::{StreamOutcome, StreamTurn};
use super::{Command, CommandError, Deciders};
use crate::digest::Digest;
use crate::event_store::StoredEvent;
use crate::runtime::{self, Decider, Fault, Message, Outcome, Turn};

/// How long the commands of a failed batch may take one by one: a component that never answers must not hold its
/// partition for as many deadlines as there are commands.
const SINGLY_MS: u64 = 15_000;

/// A stream before its turn.
struct Ready {
    turn: StreamTurn,
    version: u64,
    state: Vec<u8>,
}

/// Decides all turns. Runs components, so it belongs on a thread that may be busy.
pub(super) fn decide(
    deciders: &Deciders,
    commands: &[Command],
    turns: Vec<StreamTurn>,
    history: Vec<StoredEvent>,
    now: Timestamp,
) -> Vec<StreamOutcome> {
    let mut histories: BTreeMap<String, Vec<StoredEvent>> = BTreeMap::new();
    for event in history {
        histories.entry(event.stream.clone()).or_default().push(event);
    }
    let mut by_aggregate: BTreeMap<String, Vec<StreamTurn>> = BTreeMap::new();
    for turn in turns {
        by_aggregate.entry(turn.aggregate.clone()).or_default().push(turn);
    }
    let mut outcomes = Vec::new();
    for (aggregate, turns) in by_aggregate {
        match deciders.get(&aggregate) {
            Some(decider) => outcomes.extend(decide_all(decider, commands, turns, &mut histories, now)),
            None => outcomes.extend(turns.into_iter().map(|turn| {
                let error =
                    CommandError::UnknownAggregate { aggregate: aggregate.clone(), known: String::new() };
                failed(turn, 0, Digest([0; 32]), &error)
            })),
        }
    }
    outcomes
}

fn decide_all(
    decider: &Arc<Decider>,
    commands: &[Command],
    turns: Vec<StreamTurn>,
    histories: &mut BTreeMap<String, Vec<StoredEvent>>,
    now: Timestamp,
) -> Vec<StreamOutcome> {
    let digest = decider.id().digest;
    let mut outcomes = Vec::with_capacity(turns.len());
    let mut ready = Vec::with_capacity(turns.len());
    for turn in turns {
        let history = histories.remove(&turn.stream).unwrap_or_default();
        let version = history.last().map_or(0, |event| event.stream_version);
        match fold(decider, history) {
            Ok(state) => ready.push(Ready { turn, version, state }),
            Err(fault) => outcomes.push(failed(turn, version, digest, &fault.into())),
        }
    }
    outcomes.extend(decide_together(decider, commands, ready, now));
    outcomes
}

fn fold(decider: &Decider, history: Vec<StoredEvent>) -> Result<Vec<u8>, Fault> {
    if history.is_empty() {
        return Ok(decider.initial().to_vec());
    }
    let message = |event: StoredEvent| Message {
        type_: event.kind,
        schema_version: event.schema_version,
        payload: event.payload,
    };
    decider.evolve(decider.initial(), &history.into_iter().map(message).collect::<Vec<_>>())
}

/// One call for all streams. If it fails, one call a command finds the one that made it fail.
fn decide_together(
    decider: &Decider,
    commands: &[Command],
    ready: Vec<Ready>,
    now: Timestamp,
) -> Vec<StreamOutcome> {
    let digest = decider.id().digest;
    let wire: Vec<Turn> =
        ready.iter().map(|ready| wire_turn(commands, &ready.state, &ready.turn.commands, now)).collect();
    match decider.decide(&wire) {
        Ok(decided) => ready
            .into_iter()
            .zip(decided)
            .map(|(Ready { turn, version, .. }, decided)| StreamOutcome {
                turn,
                version,
                digest,
                outcomes: decided.outcomes.into_iter().map(Ok).collect(),
            })
            .collect(),
        Err(fault) => {
            tracing::warn!(fault = %crate::telemetry::chain(&fault), "a batch failed; deciding its commands one by one");
            let until = Instant::now() + Duration::from_millis(SINGLY_MS);
            ready.into_iter().map(|ready| decide_singly(decider, commands, ready, now, until)).collect()
        }
    }
}

fn decide_singly(
    decider: &Decider,
    commands: &[Command],
    ready: Ready,
    now: Timestamp,
    until: Instant,
) -> StreamOutcome {
    let Ready { turn, version, mut state } = ready;
    let mut outcomes = Vec::with_capacity(turn.commands.len());
    for index in &turn.commands {
        outcomes.push(if Instant::now() < until {
            decide_one(decider, commands, &mut state, *index, now)
        } else {
            Err(CommandError::Unavailable("a failing component used up the batch's time".to_owned()))
        });
    }
    StreamOutcome { turn, version, digest: decider.id().digest, outcomes }
}

fn decide_one(
    decider: &Decider,
    commands: &[Command],
    state: &mut Vec<u8>,
    index: usize,
    now: Timestamp,
) -> Result<Outcome, CommandError> {
    let mut decided = decider.decide(&[wire_turn(commands, state, &[index], now)])?;
    // The runtime has checked that there is one answer with one outcome.
    let decided = decided.pop().ok_or(CommandError::Stopping)?;
    *state = decided.state;
    decided.outcomes.into_iter().next().ok_or(CommandError::Stopping)
}

fn wire_turn(commands: &[Command], state: &[u8], indexes: &[usize], now: Timestamp) -> Turn {
    let wire = |index: &usize| {
        let command = &commands[*index];
        runtime::Command {
            id: command.id.clone(),
            routing_key: command.routing_key.clone(),
            actor: command.actor.clone(),
            accepted_at_ms: now.as_ms(),
            message: Message {
                type_: command.kind.clone(),
                schema_version: command.schema_version,
                payload: command.payload.clone(),
            },
        }
    };
    Turn { state: state.to_vec(), commands: indexes.iter().map(wire).collect() }
}

fn failed(turn: StreamTurn, version: u64, digest: Digest, error: &CommandError) -> StreamOutcome {
    let outcomes = turn.commands.iter().map(|_| Err(error.clone())).collect();
    StreamOutcome { turn, version, digest, outcomes }
}
