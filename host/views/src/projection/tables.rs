//! Makes SQL of a component's declaration of its tables.
//!
//! Names were checked when the component was loaded: lower-case letters, digits and underscores. They are quoted all
//! the same. No statement is run here.

use super::ProjectionError;
use clearfold_base::digest::Digest;
use clearfold_sandbox::{ColumnRule, ColumnType, ProjectionDescriptor, Projector, Table};

/// Number of digits of a digest in the name of a build's schema: enough to be no other component's.
const DIGITS: usize = 32;

/// A projection's tables as one component declares them, with the schema in which they lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Declaration {
    /// Name of the schema, and of the tables' row in the book and of their checkpoints.
    pub schema: String,
    pub projection: String,
    pub digest: Digest,
    pub version: i32,
    /// SQL that makes the tables where they are read, wherever they lie now. Equal texts are equal declarations.
    pub declared: String,
    /// SQL that makes the tables where they lie.
    pub ddl: String,
}

impl Declaration {
    /// Declaration of the tables that are read.
    pub fn live(projector: &Projector) -> Result<Self, ProjectionError> {
        Self::new(projector, projector.descriptor().name.clone())
    }

    /// Declaration of the tables that are built beside those that are read.
    pub fn beside(projector: &Projector) -> Result<Self, ProjectionError> {
        let digits: String = projector.id().digest.to_string().chars().take(DIGITS).collect();
        Self::new(projector, format!("next {digits}"))
    }

    fn new(projector: &Projector, schema: String) -> Result<Self, ProjectionError> {
        let descriptor = projector.descriptor();
        let version = stored_version(&descriptor.name, descriptor.version)?;
        Ok(Self {
            ddl: ddl(descriptor, &schema),
            declared: ddl(descriptor, &descriptor.name),
            schema,
            projection: descriptor.name.clone(),
            digest: projector.id().digest,
            version,
        })
    }

    /// The error that these tables belong to another component now.
    pub fn replaced(&self) -> ProjectionError {
        ProjectionError::Replaced { projection: self.projection.clone() }
    }
}

/// Converts a declared version for the database.
fn stored_version(projection: &str, version: u32) -> Result<i32, ProjectionError> {
    let too_high = |_| ProjectionError::VersionTooHigh { projection: projection.to_owned(), version };
    i32::try_from(version).map_err(too_high)
}

/// Name of a table with its schema, quoted.
pub(super) fn qualified(schema: &str, table: &str) -> String {
    format!("{}.{}", quoted(schema), quoted(table))
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

fn ddl(descriptor: &ProjectionDescriptor, schema: &str) -> String {
    descriptor.tables.iter().map(|table| table_ddl(schema, table)).collect()
}

fn table_ddl(schema: &str, table: &Table) -> String {
    let full_name = qualified(schema, &table.name);
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

#[cfg(test)]
mod tests {
    use super::stored_version;

    #[test]
    fn a_version_that_the_database_cannot_hold_is_refused_and_not_cut() {
        assert_eq!(stored_version("payments", 2_147_483_647).unwrap(), i32::MAX);
        let error = stored_version("payments", 2_147_483_648).unwrap_err().to_string();
        assert!(error.contains("has version 2147483648"), "{error}");
    }
}
