//! Compares a table of the read store with the one that the log makes, cell by cell. Pure.

use std::collections::BTreeMap;

use clearfold_kernel::Timestamp;

use super::cells::Cells;
use clearfold_sandbox::{Table, Value};

/// Number of characters of a value that are shown.
const SHOWN_CHARS: usize = 120;

/// A cell that is another one in the read store than by the log, or a row too many or too few.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowDifference {
    table: String,
    key: Cells,
    /// Text with projection, table, key and column, and both values.
    pub detail: String,
}

impl RowDifference {
    /// Name of the table, and key of the row.
    pub(super) fn row(&self) -> (String, Cells) {
        (self.table.clone(), self.key.clone())
    }
}

/// Compares a table as stored with the one that the log makes.
pub(super) fn between(
    projection: &str,
    table: &Table,
    stored: &BTreeMap<Cells, Vec<Value>>,
    replayed: &BTreeMap<Cells, Vec<Value>>,
    found: &mut impl FnMut(RowDifference),
) {
    let mut say = |key: &Cells, what: String| {
        let detail = format!("{projection}.{}, {}: {what}", table.name, key_text(table, key));
        found(RowDifference { table: table.name.clone(), key: key.clone(), detail });
    };
    for (key, by_log) in replayed {
        let Some(held) = stored.get(key) else {
            say(key, format!("the row is missing; by the log it is {}", row_text(table, by_log)));
            continue;
        };
        for ((column, held), by_log) in table.columns.iter().zip(held).zip(by_log) {
            if held != by_log {
                let (held, by_log) = (shown(held), shown(by_log));
                say(key, format!("{} is {held} in the read store and {by_log} by the log", column.name));
            }
        }
    }
    for (key, held) in stored.iter().filter(|(key, _)| !replayed.contains_key(*key)) {
        say(key, format!("no event made this row: {}", row_text(table, held)));
    }
}

fn key_text(table: &Table, key: &Cells) -> String {
    let cell =
        |(name, cell): (&String, &Option<String>)| format!("{name} {}", cell.as_deref().unwrap_or("null"));
    table.primary_key.iter().zip(key).map(cell).collect::<Vec<_>>().join(", ")
}

fn row_text(table: &Table, values: &[Value]) -> String {
    let cells = table.columns.iter().zip(values);
    cells.map(|(column, value)| format!("{} {}", column.name, shown(value))).collect::<Vec<_>>().join(", ")
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => "null".to_owned(),
        Value::Text(text) => format!("{text:?}"),
        Value::Integer(number) => number.to_string(),
        Value::Numeric(digits) => digits.clone(),
        Value::Boolean(truth) => truth.to_string(),
        Value::TimestampMs(ms) => {
            Timestamp::from_ms(*ms).map_or_else(|| format!("{ms} ms"), |at| at.to_string())
        }
        Value::Json(document) => document.clone(),
    };
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clearfold_sandbox::{ColumnType, ProjectionColumn};

    fn table() -> Table {
        let column =
            |name: &str, type_| ProjectionColumn { name: name.into(), type_, nullable: true, rule: None };
        Table {
            name: "payment".into(),
            columns: vec![column("id", ColumnType::Text), column("minor", ColumnType::Numeric)],
            primary_key: vec!["id".into()],
            indexes: Vec::new(),
        }
    }

    fn rows(rows: &[(&str, &str)]) -> BTreeMap<Cells, Vec<Value>> {
        let row = |(id, minor): &(&str, &str)| {
            let values = vec![Value::Text((*id).into()), Value::Numeric((*minor).into())];
            (vec![Some((*id).to_owned())], values)
        };
        rows.iter().map(row).collect()
    }

    fn details(stored: &[(&str, &str)], replayed: &[(&str, &str)]) -> Vec<String> {
        let mut details = Vec::new();
        between("payments", &table(), &rows(stored), &rows(replayed), &mut |difference| {
            details.push(difference.detail);
        });
        details
    }

    #[test]
    fn what_is_the_same_is_not_mentioned() {
        assert!(details(&[("a", "5"), ("b", "6")], &[("a", "5"), ("b", "6")]).is_empty());
    }

    #[test]
    fn a_cell_is_named_with_both_values() {
        assert_eq!(
            details(&[("a", "5")], &[("a", "8")]),
            ["payments.payment, id a: minor is 5 in the read store and 8 by the log"]
        );
    }

    #[test]
    fn rows_too_few_and_too_many_are_named_whole() {
        assert_eq!(
            details(&[("a", "5")], &[("b", "8")]),
            [
                "payments.payment, id b: the row is missing; by the log it is id \"b\", minor 8",
                "payments.payment, id a: no event made this row: id \"a\", minor 5",
            ]
        );
    }

    #[test]
    fn a_long_value_is_cut() {
        let long = shown(&Value::Text("é".repeat(500)));
        assert!(long.chars().count() == SHOWN_CHARS + 1 && long.ends_with('…'), "{long}");
    }
}
