//! What follows from a decided command: inputs of the sagas that follow its stream, the answer to the step that asked
//! for it, and, of an input of a saga, the commands of the steps that it began and the changes of timers. Pure.

use uuid::Uuid;

use super::content::{Bytes, ChildCommand, Content, EffectAnswer, EffectRequest, Refusal};
use super::decider::PREFIX;
pub(crate) use super::event::never;
use super::event::{PendingTimer, SagaEvent};
use super::input::{
    self, AnswerEffect, AnswerStep, EffectOutcome, FireTimer, Input, Observe, StepAnswer, StepKey,
};
use crate::command::{Answer, Command, CommandError, FollowUp, Follower, Origin};
use clearfold_kernel::CommandContext;
use clearfold_sandbox::Message;
use clearfold_store::{DueTimer, NewEffect, PendingEffect, WaitingEffect, command_id};

/// Sender of the commands of sagas, and of their inputs.
const ACTOR: &str = CommandContext::SAGA;

/// Step of an instance that asked for a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AskedBy {
    /// Aggregate of the instance, `saga-{name}`.
    pub aggregate: String,
    /// Id of the instance.
    pub id: String,
    pub key: StepKey,
}

/// A decided command, as far as something follows from it.
pub(crate) struct Decision<'a> {
    pub command: &'a Command,
    pub origin: &'a Origin,
    pub answer: &'a Answer,
    /// Its events.
    pub events: &'a [Message],
    /// Version of the stream before them.
    pub version: u64,
}

/// Consequences of a decided command.
#[derive(Debug, Default)]
pub(crate) struct Consequences {
    /// Commands to decide next, in order.
    pub commands: Vec<(Command, Origin)>,
    /// Timers to set.
    pub timers: Vec<DueTimer>,
    /// Timers that fired or are not wanted any more.
    pub ended_timers: Vec<DueTimer>,
    /// Effects to carry out.
    pub effects: Vec<NewEffect>,
    /// Effects whose outcome came.
    pub ended_effects: Vec<PendingEffect>,
}

