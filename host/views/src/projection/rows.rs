//! Fetches and changes rows of a projection's tables, many in one statement.
//!
//! Every cell crosses as text and is cast by the database, so one kind of statement serves every declaration.

use std::collections::BTreeMap;

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::ProjectionError;
use super::cells::{Cells, cells, declared, keyed, values};
use super::tables::{qualified, quoted, quoted_list, sql_type};
use clearfold_sandbox::{Change, ColumnType, ProjectionColumn, Projector, Row, RowKey, Table, Value};

/// Fetches the existing rows among the keys that the component asked for, each once.
pub(super) async fn fetch(
    connection: &mut PgConnection,
    schema: &str,
    projector: &Projector,
    keys: Vec<RowKey>,
) -> Result<Vec<Row>, ProjectionError> {
    let mut by_table: BTreeMap<String, Vec<Cells>> = BTreeMap::new();
    for RowKey { table, key } in keys {
        let declared = declared(projector, "keys", &table)?;
        let cells = cells(projector, "keys", declared, &declared.primary_key, key)?;
        by_table.entry(table).or_default().push(cells);
    }
    let mut rows = Vec::new();
    for (name, mut keys) in by_table {
        keys.sort();
        keys.dedup();
        let table = declared(projector, "keys", &name)?;
        let statement = select(schema, table);
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for column in transposed(table.primary_key.len(), keys) {
            query = query.bind(column);
        }
        for row in query.fetch_all(&mut *connection).await? {
            rows.push(Row { table: name.clone(), values: read_row(table, &row)? });
        }
    }
    Ok(rows)
}

/// Writes a component's changes. If a row is changed several times, the last change counts.
pub(super) async fn apply(
    transaction: &mut PgConnection,
    schema: &str,
    projector: &Projector,
    changes: Vec<Change>,
) -> Result<(), ProjectionError> {
    let mut last: BTreeMap<(String, Cells), Option<Cells>> = BTreeMap::new();
    for change in changes {
        let (key, row) = keyed(projector, change)?;
        last.insert(key, row);
    }
    let mut upserts: BTreeMap<&str, Vec<Cells>> = BTreeMap::new();
    let mut deletes: BTreeMap<&str, Vec<Cells>> = BTreeMap::new();
    for ((table, key), row) in &last {
        match row {
            Some(row) => upserts.entry(table).or_default().push(row.clone()),
            None => deletes.entry(table).or_default().push(key.clone()),
        }
    }
    for (name, rows) in upserts {
        let table = declared(projector, "project", name)?;
        execute(transaction, upsert(schema, table), table.columns.len(), rows).await?;
    }
    for (name, keys) in deletes {
        let table = declared(projector, "project", name)?;
        execute(transaction, delete(schema, table), table.primary_key.len(), keys).await?;
    }
    Ok(())
}

async fn execute(
    transaction: &mut PgConnection,
    statement: String,
    width: usize,
    rows: Vec<Cells>,
) -> Result<(), sqlx::Error> {
    let mut query = sqlx::query(AssertSqlSafe(statement));
    for column in transposed(width, rows) {
        query = query.bind(column);
    }
    query.execute(transaction).await?;
    Ok(())
}

/// Transposes rows to columns, as UNNEST takes them.
fn transposed(width: usize, rows: Vec<Cells>) -> Vec<Vec<Option<String>>> {
    let mut columns = vec![Vec::with_capacity(rows.len()); width];
    for row in rows {
        for (column, cell) in columns.iter_mut().zip(row) {
            column.push(cell);
        }
    }
    columns
}

/// `$1::text[], $2::text[], …` and `(c1::bigint, c2::text, …)` for some columns.
fn unnested(table: &Table, names: &[String]) -> (String, String) {
    let arrays = (1..=names.len()).map(|number| format!("${number}::text[]")).collect::<Vec<_>>().join(", ");
    let cast = |(number, name): (usize, &String)| {
        let kind = table.columns.iter().find(|column| column.name == *name).map(|column| column.type_);
        format!("c{number}::{}", sql_type(kind.unwrap_or(ColumnType::Text)))
    };
    let casts = (1..).zip(names).map(cast).collect::<Vec<_>>().join(", ");
    let aliases = (1..=names.len()).map(|number| format!("c{number}")).collect::<Vec<_>>().join(", ");
    (format!("UNNEST({arrays}) AS given({aliases})"), casts)
}

/// Selects all columns as texts: times as milliseconds, all others in their own text form.
pub(super) fn columns(table: &Table) -> String {
    let read = |column: &ProjectionColumn| match column.type_ {
        ColumnType::Timestamp => {
            format!("(extract(epoch FROM {}) * 1000)::bigint::text", quoted(&column.name))
        }
        _ => format!("{}::text", quoted(&column.name)),
    };
    table.columns.iter().map(read).collect::<Vec<_>>().join(", ")
}

fn select(schema: &str, table: &Table) -> String {
    let columns = columns(table);
    let (given, casts) = unnested(table, &table.primary_key);
    format!(
        "SELECT {columns} FROM {} WHERE ({}) IN (SELECT {casts} FROM {given})",
        qualified(schema, &table.name),
        quoted_list(&table.primary_key),
    )
}

fn upsert(schema: &str, table: &Table) -> String {
    let names: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
    let (given, casts) = unnested(table, &names);
    let others = names.iter().filter(|name| !table.primary_key.contains(name));
    let set = others.map(|name| format!("{0} = EXCLUDED.{0}", quoted(name))).collect::<Vec<_>>().join(", ");
    let on_conflict = if set.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {set}") };
    format!(
        "INSERT INTO {} ({}) SELECT {casts} FROM {given} ON CONFLICT ({}) DO {on_conflict}",
        qualified(schema, &table.name),
        quoted_list(&names),
        quoted_list(&table.primary_key),
    )
}

fn delete(schema: &str, table: &Table) -> String {
    let (given, casts) = unnested(table, &table.primary_key);
    format!(
        "DELETE FROM {} WHERE ({}) IN (SELECT {casts} FROM {given})",
        qualified(schema, &table.name),
        quoted_list(&table.primary_key),
    )
}

/// Reads a row of a statement that selects [`columns`].
pub(super) fn read_row(table: &Table, row: &PgRow) -> Result<Vec<Value>, sqlx::Error> {
    let cells: Cells = (0..table.columns.len()).map(|index| row.try_get(index)).collect::<Result<_, _>>()?;
    values(table, cells)
}
