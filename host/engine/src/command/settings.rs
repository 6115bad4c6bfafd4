//! Settings of the writers.

use std::sync::Arc;
use std::time::Duration;

use super::permits::Permits;
use crate::effects::Effects;

/// Settings of the writers.
#[derive(Debug, Clone)]
pub struct WriterSettings {
    /// Name under which this host holds leases: its own in each of its lives.
    pub owner: Arc<str>,
    /// Time for which a lease lasts without a renewal, and so the longest standstill of a partition after a crash.
    pub lease: Duration,
    /// Largest number of commands that are committed together.
    pub batch_size: usize,
    /// Bytes that the states in memory may take, in each partition.
    pub state_cache_bytes: u64,
    /// Number of events after which a stream's state is kept in the database.
    pub snapshot_every: u64,
    /// Permits in which the host's partitions decide.
    pub permits: Permits,
    /// Effects that sagas may request of this host.
    pub effects: Effects,
}
