//! Card usage: each card's status, expiry, wrong PINs and rules, and what counted against its limits on each day.
//!
//! Built from the events of cards alone. A day is a calendar day in UTC: the day on which the payment was reserved. A
//! later release is subtracted from that day, the same way the card itself counts.

mod tables;

use clearfold_kernel::{
    Amount, Asset, Change, Minor, ProjectionDescriptor, Projector, RecordedEvent, Row, RowKey, Timestamp,
    Undecodable,
};

use self::tables::{Card, CardDay, Status};
use crate::card::{self, CardIssued, Event, Rules, SpendReleased};
use crate::projecting::{self, Document, Misfit, Number, Rows, day_of};
use crate::verification::CardChecks;

type Seen<'a> = projecting::Seen<'a, Event>;

/// Projector of card usage.
pub struct CardUsage;

impl Projector for CardUsage {
    fn describe() -> ProjectionDescriptor {
        ProjectionDescriptor {
            name: "card_usage",
            version: 2,
            tables: tables::all(),
            reads: &[card::AGGREGATE],
        }
    }

    fn keys(events: &[RecordedEvent]) -> Result<Vec<RowKey>, String> {
        let mut keys = Vec::new();
        projecting::each(card::AGGREGATE, events, |seen: &Seen| {
            let card_id = seen.id.to_owned();
            keys.push(Card::key(&card_id));
            if let Some((asset, counted_at)) = counted(&seen.event) {
                keys.push(CardDay::key(&card_id, &asset.code, &day_of(counted_at)));
            }
            Ok(())
        })?;
        Ok(keys)
    }

    fn project(events: &[RecordedEvent], rows: Vec<Row>) -> Result<Vec<Change>, String> {
        let mut rows = Rows::fetched(&tables::all(), rows)?;
        projecting::each(card::AGGREGATE, events, |seen: &Seen| apply(&mut rows, seen))?;
        Ok(rows.into_changes())
    }
}

/// Returns the asset in which an event counts and the time whose day it counts on; `None` if it does not count.
fn counted(event: &Event) -> Option<(&Asset, Timestamp)> {
    match event {
        Event::SpendReserved(event) => Some((&event.amount.asset, event.at)),
        Event::SpendRecorded(event) => Some((&event.amount.asset, event.at)),
        Event::SpendReleased(event) => Some((&event.amount.asset, event.reserved_at)),
        _ => None,
    }
}

fn apply(rows: &mut Rows, seen: &Seen) -> Result<(), Misfit> {
    if let Event::CardIssued(issued) = &seen.event {
        rows.put(&issue(seen, issued)?);
        return Ok(());
    }
    let mut card: Card = rows.existing(&Card::key(&seen.id.to_owned()))?;
    card.updated_at = seen.recorded.recorded_at;
    match &seen.event {
        Event::CardIssued(_) | Event::ReservationVoided(_) => return Ok(()),
        Event::CardFrozen(event) => {
            card.frozen_for.push(event.reason);
            card.frozen_for.sort();
            card.status = Status::Frozen;
        }
        Event::CardUnfrozen(event) => {
            card.frozen_for = event.still_frozen_for.iter().copied().collect();
            card.status = if card.frozen_for.is_empty() { Status::Active } else { Status::Frozen };
        }
        Event::CardRenewed(event) => card.expires = Some(event.expires.to_string()),
        Event::PinFailed(event) => card.pin_failure_count = u32::from(event.failures).into(),
        Event::PinTriesReset(_) => card.pin_failure_count = Number::default(),
        Event::CardClosed(event) => {
            card.status = Status::Closed;
            card.closed_as = event.cause;
        }
        Event::CardRulesSet(event) => card.rules = document(seen, &event.rules)?,
        Event::SpendReserved(event) => {
            if event.checks.as_ref().is_some_and(CardChecks::has_right_pin) {
                card.pin_failure_count = Number::default();
            }
            card.last_used_at = Some(event.at);
            count(rows, &card, &event.amount, event.at)?;
        }
        Event::SpendRecorded(event) => {
            card.last_used_at = Some(event.at);
            count(rows, &card, &event.amount, event.at)?;
        }
        Event::SpendReleased(event) => release(rows, &card, event)?,
    }
    rows.put(&card);
    Ok(())
}

fn issue(seen: &Seen, issued: &CardIssued) -> Result<Card, Misfit> {
    Ok(Card {
        card_id: seen.id.to_owned(),
        account: issued.account,
        status: Status::Active,
        frozen_for: Vec::new(),
        closed_as: None,
        expires: issued.expires.map(|expires| expires.to_string()),
        pin_failure_count: Number::default(),
        rules: document(seen, &issued.rules)?,
        last_used_at: None,
        issued_at: issued.at,
        updated_at: seen.recorded.recorded_at,
    })
}

fn document(seen: &Seen, rules: &Rules) -> Result<Document, Misfit> {
    let RecordedEvent { kind, schema_version, .. } = seen.recorded;
    serde_json::to_string(rules)
        .map(Document)
        .map_err(|error| Undecodable::Malformed(kind.clone(), *schema_version, error.to_string()).into())
}

fn count(rows: &mut Rows, card: &Card, amount: &Amount, at: Timestamp) -> Result<(), Misfit> {
    let known = rows.find(&CardDay::key(&card.card_id, &amount.asset.code, &day_of(at)))?;
    let mut day: CardDay = known.unwrap_or_else(|| CardDay {
        card_id: card.card_id.clone(),
        asset: amount.asset.code.clone(),
        day: day_of(at),
        account: card.account,
        decimals: amount.asset.decimals,
        reservation_count: Number::default(),
        amount_minor: Minor::ZERO,
        released_minor: Minor::ZERO,
        last_used_at: at,
    });
    day.reservation_count = day.reservation_count.next()?;
    day.amount_minor = day.amount_minor.plus(amount.minor)?;
    day.last_used_at = at;
    rows.put(&day);
    Ok(())
}

fn release(rows: &mut Rows, card: &Card, event: &SpendReleased) -> Result<(), Misfit> {
    let key = CardDay::key(&card.card_id, &event.amount.asset.code, &day_of(event.reserved_at));
    let mut day: CardDay = rows.existing(&key)?;
    day.released_minor = day.released_minor.plus(event.amount.minor)?;
    rows.put(&day);
    Ok(())
}
