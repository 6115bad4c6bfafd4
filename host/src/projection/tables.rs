//! A projection's tables: from the component's declaration to SQL.
//!
//! Names were checked when the component was loaded: lower-case letters, digits and underscores. They are quoted
//! all the same.

use clearfold_kernel::Timestamp;
use sqlx::{AssertSqlSafe, PgPool};

use super::ProjectionError;
use crate::database::database_time;
use crate::runtime::{ColumnRule, ColumnType, ProjectionDescriptor, Table};

/// Makes the tables if they are not there as declared. Returns whether they were made.
pub(super) async fn prepare(
    pool: &PgPool,
    descriptor: &ProjectionDescriptor,
    now: Timestamp,
) -> Result<bool, ProjectionError> {
    let ddl = ddl(descriptor);
    let version = i32::try_from(descriptor.version).unwrap_or(i32::MAX);
    let mut transaction = pool.begin().await?;
    let known = sqlx::query!(
        "SELECT version, declaration FROM projections WHERE name = $1 FOR UPDATE",
        descriptor.name
    );
    let known = known.fetch_optional(&mut *transaction).await?;
    if known.is_some_and(|known| known.version == version && known.declaration == ddl) {
        return Ok(false);
    }
    let name = quoted(&descriptor.name);
    let rebuild = format!("DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}; {ddl}");
    sqlx::raw_sql(AssertSqlSafe(rebuild)).execute(&mut *transaction).await?;
    sqlx::query!("DELETE FROM projections WHERE name = $1", descriptor.name)
        .execute(&mut *transaction)
        .await?;
    let inserted = sqlx::query!(
        "INSERT INTO projections (name, version, declaration, created_at) VALUES ($1, $2, $3, $4)",
        descriptor.name,
        version,
        ddl,
        database_time(now)?,
    );
    inserted.execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(true)
}

/// The table's full name.
pub(super) fn qualified(projection: &str, table: &str) -> String {
    format!("{}.{}", quoted(projection), quoted(table))
}

pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(super) fn quoted_list(names: &[String]) -> String {
    names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
}

pub(super) const fn sql_type(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Text => "text",
        ColumnType::Integer => "bigint",
        ColumnType::Numeric => "numeric(78, 0)",
        ColumnType::Boolean => "boolean",
        ColumnType::Timestamp => "timestamptz",
        ColumnType::Json => "jsonb",
    }
}

fn ddl(descriptor: &ProjectionDescriptor) -> String {
    descriptor.tables.iter().map(|table| table_ddl(&descriptor.name, table)).collect()
}

fn table_ddl(projection: &str, table: &Table) -> String {
    let full_name = qualified(projection, &table.name);
    let columns = table.columns.iter().map(|column| {
        let name = quoted(&column.name);
        let null = if column.nullable { "" } else { " NOT NULL" };
        let check = match &column.rule {
            None => String::new(),
            Some(ColumnRule::NonNegative) => format!(" CHECK ({name} >= 0)"),
            Some(ColumnRule::Positive) => format!(" CHECK ({name} > 0)"),
            Some(ColumnRule::OneOf(words)) => {
                let words: Vec<String> =
                    words.iter().map(|word| format!("'{}'", word.replace('\'', "''"))).collect();
                format!(" CHECK ({name} IN ({}))", words.join(", "))
            }
        };
        format!("{name} {}{null}{check}, ", sql_type(column.type_))
    });
    let columns: String = columns.collect();
    let indexes: String = table
        .indexes
        .iter()
        .map(|index| format!("CREATE INDEX ON {full_name} ({}); ", quoted_list(index)))
        .collect();
    format!(
        "CREATE TABLE {full_name} ({columns}PRIMARY KEY ({})); {indexes}",
        quoted_list(&table.primary_key)
    )
}
