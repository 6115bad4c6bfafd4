//! Projections: published events become rows, by the hand of a projector component.
//!
//! A batch's rows and its checkpoint commit together in the read store, so every event counts once. A projection
//! reads events from the bus and never appends. Its tables are made from what the component declares; when the
//! declaration changes, they are dropped and built again from the first event.

mod checkpoint;
mod rows;
mod runner;
mod tables;

pub use runner::{Runner, RunnerSettings};

use crate::bus::BusError;
use crate::database::DatabaseError;
use crate::runtime::Fault;

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
        "another process moved the checkpoint of `{projection}` in partition {partition}; one host projects at a time"
    )]
    Overtaken { projection: String, partition: u32 },
}

impl From<sqlx::Error> for ProjectionError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}
