//! Inputs of a saga instance: the commands to its stream. Each is recorded, so that every turn can be decided again.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::content::{Content, Refusal};
use clearfold_kernel::Timestamp;

/// Schema version of the inputs.
pub(crate) const VERSION: u32 = 1;

/// Input of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// An event of the followed stream.
    Observe(Observe),
    /// The answer to a step's command.
    AnswerStep(AnswerStep),
    /// A timer that is due.
    FireTimer(FireTimer),
    /// An operator's order to try a parked flow, or a failed observation, again.
    Retry(Retry),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Observe {
    /// Version of the followed stream with this event.
    pub version: u64,
    pub event: Content,
    /// Correlation id of the command that caused the event.
    pub correlation_id: Uuid,
    /// Number of rounds of the run before this one.
    pub round: u32,
}

/// Step of a flow, to be done or to be undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StepKey {
    /// Number of the flow in its instance, from 1.
    pub flow: u32,
    /// Place of the step in its flow, from 0.
    pub step: u32,
    /// True for its compensation.
    pub undo: bool,
    /// Number of the attempt, from 1.
    pub attempt: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AnswerStep {
    pub key: StepKey,
    pub answer: StepAnswer,
    pub round: u32,
}

/// Answer to a step's command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StepAnswer {
    Accepted,
    Refused(Refusal),
    /// It was not decided, because the component that decides it failed.
    Failed(Refusal),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FireTimer {
    /// Number of the timer in its instance, from 1.
    pub timer: u64,
    /// Time at which it was due.
    pub due: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Retry {
    /// Flow to try again; none for a failed observation.
    pub flow: Option<u32>,
}

impl Input {
    /// Type of the recorded command.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Observe(_) => "Observe",
            Self::AnswerStep(_) => "AnswerStep",
            Self::FireTimer(_) => "FireTimer",
            Self::Retry(_) => "Retry",
        }
    }

    /// Payload of the recorded command.
    pub(crate) fn payload(&self) -> Result<Vec<u8>, serde_json::Error> {
        match self {
            Self::Observe(input) => serde_json::to_vec(input),
            Self::AnswerStep(input) => serde_json::to_vec(input),
            Self::FireTimer(input) => serde_json::to_vec(input),
            Self::Retry(input) => serde_json::to_vec(input),
        }
    }

    /// Reads a recorded command.
    pub(crate) fn read(kind: &str, schema_version: u32, payload: &[u8]) -> Result<Self, Refusal> {
        let refusal = |code: &str, detail: String| Refusal { code: code.to_owned(), detail };
        if schema_version != VERSION {
            let detail = format!("`{kind}` has no schema version {schema_version}; the newest is {VERSION}");
            return Err(refusal("unknown_schema_version", detail));
        }
        let read = match kind {
            "Observe" => serde_json::from_slice(payload).map(Self::Observe),
            "AnswerStep" => serde_json::from_slice(payload).map(Self::AnswerStep),
            "FireTimer" => serde_json::from_slice(payload).map(Self::FireTimer),
            "Retry" => serde_json::from_slice(payload).map(Self::Retry),
            _ => {
                let detail = format!(
                    "`{kind}` is no input of a saga; inputs are Observe, AnswerStep, FireTimer, Retry"
                );
                return Err(refusal("unknown_type", detail));
            }
        };
        read.map_err(|error| refusal("malformed_payload", format!("the payload is no `{kind}`: {error}")))
    }

    /// Number of rounds of the run before this input; 0 for one that begins a run.
    pub(crate) const fn round(&self) -> u32 {
        match self {
            Self::Observe(input) => input.round,
            Self::AnswerStep(input) => input.round,
            Self::FireTimer(_) | Self::Retry(_) => 0,
        }
    }
}
