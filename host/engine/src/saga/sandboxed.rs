//! The component of a saga, as the machine asks it.

use clearfold_kernel::Timestamp;
use clearfold_sandbox::{
    ComponentId, Fault, Saga, SagaAction, SagaCommand, SagaEffect, SagaFlow, SagaMessage, SagaPhase,
    SagaRefusal, SagaSubject,
};

use super::content::{Bytes, ChildCommand, Content, EffectAnswer, EffectRequest, Refusal};
use super::event::PlannedStep;
use super::logic::{
    Action, NewFlow, Observation, Observed, Phase, Retry, SagaLogic, StepCall, StepFacts, Subject,
};

impl SagaLogic for Saga {
    fn id(&self) -> &ComponentId {
        Saga::id(self)
    }

    fn name(&self) -> &str {
        Saga::name(self)
    }

    fn follows(&self) -> &str {
        Saga::follows(self)
    }

    fn starts_on(&self, kind: &str) -> bool {
        Saga::starts_on(self, kind)
    }

    fn observes(&self, kind: &str) -> bool {
        Saga::observes(self, kind)
    }

    fn step(&self, name: &str) -> Option<StepFacts> {
        let step = Saga::step(self, name)?;
        let phase = match step.phase {
            SagaPhase::Compensatable => Phase::Compensatable,
            SagaPhase::Pivot => Phase::Pivot,
            SagaPhase::Retriable => Phase::Retriable,
        };
        let retry = Retry {
            first_delay_ms: step.retry.first_delay_ms,
            longest_delay_ms: step.retry.longest_delay_ms,
            attempts: step.retry.attempts,
        };
        Some(StepFacts { phase, retry })
    }

    fn effects(&self) -> &[String] {
        Saga::effects(self)
    }

    fn observe(&self, questions: &[&Observation]) -> Result<Vec<Result<Observed, String>>, Fault> {
        let wire = questions.iter().map(|question| clearfold_sandbox::Observation {
            subject: subject(&question.subject),
            event: SagaMessage {
                type_: question.event.kind.clone(),
                schema_version: question.event.schema_version,
                payload: question.event.payload.0.clone(),
            },
        });
        let answers = Saga::observe(self, &wire.collect::<Vec<_>>())?;
        Ok(answers.into_iter().map(|answer| answer.map(observed)).collect())
    }

    fn run(&self, questions: &[&StepCall]) -> Result<Vec<Result<Action, String>>, Fault> {
        let calls: Vec<_> = questions.iter().map(|question| call(question)).collect();
        Ok(Saga::run(self, &calls)?.into_iter().map(|answer| answer.and_then(action)).collect())
    }

    fn compensate(&self, questions: &[&StepCall]) -> Result<Vec<Result<Action, String>>, Fault> {
        let calls: Vec<_> = questions.iter().map(|question| call(question)).collect();
        Ok(Saga::compensate(self, &calls)?.into_iter().map(|answer| answer.and_then(action)).collect())
    }
}

fn subject(subject: &Subject) -> SagaSubject {
    SagaSubject {
        id: subject.id.clone(),
        routing_key: subject.routing_key.clone(),
        memory: subject.memory.0.clone(),
        now_ms: subject.now.as_ms(),
        effects: subject.effects.clone(),
    }
}

fn call(call: &StepCall) -> clearfold_sandbox::StepCall {
    let refusal =
        |refusal: &Refusal| SagaRefusal { code: refusal.code.clone(), detail: refusal.detail.clone() };
    clearfold_sandbox::StepCall {
        subject: subject(&call.subject),
        flow: call.flow.clone(),
        step: call.step.step.clone(),
        argument: call.step.argument.0.clone(),
        attempt: call.attempt,
        refusal: call.refusal.as_ref().map(refusal),
        last_refusal: call.last_refusal.as_ref().map(refusal),
        answer: call.answer.as_ref().map(answer),
    }
}

fn answer(answer: &EffectAnswer) -> clearfold_sandbox::EffectAnswer {
    match answer {
        EffectAnswer::Answered(answer) | EffectAnswer::StoodIn { answer, .. } => {
            clearfold_sandbox::EffectAnswer::Answered(answer.0.clone())
        }
        EffectAnswer::Unanswered(why) => clearfold_sandbox::EffectAnswer::Unanswered(why.clone()),
    }
}

fn observed(observed: clearfold_sandbox::Observed) -> Observed {
    let flow = |flow: SagaFlow| NewFlow {
        name: flow.name,
        lane: flow.lane,
        steps: flow
            .steps
            .into_iter()
            .map(|planned| PlannedStep { step: planned.step, argument: Bytes(planned.argument) })
            .collect(),
    };
    Observed {
        memory: observed.memory.map(Bytes),
        cancel: observed.cancel,
        flows: observed.flows.into_iter().map(flow).collect(),
    }
}

/// Translates an action, which the sandbox has checked.
fn action(action: SagaAction) -> Result<Action, String> {
    Ok(match action {
        SagaAction::Command(SagaCommand { aggregate, id, seen_on_chain, message }) => {
            let SagaMessage { type_, schema_version, payload } = message;
            let message = Content { kind: type_, schema_version, payload: Bytes(payload) };
            Action::Command(ChildCommand { aggregate, id, seen_on_chain, message })
        }
        SagaAction::WaitUntilMs(until_ms) => {
            let until = Timestamp::from_ms(until_ms);
            Action::WaitUntil(until.ok_or_else(|| format!("{until_ms} ms is after the year 9999"))?)
        }
        SagaAction::Request(SagaEffect { name, request }) => {
            Action::Request(EffectRequest { effect: name, request: Bytes(request) })
        }
        SagaAction::Done => Action::Done,
        SagaAction::Refuse(SagaRefusal { code, detail }) => Action::Refuse(Refusal { code, detail }),
    })
}
