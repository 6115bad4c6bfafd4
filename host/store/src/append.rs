//! The one append path: events, streams' versions, commands and answers in one statement, or nothing.

use std::collections::BTreeMap;

use clearfold_kernel::Timestamp;
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::lease::interval;
use super::{EventStore, Head, Lease, StoreError, StoredEvent};
use clearfold_base::database::{database_time, partition_key, signed};
use clearfold_base::digest::Digest;

/// What one transaction adds to a partition.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Append {
    /// Each stream once.
    pub streams: Vec<StreamMove>,
    /// In order, with their places in the partition.
    pub events: Vec<StoredEvent>,
    /// In the order in which they were decided.
    pub commands: Vec<RecordedCommand>,
    pub snapshots: Vec<Snapshot>,
}

/// A stream from one version to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamMove {
    pub stream: String,
    pub routing_key: String,
    /// The version that was decided on; 0 for a new stream.
    pub from: u64,
    pub to: u64,
}

/// A command that was decided, its answer for its repeats, and what it takes to decide it again.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedCommand {
    pub idempotency_key: String,
    pub body_digest: [u8; 32],
    pub answer: Value,
    pub stream: String,
    pub routing_key: String,
    pub kind: String,
    pub schema_version: u32,
    pub payload: Vec<u8>,
    pub actor: String,
    pub component_digest: Digest,
    /// The stream's version before it.
    pub expected_version: u64,
    pub came_of_it: CameOfIt,
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CameOfIt {
    /// So many events.
    Events(u32),
    /// Nothing, and why.
    Rejection { code: String, detail: String },
}

impl CameOfIt {
    /// How many events.
    #[must_use]
    pub fn events(&self) -> u64 {
        match self {
            Self::Events(count) => u64::from(*count),
            Self::Rejection { .. } => 0,
        }
    }
}

/// A stream's state, so that it need not be folded again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub stream: String,
    pub version: u64,
    /// Which code made it, and in which form.
    pub family: Digest,
    pub state_version: u32,
    pub state: Vec<u8>,
    /// The version of the snapshot on which `entries` build; 0 if they are all that there are.
    pub base: u64,
    /// What changed in its keyed part since then; none for what was removed.
    pub entries: BTreeMap<String, Option<Vec<u8>>>,
}

impl EventStore {
    /// Appends to a partition that ends at `head`, under a lease. Renews the lease.
    pub async fn append(
        &self,
        connection: &mut PgConnection,
        lease: &Lease,
        head: &Head,
        append: &Append,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let streams = Streams::of(&append.streams)?;
        let events = Events::of(&append.events)?;
        let commands = Commands::of(&append.commands)?;
        let snapshots = Snapshots::of(&append.snapshots)?;
        let entries = Entries::of(&append.snapshots);
        let appended = sqlx::query!(
            "SELECT append_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
                                 $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36,
                                 $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47)",
            partition_key(lease.partition)?,
            &*lease.owner,
            signed(lease.epoch)?,
            interval(lease.duration),
            signed(head.position)?,
            &head.hash.0[..],
            signed(head.sequence)?,
            database_time(now)?,
            &streams.names as &[&str],
            &streams.keys as &[&str],
            &streams.from,
            &streams.to,
            &events.streams as &[&str],
            &events.versions,
            &events.kinds as &[&str],
            &events.schema_versions,
            &events.payloads as &[&[u8]],
            &events.ids,
            &events.correlation_ids,
            &events.causation_ids,
            &events.actors as &[&str],
            &events.digests as &[&[u8]],
            &events.hashes as &[&[u8]],
            &commands.keys as &[&str],
            &commands.bodies as &[&[u8]],
            &commands.answers as &[Json<&Value>],
            &commands.streams as &[&str],
            &commands.routing_keys as &[&str],
            &commands.kinds as &[&str],
            &commands.schema_versions,
            &commands.payloads as &[&[u8]],
            &commands.actors as &[&str],
            &commands.digests as &[&[u8]],
            &commands.versions,
            &commands.event_counts,
            &commands.rejections as &[Option<&str>],
            &commands.details as &[Option<&str>],
            &snapshots.streams as &[&str],
            &snapshots.bases,
            &snapshots.versions,
            &snapshots.digests as &[&[u8]],
            &snapshots.state_versions,
            &snapshots.states as &[&[u8]],
            &entries.streams as &[&str],
            &entries.keys as &[&str],
            &entries.digests as &[&[u8]],
            &entries.values as &[Option<&[u8]>],
        );
        appended.execute(connection).await.map_err(|error| StoreError::of_append(lease.partition, error))?;
        self.appended.notify_one();
        Ok(())
    }
}

/// The rows of an append as arrays, one a column.
#[derive(Default)]
struct Streams<'a> {
    names: Vec<&'a str>,
    keys: Vec<&'a str>,
    from: Vec<i64>,
    to: Vec<i64>,
}

