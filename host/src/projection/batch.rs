//! A batch through a projector: which rows it concerns, and what becomes of them.
//!
//! The same for the running projection and for its replay; where the rows are kept is the caller's business.

use std::sync::Arc;

use super::ProjectionError;
use crate::bus::StoredEvent;
use crate::runtime::{Change, Event, Projector, Row, RowKey};

/// The changes that events of one partition make. `fetch` finds the existing rows among those asked for.
pub(super) async fn changes<F>(
    projector: &Arc<Projector>,
    events: &[StoredEvent],
    fetch: impl FnOnce(Vec<RowKey>) -> F,
) -> Result<Vec<Change>, ProjectionError>
where
    F: Future<Output = Result<Vec<Row>, ProjectionError>>,
{
    let wire: Arc<[Event]> = events.iter().map(wire_event).collect();
    let (asked, component) = (Arc::clone(&wire), Arc::clone(projector));
    let keys = blocking(move || component.keys(&asked)).await??;
    let rows = fetch(keys).await?;
    let component = Arc::clone(projector);
    Ok(blocking(move || component.project(&wire, &rows)).await??)
}

/// Runs a component where it may be busy.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, sqlx::Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| sqlx::Error::Io(std::io::Error::other(error)))
}

fn wire_event(event: &StoredEvent) -> Event {
    Event {
        partition: event.partition,
        position: event.position,
        stream: event.stream.clone(),
        stream_version: event.stream_version,
        event_id: event.event_id.to_string(),
        correlation_id: event.correlation_id.to_string(),
        type_: event.kind.clone(),
        schema_version: event.schema_version,
        recorded_at_ms: event.recorded_at.as_ms(),
        payload: event.payload.clone(),
    }
}
