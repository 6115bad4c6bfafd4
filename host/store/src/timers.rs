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
            // The inner limit keeps the planner from joining all that wait: it reads so many rows of the index and no more.
            "SELECT due, first.stream, number, routing_key
             FROM (SELECT due, stream, number FROM timers
                   WHERE partition = $1 AND (due, stream, number) > ($2, $3, $4)
                   ORDER BY due, stream, number LIMIT $5) AS first
             JOIN streams USING (stream)
             ORDER BY due, first.stream, number",
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

    /// Returns those of a partition's timers that have no row.
    pub async fn missing_timers(
        &self,
        partition: u32,
        timers: &[DueTimer],
    ) -> Result<Vec<DueTimer>, StoreError> {
        let due = timers.iter().map(|timer| database_time(timer.due)).collect::<Result<Vec<_>, _>>()?;
        let streams: Vec<String> = timers.iter().map(|timer| timer.stream.clone()).collect();
        let numbers = timers.iter().map(|timer| signed(timer.number)).collect::<Result<Vec<_>, _>>()?;
        let rows = sqlx::query_scalar!(
            r#"SELECT nth AS "nth!" FROM UNNEST($2::timestamptz[], $3::text[], $4::bigint[]) WITH ORDINALITY
                   AS wanted(due, stream, number, nth)
               WHERE NOT EXISTS (SELECT FROM timers WHERE timers.partition = $1 AND timers.due = wanted.due
                                 AND timers.stream = wanted.stream AND timers.number = wanted.number)
               ORDER BY nth"#,
            partition_key(partition)?,
            &due,
            &streams,
            &numbers,
        );
        let missing = rows.fetch_all(&self.pool).await?.into_iter();
        // Ordinals begin with 1.
        let place = |nth: i64| usize::try_from(nth - 1).ok();
        Ok(missing.filter_map(|nth| timers.get(place(nth)?).cloned()).collect())
    }
}