impl Decision<'_> {
    fn correlation_id(&self) -> Uuid {
        match self.origin {
            Origin::FollowUp(origin) => origin.correlation_id,
            Origin::Sender | Origin::Timer | Origin::Effect => self.command.correlation_id(),
        }
    }

    /// Origin of what follows from it.
    fn cause(&self, correlation_id: Uuid, asked_by: Option<AskedBy>) -> FollowUp {
        let round = match self.origin {
            Origin::FollowUp(origin) => origin.round.saturating_add(1),
            Origin::Sender | Origin::Timer | Origin::Effect => 1,
        };
        let causation_id = command_id(&self.command.idempotency_key);
        FollowUp { correlation_id, causation_id, round, asked_by, begins_stream: false }
    }

    /// Says what follows from it. `following` are the sagas that follow its stream, `offered` the effects that this host
    /// offers to instances that begin.
    pub(crate) fn consequences<'s>(
        &self,
        following: impl Iterator<Item = &'s Follower>,
        offered: &[String],
    ) -> Result<Consequences, String> {
        let mut consequences = Consequences::default();
        if self.command.aggregate.starts_with(PREFIX) {
            self.of_saga(&mut consequences)?;
            return Ok(consequences);
        }
        for saga in following {
            self.observations(saga, offered, &mut consequences)?;
        }
        if let Origin::FollowUp(FollowUp { asked_by: Some(asked_by), .. }) = self.origin {
            let answer = match self.answer {
                Answer::Accepted { .. } => StepAnswer::Accepted,
                Answer::Rejected { code, detail } => {
                    StepAnswer::Refused(Refusal { code: code.clone(), detail: detail.clone() })
                }
            };
            consequences.commands.push(answer_to(
                asked_by,
                answer,
                self.command,
                self.cause(self.correlation_id(), None),
            )?);
        }
        Ok(consequences)
    }

    /// Inputs of a saga that follows the stream: one for each event that it observes.
    fn observations(
        &self,
        saga: &Follower,
        offered: &[String],
        consequences: &mut Consequences,
    ) -> Result<(), String> {
        for (version, event) in (self.version + 1..).zip(self.events) {
            if !saga.may_observe(&event.type_) {
                continue;
            }
            // Only events of the followed stream begin an instance.
            let cause = FollowUp { begins_stream: version == 1, ..self.cause(self.correlation_id(), None) };
            let input = Input::Observe(Observe {
                version,
                event: Content {
                    kind: event.type_.clone(),
                    schema_version: event.schema_version,
                    payload: Bytes(event.payload.clone()),
                },
                correlation_id: cause.correlation_id,
                round: cause.round,
                held: false,
                effects: saga.may_request(&event.type_, offered),
            });
            let aggregate = format!("{PREFIX}{}", saga.name());
            let key = format!("{aggregate}-{}/observe/{version}", self.command.id);
            let to = Instance {
                aggregate: &aggregate,
                id: &self.command.id,
                routing_key: &self.command.routing_key,
            };
            consequences.commands.push((to.command(key, &input)?, Origin::FollowUp(cause)));
        }
        Ok(())
    }

    /// Commands and timers of the steps that an input of a saga began.
    fn of_saga(&self, consequences: &mut Consequences) -> Result<(), String> {
        let Command { aggregate, id, routing_key, .. } = self.command;
        let stream = self.command.stream();
        let timer =
            |timer: PendingTimer| DueTimer { due: timer.due, stream: stream.clone(), number: timer.timer };
        if self.command.kind == "FireTimer"
            && let Ok(Input::FireTimer(FireTimer { timer: number, due, .. })) =
                Input::read(&self.command.kind, self.command.schema_version, &self.command.payload)
        {
            consequences.ended_timers.push(timer(PendingTimer { timer: number, due }));
        }
        if self.command.kind == "AnswerEffect"
            && let Ok(Input::AnswerEffect(AnswerEffect { number, .. })) =
                Input::read(&self.command.kind, self.command.schema_version, &self.command.payload)
        {
            consequences.ended_effects.push(PendingEffect { stream: stream.clone(), number });
        }
        let read = self.events.iter().map(SagaEvent::read).collect::<Result<Vec<_>, _>>()?;
        for event in read.into_iter().flatten() {
            match event {
                SagaEvent::StepStarted(event) => {
                    let ChildCommand { aggregate: of, id: to, seen_on_chain, message } = event.command;
                    let command = Command {
                        idempotency_key: child_key(&stream, &event.key, &event.name),
                        aggregate: of,
                        id: to,
                        routing_key: routing_key.clone(),
                        kind: message.kind,
                        schema_version: message.schema_version,
                        payload: message.payload.0,
                        actor: if seen_on_chain { CommandContext::CHAIN } else { ACTOR }.to_owned(),
                    };
                    let asked_by = AskedBy { aggregate: aggregate.clone(), id: id.clone(), key: event.key };
                    let cause = self.cause(event.correlation_id, Some(asked_by));
                    consequences.commands.push((command, Origin::FollowUp(cause)));
                }
                SagaEvent::EffectRequested(event) => {
                    let EffectRequest { effect, request } = event.request;
                    let pending = PendingEffect { stream: stream.clone(), number: event.number };
                    consequences.effects.push(NewEffect { pending, effect, request: request.0 });
                }
                SagaEvent::StepWaiting(event) => {
                    consequences.timers.push(timer(PendingTimer { timer: event.timer, due: event.until }));
                }
                SagaEvent::StepDeferred(event) => {
                    consequences.timers.push(timer(PendingTimer { timer: event.timer, due: event.until }));
                }
                SagaEvent::SagaHeld(event) => {
                    consequences.timers.push(timer(PendingTimer { timer: event.timer, due: never() }));
                }
                SagaEvent::FlowEnded(event) => consequences.ended_timers.extend(event.timer.map(timer)),
                SagaEvent::CancelOrdered(event) => consequences.ended_timers.extend(event.timer.map(timer)),
                SagaEvent::ResolveOrdered(event) => consequences.ended_timers.extend(event.timer.map(timer)),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Answer to the step that asked for a command which could not be decided; none if no step did.
pub(crate) fn failed_child(
    command: &Command,
    origin: &Origin,
    error: &CommandError,
) -> Option<Result<(Command, Origin), String>> {
    let Origin::FollowUp(FollowUp { correlation_id, causation_id, round, asked_by: Some(asked_by), .. }) =
        origin
    else {
        return None;
    };
    // A code and no text of the fault: the input must not depend on this host.
    let reason =
        Refusal { code: code_of(error).to_owned(), detail: "the command could not be decided".to_owned() };
    let cause = FollowUp {
        correlation_id: *correlation_id,
        causation_id: *causation_id,
        round: round.saturating_add(1),
        asked_by: None,
        begins_stream: false,
    };
    Some(answer_to(asked_by, StepAnswer::Failed(reason), command, cause))
}

fn code_of(error: &CommandError) -> &'static str {
    match error {
        CommandError::UnknownAggregate { .. } => "unknown_aggregate",
        CommandError::AccountMismatch { .. } => "account_mismatch",
        CommandError::Component(_) => "component_failed",
        _ => "system_error",
    }
}

fn answer_to(
    asked_by: &AskedBy,
    answer: StepAnswer,
    command: &Command,
    cause: FollowUp,
) -> Result<(Command, Origin), String> {
    let AskedBy { aggregate, id, key } = asked_by;
    let input = Input::AnswerStep(AnswerStep { key: key.clone(), answer, round: cause.round, held: false });
    let to = Instance { aggregate, id, routing_key: &command.routing_key };
    let command = to.command(format!("{}/answer", command.idempotency_key), &input)?;
    Ok((command, Origin::FollowUp(cause)))
}

/// Command that fires a due timer.
pub(crate) fn fire(timer: &DueTimer, routing_key: &str) -> Result<Command, String> {
    let no_instance = || format!("the timer of {} is not one of a saga", timer.stream);
    let (aggregate, id) = split(&timer.stream).ok_or_else(no_instance)?;
    let input = Input::FireTimer(FireTimer { timer: timer.number, due: timer.due, held: false });
    Instance { aggregate, id, routing_key }
        .command(format!("{}/timer/{}", timer.stream, timer.number), &input)
}

/// Outcome of an effect, as the instance that requested it hears it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Answer of the other side: a JSON document.
    Answered(Vec<u8>),
    /// Answer of the configured stand-in, and the reason why the other side gave none.
    StoodIn { answer: Vec<u8>, why: String },
    /// No answer came in time, or it is not known whether the request was carried out: the reason.
    Unanswered(String),
    /// It was definitely not carried out, under a stable code.
    Refused { code: String, detail: String },
}

/// Command that tells an instance the outcome of its effect.
pub(crate) fn answer_effect(effect: &WaitingEffect, outcome: Outcome) -> Result<Command, String> {
    let PendingEffect { stream, number } = &effect.pending;
    let no_instance = || format!("the effect of {stream} is not one of a saga");
    let (aggregate, id) = split(stream).ok_or_else(no_instance)?;
    let outcome = match outcome {
        Outcome::Answered(answer) => EffectOutcome::Came(EffectAnswer::Answered(Bytes(answer))),
        Outcome::StoodIn { answer, why } => {
            EffectOutcome::Came(EffectAnswer::StoodIn { answer: Bytes(answer), why })
        }
        Outcome::Unanswered(why) => EffectOutcome::Came(EffectAnswer::Unanswered(why)),
        Outcome::Refused { code, detail } => EffectOutcome::Refused(Refusal { code, detail }),
    };
    let input = Input::AnswerEffect(AnswerEffect { number: *number, outcome, held: false });
    Instance { aggregate, id, routing_key: &effect.routing_key }.command(effect.pending.identity(), &input)
}

/// Types among a stream's new events that need an operator.
pub(crate) fn alarms<'a>(stream: &str, events: &'a [String]) -> Vec<&'a str> {
    if !stream.starts_with(PREFIX) {
        return Vec::new();
    }
    events.iter().map(String::as_str).filter(|event| SagaEvent::ALARMS.contains(event)).collect()
}

