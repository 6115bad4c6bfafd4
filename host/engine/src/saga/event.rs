//! Events of a saga instance, as the log holds them.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::content::{Bytes, ChildCommand, Content, EffectAnswer, EffectRequest, Refusal, Sending};
use super::input::{Order, Resolution, StepAnswer, StepKey};
use clearfold_kernel::Timestamp;
use clearfold_sandbox::Message;

/// Defines the events: an enum whose variants have one struct each, with the type's name in the log.
macro_rules! events {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
            pub(crate) struct $name { $($(#[$field_doc])* pub $field: $type),* }

            impl From<$name> for SagaEvent {
                fn from(event: $name) -> Self {
                    Self::$name(event)
                }
            }
        )*

        /// Event of an instance.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub(crate) enum SagaEvent {
            $($(#[$doc])* $name($name)),*
        }

        impl SagaEvent {
            /// Types of all events in the log.
            pub(crate) const TYPES: &'static [&'static str] = &[$(stringify!($name),)* SagaAdvanced::TYPE];
            /// Schema version of all of them.
            pub(crate) const VERSION: u32 = 1;

            fn write(&self) -> Result<Message, serde_json::Error> {
                let (type_, payload) = match self {
                    $(Self::$name(event) => (stringify!($name), serde_json::to_vec(event)?)),*
                };
                Ok(Message { type_: type_.to_owned(), schema_version: Self::VERSION, payload })
            }

            /// Reads the events of a message; the error says what was wrong.
            pub(crate) fn read(message: &Message) -> Result<Vec<Self>, String> {
                let Message { type_, schema_version, payload } = message;
                if *schema_version != Self::VERSION {
                    let newest = Self::VERSION;
                    return Err(format!("`{type_}` has no schema version {schema_version}; the newest is {newest}"));
                }
                let read = match type_.as_str() {
                    SagaAdvanced::TYPE => serde_json::from_slice(payload).map(|SagaAdvanced { events }| events),
                    $(stringify!($name) => serde_json::from_slice(payload).map(|event| vec![Self::$name(event)]),)*
                    _ => return Err(format!("`{type_}` is no event of a saga")),
                };
                read.map_err(|error| format!("the payload is no `{type_}`: {error}"))
            }
        }
    };
}

events! {
    /// The instance began.
    SagaStarted {
        saga: String,
        /// Version of the machine that decides the instance.
        engine: u32,
        /// Digest of the component that it runs on.
        component: String,
        /// Names of the effects that it may request.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        effects: Vec<String>,
    }
    /// An event of the followed stream was observed.
    EventObserved {
        version: u64,
        #[serde(rename = "type")]
        kind: String,
        /// New memory; absent if it stays as it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        memory: Option<Bytes>,
    }
    /// The component could not say what follows from an event. The event waits until an operator has it tried again.
    ObservationFailed {
        version: u64,
        event: Content,
        correlation_id: Uuid,
        reason: Refusal,
    }
    /// An event came while an earlier one waits; it waits behind it.
    ObservationQueued {
        version: u64,
        event: Content,
        correlation_id: Uuid,
    }
    /// A flow was added to its lane.
    FlowAdded {
        /// Number of the flow in the instance, from 1.
        flow: u32,
        name: String,
        lane: String,
        steps: Vec<PlannedStep>,
        /// Correlation id of the command whose event asked for it.
        correlation_id: Uuid,
    }
    /// A step, or its compensation, began: its command is decided next.
    StepStarted {
        key: StepKey,
        name: String,
        command: ChildCommand,
        /// Correlation id of the command whose event asked for the flow.
        correlation_id: Uuid,
    }
    /// A step requested an effect, which is carried out next.
    EffectRequested {
        key: StepKey,
        name: String,
        /// Number of the effect in the instance, from 1.
        number: u64,
        request: EffectRequest,
    }
    /// The answer to an effect came; the step is asked again.
    EffectAnswered {
        key: StepKey,
        name: String,
        number: u64,
        answer: EffectAnswer,
    }
    /// A step waits until a time; then it is asked again.
    StepWaiting {
        key: StepKey,
        name: String,
        /// Number of the timer in the instance, from 1.
        timer: u64,
        until: Timestamp,
    }
    /// The next attempt of a step was put off until a time: after a refusal, or because the run became too long.
    StepDeferred {
        key: StepKey,
        name: String,
        timer: u64,
        until: Timestamp,
        /// Command that is sent then; absent if the attempt requests an effect.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        command: Option<ChildCommand>,
        /// Effect that is requested then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<EffectRequest>,
    }
    /// A step is done, or its compensation is.
    StepDone {
        key: StepKey,
        name: String,
    }
    /// A step, or its compensation, was refused.
    StepRefused {
        key: StepKey,
        name: String,
        reason: Refusal,
    }
    /// The done steps of a flow are compensated from now on, the last one first.
    CompensationStarted {
        flow: u32,
        reason: Refusal,
    }
    /// A flow ended.
    FlowEnded {
        flow: u32,
        outcome: FlowOutcome,
        /// Timer that its step waited for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timer: Option<PendingTimer>,
    }
    /// A flow stands still until an operator acts: a step failed too often, or the component failed.
    FlowParked {
        key: StepKey,
        name: String,
        reason: Refusal,
    }
    /// An operator had a parked flow, or a failed observation, tried again.
    RetryOrdered {
        /// Absent for a failed observation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        flow: Option<u32>,
        #[serde(flatten)]
        order: Order,
    }
    /// An operator had a flow cancelled. What it had done is compensated next; if a command of it is under way, after
    /// the answer.
    CancelOrdered {
        flow: u32,
        #[serde(flatten)]
        order: Order,
        /// Timer that its step waited for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timer: Option<PendingTimer>,
    }
    /// An operator said how a step, or its compensation, ended.
    ResolveOrdered {
        key: StepKey,
        name: String,
        outcome: Resolution,
        #[serde(flatten)]
        order: Order,
        /// Timer that the step waited for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timer: Option<PendingTimer>,
    }
    /// A timer fired while the saga was paused. Its step goes on at the resume.
    TimerHeld {
        key: StepKey,
        name: String,
        timer: u64,
    }
    /// Something waits until the saga is resumed.
    SagaHeld {
        /// Number of the timer that the resume fires.
        timer: u64,
    }
    /// The saga was resumed: what waited for that goes on.
    SagaResumed {
        timer: u64,
    }
    /// The answer to a step's command came, and says otherwise than the operator did.
    ResolutionContradicted {
        key: StepKey,
        name: String,
        /// Outcome by the operator's word.
        outcome: Resolution,
        answer: StepAnswer,
    }
}

/// Several events of one input, in their order, as one event of the log.
#[derive(Serialize, Deserialize)]
struct SagaAdvanced {
    events: Vec<SagaEvent>,
}

impl SagaAdvanced {
    const TYPE: &str = "SagaAdvanced";
    /// First machine that writes it. Those before wrote each event by itself, and their instances go on so.
    const SINCE: u32 = 3;
}

impl StepDeferred {
    /// Message that the attempt sends at its time; none in an event that no host has written.
    pub(crate) fn sending(&self) -> Option<Sending> {
        let command = self.command.clone().map(Sending::Command);
        command.or_else(|| self.request.clone().map(Sending::Effect))
    }
}

/// Types of the events by which the failure of a component is recorded.
pub(crate) const PARKING: [&str; 2] = ["FlowParked", "ObservationFailed"];

impl SagaEvent {
    /// Types of the events that need an operator.
    pub(crate) const ALARMS: &'static [&'static str] =
        &["FlowParked", "ObservationFailed", "ResolutionContradicted"];

    /// Writes the events of one input of an instance with this machine. Those that an operator ordered or must see stand alone,
    /// so that they are found by their type; the others are written together, since an event of the log costs more than
    /// its content.
    pub(crate) fn write_all(events: &[Self], engine: u32) -> Result<Vec<Message>, serde_json::Error> {
        let is_order = |event: &Self| {
            matches!(event, Self::RetryOrdered(_) | Self::CancelOrdered(_) | Self::ResolveOrdered(_))
        };
        let may_group = engine >= SagaAdvanced::SINCE && !events.iter().any(is_order);
        let is_together = |one: &Self, next: &Self| may_group && one.is_progress() && next.is_progress();
        events.chunk_by(is_together).map(Self::write_together).collect()
    }

    fn write_together(events: &[Self]) -> Result<Message, serde_json::Error> {
        if let [event] = events {
            return event.write();
        }
        let payload = serde_json::to_vec(&SagaAdvanced { events: events.to_vec() })?;
        Ok(Message { type_: SagaAdvanced::TYPE.to_owned(), schema_version: Self::VERSION, payload })
    }

    /// Returns true for the course of flows and steps, as it goes by itself.
    fn is_progress(&self) -> bool {
        match self {
            Self::SagaStarted(_)
            | Self::EventObserved(_)
            | Self::FlowAdded(_)
            | Self::StepStarted(_)
            | Self::EffectRequested(_)
            | Self::EffectAnswered(_)
            | Self::StepWaiting(_)
            | Self::StepDeferred(_)
            | Self::StepDone(_)
            | Self::StepRefused(_)
            | Self::CompensationStarted(_)
            | Self::FlowEnded(_) => true,
            Self::ObservationFailed(_)
            | Self::ObservationQueued(_)
            | Self::FlowParked(_)
            | Self::RetryOrdered(_)
            | Self::CancelOrdered(_)
            | Self::ResolveOrdered(_)
            | Self::TimerHeld(_)
            | Self::SagaHeld(_)
            | Self::SagaResumed(_)
            | Self::ResolutionContradicted(_) => false,
        }
    }

    /// Number of the flow that it is about.
    pub(crate) fn flow(&self) -> Option<u32> {
        match self {
            Self::StepStarted(StepStarted { key, .. })
            | Self::EffectRequested(EffectRequested { key, .. })
            | Self::EffectAnswered(EffectAnswered { key, .. })
            | Self::StepWaiting(StepWaiting { key, .. })
            | Self::StepDeferred(StepDeferred { key, .. })
            | Self::StepDone(StepDone { key, .. })
            | Self::StepRefused(StepRefused { key, .. })
            | Self::FlowParked(FlowParked { key, .. })
            | Self::ResolveOrdered(ResolveOrdered { key, .. })
            | Self::TimerHeld(TimerHeld { key, .. })
            | Self::ResolutionContradicted(ResolutionContradicted { key, .. }) => Some(key.flow),
            Self::FlowAdded(FlowAdded { flow, .. })
            | Self::CompensationStarted(CompensationStarted { flow, .. })
            | Self::CancelOrdered(CancelOrdered { flow, .. })
            | Self::FlowEnded(FlowEnded { flow, .. }) => Some(*flow),
            Self::RetryOrdered(RetryOrdered { flow, .. }) => *flow,
            Self::SagaStarted(_)
            | Self::SagaHeld(_)
            | Self::SagaResumed(_)
            | Self::EventObserved(_)
            | Self::ObservationFailed(_)
            | Self::ObservationQueued(_) => None,
        }
    }
}

/// The same message without the component on which an instance began: two versions of a saga that do the same differ in
/// nothing else.
pub(crate) fn without_version(message: &Message) -> Message {
    let Ok(mut events) = SagaEvent::read(message) else { return message.clone() };
    let Some(SagaEvent::SagaStarted(started)) = events.first_mut() else { return message.clone() };
    started.component.clear();
    SagaEvent::write_together(&events).unwrap_or_else(|_| message.clone())
}

/// Step of a flow with its argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlannedStep {
    pub step: String,
    pub argument: Bytes,
}

/// End of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FlowOutcome {
    /// All its steps are done.
    Done,
    /// Ended by compensation of its done steps.
    Compensated,
    /// It had done nothing, and was not wanted any more.
    Cancelled,
}

/// Time at which the timers of held instances are due: it never comes, so that only a resume fires them.
pub(crate) fn never() -> Timestamp {
    Timestamp::default().after_s(u64::MAX)
}

/// Timer of an instance that has not fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PendingTimer {
    /// Number of the timer in the instance, from 1.
    pub timer: u64,
    pub due: Timestamp,
}
