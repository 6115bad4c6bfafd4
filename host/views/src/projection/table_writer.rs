//! Writes one set of tables: has events projected, and commits rows and checkpoint together.
//!
//! If a projector fails on an event, the batch is cut in halves until the event is found; the events before it are
//! committed. Events are taken in order and without a gap, or not at all.

use std::sync::Arc;

use sqlx::{PgConnection, PgPool};

use super::batch::EventBatch;
use super::rows::{CheckpointMove, Written};
use super::tables::Declaration;
use super::{ProjectionError, book, checkpoint, rows};
use clearfold_base::database::partition_index;
use clearfold_base::faults;
use clearfold_base::telemetry::with_causes;
use clearfold_bus::{EventPage, StoredEvent};
use clearfold_sandbox::{Change, Projector};

/// A component, the tables that it writes, and its checkpoint.
pub(super) struct TableWriter {
    pub projector: Arc<Projector>,
    pub declaration: Declaration,
    pub pool: PgPool,
    pub partitions: u32,
    /// Checkpoint: one position for each partition.
    positions: Vec<u64>,
}

/// Names of the fault points that a batch passes before and after its commit.
#[derive(Clone, Copy)]
pub(super) struct FaultPoints {
    pub before: &'static str,
    pub after: &'static str,
}

impl TableWriter {
    /// Loads the checkpoint.
    pub async fn load(
        projector: Arc<Projector>,
        declaration: Declaration,
        pool: PgPool,
        partitions: u32,
    ) -> Result<Self, ProjectionError> {
        let positions = checkpoint::load(&pool, &declaration.schema, partitions).await?;
        Ok(Self { projector, declaration, pool, partitions, positions })
    }

    /// Loads the checkpoint again after a failure: a commit may have succeeded unheard.
    pub async fn reload(&mut self) -> Result<(), ProjectionError> {
        self.positions = checkpoint::load(&self.pool, &self.declaration.schema, self.partitions).await?;
        Ok(())
    }

    /// Checkpoint: one position for each partition.
    pub fn positions(&self) -> &[u64] {
        &self.positions
    }

    /// Checkpoint of one partition.
    pub fn position(&self, partition: u32) -> Result<u64, ProjectionError> {
        let position = self.positions.get(partition_index(partition)).copied();
        position.ok_or_else(|| self.unknown(partition))
    }

    fn unknown(&self, partition: u32) -> ProjectionError {
        // One more than an index of a list of partitions.
        let log = partition_index(partition).saturating_add(1);
        ProjectionError::OtherPartitions { checkpoint: self.positions.len(), log }
    }

    /// Projects the events of a page, or as many of the first ones as can be. Returns their number.
    pub async fn advance(&mut self, page: &EventPage, points: FaultPoints) -> Result<usize, ProjectionError> {
        let EventPage { partition, events } = page;
        // After a failure a smaller and smaller head of the batch is tried, down to the one event that fails.
        let mut count = events.len();
        loop {
            match self.project(*partition, &events[..count], points).await {
                Ok(()) => return Ok(count),
                Err(error) if error.is_of_one_event() && count > 1 => {
                    tracing::warn!(error = %with_causes(&error), events = count, "a batch failed; trying its first half");
                    count = count.div_ceil(2);
                }
                Err(error) if error.is_of_one_event() => return Err(at(events, error)),
                Err(error) => return Err(error),
            }
        }
    }

    async fn project(
        &mut self,
        partition: u32,
        events: &[Arc<StoredEvent>],
        points: FaultPoints,
    ) -> Result<(), ProjectionError> {
        let Some(last) = self.last_of(partition, events)? else { return Ok(()) };
        loop {
            match self.try_project(partition, events, last, points).await {
                Ok(true) => break,
                // Somebody is giving the tables to another component, or away, or has thought better of it.
                Ok(false) => self.expect_own().await?,
                Err(error @ ProjectionError::Database(_)) => {
                    // A statement cannot name tables that are gone, so it fails before it looks into the book.
                    self.expect_own().await?;
                    return Err(error);
                }
                Err(error) => return Err(error),
            }
        }
        faults::point(points.after);
        let unknown = self.unknown(partition);
        *self.positions.get_mut(partition_index(partition)).ok_or(unknown)? = last;
        Ok(())
    }

    /// Waits until nobody holds the tables' row in the book. Fails if they belong to another component then.
    async fn expect_own(&self) -> Result<(), ProjectionError> {
        let mut transaction = self.pool.begin().await?;
        book::hold(&mut transaction, &self.declaration).await?;
        Ok(transaction.rollback().await?)
    }

