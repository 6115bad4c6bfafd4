//! Report of a check, as the API and `clearfold check` show it.

use serde::Serialize;

/// The outcome of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    pub checked_at: String,
    /// The account that was checked; absent if all were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// True if every invariant holds and everything was audited.
    pub holds: bool,
    pub log: LogExtent,
    /// Number of accounts that were audited.
    pub accounts: u64,
    /// Number of their events.
    pub events: u64,
    pub invariants: Vec<InvariantReport>,
    /// Number of things that could not be audited; the first hundred are listed.
    pub not_audited_count: u64,
    pub not_audited: Vec<NotAudited>,
}

/// Extent of the log at the time of the check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogExtent {
    pub partitions: Vec<PartitionHead>,
}

/// A partition, with its head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartitionHead {
    pub partition: u32,
    pub position: u64,
}

/// An invariant, with its violations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InvariantReport {
    pub code: String,
    pub statement: String,
    pub holds: bool,
    /// Number of violations; the first hundred are listed.
    pub violation_count: u64,
    pub violations: Vec<ViolationReport>,
}

/// A place where an invariant does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ViolationReport {
    /// Text with the figures.
    pub detail: String,
    /// Streams concerned, as far as they are known.
    pub streams: Vec<String>,
}

/// Something that could not be audited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotAudited {
    /// An account or a projection.
    pub subject: String,
    /// Reason, and what to do.
    pub why: String,
}
