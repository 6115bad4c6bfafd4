//! Machine of a saga instance: order of steps, attempts, delays, compensation and parking. Pure.
//!
//! The machine never calls the component. It says what it has to ask, and goes on with the answer; so the questions of
//! many instances share a call.

mod orders;
mod pause;
mod trial;

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::content::{EffectAnswer, EffectRequest, Refusal, Sending};
use super::event::{
    CompensationStarted, EffectAnswered, EffectRequested, EventObserved, FlowAdded, FlowEnded, FlowOutcome,
    FlowParked, ObservationFailed, ObservationQueued, PlannedStep, SagaEvent, SagaStarted, StepDeferred,
    StepDone, StepRefused, StepStarted, StepWaiting,
};
use super::input::{AnswerEffect, AnswerStep, EffectOutcome, FireTimer, Input, Observe, StepAnswer, StepKey};
use super::instance::{Doing, Flow, Instance, Unobserved};
use super::logic::{Action, Observation, Observed, Phase, SagaLogic, StepCall, StepFacts, Subject};
use clearfold_kernel::Timestamp;
use clearfold_sandbox::Message;

/// Rounds of a run after which a step's command waits for the next batch.
const MAX_ROUNDS: u32 = 64;

/// Instance with the input that is being decided.
pub(crate) struct Machine {
    /// Version of the saga that the instance began on.
    saga: Arc<dyn SagaLogic>,
    /// Version of the machine with which the instance begins, if it has not begun.
    engine: u32,
    id: String,
    routing_key: String,
    now: Timestamp,
    instance: Instance,
    /// Number of rounds of the run so far.
    round: u32,
    /// True while the saga is paused: no step begins.
    is_held: bool,
    /// Event whose observation is asked.
    asked: Option<Unobserved>,
    /// Flow whose step is asked.
    asked_flow: Option<u32>,
    /// Flow whose put-off request of an effect is due now.
    due_flow: Option<u32>,
    events: Vec<SagaEvent>,
}

/// Question to the component.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Question {
    Observe(Observation),
    Run(StepCall),
    Compensate(StepCall),
}

/// Answer of the component. An error is what it failed with.
#[derive(Debug)]
pub(crate) enum Reply {
    Observed(Result<Observed, Refusal>),
    Action(Result<Action, Refusal>),
}

impl Machine {
    pub(crate) fn new(
        saga: Arc<dyn SagaLogic>,
        engine: u32,
        id: String,
        routing_key: String,
        instance: Instance,
    ) -> Self {
        Self {
            saga,
            engine,
            id,
            routing_key,
            now: Timestamp::default(),
            instance,
            round: 0,
            is_held: false,
            asked: None,
            asked_flow: None,
            due_flow: None,
            events: Vec::new(),
        }
    }

    pub(crate) fn into_instance(self) -> Instance {
        self.instance
    }

    pub(crate) fn saga(&self) -> &Arc<dyn SagaLogic> {
        &self.saga
    }

    /// Writes the events of the input that was decided last.
    pub(crate) fn write_events(&mut self) -> Result<Vec<Message>, serde_json::Error> {
        SagaEvent::write_all(&std::mem::take(&mut self.events), self.instance.engine)
    }

    /// Begins with an input. Returns what is to be asked; none if the input is decided. Refuses an order that cannot be
    /// carried out; then nothing changed.
    pub(crate) fn begin(&mut self, input: Input, now: Timestamp) -> Result<Option<Question>, Refusal> {
        (self.now, self.round, self.is_held) = (now, input.round(), input.is_held());
        self.due_flow = None;
        match input {
            Input::Observe(input) => self.observe(input),
            Input::AnswerStep(input) => self.answer_step(&input),
            Input::AnswerEffect(input) => self.answer_effect(input),
            Input::FireTimer(input) => self.fire(input),
            Input::Retry(input) => self.retry(input)?,
            Input::Cancel(input) => self.cancel_by(&input)?,
            Input::Resolve(input) => self.resolve(input)?,
        }
        if self.is_held {
            self.hold();
            return Ok(None);
        }
        Ok(self.question())
    }

    /// Goes on with an answer. Returns what is to be asked next; none if the input is decided.
    pub(crate) fn go_on(&mut self, reply: Reply) -> Option<Question> {
        match reply {
            Reply::Observed(observed) => {
                if let Some(event) = self.asked.take() {
                    self.observed(event, observed);
                }
            }
            Reply::Action(action) => {
                let number = self.asked_flow.take();
                if let Some(flow) = number.and_then(|number| self.instance.flow(number)).cloned() {
                    self.act(&flow, action);
                }
            }
        }
        self.question()
    }

