//! Projects into one set of tables: takes batches, has them projected, commits rows and checkpoint together.
//!
//! A projector that fails on an event stops its projection there: the batch is cut in halves until the event is
//! found, everything before it is committed, and the event is named and tried again. No other projection waits.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{PgConnection, PgPool};

use super::batch::Batch;
use super::tables::Declaration;
use super::{ProjectionError, book, checkpoint, rows};
use clearfold_base::faults;
use clearfold_base::telemetry::with_causes;
use clearfold_bus::{StoredEvent, Subscription};
use clearfold_sandbox::{Change, Projector};

/// How a projection is run.
#[derive(Debug, Clone, Copy)]
pub struct RunnerSettings {
    /// Events that are projected and committed together at the most.
    pub batch_size: u32,
    /// How long to wait before a failed batch is tried again.
    pub retry_ms: u64,
}

/// A component, the tables that it fills, and how far it has come.
pub(super) struct Filling {
    pub projector: Arc<Projector>,
    pub declaration: Declaration,
    pub pool: PgPool,
    /// One a partition.
    pub positions: Vec<u64>,
}

impl Filling {
    /// Finds the checkpoints.
    pub async fn load(
        projector: Arc<Projector>,
        declaration: Declaration,
        pool: PgPool,
        partitions: u32,
    ) -> Result<Self, ProjectionError> {
        let positions = checkpoint::load(&pool, &declaration.schema, partitions).await?;
        Ok(Self { projector, declaration, pool, positions })
    }

    /// After a failure the database knows better how far it came: a commit may have succeeded unheard.
    pub async fn reload(&mut self) {
        let partitions = u32::try_from(self.positions.len()).unwrap_or(u32::MAX);
        if let Ok(positions) = checkpoint::load(&self.pool, &self.declaration.schema, partitions).await {
            self.positions = positions;
        }
    }

    /// Where it stands in a partition.
    pub fn position(&self, partition: u32) -> u64 {
        let index = usize::try_from(partition).unwrap_or(usize::MAX);
        self.positions.get(index).copied().unwrap_or(0)
    }

    pub fn moved(&mut self, partition: u32, to: u64) {
        let index = usize::try_from(partition).unwrap_or(usize::MAX);
        if let Some(position) = self.positions.get_mut(index) {
            *position = to;
        }
    }

    /// Projects events of one partition, or as many of the first ones as can be. Says how many.
    pub async fn advance(
        &mut self,
        partition: u32,
        events: &[StoredEvent],
        passed: Passed,
    ) -> Result<usize, ProjectionError> {
        // On a failure the smaller and smaller head of the batch is tried, down to the one event that fails.
        let mut count = events.len();
        loop {
            match self.project(partition, &events[..count], passed).await {
                Ok(()) => return Ok(count),
                Err(error) if error.is_of_one_event() && count > 1 => {
                    tracing::warn!(error = %with_causes(&error), events = count, "a batch failed; trying its first half");
                    count = count.div_ceil(2);
                }
                Err(error) if error.is_of_one_event() => return Err(self.at(events, error)),
                Err(error) => return Err(error),
            }
        }
    }

    /// The same error with the event that it is about.
    fn at(&self, events: &[StoredEvent], cause: ProjectionError) -> ProjectionError {
        let Some(event) = events.first() else { return cause };
        tracing::error!(
            component = %self.projector.id(),
            partition = event.partition,
            position = event.position,
            stream = event.stream,
            stream_version = event.stream_version,
            kind = event.kind,
            "this event could not be projected"
        );
        ProjectionError::AtEvent {
            partition: event.partition,
            position: event.position,
            kind: event.kind.clone(),
            stream: event.stream.clone(),
            cause: Box::new(cause),
        }
    }

    async fn project(
        &mut self,
        partition: u32,
        events: &[StoredEvent],
        passed: Passed,
    ) -> Result<(), ProjectionError> {
        let Some(last) = events.last() else { return Ok(()) };
        let (projector, schema) = (&self.projector, self.declaration.schema.as_str());
        let batch = Batch::new(projector, events);
        let keys = batch.keys().await?;
        // No connection is kept while the component works.
        let rows = rows::fetch(&mut *self.pool.acquire().await?, schema, projector, keys).await?;
        let changes = batch.changes(rows).await?;
        let mut transaction = self.pool.begin().await?;
        book::hold(&mut transaction, &self.declaration).await?;
        self.write(&mut transaction, partition, last.position, changes).await?;
        faults::point(passed.before);
        transaction.commit().await?;
        faults::point(passed.after);
        self.moved(partition, last.position);
        Ok(())
    }

    /// Projects events in a transaction of the caller's, who holds the tables. Where this filling stands is not
    /// changed: the transaction may fail.
    pub async fn project_in(
        &self,
        transaction: &mut PgConnection,
        partition: u32,
        events: &[StoredEvent],
    ) -> Result<(), ProjectionError> {
        let Some(last) = events.last() else { return Ok(()) };
        let (projector, schema) = (&self.projector, self.declaration.schema.as_str());
        let batch = Batch::new(projector, events);
        let rows = rows::fetch(&mut *transaction, schema, projector, batch.keys().await?).await?;
        let changes = batch.changes(rows).await?;
        self.write(transaction, partition, last.position, changes).await
    }

    /// Rows and checkpoint, together.
    async fn write(
        &self,
        transaction: &mut PgConnection,
        partition: u32,
        to: u64,
        changes: Vec<Change>,
    ) -> Result<(), ProjectionError> {
        let (schema, from) = (self.declaration.schema.as_str(), self.position(partition));
        checkpoint::advance(transaction, schema, partition, from, to).await?;
        rows::apply(transaction, schema, &self.projector, changes).await
    }
}

/// The fault points that a batch passes.
#[derive(Clone, Copy)]
pub(super) struct Passed {
    pub before: &'static str,
    pub after: &'static str,
}

/// A projection whose tables are read, kept up with the log.
pub(super) struct Runner {
    filling: Filling,
    subscription: Subscription,
    settings: RunnerSettings,
}

/// Why a projection ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The tables are another component's now.
    Replaced,
    /// There will be no more events.
    NoBus,
}

impl Runner {
    pub fn new(filling: Filling, subscription: Subscription, settings: RunnerSettings) -> Self {
        Self { filling, subscription, settings }
    }

    /// Projects until there is nothing left to do it with. Dropping it at any moment is harmless.
    pub async fn run(mut self) -> Ended {
        loop {
            match self.step().await {
                Ok(true) => {}
                Ok(false) => return Ended::NoBus,
                Err(ProjectionError::Replaced { .. }) => return Ended::Replaced,
                Err(error) => {
                    let projection = &self.filling.declaration.projection;
                    tracing::error!(%projection, error = %with_causes(&error), "projection stopped here; trying again");
                    tokio::time::sleep(Duration::from_millis(self.settings.retry_ms)).await;
                    self.filling.reload().await;
                }
            }
        }
    }

    /// Waits for a batch and projects it. False: there will be no more.
    async fn step(&mut self) -> Result<bool, ProjectionError> {
        let next = self.subscription.next(&self.filling.positions, self.settings.batch_size).await?;
        let Some(batch) = next else { return Ok(false) };
        let passed = Passed { before: "before_projection", after: "projected" };
        let done = self.filling.advance(batch.partition, &batch.events, passed).await?;
        for event in batch.events.iter().take(done) {
            tracing::info!(correlation_id = %event.correlation_id, stream = event.stream, kind = event.kind, "projected");
        }
        Ok(true)
    }
}
