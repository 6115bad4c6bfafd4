//! Instance as operators see it, folded from its events: every flow with its steps, every step with its attempts, and
//! what is waited for.

use clearfold_kernel::Timestamp;
use clearfold_store::StoredEvent;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::content::{Bytes, ChildCommand, EffectAnswer, EffectRequest, Refusal};
use super::event::{FlowAdded, FlowOutcome, SagaEvent};
use super::input::{Order, Resolution, StepAnswer, StepKey};
use super::instance::{Doing, Flow, Instance};
use super::{follow, recorded};

/// Instance of a saga.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceView {
    /// Stream of the instance.
    pub instance: String,
    pub saga: String,
    /// Id of the followed stream without its aggregate.
    pub id: String,
    pub account: String,
    pub state: InstanceState,
    /// Digest of the component on which it began.
    pub component: String,
    pub began_at: String,
    pub updated_at: String,
    /// Number of its events.
    pub event_count: u64,
    /// Version of the followed stream up to which its events are observed, or wait.
    pub observed_version: u64,
    /// True if something of it waits until the saga is resumed.
    pub waits_for_resume: bool,
    /// Events of the followed stream that wait: for the resume, or because the component failed on the first.
    pub waiting_events: Vec<WaitingEventView>,
    pub flows: Vec<FlowView>,
    /// Orders of operators.
    pub orders: Vec<OrderView>,
    /// Answers that say otherwise than an operator did.
    pub contradictions: Vec<ContradictionView>,
}

/// State of an instance, or of a flow: what it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceState {
    /// Every flow has ended, and no event waits.
    Ended,
    /// The answer to a command, or its turn in the lane.
    Running,
    /// A time.
    Waiting,
    /// It undoes what it had done.
    Compensating,
    /// An operator.
    Parked,
}

/// Event of the followed stream that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingEventView {
    pub version: u64,
    #[serde(rename = "type")]
    pub kind: String,
    /// Reason why the component could not observe it.
    pub failure: Option<RefusalView>,
}

/// Flow of an instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FlowView {
    pub flow: u32,
    pub name: String,
    pub lane: String,
    pub state: InstanceState,
    /// Description of what it waits for; none if it has ended.
    pub waits_for: Option<String>,
    /// Outcome in a word; none if it has not ended.
    pub outcome: Option<String>,
    /// Refusal for which it is compensated.
    pub compensated_for: Option<RefusalView>,
    pub correlation_id: String,
    pub added_at: String,
    pub ended_at: Option<String>,
    pub steps: Vec<StepView>,
}

/// Step of a flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepView {
    /// Place in the flow, from 0.
    pub step: u32,
    pub name: String,
    pub argument: Value,
    pub attempts: Vec<AttemptView>,
}

/// Attempt at a step, or at its compensation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttemptView {
    pub attempt: u32,
    pub is_compensation: bool,
    /// Time until which it waits or waited.
    pub waited_until: Option<String>,
    pub started_at: Option<String>,
    /// Command that it sent; none if there was nothing to send.
    pub command: Option<CommandView>,
    /// Effect that it requested last.
    pub effect: Option<EffectView>,
    pub ended_at: Option<String>,
    /// `done`, `refused` or `parked`; none if it has not ended.
    pub outcome: Option<String>,
    pub refusal: Option<RefusalView>,
    /// Name of the operator who said how it ended.
    pub resolved_by: Option<String>,
}

/// Command of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommandView {
    pub aggregate: String,
    pub id: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub schema_version: u32,
    pub payload: Value,
}

/// Effect that a step requested.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EffectView {
    /// Number in the instance, from 1; none while its time has not come.
    pub number: Option<u64>,
    /// Name in the host's manifest.
    pub effect: String,
    pub request: Value,
    /// Answer of the other side, or of the stand-in.
    pub answer: Option<Value>,
    /// Reason why no answer came, or why the stand-in answered.
    pub unanswered: Option<String>,
}

/// Reason why something was refused or failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalView {
    pub code: String,
    pub detail: String,
}

/// Order of an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderView {
    pub at: String,
    /// `retry`, `cancel` or `resolve`.
    pub order: String,
    /// None for a failed observation.
    pub flow: Option<u32>,
    /// Outcome, for the order `resolve`.
    pub outcome: Option<Resolution>,
    pub by: String,
    pub why: Option<String>,
}

