//! Loads states of streams that are not in memory: the newest snapshot of the same family, and the events behind it. A
//! snapshot of another family is not used: the stream is folded from its beginning.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sqlx::PgConnection;

use super::entries::{Entries, Values};
use super::failure::Failure;
use super::session::with_time_out;
use super::state::{States, StreamState};
use super::{ActiveDecider, CommandError};
use clearfold_base::blocking::blocking;
use clearfold_base::faults;
use clearfold_sandbox::{Fault, Message};
use clearfold_store::{
    EntryKey, EventStore, FoundEntries, Lookup, Snapshot, StoreError, StoredEvent, StreamHead,
};

/// Events that are read and folded at once.
const PAGE: u32 = 2_000;

/// Loaded states, and the streams that could not be folded.
#[derive(Default)]
pub(super) struct LoadedStates {
    pub states: States,
    pub faults: Faults,
}

/// Stream on its way to its newest state.
struct Folding {
    active: Arc<ActiveDecider>,
    state: StreamState,
    /// Version of the newest state.
    target: u64,
    /// Events that come next.
    next: Vec<Message>,
    /// Keys of the entries that they name.
    keys: BTreeSet<String>,
    /// Those entries as the database has them.
    stored: Values,
}

impl Folding {
    fn begin(active: Arc<ActiveDecider>, snapshot: Option<Snapshot>, head: StreamHead) -> Self {
        let usable = snapshot.filter(|snapshot| {
            snapshot.family == active.family
                && snapshot.state_version == active.decider.state_version()
                && snapshot.version <= head.version
        });
        let mut state = StreamState::initial(&active, head.routing_key);
        if let Some(snapshot) = usable {
            (state.version, state.snapshot_version) = (snapshot.version, snapshot.version);
            state.state = snapshot.state;
            state.entries = Entries::behind_snapshot(snapshot.version);
        }
        Self {
            active,
            state,
            target: head.version,
            next: Vec::new(),
            keys: BTreeSet::new(),
            stored: Values::new(),
        }
    }

    fn name(&mut self) -> Result<(), Fault> {
        let keys = self.active.decider.keys(&self.next).inspect_err(|fault| self.active.count(fault))?;
        self.keys = keys.into_iter().flatten().collect();
        Ok(())
    }

    fn fold(&mut self) -> Result<(), Fault> {
        if self.next.is_empty() {
            return Ok(());
        }
        let state = &mut self.state;
        let entries = state.entries.named(self.keys.iter().collect(), &self.stored);
        let folded = self.active.decider.evolve(&state.state, &entries, &self.next);
        let folded = folded.inspect_err(|fault| self.active.count(fault))?;
        // Each of the events was checked to be the next one, up to the version that the database has.
        state.version += self.next.len() as u64;
        state.state = folded.state;
        state.entries.change(state.version, folded.entries);
        self.next.clear();
        Ok(())
    }
}

/// Streams, each with the reason why it cannot be folded.
type Faults = BTreeMap<String, CommandError>;

/// Streams by name.
type AllFolding = BTreeMap<String, Folding>;

/// Loads streams of a partition that exist, each for its decider.
pub(super) async fn load(
    store: &EventStore,
    partition: u32,
    connection: &mut PgConnection,
    streams: BTreeMap<String, (Arc<ActiveDecider>, StreamHead)>,
) -> Result<LoadedStates, Failure> {
    let mut loaded = LoadedStates::default();
    if streams.is_empty() {
        return Ok(loaded);
    }
    let names: Vec<String> = streams.keys().cloned().collect();
    let snapshots = with_time_out(store.snapshots(&names)).await?;
    let mut snapshots: BTreeMap<String, Snapshot> =
        snapshots.into_iter().map(|snapshot| (snapshot.stream.clone(), snapshot)).collect();
    let mut folding = AllFolding::new();
    for (stream, (active, head)) in streams {
        let snapshot = snapshots.remove(&stream);
        folding.insert(stream, Folding::begin(active, snapshot, head));
    }
    while let Some(wanted) = wanted(&mut folding, &mut loaded) {
        let events = with_time_out(store.tails(partition, &wanted, PAGE)).await?;
        if events.is_empty() {
            loaded.faults.extend(wanted.into_iter().map(|(stream, _)| (stream.clone(), damaged(stream))));
            break;
        }
        loaded.faults.extend(hand_out(&mut folding, events));
        loaded.faults.extend(each(&mut folding, Folding::name).await?);
        let lookup = lookup(&folding);
        if !lookup.entries.is_empty() {
            let mut found = with_time_out(store.look_up(connection, &lookup)).await?.entries;
            for (stream, of_stream) in &mut folding {
                let of_family = (stream.clone(), of_stream.state.family);
                let found = found.remove(&of_family).unwrap_or_default();
                of_stream.stored = stored(partition, stream, &of_stream.state, found)?;
            }
        }
        loaded.faults.extend(each(&mut folding, Folding::fold).await?);
    }
    faults::point("states_loaded");
    Ok(loaded)
}

