//! Checkpoint of a projection: one position for each partition.

use sqlx::PgExecutor;

use super::ProjectionError;
use clearfold_base::database::{DatabaseError, partition_index, partition_number, unsigned};

/// Loads the positions of the tables in a schema, by partition; partitions without events are at 0.
pub(super) async fn load(
    store: impl PgExecutor<'_>,
    schema: &str,
    partitions: u32,
) -> Result<Vec<u64>, ProjectionError> {
    let mut positions = vec![0; partition_index(partitions)];
    let rows =
        sqlx::query!("SELECT partition, position FROM projection_checkpoints WHERE projection = $1", schema);
    for row in rows.fetch_all(store).await? {
        let partition = partition_number(row.partition)?;
        let position = positions.get_mut(partition_index(partition)).ok_or_else(|| {
            DatabaseError::Corrupt(format!("a checkpoint of partition {partition} of a log of {partitions}"))
        })?;
        *position = unsigned(row.position)?;
    }
    Ok(positions)
}

/// Refuses a read store that is ahead of the log: it was built from another one.
pub(super) fn check_against(positions: &[u64], heads: &[u64]) -> Result<(), ProjectionError> {
    if positions.len() != heads.len() {
        return Err(ProjectionError::OtherPartitions { checkpoint: positions.len(), log: heads.len() });
    }
    for ((partition, position), head) in (0..).zip(positions).zip(heads) {
        if position > head {
            return Err(ProjectionError::Ahead { partition, position: *position, head: *head });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_fits_its_log_or_is_refused() {
        assert!(check_against(&[3, 0], &[3, 5]).is_ok());
        let ahead = check_against(&[3, 6], &[3, 5]);
        assert!(matches!(ahead, Err(ProjectionError::Ahead { partition: 1, position: 6, head: 5 })));
        let other = check_against(&[3], &[3, 5]);
        assert!(matches!(other, Err(ProjectionError::OtherPartitions { checkpoint: 1, log: 2 })));
    }
}
