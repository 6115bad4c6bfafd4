//! Reads of the log: by stream, and by position.
//!
//! They return what is stored, and do not check that nothing is missing: the writer, the bus, `verify` and the audit
//! each handle a damaged log in their own way.

use std::collections::BTreeMap;

use clearfold_kernel::Timestamp;
use futures::{Stream, StreamExt};

use super::event::{EventRow, hash_of, unsigned32};
use super::{EventHash, EventStore, Head, Snapshot, StoreError, StoredEvent};
use clearfold_base::database::{partition_key, signed, timestamp, unsigned};
use clearfold_base::digest::Digest;

/// Head of a stream: its partition, its account and its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamHead {
    pub partition: u32,
    pub routing_key: String,
    pub version: u64,
}

impl EventStore {
    /// Returns the position of the partition's last event; 0 if it has none.
    pub async fn head(&self, partition: u32) -> Result<u64, StoreError> {
        let head = sqlx::query_scalar!(
            "SELECT head_position FROM partitions WHERE partition = $1",
            partition_key(partition)?
        );
        Ok(unsigned(head.fetch_one(&self.pool).await?)?)
    }

    /// Returns the head of a partition.
    pub async fn end(&self, partition: u32) -> Result<Head, StoreError> {
        let row = sqlx::query!(
            "SELECT head_position, head_hash, head_sequence FROM partitions WHERE partition = $1",
            partition_key(partition)?
        );
        let row = row.fetch_one(&self.pool).await?;
        Ok(Head {
            position: unsigned(row.head_position)?,
            hash: EventHash(hash_of("head's hash", &row.head_hash)?),
            sequence: unsigned(row.head_sequence)?,
        })
    }

    /// Returns the time at which the last command before a head was accepted.
    pub async fn latest(&self, partition: u32, head: &Head) -> Result<Option<Timestamp>, StoreError> {
        let at = sqlx::query_scalar!(
            "SELECT accepted_at FROM commands WHERE partition = $1 AND sequence = $2",
            partition_key(partition)?,
            signed(head.sequence)?,
        );
        Ok(at.fetch_optional(&self.pool).await?.map(timestamp).transpose()?)
    }

    /// Returns the position of the last stored event, which the head may contradict; 0 if there is none.
    pub async fn last_position(&self, partition: u32) -> Result<u64, StoreError> {
        let last = sqlx::query_scalar!(
            r#"SELECT COALESCE(max(position), 0) AS "last!" FROM events WHERE partition = $1"#,
            partition_key(partition)?
        );
        Ok(unsigned(last.fetch_one(&self.pool).await?)?)
    }

    /// Returns the positions of all partitions' heads, in the order of the partitions.
    pub async fn heads(&self) -> Result<Vec<u64>, StoreError> {
        let heads = sqlx::query_scalar!("SELECT head_position FROM partitions ORDER BY partition");
        let heads = heads.fetch_all(&self.pool).await?;
        Ok(heads.into_iter().map(unsigned).collect::<Result<_, _>>()?)
    }

    /// Returns the head of a stream, if it exists.
    pub async fn stream_head(&self, stream: &str) -> Result<Option<StreamHead>, StoreError> {
        let mut heads = self.stream_heads(&[stream.to_owned()]).await?;
        Ok(heads.remove(stream))
    }

    /// Returns the heads of those streams that exist, by name.
    pub async fn stream_heads(&self, streams: &[String]) -> Result<BTreeMap<String, StreamHead>, StoreError> {
        let heads = sqlx::query!(
            "SELECT stream, partition, routing_key, version FROM streams WHERE stream = ANY($1)",
            streams
        );
        let mut found = BTreeMap::new();
        for row in heads.fetch_all(&self.pool).await? {
            let (partition, version) = (unsigned32(row.partition)?, unsigned(row.version)?);
            found.insert(row.stream, StreamHead { partition, routing_key: row.routing_key, version });
        }
        Ok(found)
    }

    /// Returns all stored events of some streams of one partition, each stream's in order.
    pub async fn streams(&self, partition: u32, streams: &[String]) -> Result<Vec<StoredEvent>, StoreError> {
        let from_the_beginning: Vec<(String, u64)> =
            streams.iter().map(|stream| (stream.clone(), 0)).collect();
        self.tails(partition, &from_the_beginning, u32::MAX).await
    }

