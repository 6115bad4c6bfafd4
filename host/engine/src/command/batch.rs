//! Commands that are decided and not committed yet: one transaction's rows, with the answers that will be true after
//! it.
//!
//! Pure: positions, versions and hashes follow from where the partition ends. Commands may join until it is launched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use clearfold_kernel::Timestamp;

use super::decide::DecidedTurn;
use super::queued::{Queued, Resolved};
use super::sort::QueuedTurn;
use super::state::{States, StreamState};
use super::{Answer, CommandError, Deciders};
use crate::saga::follow::{Consequences, Decision};
use clearfold_base::digest::Digest;
use clearfold_sandbox::{Message, Outcome};
use clearfold_store::{
    Append, Head, KeptAnswer, RecordedCommand, RecordedOutcome, Snapshot, StoredEvent, StreamMove, event_id,
};

/// Entries that the snapshots of one batch hold together, unless one alone has more. The others stay due: after another
/// component was deployed, streams have all of theirs in their next snapshot, and an append must not take seconds.
const MAX_ENTRIES: usize = 10_000;

/// Batch that begins where the one before it ends.
pub(super) struct Batch {
    partition: u32,
    /// End of the partition before it.
    pub before: Head,
    /// End of the partition after it.
    after: Head,
    /// Time at which all of it is decided.
    pub now: Timestamp,
    pub append: Append,
    /// States of its streams after it.
    pub states: States,
    /// Commands of `append`, with their answers.
    pub waiting: Vec<(Queued, Answer)>,
    /// Idempotency keys of its commands.
    pub keys: BTreeSet<String>,
    /// Number of its commands that do not follow from another one.
    count: usize,
    /// Place in `append.streams` of each stream that moves.
    moved: BTreeMap<String, usize>,
}

/// A command's outcome as it is recorded and answered.
struct SettledCommand {
    answer: Answer,
    /// Answer for its repeats; none of a command without a sender.
    kept: Option<KeptAnswer>,
    outcome: RecordedOutcome,
    /// Version of the stream before the command.
    expected_version: u64,
    messages: Vec<Message>,
}

