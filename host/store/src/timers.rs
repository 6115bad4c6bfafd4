//! Timers of sagas: an index of the events that set them.

use clearfold_kernel::Timestamp;
use sqlx::PgConnection;

use super::{EventStore, StoreError};
use clearfold_base::database::{database_time, partition_key, signed, timestamp, unsigned};

/// Timer of an instance of a saga. Timers of a partition are ordered as they fire.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueTimer {
    pub due: Timestamp,
    /// Stream of the instance.
    pub stream: String,
    /// Number of the timer in its instance, from 1.
    pub number: u64,
}

/// Timer that has not fired, with the account of its instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingTimer {
    pub timer: DueTimer,
    pub routing_key: String,
}

impl EventStore {
    /// Reads a partition's timers behind one of them, in the order in which they fire.
    pub async fn timers(
        &self,
        connection: &mut PgConnection,
        partition: u32,
        behind: Option<&DueTimer>,
        limit: u32,
    ) -> Result<Vec<WaitingTimer>, StoreError> {
        // Before the first timer that there can be.
        let first = DueTimer { due: Timestamp::default(), stream: String::new(), number: 0 };
        let behind = behind.unwrap_or(&first);
        let rows = sqlx::query!(
            "SELECT due, timers.stream, number, routing_key FROM timers JOIN streams USING (stream)
             WHERE timers.partition = $1 AND (due, timers.stream, number) > ($2, $3, $4)
             ORDER BY due, timers.stream, number LIMIT $5",
            partition_key(partition)?,
            database_time(behind.due)?,
            behind.stream,
            signed(behind.number)?,
            i64::from(limit),
        );
        let rows = rows.fetch_all(connection).await?;
        let timers = rows.into_iter().map(|row| {
            let timer =
                DueTimer { due: timestamp(row.due)?, stream: row.stream, number: unsigned(row.number)? };
            Ok(WaitingTimer { timer, routing_key: row.routing_key })
        });
        timers.collect()
    }
}