/// Says in an input of an instance whether its saga is paused, so that the recorded command has it. Orders stay as the
/// operator gave them; other commands are no inputs.
pub(crate) fn hold(command: &mut Command, is_paused: bool) -> Result<(), String> {
    let Ok(mut input) = Input::read(&command.kind, command.schema_version, &command.payload) else {
        // The instance rejects what it cannot read.
        return Ok(());
    };
    if input.is_held() != is_paused {
        input.hold(is_paused);
        command.payload =
            input.payload().map_err(|error| format!("an input of a saga has no JSON form: {error}"))?;
    }
    Ok(())
}

/// Splits the name of a stream into aggregate and id. The aggregate of a saga's instances has two words.
pub(crate) fn split(stream: &str) -> Option<(&str, &str)> {
    let words = if stream.starts_with(PREFIX) { PREFIX.len() } else { 0 };
    let end = stream.get(words..)?.find('-')? + words;
    Some((stream.get(..end)?, stream.get(end + 1..)?))
}

/// Instance to which an input goes.
struct Instance<'a> {
    aggregate: &'a str,
    id: &'a str,
    routing_key: &'a str,
}

impl Instance<'_> {
    fn command(&self, idempotency_key: String, input: &Input) -> Result<Command, String> {
        Ok(Command {
            idempotency_key,
            aggregate: self.aggregate.to_owned(),
            id: self.id.to_owned(),
            routing_key: self.routing_key.to_owned(),
            kind: input.kind().to_owned(),
            schema_version: input::VERSION,
            payload: input
                .payload()
                .map_err(|error| format!("an input of a saga has no JSON form: {error}"))?,
            actor: ACTOR.to_owned(),
        })
    }
}

/// Key of a step's command: the same for the same attempt, whatever happens in between.
fn child_key(stream: &str, key: &StepKey, name: &str) -> String {
    let StepKey { flow, step, undo, attempt } = key;
    let undo = if *undo { "/undo" } else { "" };
    format!("{stream}/{flow}/{step}-{name}{undo}/{attempt}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_aggregate_of_an_instance_has_two_words() {
        assert_eq!(split("card-c-1"), Some(("card", "c-1")));
        assert_eq!(split("saga-authorization-a-1"), Some(("saga-authorization", "a-1")));
        assert_eq!((split("card"), split("saga-a")), (None, None));
    }
}
