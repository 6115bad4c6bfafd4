//! Newest events that were read, so that the consumers of a partition, which read the same events at about the same time,
//! read them once from the database.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::page::Asked;
use crate::{BusError, StoredEvent};

/// Bytes of payloads that are kept for each partition.
const MAX_BYTES: usize = 1 << 20;

/// Newest events of one partition, without a gap.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    events: VecDeque<Arc<StoredEvent>>,
    bytes: usize,
}

impl Recent {
    /// Returns the events that were asked for, `limit` at most, perhaps fewer than there are. Of several consumers that
    /// ask for the same, one has them read by `read`, which checks them, and the others wait for it.
    pub(crate) async fn or_read(
        &self,
        asked: Asked,
        limit: u32,
        read: impl AsyncFnOnce() -> Result<Vec<Arc<StoredEvent>>, BusError>,
    ) -> Result<Vec<Arc<StoredEvent>>, BusError> {
        let mut kept = self.0.lock().await;
        if let Some(events) = kept.find(asked, limit) {
            return Ok(events);
        }
        if kept.is_older(asked) {
            // A consumer that is far behind must not hold up the others.
            drop(kept);
            return read().await;
        }
        let events = read().await?;
        kept.keep(&events);
        Ok(events)
    }
}

impl Kept {
    fn first(&self) -> Option<u64> {
        self.events.front().map(|event| event.position)
    }

    /// Returns true if older events are asked for than those that are kept.
    fn is_older(&self, asked: Asked) -> bool {
        self.first().is_some_and(|first| asked.after.saturating_add(1) < first)
    }

    fn find(&self, asked: Asked, limit: u32) -> Option<Vec<Arc<StoredEvent>>> {
        let behind = (asked.after.saturating_add(1)).checked_sub(self.first()?)?;
        let found = self.events.iter().skip(usize::try_from(behind).ok()?);
        let found = found.take_while(|event| event.position <= asked.up_to);
        let found: Vec<_> = found.take(usize::try_from(limit).ok()?).cloned().collect();
        (!found.is_empty()).then_some(found)
    }

    /// Keeps events behind those that are kept. What does not follow them takes their place.
    fn keep(&mut self, events: &[Arc<StoredEvent>]) {
        for event in events {
            match self.events.back().map(|last| last.position) {
                Some(last) if event.position <= last => continue,
                Some(last) if last.checked_add(1) == Some(event.position) => {}
                _ => (self.events, self.bytes) = (VecDeque::new(), 0),
            }
            self.bytes = self.bytes.saturating_add(event.payload.len());
            self.events.push_back(Arc::clone(event));
        }
        while self.bytes > MAX_BYTES
            && let Some(oldest) = self.events.pop_front()
        {
            self.bytes = self.bytes.saturating_sub(oldest.payload.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use clearfold_base::digest::Digest;
    use clearfold_kernel::Timestamp;
    use clearfold_store::EventHash;
    use uuid::Uuid;

    use super::*;
    use crate::page::checked;

    fn event(position: u64, bytes: usize) -> StoredEvent {
        StoredEvent {
            partition: 0,
            position,
            stream: "a-1".into(),
            stream_version: position,
            kind: "Happened".into(),
            schema_version: 1,
            payload: vec![0; bytes],
            event_id: Uuid::nil(),
            correlation_id: Uuid::nil(),
            causation_id: Uuid::nil(),
            actor: "test".into(),
            component_digest: Digest::of(b""),
            recorded_at: Timestamp::default(),
            hash: EventHash([0; 32]),
        }
    }

    /// A log of events with payloads of this size, and the number of times that it was read.
    struct Log {
        recent: Recent,
        reads: Cell<u32>,
        bytes: usize,
    }

    impl Log {
        fn with(bytes: usize) -> Self {
            Self { recent: Recent::default(), reads: Cell::new(0), bytes }
        }

        async fn positions(&self, after: u64, up_to: u64, limit: u32) -> Vec<u64> {
            let asked = Asked { partition: 0, after, up_to };
            let read = async || {
                self.reads.set(self.reads.get() + 1);
                let events = (after + 1..=up_to).take(limit as usize);
                let events = events.map(|position| Arc::new(event(position, self.bytes))).collect();
                checked(asked, events)
            };
            let events = self.recent.or_read(asked, limit, read).await.unwrap();
            events.iter().map(|event| event.position).collect()
        }
    }

    #[tokio::test]
    async fn what_one_consumer_has_read_the_others_have() {
        let log = Log::with(10);
        assert_eq!(log.positions(0, 3, 10).await, [1, 2, 3]);
        assert_eq!(log.positions(0, 3, 10).await, [1, 2, 3]);
        assert_eq!(log.positions(1, 2, 10).await, [2], "no further than asked");
        assert_eq!(log.positions(0, 3, 2).await, [1, 2], "no more than asked");
        assert_eq!(log.reads.get(), 1);
        assert_eq!(log.positions(3, 5, 10).await, [4, 5]);
        assert_eq!((log.positions(2, 5, 10).await, log.reads.get()), (vec![3, 4, 5], 2));
    }

    #[tokio::test]
    async fn a_gap_begins_anew_and_what_is_older_is_read_and_not_kept() {
        let log = Log::with(10);
        assert_eq!(log.positions(6, 8, 10).await, [7, 8]);
        assert_eq!(log.positions(0, 8, 3).await, [1, 2, 3]);
        assert_eq!(log.positions(6, 8, 10).await, [7, 8]);
        assert_eq!(log.reads.get(), 2);
        assert_eq!(log.positions(20, 22, 10).await, [21, 22]);
        assert_eq!((log.positions(6, 8, 10).await, log.reads.get()), (vec![7, 8], 4));
    }

    #[tokio::test]
    async fn no_more_is_kept_than_there_is_room_for() {
        let log = Log::with(MAX_BYTES / 2);
        assert_eq!(log.positions(0, 3, 10).await, [1, 2, 3]);
        assert_eq!(log.recent.0.lock().await.events.len(), 2);
        let log = Log::with(MAX_BYTES + 1);
        assert_eq!(log.positions(0, 1, 10).await, [1]);
        assert_eq!((log.positions(0, 1, 10).await, log.reads.get()), (vec![1], 2), "too large to be kept");
    }

    #[tokio::test]
    async fn a_damaged_page_is_not_kept() {
        let recent = Recent::default();
        let asked = Asked { partition: 0, after: 0, up_to: 2 };
        let page = |versions: [u64; 2]| {
            let at =
                |(position, stream_version)| Arc::new(StoredEvent { stream_version, ..event(position, 1) });
            checked(asked, [(1, versions[0]), (2, versions[1])].map(at).into())
        };
        assert!(recent.or_read(asked, 10, async || page([1, 5])).await.is_err());
        let mended = recent.or_read(asked, 10, async || page([1, 2])).await.unwrap();
        assert_eq!(mended[1].stream_version, 2);
    }
}