    /// Returns the stored events of some streams of one partition, each stream's after a version and in order, `limit`
    /// at most. A missing event is no error here, because a damaged stream must not keep the writer from the others.
    pub async fn tails(
        &self,
        partition: u32,
        streams: &[(String, u64)],
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let names: Vec<String> = streams.iter().map(|(stream, _)| stream.clone()).collect();
        let behind: Vec<i64> =
            streams.iter().map(|(_, version)| signed(*version)).collect::<Result<_, _>>()?;
        let events = sqlx::query_as!(
            EventRow,
            r#"SELECT partition, position, events.stream, stream_version, type AS kind, schema_version, payload,
                      event_id, correlation_id, causation_id, actor, component_digest, recorded_at, hash
               FROM UNNEST($2::text[], $3::bigint[]) AS wanted(stream, behind)
               -- One range of the index for each stream, whatever the planner thinks of joins.
               CROSS JOIN LATERAL (
                   SELECT * FROM events
                   WHERE events.partition = $1 AND events.stream = wanted.stream AND stream_version > behind
                   ORDER BY stream_version LIMIT $4
               ) AS events
               ORDER BY events.stream, stream_version LIMIT $4"#,
            partition_key(partition)?,
            &names,
            &behind,
            i64::from(limit),
        );
        let rows = events.fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(StoredEvent::try_from).collect::<Result<_, _>>()?)
    }

    /// Returns the stored events of a stream that are of some types, in order, `limit` at most.
    pub async fn events_of(
        &self,
        stream: &str,
        kinds: &[String],
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let events = sqlx::query_as!(
            EventRow,
            r#"SELECT partition, position, stream, stream_version, type AS kind, schema_version, payload, event_id,
                      correlation_id, causation_id, actor, component_digest, recorded_at, hash
               FROM events
               WHERE partition = (SELECT partition FROM streams WHERE streams.stream = $1)
                 AND events.stream = $1 AND type = ANY($2)
               ORDER BY stream_version LIMIT $3"#,
            stream,
            kinds,
            i64::from(limit),
        );
        let rows = events.fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(StoredEvent::try_from).collect::<Result<_, _>>()?)
    }

    /// Returns the newest snapshots of some streams, without their entries.
    pub async fn snapshots(&self, streams: &[String]) -> Result<Vec<Snapshot>, StoreError> {
        let rows = sqlx::query!(
            "SELECT stream, version, component_digest, state_version, state FROM snapshots WHERE stream = ANY($1)",
            streams
        );
        let mut snapshots = Vec::new();
        for row in rows.fetch_all(&self.pool).await? {
            snapshots.push(Snapshot {
                stream: row.stream,
                version: unsigned(row.version)?,
                family: Digest(hash_of("family", &row.component_digest)?),
                state_version: unsigned32(row.state_version)?,
                state: row.state,
                base: 0,
                entries: BTreeMap::new(),
            });
        }
        Ok(snapshots)
    }

    /// Returns the stored events of a partition after `after`, up to and including `up_to`, in order, `limit` at most.
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
                      correlation_id, causation_id, actor, component_digest, recorded_at, hash
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

    /// Streams a partition's stored events of streams whose names begin with `prefix`: stream by stream, with the
    /// streams in the order of their bytes.
    pub fn events_by_stream(
        &self,
        partition: u32,
        prefix: &str,
    ) -> Result<impl Stream<Item = Result<StoredEvent, StoreError>>, StoreError> {
        let rows = sqlx::query_as!(
            EventRow,
            r#"SELECT partition, position, stream, stream_version, type AS kind, schema_version, payload, event_id,
                      correlation_id, causation_id, actor, component_digest, recorded_at, hash
               FROM events WHERE partition = $1 AND starts_with(stream, $2)
               ORDER BY stream COLLATE "C", stream_version"#,
            partition_key(partition)?,
            prefix,
        );
        Ok(rows.fetch(&self.pool).map(|row| Ok(StoredEvent::try_from(row?)?)))
    }

    /// Does the same for those streams only that have a command after the sequence number `after`, decided by the
    /// component
    /// `only` if one is given.
    pub fn events_of_streams_with_commands(
        &self,
        only: Option<Digest>,
        partition: u32,
        prefix: &str,
        after: u64,
    ) -> Result<impl Stream<Item = Result<StoredEvent, StoreError>>, StoreError> {
        let only = only.map(|only| only.0.to_vec());
        let rows = sqlx::query_as!(
            EventRow,
            r#"SELECT partition, position, stream, stream_version, type AS kind, schema_version, payload, event_id,
                      correlation_id, causation_id, actor, component_digest, recorded_at, hash
               FROM events WHERE partition = $1 AND stream IN (
                   SELECT stream FROM commands WHERE partition = $1 AND sequence > $3 AND starts_with(stream, $2)
                                                 AND ($4::bytea IS NULL OR component_digest = $4)
               ) ORDER BY stream COLLATE "C", stream_version"#,
            partition_key(partition)?,
            prefix,
            signed(after)?,
            only,
        );
        Ok(rows.fetch(&self.pool).map(|row| Ok(StoredEvent::try_from(row?)?)))
    }
}
