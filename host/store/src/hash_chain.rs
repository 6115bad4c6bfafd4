//! The hash chain: each event's hash covers the whole event and the previous hash, so that no event of a partition can
//! be changed, removed or inserted unnoticed. `event_hash` in the migrations computes the same.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::StoredEvent;

/// Hash of an event and of everything before it in its partition.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EventHash(pub [u8; 32]);

impl EventHash {
    /// Hash before the first event.
    pub const BEFORE_ALL: Self = Self([0; 32]);

    /// Computes the hash of the event that follows.
    #[must_use]
    pub fn link(self, event: &StoredEvent) -> Self {
        let mut hasher = Sha256::new();
        let sized = |hasher: &mut Sha256, bytes: &[u8]| {
            hasher.update((bytes.len() as u64).to_be_bytes());
            hasher.update(bytes);
        };
        hasher.update(self.0);
        hasher.update(event.partition.to_be_bytes());
        hasher.update(event.position.to_be_bytes());
        sized(&mut hasher, event.stream.as_bytes());
        hasher.update(event.stream_version.to_be_bytes());
        sized(&mut hasher, event.kind.as_bytes());
        hasher.update(event.schema_version.to_be_bytes());
        sized(&mut hasher, &event.payload);
        for id in [event.event_id, event.correlation_id, event.causation_id] {
            hasher.update(id.as_bytes());
        }
        sized(&mut hasher, event.actor.as_bytes());
        hasher.update(event.component_digest.0);
        hasher.update(event.recorded_at.as_ms().to_be_bytes());
        Self(hasher.finalize().into())
    }
}

impl fmt::Display for EventHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for EventHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
