//! A projection's tables: from the component's declaration to SQL.
//!
//! Names were checked when the component was loaded: lower-case letters, digits and underscores. They are quoted
//! all the same.

use clearfold_kernel::Timestamp;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Transaction};

use super::ProjectionError;
use crate::database::database_time;
use crate::runtime::{ColumnRule, ColumnType, ProjectionDescriptor, Table};

/// What marks a schema as ours to drop.
const MARK: &str = "Made by clearfold from what a projector declares. Dropped and built again at will.";

/// A projection's tables, as this host's component declares them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Declaration {
    name: String,
    version: i32,
    ddl: String,
}

impl Declaration {
    pub(super) fn of(descriptor: &ProjectionDescriptor) -> Self {
        let version = i32::try_from(descriptor.version).unwrap_or(i32::MAX);
        Self { name: descriptor.name.clone(), version, ddl: ddl(descriptor) }
    }

    /// Makes the tables if they are not there, or are of an older version. Returns whether they were made.
    pub(super) async fn prepare(&self, pool: &PgPool, now: Timestamp) -> Result<bool, ProjectionError> {
        let mut transaction = pool.begin().await?;
        // Two hosts that start together must not both make the tables.
        let lock = "SELECT pg_advisory_xact_lock(hashtext('clearfold projections'))";
        sqlx::query(lock).execute(&mut *transaction).await?;
        let known = sqlx::query!("SELECT version, declaration FROM projections WHERE name = $1", self.name);
        if let Some(known) = known.fetch_optional(&mut *transaction).await? {
            let projection = self.name.clone();
            if known.version > self.version {
                return Err(ProjectionError::Older {
                    projection,
                    stored: known.version,
                    declared: self.version,
                });
            }
            if known.version == self.version {
                let changed = ProjectionError::Changed { projection, version: self.version };
                return if known.declaration == self.ddl { Ok(false) } else { Err(changed) };
            }
        }
        self.make(&mut transaction, now).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn make(
        &self,
        transaction: &mut Transaction<'_, Postgres>,
        now: Timestamp,
    ) -> Result<(), ProjectionError> {
        let mark = sqlx::query_scalar!(
            "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = $1",
            self.name
        );
        let mark = mark.fetch_optional(&mut **transaction).await?;
        if mark.is_some_and(|mark| mark.as_deref() != Some(MARK)) {
            return Err(ProjectionError::ForeignSchema { projection: self.name.clone() });
        }
        let (name, ddl) = (quoted(&self.name), &self.ddl);
        let make = format!(
            "DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}; COMMENT ON SCHEMA {name} IS '{MARK}'; {ddl}"
        );
        sqlx::raw_sql(AssertSqlSafe(make)).execute(&mut **transaction).await?;
        sqlx::query!("DELETE FROM projections WHERE name = $1", self.name)
            .execute(&mut **transaction)
            .await?;
        let inserted = sqlx::query!(
            "INSERT INTO projections (name, version, declaration, created_at) VALUES ($1, $2, $3, $4)",
            self.name,
            self.version,
            self.ddl,
            database_time(now)?,
        );
        inserted.execute(&mut **transaction).await?;
        Ok(())
    }

    /// Says if the tables that are there were not made from this declaration.
    pub(super) async fn expect(&self, connection: &mut PgConnection) -> Result<(), ProjectionError> {
        let made = sqlx::query!("SELECT version, declaration FROM projections WHERE name = $1", self.name);
        let projection = self.name.clone();
        match made.fetch_optional(connection).await? {
            None => Err(ProjectionError::NotBuilt { projection }),
            Some(made) if made.version == self.version && made.declaration == self.ddl => Ok(()),
            Some(_) => Err(ProjectionError::OtherTables { projection }),
        }
    }

    /// Keeps the tables as they were declared until the transaction ends, or says that they are others now.
    pub(super) async fn hold(
        &self,
        transaction: &mut Transaction<'_, Postgres>,
    ) -> Result<(), ProjectionError> {
        let same = sqlx::query_scalar!(
            "SELECT name FROM projections WHERE name = $1 AND version = $2 AND declaration = $3 FOR SHARE",
            self.name,
            self.version,
            self.ddl,
        );
        match same.fetch_optional(&mut **transaction).await? {
            Some(_) => Ok(()),
            None => Err(ProjectionError::Replaced { projection: self.name.clone() }),
        }
    }
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
