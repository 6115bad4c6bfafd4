//! Specification of projectors: given events, then rows.

use std::collections::BTreeMap;

use clearfold_kernel::{Change, RecordedEvent, Row, RowKey, Timestamp};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::Verdict;
use crate::file::{not_empty, same_name};
use crate::message::{Beside, Message, exact};
use crate::table::{Table, Tables};

/// Projector under test.
pub trait ProjectorSubject {
    /// Returns the name of the projection.
    fn name(&self) -> &str;
    /// Returns the tables that it owns.
    fn tables(&self) -> &[Table];
    /// Returns the keys of the rows that these events need to read.
    fn keys(&self, events: &[RecordedEvent]) -> Result<Vec<RowKey>, String>;
    /// Returns the changes that these events make to those rows.
    fn project(&self, events: &[RecordedEvent], rows: Vec<Row>) -> Result<Vec<Change>, String>;
}

/// Specification of a projector.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectorFile {
    /// Named values (YAML anchors) for use further down.
    #[serde(default, rename = "let")]
    _values: IgnoredAny,
    /// Name of the projection.
    projector: String,
    defaults: Defaults,
    cases: Cases,
}

/// Defaults for an event.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Defaults {
    at: Timestamp,
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "Vec<Case>")]
struct Cases(Vec<Case>);

#[derive(Debug, Deserialize)]
#[serde(try_from = "WrittenCase")]
struct Case {
    name: String,
    row: Option<String>,
    given: Vec<Message<Recorded>>,
    expected: Expected,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCase {
    case: String,
    row: Option<String>,
    given: Vec<Message<Recorded>>,
    then: Option<Rows>,
    fails: Option<String>,
}

/// Expected rows by table name.
type Rows = BTreeMap<String, Vec<Map<String, Value>>>;

#[derive(Debug)]
enum Expected {
    Rows(Rows),
    Failure(String),
}

/// Stream and time of a recorded event.
#[derive(Debug, Deserialize)]
struct Recorded {
    stream: String,
    at: Option<Timestamp>,
}

impl Beside for Recorded {
    const MEMBERS: &'static str = "`stream` and `at`";
}

impl ProjectorFile {
    /// Runs all cases. Fails if the subject is another projection.
    ///
    /// Each case's events are projected in one batch, in two batches split at every place, and one by one: the rows
    /// must be the same. The projector's answers are checked against the tables that it declared.
    pub fn run(&self, subject: &dyn ProjectorSubject) -> Result<Vec<Verdict>, String> {
        same_name(&self.projector, subject.name())?;
        let run = |case: &Case| Verdict::new(&case.name, case.row.as_deref(), self.run_case(case, subject));
        Ok(self.cases.0.iter().map(run).collect())
    }

    fn run_case(&self, case: &Case, subject: &dyn ProjectorSubject) -> Result<Vec<String>, String> {
        let events = self.recorded(&case.given)?;
        let whole = project(subject, &[&events]);
        let expected = match &case.expected {
            Expected::Rows(expected) => expected,
            Expected::Failure(part) => {
                return Ok(match whole {
                    Err(why) if why.contains(part) => Vec::new(),
                    Err(why) => vec![format!("expected a failure that says `{part}`, got `{why}`")],
                    Ok(_) => vec![format!("expected a failure that says `{part}`, got rows")],
                });
            }
        };
        let whole = whole?;
        let mut differences = whole.differences(subject.tables(), expected);
        for cut in 1..events.len() {
            let (before, after) = events.split_at(cut);
            if project(subject, &[before, after])? != whole {
                differences
                    .push(format!("cut into two batches after event {cut}, the events give other rows"));
            }
        }
        let one_by_one: Vec<&[RecordedEvent]> = events.chunks(1).collect();
        if project(subject, &one_by_one)? != whole {
            differences.push("one by one, the events give other rows than in one batch".to_owned());
        }
        Ok(differences)
    }

    /// Builds the events as one partition of a log would hold them.
    fn recorded(&self, given: &[Message<Recorded>]) -> Result<Vec<RecordedEvent>, String> {
        let mut versions: BTreeMap<&str, u64> = BTreeMap::new();
        let mut recorded = Vec::with_capacity(given.len());
        for (position, event) in (1..).zip(given) {
            let encoded = event.encoded()?;
            let version = versions.entry(event.beside.stream.as_str()).or_default();
            *version += 1;
            recorded.push(RecordedEvent {
                partition: 0,
                position,
                stream: event.beside.stream.clone(),
                stream_version: *version,
                event_id: format!("00000000-0000-0000-0000-{position:012}"),
                correlation_id: "00000000-0000-0000-0000-000000000000".to_owned(),
                kind: encoded.kind,
                schema_version: encoded.schema_version,
                recorded_at: event.beside.at.unwrap_or(self.defaults.at),
                payload: encoded.payload,
            });
        }
        Ok(recorded)
    }
}

/// Projects these batches, beginning with empty tables.
fn project(subject: &dyn ProjectorSubject, batches: &[&[RecordedEvent]]) -> Result<Tables, String> {
    let mut tables = Tables::default();
    for batch in batches {
        let keys = subject.keys(batch)?;
        let rows = tables.fetch(subject.tables(), &keys)?;
        tables.apply(subject.tables(), subject.project(batch, rows)?)?;
    }
    Ok(tables)
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
        let WrittenCase { case: name, row, given, then, fails } = written;
        let expected = match (then, fails) {
            (Some(rows), None) if !rows.is_empty() => Expected::Rows(rows),
            (None, Some(part)) => Expected::Failure(part),
            _ => {
                return Err(format!(
                    "`{name}` must have either `then`, rows by table (a table that must be empty has `[]`), or \
                     `fails`, a part of the reason"
                ));
            }
        };
        if let Expected::Rows(tables) = &expected {
            tables.values().flatten().flat_map(Map::values).try_for_each(exact)?;
        }
        Ok(Self { name, row, given, expected })
    }
}
