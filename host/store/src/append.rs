//! The one append path: events, stream versions, commands, answers and snapshots in one statement, or nothing.

mod arguments;

use std::collections::BTreeMap;

use clearfold_kernel::Timestamp;
use serde_json::Value;
use sqlx::PgConnection;

use self::arguments::{
    CommandArgument, EffectArgument, EntryArgument, EventArgument, HeadArgument, LeaseArgument,
    PendingEffectArgument, SnapshotArgument, StreamArgument, TimerArgument,
};
use super::{DueTimer, EventStore, Head, Lease, NewEffect, PendingEffect, StoreError, StoredEvent};
use clearfold_base::database::database_time;
use clearfold_base::digest::Digest;

/// Rows that one transaction adds to a partition.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Append {
    /// Streams that move, each once.
    pub streams: Vec<StreamMove>,
    /// Events in order, with their positions in the partition.
    pub events: Vec<StoredEvent>,
    /// Commands in the order in which they were decided.
    pub commands: Vec<RecordedCommand>,
    pub snapshots: Vec<Snapshot>,
    /// Timers of sagas to set.
    pub timers: Vec<DueTimer>,
    /// Timers that fired or are not wanted any more. One that does not exist is none.
    pub ended_timers: Vec<DueTimer>,
    /// Effects of sagas to carry out.
    pub effects: Vec<NewEffect>,
    /// Effects whose outcome came. One that does not exist is none.
    pub ended_effects: Vec<PendingEffect>,
}

/// Move of a stream from one version to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamMove {
    pub stream: String,
    pub routing_key: String,
    /// Version that was decided on; 0 for a new stream.
    pub from: u64,
    pub to: u64,
}

/// A decided command: its answer for its repeats, and everything that is needed to decide it again.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedCommand {
    pub idempotency_key: String,
    /// Kept for its repeats; none for a command of the host, which cannot be repeated.
    pub kept: Option<KeptAnswer>,
    pub stream: String,
    pub routing_key: String,
    pub kind: String,
    pub schema_version: u32,
    pub payload: Vec<u8>,
    pub actor: String,
    pub component_digest: Digest,
    /// Version of the stream before the command.
    pub expected_version: u64,
    pub outcome: RecordedOutcome,
}

/// Answer for the repeats of a command.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptAnswer {
    /// Digest of the command: a repeat has the same.
    pub body_digest: [u8; 32],
    pub answer: Value,
}

/// Outcome of a command, as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordedOutcome {
    /// Accepted with this number of events.
    Events(u32),
    /// Rejected without effect.
    Rejection { code: String, detail: String },
}

impl RecordedOutcome {
    /// Number of events.
    #[must_use]
    pub fn events(&self) -> u64 {
        match self {
            Self::Events(count) => u64::from(*count),
            Self::Rejection { .. } => 0,
        }
    }
}

/// State of a stream at one version, stored so that it need not be folded again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub stream: String,
    pub version: u64,
    /// Component that first made states of this form.
    pub family: Digest,
    pub state_version: u32,
    pub state: Vec<u8>,
    /// Version of the snapshot that `entries` build on; 0 if they are the whole keyed part.
    pub base: u64,
    /// Entries that changed since `base`; `None` for a removed one.
    pub entries: BTreeMap<String, Option<Vec<u8>>>,
}

impl EventStore {
    /// Appends to a partition that ends at `head`, under a lease, and renews the lease.
    pub async fn append(
        &self,
        connection: &mut PgConnection,
        lease: &Lease,
        head: &Head,
        append: &Append,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let streams: Vec<_> = append.streams.iter().map(StreamArgument::of).collect::<Result<_, _>>()?;
        let events: Vec<_> = append.events.iter().map(EventArgument::of).collect::<Result<_, _>>()?;
        let commands: Vec<_> = append.commands.iter().map(CommandArgument::of).collect::<Result<_, _>>()?;
        let snapshots: Vec<_> =
            append.snapshots.iter().map(SnapshotArgument::of).collect::<Result<_, _>>()?;
        let entries: Vec<_> = append.snapshots.iter().flat_map(EntryArgument::all_of).collect();
        let timers: Vec<_> = append.timers.iter().map(TimerArgument::of).collect::<Result<_, _>>()?;
        let ended_timers: Vec<_> =
            append.ended_timers.iter().map(TimerArgument::of).collect::<Result<_, _>>()?;
        let effects: Vec<_> = append.effects.iter().map(EffectArgument::of).collect::<Result<_, _>>()?;
        let ended_effects: Vec<_> =
            append.ended_effects.iter().map(PendingEffectArgument::of).collect::<Result<_, _>>()?;
        let appended = sqlx::query!(
            "SELECT append_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            LeaseArgument::of(lease)? as LeaseArgument<'_>,
            HeadArgument::of(head)? as HeadArgument<'_>,
            database_time(now)?,
            &streams as &[StreamArgument<'_>],
            &events as &[EventArgument<'_>],
            &commands as &[CommandArgument<'_>],
            &snapshots as &[SnapshotArgument<'_>],
            &entries as &[EntryArgument<'_>],
            &timers as &[TimerArgument<'_>],
            &ended_timers as &[TimerArgument<'_>],
            &effects as &[EffectArgument<'_>],
            &ended_effects as &[PendingEffectArgument<'_>],
        );
        appended.execute(connection).await.map_err(|error| StoreError::of_append(lease.partition, error))?;
        self.appended.notify_one();
        Ok(())
    }
}
