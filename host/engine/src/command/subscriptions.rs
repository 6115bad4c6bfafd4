//! Subscriptions of callers to streams: each commit hands over the events that it appended to a stream.
//!
//! A caller that waits for the outcome of a saga hears it from the commit, and polls nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::WaitFor;
use clearfold_store::{Append, StoredEvent};

/// Commits of a stream that a subscription holds until its caller takes them. What does not fit is dropped: the caller
/// reads the log in the end.
const CAPACITY: usize = 16;

/// Subscriptions to streams. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Subscriptions(Arc<Mutex<Subscribers>>);

#[derive(Default)]
struct Subscribers {
    /// Number of subscriptions so far.
    count: u64,
    /// Subscribers by stream, each with its number.
    by_stream: HashMap<String, Vec<(u64, mpsc::Sender<Appended>)>>,
}

/// Events that one commit appended to a stream, in order.
pub(super) type Appended = Arc<[StoredEvent]>;

/// Subscription to a stream; dropping it ends it.
pub(super) struct Subscription {
    stream: String,
    number: u64,
    appended: mpsc::Receiver<Appended>,
    subscriptions: Subscriptions,
}

impl Subscriptions {
    pub(super) fn subscribe(&self, stream: String) -> Subscription {
        let (sender, appended) = mpsc::channel(CAPACITY);
        let mut subscribers = self.lock();
        subscribers.count += 1;
        let number = subscribers.count;
        subscribers.by_stream.entry(stream.clone()).or_default().push((number, sender));
        drop(subscribers);
        Subscription { stream, number, appended, subscriptions: self.clone() }
    }

    /// Hands over what a committed append holds for subscribers.
    pub(super) fn committed(&self, append: &Append) {
        let subscribers = self.lock();
        if subscribers.by_stream.is_empty() {
            return;
        }
        // One pass over the events, however many streams have subscribers.
        let mut of_streams: HashMap<&str, Vec<StoredEvent>> = HashMap::new();
        for event in &append.events {
            if subscribers.by_stream.contains_key(&event.stream) {
                of_streams.entry(&event.stream).or_default().push(event.clone());
            }
        }
        for (stream, events) in of_streams {
            let events = Appended::from(events);
            for (_, subscriber) in subscribers.by_stream.get(stream).into_iter().flatten() {
                // One that is full reads the log in the end, and one that is gone wants nothing any more.
                let _ = subscriber.try_send(Arc::clone(&events));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Subscribers> {
        // Each change is one call of a collection, so the map is whole even if the lock is poisoned.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    /// Waits for the next commit to the stream.
    pub(super) async fn next(&mut self) -> Appended {
        match self.appended.recv().await {
            Some(appended) => appended,
            // The sender lies in the map until this subscription is dropped.
            None => std::future::pending().await,
        }
    }

    /// Waits for a commit that holds an awaited event.
    pub(super) async fn next_of(&mut self, wait: &WaitFor) {
        while !self.next().await.iter().any(|event| wait.is_for(event)) {}
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut subscribers = self.subscriptions.lock();
        if let Some(of_stream) = subscribers.by_stream.get_mut(&self.stream) {
            of_stream.retain(|(number, _)| *number != self.number);
            if of_stream.is_empty() {
                subscribers.by_stream.remove(&self.stream);
            }
        }
    }
}