    fn emit(&mut self, event: impl Into<SagaEvent>) {
        let event = event.into();
        self.instance.apply(event.clone());
        self.events.push(event);
    }

    fn observe(&mut self, input: Observe) {
        let Observe { version, event, correlation_id, effects, .. } = input;
        if !self.instance.has_begun() {
            if !self.saga.starts_on(&event.kind) {
                return;
            }
            self.emit(SagaStarted {
                saga: self.saga.name().to_owned(),
                engine: self.engine,
                component: self.saga.id().digest.to_string(),
                effects,
            });
        }
        // The version in force may observe more than the one that the instance began on.
        if version <= self.instance.observed || !self.saga.observes(&event.kind) {
            return;
        }
        if self.is_held || !self.instance.unobserved.is_empty() {
            self.emit(ObservationQueued { version, event, correlation_id });
            return;
        }
        self.asked = Some(Unobserved { version, event, correlation_id });
    }

    fn answer_step(&mut self, input: &AnswerStep) {
        let flow = self.instance.flow(input.key.flow);
        let flow = flow.filter(|flow| flow.key() == input.key && matches!(flow.doing, Doing::Command(_)));
        // Anything else is an answer that came late or twice.
        let Some(flow) = flow.cloned() else { return self.late(&input.key, &input.answer) };
        match &input.answer {
            StepAnswer::Accepted => self.done(&flow),
            StepAnswer::Refused(reason) | StepAnswer::Failed(reason) => self.refused(&flow, reason.clone()),
        }
    }

    fn answer_effect(&mut self, input: AnswerEffect) {
        let AnswerEffect { number, outcome, .. } = input;
        let waits = |flow: &&Flow| flow.effect() == Some(number);
        // Anything else is an answer that came late or twice.
        let Some(flow) = self.instance.running().find(waits).cloned() else {
            return self.late_effect(number, &outcome);
        };
        match outcome {
            EffectOutcome::Came(answer) => {
                self.emit(EffectAnswered { key: flow.key(), name: name_of(&flow), number, answer });
            }
            EffectOutcome::Refused(reason) => self.refused(&flow, reason),
        }
    }

    fn fire(&mut self, input: FireTimer) {
        if self.instance.held == Some(input.timer) {
            return self.resume(input.timer);
        }
        let waits = |flow: &&Flow| flow.timer().is_some_and(|timer| timer.timer == input.timer);
        let Some(flow) = self.instance.running().find(waits).cloned() else { return };
        match &flow.doing {
            _ if self.is_held => self.hold_timer(&flow, input.timer),
            Doing::Deferred(_, Sending::Effect(_)) if self.asks_again() => self.ask_again(&flow),
            Doing::Deferred(_, sending) => self.start(&flow, sending.clone()),
            _ => self.asked_flow = Some(flow.number),
        }
    }

    /// Next question: about the event at hand, then about the steps that come up, lane by lane.
    fn question(&mut self) -> Option<Question> {
        if let Some(event) = &self.asked {
            let event = event.event.clone();
            return Some(Question::Observe(Observation { subject: self.subject(), event }));
        }
        loop {
            let asked = self.asked_flow.and_then(|number| self.instance.flow(number));
            let idle = || self.instance.running().find(|flow| flow.is_idle());
            let flow = asked.or_else(idle)?.clone();
            match &flow.doing {
                Doing::Held(Some(Sending::Effect(_))) if self.asks_again() => self.ask_again(&flow),
                Doing::Held(Some(sending)) => {
                    self.start(&flow, sending.clone());
                    continue;
                }
                _ => {}
            }
            let Some(step) = flow.step().cloned() else {
                self.end(&flow, FlowOutcome::Done);
                continue;
            };
            self.asked_flow = Some(flow.number);
            return Some(self.question_of(&flow, step));
        }
    }

    /// Question about a step of a flow.
    fn question_of(&self, flow: &Flow, step: PlannedStep) -> Question {
        let call = StepCall {
            subject: self.subject(),
            flow: flow.name.clone(),
            step,
            attempt: flow.attempt,
            refusal: flow.compensated_for.clone(),
            last_refusal: flow.last_refusal.clone(),
            answer: flow.answer.clone(),
        };
        let is_undo = flow.compensated_for.is_some();
        if is_undo { Question::Compensate(call) } else { Question::Run(call) }
    }

