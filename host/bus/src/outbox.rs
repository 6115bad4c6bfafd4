//! The outbox: what is committed gets published, in order, however often the process dies in between.
//!
//! Positions have no gap, so what is not published yet is a range: from the published position to the head. It is
//! published first and noted afterwards. A crash in between publishes again, which a consumer knows by the
//! position. Nothing here reads a payload.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::Bus;
use clearfold_base::database::unsigned;
use clearfold_base::faults;
use clearfold_store::{EventStore, StoreError};

/// How long a commit may stay unseen if its wake-up was lost.
const POLL_MS: u64 = 500;
/// The least time between two publications.
const PAUSE_MS: u64 = 2;

/// Publishes until it is told to stop.
pub async fn run(store: EventStore, bus: Bus, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match publish(&store, &bus).await {
            // Under load, what is committed meanwhile is published together.
            Ok(true) => tokio::time::sleep(Duration::from_millis(PAUSE_MS)).await,
            Ok(false) => {}
            Err(error) => {
                tracing::error!(error = %clearfold_base::telemetry::with_causes(&error), "publishing failed; trying again");
            }
        }
        tokio::select! {
            () = store.appended().notified() => {}
            () = tokio::time::sleep(Duration::from_millis(POLL_MS)) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Publishes all that is committed, also what another process noted as published: this one's consumers have not
/// heard of it. Whether there was something.
async fn publish(store: &EventStore, bus: &Bus) -> Result<bool, StoreError> {
    let partitions = sqlx::query!(
        "SELECT partition, published_position, head_position FROM outbox JOIN partitions USING (partition)"
    );
    let (mut ahead, mut heads) = (Vec::new(), Vec::new());
    for row in partitions.fetch_all(store.pool()).await? {
        let (published, head) = (unsigned(row.published_position)?, unsigned(row.head_position)?);
        bus.publish(row.partition.unsigned_abs(), head);
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

/// Notes what was published. If the database loses that, it is published again: so nobody waits for its flush.
async fn note(store: &EventStore, partitions: &[i32], heads: &[i64]) -> Result<(), StoreError> {
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
