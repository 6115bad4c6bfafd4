//! The shape of a projector: the tables it owns, and how events change their rows.

use crate::{Minor, Timestamp};

/// Builds tables out of events. Never reads anything but the rows that it asked for.
pub trait Projector {
    /// Name, version and tables.
    fn describe() -> ProjectionDescriptor;

    /// The rows that these events need to see.
    fn keys(events: &[RecordedEvent]) -> Result<Vec<RowKey>, String>;

    /// The changes that these events make to those rows.
    fn project(events: &[RecordedEvent], rows: Vec<Row>) -> Result<Vec<Change>, String>;
}

/// What a projection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectionDescriptor {
    /// Also the name of its database schema.
    pub name: &'static str,
    /// Raised when the tables change: the projection is then rebuilt.
    pub version: u32,
    /// The tables it owns.
    pub tables: Vec<Table>,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Within the projection's schema.
    pub name: &'static str,
    /// In order; rows carry their values in the same.
    pub columns: Vec<Column>,
    /// Columns that identify a row.
    pub primary_key: Vec<&'static str>,
    /// Further indexes.
    pub indexes: Vec<Vec<&'static str>>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Within the table.
    pub name: &'static str,
    /// What it holds.
    pub kind: ColumnType,
    /// Whether it may be empty.
    pub nullable: bool,
    /// What the database checks of it.
    pub rule: Option<ColumnRule>,
}

impl Column {
    /// A column that is never empty.
    #[must_use]
    pub const fn new(name: &'static str, kind: ColumnType) -> Self {
        Self { name, kind, nullable: false, rule: None }
    }

    /// The same, held to a rule by the database.
    #[must_use]
    pub fn with(mut self, rule: ColumnRule) -> Self {
        self.rule = Some(rule);
        self
    }

    /// The same, but it may be empty.
    #[must_use]
    pub const fn nullable(mut self) -> Self {
        self.nullable = true;
        self
    }
}

/// What a column holds.
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

/// A rule that stands in the database beside the code that keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnRule {
    /// Zero or more.
    NonNegative,
    /// One or more.
    Positive,
    /// One of these words.
    OneOf(Vec<&'static str>),
}

/// A cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Empty.
    Null,
    /// Text.
    Text(String),
    /// An integer.
    Integer(i64),
    /// Decimal digits, perhaps behind a sign.
    Numeric(String),
    /// True or false.
    Boolean(bool),
    /// Milliseconds since the epoch.
    TimestampMs(u64),
    /// The document's text.
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

/// An event as the log holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// The part of the log.
    pub partition: u32,
    /// Gapless in the partition, from 1.
    pub position: u64,
    /// `{aggregate}-{id}`.
    pub stream: String,
    /// Gapless in the stream, from 1.
    pub stream_version: u64,
    /// A UUID.
    pub event_id: String,
    /// A UUID shared by all that one outside cause brought about.
    pub correlation_id: String,
    /// The event's name.
    pub kind: String,
    /// The version of the payload's schema.
    pub schema_version: u32,
    /// The host's clock when it was appended.
    pub recorded_at: Timestamp,
    /// JSON.
    pub payload: Vec<u8>,
}

/// Which row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowKey {
    /// The table.
    pub table: String,
    /// The primary key's values.
    pub key: Vec<Value>,
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The table.
    pub table: String,
    /// All columns' values in order.
    pub values: Vec<Value>,
}

/// What happens to a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Insert or replace.
    Upsert(Row),
    /// Delete, if it is there.
    Delete(RowKey),
}
