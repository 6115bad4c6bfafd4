//! Writes one set of tables: has events projected, and commits rows and checkpoint together.
//!
//! A batch holds events of one or more partitions. If a projector fails on an event, the batch is cut in halves until
//! the event is found; the events before it are committed. Events of a partition are taken in order and without a gap,
//! or not at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::{Connection, PgConnection, PgPool};

use super::batch::EventBatch;
use super::rows::{CheckpointMove, Written};
use super::tables::Declaration;
use super::{ProjectionError, book, checkpoint, rows};
use clearfold_base::database::{connect_to_project, partition_index};
use clearfold_base::faults;
use clearfold_base::telemetry::with_causes;
use clearfold_bus::StoredEvent;
use clearfold_sandbox::{Change, Projector};

/// A component, the tables that it writes, and its checkpoint.
pub(super) struct TableWriter {
    pub projector: Arc<Projector>,
    pub declaration: Declaration,
    pub pool: PgPool,
    pub partitions: u32,
    /// Checkpoint: one position for each partition.
    positions: Vec<u64>,
    /// Connection of the batches, on which their statements are prepared. One on which a statement failed or was cut off
    /// is not used again.
    connection: Option<PgConnection>,
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
        Ok(Self { projector, declaration, pool, partitions, positions, connection: None })
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