/// A settled command with what follows from it, or the reason why it was not decided.
type WithConsequences = Result<(SettledCommand, Consequences), CommandError>;

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
            count: 0,
            moved: BTreeMap::new(),
        }
    }

    /// Empty batch that follows this one.
    pub(super) fn next(&self) -> Self {
        Self::new(self.partition, self.after, self.now)
    }

    /// Empty batch in the place of this one, which is given up.
    pub(super) fn again(&self) -> Self {
        Self::new(self.partition, self.before, self.now)
    }

    /// Number of its commands that do not follow from another one.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Returns true if its only command is to be tried without others.
    pub(super) fn is_alone(&self) -> bool {
        self.waiting.first().is_some_and(|(queued, _)| queued.alone)
    }

    pub(super) fn into_commands(self) -> Vec<Queued> {
        self.waiting.into_iter().map(|(queued, _)| queued).collect()
    }

    /// Adds what was decided on a stream. Returns the commands that follow from it, and those that do not join, with
    /// their answers: one that was not decided because a component failed leaves nothing behind, so that it can be
    /// sent again when the component is mended. If something about the decision cannot be right, no command of the
    /// turn joins, since the state after it holds the effect of all of them.
    pub(super) fn add(
        &mut self,
        turn: QueuedTurn,
        decided: DecidedTurn,
        deciders: &Deciders,
        offered: &[String],
    ) -> (Vec<Queued>, Vec<Resolved>) {
        let DecidedTurn { decided_by, mut state, outcomes } = decided;
        let from = state.version;
        let settled = settle_all(&turn, from, outcomes);
        let settled = match settled.and_then(|settled| with_consequences(&turn, settled, deciders, offered)) {
            Ok(settled) => settled,
            Err(why) => return (Vec::new(), turn.refused(&CommandError::Internal(why)).collect()),
        };
        let is_decided = settled.iter().any(Result::is_ok);
        let (mut follow_ups, mut failed) = (Vec::new(), Vec::new());
        for (command, settled) in turn.commands.into_iter().zip(settled) {
            match settled {
                Err(error) => failed.push((command.queued, Err(error))),
                Ok((settled, consequences)) => {
                    self.join(command.queued, &turn.stream, &mut state, settled, decided_by);
                    self.append.timers.extend(consequences.timers);
                    self.append.ended_timers.extend(consequences.ended_timers);
                    self.append.effects.extend(consequences.effects);
                    self.append.ended_effects.extend(consequences.ended_effects);
                    let commands = consequences.commands.into_iter();
                    follow_ups.extend(commands.map(|(command, origin)| Queued::of_host(command, origin)));
                }
            }
        }
        if state.version > from {
            self.move_stream(&turn.stream, &state, from);
        }
        // States of streams on which a component fails must not pile up: perhaps no batch ever takes them along.
        if is_decided {
            self.states.insert(turn.stream, state);
        }
        (follow_ups, failed)
    }

    fn join(
        &mut self,
        queued: Queued,
        stream: &str,
        state: &mut StreamState,
        settled: SettledCommand,
        decided_by: Digest,
    ) {
        let command = Arc::clone(&queued.command);
        for message in settled.messages {
            self.append_event(&queued, stream, state, message, decided_by);
        }
        self.append.commands.push(RecordedCommand {
            idempotency_key: command.idempotency_key.clone(),
            kept: settled.kept,
            stream: stream.to_owned(),
            routing_key: command.routing_key.clone(),
            kind: command.kind.clone(),
            schema_version: command.schema_version,
            payload: command.payload.clone(),
            actor: command.actor.clone(),
            component_digest: decided_by,
            expected_version: settled.expected_version,
            outcome: settled.outcome,
        });
        // An append refuses numbers of 64 bits, so they are far from their end here.
        self.after.sequence += 1;
        if !queued.is_follow_up() {
            self.count += 1;
            self.keys.insert(command.idempotency_key.clone());
        }
        self.waiting.push((queued, settled.answer));
    }

    fn append_event(
        &mut self,
        queued: &Queued,
        stream: &str,
        state: &mut StreamState,
        message: Message,
        decided_by: Digest,
    ) {
        state.version += 1;
        let mut event = StoredEvent {
            partition: self.partition,
            position: self.after.position + 1,
            stream: stream.to_owned(),
            stream_version: state.version,
            kind: message.type_,
            schema_version: message.schema_version,
            payload: message.payload,
            event_id: event_id(stream, state.version),
            correlation_id: queued.correlation_id(),
            causation_id: queued.command.correlation_id(),
            actor: queued.command.actor.clone(),
            component_digest: decided_by,
            recorded_at: self.now,
            hash: self.after.hash,
        };
        event.hash = self.after.hash.link(&event);
        (self.after.position, self.after.hash) = (event.position, event.hash);
        self.append.events.push(event);
    }

    /// Records the move of a stream, which moves once however often it is decided on in this batch.
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

    /// Takes the snapshots that are due, each as the batch leaves its stream; also of a stream that did not move, which
    /// would have to be folded again when it is needed next. Only for a batch that nothing joins any more, when the one
    /// before it is committed.
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
            // The first may have more entries than there is room for all.
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

    /// Checks that its rows follow from where the partition ends: what the log's readers rely on.
    pub(super) fn check(&self) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("a batch of partition {} {what}", self.partition));
        let Append { streams, events, commands, .. } = &self.append;
        if !(self.before.position + 1..).zip(events).all(|(position, event)| event.position == position) {
            return wrong("has a gap between its events");
        }
        let count = events.len() as u64;
        let last = events.last().map_or(self.before.hash, |event| event.hash);
        if self.after.position != self.before.position + count || self.after.hash != last {
            return wrong("does not end with its last event");
        }
        if commands.iter().map(|command| command.outcome.events()).sum::<u64>() != count {
            return wrong("has events that no command caused");
        }
        // A stream never moves back, so the difference is its number of events.
        if streams.iter().map(|stream| stream.to.saturating_sub(stream.from)).sum::<u64>() != count {
            return wrong("has events that move no stream");
        }
        if commands.len() != self.waiting.len()
            || self.after.sequence != self.before.sequence + commands.len() as u64
        {
            return wrong("has commands that nobody waits for");
        }
        Ok(())
    }
}

