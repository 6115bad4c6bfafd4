//! What is decided and not committed yet: one transaction's worth, with the answers that will be true after it.
//!
//! Pure: places, versions and hashes follow from where the partition ends. Commands may join until it is committed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use clearfold_kernel::Timestamp;

use super::decide::StreamOutcome;
use super::queued::Queued;
use super::state::{States, StreamState};
use super::{Answer, Command};
use clearfold_base::digest::Digest;
use clearfold_sandbox::{Message, Outcome};
use clearfold_store::{Append, CameOfIt, Head, RecordedCommand, Snapshot, StoredEvent, StreamMove, event_id};

/// Entries that the snapshots of one batch hold together, unless one alone has more. The others stay due: after another
/// component was deployed, streams have all of theirs in their next snapshot, and an append must not take seconds.
const MAX_ENTRIES: usize = 10_000;

/// A batch, which begins where the one before it ends.
pub(super) struct Batch {
    partition: u32,
    /// Where the partition ends before it and after it.
    pub before: Head,
    pub after: Head,
    /// When all of it is decided.
    pub now: Timestamp,
    pub append: Append,
    /// The streams' states after it.
    pub states: States,
    /// The commands of `append`, with their answers.
    pub waiting: Vec<(Queued, Answer)>,
    keys: BTreeSet<String>,
    moved: BTreeMap<String, usize>,
}

