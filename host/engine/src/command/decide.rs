//! Has the turns of a batch decided, and keeps a failing component from harming more than one command.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clearfold_kernel::Timestamp;

use super::entries::Values;
use super::plan::StreamTurn;
use super::state::StreamState;
use super::{Command, CommandError, Deciders, Running};
use clearfold_base::digest::Digest;
use clearfold_sandbox::{Message, Outcome, Turn};

/// How long the commands of a failed batch may take one by one: a component that never answers must not hold its
/// partition for as many deadlines as there are commands.
const SINGLY_MS: u64 = 15_000;

/// A stream before its turn.
pub(super) struct Ready {
    pub turn: StreamTurn,
    pub running: Arc<Running>,
    pub state: StreamState,
    /// The entries that its commands name, as the database has them.
    pub stored: Values,
}

/// What a stream's commands came to.
pub(super) struct StreamOutcome {
    pub turn: StreamTurn,
    pub decided_by: Digest,
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
    let mut work: BTreeMap<Digest, (&Arc<Running>, Vec<usize>)> = BTreeMap::new();
    for (index, command) in commands.iter().enumerate() {
        let running = deciders.of(&command.aggregate, &command.routing_key);
        if let Some(running) = running.filter(|running| running.decider.has_entries()) {
            work.entry(running.digest()).or_insert((running, Vec::new())).1.push(index);
        }
    }
    for (running, its) in work.into_values() {
        let messages: Vec<Message> = its.iter().map(|index| message(&commands[*index])).collect();
        let answers: Vec<Result<_, CommandError>> = match running.decider.keys(&messages) {
            Ok(keys) => keys.into_iter().map(Ok).collect(),
            Err(_) => {
                let until = Instant::now() + Duration::from_millis(SINGLY_MS);
                messages.into_iter().map(|message| keys_of_one(running, message, until)).collect()
            }
        };
        for (index, answer) in its.into_iter().zip(answers) {
            keys[index] = answer;
        }
    }
    keys
}

fn keys_of_one(running: &Running, message: Message, until: Instant) -> Result<Vec<String>, CommandError> {
    if Instant::now() >= until {
        return Err(used_up());
    }
    let keys = running.decider.keys(&[message]).inspect_err(|fault| running.count(fault))?;
    Ok(keys.into_iter().next().unwrap_or_default())
}

/// Decides all turns. Runs components, so it belongs on a thread that may be busy.
pub(super) fn decide(named: &Named, ready: Vec<Ready>, now: Timestamp) -> Vec<StreamOutcome> {
    let mut by_decider: BTreeMap<Digest, (Arc<Running>, Vec<Ready>)> = BTreeMap::new();
    for ready in ready {
        let its = by_decider.entry(ready.running.digest());
        its.or_insert_with(|| (Arc::clone(&ready.running), Vec::new())).1.push(ready);
    }
    let decided = by_decider.into_values();
    decided.flat_map(|(running, ready)| decide_together(&running, named, ready, now)).collect()
}

/// One call for all streams. If it fails, one call a command finds the one that made it fail.
fn decide_together(
    running: &Running,
    named: &Named,
    ready: Vec<Ready>,
    now: Timestamp,
) -> Vec<StreamOutcome> {
    let turn = |ready: &Ready| wire_turn(named, &ready.state, &ready.stored, &ready.turn.commands, now);
    let wire: Vec<Turn> = ready.iter().map(turn).collect();
    match running.decider.decide(&wire) {
        Ok(decided) => ready
            .into_iter()
            .zip(decided)
            .map(|(Ready { turn, mut state, .. }, decided)| {
                let version = state.version.saturating_add(events_in(&decided.outcomes));
                state.entries.change(version, decided.entries);
                let outcomes = decided.outcomes.into_iter().map(Ok).collect();
                outcome(running, turn, StreamState { state: decided.state, ..state }, outcomes)
            })
            .collect(),
        Err(fault) => {
            tracing::warn!(fault = %clearfold_base::telemetry::with_causes(&fault), "a batch failed; deciding its commands one by one");
            let until = Instant::now() + Duration::from_millis(SINGLY_MS);
            ready.into_iter().map(|ready| decide_singly(running, named, ready, now, until)).collect()
        }
    }
}

fn decide_singly(
    running: &Running,
    named: &Named,
    Ready { turn, mut state, stored, .. }: Ready,
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
        let decided = running.decider.decide(&[wire]).map(|mut decided| decided.pop());
        outcomes.push(match decided {
            Ok(Some(mut decided)) => {
                version = version.saturating_add(events_in(&decided.outcomes));
                state.state = decided.state;
                state.entries.change(version, decided.entries);
                decided.outcomes.pop().ok_or(CommandError::Stopping)
            }
            Ok(None) => Err(CommandError::Stopping),
            Err(fault) => {
                running.count(&fault);
                Err(fault.into())
            }
        });
    }
    outcome(running, turn, state, outcomes)
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
    running: &Running,
    turn: StreamTurn,
    state: StreamState,
    outcomes: Vec<Result<Outcome, CommandError>>,
) -> StreamOutcome {
    let state =
        StreamState { family: running.family, state_version: running.decider.state_version(), ..state };
    StreamOutcome { turn, decided_by: running.digest(), state, outcomes }
}

fn wire_turn(named: &Named, state: &StreamState, stored: &Values, indexes: &[usize], now: Timestamp) -> Turn {
    let wire = |index: &usize| {
        let command = &named.commands[*index];
        clearfold_sandbox::WireCommand {
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
