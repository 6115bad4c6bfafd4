//! Status of a projection: the component whose rows are read, and the state of the component that is to follow.
//!
//! Its supervisor sets it; nothing here asks the database.

use std::fmt;

use clearfold_kernel::Timestamp;

use clearfold_base::digest::Digest;

/// Status of a projection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub projection: String,
    /// The tables that are read; `None` before they are found.
    pub live: Option<LiveTables>,
    pub state: State,
}

/// Tables that are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveTables {
    /// Component that made the rows; `None` for rows from before digests were kept.
    pub digest: Option<Digest>,
    /// Time at which they took the place of others; `None` for the first tables.
    pub since: Option<Timestamp>,
    /// Their checkpoint at that time, one position for each partition: all later events are projected by this
    /// component. Empty for the first tables.
    pub from: Vec<u64>,
}

/// State of the component that must become live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is live.
    Live,
    /// Its rows are built beside those that are read.
    Building { digest: Digest, position: u64, of: u64, events_per_second: u64 },
    /// It could not project the log, or its tables could not be read. The component that was live stays live.
    Failed { digest: Digest, why: String },
    /// Another host put another component in its place; this host leaves that one alone.
    LeftAlone { digest: Digest },
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Live => f.write_str("live"),
            Self::Building { digest, position, of, events_per_second } => {
                write!(f, "building {digest} ({position} of {of}, {events_per_second} events/s)")
            }
            Self::Failed { digest, why } => write!(f, "failed {digest}: {why}"),
            Self::LeftAlone { digest } => write!(f, "left alone; {digest} is wanted here"),
        }
    }
}
