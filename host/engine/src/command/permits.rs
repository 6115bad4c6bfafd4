//! Permits for deciding: as many partitions of a host decide at once as it has processors.
//!
//! More would only take turns on the processors. Commands that come while their partition waits for a permit share the
//! rounds, calls and commit of one batch (ADR 0028).

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Longest wait for a permit. A partition then decides without one: a component that computes until its deadline in
/// other partitions must not hold it up.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// Longest wait for the database during which a permit is kept: a partition whose rows are locked must not hold up the
/// others.
const LONGEST_KEPT: Duration = Duration::from_millis(20);

/// Permits that the writers of a host share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Permits(Arc<Semaphore>);

/// Permit of a partition. Given back when it is dropped.
pub(super) type Permit = OwnedSemaphorePermit;

impl Permits {
    /// Creates a number of permits.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self(Arc::new(Semaphore::new(count)))
    }

    /// Creates one permit for each processor; two if their number is not known.
    #[must_use]
    pub fn of_processors() -> Self {
        Self::new(std::thread::available_parallelism().map_or(2, usize::from))
    }

    /// Waits for a permit, in the order of the waiting partitions; none if the wait was too long.
    pub(super) async fn acquire(&self) -> Option<Permit> {
        // The semaphore is never closed.
        timeout(LONGEST_WAIT, Arc::clone(&self.0).acquire_owned()).await.ok()?.ok()
    }
}

/// Waits for something, and gives the permit back if that takes too long.
pub(super) async fn keeping<T>(permit: &mut Option<Permit>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    match timeout(LONGEST_KEPT, &mut work).await {
        Ok(done) => done,
        Err(_) => {
            *permit = None;
            work.await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_permit_that_is_given_back_goes_to_the_next_and_none_is_waited_for_too_long() {
        let permits = Permits::new(1);
        let first = permits.acquire().await;
        assert!(first.is_some());
        let mut waiting = tokio::task::JoinSet::new();
        waiting.spawn({
            let permits = permits.clone();
            async move { permits.acquire().await }
        });
        tokio::task::yield_now().await;
        drop(first);
        let second = waiting.join_next().await.unwrap().unwrap();
        assert!(second.is_some());
        let began = tokio::time::Instant::now();
        assert!(permits.acquire().await.is_none());
        assert!(began.elapsed() >= LONGEST_WAIT);
    }

    #[tokio::test]
    async fn a_permit_is_kept_during_a_short_wait_and_given_back_during_a_long_one() {
        let permits = Permits::new(1);
        let mut permit = permits.acquire().await;
        assert_eq!(keeping(&mut permit, async { 1 }).await, 1);
        assert!(permit.is_some());
        let long = async {
            tokio::time::sleep(2 * LONGEST_KEPT).await;
            assert!(permits.acquire().await.is_some(), "it is free meanwhile");
        };
        keeping(&mut permit, long).await;
        assert!(permit.is_none());
    }
}
