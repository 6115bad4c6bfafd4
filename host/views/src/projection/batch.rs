//! Asks a projector for the rows that a batch of events needs, and for its changes to them. It never reads or writes a
//! database.
//!
//! The running projection and its replay use it alike; the caller decides where the rows are kept.

use std::borrow::Borrow;
use std::sync::Arc;

use super::ProjectionError;
use clearfold_base::blocking::blocking;
use clearfold_bus::StoredEvent;
use clearfold_sandbox::{Change, Event, Projector, Row, RowKey};

/// Events of one partition on their way through a projector.
pub(super) struct EventBatch {
    projector: Arc<Projector>,
    events: Arc<[Event]>,
}

impl EventBatch {
    /// Takes those of the events that the projector reads.
    pub fn new<E: Borrow<StoredEvent>>(projector: &Arc<Projector>, events: &[E]) -> Self {
        let read = events.iter().map(Borrow::borrow).filter(|event| projector.reads(&event.stream));
        Self { projector: Arc::clone(projector), events: read.map(wire_event).collect() }
    }

    /// Asks the component for the rows that it needs.
    pub async fn keys(&self) -> Result<Vec<RowKey>, ProjectionError> {
        if self.events.is_empty() {
            return Ok(Vec::new());
        }
        let (component, asked) = (Arc::clone(&self.projector), Arc::clone(&self.events));
        Ok(blocking(move || component.keys(&asked)).await??)
    }

    /// Asks the component for the changes that the events make, given those of the rows that exist.
    pub async fn changes(self, rows: Vec<Row>) -> Result<Vec<Change>, ProjectionError> {
        if self.events.is_empty() {
            return Ok(Vec::new());
        }
        Ok(blocking(move || self.projector.project(&self.events, &rows)).await??)
    }
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
