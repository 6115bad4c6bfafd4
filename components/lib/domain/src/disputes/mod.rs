//! Disputes projection: one row for each dispute, one for each step that it went through, and one for each record of the
//! network by which its money moved.
//!
//! Built from the events of authorizations. A dispute id is unique only within its payment, so both together are the
//! key.

mod course;
mod money;
mod tables;

use clearfold_kernel::{Change, ProjectionDescriptor, Projector, RecordedEvent, Row, RowKey};

use self::tables::{Dispute, DisputeMoney, DisputeStep, UnknownDispute};
use crate::authorization::{AGGREGATE, Event};
use crate::projecting::{Record, Rows, Seen, each};

/// Projector of disputes.
pub struct Disputes;

impl Projector for Disputes {
    fn describe() -> ProjectionDescriptor {
        let tables =
            vec![Dispute::table(), DisputeStep::table(), DisputeMoney::table(), UnknownDispute::table()];
        ProjectionDescriptor { name: "disputes", version: 3, tables, reads: &[AGGREGATE] }
    }

    fn keys(events: &[RecordedEvent]) -> Result<Vec<RowKey>, String> {
        let mut keys = Vec::new();
        each(AGGREGATE, events, |seen: &Seen<'_, Event>| {
            keys.extend(course::key(seen));
            keys.extend(money::keys(seen));
            Ok(())
        })?;
        Ok(keys)
    }

    fn project(events: &[RecordedEvent], rows: Vec<Row>) -> Result<Vec<Change>, String> {
        let mut rows = Rows::fetched(&Self::describe().tables, rows)?;
        each(AGGREGATE, events, |seen: &Seen<'_, Event>| {
            course::follow(&mut rows, seen)?;
            money::follow(&mut rows, seen)
        })?;
        Ok(rows.into_changes())
    }
}
