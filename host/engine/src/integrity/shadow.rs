//! The shadow run: a candidate decides recorded commands, and every decision that differs is reported. It runs before a
//! component is activated, and beside a canary.
//!
//! The reference is the component in force. Its own decisions are in the log; those of an older component it makes
//! again, so that a change that was accepted once is not reported for ever. Nothing is written.

use std::fmt;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use serde::Serialize;
use tokio::task::JoinSet;

use super::history::{BATCH, Segment, StreamHistory, next_history, segments};
use super::redecide::{is_same_but_for_version, redecide, shown};
use super::{IntegrityError, OnProgress};
use crate::saga::PARKING;
use clearfold_base::background;
use clearfold_base::blocking::Panicked;
use clearfold_base::digest::Digest;
use clearfold_sandbox::{Decides, Fault, Message, Outcome, WholeState};
use clearfold_store::{EventStore, StoreError, StoredCommand, StoredEvent};

/// Maximum number of a partition's streams whose states are compared. A state costs two calls where a command costs
/// one, and a change of the states' form shows in the first few.
const STATES: usize = 10_000;
/// Number of events after which a batch is handed to a thread. A single stream may have more.
const EVENTS: usize = 20_000;
/// Number of the candidate's failures after which the rest is not tried: each may take as long as a call may.
const PATIENCE: usize = 20;
/// Maximum number of divergences that are shown; all are counted.
const SHOWN: usize = 10;
/// Maximum number of divergences whose events are kept for the sagas that follow the streams.
const FOLLOWED: usize = 1_000;

/// Shadow run of a candidate beside the decider in force.
pub struct Shadow {
    pub store: EventStore,
    /// Reference; none if the candidate is compared with what is recorded, whatever decided it.
    pub in_force: Option<Arc<dyn Decides>>,
    pub candidate: Arc<dyn Decides>,
    /// Only commands that this component decided; none means all.
    pub decided_by: Option<Digest>,
    /// True to also compare the states that both fold from the events.
    pub with_states: bool,
    /// Number of batches that are decided in parallel; zero counts as one.
    pub threads: usize,
}

/// Result of a shadow run.
#[derive(Debug, Default, Clone, Serialize)]
pub struct ShadowReport {
    /// Number of commands that were decided again.
    pub commands: u64,
    /// Number of commands that the candidate decides otherwise.
    pub different: u64,
    /// Number of those on which the candidate failed.
    pub faults: u64,
    /// The first of the commands that it decides otherwise.
    pub divergences: Vec<Divergence>,
    /// Number of streams whose states were compared.
    pub states: u64,
    /// First stream of which the candidate folds another state.
    pub other_state: Option<String>,
    /// Events of the first commands that the candidate decides otherwise.
    #[serde(skip)]
    pub other_events: Vec<OtherEvents>,
}

/// Events of one command, as they are and as the candidate decides them.
#[derive(Debug, Clone)]
pub struct OtherEvents {
    pub partition: u32,
    pub stream: String,
    pub routing_key: String,
    pub in_force: Vec<Message>,
    pub candidate: Vec<Message>,
}

/// Command that the candidate decides otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Divergence {
    pub partition: u32,
    pub sequence: u64,
    pub stream: String,
    #[serde(rename = "type")]
    pub kind: String,
    /// Payload of the command.
    pub command: String,
    pub in_force: String,
    pub candidate: String,
}

/// Segments and streams that one thread compares.
#[derive(Default)]
struct ShadowBatch {
    segments: Vec<Segment>,
    /// Streams whose states are compared, with their events.
    streams: Vec<(String, Arc<[Message]>)>,
    commands: usize,
    events: usize,
}

