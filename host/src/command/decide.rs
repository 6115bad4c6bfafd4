//! Has the turns of a batch decided, and keeps a failing component from harming more than one command.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clearfold_kernel::Timestamp;

use super::entries::Values;
use super::plan::StreamTurn;
use super::state::StreamState;
use super::{Command, CommandError, Deciders};
use crate::runtime::{self, Decider, Message, Outcome, Turn};

/// How long the commands of a failed batch may take one by one: a component that never answers must not hold its
/// partition for as many deadlines as there are commands.
const SINGLY_MS: u64 = 15_000;

/// A stream before its turn.
pub(super) struct Ready {
    pub turn: StreamTurn,
    pub state: StreamState,
    /// The entries that its commands name, as the database has them.
    pub stored: Values,
}

/// What a stream's commands came to.
pub(super) struct StreamOutcome {
    pub turn: StreamTurn,
    /// Before the turn, but for the state and its entries, which are those after it.
    pub state: StreamState,
    /// One for each command of the turn.
    pub outcomes: Vec<Result<Outcome, CommandError>>,
}

/// A batch's commands, and the keys of the entries that each names.
#[derive(Clone)]
pub(super) struct Named {
    pub commands: Vec<Arc<Command>>,
    pub keys: Vec<Vec<String>>,
}

/// Asks which entries the commands name. What a component cannot answer for fails alone.
pub(super) fn keys(deciders: &Deciders, commands: &[Arc<Command>]) -> Vec<Result<Vec<String>, CommandError>> {
    let mut keys: Vec<_> = commands.iter().map(|_| Ok(Vec::new())).collect();
    for decider in deciders.values().filter(|decider| decider.has_entries()) {
        let is_its = |index: &usize| commands[*index].aggregate == decider.aggregate();
        let its: Vec<usize> = (0..commands.len()).filter(is_its).collect();
        let messages: Vec<Message> = its.iter().map(|index| message(&commands[*index])).collect();
        let answers: Vec<Result<_, CommandError>> = match decider.keys(&messages) {
            Ok(keys) => keys.into_iter().map(Ok).collect(),
            Err(_) => {
                let until = Instant::now() + Duration::from_millis(SINGLY_MS);
                messages.into_iter().map(|message| keys_of_one(decider, message, until)).collect()
            }
        };
        for (index, answer) in its.into_iter().zip(answers) {
            keys[index] = answer;
        }
    }
    keys
}

fn keys_of_one(decider: &Decider, message: Message, until: Instant) -> Result<Vec<String>, CommandError> {
    if Instant::now() >= until {
        return Err(used_up());
    }
    Ok(decider.keys(&[message])?.pop().unwrap_or_default())
}

/// Decides all turns. Runs components, so it belongs on a thread that may be busy.
pub(super) fn decide(
    deciders: &Deciders,
    named: &Named,
    ready: Vec<Ready>,
    now: Timestamp,
) -> Vec<StreamOutcome> {
    let mut by_aggregate: BTreeMap<String, Vec<Ready>> = BTreeMap::new();
    for ready in ready {
        by_aggregate.entry(ready.turn.aggregate.clone()).or_default().push(ready);
    }
    let mut outcomes = Vec::new();
    for (aggregate, ready) in by_aggregate {
        // The intake has let in no command that nobody decides.
        if let Some(decider) = deciders.get(&aggregate) {
            outcomes.extend(decide_together(decider, named, ready, now));
        }
    }
    outcomes
}

/// One call for all streams. If it fails, one call a command finds the one that made it fail.
fn decide_together(
    decider: &Decider,
    named: &Named,
    ready: Vec<Ready>,
    now: Timestamp,
) -> Vec<StreamOutcome> {
    let turn = |ready: &Ready| wire_turn(named, &ready.state, &ready.stored, &ready.turn.commands, now);
    let wire: Vec<Turn> = ready.iter().map(turn).collect();
    match decider.decide(&wire) {
        Ok(decided) => ready
            .into_iter()
            .zip(decided)
            .map(|(Ready { turn, mut state, .. }, decided)| {
                let version = state.version.saturating_add(events_in(&decided.outcomes));
                state.entries.change(version, decided.entries);
                let outcomes = decided.outcomes.into_iter().map(Ok).collect();
                outcome(decider, turn, StreamState { state: decided.state, ..state }, outcomes)
            })
            .collect(),
        Err(fault) => {
            tracing::warn!(fault = %crate::telemetry::chain(&fault), "a batch failed; deciding its commands one by one");
            let until = Instant::now() + Duration::from_millis(SINGLY_MS);
            ready.into_iter().map(|ready| decide_singly(decider, named, ready, now, until)).collect()
        }
    }
}

fn decide_singly(
    decider: &Decider,
    named: &Named,
    Ready { turn, mut state, stored }: Ready,
    now: Timestamp,
    until: Instant,
) -> StreamOutcome {
    let mut version = state.version;
    let mut outcomes = Vec::with_capacity(turn.commands.len());
    for index in &turn.commands {
        if Instant::now() >= until {
            outcomes.push(Err(used_up()));
            continue;
        }
        let wire = wire_turn(named, &state, &stored, &[*index], now);
        // The runtime has checked that there is one answer with one outcome.
        let decided = decider.decide(&[wire]).map(|mut decided| decided.pop());
        outcomes.push(match decided {
            Ok(Some(mut decided)) => {
                version = version.saturating_add(events_in(&decided.outcomes));
                state.state = decided.state;
                state.entries.change(version, decided.entries);
                decided.outcomes.pop().ok_or(CommandError::Stopping)
            }
            Ok(None) => Err(CommandError::Stopping),
            Err(fault) => Err(fault.into()),
        });
    }
    outcome(decider, turn, state, outcomes)
}

fn used_up() -> CommandError {
    CommandError::Unavailable("a failing component used up the batch's time".to_owned())
}

fn events_in(outcomes: &[Outcome]) -> u64 {
    let events = |outcome: &Outcome| match outcome {
        Outcome::Accepted(events) => events.len() as u64,
        Outcome::Rejected(_) => 0,
    };
    outcomes.iter().map(events).sum()
}

fn outcome(
    decider: &Decider,
    turn: StreamTurn,
    state: StreamState,
    outcomes: Vec<Result<Outcome, CommandError>>,
) -> StreamOutcome {
    let state = StreamState { digest: decider.id().digest, state_version: decider.state_version(), ..state };
    StreamOutcome { turn, state, outcomes }
}

fn wire_turn(named: &Named, state: &StreamState, stored: &Values, indexes: &[usize], now: Timestamp) -> Turn {
    let wire = |index: &usize| {
        let command = &named.commands[*index];
        runtime::Command {
            id: command.id.clone(),
            routing_key: command.routing_key.clone(),
            actor: command.actor.clone(),
            accepted_at_ms: now.as_ms(),
            message: message(command),
        }
    };
    let keys = indexes.iter().flat_map(|index| &named.keys[*index]).collect();
    Turn {
        state: state.state.clone(),
        entries: state.entries.named(keys, stored),
        commands: indexes.iter().map(wire).collect(),
    }
}

fn message(command: &Command) -> Message {
    Message {
        type_: command.kind.clone(),
        schema_version: command.schema_version,
        payload: command.payload.clone(),
    }
}
