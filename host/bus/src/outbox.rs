//! The outbox publisher: publishes committed events, in order, however often the process crashes in between.
//!
//! Positions have no gap, so the unpublished events are a range: from the published position to the head. They are
//! published first and noted as published afterwards. A crash in between publishes them again, and a consumer
//! recognizes them by their positions. Nothing here reads a payload.

use std::convert::Infallible;
use std::time::Duration;

use crate::{Bus, BusError};
use clearfold_base::database::{DatabaseError, partition_number, unsigned};
use clearfold_base::faults;
use clearfold_base::tasks::{Driver, Next, Retry, StepFailure, Task};
use clearfold_store::EventStore;

/// Longest time that a commit stays unpublished if its wake-up was lost.
const POLL: Duration = Duration::from_millis(500);
/// Least time between two publications.
const PAUSE: Duration = Duration::from_millis(2);
/// Longest pause after a failure.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Events could not be published, or not noted as published. They are published again.
#[derive(Debug, thiserror::Error)]
enum OutboxError {
    #[error("the outbox cannot be used")]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Bus(#[from] BusError),
}

struct Publisher {
    store: EventStore,
    bus: Bus,
}

/// Publishes until it is told to stop.
pub async fn run(store: EventStore, bus: Bus, driver: Driver) {
    driver.run("outbox", &mut Publisher { store, bus }).await;
}

impl From<sqlx::Error> for OutboxError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl Task for Publisher {
    type Output = Infallible;
    type Error = OutboxError;

    async fn step(&mut self) -> Result<Next, OutboxError> {
        if publish(&self.store, &self.bus).await? {
            // Under load, the commits of this pause are published together.
            tokio::time::sleep(PAUSE).await;
        }
        Ok(Next::WaitFor(POLL))
    }

    async fn woken(&mut self) {
        self.store.appended().notified().await;
    }

    fn retry(&self) -> Retry {
        Retry { least: POLL, longest: LONGEST_PAUSE }
    }

    fn failure(&self, _: &OutboxError) -> StepFailure {
        StepFailure::error("publishing failed; trying again")
    }
}

/// Publishes every partition up to its head on this process's bus, including what another process has already noted.
/// Returns true if any position was not noted yet.
async fn publish(store: &EventStore, bus: &Bus) -> Result<bool, OutboxError> {
    let partitions = sqlx::query!(
        "SELECT partition, published_position, head_position FROM outbox JOIN partitions USING (partition)"
    );
    let (mut ahead, mut heads) = (Vec::new(), Vec::new());
    for row in partitions.fetch_all(store.pool()).await? {
        let (published, head) = (unsigned(row.published_position)?, unsigned(row.head_position)?);
        bus.publish(partition_number(row.partition)?, head)?;
        if head > published {
            faults::point("published");
            tracing::debug!(partition = row.partition, from = published, up_to = head, "published");
            ahead.push(row.partition);
            heads.push(row.head_position);
        }
    }
    if !ahead.is_empty() {
        note(store, &ahead, &heads).await?;
        faults::point("noted");
    }
    Ok(!ahead.is_empty())
}

/// Notes what was published. If the database loses the note, the events are published again, so this does not wait for
/// the flush to disk.
async fn note(store: &EventStore, partitions: &[i32], heads: &[i64]) -> Result<(), OutboxError> {
    let mut transaction = store.pool().begin().await?;
    sqlx::query("SET LOCAL synchronous_commit = off").execute(&mut *transaction).await?;
    let noted = sqlx::query!(
        "UPDATE outbox SET published_position = head
         FROM UNNEST($1::integer[], $2::bigint[]) AS noted(of, head)
         WHERE partition = of AND published_position < head",
        partitions,
        heads,
    );
    noted.execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(())
}
