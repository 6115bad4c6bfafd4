//! Decides streams' commands by calling components, and keeps a failing component from harming more than one command.
//!
//! Everything here runs components, so it belongs on a thread that may block.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clearfold_kernel::Timestamp;

use super::entries::Values;
use super::state::StreamState;
use super::{ActiveDecider, Command, CommandError, Deciders};
use clearfold_base::digest::Digest;
use clearfold_sandbox::{Message, Outcome, Turn};

/// Time that the commands of a failed batch may take one by one: a component that never answers must not hold its
/// partition for as many deadlines as there are commands.
const SINGLY_MS: u64 = 15_000;

/// Decider of a stream, and the stream as it is before its commands.
pub(super) struct Basis {
    pub decider: Arc<ActiveDecider>,
    pub state: StreamState,
    /// Entries that the commands name, as the database has them.
    pub stored: Values,
}

/// Commands of one turn, and what they are decided on.
pub(super) struct TurnInput {
    /// Commands of one stream, each with the keys of the entries that it names.
    pub commands: Vec<(Arc<Command>, Vec<String>)>,
    pub basis: Basis,
}

/// Turn whose commands are decided.
pub(super) struct DecidedTurn {
    pub decided_by: Digest,
    /// State and entries after the commands; version before them.
    pub state: StreamState,
    /// One for each command.
    pub outcomes: Vec<Result<Outcome, CommandError>>,
}

/// Names the entries of each command, in one call per component. A command on which a component fails fails alone.
pub(super) fn keys(deciders: &Deciders, commands: &[Arc<Command>]) -> Vec<Result<Vec<String>, CommandError>> {
    let mut keys: Vec<_> = commands.iter().map(|_| Ok(Vec::new())).collect();
    let mut work: BTreeMap<Digest, (&Arc<ActiveDecider>, Vec<usize>)> = BTreeMap::new();
    for (index, command) in commands.iter().enumerate() {
        let active = deciders.of(&command.aggregate, &command.routing_key);
        if let Some(active) = active.filter(|active| active.decider.has_entries()) {
            work.entry(active.digest()).or_insert((active, Vec::new())).1.push(index);
        }
    }
    for (active, its) in work.into_values() {
        let messages: Vec<Message> = its.iter().map(|index| message(&commands[*index])).collect();
        let answers: Vec<Result<_, CommandError>> = match active.decider.keys(&messages) {
            Ok(keys) => keys.into_iter().map(Ok).collect(),
            Err(_) => {
                let until = Instant::now() + Duration::from_millis(SINGLY_MS);
                messages.into_iter().map(|message| keys_of_one(active, message, until)).collect()
            }
        };
        for (index, answer) in its.into_iter().zip(answers) {
            keys[index] = answer;
        }
    }
    keys
}

fn keys_of_one(
    active: &ActiveDecider,
    message: Message,
    until: Instant,
) -> Result<Vec<String>, CommandError> {
    if Instant::now() >= until {
        return Err(used_up());
    }
    let keys = active.decider.keys(&[message]).inspect_err(|fault| active.count(fault))?;
    keys.into_iter().next().ok_or_else(no_answer)
}

/// Decides all turns, in their order. Neighbours with the same decider share a call.
pub(super) fn decide(inputs: Vec<TurnInput>, now: Timestamp) -> Vec<DecidedTurn> {
    let mut decided = Vec::with_capacity(inputs.len());
    let mut inputs = inputs.into_iter().peekable();
    while let Some(first) = inputs.next() {
        let active = Arc::clone(&first.basis.decider);
        let mut together = vec![first];
        while let Some(next) = inputs.next_if(|next| Arc::ptr_eq(&next.basis.decider, &active)) {
            together.push(next);
        }
        decided.extend(decide_together(&active, together, now));
    }
    decided
}