    /// Projects events that end at a position. Returns false, and writes nothing, if the tables' row in the book is
    /// taken.
    async fn try_project(
        &self,
        partition: u32,
        events: &[Arc<StoredEvent>],
        last: u64,
        points: FaultPoints,
    ) -> Result<bool, ProjectionError> {
        let (projector, schema) = (&self.projector, self.declaration.schema.as_str());
        let batch = EventBatch::new(projector, events);
        let keys = batch.keys().await?;
        // No connection is kept while the component works.
        let rows = rows::fetch(&mut *self.pool.acquire().await?, schema, projector, keys).await?;
        let changes = batch.changes(rows).await?;
        faults::point(points.before);
        self.write(&mut *self.pool.acquire().await?, partition, last, changes).await
    }

    /// Projects all events of a page, which end at `up_to`, in the caller's transaction, which holds the tables. The
    /// checkpoint in memory stays unchanged, because the transaction may fail.
    pub async fn project_in(
        &self,
        transaction: &mut PgConnection,
        page: &EventPage,
        up_to: u64,
    ) -> Result<(), ProjectionError> {
        let EventPage { partition, events } = page;
        let last = self.last_of(*partition, events)?.filter(|last| *last == up_to);
        let last = last.ok_or_else(|| self.gap(*partition, up_to, events.last()))?;
        let (projector, schema) = (&self.projector, self.declaration.schema.as_str());
        let batch = EventBatch::new(projector, events);
        let rows = rows::fetch(&mut *transaction, schema, projector, batch.keys().await?).await?;
        let changes = batch.changes(rows).await?;
        let is_written = self.write(transaction, *partition, last, changes).await?;
        if is_written { Ok(()) } else { Err(self.declaration.replaced()) }
    }

    /// Returns the position of the last event, if they follow the checkpoint without a gap: events that are missed now
    /// are never projected.
    fn last_of(&self, partition: u32, events: &[Arc<StoredEvent>]) -> Result<Option<u64>, ProjectionError> {
        let after = self.position(partition)?;
        let places = events.iter().map(|event| (event.partition, event.position));
        match first_gap(partition, after, places) {
            None => Ok(events.last().map(|event| event.position)),
            Some((index, expected)) => Err(self.gap(partition, expected, events.get(index))),
        }
    }

    fn gap(&self, partition: u32, expected: u64, found: Option<&Arc<StoredEvent>>) -> ProjectionError {
        let found = match found {
            Some(event) => format!("event {} of partition {}", event.position, event.partition),
            None => "nothing".to_owned(),
        };
        ProjectionError::Gap { projection: self.declaration.projection.clone(), partition, expected, found }
    }

    /// Writes rows and checkpoint together. Returns false, and writes nothing, if the tables' row in the book is taken.
    async fn write(
        &self,
        connection: &mut PgConnection,
        partition: u32,
        to: u64,
        changes: Vec<Change>,
    ) -> Result<bool, ProjectionError> {
        let (tables, projector) = (&self.declaration, &self.projector);
        let step = CheckpointMove { partition, from: self.position(partition)?, to };
        match rows::write(connection, tables, projector, step, changes).await? {
            Written::Done => Ok(true),
            Written::NotHeld => Ok(false),
            Written::Overtaken => {
                Err(ProjectionError::Overtaken { projection: tables.projection.clone(), partition })
            }
        }
    }
}

/// Finds the first event that does not follow the one before: its index, and the position expected there.
fn first_gap(
    partition: u32,
    after: u64,
    places: impl IntoIterator<Item = (u32, u64)>,
) -> Option<(usize, u64)> {
    let mut expected = (after..).skip(1).zip(places).enumerate();
    expected
        .find(|(_, (position, place))| *place != (partition, *position))
        .map(|(index, (position, _))| (index, position))
}

/// The same error with the event that it is about.
fn at(events: &[Arc<StoredEvent>], cause: ProjectionError) -> ProjectionError {
    let Some(event) = events.first() else { return cause };
    ProjectionError::AtEvent {
        partition: event.partition,
        position: event.position,
        kind: event.kind.clone(),
        stream: event.stream.clone(),
        cause: Box::new(cause),
    }
}

#[cfg(test)]
mod tests {
    use super::first_gap;

    #[test]
    fn the_first_event_that_does_not_follow_is_found() {
        assert_eq!(first_gap(3, 10, []), None);
        assert_eq!(first_gap(3, 10, [(3, 11), (3, 12)]), None);
        assert_eq!(first_gap(3, 10, [(3, 12)]), Some((0, 11)));
        assert_eq!(first_gap(3, 10, [(3, 11), (3, 13)]), Some((1, 12)));
        assert_eq!(first_gap(3, 10, [(3, 11), (3, 11)]), Some((1, 12)));
        assert_eq!(first_gap(3, 10, [(4, 11)]), Some((0, 11)));
    }
}
