//! Shared code of the projectors: tables whose rows are types, and iteration over the events of one kind of stream.
//!
//! A table is a struct, made by `table!`. A field's type determines the column's content and the database's check on
//! it: a `Minor` is never negative, a [`Word`] is one of its words, an `Option` may be empty. Each rule is thus
//! written once and holds in the code as in the database.
//!
//! A projector names the rows that it needs by [`RowKey`]s in `keys`; in `project` it finds them in [`Rows`], changes
//! them and puts them back. Both walk over the events with [`each`]. Nothing here knows what a row means, and nothing
//! is tolerated silently: a number that does not fit, a cell that does not belong or a missing row is a [`Misfit`]
//! that names it.

mod cell;
mod net;
mod table;

use std::collections::BTreeMap;

use clearfold_kernel::{
    Change, Message, MoneyError, RecordedEvent, Row, RowKey, Table, Timestamp, Undecodable, Value,
};

pub(crate) use cell::words;
pub use cell::{Cell, Document, Number, Word};
pub use net::{legs, lowered, posted, raised};
pub use table::Record;
pub(crate) use table::{Cells, column, name, table};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Error: an event or a row that does not fit the tables.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// A cell holds a value that its column cannot hold: table, column, value.
    #[error("`{0}.{1}` holds {2:?}, which does not belong there")]
    Cell(&'static str, &'static str, Value),
    /// A row has too few or too many cells.
    #[error("a row of `{0}` has another number of cells than the table")]
    Row(String),
    /// The host returned rows of a table that the projector does not have.
    #[error("rows of `{0}` were not asked for")]
    Table(String),
    /// An event updates a row that no earlier event created.
    #[error("it came before what makes the row of `{0}` that it adds to")]
    Missing(&'static str),
    /// A number exceeds what the database can hold.
    #[error("a number exceeds {}", i64::MAX)]
    Number,
    /// A sum or a difference of amounts is out of range.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// An event cannot be decoded or encoded.
    #[error(transparent)]
    Event(#[from] Undecodable),
}

/// Decoded event of one kind of stream.
pub struct Seen<'a, E> {
    /// Stream id without the aggregate's name.
    pub id: &'a str,
    /// Event as the log holds it.
    pub recorded: &'a RecordedEvent,
    /// Decoded payload, upcast to its newest version.
    pub event: E,
}

/// Calls `work` for each event of an aggregate, in order; an error names the event at which it failed. Events of
/// other aggregates are skipped, and so are events whose name is not known yet. A projector of several aggregates
/// passes the events one by one and calls this once for each aggregate.
pub fn each<E: Message>(
    aggregate: &str,
    events: &[RecordedEvent],
    mut work: impl FnMut(&Seen<'_, E>) -> Result<(), Misfit>,
) -> Result<(), String> {
    for recorded in events {
        let Some(id) = recorded.stream.strip_prefix(aggregate).and_then(|rest| rest.strip_prefix('-')) else {
            continue;
        };
        if !E::TYPES.iter().any(|known| known.name == recorded.kind) {
            continue;
        }
        E::decode(&recorded.kind, recorded.schema_version, &recorded.payload)
            .map_err(Misfit::from)
            .and_then(|event| work(&Seen { id, recorded, event }))
            .map_err(|misfit| {
                let RecordedEvent { kind, stream, stream_version, .. } = recorded;
                format!("event {stream_version} of {stream}, {kind}: {misfit}")
            })?;
    }
    Ok(())
}

/// Returns the start of the time's day in UTC.
pub(crate) fn day_of(at: Timestamp) -> Timestamp {
    // A time contains the part of its day that has passed, and midnight is not later, so neither step fails.
    let since_midnight_ms = at.as_ms().rem_euclid(DAY_MS);
    at.as_ms().checked_sub(since_midnight_ms).and_then(Timestamp::from_ms).unwrap_or(at)
}

/// Rows that one batch of events reads and changes.
pub struct Rows {
    rows: BTreeMap<String, Row>,
    changed: BTreeMap<String, RowKey>,
}

impl Rows {
    /// Indexes the rows that the host fetched. Fails on a row of another table.
    pub fn fetched(tables: &[Table], rows: Vec<Row>) -> Result<Self, String> {
        let placed = rows.into_iter().map(|row| {
            let table = tables.iter().find(|table| table.name == row.table);
            let table = table.ok_or_else(|| Misfit::Table(row.table.clone()))?;
            let key = row.values.get(..table.primary_key.len());
            let key = key.ok_or_else(|| Misfit::Row(row.table.clone()))?;
            Ok((place(&row.table, key), row))
        });
        let rows = placed.collect::<Result<_, Misfit>>().map_err(|misfit| misfit.to_string())?;
        Ok(Self { rows, changed: BTreeMap::new() })
    }

    /// Returns the current row, if there is one. Its key must have been among the projector's `keys`.
    pub fn find<R: Record>(&self, key: &RowKey) -> Result<Option<R>, Misfit> {
        self.rows.get(&place(&key.table, &key.key)).cloned().map(R::read).transpose()
    }

    /// Returns a row that an earlier event created; fails if it is missing.
    pub fn existing<R: Record>(&self, key: &RowKey) -> Result<R, Misfit> {
        self.find(key)?.ok_or(Misfit::Missing(R::TABLE))
    }

    /// Inserts the row, or replaces it.
    pub fn put<R: Record>(&mut self, record: &R) {
        let key = record.key_values();
        let mut values = key.clone();
        values.extend(record.other_values());
        let place = place(R::TABLE, &key);
        self.changed.insert(place.clone(), RowKey { table: R::TABLE.to_owned(), key });
        self.rows.insert(place, Row { table: R::TABLE.to_owned(), values });
    }

    /// Removes the row.
    pub fn remove(&mut self, key: RowKey) {
        let place = place(&key.table, &key.key);
        self.rows.remove(&place);
        self.changed.insert(place, key);
    }

    /// Returns the changes: an upsert for each row that was put, a deletion for each one that was removed.
    #[must_use]
    pub fn into_changes(self) -> Vec<Change> {
        let Self { mut rows, changed } = self;
        let change = |(place, key)| rows.remove(&place).map_or(Change::Delete(key), Change::Upsert);
        changed.into_iter().map(change).collect()
    }
}

/// Returns the row's name in the maps. Debug quotes texts, so no two keys look alike.
fn place(table: &str, key: &[Value]) -> String {
    format!("{table} {key:?}")
}
