//! What the machine asks of a saga's component, in the machine's own terms.

use std::sync::Arc;

use clearfold_base::digest::Digest;
use clearfold_kernel::Timestamp;
use clearfold_sandbox::{ComponentId, Fault};

use super::content::{Bytes, ChildCommand, Content, EffectAnswer, EffectRequest, Refusal};
use super::event::PlannedStep;

/// Component of a saga.
pub(crate) trait SagaLogic: Send + Sync {
    fn id(&self) -> &ComponentId;
    /// Name of the saga.
    fn name(&self) -> &str;
    /// Aggregate whose streams it follows.
    fn follows(&self) -> &str;
    /// Returns true if an event of this type starts an instance.
    fn starts_on(&self, kind: &str) -> bool;
    /// Returns true if an instance observes events of this type.
    fn observes(&self, kind: &str) -> bool;
    fn step(&self, name: &str) -> Option<StepFacts>;
    /// Names of the effects that its steps may request.
    fn effects(&self) -> &[String];
    /// Says what follows from each event.
    fn observe(&self, questions: &[&Observation]) -> Result<Vec<Result<Observed, String>>, Fault>;
    /// Says what each step does.
    fn run(&self, questions: &[&StepCall]) -> Result<Vec<Result<Action, String>>, Fault>;
    /// Says what undoes each step.
    fn compensate(&self, questions: &[&StepCall]) -> Result<Vec<Result<Action, String>>, Fault>;
}

/// Versions of a saga that are not in force, for the instances that began on them.
pub(crate) trait SagaVersions: Send + Sync {
    /// Returns the version with a digest; the error says why there is none. Blocks while it is loaded.
    fn version(&self, digest: Digest) -> Result<Arc<dyn SagaLogic>, String>;
}

/// Facts about a step, from the component's description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StepFacts {
    pub phase: Phase,
    pub retry: Retry,
}

/// Phase of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Compensatable,
    Pivot,
    Retriable,
}

/// Repetition of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retry {
    pub first_delay_ms: u32,
    pub longest_delay_ms: u32,
    /// Number of attempts after which the flow is parked.
    pub attempts: u32,
}

/// Instance as the component is asked about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subject {
    /// Id of the followed stream without the aggregate's name.
    pub id: String,
    pub routing_key: String,
    pub memory: Bytes,
    pub now: Timestamp,
    /// Names of the effects that the instance may request.
    pub effects: Vec<String>,
}

/// Event of the followed stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Observation {
    pub subject: Subject,
    pub event: Content,
}

/// Step that comes up, to be done or to be undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StepCall {
    pub subject: Subject,
    /// Name of the flow.
    pub flow: String,
    pub step: PlannedStep,
    pub attempt: u32,
    /// Refusal for which the flow is compensated.
    pub refusal: Option<Refusal>,
    /// Refusal of the attempt before.
    pub last_refusal: Option<Refusal>,
    /// Answer to the effect that this attempt requested last.
    pub answer: Option<EffectAnswer>,
}

/// Answer to an observation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Observed {
    /// New memory; none if it stays as it is.
    pub memory: Option<Bytes>,
    /// Lanes whose flows end, if all they do is wait until a time.
    pub cancel: Vec<String>,
    pub flows: Vec<NewFlow>,
}

/// Flow to add at the end of its lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewFlow {
    pub name: String,
    pub lane: String,
    /// At least one.
    pub steps: Vec<PlannedStep>,
}

/// Action of a step, or of its compensation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Command(ChildCommand),
    /// Wait until this time, then ask again under the same attempt.
    WaitUntil(Timestamp),
    /// Have this carried out, then ask again under the same attempt, with the answer.
    Request(EffectRequest),
    Done,
    /// Refuse the step, as if its command had been refused.
    Refuse(Refusal),
}
