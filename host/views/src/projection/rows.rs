//! Fetches and changes rows of a projection's tables, all of a batch in one statement.
//!
//! Every cell crosses as text and is cast by the database, so one kind of statement serves every declaration.

use std::collections::BTreeMap;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Postgres, QueryBuilder, Row as _};

use super::ProjectionError;
use super::cells::{Cells, cells, declared, key_columns, keyed, values};
use super::tables::{Declaration, qualified, quoted, quoted_list, sql_type};
use clearfold_base::database::{partition_key, signed};
use clearfold_sandbox::{Change, ColumnType, ProjectionColumn, Projector, Row, RowKey, Table, Value};

/// Move of a checkpoint in one partition, from the position at which this process believes it to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CheckpointMove {
    pub partition: u32,
    pub from: u64,
    pub to: u64,
}

/// Outcome of a write. Unless it is done, the caller's transaction must be rolled back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    Done,
    /// The tables belong to another component, or somebody is about to give them to one.
    NotHeld,
    /// Another process has moved the checkpoint in this partition.
    Overtaken {
        partition: u32,
    },
}

/// Changes of one table: rows to insert or to replace, and keys of rows to remove.
#[derive(Default)]
struct Changed {
    rows: Vec<Cells>,
    keys: Vec<Cells>,
}

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
        let cells = cells(projector, "keys", declared, key_columns(declared), key)?;
        by_table.entry(table).or_default().push(cells);
    }
    if by_table.is_empty() {
        return Ok(Vec::new());
    }
    let mut select = QueryBuilder::<Postgres>::default();
    for (index, (name, keys)) in by_table.iter_mut().enumerate() {
        keys.sort();
        keys.dedup();
        select.push(if index == 0 { "" } else { " UNION ALL " });
        push_select(&mut select, schema, declared(projector, "keys", name)?, std::mem::take(keys));
    }
    let mut rows = Vec::new();
    for row in select.build().fetch_all(connection).await? {
        let (table, cells): (String, Cells) = (row.try_get(0)?, row.try_get(1)?);
        let values = values(declared(projector, "keys", &table)?, cells)?;
        rows.push(Row { table, values });
    }
    Ok(rows)
}

/// Pushes a selection of rows by their keys, each by the index of the primary key: the planner takes a table that nobody
/// has analyzed for a small one, and would read the whole of it for a join.
fn push_select(select: &mut QueryBuilder<Postgres>, schema: &str, table: &Table, keys: Vec<Cells>) {
    // A plain name, checked when the component was loaded.
    select.push(format!("SELECT '{}', found.cells FROM ", table.name));
    let casts = push_given(select, table, &table.primary_key, keys);
    select.push(format!(
        " CROSS JOIN LATERAL (SELECT ARRAY[{}] AS cells FROM {} WHERE ({}) = ({casts}) LIMIT 1) AS found",
        columns(table),
        qualified(schema, &table.name),
        quoted_list(&table.primary_key),
    ));
}

/// Writes a component's changes and moves the checkpoint, in the caller's transaction. If a row is changed several
/// times, the last change counts.
pub(super) async fn write(
    connection: &mut PgConnection,
    tables: &Declaration,
    projector: &Projector,
    moves: &[CheckpointMove],
    changes: Vec<Change>,
) -> Result<Written, ProjectionError> {
    let mut last: BTreeMap<(String, Cells), Option<Cells>> = BTreeMap::new();
    for change in changes {
        let (key, row) = keyed(projector, change)?;
        last.insert(key, row);
    }
    let mut changed: BTreeMap<String, Changed> = BTreeMap::new();
    for ((table, key), row) in last {
        let changed = changed.entry(table).or_default();
        match row {
            Some(row) => changed.rows.push(row),
            None => changed.keys.push(key),
        }
    }
    let mut write = QueryBuilder::<Postgres>::default();
    push_held(&mut write, tables);
    push_moved(&mut write, tables, moves)?;
    // The tables are locked in the order in which the statement names them.
    for (index, (name, Changed { rows, keys })) in changed.into_iter().enumerate() {
        let table = declared(projector, "project", &name)?;
        if !rows.is_empty() {
            write.push(format!(", put_{index} AS ("));
            push_upsert(&mut write, &tables.schema, table, rows);
            write.push(")");
        }
        if !keys.is_empty() {
            write.push(format!(", gone_{index} AS ("));
            push_delete(&mut write, &tables.schema, table, keys);
            write.push(")");
        }
    }
    write.push(" SELECT EXISTS (SELECT FROM held), ARRAY(SELECT partition FROM moved)");
    let row = write.build().fetch_one(connection).await?;
    let (is_held, moved): (bool, Vec<i32>) = (row.try_get(0)?, row.try_get(1)?);
    if !is_held {
        return Ok(Written::NotHeld);
    }
    for CheckpointMove { partition, .. } in moves {
        if !moved.contains(&partition_key(*partition)?) {
            return Ok(Written::Overtaken { partition: *partition });
        }
    }
    Ok(Written::Done)
}

/// Pushes the lock of the tables' row in the book. One that is taken is not waited for: a statement has locked its
/// tables before it begins, and whoever has the row may be about to drop them.
fn push_held(write: &mut QueryBuilder<Postgres>, tables: &Declaration) {
    write.push("WITH held AS (SELECT FROM projections WHERE name = ").push_bind(tables.schema.clone());
    write.push(" AND version = ").push_bind(tables.version);
    write.push(" AND declaration = ").push_bind(tables.declared.clone());
    write.push(" AND digest = ").push_bind(tables.digest.0.to_vec()).push(" FOR SHARE SKIP LOCKED)");
}

