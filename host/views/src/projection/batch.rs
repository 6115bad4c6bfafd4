//! A batch through a projector: which rows it concerns, and what becomes of them.
//!
//! The same for the running projection and for its replay; where the rows are kept is the caller's business.

use std::sync::Arc;

use super::ProjectionError;
use clearfold_bus::StoredEvent;
use clearfold_sandbox::{Change, Event, Projector, Row, RowKey};

/// Events of one partition on their way through a projector.
pub(super) struct Batch {
    projector: Arc<Projector>,
    events: Arc<[Event]>,
}

impl Batch {
    pub fn new(projector: &Arc<Projector>, events: &[StoredEvent]) -> Self {
        Self { projector: Arc::clone(projector), events: events.iter().map(wire_event).collect() }
    }

    /// The rows that the component asks for.
    pub async fn keys(&self) -> Result<Vec<RowKey>, ProjectionError> {
        let (component, asked) = (Arc::clone(&self.projector), Arc::clone(&self.events));
        Ok(blocking(move || component.keys(&asked)).await??)
    }

    /// The changes that the events make, given those of the rows that exist.
    pub async fn changes(self, rows: Vec<Row>) -> Result<Vec<Change>, ProjectionError> {
        Ok(blocking(move || self.projector.project(&self.events, &rows)).await??)
    }
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
