//! Events of an instance, as far as a list of instances needs them. The host's engine defines them whole.

use std::collections::BTreeMap;

use clearfold_kernel::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Event of an instance. Those that change nothing in the list are not read.
pub(super) enum SagaEvent {
    SagaStarted(SagaStarted),
    EventObserved(EventObserved),
    ObservationFailed(ObservationFailed),
    ObservationQueued(EventObserved),
    FlowAdded(FlowAdded),
    StepStarted(StepBegun),
    StepWaiting(StepBegun),
    StepDeferred(StepBegun),
    StepRefused(StepBegun),
    EffectRequested(StepBegun),
    FlowParked(FlowParked),
    CompensationStarted(OfFlow),
    CancelOrdered(OfFlow),
    FlowEnded(OfFlow),
    RetryOrdered(RetryOrdered),
    ResolutionContradicted,
}

/// Several events of one input, in their order: each an object with one member, whose name is the type.
#[derive(Deserialize)]
struct SagaAdvanced<'a> {
    #[serde(borrow)]
    events: Vec<BTreeMap<&'a str, &'a RawValue>>,
}

#[derive(Deserialize)]
pub(super) struct SagaStarted {
    pub saga: String,
    pub component: String,
}

#[derive(Deserialize)]
pub(super) struct EventObserved {
    pub version: u64,
}

#[derive(Deserialize)]
pub(super) struct ObservationFailed {
    pub version: u64,
    pub reason: Reason,
}

#[derive(Deserialize)]
pub(super) struct Reason {
    pub code: String,
    pub detail: String,
}

#[derive(Deserialize)]
pub(super) struct FlowAdded {
    pub flow: u32,
    pub name: String,
    pub lane: String,
}

#[derive(Deserialize)]
pub(super) struct Key {
    pub flow: u32,
}

#[derive(Deserialize)]
pub(super) struct StepBegun {
    pub key: Key,
    pub name: String,
    #[serde(default)]
    pub until: Option<Timestamp>,
}

#[derive(Deserialize)]
pub(super) struct FlowParked {
    pub key: Key,
    pub name: String,
    pub reason: Reason,
}

#[derive(Deserialize)]
pub(super) struct OfFlow {
    pub flow: u32,
}

#[derive(Deserialize)]
pub(super) struct RetryOrdered {
    #[serde(default)]
    pub flow: Option<u32>,
}

impl SagaEvent {
    /// Reads the events of the log's event. Those that change nothing in the list, or are not known yet, are left out.
    pub(super) fn read(kind: &str, payload: &[u8]) -> serde_json::Result<Vec<Self>> {
        if kind != "SagaAdvanced" {
            return Ok(Self::read_one(kind, payload)?.into_iter().collect());
        }
        let SagaAdvanced { events } = serde_json::from_slice(payload)?;
        let events = events.iter().flatten();
        let read = events.map(|(kind, payload)| Self::read_one(kind, payload.get().as_bytes()));
        read.filter_map(Result::transpose).collect()
    }

    fn read_one(kind: &str, payload: &[u8]) -> serde_json::Result<Option<Self>> {
        use serde_json::from_slice;
        Ok(Some(match kind {
            "SagaStarted" => Self::SagaStarted(from_slice(payload)?),
            "EventObserved" => Self::EventObserved(from_slice(payload)?),
            "ObservationFailed" => Self::ObservationFailed(from_slice(payload)?),
            "ObservationQueued" => Self::ObservationQueued(from_slice(payload)?),
            "FlowAdded" => Self::FlowAdded(from_slice(payload)?),
            "StepStarted" => Self::StepStarted(from_slice(payload)?),
            "StepWaiting" => Self::StepWaiting(from_slice(payload)?),
            "StepDeferred" => Self::StepDeferred(from_slice(payload)?),
            "StepRefused" => Self::StepRefused(from_slice(payload)?),
            "EffectRequested" => Self::EffectRequested(from_slice(payload)?),
            "FlowParked" => Self::FlowParked(from_slice(payload)?),
            "CompensationStarted" => Self::CompensationStarted(from_slice(payload)?),
            "CancelOrdered" => Self::CancelOrdered(from_slice(payload)?),
            "FlowEnded" => Self::FlowEnded(from_slice(payload)?),
            "RetryOrdered" => Self::RetryOrdered(from_slice(payload)?),
            "ResolutionContradicted" => Self::ResolutionContradicted,
            _ => return Ok(None),
        }))
    }
}
