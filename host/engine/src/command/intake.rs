//! The way in: finds the partition of a command and queues it for that partition's writer.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::queued::Queued;
use super::writer::{Writer, WriterSettings};
use super::{Answer, Command, CommandError, LiveDeciders};
use clearfold_base::clock::Clock;
use clearfold_base::faults;
use clearfold_base::tasks::Tasks;
use clearfold_store::EventStore;

/// What all commands that wait may take together: a queue that is bounded by number alone is not bounded.
const MAX_BYTES: usize = 32 << 20;

/// How much may wait, and how it is written.
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
    /// Bytes of commands that may still come.
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
        parts: &mut Tasks,
    ) -> Self {
        let queues = (0..store.partition_count()).map(|partition| {
            let (sender, receiver) = mpsc::channel(settings.queue_length);
            let writer = Writer {
                partition,
                store: store.clone(),
                deciders: deciders.clone(),
                clock: clock.clone(),
                settings: settings.writer.clone(),
            };
            parts.spawn("partition writer", writer.run(receiver));
            sender
        });
        Self {
            queues: queues.collect(),
            room: Arc::new(Semaphore::new(MAX_BYTES)),
            store: store.clone(),
            deciders,
        }
    }

    /// Has a command decided, and answers when it is committed. Refuses if the partition's queue is full.
    pub async fn submit(&self, command: Command) -> Result<Answer, CommandError> {
        let queue = self.queue_of(&command)?;
        let room = Arc::clone(&self.room).try_acquire_many_owned(size_of(&command));
        let room = room.map_err(|_| CommandError::Overloaded)?;
        let (answer, answered) = oneshot::channel();
        queue.try_send(Queued::new(command, answer, room)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CommandError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => CommandError::Stopping,
        })?;
        faults::point("queued");
        answered.await.unwrap_or(Err(CommandError::Stopping))
    }

    /// The same, but waits its turn for room in the queue, so that those who do not wait cannot starve it. For the
    /// listener: the chain has happened, and cannot be asked to come again.
    pub async fn submit_in_turn(&self, command: Command) -> Result<Answer, CommandError> {
        let queue = self.queue_of(&command)?;
        let room = Arc::clone(&self.room).acquire_many_owned(size_of(&command)).await;
        let room = room.map_err(|_| CommandError::Stopping)?;
        let (answer, answered) = oneshot::channel();
        queue.send(Queued::new(command, answer, room)).await.map_err(|_| CommandError::Stopping)?;
        answered.await.unwrap_or(Err(CommandError::Stopping))
    }

    fn queue_of(&self, command: &Command) -> Result<&mpsc::Sender<Queued>, CommandError> {
        let deciders = self.deciders.borrow();
        if !deciders.know(&command.aggregate) {
            let (aggregate, known) = (command.aggregate.clone(), deciders.aggregates());
            return Err(CommandError::UnknownAggregate { aggregate, known });
        }
        let count = u32::try_from(self.queues.len()).unwrap_or(u32::MAX);
        let slot = usize::try_from(partition_of(&command.routing_key, count)).ok();
        slot.and_then(|slot| self.queues.get(slot)).ok_or(CommandError::Stopping)
    }

    /// The routing key of a stream. One that exists knows its account; a new one goes where the sender says.
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

/// What a command takes while it waits. One that is larger than everything that may wait would wait for ever.
fn size_of(command: &Command) -> u32 {
    /// Beside what was sent.
    const OVERHEAD: usize = 512;
    let bytes = command.payload.len().saturating_add(command.idempotency_key.len()).saturating_add(OVERHEAD);
    u32::try_from(bytes.min(MAX_BYTES)).unwrap_or(u32::MAX)
}

/// The partition of a routing key. It may never change: streams lie where it once put them.
fn partition_of(routing_key: &str, partition_count: u32) -> u32 {
    let digest = Sha256::digest(routing_key);
    let mut head = [0; 8];
    head.copy_from_slice(&digest[..8]);
    let slot = u64::from_be_bytes(head) % u64::from(partition_count.max(1));
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
