//! The one append path: events, streams' versions, commands and answers in one statement, or nothing.

use clearfold_kernel::Timestamp;
use serde_json::Value;
use sqlx::PgConnection;

use super::lease::interval;
use super::{EventStore, Head, Lease, StoreError, StoredEvent};
use crate::database::{database_time, partition_key, signed};
use crate::digest::Digest;

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
    pub component_digest: Digest,
    pub state_version: u32,
    pub state: Vec<u8>,
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
        let appended = sqlx::query!(
            "SELECT append_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
                                 $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36,
                                 $37, $38, $39, $40, $41, $42)",
            partition_key(lease.partition)?,
            &*lease.owner,
            signed(lease.epoch)?,
            interval(lease.duration),
            signed(head.position)?,
            &head.hash.0[..],
            signed(head.sequence)?,
            database_time(now)?,
            &streams.names,
            &streams.keys,
            &streams.from,
            &streams.to,
            &events.streams,
            &events.versions,
            &events.kinds,
            &events.schema_versions,
            &events.payloads,
            &events.ids,
            &events.correlation_ids,
            &events.causation_ids,
            &events.actors,
            &events.digests,
            &events.hashes,
            &commands.keys,
            &commands.bodies,
            &commands.answers,
            &commands.streams,
            &commands.routing_keys,
            &commands.kinds,
            &commands.schema_versions,
            &commands.payloads,
            &commands.actors,
            &commands.digests,
            &commands.versions,
            &commands.event_counts,
            &commands.rejections as &[Option<String>],
            &commands.details as &[Option<String>],
            &snapshots.streams,
            &snapshots.versions,
            &snapshots.digests,
            &snapshots.state_versions,
            &snapshots.states,
        );
        appended.execute(connection).await.map_err(|error| StoreError::of_append(lease.partition, error))?;
        self.appended.notify_one();
        Ok(())
    }
}

/// The rows of an append as arrays, one a column.
#[derive(Default)]
struct Streams {
    names: Vec<String>,
    keys: Vec<String>,
    from: Vec<i64>,
    to: Vec<i64>,
}

impl Streams {
    fn of(moves: &[StreamMove]) -> Result<Self, StoreError> {
        let mut columns = Self::default();
        for stream in moves {
            columns.names.push(stream.stream.clone());
            columns.keys.push(stream.routing_key.clone());
            columns.from.push(signed(stream.from)?);
            columns.to.push(signed(stream.to)?);
        }
        Ok(columns)
    }
}

#[derive(Default)]
struct Events {
    streams: Vec<String>,
    versions: Vec<i64>,
    kinds: Vec<String>,
    schema_versions: Vec<i32>,
    payloads: Vec<Vec<u8>>,
    ids: Vec<uuid::Uuid>,
    correlation_ids: Vec<uuid::Uuid>,
    causation_ids: Vec<uuid::Uuid>,
    actors: Vec<String>,
    digests: Vec<Vec<u8>>,
    hashes: Vec<Vec<u8>>,
}

impl Events {
    fn of(events: &[StoredEvent]) -> Result<Self, StoreError> {
        let mut columns = Self::default();
        for event in events {
            columns.streams.push(event.stream.clone());
            columns.versions.push(signed(event.stream_version)?);
            columns.kinds.push(event.kind.clone());
            columns.schema_versions.push(schema_version(event.schema_version));
            columns.payloads.push(event.payload.clone());
            columns.ids.push(event.event_id);
            columns.correlation_ids.push(event.correlation_id);
            columns.causation_ids.push(event.causation_id);
            columns.actors.push(event.actor.clone());
            columns.digests.push(event.component_digest.0.to_vec());
            columns.hashes.push(event.hash.0.to_vec());
        }
        Ok(columns)
    }
}

#[derive(Default)]
struct Commands {
    keys: Vec<String>,
    bodies: Vec<Vec<u8>>,
    answers: Vec<Value>,
    streams: Vec<String>,
    routing_keys: Vec<String>,
    kinds: Vec<String>,
    schema_versions: Vec<i32>,
    payloads: Vec<Vec<u8>>,
    actors: Vec<String>,
    digests: Vec<Vec<u8>>,
    versions: Vec<i64>,
    event_counts: Vec<i32>,
    rejections: Vec<Option<String>>,
    details: Vec<Option<String>>,
}

impl Commands {
    fn of(commands: &[RecordedCommand]) -> Result<Self, StoreError> {
        let mut columns = Self::default();
        for command in commands {
            columns.keys.push(command.idempotency_key.clone());
            columns.bodies.push(command.body_digest.to_vec());
            columns.answers.push(command.answer.clone());
            columns.streams.push(command.stream.clone());
            columns.routing_keys.push(command.routing_key.clone());
            columns.kinds.push(command.kind.clone());
            columns.schema_versions.push(schema_version(command.schema_version));
            columns.payloads.push(command.payload.clone());
            columns.actors.push(command.actor.clone());
            columns.digests.push(command.component_digest.0.to_vec());
            columns.versions.push(signed(command.expected_version)?);
            let (count, rejection) = match &command.came_of_it {
                CameOfIt::Events(count) => (*count, None),
                CameOfIt::Rejection { code, detail } => (0, Some((code.clone(), detail.clone()))),
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
struct Snapshots {
    streams: Vec<String>,
    versions: Vec<i64>,
    digests: Vec<Vec<u8>>,
    state_versions: Vec<i32>,
    states: Vec<Vec<u8>>,
}

impl Snapshots {
    fn of(snapshots: &[Snapshot]) -> Result<Self, StoreError> {
        let mut columns = Self::default();
        for snapshot in snapshots {
            columns.streams.push(snapshot.stream.clone());
            columns.versions.push(signed(snapshot.version)?);
            columns.digests.push(snapshot.component_digest.0.to_vec());
            columns.state_versions.push(schema_version(snapshot.state_version));
            columns.states.push(snapshot.state.clone());
        }
        Ok(columns)
    }
}

/// The runtime lets in none that does not fit.
fn schema_version(version: u32) -> i32 {
    i32::try_from(version).unwrap_or(i32::MAX)
}
