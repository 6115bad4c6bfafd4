//! Whether the log is what it was: `verify` walks the chain of hashes, `replay` decides everything again. And what would
//! have been: `shadow` lets another component decide what was decided.
//!
//! All only read, hold little in memory however long the log is, and run beside a host. Neither trusts a figure that
//! it can compute.

mod history;
mod redecide;
mod replay;
mod shadow;
mod verify;

pub use replay::{CommandReplay, ReplayDifference, ReplayReport};
pub use shadow::{Divergence, Shadow, ShadowReport};
pub use verify::{HashChainBreak, PartitionReport, verify};

/// How far a check has come: events or commands.
pub type OnProgress<'a> = &'a (dyn Fn(u64) + Send + Sync);
