//! The commands of the past, and the code that decided them.

use clearfold_kernel::Timestamp;
use futures::{Stream, StreamExt};
use time::OffsetDateTime;

use super::event::hash_of;
use super::{CameOfIt, EventStore, StoreError};
use clearfold_base::database::{DatabaseError, partition_key, signed, timestamp, unsigned};
use clearfold_base::digest::Digest;

/// A command with what it was decided on and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCommand {
    pub partition: u32,
    /// Gapless within the partition, from 1.
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
    pub came_of_it: CameOfIt,
}

/// A row of `commands`.
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
        let came_of_it = match (row.rejection_code, row.rejection_detail) {
            (Some(code), Some(detail)) => CameOfIt::Rejection { code, detail },
            _ => CameOfIt::Events(row.event_count.unsigned_abs()),
        };
        Ok(Self {
            partition: row.partition.unsigned_abs(),
            sequence: unsigned(row.sequence)?,
            stream: row.stream,
            routing_key: row.routing_key,
            kind: row.kind,
            schema_version: row.schema_version.unsigned_abs(),
            payload: row.payload,
            actor: row.actor,
            accepted_at: timestamp(row.accepted_at)?,
            component_digest: Digest(hash_of("component digest", &row.component_digest)?),
            expected_version: unsigned(row.expected_version)?,
            came_of_it,
        })
    }
}

/// A component that was kept because it decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptComponent {
    pub name: String,
    pub wasm: Vec<u8>,
}

impl EventStore {
    /// A partition's commands behind one of them and up to another, to streams whose names begin so: stream by stream,
    /// the streams in the order of their bytes.
    pub fn commands_by_stream(
        &self,
        partition: u32,
        prefix: &str,
        after: u64,
        up_to: u64,
    ) -> impl Stream<Item = Result<StoredCommand, StoreError>> {
        self.commands_decided_by(None, partition, prefix, after, up_to)
    }

    /// The same, of those only that this component decided.
    pub fn commands_decided_by(
        &self,
        only: Option<Digest>,
        partition: u32,
        prefix: &str,
        after: u64,
        up_to: u64,
    ) -> impl Stream<Item = Result<StoredCommand, StoreError>> {
        let only = only.map(|only| only.0.to_vec());
        let rows = sqlx::query_as!(
            CommandRow,
            r#"SELECT partition, sequence, stream, routing_key, type AS kind, schema_version, payload, actor, accepted_at,
                      component_digest, expected_version, event_count, rejection_code, rejection_detail
               FROM commands WHERE partition = $1 AND sequence > $2 AND sequence <= $4 AND starts_with(stream, $3)
                 AND ($5::bytea IS NULL OR component_digest = $5)
               ORDER BY stream COLLATE "C", sequence"#,
            i32::try_from(partition).unwrap_or(i32::MAX),
            i64::try_from(after).unwrap_or(i64::MAX),
            prefix,
            i64::try_from(up_to).unwrap_or(i64::MAX),
            only,
        );
        rows.fetch(&self.pool).map(|row| Ok(StoredCommand::try_from(row?)?))
    }

    /// The first command of a partition that was accepted at a time or later; what would come next if there is none.
    pub async fn sequence_since(&self, partition: u32, since: Timestamp) -> Result<u64, StoreError> {
        // Later ones were accepted later, so halving finds it without reading them.
        let (mut from, mut to) = (1, self.end(partition).await?.sequence.saturating_add(1));
        while from < to {
            let middle = from + (to - from) / 2;
            let at = sqlx::query_scalar!(
                "SELECT accepted_at FROM commands WHERE partition = $1 AND sequence = $2",
                partition_key(partition)?,
                signed(middle)?,
            );
            match at.fetch_optional(&self.pool).await?.map(timestamp).transpose()? {
                Some(at) if at < since => from = middle.saturating_add(1),
                _ => to = middle,
            }
        }
        Ok(from)
    }

    /// Behind which command a partition's newest ones begin, so many of them, to streams whose names begin so. None: there
    /// are no more than that.
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

    /// The components that decided a command.
    pub async fn components_of_commands(&self) -> Result<Vec<KeptComponent>, StoreError> {
        let kept = sqlx::query_as!(
            KeptComponent,
            "SELECT name, wasm FROM components WHERE digest IN (SELECT component_digest FROM commands)"
        );
        Ok(kept.fetch_all(&self.pool).await?)
    }
}
