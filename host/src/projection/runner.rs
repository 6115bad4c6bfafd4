//! Runs one projection: takes batches from the bus, has them projected, commits rows and checkpoint together.
//!
//! A projector that fails on an event stops its projection there: the batch is cut in halves until the event is
//! found, everything before it is committed, and the event is named and tried again. No other projection waits.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::tables::Declaration;
use super::{ProjectionError, batch, checkpoint, rows};
use crate::bus::{Bus, StoredEvent, Subscription};
use crate::clock::Clock;
use crate::faults;
use crate::runtime::Projector;
use crate::telemetry::chain;

/// How a projection is run.
#[derive(Debug, Clone, Copy)]
pub struct RunnerSettings {
    /// Events that are projected and committed together at the most.
    pub batch_size: u32,
    /// How long to wait before a failed batch is tried again.
    pub retry_ms: u64,
}

/// A projection that is ready to run.
pub struct Runner {
    projector: Arc<Projector>,
    declaration: Declaration,
    pool: PgPool,
    subscription: Subscription,
    /// One a partition.
    positions: Vec<u64>,
    settings: RunnerSettings,
}

impl Runner {
    /// Makes the projection's tables if needed, and finds its checkpoints.
    pub async fn prepare(
        projector: Arc<Projector>,
        pool: PgPool,
        bus: &Bus,
        partitions: u32,
        clock: &Clock,
        settings: RunnerSettings,
    ) -> Result<Self, ProjectionError> {
        let descriptor = projector.descriptor();
        let declaration = Declaration::of(descriptor);
        if declaration.prepare(&pool, clock.now()).await? {
            tracing::info!(
                projection = descriptor.name,
                version = descriptor.version,
                "tables made; building them from the first event"
            );
        }
        let positions = checkpoint::load(&pool, &descriptor.name, partitions).await?;
        Ok(Self { projector, declaration, pool, subscription: bus.subscribe(), positions, settings })
    }

    /// Refuses a read store that knows more than the log: it was built from another one.
    pub fn check_against(&self, heads: &[u64]) -> Result<(), ProjectionError> {
        for ((partition, position), head) in (0..).zip(&self.positions).zip(heads) {
            if position > head {
                return Err(ProjectionError::Ahead { partition, position: *position, head: *head });
            }
        }
        Ok(())
    }

    /// Projects until it is told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let step = tokio::select! {
                step = self.step() => step,
                () = stop.cancelled() => return,
            };
            match step {
                Ok(true) => {}
                Ok(false) => return,
                Err(error @ ProjectionError::Replaced { .. }) => {
                    tracing::error!(error = %chain(&error), "projection ended");
                    stop.cancelled().await;
                    return;
                }
                Err(error) => {
                    let projection = &self.projector.descriptor().name;
                    tracing::error!(%projection, error = %chain(&error), "projection stopped here; trying again");
                    tokio::select! {
                        () = tokio::time::sleep(Duration::from_millis(self.settings.retry_ms)) => {}
                        () = stop.cancelled() => return,
                    }
                    self.reload().await;
                }
            }
        }
    }

    /// After a failure the database knows better how far it came: a commit may have succeeded unheard.
    async fn reload(&mut self) {
        let partitions = u32::try_from(self.positions.len()).unwrap_or(u32::MAX);
        if let Ok(positions) =
            checkpoint::load(&self.pool, &self.projector.descriptor().name, partitions).await
        {
            self.positions = positions;
        }
    }

    /// Waits for a batch and projects it. False: there will be no more.
    async fn step(&mut self) -> Result<bool, ProjectionError> {
        let next = self.subscription.next(&self.positions, self.settings.batch_size).await?;
        let Some(batch) = next else { return Ok(false) };
        // On a failure the smaller and smaller head of the batch is tried, down to the one event that fails.
        let mut count = batch.events.len();
        loop {
            match self.project(batch.partition, &batch.events[..count]).await {
                Ok(()) => return Ok(true),
                Err(error) if error.is_of_one_event() && count > 1 => {
                    tracing::warn!(error = %chain(&error), events = count, "a batch failed; trying its first half");
                    count = count.div_ceil(2);
                }
                Err(error) => {
                    if let Some(event) = batch.events.first().filter(|_| error.is_of_one_event()) {
                        tracing::error!(
                            partition = event.partition,
                            position = event.position,
                            stream = event.stream,
                            stream_version = event.stream_version,
                            kind = event.kind,
                            "this event could not be projected"
                        );
                    }
                    return Err(error);
                }
            }
        }
    }

    async fn project(&mut self, partition: u32, events: &[StoredEvent]) -> Result<(), ProjectionError> {
        let Some(last) = events.last() else { return Ok(()) };
        let index = usize::try_from(partition).unwrap_or(usize::MAX);
        let from = self.positions.get(index).copied().unwrap_or(0);
        let fetch = |keys| rows::fetch(&self.pool, &self.projector, keys);
        let changes = batch::changes(&self.projector, events, fetch).await?;

        let mut transaction = self.pool.begin().await?;
        self.declaration.hold(&mut transaction).await?;
        checkpoint::advance(
            &mut transaction,
            &self.projector.descriptor().name,
            partition,
            from,
            last.position,
        )
        .await?;
        rows::apply(&mut transaction, &self.projector, changes).await?;
        faults::point("before_projection");
        transaction.commit().await?;
        faults::point("projected");
        if let Some(position) = self.positions.get_mut(index) {
            *position = last.position;
        }
        for event in events {
            tracing::info!(correlation_id = %event.correlation_id, stream = event.stream, kind = event.kind, "projected");
        }
        Ok(())
    }
}
