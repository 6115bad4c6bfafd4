//! Checks of the log: `verify` walks the hash chain, `replay` decides all recorded commands again. And a trial:
//! `shadow` lets another component decide recorded commands. `waiting` compares what sagas wait for with its rows.
//!
//! All of them only read, keep little in memory however long the log is, and run beside a host. None trusts a figure
//! that it can compute.

mod history;
mod redecide;
mod replay;
mod shadow;
mod verify;
mod waiting;

pub(crate) use history::next_stream;
pub use replay::{CommandReplay, ReplayDifference, ReplayReport};
pub use shadow::{Divergence, OtherEvents, Shadow, ShadowReport};
pub use verify::{HashChainBreak, PartitionReport, verify};
pub use waiting::{MissingRow, WaitingReport, waiting};

use clearfold_base::background::Abandoned;
use clearfold_base::blocking::Panicked;
use clearfold_store::StoreError;

/// Callback with the number of events or commands that were checked since the last call.
pub type OnProgress<'a> = &'a (dyn Fn(u64) + Send + Sync);

/// Reason why a check was not finished. What it found until then is in its report.
#[derive(Debug, thiserror::Error)]
pub enum IntegrityError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}; run `clearfold verify`")]
    Unreadable(String),
    #[error(transparent)]
    Panicked(#[from] Panicked),
    #[error(transparent)]
    Abandoned(#[from] Abandoned),
}
