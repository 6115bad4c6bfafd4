//! A sample: how many events each account has, and when the last one came. It says how rows change, and never writes one.

use std::collections::BTreeMap;

use clearfold_kernel::{
    Change, Column, ColumnRule, ColumnType, ProjectionDescriptor, Projector, RecordedEvent, Row, RowKey,
    Table, Value,
};

clearfold_guest::export_projector!(SampleProjector);

/// The table; the host makes it in the projection's own schema.
const TABLE: &str = "account";
/// The streams that count. Events of all others are passed over.
const STREAMS: &str = "account-";

/// The projector.
pub struct SampleProjector;

impl Projector for SampleProjector {
    fn describe() -> ProjectionDescriptor {
        ProjectionDescriptor {
            name: "sample",
            // Raise it when the tables change: then they are built anew, from the first event on.
            version: 1,
            tables: vec![Table {
                name: TABLE,
                columns: vec![
                    Column::new("id", ColumnType::Text),
                    Column::new("events", ColumnType::Integer).with(ColumnRule::Positive),
                    Column::new("last_at", ColumnType::Timestamp),
                ],
                primary_key: vec!["id"],
                indexes: vec![vec!["last_at"]],
            }],
        }
    }

    fn keys(events: &[RecordedEvent]) -> Result<Vec<RowKey>, String> {
        Ok(events
            .iter()
            .filter_map(account)
            .map(|id| RowKey { table: TABLE.to_owned(), key: vec![id.into()] })
            .collect())
    }

    fn project(events: &[RecordedEvent], rows: Vec<Row>) -> Result<Vec<Change>, String> {
        let mut counts: BTreeMap<String, i64> = rows.into_iter().filter_map(counted).collect();
        let mut changes = Vec::new();
        for event in events {
            let Some(id) = account(event) else { continue };
            let count = counts.entry(id.to_owned()).or_default();
            *count = count.checked_add(1).ok_or("more events than a number holds")?;
            let values = vec![id.into(), Value::Integer(*count), event.recorded_at.into()];
            changes.push(Change::Upsert(Row { table: TABLE.to_owned(), values }));
        }
        Ok(changes)
    }
}

/// The account that an event is of, if it is one that counts.
fn account(event: &RecordedEvent) -> Option<&str> {
    event.stream.strip_prefix(STREAMS)
}

/// A row as it was: all columns, in the declared order.
fn counted(row: Row) -> Option<(String, i64)> {
    match <[Value; 3]>::try_from(row.values) {
        Ok([Value::Text(id), Value::Integer(count), _]) => Some((id, count)),
        _ => None,
    }
}
