//! The states of streams that are not in memory: the newest snapshot of this very code, and the events behind it.
//! Whatever else a snapshot is of, the stream is folded from its beginning.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::state::{States, StreamState};
use super::{CommandError, Deciders};
use crate::database::DatabaseError;
use crate::event_store::{EventStore, Snapshot, StoreError, StoredEvent, StreamHead};
use crate::faults;
use crate::runtime::{Decider, Fault, Message};

/// Events that are read and folded at once.
const PAGE: u32 = 2_000;

/// What came of loading: states, and the streams whose events the component could not fold.
#[derive(Default)]
pub(super) struct LoadedStates {
    pub states: States,
    pub faults: BTreeMap<String, CommandError>,
}

/// A stream on its way to its newest state.
struct Folding {
    decider: Arc<Decider>,
    state: StreamState,
    target: u64,
}

/// Loads streams of one partition that exist, by the aggregate of each.
pub(super) async fn load(
    store: &EventStore,
    deciders: &Deciders,
    partition: u32,
    streams: BTreeMap<String, (String, StreamHead)>,
) -> Result<LoadedStates, StoreError> {
    let mut loaded = LoadedStates::default();
    if streams.is_empty() {
        return Ok(loaded);
    }
    let names: Vec<String> = streams.keys().cloned().collect();
    let mut snapshots: BTreeMap<String, Snapshot> = store
        .snapshots(&names)
        .await?
        .into_iter()
        .map(|snapshot| (snapshot.stream.clone(), snapshot))
        .collect();
    let mut folding: BTreeMap<String, Folding> = BTreeMap::new();
    for (stream, (aggregate, head)) in streams {
        if let Some(decider) = deciders.get(&aggregate) {
            let snapshot = snapshots.remove(&stream);
            folding.insert(stream, Folding::begin(decider, snapshot, head));
        }
    }
    while let Some(wanted) = wanted(&mut folding, &mut loaded) {
        let events = store.tails(partition, &wanted, PAGE).await?;
        if events.is_empty() {
            loaded.faults.extend(wanted.into_iter().map(|(stream, _)| (stream.clone(), damaged(stream))));
            break;
        }
        let folded = tokio::task::spawn_blocking(move || fold(folding, events));
        let (rest, faults) = folded.await.map_err(|error| DatabaseError::Corrupt(error.to_string()))?;
        folding = rest;
        loaded.faults.extend(faults);
    }
    faults::point("states_loaded");
    Ok(loaded)
}

/// Takes out what is folded to its end, and says which events the others need.
fn wanted(folding: &mut BTreeMap<String, Folding>, loaded: &mut LoadedStates) -> Option<Vec<(String, u64)>> {
    let done = folding.extract_if(.., |_, folding| folding.state.version >= folding.target);
    loaded.states.extend(done.map(|(stream, folding)| (stream, folding.state)));
    let wanted: Vec<_> =
        folding.iter().map(|(stream, folding)| (stream.clone(), folding.state.version)).collect();
    (!wanted.is_empty()).then_some(wanted)
}

/// Folds a page of events, which may end in the middle of a stream. What cannot be folded is taken out.
fn fold(
    mut folding: BTreeMap<String, Folding>,
    events: Vec<StoredEvent>,
) -> (BTreeMap<String, Folding>, BTreeMap<String, CommandError>) {
    let mut by_stream: BTreeMap<String, Vec<StoredEvent>> = BTreeMap::new();
    for event in events {
        by_stream.entry(event.stream.clone()).or_default().push(event);
    }
    let mut faults = BTreeMap::new();
    for (stream, events) in by_stream {
        let Some(of_stream) = folding.get_mut(&stream) else { continue };
        let error = match of_stream.is_followed_by(&events) {
            true => of_stream.fold(events).err().map(CommandError::from),
            false => Some(damaged(stream.clone())),
        };
        if let Some(error) = error {
            folding.remove(&stream);
            faults.insert(stream, error);
        }
    }
    (folding, faults)
}

/// The others of the chunk are not harmed by it.
fn damaged(stream: String) -> CommandError {
    CommandError::Damaged { stream }
}

impl Folding {
    fn begin(decider: &Arc<Decider>, snapshot: Option<Snapshot>, head: StreamHead) -> Self {
        let digest = decider.id().digest;
        let usable = snapshot.filter(|snapshot| {
            snapshot.component_digest == digest
                && snapshot.state_version == decider.state_version()
                && snapshot.version <= head.version
        });
        let (version, state) = match usable {
            Some(snapshot) => (snapshot.version, snapshot.state),
            None => (0, decider.initial().to_vec()),
        };
        let routing_key = head.routing_key;
        let state = StreamState { routing_key, version, state, digest, snapshot_version: version };
        Self { decider: Arc::clone(decider), state, target: head.version }
    }

    /// Whether no event is missing.
    fn is_followed_by(&self, events: &[StoredEvent]) -> bool {
        events
            .iter()
            .zip(self.state.version.saturating_add(1)..)
            .all(|(event, next)| event.stream_version == next)
    }

    fn fold(&mut self, events: Vec<StoredEvent>) -> Result<(), Fault> {
        let version = events.last().map_or(self.state.version, |event| event.stream_version);
        let message = |event: StoredEvent| Message {
            type_: event.kind,
            schema_version: event.schema_version,
            payload: event.payload,
        };
        let messages: Vec<Message> = events.into_iter().map(message).collect();
        self.state.state = self.decider.evolve(&self.state.state, &messages)?;
        self.state.version = version;
        Ok(())
    }
}
