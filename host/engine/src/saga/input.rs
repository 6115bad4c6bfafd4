//! Inputs of a saga instance: the commands to its stream. Each is recorded, so that every turn can be decided again.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::content::{Content, EffectAnswer, Refusal};
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
    /// The outcome of an effect.
    AnswerEffect(AnswerEffect),
    /// A timer that is due.
    FireTimer(FireTimer),
    /// An operator's order to try again what is parked.
    Retry(Retry),
    /// An operator's order to undo a flow, or to end it if it has done nothing.
    Cancel(Cancel),
    /// An operator's statement of how a step ended.
    Resolve(Resolve),
}

impl Input {
    /// Types of all inputs.
    pub(crate) const KINDS: &'static [&'static str] =
        &["Observe", "AnswerStep", "AnswerEffect", "FireTimer", "Retry", "Cancel", "Resolve"];
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
    /// True while the saga is paused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// Names of the saga's effects that the host offers, for an instance that begins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<String>,
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

impl StepKey {
    /// Returns true if both are attempts of the same step, or of the same compensation.
    pub(crate) fn is_same_step(&self, other: &Self) -> bool {
        (self.flow, self.step, self.undo) == (other.flow, other.step, other.undo)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AnswerStep {
    pub key: StepKey,
    pub answer: StepAnswer,
    pub round: u32,
    /// True while the saga is paused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
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

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AnswerEffect {
    /// Number of the effect in its instance, from 1.
    pub number: u64,
    pub outcome: EffectOutcome,
    /// True while the saga is paused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
}

/// Outcome of an effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EffectOutcome {
    Came(EffectAnswer),
    /// It was definitely not carried out: the attempt is refused.
    Refused(Refusal),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FireTimer {
    /// Number of the timer in its instance, from 1.
    pub timer: u64,
    /// Time at which it was due.
    pub due: Timestamp,
    /// True while the saga is paused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
}

/// Operator who gave an order, and the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Retry {
    /// Flow to try again; none for everything of the instance that is parked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<u32>,
    #[serde(flatten)]
    pub order: Order,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cancel {
    /// Flow to cancel; none for all that are open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<u32>,
    /// Spares flows that begin behind their pivot. Orders that were recorded before this rule ended them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub spares_retriable: bool,
    #[serde(flatten)]
    pub order: Order,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Resolve {
    pub flow: u32,
    pub outcome: Resolution,
    /// Code of the refusal, which the compensations see; only for a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(flatten)]
    pub order: Order,
}

/// Outcome of a step, by an operator's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// The step is done.
    Done,
    /// The step was refused, and did nothing.
    Refused,
    /// The compensation is done.
    Compensated,
}

impl Input {
    /// Type of the recorded command.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Observe(_) => "Observe",
            Self::AnswerStep(_) => "AnswerStep",
            Self::AnswerEffect(_) => "AnswerEffect",
            Self::FireTimer(_) => "FireTimer",
            Self::Retry(_) => "Retry",
            Self::Cancel(_) => "Cancel",
            Self::Resolve(_) => "Resolve",
        }
    }

    /// Payload of the recorded command.
    pub(crate) fn payload(&self) -> Result<Vec<u8>, serde_json::Error> {
        match self {
            Self::Observe(input) => serde_json::to_vec(input),
            Self::AnswerStep(input) => serde_json::to_vec(input),
            Self::AnswerEffect(input) => serde_json::to_vec(input),
            Self::FireTimer(input) => serde_json::to_vec(input),
            Self::Retry(input) => serde_json::to_vec(input),
            Self::Cancel(input) => serde_json::to_vec(input),
            Self::Resolve(input) => serde_json::to_vec(input),
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
            "AnswerEffect" => serde_json::from_slice(payload).map(Self::AnswerEffect),
            "FireTimer" => serde_json::from_slice(payload).map(Self::FireTimer),
            "Retry" => serde_json::from_slice(payload).map(Self::Retry),
            "Cancel" => serde_json::from_slice(payload).map(Self::Cancel),
            "Resolve" => serde_json::from_slice(payload).map(Self::Resolve),
            _ => {
                let known = Self::KINDS.join(", ");
                let detail = format!("`{kind}` is no input of a saga; inputs are {known}");
                return Err(refusal("unknown_type", detail));
            }
        };
        read.map_err(|error| refusal("malformed_payload", format!("the payload is no `{kind}`: {error}")))
    }

    /// Returns true if it was made while the saga was paused: it is recorded, and no step begins.
    pub(crate) const fn is_held(&self) -> bool {
        match self {
            Self::Observe(input) => input.held,
            Self::AnswerStep(input) => input.held,
            Self::AnswerEffect(input) => input.held,
            Self::FireTimer(input) => input.held,
            Self::Retry(_) | Self::Cancel(_) | Self::Resolve(_) => false,
        }
    }

    /// Says whether the saga is paused. An order stays as the operator gave it.
    pub(crate) const fn hold(&mut self, is_paused: bool) {
        match self {
            Self::Observe(input) => input.held = is_paused,
            Self::AnswerStep(input) => input.held = is_paused,
            Self::AnswerEffect(input) => input.held = is_paused,
            Self::FireTimer(input) => input.held = is_paused,
            Self::Retry(_) | Self::Cancel(_) | Self::Resolve(_) => {}
        }
    }

    /// Number of rounds of the run before this input; 0 for one that begins a run.
    pub(crate) const fn round(&self) -> u32 {
        match self {
            Self::Observe(input) => input.round,
            Self::AnswerStep(input) => input.round,
            Self::AnswerEffect(_)
            | Self::FireTimer(_)
            | Self::Retry(_)
            | Self::Cancel(_)
            | Self::Resolve(_) => 0,
        }
    }
}
