//! State of a saga instance, folded from its own events.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::content::{Bytes, ChildCommand, Content, EffectAnswer, EffectRequest, Refusal, Sending};
use super::event::{
    CancelOrdered, EffectRequested, PendingTimer, PlannedStep, ResolutionContradicted, ResolveOrdered,
    SagaEvent, StepDeferred, StepWaiting,
};
use super::input::{Resolution, StepKey};

/// Version of the machine: raised when it decides or writes differently. The first event of an instance has it.
pub(crate) const ENGINE: u32 = 3;
/// Version of the state's format.
pub(crate) const STATE_VERSION: u32 = 3;
/// Number of resolved steps that are remembered, the newest ones: an answer to an older one is no contradiction any
/// more. Each is an operator's doing, so few instances have any.
const MAX_RESOLVED: usize = 100;

/// State of an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Instance {
    /// Version of the machine that decides it; 0 if it has not begun.
    pub engine: u32,
    /// Digest of the component that it runs on.
    pub component: String,
    /// Memory of the component.
    pub memory: Bytes,
    /// Version of the followed stream up to which its events are observed or wait.
    pub observed: u64,
    /// Number of flows so far.
    pub flows: u32,
    /// Number of timers so far.
    pub timers: u64,
    /// Names of the effects that it may request.
    pub effects: Vec<String>,
    /// Number of effects so far.
    pub requested: u64,
    /// Lanes with flows that have not ended, the running one first.
    pub lanes: BTreeMap<String, VecDeque<Flow>>,
    /// Events that wait because the component failed on the first of them.
    pub unobserved: VecDeque<Unobserved>,
    /// Timer that the resume of the saga fires, since something waits for that.
    pub held: Option<u64>,
    /// Steps whose outcome an operator said; an answer that comes later may contradict it.
    pub resolved: VecDeque<ResolvedStep>,
}

/// Step whose outcome an operator said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ResolvedStep {
    pub key: StepKey,
    pub name: String,
    pub outcome: Resolution,
    /// Number of the effect that was under way.
    pub effect: Option<u64>,
}

/// Event of the followed stream that is not observed yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unobserved {
    pub version: u64,
    pub event: Content,
    pub correlation_id: Uuid,
}

/// Flow that has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Flow {
    /// Number of the flow in its instance, from 1.
    pub number: u32,
    pub name: String,
    pub correlation_id: Uuid,
    pub steps: Vec<PlannedStep>,
    /// Place of the step that comes up, or that is undone next.
    pub at: u32,
    /// Refusal for which it is compensated; none while it runs.
    pub compensated_for: Option<Refusal>,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// Attempt behind which an operator's retry begins to count; 0 without one.
    pub forgiven: u32,
    /// Refusal of the attempt before.
    pub last_refusal: Option<Refusal>,
    /// Answer to the effect that the present attempt requested last.
    pub answer: Option<EffectAnswer>,
    /// Reason for which it is compensated as soon as the answer to its command is there: an operator cancelled it.
    pub cancelled: Option<Refusal>,
    pub doing: Doing,
}

/// Present activity of a flow: idle, waiting for an answer, a time or an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Doing {
    /// Nothing: its step is to be asked what to do.
    Nothing,
    /// The answer to a command.
    Command(ChildCommand),
    /// The outcome of an effect, by its number.
    Effect(u64, EffectRequest),
    /// A time, at which the step is asked again.
    Wait(PendingTimer),
    /// A time, at which this is sent.
    Deferred(PendingTimer, Sending),
    /// An operator.
    Parked(Refusal),
    /// The resume of the saga: its timer fired while that was paused. Then this is sent; without anything to send, the
    /// step is asked what to do.
    Held(Option<Sending>),
}

impl Flow {
    /// Key of its present step.
    pub(crate) fn key(&self) -> StepKey {
        StepKey {
            flow: self.number,
            step: self.at,
            undo: self.compensated_for.is_some(),
            attempt: self.attempt,
        }
    }

    /// Its present step; none if all are done.
    pub(crate) fn step(&self) -> Option<&PlannedStep> {
        self.steps.get(usize::try_from(self.at).ok()?)
    }