/// Says what follows from each decided command of a turn.
fn with_consequences(
    turn: &QueuedTurn,
    settled: Vec<Result<SettledCommand, CommandError>>,
    deciders: &Deciders,
    offered: &[String],
) -> Result<Vec<WithConsequences>, String> {
    let each = turn.commands.iter().zip(settled).map(|(command, settled)| match settled {
        Err(error) => Ok(Err(error)),
        Ok(settled) => {
            let decision = Decision {
                command: &command.queued.command,
                origin: &command.queued.origin,
                answer: &settled.answer,
                events: &settled.messages,
                version: settled.expected_version,
            };
            let consequences = decision.consequences(deciders.followers(&turn.aggregate), offered)?;
            Ok(Ok((settled, consequences)))
        }
    });
    each.collect()
}

/// Settles a turn's outcomes one after the other, from the version before them.
fn settle_all(
    turn: &QueuedTurn,
    mut version: u64,
    outcomes: Vec<Result<Outcome, CommandError>>,
) -> Result<Vec<Result<SettledCommand, CommandError>>, String> {
    if outcomes.len() != turn.commands.len() {
        let (commands, outcomes) = (turn.commands.len(), outcomes.len());
        return Err(format!("{outcomes} outcomes of {commands} commands to {}", turn.stream));
    }
    let each = turn.commands.iter().zip(outcomes).map(|(command, outcome)| match outcome {
        Ok(outcome) => settle(&turn.stream, &mut version, &command.queued, outcome).map(Ok),
        Err(error) => Ok(Err(error)),
    });
    each.collect()
}

