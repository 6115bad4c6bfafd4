//! What projectors share: tables whose rows are types, and the events of one kind of stream.
//!
//! A table is a struct, made by `table!`. A field's type says what its column holds and what the database checks
//! of it: a `Minor` is never negative, a [`Word`] is one of its words, an `Option` may be empty. So a rule stands
//! once, and holds in the code as in the database.
//!
//! A projector asks for rows by [`RowKey`]s in `keys`, and in `project` finds them in [`Rows`], changes them and puts
//! them back; both walk over the events with [`each`]. Nothing here knows what a row means, and nothing gives way:
//! a number that does not fit, a cell that does not belong or a row that is missing is a [`Misfit`], which names it.

mod cell;
mod net;
mod table;

use std::collections::BTreeMap;

use clearfold_kernel::{Change, Message, MoneyError, RecordedEvent, Row, RowKey, Table, Undecodable, Value};

pub(crate) use cell::words;
pub use cell::{Cell, Document, Number, Word};
pub use net::{legs, lowered, posted, raised};
pub use table::Record;
pub(crate) use table::{Cells, column, name, table};

/// Why an event or a row does not fit what is known.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// A cell holds something else than its column.
    #[error("`{0}.{1}` holds {2:?}, which does not belong there")]
    Cell(&'static str, &'static str, Value),
    /// A row has too few cells or too many.
    #[error("a row of `{0}` has another number of cells than the table")]
    Row(String),
    /// The host handed over rows of another table.
    #[error("rows of `{0}` were not asked for")]
    Table(String),
    /// An event adds to a row that no event before it made.
    #[error("it came before what makes the row of `{0}` that it adds to")]
    Missing(&'static str),
    /// A number that the database cannot hold.
    #[error("a number exceeds {}", i64::MAX)]
    Number,
    /// A sum or a difference that is none.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// An event that cannot be read, or written.
    #[error(transparent)]
    Event(#[from] Undecodable),
}

/// An event of one kind of stream, read.
pub struct Seen<'a, E> {
    /// The stream's id without the aggregate's name.
    pub id: &'a str,
    /// The event as the log holds it.
    pub recorded: &'a RecordedEvent,
    /// What it says, in its newest version.
    pub event: E,
}

/// Hands over each event of an aggregate, in order, and names the one where that fails. What other deciders say is
/// passed over, and so is an event whose name is not known yet. A projector of several aggregates calls this for one
/// event after the other, once for each aggregate.
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

/// The rows that one batch of events reads and changes.
pub struct Rows {
    rows: BTreeMap<String, Row>,
    changed: BTreeMap<String, RowKey>,
}

impl Rows {
    /// What the host fetched.
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

    /// A row as it is now, if there is one. Its key must have been among the keys.
    pub fn find<R: Record>(&self, key: &RowKey) -> Result<Option<R>, Misfit> {
        self.rows.get(&place(&key.table, &key.key)).cloned().map(R::read).transpose()
    }

    /// A row that an earlier event made.
    pub fn existing<R: Record>(&self, key: &RowKey) -> Result<R, Misfit> {
        self.find(key)?.ok_or(Misfit::Missing(R::TABLE))
    }

    /// A row is there from now on as it is here.
    pub fn put<R: Record>(&mut self, record: &R) {
        let key = record.key_values();
        let mut values = key.clone();
        values.extend(record.other_values());
        let place = place(R::TABLE, &key);
        self.changed.insert(place.clone(), RowKey { table: R::TABLE.to_owned(), key });
        self.rows.insert(place, Row { table: R::TABLE.to_owned(), values });
    }

    /// A row is there no longer.
    pub fn remove(&mut self, key: RowKey) {
        let place = place(&key.table, &key.key);
        self.rows.remove(&place);
        self.changed.insert(place, key);
    }

    /// The rows that were put or removed.
    #[must_use]
    pub fn into_changes(self) -> Vec<Change> {
        let Self { mut rows, changed } = self;
        let change = |(place, key)| rows.remove(&place).map_or(Change::Delete(key), Change::Upsert);
        changed.into_iter().map(change).collect()
    }
}

/// Names a row. Debug quotes texts, so no two keys look alike.
fn place(table: &str, key: &[Value]) -> String {
    format!("{table} {key:?}")
}
