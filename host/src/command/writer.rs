//! The writer of one partition: takes what waits, has it decided, commits it in one transaction, answers.
//!
//! It is the only writer of its partition in this process. Should another process append as well, the database
//! refuses the append that was decided on an old head, and the batch is decided again on the new one.

use std::collections::BTreeMap;
use std::sync::Arc;

use clearfold_kernel::Timestamp;
use tokio::sync::mpsc;

use self::queued::Queued;
use super::plan::{Place, Plan, settle, take_foreign};
use super::{Answer, Command, CommandError, Deciders, decide};
use crate::clock::Clock;
use crate::database::DatabaseError;
use crate::event_store::{Append, EventStore, StoreError};

/// How often a batch is decided again because another process appended first.
const MAX_ATTEMPTS: usize = 5;

pub(super) mod queued {
    //! A command that waits.

    use tokio::sync::oneshot;

    use super::super::{Answer, Command, CommandError};

    /// A command, and where its answer goes.
    pub(in super::super) struct Queued {
        pub command: Command,
        pub answer: oneshot::Sender<Result<Answer, CommandError>>,
    }
}

pub(super) struct Writer {
    partition: u32,
    store: EventStore,
    deciders: Arc<Deciders>,
    clock: Clock,
    batch_size: usize,
}

type Answers = BTreeMap<usize, Result<Answer, CommandError>>;

impl Writer {
    pub(super) fn new(
        partition: u32,
        store: EventStore,
        deciders: Arc<Deciders>,
        clock: Clock,
        batch_size: usize,
    ) -> Self {
        Self { partition, store, deciders, clock, batch_size }
    }

    /// Works until the queue is closed and empty.
    pub(super) async fn run(self, mut queue: mpsc::Receiver<Queued>) {
        let mut waiting = Vec::with_capacity(self.batch_size);
        while queue.recv_many(&mut waiting, self.batch_size).await > 0 {
            let (commands, senders): (Vec<Command>, Vec<_>) =
                waiting.drain(..).map(|queued| (queued.command, queued.answer)).unzip();
            let commands: Arc<[Command]> = commands.into();
            let answers = self.answer(&commands).await;
            for (sender, answer) in senders.into_iter().zip(answers) {
                // Who does not wait any more finds the answer in the inbox.
                let _ = sender.send(answer);
            }
        }
    }

    /// One answer for each command. What the database refuses to hold is sought by halves, so that it fails alone.
    async fn answer(&self, commands: &Arc<[Command]>) -> Vec<Result<Answer, CommandError>> {
        match self.attempts(commands).await {
            Ok(answers) => answers,
            Err(error) if error.is_refusal() && commands.len() > 1 => {
                let (one, other) = commands.split_at(commands.len() / 2);
                let mut answers = Box::pin(self.answer(&one.into())).await;
                answers.extend(Box::pin(self.answer(&other.into())).await);
                answers
            }
            Err(error) => {
                let refused = error.is_refusal();
                let text = crate::telemetry::chain(&error);
                tracing::error!(partition = self.partition, error = text, "commands could not be committed");
                let error =
                    if refused { CommandError::Unstorable(text) } else { CommandError::Unavailable(text) };
                commands.iter().map(|_| Err(error.clone())).collect()
            }
        }
    }

    async fn attempts(
        &self,
        commands: &Arc<[Command]>,
    ) -> Result<Vec<Result<Answer, CommandError>>, StoreError> {
        let mut attempt = 1;
        loop {
            match self.attempt(commands).await {
                Err(StoreError::Conflict { .. }) if attempt < MAX_ATTEMPTS => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    async fn attempt(
        &self,
        commands: &Arc<[Command]>,
    ) -> Result<Vec<Result<Answer, CommandError>>, StoreError> {
        let keys: Vec<String> = commands.iter().map(|command| command.idempotency_key.clone()).collect();
        let Plan { places, mut turns } = Plan::new(commands, self.store.answered(&keys).await?);
        if turns.is_empty() {
            return Ok(gather(&places, &Answers::new()));
        }
        let head = self.store.head(self.partition).await?;
        let streams: Vec<String> = turns.iter().map(|turn| turn.stream.clone()).collect();
        let heads = self.store.stream_heads(&streams).await?;
        let foreign = take_foreign(commands, &mut turns, &heads, self.partition);
        let history = self.store.streams(self.partition, &streams).await?;
        let now = self.clock.now();
        let (deciders, batch) = (Arc::clone(&self.deciders), Arc::clone(commands));
        let decided = tokio::task::spawn_blocking(move || {
            settle(&batch, decide::decide(&deciders, &batch, turns, history, now), now)
        });
        let (append, mut answers) =
            decided.await.map_err(|error| DatabaseError::Corrupt(error.to_string()))?;
        self.commit(head, &append, now).await?;
        answers.extend(foreign);
        log(commands, &answers);
        Ok(gather(&places, &answers))
    }

    async fn commit(&self, head: u64, append: &Append, now: Timestamp) -> Result<(), StoreError> {
        if !append.inbox.is_empty() {
            self.store.append(self.partition, head, append, now).await?;
        }
        Ok(())
    }
}

/// The answers in the order of the batch.
fn gather(places: &[Place], settled: &Answers) -> Vec<Result<Answer, CommandError>> {
    let decided = |index: &usize| settled.get(index).cloned().unwrap_or(Err(CommandError::Stopping));
    let answer = |(index, place): (usize, &Place)| match place {
        Place::Answered(answer) => answer.clone(),
        Place::Like(first) => decided(first),
        Place::Decide => decided(&index),
    };
    places.iter().enumerate().map(answer).collect()
}

/// One line a command, under the correlation id that its events carry.
fn log(commands: &[Command], answers: &Answers) {
    for (index, answer) in answers {
        let command = &commands[*index];
        let correlation_id = command.correlation_id();
        let (stream, kind, key) = (command.stream(), &command.kind, &command.idempotency_key);
        match answer {
            Ok(Answer::Accepted { stream_version, events, .. }) => {
                tracing::info!(%correlation_id, %stream, %kind, %key, stream_version, ?events, "command accepted");
            }
            Ok(Answer::Rejected { code, detail }) => {
                tracing::warn!(%correlation_id, %stream, %kind, %key, %code, %detail, "command rejected");
            }
            Err(error) => tracing::error!(%correlation_id, %stream, %kind, %key, %error, "command failed"),
        }
    }
}
