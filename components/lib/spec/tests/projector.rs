//! Tests of projector specifications: rows are compared by key, and batches are split at every place.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails loudly")]

use clearfold_kernel::{
    Change, Column, ColumnRule, ColumnType, ProjectionDescriptor, Projector, RecordedEvent, Row, RowKey,
    Table, Value,
};
use clearfold_spec::{NativeProjector, ProjectorSubject, Specification, Verdict};

/// Counts each stream's events; `Closed` deletes the count.
struct Counts;

impl Projector for Counts {
    fn describe() -> ProjectionDescriptor {
        let columns = vec![
            Column::new("stream", ColumnType::Text),
            Column::new("count", ColumnType::Numeric).with(ColumnRule::Positive),
            Column::new("at", ColumnType::Timestamp).nullable(),
        ];
        let table = Table { name: "counts", columns, primary_key: vec!["stream"], indexes: Vec::new() };
        ProjectionDescriptor { name: "counts", version: 1, tables: vec![table], reads: &[] }
    }

    fn keys(events: &[RecordedEvent]) -> Result<Vec<RowKey>, String> {
        let key = |event: &RecordedEvent| RowKey {
            table: "counts".into(),
            key: vec![event.stream.as_str().into()],
        };
        Ok(events.iter().map(key).collect())
    }

    fn project(events: &[RecordedEvent], rows: Vec<Row>) -> Result<Vec<Change>, String> {
        let mut changes: Vec<Change> = Vec::new();
        for (seen, event) in events.iter().enumerate() {
            let before = rows.iter().find(|row| row.values[0] == event.stream.as_str().into());
            let before = before.map_or(0, |row| match &row.values[1] {
                Value::Numeric(digits) => digits.parse().unwrap(),
                other => panic!("{other:?}"),
            });
            let earlier = events[..=seen].iter().filter(|earlier| earlier.stream == event.stream).count();
            let digits = (before + earlier).to_string();
            changes.push(match event.kind.as_str() {
                "Closed" => {
                    Change::Delete(RowKey { table: "counts".into(), key: vec![event.stream.as_str().into()] })
                }
                "Broken" => return Err(format!("cannot read {}", event.event_id)),
                "Zero" => row(vec![event.stream.as_str().into(), Value::Numeric("0".into()), Value::Null]),
                "Narrow" => row(vec![event.stream.as_str().into()]),
                _ => {
                    row(vec![event.stream.as_str().into(), Value::Numeric(digits), event.recorded_at.into()])
                }
            });
        }
        Ok(changes)
    }
}

fn row(values: Vec<Value>) -> Change {
    Change::Upsert(Row { table: "counts".into(), values })
}

const HEAD: &str = "projector: counts
defaults: { at: 2026-11-22T10:00:00.000Z }
cases:
";

fn run(case: &str, subject: &dyn ProjectorSubject) -> Vec<Verdict> {
    let Specification::Projector(file) = Specification::read(&format!("{HEAD}  - {case}\n")).unwrap() else {
        panic!("no projector's file")
    };
    file.run(subject).unwrap()
}

fn said(case: &str) -> String {
    run(case, &NativeProjector::<Counts>::default())[0].differences.join("\n")
}

#[test]
fn rows_that_are_as_expected_pass() {
    for case in [
        "{ case: x, given: [{ stream: a, Seen: {} }, { stream: b, Seen: {} }, { stream: a, Seen: {} }],
           then: { counts: [{ stream: b, count: '1' }, { stream: a, count: '2' }] } }",
        "{ case: x, given: [{ stream: a, Seen: {}, at: 2026-11-23T10:00:00.000Z }],
           then: { counts: [{ stream: a, at: 2026-11-23T10:00:00.000Z }] } }",
        "{ case: x, given: [{ stream: a, Seen: {} }, { stream: a, Closed: {} }], then: { counts: [] } }",
        "{ case: x, given: [{ stream: a, Broken: {} }], fails: cannot read 00000000-0000-0000-0000-000000000001 }",
    ] {
        assert_eq!(said(case), "", "{case}");
    }
}

