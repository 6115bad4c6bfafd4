//! Payments, their timelines, refunds, and what each account spent: the tables behind the customer's API.
//!
//! Built from the events of authorizations alone. A row is read only where an event adds to it.

mod rows;
mod tables;

use clearfold_kernel::{Change, Message, ProjectionDescriptor, Projector, RecordedEvent, Row, RowKey, Value};

use self::rows::{AccountAsset, Payment, Refund, Rows, Status, timeline_entry};
use crate::authorization::{self, ClearingPosted, Event, RefundUnlinked, SwipeRecorded};

/// The projector.
pub struct Payments;

impl Projector for Payments {
    fn describe() -> ProjectionDescriptor {
        ProjectionDescriptor { name: "payments", version: 2, tables: tables::all() }
    }

    fn keys(events: &[RecordedEvent]) -> Result<Vec<RowKey>, String> {
        let mut keys = Vec::new();
        for seen in Seen::among(events) {
            let seen = seen?;
            let (account, asset) = seen.account_asset();
            keys.push(RowKey {
                table: tables::ACCOUNT_ASSET.into(),
                key: vec![text(&account), text(&asset)],
            });
            if matches!(seen.event, Event::ClearingPosted(_)) {
                keys.push(RowKey { table: tables::PAYMENT.into(), key: vec![text(seen.id)] });
            }
        }
        Ok(keys)
    }

    fn project(events: &[RecordedEvent], rows: Vec<Row>) -> Result<Vec<Change>, String> {
        let mut rows = Rows::read(rows)?;
        for seen in Seen::among(events) {
            let seen = seen?;
            apply(&mut rows, &seen).map_err(|error| {
                format!("event {} of {}: {error}", seen.recorded.stream_version, seen.recorded.stream)
            })?;
        }
        Ok(rows.into_changes())
    }
}

/// An event that concerns this projection, read.
struct Seen<'a> {
    id: &'a str,
    recorded: &'a RecordedEvent,
    event: Event,
}

impl<'a> Seen<'a> {
    fn among(events: &'a [RecordedEvent]) -> impl Iterator<Item = Result<Self, String>> {
        events.iter().filter_map(Self::read)
    }

    /// None for what other deciders say.
    fn read(recorded: &'a RecordedEvent) -> Option<Result<Self, String>> {
        let id = recorded.stream.strip_prefix(authorization::AGGREGATE)?.strip_prefix('-')?;
        if !["SwipeRecorded", "ClearingPosted", "RefundUnlinked"].contains(&recorded.kind.as_str()) {
            return None;
        }
        let read = Event::decode(&recorded.kind, recorded.schema_version, &recorded.payload)
            .map(|event| Self { id, recorded, event })
            .map_err(|error| format!("event {} of {}: {error}", recorded.stream_version, recorded.stream));
        Some(read)
    }

    fn account_asset(&self) -> (String, String) {
        let (account, asset) = match &self.event {
            Event::SwipeRecorded(swipe) => (swipe.account, &swipe.amount.asset),
            Event::ClearingPosted(clearing) => (clearing.parties.account, &clearing.asset),
            Event::RefundUnlinked(refund) => (refund.parties.account, &refund.amount.asset),
            _ => return Default::default(),
        };
        (account.to_string(), asset.code.clone())
    }
}

fn apply(rows: &mut Rows, seen: &Seen) -> Result<(), String> {
    match &seen.event {
        Event::SwipeRecorded(swipe) => swiped(rows, seen, swipe),
        Event::ClearingPosted(clearing) => cleared(rows, seen, clearing),
        Event::RefundUnlinked(refund) => refunded(rows, seen, refund),
        _ => Ok(()),
    }
}

fn swiped(rows: &mut Rows, seen: &Seen, swipe: &SwipeRecorded) -> Result<(), String> {
    rows.payments.insert(seen.id.to_owned(), Payment::of(swipe, seen.recorded));
    rows.timeline.push(timeline_entry(seen, swipe.occurred_at)?);
    let total = AccountAsset::at(rows, &seen.account_asset(), swipe.amount.asset.decimals, seen.recorded);
    total.payment_count = total.payment_count.saturating_add(1);
    total.spent = total.spent.plus(swipe.amount.minor).map_err(|error| error.to_string())?;
    Ok(())
}

fn cleared(rows: &mut Rows, seen: &Seen, clearing: &ClearingPosted) -> Result<(), String> {
    let payment = rows.payments.get_mut(seen.id).ok_or("a clearing came before its payment")?;
    let claimed = clearing.claimed().map_err(|error| error.to_string())?;
    payment.cleared = payment.cleared.plus(claimed).map_err(|error| error.to_string())?;
    payment.status = if clearing.is_final { Status::Cleared } else { Status::PartiallyCleared };
    payment.updated_at = seen.recorded.recorded_at;
    rows.timeline.push(timeline_entry(seen, clearing.occurred_at)?);
    let total = AccountAsset::at(rows, &seen.account_asset(), clearing.asset.decimals, seen.recorded);
    total.cleared = total.cleared.plus(claimed).map_err(|error| error.to_string())?;
    Ok(())
}

fn refunded(rows: &mut Rows, seen: &Seen, refund: &RefundUnlinked) -> Result<(), String> {
    rows.refunds.push(Refund { id: seen.id.to_owned(), refund: refund.clone() });
    let total = AccountAsset::at(rows, &seen.account_asset(), refund.amount.asset.decimals, seen.recorded);
    total.refund_count = total.refund_count.saturating_add(1);
    total.refunded = total.refunded.plus(refund.amount.minor).map_err(|error| error.to_string())?;
    Ok(())
}

fn text(text: &str) -> Value {
    Value::from(text)
}