/// Decides turns in one call. If it fails, decides each command by itself, to find the one at fault.
fn decide_together(active: &ActiveDecider, inputs: Vec<TurnInput>, now: Timestamp) -> Vec<DecidedTurn> {
    let turn = |input: &TurnInput| wire_turn(&input.basis.state, &input.basis.stored, &input.commands, now);
    let turns: Vec<Turn> = inputs.iter().map(turn).collect();
    match active.decider.decide(&turns) {
        Ok(decided) => inputs
            .into_iter()
            .zip(decided)
            .map(|(input, decided)| {
                let mut state = input.basis.state;
                // Fewer events than there is memory for were counted, and versions stay below 2^63.
                let version = state.version + events_in(&decided.outcomes);
                state.entries.change(version, decided.entries);
                state.state = decided.state;
                decided_turn(active, state, decided.outcomes.into_iter().map(Ok).collect())
            })
            .collect(),
        Err(fault) => {
            tracing::warn!(fault = %clearfold_base::telemetry::with_causes(&fault), "a batch failed; deciding its commands one by one");
            let until = Instant::now() + Duration::from_millis(SINGLY_MS);
            inputs.into_iter().map(|input| decide_singly(active, input, now, until)).collect()
        }
    }
}

fn decide_singly(active: &ActiveDecider, input: TurnInput, now: Timestamp, until: Instant) -> DecidedTurn {
    let TurnInput { commands, basis: Basis { mut state, stored, .. } } = input;
    let mut version = state.version;
    let mut outcomes = Vec::with_capacity(commands.len());
    for command in &commands {
        if Instant::now() >= until {
            outcomes.push(Err(used_up()));
            continue;
        }
        let turn = wire_turn(&state, &stored, std::slice::from_ref(command), now);
        let decided = active.decider.decide(&[turn]).map(|mut decided| decided.pop());
        outcomes.push(match decided {
            Ok(Some(mut decided)) if decided.outcomes.len() == 1 => {
                version += events_in(&decided.outcomes);
                state.state = decided.state;
                state.entries.change(version, decided.entries);
                decided.outcomes.pop().ok_or_else(no_answer)
            }
            Ok(_) => Err(no_answer()),
            Err(fault) => {
                active.count(&fault);
                Err(fault.into())
            }
        });
    }
    decided_turn(active, state, outcomes)
}

fn used_up() -> CommandError {
    CommandError::Unavailable("a failing component used up the batch's time".to_owned())
}

/// Answer to a command that the sandbox gave no result for, which it has checked that there is.
fn no_answer() -> CommandError {
    CommandError::Internal("the sandbox gave no result for a command".to_owned())
}

fn events_in(outcomes: &[Outcome]) -> u64 {
    let events = |outcome: &Outcome| match outcome {
        Outcome::Accepted(events) => events.len() as u64,
        Outcome::Rejected(_) => 0,
    };
    outcomes.iter().map(events).sum()
}

fn decided_turn(
    active: &ActiveDecider,
    state: StreamState,
    outcomes: Vec<Result<Outcome, CommandError>>,
) -> DecidedTurn {
    let state = StreamState { family: active.family, state_version: active.decider.state_version(), ..state };
    DecidedTurn { decided_by: active.decider.decided_by(&state.state), state, outcomes }
}

fn wire_turn(
    state: &StreamState,
    stored: &Values,
    commands: &[(Arc<Command>, Vec<String>)],
    now: Timestamp,
) -> Turn {
    let wire = |(command, _): &(Arc<Command>, Vec<String>)| clearfold_sandbox::WireCommand {
        id: command.id.clone(),
        routing_key: command.routing_key.clone(),
        actor: command.actor.clone(),
        accepted_at_ms: now.as_ms(),
        message: message(command),
    };
    let keys = commands.iter().flat_map(|(_, keys)| keys).collect();
    Turn {
        state: state.state.clone(),
        entries: state.entries.named(keys, stored),
        commands: commands.iter().map(wire).collect(),
    }
}

fn message(command: &Command) -> Message {
    Message {
        type_: command.kind.clone(),
        schema_version: command.schema_version,
        payload: command.payload.clone(),
    }
}
