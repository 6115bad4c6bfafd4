//! In-memory tables of a projection, checked against their declaration as a database would do it.

use std::collections::{BTreeMap, BTreeSet};

use clearfold_kernel::{Change, ColumnType, Row, RowKey, Timestamp, Value as Cell};
use serde_json::{Map, Value};

use crate::difference::differences;

/// Table as its projector declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Name within the projection.
    pub name: String,
    /// Columns, in the order of a row's values.
    pub columns: Vec<Column>,
    /// Names of the columns that identify a row.
    pub primary_key: Vec<String>,
}

/// Column as its projector declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Name within the table.
    pub name: String,
    /// Type of its values.
    pub kind: ColumnType,
    /// True if it may be null.
    pub nullable: bool,
    /// Constraint that the database enforces; `None` if there is none.
    pub rule: Option<Rule>,
}

/// Constraint on the values of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// Zero or more.
    NonNegative,
    /// One or more.
    Positive,
    /// One of these words.
    OneOf(Vec<String>),
}

/// Rows by table and key. A key is the JSON text of its values.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Tables(BTreeMap<String, BTreeMap<String, Row>>);

impl Tables {
    /// Returns the existing rows among these keys, each once.
    pub(crate) fn fetch(&self, declared: &[Table], keys: &[RowKey]) -> Result<Vec<Row>, String> {
        let mut found = BTreeMap::new();
        for RowKey { table, key } in keys {
            let key = find(declared, table)?.key_text(key)?;
            if let Some(row) = self.0.get(table).and_then(|rows| rows.get(&key)) {
                found.insert((table, key), row.clone());
            }
        }
        Ok(found.into_values().collect())
    }

    /// Applies changes in order. If a row is changed several times, the last change counts.
    pub(crate) fn apply(&mut self, declared: &[Table], changes: Vec<Change>) -> Result<(), String> {
        for change in changes {
            match change {
                Change::Delete(RowKey { table, key }) => {
                    let key = find(declared, &table)?.key_text(&key)?;
                    self.0.entry(table).or_default().remove(&key);
                }
                Change::Upsert(row) => {
                    let table = find(declared, &row.table)?;
                    let written = table.written(&row)?;
                    self.0.entry(row.table.clone()).or_default().insert(table.key_of(&written)?, row);
                }
            }
        }
        Ok(())
    }

    /// Returns the differences from the expected rows: only the columns that those name are compared, but over all
    /// rows of their tables.
    pub(crate) fn differences(
        &self,
        declared: &[Table],
        expected: &BTreeMap<String, Vec<Map<String, Value>>>,
    ) -> Vec<String> {
        let tables = expected.iter().map(|(name, rows)| {
            let table = find(declared, name)?;
            table.differences(self.0.get(name).unwrap_or(&BTreeMap::new()), rows)
        });
        tables.flat_map(|found| found.unwrap_or_else(|error| vec![error])).collect()
    }
}

impl Table {
    fn differences(
        &self,
        rows: &BTreeMap<String, Row>,
        expected: &[Map<String, Value>],
    ) -> Result<Vec<String>, String> {
        let mut found = Vec::new();
        let mut named = BTreeSet::new();
        for expected in expected {
            let key = self.key_of(expected)?;
            let place = format!("{} {key}", self.name);
            if let Some(unknown) = expected.keys().find(|name| self.column(name).is_none()) {
                return Err(format!("{place}: the table has no column `{unknown}`"));
            }
            match rows.get(&key) {
                None => found.push(format!("{place}: expected a row, got none")),
                Some(row) => {
                    let mut written = self.written(row)?;
                    written.retain(|name, _| expected.contains_key(name));
                    let (expected, written) = (expected.clone().into(), written.into());
                    found.extend(differences(&place, &expected, &written));
                }
            }
            if !named.insert(key) {
                found.push(format!("{place}: the expected rows name it twice"));
            }
        }
        for (key, row) in rows.iter().filter(|(key, _)| !named.contains(*key)) {
            let written = Value::from(self.written(row)?);
            found.push(format!("{} {key}: expected no such row, got {written}", self.name));
        }
        Ok(found)
    }

    fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Converts a row to a map by column name, as a specification would write it.
    fn written(&self, row: &Row) -> Result<Map<String, Value>, String> {
        if row.values.len() != self.columns.len() {
            let (values, columns) = (row.values.len(), self.columns.len());
            return Err(format!("a row of `{}` has {values} values for {columns} columns", self.name));
        }
        let cells = self.columns.iter().zip(&row.values);
        cells.map(|(column, cell)| Ok((column.name.clone(), self.cell(column, cell)?))).collect()
    }

    fn cell(&self, column: &Column, cell: &Cell) -> Result<Value, String> {
        column
            .written(cell)
            .filter(|value| value.is_null() || column.rule.as_ref().is_none_or(|rule| rule.allows(value)))
            .ok_or_else(|| format!("`{}.{}` may not hold {cell:?}", self.name, column.name))
    }

    fn key_of(&self, row: &Map<String, Value>) -> Result<String, String> {
        let value = |name: &String| {
            let value = row.get(name).cloned();
            value.ok_or_else(|| format!("a row of `{}` must name its key column `{name}`", self.name))
        };
        let key: Value = self.primary_key.iter().map(value).collect::<Result<_, _>>()?;
        Ok(key.to_string())
    }

    fn key_text(&self, key: &[Cell]) -> Result<String, String> {
        if key.len() != self.primary_key.len() {
            return Err(format!("a key of `{}` has {} values", self.name, key.len()));
        }
        let columns = self.primary_key.iter().filter_map(|name| self.column(name));
        let key: Value =
            columns.zip(key).map(|(column, cell)| self.cell(column, cell)).collect::<Result<_, _>>()?;
        Ok(key.to_string())
    }
}

impl Column {
    /// Converts a cell to JSON: amounts as digits, times as RFC 3339. `None` if it does not fit the column.
    fn written(&self, cell: &Cell) -> Option<Value> {
        Some(match (self.kind, cell) {
            (_, Cell::Null) if self.nullable => Value::Null,
            (ColumnType::Text, Cell::Text(text)) => text.as_str().into(),
            (ColumnType::Integer, Cell::Integer(number)) => (*number).into(),
            (ColumnType::Numeric, Cell::Numeric(digits)) if is_whole(digits) => digits.as_str().into(),
            (ColumnType::Boolean, Cell::Boolean(truth)) => (*truth).into(),
            (ColumnType::Timestamp, Cell::TimestampMs(ms)) => Timestamp::from_ms(*ms)?.to_string().into(),
            (ColumnType::Json, Cell::Json(document)) => serde_json::from_str(document).ok()?,
            _ => return None,
        })
    }
}

impl Rule {
    fn allows(&self, value: &Value) -> bool {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let is_zero = text.bytes().all(|digit| digit == b'0');
        match self {
            Self::NonNegative => !text.starts_with('-'),
            Self::Positive => !text.starts_with('-') && !is_zero,
            Self::OneOf(words) => words.contains(&text),
        }
    }
}

fn is_whole(digits: &str) -> bool {
    let digits = digits.strip_prefix('-').unwrap_or(digits);
    (1..=77).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit())
}

fn find<'a>(declared: &'a [Table], name: &str) -> Result<&'a Table, String> {
    let table = declared.iter().find(|table| table.name == name);
    table.ok_or_else(|| {
        let names: Vec<&str> = declared.iter().map(|table| table.name.as_str()).collect();
        format!("there is no table `{name}`, only {}", names.join(", "))
    })
}
