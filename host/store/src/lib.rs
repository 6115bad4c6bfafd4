//! The log: appends under a lease and with an expected version, reads in order, and what is written with it: the
//! commands, their answers for repeats, and states.
//!
//! There is one append path, and it checks the lease and every version that it builds on. Payloads are bytes here.
//! This module never decides anything and never calls a component.

mod activation;
mod append;
mod event;
mod hash_chain;
mod identity;
mod inbox;
mod lease;
mod lookup;
mod read;
mod recorded;

pub use append::{Append, CameOfIt, RecordedCommand, Snapshot, StreamMove};
pub use event::StoredEvent;
pub use hash_chain::EventHash;
pub use identity::{command_id, event_id};
pub use inbox::{Answered, Retention};
pub use lease::{Head, Lease, Taken};
pub use lookup::{EntryKey, Found, FoundEntries, Lookup};
pub use read::StreamHead;
pub use recorded::{KeptComponent, StoredCommand};

use std::sync::Arc;

use sqlx::PgPool;
use tokio::sync::Notify;

use clearfold_base::database::DatabaseError;

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
    /// The partition, a stream or a key of the inbox is not as the writer believes it to be.
    #[error("partition {partition} is not where its writer believed it to be ({why})")]
    Conflict { partition: u32, why: String },
    /// The partition is decided by newer components than the writer knows.
    #[error("partition {partition} is further than this host ({why})")]
    Behind { partition: u32, why: String },
    /// The writer may not append any more.
    #[error("the lease of partition {partition} is lost ({why})")]
    LeaseLost { partition: u32, why: String },
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl StoreError {
    /// What an append was answered. The codes are those of `append_batch`; what is there already is a conflict.
    fn of_append(partition: u32, error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        let why = || error.as_database_error().map(|error| error.message().to_owned()).unwrap_or_default();
        match code.as_deref() {
            Some("CF001") => Self::LeaseLost { partition, why: why() },
            Some("CF003") => Self::Behind { partition, why: why() },
            Some("CF002" | "23505") => Self::Conflict { partition, why: why() },
            _ => error.into(),
        }
    }

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
