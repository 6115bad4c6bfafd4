//! Intake of commands: finds the partition of a command and queues it for that partition's writer.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::queued::Queued;
use super::writer::Writer;
use super::{Answer, Command, CommandError, LiveDeciders, WriterSettings};
use clearfold_base::clock::Clock;
use clearfold_base::faults;
use clearfold_base::tasks::Tasks;
use clearfold_store::EventStore;

use crate::saga::PREFIX;

/// Bytes that all waiting commands may take together: a bound on their number alone is no bound on memory.
const MAX_BYTES: usize = 32 << 20;

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
        let queues = (0..store.partition_count()).map(|partition| {
            let (sender, receiver) = mpsc::channel(settings.queue_length);
            let (deciders, clock) = (deciders.clone(), clock.clone());
            let writer = Writer::new(partition, store.clone(), deciders, clock, settings.writer.clone());
            tasks.spawn("partition writer", writer.run(receiver));
            sender
        });
        Self {
            queues: queues.collect(),
            room: Arc::new(Semaphore::new(MAX_BYTES)),
            store: store.clone(),
            deciders,
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

    /// Finds the routing key of a stream. One that exists knows its account; a new one belongs to the given one.
    pub async fn route(
        &self,
        aggregate: &str,
        id: &str,
        account: Option<String>,
    ) -> Result<String, CommandError> {
        let stream = format!("{aggregate}-{id}");
        match (self.store.stream_head(&stream).await?, account) {
            (Some(head), Some(given)) if head.routing_key != given => {
                Err(CommandError::AccountMismatch { stream, owner: head.routing_key, given })
            }
            (Some(head), _) => Ok(head.routing_key),
            (None, Some(given)) => Ok(given),
            (None, None) => {
                Err(CommandError::UnknownStream { aggregate: aggregate.to_owned(), id: id.to_owned() })
            }
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
