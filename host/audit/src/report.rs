//! What a check found, as the API and `clearfold check` show it.

use serde::Serialize;

/// The outcome of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    pub checked_at: String,
    /// The one account that was checked; absent if all were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Whether every invariant holds and nothing was left out.
    pub holds: bool,
    pub log: LogExtent,
    /// Accounts that were audited.
    pub accounts: u64,
    /// Their events.
    pub events: u64,
    pub invariants: Vec<InvariantReport>,
    /// All that could not be audited; the first hundred are listed.
    pub not_audited_count: u64,
    pub not_audited: Vec<NotAudited>,
}

/// How much of the log was there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogExtent {
    pub partitions: Vec<PartitionHead>,
}

/// A partition up to its head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartitionHead {
    pub partition: u32,
    pub position: u64,
}

/// An invariant, and what breaks it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InvariantReport {
    pub code: String,
    pub statement: String,
    pub holds: bool,
    /// All of them; the first hundred are listed.
    pub violation_count: u64,
    pub violations: Vec<ViolationReport>,
}

/// A place where an invariant does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ViolationReport {
    /// What was found, with the figures.
    pub detail: String,
    /// The streams concerned, as far as they are known.
    pub streams: Vec<String>,
}

/// Something of which nothing can be said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotAudited {
    /// An account or a projection.
    pub subject: String,
    /// Why, and what to do.
    pub why: String,
}
