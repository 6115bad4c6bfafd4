//! The replay: decides recorded commands again with the components that decided them, and compares the outcomes with
//! the recorded ones, bit for bit.
//!
//! The commands are read stream by stream. Each turn begins on a state that is folded from the recorded events; within
//! a turn a difference is carried on to the commands that follow it.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;

use super::history::{BATCH, Segment, StreamHistory, next_history, segments};
use super::redecide::{is_same, redecide, shown};
use super::{IntegrityError, OnProgress};
use clearfold_base::blocking::blocking;
use clearfold_base::digest::Digest;
use clearfold_sandbox::{Decides, Outcome};
use clearfold_store::{EventStore, StoredCommand};

/// Maximum number of differences that are shown; all are counted.
const SHOWN: usize = 20;

/// Replay of a log.
pub struct CommandReplay {
    pub store: EventStore,
    /// Components that are at hand.
    pub deciders: BTreeMap<Digest, Arc<dyn Decides>>,
}

/// Result of a replay.
#[derive(Debug, Default)]
pub struct ReplayReport {
    /// Number of commands that were decided again.
    pub commands: u64,
    /// Number of their recorded events.
    pub events: u64,
    /// Number of commands with another outcome.
    pub different: u64,
    /// The first of those.
    pub differences: Vec<ReplayDifference>,
    /// Number of commands whose component is not at hand, by its digest.
    pub undecidable: BTreeMap<String, u64>,
    /// Number of events that no recorded command explains.
    pub unexplained: u64,
    /// Number of commands that were recorded and are missing.
    pub missing: u64,
    /// Number of commands that were read, and of the events that they account for.
    pub found_commands: u64,
    pub explained: u64,
}

/// Command with another outcome than recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayDifference {
    pub partition: u32,
    pub sequence: u64,
    pub stream: String,
    pub kind: String,
    pub recorded: String,
    pub replayed: String,
}

impl CommandReplay {
    /// Decides all commands of a partition again.
    pub async fn partition(
        &self,
        partition: u32,
        report: &mut ReplayReport,
        on_progress: OnProgress<'_>,
    ) -> Result<(), IntegrityError> {
        let end = self.store.end(partition).await?;
        let (commands_before, events_before) = (report.found_commands, report.explained);
        let mut commands =
            std::pin::pin!(self.store.commands_by_stream(partition, "", 0, end.sequence)?.peekable());
        let mut events = std::pin::pin!(self.store.events_by_stream(partition, "")?.peekable());
        let mut waiting = Vec::new();
        let mut count = 0;
        while let Some(history) = next_history(commands.as_mut(), events.as_mut()).await? {
            report.found(&history);
            let segments = segments(history);
            count += segments.iter().map(|segment| segment.commands.len()).sum::<usize>();
            waiting.extend(segments);
            if count >= BATCH {
                self.compare(std::mem::take(&mut waiting), report).await?;
                on_progress(count as u64);
                count = 0;
            }
        }
        self.compare(waiting, report).await?;
        on_progress(count as u64);
        // Saturating: a damaged record may account for more events than there are, and then its decision differs.
        report.missing += end.sequence.saturating_sub(report.found_commands - commands_before);
        report.unexplained += end.position.saturating_sub(report.explained - events_before);
        Ok(())
    }

    async fn compare(&self, segments: Vec<Segment>, report: &mut ReplayReport) -> Result<(), IntegrityError> {
        let mut by_digest: BTreeMap<Digest, Vec<Segment>> = BTreeMap::new();
        for segment in segments {
            by_digest.entry(segment.digest).or_default().push(segment);
        }
        for (digest, segments) in by_digest {
            let Some(decider) = self.deciders.get(&digest).cloned() else {
                let count = segments.iter().map(|segment| segment.commands.len() as u64).sum::<u64>();
                *report.undecidable.entry(digest.to_string()).or_default() += count;
                continue;
            };
            report.add(blocking(move || compare(&*decider, &segments)).await?);
        }
        Ok(())
    }
}

impl ReplayReport {
    /// Returns true if every recorded command is there and has the same outcome again, and no event is unexplained.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.different == 0 && self.undecidable.is_empty() && self.unexplained == 0 && self.missing == 0
    }

    fn found(&mut self, history: &StreamHistory) {
        self.found_commands += history.commands.len() as u64;
        self.explained += history.commands.iter().map(|command| command.outcome.events()).sum::<u64>();
    }

    fn add(&mut self, other: Self) {
        self.commands += other.commands;
        self.events += other.events;
        self.different += other.different;
        // None once the list is full.
        let room = SHOWN.saturating_sub(self.differences.len());
        self.differences.extend(other.differences.into_iter().take(room));
    }
}

/// Decides one component's segments again and compares them.
fn compare(decider: &dyn Decides, segments: &[Segment]) -> ReplayReport {
    let mut report = ReplayReport::default();
    for (segment, again) in segments.iter().zip(redecide(decider, segments, usize::MAX)) {
        for ((command, recorded), again) in segment.commands.iter().zip(&segment.recorded).zip(again) {
            report.add_outcome(command, recorded, again);
        }
    }
    report
}

impl ReplayReport {
    fn add_outcome(&mut self, command: &StoredCommand, recorded: &Outcome, again: Result<Outcome, String>) {
        self.commands += 1;
        if let Outcome::Accepted(events) = recorded {
            self.events += events.len() as u64;
        }
        if again.as_ref().is_ok_and(|again| is_same(recorded, again)) {
            return;
        }
        self.different += 1;
        if self.differences.len() < SHOWN {
            self.differences.push(ReplayDifference {
                partition: command.partition,
                sequence: command.sequence,
                stream: command.stream.clone(),
                kind: command.kind.clone(),
                recorded: shown(recorded),
                replayed: again.map_or_else(|why| why, |again| shown(&again)),
            });
        }
    }
}
