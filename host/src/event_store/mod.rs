//! The log: appends with an expected version, reads in order, and the inbox that is written with it.
//!
//! There is one append path, and it checks every version that it builds on. Payloads are bytes here. This
//! module never decides anything and never calls a component.

mod append;
mod event;
mod identity;
mod inbox;
mod read;
mod schema;

pub use append::{Append, InboxEntry, StreamAppend};
pub use event::{NewEvent, StoredEvent};
pub(crate) use event::{database_time, timestamp};
pub use identity::{command_id, event_id};
pub use inbox::Answered;
pub use read::StreamHead;
pub use schema::{MigrateReport, SchemaError, SchemaState, Store, check_schema, connect, migrate};

use std::sync::Arc;

use sqlx::PgPool;
use tokio::sync::Notify;

/// The write store.
#[derive(Clone)]
pub struct EventStore {
    pool: PgPool,
    partition_count: u32,
    appended: Arc<Notify>,
}

/// Why the store did not do what was asked. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another writer moved a stream or the partition's head first.
    #[error("another writer appended to partition {partition} first")]
    Conflict { partition: u32 },
    /// The database is away or refused.
    #[error("the database did not answer")]
    Database(#[from] sqlx::Error),
    /// The database holds what this code cannot have written.
    #[error("the database holds what cannot be read: {0}")]
    Corrupt(String),
}

impl EventStore {
    /// Opens the log that `migrate` laid out.
    pub async fn open(pool: PgPool) -> Result<Self, StoreError> {
        let partitions = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM partitions"#);
        let count = partitions.fetch_one(&pool).await?;
        let partition_count = u32::try_from(count).unwrap_or(0);
        if partition_count == 0 {
            return Err(StoreError::Corrupt("the log has no partitions; run `clearfold migrate`".to_owned()));
        }
        Ok(Self { pool, partition_count, appended: Arc::new(Notify::new()) })
    }

    /// In how many parts the log is written.
    #[must_use]
    pub fn partition_count(&self) -> u32 {
        self.partition_count
    }

    /// Rings after every append of this process. A hint: who listens must look by itself now and then.
    #[must_use]
    pub fn appended(&self) -> &Notify {
        &self.appended
    }

    /// The pool, for the tables of others in the same database.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }
}

/// Numbers of rows, positions and versions are never negative; the database checks it.
pub(crate) fn unsigned(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| StoreError::Corrupt(format!("{number} where no number is below zero")))
}

/// 63 bits of positions outlast every disk.
pub(crate) fn signed(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::Corrupt(format!("{number} does not fit a bigint")))
}

/// A partition's number as the database writes it.
pub(crate) fn partition_key(partition: u32) -> Result<i32, StoreError> {
    i32::try_from(partition).map_err(|_| StoreError::Corrupt(format!("partition {partition}")))
}