/// Pushes the moves of the checkpoint, and whether all of them were made. Only the first checkpoint may be inserted: if a
/// later one is missing, another process has begun anew.
fn push_moved(
    write: &mut QueryBuilder<Postgres>,
    tables: &Declaration,
    moves: &[CheckpointMove],
) -> Result<(), ProjectionError> {
    let (mut partitions, mut from, mut to) = (Vec::new(), Vec::new(), Vec::new());
    for step in moves {
        partitions.push(partition_key(step.partition)?);
        from.push(signed(step.from)?);
        to.push(signed(step.to)?);
    }
    write.push(", given AS (SELECT * FROM UNNEST(").push_bind(partitions).push("::integer[], ");
    write
        .push_bind(from)
        .push("::bigint[], ")
        .push_bind(to)
        .push("::bigint[]) AS given (part, before, after))");
    write.push(", moved AS (INSERT INTO projection_checkpoints AS checkpoint (projection, partition, position) SELECT ");
    write
        .push_bind(tables.schema.clone())
        .push("::text, part, after FROM given WHERE EXISTS (SELECT FROM held)");
    write.push(
        " AND (before = 0 OR EXISTS (SELECT FROM projection_checkpoints AS found WHERE found.projection = ",
    );
    write.push_bind(tables.schema.clone()).push(" AND found.partition = part))");
    write.push(" ON CONFLICT (projection, partition) DO UPDATE SET position = EXCLUDED.position");
    write.push(" WHERE checkpoint.position = (SELECT before FROM given WHERE part = EXCLUDED.partition)");
    write.push(" RETURNING partition)");
    write.push(", complete AS (SELECT FROM moved HAVING count(*) = (SELECT count(*) FROM given))");
    Ok(())
}

fn push_upsert(write: &mut QueryBuilder<Postgres>, schema: &str, table: &Table, rows: Vec<Cells>) {
    let names: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
    let casts = casts(table, &names);
    let (name, list) = (qualified(schema, &table.name), quoted_list(&names));
    write.push(format!("INSERT INTO {name} ({list}) SELECT {casts} FROM "));
    push_given(write, table, &names, rows);
    let others = names.iter().filter(|name| !table.primary_key.contains(name));
    let set = others.map(|name| format!("{0} = EXCLUDED.{0}", quoted(name))).collect::<Vec<_>>().join(", ");
    let on_conflict = if set.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {set}") };
    let key = quoted_list(&table.primary_key);
    write.push(format!(" WHERE EXISTS (SELECT FROM complete) ON CONFLICT ({key}) DO {on_conflict}"));
}

fn push_delete(write: &mut QueryBuilder<Postgres>, schema: &str, table: &Table, keys: Vec<Cells>) {
    let (name, key) = (qualified(schema, &table.name), quoted_list(&table.primary_key));
    write.push(format!("DELETE FROM {name} USING "));
    let casts = push_given(write, table, &table.primary_key, keys);
    write.push(format!(" WHERE ({key}) = ({casts}) AND EXISTS (SELECT FROM complete)"));
}

/// Pushes `UNNEST($1::text[], …)` with the rows' cells for some columns, under a name that no table has. Returns their
/// casts.
fn push_given(sql: &mut QueryBuilder<Postgres>, table: &Table, names: &[String], rows: Vec<Cells>) -> String {
    sql.push("UNNEST(");
    for (index, column) in transposed(names.len(), rows).into_iter().enumerate() {
        sql.push(if index == 0 { "" } else { ", " }).push_bind(column).push("::text[]");
    }
    let aliases = (1..=names.len()).map(|number| format!("\"c {number}\"")).collect::<Vec<_>>().join(", ");
    sql.push(format!(") AS \"the given\" ({aliases})"));
    casts(table, names)
}

/// `"the given"."c 1"::bigint, …` for some columns. Names of tables and columns have no spaces.
fn casts(table: &Table, names: &[String]) -> String {
    let cast = |(number, name): (usize, &String)| {
        let kind = table.columns.iter().find(|column| column.name == *name).map(|column| column.type_);
        format!("\"the given\".\"c {number}\"::{}", sql_type(kind.unwrap_or(ColumnType::Text)))
    };
    (1..).zip(names).map(cast).collect::<Vec<_>>().join(", ")
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

/// Reads a row of a statement that selects [`columns`].
pub(super) fn read_row(table: &Table, row: &PgRow) -> Result<Vec<Value>, sqlx::Error> {
    let cells: Cells = (0..table.columns.len()).map(|index| row.try_get(index)).collect::<Result<_, _>>()?;
    values(table, cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let column = |name: &str| ProjectionColumn {
            name: name.to_owned(),
            type_: ColumnType::Text,
            nullable: false,
            rule: None,
        };
        Table {
            name: "given".into(),
            columns: vec![column("c2"), column("c1")],
            primary_key: vec!["c2".into()],
            indexes: Vec::new(),
        }
    }

    #[test]
    fn the_names_of_what_is_given_are_no_names_of_tables_or_columns() {
        let key = || vec![vec![Some("a".to_owned())]];
        let mut select = QueryBuilder::<Postgres>::default();
        push_select(&mut select, "noting", &table(), key());
        let mut delete = QueryBuilder::<Postgres>::default();
        push_delete(&mut delete, "noting", &table(), key());
        for sql in [select.sql(), delete.sql()] {
            let sql = sql.as_str();
            assert!(sql.contains(r#"UNNEST($1::text[]) AS "the given" ("c 1")"#), "{sql}");
            assert!(sql.contains(r#"("c2") = ("the given"."c 1"::text)"#), "{sql}");
        }
    }
}
