//! What must be known before commands are decided: which were answered before, and the states of the others' streams.
//!
//! It asks the components which entries the commands name, and the database in one round trip for everything that is
//! not in memory. It changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sqlx::PgConnection;

use super::decide::{self, Named, Ready};
use super::leader::within;
use super::load::{load, stored};
use super::plan::{Known, StreamTurn, sort_out, take_foreign};
use super::state::StreamState;
use super::writer::Writer;
use super::{Command, CommandError, Deciders};
use clearfold_base::database::DatabaseError;
use clearfold_store::{EntryKey, Found, Lookup, StoreError, StreamHead};

/// Commands that can be decided or answered at once.
pub(super) struct Prepared {
    pub known: Vec<Known>,
    pub named: Named,
    pub ready: Vec<Ready>,
}

/// Prepares commands, each with a key of its own. `state` is the newest state of a stream, if it is in
/// memory and of the family of who decides.
pub(super) async fn prepare<'a>(
    writer: &Writer,
    deciders: &Arc<Deciders>,
    connection: &mut PgConnection,
    commands: Vec<Arc<Command>>,
    state: impl Fn(&str) -> Option<&'a StreamState>,
) -> Result<Prepared, StoreError> {
    let (named, unnamed) = name(deciders, commands).await?;
    let lookup = lookup(deciders, &named, &state);
    let Found { answered, mut heads, mut entries } =
        within(writer.store.look_up(connection, &lookup)).await?;
    let (mut known, mut turns) = sort_out(&named.commands, answered);
    known.extend(take_unnamed(&mut turns, unnamed));
    let in_the_database: BTreeSet<String> = heads.keys().cloned().collect();
    for turn in &turns {
        if let Some(state) = state(&turn.stream) {
            let (partition, routing_key) = (writer.partition, state.routing_key.clone());
            heads.insert(turn.stream.clone(), StreamHead { partition, routing_key, version: state.version });
        }
    }
    known.extend(take_foreign(&named.commands, &mut turns, &heads, writer.partition));
    let missing = turns.iter().filter(|turn| in_the_database.contains(&turn.stream)).filter_map(|turn| {
        let head = heads.remove(&turn.stream)?;
        let running = Arc::clone(deciders.of(&turn.aggregate, &head.routing_key)?);
        Some((turn.stream.clone(), (running, head)))
    });
    let missing: BTreeMap<_, _> = missing.collect();
    let mut loaded = load(writer, connection, missing).await?;
    let mut ready = Vec::with_capacity(turns.len());
    for turn in turns {
        if let Some(error) = loaded.faults.remove(&turn.stream) {
            known.extend(turn.commands.iter().map(|index| (*index, Err(error.clone()))));
            continue;
        }
        let newest = loaded.states.remove(&turn.stream).or_else(|| state(&turn.stream).cloned());
        // The intake has let in no command that nobody decides.
        let routing_key = newest.as_ref().map_or(&turn.routing_key, |state| &state.routing_key);
        let Some(running) = deciders.of(&turn.aggregate, routing_key).cloned() else { continue };
        let state = newest.unwrap_or_else(|| StreamState::initial(&running, turn.routing_key.clone()));
        let found = entries.remove(&(turn.stream.clone(), running.family)).unwrap_or_default();
        let stored = stored(writer.partition, &turn.stream, &state, found)?;
        ready.push(Ready { turn, running, state, stored });
    }
    Ok(Prepared { known, named, ready })
}

/// The commands that a component failed on, with what their senders hear.
type Unnamed = BTreeMap<usize, CommandError>;

/// Asks the components, on a thread that may be busy, if one of them has entries.
async fn name(deciders: &Arc<Deciders>, commands: Vec<Arc<Command>>) -> Result<(Named, Unnamed), StoreError> {
    let has_entries = |command: &Arc<Command>| {
        let running = deciders.of(&command.aggregate, &command.routing_key);
        running.is_some_and(|running| running.decider.has_entries())
    };
    if !commands.iter().any(has_entries) {
        let keys = vec![Vec::new(); commands.len()];
        return Ok((Named { commands, keys }, Unnamed::new()));
    }
    let (deciders, asked) = (Arc::clone(deciders), commands.clone());
    let answers = tokio::task::spawn_blocking(move || decide::keys(&deciders, &asked)).await;
    let answers = answers.map_err(|error| DatabaseError::Corrupt(error.to_string()))?;
    let mut unnamed = Unnamed::new();
    let keys = answers.into_iter().enumerate().map(|(index, answer)| {
        answer.unwrap_or_else(|error| {
            unnamed.insert(index, error);
            Vec::new()
        })
    });
    Ok((Named { keys: keys.collect(), commands }, unnamed))
}

fn lookup<'a>(deciders: &Deciders, named: &Named, state: impl Fn(&str) -> Option<&'a StreamState>) -> Lookup {
    let mut lookup = Lookup::default();
    let mut seen = BTreeSet::new();
    for (command, keys) in named.commands.iter().zip(&named.keys) {
        lookup.idempotency_keys.push(command.idempotency_key.clone());
        let stream = command.stream();
        let state = state(&stream);
        if let Some(running) = deciders.of(&command.aggregate, &command.routing_key) {
            let family = running.family;
            for key in keys {
                let is_in_memory = state.is_some_and(|state| state.entries.know(key));
                if !is_in_memory && seen.insert((stream.clone(), key.clone(), family)) {
                    lookup.entries.push(EntryKey { stream: stream.clone(), key: key.clone(), family });
                }
            }
        }
        if state.is_none() {
            lookup.streams.push(stream);
        }
    }
    lookup
}

/// Takes out the commands that a component failed on.
fn take_unnamed(turns: &mut Vec<StreamTurn>, unnamed: Unnamed) -> Vec<Known> {
    for turn in turns.iter_mut() {
        turn.commands.retain(|index| !unnamed.contains_key(index));
    }
    turns.retain(|turn| !turn.commands.is_empty());
    unnamed.into_iter().map(|(index, error)| (index, Err(error))).collect()
}
