//! Projections: a projector component makes rows of published events.
//!
//! A batch's rows and its checkpoint commit together in the read store, so every event counts once. A projection reads
//! events from the bus and never appends. Its tables are made from the component's declaration.
//!
//! Each projection has a [`Supervisor`]. It is told which component must be live. If another component made the rows
//! that are read, it builds the wanted one's beside them from the first event ([`build`]), and switches when they are
//! as far: queries find the old rows or the new ones, and never none.
//!
//! The rows can be checked later: a [`ProjectionReplay`] builds them again in memory, in the same way, and compares
//! them with a [`StoredProjection`]. Neither writes.

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
mod status;
mod stored;
mod supervisor;
mod table_writer;
mod tables;

pub use difference::RowDifference;
pub use readers::Readers;
pub use replay::ProjectionReplay;
pub use runner::RunnerSettings;
pub use status::{LiveTables, State, Status};
pub use stored::StoredProjection;
pub use supervisor::{Ground, LiveProjector, Supervisor, stored_digest};

use clearfold_base::blocking::Panicked;
use clearfold_base::database::DatabaseError;
use clearfold_bus::BusError;
use clearfold_sandbox::Fault;

/// A batch was not projected. Nothing of it was kept.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    #[error("the read store cannot be used")]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error("the projector did not end")]
    Panicked(#[from] Panicked),
    #[error(
        "the projection `{projection}` needs event {expected} of partition {partition} next, and there is {found}; \
         nothing further is projected there. `clearfold verify` shows whether the log is damaged"
    )]
    Gap { projection: String, partition: u32, expected: u64, found: String },
    #[error("a checkpoint of {checkpoint} partitions does not fit a log of {log}; start the host again")]
    OtherPartitions { checkpoint: usize, log: usize },
    #[error(
        "the projector `{projection}` has version {version}, and the read store keeps versions up to 2147483647; give \
         it a lower version"
    )]
    VersionTooHigh { projection: String, version: u32 },
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
    #[error("the component {component} was given up")]
    GivenUp {
        component: String,
        #[source]
        cause: Box<ProjectionError>,
    },
    #[error("the component is a projector of `{declared}`, and not of `{projection}`; deploy it there")]
    OtherProjection { projection: String, declared: String },
}

impl From<sqlx::Error> for ProjectionError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl ProjectionError {
    /// Returns true if fewer events could succeed: one of them makes the component or the database refuse.
    fn is_of_one_event(&self) -> bool {
        match self {
            Self::Fault(_) | Self::AtEvent { .. } => true,
            Self::Database(error) => error.is_refusal(),
            _ => false,
        }
    }

    /// Returns true if a retry is of no use: the component would have to be another one, or the read store.
    fn is_final(&self) -> bool {
        match self {
            Self::Older { .. }
            | Self::Changed { .. }
            | Self::ForeignSchema { .. }
            | Self::Ahead { .. }
            | Self::Unreadable { .. }
            | Self::VersionTooHigh { .. }
            | Self::OtherProjection { .. } => true,
            other => other.is_of_one_event(),
        }
    }
}
