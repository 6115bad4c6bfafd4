//! Writer of one partition in this host: takes the lease when it can, leads while it holds it, and otherwise tells
//! callers why their commands are not taken.
//!
//! The holder of the lease is the only writer, in all hosts: every append checks it in its own transaction.

use std::mem;
use std::time::Duration;

use clearfold_kernel::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::batch::Batch;
use super::failure::Failure;
use super::leader::{End, Leader};
use super::queued::Queued;
use super::session::{Session, release, with_time_out};
use super::sort::repeated;
use super::subscriptions::Subscriptions;
use super::{CommandError, LiveDeciders, WriterSettings};
use clearfold_base::clock::Clock;
use clearfold_base::faults;
use clearfold_base::telemetry::with_causes;
use clearfold_store::{EventStore, Head, Lease, StoreError, Taken};

/// Pause after a failure, which may come again at once.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) struct Writer {
    partition: u32,
    store: EventStore,
    deciders: LiveDeciders,
    clock: Clock,
    settings: WriterSettings,
    subscriptions: Subscriptions,
}

/// Result of asking for the lease.
enum Leadership {
    /// This host holds it. The partition ends at `head`, with its last command accepted at `last_accepted_at`.
    Held { lease: Lease, head: Head, last_accepted_at: Timestamp },
    /// Another host holds it.
    HeldByAnother { owner: String },
}

/// Reason why this host does not write the partition now.
enum NotLeading {
    AnotherHost { owner: String },
    Failure(Failure),
}

impl Writer {
    pub(super) fn new(
        partition: u32,
        store: EventStore,
        deciders: LiveDeciders,
        clock: Clock,
        settings: WriterSettings,
        subscriptions: Subscriptions,
    ) -> Self {
        Self { partition, store, deciders, clock, settings, subscriptions }
    }

    /// Works until the queue is closed and empty.
    pub(super) async fn run(self, mut queue: mpsc::Receiver<Queued>) {
        let mut again = Vec::new();
        // Time since which no leadership has progressed.
        let mut stuck_since: Option<Instant> = None;
        loop {
            let reason = match self.take_lease().await {
                Ok(Leadership::Held { lease, head, last_accepted_at }) => {
                    let begin = Batch::new(self.partition, head, last_accepted_at);
                    match self.lead(lease.clone(), begin, mem::take(&mut again), &mut queue).await {
                        End::Stopped => return,
                        End::Lost { failure, again: rest, has_progressed } => {
                            self.warn(&failure, rest.len());
                            again = rest;
                            let since = stuck_since.filter(|_| !has_progressed).unwrap_or_else(Instant::now);
                            stuck_since = Some(since);
                            let is_behind = failure.is_behind();
                            if let Some(pause) =
                                pause_before_retry(since.elapsed(), is_behind, self.settings.lease)
                            {
                                tokio::time::sleep(pause).await;
                                continue;
                            }
                            // Another host may be able to lead; this one tries again later.
                            release(&self.store, &lease).await;
                            NotLeading::Failure(failure)
                        }
                    }
                }
                Ok(Leadership::HeldByAnother { owner }) => {
                    stuck_since = None;
                    NotLeading::AnotherHost { owner }
                }
                Err(error) => {
                    let text = with_causes(&error);
                    tracing::error!(partition = self.partition, error = text, "the lease could not be taken");
                    NotLeading::Failure(error.into())
                }
            };
            self.refuse(mem::take(&mut again), &reason).await;
            if !self.wait(&mut queue, &reason).await {
                return;
            }
        }
    }

    /// Takes the lease if it is free, and finds where the partition ends.
    async fn take_lease(&self) -> Result<Leadership, StoreError> {
        let (owner, duration) = (&self.settings.owner, self.settings.lease);
        match with_time_out(self.store.take_lease(self.partition, owner, duration)).await? {
            Taken::ByAnother { owner } => Ok(Leadership::HeldByAnother { owner }),
            Taken::Held(lease, head) => {
                tracing::debug!(partition = self.partition, epoch = lease.epoch, "writes the partition");
                faults::point("lease_taken");
                let latest = with_time_out(self.store.latest(self.partition, &head)).await?;
                let last_accepted_at = latest.unwrap_or_else(|| self.clock.now());
                Ok(Leadership::Held { lease, head, last_accepted_at })
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
        let subscriptions = self.subscriptions.clone();
        Leader::new(session, begin, again, deciders, clock, &self.settings, subscriptions).lead(queue).await
    }

    fn warn(&self, failure: &Failure, commands: usize) {
        let (partition, error) = (self.partition, with_causes(failure));
        tracing::warn!(partition, error, commands, "the partition was lost or not reached");
    }

    /// Answers commands until it is time to ask for the lease again. Returns false if the queue is closed and empty.
    async fn wait(&self, queue: &mut mpsc::Receiver<Queued>, reason: &NotLeading) -> bool {
        let until = Instant::now() + self.settings.lease / 10;
        let mut commands = Vec::new();
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return true,
                count = queue.recv_many(&mut commands, self.settings.batch_size) => {
                    if count == 0 {
                        return false;
                    }
                    self.refuse(mem::take(&mut commands), reason).await;
                }
            }
        }
    }

    /// Tells callers why their commands are not taken. A command that was committed all the same, perhaps by another
    /// host, has its answer.
    async fn refuse(&self, commands: Vec<Queued>, reason: &NotLeading) {
        if commands.is_empty() {
            return;
        }
        let keys: Vec<String> =
            commands.iter().map(|queued| queued.command.idempotency_key.clone()).collect();
        let answered = match reason {
            // If the inbox cannot be read, the callers hear that they should ask again.
            NotLeading::AnotherHost { .. } => {
                with_time_out(self.store.answered(&keys)).await.unwrap_or_default()
            }
            NotLeading::Failure(_) => Vec::new(),
        };
        for queued in commands {
            let key = &queued.command.idempotency_key;
            let answer = match answered.iter().find(|answered| answered.idempotency_key == *key) {
                Some(answered) => repeated(&queued.command, answered),
                None => Err(self.refusal(reason)),
            };
            queued.answer(answer);
        }
    }

    fn refusal(&self, reason: &NotLeading) -> CommandError {
        match reason {
            NotLeading::AnotherHost { owner } => {
                CommandError::NotTheWriter { partition: self.partition, owner: owner.clone() }
            }
            NotLeading::Failure(failure) => failure.answer(),
        }
    }
}

/// Pause before the partition is led again after a failure; `None` if the lease is to be given back and commands are to
/// be refused first. `stuck_for` is the time for which no leadership has progressed, and `is_behind` is true if newer
/// deciders than this host knows are in force.
fn pause_before_retry(stuck_for: Duration, is_behind: bool, lease: Duration) -> Option<Duration> {
    // A failure may pass within one lease, as it does when the host learns of the newer deciders.
    (stuck_for < lease).then_some(if is_behind { lease / 10 } else { PAUSE })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_refused_once_no_leadership_has_progressed_for_a_lease() {
        let lease = Duration::from_secs(10);
        let pause =
            |stuck_for, is_behind| pause_before_retry(Duration::from_secs(stuck_for), is_behind, lease);
        assert_eq!([pause(0, false), pause(9, false)], [Some(PAUSE); 2]);
        assert_eq!([pause(0, true), pause(9, true)], [Some(Duration::from_secs(1)); 2]);
        assert_eq!([pause(10, false), pause(10, true)], [None; 2]);
    }
}
