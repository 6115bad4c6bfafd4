//! Has the turns of a batch decided, and keeps a failing component from harming more than one command.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clearfold_kernel::Timestamp;

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
}

/// What a stream's commands came to.
pub(super) struct StreamOutcome {
    pub turn: StreamTurn,
    /// Before the turn, but for the state, which is the one after it.
    pub state: StreamState,
    pub state_version: u32,
    /// One for each command of the turn.
    pub outcomes: Vec<Result<Outcome, CommandError>>,
}

/// Decides all turns. Runs components, so it belongs on a thread that may be busy.
pub(super) fn decide(
    deciders: &Deciders,
    commands: &[Arc<Command>],
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
            outcomes.extend(decide_together(decider, commands, ready, now));
        }
    }
    outcomes
}

/// One call for all streams. If it fails, one call a command finds the one that made it fail.
fn decide_together(
    decider: &Decider,
    commands: &[Arc<Command>],
    ready: Vec<Ready>,
    now: Timestamp,
) -> Vec<StreamOutcome> {
    let turn = |ready: &Ready| wire_turn(commands, &ready.state.state, &ready.turn.commands, now);
    let wire: Vec<Turn> = ready.iter().map(turn).collect();
    match decider.decide(&wire) {
        Ok(decided) => ready
            .into_iter()
            .zip(decided)
            .map(|(Ready { turn, state }, decided)| {
                let outcomes = decided.outcomes.into_iter().map(Ok).collect();
                outcome(decider, turn, state, decided.state, outcomes)
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
    commands: &[Arc<Command>],
    Ready { turn, state }: Ready,
    now: Timestamp,
    until: Instant,
) -> StreamOutcome {
    let mut after = state.state.clone();
    let mut outcomes = Vec::with_capacity(turn.commands.len());
    for index in &turn.commands {
        outcomes.push(if Instant::now() < until {
            decide_one(decider, commands, &mut after, *index, now)
        } else {
            Err(CommandError::Unavailable("a failing component used up the batch's time".to_owned()))
        });
    }
    outcome(decider, turn, state, after, outcomes)
}

fn outcome(
    decider: &Decider,
    turn: StreamTurn,
    before: StreamState,
    state: Vec<u8>,
    outcomes: Vec<Result<Outcome, CommandError>>,
) -> StreamOutcome {
    let state = StreamState { state, digest: decider.id().digest, ..before };
    StreamOutcome { turn, state, state_version: decider.state_version(), outcomes }
}

fn decide_one(
    decider: &Decider,
    commands: &[Arc<Command>],
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

fn wire_turn(commands: &[Arc<Command>], state: &[u8], indexes: &[usize], now: Timestamp) -> Turn {
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