#[test]
fn rows_that_differ_are_named_by_their_key() {
    for (case, expected) in [
        (
            "{ case: x, given: [{ stream: a, Seen: {} }], then: { counts: [{ stream: a, count: '2' }] } }",
            "counts [\"a\"].count: expected \"2\", got \"1\"",
        ),
        (
            "{ case: x, given: [{ stream: a, Seen: {} }], then: { counts: [{ stream: a }, { stream: b }] } }",
            "counts [\"b\"]: expected a row, got none",
        ),
        (
            "{ case: x, given: [{ stream: a, Seen: {} }], then: { counts: [] } }",
            "counts [\"a\"]: expected no such row, got {\"at\":\"2026-11-22T10:00:00.000Z\",\"count\":\"1\",\"stream\":\"a\"}",
        ),
        (
            "{ case: x, given: [{ stream: a, Seen: {} }], then: { counts: [{ stream: a }, { stream: a }] } }",
            "counts [\"a\"]: the expected rows name it twice",
        ),
        (
            "{ case: x, given: [{ stream: a, Seen: {} }], then: { counts: [{ stream: a, cuont: '1' }] } }",
            "counts [\"a\"]: the table has no column `cuont`",
        ),
        (
            "{ case: x, given: [{ stream: a, Seen: {} }], then: { counts: [{ count: '1' }] } }",
            "a row of `counts` must name its key column `stream`",
        ),
        (
            "{ case: x, given: [{ stream: a, Seen: {} }], then: { sums: [] } }",
            "there is no table `sums`, only counts",
        ),
        (
            "{ case: x, given: [{ stream: a, Broken: {} }], fails: other }",
            "expected a failure that says `other`, got `cannot read 00000000-0000-0000-0000-000000000001`",
        ),
        (
            "{ case: x, given: [{ stream: a, Seen: {} }], fails: other }",
            "expected a failure that says `other`, got rows",
        ),
    ] {
        assert_eq!(said(case), expected, "{case}");
    }
}

#[test]
fn what_the_database_would_refuse_is_refused() {
    for (event, expected) in [
        ("Zero", "`counts.count` may not hold Numeric(\"0\")"),
        ("Narrow", "a row of `counts` has 1 values for 3 columns"),
        ("Broken", "cannot read 00000000-0000-0000-0000-000000000001"),
    ] {
        let case = format!("{{ case: x, given: [{{ stream: a, {event}: {{}} }}], then: {{ counts: [] }} }}");
        assert_eq!(said(&case), expected);
    }
}

/// A projector that forgets to request the rows it adds to: right in one batch, wrong in two.
struct Forgetful(NativeProjector<Counts>);

impl ProjectorSubject for Forgetful {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn tables(&self) -> &[clearfold_spec::Table] {
        self.0.tables()
    }

    fn keys(&self, _: &[RecordedEvent]) -> Result<Vec<RowKey>, String> {
        Ok(Vec::new())
    }

    fn project(&self, events: &[RecordedEvent], rows: Vec<Row>) -> Result<Vec<Change>, String> {
        self.0.project(events, rows)
    }
}

#[test]
fn rows_that_depend_on_where_the_batch_is_cut_are_found_unasked() {
    let case =
        "{ case: x, given: [{ stream: a, Seen: {} }, { stream: b, Seen: {} }, { stream: a, Seen: {} }],
                  then: { counts: [{ stream: a, count: '2' }, { stream: b }] } }";
    let verdicts = run(case, &Forgetful(NativeProjector::default()));
    assert_eq!(
        verdicts[0].differences,
        [
            "cut into two batches after event 1, the events give other rows",
            "cut into two batches after event 2, the events give other rows",
            "one by one, the events give other rows than in one batch",
        ]
    );
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (case, why) in [
        ("{ case: x, given: [], then: {} }", "`x` must have either `then`"),
        ("{ case: x, given: [] }", "`x` must have either `then`"),
        ("{ case: x, given: [], then: { counts: [] }, fails: y }", "`x` must have either `then`"),
        ("{ case: x, given: [{ Seen: {} }], then: { counts: [] } }", "missing field `stream`"),
        ("{ case: x, given: [], then: { counts: [{ stream: a, count: 1.5 }] } }", "1.5 is no whole number"),
        ("{ case: x, given: [], then: { counts: [] }, rows: {} }", "unknown field `rows`"),
    ] {
        let error = Specification::read(&format!("{HEAD}  - {case}\n")).unwrap_err();
        assert!(error.why.contains(why) && error.line == 4, "{case}: {error}");
    }
}