/// Answer that says otherwise than an operator did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContradictionView {
    pub at: String,
    pub flow: u32,
    pub step: u32,
    pub name: String,
    /// Outcome by the operator's word.
    pub resolved_as: Resolution,
    /// `accepted`, `refused` or `failed`.
    pub answer: String,
    pub refusal: Option<RefusalView>,
}

impl InstanceView {
    /// Folds the events of an instance. The error says which cannot be read; none if there is no event.
    pub(crate) fn fold(stream: &str, account: &str, events: &[StoredEvent]) -> Result<Option<Self>, String> {
        let (Some(first), Some(last)) = (events.first(), events.last()) else { return Ok(None) };
        let (aggregate, id) = follow::split(stream).unwrap_or((stream, ""));
        let mut instance = Instance::default();
        let mut view = Self {
            instance: stream.to_owned(),
            saga: aggregate.strip_prefix(super::PREFIX).unwrap_or(aggregate).to_owned(),
            id: id.to_owned(),
            account: account.to_owned(),
            state: InstanceState::Ended,
            component: String::new(),
            began_at: first.recorded_at.to_string(),
            updated_at: last.recorded_at.to_string(),
            event_count: events.len() as u64,
            observed_version: 0,
            waits_for_resume: false,
            waiting_events: Vec::new(),
            flows: Vec::new(),
            orders: Vec::new(),
            contradictions: Vec::new(),
        };
        for stored in events {
            for event in recorded::read(stored)? {
                view.add(&event, stored.recorded_at);
                instance.apply(event);
            }
        }
        view.finish(&instance);
        Ok(Some(view))
    }

    /// Adds what the instance holds now.
    fn finish(&mut self, instance: &Instance) {
        self.component.clone_from(&instance.component);
        (self.observed_version, self.waits_for_resume) = (instance.observed, instance.held.is_some());
        let is_waiting = |event: &WaitingEventView| {
            instance.unobserved.iter().any(|waiting| waiting.version == event.version)
        };
        self.waiting_events.retain(is_waiting);
        for lane in instance.lanes.values() {
            for (place, flow) in lane.iter().enumerate() {
                let Some(view) = self.flow(flow.number) else { continue };
                (view.state, view.waits_for) = match place {
                    0 => (state_of(flow), Some(waits_for(flow))),
                    _ => (InstanceState::Running, Some("the flows before it in its lane".to_owned())),
                };
            }
        }
        let flows = self.flows.iter().map(|flow| flow.state).max().unwrap_or(InstanceState::Ended);
        let is_parked = self.waiting_events.iter().any(|event| event.failure.is_some());
        self.state = match (is_parked, self.waiting_events.is_empty()) {
            (true, _) => InstanceState::Parked,
            (false, false) => flows.max(InstanceState::Running),
            (false, true) => flows,
        };
    }

    fn add(&mut self, event: &SagaEvent, at: Timestamp) {
        match event {
            SagaEvent::ObservationFailed(event) => {
                self.wait(event.version, &event.event.kind, Some(&event.reason));
            }
            SagaEvent::ObservationQueued(event) => self.wait(event.version, &event.event.kind, None),
            SagaEvent::FlowAdded(event) => self.flows.push(FlowView::new(event, at)),
            SagaEvent::CompensationStarted(event) => {
                if let Some(flow) = self.flow(event.flow) {
                    flow.compensated_for = Some((&event.reason).into());
                }
            }
            SagaEvent::FlowEnded(event) => {
                if let Some(flow) = self.flow(event.flow) {
                    flow.state = InstanceState::Ended;
                    flow.ended_at = Some(at.to_string());
                    flow.outcome = Some(word(event.outcome).to_owned());
                }
            }
            SagaEvent::RetryOrdered(event) => self.order(at, "retry", event.flow, None, &event.order),
            SagaEvent::CancelOrdered(event) => {
                self.order(at, "cancel", Some(event.flow), None, &event.order);
            }
            SagaEvent::ResolveOrdered(event) => {
                self.order(at, "resolve", Some(event.key.flow), Some(event.outcome), &event.order);
                if let Some(attempt) = self.attempt(&event.key) {
                    attempt.resolved_by = Some(event.order.by.clone());
                }
            }
            SagaEvent::ResolutionContradicted(event) => {
                let (answer, refusal) = match &event.answer {
                    StepAnswer::Accepted => ("accepted", None),
                    StepAnswer::Refused(refusal) => ("refused", Some(refusal)),
                    StepAnswer::Failed(refusal) => ("failed", Some(refusal)),
                };
                self.contradictions.push(ContradictionView {
                    at: at.to_string(),
                    flow: event.key.flow,
                    step: event.key.step,
                    name: event.name.clone(),
                    resolved_as: event.outcome,
                    answer: answer.to_owned(),
                    refusal: refusal.map(Into::into),
                });
            }
            SagaEvent::SagaStarted(_) | SagaEvent::EventObserved(_) => {}
            event => self.add_to_attempt(event, at),
        }
    }

