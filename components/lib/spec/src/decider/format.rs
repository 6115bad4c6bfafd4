//! Format of a decider's specification file, and its validation.

use clearfold_kernel::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::file::not_empty;
use crate::message::{Alone, Beside, Message};

/// Specification of a decider.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeciderFile {
    /// Named values (YAML anchors) for use further down.
    #[serde(default, rename = "let")]
    _values: IgnoredAny,
    /// Name of the aggregate.
    pub(super) decider: String,
    pub(super) defaults: Defaults,
    pub(super) cases: Cases,
}

/// Defaults for a command's context.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Defaults {
    pub id: String,
    pub account: String,
    pub actor: String,
    pub at: Timestamp,
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "Vec<Case>")]
pub(super) struct Cases(pub Vec<Case>);

#[derive(Debug, Deserialize)]
#[serde(try_from = "WrittenCase")]
pub(super) struct Case {
    pub name: String,
    pub row: Option<String>,
    pub given: Vec<Message<Alone>>,
    pub steps: Vec<Step>,
}

/// A case as written: it has one step of its own, or a list of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCase {
    case: String,
    row: Option<String>,
    #[serde(default)]
    given: Vec<Message<Alone>>,
    when: Option<Message<Sent>>,
    then: Option<Vec<Message<Alone>>>,
    rejected: Option<String>,
    steps: Option<Vec<Step>>,
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "WrittenStep")]
pub(super) struct Step {
    pub when: Message<Sent>,
    pub expected: Expected,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenStep {
    when: Message<Sent>,
    then: Option<Vec<Message<Alone>>>,
    rejected: Option<String>,
}

#[derive(Debug)]
pub(super) enum Expected {
    Events(Vec<Message<Alone>>),
    Rejected(String),
}

/// Overrides of the context of one command.
#[derive(Debug, Deserialize)]
pub(super) struct Sent {
    pub id: Option<String>,
    pub account: Option<String>,
    pub actor: Option<String>,
    pub at: Option<Timestamp>,
}

impl Beside for Sent {
    const MEMBERS: &'static str = "`id`, `account`, `actor` and `at`";
}

impl TryFrom<Vec<Case>> for Cases {
    type Error = String;

    fn try_from(cases: Vec<Case>) -> Result<Self, String> {
        not_empty(cases).map(Self)
    }
}

impl TryFrom<WrittenCase> for Case {
    type Error = String;

    fn try_from(written: WrittenCase) -> Result<Self, String> {
        let WrittenCase { case: name, row, given, when, then, rejected, steps } = written;
        let steps = match (when, steps) {
            (Some(when), None) => vec![WrittenStep { when, then, rejected }.try_into()?],
            (None, Some(steps)) if !steps.is_empty() && then.is_none() && rejected.is_none() => steps,
            _ => {
                return Err(format!(
                    "`{name}` must have either `when` with `then` or `rejected`, or a list of them in `steps`"
                ));
            }
        };
        Ok(Self { name, row, given, steps })
    }
}

impl TryFrom<WrittenStep> for Step {
    type Error = String;

    fn try_from(written: WrittenStep) -> Result<Self, String> {
        let expected = match (written.then, written.rejected) {
            (Some(events), None) => Expected::Events(events),
            (None, Some(code)) => Expected::Rejected(code),
            _ => {
                return Err(format!(
                    "the {} must have either `then`, a list of events, or `rejected`, a code",
                    written.when.name()
                ));
            }
        };
        Ok(Self { when: written.when, expected })
    }
}
