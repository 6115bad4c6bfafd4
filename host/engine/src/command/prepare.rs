//! Gathers what must be known before commands are decided: which were answered before, and the states of the others'
//! streams.
//!
//! It asks the components which entries the commands name, and the database in one round trip for everything that is
//! not in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sqlx::PgConnection;

use super::decide::{self, Basis, TurnInput};
use super::failure::Failure;
use super::load::{LoadedStates, load, stored};
use super::queued::{Queued, Resolved, answer_all};
use super::session::{Session, with_time_out};
use super::sort::{Home, QueuedTurn, in_order, sort_out, take_foreign};
use super::state::StreamState;
use super::{ActiveDecider, Command, CommandError, Deciders};
use clearfold_base::blocking::blocking;
use clearfold_base::digest::Digest;
use clearfold_store::{EntryKey, EventStore, FoundEntries, Lookup, LookupResult, StreamHead};

/// Commands that can be decided: turns, and beside each what it is decided on. Neighbours have the same decider.
pub(super) struct Prepared {
    /// Commands that need no decision, with their answers.
    pub resolved: Vec<Resolved>,
    pub turns: Vec<QueuedTurn>,
    pub inputs: Vec<TurnInput>,
}

/// Commands that could not be prepared, in their order.
pub(super) struct Unprepared {
    pub failure: Failure,
    pub commands: Vec<Queued>,
}

/// Keys of the entries that each command names, or the reason why a component could not name them.
type NamedKeys = Vec<Result<Vec<String>, CommandError>>;

/// Basis of each turn, or the reason why it cannot be decided.
type Bases = Vec<Result<Basis, CommandError>>;

/// Prepares commands, each with a key of its own. `in_memory` gives the newest state of a stream if it is in memory and
/// of the family of its decider.
pub(super) async fn prepare<'a>(
    session: &Session,
    connection: &mut PgConnection,
    deciders: &Arc<Deciders>,
    commands: Vec<Queued>,
    in_memory: impl Fn(&str) -> Option<&'a StreamState>,
) -> Result<Prepared, Unprepared> {
    let partition = session.lease().partition;
    let asked = session
        .renewing_lease_during(ask(session.store(), connection, deciders, &commands, &in_memory))
        .await;
    let (keys, LookupResult { answered, heads, entries }) = match asked {
        Ok(asked) => asked,
        Err(failure) => return Err(Unprepared { failure, commands }),
    };
    let (mut resolved, mut turns) = sort_out(commands, keys, answered);
    resolved.extend(take_foreign(&mut turns, partition, |stream| match in_memory(stream) {
        Some(state) => Some(Home { partition, routing_key: &state.routing_key }),
        None => {
            let head = heads.get(stream)?;
            Some(Home { partition: head.partition, routing_key: &head.routing_key })
        }
    }));
    let missing = missing(deciders, &turns, &heads, &in_memory);
    let loaded = session.renewing_lease_during(load(session.store(), partition, connection, missing)).await;
    match loaded.and_then(|loaded| bases(partition, deciders, &turns, loaded, entries, &in_memory)) {
        Ok(bases) => Ok(with_bases(turns, bases, resolved)),
        Err(failure) => {
            answer_all(resolved);
            Err(Unprepared { failure, commands: in_order(turns) })
        }
    }
}

/// Names the commands' entries, and looks up everything that is not in memory.
async fn ask<'a>(
    store: &EventStore,
    connection: &mut PgConnection,
    deciders: &Arc<Deciders>,
    commands: &[Queued],
    in_memory: impl Fn(&str) -> Option<&'a StreamState>,
) -> Result<(NamedKeys, LookupResult), Failure> {
    let keys = name(deciders, commands).await?;
    if keys.len() != commands.len() {
        return Err(Failure::Broken(format!("{} lists of keys for {} commands", keys.len(), commands.len())));
    }
    let lookup = lookup(deciders, commands, &keys, in_memory);
    // Most rounds of a saga's run find everything in memory.
    if lookup.is_empty() {
        return Ok((keys, LookupResult::default()));
    }
    let found = with_time_out(store.look_up(connection, &lookup)).await?;
    Ok((keys, found))
}

/// Asks the components, on a thread that may block, if one of them has entries.
async fn name(deciders: &Arc<Deciders>, commands: &[Queued]) -> Result<NamedKeys, Failure> {
    let has_entries = |queued: &Queued| {
        let active = deciders.of(&queued.command.aggregate, &queued.command.routing_key);
        active.is_some_and(|active| active.decider.has_entries())
    };
    if !commands.iter().any(has_entries) {
        return Ok(commands.iter().map(|_| Ok(Vec::new())).collect());
    }
    let deciders = Arc::clone(deciders);
    let commands: Vec<Arc<Command>> = commands.iter().map(|queued| Arc::clone(&queued.command)).collect();
    Ok(blocking(move || decide::keys(&deciders, &commands)).await?)
}