impl Shadow {
    /// Decides a partition's commands again, after the sequence number `after`, up to and including `up_to`.
    pub async fn partition(
        &self,
        partition: u32,
        after: u64,
        up_to: u64,
        report: &mut ShadowReport,
        on_progress: OnProgress<'_>,
    ) -> Result<(), IntegrityError> {
        let prefix = format!("{}-", self.candidate.aggregate());
        let only = self.decided_by;
        let commands = self.store.commands_decided_by(only, partition, &prefix, after, up_to)?;
        if after == 0 && only.is_none() {
            let events = self.store.events_by_stream(partition, &prefix)?;
            return self.compare_all(commands, events, report, on_progress).await;
        }
        let events = self.store.events_of_streams_with_commands(only, partition, &prefix, after)?;
        self.compare_all(commands, events, report, on_progress).await
    }

    /// Reads on while batches are decided.
    async fn compare_all(
        &self,
        commands: impl Stream<Item = Result<StoredCommand, StoreError>>,
        events: impl Stream<Item = Result<StoredEvent, StoreError>>,
        report: &mut ShadowReport,
        on_progress: OnProgress<'_>,
    ) -> Result<(), IntegrityError> {
        let mut commands = std::pin::pin!(commands.peekable());
        let mut events = std::pin::pin!(events.peekable());
        let mut running = JoinSet::new();
        let mut batch = ShadowBatch::default();
        let mut states = if self.with_states { STATES } else { 0 };
        loop {
            let history = next_history(commands.as_mut(), events.as_mut()).await?;
            let is_end = history.is_none();
            if let Some(history) = history {
                states -= batch.add(history, self, states > 0);
            }
            if batch.commands >= BATCH || batch.events >= EVENTS || is_end {
                let (in_force, candidate) = (self.in_force.clone(), Arc::clone(&self.candidate));
                let batch = std::mem::take(&mut batch);
                running.spawn(background::run(move || batch.compare(in_force.as_deref(), &*candidate)));
            }
            while running.len() >= self.threads.max(1) || (is_end && !running.is_empty()) {
                let Some(compared) = running.join_next().await else { break };
                let compared = compared.map_err(|error| Panicked::from_join(&error))??;
                on_progress(compared.commands);
                report.add(compared);
                if report.faults >= PATIENCE as u64 {
                    return Ok(());
                }
            }
            if is_end {
                return Ok(());
            }
        }
    }
}

impl ShadowBatch {
    /// Adds a stream's history, and returns the number of streams, 0 or 1, whose states will be compared for it.
    fn add(&mut self, history: StreamHistory, shadow: &Shadow, with_state: bool) -> usize {
        self.events += history.events.len();
        let (only, compared_before) = (shadow.decided_by, self.streams.len());
        let segments = segments(history);
        let first = segments.first().filter(|_| with_state);
        let named = first.and_then(|first| Some((first.commands.first()?.stream.clone(), &first.events)));
        self.streams.extend(named.map(|(stream, events)| (stream, Arc::clone(events))));
        let segments = segments.into_iter();
        // A segment that continues another was decided by the same component, so both are kept or both are not.
        for segment in segments.filter(|segment| only.is_none_or(|only| only == segment.digest)) {
            self.commands += segment.commands.len();
            self.segments.push(segment);
        }
        self.streams.len() - compared_before
    }

    fn compare(mut self, in_force: Option<&dyn Decides>, candidate: &dyn Decides) -> ShadowReport {
        let mut report = ShadowReport::default();
        for (stream, events) in in_force.map(|_| &self.streams).into_iter().flatten() {
            report.states += 1;
            let is_same = in_force.is_none_or(|in_force| are_states_same(in_force, candidate, events));
            if report.other_state.is_none() && !is_same {
                report.other_state = Some(stream.clone());
            }
        }
        let its_own =
            |segment: &mut Segment| in_force.is_none_or(|in_force| segment.digest == in_force.id().digest);
        let recorded: Vec<Segment> = self.segments.extract_if(.., its_own).collect();
        for (segment, again) in recorded.iter().zip(redecide(candidate, &recorded, PATIENCE)) {
            let expected = segment.recorded.iter().cloned().map(Ok);
            report.add_outcomes(segment, expected, again);
        }
        let Some(in_force) = in_force else { return report };
        let others = redecide(in_force, &self.segments, usize::MAX);
        for ((segment, expected), again) in
            self.segments.iter().zip(others).zip(redecide(candidate, &self.segments, PATIENCE))
        {
            report.add_outcomes(segment, expected.into_iter(), again);
        }
        report
    }
}

