//! Payments projection: payments, their timelines, refunds, and totals of each account; the tables behind the
//! customer's API.
//!
//! Built from the events of authorizations alone. A row is read only where an event adds to it, and never decides
//! anything: what is allowed is up to the decider.

mod account;
mod beginning;
mod clearing;
mod hold;
mod life;
mod refund;
mod status;
mod tables;
mod timeline;

use clearfold_kernel::{Change, ProjectionDescriptor, Projector, RecordedEvent, Row, RowKey};

use self::tables::{AccountAsset, Payment, PaymentEvent, Refund};
use crate::authorization::{AGGREGATE, Event, ReversalRefusal};
use crate::projecting::{Misfit, Record, Rows, Seen, each};

/// Projector of payments.
pub struct Payments;

impl Projector for Payments {
    fn describe() -> ProjectionDescriptor {
        let tables = vec![Payment::table(), PaymentEvent::table(), Refund::table(), AccountAsset::table()];
        ProjectionDescriptor { name: "payments", version: 15, tables, reads: &[AGGREGATE] }
    }

    fn keys(events: &[RecordedEvent]) -> Result<Vec<RowKey>, String> {
        let mut keys = Vec::new();
        each(AGGREGATE, events, |seen: &Seen<'_, Event>| {
            if concerns_payment(&seen.event) && !is_first(&seen.event) {
                keys.push(Payment::key(&seen.id.to_owned()));
            }
            keys.extend(refund::key(seen));
            keys.extend(account::key(&seen.event));
            Ok(())
        })?;
        Ok(keys)
    }

    fn project(events: &[RecordedEvent], rows: Vec<Row>) -> Result<Vec<Change>, String> {
        let mut rows = Rows::fetched(&Self::describe().tables, rows)?;
        each(AGGREGATE, events, |seen: &Seen<'_, Event>| apply(&mut rows, seen))?;
        Ok(rows.into_changes())
    }
}

/// Returns true if the event concerns a payment's row. An event that could not be matched appears in the timeline
/// only.
fn concerns_payment(event: &Event) -> bool {
    match event {
        Event::RefundUnlinked(_) | Event::RefundResolved(_) => false,
        // It waits for an operator.
        Event::ReversalRefused(event) => event.reason == ReversalRefusal::Ambiguous,
        _ => true,
    }
}

/// Returns true if the event may have no payment, and begins none: a reversal of a record may come before its payment, or be
/// of an unlinked refund, and so may money of a dispute that nobody knows.
const fn may_have_no_payment(event: &Event) -> bool {
    matches!(
        event,
        Event::RecordReversalKept(_)
            | Event::RecordReversalEnded(_)
            | Event::RefundReversed(_)
            | Event::DisputeMoneyMoved(_)
            | Event::ReversalRefused(_)
    )
}

/// Returns true if the event is always the first of its payment, so there is no row to read.
fn is_first(event: &Event) -> bool {
    matches!(event, Event::SwipeRecorded(_) | Event::AuthorizationRequested(_))
}

fn apply(rows: &mut Rows, seen: &Seen<'_, Event>) -> Result<(), Misfit> {
    rows.put(&timeline::entry(seen)?);
    refund::follow(rows, seen)?;
    let mut begins = false;
    if concerns_payment(&seen.event) {
        let known = rows.find(&Payment::key(&seen.id.to_owned()))?;
        begins = known.is_none() && !may_have_no_payment(&seen.event);
        // A reversal without a payment is shown in the timeline alone.
        if begins || known.is_some() {
            rows.put(&life::after(known, seen)?);
        }
    }
    account::add(rows, seen, begins)
}
