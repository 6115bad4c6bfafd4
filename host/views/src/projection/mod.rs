//! Projections: published events become rows, by the hand of a projector component.
//!
//! A batch's rows and its checkpoint commit together in the read store, so every event counts once. A projection
//! reads events from the bus and never appends. Its tables are made from what the component declares.
//!
//! Each projection has a [`Supervisor`]. It is told which component shall be live; when that is another one than made
//! the rows that are read, it builds the new one's beside them from the first event ([`build`]), and switches when they
//! have come as far: whoever reads finds the old rows or the new ones, and never none.
//!
//! Whether the rows are what the events make of them can be asked later: a [`Replay`] builds them again in memory,
//! by the same batches, and compares them with a [`Snapshot`] of the read store. Neither writes.

mod batch;
mod book;
mod build;
mod cells;
mod checkpoint;
mod difference;
mod readers;
mod replay;
mod rows;
mod runner;
mod snapshot;
mod status;
mod supervisor;
mod tables;

pub use difference::Difference;
pub use readers::Readers;
pub use replay::Replay;
pub use runner::RunnerSettings;
pub use snapshot::Snapshot;
pub use status::{LiveTables, State, Status};
pub use supervisor::{Ground, Live, Supervisor, stored_digest};

use clearfold_base::database::DatabaseError;
use clearfold_bus::BusError;
use clearfold_sandbox::Fault;

/// Why a batch was not projected. Nothing of it was kept.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    #[error("the read store cannot be used")]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error(
        "the read store holds version {stored} of the projection `{projection}`, and the component is version \
         {declared}: deploy the newer component, or drop the database schema `{projection}` and its row in `projections`"
    )]
    Older { projection: String, stored: i32, declared: i32 },
    #[error(
        "the projector `{projection}` declares other tables than before under the same version {version}; raise \
         the version, and the tables are built again"
    )]
    Changed { projection: String, version: i32 },
    #[error(
        "the read store has a schema `{projection}` that no projection made; give READ_DATABASE_URL a database of \
         its own, or rename the schema"
    )]
    ForeignSchema { projection: String },
    #[error(
        "the read store is ahead of the log in partition {partition} ({position} of {head}): it belongs to another \
         log; give READ_DATABASE_URL an empty database"
    )]
    Ahead { partition: u32, position: u64, head: u64 },
    #[error(
        "the read store has no tables of the projection `{projection}` yet; start the host, which makes them"
    )]
    NotBuilt { projection: String },
    #[error(
        "the tables of the projection `{projection}` were made by another component than this one, or from another \
         declaration; check with the components that are live"
    )]
    OtherTables { projection: String },
    #[error(
        "the tables of the projection `{projection}` are another component's now, by the hand of another host; this \
         one leaves them alone"
    )]
    Replaced { projection: String },
    #[error(
        "another process moved the checkpoint of `{projection}` in partition {partition}; one host projects at a time"
    )]
    Overtaken { projection: String, partition: u32 },
    #[error("event {position} of partition {partition} ({kind} of {stream}) could not be projected")]
    AtEvent {
        partition: u32,
        position: u64,
        kind: String,
        stream: String,
        #[source]
        cause: Box<ProjectionError>,
    },
    #[error(
        "the API could not read the tables as this component declares them: {why}; keep what it asks for"
    )]
    Unreadable { why: String },
    #[error("the component is a projector of `{declared}`, and not of `{projection}`; deploy it there")]
    OtherProjection { projection: String, declared: String },
}

impl From<sqlx::Error> for ProjectionError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl ProjectionError {
    /// Whether fewer events could do better: one of them makes the component or the database refuse.
    fn is_of_one_event(&self) -> bool {
        match self {
            Self::Fault(_) | Self::AtEvent { .. } => true,
            Self::Database(error) => error.is_refusal(),
            _ => false,
        }
    }

    /// Whether trying again is of no use: the component would have to be another one, or the read store.
    fn is_final(&self) -> bool {
        match self {
            Self::Older { .. }
            | Self::Changed { .. }
            | Self::ForeignSchema { .. }
            | Self::Ahead { .. }
            | Self::Unreadable { .. }
            | Self::OtherProjection { .. } => true,
            other => other.is_of_one_event(),
        }
    }
}
