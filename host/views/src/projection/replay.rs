//! Builds a projection again in memory.
//!
//! It works like the running projection, batch by batch through the component, but keeps the rows in memory: it never
//! touches the read store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::batch::EventBatch;
use super::cells::{Cells, Rows, canonical, cells, declared, key_columns, keyed};
use super::{ProjectionError, RowDifference, StoredProjection, difference};
use clearfold_bus::StoredEvent;
use clearfold_sandbox::{Change, Projector, Row, RowKey, Value};

/// Name of a table, and key of one of its rows.
type RowId = (String, Cells);

/// A projection in memory.
pub struct ProjectionReplay {
    projector: Arc<Projector>,
    rows: Rows,
    /// Rows whose changing streams are noted, with these streams.
    watched: BTreeMap<RowId, BTreeSet<String>>,
}

impl ProjectionReplay {
    /// Makes a projection before its first event.
    #[must_use]
    pub fn new(projector: Arc<Projector>) -> Self {
        Self { projector, rows: Rows::new(), watched: BTreeMap::new() }
    }

    /// Makes the same, but notes which streams change the rows of these differences. That takes more calls.
    #[must_use]
    pub fn watching(projector: Arc<Projector>, differences: &[RowDifference]) -> Self {
        let watched = differences.iter().map(|difference| (difference.row(), BTreeSet::new())).collect();
        Self { projector, rows: Rows::new(), watched }
    }

    /// Projects events of one partition, in order.
    pub async fn project(&mut self, mut events: &[StoredEvent]) -> Result<(), ProjectionError> {
        while !events.is_empty() {
            let mut count = events.len();
            // A batch that is too much for the component, or that changes a watched row, is cut in halves, down to the
            // one event at fault.
            let changes = loop {
                match self.changes(&events[..count]).await {
                    Ok(changes) if count == 1 || !self.is_watched(&changes) => break changes,
                    Err(error) if count == 1 || !error.is_of_one_event() => return Err(error),
                    Ok(_) | Err(_) => count = count.div_ceil(2),
                }
            };
            let (done, rest) = events.split_at(count);
            self.keep(done, changes);
            events = rest;
        }
        Ok(())
    }

    /// Passes each difference between the read store and this replay to `found`.
    pub fn differences(&self, stored: &StoredProjection, mut found: impl FnMut(RowDifference)) {
        let descriptor = self.projector.descriptor();
        let none = BTreeMap::new();
        for table in &descriptor.tables {
            let replayed = self.rows.get(&table.name).unwrap_or(&none);
            let stored = stored.rows.get(&table.name).unwrap_or(&none);
            difference::between(&descriptor.name, table, stored, replayed, &mut found);
        }
    }

    /// Streams whose events changed a watched row.
    #[must_use]
    pub fn streams_of(&self, difference: &RowDifference) -> Vec<String> {
        self.watched.get(&difference.row()).into_iter().flatten().cloned().collect()
    }

    async fn changes(
        &self,
        events: &[StoredEvent],
    ) -> Result<Vec<(RowId, Option<Vec<Value>>)>, ProjectionError> {
        let batch = EventBatch::new(&self.projector, events);
        let rows = self.fetch(batch.keys().await?)?;
        let changes = batch.changes(rows).await?;
        changes.into_iter().map(|change| self.checked(change)).collect()
    }

    fn fetch(&self, keys: Vec<RowKey>) -> Result<Vec<Row>, ProjectionError> {
        let mut asked = BTreeSet::new();
        for RowKey { table, key } in keys {
            let declared = declared(&self.projector, "keys", &table)?;
            let key = key.into_iter().map(canonical).collect();
            let key = cells(&self.projector, "keys", declared, key_columns(declared), key)?;
            asked.insert((table, key));
        }
        let row = |(table, key): RowId| {
            let values = self.rows.get(&table)?.get(&key)?.clone();
            Some(Row { table, values })
        };
        Ok(asked.into_iter().filter_map(row).collect())
    }

    /// Checks a change as the read store would: its row, and the new values unless it is a deletion.
    fn checked(&self, change: Change) -> Result<(RowId, Option<Vec<Value>>), ProjectionError> {
        let all = |values: Vec<Value>| values.into_iter().map(canonical).collect::<Vec<_>>();
        let change = match change {
            Change::Delete(row) => Change::Delete(RowKey { table: row.table, key: all(row.key) }),
            Change::Upsert(row) => Change::Upsert(Row { table: row.table, values: all(row.values) }),
        };
        let values = match &change {
            Change::Delete(_) => None,
            Change::Upsert(row) => Some(row.values.clone()),
        };
        let (row, _) = keyed(&self.projector, change)?;
        Ok((row, values))
    }

    fn is_watched(&self, changes: &[(RowId, Option<Vec<Value>>)]) -> bool {
        changes.iter().any(|(row, _)| self.watched.contains_key(row))
    }

    fn keep(&mut self, events: &[StoredEvent], changes: Vec<(RowId, Option<Vec<Value>>)>) {
        for (row, values) in changes {
            if let Some(streams) = self.watched.get_mut(&row) {
                streams.extend(events.iter().map(|event| event.stream.clone()));
            }
            let (table, key) = row;
            let rows = self.rows.entry(table).or_default();
            match values {
                Some(values) => rows.insert(key, values),
                None => rows.remove(&key),
            };
        }
    }
}
