//! Keeps the tables that are read up with the log: takes a batch of events after the other and has it projected.
//!
//! A projector that fails on an event stops its projection in that partition, and the event is named and tried again
//! with backoff. Neither the other partitions nor another projection wait, and the failure stays in the status until the
//! partition has advanced.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff};
use tokio::time::{Instant, sleep_until};

use super::ProjectionError;
use super::table_writer::{FaultPoints, TableWriter};
use clearfold_base::database::partition_index;
use clearfold_base::tasks::{Next, Retry, StepFailure, Task, backoff};
use clearfold_bus::{BusError, StoredEvent, Subscription};

/// Fault points of a batch of tables that are read.
const FAULT_POINTS: FaultPoints = FaultPoints { before: "before_projection", after: "projected" };
/// The longest pause before a retry is that many times the first one.
const LONGEST_PAUSE_FACTOR: u32 = 4;

/// Settings of a projection.
#[derive(Debug, Clone, Copy)]
pub struct RunnerSettings {
    /// Largest number of events that are projected and committed together.
    pub batch_size: u32,
    /// First pause before a failed batch is tried again.
    pub retry_ms: u64,
    /// Least time from one batch to the next, unless the first was full: under load it makes fewer and larger batches,
    /// and each costs a transaction and two calls of the component.
    pub pause_ms: u64,
}

impl RunnerSettings {
    /// Pauses between the tries of a failed batch.
    pub(super) fn retry(&self) -> Retry {
        let least = Duration::from_millis(self.retry_ms);
        // A setting in milliseconds is far below the largest time.
        Retry { least, longest: least.saturating_mul(LONGEST_PAUSE_FACTOR) }
    }
}

/// A projection whose tables are read, kept up with the log.
pub(super) struct Runner {
    tables: TableWriter,
    subscription: Subscription,
    settings: RunnerSettings,
    /// True after a failure: a commit may have succeeded unheard, so the positions are loaded again.
    is_stale: bool,
    stuck: StuckPartitions,
    /// Time before which no batch follows.
    rests_until: Instant,
}

/// Partitions whose next batch failed, each until it has advanced.
struct StuckPartitions {
    retry: Retry,
    partitions: BTreeMap<u32, StuckPartition>,
}

struct StuckPartition {
    pauses: ExponentialBackoff,
    retry_at: Instant,
}

/// The tables belong to another component now, so that their runner ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Replaced;

impl Runner {
    pub fn new(tables: TableWriter, subscription: Subscription, settings: RunnerSettings) -> Self {
        let stuck = StuckPartitions { retry: settings.retry(), partitions: BTreeMap::new() };
        Self { tables, subscription, settings, is_stale: false, stuck, rests_until: Instant::now() }
    }

    /// Projects the next batch of events, but none of a stuck partition whose pause lasts. Returns false if there is none
    /// now.
    async fn project_next(&mut self) -> Result<bool, ProjectionError> {
        let now = Instant::now();
        if now < self.rests_until {
            return Ok(false);
        }
        if self.is_stale {
            self.tables.reload().await?;
            self.is_stale = false;
        }
        let positions = self.positions_to_read(now);
        let events = self.subscription.next(&positions, self.settings.batch_size).await?;
        if events.is_empty() {
            return Ok(false);
        }
        let projected = &events[..self.tables.advance(&events, FAULT_POINTS).await?];
        for event in projected {
            self.stuck.advanced(event.partition);
        }
        if projected.len() < partition_index(self.settings.batch_size) {
            self.rests_until = now + Duration::from_millis(self.settings.pause_ms);
        }
        if tracing::enabled!(tracing::Level::INFO) {
            self.say(projected);
        }
        Ok(true)
    }

    fn say(&self, projected: &[Arc<StoredEvent>]) {
        for event in projected.iter().filter(|event| self.tables.projector.reads(&event.stream)) {
            tracing::info!(correlation_id = %event.correlation_id, stream = event.stream, kind = event.kind, "projected");
        }
    }

    /// Positions behind which to read: of a stuck partition whose pause lasts, one behind which nothing is.
    fn positions_to_read(&self, now: Instant) -> Vec<u64> {
        let each = (0..).zip(self.tables.positions());
        each.map(|(partition, position)| if self.stuck.waits(partition, now) { u64::MAX } else { *position })
            .collect()
    }