/// Returns true if the candidate failed: also if it is a saga whose failure is an event that parks the instance.
fn is_failure(expected: &Result<Outcome, String>, again: &Result<Outcome, String>) -> bool {
    let Ok(again) = again else { return true };
    let parks = |event: &Message| PARKING.contains(&event.type_.as_str());
    let count = |outcome: &Outcome| events_of(outcome).iter().filter(|event| parks(event)).count();
    count(again) > expected.as_ref().map_or(0, count)
}

fn events_of(outcome: &Outcome) -> Vec<Message> {
    match outcome {
        Outcome::Accepted(events) => events.clone(),
        Outcome::Rejected(_) => Vec::new(),
    }
}

fn are_states_same(in_force: &dyn Decides, candidate: &dyn Decides, events: &[Message]) -> bool {
    let folded = |decider: &dyn Decides| -> Result<WholeState, Fault> {
        let mut state = WholeState::initial(decider);
        state.evolve(decider, events)?;
        Ok(state)
    };
    matches!((folded(in_force), folded(candidate)), (Ok(one), Ok(other)) if one == other)
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, sequence, stream, kind, command, in_force, candidate } = self;
        write!(
            f,
            "{kind} on {stream} (command {sequence} of partition {partition}), {command}: in force: {in_force}; \
             the component: {candidate}"
        )
    }
}

impl ShadowReport {
    /// Returns true if the candidate decides everything as the component in force does.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.different == 0
    }

    /// Returns true if states were compared, and all were the same.
    #[must_use]
    pub fn has_same_states(&self) -> bool {
        self.states > 0 && self.other_state.is_none()
    }

    fn add_outcomes(
        &mut self,
        segment: &Segment,
        expected: impl Iterator<Item = Result<Outcome, String>>,
        again: Vec<Result<Outcome, String>>,
    ) {
        for ((command, expected), again) in segment.commands.iter().zip(expected).zip(again) {
            self.commands += 1;
            if let (Ok(expected), Ok(again)) = (&expected, &again)
                && is_same_but_for_version(expected, again)
            {
                continue;
            }
            self.different += 1;
            self.faults += u64::from(is_failure(&expected, &again));
            if self.other_events.len() < FOLLOWED
                && let (Ok(in_force), Ok(candidate)) = (&expected, &again)
            {
                self.other_events.push(OtherEvents {
                    partition: command.partition,
                    stream: command.stream.clone(),
                    routing_key: command.routing_key.clone(),
                    in_force: events_of(in_force),
                    candidate: events_of(candidate),
                });
            }
            if self.divergences.len() < SHOWN {
                let said = |outcome: Result<Outcome, String>| {
                    outcome.map_or_else(|why| why, |outcome| shown(&outcome))
                };
                self.divergences.push(Divergence {
                    partition: command.partition,
                    sequence: command.sequence,
                    stream: command.stream.clone(),
                    kind: command.kind.clone(),
                    command: String::from_utf8_lossy(&command.payload).into_owned(),
                    in_force: said(expected),
                    candidate: said(again),
                });
            }
        }
    }

    fn add(&mut self, other: Self) {
        self.commands += other.commands;
        self.different += other.different;
        self.faults += other.faults;
        // None once the list is full.
        let room = SHOWN.saturating_sub(self.divergences.len());
        self.divergences.extend(other.divergences.into_iter().take(room));
        let room = FOLLOWED.saturating_sub(self.other_events.len());
        self.other_events.extend(other.other_events.into_iter().take(room));
        self.states += other.states;
        self.other_state = self.other_state.take().or(other.other_state);
    }
}