    fn subject(&self) -> Subject {
        Subject {
            id: self.id.clone(),
            routing_key: self.routing_key.clone(),
            memory: self.instance.memory.clone(),
            now: self.now,
            effects: self.instance.effects.clone(),
        }
    }

    fn observed(&mut self, asked: Unobserved, observed: Result<Observed, Refusal>) {
        let Unobserved { version, event, correlation_id } = asked;
        let observed = match observed {
            Ok(observed) => observed,
            Err(reason) => {
                self.emit(ObservationFailed { version, event, correlation_id, reason });
                return;
            }
        };
        self.emit(EventObserved { version, kind: event.kind, memory: observed.memory });
        for lane in &observed.cancel {
            self.cancel(lane);
        }
        for flow in observed.flows {
            // A stream has fewer events than flows can be counted.
            let number = self.instance.flows.saturating_add(1);
            self.emit(FlowAdded {
                flow: number,
                name: flow.name,
                lane: flow.lane,
                steps: flow.steps,
                correlation_id,
            });
        }
        self.asked = self.instance.unobserved.front().cloned();
    }

    /// Ends the flows of a lane if the running one only waits; those behind it have not begun.
    fn cancel(&mut self, lane: &str) {
        let Some(flows) = self.instance.lanes.get(lane) else { return };
        if flows
            .front()
            .is_some_and(|flow| matches!(flow.doing, Doing::Wait(_) | Doing::Nothing | Doing::Held(None)))
        {
            for flow in flows.clone() {
                self.end(&flow, FlowOutcome::Cancelled);
            }
        }
    }

    fn end(&mut self, flow: &Flow, outcome: FlowOutcome) {
        self.emit(FlowEnded { flow: flow.number, outcome, timer: flow.timer() });
    }

    /// Does what the component says of a flow's present step.
    fn act(&mut self, flow: &Flow, action: Result<Action, Refusal>) {
        match action {
            Ok(Action::Done) => self.done(flow),
            Ok(Action::WaitUntil(until)) => {
                let (key, name, timer) = (flow.key(), name_of(flow), self.next_timer());
                self.emit(StepWaiting { key, name, timer, until });
            }
            Ok(Action::Refuse(reason)) => match self.facts(flow) {
                Some(facts) if facts.phase != Phase::Retriable && flow.compensated_for.is_none() => {
                    self.refused(flow, reason);
                }
                _ => {
                    self.park(
                        flow,
                        Refusal { code: "refusal_not_allowed".to_owned(), detail: reason.detail },
                    );
                }
            },
            Ok(Action::Command(command)) => self.attempt(flow, Sending::Command(command)),
            Ok(Action::Request(request)) => self.request(flow, request),
            Err(reason) => self.park(flow, reason),
        }
    }

    /// Sends what a step sends: at once if it is the first attempt or an operator's, else after a delay.
    fn attempt(&mut self, flow: &Flow, sending: Sending) {
        let Some(facts) = self.facts(flow) else {
            let detail = format!("the component describes no step `{}`", name_of(flow));
            return self.park(flow, Refusal { code: "unknown_step".to_owned(), detail });
        };
        let is_first = flow.attempt == flow.forgiven.max(1);
        // A step may request several effects under one attempt; the delay was before the first. One that was not answered
        // is not requested again at once.
        let is_unanswered = matches!(flow.answer, Some(EffectAnswer::Unanswered(_)));
        let is_due = self.due_flow.take() == Some(flow.number);
        let is_begun = is_first || is_due || flow.answer.is_some();
        if is_begun && (is_due || !is_unanswered) && self.round < MAX_ROUNDS {
            return self.start(flow, sending);
        }
        if flow.attempt.saturating_sub(flow.forgiven) > facts.retry.attempts {
            let last = flow.last_refusal.clone();
            let reason = last.unwrap_or_else(|| Refusal {
                code: "attempts_used_up".to_owned(),
                detail: format!("{} attempts", facts.retry.attempts),
            });
            return self.park(flow, reason);
        }
        let delay_ms = if is_unanswered && !is_due {
            facts.retry.first_delay_ms.into()
        } else if is_begun {
            0
        } else {
            self.delay_ms(flow, facts)
        };
        // No time is that far from the calendar's end; if one were, the attempt would come at once.
        let until = Timestamp::from_ms(self.now.as_ms().saturating_add(delay_ms)).unwrap_or(self.now);
        let (key, name, timer) = (flow.key(), name_of(flow), self.next_timer());
        let (command, request) = match sending {
            Sending::Command(command) => (Some(command), None),
            Sending::Effect(request) => (None, Some(request)),
        };
        self.emit(StepDeferred { key, name, timer, until, command, request });
    }