    /// Time until a pause ends; `None` if none lasts.
    fn next_try(&self, now: Instant) -> Option<Duration> {
        let rest = (now < self.rests_until).then(|| self.rests_until - now);
        let next = rest.or_else(|| self.stuck.next_retry(now))?;
        // A time of zero would ask again at once, without end.
        Some(next.max(Duration::from_millis(1)))
    }
}

impl Task for Runner {
    type Output = Replaced;
    type Error = ProjectionError;

    async fn step(&mut self) -> Result<Next<Replaced>, ProjectionError> {
        match self.project_next().await {
            Ok(true) => Ok(Next::Again),
            Ok(false) => Ok(self.next_try(Instant::now()).map_or(Next::Idle, Next::WaitFor)),
            Err(ProjectionError::Replaced { .. }) => Ok(Next::End(Replaced)),
            Err(error) => {
                self.is_stale = true;
                if let Some(partition) = partition_at_fault(&error) {
                    self.stuck.failed(partition, Instant::now());
                }
                Err(error)
            }
        }
    }

    async fn woken(&mut self) {
        // Events that are published during the pause wake it once, at the end.
        sleep_until(self.rests_until).await;
        self.subscription.published().await;
    }

    fn retry(&self) -> Retry {
        self.settings.retry()
    }

    fn failure(&self, error: &ProjectionError) -> StepFailure {
        let failure = StepFailure::error("projection stopped here; trying again");
        // The partition has a pause of its own, and the others go on.
        if partition_at_fault(error).is_some() { failure.asking_otherwise().or_when_woken() } else { failure }
    }

    fn is_still_failing(&self) -> bool {
        !self.stuck.partitions.is_empty()
    }

    fn recovered(&self) -> &'static str {
        "the projection goes on"
    }
}

/// Partition in which the failure lies; `None` if it may concern all.
fn partition_at_fault(error: &ProjectionError) -> Option<u32> {
    match error {
        ProjectionError::AtEvent { partition, .. }
        | ProjectionError::Gap { partition, .. }
        | ProjectionError::Overtaken { partition, .. }
        | ProjectionError::Bus(BusError::Damaged { partition, .. }) => Some(*partition),
        _ => None,
    }
}

impl StuckPartitions {
    fn failed(&mut self, partition: u32, now: Instant) {
        let begin = || StuckPartition { pauses: backoff(self.retry).build(), retry_at: now };
        let stuck = self.partitions.entry(partition).or_insert_with(begin);
        // The backoff has no end; the longest pause is what it comes to.
        stuck.retry_at = now + stuck.pauses.next().unwrap_or(self.retry.longest);
    }

    fn advanced(&mut self, partition: u32) {
        self.partitions.remove(&partition);
    }

    fn waits(&self, partition: u32, now: Instant) -> bool {
        self.partitions.get(&partition).is_some_and(|stuck| stuck.retry_at > now)
    }

    /// Time until the first partition is tried again; `None` if none is stuck.
    fn next_retry(&self, now: Instant) -> Option<Duration> {
        let first = self.partitions.values().map(|stuck| stuck.retry_at).min()?;
        Some(first.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stuck_partition_waits_longer_each_time_until_it_advances_and_the_others_go_on() {
        let retry = Retry { least: Duration::from_millis(100), longest: Duration::from_millis(400) };
        let (mut stuck, now) = (StuckPartitions { retry, partitions: BTreeMap::new() }, Instant::now());
        assert_eq!((stuck.waits(1, now), stuck.next_retry(now)), (false, None));
        for least in [100, 200, 400, 400].map(Duration::from_millis) {
            stuck.failed(1, now);
            let pause = stuck.next_retry(now).unwrap();
            assert!((least..=2 * least).contains(&pause), "{pause:?}");
            assert_eq!((stuck.waits(0, now), stuck.waits(1, now)), (false, true));
            assert!(!stuck.waits(1, now + pause));
        }
        stuck.advanced(0);
        assert!(stuck.next_retry(now).is_some(), "the success of another partition is not its recovery");
        stuck.advanced(1);
        assert_eq!((stuck.waits(1, now), stuck.next_retry(now)), (false, None));
        stuck.failed(1, now);
        assert!(stuck.next_retry(now).unwrap() <= Duration::from_millis(200), "the backoff begins anew");
    }
}
