//! Walks a partition's chain from its first event to its head.

use std::fmt;

use super::OnProgress;
use clearfold_store::{EventHash, EventStore, Head, StoreError};

/// Events that are read at once.
const PAGE: u32 = 5_000;

/// What was found in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionReport {
    pub partition: u32,
    /// How many events are as they were.
    pub events: u64,
    /// The hash of the last of them.
    pub hash: EventHash,
    /// The first thing that is not.
    pub broken: Option<HashChainBreak>,
}

/// The first place where a chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashChainBreak {
    /// An event is missing.
    Gap { expected: u64, found: u64 },
    /// An event is not what its hash says, or stands in another's place.
    Hash { position: u64, stored: EventHash, computed: EventHash },
    /// The log ends before its head, or behind it.
    Head { position: u64, head: u64 },
    /// The last event is not the one that the head names.
    HeadHash { position: u64, stored: EventHash, computed: EventHash },
}

impl fmt::Display for HashChainBreak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gap { expected, found } => {
                write!(
                    f,
                    "after position {} comes {found}: {expected} is missing",
                    expected.saturating_sub(1)
                )
            }
            Self::Hash { position, stored, computed } => write!(
                f,
                "the event at position {position} was changed, or one before it: its hash is {stored}, and should be \
                 {computed}"
            ),
            Self::Head { position, head } => {
                write!(f, "the last event stands at position {position}; the partition's head says {head}")
            }
            Self::HeadHash { position, stored, computed } => write!(
                f,
                "the last event, at position {position}, has the hash {computed}; the partition's head says {stored}"
            ),
        }
    }
}

/// Walks one partition's chain up to its head of now.
pub async fn verify(
    store: &EventStore,
    partition: u32,
    on_progress: OnProgress<'_>,
) -> Result<PartitionReport, StoreError> {
    let head = store.end(partition).await?;
    let mut walked = PartitionReport { partition, events: 0, hash: EventHash::BEFORE_ALL, broken: None };
    loop {
        let events = store.page(partition, walked.events, u64::MAX >> 1, PAGE).await?;
        let count = events.len() as u64;
        for event in events {
            let expected = walked.events.saturating_add(1);
            let computed = walked.hash.link(&event);
            if event.position != expected {
                walked.broken = Some(HashChainBreak::Gap { expected, found: event.position });
            } else if event.hash != computed {
                let (position, stored) = (event.position, event.hash);
                walked.broken = Some(HashChainBreak::Hash { position, stored, computed });
            }
            // What was appended since is for the next time.
            if walked.broken.is_some() || event.position > head.position {
                break;
            }
            (walked.events, walked.hash) = (event.position, computed);
        }
        on_progress(count);
        if walked.broken.is_some() || count == 0 || walked.events >= head.position {
            break;
        }
    }
    if walked.broken.is_none() {
        walked.broken = ends_at(&walked, &head).or(behind_the_head(store, partition).await?);
    }
    Ok(walked)
}

/// Rows that no head names: somebody moved the head back. An event is visible together with the head that names it,
/// so a head that is read later names it too.
async fn behind_the_head(store: &EventStore, partition: u32) -> Result<Option<HashChainBreak>, StoreError> {
    let position = store.last_position(partition).await?;
    let head = store.end(partition).await?.position;
    Ok((position > head).then_some(HashChainBreak::Head { position, head }))
}

fn ends_at(walked: &PartitionReport, head: &Head) -> Option<HashChainBreak> {
    let position = walked.events;
    if position != head.position {
        return Some(HashChainBreak::Head { position, head: head.position });
    }
    let (stored, computed) = (head.hash, walked.hash);
    (stored != computed).then_some(HashChainBreak::HeadHash { position, stored, computed })
}