/// Takes out the streams that are folded to their end. Returns which events the others need; `None` if there are none.
fn wanted(folding: &mut AllFolding, loaded: &mut LoadedStates) -> Option<Vec<(String, u64)>> {
    let done = folding.extract_if(.., |_, folding| folding.state.version >= folding.target);
    loaded.states.extend(done.map(|(stream, folding)| (stream, folding.state)));
    let wanted: Vec<_> =
        folding.iter().map(|(stream, folding)| (stream.clone(), folding.state.version)).collect();
    (!wanted.is_empty()).then_some(wanted)
}

/// Gives each stream its part of a page, which may end in the middle of one. A stream with a gap is taken out.
fn hand_out(folding: &mut AllFolding, events: Vec<StoredEvent>) -> Faults {
    let mut faults = Faults::new();
    for event in events {
        let Some(of_stream) = folding.get_mut(&event.stream) else { continue };
        let next = of_stream.next.len() as u64 + 1;
        if event.stream_version == of_stream.state.version.saturating_add(next) {
            of_stream.next.push(Message {
                type_: event.kind,
                schema_version: event.schema_version,
                payload: event.payload,
            });
        } else {
            folding.remove(&event.stream);
            faults.insert(event.stream.clone(), damaged(event.stream));
        }
    }
    faults
}

/// Takes a step with each stream, on a thread that may block. A stream on which the component fails is taken out.
async fn each(
    folding: &mut AllFolding,
    step: fn(&mut Folding) -> Result<(), Fault>,
) -> Result<Faults, Failure> {
    let mut streams = std::mem::take(folding);
    let stepped = blocking(move || {
        let mut faults = Faults::new();
        streams.retain(|stream, of_stream| match step(of_stream) {
            Ok(()) => true,
            Err(fault) => {
                faults.insert(stream.clone(), fault.into());
                false
            }
        });
        (streams, faults)
    });
    let faults;
    (*folding, faults) = stepped.await?;
    Ok(faults)
}

/// Lookup of the entries that the events name and that are not in memory.
fn lookup(folding: &AllFolding) -> Lookup {
    let mut lookup = Lookup::default();
    for (stream, of_stream) in folding {
        let family = of_stream.state.family;
        let unknown = of_stream.keys.iter().filter(|key| !of_stream.state.entries.know(key));
        let entry = |key: &String| EntryKey { stream: stream.clone(), key: key.clone(), family };
        lookup.entries.extend(unknown.map(entry));
    }
    lookup
}

/// Entries that the database has and the state does not know. A snapshot that is gone is a conflict: its entries would
/// read as if they had never been. The next leader folds the stream from its beginning.
pub(super) fn stored(
    partition: u32,
    stream: &str,
    state: &StreamState,
    found: FoundEntries,
) -> Result<Values, StoreError> {
    if !found.values.is_empty() && found.snapshot_version < state.entries.snapshot_version() {
        return Err(StoreError::Conflict { partition, why: format!("the snapshot of {stream} is gone") });
    }
    // All entries of a stream that was folded from its beginning are in memory.
    Ok(if state.entries.snapshot_version() > 0 { found.values } else { Values::new() })
}

/// Answer to the commands of a stream with missing events. It does not affect the commands of other streams.
fn damaged(stream: String) -> CommandError {
    CommandError::Damaged { stream }
}