    /// Has an effect carried out, if the host offered it when the instance began.
    fn request(&mut self, flow: &Flow, request: EffectRequest) {
        if !self.instance.effects.contains(&request.effect) {
            let detail = format!(
                "the step requests the effect `{}`, which the host's manifest did not name when the instance began",
                request.effect
            );
            return self.park(flow, Refusal { code: "effect_not_offered".to_owned(), detail });
        }
        self.attempt(flow, Sending::Effect(request));
    }

    /// Returns true if a put-off request of an effect is asked for again. The first machine sent it as it had been.
    fn asks_again(&self) -> bool {
        self.instance.engine > 1
    }

    /// Asks the step again for the effect that it put off. Meanwhile its amount may have changed, and nothing outside judges
    /// a request that is out of date, as a decider judges a command.
    fn ask_again(&mut self, flow: &Flow) {
        (self.asked_flow, self.due_flow) = (Some(flow.number), Some(flow.number));
    }

    fn start(&mut self, flow: &Flow, sending: Sending) {
        let (key, name, correlation_id) = (flow.key(), name_of(flow), flow.correlation_id);
        match sending {
            Sending::Command(command) => self.emit(StepStarted { key, name, command, correlation_id }),
            Sending::Effect(request) => {
                // A stream has fewer events than effects can be counted.
                let number = self.instance.requested.saturating_add(1);
                self.emit(EffectRequested { key, name, number, request });
            }
        }
    }

    fn done(&mut self, flow: &Flow) {
        let key = flow.key();
        let is_last_undo = key.undo && key.step == 0;
        self.emit(StepDone { key, name: name_of(flow) });
        if is_last_undo {
            self.end_now(flow.number, FlowOutcome::Compensated);
        } else if let Some(reason) = flow.cancelled.clone() {
            self.emit(CompensationStarted { flow: flow.number, reason });
        }
    }

    fn refused(&mut self, flow: &Flow, reason: Refusal) {
        let is_retried = flow.compensated_for.is_some()
            || self.facts(flow).is_some_and(|facts| facts.phase == Phase::Retriable);
        self.emit(StepRefused { key: flow.key(), name: name_of(flow), reason: reason.clone() });
        if is_retried {
            return;
        }
        self.emit(CompensationStarted { flow: flow.number, reason });
        if flow.at == 0 {
            // No step before it needs compensation.
            self.end_now(flow.number, FlowOutcome::Compensated);
        }
    }

    fn park(&mut self, flow: &Flow, reason: Refusal) {
        self.emit(FlowParked { key: flow.key(), name: name_of(flow), reason });
    }

    fn end_now(&mut self, number: u32, outcome: FlowOutcome) {
        if let Some(flow) = self.instance.open_flow(number).cloned() {
            self.end(&flow, outcome);
        }
    }

    fn facts(&self, flow: &Flow) -> Option<StepFacts> {
        self.saga.step(&flow.step()?.step)
    }

    fn next_timer(&self) -> u64 {
        self.instance.timers.saturating_add(1)
    }

    /// Delay before an attempt: twice the one before it, up to the longest, less a jitter of up to a half. The jitter
    /// follows from instance, step and attempt, so that a replay has the same.
    fn delay_ms(&self, flow: &Flow, facts: StepFacts) -> u64 {
        let doublings = flow.attempt.saturating_sub(flow.forgiven).saturating_sub(2).min(31);
        let delay =
            (u64::from(facts.retry.first_delay_ms) << doublings).min(facts.retry.longest_delay_ms.into());
        let half = delay / 2;
        delay - half + jitter(&self.id, &flow.key()) % (half + 1)
    }
}

fn name_of(flow: &Flow) -> String {
    flow.step().map(|step| step.step.clone()).unwrap_or_default()
}

fn jitter(id: &str, key: &StepKey) -> u64 {
    let StepKey { flow, step, undo, attempt } = key;
    let digest = Sha256::digest(format!("{id}/{flow}/{step}/{undo}/{attempt}"));
    let mut head = [0; 8];
    head.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(head)
}
