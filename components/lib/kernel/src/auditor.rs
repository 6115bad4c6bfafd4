//! The shape of an audit: everything that happened to one account, held against the invariants.

use crate::{RecordedEvent, Timestamp};

/// Says which invariants a log breaks. It folds the events again and trusts no figure that somebody stored.
pub trait Auditor {
    /// The invariants that it holds a log to.
    fn describe() -> Vec<Invariant>;

    /// What is broken in all that happened to one account: the events of all its streams, in the log's order. The time
    /// is the check's, by the clock that stamps the events: it says what cannot be on its way any more. Fails if an
    /// event cannot be read.
    fn audit(
        account: &str,
        checked_at: Timestamp,
        events: &[RecordedEvent],
    ) -> Result<Vec<Violation>, String>;
}

/// Something that holds always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invariant {
    /// Its stable name: `hold_covers_claims`.
    pub code: &'static str,
    /// What it says, as a sentence.
    pub statement: &'static str,
}

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which invariant.
    pub invariant: &'static str,
    /// What was found, with the figures.
    pub detail: String,
    /// The streams concerned.
    pub streams: Vec<String>,
}
