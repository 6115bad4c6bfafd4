//! Builds a component's tables beside those that are read, and puts them in their place.
//!
//! A build reads the log from the first event, with checkpoints of its own, while the tables that are read go on. When
//! it is within a batch of the log's end it switches, in one transaction of the read store: writers to both sets of
//! tables are kept waiting, the last events are projected, and the schemas exchange their names, with their rows in
//! the book. So no event is missed or projected twice, the new rows are never behind the old ones, and a crash leaves
//! either the one or the other.
//!
//! A component that fails on an event is never switched to. A build never drops or locks tables that are read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::runner::RunnerSettings;
use super::table_writer::{FaultPoints, TableWriter};
use super::{ProjectionError, Readers, State, Status, book, checkpoint, readers};
use clearfold_base::clock::Clock;
use clearfold_base::faults;
use clearfold_base::tasks::{Next, Retry, StepFailure, Task, changed};
use clearfold_bus::Subscription;
use clearfold_sandbox::Projector;

/// Time between two log lines about the progress of a build.
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// Number of times that a component may fail on an event before it is given up: a deadline may have been missed by
/// chance.
const TRIES: u32 = 3;
/// Fault points of a batch of a build.
const FAULT_POINTS: FaultPoints = FaultPoints { before: "before_build_batch", after: "build_batch" };

/// A build under way.
pub(super) struct TableBuild {
    pub tables: TableWriter,
    pub subscription: Subscription,
    pub settings: RunnerSettings,
    pub readers: Readers,
    pub clock: Clock,
    pub status: watch::Sender<Status>,
    /// The wanted component. A change that is not seen yet ends the build.
    pub wanted: watch::Receiver<Arc<Projector>>,
    pub rate: BuildRate,
    /// Failures in a row.
    pub failures: u32,
}

/// End of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Built {
    /// Its tables are read now.
    Switched,
    /// Another component is wanted.
    Unwanted,
    /// Another host has put the build aside, or has switched to it.
    Replaced,
}

/// Speed of a build.
pub(super) struct BuildRate {
    began: Instant,
    events: u64,
    reported: Instant,
}

impl BuildRate {
    pub fn start() -> Self {
        let now = Instant::now();
        Self { began: now, events: 0, reported: now }
    }

    fn events_per_second(&self) -> u64 {
        // 64 bits of milliseconds last for ages. The product saturates: a figure that is shown and decides nothing.
        let ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        self.events.saturating_mul(1_000) / ms
    }

    /// Returns true if enough time has passed since the last report.
    fn is_time(&mut self) -> bool {
        let is_time = self.reported.elapsed() >= REPORT_EVERY;
        if is_time {
            self.reported = Instant::now();
        }
        is_time
    }
}

impl Task for TableBuild {
    type Output = Result<Built, ProjectionError>;
    type Error = ProjectionError;

    async fn step(&mut self) -> Result<Next<Self::Output>, ProjectionError> {
        // Another component is taken notice of between two batches only, so that the outcome of a switch is always
        // known. If nobody can want another one any more, this one stays wanted.
        if self.wanted.has_changed().unwrap_or(false) {
            return Ok(Next::End(Ok(Built::Unwanted)));
        }
        if self.failures > 0 {
            self.tables.reload().await?;
        }
        match self.round().await {
            Ok(true) => Ok(Next::End(Ok(Built::Switched))),
            Ok(false) => {
                self.failures = 0;
                Ok(Next::Again)
            }
            Err(ProjectionError::Replaced { .. }) => Ok(Next::End(Ok(Built::Replaced))),
            Err(error) => {
                // Beyond the number of tries the exact number decides nothing.
                self.failures = self.failures.saturating_add(1);
                let may_be_chance = error.is_of_one_event() && self.failures < TRIES;
                if error.is_final() && !may_be_chance { Ok(Next::End(Err(error))) } else { Err(error) }
            }
        }
    }

