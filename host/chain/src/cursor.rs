//! The chain cursor and the dead letters of the blocks up to it, kept together.

use clearfold_kernel::Timestamp;
use sqlx::PgPool;

use clearfold_base::database::{DatabaseError, database_time, signed, unsigned, with_time_out};

/// Position of the listener: the last block that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ChainCursor {
    pub block_number: u64,
    pub block_hash: [u8; 32],
}

/// A log that could not become a payment, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DeadLetter {
    pub identity: String,
    pub block_number: u64,
    pub block_hash: Vec<u8>,
    pub transaction_hash: Vec<u8>,
    pub log_index: u64,
    pub code: String,
    pub detail: String,
}

/// Loads the cursor. `None` if no block has been read.
pub(super) async fn load(pool: &PgPool, chain_id: u64) -> Result<Option<ChainCursor>, DatabaseError> {
    let row = sqlx::query!(
        "SELECT block_number, block_hash FROM chain_cursor WHERE chain_id = $1",
        signed(chain_id)?
    );
    let row = with_time_out(async { Ok::<_, DatabaseError>(row.fetch_optional(pool).await?) }).await?;
    let Some(row) = row else { return Ok(None) };
    let block_hash = row.block_hash.as_slice().try_into();
    let block_hash =
        block_hash.map_err(|_| DatabaseError::Corrupt("a cursor without a block hash".to_owned()))?;
    Ok(Some(ChainCursor { block_number: unsigned(row.block_number)?, block_hash }))
}

/// Moves the cursor and keeps the dead letters of the range, in one transaction. A letter that is already kept stays
/// unchanged.
pub(super) async fn advance(
    pool: &PgPool,
    chain_id: u64,
    cursor: &ChainCursor,
    dead_letters: &[DeadLetter],
    now: Timestamp,
) -> Result<(), DatabaseError> {
    with_time_out(advance_together(pool, chain_id, cursor, dead_letters, now)).await
}

async fn advance_together(
    pool: &PgPool,
    chain_id: u64,
    cursor: &ChainCursor,
    dead_letters: &[DeadLetter],
    now: Timestamp,
) -> Result<(), DatabaseError> {
    let (chain_id, now) = (signed(chain_id)?, database_time(now)?);
    let mut transaction = pool.begin().await?;
    for letter in dead_letters {
        let kept = sqlx::query!(
            "INSERT INTO dead_letters (identity, chain_id, block_number, block_hash, transaction_hash, log_index,
                                       code, detail, recorded_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (identity) DO NOTHING",
            letter.identity,
            chain_id,
            signed(letter.block_number)?,
            letter.block_hash,
            letter.transaction_hash,
            signed(letter.log_index)?,
            letter.code,
            letter.detail,
            now,
        );
        kept.execute(&mut *transaction).await?;
    }
    let moved = sqlx::query!(
        "INSERT INTO chain_cursor (chain_id, block_number, block_hash, updated_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (chain_id) DO UPDATE
         SET block_number = EXCLUDED.block_number, block_hash = EXCLUDED.block_hash, updated_at = EXCLUDED.updated_at",
        chain_id,
        signed(cursor.block_number)?,
        &cursor.block_hash[..],
        now,
    );
    moved.execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(())
}
