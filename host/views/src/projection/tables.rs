//! A projection's tables: from the component's declaration to SQL.
//!
//! Names were checked when the component was loaded: lower-case letters, digits and underscores. They are quoted
//! all the same. No statement is run here.

use super::ProjectionError;
use clearfold_base::digest::Digest;
use clearfold_sandbox::{ColumnRule, ColumnType, ProjectionDescriptor, Projector, Table};

/// Digits of a digest that name the schema of a build: no other component has them.
const DIGITS: usize = 32;

/// A projection's tables as one component declares them, and the schema in which they lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Declaration {
    /// Also the name under which they stand in the book, with their checkpoints.
    pub schema: String,
    pub projection: String,
    pub digest: Digest,
    pub version: i32,
    /// The tables as they are declared for the place where they are read, wherever they lie now.
    pub declared: String,
    /// What makes them where they lie.
    pub ddl: String,
}

impl Declaration {
    /// The tables that are read.
    pub fn live(projector: &Projector) -> Self {
        Self::new(projector, projector.descriptor().name.clone())
    }

    /// The tables that are built beside those.
    pub fn beside(projector: &Projector) -> Self {
        let digits: String = projector.id().digest.to_string().chars().take(DIGITS).collect();
        Self::new(projector, format!("next {digits}"))
    }

    fn new(projector: &Projector, schema: String) -> Self {
        let descriptor = projector.descriptor();
        Self {
            ddl: ddl(descriptor, &schema),
            declared: ddl(descriptor, &descriptor.name),
            schema,
            projection: descriptor.name.clone(),
            digest: projector.id().digest,
            version: i32::try_from(descriptor.version).unwrap_or(i32::MAX),
        }
    }

    pub fn replaced(&self) -> ProjectionError {
        ProjectionError::Replaced { projection: self.projection.clone() }
    }
}

/// The table's full name.
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
