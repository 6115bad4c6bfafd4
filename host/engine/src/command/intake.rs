//! Intake of commands: finds the partition of a command and queues it for that partition's writer.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::queued::Queued;
use super::session::with_time_out;
use super::subscriptions::Subscriptions;
use super::writer::Writer;
use super::{Answer, Command, CommandError, LiveDeciders, WriterSettings};
use clearfold_base::clock::Clock;
use clearfold_base::faults;
use clearfold_base::tasks::Tasks;
use clearfold_store::{EventStore, StoredEvent};

use crate::saga::PREFIX;

/// Bytes that all waiting commands may take together: a bound on their number alone is no bound on memory.
const MAX_BYTES: usize = 32 << 20;
/// Events that a caller gets at most of those that it waits for. A payment has two for each increment.
const MAX_AWAITED: u32 = 1_000;

/// Limits of the queues, and settings of the writers.
#[derive(Debug, Clone)]
pub struct IntakeSettings {
    /// Commands that may wait in each partition's queue.
    pub queue_length: usize,
    pub writer: WriterSettings,
}

/// Takes commands. Cheap to clone.
#[derive(Clone)]
pub struct CommandIntake {
    queues: Arc<[mpsc::Sender<Queued>]>,
    /// Bytes of commands that may still be queued.
    room: Arc<Semaphore>,
    store: EventStore,
    deciders: LiveDeciders,
    subscriptions: Subscriptions,
}

/// What a caller waits for behind the answer to its command.
#[derive(Debug, Clone)]
pub struct WaitFor {
    /// Types of events; one of them ends the wait.
    pub events: BTreeSet<String>,
    /// Longest wait, from the submission. The command's own answer is waited for in any case.
    pub at_most: Duration,
}

impl WaitFor {
    pub(super) fn is_for(&self, event: &StoredEvent) -> bool {
        self.events.contains(&event.kind)
    }
}

/// Answer to a command, with the events that its caller waited for.
#[derive(Debug, Clone, PartialEq)]
pub struct Awaited {
    pub answer: Answer,
    /// Committed events of the stream of the awaited types, the first thousand in order; empty if none came in time, or
    /// if the command was rejected.
    pub events: Vec<StoredEvent>,
}

impl CommandIntake {
    /// Starts a writer for each partition. They end when the last clone of the intake is gone.
    #[must_use]
    pub fn start(
        store: &EventStore,
        deciders: LiveDeciders,
        clock: &Clock,
        settings: &IntakeSettings,
        tasks: &mut Tasks,
    ) -> Self {
        let subscriptions = Subscriptions::default();
        let queues = (0..store.partition_count()).map(|partition| {
            let (sender, receiver) = mpsc::channel(settings.queue_length);
            let (deciders, clock) = (deciders.clone(), clock.clone());
            let (store, settings) = (store.clone(), settings.writer.clone());
            let writer = Writer::new(partition, store, deciders, clock, settings, subscriptions.clone());
            tasks.spawn("partition writer", writer.run(receiver));
            sender
        });
        Self {
            queues: queues.collect(),
            room: Arc::new(Semaphore::new(MAX_BYTES)),
            store: store.clone(),
            deciders,
            subscriptions,
        }
    }

    /// Submits a command, and returns its answer when it is committed. Refuses if the partition's queue is full.
    pub async fn submit(&self, command: Command) -> Result<Answer, CommandError> {
        let queue = self.queue_of(&command)?;
        self.submit_to(queue, command).await
    }

    /// Submits an operator's order to an instance of a saga.
    pub(crate) async fn submit_order(&self, order: Command) -> Result<Answer, CommandError> {
        if !self.deciders.borrow().know(&order.aggregate) {
            return Err(self.deciders.borrow().unknown(&order.aggregate));
        }
        let queue = self.queue_of_partition(&order)?;
        self.submit_to(queue, order).await
    }

    /// Returns true if an aggregate is that of the instances of a paused saga.
    pub(crate) fn is_paused(&self, aggregate: &str) -> bool {
        self.deciders.borrow().is_paused(aggregate)
    }

