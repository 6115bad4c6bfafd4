//! Writer of one partition in this host: takes the lease when it can, leads while it holds it, and otherwise tells
//! callers why their commands are not taken.
//!
//! The holder of the lease is the only writer, in all hosts: every append checks it in its own transaction.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use clearfold_kernel::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::batch::Batch;
use super::failure::Failure;
use super::leader::{End, Leader};
use super::queued::Queued;
use super::session::{Session, with_time_out};
use super::sort::repeated;
use super::{CommandError, LiveDeciders};
use clearfold_base::clock::Clock;
use clearfold_base::faults;
use clearfold_base::telemetry::with_causes;
use clearfold_store::{EventStore, Head, Lease, StoreError, Taken};

/// Pause after a failure, which may come again at once.
const PAUSE: Duration = Duration::from_millis(20);

/// Settings of the writers.
#[derive(Debug, Clone)]
pub struct WriterSettings {
    /// Name under which this host holds leases: its own in each of its lives.
    pub owner: Arc<str>,
    /// Time for which a lease lasts without a renewal, and so the longest standstill of a partition after a crash.
    pub lease: Duration,
    /// Largest number of commands that are committed together.
    pub batch_size: usize,
    /// Bytes that the states in memory may take, in each partition.
    pub state_cache_bytes: u64,
    /// Number of events after which a stream's state is kept in the database.
    pub snapshot_every: u64,
}

pub(super) struct Writer {
    partition: u32,
    store: EventStore,
    deciders: LiveDeciders,
    clock: Clock,
    settings: WriterSettings,
}

/// Result of asking for the lease.
enum Leadership {
    /// It is held. The partition ends here, with its last command accepted at this time.
    Ours(Lease, Head, Timestamp),
    /// The host of this name holds it.
    AnotherHosts(String),
}

/// Reason why this host does not write the partition now.
enum Instead {
    AnotherHost(String),
    Failure(Failure),
}

impl Writer {
    pub(super) fn new(
        partition: u32,
        store: EventStore,
        deciders: LiveDeciders,
        clock: Clock,
        settings: WriterSettings,
    ) -> Self {
        Self { partition, store, deciders, clock, settings }
    }

    /// Works until the queue is closed and empty.
    pub(super) async fn run(self, mut queue: mpsc::Receiver<Queued>) {
        let mut again = Vec::new();
        // Time since which this host has not known the newest deciders.
        let mut behind: Option<Instant> = None;
        loop {
            let instead = match self.take_lease().await {
                Ok(Leadership::Ours(lease, head, latest)) => {
                    let begin = Batch::new(self.partition, head, latest);
                    match self.lead(lease, begin, mem::take(&mut again), &mut queue).await {
                        End::Stopped => return,
                        End::Lost { failure, again: rest } => {
                            self.warn(&failure, rest.len());
                            again = rest;
                            behind = failure.is_behind().then(|| behind.unwrap_or_else(Instant::now));
                            // It may learn of them in a moment; nobody waits longer for that than a lease.
                            if behind.is_none_or(|since| since.elapsed() < self.settings.lease) {
                                let is_behind = behind.is_some();
                                tokio::time::sleep(if is_behind { self.settings.lease / 10 } else { PAUSE })
                                    .await;
                                continue;
                            }
                            Instead::Failure(failure)
                        }
                    }
                }
                Ok(Leadership::AnotherHosts(owner)) => {
                    behind = None;
                    Instead::AnotherHost(owner)
                }
                Err(error) => {
                    let text = with_causes(&error);
                    tracing::error!(partition = self.partition, error = text, "the lease could not be taken");
                    Instead::Failure(error.into())
                }
            };
            self.refuse(mem::take(&mut again), &instead).await;
            if !self.wait(&mut queue, &instead).await {
                return;
            }
        }
    }

    /// Takes the lease if it is free, and finds where the partition ends.
    async fn take_lease(&self) -> Result<Leadership, StoreError> {
        let (owner, duration) = (&self.settings.owner, self.settings.lease);
        match with_time_out(self.store.take_lease(self.partition, owner, duration)).await? {
            Taken::ByAnother { owner } => Ok(Leadership::AnotherHosts(owner)),
            Taken::Held(lease, head) => {
                tracing::debug!(partition = self.partition, epoch = lease.epoch, "writes the partition");
                faults::point("lease_taken");
                let latest = with_time_out(self.store.latest(self.partition, &head)).await?;
                Ok(Leadership::Ours(lease, head, latest.unwrap_or_else(|| self.clock.now())))
            }
        }
    }

    /// Leads the partition. `again` comes before the queue.
    async fn lead(
        &self,
        lease: Lease,
        begin: Batch,
        again: Vec<Queued>,
        queue: &mut mpsc::Receiver<Queued>,
    ) -> End {
        let session = Session::new(self.store.clone(), lease);
        let (deciders, clock) = (self.deciders.clone(), self.clock.clone());
        Leader::new(session, begin, again, deciders, clock, &self.settings).lead(queue).await
    }

    fn warn(&self, failure: &Failure, commands: usize) {
        let (partition, error) = (self.partition, with_causes(failure));
        tracing::warn!(partition, error, commands, "the partition was lost or not reached");
    }

    /// Answers commands until it is time to ask for the lease again. Returns false if the queue is closed and empty.
    async fn wait(&self, queue: &mut mpsc::Receiver<Queued>, instead: &Instead) -> bool {
        let until = Instant::now() + self.settings.lease / 10;
        let mut commands = Vec::new();
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return true,
                count = queue.recv_many(&mut commands, self.settings.batch_size) => {
                    if count == 0 {
                        return false;
                    }
                    self.refuse(mem::take(&mut commands), instead).await;
                }
            }
        }
    }

    /// Tells callers why their commands are not taken. A command that was committed all the same, perhaps by another
    /// host, has its answer.
    async fn refuse(&self, commands: Vec<Queued>, instead: &Instead) {
        if commands.is_empty() {
            return;
        }
        let keys: Vec<String> =
            commands.iter().map(|queued| queued.command.idempotency_key.clone()).collect();
        let answered = match instead {
            // If the inbox cannot be read, the callers hear that they should ask again.
            Instead::AnotherHost(_) => self.store.answered(&keys).await.unwrap_or_default(),
            Instead::Failure(_) => Vec::new(),
        };
        for queued in commands {
            let known = answered.iter().find(|known| known.idempotency_key == queued.command.idempotency_key);
            let answer = match known {
                Some(known) => repeated(&queued.command, known),
                None => Err(self.refusal(instead)),
            };
            queued.answer(answer);
        }
    }

    fn refusal(&self, instead: &Instead) -> CommandError {
        match instead {
            Instead::AnotherHost(owner) => {
                CommandError::NotTheWriter { partition: self.partition, owner: owner.clone() }
            }
            Instead::Failure(failure) => failure.answer(),
        }
    }
}
