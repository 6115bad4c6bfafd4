//! The `projector` world.

use std::marker::PhantomData;

use clearfold_kernel::{
    Change, Column, ColumnRule, ColumnType, Projector, RecordedEvent, Row, RowKey, Table, Timestamp, Value,
};

use self::bindings::exports::clearfold::handlers::projection as wit;

pub mod bindings {
    //! Made by wit-bindgen from `wit/projector.wit`.
    wit_bindgen::generate!({
        world: "projector",
        path: "../../../wit",
        pub_export_macro: true,
        export_macro_name: "export_projector_world",
    });
}

/// Makes the crate a component of the `projector` world.
#[macro_export]
macro_rules! export_projector {
    ($projector:ty) => {
        type Component = $crate::projector::Component<$projector>;
        $crate::projector::bindings::export_projector_world!(
            Component with_types_in $crate::projector::bindings
        );
    };
}

/// A projector as a component.
pub struct Component<P>(PhantomData<P>);

impl<P: Projector + 'static> wit::Guest for Component<P> {
    fn describe() -> wit::Descriptor {
        let described = P::describe();
        wit::Descriptor {
            name: described.name.to_owned(),
            version: described.version,
            tables: described.tables.into_iter().map(table).collect(),
        }
    }

    fn keys(events: Vec<wit::Event>) -> Result<Vec<wit::RowKey>, String> {
        Ok(P::keys(&recorded(events)?)?.into_iter().map(key).collect())
    }

    fn project(events: Vec<wit::Event>, rows: Vec<wit::Row>) -> Result<Vec<wit::Change>, String> {
        let rows = rows.into_iter().map(|row| Row { table: row.table, values: read_values(row.values) });
        Ok(P::project(&recorded(events)?, rows.collect())?.into_iter().map(change).collect())
    }
}

fn recorded(events: Vec<wit::Event>) -> Result<Vec<RecordedEvent>, String> {
    let event = |event: wit::Event| {
        let recorded_at = Timestamp::from_ms(event.recorded_at_ms)
            .ok_or_else(|| format!("no time: {} ms", event.recorded_at_ms))?;
        Ok(RecordedEvent {
            partition: event.partition,
            position: event.position,
            stream: event.stream,
            stream_version: event.stream_version,
            event_id: event.event_id,
            correlation_id: event.correlation_id,
            kind: event.type_,
            schema_version: event.schema_version,
            recorded_at,
            payload: event.payload,
        })
    };
    events.into_iter().map(event).collect()
}

fn table(table: Table) -> wit::Table {
    let names = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    wit::Table {
        name: table.name.to_owned(),
        columns: table.columns.into_iter().map(column).collect(),
        primary_key: names(table.primary_key),
        indexes: table.indexes.into_iter().map(names).collect(),
    }
}

fn column(column: Column) -> wit::Column {
    wit::Column {
        name: column.name.to_owned(),
        type_: match column.kind {
            ColumnType::Text => wit::ColumnType::Text,
            ColumnType::Integer => wit::ColumnType::Integer,
            ColumnType::Numeric => wit::ColumnType::Numeric,
            ColumnType::Boolean => wit::ColumnType::Boolean,
            ColumnType::Timestamp => wit::ColumnType::Timestamp,
            ColumnType::Json => wit::ColumnType::Json,
        },
        nullable: column.nullable,
        rule: column.rule.map(|rule| match rule {
            ColumnRule::NonNegative => wit::ColumnRule::NonNegative,
            ColumnRule::Positive => wit::ColumnRule::Positive,
            ColumnRule::OneOf(words) => {
                wit::ColumnRule::OneOf(words.into_iter().map(str::to_owned).collect())
            }
        }),
    }
}

fn change(change: Change) -> wit::Change {
    match change {
        Change::Upsert(row) => {
            wit::Change::Upsert(wit::Row { table: row.table, values: write_values(row.values) })
        }
        Change::Delete(row) => wit::Change::Delete(key(row)),
    }
}

fn key(key: RowKey) -> wit::RowKey {
    wit::RowKey { table: key.table, key: write_values(key.key) }
}

fn write_values(values: Vec<Value>) -> Vec<wit::Value> {
    let write = |value| match value {
        Value::Null => wit::Value::Null,
        Value::Text(text) => wit::Value::Text(text),
        Value::Integer(number) => wit::Value::Integer(number),
        Value::Numeric(digits) => wit::Value::Numeric(digits),
        Value::Boolean(truth) => wit::Value::Boolean(truth),
        Value::TimestampMs(ms) => wit::Value::TimestampMs(ms),
        Value::Json(document) => wit::Value::Json(document),
    };
    values.into_iter().map(write).collect()
}

fn read_values(values: Vec<wit::Value>) -> Vec<Value> {
    let read = |value| match value {
        wit::Value::Null => Value::Null,
        wit::Value::Text(text) => Value::Text(text),
        wit::Value::Integer(number) => Value::Integer(number),
        wit::Value::Numeric(digits) => Value::Numeric(digits),
        wit::Value::Boolean(truth) => Value::Boolean(truth),
        wit::Value::TimestampMs(ms) => Value::TimestampMs(ms),
        wit::Value::Json(document) => Value::Json(document),
    };
    values.into_iter().map(read).collect()
}
