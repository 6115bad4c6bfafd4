//! Events, before and after they are in the log.

use clearfold_kernel::Timestamp;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::database::{DatabaseError, timestamp, unsigned};
use crate::digest::Digest;

/// An event that was decided and is to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    pub kind: String,
    pub schema_version: u32,
    pub payload: Vec<u8>,
    pub correlation_id: Uuid,
    /// The command that caused it.
    pub causation_id: Uuid,
    /// Who sent the command.
    pub actor: String,
    /// Which code decided.
    pub component_digest: Digest,
    pub recorded_at: Timestamp,
}

/// An event in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    pub partition: u32,
    pub position: u64,
    pub stream: String,
    pub stream_version: u64,
    pub kind: String,
    pub schema_version: u32,
    pub payload: Vec<u8>,
    pub event_id: Uuid,
    pub correlation_id: Uuid,
    pub causation_id: Uuid,
    pub actor: String,
    pub component_digest: Digest,
    pub recorded_at: Timestamp,
}

/// A row of `events`.
pub(super) struct EventRow {
    pub partition: i32,
    pub position: i64,
    pub stream: String,
    pub stream_version: i64,
    pub kind: String,
    pub schema_version: i32,
    pub payload: Vec<u8>,
    pub event_id: Uuid,
    pub correlation_id: Uuid,
    pub causation_id: Uuid,
    pub actor: String,
    pub component_digest: Vec<u8>,
    pub recorded_at: OffsetDateTime,
}

impl TryFrom<EventRow> for StoredEvent {
    type Error = DatabaseError;

    fn try_from(row: EventRow) -> Result<Self, DatabaseError> {
        let digest = row.component_digest.as_slice().try_into();
        let digest =
            digest.map_err(|_| DatabaseError::Corrupt("a component digest without 32 bytes".to_owned()))?;
        Ok(Self {
            partition: unsigned(row.partition.into())?.try_into().unwrap_or(u32::MAX),
            position: unsigned(row.position)?,
            stream: row.stream,
            stream_version: unsigned(row.stream_version)?,
            kind: row.kind,
            schema_version: row.schema_version.unsigned_abs(),
            payload: row.payload,
            event_id: row.event_id,
            correlation_id: row.correlation_id,
            causation_id: row.causation_id,
            actor: row.actor,
            component_digest: Digest(digest),
            recorded_at: timestamp(row.recorded_at)?,
        })
    }
}