impl<'a> Streams<'a> {
    fn of(moves: &'a [StreamMove]) -> Result<Self, StoreError> {
        let mut columns = Self::default();
        for stream in moves {
            columns.names.push(&stream.stream);
            columns.keys.push(&stream.routing_key);
            columns.from.push(signed(stream.from)?);
            columns.to.push(signed(stream.to)?);
        }
        Ok(columns)
    }
}

#[derive(Default)]
struct Events<'a> {
    streams: Vec<&'a str>,
    versions: Vec<i64>,
    kinds: Vec<&'a str>,
    schema_versions: Vec<i32>,
    payloads: Vec<&'a [u8]>,
    ids: Vec<uuid::Uuid>,
    correlation_ids: Vec<uuid::Uuid>,
    causation_ids: Vec<uuid::Uuid>,
    actors: Vec<&'a str>,
    digests: Vec<&'a [u8]>,
    hashes: Vec<&'a [u8]>,
}

impl<'a> Events<'a> {
    fn of(events: &'a [StoredEvent]) -> Result<Self, StoreError> {
        let mut columns = Self::default();
        for event in events {
            columns.streams.push(&event.stream);
            columns.versions.push(signed(event.stream_version)?);
            columns.kinds.push(&event.kind);
            columns.schema_versions.push(schema_version(event.schema_version));
            columns.payloads.push(&event.payload);
            columns.ids.push(event.event_id);
            columns.correlation_ids.push(event.correlation_id);
            columns.causation_ids.push(event.causation_id);
            columns.actors.push(&event.actor);
            columns.digests.push(&event.component_digest.0);
            columns.hashes.push(&event.hash.0);
        }
        Ok(columns)
    }
}

#[derive(Default)]
struct Commands<'a> {
    keys: Vec<&'a str>,
    bodies: Vec<&'a [u8]>,
    answers: Vec<Json<&'a Value>>,
    streams: Vec<&'a str>,
    routing_keys: Vec<&'a str>,
    kinds: Vec<&'a str>,
    schema_versions: Vec<i32>,
    payloads: Vec<&'a [u8]>,
    actors: Vec<&'a str>,
    digests: Vec<&'a [u8]>,
    versions: Vec<i64>,
    event_counts: Vec<i32>,
    rejections: Vec<Option<&'a str>>,
    details: Vec<Option<&'a str>>,
}

impl<'a> Commands<'a> {
    fn of(commands: &'a [RecordedCommand]) -> Result<Self, StoreError> {
        let mut columns = Self::default();
        for command in commands {
            columns.keys.push(&command.idempotency_key);
            columns.bodies.push(&command.body_digest);
            columns.answers.push(Json(&command.answer));
            columns.streams.push(&command.stream);
            columns.routing_keys.push(&command.routing_key);
            columns.kinds.push(&command.kind);
            columns.schema_versions.push(schema_version(command.schema_version));
            columns.payloads.push(&command.payload);
            columns.actors.push(&command.actor);
            columns.digests.push(&command.component_digest.0);
            columns.versions.push(signed(command.expected_version)?);
            let (count, rejection) = match &command.came_of_it {
                CameOfIt::Events(count) => (*count, None),
                CameOfIt::Rejection { code, detail } => (0, Some((code.as_str(), detail.as_str()))),
            };
            columns.event_counts.push(i32::try_from(count).unwrap_or(i32::MAX));
            let (code, detail) = rejection.unzip();
            columns.rejections.push(code);
            columns.details.push(detail);
        }
        Ok(columns)
    }
}

#[derive(Default)]
struct Snapshots<'a> {
    streams: Vec<&'a str>,
    bases: Vec<i64>,
    versions: Vec<i64>,
    digests: Vec<&'a [u8]>,
    state_versions: Vec<i32>,
    states: Vec<&'a [u8]>,
}

impl<'a> Snapshots<'a> {
    fn of(snapshots: &'a [Snapshot]) -> Result<Self, StoreError> {
        let mut columns = Self::default();
        for snapshot in snapshots {
            columns.streams.push(&snapshot.stream);
            columns.bases.push(signed(snapshot.base)?);
            columns.versions.push(signed(snapshot.version)?);
            columns.digests.push(&snapshot.family.0);
            columns.state_versions.push(schema_version(snapshot.state_version));
            columns.states.push(&snapshot.state);
        }
        Ok(columns)
    }
}

#[derive(Default)]
struct Entries<'a> {
    streams: Vec<&'a str>,
    keys: Vec<&'a str>,
    digests: Vec<&'a [u8]>,
    values: Vec<Option<&'a [u8]>>,
}

impl<'a> Entries<'a> {
    fn of(snapshots: &'a [Snapshot]) -> Self {
        let mut columns = Self::default();
        for snapshot in snapshots {
            for (key, value) in &snapshot.entries {
                columns.streams.push(&snapshot.stream);
                columns.keys.push(key);
                columns.digests.push(&snapshot.family.0);
                columns.values.push(value.as_deref());
            }
        }
        columns
    }
}

/// The runtime lets in none that does not fit.
fn schema_version(version: u32) -> i32 {
    i32::try_from(version).unwrap_or(i32::MAX)
}
