//! Merchants: what each asked for, got, gave back and had disputed, by asset.
//!
//! Built from the events of authorizations that name a merchant; what was seen on chain first names none. A merchant's
//! payments are in many accounts, so its events come in no order but each account's own: sums do not mind, and of what
//! the merchant says of itself the latest counts, whenever it comes.

mod tables;
mod totals;

use clearfold_kernel::{Change, ProjectionDescriptor, Projector, RecordedEvent, Row, RowKey};

use self::tables::Merchant;
use crate::authorization::{AGGREGATE, Event};
use crate::projecting::{Record, Rows, Seen, each};

/// The projector.
pub struct Merchants;

impl Projector for Merchants {
    fn describe() -> ProjectionDescriptor {
        ProjectionDescriptor { name: "merchants", version: 1, tables: vec![Merchant::table()] }
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
