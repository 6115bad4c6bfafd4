//! How published events reach their consumers.
//!
//! In process, the log itself is the channel: what the bus carries is how far each partition is published, and a
//! consumer reads the log up to there from wherever its own checkpoint stands. So a slow or restarted consumer
//! misses nothing, and no copy of an event has to be kept. The bus never writes and keeps no checkpoints.

pub mod outbox;

use std::sync::Arc;

use tokio::sync::watch;

use clearfold_store::{EventStore, StoreError};

pub use clearfold_store::StoredEvent;

/// The in-process bus. Cheap to clone.
#[derive(Clone)]
pub struct Bus {
    store: EventStore,
    /// One a partition.
    published: Arc<watch::Sender<Vec<u64>>>,
}

/// Events of one partition, in order, without a gap behind the position that was asked for.
pub struct Batch {
    pub partition: u32,
    pub events: Vec<StoredEvent>,
}

/// Why nothing could be read. Asking again is always right.
#[derive(Debug, thiserror::Error)]
#[error("published events could not be read")]
pub struct BusError(#[from] StoreError);

/// One consumer's ear on the bus.
pub struct Subscription {
    store: EventStore,
    published: watch::Receiver<Vec<u64>>,
    /// Where the next search begins, so that a busy partition does not starve the others.
    next: usize,
}

impl Bus {
    /// A bus on which nothing is published yet.
    #[must_use]
    pub fn new(store: EventStore) -> Self {
        let partitions = usize::try_from(store.partition_count()).unwrap_or(0);
        Self { store, published: Arc::new(watch::Sender::new(vec![0; partitions])) }
    }

    /// How many partitions there are.
    #[must_use]
    pub fn partition_count(&self) -> u32 {
        self.store.partition_count()
    }

    /// Publishes a partition's events up to and including a position. Doing it again changes nothing.
    pub fn publish(&self, partition: u32, up_to: u64) {
        self.published.send_if_modified(|published| {
            let slot = usize::try_from(partition).ok().and_then(|index| published.get_mut(index));
            match slot {
                Some(position) if *position < up_to => {
                    *position = up_to;
                    true
                }
                _ => false,
            }
        });
    }

    /// Listens. What was published before is delivered too.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        Subscription { store: self.store.clone(), published: self.published.subscribe(), next: 0 }
    }
}

impl Subscription {
    /// Waits for published events behind the consumer's positions, one a partition, and reads a page of them.
    /// None: the bus is gone.
    pub async fn next(&mut self, positions: &[u64], limit: u32) -> Result<Option<Batch>, BusError> {
        loop {
            let ahead = {
                let published = self.published.borrow_and_update();
                find_ahead(&published, positions, self.next)
            };
            if let Some((index, after, up_to)) = ahead {
                self.next = index.wrapping_add(1);
                let partition = u32::try_from(index).unwrap_or(u32::MAX);
                let events = self.store.page(partition, after, up_to, limit).await?;
                return Ok(Some(Batch { partition, events }));
            }
            if self.published.changed().await.is_err() {
                return Ok(None);
            }
        }
    }

    /// Where the log ends, partition by partition, whether that is published yet or not.
    pub async fn heads(&self) -> Result<Vec<u64>, BusError> {
        Ok(self.store.heads().await?)
    }

    /// A page of a partition's events behind a position, without waiting for more. For a consumer that knows from the
    /// heads that there are some.
    pub async fn page(
        &self,
        partition: u32,
        after: u64,
        up_to: u64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, BusError> {
        Ok(self.store.page(partition, after, up_to, limit).await?)
    }
}

/// The first partition, searched from `from`, that is published beyond the consumer's position.
fn find_ahead(published: &[u64], positions: &[u64], from: usize) -> Option<(usize, u64, u64)> {
    let count = published.len();
    (0..count).map(|step| from.wrapping_add(step) % count).find_map(|index| {
        let (after, up_to) = (positions.get(index).copied().unwrap_or(0), published[index]);
        (up_to > after).then_some((index, after, up_to))
    })
}

#[cfg(test)]
mod tests {
    use super::find_ahead;

    #[test]
    fn partitions_take_turns() {
        assert_eq!(find_ahead(&[5, 0, 7], &[3, 0, 0], 0), Some((0, 3, 5)));
        assert_eq!(find_ahead(&[5, 0, 7], &[3, 0, 0], 1), Some((2, 0, 7)));
        assert_eq!(find_ahead(&[5, 0, 7], &[5, 0, 7], 4), None);
        assert_eq!(find_ahead(&[], &[], 1), None);
    }
}
