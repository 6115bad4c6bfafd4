//! The log: appends with an expected version, reads in order, and the inbox that is written with it.
//!
//! There is one append path, and it checks every version that it builds on. Payloads are bytes here. This
//! module never decides anything and never calls a component.

mod append;
mod event;
mod identity;
mod inbox;
mod read;

pub use append::{Append, InboxEntry, StreamAppend};
pub use event::{NewEvent, StoredEvent};
pub use identity::{command_id, event_id};
pub use inbox::Answered;
pub use read::StreamHead;

use std::sync::Arc;

use sqlx::PgPool;
use tokio::sync::Notify;

use crate::database::DatabaseError;

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
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl StoreError {
    /// Whether the database refused what it was given, so that giving it again is of no use.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Database(error) if error.is_refusal())
    }
}

impl EventStore {
    /// Opens the log that `migrate` laid out.
    pub async fn open(pool: PgPool) -> Result<Self, StoreError> {
        let partitions = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM partitions"#);
        let count = partitions.fetch_one(&pool).await?;
        let partition_count = u32::try_from(count).unwrap_or(0);
        if partition_count == 0 {
            return Err(DatabaseError::Corrupt(
                "the log has no partitions; run `clearfold migrate`".to_owned(),
            )
            .into());
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
