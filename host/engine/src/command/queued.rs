//! Command that waits for its answer, with the channel that the answer goes through.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use uuid::Uuid;

use super::{Answer, Command, CommandError, Deciders};
use crate::saga::{AskedBy, follow};
use clearfold_store::KeptAnswer;

/// Command with the channel of its answer.
pub(super) struct Queued {
    pub command: Arc<Command>,
    /// Number of its batches that could not be committed.
    pub failures: u32,
    /// True if the database refused its batch because of one of the commands: it is tried without the others.
    pub alone: bool,
    pub origin: Origin,
    reply: Reply,
    /// Its share of the room for waiting commands, given back when it is answered.
    _room: Option<OwnedSemaphorePermit>,
}

/// Origin of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A sender outside, who has its answer kept in the inbox.
    Sender,
    /// A timer of a saga that is due.
    Timer,
    /// The outcome of an effect of a saga.
    Effect,
    /// A command of the same batch, from which it follows.
    FollowUp(FollowUp),
}

/// Origin of a command that follows from another one of its batch. It is committed with that one, or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FollowUp {
    /// Correlation id of the command with which the run began.
    pub correlation_id: Uuid,
    /// Id of the command that it follows from.
    pub causation_id: Uuid,
    /// Number of rounds of the run before it, from 1.
    pub round: u32,
    /// Step of a saga that asked for it, and gets its answer.
    pub asked_by: Option<AskedBy>,
    /// True if its stream does not exist yet: that of an instance whose followed stream begins in this batch.
    pub begins_stream: bool,
}

/// Command with its answer, before the answer is sent.
pub(super) type Resolved = (Queued, Result<Answer, CommandError>);

/// Sending end of the answer's channel.
struct Reply(Option<oneshot::Sender<Result<Answer, CommandError>>>);

impl Queued {
    pub(super) fn new(
        command: Command,
        answer: oneshot::Sender<Result<Answer, CommandError>>,
        room: OwnedSemaphorePermit,
    ) -> Self {
        let reply = Reply(Some(answer));
        let (command, origin, room) = (Arc::new(command), Origin::Sender, Some(room));
        Self { command, failures: 0, alone: false, origin, reply, _room: room }
    }

    /// Command of the host itself, for whose answer nobody waits.
    pub(super) fn of_host(command: Command, origin: Origin) -> Self {
        let (command, reply) = (Arc::new(command), Reply(None));
        Self { command, failures: 0, alone: false, origin, reply, _room: None }
    }

    /// Outcome of an effect, whose runner waits for the commit.
    pub(super) fn of_effect(command: Command, answer: oneshot::Sender<Result<Answer, CommandError>>) -> Self {
        Self { reply: Reply(Some(answer)), ..Self::of_host(command, Origin::Effect) }
    }

    /// Returns true if it follows from another command of its batch.
    pub(super) fn is_follow_up(&self) -> bool {
        matches!(self.origin, Origin::FollowUp(_))
    }

    /// Returns true if its stream is known not to exist.
    pub(super) fn begins_stream(&self) -> bool {
        matches!(self.origin, Origin::FollowUp(FollowUp { begins_stream: true, .. }))
    }

    /// Returns true if its answer is kept in the inbox.
    pub(super) fn has_sender(&self) -> bool {
        matches!(self.origin, Origin::Sender)
    }

    /// Answer to keep for its repeats; none of a command of the host, which cannot be repeated.
    pub(super) fn kept(&self, answer: &Answer) -> Result<Option<KeptAnswer>, String> {
        if !self.has_sender() {
            return Ok(None);
        }
        let answer =
            serde_json::to_value(answer).map_err(|error| format!("an answer has no JSON form: {error}"))?;
        Ok(Some(KeptAnswer { body_digest: self.command.body_digest(), answer }))
    }

    /// Says in an input of an instance whether its saga is paused. An operator's order stays as it was given.
    pub(super) fn hold(&mut self, deciders: &Deciders) -> Result<(), String> {
        let is_paused = deciders.is_paused(&self.command.aggregate);
        match self.origin {
            Origin::Sender => Ok(()),
            // It may have been held in a batch that failed; what follows from a batch is made anew.
            Origin::Timer | Origin::Effect => follow::hold(Arc::make_mut(&mut self.command), is_paused),
            Origin::FollowUp(_) if is_paused => follow::hold(Arc::make_mut(&mut self.command), is_paused),
            Origin::FollowUp(_) => Ok(()),
        }
    }