fn lookup<'a>(
    deciders: &Deciders,
    commands: &[Queued],
    keys: &NamedKeys,
    in_memory: impl Fn(&str) -> Option<&'a StreamState>,
) -> Lookup {
    let mut lookup = Lookup::default();
    let mut seen = BTreeSet::new();
    for (queued, keys) in commands.iter().zip(keys) {
        let command = &queued.command;
        if queued.has_sender() {
            lookup.idempotency_keys.push(command.idempotency_key.clone());
        }
        let stream = command.stream();
        let state = in_memory(&stream);
        if let (Some(active), Ok(keys)) = (deciders.of(&command.aggregate, &command.routing_key), keys) {
            let family = active.family;
            for key in keys {
                let is_in_memory = state.is_some_and(|state| state.entries.know(key));
                if !is_in_memory && seen.insert((stream.clone(), key.clone(), family)) {
                    lookup.entries.push(EntryKey { stream: stream.clone(), key: key.clone(), family });
                }
            }
        }
        if state.is_none() && !queued.begins_stream() {
            lookup.streams.push(stream);
        }
    }
    lookup
}

/// Streams that exist and are not in memory, each with its decider.
fn missing<'a>(
    deciders: &Deciders,
    turns: &[QueuedTurn],
    heads: &BTreeMap<String, StreamHead>,
    in_memory: impl Fn(&str) -> Option<&'a StreamState>,
) -> BTreeMap<String, (Arc<ActiveDecider>, StreamHead)> {
    let missing = turns.iter().filter(|turn| in_memory(&turn.stream).is_none()).filter_map(|turn| {
        let head = heads.get(&turn.stream)?;
        let active = Arc::clone(deciders.of(&turn.aggregate, &head.routing_key)?);
        Some((turn.stream.clone(), (active, head.clone())))
    });
    missing.collect()
}

/// Gathers what each turn is decided on.
fn bases<'a>(
    partition: u32,
    deciders: &Deciders,
    turns: &[QueuedTurn],
    mut loaded: LoadedStates,
    mut entries: BTreeMap<(String, Digest), FoundEntries>,
    in_memory: impl Fn(&str) -> Option<&'a StreamState>,
) -> Result<Bases, Failure> {
    let mut bases = Bases::with_capacity(turns.len());
    for turn in turns {
        if let Some(error) = loaded.faults.remove(&turn.stream) {
            bases.push(Err(error));
            continue;
        }
        let newest = loaded.states.remove(&turn.stream).or_else(|| in_memory(&turn.stream).cloned());
        let routing_key = newest.as_ref().map_or(&turn.routing_key, |state| &state.routing_key);
        let Some(active) = deciders.of(&turn.aggregate, routing_key).cloned() else {
            // The intake let the command in for deciders that were replaced meanwhile.
            bases.push(Err(deciders.unknown(&turn.aggregate)));
            continue;
        };
        let state = newest.unwrap_or_else(|| StreamState::initial(&active, turn.routing_key.clone()));
        let found = entries.remove(&(turn.stream.clone(), active.family)).unwrap_or_default();
        let stored = stored(partition, &turn.stream, &state, found)?;
        bases.push(Ok(Basis { decider: active, state, stored }));
    }
    Ok(bases)
}

/// Puts turns and bases together, those with one decider beside each other. Turns without a basis are resolved.
fn with_bases(turns: Vec<QueuedTurn>, bases: Bases, mut resolved: Vec<Resolved>) -> Prepared {
    let mut ready = Vec::with_capacity(turns.len());
    for (mut turn, basis) in turns.into_iter().zip(bases) {
        match basis {
            Ok(basis) => {
                let commands = turn
                    .commands
                    .iter_mut()
                    .map(|command| (Arc::clone(&command.queued.command), std::mem::take(&mut command.keys)));
                let input = TurnInput { commands: commands.collect(), basis };
                ready.push((turn, input));
            }
            Err(error) => resolved.extend(turn.refused(&error)),
        }
    }
    ready.sort_by_key(|(_, input)| input.basis.decider.digest());
    let (turns, inputs) = ready.into_iter().unzip();
    Prepared { resolved, turns, inputs }
}

#[cfg(test)]
mod tests {
    use super::super::queued::tests::{command, waiting};
    use super::*;

    #[test]
    fn a_command_whose_decider_was_replaced_on_its_way_hears_that_there_is_none() {
        let (queued, mut answered) = waiting(command("0xaa", "1", "a", ""));
        let (_, turns) = sort_out(vec![queued], vec![Ok(Vec::new())], Vec::new());
        let deciders = Deciders::default();
        let bases = bases(0, &deciders, &turns, LoadedStates::default(), BTreeMap::new(), |_| None).unwrap();
        let prepared = with_bases(turns, bases, Vec::new());
        answer_all(prepared.resolved);
        assert!(prepared.turns.is_empty() && prepared.inputs.is_empty());
        assert!(matches!(answered.try_recv(), Ok(Err(CommandError::UnknownAggregate { .. }))));
    }
}