    /// Projects events, or as many of the first ones as can be. Returns their number.
    pub async fn advance(
        &mut self,
        events: &[Arc<StoredEvent>],
        points: FaultPoints,
    ) -> Result<usize, ProjectionError> {
        // After a failure a smaller and smaller head of the batch is tried, down to the one event that fails.
        let mut count = events.len();
        loop {
            match self.project(&events[..count], points).await {
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
        events: &[Arc<StoredEvent>],
        points: FaultPoints,
    ) -> Result<(), ProjectionError> {
        let moves = self.moves(events)?;
        if moves.is_empty() {
            return Ok(());
        }
        loop {
            match self.try_project(events, &moves, points).await {
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
        for CheckpointMove { partition, to, .. } in moves {
            let unknown = self.unknown(partition);
            *self.positions.get_mut(partition_index(partition)).ok_or(unknown)? = to;
        }
        Ok(())
    }

    /// Waits until nobody holds the tables' row in the book. Fails if they belong to another component then.
    async fn expect_own(&self) -> Result<(), ProjectionError> {
        let mut transaction = self.pool.begin().await?;
        book::hold(&mut transaction, &self.declaration).await?;
        Ok(transaction.rollback().await?)
    }

    /// Projects events that make these moves. Returns false, and writes nothing, if the tables' row in the book is taken.
    async fn try_project(
        &mut self,
        events: &[Arc<StoredEvent>],
        moves: &[CheckpointMove],
        points: FaultPoints,
    ) -> Result<bool, ProjectionError> {
        let batch = EventBatch::new(&self.projector, events);
        let keys = batch.keys().await?;
        let mut connection = self.connection().await?;
        let rows = rows::fetch(&mut connection, &self.declaration.schema, &self.projector, keys).await?;
        self.connection = Some(connection);
        let changes = batch.changes(rows).await?;
        faults::point(points.before);
        let mut connection = self.connection().await?;
        let mut transaction = connection.begin().await?;
        let is_written = self.write(&mut transaction, moves, changes).await?;
        if is_written {
            transaction.commit().await?;
        } else {
            transaction.rollback().await?;
        }
        self.connection = Some(connection);
        Ok(is_written)
    }

    /// Takes the connection of the batches, or opens one.
    async fn connection(&mut self) -> Result<PgConnection, ProjectionError> {
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => Ok(connect_to_project(&self.pool).await?),
        }
    }

    /// Projects events of one partition, which end at `up_to`, in the caller's transaction, which holds the tables. The
    /// checkpoint in memory stays unchanged, because the transaction may fail.
    pub async fn project_in(
        &self,
        transaction: &mut PgConnection,
        partition: u32,
        events: &[Arc<StoredEvent>],
        up_to: u64,
    ) -> Result<(), ProjectionError> {
        let moves = self.moves(events)?;
        if !moves.iter().any(|step| (step.partition, step.to) == (partition, up_to)) {
            return Err(self.gap(partition, up_to, events.last()));
        }
        let batch = EventBatch::new(&self.projector, events);
        let schema = self.declaration.schema.as_str();
        let rows = rows::fetch(&mut *transaction, schema, &self.projector, batch.keys().await?).await?;
        let changes = batch.changes(rows).await?;
        let is_written = self.write(transaction, &moves, changes).await?;
        if is_written { Ok(()) } else { Err(self.declaration.replaced()) }
    }

    /// Returns the moves of the checkpoint over events, if they follow it without a gap: events that are missed now are
    /// never projected.
    fn moves(&self, events: &[Arc<StoredEvent>]) -> Result<Vec<CheckpointMove>, ProjectionError> {
        let places = events.iter().map(|event| (event.partition, event.position));
        moves(&self.positions, places).map_err(|misplaced| match misplaced {
            Misplaced::UnknownPartition { partition } => self.unknown(partition),
            Misplaced::Gap { index, partition, expected } => self.gap(partition, expected, events.get(index)),
        })
    }

    fn gap(&self, partition: u32, expected: u64, found: Option<&Arc<StoredEvent>>) -> ProjectionError {
        let found = match found {
            Some(event) => format!("event {} of partition {}", event.position, event.partition),
            None => "nothing".to_owned(),
        };
        ProjectionError::Gap { projection: self.declaration.projection.clone(), partition, expected, found }
    }

    /// Writes rows and checkpoint in the caller's transaction. Returns false if the tables' row in the book is taken; the
    /// transaction must be rolled back then, and after an error.
    async fn write(
        &self,
        transaction: &mut PgConnection,
        moves: &[CheckpointMove],
        changes: Vec<Change>,
    ) -> Result<bool, ProjectionError> {
        let (tables, projector) = (&self.declaration, &self.projector);
        match rows::write(transaction, tables, projector, moves, changes).await? {
            Written::Done => Ok(true),
            Written::NotHeld => Ok(false),
            Written::Overtaken { partition } => {
                Err(ProjectionError::Overtaken { projection: tables.projection.clone(), partition })
            }
        }
    }
}

/// Event that a checkpoint cannot move over.
#[derive(Debug, PartialEq, Eq)]
enum Misplaced {
    UnknownPartition {
        partition: u32,
    },
    /// It does not follow the one before in its partition.
    Gap {
        index: usize,
        partition: u32,
        expected: u64,
    },
}

/// Returns the moves of a checkpoint over events at these places, by partition.
fn moves(
    positions: &[u64],
    places: impl IntoIterator<Item = (u32, u64)>,
) -> Result<Vec<CheckpointMove>, Misplaced> {
    let mut moves: BTreeMap<u32, CheckpointMove> = BTreeMap::new();
    for (index, (partition, position)) in places.into_iter().enumerate() {
        let from =
            *positions.get(partition_index(partition)).ok_or(Misplaced::UnknownPartition { partition })?;
        let step = moves.entry(partition).or_insert(CheckpointMove { partition, from, to: from });
        // Positions have 63 bits.
        let expected = step.to.saturating_add(1);
        if position != expected {
            return Err(Misplaced::Gap { index, partition, expected });
        }
        step.to = position;
    }
    Ok(moves.into_values().collect())
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
    use super::*;

    fn moved(places: &[(u32, u64)]) -> Result<Vec<(u32, u64, u64)>, Misplaced> {
        let moves = moves(&[10, 0, 5], places.iter().copied())?;
        Ok(moves.into_iter().map(|CheckpointMove { partition, from, to }| (partition, from, to)).collect())
    }

    #[test]
    fn a_checkpoint_moves_over_the_events_of_each_partition() {
        assert_eq!(moved(&[]), Ok(vec![]));
        assert_eq!(moved(&[(2, 6), (2, 7), (0, 11)]), Ok(vec![(0, 10, 11), (2, 5, 7)]));
    }

    #[test]
    fn the_first_event_that_does_not_follow_is_found() {
        let gap = |index, partition, expected| Err(Misplaced::Gap { index, partition, expected });
        assert_eq!(moved(&[(0, 12)]), gap(0, 0, 11));
        assert_eq!(moved(&[(2, 6), (0, 11), (0, 13)]), gap(2, 0, 12));
        assert_eq!(moved(&[(0, 11), (2, 6), (0, 11)]), gap(2, 0, 12));
        assert_eq!(moved(&[(1, 11)]), gap(0, 1, 1));
        assert_eq!(moved(&[(0, 11), (3, 1)]), Err(Misplaced::UnknownPartition { partition: 3 }));
    }
}