    /// Id of everything that its outside cause led to.
    pub(super) fn correlation_id(&self) -> Uuid {
        match &self.origin {
            Origin::FollowUp(origin) => origin.correlation_id,
            Origin::Sender | Origin::Timer | Origin::Effect => self.command.correlation_id(),
        }
    }

    /// Sends the answer. A caller that has stopped waiting finds it in the inbox when it asks again.
    pub(super) fn answer(mut self, answer: Result<Answer, CommandError>) {
        if self.has_sender() {
            log(&self.command, &answer);
        } else {
            log_quietly(&self, &answer);
        }
        alarm(&self, &answer);
        if let Some(reply) = self.reply.0.take() {
            let _ = reply.send(answer);
        }
    }
}

impl Drop for Reply {
    /// A panicking task drops its commands. Their callers hear that, and not that the host is stopping.
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(reply) = self.0.take()
        {
            let _ = reply.send(Err(CommandError::Internal("a task panicked".to_owned())));
        }
    }
}

pub(super) fn answer_all(resolved: impl IntoIterator<Item = Resolved>) {
    resolved.into_iter().for_each(|(queued, answer)| queued.answer(answer));
}

/// Writes one line per command, under the correlation id that its events carry.
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

/// Writes one line per command of the host. A refusal of one is part of a saga's work.
fn log_quietly(queued: &Queued, answer: &Result<Answer, CommandError>) {
    let (key, correlation_id) =
        (&queued.command.idempotency_key, tracing::field::display(queued.correlation_id()));
    match answer {
        Ok(answer) => tracing::debug!(correlation_id, key, ?answer, "command of a saga decided"),
        Err(error) => tracing::error!(correlation_id, key, %error, "command of a saga failed"),
    }
}

/// Writes an error if an instance of a saga needs an operator from now on. Only what is committed is answered, so a
/// replay or a batch that failed alarms nobody.
fn alarm(queued: &Queued, answer: &Result<Answer, CommandError>) {
    let Ok(Answer::Accepted { stream, events, .. }) = answer else { return };
    for event in follow::alarms(stream, events) {
        let correlation_id = tracing::field::display(queued.correlation_id());
        tracing::error!(
            correlation_id,
            stream,
            event,
            "a saga needs an operator; `clearfold saga show` says why, `clearfold saga list --state parked` shows all"
        );
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use tokio::sync::Semaphore;

    use super::*;

    pub type AnswerReceiver = oneshot::Receiver<Result<Answer, CommandError>>;

    pub fn command(account: &str, key: &str, id: &str, payload: &str) -> Command {
        Command {
            idempotency_key: key.into(),
            aggregate: "authorization".into(),
            id: id.into(),
            routing_key: account.into(),
            kind: "RecordSwipe".into(),
            schema_version: 1,
            payload: payload.into(),
            actor: "test".into(),
        }
    }

    /// Queued command and the receiving end of its answer.
    pub fn waiting(command: Command) -> (Queued, AnswerReceiver) {
        let (sender, receiver) = oneshot::channel();
        let room = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        (Queued::new(command, sender, room), receiver)
    }

    /// Queued command of one account whose caller does not wait.
    pub fn queued(key: &str, id: &str) -> Queued {
        waiting(command("0xaa", key, id, "")).0
    }

    pub fn keys<'a>(commands: impl IntoIterator<Item = &'a Queued>) -> Vec<&'a str> {
        commands.into_iter().map(|queued| queued.command.idempotency_key.as_str()).collect()
    }

    #[test]
    fn the_callers_of_a_task_that_panics_hear_that() {
        let (queued, mut answered) = waiting(command("0xaa", "1", "a", ""));
        let task = catch_unwind(AssertUnwindSafe(move || {
            let _taken = queued;
            panic!("on purpose");
        }));
        assert!(task.is_err());
        assert!(matches!(answered.try_recv(), Ok(Err(CommandError::Internal(_)))));
    }

    #[test]
    fn the_callers_of_a_host_that_stops_hear_nothing_of_a_panic() {
        let (queued, mut answered) = waiting(command("0xaa", "1", "a", ""));
        drop(queued);
        assert_eq!(answered.try_recv().unwrap_err(), oneshot::error::TryRecvError::Closed);
    }
}
