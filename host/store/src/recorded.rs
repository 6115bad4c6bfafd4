//! Recorded commands, and the components that decided them.

use clearfold_kernel::Timestamp;
use futures::{Stream, StreamExt};
use time::OffsetDateTime;

use super::event::{hash_of, unsigned32};
use super::{EventStore, RecordedOutcome, StoreError};
use clearfold_base::database::{DatabaseError, partition_key, signed, timestamp, unsigned};
use clearfold_base::digest::Digest;

/// Recorded command, with the stream version it was decided on and its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCommand {
    pub partition: u32,
    /// Number of the command in its partition, gapless from 1.
    pub sequence: u64,
    pub stream: String,
    pub routing_key: String,
    pub kind: String,
    pub schema_version: u32,
    pub payload: Vec<u8>,
    pub actor: String,
    pub accepted_at: Timestamp,
    pub component_digest: Digest,
    pub expected_version: u64,
    pub outcome: RecordedOutcome,
}

/// Row of `commands`.
struct CommandRow {
    partition: i32,
    sequence: i64,
    stream: String,
    routing_key: String,
    kind: String,
    schema_version: i32,
    payload: Vec<u8>,
    actor: String,
    accepted_at: OffsetDateTime,
    component_digest: Vec<u8>,
    expected_version: i64,
    event_count: i32,
    rejection_code: Option<String>,
    rejection_detail: Option<String>,
}

impl TryFrom<CommandRow> for StoredCommand {
    type Error = DatabaseError;

    fn try_from(row: CommandRow) -> Result<Self, DatabaseError> {
        let outcome = match (row.rejection_code, row.rejection_detail) {
            (Some(code), Some(detail)) => RecordedOutcome::Rejection { code, detail },
            (None, None) => RecordedOutcome::Events(unsigned32(row.event_count)?),
            (code, detail) => {
                let (partition, sequence) = (row.partition, row.sequence);
                let why = format!(
                    "command {sequence} of partition {partition} has half a rejection: {code:?}, {detail:?}"
                );
                return Err(DatabaseError::Corrupt(why));
            }
        };
        Ok(Self {
            partition: unsigned32(row.partition)?,
            sequence: unsigned(row.sequence)?,
            stream: row.stream,
            routing_key: row.routing_key,
            kind: row.kind,
            schema_version: unsigned32(row.schema_version)?,
            payload: row.payload,
            actor: row.actor,
            accepted_at: timestamp(row.accepted_at)?,
            component_digest: Digest(hash_of("component digest", &row.component_digest)?),
            expected_version: unsigned(row.expected_version)?,
            outcome,
        })
    }
}

/// Component of the registry that decided recorded commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptComponent {
    pub name: String,
    pub wasm: Vec<u8>,
}

impl EventStore {
    /// Streams a partition's commands after the sequence number `after`, up to and including `up_to`, to streams whose
    /// names begin with `prefix`: stream by stream, with the streams in the order of their bytes.
    pub fn commands_by_stream(
        &self,
        partition: u32,
        prefix: &str,
        after: u64,
        up_to: u64,
    ) -> Result<impl Stream<Item = Result<StoredCommand, StoreError>>, StoreError> {
        self.commands_decided_by(None, partition, prefix, after, up_to)
    }

    /// Does the same for the commands that one component decided; none means all.
    pub fn commands_decided_by(
        &self,
        only: Option<Digest>,
        partition: u32,
        prefix: &str,
        after: u64,
        up_to: u64,
    ) -> Result<impl Stream<Item = Result<StoredCommand, StoreError>>, StoreError> {
        let only = only.map(|only| only.0.to_vec());
        let rows = sqlx::query_as!(
            CommandRow,
            r#"SELECT partition, sequence, stream, routing_key, type AS kind, schema_version, payload, actor, accepted_at,
                      component_digest, expected_version, event_count, rejection_code, rejection_detail
               FROM commands WHERE partition = $1 AND sequence > $2 AND sequence <= $4 AND starts_with(stream, $3)
                 AND ($5::bytea IS NULL OR component_digest = $5)
               ORDER BY stream COLLATE "C", sequence"#,
            partition_key(partition)?,
            signed(after)?,
            prefix,
            signed(up_to)?,
            only,
        );
        Ok(rows.fetch(&self.pool).map(|row| Ok(StoredCommand::try_from(row?)?)))
    }

    /// Finds the sequence number of the first command of a partition that was accepted at `since` or later; the next
    /// one to be used if there is none.
    pub async fn sequence_since(&self, partition: u32, since: Timestamp) -> Result<u64, StoreError> {
        // Commands are accepted in the order of their numbers, so a binary search finds it. Numbers come from a
        // bigint, so adding one to them cannot overflow.
        let (mut from, mut to) = (1, self.end(partition).await?.sequence + 1);
        while from < to {
            let middle = from + (to - from) / 2;
            let at = sqlx::query_scalar!(
                "SELECT accepted_at FROM commands WHERE partition = $1 AND sequence = $2",
                partition_key(partition)?,
                signed(middle)?,
            );
            match at.fetch_optional(&self.pool).await?.map(timestamp).transpose()? {
                Some(at) if at < since => from = middle + 1,
                _ => to = middle,
            }
        }
        Ok(from)
    }

    /// Finds the sequence number after which a partition's newest `count` commands begin, to streams whose names begin
    /// with
    /// `prefix`. None if there are no more than that.
    pub async fn sequence_before_last(
        &self,
        partition: u32,
        prefix: &str,
        count: u64,
    ) -> Result<Option<u64>, StoreError> {
        let sequence = sqlx::query_scalar!(
            "SELECT sequence FROM commands WHERE partition = $1 AND starts_with(stream, $2)
             ORDER BY sequence DESC OFFSET $3 LIMIT 1",
            partition_key(partition)?,
            prefix,
            signed(count)?,
        );
        Ok(sequence.fetch_optional(&self.pool).await?.map(unsigned).transpose()?)
    }

    /// Reads the components that decided a command.
    pub async fn components_of_commands(&self) -> Result<Vec<KeptComponent>, StoreError> {
        let kept = sqlx::query_as!(
            KeptComponent,
            "SELECT name, wasm FROM components WHERE digest IN (SELECT component_digest FROM commands)"
        );
        Ok(kept.fetch_all(&self.pool).await?)
    }
}