impl Batch {
    pub(super) fn new(partition: u32, before: Head, now: Timestamp) -> Self {
        Self {
            partition,
            before,
            after: before,
            now,
            append: Append::default(),
            states: States::new(),
            waiting: Vec::new(),
            keys: BTreeSet::new(),
            moved: BTreeMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn has_key(&self, key: &str) -> bool {
        self.keys.contains(key)
    }

    /// Adds what came of a stream's turn. A command that was not decided because a component failed leaves nothing
    /// behind, so that it can be sent again when the component is mended: it is answered now.
    pub(super) fn add(&mut self, chunk: &mut BTreeMap<usize, Queued>, outcome: StreamOutcome) {
        let StreamOutcome { turn, decided_by, mut state, outcomes } = outcome;
        let from = state.version;
        let is_decided = outcomes.iter().any(Result::is_ok);
        for (index, outcome) in turn.commands.iter().zip(outcomes) {
            let Some(queued) = chunk.remove(index) else { continue };
            match outcome {
                Err(error) => queued.answer(Err(error)),
                Ok(outcome) => self.decided(queued, &turn.stream, &mut state, outcome, decided_by),
            }
        }
        if state.version > from {
            self.move_stream(&turn.stream, &state, from);
        }
        // What a component fails on must not pile up here: there may never be a flight that takes it along.
        if is_decided {
            self.states.insert(turn.stream, state);
        }
    }

    fn decided(
        &mut self,
        queued: Queued,
        stream: &str,
        state: &mut StreamState,
        outcome: Outcome,
        decided_by: Digest,
    ) {
        let command = Arc::clone(&queued.command);
        let expected_version = state.version;
        let (answer, came_of_it) = match outcome {
            Outcome::Accepted(messages) => {
                let count = u32::try_from(messages.len()).unwrap_or(u32::MAX);
                let events = messages.iter().map(|message| message.type_.clone()).collect();
                for message in messages {
                    self.append_event(&command, stream, state, message, decided_by);
                }
                let stream_version = state.version;
                let answer = Answer::Accepted { stream: stream.to_owned(), stream_version, events };
                (answer, CameOfIt::Events(count))
            }
            Outcome::Rejected(rejection) => {
                let (code, detail) = (rejection.code, rejection.detail);
                let came_of_it = CameOfIt::Rejection { code: code.clone(), detail: detail.clone() };
                (Answer::Rejected { code, detail }, came_of_it)
            }
        };
        self.append.commands.push(recorded(&command, &answer, decided_by, expected_version, came_of_it));
        self.after.sequence = self.after.sequence.saturating_add(1);
        self.keys.insert(command.idempotency_key.clone());
        self.waiting.push((queued, answer));
    }

    fn append_event(
        &mut self,
        command: &Command,
        stream: &str,
        state: &mut StreamState,
        message: Message,
        decided_by: Digest,
    ) {
        state.version = state.version.saturating_add(1);
        let mut event = StoredEvent {
            partition: self.partition,
            position: self.after.position.saturating_add(1),
            stream: stream.to_owned(),
            stream_version: state.version,
            kind: message.type_,
            schema_version: message.schema_version,
            payload: message.payload,
            event_id: event_id(stream, state.version),
            correlation_id: command.correlation_id(),
            causation_id: command.correlation_id(),
            actor: command.actor.clone(),
            component_digest: decided_by,
            recorded_at: self.now,
            hash: self.after.hash,
        };
        event.hash = self.after.hash.link(&event);
        (self.after.position, self.after.hash) = (event.position, event.hash);
        self.append.events.push(event);
    }

    /// Each stream moves once, however many turns of it the batch has.
    fn move_stream(&mut self, stream: &str, state: &StreamState, from: u64) {
        match self.moved.get(stream) {
            Some(place) => self.append.streams[*place].to = state.version,
            None => {
                self.moved.insert(stream.to_owned(), self.append.streams.len());
                self.append.streams.push(StreamMove {
                    stream: stream.to_owned(),
                    routing_key: state.routing_key.clone(),
                    from,
                    to: state.version,
                });
            }
        }
    }

    /// Takes the snapshots that are due, each as the batch leaves its stream; also of a stream that did not move, since
    /// whoever needs it next would fold it again. Nothing may join any more, and what was in flight has landed.
    pub(super) fn take_snapshots(&mut self, every: u64) {
        let mut room = MAX_ENTRIES;
        for (stream, state) in &mut self.states {
            // A stream that is in every batch never comes from the cache, which forgets as well.
            state.entries.forget(state.snapshot_version);
            if state.version.saturating_sub(state.snapshot_version) < every.max(1) {
                continue;
            }
            let entries = state.entries.behind(state.snapshot_version);
            if entries.len() > room && room < MAX_ENTRIES {
                continue;
            }
            room = room.saturating_sub(entries.len());
            self.append.snapshots.push(Snapshot {
                stream: stream.clone(),
                version: state.version,
                family: state.family,
                state_version: state.state_version,
                state: state.state.clone(),
                base: state.snapshot_version,
                entries,
            });
            state.snapshot_version = state.version;
        }
    }
}

fn recorded(
    command: &Command,
    answer: &Answer,
    decided_by: Digest,
    expected_version: u64,
    came_of_it: CameOfIt,
) -> RecordedCommand {
    RecordedCommand {
        idempotency_key: command.idempotency_key.clone(),
        body_digest: command.body_digest(),
        // An enum of strings and numbers always has a JSON form.
        answer: serde_json::to_value(answer).unwrap_or_default(),
        stream: command.stream(),
        routing_key: command.routing_key.clone(),
        kind: command.kind.clone(),
        schema_version: command.schema_version,
        payload: command.payload.clone(),
        actor: command.actor.clone(),
        component_digest: decided_by,
        expected_version,
        came_of_it,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::entries::Entries;
    use clearfold_sandbox::Entry;
    use clearfold_store::EventHash;

    /// A batch that leaves a stream at a version, with so many entries changed on the way to each.
    fn batch(streams: &[(&str, u64, u64, usize)]) -> Batch {
        let head = Head { position: 0, hash: EventHash([0; 32]), sequence: 0 };
        let mut batch = Batch::new(0, head, Timestamp::from_s(0).unwrap());
        for (name, snapshot_version, version, count) in streams {
            let mut entries = Entries::default();
            for version in 1..=*version {
                let entry = |number| Entry { key: format!("{version}/{number}"), value: Some(vec![1]) };
                entries.change(version, (0..*count).map(entry).collect());
            }
            let state = StreamState {
                routing_key: "0xaa".into(),
                version: *version,
                state: Vec::new(),
                family: Digest::of(b""),
                state_version: 1,
                snapshot_version: *snapshot_version,
                entries,
            };
            batch.states.insert((*name).to_owned(), state);
        }
        batch
    }

    #[test]
    fn what_a_committed_snapshot_holds_is_forgotten_also_by_a_stream_that_is_never_idle() {
        let mut batch = batch(&[("a", 5, 7, 2), ("b", 5, 15, 2)]);
        batch.take_snapshots(10);
        assert_eq!(batch.states["a"].entries.behind(0).len(), 4, "what changed at 6 and 7");
        let [of_b] = &batch.append.snapshots[..] else { panic!("{:?}", batch.append.snapshots) };
        assert_eq!((of_b.stream.as_str(), of_b.base, of_b.version, of_b.entries.len()), ("b", 5, 15, 20));
        assert!(batch.states["b"].entries.know("6/0"), "until that snapshot is committed");
    }

    #[test]
    fn large_snapshots_wait_for_another_batch_and_one_goes_always() {
        let mut batch = batch(&[("a", 0, 1, 6_000), ("b", 0, 1, 6_000), ("c", 0, 1, 3_000)]);
        batch.take_snapshots(1);
        let taken: Vec<_> = batch.append.snapshots.iter().map(|snapshot| snapshot.stream.as_str()).collect();
        assert_eq!((taken, batch.states["b"].snapshot_version), (vec!["a", "c"], 0));
        let mut batch = self::batch(&[("a", 0, 1, 20_000), ("b", 0, 1, 1)]);
        batch.take_snapshots(1);
        assert_eq!(batch.append.snapshots.len(), 1);
    }
}
