//! Whether the log is what it was: `verify` walks the chain of hashes, `replay` decides everything again.
//!
//! Both only read, hold little in memory however long the log is, and run beside a host. Neither trusts a figure that
//! it can compute.

mod replay;
mod verify;

pub use replay::{Difference, Replay, ReplayReport};
pub use verify::{Broken, PartitionReport, verify};

/// How far a check has come: events or commands.
pub type OnProgress<'a> = &'a (dyn Fn(u64) + Send + Sync);
