//! Projector trait: the tables it owns, and how events change their rows.

use crate::{Minor, Timestamp};

/// Builds tables from events. Reads only the rows that it asked for.
pub trait Projector {
    /// Describes the projection: name, version and tables.
    fn describe() -> ProjectionDescriptor;

    /// Returns the keys of the rows that these events need to read.
    fn keys(events: &[RecordedEvent]) -> Result<Vec<RowKey>, String>;

    /// Returns the changes that these events make to those rows.
    fn project(events: &[RecordedEvent], rows: Vec<Row>) -> Result<Vec<Change>, String>;
}

/// Description of a projection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectionDescriptor {
    /// Name of the projection and of its database schema.
    pub name: &'static str,
    /// Version; raise it when the tables change, so that the projection is rebuilt.
    pub version: u32,
    /// Tables that it owns.
    pub tables: Vec<Table>,
    /// Aggregates whose events it is handed; the instances of all sagas are `saga`. Empty: all events.
    pub reads: &'static [&'static str],
}

/// Table of a projection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Name within the projection's schema.
    pub name: &'static str,
    /// Columns; a row's values are in the same order.
    pub columns: Vec<Column>,
    /// Columns that identify a row.
    pub primary_key: Vec<&'static str>,
    /// Further indexes, each a list of columns in order.
    pub indexes: Vec<Vec<&'static str>>,
}

/// Column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Name within the table.
    pub name: &'static str,
    /// Type of its values.
    pub kind: ColumnType,
    /// True if it may be null.
    pub nullable: bool,
    /// Constraint that the database enforces; `None` if there is none.
    pub rule: Option<ColumnRule>,
}

impl Column {
    /// Creates a column that is never null and has no rule.
    #[must_use]
    pub const fn new(name: &'static str, kind: ColumnType) -> Self {
        Self { name, kind, nullable: false, rule: None }
    }

    /// Adds a rule that the database enforces.
    #[must_use]
    pub fn with(mut self, rule: ColumnRule) -> Self {
        self.rule = Some(rule);
        self
    }

    /// Makes the column nullable.
    #[must_use]
    pub const fn nullable(mut self) -> Self {
        self.nullable = true;
        self
    }
}

/// Type of a column's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// Text.
    Text,
    /// A signed 64-bit integer.
    Integer,
    /// A whole number of any size.
    Numeric,
    /// True or false.
    Boolean,
    /// A point in time.
    Timestamp,
    /// A JSON document.
    Json,
}

/// Rule that the database enforces as a constraint, in addition to the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnRule {
    /// Zero or more.
    NonNegative,
    /// One or more.
    Positive,
    /// One of these words.
    OneOf(Vec<&'static str>),
}

/// Value of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// No value.
    Null,
    /// Text.
    Text(String),
    /// An integer.
    Integer(i64),
    /// Decimal digits with an optional minus sign.
    Numeric(String),
    /// True or false.
    Boolean(bool),
    /// Milliseconds since 1970-01-01T00:00:00Z.
    TimestampMs(u64),
    /// Text of a JSON document.
    Json(String),
}

impl From<Minor> for Value {
    fn from(minor: Minor) -> Self {
        Self::Numeric(minor.to_string())
    }
}

impl From<Timestamp> for Value {
    fn from(at: Timestamp) -> Self {
        Self::TimestampMs(at.as_ms())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// Event as the log holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Partition of the log.
    pub partition: u32,
    /// Position in the partition, gapless from 1.
    pub position: u64,
    /// Stream name: `{aggregate}-{id}`.
    pub stream: String,
    /// Version of the stream, gapless from 1.
    pub stream_version: u64,
    /// Id of the event, a UUID.
    pub event_id: String,
    /// Correlation id, a UUID shared by everything that one outside cause led to.
    pub correlation_id: String,
    /// Type name of the event.
    pub kind: String,
    /// Version of the payload's schema.
    pub schema_version: u32,
    /// Time of the append, by the host's clock.
    pub recorded_at: Timestamp,
    /// Payload as JSON.
    pub payload: Vec<u8>,
}

/// Key of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowKey {
    /// Name of the table.
    pub table: String,
    /// Values of the primary key, in the declared order.
    pub key: Vec<Value>,
}

/// Whole row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Name of the table.
    pub table: String,
    /// Values of all columns, in the declared order.
    pub values: Vec<Value>,
}

/// Change of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Inserts the row, or replaces the one with the same key.
    Upsert(Row),
    /// Deletes the row, if it exists.
    Delete(RowKey),
}