fn settle(
    stream: &str,
    version: &mut u64,
    queued: &Queued,
    outcome: Outcome,
) -> Result<SettledCommand, String> {
    let expected_version = *version;
    let (answer, outcome, messages) = match outcome {
        Outcome::Accepted(messages) => {
            let too_many = |_| format!("a command to {stream} has {} events", messages.len());
            let count = u32::try_from(messages.len()).map_err(too_many)?;
            *version = version.checked_add(u64::from(count)).ok_or("a version has no next one")?;
            let events = messages.iter().map(|message| message.type_.clone()).collect();
            let answer = Answer::Accepted { stream: stream.to_owned(), stream_version: *version, events };
            (answer, RecordedOutcome::Events(count), messages)
        }
        Outcome::Rejected(rejection) => {
            let (code, detail) = (rejection.code, rejection.detail);
            let outcome = RecordedOutcome::Rejection { code: code.clone(), detail: detail.clone() };
            (Answer::Rejected { code, detail }, outcome, Vec::new())
        }
    };
    let kept = queued.kept(&answer)?;
    Ok(SettledCommand { answer, kept, outcome, expected_version, messages })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::entries::Entries;
    use crate::command::queued::tests::{keys, queued};
    use crate::command::sort::sort_out;
    use clearfold_sandbox::{Entry, Rejection};
    use clearfold_store::EventHash;

    fn empty() -> Batch {
        let head = Head { position: 7, hash: EventHash([0; 32]), sequence: 3 };
        Batch::new(0, head, Timestamp::from_s(0).unwrap())
    }

    fn state(version: u64) -> StreamState {
        StreamState {
            routing_key: "0xaa".into(),
            version,
            state: Vec::new(),
            family: Digest::of(b""),
            state_version: 1,
            snapshot_version: 0,
            entries: Entries::default(),
        }
    }

    /// Turn of a stream at a version, with one command for each outcome.
    fn turn(
        version: u64,
        outcomes: Vec<Result<Outcome, CommandError>>,
        commands: usize,
    ) -> (QueuedTurn, DecidedTurn) {
        let commands: Vec<_> = (1..=commands).map(|key| queued(&key.to_string(), "a")).collect();
        let named = commands.iter().map(|_| Ok(Vec::new())).collect();
        let (_, mut turns) = sort_out(commands, named, Vec::new());
        (turns.remove(0), DecidedTurn { decided_by: Digest::of(b""), state: state(version), outcomes })
    }

    fn accepted(events: usize) -> Result<Outcome, CommandError> {
        let message = Message { type_: "Happened".into(), schema_version: 1, payload: Vec::new() };
        Ok(Outcome::Accepted(vec![message; events]))
    }

    fn rejected() -> Result<Outcome, CommandError> {
        Ok(Outcome::Rejected(Rejection { code: "no".into(), detail: "never".into() }))
    }

    #[test]
    fn a_turn_joins_with_versions_positions_and_answers_and_without_what_failed() {
        let mut batch = empty();
        let failed = Err(CommandError::Component("no".into()));
        let (commands, decided) = turn(4, vec![accepted(2), failed, rejected(), accepted(1)], 4);
        let (_, resolved) = batch.add(commands, decided, &Deciders::default(), &[]);
        assert_eq!(keys(resolved.iter().map(|(queued, _)| queued)), ["2"]);
        assert_eq!(batch.check(), Ok(()));
        let places = batch.append.events.iter().map(|event| (event.position, event.stream_version));
        assert_eq!(places.collect::<Vec<_>>(), [(8, 5), (9, 6), (10, 7)]);
        let expected = batch.append.commands.iter().map(|command| command.expected_version);
        assert_eq!(expected.collect::<Vec<_>>(), [4, 6, 6]);
        let answers: Vec<_> = batch.waiting.iter().map(|(_, answer)| answer).collect();
        assert!(
            matches!(answers[0], Answer::Accepted { stream_version: 6, events, .. } if events.len() == 2)
        );
        assert!(matches!(answers[1], Answer::Rejected { .. }));
        let stored: Vec<_> = batch.append.commands.iter().map(|command| command.kept.as_ref()).collect();
        assert_eq!(stored[2].unwrap().answer, serde_json::to_value(answers[2]).unwrap());
        let [moved] = &batch.append.streams[..] else { panic!("{:?}", batch.append.streams) };
        assert_eq!((moved.from, moved.to, batch.states["authorization-a"].version), (4, 7, 7));
    }

    #[test]
    fn a_turn_whose_outcomes_do_not_fit_its_commands_leaves_nothing_behind() {
        let mut batch = empty();
        let (commands, decided) = turn(0, vec![accepted(1)], 2);
        let (_, resolved) = batch.add(commands, decided, &Deciders::default(), &[]);
        assert_eq!(resolved.len(), 2);
        assert!(resolved.iter().all(|(_, answer)| matches!(answer, Err(CommandError::Internal(_)))));
        assert!(batch.is_empty() && batch.append == Append::default() && batch.states.is_empty());
        assert_eq!(batch.check(), Ok(()));
    }

    #[test]
    fn a_batch_that_does_not_follow_from_the_partitions_end_is_noticed() {
        let whole = || {
            let mut batch = empty();
            let (commands, decided) = turn(0, vec![accepted(2), rejected()], 2);
            assert!(batch.add(commands, decided, &Deciders::default(), &[]).1.is_empty());
            assert_eq!(batch.check(), Ok(()));
            batch
        };
        let wrong: [fn(&mut Batch); 6] = [
            |batch| batch.append.events[1].position += 1,
            |batch| batch.after.hash = batch.before.hash,
            |batch| batch.append.commands[1].outcome = RecordedOutcome::Events(1),
            |batch| batch.append.streams[0].to += 1,
            |batch| batch.after.sequence += 1,
            |batch| drop(batch.waiting.pop()),
        ];
        for (number, wrong) in wrong.iter().enumerate() {
            let mut batch = whole();
            wrong(&mut batch);
            assert!(batch.check().is_err(), "{number}");
        }
    }

    /// A batch that leaves a stream at a version, with so many entries changed on the way to each.
    fn batch(streams: &[(&str, u64, u64, usize)]) -> Batch {
        let mut batch = empty();
        for (name, snapshot_version, version, count) in streams {
            let mut entries = Entries::default();
            for version in 1..=*version {
                let entry = |number| Entry { key: format!("{version}/{number}"), value: Some(vec![1]) };
                entries.change(version, (0..*count).map(entry).collect());
            }
            let state = StreamState { snapshot_version: *snapshot_version, entries, ..state(*version) };
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
