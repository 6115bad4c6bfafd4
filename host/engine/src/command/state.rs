//! The states of a partition's streams: what is committed in a bounded cache, what is on its way beside it.

use std::collections::BTreeMap;

use quick_cache::Weighter;
use quick_cache::unsync::Cache;

use super::Running;
use super::entries::Entries;
use clearfold_base::digest::Digest;

/// A stream at one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StreamState {
    /// The account that it belongs to.
    pub routing_key: String,
    pub version: u64,
    pub state: Vec<u8>,
    /// Whose states are like this one.
    pub family: Digest,
    pub state_version: u32,
    /// The version of its newest snapshot; 0 if it has none.
    pub snapshot_version: u64,
    /// What changed in its keyed part since then.
    pub entries: Entries,
}

impl StreamState {
    /// Before the first event.
    pub(super) fn initial(running: &Running, routing_key: String) -> Self {
        Self {
            routing_key,
            version: 0,
            state: running.decider.initial().to_vec(),
            family: running.family,
            state_version: running.decider.state_version(),
            snapshot_version: 0,
            entries: Entries::default(),
        }
    }
}

/// States that the streams will have when a batch is committed.
pub(super) type States = BTreeMap<String, StreamState>;

/// Committed states, the most used ones, within a number of bytes.
pub(super) struct StateCache(Cache<String, StreamState, Bytes>);

#[derive(Clone)]
struct Bytes;

impl Weighter<String, StreamState> for Bytes {
    fn weight(&self, stream: &String, state: &StreamState) -> u64 {
        /// What an entry takes beside its texts and bytes.
        const OVERHEAD: usize = 256;
        let texts = stream.len() + state.routing_key.len();
        (texts + state.state.len() + state.entries.bytes() + OVERHEAD) as u64
    }
}

impl StateCache {
    pub(super) fn new(max_bytes: u64) -> Self {
        /// What a state takes: a guess, which only sizes the first table.
        const USUAL_BYTES: u64 = 1024;
        let usual_count = usize::try_from(max_bytes / USUAL_BYTES).unwrap_or(0);
        Self(Cache::with_weighter(usual_count, max_bytes, Bytes))
    }

    pub(super) fn get(&self, stream: &str) -> Option<&StreamState> {
        self.0.get(stream)
    }

    /// Keeps what is committed, so that the database has what their snapshots hold.
    pub(super) fn keep(&mut self, states: States) {
        for (stream, mut state) in states {
            state.entries.forget(state.snapshot_version);
            self.0.insert(stream, state);
        }
    }
}
