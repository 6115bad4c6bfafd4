//! The log, read: by stream, and by position.

use std::collections::BTreeMap;

use super::event::EventRow;
use super::{EventStore, StoreError, StoredEvent};
use crate::database::{partition_key, signed, unsigned};

/// Where a stream lives and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamHead {
    pub partition: u32,
    pub routing_key: String,
    pub version: u64,
}

impl EventStore {
    /// The position of the partition's last event; 0 if it has none.
    pub async fn head(&self, partition: u32) -> Result<u64, StoreError> {
        let head = sqlx::query_scalar!(
            "SELECT head_position FROM partitions WHERE partition = $1",
            partition_key(partition)?
        );
        Ok(unsigned(head.fetch_one(&self.pool).await?)?)
    }

    /// All partitions' heads, in order.
    pub async fn heads(&self) -> Result<Vec<u64>, StoreError> {
        let heads = sqlx::query_scalar!("SELECT head_position FROM partitions ORDER BY partition");
        let heads = heads.fetch_all(&self.pool).await?;
        Ok(heads.into_iter().map(unsigned).collect::<Result<_, _>>()?)
    }

    /// A stream's place, if there is such a stream.
    pub async fn stream_head(&self, stream: &str) -> Result<Option<StreamHead>, StoreError> {
        let mut heads = self.stream_heads(&[stream.to_owned()]).await?;
        Ok(heads.remove(stream))
    }

    /// The places of those streams that exist, by name.
    pub async fn stream_heads(&self, streams: &[String]) -> Result<BTreeMap<String, StreamHead>, StoreError> {
        let heads = sqlx::query!(
            "SELECT stream, partition, routing_key, version FROM streams WHERE stream = ANY($1)",
            streams
        );
        let mut found = BTreeMap::new();
        for row in heads.fetch_all(&self.pool).await? {
            let (partition, version) = (row.partition.unsigned_abs(), unsigned(row.version)?);
            found.insert(row.stream, StreamHead { partition, routing_key: row.routing_key, version });
        }
        Ok(found)
    }

    /// All events of some streams of one partition, each stream's in order.
    pub async fn streams(&self, partition: u32, streams: &[String]) -> Result<Vec<StoredEvent>, StoreError> {
        let events = sqlx::query_as!(
            EventRow,
            r#"SELECT partition, position, stream, stream_version, type AS kind, schema_version, payload, event_id,
                      correlation_id, causation_id, actor, component_digest, recorded_at
               FROM events WHERE partition = $1 AND stream = ANY($2)
               ORDER BY stream, stream_version"#,
            partition_key(partition)?,
            streams,
        );
        let rows = events.fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(StoredEvent::try_from).collect::<Result<_, _>>()?)
    }

    /// The events of a partition behind `after`, up to and including `up_to`, in order, `limit` at most.
    pub async fn page(
        &self,
        partition: u32,
        after: u64,
        up_to: u64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let events = sqlx::query_as!(
            EventRow,
            r#"SELECT partition, position, stream, stream_version, type AS kind, schema_version, payload, event_id,
                      correlation_id, causation_id, actor, component_digest, recorded_at
               FROM events WHERE partition = $1 AND position > $2 AND position <= $3
               ORDER BY position LIMIT $4"#,
            partition_key(partition)?,
            signed(after)?,
            signed(up_to)?,
            i64::from(limit),
        );
        let rows = events.fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(StoredEvent::try_from).collect::<Result<_, _>>()?)
    }
}
