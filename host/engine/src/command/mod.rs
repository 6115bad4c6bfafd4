//! Commands in, answers out: routed to the account's partition, decided by a component, committed, answered.
//!
//! One writer a partition, under a lease: while one batch is being committed the next is decided on the state that it
//! will leave. Other deciders take over between two batches. An answer is given only after the commit. A repeat of an
//! idempotency key gets the stored answer without being decided again. Nothing here knows what a command means.

mod batch;
mod decide;
mod deciders;
mod entries;
mod intake;
mod leader;
mod load;
mod plan;
mod prepare;
mod queued;
mod state;
mod writer;

pub use deciders::{Canary, Deciders, InForce, LiveDeciders, Running, Trial};
pub use intake::{CommandIntake, IntakeSettings};
pub use writer::WriterSettings;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use clearfold_sandbox::Fault;
use clearfold_store::{StoreError, command_id};

/// A command on its way to be decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Made by the sender: the same key is the same command.
    pub idempotency_key: String,
    pub aggregate: String,
    /// The stream's id without the aggregate's name.
    pub id: String,
    /// The account, which decides the partition.
    pub routing_key: String,
    pub kind: String,
    pub schema_version: u32,
    pub payload: Vec<u8>,
    /// Who sends it.
    pub actor: String,
}

impl Command {
    /// The stream that it is for.
    #[must_use]
    pub fn stream(&self) -> String {
        format!("{}-{}", self.aggregate, self.id)
    }

    /// The id of the command itself, which is also what everything that it brings about is found by.
    #[must_use]
    pub fn correlation_id(&self) -> Uuid {
        command_id(&self.idempotency_key)
    }

    /// What must be the same when the key is the same. Each part is preceded by its length, so that no two
    /// different commands read alike.
    #[must_use]
    pub fn body_digest(&self) -> [u8; 32] {
        let version = self.schema_version.to_be_bytes();
        let parts: [&[u8]; 6] = [
            self.aggregate.as_bytes(),
            self.id.as_bytes(),
            self.routing_key.as_bytes(),
            self.kind.as_bytes(),
            &version,
            &self.payload,
        ];
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        hasher.finalize().into()
    }
}

/// What a sender hears, now and at every repeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Answer {
    /// The command holds. Without events it was satisfied already.
    Accepted {
        stream: String,
        /// The stream's version after it.
        stream_version: u64,
        /// The types of the events that it caused.
        events: Vec<String>,
    },
    /// The command is refused, and nothing changed.
    Rejected {
        /// A stable code from the documented list.
        code: String,
        detail: String,
    },
}

/// Why there is no answer. The command may be sent again with the same key.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommandError {
    #[error("no component decides for `{aggregate}`; known are {known}")]
    UnknownAggregate { aggregate: String, known: String },
    #[error("there is no {aggregate} {id}; to open one, name its account")]
    UnknownStream { aggregate: String, id: String },
    #[error("{stream} belongs to {owner}, not to {given}")]
    AccountMismatch { stream: String, owner: String, given: String },
    #[error("the idempotency key `{key}` was used for another command; use a new key for a new command")]
    KeyReused { key: String },
    #[error("the partition's queue is full; send the command again in a moment, with the same key")]
    Overloaded,
    #[error(
        "partition {partition} is written by {owner}; send the command there, or again in a moment with the same key"
    )]
    NotTheWriter { partition: u32, owner: String },
    #[error("{0}; the command had no effect")]
    Component(String),
    #[error(
        "events of {stream} are missing from the log, so that nothing can be decided on it; run `clearfold verify`"
    )]
    Damaged { stream: String },
    #[error("the database cannot hold the command or what it came to ({0}); the command had no effect")]
    Unstorable(String),
    #[error("the store is not available ({0}); send the command again with the same key")]
    Unavailable(String),
    #[error("the host is stopping; send the command again with the same key")]
    Stopping,
}

impl CommandError {
    /// Whether the same command can succeed later without anybody mending anything.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Overloaded | Self::NotTheWriter { .. } | Self::Unavailable(_) | Self::Stopping)
    }
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(clearfold_base::telemetry::with_causes(&error))
    }
}

impl From<Fault> for CommandError {
    fn from(fault: Fault) -> Self {
        Self::Component(format!("{}: {fault}", fault.cause.code()))
    }
}
