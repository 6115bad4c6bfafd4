//! Commands in, answers out: routed to the account's partition, decided by a component, committed, answered.
//!
//! One writer per partition, under a lease: while one batch is being committed the next is decided on the state that it
//! will leave. Other deciders take over between two batches. An answer is given only after the commit. A repeat of an
//! idempotency key gets the stored answer without being decided again. Nothing here knows what a command means.
//!
//! Each module uses those below it, and none of those above:
//!
//! ```text
//! intake      queues commands by partition
//! writer      takes the lease, or refuses commands
//! leader      executes what the planner plans
//! effect_runner has the effects of sagas carried out
//! prepare     gathers what commands are decided on
//! load        folds states that are not in memory
//! in_flight   commits one batch
//! pipeline    knows what waits where (pure)
//! planner     plans the next step (pure)
//! batch       collects what was decided (pure)
//! decide      calls components
//! session     holds the lease and the connections
//! sort        sorts commands by stream (pure)
//! state       keeps states of streams in a cache
//! entries     keeps changed entries of a state (pure)
//! subscriptions hands committed events to callers that wait for them
//! queued      answers and logs one command
//! deciders    finds the decider of an account (pure)
//! timers      knows which timers of sagas are due next (pure)
//! failure     says why a leadership ends
//! settings    settings of the writers
//! ```

mod batch;
mod decide;
mod deciders;
mod effect_runner;
mod entries;
mod failure;
mod in_flight;
mod intake;
mod leader;
mod load;
mod permits;
mod pipeline;
mod planner;
mod prepare;
mod queued;
mod session;
mod settings;
mod sort;
mod state;
mod subscriptions;
mod timers;
mod writer;

pub(crate) use deciders::Follower;
pub use deciders::{ActiveDecider, AggregateDeciders, Canary, Deciders, LiveDeciders, Trial};
pub use intake::{Awaited, CommandIntake, IntakeSettings, WaitFor};
pub use permits::Permits;
pub(crate) use queued::{FollowUp, Origin};
pub use settings::WriterSettings;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use clearfold_sandbox::Fault;
use clearfold_store::{StoreError, command_id};

/// Command that is to be decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Key made by the sender: the same key means the same command.
    pub idempotency_key: String,
    pub aggregate: String,
    /// Id of the stream without the aggregate's name.
    pub id: String,
    /// Account, which determines the partition.
    pub routing_key: String,
    pub kind: String,
    pub schema_version: u32,
    pub payload: Vec<u8>,
    /// Sender, as the host knows it.
    pub actor: String,
}

impl Command {
    /// Stream that it is for.
    #[must_use]
    pub fn stream(&self) -> String {
        format!("{}-{}", self.aggregate, self.id)
    }

    /// Id of the command itself, under which everything that it brings about is found.
    #[must_use]
    pub fn correlation_id(&self) -> Uuid {
        command_id(&self.idempotency_key)
    }

    /// Digest of everything that must be the same when the key is the same. Each part is preceded by its length, so
    /// that no two different commands have the same input.
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

/// Answer to a command, the first time and at every repeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Answer {
    /// The command is accepted. Without events it was satisfied already.
    Accepted {
        stream: String,
        /// Version of the stream after it.
        stream_version: u64,
        /// Types of the events that it caused.
        events: Vec<String>,
    },
    /// The command is rejected, and nothing changed.
    Rejected {
        /// Stable code from the documented list.
        code: String,
        detail: String,
    },
}

/// Reason why there is no answer. The command may be sent again with the same key.
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
    #[error("the database cannot hold the command or its outcome ({0}); the command had no effect")]
    Unstorable(String),
    #[error("the store is not available ({0}); send the command again with the same key")]
    Unavailable(String),
    #[error("this host failed ({0}); send the command again with the same key")]
    Internal(String),
    #[error("the host is stopping; send the command again with the same key")]
    Stopping,
}

impl CommandError {
    /// Returns true if the same command can succeed later without a repair. An internal failure counts as passing: a
    /// command from the chain must not be given up because of a bug of this host.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Overloaded
                | Self::NotTheWriter { .. }
                | Self::Unavailable(_)
                | Self::Internal(_)
                | Self::Stopping
        )
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