    async fn submit_to(
        &self,
        queue: &mpsc::Sender<Queued>,
        command: Command,
    ) -> Result<Answer, CommandError> {
        let room = Arc::clone(&self.room).try_acquire_many_owned(queued_bytes(&command));
        let room = room.map_err(|_| CommandError::Overloaded)?;
        let (answer, answered) = oneshot::channel();
        queue.try_send(Queued::new(command, answer, room)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CommandError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => CommandError::Stopping,
        })?;
        faults::point("queued");
        answered.await.unwrap_or(Err(CommandError::Stopping))
    }

    /// Submits a command, and waits until its stream has an event of an awaited type: what a saga decided about it, say.
    /// A repeat finds what was committed before.
    pub async fn submit_and_wait(&self, command: Command, wait: &WaitFor) -> Result<Awaited, CommandError> {
        let until = Instant::now() + wait.at_most;
        let stream = command.stream();
        // Before the command, so that no commit is missed.
        let mut subscription = self.subscriptions.subscribe(stream.clone());
        let answer = self.submit(command).await?;
        if matches!(answer, Answer::Rejected { .. }) {
            return Ok(Awaited { answer, events: Vec::new() });
        }
        if let Some(appended) = subscription.next().now_or_never() {
            // A commit that begins the stream holds all there is; behind another one, the log knows what came before.
            let is_all = appended.first().is_some_and(|event| event.stream_version == 1);
            let events: Vec<StoredEvent> =
                appended.iter().filter(|event| wait.is_for(event)).cloned().collect();
            if is_all && !events.is_empty() {
                return Ok(Awaited { answer, events });
            }
        }
        let kinds: Vec<String> = wait.events.iter().cloned().collect();
        let mut is_over = false;
        loop {
            let events = with_time_out(self.store.events_of(&stream, &kinds, MAX_AWAITED)).await?;
            if is_over || !events.is_empty() {
                return Ok(Awaited { answer, events });
            }
            // At the end the log is read once more, because another host may have become the writer.
            is_over = timeout_at(until, subscription.next_of(wait)).await.is_err();
        }
    }

    /// Submits a command and waits its turn for room in the queue, so that callers that do not wait cannot starve it.
    /// For the listener: what happened on the chain cannot be asked to come again.
    pub async fn submit_in_turn(&self, command: Command) -> Result<Answer, CommandError> {
        let queue = self.queue_of(&command)?;
        let room = Arc::clone(&self.room).acquire_many_owned(queued_bytes(&command)).await;
        let room = room.map_err(|_| CommandError::Stopping)?;
        let (answer, answered) = oneshot::channel();
        queue.send(Queued::new(command, answer, room)).await.map_err(|_| CommandError::Stopping)?;
        answered.await.unwrap_or(Err(CommandError::Stopping))
    }

    fn queue_of(&self, command: &Command) -> Result<&mpsc::Sender<Queued>, CommandError> {
        let deciders = self.deciders.borrow();
        // Only the host makes inputs of a saga: a forged answer to a step would be taken for a booking.
        if !deciders.know(&command.aggregate) || command.aggregate.starts_with(PREFIX) {
            return Err(deciders.unknown(&command.aggregate));
        }
        self.queue_of_partition(command)
    }

    fn queue_of_partition(&self, command: &Command) -> Result<&mpsc::Sender<Queued>, CommandError> {
        let partition = partition_of(&command.routing_key, self.store.partition_count());
        let slot = usize::try_from(partition).ok();
        slot.and_then(|slot| self.queues.get(slot)).ok_or(CommandError::Stopping)
    }

    /// Finds the routing key of a stream: the given account, or that of a stream that exists. The writer refuses a
    /// command for a stream of another account.
    pub async fn route(
        &self,
        aggregate: &str,
        id: &str,
        account: Option<String>,
    ) -> Result<String, CommandError> {
        if let Some(account) = account {
            return Ok(account);
        }
        match self.store.stream_head(&format!("{aggregate}-{id}")).await? {
            Some(head) => Ok(head.routing_key),
            None => Err(CommandError::UnknownStream { aggregate: aggregate.to_owned(), id: id.to_owned() }),
        }
    }
}

/// Bytes that a waiting command takes of `MAX_BYTES`, capped there, because a larger request could never be met.
fn queued_bytes(command: &Command) -> u32 {
    /// Bytes beside what was sent.
    const OVERHEAD: usize = 512;
    let bytes = command.payload.len().saturating_add(command.idempotency_key.len()).saturating_add(OVERHEAD);
    // MAX_BYTES fits, so the other number is never used.
    u32::try_from(bytes.min(MAX_BYTES)).unwrap_or(u32::MAX)
}

/// Partition of a routing key. It may never change: streams lie where it once put them.
fn partition_of(routing_key: &str, partition_count: u32) -> u32 {
    let digest = Sha256::digest(routing_key);
    let mut head = [0; 8];
    head.copy_from_slice(&digest[..8]);
    let slot = u64::from_be_bytes(head) % u64::from(partition_count.max(1));
    // A remainder by a u32 fits, so the 0 is never used.
    u32::try_from(slot).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::partition_of;

    #[test]
    fn a_routing_key_stays_in_its_partition() {
        let account = |number: u8| format!("0x{number:040x}");
        let keys = [account(1), account(2), account(3)];
        assert_eq!(keys.map(|key| partition_of(&key, 8)), [7, 1, 0]);
        assert_eq!(partition_of("anything", 1), 0);
    }
}
