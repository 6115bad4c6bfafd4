//! Cells of a projection's tables as texts: those that a component gives and those that the database holds.
//!
//! Every cell crosses to the database as text and is cast there. This module checks that the column can hold it. It
//! runs no statement.

use std::collections::BTreeMap;

use super::ProjectionError;
use clearfold_sandbox::{Change, ColumnType, ProjectionColumn, Projector, Row, RowKey, Table, Value};

/// A key or a row as texts of the database.
pub(super) type Cells = Vec<Option<String>>;

/// Rows in memory, by table and key.
pub(super) type Rows = BTreeMap<String, BTreeMap<Cells, Vec<Value>>>;

/// Key of a change, and the whole row unless it is a deletion.
pub(super) fn keyed(
    projector: &Projector,
    change: Change,
) -> Result<((String, Cells), Option<Cells>), ProjectionError> {
    match change {
        Change::Delete(RowKey { table, key }) => {
            let declared = declared(projector, "project", &table)?;
            let key = cells(projector, "project", declared, key_columns(declared), key)?;
            Ok(((table, key), None))
        }
        Change::Upsert(Row { table, values }) => {
            let declared = declared(projector, "project", &table)?;
            let row = cells(projector, "project", declared, declared.columns.iter(), values)?;
            let of_key = |key: &ProjectionColumn| {
                let mut cells = declared.columns.iter().zip(&row);
                cells.find(|(column, _)| column.name == key.name).and_then(|(_, cell)| cell.clone())
            };
            let key = key_columns(declared).map(of_key).collect();
            Ok(((table, key), Some(row)))
        }
    }
}

/// Finds the declared table that a component names.
pub(super) fn declared<'a>(
    projector: &'a Projector,
    call: &'static str,
    name: &str,
) -> Result<&'a Table, ProjectionError> {
    let table = projector.descriptor().tables.iter().find(|table| table.name == name);
    table.ok_or_else(|| projector.nonsense(call, format!("it has no table `{name}`")).into())
}

/// Columns of a table's primary key, in its order; they were found in the table when the component was loaded.
pub(super) fn key_columns(table: &Table) -> impl Iterator<Item = &ProjectionColumn> + Clone {
    table.primary_key.iter().filter_map(|name| table.columns.iter().find(|column| column.name == *name))
}

/// Converts values to texts, and checks each against its column.
pub(super) fn cells<'a>(
    projector: &Projector,
    call: &'static str,
    table: &Table,
    columns: impl Iterator<Item = &'a ProjectionColumn> + Clone,
    values: Vec<Value>,
) -> Result<Cells, ProjectionError> {
    let count = columns.clone().count();
    if values.len() != count {
        let why = format!("{} values for {count} columns of `{}`", values.len(), table.name);
        return Err(projector.nonsense(call, why).into());
    }
    let cell = |(column, value): (&ProjectionColumn, Value)| {
        text(column.type_, column.nullable, value).ok_or_else(|| {
            projector.nonsense(call, format!("a wrong value for `{}.{}`", table.name, column.name)).into()
        })
    };
    columns.zip(values).map(cell).collect()
}

fn text(kind: ColumnType, nullable: bool, value: Value) -> Option<Option<String>> {
    Some(Some(match (kind, value) {
        (_, Value::Null) if nullable => return Some(None),
        (ColumnType::Text, Value::Text(text)) if !text.contains('\0') => text,
        (ColumnType::Integer, Value::Integer(number)) => number.to_string(),
        (ColumnType::Numeric, Value::Numeric(digits)) if is_whole(&digits) => digits,
        (ColumnType::Boolean, Value::Boolean(truth)) => truth.to_string(),
        (ColumnType::Timestamp, Value::TimestampMs(ms)) => {
            clearfold_kernel::Timestamp::from_ms(ms)?.to_string()
        }
        (ColumnType::Json, Value::Json(document)) => {
            // jsonb holds no zero character, not even an escaped one.
            serde_json::from_str::<serde_json::Value>(&document).ok()?;
            (!document.contains(r"\u0000")).then_some(document)?
        }
        _ => return None,
    }))
}

fn is_whole(digits: &str) -> bool {
    let digits = digits.strip_prefix('-').unwrap_or(digits);
    !digits.is_empty() && digits.len() <= 77 && digits.bytes().all(|digit| digit.is_ascii_digit())
}

/// Converts texts of the database to values; times come as milliseconds.
pub(super) fn values(table: &Table, cells: Cells) -> Result<Vec<Value>, sqlx::Error> {
    let read = |(column, cell): (&ProjectionColumn, Option<String>)| {
        let Some(cell) = cell else { return Ok(Value::Null) };
        value(column.type_, cell).ok_or_else(|| sqlx::Error::ColumnDecode {
            index: column.name.clone(),
            source: "not a cell".into(),
        })
    };
    table.columns.iter().zip(cells).map(read).collect()
}

fn value(kind: ColumnType, cell: String) -> Option<Value> {
    Some(match kind {
        ColumnType::Text => Value::Text(cell),
        ColumnType::Integer => Value::Integer(cell.parse().ok()?),
        ColumnType::Numeric => Value::Numeric(cell),
        ColumnType::Boolean => Value::Boolean(cell == "true"),
        ColumnType::Timestamp => Value::TimestampMs(cell.parse().ok()?),
        ColumnType::Json => Value::Json(cell),
    })
}

/// Key of a row as it is stored.
pub(super) fn stored_key(table: &Table, values: &[Value]) -> Option<Cells> {
    let cell = |name: &String| {
        let index = table.columns.iter().position(|column| column.name == *name)?;
        let column = table.columns.get(index)?;
        text(column.type_, column.nullable, values.get(index)?.clone())
    };
    table.primary_key.iter().map(cell).collect()
}

/// Converts a value to its canonical text, so that equal values are equal: the database keeps numbers and documents by
/// value.
pub(super) fn canonical(value: Value) -> Value {
    match value {
        Value::Numeric(digits) => Value::Numeric(canonical_number(&digits)),
        Value::Json(document) => match serde_json::from_str::<serde_json::Value>(&document) {
            Ok(read) => Value::Json(read.to_string()),
            Err(_) => Value::Json(document),
        },
        other => other,
    }
}

fn canonical_number(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    match digits.trim_start_matches('0') {
        "" if digits.is_empty() => sign.to_owned(),
        "" => "0".to_owned(),
        significant => format!("{sign}{significant}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_and_documents_have_one_writing() {
        for (given, one) in [("007", "7"), ("-0", "0"), ("000", "0"), ("-012", "-12"), ("", ""), ("x", "x")] {
            assert_eq!(canonical(Value::Numeric(given.into())), Value::Numeric(one.into()));
        }
        let stored = Value::Json(r#"{"b": [1, 2], "aa": null}"#.into());
        let given = Value::Json(r#"{"aa":null,"b":[1,2]}"#.into());
        assert_eq!(canonical(stored), canonical(given));
        assert_ne!(canonical(Value::Json("1".into())), canonical(Value::Json("\"1\"".into())));
    }
}
