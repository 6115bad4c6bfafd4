//! The verification of a partition: walks its hash chain from the first event to the head.

use std::fmt;

use super::OnProgress;
use clearfold_store::{EventHash, EventStore, Head, StoreError};

/// Number of events that are read at once.
const PAGE: u32 = 5_000;

/// Result for one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionReport {
    pub partition: u32,
    /// Number of events that are unchanged.
    pub events: u64,
    /// Hash of the last of those.
    pub hash: EventHash,
    /// First place where the hash chain breaks, if it does.
    pub broken: Option<HashChainBreak>,
}

/// First place where a hash chain breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashChainBreak {
    /// An event is missing.
    Gap { expected: u64, found: u64 },
    /// An event does not match its hash: it was changed, or is at another's position.
    Hash { position: u64, stored: EventHash, computed: EventHash },
    /// The log does not end at its head.
    Head { position: u64, head: u64 },
    /// The last event is not the one whose hash the head has.
    HeadHash { position: u64, stored: EventHash, computed: EventHash },
}

impl fmt::Display for HashChainBreak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gap { expected, found } => {
                // Positions begin with 1, so 0 stands for the beginning.
                let before = expected.saturating_sub(1);
                write!(f, "after position {before} comes {found}: {expected} is missing")
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

/// Verifies one partition up to its present head.
pub async fn verify(
    store: &EventStore,
    partition: u32,
    on_progress: OnProgress<'_>,
) -> Result<PartitionReport, StoreError> {
    let head = store.end(partition).await?;
    let mut walked = PartitionReport { partition, events: 0, hash: EventHash::BEFORE_ALL, broken: None };
    loop {
        // Beyond the head too, so that a missing event is named even if only later ones are left.
        let events = store.page(partition, walked.events, u64::MAX >> 1, PAGE).await?;
        let count = events.len() as u64;
        for event in events {
            // Positions come from a bigint, so adding one to them cannot overflow.
            let expected = walked.events + 1;
            let computed = walked.hash.link(&event);
            if event.position != expected {
                walked.broken = Some(HashChainBreak::Gap { expected, found: event.position });
            } else if event.hash != computed {
                let (position, stored) = (event.position, event.hash);
                walked.broken = Some(HashChainBreak::Hash { position, stored, computed });
            }
            // Events that were appended since are left to the next run.
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

/// Finds events behind the head, which somebody must have moved back. An event becomes visible together with the head
/// that includes it, so a head that is read later includes it too.
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
