//! Saga trait, the form of a workflow: what follows from each event of a stream, and what each step does.
//!
//! A saga is a pure function of its arguments, like a decider. The host owns order, attempts, delays, compensation
//! and timers.

use crate::{Encoded, Message, Rejection, Timestamp};

/// Logic of one kind of workflow. An instance follows one stream.
pub trait Saga {
    /// Name of the saga; the stream ids of its instances begin with `saga-{NAME}-`.
    const NAME: &'static str;
    /// Aggregate whose streams it follows.
    const FOLLOWS: &'static str;
    /// Event types that start an instance.
    const STARTS_ON: &'static [&'static str];
    /// Steps that its flows consist of.
    const STEPS: &'static [Step];
    /// Effects that its steps may request.
    const EFFECTS: &'static [&'static str] = &[];

    /// Events of the followed streams. It observes all of them.
    type Event: Message;

    /// Returns what follows from an event, or the reason why that cannot be said.
    fn observe(subject: &Subject, event: &Self::Event) -> Result<Observed, String>;

    /// Returns what a step does, or the reason why that cannot be said.
    fn run(call: &StepCall) -> Result<Action, String>;

    /// Returns what undoes a step. It must bear that the step never had an effect, and that it is undone already.
    fn compensate(call: &StepCall) -> Result<Action, String>;
}

/// Phase of a step. In a flow the phases come in this order, with at most one pivot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Undone if a later step is refused.
    Compensatable,
    /// Last step that may be refused.
    Pivot,
    /// Repeated until it is accepted.
    Retriable,
}

/// Repetition of a step: each delay is twice the one before it, up to the longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Delay before the second attempt, in milliseconds.
    pub first_delay_ms: u32,
    /// Longest delay, in milliseconds.
    pub longest_delay_ms: u32,
    /// Number of attempts after which the flow is parked for an operator.
    pub attempts: u32,
}

/// Step that flows may consist of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Unique name.
    pub name: &'static str,
    /// Phase of the step.
    pub phase: Phase,
    /// Repetition of a retriable step and of any step's compensation.
    pub retry: Retry,
}

/// Instance as the saga is asked about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Id of the followed stream without the aggregate's name.
    pub id: String,
    /// Account whose partition this is.
    pub routing_key: String,
    /// Bytes kept from one observation to the next; empty before the first.
    pub memory: Vec<u8>,
    /// Time of the call, by the host's clock.
    pub now: Timestamp,
    /// Those of the saga's effects that the host's manifest named when the instance began.
    pub effects: Vec<String>,
}

/// Step of a flow with its argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedStep {
    /// Name of one of the saga's steps.
    pub step: &'static str,
    /// Bytes that come back when the step comes up.
    pub argument: Vec<u8>,
}

/// Steps that follow each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// Name for people.
    pub name: &'static str,
    /// Lane in which it waits its turn.
    pub lane: std::borrow::Cow<'static, str>,
    /// At least one.
    pub steps: Vec<PlannedStep>,
}

/// Answer to an observation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// New memory; none if it stays as it is.
    pub memory: Option<Vec<u8>>,
    /// Lanes whose flows end, if all they do is wait until a time.
    pub cancel: Vec<&'static str>,
    /// Flows to add, each at the end of its lane.
    pub flows: Vec<Flow>,
}

/// Step that comes up, to be done or to be compensated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepCall {
    /// Instance.
    pub subject: Subject,
    /// Name of the flow.
    pub flow: String,
    /// Name of the step.
    pub step: String,
    /// Its argument.
    pub argument: Vec<u8>,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// Refusal for which the flow is compensated; none while it runs.
    pub refusal: Option<Rejection>,
    /// Refusal of the attempt before; none for the first.
    pub last_refusal: Option<Rejection>,
    /// Answer to the effect that this attempt requested last; none if it requested none.
    pub answer: Option<EffectAnswer>,
}

/// Answer to the request of an effect. A definite refusal is none: it is the refusal of the attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EffectAnswer {
    /// Answer of the other side, or of the configured stand-in.
    Answered(Vec<u8>),
    /// Reason why no answer came in time, or why it is not known whether the request was carried out.
    Unanswered(String),
}

/// Action of a step, or of its compensation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send a command to a stream of the same account.
    Command {
        /// Kind of stream.
        aggregate: &'static str,
        /// Id of the stream within that kind.
        id: String,
        /// True if it reports what was seen on chain. The host sends it as the chain reader does.
        seen_on_chain: bool,
        /// The command.
        message: Encoded,
    },
    /// Wait until this time, then ask again under the same attempt.
    WaitUntil(Timestamp),
    /// Have an effect carried out, then ask again under the same attempt, with the answer.
    Request {
        /// One of the subject's effects.
        effect: &'static str,
        /// JSON document that the effect defines.
        request: Vec<u8>,
    },
    /// Completes the step without a command.
    Done,
    /// Refuse the step, as if its command had been refused.
    Refuse(Rejection),
}

/// Returns what follows from an encoded event.
pub fn observe_message<S: Saga>(subject: &Subject, event: &Encoded) -> Result<Observed, String> {
    let event = S::Event::decode(&event.kind, event.schema_version, &event.payload);
    S::observe(subject, &event.map_err(|error| error.to_string())?)
}
