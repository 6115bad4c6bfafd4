//! Projector `sample`: the number of events of each account, and the time of the last one. It returns the changes of
//! rows; the host writes them.

use std::collections::BTreeMap;

use clearfold_kernel::{
    Change, Column, ColumnRule, ColumnType, ProjectionDescriptor, Projector, RecordedEvent, Row, RowKey,
    Table, Value,
};

clearfold_guest::export_projector!(SampleProjector);

/// Name of the table, which the host creates in the projection's own schema.
const TABLE: &str = "account";
/// Beginning of the streams that are counted. Events of all other streams are ignored.
const STREAMS: &str = "account-";

/// Projector of one table.
pub struct SampleProjector;

impl Projector for SampleProjector {
    fn describe() -> ProjectionDescriptor {
        ProjectionDescriptor {
            name: "sample",
            // Raise it when the tables change: they are then built again, from the first event on.
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
            reads: &["account"],
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
        let mut counts: BTreeMap<String, i64> = rows.into_iter().map(counted).collect::<Result<_, _>>()?;
        let mut changes = Vec::new();
        for event in events {
            let Some(id) = account(event) else { continue };
            // An account without a row has no events yet.
            let count = counts.entry(id.to_owned()).or_insert(0);
            *count = count.checked_add(1).ok_or("more events than a number holds")?;
            let values = vec![id.into(), Value::Integer(*count), event.recorded_at.into()];
            changes.push(Change::Upsert(Row { table: TABLE.to_owned(), values }));
        }
        Ok(changes)
    }
}

/// Account of an event, if its stream is counted.
fn account(event: &RecordedEvent) -> Option<&str> {
    event.stream.strip_prefix(STREAMS)
}

/// Account and count of a row. A row has all columns, in the declared order.
fn counted(row: Row) -> Result<(String, i64), String> {
    match <[Value; 3]>::try_from(row.values) {
        Ok([Value::Text(id), Value::Integer(count), _]) => Ok((id, count)),
        _ => Err(format!("a row of `{TABLE}` does not have the declared columns")),
    }
}
