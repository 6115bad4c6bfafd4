//! Auditor trait: checks everything that happened to one account against the invariants.

use crate::{RecordedEvent, Timestamp};

/// Finds the invariants that a log breaks. Folds the events again and trusts no stored figure.
pub trait Auditor {
    /// Aggregates whose events it is handed; the instances of all sagas are `saga`. Empty: all events.
    const READS: &'static [&'static str] = &[];

    /// Lists the invariants that it checks.
    fn describe() -> Vec<Invariant>;

    /// Returns the violations in everything that happened to one account: `events` are the events of all its streams,
    /// in the log's order. `checked_at` is the time of the check, by the same clock that stamps the events; it tells
    /// which consequences can no longer be in flight. Fails if an event cannot be read.
    fn audit(
        account: &str,
        checked_at: Timestamp,
        events: &[RecordedEvent],
    ) -> Result<Vec<Violation>, String>;
}

/// Condition that always holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invariant {
    /// Stable name, such as `hold_covers_claims`.
    pub code: &'static str,
    /// The condition as a sentence.
    pub statement: &'static str,
}

/// Place where an invariant does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Code of the invariant.
    pub invariant: &'static str,
    /// Finding, with the figures.
    pub detail: String,
    /// Streams concerned.
    pub streams: Vec<String>,
}
