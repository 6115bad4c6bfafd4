//! Merchants projection: for each merchant and asset, the amounts requested, cleared, refunded and disputed.
//!
//! Built from the events of authorizations that name a merchant; a payment that was first seen on chain names none. A
//! merchant's payments are spread over many accounts, and their events are ordered only within each account. Sums do
//! not depend on that order; for the merchant's description the latest one counts, whenever it arrives.

mod tables;
mod totals;

use clearfold_kernel::{Change, ProjectionDescriptor, Projector, RecordedEvent, Row, RowKey};

use self::tables::Merchant;
use crate::authorization::{AGGREGATE, Event};
use crate::projecting::{Record, Rows, Seen, each};

/// Projector of merchants.
pub struct Merchants;

impl Projector for Merchants {
    fn describe() -> ProjectionDescriptor {
        ProjectionDescriptor {
            name: "merchants",
            version: 3,
            tables: vec![Merchant::table()],
            reads: &[AGGREGATE],
        }
    }

    fn keys(events: &[RecordedEvent]) -> Result<Vec<RowKey>, String> {
        let mut keys = Vec::new();
        each(AGGREGATE, events, |seen: &Seen<'_, Event>| {
            keys.extend(totals::key(&seen.event));
            Ok(())
        })?;
        Ok(keys)
    }

    fn project(events: &[RecordedEvent], rows: Vec<Row>) -> Result<Vec<Change>, String> {
        let mut rows = Rows::fetched(&Self::describe().tables, rows)?;
        each(AGGREGATE, events, |seen: &Seen<'_, Event>| totals::add(&mut rows, seen))?;
        Ok(rows.into_changes())
    }
}
