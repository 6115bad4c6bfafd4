//! The outbox: what is committed gets published, in order, however often the process dies in between.
//!
//! Positions have no gap, so what is not published yet is a range: from the published position to the head. It is
//! published first and noted afterwards. A crash in between publishes again, which a consumer knows by the
//! position. Nothing here reads a payload.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::bus::Bus;
use crate::event_store::{EventStore, StoreError, signed, unsigned};

/// How long a commit may stay unseen if its wake-up was lost.
const POLL_MS: u64 = 500;

/// Publishes until it is told to stop.
pub async fn run(store: EventStore, bus: Bus, stop: CancellationToken) {
    announce_published(&store, &bus).await;
    while !stop.is_cancelled() {
        if let Err(error) = publish(&store, &bus).await {
            tracing::error!(error = %crate::telemetry::chain(&error), "publishing failed; trying again");
        }
        tokio::select! {
            () = store.appended().notified() => {}
            () = tokio::time::sleep(Duration::from_millis(POLL_MS)) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// What an earlier process published is published for this one's consumers too.
async fn announce_published(store: &EventStore, bus: &Bus) {
    let noted =
        sqlx::query!("SELECT partition, published_position FROM outbox").fetch_all(store.pool()).await;
    match noted {
        Ok(rows) => {
            for row in rows {
                bus.publish(row.partition.unsigned_abs(), row.published_position.unsigned_abs());
            }
        }
        // The first round of publishing looks at the same table and reports what is wrong.
        Err(error) => tracing::warn!(%error, "the outbox could not be read at start"),
    }
}

/// Publishes all that is committed.
async fn publish(store: &EventStore, bus: &Bus) -> Result<(), StoreError> {
    let unpublished = sqlx::query!(
        "SELECT partition, published_position, head_position
         FROM outbox JOIN partitions USING (partition)
         WHERE head_position > published_position"
    );
    for row in unpublished.fetch_all(store.pool()).await? {
        let (from, up_to) = (unsigned(row.published_position)?, unsigned(row.head_position)?);
        bus.publish(row.partition.unsigned_abs(), up_to);
        tracing::debug!(partition = row.partition, from, up_to, "published");
        sqlx::query!(
            "UPDATE outbox SET published_position = $2 WHERE partition = $1 AND published_position < $2",
            row.partition,
            signed(up_to)?
        )
        .execute(store.pool())
        .await?;
    }
    Ok(())
}
