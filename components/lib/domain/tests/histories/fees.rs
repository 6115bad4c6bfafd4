//! Network fees: what the read store sums is what the records that stand have stated.

use std::collections::BTreeMap;

use clearfold_domain::authorization::{
    Authorization, Event, RefundOrigin, Resolution, State, Subject, Suspended,
};
use clearfold_domain::network::{FeeDirection, NetworkFees, RefundOutcome, SuspenseOutcome};
use clearfold_domain::settlement::Settlement;
use clearfold_kernel::{Change, ExternalId, Message, Minor, Projector, RecordedEvent, Row, Timestamp, Value};

use crate::live::{Broken, Live};

/// Fees owed to us, less those that we owe, by kind and currency. One that is zero is left out.
type Owed = BTreeMap<(String, String), i128>;

/// Checks the sums of each payment, and the sums by network and day that its events make.
pub fn agree(payments: &BTreeMap<String, Live<Authorization>>) -> Result<(), Broken> {
    for (id, live) in payments {
        let states_fees = |event: &Event| event.encode().is_ok_and(|event| has_fees(&event.payload));
        if !live.events.iter().any(states_fees) {
            continue;
        }
        let standing = standing(live);
        let rows = projected(id, &live.events)?;
        for table in ["payment_fee", "network_fee"] {
            let summed = summed(&rows, table);
            if summed != standing {
                return Err(format!(
                    "{id}: the records that stand state {standing:?}, {table} has {summed:?}"
                ));
            }
        }
    }
    Ok(())
}

fn has_fees(payload: &[u8]) -> bool {
    String::from_utf8_lossy(payload).contains("\"network_fees\"")
}

/// Sums what the records stated when they came and that were not taken back, by what the state says of each.
fn standing(live: &Live<Authorization>) -> Owed {
    let mut records = BTreeMap::new();
    for event in &live.events {
        let (id, fees, stands) = match event {
            Event::ClearingPosted(event) => {
                claim(&live.state, &event.clearing_id, event.network_fees.as_deref())
            }
            Event::ForcePosted(event) => {
                claim(&live.state, &event.clearing_id, event.network_fees.as_deref())
            }
            Event::ClearingSuspended(event) => {
                claim(&live.state, &event.clearing_id, event.network_fees.as_deref())
            }
            Event::RefundLinked(event) => {
                refund(&live.state, &event.origin, event.amount.minor, event.network_fees.as_deref())
            }
            Event::RefundUnlinked(event) => {
                refund(&live.state, &event.origin, event.amount.minor, event.network_fees.as_deref())
            }
            _ => continue,
        };
        if let Some(fees) = fees.filter(|_| stands) {
            records.entry(id).or_insert(fees);
        }
    }
    let mut owed = Owed::new();
    records.into_values().for_each(|fees| add(&mut owed, fees));
    owed.retain(|_, units| *units != 0);
    owed
}

/// Record with the fees that its event states, and true if it stands.
type Record<'a> = (String, Option<&'a NetworkFees>, bool);

fn add(owed: &mut Owed, fees: &NetworkFees) {
    for fee in fees.fees.iter() {
        let kind = serde_json::to_value(fee.kind).expect("a word");
        let kind = kind.as_str().expect("a word").to_owned();
        let units =
            i128::try_from(fee.amount.units().expect("a checked amount").get()).expect("less than 2^96");
        let units = if fee.direction == FeeDirection::Credit { units } else { -units };
        *owed.entry((kind, fee.amount.stated().asset.code.clone())).or_default() += units;
    }
}

fn claim<'a>(state: &State, id: &ExternalId, fees: Option<&'a NetworkFees>) -> Record<'a> {
    let is_returned = state.suspended.get(id) == Some(&Suspended::Resolved(SuspenseOutcome::Returned));
    let claimed = state.clearings.get(id).map(|clearing| clearing.claimed);
    let stands = claimed.is_some_and(|claimed| state.taken_back_of(id) < claimed);
    (format!("clearing/{id}"), fees, stands && !is_returned)
}

fn refund<'a>(
    state: &State,
    origin: &RefundOrigin,
    minor: Minor,
    fees: Option<&'a NetworkFees>,
) -> Record<'a> {
    let unlinked = match &state.subject {
        Subject::Refund(refund) => Some(refund.as_ref()),
        Subject::Payment(_) | Subject::Nothing => state.beside.as_deref(),
    };
    let is_undone = unlinked.is_some_and(|refund| {
        refund.origin == *origin
            && matches!(refund.resolution, Resolution::Resolved { outcome: RefundOutcome::TakenBack, .. })
    });
    let stands = match origin {
        RefundOrigin::Network(id) => !is_undone && state.taken_back_of_refund(id) < minor,
        RefundOrigin::Chain(_) => false,
    };
    (origin.identity(), fees, stands)
}

/// Returns the rows of the projection `settlement` after the events of a payment.
fn projected(id: &str, events: &[Event]) -> Result<Vec<Row>, Broken> {
    let recorded = (1..).zip(events).map(|(position, event)| {
        let encoded = event.encode().map_err(|error| error.to_string())?;
        Ok(RecordedEvent {
            partition: 0,
            position,
            stream: format!("authorization-{id}"),
            stream_version: position,
            event_id: position.to_string(),
            correlation_id: String::new(),
            kind: encoded.kind,
            schema_version: encoded.schema_version,
            recorded_at: Timestamp::from_s(0).expect("a time"),
            payload: encoded.payload,
        })
    });
    let recorded: Vec<RecordedEvent> = recorded.collect::<Result<_, Broken>>()?;
    let changes = Settlement::project(&recorded, Vec::new())?;
    let row = |change| match change {
        Change::Upsert(row) => Some(row),
        Change::Delete(_) => None,
    };
    Ok(changes.into_iter().filter_map(row).collect())
}

/// Sums the rows of a table: what is owed to us, less what we owe.
fn summed(rows: &[Row], table: &str) -> Owed {
    let described = Settlement::describe().tables.into_iter().find(|described| described.name == table);
    let columns = described.expect("a table").columns;
    let mut owed = Owed::new();
    for row in rows.iter().filter(|row| row.table == table) {
        let cell = |name: &str| {
            let index = columns.iter().position(|column| column.name == name).expect("a column");
            match &row.values[index] {
                Value::Text(text) | Value::Numeric(text) => text.clone(),
                other => format!("{other:?}"),
            }
        };
        let units = |name: &str| cell(name).parse::<i128>().expect("a number");
        let key = (cell("kind"), cell("currency"));
        *owed.entry(key).or_default() += units("credit_minor") - units("debit_minor");
    }
    owed.retain(|_, units| *units != 0);
    owed
}
