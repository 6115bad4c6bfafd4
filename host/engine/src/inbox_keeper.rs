//! Keeps the inbox to its retention: periods end whole, so that nothing is deleted row by row.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use clearfold_base::clock::Clock;
use clearfold_store::{EventStore, Retention};

/// Periods are days long.
const EVERY_MS: u64 = 60 * 60 * 1000;

/// Looks after the inbox until it is told to stop. What fails is tried again the next time.
pub async fn run(store: EventStore, clock: Clock, retention: Retention, stop: CancellationToken) {
    loop {
        if let Err(error) = store.keep_inbox(clock.now(), retention).await {
            tracing::warn!(error = %clearfold_base::telemetry::with_causes(&error), "the inbox was not tidied; trying again later");
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(EVERY_MS)) => {}
            () = stop.cancelled() => return,
        }
    }
}
