//! The writer's lookup before it decides, in one round trip: earlier answers, the heads of streams, and entries of
//! their states.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::PgConnection;

use super::event::{hash_of, unsigned32};
use super::{Answered, EventStore, StoreError, StreamHead};
use clearfold_base::database::{DatabaseError, unsigned};
use clearfold_base::digest::Digest;

/// Keys, streams and entries to look up.
#[derive(Debug, Clone, Default)]
pub struct Lookup {
    pub idempotency_keys: Vec<String>,
    pub streams: Vec<String>,
    pub entries: Vec<EntryKey>,
}

impl Lookup {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.idempotency_keys.is_empty() && self.streams.is_empty() && self.entries.is_empty()
    }
}

/// Key of an entry of a stream's state, in the newest snapshot of a family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryKey {
    pub stream: String,
    pub key: String,
    pub family: Digest,
}

/// Result of a lookup. Unknown idempotency keys and streams are left out.
#[derive(Debug, Clone, Default)]
pub struct LookupResult {
    pub answered: Vec<Answered>,
    pub heads: BTreeMap<String, StreamHead>,
    /// By stream and family, for each that was asked for.
    pub entries: BTreeMap<(String, Digest), FoundEntries>,
}

/// Entries that a snapshot has of those that were asked for.
#[derive(Debug, Clone, Default)]
pub struct FoundEntries {
    /// Version of the snapshot; 0 if the family has none of the stream.
    pub snapshot_version: u64,
    /// Values by key; none if there is no such entry.
    pub values: BTreeMap<String, Option<Vec<u8>>>,
}

/// Row of the inbox, of a stream, or of an entry.
struct LookupRow {
    name: String,
    key: Option<String>,
    bytes: Option<Vec<u8>>,
    family: Option<Vec<u8>>,
    answer: Option<Value>,
    partition: Option<i32>,
    version: Option<i64>,
}

impl EventStore {
    /// Looks everything up in one round trip.
    pub async fn look_up(
        &self,
        connection: &mut PgConnection,
        lookup: &Lookup,
    ) -> Result<LookupResult, StoreError> {
        let (mut streams, mut keys, mut digests) = (Vec::new(), Vec::new(), Vec::new());
        for entry in &lookup.entries {
            streams.push(entry.stream.clone());
            keys.push(entry.key.clone());
            digests.push(entry.family.0.to_vec());
        }
        let rows = sqlx::query_as!(
            LookupRow,
            r#"SELECT idempotency_key AS "name!", NULL::text AS key, body_digest AS bytes, NULL::bytea AS family,
                      answer AS "answer: Value", NULL::integer AS partition, NULL::bigint AS version
               FROM inbox WHERE idempotency_key = ANY($1)
               UNION ALL
               SELECT stream, routing_key, NULL, NULL, NULL, partition, version FROM streams WHERE stream = ANY($2)
               UNION ALL
               SELECT wanted.stream, wanted.key, entries.value, wanted.digest, NULL, NULL, COALESCE(snapshots.version, 0)
               FROM UNNEST($3::text[], $4::text[], $5::bytea[]) AS wanted(stream, key, digest)
               -- One place of each index, whatever the planner thinks of joins.
               LEFT JOIN LATERAL (
                   SELECT version FROM snapshots
                   WHERE snapshots.stream = wanted.stream AND component_digest = wanted.digest OFFSET 0
               ) AS snapshots ON true
               LEFT JOIN LATERAL (
                   SELECT value FROM snapshot_entries
                   WHERE snapshot_entries.stream = wanted.stream AND snapshot_entries.key = wanted.key
                     AND component_digest = wanted.digest OFFSET 0
               ) AS entries ON true"#,
            &lookup.idempotency_keys,
            &lookup.streams,
            &streams,
            &keys,
            &digests,
        );
        let mut found = LookupResult::default();
        for row in rows.fetch_all(connection).await? {
            found.add(row)?;
        }
        Ok(found)
    }
}

impl LookupResult {
    fn add(&mut self, row: LookupRow) -> Result<(), StoreError> {
        match row {
            LookupRow { name, bytes: Some(body_digest), answer: Some(answer), .. } => {
                self.answered.push(Answered { idempotency_key: name, body_digest, answer });
            }
            LookupRow {
                name,
                key: Some(routing_key),
                partition: Some(partition),
                version: Some(version),
                ..
            } => {
                let (partition, version) = (unsigned32(partition)?, unsigned(version)?);
                self.heads.insert(name, StreamHead { partition, routing_key, version });
            }
            LookupRow {
                name, key: Some(key), bytes, family: Some(family), version: Some(version), ..
            } => {
                let family = Digest(hash_of("family", &family)?);
                let of_stream = self.entries.entry((name, family)).or_default();
                of_stream.snapshot_version = unsigned(version)?;
                of_stream.values.insert(key, bytes);
            }
            LookupRow { name, .. } => {
                return Err(DatabaseError::Corrupt(format!("`{name}` was found without content")).into());
            }
        }
        Ok(())
    }
}
