//! A command that waits for its answer.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{Answer, Command, CommandError};

/// A command, and where its answer goes.
pub(super) struct Queued {
    pub command: Arc<Command>,
    pub answer: oneshot::Sender<Result<Answer, CommandError>>,
    /// How often its batch could not be committed.
    pub failures: u32,
    /// Its batch was refused by the database because of one of its commands: it is tried without the others.
    pub alone: bool,
    /// Its part of what may wait, given back when it is answered.
    pub _room: OwnedSemaphorePermit,
}

impl Queued {
    pub(super) fn new(
        command: Command,
        answer: oneshot::Sender<Result<Answer, CommandError>>,
        room: OwnedSemaphorePermit,
    ) -> Self {
        Self { command: Arc::new(command), answer, failures: 0, alone: false, _room: room }
    }

    /// Answers. Who does not wait any more finds the answer in the inbox.
    pub(super) fn answer(self, answer: Result<Answer, CommandError>) {
        log(&self.command, &answer);
        let _ = self.answer.send(answer);
    }
}

/// One line a command, under the correlation id that its events carry.
fn log(command: &Command, answer: &Result<Answer, CommandError>) {
    let (kind, key) = (&command.kind, &command.idempotency_key);
    match answer {
        Ok(Answer::Accepted { stream, stream_version, events }) => {
            let correlation_id = tracing::field::display(command.correlation_id());
            tracing::info!(correlation_id, stream, kind, key, stream_version, ?events, "command accepted");
        }
        Ok(Answer::Rejected { code, detail }) => {
            let (correlation_id, stream) =
                (tracing::field::display(command.correlation_id()), command.stream());
            tracing::warn!(correlation_id, stream, kind, key, code, detail, "command rejected");
        }
        Err(error) if error.is_passing() => {
            tracing::warn!(stream = command.stream(), kind, key, %error, "command not taken");
        }
        Err(error) => tracing::error!(stream = command.stream(), kind, key, %error, "command failed"),
    }
}
