//! The event store: appends to the log under a lease and with expected versions, ordered reads, and the data that is
//! written with events: recorded commands, their answers for repeats, and snapshots.
//!
//! There is one append path, and it checks the lease and every version that it builds on. Payloads are bytes here. This
//! crate never makes a decision and never calls a component.

mod activation;
mod append;
mod effects;
mod event;
mod hash_chain;
mod identity;
mod inbox;
mod lease;
mod lookup;
mod read;
mod recorded;
mod timers;

pub use append::{Append, KeptAnswer, RecordedCommand, RecordedOutcome, Snapshot, StreamMove};
pub use effects::{NewEffect, PendingEffect, WaitingEffect};
pub use event::StoredEvent;
pub use hash_chain::EventHash;
pub use identity::{command_id, event_id};
pub use inbox::{Answered, Retention};
pub use lease::{Head, Lease, Taken};
pub use lookup::{EntryKey, FoundEntries, Lookup, LookupResult};
pub use read::StreamHead;
pub use recorded::{KeptComponent, StoredCommand};
pub use timers::{DueTimer, WaitingTimer};

use std::sync::Arc;

use sqlx::PgPool;
use tokio::sync::Notify;

use clearfold_base::database::DatabaseError;

/// Event store in the write database.
#[derive(Clone)]
pub struct EventStore {
    pool: PgPool,
    partition_count: u32,
    appended: Arc<Notify>,
}

/// Reason why the store did not do what was asked. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The partition, a stream or a key of the inbox is not in the state that the writer expects.
    #[error("partition {partition} is not where its writer believed it to be ({why})")]
    Conflict { partition: u32, why: String },
    /// The partition has begun newer activations than the writer knows.
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
    /// Translates the error of an append. The codes are those of `append_batch`; a duplicate key is a conflict.
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

    /// Returns true if the database refused the data, so that repeating the append is of no use.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Database(error) if error.is_refusal())
    }
}

impl EventStore {
    /// Opens the log that `migrate` created.
    pub async fn open(pool: PgPool) -> Result<Self, StoreError> {
        let partitions = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM partitions"#);
        let count = partitions.fetch_one(&pool).await?;
        let partition_count = u32::try_from(count).ok().filter(|count| *count > 0).ok_or_else(|| {
            DatabaseError::Corrupt(format!("the log has {count} partitions; run `clearfold migrate`"))
        })?;
        Ok(Self { pool, partition_count, appended: Arc::new(Notify::new()) })
    }

    /// Number of partitions of the log.
    #[must_use]
    pub fn partition_count(&self) -> u32 {
        self.partition_count
    }

    /// Notifies after every append of this process. It is a hint: a listener must also poll, because appends of other
    /// processes do not notify.
    #[must_use]
    pub fn appended(&self) -> &Notify {
        &self.appended
    }

    /// Pool of the write database, for the tables of other modules.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }
}
