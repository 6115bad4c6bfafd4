//! The bus: published events reach their consumers.
//!
//! In process, the log itself is the channel. The bus carries how far each partition is published, and a consumer reads
//! the log up to there from its own checkpoint. So a slow or restarted consumer misses nothing, and no copy of an event
//! has to be kept; the newest ones are, so that they are read once for all consumers. Each page that is read is checked for gaps. The bus never writes and keeps no checkpoints.

pub mod outbox;
mod page;
mod recent;

use std::sync::Arc;

use tokio::sync::watch;

use self::page::{Asked, checked};
use self::recent::Recent;
use clearfold_base::database::partition_index;
use clearfold_base::tasks::changed;
use clearfold_store::{EventStore, StoreError};

pub use clearfold_store::StoredEvent;

/// The in-process bus. Cheap to clone.
#[derive(Clone)]
pub struct Bus {
    store: EventStore,
    /// Newest events of each partition.
    recent: Arc<[Recent]>,
    /// Published position of each partition.
    published: Arc<watch::Sender<Vec<u64>>>,
}

/// No events are delivered. A retry is always allowed.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    #[error("published events could not be read")]
    Store(#[from] StoreError),
    #[error(
        "partition {partition} is damaged at position {position}: {why}. None of its events from there on is \
         delivered; `clearfold verify` shows the damage"
    )]
    Damaged { partition: u32, position: u64, why: String },
    #[error("there is no partition {partition}: the log of this bus has {count}; start the host again")]
    UnknownPartition { partition: u32, count: usize },
    #[error("a consumer has positions of {given} partitions, and the log has {count}; start the host again")]
    OtherPartitions { given: usize, count: usize },
}

/// One consumer's subscription to the bus.
pub struct Subscription {
    store: EventStore,
    recent: Arc<[Recent]>,
    published: watch::Receiver<Vec<u64>>,
    /// Partition at which the next search begins, so that a busy partition does not starve the others.
    next: u32,
}

impl Bus {
    /// Makes a bus on which nothing is published yet.
    #[must_use]
    pub fn new(store: EventStore) -> Self {
        let partitions = partition_index(store.partition_count());
        let recent = (0..partitions).map(|_| Recent::default()).collect();
        Self { store, recent, published: Arc::new(watch::Sender::new(vec![0; partitions])) }
    }

    /// Number of partitions.
    #[must_use]
    pub fn partition_count(&self) -> u32 {
        self.store.partition_count()
    }

    /// Publishes a partition's events up to and including a position. Doing it again changes nothing.
    pub fn publish(&self, partition: u32, up_to: u64) -> Result<(), BusError> {
        let mut published_here = Ok(());
        self.published.send_if_modified(|published| {
            let count = published.len();
            match published.get_mut(partition_index(partition)) {
                Some(position) if *position < up_to => {
                    *position = up_to;
                    true
                }
                Some(_) => false,
                None => {
                    published_here = Err(BusError::UnknownPartition { partition, count });
                    false
                }
            }
        });
        published_here
    }

    /// Subscribes. Events that were published before are delivered too.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        let (store, recent) = (self.store.clone(), Arc::clone(&self.recent));
        Subscription { store, recent, published: self.published.subscribe(), next: 0 }
    }
}

impl Subscription {
    /// Reads published events behind the consumer's positions, one for each partition: at most `limit` of all
    /// partitions together, one partition after the other. Empty if there are none now.
    pub async fn next(&mut self, positions: &[u64], limit: u32) -> Result<Vec<Arc<StoredEvent>>, BusError> {
        let ahead = find_ahead(&self.published.borrow_and_update(), positions, self.next)?;
        let (mut events, mut left) = (Vec::new(), limit);
        for asked in ahead {
            if left == 0 {
                break;
            }
            // Partitions are numbered with 31 bits.
            self.next = asked.partition + 1;
            let mut read = self.read(asked, left).await?;
            // No more are read than are asked for.
            left = left.saturating_sub(u32::try_from(read.len()).unwrap_or(left));
            events.append(&mut read);
        }
        Ok(events)
    }

    /// Waits until something is published that [`next`](Self::next) has not seen.
    pub async fn published(&mut self) {
        changed(&mut self.published).await;
    }

    /// Ends of the log, one for each partition, whether published yet or not.
    pub async fn heads(&self) -> Result<Vec<u64>, BusError> {
        Ok(self.store.heads().await?)
    }

    /// Reads a page of a partition's events behind a position, without waiting for more. For a consumer that knows from
    /// the heads that there are some.
    pub async fn page(
        &self,
        partition: u32,
        after: u64,
        up_to: u64,
        limit: u32,
    ) -> Result<Vec<Arc<StoredEvent>>, BusError> {
        self.read(Asked { partition, after, up_to }, limit).await
    }

    async fn read(&self, asked: Asked, limit: u32) -> Result<Vec<Arc<StoredEvent>>, BusError> {
        let Asked { partition, after, up_to } = asked;
        let recent = self.recent.get(partition_index(partition));
        let count = self.recent.len();
        let recent = recent.ok_or(BusError::UnknownPartition { partition, count })?;
        // Only a sound page is kept, so a damage that is mended is not delivered any more.
        let read = async || {
            let events = self.store.page(partition, after, up_to, limit).await?;
            checked(asked, events.into_iter().map(Arc::new).collect())
        };
        recent.or_read(asked, limit, read).await
    }
}

/// The partitions that are published beyond the consumer's position: those from `from` on, then those before it.
fn find_ahead(published: &[u64], positions: &[u64], from: u32) -> Result<Vec<Asked>, BusError> {
    if positions.len() != published.len() {
        return Err(BusError::OtherPartitions { given: positions.len(), count: published.len() });
    }
    let asked = (0..).zip(positions).zip(published);
    let ahead = asked.filter(|((_, after), up_to)| up_to > after).map(|((partition, after), up_to)| Asked {
        partition,
        after: *after,
        up_to: *up_to,
    });
    let (first, last): (Vec<_>, Vec<_>) = ahead.partition(|asked| asked.partition >= from);
    Ok([first, last].concat())
}

#[cfg(test)]
mod tests {
    use super::{Asked, find_ahead};

    fn found(published: &[u64], positions: &[u64], from: u32) -> Vec<(u32, u64, u64)> {
        let found = find_ahead(published, positions, from).unwrap().into_iter();
        found.map(|Asked { partition, after, up_to }| (partition, after, up_to)).collect()
    }

    #[test]
    fn partitions_take_turns() {
        assert_eq!(found(&[5, 0, 7], &[3, 0, 0], 0), [(0, 3, 5), (2, 0, 7)]);
        assert_eq!(found(&[5, 0, 7], &[3, 0, 0], 1), [(2, 0, 7), (0, 3, 5)]);
        assert_eq!(found(&[5, 0, 7], &[3, 0, 0], 3), [(0, 3, 5), (2, 0, 7)]);
        assert_eq!(found(&[5, 0, 7], &[5, 0, 7], 4), []);
        assert_eq!(found(&[], &[], 1), []);
    }

    #[test]
    fn a_consumer_of_another_log_is_refused() {
        let error = find_ahead(&[5, 0], &[3], 0).err().unwrap().to_string();
        assert!(error.contains("of 1 partitions") && error.contains("has 2"), "{error}");
    }
}
