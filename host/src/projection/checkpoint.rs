//! How far a projection has come, one position a partition.

use sqlx::{PgPool, Postgres, Transaction};

use super::ProjectionError;
use crate::database::{partition_key, signed, unsigned};

/// All positions of a projection, by partition; partitions without events are at 0.
pub(super) async fn load(
    pool: &PgPool,
    projection: &str,
    partitions: u32,
) -> Result<Vec<u64>, ProjectionError> {
    let mut positions = vec![0; usize::try_from(partitions).unwrap_or(0)];
    let rows = sqlx::query!(
        "SELECT partition, position FROM projection_checkpoints WHERE projection = $1",
        projection
    );
    for row in rows.fetch_all(pool).await? {
        let index = usize::try_from(row.partition).unwrap_or(usize::MAX);
        if let Some(position) = positions.get_mut(index) {
            *position = unsigned(row.position)?;
        }
    }
    Ok(positions)
}

/// Moves the checkpoint from where it was believed to be, or fails: then another process has moved it.
pub(super) async fn advance(
    transaction: &mut Transaction<'_, Postgres>,
    projection: &str,
    partition: u32,
    from: u64,
    to: u64,
) -> Result<(), ProjectionError> {
    let moved = sqlx::query!(
        "INSERT INTO projection_checkpoints AS checkpoint (projection, partition, position)
         VALUES ($1, $2, $4)
         ON CONFLICT (projection, partition) DO UPDATE SET position = $4 WHERE checkpoint.position = $3",
        projection,
        partition_key(partition)?,
        signed(from)?,
        signed(to)?,
    );
    let moved = moved.execute(&mut **transaction).await?.rows_affected();
    if moved == 1 {
        Ok(())
    } else {
        Err(ProjectionError::Overtaken { projection: projection.to_owned(), partition })
    }
}
