//! The outbox: what is committed gets published, in order, however often the process dies in between.
//!
//! Positions have no gap, so what is not published yet is a range: from the published position to the head. It is
//! published first and noted afterwards. A crash in between publishes again, which a consumer knows by the
//! position. Nothing here reads a payload.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::bus::Bus;
use crate::database::{signed, unsigned};
use crate::event_store::{EventStore, StoreError};

/// How long a commit may stay unseen if its wake-up was lost.
const POLL_MS: u64 = 500;

/// Publishes until it is told to stop.
pub async fn run(store: EventStore, bus: Bus, stop: CancellationToken) {
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

/// Publishes all that is committed, also what another process noted as published: this one's consumers have not
/// heard of it.
async fn publish(store: &EventStore, bus: &Bus) -> Result<(), StoreError> {
    let partitions = sqlx::query!(
        "SELECT partition, published_position, head_position FROM outbox JOIN partitions USING (partition)"
    );
    for row in partitions.fetch_all(store.pool()).await? {
        let (published, head) = (unsigned(row.published_position)?, unsigned(row.head_position)?);
        bus.publish(row.partition.unsigned_abs(), head);
        if head > published {
            tracing::debug!(partition = row.partition, from = published, up_to = head, "published");
            let noted = sqlx::query!(
                "UPDATE outbox SET published_position = $2 WHERE partition = $1 AND published_position < $2",
                row.partition,
                signed(head)?
            );
            noted.execute(store.pool()).await?;
        }
    }
    Ok(())
}