    /// Returns true if its step comes up now, unless the saga is paused.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.doing, Doing::Nothing | Doing::Held(_))
    }

    /// Returns true if its step is under way, so that it is not known whether it is done.
    pub(crate) fn is_under_way(&self) -> bool {
        matches!(self.doing, Doing::Command(_) | Doing::Effect(..))
    }

    /// Number of the effect whose outcome it waits for.
    pub(crate) fn effect(&self) -> Option<u64> {
        match self.doing {
            Doing::Effect(number, _) => Some(number),
            _ => None,
        }
    }

    /// Timer that it waits for.
    pub(crate) fn timer(&self) -> Option<PendingTimer> {
        match &self.doing {
            Doing::Wait(timer) | Doing::Deferred(timer, _) => Some(*timer),
            Doing::Nothing | Doing::Command(_) | Doing::Effect(..) | Doing::Parked(_) | Doing::Held(_) => {
                None
            }
        }
    }

    /// Begins with another step.
    fn turn_to(&mut self, step: u32) {
        (self.at, self.attempt, self.forgiven) = (step, 1, 0);
        (self.last_refusal, self.answer, self.doing) = (None, None, Doing::Nothing);
    }
}

impl Instance {
    pub(crate) fn has_begun(&self) -> bool {
        self.engine > 0
    }

    /// Running flow of each lane.
    pub(crate) fn running(&self) -> impl Iterator<Item = &Flow> {
        self.lanes.values().filter_map(VecDeque::front)
    }

    /// Running flow with a number.
    pub(crate) fn flow(&self, number: u32) -> Option<&Flow> {
        self.running().find(|flow| flow.number == number)
    }

    /// Flow with a number that has not ended, whether it runs or waits for its lane.
    pub(crate) fn open_flow(&self, number: u32) -> Option<&Flow> {
        self.lanes.values().flatten().find(|flow| flow.number == number)
    }

    fn flow_mut(&mut self, number: u32) -> Option<&mut Flow> {
        self.lanes.values_mut().filter_map(VecDeque::front_mut).find(|flow| flow.number == number)
    }

    /// Applies an event. Total: what happened cannot be refused.
    pub(crate) fn apply(&mut self, event: SagaEvent) {
        match event {
            SagaEvent::SagaStarted(event) => {
                (self.engine, self.component) = (event.engine, event.component);
                self.effects = event.effects;
            }
            SagaEvent::EventObserved(event) => {
                self.observed = self.observed.max(event.version);
                self.unobserved.retain(|waiting| waiting.version != event.version);
                if let Some(memory) = event.memory {
                    self.memory = memory;
                }
            }
            SagaEvent::ObservationFailed(event) => {
                // A failure at a retry finds it in its place.
                if event.version > self.observed {
                    self.wait(event.version, event.event, event.correlation_id);
                }
            }
            SagaEvent::ObservationQueued(event) => {
                self.wait(event.version, event.event, event.correlation_id);
            }
            SagaEvent::FlowAdded(event) => {
                self.flows = event.flow;
                self.lanes.entry(event.lane).or_default().push_back(Flow {
                    number: event.flow,
                    name: event.name,
                    correlation_id: event.correlation_id,
                    steps: event.steps,
                    at: 0,
                    compensated_for: None,
                    attempt: 1,
                    forgiven: 0,
                    last_refusal: None,
                    answer: None,
                    cancelled: None,
                    doing: Doing::Nothing,
                });
            }
            SagaEvent::SagaHeld(event) => {
                (self.held, self.timers) = (Some(event.timer), event.timer);
            }
            SagaEvent::SagaResumed(_) => self.held = None,
            SagaEvent::FlowEnded(event) => {
                for lane in self.lanes.values_mut() {
                    lane.retain(|flow| flow.number != event.flow);
                }
                self.lanes.retain(|_, lane| !lane.is_empty());
            }
            event => self.apply_to_flow(event),
        }
    }

    fn wait(&mut self, version: u64, event: Content, correlation_id: Uuid) {
        self.observed = self.observed.max(version);
        self.unobserved.push_back(Unobserved { version, event, correlation_id });
    }

