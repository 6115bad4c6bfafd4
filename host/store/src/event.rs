//! Events as the log stores them.

use clearfold_kernel::Timestamp;
use time::OffsetDateTime;
use uuid::Uuid;

use super::EventHash;
use clearfold_base::database::{DatabaseError, timestamp, unsigned};
use clearfold_base::digest::Digest;

/// Event in the log, or on its way there with its position decided.
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
    /// Id of the command that caused it.
    pub causation_id: Uuid,
    /// Sender of the command.
    pub actor: String,
    /// Digest of the component that decided.
    pub component_digest: Digest,
    pub recorded_at: Timestamp,
    /// Hash over this event and all before it in its partition.
    pub hash: EventHash,
}

/// Row of `events`.
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
    pub hash: Vec<u8>,
}

impl TryFrom<EventRow> for StoredEvent {
    type Error = DatabaseError;

    fn try_from(row: EventRow) -> Result<Self, DatabaseError> {
        Ok(Self {
            partition: unsigned32(row.partition)?,
            position: unsigned(row.position)?,
            stream: row.stream,
            stream_version: unsigned(row.stream_version)?,
            kind: row.kind,
            schema_version: unsigned32(row.schema_version)?,
            payload: row.payload,
            event_id: row.event_id,
            correlation_id: row.correlation_id,
            causation_id: row.causation_id,
            actor: row.actor,
            component_digest: Digest(hash_of("component digest", &row.component_digest)?),
            recorded_at: timestamp(row.recorded_at)?,
            hash: EventHash(hash_of("hash", &row.hash)?),
        })
    }
}

/// Converts an `integer` that the database holds to be not negative.
pub(super) fn unsigned32(number: i32) -> Result<u32, DatabaseError> {
    u32::try_from(number)
        .map_err(|_| DatabaseError::Corrupt(format!("{number} where no number is below zero")))
}

/// Converts the 32 bytes of a hash.
pub(super) fn hash_of(what: &str, bytes: &[u8]) -> Result<[u8; 32], DatabaseError> {
    bytes.try_into().map_err(|_| DatabaseError::Corrupt(format!("a {what} without 32 bytes")))
}
