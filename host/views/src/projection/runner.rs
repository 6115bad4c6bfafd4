//! Keeps the tables that are read up with the log: takes a page of events after the other and has it projected.
//!
//! A projector that fails on an event stops its projection there, and the event is named and tried again. No other
//! projection waits.

use std::time::Duration;

use super::ProjectionError;
use super::table_writer::{FaultPoints, TableWriter};
use clearfold_base::tasks::{Next, Retry, StepFailure, Task};
use clearfold_bus::Subscription;

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
}

/// The tables belong to another component now, so that their runner ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Replaced;

impl Runner {
    pub fn new(tables: TableWriter, subscription: Subscription, settings: RunnerSettings) -> Self {
        Self { tables, subscription, settings, is_stale: false }
    }

    /// Projects the next page of events. Returns false if there is none now.
    async fn project_next(&mut self) -> Result<bool, ProjectionError> {
        if self.is_stale {
            self.tables.reload().await?;
            self.is_stale = false;
        }
        let next = self.subscription.next(self.tables.positions(), self.settings.batch_size).await?;
        let Some(page) = next else { return Ok(false) };
        let done = self.tables.advance(&page, FAULT_POINTS).await?;
        for event in page.events.iter().take(done) {
            tracing::info!(correlation_id = %event.correlation_id, stream = event.stream, kind = event.kind, "projected");
        }
        Ok(true)
    }
}

impl Task for Runner {
    type Output = Replaced;
    type Error = ProjectionError;

    async fn step(&mut self) -> Result<Next<Replaced>, ProjectionError> {
        match self.project_next().await {
            Ok(true) => Ok(Next::Again),
            Ok(false) => Ok(Next::Idle),
            Err(ProjectionError::Replaced { .. }) => Ok(Next::End(Replaced)),
            Err(error) => {
                self.is_stale = true;
                Err(error)
            }
        }
    }

    async fn woken(&mut self) {
        self.subscription.published().await;
    }

    fn retry(&self) -> Retry {
        self.settings.retry()
    }

    fn failure(&self, _: &ProjectionError) -> StepFailure {
        StepFailure::error("projection stopped here; trying again")
    }

    fn recovered(&self) -> &'static str {
        "the projection goes on"
    }
}