    /// Applies an event of one flow.
    fn apply_to_flow(&mut self, event: SagaEvent) {
        if let SagaEvent::StepWaiting(StepWaiting { timer, .. })
        | SagaEvent::StepDeferred(StepDeferred { timer, .. }) = &event
        {
            self.timers = *timer;
        }
        match &event {
            SagaEvent::EffectRequested(EffectRequested { number, .. }) => self.requested = *number,
            SagaEvent::ResolveOrdered(ResolveOrdered { key, name, outcome, .. }) => {
                let effect = self.flow(key.flow).and_then(Flow::effect);
                let (key, name) = (key.clone(), name.clone());
                self.resolved.push_back(ResolvedStep { key, name, outcome: *outcome, effect });
                if self.resolved.len() > MAX_RESOLVED {
                    self.resolved.pop_front();
                }
            }
            SagaEvent::ResolutionContradicted(ResolutionContradicted { key, .. }) => {
                self.resolved.retain(|resolved| !resolved.key.is_same_step(key));
            }
            _ => {}
        }
        // By a retry, an effect without an answer is requested again. The first machine kept the missing answer.
        let asks_again = self.engine > 1 && matches!(event, SagaEvent::RetryOrdered(_));
        if let Some(flow) = event.flow().and_then(|number| self.flow_mut(number)) {
            flow.apply(event);
            let is_missing = matches!(flow.answer, Some(EffectAnswer::Unanswered(_)));
            flow.answer = flow.answer.take().filter(|_| !(asks_again && is_missing));
        }
    }
}

impl CancelOrdered {
    /// Reason for which the flow is compensated.
    pub(crate) fn reason(&self) -> Refusal {
        let detail = self.order.why.clone().unwrap_or_else(|| format!("cancelled by {}", self.order.by));
        Refusal { code: "cancelled".to_owned(), detail }
    }
}

impl Flow {
    fn apply(&mut self, event: SagaEvent) {
        match event {
            SagaEvent::StepStarted(event) => self.doing = Doing::Command(event.command),
            SagaEvent::EffectRequested(event) => self.doing = Doing::Effect(event.number, event.request),
            SagaEvent::EffectAnswered(event) => {
                (self.answer, self.doing) = (Some(event.answer), Doing::Nothing);
            }
            SagaEvent::StepWaiting(event) => {
                self.doing = Doing::Wait(PendingTimer { timer: event.timer, due: event.until });
            }
            SagaEvent::StepDeferred(event) => {
                let timer = PendingTimer { timer: event.timer, due: event.until };
                self.doing = match event.sending() {
                    Some(sending) => Doing::Deferred(timer, sending),
                    None => Doing::Wait(timer),
                };
            }
            SagaEvent::TimerHeld(_) => {
                let sending = match std::mem::replace(&mut self.doing, Doing::Nothing) {
                    Doing::Deferred(_, sending) => Some(sending),
                    _ => None,
                };
                self.doing = Doing::Held(sending);
            }
            SagaEvent::StepDone(event) => {
                // Compensation goes backwards; behind the first step it ends, which FlowEnded says.
                let step = event.key.step;
                self.turn_to(if event.key.undo { step.saturating_sub(1) } else { step.saturating_add(1) });
            }
            SagaEvent::StepRefused(event) => {
                self.attempt = self.attempt.saturating_add(1);
                (self.last_refusal, self.answer) = (Some(event.reason), None);
                self.doing = Doing::Nothing;
            }
            SagaEvent::CompensationStarted(event) => {
                self.turn_to(self.at.saturating_sub(1));
                (self.compensated_for, self.cancelled) = (Some(event.reason), None);
            }
            SagaEvent::FlowParked(event) => self.doing = Doing::Parked(event.reason),
            SagaEvent::RetryOrdered(_) => (self.forgiven, self.doing) = (self.attempt, Doing::Nothing),
            SagaEvent::CancelOrdered(event) => match self.doing {
                Doing::Command(_) | Doing::Effect(..) => self.cancelled = Some(event.reason()),
                _ => self.doing = Doing::Nothing,
            },
            // These change the instance.
            SagaEvent::SagaStarted(_)
            | SagaEvent::SagaHeld(_)
            | SagaEvent::SagaResumed(_)
            | SagaEvent::EventObserved(_)
            | SagaEvent::ObservationFailed(_)
            | SagaEvent::ObservationQueued(_)
            | SagaEvent::FlowAdded(_)
            | SagaEvent::FlowEnded(_)
            // Their consequences are events of their own.
            | SagaEvent::ResolveOrdered(_)
            | SagaEvent::ResolutionContradicted(_) => {}
        }
    }
}
