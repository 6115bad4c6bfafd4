//! The writer of one partition in this host: takes the lease when it can, leads while it holds it, and otherwise says
//! who does.
//!
//! Whoever has the lease is the only writer, in all hosts: every append checks it in its own transaction.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::leader::{End, Leader, within};
use super::plan::repeated;
use super::queued::Queued;
use super::{CommandError, LiveDeciders};
use clearfold_base::clock::Clock;
use clearfold_base::faults;
use clearfold_store::{EventStore, StoreError, Taken};

/// How partitions are written.
#[derive(Debug, Clone)]
pub struct WriterSettings {
    /// The name under which this host holds leases: its own in each of its lives.
    pub owner: Arc<str>,
    /// How long a lease is good for without being renewed: as long may a partition stand still after a crash.
    pub lease: Duration,
    /// Commands that are committed together at the most.
    pub batch_size: usize,
    /// What the states in memory may take, in each partition.
    pub state_cache_bytes: u64,
    /// After so many events a stream's state is kept in the database.
    pub snapshot_every: u64,
}

pub(super) struct Writer {
    pub(super) partition: u32,
    pub(super) store: EventStore,
    pub(super) deciders: LiveDeciders,
    pub(super) clock: Clock,
    pub(super) settings: WriterSettings,
}

/// Why this host does not write the partition now.
enum Instead {
    AnotherHost(String),
    Failure(StoreError),
}

impl Writer {
    /// Works until the queue is closed and empty.
    pub(super) async fn run(self, mut queue: mpsc::Receiver<Queued>) {
        /// What failed may fail again at once.
        const PAUSE_MS: u64 = 20;
        let mut again = Vec::new();
        // Since when this host has not known what decides.
        let mut behind: Option<Instant> = None;
        loop {
            let (owner, lease_time) = (&self.settings.owner, self.settings.lease);
            let taken = within(self.store.take_lease(self.partition, owner, lease_time)).await;
            let instead = match taken {
                Ok(Taken::Held(lease, head)) => {
                    tracing::debug!(partition = self.partition, epoch = lease.epoch, "writes the partition");
                    faults::point("lease_taken");
                    let latest = self.store.latest(self.partition, &head).await.ok().flatten();
                    let latest = latest.unwrap_or_else(|| self.clock.now());
                    let leader = Leader::new(&self, lease, head, latest, std::mem::take(&mut again));
                    match leader.lead(&mut queue).await {
                        End::Stopped => return,
                        End::Lost { error, again: rest } => {
                            self.warn(&error, rest.len());
                            again = rest;
                            let is_behind = matches!(error, StoreError::Behind { .. });
                            behind = is_behind.then(|| behind.unwrap_or_else(Instant::now));
                            // What it does not know it may know in a moment; for longer than that nobody waits.
                            if behind.is_none_or(|since| since.elapsed() < lease_time) {
                                let pause = Duration::from_millis(PAUSE_MS);
                                tokio::time::sleep(if is_behind { lease_time / 10 } else { pause }).await;
                                continue;
                            }
                            Instead::Failure(error)
                        }
                    }
                }
                Ok(Taken::ByAnother { owner }) => {
                    behind = None;
                    Instead::AnotherHost(owner)
                }
                Err(error) => {
                    let text = clearfold_base::telemetry::with_causes(&error);
                    tracing::error!(partition = self.partition, error = text, "the lease could not be taken");
                    Instead::Failure(error)
                }
            };
            self.refuse(std::mem::take(&mut again), &instead).await;
            if !self.wait(&mut queue, &instead).await {
                return;
            }
        }
    }

    fn warn(&self, error: &StoreError, commands: usize) {
        let (partition, error) = (self.partition, clearfold_base::telemetry::with_causes(error));
        tracing::warn!(partition, error, commands, "the partition was lost or not reached");
    }

    /// Answers what comes until it is time to ask for the lease again. False: nothing will come any more.
    async fn wait(&self, queue: &mut mpsc::Receiver<Queued>, instead: &Instead) -> bool {
        let until = Instant::now() + self.settings.lease / 10;
        let mut chunk = Vec::new();
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return true,
                count = queue.recv_many(&mut chunk, self.settings.batch_size) => {
                    if count == 0 {
                        return false;
                    }
                    self.refuse(std::mem::take(&mut chunk), instead).await;
                }
            }
        }
    }

    /// Says why commands are not taken. What was committed all the same, perhaps by another host, has its answer.
    async fn refuse(&self, commands: Vec<Queued>, instead: &Instead) {
        if commands.is_empty() {
            return;
        }
        let keys: Vec<String> =
            commands.iter().map(|queued| queued.command.idempotency_key.clone()).collect();
        let answered = match instead {
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
            Instead::Failure(error) => {
                CommandError::Unavailable(clearfold_base::telemetry::with_causes(error))
            }
        }
    }
}
