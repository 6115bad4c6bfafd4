//! States of a partition's streams: committed ones in a bounded cache, and those that a batch will leave.

use std::collections::BTreeMap;

use quick_cache::Weighter;
use quick_cache::unsync::Cache;

use super::ActiveDecider;
use super::entries::Entries;
use clearfold_base::digest::Digest;

/// State of a stream at one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StreamState {
    /// Account that the stream belongs to.
    pub routing_key: String,
    pub version: u64,
    pub state: Vec<u8>,
    /// Component that first made states like this one.
    pub family: Digest,
    pub state_version: u32,
    /// Version of the newest snapshot; 0 if there is none.
    pub snapshot_version: u64,
    /// Entries that changed since then.
    pub entries: Entries,
}

impl StreamState {
    /// State before the first event.
    pub(super) fn initial(active: &ActiveDecider, routing_key: String) -> Self {
        Self {
            routing_key,
            version: 0,
            state: active.decider.initial().to_vec(),
            family: active.family,
            state_version: active.decider.state_version(),
            snapshot_version: 0,
            entries: Entries::default(),
        }
    }
}

/// States of streams when a batch is committed.
pub(super) type States = BTreeMap<String, StreamState>;

/// Cache of committed states, the most used ones, within a number of bytes.
pub(super) struct StateCache(Cache<String, StreamState, Bytes>);

#[derive(Clone)]
struct Bytes;

impl Weighter<String, StreamState> for Bytes {
    fn weight(&self, stream: &String, state: &StreamState) -> u64 {
        /// Bytes that a state takes beside its texts and bytes.
        const OVERHEAD: usize = 256;
        let texts = stream.len() + state.routing_key.len();
        (texts + state.state.len() + state.entries.bytes() + OVERHEAD) as u64
    }
}

impl StateCache {
    pub(super) fn new(max_bytes: u64) -> Self {
        /// Bytes that a state takes: a guess, which only sizes the first table.
        const USUAL_BYTES: u64 = 1024;
        // A count that does not fit starts with an empty table, which grows.
        let usual_count = usize::try_from(max_bytes / USUAL_BYTES).unwrap_or(0);
        Self(Cache::with_weighter(usual_count, max_bytes, Bytes))
    }

    pub(super) fn get(&self, stream: &str) -> Option<&StreamState> {
        self.0.get(stream)
    }

    /// Keeps committed states. The database has the entries that their snapshots hold, so these are forgotten.
    pub(super) fn keep(&mut self, states: States) {
        for (stream, mut state) in states {
            state.entries.forget(state.snapshot_version);
            // One that was written in this process has room for as many bytes again, which the cache would not count.
            state.state = state.state.as_slice().to_vec();
            self.0.insert(stream, state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_state_takes_no_more_than_its_bytes() {
        let mut cache = StateCache::new(1 << 20);
        let mut state = Vec::with_capacity(1024);
        state.push(7);
        let (routing_key, family, entries) = ("0xaa".to_owned(), Digest::of(b""), Entries::default());
        let (version, state_version, snapshot_version) = (1, 1, 0);
        let kept =
            StreamState { routing_key, version, state, family, state_version, snapshot_version, entries };
        cache.keep(States::from([("saga-a-1".to_owned(), kept)]));
        assert_eq!(cache.get("saga-a-1").unwrap().state.capacity(), 1);
    }
}
