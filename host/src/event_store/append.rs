//! The one append path: events, streams' versions, inbox and head in one transaction, or nothing.

use serde_json::Value;
use sqlx::{Postgres, Transaction};

use super::{EventStore, NewEvent, StoreError, event_id};
use crate::database::{database_time, partition_key, signed, unsigned};

/// What one transaction adds to a partition.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Append {
    /// Each stream once.
    pub streams: Vec<StreamAppend>,
    pub inbox: Vec<InboxEntry>,
}

/// What is added to one stream.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamAppend {
    pub stream: String,
    pub routing_key: String,
    /// The version that the decision was made on; 0 for a new stream.
    pub expected_version: u64,
    /// At least one.
    pub events: Vec<NewEvent>,
}

/// A command's answer, kept for its repeats.
#[derive(Debug, Clone, PartialEq)]
pub struct InboxEntry {
    pub idempotency_key: String,
    pub body_digest: [u8; 32],
    pub answer: Value,
}

impl EventStore {
    /// Appends to a partition whose head is at `expected_head`, and returns the new head.
    pub async fn append(
        &self,
        partition: u32,
        expected_head: u64,
        append: &Append,
        answered_at: clearfold_kernel::Timestamp,
    ) -> Result<u64, StoreError> {
        let columns = Columns::of(expected_head, append)?;
        let mut transaction = self.pool.begin().await?;
        let head = move_head(&mut transaction, partition, expected_head, columns.positions.len()).await?;
        if !append.streams.is_empty() {
            move_streams(&mut transaction, partition, &append.streams).await?;
            columns.insert(&mut transaction, partition).await?;
        }
        insert_answers(&mut transaction, partition, &append.inbox, answered_at).await?;
        transaction.commit().await?;
        self.appended.notify_one();
        Ok(head)
    }
}

/// Moves the head from where the writer believes it to be. This also keeps every other writer out until the
/// commit.
async fn move_head(
    transaction: &mut Transaction<'_, Postgres>,
    partition: u32,
    expected_head: u64,
    count: usize,
) -> Result<u64, StoreError> {
    let moved = sqlx::query_scalar!(
        "UPDATE partitions SET head_position = head_position + $3
         WHERE partition = $1 AND head_position = $2
         RETURNING head_position",
        partition_key(partition)?,
        signed(expected_head)?,
        i64::try_from(count).unwrap_or(i64::MAX),
    );
    match moved.fetch_optional(&mut **transaction).await? {
        Some(head) => Ok(unsigned(head)?),
        None => Err(StoreError::Conflict { partition }),
    }
}

/// Moves every stream from its expected version, opening the new ones.
async fn move_streams(
    transaction: &mut Transaction<'_, Postgres>,
    partition: u32,
    streams: &[StreamAppend],
) -> Result<(), StoreError> {
    let names: Vec<String> = streams.iter().map(|stream| stream.stream.clone()).collect();
    let keys: Vec<String> = streams.iter().map(|stream| stream.routing_key.clone()).collect();
    let expected: Vec<i64> =
        streams.iter().map(|stream| signed(stream.expected_version)).collect::<Result<_, _>>()?;
    let added: Vec<i64> =
        streams.iter().map(|stream| i64::try_from(stream.events.len()).unwrap_or(i64::MAX)).collect();
    let moved = sqlx::query_scalar!(
        r#"WITH change AS (
               SELECT * FROM UNNEST($2::text[], $3::text[], $4::bigint[], $5::bigint[])
                          AS change(stream, routing_key, expected_version, added)
           ), opened AS (
               INSERT INTO streams (stream, partition, routing_key, version)
               SELECT stream, $1, routing_key, added FROM change WHERE expected_version = 0
               ON CONFLICT DO NOTHING
               RETURNING 1
           ), moved AS (
               UPDATE streams SET version = expected_version + added FROM change
               WHERE streams.stream = change.stream AND streams.partition = $1
                 AND expected_version > 0 AND streams.version = expected_version
               RETURNING 1
           )
           SELECT (SELECT count(*) FROM opened) + (SELECT count(*) FROM moved) AS "count!""#,
        partition_key(partition)?,
        &names,
        &keys,
        &expected,
        &added,
    );
    let moved = moved.fetch_one(&mut **transaction).await?;
    if unsigned(moved)? == streams.len() as u64 { Ok(()) } else { Err(StoreError::Conflict { partition }) }
}

