//! How a projection stands: which component's rows are read, and what becomes of the one that is to follow.
//!
//! Only what its supervisor says of it; nothing here asks the database.

use std::fmt;

use clearfold_kernel::Timestamp;

use clearfold_base::digest::Digest;

/// How a projection stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub projection: String,
    /// The tables that are read. None before they are found.
    pub live: Option<LiveTables>,
    pub state: State,
}

/// Tables that are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveTables {
    /// Whose code made the rows; not known of rows from before that was kept.
    pub digest: Option<Digest>,
    /// When they took the place of others. None for tables that were the first.
    pub since: Option<Timestamp>,
    /// Up to where they had come then, one position a partition: all that is behind is of this component. Empty for tables
    /// that were the first.
    pub from: Vec<u64>,
}

/// What becomes of the component that shall be live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is.
    Live,
    /// Its rows are built beside those that are read.
    Building { digest: Digest, position: u64, of: u64, events_per_second: u64 },
    /// It could not read the log, or not be read. What was live stays live.
    Failed { digest: Digest, why: String },
    /// Another host put another one in its place, and is followed.
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