    async fn woken(&mut self) {
        // A clone, so that the next step still finds the change unseen.
        changed(&mut self.wanted.clone()).await;
    }

    fn retry(&self) -> Retry {
        self.settings.retry()
    }

    fn failure(&self, _: &ProjectionError) -> StepFailure {
        StepFailure::warning("building stopped here; trying again").or_when_woken()
    }

    fn recovered(&self) -> &'static str {
        "building goes on"
    }
}

impl TableBuild {
    /// Projects a batch of each partition that is behind, or switches if little is left. Returns true if it has
    /// switched.
    async fn round(&mut self) -> Result<bool, ProjectionError> {
        let heads = self.subscription.heads().await?;
        checkpoint::check_against(self.tables.positions(), &heads)?;
        self.report(&heads);
        if behind(self.tables.positions(), &heads) <= u64::from(self.settings.batch_size) {
            match self.switch(&heads).await {
                Ok(true) => return Ok(true),
                Ok(false) => self.tables.reload().await?,
                // The event at fault is found when they are projected in smaller and smaller batches.
                Err(error) if error.is_of_one_event() => {}
                Err(error) => return Err(error),
            }
        }
        for (partition, head) in (0..).zip(heads) {
            let after = self.tables.position(partition)?;
            if head <= after {
                continue;
            }
            let events = self.subscription.page(partition, after, head, self.settings.batch_size).await?;
            let done = self.tables.advance(&events, FAULT_POINTS).await?;
            // A figure that is shown and decides nothing.
            self.rate.events = self.rate.events.saturating_add(done as u64);
        }
        Ok(false)
    }

    /// Takes the place of the tables that are read, unless too much is left for one transaction.
    async fn switch(&self, heads: &[u64]) -> Result<bool, ProjectionError> {
        let build = &self.tables.declaration;
        let partitions = self.tables.partitions;
        let mut transaction = self.tables.pool.begin().await?;
        book::lock(&mut transaction, &build.projection).await?;
        book::hold_still(&mut transaction, build).await?;
        // Nobody moves these checkpoints any more. Another host may be at the same build, or ahead of this one with the
        // tables that are read: so the database is asked, and not this process's memory.
        let read = checkpoint::load(&mut *transaction, &build.projection, partitions).await?;
        let built = checkpoint::load(&mut *transaction, &build.schema, partitions).await?;
        let end: Vec<u64> = read.iter().zip(heads).map(|(read, head)| *read.max(head)).collect();
        if built != self.tables.positions() || behind(&built, &end) > u64::from(self.settings.batch_size) {
            transaction.rollback().await?;
            return Ok(false);
        }
        for ((partition, after), up_to) in (0..).zip(built).zip(&end) {
            if *up_to > after {
                let limit = self.settings.batch_size;
                let events = self.subscription.page(partition, after, *up_to, limit).await?;
                self.tables.project_in(&mut transaction, partition, &events, *up_to).await?;
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
        let (position, of) = (sum(self.tables.positions()), sum(heads));
        let (digest, events_per_second) = (self.tables.declaration.digest, self.rate.events_per_second());
        self.status.send_modify(|status| {
            status.state = State::Building { digest, position, of, events_per_second };
        });
        if self.rate.is_time() {
            let projection = &self.tables.declaration.projection;
            let component = self.tables.projector.id();
            tracing::info!(projection, %component, position, of, events_per_second, "building beside what is read");
        }
    }
}

/// Number of events between positions and an end. A partition that is beyond the end has none to go.
fn behind(positions: &[u64], end: &[u64]) -> u64 {
    let each = positions.iter().zip(end).map(|(position, end)| end.saturating_sub(*position));
    // Saturated, it is larger than any batch, which is all that is asked of it.
    each.fold(0, u64::saturating_add)
}

/// Sum of positions. It saturates: a figure that is shown and decides nothing.
fn sum(positions: &[u64]) -> u64 {
    positions.iter().copied().fold(0, u64::saturating_add)
}