async fn insert_answers(
    transaction: &mut Transaction<'_, Postgres>,
    partition: u32,
    answers: &[InboxEntry],
    answered_at: clearfold_kernel::Timestamp,
) -> Result<(), StoreError> {
    // In one order everywhere: two partitions that insert the same keys must not wait for each other.
    let mut answers: Vec<&InboxEntry> = answers.iter().collect();
    answers.sort_by(|one, other| one.idempotency_key.cmp(&other.idempotency_key));
    let keys: Vec<String> = answers.iter().map(|entry| entry.idempotency_key.clone()).collect();
    let digests: Vec<Vec<u8>> = answers.iter().map(|entry| entry.body_digest.to_vec()).collect();
    let bodies: Vec<Value> = answers.iter().map(|entry| entry.answer.clone()).collect();
    let inserted = sqlx::query!(
        "INSERT INTO inbox (partition, idempotency_key, body_digest, answer, answered_at)
         SELECT $1, key, digest, answer, $5
         FROM UNNEST($2::text[], $3::bytea[], $4::jsonb[]) AS entry(key, digest, answer)
         ON CONFLICT DO NOTHING",
        partition_key(partition)?,
        &keys,
        &digests,
        &bodies,
        database_time(answered_at)?,
    );
    let inserted = inserted.execute(&mut **transaction).await?.rows_affected();
    if inserted == answers.len() as u64 { Ok(()) } else { Err(StoreError::Conflict { partition }) }
}

/// The events of an append as arrays, one a column.
#[derive(Default)]
struct Columns {
    positions: Vec<i64>,
    streams: Vec<String>,
    versions: Vec<i64>,
    kinds: Vec<String>,
    schema_versions: Vec<i32>,
    payloads: Vec<Vec<u8>>,
    event_ids: Vec<uuid::Uuid>,
    correlation_ids: Vec<uuid::Uuid>,
    causation_ids: Vec<uuid::Uuid>,
    actors: Vec<String>,
    digests: Vec<Vec<u8>>,
    recorded: Vec<time::OffsetDateTime>,
}

impl Columns {
    fn of(expected_head: u64, append: &Append) -> Result<Self, StoreError> {
        let mut columns = Self::default();
        let mut position = expected_head;
        for stream in &append.streams {
            let mut version = stream.expected_version;
            for event in &stream.events {
                position = position.saturating_add(1);
                version = version.saturating_add(1);
                columns.push(position, &stream.stream, version, event)?;
            }
        }
        Ok(columns)
    }

    fn push(
        &mut self,
        position: u64,
        stream: &str,
        version: u64,
        event: &NewEvent,
    ) -> Result<(), StoreError> {
        self.positions.push(signed(position)?);
        self.streams.push(stream.to_owned());
        self.versions.push(signed(version)?);
        self.kinds.push(event.kind.clone());
        self.schema_versions.push(i32::try_from(event.schema_version).unwrap_or(i32::MAX));
        self.payloads.push(event.payload.clone());
        self.event_ids.push(event_id(stream, version));
        self.correlation_ids.push(event.correlation_id);
        self.causation_ids.push(event.causation_id);
        self.actors.push(event.actor.clone());
        self.digests.push(event.component_digest.0.to_vec());
        self.recorded.push(database_time(event.recorded_at)?);
        Ok(())
    }

    async fn insert(
        &self,
        transaction: &mut Transaction<'_, Postgres>,
        partition: u32,
    ) -> Result<(), StoreError> {
        let inserted = sqlx::query!(
            "INSERT INTO events (partition, position, stream, stream_version, type, schema_version, payload,
                                 event_id, correlation_id, causation_id, actor, component_digest, recorded_at)
             SELECT $1, * FROM UNNEST($2::bigint[], $3::text[], $4::bigint[], $5::text[], $6::integer[], $7::bytea[],
                                      $8::uuid[], $9::uuid[], $10::uuid[], $11::text[], $12::bytea[],
                                      $13::timestamptz[])",
            partition_key(partition)?,
            &self.positions,
            &self.streams,
            &self.versions,
            &self.kinds,
            &self.schema_versions,
            &self.payloads,
            &self.event_ids,
            &self.correlation_ids,
            &self.causation_ids,
            &self.actors,
            &self.digests,
            &self.recorded,
        );
        inserted.execute(&mut **transaction).await?;
        Ok(())
    }
}
