//! Builds a component's tables beside those that are read, and puts them in their place.
//!
//! It reads the log from the first event, with checkpoints of its own, while the tables that are read go on. When it is
//! within a batch of the log's end it switches, in one transaction of the read store: both sets of tables are held still,
//! the last events are projected, and the schemas change their names with their rows in the book. So no event is missed
//! or projected twice, the new rows are never behind the old ones, and a crash leaves either the one or the other.
//!
//! A component that fails on an event is never switched to. What this never does: drop or lock tables that are read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::runner::{Filling, Passed, RunnerSettings};
use super::supervisor::is_changed;
use super::{ProjectionError, Readers, State, Status, book, checkpoint, readers};
use clearfold_base::clock::Clock;
use clearfold_base::faults;
use clearfold_base::telemetry::with_causes;
use clearfold_bus::Subscription;
use clearfold_sandbox::Projector;

/// How often the log says how far a build has come.
const REPORT_MS: u128 = 5_000;
/// How often a component may fail on an event before it is given up: a deadline may have been missed by chance.
const TRIES: u32 = 3;
const PASSED: Passed = Passed { before: "before_build_batch", after: "build_batch" };

/// A build under way.
pub(super) struct Build<'a> {
    pub filling: Filling,
    pub subscription: Subscription,
    pub settings: RunnerSettings,
    pub readers: Readers,
    pub clock: &'a Clock,
    pub status: &'a watch::Sender<Status>,
    pub pace: Pace,
}

/// How a build ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Built {
    /// Its tables are read now.
    Switched,
    /// Another component is wanted.
    Unwanted,
    /// Another host has put it aside, or has switched to it.
    Replaced,
}

/// How fast a build is.
pub(super) struct Pace {
    began: Instant,
    events: u64,
    reported_ms: u128,
}

impl Pace {
    pub fn start() -> Self {
        Self { began: Instant::now(), events: 0, reported_ms: 0 }
    }

    fn events_per_second(&self) -> u64 {
        let ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        self.events.saturating_mul(1_000) / ms
    }

    /// Whether enough time has passed to say something again.
    fn is_time(&mut self) -> bool {
        let now = self.began.elapsed().as_millis();
        let is_time = now.saturating_sub(self.reported_ms) >= REPORT_MS;
        if is_time {
            self.reported_ms = now;
        }
        is_time
    }
}

impl Build<'_> {
    /// Builds until it is switched to, or not wanted any more, or cannot go on.
    pub async fn run(mut self, wanted: watch::Receiver<Arc<Projector>>) -> Result<Built, ProjectionError> {
        let mut failures = 0_u32;
        // A new wish is heard between two batches only, so that nobody is left wondering whether a switch was committed.
        while !wanted.has_changed().unwrap_or(false) {
            match self.round().await {
                Ok(true) => return Ok(Built::Switched),
                Ok(false) => failures = 0,
                Err(ProjectionError::Replaced { .. }) => return Ok(Built::Replaced),
                Err(error) => {
                    failures = failures.saturating_add(1);
                    let may_be_chance = error.is_of_one_event() && failures < TRIES;
                    if error.is_final() && !may_be_chance {
                        return Err(error);
                    }
                    let component = self.filling.projector.id();
                    tracing::warn!(%component, error = %with_causes(&error), "building stopped here; trying again");
                    let pause = Duration::from_millis(self.settings.retry_ms);
                    // Either ends the wait; which one it was is asked above.
                    let _ = tokio::time::timeout(pause, is_changed(&mut wanted.clone())).await;
                    self.filling.reload().await;
                }
            }
        }
        Ok(Built::Unwanted)
    }

    /// Projects a batch of each partition that is behind, or switches if little is left. Whether it has switched.
    async fn round(&mut self) -> Result<bool, ProjectionError> {
        let heads = self.subscription.heads().await?;
        checkpoint::check_against(&self.filling.positions, &heads)?;
        self.report(&heads);
        if behind(&self.filling.positions, &heads) <= u64::from(self.settings.batch_size) {
            match self.switch(&heads).await {
                Ok(true) => return Ok(true),
                Ok(false) => self.filling.reload().await,
                // Which event it is comes out when they are projected one by one.
                Err(error) if error.is_of_one_event() => {}
                Err(error) => return Err(error),
            }
        }
        for (partition, head) in (0..).zip(heads) {
            let after = self.filling.position(partition);
            if head <= after {
                continue;
            }
            let events = self.subscription.page(partition, after, head, self.settings.batch_size).await?;
            let done = self.filling.advance(partition, &events, PASSED).await?;
            self.pace.events = self.pace.events.saturating_add(u64::try_from(done).unwrap_or(0));
        }
        Ok(false)
    }

    /// Takes the place of what is read, unless too much is left for one transaction.
    async fn switch(&self, heads: &[u64]) -> Result<bool, ProjectionError> {
        let build = &self.filling.declaration;
        let partitions = u32::try_from(heads.len()).unwrap_or(u32::MAX);
        let mut transaction = self.filling.pool.begin().await?;
        book::lock(&mut transaction, &build.projection).await?;
        book::hold_still(&mut transaction, build).await?;
        // Nobody moves these any more. Another host may be at the same build, or ahead of this one with what is read:
        // so the database is asked, and not this process's memory.
        let read = checkpoint::load(&mut *transaction, &build.projection, partitions).await?;
        let built = checkpoint::load(&mut *transaction, &build.schema, partitions).await?;
        let end: Vec<u64> = read.iter().zip(heads).map(|(read, head)| *read.max(head)).collect();
        if built != self.filling.positions || behind(&built, &end) > u64::from(self.settings.batch_size) {
            transaction.rollback().await?;
            return Ok(false);
        }
        for ((partition, after), up_to) in (0..).zip(built).zip(&end) {
            if *up_to > after {
                let limit = self.settings.batch_size;
                let events = self.subscription.page(partition, after, *up_to, limit).await?;
                self.filling.project_in(&mut transaction, partition, &events).await?;
            }
        }
        let digest = build.digest;
        let before = self.readers.shape(&mut transaction, &format!("before {digest}")).await?;
        book::take_place(&mut transaction, build, self.clock.now(), &end).await?;
        let after = self.readers.shape(&mut transaction, &format!("behind {digest}")).await?;
        readers::agree(&before, &after)?;
        faults::point("before_switch");
        transaction.commit().await?;
        faults::point("switched");
        Ok(true)
    }

    fn report(&mut self, heads: &[u64]) {
        let (position, of) = (sum(&self.filling.positions), sum(heads));
        let (digest, events_per_second) = (self.filling.declaration.digest, self.pace.events_per_second());
        self.status.send_modify(|status| {
            status.state = State::Building { digest, position, of, events_per_second };
        });
        if self.pace.is_time() {
            let projection = &self.filling.declaration.projection;
            let component = self.filling.projector.id();
            tracing::info!(projection, %component, position, of, events_per_second, "building beside what is read");
        }
    }
}

/// Events between positions and an end.
fn behind(positions: &[u64], end: &[u64]) -> u64 {
    let each = positions.iter().zip(end).map(|(position, end)| end.saturating_sub(*position));
    each.fold(0, u64::saturating_add)
}

fn sum(positions: &[u64]) -> u64 {
    positions.iter().copied().fold(0, u64::saturating_add)
}