    fn add_to_attempt(&mut self, event: &SagaEvent, at: Timestamp) {
        let at = at.to_string();
        match event {
            SagaEvent::StepStarted(event) => {
                if let Some(attempt) = self.attempt(&event.key) {
                    (attempt.started_at, attempt.command) = (Some(at), Some((&event.command).into()));
                }
            }
            SagaEvent::StepWaiting(event) => {
                if let Some(attempt) = self.attempt(&event.key) {
                    attempt.waited_until = Some(event.until.to_string());
                }
            }
            SagaEvent::StepDeferred(event) => {
                if let Some(attempt) = self.attempt(&event.key) {
                    attempt.waited_until = Some(event.until.to_string());
                    attempt.command = event.command.as_ref().map(Into::into);
                    attempt.effect = event.request.as_ref().map(|request| EffectView::new(None, request));
                }
            }
            SagaEvent::EffectRequested(event) => {
                if let Some(attempt) = self.attempt(&event.key) {
                    attempt.started_at.get_or_insert(at);
                    attempt.effect = Some(EffectView::new(Some(event.number), &event.request));
                }
            }
            SagaEvent::EffectAnswered(event) => {
                let effect = self.attempt(&event.key).and_then(|attempt| attempt.effect.as_mut());
                if let Some(effect) = effect {
                    effect.take_in(&event.answer);
                }
            }
            SagaEvent::StepDone(event) => {
                if let Some(attempt) = self.attempt(&event.key) {
                    attempt.end("done", at, None);
                }
            }
            SagaEvent::StepRefused(event) => {
                if let Some(attempt) = self.attempt(&event.key) {
                    attempt.end("refused", at, Some(&event.reason));
                }
            }
            SagaEvent::FlowParked(event) => {
                if let Some(attempt) = self.attempt(&event.key) {
                    attempt.end("parked", at, Some(&event.reason));
                }
            }
            _ => {}
        }
    }

    fn wait(&mut self, version: u64, kind: &str, failure: Option<&Refusal>) {
        self.waiting_events.retain(|waiting| waiting.version != version);
        let failure = failure.map(Into::into);
        self.waiting_events.push(WaitingEventView { version, kind: kind.to_owned(), failure });
        self.waiting_events.sort_by_key(|waiting| waiting.version);
    }

    fn order(
        &mut self,
        at: Timestamp,
        name: &str,
        flow: Option<u32>,
        outcome: Option<Resolution>,
        order: &Order,
    ) {
        let (at, order_, by, why) = (at.to_string(), name.to_owned(), order.by.clone(), order.why.clone());
        self.orders.push(OrderView { at, order: order_, flow, outcome, by, why });
    }

    fn flow(&mut self, number: u32) -> Option<&mut FlowView> {
        self.flows.iter_mut().find(|flow| flow.flow == number)
    }

    /// Finds an attempt, or adds it.
    fn attempt(&mut self, key: &StepKey) -> Option<&mut AttemptView> {
        let step = self.flow(key.flow)?.steps.iter_mut().find(|step| step.step == key.step)?;
        let is_it =
            |attempt: &AttemptView| (attempt.attempt, attempt.is_compensation) == (key.attempt, key.undo);
        let place = step.attempts.iter().position(is_it).unwrap_or_else(|| {
            step.attempts.push(AttemptView::new(key));
            step.attempts.len() - 1
        });
        step.attempts.get_mut(place)
    }
}

impl FlowView {
    fn new(event: &FlowAdded, at: Timestamp) -> Self {
        let steps = (0..).zip(&event.steps).map(|(step, planned)| StepView {
            step,
            name: planned.step.clone(),
            argument: readable(&planned.argument),
            attempts: Vec::new(),
        });
        Self {
            flow: event.flow,
            name: event.name.clone(),
            lane: event.lane.clone(),
            state: InstanceState::Running,
            waits_for: None,
            outcome: None,
            compensated_for: None,
            correlation_id: event.correlation_id.to_string(),
            added_at: at.to_string(),
            ended_at: None,
            steps: steps.collect(),
        }
    }
}

impl AttemptView {
    fn new(key: &StepKey) -> Self {
        Self {
            attempt: key.attempt,
            is_compensation: key.undo,
            waited_until: None,
            started_at: None,
            command: None,
            effect: None,
            ended_at: None,
            outcome: None,
            refusal: None,
            resolved_by: None,
        }
    }

    fn end(&mut self, outcome: &str, at: String, refusal: Option<&Refusal>) {
        (self.outcome, self.ended_at) = (Some(outcome.to_owned()), Some(at));
        if refusal.is_some() {
            self.refusal = refusal.map(Into::into);
        }
    }
}

impl EffectView {
    fn new(number: Option<u64>, request: &EffectRequest) -> Self {
        let (effect, request) = (request.effect.clone(), readable(&request.request));
        Self { number, effect, request, answer: None, unanswered: None }
    }

    fn take_in(&mut self, answer: &EffectAnswer) {
        match answer {
            EffectAnswer::Answered(answer) => self.answer = Some(readable(answer)),
            EffectAnswer::StoodIn { answer, why } => {
                (self.answer, self.unanswered) = (Some(readable(answer)), Some(why.clone()));
            }
            EffectAnswer::Unanswered(why) => self.unanswered = Some(why.clone()),
        }
    }
}

/// Returns the state of a flow that runs.
fn state_of(flow: &Flow) -> InstanceState {
    match flow.doing {
        Doing::Parked(_) => InstanceState::Parked,
        _ if flow.compensated_for.is_some() => InstanceState::Compensating,
        Doing::Wait(_) | Doing::Deferred(..) | Doing::Held(_) => InstanceState::Waiting,
        Doing::Nothing | Doing::Command(_) | Doing::Effect(..) => InstanceState::Running,
    }
}

fn waits_for(flow: &Flow) -> String {
    let step = flow.step().map_or("", |step| step.step.as_str());
    match &flow.doing {
        Doing::Nothing => format!("step `{step}` to begin"),
        Doing::Command(command) => format!("the answer to {} of step `{step}`", command.message.kind),
        Doing::Effect(number, request) => {
            format!("the outcome of the effect `{}`, number {number}, of step `{step}`", request.effect)
        }
        Doing::Wait(timer) => format!("{}, the time of step `{step}`", timer.due),
        Doing::Deferred(timer, _) => format!("{}, attempt {} at step `{step}`", timer.due, flow.attempt),
        Doing::Held(_) => format!("the resume of the saga, for step `{step}`"),
        Doing::Parked(reason) => format!("an operator: step `{step}`: {} ({})", reason.code, reason.detail),
    }
}

fn word(outcome: FlowOutcome) -> &'static str {
    match outcome {
        FlowOutcome::Done => "done",
        FlowOutcome::Compensated => "compensated",
        FlowOutcome::Cancelled => "cancelled",
    }
}

/// Returns bytes as JSON, or in hexadecimal if they are no JSON; none as null.
fn readable(bytes: &Bytes) -> Value {
    if bytes.0.is_empty() {
        return Value::Null;
    }
    serde_json::from_slice(&bytes.0).unwrap_or_else(|_| Value::String(hex::encode(&bytes.0)))
}

impl From<&Refusal> for RefusalView {
    fn from(Refusal { code, detail }: &Refusal) -> Self {
        Self { code: code.clone(), detail: detail.clone() }
    }
}

impl From<&ChildCommand> for CommandView {
    fn from(command: &ChildCommand) -> Self {
        Self {
            aggregate: command.aggregate.clone(),
            id: command.id.clone(),
            kind: command.message.kind.clone(),
            schema_version: command.message.schema_version,
            payload: readable(&command.message.payload),
        }
    }
}
